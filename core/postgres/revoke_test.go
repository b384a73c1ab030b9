package postgres_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/postgres"
)

// That a worker is not revoked is looked up once for a claim, by its key, before any step is.
func TestAClaimLooksOnceWhoAsks(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.create(t, 100)
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	_, err = conn.Exec(t.Context(), "set enable_seqscan = off") // the tables of a test are small
	require.NoError(t, err)
	explain := func() string {
		rows, err := conn.Query(t.Context(), "explain (analyze, costs off, timing off, summary off) "+postgres.ClaimReady,
			[]int{b.route}, 1, b.worker, uuid.New(), leases(1))
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return strings.Join(lines, "\n")
	}
	plan := explain()
	require.Regexp(t, `One-Time Filter: \(NOT (\$0|\(InitPlan)`, plan)
	require.Regexp(t, `Index Scan using worker_pkey on worker \(actual rows=[0.]+ loops=1\)`, plan)
	_, err = b.RevokeWorker(t.Context(), b.worker, nothing)
	require.NoError(t, err)
	require.Contains(t, explain(), "Index Scan using job_step_ready on job_step (never executed)", "no step is locked in vain")
	require.Empty(t, b.claim(t, 5))
}

func TestARevokedNameStays(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	_, err := b.RevokeWorker(t.Context(), b.worker, nothing)
	require.NoError(t, err)
	_, _, err = b.register(nothing)
	require.ErrorIs(t, err, core.ErrWorkerRevoked)
	_, superseded, err := b.WorkerByToken(t.Context(), []byte("hash of w"))
	require.NoError(t, err)
	require.False(t, superseded, "nothing is left of the registration")
	removed, err := b.RemoveWorkers(t.Context(), time.Now().Add(time.Hour), 10)
	require.NoError(t, err)
	require.Zero(t, removed, "or the name would be free")
	_, err = b.RegisterWorker(t.Context(), core.Worker{ID: uuid.New(), Name: "W", Plugins: json.RawMessage("[]")}, nil, []byte("W"), nothing)
	require.NoError(t, err, "another name")
	restored, err := b.RestoreWorker(t.Context(), b.worker)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{b.worker}, restored)
	_, _, err = b.WorkerByToken(t.Context(), []byte("hash of w"))
	require.Equal(t, core.CodeNotFound, core.ErrorCode(err))
	_, older, err := b.register(nothing)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{b.worker}, older)
	restored, err = b.RestoreWorker(t.Context(), b.worker)
	require.NoError(t, err)
	require.Empty(t, restored, "it is let in already")
}

// Somebody who registers while the name is revoked is either let in before, and revoked with it, or is not.
func TestNobodySlipsInWhileANameIsRevoked(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	const n = 6
	results := make(chan error, n)
	for range n {
		go func() {
			_, _, err := b.register(nothing)
			results <- err
		}()
	}
	_, err := b.RevokeWorker(t.Context(), b.worker, nothing)
	require.NoError(t, err)
	for range n {
		if err := <-results; err != nil {
			require.ErrorIs(t, err, core.ErrWorkerRevoked)
		}
	}
	active, err := b.ActiveWorkers(t.Context())
	require.NoError(t, err)
	require.Empty(t, active)
}
