package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/stroem/stroem/core"
)

// A replica without a row is gone.
const readSegments = `select s.job_id, s.n, s.replica_id, s.first_line, s.lines, s.superseded, s.archived, s.dropped,
	coalesce(r.internal_url, ''), coalesce(r.valid_until <= now(), true)
	from log_segment s left join replica r using (replica_id) where s.job_id = $1 order by s.n`

func scanSegment(row pgx.CollectableRow) (g core.LogSegment, err error) {
	var lines pgtype.Int8
	err = row.Scan(&g.Job, &g.N, &g.Replica, &g.First, &lines, &g.Superseded, &g.Archived, &g.Dropped, &g.URL, &g.Gone)
	g.Lines = -1
	if lines.Valid {
		g.Lines = lines.Int64
	}
	return g, err
}

// LogSegments returns the segments of the log of a job, in their order.
func (s *Store) LogSegments(ctx context.Context, job uuid.UUID) ([]core.LogSegment, error) {
	rows, err := s.read.Query(ctx, readSegments, job)
	if err != nil {
		return nil, fmt.Errorf("read where a log is: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanSegment)
	if err != nil {
		return nil, fmt.Errorf("read where a log is: %w", err)
	}
	return list, nil
}

// OpenLog has the log of a job begin at a replica, unless it has begun, and returns its segments.
func (s *Store) OpenLog(ctx context.Context, job, replica uuid.UUID) (list []core.LogSegment, err error) {
	batch := &pgx.Batch{}
	batch.Queue("insert into log_segment (job_id, n, replica_id) values ($1, 1, $2) on conflict do nothing", job, replica)
	batch.Queue(readSegments, job).Query(func(rows pgx.Rows) (err error) {
		list, err = pgx.CollectRows(rows, scanSegment)
		return err
	})
	if err := s.read.SendBatch(ctx, batch).Close(); err != nil {
		if violated, ok := errors.AsType[*pgconn.PgError](err); ok && violated.Code == foreignKeyViolation {
			return nil, core.Errorf(core.CodeNotFound, "", "Job not found")
		}
		return nil, fmt.Errorf("begin a log: %w", err)
	}
	return list, nil
}

const foreignKeyViolation = "23503"

// TakeOverLog has the log of a job go on at a replica behind segment n, with a line of the given number as far as that is known, if
// the replica that keeps that segment is gone, and returns the segments as they are then.
func (s *Store) TakeOverLog(ctx context.Context, job uuid.UUID, n int, replica uuid.UUID, first int64) ([]core.LogSegment, error) {
	err := pgx.BeginFunc(ctx, s.read, func(tx pgx.Tx) error {
		var owner uuid.UUID
		if err := tx.QueryRow(ctx, "select replica_id from log_segment where job_id = $1 and n = $2 for update", job, n).Scan(&owner); err != nil {
			return err
		}
		var there bool
		err := tx.QueryRow(ctx, "select valid_until > now() from replica where replica_id = $1 for update", owner).Scan(&there)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) || there {
			return err
		}
		tag, err := tx.Exec(ctx, `insert into log_segment (job_id, n, replica_id, first_line) values ($1, $2, $3, $4)
			on conflict do nothing`, job, n+1, replica, first)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		_, err = tx.Exec(ctx, "update log_segment set superseded = true where job_id = $1 and n = $2", job, n)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("take over a log: %w", err)
	}
	return s.LogSegments(ctx, job)
}

// lockStarts keeps others from saying where attempts go on in the log of a job.
const lockStarts = "select from log_segment where job_id = $1 and n = 1 for update"

// StartLog says that an attempt goes on in a segment with a line, unless that was said, or it is known that segments before have
// more; it returns with which.
func (s *Store) StartLog(ctx context.Context, job uuid.UUID, n int, start core.LogStart) (first int64, err error) {
	batch := &pgx.Batch{}
	batch.Queue(lockStarts, job)
	batch.Queue(`insert into log_start (job_id, n, step_name, attempt, first)
		select $1, $2, $3, $4, greatest($5::bigint, max(first)) from log_start where job_id = $1 and step_name = $3 and attempt = $4 and n <= $2
		on conflict do nothing`, job, n, start.Step, start.Attempt, start.First)
	batch.Queue("select first from log_start where job_id = $1 and n = $2 and step_name = $3 and attempt = $4", job, n, start.Step, start.Attempt).
		QueryRow(func(row pgx.Row) error { return row.Scan(&first) })
	return first, s.inOrder(ctx, batch, "say where an attempt goes on")
}

// SettleLog says for the attempts in a superseded segment with which line of the worker's they go on in the next one, unless that
// was said, and returns what is true of each attempt that goes on.
func (s *Store) SettleLog(ctx context.Context, job uuid.UUID, n int, ends []core.LogStart) (starts []core.LogStart, err error) {
	steps, attempts, firsts := make([]string, len(ends)), make([]int, len(ends)), make([]int64, len(ends))
	for i, end := range ends {
		steps[i], attempts[i], firsts[i] = end.Step, end.Attempt, end.First
	}
	batch := &pgx.Batch{}
	batch.Queue(lockStarts, job)
	batch.Queue(`insert into log_start (job_id, n, step_name, attempt, first)
		select $1, $2 + 1, e.step_name, e.attempt, e.first from unnest($3::text[], $4::integer[], $5::bigint[]) e (step_name, attempt, first)
		where not exists (select from log_start s where s.job_id = $1 and s.n > $2 and s.step_name = e.step_name and s.attempt = e.attempt)`,
		job, n, steps, attempts, firsts)
	batch.Queue("select step_name, attempt, min(first) from log_start where job_id = $1 and n > $2 group by step_name, attempt", job, n).
		Query(func(rows pgx.Rows) (err error) {
			starts, err = pgx.CollectRows(rows, pgx.RowToStructByPos[core.LogStart])
			return err
		})
	return starts, s.inOrder(ctx, batch, "settle a log")
}

// LogStarts returns where attempts go on in a segment.
func (s *Store) LogStarts(ctx context.Context, job uuid.UUID, n int) ([]core.LogStart, error) {
	rows, err := s.read.Query(ctx, "select step_name, attempt, first from log_start where job_id = $1 and n = $2", job, n)
	if err != nil {
		return nil, fmt.Errorf("read where attempts go on: %w", err)
	}
	starts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[core.LogStart])
	if err != nil {
		return nil, fmt.Errorf("read where attempts go on: %w", err)
	}
	return starts, nil
}

// CloseLog says how many lines a superseded segment has, and corrects the numbers of those behind it.
func (s *Store) CloseLog(ctx context.Context, job uuid.UUID, n int, lines int64) error {
	_, err := s.read.Exec(ctx, `with closed as (
			update log_segment set lines = $3 where job_id = $1 and n = $2 and superseded returning first_line + lines as next
		), moved as (select c.next - s.first_line as by from closed c, log_segment s where s.job_id = $1 and s.n = $2 + 1)
		update log_segment set first_line = first_line + m.by from moved m where job_id = $1 and n > $2`, job, n, lines)
	if err != nil {
		return fmt.Errorf("close a log: %w", err)
	}
	return nil
}

// inOrder runs statements as one transaction in one round trip; each sees what others have committed before it.
func (s *Store) inOrder(ctx context.Context, batch *pgx.Batch, what string) error {
	if err := s.read.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
