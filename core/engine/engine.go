package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/seal"
	"github.com/stroem/stroem/core/tally"
)

// Config holds the times that the engine works with; zero values get the defaults.
type Config struct {
	HeartbeatTimeout time.Duration // a worker not heard of for this long is lost; default 2 min
	SweepInterval    time.Duration // default 60 s
	UnclaimableLimit time.Duration // a ready step that nobody could run for this long fails; 0: it waits
	StartLimit       time.Duration // a claimed step not started in this time is ready again; default 15 s
	StopGrace        time.Duration // what workers have to stop a step; default 10 s
	PollInterval     time.Duration // safety net of waiting claims; default 5 s
	MaxStepBytes     int64         // what workers send of one step's log; 0: all
	Seal             *seal.Key     // for what is secret; nil: a key that this process alone has
	WorkerTokens     []WorkerToken // that workers register with; none: nobody can, but under DefaultToken as if it had no limits
	Tally            *tally.Engine // what is counted; nil: for nobody
	// Event is called for what the server says in the log of a job; nil: nothing is said.
	Event func(ctx context.Context, job uuid.UUID, text string)
	// ActionTypes is called when action types that plugins describe may have changed; it may block. nil: nobody cares.
	ActionTypes func(ctx context.Context)
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&c.HeartbeatTimeout, 2*time.Minute)
	set(&c.SweepInterval, time.Minute)
	set(&c.StartLimit, 15*time.Second)
	set(&c.StopGrace, 10*time.Second)
	set(&c.PollInterval, 5*time.Second)
	if c.Seal == nil {
		c.Seal = seal.Generate()
	}
	if c.Tally == nil {
		c.Tally = &tally.Engine{}
	}
	return c
}

// Engine is safe for concurrent use. Its methods work while Run runs.
type Engine struct {
	store      Store
	workspaces Workspaces
	logger     *slog.Logger
	config     Config

	plans    planCache
	routes   routeTable
	waiters  waiters
	watchers watchers
	leases   leaseCache
	workers  workerCache
	tokens   *tokens
	known    workspaceCache
	started  time.Time

	relatives   relatives
	troubles    troubles
	creations   *batcher[*creation]
	transitions *batcher[*request]
	preparing   sync.WaitGroup // transitions from which jobs follow
	notify      chan struct{}  // wakes the goroutine that notifies other replicas
}

// New returns an engine; the caller calls Run.
func New(store Store, workspaces Workspaces, logger *slog.Logger, config Config) *Engine {
	e := &Engine{
		store: store, workspaces: workspaces, logger: logger, config: config.withDefaults(),
		started: time.Now(), notify: make(chan struct{}, 1),
	}
	e.relatives.wake = make(chan struct{}, 1)
	e.tokens = newTokens(e.config.WorkerTokens)
	e.workers.heard = map[uuid.UUID]time.Time{}
	e.creations = newBatcher(e.writeCreations)
	e.transitions = newBatcher(e.writeTransitions)
	return e
}

// Run owns the engine's goroutines: the two writers, the timers of the leading replica, and the connection to the other
// replicas. Whenever this replica leads, it also runs leading, which return when their context ends. Run returns when ctx
// has ended and all of them have.
func (e *Engine) Run(ctx context.Context, leading ...func(context.Context)) {
	var group sync.WaitGroup
	for _, loop := range []func(context.Context){
		e.creations.loop, e.transitions.loop, e.relate, e.notifyOthers, e.listen, e.noteHeartbeats,
	} {
		group.Go(func() { loop(ctx) })
	}
	group.Go(func() { e.lead(ctx, leading) })
	group.Wait()
	e.preparing.Wait()
	e.waiters.wakeAll()
}

// errStopping answers requests that arrive while the engine stops.
var errStopping = core.Errorf(core.CodeUnavailable, "", "The server is stopping: try again in a moment")

// retryDelay is how long background loops wait after an error.
const retryDelay = time.Second

// repeat calls run until ctx ends, with a pause after errors, which are logged.
func (e *Engine) repeat(ctx context.Context, what string, run func(context.Context) error) {
	for ctx.Err() == nil {
		if err := run(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			e.logger.WarnContext(ctx, "trying again", "what", what, "error", err)
		}
		pause(ctx, retryDelay)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// notifyOthers tells the other replicas that steps became ready. While one notification is on its way all further ones
// become one.
func (e *Engine) notifyOthers(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.notify:
		}
		if err := e.store.Notify(ctx); err != nil && ctx.Err() == nil {
			e.logger.WarnContext(ctx, "cannot wake the other replicas; they will notice by polling", "error", err)
		}
		pause(ctx, notifyInterval)
	}
}

// notifyInterval spreads notifications: each takes a lock of the whole database server when it commits.
const notifyInterval = 50 * time.Millisecond

// listen wakes the waiting claims when another replica made steps ready, perhaps with tags that are new here.
func (e *Engine) listen(ctx context.Context) {
	e.repeat(ctx, "listen for other replicas", func(ctx context.Context) error {
		wake := func() {
			if err := e.routes.reload(ctx, e.store); err != nil && ctx.Err() == nil {
				e.logger.WarnContext(ctx, "claims may miss new tags until the next poll", "error", err)
			}
			e.waiters.wakeAll()
		}
		types := func() {
			if e.config.ActionTypes != nil {
				e.config.ActionTypes(ctx)
			}
		}
		return e.store.Listen(ctx, wake, types)
	})
}
