//go:build unix

package pluginhost_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
)

func TestNamesAreNoPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, file := range []string{"runner-a/b", "runner-../sh", "../runner-test", "runner-..", "/bin/sh", "runner-", "runner", "runner-a\x00b", ""} {
		_, err := pluginhost.New(pluginhost.Config{
			Dir: dir, Kinds: []pluginapi.Kind{pluginapi.KindRunner}, Plugins: map[string]pluginhost.PluginConfig{file: {}},
		})
		require.ErrorContains(t, err, "a plugin is called <kind>-<name>", "%q", file)
		_, err = pluginhost.New(pluginhost.Config{Dir: dir, Kinds: []pluginapi.Kind{pluginapi.KindRunner}, Only: []string{file}})
		require.ErrorContains(t, err, "its name has to begin with one of runner-", "%q", file)
	}
}

func TestFilesThatMustNotRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, path string)
		want  string
	}{
		"link out of the directory": {func(t *testing.T, path string) {
			outside := filepath.Join(t.TempDir(), "runner-test")
			require.NoError(t, os.Rename(path, outside))
			require.NoError(t, os.Symlink(outside, path))
		}, "a link must not leave its directory"},
		"relative link out of the directory": {func(t *testing.T, path string) {
			require.NoError(t, os.Rename(path, filepath.Join(t.TempDir(), "runner-test")))
			require.NoError(t, os.Symlink("../../../../../../../../bin/sh", path))
		}, "a link must not leave its directory"},
		"no file": {func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }, "there is no file"},
		"directory": {func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o755))
		}, "is not an executable file"},
		"not executable": {func(t *testing.T, path string) { rewrite(t, path, 0o600) }, "is not an executable file"},
		"written by all": {func(t *testing.T, path string) { rewrite(t, path, 0o777) }, "chmod go-w"},
		"directory written by all": {func(t *testing.T, path string) {
			require.NoError(t, os.Chmod(filepath.Dir(path), 0o777))
		}, "chmod go-w"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := prepare(t, one(script{}))
			c.spoil(t, filepath.Join(s.dir, "runner-test"))
			require.NoError(t, s.host.Start(t.Context()))
			status := s.status("runner-test")
			require.Equal(t, pluginhost.StateFailed, status.State)
			require.Contains(t, status.LastError, c.want)
			require.Empty(t, s.journal("start"), "it must not be executed")
		})
	}
}

// rewrite replaces a file that may be a link to the test program by one that may be given another mode.
func rewrite(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o600))
	require.NoError(t, os.Chmod(path, mode))
}

func TestLinkInsideTheDirectory(t *testing.T) {
	t.Parallel()
	s := prepare(t, one(script{}))
	path := filepath.Join(s.dir, "runner-test")
	require.NoError(t, os.Rename(path, filepath.Join(s.dir, "runner-test.v2")))
	require.NoError(t, os.Symlink("runner-test.v2", path))
	require.NoError(t, s.host.Start(t.Context()))
	require.Equal(t, pluginhost.StateReady, s.status("runner-test").State)
}

func TestConfiguredPath(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path  func(dir string) string
		state pluginhost.State
		want  string
	}{
		"another name": {func(dir string) string { return filepath.Join(dir, "test.v2") }, pluginhost.StateReady, ""},
		"relative":     {func(string) string { return "plugins/test.v2" }, pluginhost.StateFailed, "the path plugins/test.v2 is not absolute"},
		"nothing":      {func(dir string) string { return filepath.Join(dir, "other") }, pluginhost.StateFailed, "there is no file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			place(t, filepath.Join(dir, "test.v2"))
			s := start(t, one(script{Name: "test", Kind: pluginapi.KindRunner}), configure(func(p *pluginhost.PluginConfig) { p.Path = c.path(dir) }))
			status := s.status("runner-test")
			require.Equal(t, c.state, status.State, status.LastError)
			require.Contains(t, status.LastError, c.want)
		})
	}
}

func TestChecksum(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	text, err := os.ReadFile(self)
	require.NoError(t, err)
	right := sha256.Sum256(text)
	for name, c := range map[string]struct {
		sum   string
		state pluginhost.State
		want  string
	}{
		"right":       {hex.EncodeToString(right[:]), pluginhost.StateReady, ""},
		"upper case":  {strings.ToUpper(hex.EncodeToString(right[:])), pluginhost.StateReady, ""},
		"wrong":       {strings.Repeat("ab", sha256.Size), pluginhost.StateFailed, "but plugins.runner-test.sha256 says abab"},
		"no checksum": {"sha256:ab", pluginhost.StateFailed, "sha256 has to be 64 hex digits"},
		"none":        {"", pluginhost.StateFailed, "set plugins.runner-test.sha256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, one(script{}), configure(func(p *pluginhost.PluginConfig) { p.SHA256 = c.sum }),
				func(c *pluginhost.Config) { c.RequirePinned = true })
			status := s.status("runner-test")
			require.Equal(t, c.state, status.State, status.LastError)
			require.Contains(t, status.LastError, c.want)
			if c.state == pluginhost.StateFailed {
				require.Empty(t, s.journal("start"), "it must not be executed")
			}
		})
	}
}

func TestWhichPluginsRun(t *testing.T) {
	t.Parallel()
	scripts := map[string]script{"runner-a": {}, "runner-b": {}, "runner-c": {}, "source-d": {}}
	s := start(t, scripts, func(c *pluginhost.Config) {
		b := c.Plugins["runner-b"]
		b.Disabled = true
		c.Plugins["runner-b"] = b
		c.Only = []string{"runner-b", "runner-c"}
	})
	require.Len(t, s.host.Plugins(), 1)
	require.Equal(t, "runner-c", s.host.Plugins()[0].File)
	require.Len(t, s.journal("start"), 1)
}
