package replica_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/replica"
)

func TestIdentityIsKept(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first, err := replica.Take(dir)
	require.NoError(t, err)
	require.NotEqual(t, uuid.Nil, first.ID)
	_, err = replica.Take(dir)
	require.ErrorContains(t, err, "another server uses the data directory "+dir)
	first.Release()
	again, err := replica.Take(dir)
	require.NoError(t, err)
	require.Equal(t, first.ID, again.ID)
	again.Release()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "no drafts are left")
}

func TestOneOfManyTakesADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	taken := make(chan *replica.Identity, 8)
	var group sync.WaitGroup
	for range cap(taken) {
		group.Go(func() {
			if i, err := replica.Take(dir); err == nil {
				taken <- i
			}
		})
	}
	group.Wait()
	require.Len(t, taken, 1)
	(<-taken).Release()
}

func TestDamagedIdentityIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "replica-id")
	require.NoError(t, os.WriteFile(name, []byte("x\n"), 0o600))
	_, err := replica.Take(dir)
	require.ErrorContains(t, err, name+" is not the id of a replica")
	require.NoError(t, os.Remove(name))
	i, err := replica.Take(dir)
	require.NoError(t, err, "the lock is not held any more")
	i.Release()
}
