package engine

import (
	"context"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

// Cancel ends a job early: steps that have not started are cancelled at once, running ones are stopped, and once those
// are reported the job is cancelled. It returns the job's status as it is then. Repeating it is harmless; a job that
// has ended otherwise is a conflict with the reason job_finished.
func (e *Engine) Cancel(ctx context.Context, id uuid.UUID) (core.JobStatus, error) {
	var status core.JobStatus
	err := e.transact(ctx, core.Selection{Jobs: []uuid.UUID{id}}, func(t *transition) error {
		job := t.state.Jobs[id]
		switch {
		case job == nil:
			return core.Errorf(core.CodeNotFound, "", "Job not found")
		case job.Status == core.JobCancelled:
		case job.Status.Terminal():
			return core.Errorf(core.CodeConflict, "job_finished", "The job has already ended: it is %s", job.Status)
		case !job.Progress.CancelRequested:
			change := t.job(id)
			change.Progress.CancelRequested = true
			t.setJob(id, change)
			t.stopAll(id, core.StepCancelled, core.StopCancelled)
		}
		status = job.Status
		return nil
	})
	if err != nil {
		return "", err
	}
	if status.Terminal() {
		return status, nil
	}
	return e.store.JobStatus(ctx, id)
}

// stopAll ends all steps of a job that have not started, and asks for the others to be stopped.
func (t *transition) stopAll(job uuid.UUID, unstarted core.StepStatus, reason core.StopReason) {
	for _, step := range t.state.Steps {
		if step.JobID != job || step.Status.Terminal() {
			continue
		}
		if step.Status == core.StepRunning && !step.StartedAt.IsZero() {
			t.changes.Stop[step.ID] = reason
			continue
		}
		t.end(step, outcome{status: unstarted})
	}
}
