package coretest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/postgres"
)

// connections of a test's store: many stores share one server.
const connections = 10

// Store opens a store on a migrated schema of the test's own, which it returns the connection string of. Both end with the test.
func Store(t testing.TB, options ...postgres.Option) (store *postgres.Store, url string) {
	t.Helper()
	url = Postgres(t)
	store, err := postgres.Open(t.Context(), url, connections, options...)
	require.NoError(t, err)
	t.Cleanup(store.Close)
	return store, url
}
