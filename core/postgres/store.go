// Package postgres keeps jobs, steps and workers in PostgreSQL. It is the only package with SQL. It decides nothing:
// what a transition writes is decided by the caller under the locks that the store takes.
//
// Lock order: the rows of job by job_id, then the rows of job_step. Claims take rows of job_step alone and never wait
// for one, so they cannot take part in a deadlock.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stroem/stroem/core"
)

// Store is safe for concurrent use.
type Store struct {
	hot     *pgxpool.Pool // claims and transitions: few connections, their statements always prepared
	read    *pgxpool.Pool // everything else
	ids     stepIDs
	timeout time.Duration // for an answer of the database
}

// Connections of the hot pool: transitions are written by one goroutine, claims run beside it.
const hotConnections = 6

// Open connects to the database at url, which must have been migrated, with up to so many connections, at least 2 (one
// more listens). The caller closes the store.
func Open(ctx context.Context, url string, connections int, options ...Option) (*Store, error) {
	s := &Store{timeout: defaultTimeout}
	for _, option := range options {
		option(s)
	}
	read, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("parse db.url: %w", redactURL(err))
	}
	read.ConnConfig.DialFunc = dialPatiently(s.timeout)
	if read.ConnConfig.ConnectTimeout == 0 {
		read.ConnConfig.ConnectTimeout = s.timeout
	}
	read.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error { return sessionLimits(ctx, conn, s.timeout) }
	hot := read.Copy()
	total := int32(min(connections, math.MaxInt32)) //nolint:gosec // it fits
	hot.MaxConns = min(hotConnections, total/2)
	read.MaxConns = total - hot.MaxConns
	hot.MinIdleConns = 1
	hot.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if err := sessionLimits(ctx, conn, s.timeout); err != nil {
			return err
		}
		return planForGrowth(ctx, conn)
	}
	if s.read, err = pgxpool.NewWithConfig(ctx, read); err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	if s.hot, err = pgxpool.NewWithConfig(ctx, hot); err != nil {
		s.read.Close()
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return s, nil
}

// planForGrowth makes the hot statements use their indexes from the first call on. Plans cached while the tables are
// small would otherwise scan them whole long after they have grown.
func planForGrowth(ctx context.Context, conn *pgx.Conn) error {
	for _, setting := range []string{
		"plan_cache_mode = force_generic_plan", "enable_seqscan = off", "enable_hashjoin = off",
		"enable_mergejoin = off", "enable_bitmapscan = off", "jit = off",
	} {
		if _, err := conn.Exec(ctx, "set "+setting); err != nil {
			return fmt.Errorf("set %s: %w", setting, err)
		}
	}
	return nil
}

// Close waits for the connections in use and closes all.
func (s *Store) Close() {
	s.hot.Close()
	s.read.Close()
}

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.read.Ping(ctx); err != nil {
		return fmt.Errorf("ping the database: %w", err)
	}
	return nil
}

// notFound turns an empty result into an error for the caller.
func notFound(err error, message string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return core.Errorf(core.CodeNotFound, "", "%s", message)
	}
	return err
}

// redactURL keeps a connection string, and the password in it, out of errors.
func redactURL(err error) error {
	if parse, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		return errors.New("not a PostgreSQL connection string: " + errorText(parse.Unwrap()))
	}
	return err
}

func errorText(err error) string {
	if err == nil {
		return "it cannot be parsed"
	}
	return err.Error()
}

// LocalAddr is the address of this machine at which the database sees it, without a port; "" if the database is not reached by TCP.
func (s *Store) LocalAddr(ctx context.Context) (string, error) {
	conn, err := s.read.Acquire(ctx)
	if err != nil {
		return "", fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Release()
	if tcp, ok := conn.Conn().PgConn().Conn().LocalAddr().(*net.TCPAddr); ok {
		return tcp.IP.String(), nil
	}
	return "", nil
}
