package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stroem/stroem/core"
)

// A connection whose other end has gone silent tells nothing: without a limit a query on it would wait for a quarter of an
// hour, with whatever it has locked. Both ends have limits, so that each finds out alone: the client waits so long for an
// answer, the database so long for a statement, for the next one of a transaction, and for signs of life.

// defaultTimeout is how long an answer of the database is waited for.
const defaultTimeout = 15 * time.Second

// Option changes how a store works.
type Option func(*Store)

// Timeout is how long an answer of the database is waited for; the default is 15 s.
func Timeout(d time.Duration) Option { return func(s *Store) { s.timeout = d } }

// errSilent is no timeout for pgx, which keeps connections that were merely interrupted.
var errSilent = errors.New("the database has not answered in time")

// unreachable makes of an error that is not about the request what callers get when it is not known whether anything is the
// matter with their request.
func unreachable(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && !gone(pgErr.Code) {
		return err
	}
	return &core.Error{
		Code: core.CodeUnavailable, Reason: "database_unavailable", Message: "The database does not answer: try again in a moment", Err: err,
	}
}

// gone tells whether a code means that the connection, the server or the time ended.
func gone(code string) bool {
	return strings.HasPrefix(code, "08") || strings.HasPrefix(code, "57P") || code == "57014" || code == "25P03"
}

// dialer connects within a limit, and notices when the other end is gone.
func dialer(timeout time.Duration) *net.Dialer {
	beat := max(time.Second, timeout/3)
	return &net.Dialer{Timeout: timeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: beat, Interval: beat, Count: 3}}
}

// sessionLimits has the database end what a client that is gone has left: its statements, its transactions with their locks,
// and its session with the leader's lock.
func sessionLimits(ctx context.Context, conn *pgx.Conn, timeout time.Duration) error {
	limit, beat := timeout.Milliseconds(), max(1, int(timeout.Seconds()/3))
	_, err := conn.Exec(ctx, fmt.Sprintf(`set statement_timeout = %d; set idle_in_transaction_session_timeout = %d; set tcp_user_timeout = %d;
		set tcp_keepalives_idle = %d; set tcp_keepalives_interval = %d; set tcp_keepalives_count = 3`, limit, limit, limit, beat, beat))
	if err != nil {
		return fmt.Errorf("set the limits of a session: %w", err)
	}
	return nil
}

// dialPatiently makes connections for pools: each answer on them has to begin, and to go on, within the limit.
func dialPatiently(timeout time.Duration) pgconn.DialFunc {
	dial := dialer(timeout)
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &patientConn{Conn: conn, timeout: timeout}, nil
	}
}

// patientConn bounds each read and write, beside the deadlines that are set on it.
type patientConn struct {
	net.Conn

	timeout time.Duration

	mu    sync.Mutex
	read  time.Time // deadlines that were set; zero for none
	write time.Time
}

func (c *patientConn) Read(p []byte) (int, error) {
	if err := c.limit(&c.read, c.Conn.SetReadDeadline); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	return n, c.explain(&c.read, err)
}

func (c *patientConn) Write(p []byte) (int, error) {
	if err := c.limit(&c.write, c.Conn.SetWriteDeadline); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	return n, c.explain(&c.write, err)
}

// limit sets the earlier one of the deadline that was set and our own.
func (c *patientConn) limit(given *time.Time, set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	deadline := time.Now().Add(c.timeout)
	if !given.IsZero() && given.Before(deadline) {
		deadline = *given
	}
	return set(deadline)
}

func (c *patientConn) explain(given *time.Time, err error) error {
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !given.IsZero() && !given.After(time.Now()) {
		return err
	}
	return errSilent
}

// SetDeadline ends a read or write that is under way, too.
func (c *patientConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read, c.write = t, t
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline is the half of SetDeadline that is for reads.
func (c *patientConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = t
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline is the half of SetDeadline that is for writes.
func (c *patientConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write = t
	return c.Conn.SetWriteDeadline(t)
}
