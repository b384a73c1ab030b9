package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

// Limits of what a worker says of itself.
const (
	maxWorkerName = 200
	maxWorkerTags = 200 + 2*maxActionTypes // labels, and for each type its tag and its name
	maxTag        = 200
)

func checkRegister(r api.Register) error {
	if r.Protocol != 0 && r.Protocol != api.Protocol {
		return core.Errorf(core.CodeInvalid, "protocol_unsupported",
			"The worker speaks protocol %d, this server %d: use a worker of the server's version", r.Protocol, api.Protocol)
	}
	if r.Name == "" || len(r.Name) > maxWorkerName {
		return core.Errorf(core.CodeInvalid, "", "name has to have 1 to %d characters", maxWorkerName)
	}
	return checkTags(slices.Concat(r.Tags, r.Capabilities))
}

func checkTags(tags []string) error {
	if len(tags) > maxWorkerTags {
		return core.Errorf(core.CodeInvalid, "", "more than %d tags", maxWorkerTags)
	}
	for _, tag := range tags {
		if tag == "" || len(tag) > maxTag {
			return core.Errorf(core.CodeInvalid, "", "a tag has to have 1 to %d characters", maxTag)
		}
	}
	return nil
}

// workerTags are the sorted tags of a worker; older workers call them capabilities.
func workerTags(tags, capabilities []string) []string {
	if len(tags) == 0 {
		tags = capabilities
	}
	tags = slices.Compact(slices.Sorted(slices.Values(tags)))
	if tags == nil {
		return []string{}
	}
	return tags
}

// workerCache remembers the workers that called lately, and when.
type workerCache struct {
	mu      sync.Mutex
	byToken map[string]*knownWorker // by the hash of the worker's own token
	byID    map[uuid.UUID]*knownWorker
	heard   map[uuid.UUID]time.Time // not noted in the database yet
	changes int                     // how often what is stored of workers was changed here
}

type knownWorker struct {
	id      uuid.UUID
	name    string
	token   string // the name of the one that it registered with
	tags    []string
	refused error // why it is not let in; nil: it is
	loaded  time.Time
	noted   time.Time // when the database last learnt that it lives
}

// workerCacheTime is how long another replica's news of a worker may take to be heard here.
const workerCacheTime = 5 * time.Second

// errSuperseded tells a worker that a newer one has taken its name.
var errSuperseded = core.Errorf(core.CodeConflict, "superseded", "A newer worker has registered under this worker's name")

// AuthenticateWorker returns the worker that a token of its own belongs to. The call counts as a heartbeat.
func (e *Engine) AuthenticateWorker(ctx context.Context, token string) (uuid.UUID, error) {
	w, err := e.worker(ctx, token)
	if err != nil {
		return uuid.Nil, err
	}
	if w.refused != nil {
		return uuid.Nil, w.refused
	}
	return w.id, e.noteHeartbeat(ctx, token, w)
}

// Heartbeat is for workers that have nothing else to say, for which authenticating is all that it takes, and for those
// whose plugins have changed. What they offer then has to be within the limits of the token that they registered with.
func (e *Engine) Heartbeat(ctx context.Context, worker uuid.UUID, r api.Heartbeat) error {
	if r.Plugins == nil {
		return nil
	}
	if err := checkTags(r.Tags); err != nil {
		return err
	}
	plugins, types, err := splitPlugins(r.Plugins)
	if err != nil {
		return err
	}
	tags := workerTags(r.Tags, nil)
	if known := e.workers.known(worker); e.tokens.narrow {
		if err := e.tokens.admit(known.token, known.name, tags); err != nil {
			return err
		}
		types = e.tokens.describable(known.token, types)
	}
	if err := e.store.UpdateWorker(ctx, core.Worker{ID: worker, Tags: tags, Plugins: plugins}, types); err != nil {
		return err
	}
	e.workers.retag(worker, tags)
	return nil
}

