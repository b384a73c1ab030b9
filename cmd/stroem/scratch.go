package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// scratch is a directory that goes with the command, and otherwise with the next one of its kind.
type scratch struct {
	dir    string
	unlock func()
}

// newScratch makes a directory whose name begins with prefix, after removing those of commands that were killed.
func newScratch(prefix string) (*scratch, error) {
	removeAbandoned(prefix)
	for try := 1; ; try++ {
		// Outside of the home directory, which the unprivileged user of the database may not be able to enter.
		dir, err := os.MkdirTemp("", prefix)
		if err != nil {
			return nil, fmt.Errorf("create a directory: %w", err)
		}
		if err := os.Chmod(dir, 0o711); err != nil { // to be passed through by the database's user
			return nil, fmt.Errorf("open a directory to the database: %w", err)
		}
		unlock, err := lockDirectory(dir)
		if err == nil {
			if _, err = os.Lstat(filepath.Join(dir, lockFile)); err == nil {
				return &scratch{dir, unlock}, nil
			}
			unlock()
		}
		if try == 3 { // another command has taken it for abandoned, before it was locked
			return nil, fmt.Errorf("use the directory %s: %w", dir, err)
		}
	}
}

// remove removes the directory with all that is in it.
func (s *scratch) remove() {
	removeTree(s.dir)
	s.unlock()
}

// keep gives the directory a name under which nobody removes it, and returns that.
func (s *scratch) keep() (string, error) {
	defer s.unlock()
	parent, name := filepath.Split(s.dir)
	kept := filepath.Join(parent, keptPrefix+name)
	if err := os.Rename(s.dir, kept); err != nil {
		return s.dir, fmt.Errorf("keep the directory: %w", err)
	}
	return kept, nil
}

const keptPrefix = "kept-"

// removeAbandoned removes the directories of commands that could not do it themselves: nobody holds their lock.
func removeAbandoned(prefix string) {
	if !canLock {
		return
	}
	parent := os.TempDir()
	entries, err := os.ReadDir(parent)
	if err != nil {
		return // whoever makes a directory there will say why
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.IsDir() || !strings.HasPrefix(entry.Name(), prefix) || !ownedByUs(info) {
			continue
		}
		dir := filepath.Join(parent, entry.Name())
		unlock, err := lockDirectory(dir)
		if err != nil {
			continue // in use
		}
		removeTree(dir)
		unlock()
	}
}

// removeTree removes a directory in which others may be read-only, as those of a worker's cache are. What ends at this
// moment may still write into it.
func removeTree(dir string) {
	for range 3 {
		_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				_ = os.Chmod(path, 0o700) //nolint:gosec // so that it can be removed
			}
			return nil
		})
		if os.RemoveAll(dir) == nil {
			return
		}
	}
}
