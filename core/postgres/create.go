package postgres

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stroem/stroem/core"
)

// ErrIdempotencyKeyTaken says that a job with the same workspace, task and idempotency key exists.
var ErrIdempotencyKeyTaken = core.Errorf(core.CodeConflict, "idempotency_key_taken", "the Idempotency-Key was used before")

// CreateJobs stores jobs with all their steps in one transaction and one round trip. A job whose idempotency key is
// taken fails with [ErrIdempotencyKeyTaken], one for an instant that has fired with [ErrFired]; then nothing is stored.
func (s *Store) CreateJobs(ctx context.Context, jobs []core.NewJob) error {
	batch := &pgx.Batch{}
	if err := queueNewJobs(batch, jobs); err != nil {
		return err
	}
	err := s.hot.SendBatch(ctx, batch).Close() // without BEGIN the batch is one transaction
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.ConstraintName == "job_idempotency" {
		return ErrIdempotencyKeyTaken
	}
	if firedAlready(err) {
		return ErrFired
	}
	if _, ok := errors.AsType[unstorableError](dataError(err)); ok {
		return core.Errorf(core.CodeInvalid, "", "The input cannot be stored: %s", dataError(err))
	}
	if err != nil {
		return unreachable(fmt.Errorf("store new jobs: %w", err))
	}
	return nil
}

// queueNewJobs stores jobs, those above before those below them.
func queueNewJobs(batch *pgx.Batch, jobs []core.NewJob) error {
	if len(jobs) == 0 {
		return nil
	}
	definitions, records, steps := make([]definitionRecord, 0, 1), make([]jobRecord, len(jobs)), make([]stepRecord, 0, len(jobs))
	known := map[string]bool{}
	var fires []core.Fire
	var deliveries []core.Delivery
	var audited []core.AuditEntry
	for i := range jobs {
		job := &jobs[i]
		if job.Fire != nil {
			fires = append(fires, *job.Fire)
		}
		if job.Delivery != nil {
			deliveries = append(deliveries, *job.Delivery)
		}
		if job.Audit != nil {
			audited = append(audited, *job.Audit)
		}
		if hash := string(job.DefinitionHash); !known[hash] {
			known[hash] = true
			definitions = append(definitions, definitionRecord{Hash: bytea(job.DefinitionHash), Body: job.Definition})
		}
		records[i] = newJobRecord(job)
		for j := range job.Steps {
			steps = append(steps, newStepRecord(&job.Steps[j]))
		}
	}
	for _, insert := range []struct {
		sql  string
		rows any
	}{{insertDefinitions, definitions}, {insertJobs, records}, {insertSteps, steps}} {
		data, err := json.Marshal(insert.rows)
		if err != nil {
			return fmt.Errorf("encode new jobs: %w", err)
		}
		batch.Queue(insert.sql, string(data))
	}
	if len(fires) > 0 {
		if err := queueFires(batch, fires); err != nil {
			return err
		}
	}
	if len(deliveries) > 0 {
		if err := queueDeliveries(batch, deliveries); err != nil {
			return err
		}
	}
	if len(audited) > 0 {
		if err := queueAudit(batch, audited); err != nil {
			return err
		}
	}
	return nil
}

// JobByIdempotencyKey returns the id and the input of the job that was created with a key, which is given as its hash.
func (s *Store) JobByIdempotencyKey(ctx context.Context, workspace, task, key string) (core.Job, error) {
	var job core.Job
	err := s.read.QueryRow(ctx,
		"select job_id, input, input_sealed from job where workspace = $1 and task_name = $2 and idempotency_key = $3",
		workspace, task, key).Scan(&job.ID, &job.Input, &job.InputSealed)
	if err != nil {
		return core.Job{}, notFound(err, "Job not found")
	}
	return job, nil
}

// The rows travel as one JSON document per table: one parameter whatever their number, and arrays and documents inside
// rows need no encoding of their own.
type definitionRecord struct {
	Hash bytea           `json:"hash"`
	Body json.RawMessage `json:"body"`
}

const insertDefinitions = `
	insert into task_definition (hash, body)
	select hash, body from json_to_recordset($1::json) as t (hash bytea, body jsonb)
	where not exists (select from task_definition d where d.hash = t.hash)
	order by hash on conflict do nothing`

type jobRecord struct {
	JobID          uuid.UUID       `json:"job_id"`
	Workspace      string          `json:"workspace"`
	TaskName       string          `json:"task_name"`
	Mode           string          `json:"mode"`
	Status         core.JobStatus  `json:"status"`
	Input          json.RawMessage `json:"input"`
	InputSealed    *bytea          `json:"input_sealed"`
	MaskSealed     []bytea         `json:"mask_sealed"`
	SourceType     core.SourceType `json:"source_type"`
	SourceID       *string         `json:"source_id"`
	IdempotencyKey *string         `json:"idempotency_key"`
	Revision       string          `json:"revision"`
	RevisionDigest *string         `json:"revision_digest"`
	DefinitionHash bytea           `json:"definition_hash"`
	ParentJobID    *uuid.UUID      `json:"parent_job_id"`
	ParentStepName *string         `json:"parent_step_name"`
	OriginJobID    *uuid.UUID      `json:"origin_job_id"`
	Depth          int             `json:"depth"`
	TimeoutSecs    *float64        `json:"timeout_secs"`
	OpenSteps      int             `json:"open_steps"`
}

