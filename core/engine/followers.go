package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/failpoint"
)

// What follows from a transition may be jobs: those of steps that run tasks, and those of hooks. They are part of the same
// transaction, but are made outside of it, because templates have to be rendered for them: a transition that turns out to
// need jobs is given up, these are made, and it is tried again. What was stored of ended steps by then does not change any
// more; but what the transition itself was about to end may have ended in another way in the meantime. So each need says what
// its jobs are made of, and if that has become something else they are made anew.

// need is what a transition needs before it can be committed: the job of a step that runs a task, or those of the hooks of a
// job that ends.
type need struct {
	needKey
	job     core.Job // as the transition found it
	status  core.JobStatus
	message string                     // why the job ends so, if it is not for its steps
	name    string                     // of the step
	outputs map[string]core.StepOutput // of steps that complete in the transition
	failed  []core.Step                // steps that fail in the transition
	madeOf  string                     // how the job and its steps end in the transition
}

type needKey struct {
	step core.StepID // 0: the job's hooks
	job  uuid.UUID
}

// follower is what a need was met with.
type follower struct {
	jobs    []core.NewJob
	input   core.RenderedInput // of the step
	failure string             // why the step cannot run; "" if it can
	events  []string           // what is to be told in the job's log
	madeOf  string             // as of the need
}

type followers map[needKey]*follower

// unprepared says that a transition needs jobs that have not been made.
type unprepared struct{ needs []need }

func (u *unprepared) Error() string {
	return fmt.Sprintf("%d jobs have to be made first", len(u.needs))
}

// prepared tries something that may need jobs until it has them.
func (e *Engine) prepared(ctx context.Context, try func(followers) error) error {
	ready := followers{}
	for {
		err := try(ready)
		missing, ok := errors.AsType[*unprepared](err)
		if !ok {
			return err
		}
		for i := range missing.needs {
			n := &missing.needs[i]
			f, err := e.prepare(ctx, n)
			if err != nil {
				what := "[orchestration] Failed to handle task steps"
				if n.step == 0 {
					what = "[hooks] Failed to build hook context"
				}
				e.trouble(ctx, n.job.ID, what, err)
				return fmt.Errorf("make what follows in job %s: %w", n.job.ID, err)
			}
			f.madeOf = n.madeOf
			ready[n.needKey] = f
		}
	}
}

func (e *Engine) prepare(ctx context.Context, n *need) (*follower, error) {
	job, err := e.store.GetJobRow(ctx, n.job.ID)
	if err != nil {
		return nil, err
	}
	p, err := e.planOf(ctx, job.DefinitionHash)
	if err != nil {
		return nil, err
	}
	known := e.openSecrets(ctx, job.ID, job.Workspace, job.MaskSealed)
	if _, _, err := e.forJob(known); e.premature(err) {
		return nil, err
	}
	if n.step == 0 {
		return e.prepareHooks(ctx, n, &job, p, known)
	}
	return e.prepareChild(ctx, n, &job, p, known)
}

func (e *Engine) prepareChild(ctx context.Context, n *need, job *core.Job, p *plan, known *jobSecrets) (*follower, error) {
	step := p.byName[n.name]
	if step == nil {
		return nil, fmt.Errorf("the definition has no step %s", n.name)
	}
	made, err := e.childOf(ctx, n, job, p, known)
	if code := core.ErrorCode(err); err != nil && (code == core.CodeInvalid || code == core.CodeNotFound) {
		_, masker, _ := e.forJob(known) // of a workspace that is gone nothing was rendered
		return &follower{failure: clean(masker.String(err.Error()))}, nil
	}
	if err != nil {
		return nil, err
	}
	failpoint.Hit("child.made")
	return &follower{jobs: made.jobs, input: made.input}, nil
}

