package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// freshFor is how long a log that can be archived goes before those that have waited for longer.
const freshFor = "interval '1 hour'"

// DueUploads returns logs of jobs that have ended, whose last segment is this replica's, and which are to be archived now: those
// that have become due lately, or those that have not, the oldest first.
func (s *Store) DueUploads(ctx context.Context, replica uuid.UUID, fresh bool, limit int) ([]core.LogUpload, error) {
	when := "s.due_at <= now() - " + freshFor
	if fresh {
		when = "s.due_at <= now() and s.due_at > now() - " + freshFor
	}
	rows, err := s.read.Query(ctx, `select s.job_id, l.n, j.workspace, j.task_name, j.created_at, l.attempts
		from log_segment s join job j using (job_id),
			lateral (select n, replica_id, attempts from log_segment l where l.job_id = s.job_id order by n desc limit 1) l
		where s.replica_id = $1 and not s.archived and j.status in ('completed', 'failed', 'cancelled') and `+when+` and l.replica_id = $1
		order by s.due_at limit $2`, replica, limit)
	if err != nil {
		return nil, fmt.Errorf("look for logs to archive: %w", err)
	}
	due, err := pgx.CollectRows(rows, pgx.RowToStructByPos[core.LogUpload])
	if err != nil {
		return nil, fmt.Errorf("look for logs to archive: %w", err)
	}
	return due, nil
}

// KeepUploadsFresh keeps the logs of jobs that are open from counting as such that have waited for long.
func (s *Store) KeepUploadsFresh(ctx context.Context, replica uuid.UUID) error {
	_, err := s.read.Exec(ctx, `update log_segment s set due_at = now() from job j where j.job_id = s.job_id and s.replica_id = $1
		and not s.archived and s.due_at < now() - `+freshFor+` / 3 and j.status in ('pending', 'running')`, replica)
	if err != nil {
		return fmt.Errorf("postpone the archiving of logs: %w", err)
	}
	return nil
}

// Archived notes that the archive has so many lines of a log, which were all up to the end of segment n at a time. Without a key
// there is nothing to archive. A job that is gone is no error.
func (s *Store) Archived(ctx context.Context, job uuid.UUID, n int, key string, lines int64, at time.Time) error {
	batch := &pgx.Batch{}
	if key != "" {
		batch.Queue(`insert into log_archive (job_id, key, lines, archived_at) select job_id, $2, $3, $4 from job where job_id = $1 for key share
			on conflict (job_id) do update set key = excluded.key, lines = greatest(log_archive.lines, excluded.lines), archived_at = excluded.archived_at`, job, key, lines, at)
	}
	batch.Queue("update log_segment set archived = true, attempts = 0, last_error = null where job_id = $1 and n <= $2", job, n)
	return s.inOrder(ctx, batch, "note that a log is archived")
}

// NotArchived notes that a log could not be archived, and when it is tried again.
func (s *Store) NotArchived(ctx context.Context, job uuid.UUID, n int, again time.Duration, reason string) error {
	_, err := s.read.Exec(ctx, `update log_segment set due_at = now() + make_interval(secs => $3), attempts = attempts + 1, last_error = $4
		where job_id = $1 and n <= $2 and not archived`, job, n, again.Seconds(), cleanReason(reason))
	if err != nil {
		return fmt.Errorf("note that a log is not archived: %w", err)
	}
	return nil
}

// maxReason is how much of an error is stored.
const maxReason = 1000

func cleanReason(reason string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "\uFFFD"), "\x00", "")
}

// LogsGrown notes that lines have come to logs that may be archived: they have to be again.
func (s *Store) LogsGrown(ctx context.Context, replica uuid.UUID, jobs []uuid.UUID) error {
	_, err := s.read.Exec(ctx, `update log_segment set archived = false, due_at = now()
		where job_id = any($2) and replica_id = $1 and archived and not dropped`, replica, jobs)
	if err != nil {
		return fmt.Errorf("note that logs have grown: %w", err)
	}
	return nil
}

// LogPlace returns what is known of the archived log of a job; nil: there is no such job.
func (s *Store) LogPlace(ctx context.Context, job uuid.UUID) (*core.LogPlace, error) {
	p := &core.LogPlace{}
	err := s.read.QueryRow(ctx, `select j.workspace, j.task_name, j.created_at, j.status in ('completed', 'failed', 'cancelled'),
		coalesce(a.key, ''), coalesce(a.lines, 0) from job j left join log_archive a using (job_id) where j.job_id = $1`, job).
		Scan(&p.Workspace, &p.Task, &p.Created, &p.Ended, &p.Key, &p.Lines)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for an archived log: %w", err)
	}
	return p, nil
}

