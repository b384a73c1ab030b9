package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/coretest"
)

// A session that goes on while its user is changed ends with the change, and neither of them fails.
func TestASessionGoesOnWhileItsUserIsChanged(t *testing.T) {
	t.Parallel()
	store, url := coretest.Store(t)
	u := core.User{ID: uuid.New(), Email: "ada@example.org", Role: core.RoleAdmin}
	require.NoError(t, store.CreateUser(t.Context(), u))
	expires := time.Now().Add(time.Hour)
	require.NoError(t, store.StartSession(t.Context(), u, []byte("first"), expires))
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "select from app_user where user_id = $1 for update", u.ID) // as ChangeUser begins
	require.NoError(t, err)
	continued := make(chan error, 1)
	go func() {
		_, err := store.ContinueSession(t.Context(), []byte("first"), []byte("second"), expires)
		continued <- err
	}()
	require.Eventually(t, func() bool {
		var waiting bool
		require.NoError(t, conn.QueryRow(t.Context(), `select exists (select from pg_stat_activity
			where pg_backend_pid() = any(pg_blocking_pids(pid)))`).Scan(&waiting))
		return waiting
	}, 10*time.Second, 5*time.Millisecond)
	_, err = tx.Exec(t.Context(), "delete from refresh_token where user_id = $1", u.ID) // as it goes on
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, core.ErrRefreshUnknown, <-continued)
	_, err = store.ContinueSession(t.Context(), []byte("second"), []byte("third"), expires)
	require.Equal(t, core.ErrRefreshUnknown, err)
}
