package archive_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/archive"
)

// plant makes files and links ("-> target") in a new directory.
func plant(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		name = filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o750))
		if len(text) > 3 && text[:3] == "-> " {
			require.NoError(t, os.Symlink(text[3:], name))
			continue
		}
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	return dir
}

func digest(t *testing.T, dir string) string {
	t.Helper()
	sum, err := archive.Digest(t.Context(), dir)
	require.NoError(t, err)
	require.Len(t, sum, 64)
	return sum
}

func TestDigest(t *testing.T) {
	t.Parallel()
	content := map[string]string{"a/one": "1", "a/two": "2", "b": "3", "link": "-> a/one"}
	dir := plant(t, content)
	first := digest(t, dir)
	require.Equal(t, first, digest(t, plant(t, content)), "the same files have the same digest")
	require.NoError(t, os.Chtimes(filepath.Join(dir, "b"), time.Now(), time.Unix(1, 0)))
	require.NoError(t, os.Chmod(filepath.Join(dir, "b"), 0o640))
	for name, target := range map[string]string{"out": "../x", "absolute": "/etc"} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".git", "objects"), 0o750))
	require.Equal(t, first, digest(t, dir), "what is not packed does not count")

	seen := map[string]string{first: "as it was"}
	for name, change := range map[string]func(dir string) error{
		"content":    func(dir string) error { return os.WriteFile(filepath.Join(dir, "b"), []byte("4"), 0o600) },
		"name":       func(dir string) error { return os.Rename(filepath.Join(dir, "b"), filepath.Join(dir, "c")) },
		"place":      func(dir string) error { return os.Rename(filepath.Join(dir, "b"), filepath.Join(dir, "a", "b")) },
		"executable": func(dir string) error { return os.Chmod(filepath.Join(dir, "b"), 0o700) },
		"more":       func(dir string) error { return os.Mkdir(filepath.Join(dir, "empty"), 0o750) },
		"less":       func(dir string) error { return os.Remove(filepath.Join(dir, "b")) },
		"link": func(dir string) error {
			return os.Rename(filepath.Join(plant(t, map[string]string{"l": "-> a/two"}), "l"), filepath.Join(dir, "link"))
		},
	} {
		dir := plant(t, content)
		require.NoError(t, change(dir), name)
		sum := digest(t, dir)
		require.NotContains(t, seen, sum, name)
		seen[sum] = name
	}
}

func TestDigestErrors(t *testing.T) {
	t.Parallel()
	_, err := archive.Digest(t.Context(), filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = archive.Digest(ctx, plant(t, map[string]string{"a": ""}))
	require.ErrorIs(t, err, context.Canceled)
}

// Whether the bytes are on the disk shows at a power failure alone; that nothing is in the way of it shows here.
func TestFlush(t *testing.T) {
	t.Parallel()
	many := map[string]string{"link": "-> nowhere"}
	for i := range 600 {
		many[fmt.Sprintf("%d/%d", i%7, i)] = "x"
	}
	for name, content := range map[string]map[string]string{"none": nil, "few": {"a/b": "x", "out": "-> /dev/null"}, "many": many} {
		dir := plant(t, content)
		before := digest(t, dir)
		require.NoError(t, archive.Flush(t.Context(), dir), name)
		require.Equal(t, before, digest(t, dir), name)
	}
	require.ErrorIs(t, archive.Flush(t.Context(), filepath.Join(t.TempDir(), "none")), fs.ErrNotExist)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, archive.Flush(ctx, t.TempDir()), context.Canceled)
}
