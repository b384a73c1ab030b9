package workspace

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/stroem/stroem/core"
)

const (
	firstRetry = time.Second
	maxBackoff = 5 * time.Minute
	// refreshLimit bounds one look at a source, its fetch included.
	refreshLimit = 5 * time.Minute
)

// poll looks at the source of a workspace until ctx ends.
func (m *Manager) poll(ctx context.Context, e *entry) {
	failures := 0
	for {
		err := m.refresh(ctx, e, false)
		if ctx.Err() != nil {
			return
		}
		if failures++; err == nil || core.ErrorCode(err) == core.CodeInvalid { // the source itself is well
			failures = 0
		}
		timer := time.NewTimer(together(time.Now(), jitter(pause(e.source.Interval, failures))))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-e.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// pause is how long to wait after so many failures in a row: at first less than the interval, as at the start when
// plugins are not up yet, in the end much longer.
func pause(interval time.Duration, failures int) time.Duration {
	if failures == 0 {
		return interval
	}
	longest := max(interval, min(15*interval, maxBackoff))
	return min(firstRetry<<min(failures-1, 20), longest)
}

// jitter keeps many workspaces from asking at the same moment.
func jitter(d time.Duration) time.Duration {
	return d*9/10 + rand.N(d/5+1) //nolint:gosec // no secret
}

// beat is the time between two moments at which sources are asked.
const beat = 200 * time.Millisecond

// together moves the end of a pause to the nearest beat. Most of what it costs to ask hundreds of folders now and then is
// to wake up server and plugin for each, so that some are asked together.
func together(now time.Time, pause time.Duration) time.Duration {
	if pause < 5*beat {
		return pause
	}
	return now.Add(pause).Round(beat).Sub(now)
}

// Recheck loads all workspaces again, in the background, because what they are held against has changed. A workspace in
// use that does not pass any more stays in use, and its status says what is wrong with it.
func (m *Manager) Recheck() {
	for _, e := range m.all {
		e.recheck()
	}
}

// Refresh asks the source of a workspace for the current revision at once, and loads that if it is new or was bad. The
// error is what is then shown as the workspace's.
func (m *Manager) Refresh(ctx context.Context, name string) error {
	e, err := m.entry(name)
	if err != nil {
		return err
	}
	return m.refresh(ctx, e, true)
}

func (m *Manager) refresh(ctx context.Context, e *entry, force bool) error {
	if err := e.refreshing.take(ctx); err != nil {
		return err
	}
	defer e.refreshing.give()
	limited, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	err := m.update(limited, e, force)
	if err != nil && ctx.Err() != nil {
		return errors.Join(err, ctx.Err()) // the caller gave up, which says nothing about the workspace
	}
	if news := e.settle(err); !news {
		return err
	}
	if err != nil {
		m.config.Logger.WarnContext(ctx, "workspace not up to date", "workspace", e.name, "error", err)
	} else {
		m.config.Logger.InfoContext(ctx, "workspace up to date again", "workspace", e.name)
	}
	return err
}
