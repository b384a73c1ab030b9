package engine

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/failpoint"
)

// Execute asks for a task to be run.
type Execute struct {
	Workspace, Task string
	Input           map[string]any
	Source          core.SourceType
	SourceID        string
	IdempotencyKey  string           // the same key, workspace and task give the same job; "" for none
	Fire            *core.Fire       // stored with the job, whose id it gets; an instant that has fired is an error of code conflict
	Delivery        *core.Delivery   // stored with the job, whose id it gets
	Audit           *core.AuditEntry // stored with the job, whose id and revision it gets among its details
}

// maxIdempotencyKey is the length of a key in bytes.
const maxIdempotencyKey = 255

// creation is a job, with those below it, waiting to be stored together with others.
type creation struct {
	jobs []core.NewJob
	done chan error
}

// Execute creates a job and returns its id. The job is pinned to the workspace's current revision. Errors: not_found
// for an unknown workspace or task, invalid for an unknown action or wrong input; then nothing is stored.
func (e *Engine) Execute(ctx context.Context, x Execute) (uuid.UUID, error) {
	if len(x.IdempotencyKey) > maxIdempotencyKey {
		return uuid.Nil, core.Errorf(core.CodeInvalid, "", "Idempotency-Key has %d bytes, at most %d are allowed", len(x.IdempotencyKey), maxIdempotencyKey)
	}
	jobs, input, err := e.executed(ctx, x)
	if err != nil {
		return uuid.Nil, err
	}
	if x.IdempotencyKey != "" {
		return e.createOnce(ctx, jobs, input)
	}
	c := &creation{jobs: jobs, done: make(chan error, 1)}
	if err := e.creations.submit(ctx, c); err != nil {
		return uuid.Nil, err
	}
	if err := await(ctx, c.done, e.creations.stopped); err != nil {
		return uuid.Nil, err
	}
	return jobs[0].ID, nil
}

// executed makes the job that is asked for, with those below it, and returns its input beside them.
func (e *Engine) executed(ctx context.Context, x Execute) ([]core.NewJob, json.RawMessage, error) {
	workspace, revision, err := e.workspaces.Workspace(x.Workspace)
	if err != nil {
		return nil, nil, err
	}
	p, err := e.planFor(workspace, x.Task)
	if err != nil {
		return nil, nil, err
	}
	jobs, input, err := e.newJob(ctx, origin{
		workspace: x.Workspace, task: x.Task, revision: revision, digest: workspace.Digest, plan: p, input: x.Input,
		source: x.Source, sourceID: x.SourceID,
	})
	if err != nil {
		return nil, nil, maskError(e.known.get(x.Workspace, workspace).masker, err)
	}
	job := &jobs[0]
	if x.IdempotencyKey != "" { // it is the caller's, and may hold anything
		job.IdempotencyKey = hex.EncodeToString(hashToken(x.IdempotencyKey))
	}
	if x.Fire != nil {
		fire := *x.Fire
		fire.JobID, job.Fire = job.ID, &fire
	}
	if x.Delivery != nil {
		delivery := *x.Delivery
		delivery.JobID, job.Delivery = job.ID, &delivery
	}
	if x.Audit != nil {
		entry := *x.Audit
		entry.Details = map[string]any{}
		maps.Copy(entry.Details, x.Audit.Details)
		entry.Details["job_id"], entry.Details["revision"] = job.ID.String(), job.Revision
		job.Audit = &entry
	}
	return jobs, input, nil
}

// writeCreations stores new jobs together; if that fails, and not for want of a database, each is tried alone.
func (e *Engine) writeCreations(ctx context.Context, batch []*creation) {
	err := e.createJobs(ctx, batch)
	if core.ErrorCode(err) == core.CodeUnavailable {
		e.logger.WarnContext(ctx, "jobs were not stored", "jobs", len(batch), "error", err)
	}
	if err == nil || len(batch) == 1 || core.ErrorCode(err) == core.CodeUnavailable {
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
	var jobs []core.NewJob
	for _, c := range batch {
		jobs = append(jobs, c.jobs...)
	}
	begin := time.Now()
	failpoint.Hit("create.store")
	if err := e.store.CreateJobs(ctx, jobs); err != nil {
		return err
	}
	failpoint.Hit("create.committed")
	e.config.Tally.Creation.Since(begin)
	e.countCreated(jobs)
	ready := map[int]int{}
	countReady(jobs, ready)
	e.wakeClaims(ready)
	failpoint.Hit("create.announced")
	return nil
}

// countReady counts the steps of new jobs that are ready, by route.
func countReady(jobs []core.NewJob, ready map[int]int) {
	for i := range jobs {
		for j := range jobs[i].Steps {
			if step := &jobs[i].Steps[j]; step.Status == core.StepReady {
				ready[step.Route]++
			}
		}
	}
}

// createOnce stores a job unless its key was used before; then it returns the job of that time, if it has the same
// input.
func (e *Engine) createOnce(ctx context.Context, jobs []core.NewJob, input json.RawMessage) (uuid.UUID, error) {
	job := &jobs[0]
	err := e.createJobs(ctx, []*creation{{jobs: jobs}})
	if err == nil {
		return job.ID, nil
	}
	if core.ErrorCode(err) != core.CodeConflict {
		return uuid.Nil, err
	}
	first, err := e.store.JobByIdempotencyKey(ctx, job.Workspace, job.TaskName, job.IdempotencyKey)
	if err != nil {
		return uuid.Nil, err
	}
	given, err := e.open(first.Input, first.InputSealed, placeJobInput, first.ID.String())
	if err != nil {
		return uuid.Nil, err
	}
	if !sameJSON(given, input) {
		return uuid.Nil, core.Errorf(core.CodeConflict, "idempotency_key_reused",
			"The Idempotency-Key was used for job %s with another input: use a new key", first.ID)
	}
	return first.ID, nil
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
