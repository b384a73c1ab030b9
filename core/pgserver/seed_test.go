package pgserver_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/pgserver"
)

// directory is not in t.TempDir, which the unprivileged user of the database may not be able to enter.
func directory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "stroem-pgserver-") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// temporary starts a temporary server, and tells whether it began from nothing.
func temporary(t *testing.T, cache string) (s *pgserver.Server, dir string, anew bool) {
	t.Helper()
	dir = directory(t)
	s, err := pgserver.Start(t.Context(), pgserver.Options{
		Dir: dir, Cache: cache, Temporary: true, Progress: func(string) { anew = true },
	})
	coretest.Started(t, err)
	t.Cleanup(s.Stop)
	return s, dir, anew
}

func query(t *testing.T, s *pgserver.Server) {
	t.Helper()
	conn := connect(t, s)
	var name string
	require.NoError(t, conn.QueryRow(t.Context(), "select current_database()").Scan(&name))
	require.Equal(t, "stroem", name)
	require.NoError(t, conn.Close(t.Context()))
}

func TestTemporaryServersBeginFromASeed(t *testing.T) {
	t.Parallel()
	cache := filepath.Join(t.TempDir(), "cache")
	first, dir, anew := temporary(t, cache)
	require.True(t, anew)
	query(t, first)
	socket, err := os.Stat(filepath.Join(dir, ".s.PGSQL.5432"))
	require.NoError(t, err)
	require.Equal(t, fs.ModeSocket, socket.Mode().Type())
	entered, err := os.Stat(dir)
	require.NoError(t, err)
	require.Zero(t, entered.Mode().Perm()&0o077, "nobody else gets to the socket")
	archives, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Len(t, archives, 1)
	info, err := archives[0].Info()
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode(), "it holds a password")

	for _, name := range []string{"second", "third"} { // at the same time
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next, _, anew := temporary(t, cache)
			require.False(t, anew)
			query(t, next)
		})
	}
}

func TestADamagedSeedIsMadeAnew(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(data []byte) []byte{
		"cut off":      func(data []byte) []byte { return data[:len(data)/2] },
		"empty":        func([]byte) []byte { return nil },
		"other bytes":  func(data []byte) []byte { clear(data[len(data)/3:]); return data },
		"other layout": func([]byte) []byte { return make([]byte, 1024) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache := t.TempDir()
			_, _, anew := temporary(t, cache)
			require.True(t, anew)
			archives, err := os.ReadDir(cache)
			require.NoError(t, err)
			path := filepath.Join(cache, archives[0].Name())
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, damage(data), 0o600))
			again, _, anew := temporary(t, cache)
			require.True(t, anew)
			query(t, again)
			whole, err := os.Stat(path)
			require.NoError(t, err)
			require.EqualValues(t, len(data), whole.Size())
		})
	}
}
