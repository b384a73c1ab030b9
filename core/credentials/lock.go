package credentials

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	// lockLimit is longer than whoever has the lock takes, who asks the server once.
	lockLimit = time.Minute
	lockPause = 10 * time.Millisecond
)

// errLocked is that somebody else has the lock.
var errLocked = errors.New("locked")

// lock waits until no other process, and no other goroutine of ours, changes the sessions. The lock ends with the process.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	path := filepath.Join(s.dir, lockName)
	opened, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the user's own
	if err != nil {
		return nil, fmt.Errorf("lock the stored sessions: %w", err)
	}
	limited, cancel := context.WithTimeoutCause(ctx, lockLimit, fmt.Errorf("another stroem has had %s for %s: end it", path, lockLimit))
	defer cancel()
	pause := time.NewTicker(lockPause) // locking cannot be waited for together with a context
	defer pause.Stop()
	for {
		if err = tryLock(opened); err == nil {
			return func() { _ = opened.Close() }, nil
		}
		if !errors.Is(err, errLocked) {
			break
		}
		select {
		case <-pause.C:
			continue
		case <-limited.Done():
			err = context.Cause(limited)
		}
		break
	}
	return nil, errors.Join(fmt.Errorf("lock the stored sessions: %w", err), opened.Close())
}
