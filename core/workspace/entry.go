package workspace

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/workflow"
	"github.com/stroem/stroem/pluginapi"
)

// entry is one workspace.
type entry struct {
	name   string
	source Source

	refreshing turn          // one look at the source, or at what is left of it, at a time
	fetching   turn          // one revision at a time is brought here, or removed
	packing    turn          // one tarball at a time
	checked    atomic.Bool   // the settings are what the source plugin asks for
	wake       chan struct{} // has the poll look at once

	mu      sync.RWMutex
	tried   bool
	content *core.Workspace // nil while none was good
	status  Status
	bad     badRevision
	stale   bool              // what is loaded is to be checked again, though the revision is the same
	digests map[string]string // by revision: what came from the source under this name
	held    map[stored]int    // how many read from it
	outcome string            // of the last load, as it was told
}

// badRevision is one that cannot be loaded. It is loaded again only now and then, or on request: what it lacks may be
// on this machine.
type badRevision struct {
	id    string
	err   error
	since time.Time
}

// reloadAfter is when a bad revision is loaded again.
const reloadAfter = time.Minute

func newEntry(name string, source Source) *entry {
	return &entry{
		name: name, source: source, status: Status{Name: name},
		refreshing: make(turn, 1), fetching: make(turn, 1), packing: make(turn, 1), wake: make(chan struct{}, 1),
		digests: map[string]string{}, held: map[stored]int{},
	}
}

// loaded tells whether there was a good revision.
func (e *entry) loaded() bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.content != nil
}

// known tells what there is to do about the revision that the source now has: nothing, if it is in use or if it is
// known to be bad, which is then the error.
func (e *entry) known(id string, force bool) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status.CheckedAt = time.Now()
	stale := e.stale
	e.stale = false
	switch {
	case stale:
		return false, nil
	case id == e.bad.id && !force && time.Since(e.bad.since) < reloadAfter: // even if it is in use: it was good before
		return true, e.bad.err
	case e.content != nil && id == e.status.Revision && e.bad.id == "":
		return true, nil
	default: // new, or back after a bad one
		return false, nil
	}
}

// recheck has the poll look at the source at once, and load what it finds even if that is loaded already.
func (e *entry) recheck() {
	e.mu.Lock()
	e.stale = true
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default: // it has not looked since the last time
	}
}

// use puts a good revision in the place of the old one and tells whether it is another one.
func (e *entry) use(revision pluginapi.Revision, content *core.Workspace, status Status) (before stored, changed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before = e.stored()
	changed = before != stored{revision.ID, content.Digest}
	status.Name, status.Revision, status.Source = e.name, revision.ID, revision
	status.Tasks, status.Actions, status.Triggers = len(content.Tasks), len(content.Actions), len(content.Triggers)
	status.CheckedAt = e.status.CheckedAt
	e.content, e.status, e.bad = content, status, badRevision{}
	return before, changed
}

// stored is the revision in use; e.mu is held.
func (e *entry) stored() stored {
	if e.content == nil {
		return stored{}
	}
	return stored{e.status.Revision, e.content.Digest}
}

// current is the revision in use, which is known once the source was asked.
func (e *entry) current() (s stored, tried bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.stored(), e.tried
}

// isNews tells whether a load came out otherwise than the one before it.
func (e *entry) isNews(outcome string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	news := outcome != e.outcome
	e.outcome = outcome
	return news
}

// learn notes what came from the source under a name.
func (e *entry) learn(s stored) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.digests[s.id] = s.digest
}

func (e *entry) digestOf(id string) string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.digests[id]
}

// reject notes that a revision cannot be used; the one before stays.
func (e *entry) reject(id string, err error, diagnostics workflow.Diagnostics) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.bad = badRevision{id: id, err: err, since: time.Now()}
	e.status.Diagnostics = diagnostics
}

// settle notes how a look at the source ended and tells whether that is news.
func (e *entry) settle(err error) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tried = true
	text := ""
	if err != nil {
		text = err.Error()
	}
	news := text != e.status.Error
	e.status.Error = text
	return news
}

// turn is a lock whose waiters give up with their context.
type turn chan struct{}

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) tryTake() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

func (t turn) give() { <-t }
