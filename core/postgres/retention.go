package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// RemoveJobs removes up to limit jobs that ended before a time, each with its steps and all jobs below it, and returns how many
// it removed in all. A job below which one has not ended stays.
func (s *Store) RemoveJobs(ctx context.Context, before time.Time, limit int) (int, error) {
	tag, err := s.read.Exec(ctx, `
		with recursive tree as (
			(select job_id as root, job_id, status from job
			where created_at < $1 and completed_at < $1 and parent_job_id is null
			order by created_at limit $2)
			union all
			select t.root, j.job_id, j.status from tree t join job j on j.parent_job_id = t.job_id
		), ended as (
			select root from tree group by root having bool_and(status in ('completed', 'failed', 'cancelled'))
		)
		delete from job j using tree t join ended e using (root) where j.job_id = t.job_id`, before, limit)
	if err != nil {
		return 0, fmt.Errorf("remove old jobs: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// RemoveWorkers removes up to limit workers that are inactive and were last heard of before a time, and returns how many. Those
// that are revoked stay: they keep their names from registering.
func (s *Store) RemoveWorkers(ctx context.Context, before time.Time, limit int) (int, error) {
	tag, err := s.read.Exec(ctx, `delete from worker where worker_id in (
		select worker_id from worker w where status = 'inactive' and revoked_at is null and coalesce(last_heartbeat, registered_at) < $1
			and not exists (select from job_step s where s.worker_id = w.worker_id and s.status = 'running')
		limit $2) and status = 'inactive' and revoked_at is null`, before, limit)
	if err != nil {
		return 0, fmt.Errorf("remove old workers: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// RemoveTriggerHistory removes up to limit fires and limit deliveries from before a time, and returns how many it removed.
func (s *Store) RemoveTriggerHistory(ctx context.Context, before time.Time, limit int) (int, error) {
	removed := 0
	for _, sql := range []string{
		`delete from schedule_fire where (workspace, trigger_name, scheduled_at) in
			(select workspace, trigger_name, scheduled_at from schedule_fire where fired_at < $1 order by fired_at limit $2)`,
		`delete from webhook_delivery where delivery_id in
			(select delivery_id from webhook_delivery where at < $1 order by at limit $2)`,
	} {
		tag, err := s.read.Exec(ctx, sql, before, limit)
		if err != nil {
			return removed, fmt.Errorf("remove the history of triggers: %w", err)
		}
		removed += int(tag.RowsAffected())
	}
	return removed, nil
}

// RemoveSessions removes up to limit refresh tokens, spent or not, that were good until before a time, oldest first, and returns how
// many.
func (s *Store) RemoveSessions(ctx context.Context, before time.Time, limit int) (int, error) {
	tag, err := s.read.Exec(ctx, `delete from refresh_token where hash in
		(select hash from refresh_token where expires_at < $1 order by expires_at limit $2)`, before, limit)
	if err != nil {
		return 0, fmt.Errorf("remove old sessions: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// KnownJobs returns those of the given jobs that there are.
func (s *Store) KnownJobs(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error) {
	rows, err := s.read.Query(ctx, "select job_id from job where job_id = any($1)", ids)
	if err != nil {
		return nil, fmt.Errorf("look for jobs: %w", err)
	}
	known, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("look for jobs: %w", err)
	}
	return known, nil
}
