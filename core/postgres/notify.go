package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// channel is what the replicas that share a schema listen to. A notification says what has changed, not how: whoever
// hears it looks for itself.
const channel = "'stroem_' || current_schema()"

// news is the payload of a notification.
type news string

const (
	stepsReady   news = "" // waiting claims are to be woken
	typesChanged news = "action_types"
)

// Notify wakes the other replicas.
func (s *Store) Notify(ctx context.Context) error {
	if _, err := s.read.Exec(ctx, "select pg_notify("+channel+", $1)", string(stepsReady)); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

// Listen hears the notifications on a connection of its own until ctx ends or the connection is lost: it calls wake when
// steps became ready, and types when action types changed. Once it listens, it calls both, for what it missed.
func (s *Store) Listen(ctx context.Context, wake, types func()) error {
	conn, err := s.session(ctx)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer func() { _ = closeSession(ctx, conn) }()
	var name string
	if err := conn.QueryRow(ctx, "select "+channel).Scan(&name); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if _, err := conn.Exec(ctx, "listen "+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	wake()
	types()
	for {
		notification, err := s.hear(ctx, conn)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		switch news(notification.Payload) {
		case typesChanged:
			types()
		case stepsReady:
			wake()
		}
	}
}

// Advisory locks, per schema; the second key says what for.
const (
	migrationLock = "hashtext(current_schema()), 1" // one server at a time migrates
	leaderLock    = "hashtext(current_schema()), 2" // held by the replica that runs the timers
)

// leadInterval is how often a replica that does not lead asks whether it may.
const leadInterval = time.Second

// Lead waits for the leader's lock, calls lead while this replica holds it, and returns when lead returns; false if ctx ends
// before. The lock lives and dies with a connection of its own; lead's context ends with it.
func (s *Store) Lead(ctx context.Context, lead func(context.Context) error) (bool, error) {
	conn, err := s.session(ctx)
	if err != nil {
		return false, fmt.Errorf("take the leader's lock: %w", err)
	}
	defer func() { _ = closeSession(ctx, conn) }()
	// A server that is stopped has connections that look alive, and would keep the lock. This one is used all the time.
	if _, err := conn.Exec(ctx, fmt.Sprintf("set idle_session_timeout = %d", s.timeout.Milliseconds())); err != nil {
		return false, fmt.Errorf("take the leader's lock: %w", err)
	}
	if got, err := s.awaitLock(ctx, conn); err != nil || !got {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	lost := make(chan error, 1)
	go func() {
		_, err := s.hear(ctx, conn) // nothing is ever sent: it returns when the connection or ctx ends
		cancel()
		lost <- err
	}()
	err = lead(ctx)
	cancel()
	if lostErr := <-lost; err == nil && !errors.Is(lostErr, context.Canceled) {
		err = fmt.Errorf("the leader's lock was lost: %w", lostErr)
	}
	return true, err
}

// awaitLock asks for the leader's lock until it is had, or ctx ends. It does not wait in the database, which would take the
// statement for one that hangs.
func (s *Store) awaitLock(ctx context.Context, conn *pgx.Conn) (got bool, err error) {
	ticker := time.NewTicker(min(leadInterval, s.timeout/3))
	defer ticker.Stop()
	for {
		asking, cancel := context.WithTimeout(ctx, s.timeout)
		err := conn.QueryRow(asking, "select pg_try_advisory_lock("+leaderLock+")").Scan(&got)
		cancel()
		switch {
		case ctx.Err() != nil:
			return false, nil
		case err != nil:
			return false, fmt.Errorf("take the leader's lock: %w", err)
		case got:
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-ticker.C:
		}
	}
}
