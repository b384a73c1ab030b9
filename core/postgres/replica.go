package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// SeeReplica notes that a replica is there and for how long nobody takes over from it, by the clock of the database. What it hears
// was so after that.
func (s *Store) SeeReplica(ctx context.Context, r core.Replica) (news core.ReplicaNews, err error) {
	batch := &pgx.Batch{}
	batch.Queue(`insert into replica (replica_id, internal_url, seen_at, valid_until) values ($1, $2, now(), now() + make_interval(secs => $3))
		on conflict (replica_id) do update set internal_url = excluded.internal_url, seen_at = excluded.seen_at, valid_until = excluded.valid_until
		returning adopted`, r.ID, r.URL, r.For.Seconds()).QueryRow(func(row pgx.Row) error { return row.Scan(&news.Adopted) })
	// Takeovers lock the replica's row: each of them is seen here, or sees what was just written.
	batch.Queue("select job_id, n from log_segment where replica_id = $1 and superseded and lines is null order by job_id, n limit 1000", r.ID).
		Query(func(rows pgx.Rows) (err error) {
			news.Superseded, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (g core.LogSegment, err error) {
				g.Replica, g.Lines, g.Superseded = r.ID, -1, true
				return g, row.Scan(&g.Job, &g.N)
			})
			return err
		})
	batch.Queue("select count(*) from replica where replica_id <> $1 and valid_until > now()", r.ID).
		QueryRow(func(row pgx.Row) error { return row.Scan(&news.Others) })
	if err := s.read.SendBatch(ctx, batch).Close(); err != nil {
		return core.ReplicaNews{}, fmt.Errorf("tell the other replicas about this one: %w", err)
	}
	return news, nil
}

// AdoptLogs gives the jobs among those given, which have a log at a replica from before there were segments, their first segment. They are archived when nothing newer is to be.
func (s *Store) AdoptLogs(ctx context.Context, replica uuid.UUID, jobs []uuid.UUID) error {
	_, err := s.read.Exec(ctx, `insert into log_segment (job_id, n, replica_id, due_at) select job_id, 1, $1, now() - interval '1 day' from job where job_id = any($2)
		on conflict do nothing`, replica, jobs)
	if err != nil {
		return fmt.Errorf("adopt logs: %w", err)
	}
	return nil
}

// LogsAdopted notes that AdoptLogs was called for all logs of a replica. Replicas of whom nothing was heard for a month are forgotten,
// so that those that are new with each start do not become ever more; one that is unknown is gone as well.
func (s *Store) LogsAdopted(ctx context.Context, replica uuid.UUID) error {
	batch := &pgx.Batch{}
	batch.Queue("update replica set adopted = true where replica_id = $1", replica)
	batch.Queue("delete from replica where seen_at < now() - interval '30 days'")
	if err := s.read.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("adopt logs: %w", err)
	}
	return nil
}
