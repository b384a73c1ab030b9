package credentials_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/credentials"
)

const server = "https://stroem.example.org"

func sample(n int) credentials.Session {
	return credentials.Session{
		Email: "ada@example.org", RefreshToken: fmt.Sprintf("r%d", n), AccessToken: fmt.Sprintf("a%d", n),
		ExpiresAt: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
	}
}

func TestSessionsAreStoredByServer(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "config", "stroem")
	store := credentials.In(dir)
	_, ok, err := store.Session(server)
	require.NoError(t, err)
	require.False(t, ok)
	_, ok, err = store.Remove(t.Context(), server)
	require.NoError(t, err)
	require.False(t, ok)
	require.NoDirExists(t, dir, "nothing is made before there is something to store")

	before, err := store.Put(t.Context(), server, sample(1))
	require.NoError(t, err)
	require.Zero(t, before)
	_, err = store.Put(t.Context(), "http://127.0.0.1:8080", sample(2))
	require.NoError(t, err)
	before, err = store.Put(t.Context(), server, sample(3))
	require.NoError(t, err)
	require.Equal(t, sample(1), before)

	got, ok, err := credentials.In(dir).Session(server)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, sample(3), got)
	got, ok, err = store.Remove(t.Context(), server)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, sample(3), got)
	_, ok, err = store.Session(server)
	require.NoError(t, err)
	require.False(t, ok)
	got, _, err = store.Session("http://127.0.0.1:8080")
	require.NoError(t, err)
	require.Equal(t, sample(2), got)
}

func TestModes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "stroem")
	store := credentials.In(dir)
	_, err := store.Put(t.Context(), server, sample(1))
	require.NoError(t, err)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	file := filepath.Join(dir, "credentials.json")
	info, err = os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602, 0o644} {
		require.NoError(t, os.Chmod(file, mode))
		_, _, err = store.Session(server)
		require.ErrorContains(t, err, "others may read or change it")
		require.ErrorContains(t, err, "run chmod 600 "+file)
		_, err = store.Put(t.Context(), server, sample(2))
		require.ErrorContains(t, err, "chmod 600", "what may have been read is not put right silently")
		_, _, err = store.Remove(t.Context(), server)
		require.ErrorContains(t, err, "chmod 600")
	}
	require.NoError(t, os.Chmod(file, 0o600))
	got, _, err := store.Session(server)
	require.NoError(t, err)
	require.Equal(t, sample(1), got)
}

func TestFilesThatAreNotOurs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ content, problem string }{
		"cut off":         {`{"format": 1, "sess`, "is damaged: remove it, and sign in again"},
		"empty":           {"", "is damaged"},
		"another version": {`{"format": 2, "sessions": {}}`, "was written by another version of stroem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "credentials.json"), []byte(c.content), 0o600))
			_, _, err := credentials.In(dir).Session(server)
			require.ErrorContains(t, err, c.problem)
			_, err = credentials.In(dir).Put(t.Context(), server, sample(1))
			require.ErrorContains(t, err, c.problem)
			kept, err := os.ReadFile(filepath.Join(dir, "credentials.json"))
			require.NoError(t, err)
			require.Equal(t, c.content, string(kept))
		})
	}
}

// A process that was killed while it wrote leaves a file behind, which hinders nobody and does not stay.
func TestWhatAKilledProcessLeaves(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := credentials.In(dir)
	_, err := store.Put(t.Context(), server, sample(1))
	require.NoError(t, err)
	left := filepath.Join(dir, "credentials.json.new")
	require.NoError(t, os.WriteFile(left, []byte(`{"format": 1, "se`), 0o644))
	got, _, err := store.Session(server)
	require.NoError(t, err)
	require.Equal(t, sample(1), got)
	_, err = store.Put(t.Context(), server, sample(2))
	require.NoError(t, err)
	require.NoFileExists(t, left)
	info, err := os.Stat(filepath.Join(dir, "credentials.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// Whoever reads while others write sees one whole file or another, and no change is lost.
func TestReadersAndWriters(t *testing.T) {
	t.Parallel()
	store := credentials.In(t.TempDir())
	_, err := store.Put(t.Context(), server, sample(0))
	require.NoError(t, err)
	var running sync.WaitGroup
	for n := range 8 {
		running.Go(func() {
			_, err := store.Put(t.Context(), fmt.Sprintf("http://host%d", n), sample(n))
			assert.NoError(t, err)
		})
		running.Go(func() {
			for range 50 {
				got, ok, err := store.Session(server)
				if assert.NoError(t, err) && assert.True(t, ok) {
					assert.Equal(t, sample(0), got)
				}
			}
		})
	}
	running.Wait()
	for n := range 8 {
		got, ok, err := store.Session(fmt.Sprintf("http://host%d", n))
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, sample(n), got)
	}
}

// Without a place to write to, no refresh token is spent.
func TestNothingIsSpentThatCannotBeStored(t *testing.T) {
	t.Parallel()
	r := newRotating(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "credentials.json"), fmt.Appendf(nil,
		`{"format": 1, "sessions": {%q: {"refresh_token": "r0", "access_token": "a0"}}}`, r.address), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "credentials.lock"), 0o700)) // which cannot be opened to write
	_, err := r.source(t, credentials.In(dir)).Token(t.Context())
	require.ErrorContains(t, err, "lock the stored sessions")
	n, _ := r.refreshes()
	require.Zero(t, n)
}
