package engine

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

// maxRunnerState is how many bytes a runner may ask to be kept about a step that it runs.
const maxRunnerState = 4 << 10

// Start notes that a worker is about to spawn the steps of a claim. Only those answered as accepted may be spawned: the
// others were cancelled, or given to somebody else because the start came too late. A repeated start is accepted again.
func (e *Engine) Start(ctx context.Context, worker uuid.UUID, r api.StartRequest) (api.StepResults, error) {
	ids, hashes := make([]core.StepID, len(r.Steps)), make([][]byte, len(r.Steps))
	for i, step := range r.Steps {
		ids[i], hashes[i] = core.StepID(step.StepID), hashToken(step.Lease)
	}
	results := make([]api.StepResult, len(r.Steps))
	if len(ids) == 0 {
		return api.StepResults{Results: results}, nil
	}
	err := e.change(ctx, ids, func(t *transition) {
		for i, id := range ids {
			results[i] = api.StepResult{StepID: int64(id), Status: t.start(id, worker, hashes[i])}
		}
	})
	if err != nil {
		return api.StepResults{}, err
	}
	return api.StepResults{Results: results}, nil
}

func (t *transition) start(id core.StepID, worker uuid.UUID, hash []byte) string {
	step := t.state.Steps[id]
	if step == nil {
		return api.Invalid
	}
	if err := checkLease(step, worker, hash); err != nil {
		return leaseStatus(err)
	}
	if step.Status != core.StepRunning {
		t.settled(step)
		return api.Stale
	}
	if !step.StartedAt.IsZero() {
		return api.Accepted
	}
	step.StartedAt = time.Now()
	t.changes.Start = append(t.changes.Start, id)
	if job := t.job(step.JobID); job.Status == core.JobPending {
		job.Status, job.WorkerID = core.JobRunning, worker
		t.setJob(step.JobID, job)
	}
	return api.Accepted
}

func leaseStatus(err error) string {
	if err == ErrLeaseStale { //nolint:errorlint // checkLease returns it bare
		return api.Stale
	}
	return api.Invalid
}

// SaveState keeps what runners said when they started steps, so that another worker process can find those again.
func (e *Engine) SaveState(ctx context.Context, worker uuid.UUID, r api.StartRequest) (api.StepResults, error) {
	results := make([]api.StepResult, len(r.Steps))
	for i, step := range r.Steps {
		if len(step.State) > maxRunnerState {
			return api.StepResults{}, core.Errorf(core.CodeTooLarge, "", "the runner state of step %d has %d bytes, at most %d are kept",
				step.StepID, len(step.State), maxRunnerState)
		}
		results[i] = api.StepResult{StepID: step.StepID, Status: api.Accepted}
		lease, err := e.CheckLease(ctx, worker, StepRef{StepID: core.StepID(step.StepID)}, step.Lease)
		if err != nil {
			if core.ErrorCode(err) == core.CodeInternal {
				return api.StepResults{}, err
			}
			results[i].Status = leaseStatus(err)
			continue
		}
		kept, err := e.saveState(ctx, lease.JobID, step)
		if err != nil {
			return api.StepResults{}, err
		}
		if !kept {
			results[i].Status = api.Stale
		}
	}
	return api.StepResults{Results: results}, nil
}

func (e *Engine) saveState(ctx context.Context, job uuid.UUID, step api.StepLease) (kept bool, err error) {
	secrets, err := e.secretsOfJob(ctx, job)
	if err != nil || secrets == nil {
		return false, err
	}
	if err := e.learn(ctx, job, secrets, step.Mask); err != nil {
		return false, err
	}
	_, masker, err := e.forJob(secrets)
	if e.premature(err) {
		return false, err
	}
	id := core.StepID(step.StepID)
	state, sealed, err := e.hideState(masker, err == nil, step.State, id)
	if err != nil {
		return false, err
	}
	return e.store.SaveRunnerState(ctx, id, hashToken(step.Lease), state, sealed)
}
