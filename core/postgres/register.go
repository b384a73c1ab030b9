package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// TakeOver decides what becomes of the running steps of workers that were superseded. The state holds these steps and
// their dependants; steps that others run by now may be among them. held are those that can be found again. It is called
// as [Decide] is.
type TakeOver = func(ctx context.Context, superseded []uuid.UUID, held []core.HeldStep, state *core.State,
	more func([]core.StepID) error) (*core.Changes, error)

// RegisterWorker stores a new worker with what its plugins run, marks the older workers of its name as superseded by it,
// and writes what is decided about their steps, all in one transaction. It returns the older ones. Of several workers that
// register under one name at the same time, one supersedes the other.
func (s *Store) RegisterWorker(
	ctx context.Context, w core.Worker, types []core.ActionType, tokenHash []byte, decide TakeOver,
) (older []uuid.UUID, err error) {
	for range transitionAttempts {
		err = pgx.BeginFunc(ctx, s.hot, func(tx pgx.Tx) error {
			if older, err = supersede(ctx, tx, w, tokenHash); err != nil {
				return err
			}
			if len(older) > 0 {
				if err := takeOver(ctx, tx, older, decide); err != nil {
					return fmt.Errorf("take over the steps of the older worker: %w", err)
				}
			}
			return saveActionTypes(ctx, tx, types)
		})
		if !retryable(err) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("register worker: %w", err)
	}
	return older, nil
}

// supersede stores the worker in place of the older ones of its name.
func supersede(ctx context.Context, tx pgx.Tx, w core.Worker, tokenHash []byte) (older []uuid.UUID, err error) {
	tags, err := json.Marshal(w.Tags)
	if err != nil {
		return nil, fmt.Errorf("encode tags: %w", err)
	}
	batch, revoked := &pgx.Batch{}, false
	// The next statement sees what the holder of the lock before has committed.
	batch.Queue(lockName, w.Name)
	batch.Queue("select exists (select from worker where name = $1 and revoked_at is not null)", w.Name).
		QueryRow(func(row pgx.Row) error { return row.Scan(&revoked) })
	batch.Queue(`update worker set status = 'inactive', superseded_by = $1
		where name = $2 and superseded_by is null returning worker_id`, w.ID, w.Name).Query(func(rows pgx.Rows) (err error) {
		older, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	batch.Queue(`insert into worker (worker_id, name, capabilities, tags, version, plugins, token_hash, token_name, last_heartbeat)
		values ($1, $2, $3, $3, $4, $5, $6, $7, now())`, w.ID, w.Name, tags, w.Version, w.Plugins, tokenHash, w.Token)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, err
	}
	if revoked {
		return nil, core.ErrWorkerRevoked
	}
	return older, nil
}

// lockName has registrations under a name, and what is decided about it, come one after the other.
const lockName = "select pg_advisory_xact_lock(hashtextextended('worker ' || current_schema() || ' ' || $1, 0))"

// takeOver locks the steps of workers as every transition does, and writes what is decided. It asks also when there are none
// any more: what was decided in an attempt before does not hold then.
func takeOver(ctx context.Context, tx pgx.Tx, older []uuid.UUID, decide TakeOver) error {
	rows, err := tx.Query(ctx, "select step_id from job_step where status = 'running' and worker_id = any($1)", older)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[core.StepID])
	if err != nil {
		return err
	}
	var held []core.HeldStep
	state, batch := newState(), &pgx.Batch{}
	if len(ids) > 0 {
		queueState(batch, core.Selection{Steps: ids}, state)
		batch.Queue(heldSteps, ids).Query(func(rows pgx.Rows) (err error) {
			held, err = pgx.CollectRows(rows, scanHeld)
			return err
		})
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("lock and load: %w", err)
		}
	}
	changes, err := decide(ctx, older, held, state, loadMore(ctx, tx, state))
	if err != nil || changes == nil {
		return err
	}
	batch = &pgx.Batch{}
	if err := queueChanges(batch, changes); err != nil {
		return err
	}
	return tx.SendBatch(ctx, batch).Close()
}

const (
	heldSteps = "select " + heldColumns + ` from job_step s join job j using (job_id)
		where s.step_id = any($1) and s.status = 'running' and s.started_at is not null and s.runner_state is not null`

	heldColumns = `s.step_id, s.job_id, s.step_name, s.action_name, s.action_type, s.runner, s.required_tags, s.attempt, s.worker_id,
		coalesce(s.timeout_secs, 0), j.workspace, j.task_name, coalesce(j.revision, ''), coalesce(j.revision_digest, ''), s.runner_state,
		s.runner_state_sealed, j.mask_sealed, extract(epoch from now() - s.started_at)::float8`
)

func scanHeld(row pgx.CollectableRow) (core.HeldStep, error) {
	var h core.HeldStep
	var timeout, ran float64
	err := row.Scan(&h.ID, &h.JobID, &h.Name, &h.ActionName, &h.ActionType, &h.Runner, &h.Tags, &h.Attempt, &h.WorkerID,
		&timeout, &h.Workspace, &h.TaskName, &h.Revision, &h.RevisionDigest, &h.RunnerState,
		&h.RunnerStateSealed, &h.MaskSealed, &ran)
	h.Timeout, h.Ran, h.Status = duration(timeout), duration(ran), core.StepRunning
	return h, err
}

// maxLostRuns bounds what is told of at once; the rest is told at the next registration.
const maxLostRuns = 1000

// LostRuns returns the steps that ended without a word of a worker of this name, and that can be found again: something of
// them may be left.
func (s *Store) LostRuns(ctx context.Context, worker string) ([]core.HeldStep, error) {
	rows, err := s.read.Query(ctx, "select "+heldColumns+` from worker w join job_step s using (worker_id) join job j using (job_id)
		where w.name = $1 and s.stop_reason = 'superseded' and s.status in ('failed', 'cancelled')
			and s.started_at is not null and s.runner_state is not null
		order by s.step_id limit $2`, worker, maxLostRuns)
	if err != nil {
		return nil, fmt.Errorf("find lost runs: %w", err)
	}
	lost, err := pgx.CollectRows(rows, scanHeld)
	if err != nil {
		return nil, fmt.Errorf("find lost runs: %w", err)
	}
	return lost, nil
}

// ForgetRuns notes that nothing is left of lost runs of the workers that have this worker's name.
func (s *Store) ForgetRuns(ctx context.Context, worker uuid.UUID, ids []core.StepID) error {
	_, err := s.read.Exec(ctx, `update job_step s set stop_reason = null, runner_state = null, runner_state_sealed = null
		from worker w join worker older using (name)
		where w.worker_id = $1 and s.step_id = any($2) and s.worker_id = older.worker_id
			and s.stop_reason = 'superseded' and s.status in ('failed', 'cancelled')`, worker, ids)
	if err != nil {
		return fmt.Errorf("forget lost runs: %w", err)
	}
	return nil
}
