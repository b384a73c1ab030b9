package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// ListJobs returns the jobs that match, newest first, and their number, counted up to core.CountLimit; one more stands
// for "more than that".
func (s *Store) ListJobs(ctx context.Context, f core.JobFilter) (jobs []core.Job, total int, err error) {
	where, args := conditions(f)
	batch := &pgx.Batch{}
	batch.Queue(fmt.Sprintf("select count(*) from (select from job where %s limit %d) as counted", where, core.CountLimit+1), args...).
		QueryRow(func(row pgx.Row) error { return row.Scan(&total) })
	if !f.BeforeTime.IsZero() {
		args = append(args, f.BeforeTime, f.BeforeID)
		where += fmt.Sprintf(" and (created_at, job_id) < ($%d, $%d)", len(args)-1, len(args))
	}
	batch.Queue(fmt.Sprintf("select %s from job where %s order by created_at desc, job_id desc limit %d offset %d",
		listColumns, where, f.Limit, f.Offset), args...).
		Query(func(rows pgx.Rows) (err error) {
			jobs, err = pgx.CollectRows(rows, scanJob)
			return err
		})
	if err := s.read.SendBatch(ctx, batch).Close(); err != nil {
		return nil, 0, fmt.Errorf("list jobs: %w", err)
	}
	return jobs, total, nil
}

// conditions are built from constants and numbered parameters only.
func conditions(f core.JobFilter) (where string, args []any) {
	parts := []string{"true"}
	add := func(condition string, arg any) {
		args = append(args, arg)
		parts = append(parts, fmt.Sprintf(condition, len(args)))
	}
	if f.Workspace != "" {
		add("workspace = $%d", f.Workspace)
	}
	if f.TaskName != "" {
		add("task_name = $%d", f.TaskName)
	}
	if len(f.Statuses) > 0 {
		add("status = any($%d)", f.Statuses)
	}
	if len(f.SourceTypes) > 0 {
		add("source_type = any($%d)", f.SourceTypes)
	}
	if !f.Since.IsZero() {
		add("created_at >= $%d", f.Since)
	}
	if !f.Until.IsZero() {
		add("created_at < $%d", f.Until)
	}
	if f.ParentJobID != uuid.Nil {
		add("parent_job_id = $%d", f.ParentJobID)
	}
	if f.HookOf != uuid.Nil {
		add("origin_job_id = $%d and source_type = 'hook'", f.HookOf)
	}
	if f.WorkerID != uuid.Nil {
		add("worker_id = $%d", f.WorkerID)
	}
	if len(f.Visible) > 0 {
		var condition string
		condition, args = visible(f.Visible, args)
		parts = append(parts, condition)
	}
	return strings.Join(parts, " and "), args
}

const listColumns = `job_id, workspace, task_name, mode, status, source_type, coalesce(source_id, ''), worker_id,
	coalesce(revision, ''), created_at, started_at, completed_at`

func scanJob(row pgx.CollectableRow) (core.Job, error) { return scanJobAnd(row) }

func scanJobAnd(row pgx.CollectableRow, more ...any) (core.Job, error) {
	var j core.Job
	var worker *uuid.UUID
	var started, completed *time.Time
	err := row.Scan(append([]any{
		&j.ID, &j.Workspace, &j.TaskName, &j.Mode, &j.Status, &j.SourceType, &j.SourceID, &worker,
		&j.Revision, &j.CreatedAt, &started, &completed,
	}, more...)...)
	j.WorkerID, j.StartedAt, j.CompletedAt = value(worker), value(started), value(completed)
	return j, err
}

// GetJob returns a job and its steps in topological order.
func (s *Store) GetJob(ctx context.Context, id uuid.UUID) (core.Job, []core.Step, error) {
	var job core.Job
	var steps []core.Step
	var body []byte
	batch := &pgx.Batch{}
	batch.Queue("select "+listColumns+`, input, output, coalesce(error_message, ''), parent_job_id,
			coalesce(parent_step_name, ''), cancel_requested_at is not null, mask_sealed, d.body
		from job join task_definition d on d.hash = definition_hash where job_id = $1`, id).Query(func(rows pgx.Rows) (err error) {
		job, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (core.Job, error) {
			var parent *uuid.UUID
			var rest core.Job
			j, err := scanJobAnd(row, &rest.Input, &rest.Output, &rest.ErrorMessage, &parent, &rest.ParentStepName,
				&rest.Progress.CancelRequested, &rest.MaskSealed, &body)
			j.Input, j.Output, j.ErrorMessage, j.ParentStepName = rest.Input, rest.Output, rest.ErrorMessage, rest.ParentStepName
			j.ParentJobID, j.Progress, j.MaskSealed = value(parent), rest.Progress, rest.MaskSealed
			return j, err
		})
		return err
	})
	batch.Queue(stepDetails, id).Query(func(rows pgx.Rows) (err error) {
		steps, err = pgx.CollectRows(rows, scanStep)
		return err
	})
	if err := s.read.SendBatch(ctx, batch).Close(); err != nil {
		return core.Job{}, nil, notFound(fmt.Errorf("load job: %w", err), "Job not found")
	}
	var definition core.Definition
	if err := json.Unmarshal(body, &definition); err != nil {
		return core.Job{}, nil, fmt.Errorf("decode task definition: %w", err)
	}
	for i := range steps {
		steps[i].DependsOn = definition.Task.Flow[steps[i].Name].DependsOn
	}
	return job, steps, nil
}