// Where there was nothing to archive, there is nothing in the archive.
const localLogs = `select s.job_id, s.n, s.first_line, coalesce(a.lines, 0), coalesce(a.archived_at, to_timestamp(0)), s.dropped
	from log_segment s left join log_archive a using (job_id) where s.replica_id = $1 and s.archived`

// LocalLogs returns this replica's segments that count as archived, of those jobs.
func (s *Store) LocalLogs(ctx context.Context, replica uuid.UUID, jobs []uuid.UUID) ([]core.LocalLog, error) {
	return s.localLogs(ctx, localLogs+" and s.job_id = any($2)", replica, jobs)
}

// DroppableLogs returns up to limit of this replica's segments that the archive has had for a time, those first that it has had for
// longest.
func (s *Store) DroppableLogs(ctx context.Context, replica uuid.UUID, age time.Duration, limit int) ([]core.LocalLog, error) {
	return s.localLogs(ctx, localLogs+` and not s.dropped and s.first_line <= a.lines and a.archived_at <= now() - make_interval(secs => $2)
		order by a.archived_at, s.job_id, s.n limit $3`, replica, age.Seconds(), limit)
}

// LocalLogsAfter returns up to limit of this replica's segments that the archive has and it has not dropped, of jobs behind one.
func (s *Store) LocalLogsAfter(ctx context.Context, replica, after uuid.UUID, limit int) ([]core.LocalLog, error) {
	return s.localLogs(ctx, localLogs+` and not s.dropped and s.first_line <= a.lines and s.job_id > $2 order by s.job_id, s.n limit $3`, replica, after, limit)
}

func (s *Store) localLogs(ctx context.Context, sql string, args ...any) ([]core.LocalLog, error) {
	rows, err := s.read.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("look for archived logs: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[core.LocalLog])
	if err != nil {
		return nil, fmt.Errorf("look for archived logs: %w", err)
	}
	return list, nil
}

// ContinueLog has a log go on in a new segment of its replica behind segment n, which has so many lines, if that is the last one.
func (s *Store) ContinueLog(ctx context.Context, job uuid.UUID, n int, lines int64) error {
	batch := &pgx.Batch{}
	batch.Queue("select from log_segment where job_id = $1 and n = $2 for update", job, n)
	batch.Queue(`insert into log_segment (job_id, n, replica_id, first_line, archived)
		select job_id, n + 1, replica_id, first_line + $3, archived from log_segment s where job_id = $1 and n = $2
			and not exists (select from log_segment l where l.job_id = s.job_id and l.n > s.n)`, job, n, lines)
	batch.Queue(`update log_segment s set superseded = true, lines = $3 where job_id = $1 and n = $2 and not superseded
		and exists (select from log_segment l where l.job_id = s.job_id and l.n > s.n)`, job, n, lines)
	return s.inOrder(ctx, batch, "have a log go on")
}

// DropLog notes that a replica lets go of a segment with so many lines, if the archive has all of them, and tells whether it has.
func (s *Store) DropLog(ctx context.Context, job uuid.UUID, n int, lines int64) (bool, error) {
	tag, err := s.read.Exec(ctx, `update log_segment s set dropped = true, lines = coalesce(s.lines, $3) from log_archive a
		where a.job_id = s.job_id and s.job_id = $1 and s.n = $2 and s.archived and s.first_line - 1 + greatest(s.lines, $3) <= a.lines`, job, n, lines)
	if err != nil {
		return false, fmt.Errorf("drop a log: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// maxCounted is how many uploads are counted.
const maxCounted = 100_000

// UploadBacklog counts the logs that wait to be archived, of all replicas. It takes at most some seconds, and fails then.
func (s *Store) UploadBacklog(ctx context.Context) (b core.UploadBacklog, err error) {
	batch := &pgx.Batch{}
	batch.Queue(`select count(*), count(*) filter (where attempts > 0), coalesce(greatest(0, extract(epoch from clock_timestamp() - min(completed_at)))::float8, 0)
		from (select s.attempts, j.completed_at from log_segment s join job j using (job_id)
			where not s.archived and j.status in ('completed', 'failed', 'cancelled')
				and not exists (select from log_segment l where l.job_id = s.job_id and l.n > s.n) limit $1) waiting`, maxCounted).
		QueryRow(func(row pgx.Row) error {
			var oldest float64
			if err := row.Scan(&b.Pending, &b.Failing, &oldest); err != nil {
				return err
			}
			b.Oldest = time.Duration(duration(oldest))
			return nil
		})
	if err := s.inspect(ctx, batch); err != nil {
		return core.UploadBacklog{}, fmt.Errorf("count what is to be archived: %w", err)
	}
	return b, nil
}