func (e *Engine) childOf(ctx context.Context, n *need, job *core.Job, p *plan, known *jobSecrets) (child, error) {
	if err := known.incomplete(); err != nil {
		return child{}, core.Errorf(core.CodeInvalid, "sealed", "Cannot %s", err)
	}
	input, err := e.open(job.Input, job.InputSealed, placeJobInput, job.ID.String())
	if err != nil {
		return child{}, err
	}
	of := &childOf{job: job, input: input, plan: p, known: known, step: n.name, id: n.step}
	if names := p.byName[n.name].rendering.outputs; len(names) > 0 {
		if of.outputs, err = e.outputsOf(ctx, job.ID, names); err != nil {
			return child{}, err
		}
		for _, name := range names {
			if output, ok := n.outputs[name]; ok {
				if of.outputs[name], err = e.open(output.Output, output.Sealed, placeStepOutput, rowOf(output.ID)); err != nil {
					return child{}, err
				}
			}
		}
	}
	return e.newChild(ctx, of)
}

// settle lets everything follow that follows from the changes so far.
func (e *Engine) settle(t *transition, ready followers, more func([]core.StepID) error) error {
	for {
		if err := t.settle(more); err != nil {
			return fmt.Errorf("settle: %w", err)
		}
		needs := e.needs(t)
		if len(needs) == 0 {
			return nil
		}
		var missing []need
		for i := range needs {
			if f := ready[needs[i].needKey]; f == nil || f.madeOf != needs[i].madeOf {
				missing = append(missing, needs[i])
			} else {
				t.meet(&needs[i], f)
			}
		}
		if len(missing) > 0 {
			return &unprepared{missing}
		}
	}
}

// needs lists what the transition needs and was not given.
func (e *Engine) needs(t *transition) []need {
	var needs []need
	for _, id := range t.tasks {
		step := t.state.Steps[id]
		key := needKey{id, step.JobID}
		if !t.met[key] {
			needs = append(needs, need{
				needKey: key, job: *t.state.Jobs[step.JobID], name: step.Name, outputs: t.outputs(step.JobID), madeOf: t.ends(step.JobID),
			})
		}
	}
	for id, change := range t.changes.Jobs {
		job, key := t.state.Jobs[id], needKey{0, id}
		if t.met[key] || !e.mayHaveHooks(job, change.Status) {
			continue
		}
		needs = append(needs, need{
			needKey: key, job: *job, status: change.Status, message: change.Error, failed: t.failed(id), madeOf: t.ends(id),
		})
	}
	return needs
}

func (t *transition) outputs(job uuid.UUID) map[string]core.StepOutput {
	outputs := map[string]core.StepOutput{}
	for _, end := range t.changes.End {
		if step := t.state.Steps[end.ID]; step.JobID == job && end.Status == core.StepCompleted {
			outputs[step.Name] = core.StepOutput{ID: end.ID, Output: end.Output, Sealed: end.OutputSealed}
		}
	}
	return outputs
}

func (t *transition) failed(job uuid.UUID) []core.Step {
	var failed []core.Step
	for _, end := range t.changes.End {
		if step := t.state.Steps[end.ID]; step.JobID == job && end.Status == core.StepFailed {
			one := *step
			one.ErrorMessage = end.Error
			failed = append(failed, one)
		}
	}
	return failed
}

// ends says how a job and its steps end in the transition, in a form that can be compared.
func (t *transition) ends(job uuid.UUID) string {
	var steps []string
	for _, end := range t.changes.End {
		if t.state.Steps[end.ID].JobID == job {
			steps = append(steps, fmt.Sprintf("%d %s %q", end.ID, end.Status, end.Error))
		}
	}
	slices.Sort(steps)
	change := t.changes.Jobs[job]
	return fmt.Sprintf("%s %q %q", change.Status, change.Error, steps)
}

// meet takes into the transition what a need was met with.
func (t *transition) meet(n *need, f *follower) {
	t.met[n.needKey] = true
	t.changes.Create = append(t.changes.Create, f.jobs...)
	for _, text := range f.events {
		t.events = append(t.events, event{n.job.ID, text})
	}
	if n.step == 0 {
		return
	}
	step := t.state.Steps[n.step]
	if f.failure != "" {
		t.end(step, outcome{status: core.StepFailed, message: f.failure})
		return
	}
	step.Status = core.StepRunning
	t.changes.Dispatch = append(t.changes.Dispatch, core.Dispatch{ID: n.step, RenderedInput: f.input})
	if job := t.job(step.JobID); job.Status == core.JobPending {
		job.Status = core.JobRunning
		t.setJob(step.JobID, job)
	}
}