// Step ids ascend in topological order. A ready step is stuck when no active worker has its tags.
const stepDetails = `
	select step_id, job_id, step_name, action_name, action_type, coalesce(action_image, ''), runner, required_tags, input,
		output, status, attempt, worker_id, ready_at, claimed_at, started_at, completed_at, exit_code,
		coalesce(error_message, ''), coalesce(stop_reason, ''), continue_on_failure,
		status = 'ready' and not exists (select from worker w where w.status = 'active' and w.tags @> s.required_tags),
		exists (select from worker w where w.status = 'active' and w.tags ? (s.required_tags->>0)),
		coalesce((select t.plugin from action_type t where t.name = s.action_type limit 1), '')
	from job_step s where job_id = $1 order by step_id`

func scanStep(row pgx.CollectableRow) (core.Step, error) {
	var s core.Step
	var worker *uuid.UUID
	var ready, claimed, started, completed *time.Time
	var stuck, offered bool
	var plugin string
	err := row.Scan(&s.ID, &s.JobID, &s.Name, &s.ActionName, &s.ActionType, &s.ActionImage, &s.Runner, &s.Tags, &s.Input,
		&s.Output, &s.Status, &s.Attempt, &worker, &ready, &claimed, &started, &completed, &s.ExitCode,
		&s.ErrorMessage, &s.StopReason, &s.ContinueOnFailure, &stuck, &offered, &plugin)
	if stuck {
		s.WaitingReason = core.WaitingReason(s.ActionType, s.Tags, offered, plugin)
	}
	s.WorkerID, s.ReadyAt, s.ClaimedAt, s.StartedAt, s.CompletedAt = value(worker), value(ready), value(claimed), value(started), value(completed)
	return s, err
}

// JobStatus returns a job's status alone.
func (s *Store) JobStatus(ctx context.Context, id uuid.UUID) (core.JobStatus, error) {
	var status core.JobStatus
	if err := s.read.QueryRow(ctx, "select status from job where job_id = $1", id).Scan(&status); err != nil {
		return "", notFound(fmt.Errorf("load job status: %w", err), "Job not found")
	}
	return status, nil
}

// StepLease returns a step's current attempt by its id, or by job and name if id is 0.
func (s *Store) StepLease(ctx context.Context, id core.StepID, jobID uuid.UUID, name string) (step core.ClaimedStep, err error) {
	const query = `
		select s.step_id, s.job_id, s.step_name, s.attempt, s.status, s.worker_id, s.lease_hash, j.workspace, coalesce(j.revision, ''),
			coalesce(j.revision_digest, ''), j.mask_sealed
		from job_step s join job j using (job_id) where `
	condition, args := "s.step_id = $1", []any{id}
	if id == 0 {
		condition, args = "s.job_id = $1 and s.step_name = $2", []any{jobID, name}
	}
	var worker *uuid.UUID
	err = s.hot.QueryRow(ctx, query+condition, args...).
		Scan(&step.ID, &step.JobID, &step.Name, &step.Attempt, &step.Status, &worker, &step.LeaseHash, &step.Workspace, &step.Revision,
			&step.RevisionDigest, &step.MaskSealed)
	step.WorkerID = value(worker)
	if err != nil {
		return core.ClaimedStep{}, notFound(fmt.Errorf("load lease: %w", err), "Step not found")
	}
	return step, nil
}

// SaveRunnerState keeps what a runner said when it started a step, and beside it what that hides, as long as the lease is
// the current one. It tells whether it was.
func (s *Store) SaveRunnerState(ctx context.Context, id core.StepID, leaseHash, state, sealed []byte) (bool, error) {
	tag, err := s.hot.Exec(ctx, `update job_step set runner_state = $3, runner_state_sealed = $4
		where step_id = $1 and lease_hash = $2 and status = 'running'`, id, leaseHash, state, sealed)
	if err != nil {
		return false, fmt.Errorf("store runner state: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}
