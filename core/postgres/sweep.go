package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// Overdue finds what is past its time: all of it, whenever it came to be so, so that a sweep that died half-way is made
// good by the next.
func (s *Store) Overdue(ctx context.Context, limits core.SweepLimits) (core.Overdue, error) {
	var o core.Overdue
	batch := &pgx.Batch{}
	find := func(into *[]core.OverdueStep, condition string, args ...any) {
		batch.Queue("select s.step_id, s.worker_id from job_step s where s.status = 'running' and "+condition+" order by s.step_id limit 1000", args...).
			Query(func(rows pgx.Rows) (err error) {
				*into, err = pgx.CollectRows(rows, scanOverdue)
				return err
			})
	}
	find(&o.Unstarted, `s.executor = 'worker' and s.started_at is null
		and (s.claimed_at < now() - $1::float8 * interval '1 second' or `+workerGone+`)`, limits.Start.Seconds())
	find(&o.Lost, `s.executor = 'worker' and s.started_at is not null and `+workerGone)
	find(&o.TimedOut, `s.executor = 'worker' and s.deadline_at < now() - $1::float8 * interval '1 second'`, limits.Grace.Seconds())
	find(&o.Unstopped, `s.executor = 'worker' and s.stop_requested_at < now() - $1::float8 * interval '1 second'`, limits.Stop.Seconds())
	find(&o.TimedOutTasks, `s.executor = 'server' and s.deadline_at < now()`)
	batch.Queue(`select job_id from job where deadline_at < now() and status in ('pending', 'running') and not timed_out
		order by job_id limit 1000`).Query(func(rows pgx.Rows) (err error) {
		o.TimedOutJobs, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	if err := s.read.SendBatch(ctx, batch).Close(); err != nil {
		return core.Overdue{}, fmt.Errorf("look for what is overdue: %w", err)
	}
	return o, nil
}

func scanOverdue(row pgx.CollectableRow) (core.OverdueStep, error) {
	var step core.OverdueStep
	var worker *uuid.UUID
	err := row.Scan(&step.ID, &worker)
	step.WorkerID = value(worker)
	return step, err
}

const workerGone = `not exists (select from worker w where w.worker_id = s.worker_id and w.status = 'active')`
