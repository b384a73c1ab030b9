package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// GetJobRow returns a job without its steps.
func (s *Store) GetJobRow(ctx context.Context, id uuid.UUID) (job core.Job, err error) {
	var source *string
	var origin *uuid.UUID
	var started *time.Time
	err = s.read.QueryRow(ctx, `select job_id, workspace, task_name, status, source_type, source_id, coalesce(revision, ''),
			coalesce(revision_digest, ''), definition_hash, input, input_sealed, mask_sealed, origin_job_id, depth, created_at,
			started_at, coalesce(error_message, '')
		from job where job_id = $1`, id).Scan(&job.ID, &job.Workspace, &job.TaskName, &job.Status, &job.SourceType, &source, &job.Revision,
		&job.RevisionDigest, &job.DefinitionHash, &job.Input, &job.InputSealed, &job.MaskSealed, &origin, &job.Depth, &job.CreatedAt,
		&started, &job.ErrorMessage)
	if err != nil {
		return core.Job{}, notFound(fmt.Errorf("load job: %w", err), "Job not found")
	}
	job.SourceID, job.OriginJobID, job.StartedAt = value(source), value(origin), value(started)
	return job, nil
}

// FailedSteps returns name, action, error and continue_on_failure of the steps of a job that failed.
func (s *Store) FailedSteps(ctx context.Context, job uuid.UUID) ([]core.Step, error) {
	rows, err := s.read.Query(ctx, `select step_id, step_name, action_name, coalesce(error_message, ''), continue_on_failure
		from job_step where job_id = $1 and status = 'failed'`, job)
	if err != nil {
		return nil, fmt.Errorf("load failed steps: %w", err)
	}
	steps, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (step core.Step, err error) {
		step.Status = core.StepFailed
		return step, row.Scan(&step.ID, &step.Name, &step.ActionName, &step.ErrorMessage, &step.ContinueOnFailure)
	})
	if err != nil {
		return nil, fmt.Errorf("load failed steps: %w", err)
	}
	return steps, nil
}

const (
	childColumns = `c.job_id, c.workspace, c.status, c.mask_sealed, s.job_id, s.step_id`
	childOfStep  = ` from job c join job_step s on s.job_id = c.parent_job_id and s.step_name = c.parent_step_name `
)

// EndedChildren returns child jobs that have ended while their step runs: those of the given ones, or all for nil.
func (s *Store) EndedChildren(ctx context.Context, ids []uuid.UUID) ([]core.ChildJob, error) {
	condition := "c.job_id = any($1)"
	if ids == nil { // from the running steps, of which there are few
		condition = "$1::uuid[] is null"
	}
	rows, err := s.read.Query(ctx, "select "+childColumns+childOfStep+`where s.status = 'running' and s.executor = 'server'
		and c.status in ('completed', 'failed', 'cancelled') and `+condition+" order by c.job_id limit 1000", ids)
	if err != nil {
		return nil, fmt.Errorf("look for child jobs that have ended: %w", err)
	}
	children, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c core.ChildJob, err error) {
		return c, row.Scan(&c.ID, &c.Workspace, &c.Status, &c.MaskSealed, &c.ParentJobID, &c.ParentStepID)
	})
	if err != nil {
		return nil, fmt.Errorf("look for child jobs that have ended: %w", err)
	}
	return children, nil
}

// StoppedChildren returns child jobs that go on though the step that they are for was told to stop, or has ended.
func (s *Store) StoppedChildren(ctx context.Context) ([]uuid.UUID, error) {
	rows, err := s.read.Query(ctx, "select c.job_id"+childOfStep+`where c.status in ('pending', 'running')
		and c.cancel_requested_at is null and (s.stop_reason is not null or s.status <> 'running') order by c.job_id limit 1000`)
	if err != nil {
		return nil, fmt.Errorf("look for child jobs to stop: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("look for child jobs to stop: %w", err)
	}
	return ids, nil
}

// SinkOutputs returns the outputs of a completed job's sink steps, by step, of which its own output is made.
func (s *Store) SinkOutputs(ctx context.Context, job uuid.UUID) (map[string]core.StepOutput, error) {
	rows, err := s.hot.Query(ctx, `select step_name, step_id, output, output_sealed from job_step
		where job_id = $1 and dependants = '{}' and output is not null`, job)
	if err != nil {
		return nil, fmt.Errorf("load the output of a job: %w", err)
	}
	return collectOutputs(rows)
}
