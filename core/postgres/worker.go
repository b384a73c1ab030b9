package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// UpdateWorker stores what a worker's plugins have become, and under which token it is let in now; "" leaves that as it is.
func (s *Store) UpdateWorker(ctx context.Context, w core.Worker, types []core.ActionType) error {
	tags, err := json.Marshal(w.Tags)
	if err != nil {
		return fmt.Errorf("encode tags: %w", err)
	}
	err = pgx.BeginFunc(ctx, s.read, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "update worker set tags = $2, plugins = $3, token_name = coalesce(nullif($4, ''), token_name) where worker_id = $1",
			w.ID, tags, w.Plugins, w.Token); err != nil {
			return err
		}
		return saveActionTypes(ctx, tx, types)
	})
	if err != nil {
		return fmt.Errorf("update worker: %w", err)
	}
	return nil
}

// WorkerByToken finds a worker by the hash of its token; superseded tells whether a newer one has taken its name.
func (s *Store) WorkerByToken(ctx context.Context, tokenHash []byte) (w core.Worker, superseded bool, err error) {
	rows, err := s.read.Query(ctx, "select "+workerColumns+", superseded_by is not null from worker where token_hash = $1", tokenHash)
	if err != nil {
		return core.Worker{}, false, fmt.Errorf("find worker: %w", err)
	}
	w, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (core.Worker, error) { return scanWorker(row, &superseded) })
	if err != nil {
		return core.Worker{}, false, notFound(fmt.Errorf("find worker: %w", err), "Worker not found")
	}
	return w, superseded, nil
}

// Heartbeats notes that workers were heard of at the given times, and makes those of them active that are neither
// superseded nor revoked. Workers are locked by id, here and in DeactivateWorkers: replicas may hear of the same ones.
func (s *Store) Heartbeats(ctx context.Context, heard map[uuid.UUID]time.Time) error {
	ids, times := make([]uuid.UUID, 0, len(heard)), make([]time.Time, 0, len(heard))
	for id, at := range heard {
		ids, times = append(ids, id), append(times, at)
	}
	_, err := s.read.Exec(ctx, `
		with locked as materialized (
			select worker_id from worker where worker_id = any($1) order by worker_id for no key update)
		update worker w
		set last_heartbeat = greatest(w.last_heartbeat, now() - ($3::timestamptz - h.at)),
			status = case when w.superseded_by is null and w.revoked_at is null then 'active' else w.status end
		from locked join unnest($1::uuid[], $2::timestamptz[]) as h (worker_id, at) using (worker_id)
		where w.worker_id = locked.worker_id`, ids, times, time.Now())
	if err != nil {
		return fmt.Errorf("note heartbeats: %w", err)
	}
	return nil
}

// DeactivateWorkers marks workers inactive that were not heard of for timeout, and returns them. They are judged by the time at
// which the database was asked, not at which it gets to it: if it could not be reached in between, that is not their silence.
func (s *Store) DeactivateWorkers(ctx context.Context, timeout time.Duration) ([]uuid.UUID, error) {
	var asked time.Time
	began := time.Now()
	if err := s.read.QueryRow(ctx, "select now()").Scan(&asked); err != nil {
		return nil, fmt.Errorf("ask the database for the time: %w", err)
	}
	if took := time.Since(began); took > max(time.Second, timeout/3) {
		return nil, fmt.Errorf("deactivate workers: the database took %s to answer", took)
	}
	rows, err := s.read.Query(ctx, `
		with silent as materialized (
			select worker_id from worker
			where status = 'active' and last_heartbeat < $1
			order by worker_id for no key update)
		update worker w set status = 'inactive' from silent where w.worker_id = silent.worker_id returning w.worker_id`,
		asked.Add(-timeout))
	if err != nil {
		return nil, fmt.Errorf("deactivate workers: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("deactivate workers: %w", err)
	}
	return ids, nil
}

// ListWorkers returns workers, active ones first, then those that are revoked, then the newest registration; total counts all.
func (s *Store) ListWorkers(ctx context.Context, limit, offset int) (workers []core.Worker, total int, err error) {
	if err := s.read.QueryRow(ctx, "select count(*) from worker").Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count workers: %w", err)
	}
	rows, err := s.read.Query(ctx, "select "+workerColumns+` from worker
		order by status, revoked_at is null, registered_at desc, worker_id limit $1 offset $2`, limit, offset)
	if err != nil {
		return nil, 0, fmt.Errorf("list workers: %w", err)
	}
	workers, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (core.Worker, error) { return scanWorker(row) })
	if err != nil {
		return nil, 0, fmt.Errorf("list workers: %w", err)
	}
	return workers, total, nil
}

// ActiveWorkers returns all workers that are active, by name.
func (s *Store) ActiveWorkers(ctx context.Context) ([]core.Worker, error) {
	rows, err := s.read.Query(ctx, "select "+workerColumns+" from worker where status = 'active' order by name, worker_id")
	if err != nil {
		return nil, fmt.Errorf("list active workers: %w", err)
	}
	workers, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (core.Worker, error) { return scanWorker(row) })
	if err != nil {
		return nil, fmt.Errorf("list active workers: %w", err)
	}
	return workers, nil
}

// GetWorker returns one worker.
func (s *Store) GetWorker(ctx context.Context, id uuid.UUID) (core.Worker, error) {
	rows, err := s.read.Query(ctx, "select "+workerColumns+" from worker where worker_id = $1", id)
	if err != nil {
		return core.Worker{}, fmt.Errorf("load worker: %w", err)
	}
	w, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (core.Worker, error) { return scanWorker(row) })
	if err != nil {
		return core.Worker{}, notFound(fmt.Errorf("load worker: %w", err), "Worker not found")
	}
	return w, nil
}

const workerColumns = "worker_id, name, status, tags, version, plugins, last_heartbeat, registered_at, token_name, revoked_at"

func scanWorker(row pgx.CollectableRow, more ...any) (core.Worker, error) {
	var w core.Worker
	var heartbeat, revoked *time.Time
	err := row.Scan(append([]any{
		&w.ID, &w.Name, &w.Status, &w.Tags, &w.Version, &w.Plugins, &heartbeat, &w.RegisteredAt, &w.Token, &revoked,
	}, more...)...)
	w.LastHeartbeat, w.RevokedAt = value(heartbeat), value(revoked)
	return w, err
}
