package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// built is the directory of the programs under test.
var built string

func TestMain(m *testing.M) {
	plugintest.Init()
	for _, name := range []string{"STROEM_TOKEN", "STROEM_URL", "STROEM_CONFIG"} {
		_ = os.Unsetenv(name)
	}
	var err error
	if built, err = os.MkdirTemp("", "stroem-cli-"); err != nil {
		panic(err)
	}
	code := coretest.Main(m)
	_ = os.RemoveAll(built)
	os.Exit(code)
}

// programs compiles the command line, as it is released, and plugins for it to look at, once.
var programs = sync.OnceValue(func() error {
	for name, pkg := range map[string]string{
		"stroem": ".", "runner-shell": "../../plugins/runner-shell", "source-folder": "../../plugins/source-folder",
		"runner-test.broken": "../../pluginapi/plugintest/internal/brokenrunner",
	} {
		cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-o", filepath.Join(built, name), pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return errors.Join(err, errors.New(string(out)))
		}
	}
	return nil
})

// program returns the path of one of the programs.
func program(t *testing.T, name string) string {
	t.Helper()
	require.NoError(t, programs())
	return filepath.Join(built, name)
}

// printed is what a run of the command line printed, and its exit code.
type printed struct {
	stdout, stderr string
	code           int
}

// stroem runs the command line in a directory.
func stroem(t *testing.T, dir string, args ...string) printed {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program(t, "stroem"), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); !ended {
		require.NoError(t, err)
	}
	return printed{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestPluginUsage(t *testing.T) {
	t.Parallel()
	shell := program(t, "runner-shell")
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"unknown command":  {[]string{"nope"}, 2, `unknown command "nope"`},
		"no binary":        {[]string{"describe"}, 2, "names one executable, not 0"},
		"two binaries":     {[]string{"check", "a", "b", "--", "c"}, 2, "names one executable, not 2"},
		"missing binary":   {[]string{"check", "./nope"}, 1, "nothing can be read at ./nope"},
		"a directory":      {[]string{"describe", "."}, 1, "is not a file"},
		"not a plugin":     {[]string{"describe", program(t, "stroem")}, 1, "start"},
		"bad expression":   {[]string{"check", shell, "--run", "("}, 2, "--run"},
		"bad config":       {[]string{"check", shell, "--config", "{"}, 2, "--config"},
		"config no object": {[]string{"check", shell, "--config", write(t, "c.yaml", "[1]")}, 2, "an object"},
		"no config file":   {[]string{"check", shell, "--config", "nope.yaml"}, 2, "nope.yaml"},
		"no cases":         {[]string{"check", shell, "--cases", "nope.yaml"}, 2, "nope.yaml"},
		"unknown key":      {[]string{"check", shell, "--cases", write(t, "a.yaml", "exampels: {}")}, 2, "exampels"},
		"unknown type":     {[]string{"check", shell, "--cases", write(t, "b.yaml", "examples: {shell: {}}")}, 2, `no action type "shell"`},
		"unknown example":  {[]string{"check", shell, "--cases", write(t, "d.yaml", "examples: {shell/local: {succes: {}}}")}, 2, `"succes" is not`},
		"no address":       {[]string{"check", shell, "--cases", write(t, "e.yaml", "start: ['true']")}, 1, "its first line of output has to be its address"},
		"unknown kind":     {[]string{"new", "runer", "demo"}, 2, "runner, source or logstore"},
		"bad name":         {[]string{"new", "runner", "../demo"}, 2, "cannot be the name"},
		"bad vendor":       {[]string{"new", "runner", "9acme.demo"}, 2, "cannot be the name"},
		"long name":        {[]string{"new", "runner", "acme" + strings.Repeat(".demo", 20)}, 2, "cannot be the name"},
		"no checkout":      {[]string{"new", "runner", "demo", "--replace", "."}, 2, "is not a checkout"},
		"nothing to hash":  {[]string{"hash"}, 2, "requires at least 1 arg"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := stroem(t, t.TempDir(), append([]string{"plugin"}, test.args...)...)
			require.Equal(t, test.code, got.code, "%s%s", got.stdout, got.stderr)
			require.Contains(t, got.stderr, test.want)
		})
	}
}

func TestPluginDescribe(t *testing.T) {
	t.Parallel()
	got := stroem(t, t.TempDir(), "plugin", "describe", program(t, "runner-shell"))
	require.Zero(t, got.code, got.stderr)
	for _, want := range []string{
		`(?m)^Kind: +runner$`, `(?m)^Name: +shell$`, `(?m)^Version: +\S+`, `(?m)^pass_env +array +no +Names of variables`,
		`(?m)^Actions of type shell, runner local: need the worker tag shell, get the workspace as a directory$`,
		`(?m)^workdir +string +no +Working directory`, `(?m)^resources\.cpu +string +no`,
	} {
		require.Regexp(t, want, got.stdout)
	}
	got = stroem(t, t.TempDir(), "plugin", "describe", program(t, "source-folder"))
	require.Regexp(t, `(?s)Configuration\nIt has none\..*Settings of a workspace\n.*(?m)^path +string +yes`, got.stdout)

	got = stroem(t, t.TempDir(), "plugin", "describe", "-o", "json", program(t, "runner-shell"))
	var d pluginDescription
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &d))
	require.Equal(t, pluginapi.KindRunner, d.Kind)
	require.Equal(t, "local", d.ActionTypes[0].Runner)
	require.JSONEq(t, `{"cmd": "sleep 120"}`, string(d.ActionTypes[0].Examples["long"]))
	require.Contains(t, string(d.ActionTypes[0].SpecSchema), "workdir")

	renamed := filepath.Join(t.TempDir(), "runner-other")
	require.NoError(t, os.Symlink(program(t, "runner-shell"), renamed))
	require.Contains(t, stroem(t, t.TempDir(), "plugin", "describe", renamed).stdout, "has to be called runner-shell")
}

func TestPluginHash(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "plugins")
	require.NoError(t, os.Mkdir(dir, 0o755))
	one, two := filepath.Join(dir, "runner-one"), filepath.Join(dir, "two")
	require.NoError(t, os.WriteFile(one, []byte("abc"), 0o755))
	require.NoError(t, os.WriteFile(two, nil, 0o644))
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	got := stroem(t, dir, "plugin", "hash", "runner-one")
	require.Equal(t, printed{stdout: "plugins:\n  runner-one:\n    sha256: " + abc + "\n"}, got)

	require.NoError(t, os.Chmod(one, 0o775))
	require.NoError(t, os.Chmod(dir, 0o777))
	got = stroem(t, dir, "plugin", "hash", one, two)
	require.Zero(t, got.code)
	for _, want := range []string{
		one + " can be written by others than its owner (mode 0775)", dir + " can be written by others",
		two + " is not called as a plugin is", two + " is not an executable file",
	} {
		require.Contains(t, got.stderr, want)
	}
	var hashes []fileHash
	require.NoError(t, json.Unmarshal([]byte(stroem(t, dir, "plugin", "hash", "-o", "json", one).stdout), &hashes))
	require.Equal(t, abc, hashes[0].SHA256)
	require.Len(t, hashes[0].Warnings, 2)

	link := filepath.Join(t.TempDir(), "runner-link")
	require.NoError(t, os.Symlink(one, link))
	got = stroem(t, dir, "plugin", "hash", link)
	require.Contains(t, got.stdout, abc, "of what it leads to")
	require.Equal(t, "Warning: a host refuses it: "+link+" is a link to "+one+": a link must not leave its directory; set the plugin's path instead\n", got.stderr)
}
