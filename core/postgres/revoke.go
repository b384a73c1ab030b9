package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// revoke marks a worker, and the one that has its name now. They are locked by id, as in Heartbeats.
const revoke = `
	with revoked as materialized (
		select worker_id from worker where name = $1 and (superseded_by is null or worker_id = $2)
		order by worker_id for no key update)
	update worker w set revoked_at = coalesce(w.revoked_at, now()), status = 'inactive'
	from revoked r where w.worker_id = r.worker_id returning w.worker_id`

// RevokeWorker marks a worker as revoked, and the one that has its name now if that is another, and writes what is decided about
// their steps, all in one transaction. It returns the workers.
func (s *Store) RevokeWorker(ctx context.Context, id uuid.UUID, decide TakeOver) (revoked []uuid.UUID, err error) {
	for range transitionAttempts {
		err = pgx.BeginFunc(ctx, s.hot, func(tx pgx.Tx) error {
			if revoked, err = changeName(ctx, tx, id, revoke, id); err != nil {
				return err
			}
			return takeOver(ctx, tx, revoked, decide)
		})
		if !retryable(err) {
			break
		}
	}
	if err != nil {
		return nil, notFound(fmt.Errorf("revoke worker: %w", err), "Worker not found")
	}
	return revoked, nil
}

// restore gives the workers tokens that nobody has: what was revoked does not come back, only the name. No hash of a token is
// that short.
const restore = `
	with revoked as materialized (
		select worker_id from worker where name = $1 and revoked_at is not null order by worker_id for no key update)
	update worker w set revoked_at = null, token_hash = uuid_send(gen_random_uuid())
	from revoked r where w.worker_id = r.worker_id returning w.worker_id`

// RestoreWorker lets the name of a worker register again, and returns the workers that were revoked.
func (s *Store) RestoreWorker(ctx context.Context, id uuid.UUID) (restored []uuid.UUID, err error) {
	err = pgx.BeginFunc(ctx, s.read, func(tx pgx.Tx) error {
		restored, err = changeName(ctx, tx, id, restore)
		return err
	})
	if err != nil {
		return nil, notFound(fmt.Errorf("restore worker: %w", err), "Worker not found")
	}
	return restored, nil
}

// changeName runs an update of the workers that have the name of one, while nobody registers under it.
func changeName(ctx context.Context, tx pgx.Tx, id uuid.UUID, update string, args ...any) (changed []uuid.UUID, err error) {
	var name string
	if err := tx.QueryRow(ctx, "select name from worker where worker_id = $1", id).Scan(&name); err != nil {
		return nil, err
	}
	batch := &pgx.Batch{}
	batch.Queue(lockName, name)
	batch.Queue(update, append([]any{name}, args...)...).Query(func(rows pgx.Rows) (err error) {
		changed, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	err = tx.SendBatch(ctx, batch).Close()
	return changed, err
}
