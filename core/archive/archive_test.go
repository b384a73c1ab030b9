package archive_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/archive"
)

func packed(t *testing.T, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, archive.Pack(t.Context(), &b, dir))
	return b.Bytes()
}

// tree describes all that is below dir: "mode content" or "-> target" by name.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		name, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		switch {
		case name == ".":
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			found[name] = info.Mode().String() + " " + string(content)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			require.NoError(t, err)
			found[name] = "-> " + target
		default:
			found[name] = info.Mode().String()
		}
		return nil
	}))
	return found
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	long := strings.Repeat("long/", 40) + "name"
	require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(long)), 0o700))
	for name, mode := range map[string]fs.FileMode{long: 0o600, "run.sh": 0o700, "über.txt": 0o666, "long/.gitignore": 0o644} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("content of "+name), mode))
		require.NoError(t, os.Chmod(filepath.Join(dir, name), mode))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "empty"), 0o777))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".git", "objects"), 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "empty", ".git"), []byte("gitdir: elsewhere"), 0o600))
	for name, target := range map[string]string{
		"link": "run.sh", "empty/up": "../run.sh", "dir": "long", "through": "dir/long",
		"absolute": "/etc/passwd", "out": "../x", "empty/out": "../../x", "tricky": "empty/../../x",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
	}

	first := packed(t, dir)
	again := filepath.Join(t.TempDir(), "again")
	require.NoError(t, os.Mkdir(again, 0o750))
	require.NoError(t, archive.Unpack(t.Context(), bytes.NewReader(first), again, archive.Limits{}))
	got := tree(t, again)
	for name, want := range map[string]string{
		"run.sh": "-rwxr-xr-x content of run.sh", "über.txt": "-rw-r--r-- content of über.txt",
		long: "-rw-r--r-- content of " + long, "empty": "drwxr-xr-x", "long/.gitignore": "-rw-r--r-- content of long/.gitignore",
		"link": "-> run.sh", "empty/up": "-> ../run.sh", "dir": "-> long", "through": "-> dir/long",
	} {
		require.Equal(t, want, got[name], name)
	}
	for _, name := range []string{".git", "empty/.git", "absolute", "out", "empty/out", "tricky"} {
		require.NotContains(t, got, name)
	}

	require.NoError(t, os.Chtimes(filepath.Join(again, "run.sh"), time.Now(), time.Unix(1, 0)))
	require.Equal(t, first, packed(t, again), "the same files give the same bytes")
	require.NoError(t, os.Chmod(filepath.Join(again, "run.sh"), 0o600))
	require.NotEqual(t, first, packed(t, again))
}

func TestPackErrors(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, archive.Pack(t.Context(), io.Discard, filepath.Join(t.TempDir(), "none")), fs.ErrNotExist)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), nil, 0o600))
	require.ErrorIs(t, archive.Pack(ctx, io.Discard, dir), context.Canceled)
	require.ErrorIs(t, archive.Unpack(ctx, bytes.NewReader(packed(t, dir)), t.TempDir(), archive.Limits{}), context.Canceled)
}

func TestDamagedArchives(t *testing.T) {
	t.Parallel()
	raw := build(t, []entry{file("a", strings.Repeat("content", 1000))})
	for cut := range raw {
		require.Error(t, archive.Unpack(t.Context(), bytes.NewReader(raw[:cut]), t.TempDir(), archive.Limits{}))
	}
	broken := bytes.Clone(raw)
	broken[len(broken)-6] ^= 1 // in the checksum
	require.ErrorIs(t, archive.Unpack(t.Context(), bytes.NewReader(broken), t.TempDir(), archive.Limits{}), gzip.ErrChecksum)
}
