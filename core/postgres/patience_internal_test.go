package postgres

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
)

func TestASilentConnectionIsGivenUp(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer func() { require.NoError(t, errors.Join(ours.Close(), theirs.Close())) }()
	conn := &patientConn{Conn: ours, timeout: 20 * time.Millisecond}
	buf := make([]byte, 8)
	for range 2 { // each read has the limit anew
		_, err := conn.Read(buf)
		require.ErrorIs(t, err, errSilent)
		_, err = conn.Write(buf)
		require.ErrorIs(t, err, errSilent)
	}
	var timeout net.Error
	require.NotErrorAs(t, errSilent, &timeout, "pgx would take it for an interruption, and keep the connection")
}

func TestADeadlineThatIsSetStands(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer func() { require.NoError(t, errors.Join(ours.Close(), theirs.Close())) }()
	conn := &patientConn{Conn: ours, timeout: time.Hour}
	failed := make(chan error)
	go func() {
		_, err := conn.Read(make([]byte, 8))
		failed <- err
	}()
	require.NoError(t, conn.SetDeadline(time.Now())) // whether the read has begun or not
	require.ErrorIs(t, <-failed, os.ErrDeadlineExceeded)
	require.NoError(t, conn.SetDeadline(time.Time{}))
	go func() {
		_, err := theirs.Write([]byte("x"))
		failed <- err
	}()
	n, err := conn.Read(make([]byte, 8))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoError(t, <-failed)
}

func TestWhatIsNobodysFaultIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errSilent, context.DeadlineExceeded, &pgconn.PgError{Code: "57P01"}, &pgconn.PgError{Code: "57014"}, &pgconn.PgError{Code: "08006"}} {
		require.Equal(t, core.CodeUnavailable, core.ErrorCode(unreachable(err)), err)
		require.ErrorIs(t, unreachable(err), err)
	}
	for _, err := range []error{context.Canceled, &pgconn.PgError{Code: "40001"}, &pgconn.PgError{Code: "22P05"}} {
		require.Equal(t, err, unreachable(err))
	}
	require.NoError(t, unreachable(nil))
}
