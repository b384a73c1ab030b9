package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func commit(digit string) string { return strings.Repeat(digit, 40) }

// fill makes a revision of so many bytes.
func fill(bytes int) func(dir string) error {
	return func(dir string) error {
		return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "pack"), make([]byte, bytes), 0o600))
	}
}

// put takes a revision and gives it back; it was used that long ago.
func put(t *testing.T, s *store, repository, id string, bytes int, age time.Duration) {
	t.Helper()
	place, err := s.take(t.Context(), repository, id, fill(bytes))
	require.NoError(t, err)
	used := time.Now().Add(-age)
	require.NoError(t, os.Chtimes(place.dir(), used, used))
	require.NoError(t, place.give())
}

func stored(t *testing.T, s *store) []string {
	t.Helper()
	all, err := s.list()
	require.NoError(t, err)
	var names []string
	for _, k := range all {
		names = append(names, k.name[:len("aa/1")])
	}
	return names
}

func TestStoreKeepsTheLastRevisions(t *testing.T) {
	t.Parallel()
	s, err := newStore(t.TempDir(), 1<<20)
	require.NoError(t, err)
	put(t, s, "aa", commit("1"), 10, 4*time.Hour)
	put(t, s, "aa", commit("2"), 10, 3*time.Hour)
	put(t, s, "aa", commit("3"), 10, 2*time.Hour)
	put(t, s, "bb", commit("1"), 10, 9*time.Hour)
	put(t, s, "aa", commit("1"), 10, time.Hour) // used again
	put(t, s, "aa", commit("4"), 10, 0)
	require.Equal(t, []string{"aa/1", "aa/3", "aa/4", "bb/1"}, stored(t, s))
}

func TestStoreKeepsToItsSize(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := newStore(dir, 1000)
	require.NoError(t, err)
	put(t, s, "aa", commit("1"), 400, 3*time.Hour)
	put(t, s, "bb", commit("1"), 400, 2*time.Hour)
	require.Equal(t, []string{"aa/1", "bb/1"}, stored(t, s))
	put(t, s, "cc", commit("1"), 400, time.Hour)
	require.Equal(t, []string{"bb/1", "cc/1"}, stored(t, s))
	require.NoDirExists(t, filepath.Join(dir, "repositories", "aa"))
	put(t, s, "dd", commit("1"), 2000, 0)
	require.Equal(t, []string{"bb/1", "cc/1"}, stored(t, s), "what is too large alone costs the others nothing")
}

func TestStoreRemovesNothingInUse(t *testing.T) {
	t.Parallel()
	s, err := newStore(t.TempDir(), 0)
	require.NoError(t, err)
	place, err := s.take(t.Context(), "aa", commit("1"), fill(10))
	require.NoError(t, err)
	put(t, s, "aa", commit("2"), 10, 0)
	require.Equal(t, []string{"aa/1"}, stored(t, s))
	require.NoError(t, place.give())
	require.Empty(t, stored(t, s))
}

func TestStoreFillsOnceForMany(t *testing.T) {
	t.Parallel()
	s, err := newStore(t.TempDir(), 1<<20)
	require.NoError(t, err)
	var filled atomic.Int64
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			place, err := s.take(t.Context(), "aa", commit("1"), func(dir string) error {
				filled.Add(1)
				return fill(10)(dir)
			})
			if err == nil {
				err = place.give()
			}
			if err != nil {
				t.Errorf("take: %v", err)
			}
		})
	}
	wait.Wait()
	require.Equal(t, int64(1), filled.Load())
	require.Empty(t, s.slots)
}

func TestStoreAfterFailures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := newStore(dir, 1<<20)
	require.NoError(t, err)
	broken := errors.New("broke off")
	_, err = s.take(t.Context(), "aa", commit("1"), func(dir string) error { return errors.Join(fill(10)(dir), broken) })
	require.ErrorIs(t, err, broken)
	require.Empty(t, stored(t, s))
	left, err := os.ReadDir(filepath.Join(dir, "repositories", "aa"))
	require.NoError(t, err)
	require.Empty(t, left)
	require.Empty(t, s.slots)

	require.NoError(t, fill(10)(filepath.Join(dir, "repositories", "aa", draftPrefix+"of a crash")))
	s, err = newStore(dir, 1<<20)
	require.NoError(t, err)
	require.NoDirExists(t, filepath.Join(dir, "repositories", "aa", draftPrefix+"of a crash"))

	place, err := s.take(t.Context(), "aa", commit("1"), fill(10))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.take(ctx, "aa", commit("1"), fill(10))
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, place.give())
	require.Empty(t, s.slots)
}

func TestWithoutADirectoryNothingIsKept(t *testing.T) {
	t.Parallel()
	s, err := newStore("", 1<<20)
	require.NoError(t, err)
	place, err := s.take(t.Context(), "aa", commit("1"), fill(10))
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(place.dir(), "pack"))
	require.NoError(t, place.give())
	require.NoDirExists(t, filepath.Dir(place.dir()))
	_, ok := s.find("aa", commit("1"))
	require.False(t, ok)
}
