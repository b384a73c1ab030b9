package logkeep

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/failpoint"
	"github.com/stroem/stroem/core/logarchive"
	"github.com/stroem/stroem/core/tally"
)

const (
	// uploads is how many logs are sent at a time.
	uploads = 2
	// foundAtOnce and oldAtOnce are how many are looked for at a time; logs that have waited for long go in between, with a rest.
	foundAtOnce, oldAtOnce = 32, 8
	oldRest                = 100 * time.Millisecond
	// freshening is how often jobs that run for long are kept from counting as those that have waited for long.
	freshening = 10 * time.Minute
)

// archive sends logs until ctx ends.
func (k *Keeper) archive(ctx context.Context) {
	work := make(chan core.LogUpload)
	var group sync.WaitGroup
	defer group.Wait()
	defer close(work)
	for range uploads {
		group.Go(func() {
			for u := range work {
				k.attempt(ctx, u)
			}
		})
	}
	freshened := time.Now()
	for ctx.Err() == nil {
		sent, err := k.dispatch(ctx, work)
		if time.Since(freshened) > freshening && err == nil {
			freshened = time.Now()
			err = k.options.Store.KeepUploadsFresh(ctx, k.ID)
		}
		if err != nil && ctx.Err() == nil {
			k.options.Logger.WarnContext(ctx, "it is not known which logs are to be archived; it is looked again", "error", err)
			pause(ctx, 5*k.options.Poll)
		}
		if sent == 0 {
			pause(ctx, k.options.Poll)
		}
	}
}

// dispatch hands out what is due, and returns how much that was.
func (k *Keeper) dispatch(ctx context.Context, work chan<- core.LogUpload) (sent int, err error) {
	if err := k.tell(ctx); err != nil {
		return 0, err
	}
	due, err := k.options.Store.DueUploads(ctx, k.ID, true, foundAtOnce)
	rest := time.Duration(0)
	if len(due) == 0 && err == nil {
		due, err = k.options.Store.DueUploads(ctx, k.ID, false, oldAtOnce)
		rest = oldRest
	}
	if err != nil {
		return 0, err
	}
	for _, u := range due {
		if !k.state.begin(u.Job) {
			continue // it is on its way
		}
		pause(ctx, max(rest, k.state.wait()))
		select {
		case work <- u:
			sent++
		case <-ctx.Done():
			return sent, ctx.Err()
		}
	}
	return sent, nil
}

// attempt archives a log, or notes that it has to be tried again.
func (k *Keeper) attempt(ctx context.Context, u core.LogUpload) {
	defer k.state.end(u.Job)
	err := k.upload(ctx, u)
	logger := k.options.Logger
	switch {
	case ctx.Err() != nil: // it is still due
	case err == nil:
		if k.state.succeeded() {
			logger.InfoContext(ctx, "logs are archived again")
		}
	default:
		k.options.Tally.Uploads.Add(1, tally.UploadFailed)
		again := backoff(5*time.Second, 5*time.Minute, u.Attempts)
		if k.state.failed() {
			logger.WarnContext(ctx, "a log cannot be archived; it is tried again, for all logs, until it can", "job", u.Job, "error", err)
		}
		if err := k.options.Store.NotArchived(ctx, u.Job, u.N, again, err.Error()); err != nil && ctx.Err() == nil {
			logger.WarnContext(ctx, "it is not known that a log could not be archived", "job", u.Job, "error", err)
		}
	}
}

var errUnsettled = errors.New("a replica that keeps a part of the log is away, or has not closed it")

// upload archives a log.
func (k *Keeper) upload(ctx context.Context, u core.LogUpload) error {
	failpoint.Hit("upload.due")
	k.grown.forget(u.Job)
	k.places.forget(u.Job)
	k.Forget(u.Job)
	at := time.Now()
	v, settled, err := k.view(ctx, u.Job)
	if err != nil {
		return err
	}
	defer func() { _ = v.Close() }() // only read from
	if !settled {
		return errUnsettled
	}
	if v.Index.Lines == 0 {
		return k.mark(ctx, u, "", 0, at)
	}
	key := logarchive.Key(u.Workspace, u.Task, u.Created, u.Job)
	stored, err := k.options.Archive.Put(ctx, key, v)
	if err != nil {
		return err
	}
	failpoint.Hit("upload.stored")
	k.options.Tally.Uploads.Add(1, tally.UploadStored)
	k.options.Tally.Bytes.Add(int(stored.Bytes))
	return k.mark(ctx, u, key, stored.Lines, at)
}

// mark notes that a log is archived as it was at a time, unless it has grown since: then it stays due.
func (k *Keeper) mark(ctx context.Context, u core.LogUpload, key string, lines int64, at time.Time) error {
	k.marking.RLock()
	defer k.marking.RUnlock()
	if k.grown.has(u.Job) {
		return nil
	}
	defer k.places.forget(u.Job)
	return k.options.Store.Archived(ctx, u.Job, u.N, key, lines, at)
}

// backoff is how long to wait after so many attempts before: twice as long each time, and not the same for everybody.
func backoff(first, most time.Duration, attempts int) time.Duration {
	d := most
	if attempts < 20 {
		d = min(first<<attempts, most)
	}
	return d/2 + rand.N(d/2) //nolint:gosec // nobody gains by foreseeing it
}

// state is what is under way, and how it goes.
type state struct {
	mu       sync.Mutex
	busy     map[uuid.UUID]bool
	failures int // since the last success
	told     bool
	resume   time.Time
}

func (s *state) begin(job uuid.UUID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[job] {
		return false
	}
	s.busy[job] = true
	return true
}

func (s *state) end(job uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, job)
}

// failed returns whether that is news.
func (s *state) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resume = time.Now().Add(backoff(250*time.Millisecond, time.Minute, s.failures))
	s.failures++
	news := !s.told
	s.told = true
	return news
}

// succeeded returns whether that is news.
func (s *state) succeeded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures, s.resume = 0, time.Time{}
	news := s.told
	s.told = false
	return news
}

// wait is how long nothing is sent because nothing could be.
func (s *state) wait() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Until(s.resume)
}
