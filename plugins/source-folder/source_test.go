package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
)

func revision(t *testing.T, s *source, dir string) string {
	t.Helper()
	r, err := s.Resolve(t.Context(), &pluginapi.ResolveRequest{Settings: encode(t, dir)})
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{64}$`, r.ID)
	return r.ID
}

func TestRevisionChangesWithTheFolder(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(dir string) error{
		"content":     func(dir string) error { return os.WriteFile(dir+"/a/script.sh", []byte("other"), 0o600) },
		"new file":    func(dir string) error { return os.WriteFile(dir+"/b", nil, 0o600) },
		"removed":     func(dir string) error { return os.Remove(dir + "/a/script.sh") },
		"renamed":     func(dir string) error { return os.Rename(dir+"/flow.yaml", dir+"/flow.yml") },
		"executable":  func(dir string) error { return os.Chmod(dir+"/a/script.sh", 0o700) },
		"directory":   func(dir string) error { return os.Mkdir(dir+"/empty", 0o750) },
		"link":        func(dir string) error { return os.Symlink("flow.yaml", dir+"/link") },
		"link target": func(dir string) error { _ = os.Remove(dir + "/l"); return os.Symlink("a", dir+"/l") },
		"moved split": func(dir string) error { return os.Rename(dir+"/a", dir+"/as") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, s := t.TempDir(), newSource()
			write(t, dir, map[string]string{"flow.yaml": "x", "a/script.sh": "first"})
			require.NoError(t, os.Symlink("flow.yaml", dir+"/l"))
			before := revision(t, s, dir)
			require.NoError(t, change(dir))
			require.NotEqual(t, before, revision(t, s, dir))
		})
	}
}

func TestRevisionIgnores(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(dir string) error{
		"time":         func(dir string) error { return os.Chtimes(dir+"/flow.yaml", time.Time{}, time.Unix(1, 0)) },
		"other bits":   func(dir string) error { return os.Chmod(dir+"/flow.yaml", 0o644) },
		"git":          func(dir string) error { return os.MkdirAll(dir+"/.git/objects", 0o750) },
		"git worktree": func(dir string) error { return os.WriteFile(dir+"/sub/.git", []byte("gitdir: x"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, s := t.TempDir(), newSource()
			write(t, dir, map[string]string{"flow.yaml": "x", "sub/f": ""})
			before := revision(t, s, dir)
			require.NoError(t, change(dir))
			require.Equal(t, before, revision(t, s, dir))
		})
	}
}

func TestRevisionOfEmptyFolder(t *testing.T) {
	t.Parallel()
	one, other := revision(t, newSource(), t.TempDir()), revision(t, newSource(), t.TempDir())
	require.Equal(t, one, other)
}

// TestIndexReadsOnlyWhatChanged replaces a file by another of the same size and time: only an index that trusts these
// does not notice.
func TestIndexReadsOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	for name, age := range map[string]time.Duration{"settled": time.Hour, "fresh": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, s := t.TempDir(), newSource()
			at := time.Now().Add(-age)
			put := func(text string) {
				write(t, dir, map[string]string{"f": text})
				require.NoError(t, os.Chtimes(dir+"/f", at, at))
			}
			put("one")
			before := revision(t, s, dir)
			put("two")
			require.Equal(t, age > settled, before == revision(t, s, dir))
			require.NotEqual(t, before, revision(t, newSource(), dir))
		})
	}
}

func fetch(t *testing.T, dir, id string) (target string, err error) {
	t.Helper()
	target = t.TempDir()
	_, err = newSource().Fetch(t.Context(), &pluginapi.FetchRequest{Settings: encode(t, dir), Revision: id, Dir: target})
	return target, err
}

func TestFetchKeepsModesAndLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"a/run.sh": "x", "a/data": "y", ".git/config": "z"})
	require.NoError(t, os.Chmod(dir+"/a/run.sh", 0o700))
	require.NoError(t, os.Symlink("a/data", dir+"/link"))
	require.NoError(t, os.Symlink("nowhere", dir+"/dangling"))
	require.NoError(t, os.Mkdir(dir+"/empty", 0o700))
	target, err := fetch(t, dir, "")
	require.NoError(t, err)
	require.Equal(t, revision(t, newSource(), dir), revision(t, newSource(), target), "a copy has the same revision")
	for name, mode := range map[string]os.FileMode{"a": 0o755, "empty": 0o755, "a/run.sh": 0o755, "a/data": 0o644} {
		info, err := os.Stat(filepath.Join(target, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), name)
	}
	text, err := os.ReadFile(target + "/link")
	require.NoError(t, err)
	require.Equal(t, "y", string(text))
	require.NoFileExists(t, target+"/.git/config")
}

func TestLinksThatLeaveTheFolderAreRefused(t *testing.T) {
	t.Parallel()
	for name, links := range map[string]map[string]string{
		"parent":     {"bad": ".."},
		"absolute":   {"bad": "/etc/passwd"},
		"by detours": {"p/q/d": "../../a", "bad": "p/q/d/../../outside"},
		"chain":      {"z": "bad/x", "bad": "../.."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, map[string]string{"a/f": "", "p/q/f": ""})
			for link, target := range links {
				require.NoError(t, os.Symlink(target, filepath.Join(dir, link)))
			}
			_, err := newSource().Resolve(t.Context(), &pluginapi.ResolveRequest{Settings: encode(t, dir)})
			require.Equal(t, pluginapi.CodeInvalid, pluginapi.CodeOf(err), "got %v", err)
			require.ErrorContains(t, err, "the link bad leads to "+links["bad"])
			_, err = fetch(t, dir, "")
			require.Equal(t, pluginapi.CodeInvalid, pluginapi.CodeOf(err), "got %v", err)
		})
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, test := range map[string]struct {
		settings string
		code     pluginapi.Code
		want     string
	}{
		"no path":     {`{}`, pluginapi.CodeInvalid, "path is not set"},
		"unknown key": {`{"path": "/", "ref": "main"}`, pluginapi.CodeInvalid, `unknown field "ref"`},
		"missing":     {`{"path": "/no/such/folder"}`, pluginapi.CodeNotFound, "folder /no/such/folder does not exist"},
		"a file":      {fmt.Sprintf(`{"path": %q}`, file), pluginapi.CodeInvalid, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newSource().Resolve(t.Context(), &pluginapi.ResolveRequest{Settings: json.RawMessage(test.settings)})
			require.Equal(t, test.code, pluginapi.CodeOf(err), "got %v", err)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func BenchmarkResolveUnchanged(b *testing.B) {
	dir, s := b.TempDir(), newSource()
	old := time.Now().Add(-time.Hour)
	for i := range 1000 {
		name := fmt.Sprintf("d%d/f%d", i%20, i)
		write(b, dir, map[string]string{name: strings.Repeat("x", 10_000)})
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := s.Resolve(b.Context(), &pluginapi.ResolveRequest{Settings: encode(b, dir)}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestNamesAreUTF8(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a\xff", "a\xff/b"} {
		dir := t.TempDir()
		write(t, dir, map[string]string{"flow.yaml": "", name: "x"})
		_, err := newSource().Resolve(t.Context(), &pluginapi.ResolveRequest{Settings: encode(t, dir)})
		require.Equal(t, pluginapi.CodeInvalid, pluginapi.CodeOf(err), "got %v", err)
		require.ErrorContains(t, err, `the name "a\xff" is not UTF-8`)
	}
}
