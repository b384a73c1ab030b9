package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// offline makes the go command use what the module cache has: what the skeletons need, the project needs as well.
func offline() []string { return append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=mod", "GOWORK=off") }

func TestNewPluginsPassTheirTests(t *testing.T) {
	t.Parallel()
	checkout, err := filepath.Abs("../..")
	require.NoError(t, err)
	for kind, name := range map[string]string{"runner": "demo", "source": "acme.demo", "logstore": "acme.deep.store"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := exec.CommandContext(t.Context(), program(t, "stroem"), "plugin", "new", kind, name, "--replace", checkout)
			cmd.Dir, cmd.Env = dir, offline()
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			full := map[string]string{"runner": "example.demo", "source": "acme.demo", "logstore": "acme.deep.store"}[kind]
			require.Contains(t, string(out), kind+"-"+full)
			for _, args := range [][]string{{"gofmt", "-l", "."}, {"go", "vet", "./..."}, {"go", "test", "./..."}} {
				cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
				cmd.Dir, cmd.Env = filepath.Join(dir, name), offline()
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%v: %s", args, out)
				if args[0] == "gofmt" {
					require.Empty(t, string(out))
				}
			}
			makeCheck(t, filepath.Join(dir, name), kind+"-"+full)
			for _, file := range []string{".gitignore", "Makefile", "README.md", "go.sum"} {
				require.FileExists(t, filepath.Join(dir, name, file))
			}
			text, err := os.ReadFile(filepath.Join(dir, name, "README.md"))
			require.NoError(t, err)
			require.Contains(t, string(text), "# "+kind+"-"+full+"\n")
			require.NotContains(t, string(text), skeletonName)
		})
	}
}

// makeCheck builds a new plugin as its Makefile does, and checks it with settings and without.
func makeCheck(t *testing.T, dir, binary string) {
	t.Helper()
	stroemDir := filepath.Dir(program(t, "stroem"))
	cmd := exec.CommandContext(t.Context(), "make", "check")
	cmd.Dir, cmd.Env = dir, append(offline(), "PATH="+stroemDir+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NotContains(t, string(out), "settings to work with", "what needs no more than empty settings is covered")
	got := stroem(t, dir, "plugin", "check", filepath.Join("bin", binary))
	require.Zero(t, got.code, "%s%s", got.stdout, got.stderr)
}

func TestNewPluginOverwritesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "demo"), 0o755))
	got := stroem(t, dir, "plugin", "new", "runner", "demo")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "demo exists already; nothing was written")
	left, err := os.ReadDir(filepath.Join(dir, "demo"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestNewPluginWithoutItsDependencies says what to do when the go command is not there, or has no way to get them.
func TestNewPluginWithoutItsDependencies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), program(t, "stroem"), "plugin", "new", "source", "acme.one", "--module", "acme.test/one")
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + dir}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "There is no go on PATH")
	require.Contains(t, string(out), "go mod tidy && go test ./...")
	text, err := os.ReadFile(filepath.Join(dir, "acme.one", "go.mod"))
	require.NoError(t, err)
	require.Contains(t, string(text), "module acme.test/one\n")

	cmd = exec.CommandContext(t.Context(), program(t, "stroem"), "plugin", "new", "source", "acme.two")
	cmd.Dir, cmd.Env = dir, append(offline(), "GOMODCACHE="+t.TempDir())
	out, err = cmd.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Contains(t, string(out), "acme.two was written, but its dependencies could not be fetched")
	require.FileExists(t, filepath.Join(dir, "acme.two", "source.go"))
}
