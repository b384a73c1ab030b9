package pgserver_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/pgserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, dir string) *pgserver.Server {
	t.Helper()
	s, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir, Settings: map[string]string{"fsync": "off"}})
	coretest.Started(t, err)
	return s
}

func connect(t *testing.T, s *pgserver.Server) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL())
	require.NoError(t, err)
	return conn
}

// TestDataSurvives writes into one server and reads it from the next one on the same directory, after an orderly end and
// after a kill.
func TestDataSurvives(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*pgserver.Server){"stopped": (*pgserver.Server).Stop, "killed": (*pgserver.Server).Kill} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Not in t.TempDir, which the unprivileged user of the database may not be able to enter.
			dir, err := os.MkdirTemp("", "stroem-pgserver-") //nolint:usetesting // see above
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
			first := start(t, dir)
			conn := connect(t, first)
			_, err = conn.Exec(t.Context(), "create table kept as select 42 as n")
			require.NoError(t, err)
			require.NoError(t, conn.Close(t.Context()))
			end(first)

			second := start(t, dir)
			defer second.Stop()
			conn = connect(t, second)
			var n int
			require.NoError(t, conn.QueryRow(t.Context(), "select n from kept").Scan(&n))
			require.Equal(t, 42, n)
			require.NoError(t, conn.Close(t.Context()))
		})
	}
}

func TestADirectoryThatCannotBeMade(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := pgserver.Start(t.Context(), pgserver.Options{Dir: filepath.Join(file, "below")})
	require.ErrorContains(t, err, "not a directory")
}