const insertJobs = `
	insert into job (job_id, workspace, task_name, mode, status, input, input_sealed, mask_sealed, source_type, source_id,
		idempotency_key, revision, revision_digest, definition_hash, parent_job_id, parent_step_name, origin_job_id, depth,
		timeout_secs, open_steps, started_at, deadline_at)
	select job_id, workspace, task_name, mode, status, input, input_sealed, mask_sealed, source_type, source_id,
		idempotency_key, revision, revision_digest, definition_hash, parent_job_id, parent_step_name, origin_job_id, depth,
		timeout_secs, open_steps, case when status = 'running' then now() end,
		case when status = 'running' then now() + timeout_secs * interval '1 second' end
	from json_to_recordset($1::json) as t (job_id uuid, workspace text, task_name text, mode text, status text,
		input jsonb, input_sealed bytea, mask_sealed bytea[], source_type text, source_id text, idempotency_key text, revision text, revision_digest text, definition_hash bytea,
		parent_job_id uuid, parent_step_name text, origin_job_id uuid, depth smallint, timeout_secs float8, open_steps int)`

func newJobRecord(job *core.NewJob) jobRecord {
	r := jobRecord{
		JobID: job.ID, Workspace: job.Workspace, TaskName: job.TaskName, Mode: job.Mode, Status: job.Status,
		Input: job.Input, SourceType: job.SourceType, SourceID: optional(job.SourceID),
		IdempotencyKey: optional(job.IdempotencyKey), Revision: job.Revision, RevisionDigest: optional(job.RevisionDigest), DefinitionHash: job.DefinitionHash,
		ParentJobID: optional(job.ParentJobID), ParentStepName: optional(job.ParentStepName),
		OriginJobID: optional(job.OriginJobID), Depth: job.Depth,
		TimeoutSecs: optional(seconds(job.Timeout)), OpenSteps: job.Progress.OpenSteps,
	}
	if job.InputSealed != nil {
		r.InputSealed = (*bytea)(&job.InputSealed)
	}
	for _, sealed := range job.MaskSealed {
		r.MaskSealed = append(r.MaskSealed, sealed)
	}
	return r
}

type stepRecord struct {
	StepID            core.StepID     `json:"step_id"`
	JobID             uuid.UUID       `json:"job_id"`
	StepName          string          `json:"step_name"`
	ActionName        string          `json:"action_name"`
	ActionType        string          `json:"action_type"`
	ActionImage       *string         `json:"action_image"`
	ActionSpec        json.RawMessage `json:"action_spec"`
	Input             json.RawMessage `json:"input"`
	InputSealed       *bytea          `json:"input_sealed"`
	Status            core.StepStatus `json:"status"`
	RequiredTags      []string        `json:"required_tags"`
	Runner            string          `json:"runner"`
	Executor          string          `json:"executor"`
	ContinueOnFailure bool            `json:"continue_on_failure"`
	Dependants        []core.StepID   `json:"dependants"`
	OpenDeps          int             `json:"open_deps"`
	RouteID           *int            `json:"route_id"`
	TimeoutSecs       *float64        `json:"timeout_secs"`
}

const insertSteps = `
	insert into job_step (step_id, job_id, step_name, flow_step, action_name, action_type, action_image, action_spec, input,
		input_sealed, status, required_tags, runner, executor, continue_on_failure, dependants, open_deps, route_id, timeout_secs,
		ready_at, started_at, deadline_at)
	select step_id, job_id, step_name, step_name, action_name, action_type, action_image, action_spec, input,
		input_sealed, status, required_tags, runner, executor, continue_on_failure, dependants, open_deps, route_id, timeout_secs,
		case when status in ('ready', 'running') then clock_timestamp() end, case when status = 'running' then now() end,
		case when status = 'running' then now() + timeout_secs * interval '1 second' end
	from json_to_recordset($1::json) as t (step_id bigint, job_id uuid, step_name text, action_name text, action_type text,
		action_image text, action_spec jsonb, input jsonb, input_sealed bytea, status text, required_tags jsonb, runner text, executor text,
		continue_on_failure bool, dependants bigint[], open_deps int, route_id int, timeout_secs float8)`

func newStepRecord(step *core.NewStep) stepRecord {
	executor := "worker"
	if step.Route == 0 {
		executor = "server"
	}
	dependants := step.Dependants
	if dependants == nil {
		dependants = []core.StepID{}
	}
	r := stepRecord{
		StepID: step.ID, JobID: step.JobID, StepName: step.Name, ActionName: step.ActionName, ActionType: step.ActionType,
		ActionImage: optional(step.ActionImage), ActionSpec: step.Spec, Input: step.Input, Status: step.Status,
		RequiredTags: step.Tags, Runner: step.Runner, Executor: executor, ContinueOnFailure: step.ContinueOnFailure,
		Dependants: dependants, OpenDeps: step.OpenDeps, RouteID: optional(step.Route),
		TimeoutSecs: optional(seconds(step.Timeout)),
	}
	if step.InputSealed != nil {
		r.InputSealed = (*bytea)(&step.InputSealed)
	}
	return r
}

// bytea is a byte string in PostgreSQL's text form.
type bytea []byte

func (b bytea) MarshalText() ([]byte, error) { return []byte(`\x` + hex.EncodeToString(b)), nil }

// optional is nil, NULL in the database, for a zero value.
func optional[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

func seconds(d core.Duration) float64 { return time.Duration(d).Seconds() }
