package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/failpoint"
)

// relatives are the jobs of which others have to hear: one transaction for each level, from the job that ended to the step
// that it was for, and from a step that is to stop to its job. What is noted here is done at once; what is lost with the
// process is found by the sweep, but for the failures of hooks: these are lines in a log, and lost.
type relatives struct {
	wake chan struct{}

	mu      sync.Mutex
	ended   []uuid.UUID // children
	failed  []uuid.UUID // jobs of hooks
	stopped bool        // steps whose children may run
}

// note takes in what has been committed.
func (r *relatives) note(t *transition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, change := range t.changes.Jobs {
		job := t.state.Jobs[id]
		switch {
		case !change.Status.Terminal():
		case job.ParentJobID != uuid.Nil:
			r.ended = append(r.ended, id)
		case job.SourceType == core.SourceHook && change.Status == core.JobFailed:
			r.failed = append(r.failed, id)
		}
	}
	for id := range t.changes.Stop {
		r.stopped = r.stopped || t.state.Steps[id].Route == 0
	}
	for _, end := range t.changes.End {
		r.stopped = r.stopped || t.state.Steps[end.ID].Route == 0 && end.From == core.StepRunning && end.Status != core.StepCompleted
	}
	if len(r.ended) > 0 || len(r.failed) > 0 || r.stopped {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

func (r *relatives) take() (ended, failed []uuid.UUID, stopped bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ended, failed, stopped = r.ended, r.failed, r.stopped
	r.ended, r.failed, r.stopped = nil, nil, false
	return ended, failed, stopped
}

// relate does what is noted until ctx ends.
func (e *Engine) relate(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.relatives.wake:
		}
		ended, failed, stopped := e.relatives.take()
		if len(ended) > 0 {
			e.orSweep(ctx, "end the steps of child jobs", e.endParents(ctx, ended))
		}
		if stopped {
			e.orSweep(ctx, "stop child jobs", e.stopChildren(ctx))
		}
		for _, id := range failed {
			if err := e.tellOfHook(ctx, id); err != nil && ctx.Err() == nil {
				e.logger.WarnContext(ctx, "the log of a job lacks that its hook has failed", "hook_job", id, "error", err)
			}
		}
	}
}

func (e *Engine) orSweep(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		e.logger.WarnContext(ctx, "left to the next sweep", "what", what, "error", err)
	}
}

// relateAll does what a process that died has left undone.
func (e *Engine) relateAll(ctx context.Context) error {
	return errors.Join(e.endParents(ctx, nil), e.stopChildren(ctx))
}

// endParents ends the steps whose child jobs have ended: the given ones, or all for nil. One that cannot be ended does not hold
// up the others.
func (e *Engine) endParents(ctx context.Context, ids []uuid.UUID) error {
	children, err := e.store.EndedChildren(ctx, ids)
	if err != nil {
		return err
	}
	var failures []error
	for i := range children {
		failpoint.Hit("child.ended")
		if err := e.endParent(ctx, &children[i]); err != nil {
			failures = append(failures, fmt.Errorf("end the step of child job %s: %w", children[i].ID, err))
			e.trouble(ctx, children[i].ID, fmt.Sprintf("[orchestration] Failed to propagate to parent job %s", children[i].ParentJobID), err)
		}
		failpoint.Hit("child.told")
	}
	return errors.Join(failures...)
}

func (e *Engine) endParent(ctx context.Context, child *core.ChildJob) error {
	r := report{id: child.ParentStepID, outcome: outcome{status: core.StepFailed, message: fmt.Sprintf("Child job %s %s", child.ID, child.Status)}}
	if child.Status == core.JobCompleted {
		r.outcome = outcome{status: core.StepCompleted}
		if err := e.takeOutput(ctx, child, &r); err != nil {
			return err
		}
	}
	return e.change(ctx, []core.StepID{r.id}, func(t *transition) {
		if step := t.state.Steps[r.id]; step != nil && step.Status == core.StepRunning && step.Route == 0 {
			r.stopped = step.StopReason
			t.end(step, t.stopped(step, &r))
		}
	})
}

// takeOutput gives the output of a child job to the step that it was for. What is secret in the child is so above it.
func (e *Engine) takeOutput(ctx context.Context, child *core.ChildJob, r *report) error {
	sinks, err := e.store.SinkOutputs(ctx, child.ID)
	if err != nil || len(sinks) == 0 {
		return err
	}
	output, lost := map[string]json.RawMessage{}, false
	for name, sink := range sinks {
		if output[name], err = e.open(sink.Output, sink.Sealed, placeStepOutput, rowOf(sink.ID)); err != nil {
			output[name], lost = sink.Output, true // of a key that is gone: what is shown of it is all that there is
		}
	}
	document, err := json.Marshal(output)
	if err != nil {
		return fmt.Errorf("encode the output of job %s: %w", child.ID, err)
	}
	known, err := e.secretsOfJob(ctx, child.ParentJobID)
	if err != nil || known == nil {
		return err
	}
	below := e.openSecrets(ctx, child.ID, child.Workspace, child.MaskSealed)
	if err := e.learn(ctx, child.ParentJobID, known, below.ownValues()); err != nil {
		return err
	}
	_, masker, err := e.forJob(known)
	if e.premature(err) {
		return err
	}
	return e.hideOutput(masker, err == nil && !lost, r, document)
}

// stopChildren cancels the child jobs of steps that are to stop, or that have ended without them.
func (e *Engine) stopChildren(ctx context.Context) error {
	ids, err := e.store.StoppedChildren(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for _, id := range ids {
		failpoint.Hit("children.found")
		if _, err := e.Cancel(ctx, id); err != nil && core.ErrorCode(err) != core.CodeConflict {
			failures = append(failures, fmt.Errorf("cancel child job %s: %w", id, err))
		}
	}
	return errors.Join(failures...)
}

// tellOfHook says in the log of a job that one of its hooks has failed, and why.
func (e *Engine) tellOfHook(ctx context.Context, id uuid.UUID) error {
	job, err := e.store.GetJobRow(ctx, id)
	if err != nil || job.OriginJobID == uuid.Nil {
		return err
	}
	failed, err := e.store.FailedSteps(ctx, id)
	if err != nil {
		return err
	}
	reason := unknownError
	if len(failed) > 0 && failed[0].ErrorMessage != "" {
		reason = failed[0].ErrorMessage
	} else if job.ErrorMessage != "" {
		reason = job.ErrorMessage
	}
	failpoint.Hit("event.before")
	e.tell(ctx, event{job.OriginJobID, fmt.Sprintf("[hooks] Hook '%s' failed: %s", job.TaskName, reason)})
	failpoint.Hit("event.after")
	return nil
}

func (e *Engine) tell(ctx context.Context, said event) {
	if e.config.Event != nil {
		e.config.Event(ctx, said.job, said.text)
	}
}
