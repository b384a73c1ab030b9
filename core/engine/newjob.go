package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/mask"
	"github.com/stroem/stroem/core/template"
	"github.com/stroem/stroem/core/workflow"
)

// maxDepth is how many jobs there can be above a job.
const maxDepth = 10

// origin is what a new job is made of.
type origin struct {
	workspace, task  string
	revision, digest string
	plan             *plan
	input            map[string]any // as given
	convert          bool           // templates have made strings of it
	secret           []string       // values that are secret in the job above, and so in this one
	source           core.SourceType
	sourceID         string
	parent           uuid.UUID // the job above, and its step
	parentStep       string
	hookOf           uuid.UUID // the job whose hook this is, or is below
	depth            int
}

// newJob makes a job and, for its first steps that run tasks, the jobs below it. It returns them from the top down, and the
// input of the first with its defaults, as it was given. Errors: invalid for wrong input, here or below, and for tasks that
// are nested too deeply.
func (e *Engine) newJob(ctx context.Context, o origin) (jobs []core.NewJob, input json.RawMessage, err error) {
	if o.depth > maxDepth {
		return nil, nil, core.Errorf(core.CodeInvalid, "nested_too_deep", "Task '%s' is below %d others, beyond the maximum nesting depth (%d)", o.task, o.depth, maxDepth)
	}
	task, secrets := &o.plan.definition.Task, e.secrets(o.workspace)
	rendering, found := template.Collect(ctx)
	values, err := e.jobInput(rendering, task, secrets, o.input, o.convert)
	resolved := mask.Values(found())
	if err != nil {
		return nil, nil, maskError(mask.New(resolved), err)
	}
	if input, err = encodeInput(values); err != nil {
		return nil, nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, nil, fmt.Errorf("make a job id: %w", err)
	}
	job := core.NewJob{
		Job: core.Job{
			ID: id, Workspace: o.workspace, TaskName: o.task, Mode: task.Mode, Status: core.JobPending,
			SourceType: o.source, SourceID: o.sourceID, Revision: o.revision, RevisionDigest: o.digest, DefinitionHash: o.plan.hash,
			ParentJobID: o.parent, ParentStepName: o.parentStep, OriginJobID: o.hookOf, Depth: o.depth,
			Timeout: task.Timeout, Progress: core.Progress{OpenSteps: len(o.plan.steps)},
		},
		Definition: o.plan.body,
	}
	if job.Mode == "" {
		job.Mode = "distributed"
	}
	known := &jobSecrets{workspace: o.workspace, own: unique(slices.Concat(fieldValues(secretFields(task.Input), values), o.secret, resolved), nil)}
	if err := e.hideInput(&job.Job, secretFields(task.Input), known, input); err != nil {
		return nil, nil, err
	}
	if job.Steps, err = e.newSteps(ctx, id, o.plan); err != nil {
		return nil, nil, err
	}
	jobs = []core.NewJob{job}
	for i := range job.Steps {
		step := &job.Steps[i]
		switch {
		case step.Status != core.StepReady:
		case o.plan.definition.Hook:
			stored, err := e.hideStepInput(known, input, nil, step.ID)
			if err != nil {
				return nil, nil, err
			}
			step.Input, step.InputSealed = stored.Input, stored.Sealed
		case step.Route == 0:
			below, err := e.newChild(ctx, &childOf{job: &job.Job, input: input, plan: o.plan, known: known, step: step.Name, id: step.ID})
			if err != nil {
				return nil, nil, err
			}
			step.Status, step.Input, step.InputSealed = core.StepRunning, below.input.Input, below.input.Sealed
			jobs[0].Status = core.JobRunning
			jobs = append(jobs, below.jobs...)
		}
	}
	return jobs, input, nil
}

// hideInput gives a new job its input, with what is secret in it kept apart.
func (e *Engine) hideInput(job *core.Job, fields []string, secrets *jobSecrets, input json.RawMessage) error {
	_, masker, err := e.forJob(secrets)
	if err != nil {
		return err
	}
	job.Input, job.InputSealed, err = e.hide(masker, input, fields, placeJobInput, job.ID.String())
	if err != nil || len(secrets.own) == 0 {
		return err
	}
	sealed, err := e.sealSecrets(job.ID, secrets.own)
	job.MaskSealed = [][]byte{sealed}
	return err
}

// hideStepInput returns the input of a step as it is stored.
func (e *Engine) hideStepInput(known *jobSecrets, input json.RawMessage, fields []string, id core.StepID) (stored core.RenderedInput, err error) {
	_, masker, err := e.forJob(known)
	if err != nil {
		return stored, err
	}
	stored.Input, stored.Sealed, err = e.hide(masker, input, fields, placeStepInput, rowOf(id))
	return stored, err
}

// jobInput checks the given input and fills in defaults, which may be templates over the workspace's secrets.
func (e *Engine) jobInput(ctx context.Context, task *core.Task, secrets, given map[string]any, convert bool) (map[string]any, error) {
	vars := template.Context{"secret": orEmpty(secrets)}
	return workflow.CheckInput(task.Input, withoutMarks(task.Input, given), workflow.InputOptions{
		Convert:       convert,
		RenderDefault: func(text string) (string, error) { return template.RenderString(ctx, text, vars) },
	})
}

func encodeInput(input map[string]any) (json.RawMessage, error) {
	document, err := json.Marshal(input)
	if err != nil {
		return nil, core.Errorf(core.CodeInvalid, "", "The input cannot be stored: %s", err)
	}
	return cleanJSON(document)
}

// newSteps makes a job's steps, all pending, and lets core.Advance make the first ones ready.
func (e *Engine) newSteps(ctx context.Context, job uuid.UUID, p *plan) ([]core.NewStep, error) {
	ids, err := e.store.StepIDs(ctx, len(p.steps))
	if err != nil {
		return nil, err
	}
	steps, index := make([]core.NewStep, len(p.steps)), make(map[core.StepID]int, len(p.steps))
	var roots []core.Dependant
	for i := range p.steps {
		ps := &p.steps[i]
		tags, route := ps.action.RequiredTags(), 0
		if ps.action.Type != core.TypeTask {
			if route, err = e.routes.id(ctx, e.store, tags); err != nil {
				return nil, err
			}
		}
		image, _ := ps.action.Spec["image"].(string)
		step := core.NewStep{Spec: ps.spec, Step: core.Step{
			ID: ids[i], JobID: job, Name: ps.name, ActionName: ps.flow.Action, ActionType: ps.action.Type, ActionImage: image,
			Runner: ps.action.RunnerName(), Tags: tags, Input: ps.input, Status: core.StepPending, Attempt: 1,
			ContinueOnFailure: ps.flow.ContinueOnFailure, OpenDeps: ps.dependencies, Route: route, Timeout: ps.flow.Timeout,
		}}
		for _, dependant := range ps.dependants {
			step.Dependants = append(step.Dependants, ids[dependant])
		}
		if step.OpenDeps == 0 {
			roots = append(roots, core.Dependant{ID: ids[i], Status: core.StepPending})
		}
		steps[i], index[ids[i]] = step, i
	}
	for _, id := range core.Advance(core.Progress{OpenSteps: len(steps)}, nil, roots).Ready {
		steps[index[id]].Status = core.StepReady
	}
	return steps, nil
}
