// Package worker claims ready steps from a server and runs them through runner plugins.
//
//	register.go   introduces the worker         poll.go      keeps a claim open: for work, and to hear of stops
//	dispatch.go   reports starts, spawns        step.go      runs one step
//	complete.go   reports ends, takes more      cache.go     workspace revisions on disk
//
// A result is never dropped: it is reported until the server has answered. Nothing is spawned whose start the server has
// not accepted.
package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/pluginapi"
)

// Runners are the runner plugins that a worker has; see package pluginhost.
type Runners interface {
	// Runner returns the runner of an action type. It stays valid across restarts of its plugin.
	Runner(actionType, runner string) (pluginapi.Runner, bool)
	// ActionTypes are the types that can be run now.
	ActionTypes() []pluginapi.ActionType
}

// Options are what a worker is made of. All directories exist or can be created.
type Options struct {
	Name         string
	Version      string
	Client       *client.Client // with the shared worker token
	Runners      Runners
	Plugins      func() []api.Plugin // for the registration; may be nil
	Labels       []string            // tags besides those of the runners
	Slots        int                 // steps at a time
	CacheDir     string
	CacheBytes   int64 // 0: no limit
	ScratchDir   string
	MaxStepBytes int64 // of log; 0: no limit
	StopGrace    time.Duration
	Drain        time.Duration // for running steps once the worker is told to stop
	Logger       *slog.Logger
}

// Worker runs steps; make it with New, and call Run once.
type Worker struct {
	Options
	server    *client.Client // with the worker's own token
	cache     *cache
	slots     *slots
	steps     running
	ended     chan finished // results on their way to the server
	wanted    chan struct{} // tells the poll that slots became free that nobody asks work for
	lastCall  atomic.Int64  // when the server last answered, in Unix nanoseconds
	heartbeat time.Duration
	draining  atomic.Bool    // no more steps are asked for
	group     sync.WaitGroup // steps and claims under way
}

// ErrSuperseded ends a worker whose name a newer one has taken.
var ErrSuperseded = errors.New("a newer worker has registered under this worker's name")

// New makes a worker.
func New(o Options) *Worker {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Worker{
		Options: o, cache: newCache(o.CacheDir, o.CacheBytes), slots: newSlots(o.Slots),
		ended: make(chan finished, 2*o.Slots), wanted: make(chan struct{}, 1),
	}
}

// Run works until ctx ends; then it takes no more steps, lets the running ones finish within the drain time, stops what
// is left, and reports everything. It returns ErrSuperseded when another worker took the name, and nil after a drain.
// Ending abort at any time stops the running steps at once.
func (w *Worker) Run(ctx, abort context.Context) error {
	if err := w.prepare(); err != nil {
		return err
	}
	if err := w.register(ctx); err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop before it ever worked
		}
		return err
	}
	// Steps outlive ctx: they are drained.
	work, stopWork := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopWork(nil)
	reports, stopReports := context.WithCancel(context.WithoutCancel(ctx))
	defer stopReports()
	claims, stopClaims := context.WithCancelCause(ctx)
	defer stopClaims(nil)

	var loops sync.WaitGroup
	loops.Go(func() { w.completeLoop(reports, work, stopClaims) })
	loops.Go(func() { w.heartbeatLoop(reports, stopClaims) })
	w.pollLoop(claims, work, stopClaims)
	w.draining.Store(true)

	superseded := errors.Is(context.Cause(claims), ErrSuperseded)
	w.drain(abort, stopWork, superseded)
	w.flush(abort, superseded)
	stopReports()
	loops.Wait()
	if superseded {
		return ErrSuperseded
	}
	return nil
}

// drain waits for the running steps, and stops them when their time is over.
func (w *Worker) drain(abort context.Context, stopWork context.CancelCauseFunc, now bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.group.Wait()
	}()
	if n := w.steps.count(); n > 0 && !now {
		w.Logger.Info("draining", "steps", n, "limit", w.Drain)
	}
	limit := w.Drain
	if now {
		limit = 0
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return
	case <-timer.C:
	case <-abort.Done():
	}
	stopWork(errShutDown)
	<-done // runners return within the stop grace and a little more
}

// flushLimit bounds how long results are offered to a server that does not answer once the worker is about to end.
const flushLimit = 30 * time.Second

// flush waits until all results are reported.
func (w *Worker) flush(abort context.Context, superseded bool) {
	if superseded {
		return // the server takes nothing from us any more
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushLimit)
	defer cancel()
	stop := context.AfterFunc(abort, cancel)
	defer stop()
	select {
	case <-w.slots.allFree():
	case <-ctx.Done():
		w.Logger.Error("results could not be reported; the server will find the steps lost", "steps", w.slots.used())
	}
}
