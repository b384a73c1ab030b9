package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
)

// Replicas write about the same workers at the same time. Whoever waits for one worker holds none that comes after it, or two
// could wait for each other.
func TestWorkersAreLockedInOrder(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(context.Context, *bundle, map[uuid.UUID]time.Time) error{
		"heartbeats": func(ctx context.Context, b *bundle, heard map[uuid.UUID]time.Time) error {
			return b.Heartbeats(ctx, heard)
		},
		"deactivation": func(ctx context.Context, b *bundle, _ map[uuid.UUID]time.Time) error {
			_, err := b.DeactivateWorkers(ctx, 0)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			var ids []uuid.UUID
			heard := map[uuid.UUID]time.Time{}
			for i := byte(20); i > 0; i-- { // so that the first of them is the last in the table
				id := uuid.UUID{i}
				_, err := b.RegisterWorker(t.Context(), core.Worker{
					ID: id, Name: fmt.Sprint(i), Tags: []string{"shell"}, Plugins: json.RawMessage("[]"),
				}, nil, id[:], nil)
				require.NoError(t, err)
				ids = append(ids, id)
				heard[id] = time.Now()
			}
			conn, err := pgx.Connect(t.Context(), b.url)
			require.NoError(t, err)
			defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
			holder, err := conn.Begin(t.Context())
			require.NoError(t, err)
			_, err = holder.Exec(t.Context(), "select from worker where worker_id = $1 for update", uuid.UUID{1})
			require.NoError(t, err)
			done := make(chan error, 1)
			go func() { done <- write(t.Context(), b, heard) }()
			eventually(t, "it waits", func() (waits bool) {
				require.NoError(t, holder.QueryRow(t.Context(),
					"select exists (select from pg_stat_activity where pg_backend_pid() = any(pg_blocking_pids(pid)))").Scan(&waits))
				return waits
			})
			_, err = holder.Exec(t.Context(), "select from worker where worker_id = any($1) for update nowait", ids)
			require.NoError(t, err)
			require.NoError(t, holder.Rollback(t.Context()))
			require.NoError(t, <-done)
		})
	}
}

// What a job's detail asks for each step does not look through the workers of the past.
func TestPastWorkersCostNothing(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	_, err = conn.Exec(t.Context(), `insert into worker (worker_id, name, token_hash, status, superseded_by)
		select gen_random_uuid(), 'w', decode(md5(i::text), 'hex'), 'inactive', $1 from generate_series(1, 5000) i`, b.worker)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "analyze worker")
	require.NoError(t, err)
	for _, query := range []string{
		`select from worker w where w.status = 'active' and w.tags @> '["shell"]'`,
		"select * from worker where status = 'active' order by name, worker_id",
		"select worker_id from worker where status = 'active' and last_heartbeat < now() order by worker_id for no key update",
	} {
		rows, err := conn.Query(t.Context(), "explain "+query)
		require.NoError(t, err)
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.Contains(t, strings.Join(plan, "\n"), "worker_active", query)
	}
}

// eventually waits for what only the database can tell.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		require.True(t, time.Now().Before(deadline), what)
	}
}
