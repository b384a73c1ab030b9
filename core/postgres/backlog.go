package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// Each of these is answered from a partial index that holds what is open, and nothing of what has ended.
const (
	readQueues = `
		select r.tags, q.n, greatest(0, extract(epoch from clock_timestamp() - q.oldest))::float8
		from route r, lateral (
			select count(*) as n, min(ready_at) as oldest from job_step s where s.route_id = r.route_id and s.status = 'ready') q
		where q.n > 0 order by q.n desc, r.route_id`
	// Steps of the server's own have no worker.
	countRunning = `select count(worker_id), count(*) - count(worker_id) from job_step where status = 'running'`
	countOpen    = `select count(*) from job where status in ('pending', 'running')`
	// The table has a row for each trigger by time.
	readDelay = `select greatest(0, extract(epoch from clock_timestamp() - min(next_fire_at)))::float8 from schedule`
)

// forInspection bounds how long the database looks for an answer, also when nobody waits for it any more, and keeps it from
// compiling statements, which takes longer than they do.
const forInspection = `select set_config('statement_timeout', '5s', true), set_config('jit', 'off', true)`

// inspect runs statements that look at all that is open.
func (s *Store) inspect(ctx context.Context, batch *pgx.Batch) error {
	return pgx.BeginTxFunc(ctx, s.read, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, forInspection); err != nil {
			return err
		}
		return tx.SendBatch(ctx, batch).Close()
	})
}

// Backlog counts what waits and what runs. It takes at most some seconds, and fails then.
func (s *Store) Backlog(ctx context.Context) (core.Backlog, error) {
	var b core.Backlog
	batch := &pgx.Batch{}
	batch.Queue(readQueues).Query(func(rows pgx.Rows) (err error) {
		b.Queues, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (q core.Queue, err error) {
			var oldest float64
			err = row.Scan(&q.Tags, &q.Ready, &oldest)
			q.Oldest = time.Duration(duration(oldest))
			return q, err
		})
		return err
	})
	batch.Queue(countRunning).QueryRow(func(row pgx.Row) error { return row.Scan(&b.WorkerSteps, &b.ServerSteps) })
	batch.Queue(countOpen).QueryRow(func(row pgx.Row) error { return row.Scan(&b.OpenJobs) })
	batch.Queue(readDelay).QueryRow(func(row pgx.Row) error {
		var delay float64
		if err := row.Scan(&delay); err != nil {
			return err
		}
		b.ScheduleDelay = time.Duration(duration(delay))
		return nil
	})
	if err := s.inspect(ctx, batch); err != nil {
		return core.Backlog{}, fmt.Errorf("count what waits: %w", err)
	}
	return b, nil
}
