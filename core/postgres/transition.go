package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stroem/stroem/core"
)

// transitionAttempts is how often a transition is tried whose rows were changed by somebody else, or that met a
// deadlock or a failed serialisation.
const transitionAttempts = 5

// Decide looks at the state under lock and returns what is to change; nil changes nothing. With more it loads further
// steps into the state. It may be called again with a new state if the transaction could not be committed, and must
// then not remember anything of the call before.
type Decide = func(ctx context.Context, state *core.State, more func([]core.StepID) error) (*core.Changes, error)

// Transition locks the selected jobs, lets decide look at them and writes what it decided, all in one transaction: one
// round trip to lock and load, one to write and commit. Jobs and steps that do not exist are absent from the state.
func (s *Store) Transition(ctx context.Context, sel core.Selection, decide Decide) error {
	var err error
	for range transitionAttempts {
		if err = s.transition(ctx, sel, decide); !retryable(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("change jobs: %w", err)
	}
	return nil
}

func retryable(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pgErr.Code == "40001" || pgErr.Code == "40P01")
}

func (s *Store) transition(ctx context.Context, sel core.Selection, decide Decide) (err error) {
	conn, err := s.hot.Acquire(ctx)
	if err != nil {
		return unreachable(err)
	}
	defer conn.Release()
	defer func() {
		if err != nil { // a connection whose transaction cannot be rolled back is closed by Release
			_, _ = conn.Exec(context.WithoutCancel(ctx), "rollback")
		}
	}()
	state, batch := newState(), &pgx.Batch{}
	batch.Queue("begin")
	queueState(batch, sel, state)
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return unreachable(fmt.Errorf("lock and load: %w", err))
	}
	changes, err := decide(ctx, state, loadMore(ctx, conn, state))
	if err != nil {
		return err
	}
	batch = &pgx.Batch{}
	if changes != nil {
		if err := queueChanges(batch, changes); err != nil {
			return err
		}
	}
	batch.Queue("commit")
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return unreachable(fmt.Errorf("write and commit: %w", dataError(err)))
	}
	return nil
}

func newState() *core.State {
	return &core.State{Jobs: map[uuid.UUID]*core.Job{}, Steps: map[core.StepID]*core.Step{}}
}

// sender is a connection or a transaction.
type sender interface {
	SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
}

func loadMore(ctx context.Context, conn sender, state *core.State) func([]core.StepID) error {
	return func(ids []core.StepID) error {
		batch := &pgx.Batch{}
		batch.Queue(loadSteps, ids).Query(intoSteps(state))
		return conn.SendBatch(ctx, batch).Close()
	}
}

// A step's job never changes, so the jobs to lock can be looked up before they are locked. The steps are read by later
// statements, whose snapshots are newer than the locks.
const (
	lockJobs = `
		select ` + jobColumns + ` from job
		where job_id = any($2) or job_id = any(array(select job_id from job_step where step_id = any($1)))
		order by job_id for update`
	lockJobsOfSteps = `
		select ` + jobColumns + ` from job
		where job_id = any(array(select distinct job_id from job_step where step_id = any($1)))
		order by job_id for update`
	loadSteps = `select ` + stepColumns + ` from job_step where step_id = any($1)`
	// Their dependants, all of which are pending or ended: no claim can touch them.
	loadDependants = `select ` + stepColumns + ` from job_step
		where step_id = any(array(select unnest(dependants) from job_step where step_id = any($1)))`
	// Ready steps may be claimed at this moment: the row locks wait for that, and the rows are read as they are then.
	loadOpenSteps = `select ` + stepColumns + ` from job_step
		where job_id = any($1) and status in ('pending', 'ready', 'running') order by step_id for update`

	jobColumns = `job_id, workspace, task_name, status, source_type, worker_id, parent_job_id, coalesce(parent_step_name, ''),
		created_at, started_at, coalesce(error_message, ''), coalesce(timeout_secs, 0),
		open_steps, intolerable_failures, cancel_requested_at is not null, timed_out, definition_hash, origin_job_id`
	stepColumns = `step_id, job_id, step_name, status, attempt, worker_id, started_at, continue_on_failure, open_deps,
		dependants, coalesce(route_id, 0), coalesce(timeout_secs, 0), lease_hash, coalesce(stop_reason, '')`
)

func queueState(batch *pgx.Batch, sel core.Selection, state *core.State) {
	if len(sel.Jobs) == 0 {
		batch.Queue(lockJobsOfSteps, sel.Steps).Query(intoJobs(state))
	} else {
		batch.Queue(lockJobs, sel.Steps, sel.Jobs).Query(intoJobs(state))
		batch.Queue(loadOpenSteps, sel.Jobs).Query(intoSteps(state))
	}
	if len(sel.Steps) > 0 {
		batch.Queue(loadSteps, sel.Steps).Query(intoSteps(state))
		batch.Queue(loadDependants, sel.Steps).Query(intoSteps(state))
	}
}

func intoJobs(state *core.State) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		for rows.Next() {
			var j core.Job
			var worker, parent, origin *uuid.UUID
			var started *time.Time
			var timeout float64
			if err := rows.Scan(&j.ID, &j.Workspace, &j.TaskName, &j.Status, &j.SourceType, &worker, &parent, &j.ParentStepName,
				&j.CreatedAt, &started, &j.ErrorMessage, &timeout, &j.Progress.OpenSteps, &j.Progress.IntolerableFailures,
				&j.Progress.CancelRequested, &j.Progress.TimedOut, &j.DefinitionHash, &origin); err != nil {
				return err
			}
			j.OriginJobID = value(origin)
			j.WorkerID, j.ParentJobID, j.StartedAt, j.Timeout = value(worker), value(parent), value(started), duration(timeout)
			state.Jobs[j.ID] = &j
		}
		return rows.Err()
	}
}

func intoSteps(state *core.State) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		for rows.Next() {
			var s core.Step
			var worker *uuid.UUID
			var started *time.Time
			var timeout float64
			if err := rows.Scan(&s.ID, &s.JobID, &s.Name, &s.Status, &s.Attempt, &worker, &started, &s.ContinueOnFailure,
				&s.OpenDeps, &s.Dependants, &s.Route, &timeout, &s.LeaseHash, &s.StopReason); err != nil {
				return err
			}
			s.WorkerID, s.StartedAt, s.Timeout = value(worker), value(started), duration(timeout)
			state.Steps[s.ID] = &s
		}
		return rows.Err()
	}
}
