//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPluginCheckPasses(t *testing.T) {
	t.Parallel()
	shell := program(t, "runner-shell")
	got := stroem(t, t.TempDir(), "plugin", "check", shell)
	require.Zero(t, got.code, "%s%s", got.stdout, got.stderr)
	require.Regexp(t, `(?m)^ok    shell-local large output  \d+\.\ds$`, got.stdout)
	require.Contains(t, got.stdout, "bad config (plugin/bad-config): add settings that are to be refused")
	require.Regexp(t, `\n\d+ passed, 0 failed, 1 not covered\n$`, got.stdout)

	require.Equal(t, 1, stroem(t, t.TempDir(), "plugin", "check", shell, "--strict", "--run", "bad-config|schemas").code)
	cases := write(t, "cases.yaml", "bad_config: {pass_enw: []}\nexamples: {shell/local: {fail: {cmd: exit 3}}}\n")
	got = stroem(t, t.TempDir(), "plugin", "check", shell, "--strict", "--cases", cases, "--run", "bad-config|exit-code",
		"--config", `{"pass_env": ["TERM"]}`)
	require.Zero(t, got.code, got.stdout)
	require.Contains(t, got.stdout, "3 passed, 0 failed, 0 not covered")
}

// checkJSON runs the check and returns its report as a program reads it.
func checkJSON(t *testing.T, args ...string) (checkReport, printed) {
	t.Helper()
	got := stroem(t, t.TempDir(), append([]string{"plugin", "check", "-o", "json"}, args...)...)
	var r checkReport
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &r), "%s%s", got.stdout, got.stderr)
	return r, got
}

func TestPluginCheckNamesTheRule(t *testing.T) {
	t.Parallel()
	for breakage, want := range map[string]string{
		"lost-tail":          "runner/output-complete: the tail is lost",
		"wrong-order":        "runner/output-order: from line",
		"exit-code-as-error": "runner/exit-code: the example fail ended with the error",
		"foreign-type":       "plugin/describe: a host would refuse it: action type other.count: a plugin called test.broken can only have types called test.name",
	} {
		t.Run(breakage, func(t *testing.T) {
			t.Parallel()
			broken := program(t, "runner-test.broken")
			got := stroem(t, t.TempDir(), "plugin", "check", broken, "--run", "large|fail|taken", "--", breakage)
			require.Equal(t, 1, got.code, "%s%s", got.stdout, got.stderr)
			require.Contains(t, got.stdout, "  "+want)
			require.Contains(t, got.stdout, "    The rule: ")
		})
	}
	r, got := checkJSON(t, program(t, "runner-test.broken"), "--run", "secrets", "--", "logs-env")
	require.Equal(t, 1, got.code)
	require.Equal(t, 1, r.Failed)
	require.Equal(t, "runner/secrets", r.Cases[0].Failures[0].ID)
	require.NotEmpty(t, r.Cases[0].Log, "the log of the plugin helps its author")
}

func TestPluginCheckOfSources(t *testing.T) {
	t.Parallel()
	folder := program(t, "source-folder")
	r, got := checkJSON(t, folder)
	require.Zero(t, got.code, got.stdout)
	for _, c := range r.Cases {
		if strings.HasPrefix(c.Rule.ID, "source/") {
			require.Equal(t, "not_covered", c.Status)
			require.Contains(t, c.Needs, "--config")
		}
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "workspace.sh"), []byte(`
case $1 in new) text=one ;; change) text=two ;; esac
printf $text >"$2/a"
printf '{"settings": {"path": "%s"}, "files": {"a": "%s"}}' "$2" $text
`), 0o600))
	cases := filepath.Join(dir, "cases.yaml")
	require.NoError(t, os.WriteFile(cases, []byte(`
bad_config: {path: /}
source: {new: [sh, workspace.sh], missing: {path: /does/not/exist}, executable: []}
`), 0o600))
	r, got = checkJSON(t, folder, "--config", "{}", "--cases", cases, "--strict")
	require.Zero(t, got.code, got.stdout)
	require.Greater(t, r.Passed, 15)
	require.NoError(t, os.WriteFile(cases, fmt.Appendf(nil, "source: {settings: {path: %s}}", dir), 0o600))
	r, got = checkJSON(t, folder, "--config", "{}", "--cases", cases, "--run", "^source/")
	require.Zero(t, got.code, got.stdout)
	require.Equal(t, 2, r.NotCovered, "change and missing: %s", got.stdout)
}

// TestPluginCheckWithAService runs an example that needs something outside: a file that the service names.
func TestPluginCheckWithAService(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "service.sh"), []byte(`
echo ready >served; echo "$PWD/served"; sleep 120
`), 0o600))
	cases := filepath.Join(dir, "cases.yaml")
	require.NoError(t, os.WriteFile(cases, []byte(`
start: [sh, service.sh]
examples: {shell/local: {succeed: {cmd: "grep ready ${address}"}}}
`), 0o600))
	r, got := checkJSON(t, program(t, "runner-shell"), "--cases", cases, "--run", "succeed")
	require.Zero(t, got.code, "%s%s", got.stdout, got.stderr)
	require.Equal(t, 1, r.Passed)
}

// TestPluginCheckIsInterrupted sends the signal of Ctrl-C in the middle of runs that would take minutes.
func TestPluginCheckIsInterrupted(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program(t, "stroem"), "plugin", "check", program(t, "runner-test.broken"),
		"--run", "schemas|stop$", "--", "ignores-stop")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = stdout.Read(make([]byte, 1)) // the title: the cases begin
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(runsIn(t, tmp)) > 0 }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.Error(t, cmd.Wait())
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Contains(t, stderr.String(), "interrupted")
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, left, "files are left, and perhaps processes")
}

// runsIn returns the directories of runs under way.
func runsIn(t *testing.T, tmp string) []string {
	t.Helper()
	runs, err := filepath.Glob(filepath.Join(tmp, "stroem-run-*"))
	require.NoError(t, err)
	return runs
}
