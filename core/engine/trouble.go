package engine

import (
	"context"
	"errors"
	"sync"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

// maxTroubles is how many are remembered; then they are told once more.
const maxTroubles = 10_000

// troubles are those that were told in the logs of jobs: what fails is tried again, every second perhaps, and told once.
type troubles struct {
	mu   sync.Mutex
	told map[event]bool
}

func (t *troubles) isNew(e event) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told[e] {
		return false
	}
	if len(t.told) >= maxTroubles || t.told == nil {
		t.told = map[event]bool{}
	}
	t.told[e] = true
	return true
}

// trouble says in the log of a job what could not be done for it, and will be tried again.
func (e *Engine) trouble(ctx context.Context, job uuid.UUID, what string, err error) {
	if ctx.Err() == nil && e.troubles.isNew(event{job, what}) {
		e.tell(ctx, event{job, what + ": " + public(err)})
	}
}

// public is what of an error may be told to whoever sees a job.
func public(err error) string {
	if known, ok := errors.AsType[*core.Error](err); ok && known.Code != core.CodeInternal {
		return known.Message
	}
	return "internal error, which the server's log has; it will be tried again"
}
