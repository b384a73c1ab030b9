package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/postgres"
)

func TestPendingMigrations(t *testing.T) {
	t.Parallel()
	url := coretest.EmptySchema(t)
	store, err := postgres.Open(t.Context(), url, 2)
	require.NoError(t, err)
	defer store.Close()
	all, err := store.Pending(t.Context())
	require.NoError(t, err)
	require.Equal(t, "20261124080000_jobs", all[0])
	require.NoError(t, postgres.Migrate(t.Context(), url))
	pending, err := store.Pending(t.Context())
	require.NoError(t, err)
	require.Empty(t, pending)
	require.NoError(t, postgres.Rollback(t.Context(), url))
	pending, err = store.Pending(t.Context())
	require.NoError(t, err)
	require.Equal(t, all[len(all)-1:], pending)
}
