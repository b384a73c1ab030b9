// Package worker claims ready steps from a server and runs them through runner plugins.
//
//	register.go   introduces the worker         poll.go      keeps a claim open: for work, and to hear of stops
//	session.go    the time under one identity   dispatch.go  reports starts, spawns
//	complete.go   reports ends, takes more      step.go      runs one step
//	plugins.go    tells how the plugins are     cache.go     workspace revisions on disk
//	resume.go     takes up steps again          remains.go   removes what runs have left behind
//
// A result is never dropped: it is reported until the server has answered. Nothing is spawned whose start the server has
// not accepted.
//
// There are two ways to get work. A claim is open all the time, with the slots that are free, even if there are none: it
// is how the worker hears of stops. And a report of results asks for as many steps as it frees slots. Every slot is in
// one place at a time: free, with the open claim, with a report, or with a step. So two answers never bring more steps
// than there are slots, and a slot that nobody asks work for makes the open claim be given up for one that does.
package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/pluginapi"
)

// Runners are the runner plugins that a worker has; see package pluginhost. All methods may be called concurrently.
type Runners interface {
	// Runner returns the runner of an action type. It stays valid across restarts of its plugin. Errors of calls of which
	// no plugin has heard have pluginhost.ErrNotBegun in their tree.
	Runner(actionType, runner string) (pluginapi.Runner, bool)
	// ActionTypes are the types that can be run now.
	ActionTypes() []pluginapi.ActionType
}

// Options are what a worker is made of. The directories are created if need be.
type Options struct {
	Name        string
	Version     string
	Client      *client.Client // with a token that workers register with
	Runners     Runners
	Changed     func() <-chan struct{} // a channel that is closed when Runners offer other action types; nil: they never do
	Plugins     func() []api.Plugin    // what is told of them to the server; may be nil
	Labels      []string               // tags besides those of the runners
	Slots       int                    // steps at a time
	CacheDir    string
	CacheBytes  int64         // of workspace revisions not in use; 0: no limit
	ScratchDir  string        // for this worker alone: what is in it is removed, but for what belongs to steps that go on
	DownloadURL string        // of the server, for runners that download the workspace where the step runs; "": there is none
	StopGrace   time.Duration // between the polite and the hard stop of a step
	Drain       time.Duration // for running steps once the worker is told to stop
	RunnerWait  time.Duration // for a runner whose plugin is away when a step is to start; 0: 10 s, less than the server waits for the start
	RemoveLimit time.Duration // for removing what workers before this one left, before work is taken; 0: 1 min
	ReportLimit time.Duration // for results that the server does not answer to once all steps have stopped; 0: 30 s
	Logger      *slog.Logger  // nil: the default one
}

// Worker runs steps; make it with New, and call Run once.
type Worker struct {
	Options
	cache *cache
	told  []api.Plugin // what the server was told of the plugins last
}

// ErrSuperseded ends a worker whose name a newer one has taken.
var ErrSuperseded = errors.New("a newer worker has registered under this worker's name")

// ErrRevoked ends a worker that somebody has revoked.
var ErrRevoked = errors.New("this worker was revoked; it is let in again after: stroem worker revoke NAME --undo")

// errUnknown ends a session, because the server does not know the worker any more.
var errUnknown = errors.New("the server does not know this worker")

// New makes a worker.
func New(o Options) *Worker {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.RunnerWait == 0 {
		o.RunnerWait = 10 * time.Second
	}
	if o.RemoveLimit == 0 {
		o.RemoveLimit = time.Minute
	}
	if o.ReportLimit == 0 {
		o.ReportLimit = 30 * time.Second
	}
	return &Worker{Options: o, cache: newCache(o.CacheDir, o.CacheBytes)}
}

// Run works until ctx ends; then it takes no more steps, lets the running ones finish within the drain time, stops what
// is left, and reports everything. It returns ErrSuperseded when another worker took the name, ErrRevoked when the server was
// told not to let it in, and nil after a drain.
// Ending abort at any time stops the running steps at once. When Run returns, none is left.
func (w *Worker) Run(ctx, abort context.Context) error {
	if err := w.prepare(); err != nil {
		return err
	}
	for {
		identity, err := w.register(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop before it ever worked
		}
		if err != nil {
			return err
		}
		err = newSession(ctx, w, identity).serve(ctx, abort)
		if !errors.Is(err, errUnknown) {
			return err
		}
		if ctx.Err() != nil || abort.Err() != nil {
			return nil //nolint:nilerr // told to stop: it need not register again
		}
		w.Logger.WarnContext(ctx, "the server does not know this worker any more; it registers again")
	}
}
