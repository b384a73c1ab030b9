package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// session connects apart from the pools, for what lives as long as its connection. Nothing bounds how long it may wait for
// something to come; whoever does that uses hear.
func (s *Store) session(ctx context.Context) (*pgx.Conn, error) {
	config := s.read.Config().ConnConfig.Copy()
	config.DialFunc = dialer(s.timeout).DialContext
	connecting, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(connecting, config)
	if err != nil {
		return nil, err
	}
	if err := sessionLimits(connecting, conn, s.timeout); err != nil {
		return nil, errors.Join(err, closeSession(ctx, conn))
	}
	return conn, nil
}

// closeSession says good-bye, but does not wait for long for an answer.
func closeSession(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return conn.Close(ctx)
}

// hear waits for a notification. While none comes it asks now and then whether the database is there, and fails if there is no
// answer: a connection that has gone silent looks like one on which nothing happens.
func (s *Store) hear(ctx context.Context, conn *pgx.Conn) (*pgconn.Notification, error) {
	for {
		waiting, cancel := context.WithTimeout(ctx, s.timeout/3)
		notification, err := conn.WaitForNotification(waiting)
		passed := errors.Is(waiting.Err(), context.DeadlineExceeded)
		cancel()
		if err == nil || ctx.Err() != nil || !passed {
			return notification, err
		}
		asking, cancel := context.WithTimeout(ctx, s.timeout)
		err = conn.Ping(asking)
		cancel()
		if err != nil {
			return nil, fmt.Errorf("ask whether the database is there: %w", err)
		}
	}
}
