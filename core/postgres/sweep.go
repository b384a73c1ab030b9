package postgres

import (
	"context"
	"fmt"
	"time"

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
		batch.Queue(`select s.step_id, s.worker_id, w.name, w.last_heartbeat from job_step s left join worker w using (worker_id)
			where s.status = 'running' and `+condition+" order by s.step_id limit 1000", args...).
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

// findUnclaimable looks at the ready steps of each route that no worker covers. A worker that was heard of within the limit
// counts, though it is gone: what it had no room for is not to fail in the minute in which it is replaced.
const findUnclaimable = `
	select s.step_id, s.action_type, s.required_tags,
		exists (select from worker w where w.status = 'active' and w.tags ? (s.required_tags->>0)),
		coalesce((select t.plugin from action_type t where t.name = s.action_type limit 1), '')
	from route r, lateral (
		select step_id, action_type, required_tags from job_step
		where route_id = r.route_id and status = 'ready' and ready_at < now() - $1::float8 * interval '1 second'
		order by priority desc, ready_at, step_id limit 1000) s
	where not exists (select from worker w where w.status = 'active' and w.tags @> to_jsonb(r.tags))
		and not exists (select from worker w where w.last_heartbeat > now() - $1::float8 * interval '1 second' and w.tags @> to_jsonb(r.tags))
	order by s.step_id limit 1000`

// Unclaimable returns steps that have been ready for longer than limit, and that no worker could have run in that time; the
// next call returns those for which there was no room.
func (s *Store) Unclaimable(ctx context.Context, limit time.Duration) ([]core.UnclaimableStep, error) {
	var found []core.UnclaimableStep
	batch := &pgx.Batch{}
	batch.Queue(findUnclaimable, limit.Seconds()).Query(func(rows pgx.Rows) (err error) {
		found, err = pgx.CollectRows(rows, scanUnclaimable)
		return err
	})
	if err := s.inspect(ctx, batch); err != nil {
		return nil, fmt.Errorf("look for steps that nobody can run: %w", err)
	}
	return found, nil
}

func scanUnclaimable(row pgx.CollectableRow) (step core.UnclaimableStep, err error) {
	var actionType, plugin string
	var tags []string
	var offered bool
	err = row.Scan(&step.ID, &actionType, &tags, &offered, &plugin)
	step.Reason = core.WaitingReason(actionType, tags, offered, plugin)
	return step, err
}

func scanOverdue(row pgx.CollectableRow) (core.OverdueStep, error) {
	var step core.OverdueStep
	var worker *uuid.UUID
	var name *string
	var heard *time.Time
	err := row.Scan(&step.ID, &worker, &name, &heard)
	step.WorkerID, step.Worker, step.Heard = value(worker), value(name), value(heard)
	return step, err
}

const workerGone = `not exists (select from worker w where w.worker_id = s.worker_id and w.status = 'active')`
