package workspace_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/archive"
	"github.com/stroem/stroem/core/workspace"
)

func TestNoSuchDirOrTarball(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := newManager(t, configure(dir, sources{"a": commit("r1", flow("one")), "b": commit("r1", flow("two"))}))
	require.NoError(t, m.Refresh(t.Context(), "a"))
	require.NoError(t, m.Refresh(t.Context(), "b"))
	write(t, "a file", dir, "a", "file")
	write(t, "no workspace of ours", dir, "stray", "r1", "x")
	require.NoError(t, os.Symlink("r1", filepath.Join(dir, "a", "link")))
	for _, c := range [][2]string{
		{"c", "r1"},
		{"", "r1"},
		{"stray", "r1"},
		{"..", "a"},
		{"a/r1", ".workflows"},
		{"../a", "r1"},
		{"a/", "r1"},
		{".", "a"},
		{"a", ""},
		{"a", "."},
		{"a", ".."},
		{"a", "r2"},
		{"a", "../b/r1"},
		{"a", "r1/"},
		{"a", "r1/.workflows"},
		{"a", "/r1"},
		{"a", "./r1"},
		{"a", ".tarballs"},
		{"a", ".current.json"},
		{"a", "file"},
		{"a", "link"},
		{"a", "r1\x00"},
		{"a", "r1\n"},
	} {
		_, err := m.Tarball(t.Context(), c[0], c[1], "")
		requireCode(t, core.CodeNotFound, err)
	}
	require.NoDirExists(t, filepath.Join(dir, "c"), "asking makes nothing")
}

// contents is every file below dir with whether it is executable, and every link.
func contents(t *testing.T, dir string) files {
	t.Helper()
	found := files{}
	for _, name := range listing(t, dir) {
		path := filepath.Join(dir, name)
		info, err := os.Lstat(path)
		require.NoError(t, err)
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			require.NoError(t, err)
			found[name] = "-> " + target
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			found[name] = string(content)
			require.Equal(t, found[name][:2] == "#!", info.Mode()&0o111 != 0, name)
		}
	}
	return found
}

func TestTarball(t *testing.T) {
	t.Parallel()
	content := flow("one").with(files{"bin/run.sh": "#!/bin/sh\n", "data/x.json": "{}", "link": "-> data/x.json"})
	dir := t.TempDir()
	m := newManager(t, configure(dir, sources{"a": commit("r1", content.with(files{"out": "-> /etc/passwd"}))}))
	require.NoError(t, m.Refresh(t.Context(), "a"))

	const callers = 8
	var group sync.WaitGroup
	infos, errs := [callers]fs.FileInfo{}, [callers]error{}
	for i := range callers {
		group.Go(func() {
			f, err := m.Tarball(t.Context(), "a", "r1", "")
			if err == nil {
				infos[i], err = f.Stat()
				err = errors.Join(err, f.Close())
			}
			errs[i] = err
		})
	}
	group.Wait()
	for i := range callers {
		require.NoError(t, errs[i])
		require.True(t, os.SameFile(infos[0], infos[i]), "it is packed once")
	}
	packed, err := os.ReadDir(filepath.Join(dir, "a", ".tarballs"))
	require.NoError(t, err)
	require.Len(t, packed, 1, "no draft is left")
	require.Equal(t, content, tarball(t, m, "a", "r1", ""))

	later := newManager(t, configure(dir, sources{"a": commit("r1", content)})) // after a restart
	f, err := later.Tarball(t.Context(), "a", "r1", "")
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	info, err := f.Stat()
	require.NoError(t, err)
	require.True(t, os.SameFile(infos[0], info))
}

// tarball is what a revision's tarball holds.
func tarball(t *testing.T, m *workspace.Manager, name, revision, digest string) files {
	t.Helper()
	f, err := m.Tarball(t.Context(), name, revision, digest)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	got := t.TempDir()
	require.NoError(t, archive.Unpack(t.Context(), f, got, archive.Limits{}))
	return contents(t, got)
}

func TestTarballIsCanceled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := newManager(t, configure(dir, sources{"a": commit("r1", flow("one"))}))
	require.NoError(t, m.Refresh(t.Context(), "a"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 { // whether it still waits or packs already is left to chance
		_, err := m.Tarball(ctx, "a", "r1", "")
		require.ErrorIs(t, err, context.Canceled)
	}
	left, err := os.ReadDir(filepath.Join(dir, "a", ".tarballs"))
	require.NoError(t, err)
	require.Empty(t, left, "no draft is left")
	require.NotEmpty(t, tarball(t, m, "a", "r1", ""))
}
