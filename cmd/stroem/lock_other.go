//go:build !unix

package main

import (
	"io/fs"
	"os"
	"path/filepath"
)

// canLock tells that no lock shows whether a directory is in use.
const canLock = false

// lockFile marks a directory as ours.
const lockFile = "lock"

// lockDirectory locks nothing where files cannot be locked this way: PostgreSQL then keeps a second server out itself.
func lockDirectory(dir string) (unlock func(), err error) {
	return func() {}, os.WriteFile(filepath.Join(dir, lockFile), nil, 0o600)
}

func ownedByUs(fs.FileInfo) bool { return true }
