package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/google/uuid"
)

// waiters are the claims that found nothing and wait, in the order in which they came.
type waiters struct {
	mu   sync.Mutex
	list []*waiter
}

type waiter struct {
	worker uuid.UUID
	tags   []string // sorted
	wants  int      // steps
	wake   chan struct{}
}

// add registers a waiter before it looks for work, so that what becomes ready while it looks is not missed.
func (ws *waiters) add(worker uuid.UUID, tags []string, wants int) *waiter {
	w := &waiter{worker: worker, tags: tags, wants: wants, wake: make(chan struct{}, 1)}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.list = append(ws.list, w)
	return w
}

func (ws *waiters) remove(w *waiter) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if i := slices.Index(ws.list, w); i >= 0 {
		ws.list = slices.Delete(ws.list, i, i+1)
	}
}

// wake wakes as many waiters that cover the tags as are needed to take n steps.
func (ws *waiters) wake(tags []string, n int) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.list {
		if n <= 0 {
			return
		}
		if w.wants > 0 && covers(w.tags, tags) && w.signal() {
			n -= w.wants
		}
	}
}

// wakeWorker wakes the claims of one worker, to tell it what to stop.
func (ws *waiters) wakeWorker(worker uuid.UUID) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.list {
		if w.worker == worker {
			w.signal()
		}
	}
}

func (ws *waiters) wakeAll() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.list {
		w.signal()
	}
}

// signal reports whether the waiter was not awake already.
func (w *waiter) signal() bool {
	select {
	case w.wake <- struct{}{}:
		return true
	default:
		return false
	}
}

// covers tells whether the sorted tags that a worker has include all that are required.
func covers(have, required []string) bool {
	for _, tag := range required {
		if _, found := slices.BinarySearch(have, tag); !found {
			return false
		}
	}
	return true
}

// watchers wait for jobs to end.
type watchers struct {
	mu   sync.Mutex
	jobs map[uuid.UUID]*watch
}

type watch struct {
	ended chan struct{}
	users int
}

func (ws *watchers) add(job uuid.UUID) *watch {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.jobs == nil {
		ws.jobs = map[uuid.UUID]*watch{}
	}
	w := ws.jobs[job]
	if w == nil {
		w = &watch{ended: make(chan struct{})}
		ws.jobs[job] = w
	}
	w.users++
	return w
}

func (ws *watchers) remove(job uuid.UUID, w *watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w.users--; w.users == 0 && ws.jobs[job] == w {
		delete(ws.jobs, job)
	}
}

func (ws *watchers) ended(job uuid.UUID) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w := ws.jobs[job]; w != nil {
		close(w.ended)
		delete(ws.jobs, job)
	}
}

// WaitJob returns nil once the job has ended, and ctx's error if that comes first. An end that another replica saw is
// noticed by polling.
func (e *Engine) WaitJob(ctx context.Context, id uuid.UUID) error {
	w := e.watchers.add(id)
	defer e.watchers.remove(id, w)
	for {
		status, err := e.store.JobStatus(ctx, id)
		if err != nil {
			return err
		}
		if status.Terminal() {
			return nil
		}
		poll, cancel := context.WithTimeout(ctx, e.config.PollInterval)
		select {
		case <-w.ended:
		case <-poll.Done():
		}
		cancel()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
