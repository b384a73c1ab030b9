package coretest

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TempDir is like the test's own, but directories in it may be read-only in the end, as those of a worker's cache are.
func TempDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				_ = os.Chmod(path, 0o700) // what remains of it fails the removal
			}
			return nil
		})
	})
	return dir
}
