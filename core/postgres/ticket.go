package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// CreateTicket stores a ticket, given as its hash, for a time by the clock of the database. Those that have expired are removed.
func (s *Store) CreateTicket(ctx context.Context, t core.Ticket, hash []byte, life time.Duration) error {
	batch := &pgx.Batch{}
	batch.Queue("delete from stream_ticket where expires_at < now()")
	batch.Queue(`insert into stream_ticket (hash, job_id, user_id, session_epoch, api_key, expires_at)
		values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))`, hash, t.Job, t.User, t.Epoch, t.Key, life.Seconds())
	if err := s.read.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("store a ticket: %w", err)
	}
	return nil
}

// TakeTicket removes the ticket with a hash and returns it, to one caller alone. Without one that is still good the error has
// core.CodeNotFound.
func (s *Store) TakeTicket(ctx context.Context, hash []byte) (t core.Ticket, err error) {
	var good bool
	err = s.read.QueryRow(ctx, "delete from stream_ticket where hash = $1 returning job_id, user_id, session_epoch, api_key, expires_at > now()", hash).
		Scan(&t.Job, &t.User, &t.Epoch, &t.Key, &good)
	if err == nil && !good {
		err = pgx.ErrNoRows
	}
	return t, notFound(err, "Ticket not found")
}
