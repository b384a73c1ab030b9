package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
)

// outcome is what a run of the command line printed, and its exit code.
type outcome struct {
	stdout, stderr string
	code           int
}

// stroem runs the command line against the system's server.
func (s *system) stroem(args ...string) outcome {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := s.command(args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); !ended {
		require.NoError(s.t, err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// command is the command line for the system's server, to be started.
func (s *system) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.t.Context(), filepath.Join(bin, "stroem"), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.t.TempDir(), "STROEM_URL=http://" + s.listen}
	return cmd
}

const cliWorkspace = `
actions:
  greet: {type: shell, cmd: 'echo "hello $INPUT_NAME $INPUT_TIMES"; echo "OUTPUT: {\"times\": $INPUT_TIMES}"'}
  fail: {type: shell, cmd: "echo no >&2; exit 5"}
  slow: {type: shell, cmd: "sleep 60"}
tasks:
  greet:
    folder: demo
    input: {name: {type: string, default: you}, times: {type: integer, default: 1}}
    flow: {greet: {action: greet, input: {name: "{{ input.name }}", times: "{{ input.times }}"}}}
  fail: {flow: {fail: {action: fail}}}
  slow: {flow: {slow: {action: slow}}}
`

func TestCommandLine(t *testing.T) {
	t.Parallel()
	s := newSystem(t, workspace(t, cliWorkspace), nil)
	s.startWorker("w", nil)

	t.Run("exit codes", func(t *testing.T) {
		t.Parallel()
		s := of(s, t)
		for name, tc := range map[string]struct {
			args []string
			code int
			err  string
		}{
			"completed":          {[]string{"trigger", "greet", "--wait"}, 0, ""},
			"failed":             {[]string{"trigger", "fail", "--wait"}, 1, ""},
			"timed out":          {[]string{"trigger", "slow", "--wait", "--timeout", "200ms"}, 3, "has not ended after 200ms"},
			"unknown workspace":  {[]string{"workspaces", "refresh", "nope"}, 1, "Server returned 404: Workspace 'nope' not found"},
			"unknown task":       {[]string{"trigger", "nope"}, 1, "Server returned 404: Task not found"},
			"unknown command":    {[]string{"nope"}, 2, "unknown command"},
			"unknown flag":       {[]string{"jobs", "--nope"}, 2, "unknown flag"},
			"missing argument":   {[]string{"status"}, 2, "accepts 1 arg(s)"},
			"bad input":          {[]string{"trigger", "greet", "--input", "[1]"}, 1, "Invalid JSON input"},
			"bad field":          {[]string{"trigger", "greet", "-f", "times=many"}, 2, "times"},
			"bad output":         {[]string{"jobs", "-o", "xml"}, 2, "table, json or yaml"},
			"bad job":            {[]string{"status", "7"}, 1, "Invalid job ID"},
			"nobody listens":     {[]string{"--server", "http://127.0.0.1:1", "jobs"}, 1, "cannot reach the server at 127.0.0.1:1"},
			"not an address":     {[]string{"--server", "localhost", "jobs"}, 1, "has to look like http://host:8080"},
			"a workspace absent": {[]string{"tasks", "-w", "nope"}, 1, "Workspace 'nope' not found"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				got := of(s, t).stroem(tc.args...)
				require.Equal(t, tc.code, got.code, "%s%s", got.stdout, got.stderr)
				require.Contains(t, got.stderr, tc.err)
				require.NotContains(t, got.stdout+got.stderr, "\x1b", "no colours into a pipe")
			})
		}
	})

	t.Run("trigger, status and logs", func(t *testing.T) {
		t.Parallel()
		s := of(s, t)
		file := filepath.Join(t.TempDir(), "input.json")
		require.NoError(t, os.WriteFile(file, []byte(`{"name": "file", "times": 2}`), 0o600))
		got := s.stroem("trigger", "greet", "--input-file", file, "-f", "times=3", "--follow")
		require.Zero(t, got.code, got.stderr)
		require.Contains(t, got.stdout, "greet | hello file 3")
		require.Contains(t, got.stdout, `{"greet":{"times":3}}`)

		got = s.stroem("trigger", "greet", "--input", `{"name":"json"}`, "--wait", "-o", "json")
		var job api.JobDetail
		require.NoError(t, json.Unmarshal([]byte(got.stdout), &job), got.stdout)
		require.Equal(t, "completed", job.Status)
		require.Contains(t, s.stroem("status", job.JobID).stdout, "Status:    completed")
		require.Contains(t, s.stroem("status", job.JobID, "-o", "yaml").stdout, "status: completed")
		lines := strings.Split(strings.TrimSpace(s.stroem("logs", job.JobID).stdout), "\n")
		require.Len(t, lines, 2)
		var line map[string]string
		require.NoError(t, json.Unmarshal([]byte(lines[0]), &line))
		require.Equal(t, "hello json 1", line["line"])
		require.Equal(t, strings.Join(lines, "\n")+"\n", s.stroem("logs", job.JobID, "--follow").stdout)
	})

	t.Run("cancel", func(t *testing.T) {
		t.Parallel()
		s := of(s, t)
		id := s.execute("default", "slow", nil)
		require.Contains(t, s.stroem("cancel", id).stdout, "cancelled")
		require.Equal(t, 4, s.stroem("status", id, "--wait").code)
		require.Zero(t, s.stroem("status", id).code, "without --wait the command itself succeeded")
	})

	t.Run("lists", func(t *testing.T) {
		t.Parallel()
		s := of(s, t)
		require.Regexp(t, `(?m)^NAME +WORKSPACE +FOLDER +MODE$`, s.stroem("tasks").stdout)
		require.Regexp(t, `(?m)^greet +default +demo +distributed$`, s.stroem("tasks").stdout)
		require.Regexp(t, `(?m)^default +3 +3 +[0-9a-f]{12} +\d+[sm] +- +\d+s +-$`, s.stroem("workspaces").stdout)
		require.Regexp(t, `^Workspace default uses revision [0-9a-f]{12} \(\d+[sm] old\)\n$`, s.stroem("workspaces", "refresh", "default").stdout)
		require.Regexp(t, `(?m)^w +active +shell `, s.stroem("workers").stdout)
		require.Regexp(t, `(?m)^server +source-folder +\S+ +ready `, s.stroem("plugin", "list").stdout)
		require.Regexp(t, `(?m)^w +runner-shell +\S+ +ready +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +0 +-$`, s.stroem("plugin", "list").stdout)
		require.Contains(t, s.stroem("version").stdout, "stroem ")
		require.Contains(t, s.stroem("completion", "bash").stdout, "stroem")
		for _, format := range []string{"json", "yaml"} {
			require.Contains(t, s.stroem("tasks", "-o", format).stdout, "greet")
		}
	})
}
