package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/template"
	"github.com/stroem/stroem/core/workflow"
)

// Execute asks for a task to be run.
type Execute struct {
	Workspace, Task string
	Input           map[string]any
	Source          core.SourceType
	SourceID        string
	IdempotencyKey  string // the same key, workspace and task give the same job; "" for none
}

// maxIdempotencyKey is the length of a key in bytes.
const maxIdempotencyKey = 255

// creation is a job waiting to be stored together with others.
type creation struct {
	job  core.NewJob
	done chan error
}

// Execute creates a job and returns its id. The job is pinned to the workspace's current revision. Errors: not_found
// for an unknown workspace or task, invalid for an unknown action or wrong input; then nothing is stored.
func (e *Engine) Execute(ctx context.Context, x Execute) (uuid.UUID, error) {
	job, err := e.newJob(ctx, x)
	if err != nil {
		return uuid.Nil, err
	}
	if x.IdempotencyKey != "" {
		return e.createOnce(ctx, job)
	}
	c := &creation{job: job, done: make(chan error, 1)}
	if err := e.creations.submit(ctx, c); err != nil {
		return uuid.Nil, err
	}
	if err := await(ctx, c.done, e.creations.stopped); err != nil {
		return uuid.Nil, err
	}
	return job.ID, nil
}

// writeCreations stores new jobs together; if that fails, each is tried alone.
func (e *Engine) writeCreations(ctx context.Context, batch []*creation) {
	err := e.createJobs(ctx, batch)
	if err == nil || len(batch) == 1 {
		for _, c := range batch {
			c.done <- err
		}
		return
	}
	for _, c := range batch {
		c.done <- e.createJobs(ctx, []*creation{c})
	}
}

func (e *Engine) createJobs(ctx context.Context, batch []*creation) error {
	jobs := make([]core.NewJob, len(batch))
	for i, c := range batch {
		jobs[i] = c.job
	}
	if err := e.store.CreateJobs(ctx, jobs); err != nil {
		return err
	}
	ready := map[int]int{}
	for i := range jobs {
		for j := range jobs[i].Steps {
			if step := &jobs[i].Steps[j]; step.Status == core.StepReady {
				ready[step.Route]++
			}
		}
	}
	e.wakeClaims(ready)
	return nil
}

// createOnce stores a job unless its key was used before; then it returns the job of that time, if it has the same
// input.
func (e *Engine) createOnce(ctx context.Context, job core.NewJob) (uuid.UUID, error) {
	if len(job.IdempotencyKey) > maxIdempotencyKey {
		return uuid.Nil, core.Errorf(core.CodeInvalid, "", "Idempotency-Key has %d bytes, at most %d are allowed", len(job.IdempotencyKey), maxIdempotencyKey)
	}
	err := e.createJobs(ctx, []*creation{{job: job}})
	if err == nil {
		return job.ID, nil
	}
	if core.ErrorCode(err) != core.CodeConflict {
		return uuid.Nil, err
	}
	id, input, err := e.store.JobByIdempotencyKey(ctx, job.Workspace, job.TaskName, job.IdempotencyKey)
	if err != nil {
		return uuid.Nil, err
	}
	if !sameJSON(input, job.Input) {
		return uuid.Nil, core.Errorf(core.CodeConflict, "idempotency_key_reused",
			"The Idempotency-Key was used for job %s with another input: use a new key", id)
	}
	return id, nil
}

func sameJSON(a, b []byte) bool {
	var values [2]any
	for i, document := range [][]byte{a, b} {
		if json.Unmarshal(document, &values[i]) != nil {
			return false
		}
	}
	canonicalA, errA := json.Marshal(values[0])
	canonicalB, errB := json.Marshal(values[1])
	return errA == nil && errB == nil && bytes.Equal(canonicalA, canonicalB)
}

func (e *Engine) newJob(ctx context.Context, x Execute) (core.NewJob, error) {
	workspace, revision, err := e.workspaces.Workspace(x.Workspace)
	if err != nil {
		return core.NewJob{}, err
	}
	task := workspace.Tasks[x.Task]
	if task == nil {
		return core.NewJob{}, core.Errorf(core.CodeNotFound, "", "Task not found")
	}
	p, err := e.planFor(workspace, x.Task)
	if err != nil {
		return core.NewJob{}, err
	}
	input, err := e.jobInput(ctx, task, workspace.Secrets, x.Input)
	if err != nil {
		return core.NewJob{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return core.NewJob{}, fmt.Errorf("make a job id: %w", err)
	}
	job := core.NewJob{
		Job: core.Job{
			ID: id, Workspace: x.Workspace, TaskName: x.Task, Mode: task.Mode, Status: core.JobPending,
			SourceType: x.Source, SourceID: x.SourceID, Revision: revision, RevisionDigest: workspace.Digest, DefinitionHash: p.hash,
			Input: input, Timeout: task.Timeout, Progress: core.Progress{OpenSteps: len(p.steps)},
		},
		Definition: p.body, IdempotencyKey: x.IdempotencyKey,
	}
	if job.Mode == "" {
		job.Mode = "distributed"
	}
	job.Steps, err = e.newSteps(ctx, id, p)
	return job, err
}

// jobInput checks the given input and fills in defaults, which may be templates over the workspace's secrets.
func (e *Engine) jobInput(ctx context.Context, task *core.Task, secrets map[string]any, given map[string]any) (json.RawMessage, error) {
	vars := template.Context{"secret": orEmpty(secrets)}
	input, err := workflow.CheckInput(task.Input, given, workflow.InputOptions{
		RenderDefault: func(text string) (string, error) { return template.RenderString(ctx, text, vars) },
	})
	if err != nil {
		return nil, err
	}
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
		if ps.action.Type == core.TypeTask {
			return nil, core.Errorf(core.CodeInvalid, "action_unsupported",
				"Step '%s' runs a task, which this version cannot do: put the steps of task '%s' into this flow", ps.name, ps.action.Task)
		}
		tags := ps.action.RequiredTags()
		route, err := e.routes.id(ctx, e.store, tags)
		if err != nil {
			return nil, err
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
