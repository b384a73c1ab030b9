//go:build unix

package worker

import (
	"errors"
	"os"
	"syscall"
)

// lockRevision tells other workers that share the cache that a revision is in use, or that it is being removed: alone, which
// fails at once with errInUse. The lock ends with the process. Where the file system has no locks there are none. Errors:
// fs.ErrNotExist, also if the revision was removed while this waited.
func lockRevision(dir string, alone bool) (unlock func(), err error) {
	opened, err := os.Open(dir) //nolint:gosec // below the cache
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_SH // waits for the moment that a removal takes
	if alone {
		how = syscall.LOCK_EX | syscall.LOCK_NB
	}
	for {
		if err = syscall.Flock(int(opened.Fd()), how); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		_ = opened.Close() // only read from
		return nil, errInUse
	}
	now, err := os.Lstat(dir)
	if err == nil {
		var locked os.FileInfo
		if locked, err = opened.Stat(); err == nil && !os.SameFile(locked, now) {
			err = os.ErrNotExist // another one is there already
		}
	}
	if err != nil {
		_ = opened.Close()
		return nil, err
	}
	return func() { _ = opened.Close() }, nil
}
