//go:build unix

package pluginhost_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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
		"link through the directory": {func(t *testing.T, path string) {
			require.NoError(t, os.Rename(path, path+"-2"))
			require.NoError(t, os.Symlink("../"+filepath.Base(filepath.Dir(path))+"/runner-test-2", path))
		}, "a link must not leave its directory"},
		"link into a directory": {func(t *testing.T, path string) {
			require.NoError(t, os.Mkdir(path+".d", 0o755))
			require.NoError(t, os.Rename(path, path+".d/runner-test"))
			require.NoError(t, os.Symlink("runner-test.d/runner-test", path))
		}, "a link must not leave its directory"},
		"link to the directory above": {func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Symlink("..", path))
		}, "a link must not leave its directory"},
		"link to itself": {func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Symlink("runner-test", path))
		}, "leads through more than 8 links"},
		"link to nothing": {func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Symlink("runner-gone", path))
		}, "plugins.runner-test: there is no file"},
		"pipe": {func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, syscall.Mkfifo(path, 0o700))
		}, "is not an executable file"},
		"no file":      {func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }, "plugins.runner-test: there is no file"},
		"no directory": {func(t *testing.T, path string) { require.NoError(t, os.RemoveAll(filepath.Dir(path))) }, "plugins.runner-test: open plugin directory"},
		"directory": {func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o755))
		}, "is not an executable file"},
		"not executable": {func(t *testing.T, path string) { rewrite(t, path, 0o600) }, "is not an executable file"},
		"written by all": {func(t *testing.T, path string) { rewrite(t, path, 0o777) }, "chmod go-w"},
		"directory written by all": {func(t *testing.T, path string) {
			require.NoError(t, os.Chmod(filepath.Dir(path), 0o777))
		}, "chmod go-w"},
		"directory written by its group": {func(t *testing.T, path string) {
			require.NoError(t, os.Chmod(filepath.Dir(path), 0o770))
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

// TestFilesOfOtherUsers needs root, who may give files away. What is decided is tested for every user by TestOwners.
func TestFilesOfOtherUsers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return
	}
	for name, place := range map[string]func(string) string{
		"file":      func(path string) string { return path },
		"directory": filepath.Dir,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := prepare(t, one(script{}))
			path := filepath.Join(s.dir, "runner-test")
			rewrite(t, path, 0o700)
			require.NoError(t, os.Chown(place(path), 12345, -1))
			require.NoError(t, s.host.Start(t.Context()))
			require.Contains(t, s.status("runner-test").LastError, place(path)+" belongs to user 12345")
		})
	}
}

// TestDirectoryBehindALink has a plugin directory that is a link: what counts is what is behind it.
func TestDirectoryBehindALink(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mode  os.FileMode
		state pluginhost.State
	}{"safe": {0o755, pluginhost.StateReady}, "written by all": {0o777, pluginhost.StateFailed}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			link := filepath.Join(t.TempDir(), "link")
			s := prepare(t, one(script{}), func(config *pluginhost.Config) {
				require.NoError(t, os.Symlink(config.Dir, link))
				require.NoError(t, os.Chmod(config.Dir, c.mode))
				config.Dir = link
			})
			require.NoError(t, s.host.Start(t.Context()))
			status := s.status("runner-test")
			require.Equal(t, c.state, status.State, status.LastError)
			require.Equal(t, filepath.Join(link, "runner-test"), status.Path)
		})
	}
}

func TestFileThatIsReplacedWhileItStarts(t *testing.T) {
	t.Parallel()
	s := prepare(t, one(script{}), limits(func(l *pluginhost.Limits) { l.Starts = 2 }))
	write(t, filepath.Join(s.dir, "runner-test.new"), []byte("#!/bin/sh\n")) // the plugin itself puts it into its place
	require.NoError(t, s.host.Start(t.Context()))
	s.awaitState(pluginhost.StateFailed)
	require.Len(t, s.journal("start"), 1)
	require.Empty(t, s.journal("configure"), "it must not get its configuration")
	found, _ := s.logbook.find("state", "backoff")
	require.Contains(t, found[0]["error"], "runner-test was replaced while it was started")
}

// TestScript has a plugin that is a script, which finds what is beside it.
func TestScript(t *testing.T) {
	t.Parallel()
	s := prepare(t, one(script{Name: "test", Kind: pluginapi.KindRunner}))
	path := filepath.Join(s.dir, "runner-test")
	require.NoError(t, os.Rename(path, path+".bin"))
	text := []byte("#!/bin/sh\nexec \"$(dirname \"$0\")/runner-test.bin\"\n")
	write(t, path, text)
	require.NoError(t, s.host.Start(t.Context()))
	require.Equal(t, pluginhost.StateReady, s.status("runner-test").State)
}

func TestNamesThatDifferInCase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	place(t, filepath.Join(dir, "runner-docker"))
	config := pluginhost.Config{Dir: dir, Kinds: []pluginapi.Kind{pluginapi.KindRunner}, Plugins: map[string]pluginhost.PluginConfig{
		"runner-Docker": {Disabled: true},
	}}
	_, err := pluginhost.New(config)
	require.ErrorContains(t, err, "plugins.runner-Docker: there is a plugin runner-docker, which differs from it in case alone")
	config.Plugins = map[string]pluginhost.PluginConfig{"runner-x": {}, "runner-X": {}}
	_, err = pluginhost.New(config)
	require.ErrorContains(t, err, "plugins.runner-x: there is a plugin runner-X")
	if os.Mkdir(filepath.Join(dir, "Runner-DOCKER"), 0o700) != nil {
		return // one of those file systems
	}
	place(t, filepath.Join(dir, "runner-DOCKER"))
	config.Plugins = nil
	_, err = pluginhost.New(config)
	require.ErrorContains(t, err, "has both runner-DOCKER and runner-docker")
}

func TestNoPluginDirectory(t *testing.T) {
	t.Parallel()
	_, err := pluginhost.New(pluginhost.Config{Dir: filepath.Join(t.TempDir(), "none"), Kinds: []pluginapi.Kind{pluginapi.KindRunner}})
	require.ErrorContains(t, err, "read plugin directory (plugins.dir): ")
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
		"relative":     {func(string) string { return "plugins/test.v2" }, pluginhost.StateFailed, "plugins.runner-test.path: the path plugins/test.v2 is not absolute"},
		"nothing":      {func(dir string) string { return filepath.Join(dir, "other") }, pluginhost.StateFailed, "plugins.runner-test.path: there is no file"},
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
		"no checksum": {"sha256:ab", pluginhost.StateFailed, "plugins.runner-test.sha256: it has to be 64 hex digits"},
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
