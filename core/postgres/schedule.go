package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stroem/stroem/core"
)

// ErrFired says that a trigger has fired for an instant already.
var ErrFired = core.Errorf(core.CodeConflict, "fired_already", "the trigger has fired for this instant already")

// Schedules returns all of them, by workspace and trigger.
func (s *Store) Schedules(ctx context.Context) ([]core.Schedule, error) {
	rows, err := s.read.Query(ctx, "select workspace, trigger_name, cron, timezone, next_fire_at from schedule order by workspace, trigger_name")
	if err != nil {
		return nil, fmt.Errorf("read schedules: %w", err)
	}
	schedules, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c core.Schedule, err error) {
		var next *time.Time
		err = row.Scan(&c.Workspace, &c.Trigger, &c.Cron, &c.Timezone, &next)
		c.NextFire = value(next)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("read schedules: %w", err)
	}
	return schedules, nil
}

// SaveSchedules stores the ones that are new or have changed and removes the others, in one transaction.
func (s *Store) SaveSchedules(ctx context.Context, save, remove []core.Schedule) error {
	if len(save) == 0 && len(remove) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	for _, change := range []struct {
		sql  string
		list []core.Schedule
	}{{saveSchedules, save}, {removeSchedules, remove}} {
		records := make([]scheduleRecord, len(change.list))
		for i, c := range change.list {
			records[i] = scheduleRecord{c.Workspace, c.Trigger, c.Cron, c.Timezone, optional(c.NextFire)}
		}
		document, err := json.Marshal(records)
		if err != nil {
			return fmt.Errorf("encode schedules: %w", err)
		}
		batch.Queue(change.sql, string(document))
	}
	if err := s.read.SendBatch(ctx, batch).Close(); err != nil { // without BEGIN the batch is one transaction
		return fmt.Errorf("store schedules: %w", err)
	}
	return nil
}

type scheduleRecord struct {
	Workspace  string     `json:"workspace"`
	Trigger    string     `json:"trigger_name"`
	Cron       string     `json:"cron"`
	Timezone   string     `json:"timezone"`
	NextFireAt *time.Time `json:"next_fire_at"`
}

const saveSchedules = `
	insert into schedule as s (workspace, trigger_name, cron, timezone, next_fire_at)
	select workspace, trigger_name, cron, timezone, next_fire_at from json_to_recordset($1::json) as t
		(workspace text, trigger_name text, cron text, timezone text, next_fire_at timestamptz)
	order by workspace, trigger_name
	on conflict (workspace, trigger_name) do update
	set cron = excluded.cron, timezone = excluded.timezone, next_fire_at = excluded.next_fire_at`

const removeSchedules = `
	delete from schedule s using json_to_recordset($1::json) as t (workspace text, trigger_name text)
	where s.workspace = t.workspace and s.trigger_name = t.trigger_name`

// RecordFire stores a fire for which no job could be created. One that is stored already fails with [ErrFired].
func (s *Store) RecordFire(ctx context.Context, fire core.Fire) error {
	batch := &pgx.Batch{}
	if err := queueFires(batch, []core.Fire{fire}); err != nil {
		return err
	}
	if err := s.read.SendBatch(ctx, batch).Close(); err != nil {
		if firedAlready(err) {
			return ErrFired
		}
		return fmt.Errorf("store a fire: %w", err)
	}
	return nil
}

type fireRecord struct {
	Workspace   string     `json:"workspace"`
	Trigger     string     `json:"trigger_name"`
	ScheduledAt time.Time  `json:"scheduled_at"`
	NextFireAt  *time.Time `json:"next_fire_at"`
	Missed      int        `json:"missed"`
	JobID       *uuid.UUID `json:"job_id"`
	Reason      *string    `json:"reason"`
}

// storeFires also moves the schedules on, never back.
const storeFires = `
	with fire as (
		select * from json_to_recordset($1::json) as t (workspace text, trigger_name text, scheduled_at timestamptz,
			next_fire_at timestamptz, missed int, job_id uuid, reason text)
	), stored as (
		insert into schedule_fire (workspace, trigger_name, scheduled_at, missed, job_id, reason)
		select workspace, trigger_name, scheduled_at, missed, job_id, reason from fire
	)
	update schedule s set next_fire_at = fire.next_fire_at from fire
	where s.workspace = fire.workspace and s.trigger_name = fire.trigger_name and s.next_fire_at <= fire.scheduled_at`

func queueFires(batch *pgx.Batch, fires []core.Fire) error {
	records := make([]fireRecord, len(fires))
	for i, f := range fires {
		records[i] = fireRecord{
			f.Workspace, f.Trigger, f.At.UTC(), optional(f.Next.UTC()), f.Missed, optional(f.JobID), optional(f.Reason),
		}
	}
	document, err := json.Marshal(records)
	if err != nil {
		return fmt.Errorf("encode fires: %w", err)
	}
	batch.Queue(storeFires, string(document))
	return nil
}

func firedAlready(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.ConstraintName == "schedule_fire_pkey"
}

// Fires returns the latest fires of a trigger, newest first.
func (s *Store) Fires(ctx context.Context, workspace, trigger string, limit int) ([]core.Fire, error) {
	rows, err := s.read.Query(ctx, `select workspace, trigger_name, scheduled_at, fired_at, missed, job_id, reason
		from schedule_fire where workspace = $1 and trigger_name = $2 order by scheduled_at desc limit $3`, workspace, trigger, limit)
	if err != nil {
		return nil, fmt.Errorf("read fires: %w", err)
	}
	fires, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f core.Fire, err error) {
		var job *uuid.UUID
		var reason *string
		err = row.Scan(&f.Workspace, &f.Trigger, &f.At, &f.FiredAt, &f.Missed, &job, &reason)
		f.JobID, f.Reason = value(job), value(reason)
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("read fires: %w", err)
	}
	return fires, nil
}
