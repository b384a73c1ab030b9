package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

// GivenUp counts what became of the steps of a worker that was revoked.
type GivenUp struct {
	Requeued int // that it had not started: they are ready again
	Ended    int // that it was running: they have failed, or are cancelled if their jobs are
}

// Revoke takes a worker's right to do anything, and that of the worker that has its name now. In the same transaction their
// steps are given up, those that could be attached to as well: nobody trusts what they come to. Until Restore, nobody
// registers under the name. Other replicas hear of it within seconds; no steps are handed out there either.
func (e *Engine) Revoke(ctx context.Context, id uuid.UUID) (GivenUp, error) {
	var given GivenUp
	var t *transition
	var revoked []uuid.UUID
	err := e.prepared(ctx, func(ready followers) (err error) {
		revoked, err = e.store.RevokeWorker(ctx, id, func(_ context.Context, revoked []uuid.UUID, _ []core.HeldStep, state *core.State,
			more func([]core.StepID) error,
		) (*core.Changes, error) {
			t, given = newTransition(state), GivenUp{}
			for _, step := range state.Steps {
				if step.Status != core.StepRunning || !slices.Contains(revoked, step.WorkerID) {
					continue // was given to somebody else
				}
				if step.StartedAt.IsZero() {
					given.Requeued++
					t.requeue(step)
					continue
				}
				given.Ended++
				t.lose(step, fmt.Sprintf("Worker revoked (worker %s): what it was running has been given up", step.WorkerID))
			}
			if err := e.settle(t, ready, more); err != nil {
				return nil, err
			}
			return &t.changes, nil
		})
		return err
	})
	if err != nil {
		return GivenUp{}, err
	}
	e.workers.refuse(revoked, core.ErrWorkerRevoked)
	for _, worker := range revoked {
		e.waiters.wakeWorker(worker)
	}
	if t != nil {
		e.announce(ctx, t)
	}
	e.notifySoon() // other replicas tell the worker to stop
	e.logger.InfoContext(ctx, "worker revoked", "worker", id, "requeued", given.Requeued, "ended", given.Ended)
	return given, nil
}

// Restore lets workers register again under the name of one that was revoked. Its own token is not let in again.
func (e *Engine) Restore(ctx context.Context, id uuid.UUID) error {
	restored, err := e.store.RestoreWorker(ctx, id)
	if err != nil {
		return err
	}
	e.workers.forget(restored...)
	e.logger.InfoContext(ctx, "worker restored", "worker", id)
	return nil
}