func (e *Engine) worker(ctx context.Context, token string) (knownWorker, error) {
	key := string(hashToken(token)) // looked up by hash: how long that takes tells nothing about the token
	e.workers.mu.Lock()
	known := e.workers.byToken[key]
	if known != nil && time.Since(known.loaded) < workerCacheTime {
		defer e.workers.mu.Unlock()
		return *known, nil
	}
	changes := e.workers.changes
	e.workers.mu.Unlock()
	w, superseded, err := e.store.WorkerByToken(ctx, []byte(key))
	switch {
	case core.ErrorCode(err) == core.CodeNotFound:
		return knownWorker{}, errWorkerUnknown
	case err != nil:
		return knownWorker{}, err
	}
	fresh := &knownWorker{id: w.ID, name: w.Name, token: w.Token, tags: w.Tags, refused: e.refusal(&w, superseded), loaded: time.Now()}
	if fresh.refused == errTokenChanged { //nolint:errorlint // the one that refusal returns
		return *fresh, nil // is not kept: it may be let in again at any time
	}
	e.workers.keep(key, fresh, changes)
	return *fresh, nil
}

var errWorkerUnknown = core.Errorf(core.CodeUnauthenticated, "worker_unknown", "Invalid worker token")

// refusal is why a worker is not let in, though its token is right.
func (e *Engine) refusal(w *core.Worker, superseded bool) error {
	switch {
	case !w.RevokedAt.IsZero():
		return core.ErrWorkerRevoked
	case superseded:
		return errSuperseded
	case e.tokens.admit(w.Token, w.Name, w.Tags) != nil:
		return errTokenChanged
	}
	return nil
}

// keep keeps what was read of a worker. What was read before a change may be old, and is looked up again next time.
func (c *workerCache) keep(key string, w *knownWorker, changes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes != changes {
		w.loaded = time.Time{}
	}
	if c.byToken == nil {
		c.byToken, c.byID = map[string]*knownWorker{}, map[uuid.UUID]*knownWorker{}
	}
	if older := c.byToken[key]; older != nil {
		w.noted = older.noted
	}
	c.byToken[key], c.byID[w.id] = w, w
}

// noteHeartbeat writes a heartbeat at once if the worker may have been given up in the meantime, and otherwise leaves it
// to the next collective write.
func (e *Engine) noteHeartbeat(ctx context.Context, token string, w knownWorker) error {
	now := time.Now()
	if now.Sub(w.noted) > e.config.HeartbeatTimeout/3 {
		if err := e.store.Heartbeats(ctx, map[uuid.UUID]time.Time{w.id: now}); err != nil {
			return err
		}
		e.workers.mu.Lock()
		defer e.workers.mu.Unlock()
		if known := e.workers.byToken[string(hashToken(token))]; known != nil {
			known.noted = now
		}
		return nil
	}
	e.workers.mu.Lock()
	defer e.workers.mu.Unlock()
	e.workers.heard[w.id] = now
	return nil
}

// noteHeartbeats writes the heartbeats that were heard since the last time, and forgets workers that went silent.
func (e *Engine) noteHeartbeats(ctx context.Context) {
	interval := min(5*time.Second, e.config.HeartbeatTimeout/6)
	for ctx.Err() == nil {
		pause(ctx, interval)
		e.workers.mu.Lock()
		heard := e.workers.heard
		e.workers.heard = map[uuid.UUID]time.Time{}
		e.workers.mu.Unlock()
		if len(heard) == 0 {
			continue
		}
		err := e.store.Heartbeats(context.WithoutCancel(ctx), heard)
		if err != nil {
			e.logger.WarnContext(ctx, "heartbeats are noted next time", "error", err)
		}
		e.workers.noted(heard, err == nil)
	}
}

func (c *workerCache) noted(heard map[uuid.UUID]time.Time, written bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for token, w := range c.byToken {
		at, ok := heard[w.id]
		switch {
		case ok && written:
			w.noted = at
		case ok:
			c.heard[w.id] = at
		case time.Since(w.loaded) > time.Hour:
			delete(c.byToken, token)
			delete(c.byID, w.id)
		}
	}
}

// refuse notes that workers are not let in any more.
func (c *workerCache) refuse(ids []uuid.UUID, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	for _, id := range ids {
		if w := c.byID[id]; w != nil {
			w.refused = why
		}
	}
}

// forget has workers looked up anew.
func (c *workerCache) forget(ids ...uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	for _, id := range ids {
		if w := c.byID[id]; w != nil {
			w.loaded = time.Time{}
		}
	}
}

// retag notes that a worker offers other tags.
func (c *workerCache) retag(id uuid.UUID, tags []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.byID[id]; w != nil {
		w.tags = tags
	}
}

// known is what is known of a worker that called lately; of any other it is nothing.
func (c *workerCache) known(id uuid.UUID) knownWorker {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.byID[id]; w != nil {
		return *w
	}
	return knownWorker{}
}
