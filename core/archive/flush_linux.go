package archive

import (
	"os"

	"golang.org/x/sys/unix"
)

// flushFileSystem brings everything on the file system of dir to the disk.
func flushFileSystem(dir string) error {
	f, err := os.Open(dir) //nolint:gosec // a directory of the caller's making
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only the handle of a call
	return unix.Syncfs(int(f.Fd()))
}
