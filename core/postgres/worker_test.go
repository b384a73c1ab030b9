package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
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

// eventually waits for what only the database can tell.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		require.True(t, time.Now().Before(deadline), what)
	}
}
