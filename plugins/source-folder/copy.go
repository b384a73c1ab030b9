package main

import (
	"errors"
	"io/fs"
	"os"
)

// Modes of what is copied: fit for everybody, because steps may run as other users.
const (
	modeDir        = 0o755
	modeFile       = 0o644
	modeExecutable = 0o755
)

// copyTo returns a visitor that copies the folder into dir.
func copyTo(folder, dir *os.Root) visitor {
	return visitor{
		dir: func(name string) error {
			if err := dir.Mkdir(name, modeDir); err != nil {
				return err
			}
			return dir.Chmod(name, modeDir) // whatever the umask
		},
		file: func(name string, info fs.FileInfo) (digest, error) {
			mode := fs.FileMode(modeFile)
			if executable(info) {
				mode = modeExecutable
			}
			return copyFile(folder, dir, name, mode)
		},
		link: func(name, target string) error { return dir.Symlink(target, name) },
	}
}

func copyFile(folder, dir *os.Root, name string, mode fs.FileMode) (sum digest, err error) {
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return sum, err
	}
	sum, err = hashFile(folder, name, f)
	return sum, errors.Join(err, f.Chmod(mode), f.Close())
}
