package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/coretest"
)

// actAsCommand tells the test binary to be with-postgres.
const actAsCommand = "STROEM_TEST_ACT_AS_WITH_POSTGRES"

func TestMain(m *testing.M) {
	if os.Getenv(actAsCommand) != "" {
		main()
	}
	os.Exit(coretest.Main(m))
}

// command is with-postgres with a directory for temporary files of its own, and no server given to it.
func command(t *testing.T, args ...string) (cmd *exec.Cmd, temp string) {
	t.Helper()
	coretest.EmptySchema(t)                            // skips or fails where there is no PostgreSQL
	temp, err := os.MkdirTemp("", "stroem-test-with-") //nolint:usetesting // the server's user may not enter t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(temp) })
	require.NoError(t, os.Chmod(temp, 0o755))
	program, err := os.Executable()
	require.NoError(t, err)
	cmd = exec.CommandContext(t.Context(), program, args...)
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, coretest.DatabaseURL+"=") {
			cmd.Env = append(cmd.Env, entry)
		}
	}
	cmd.Env = append(cmd.Env, actAsCommand+"=1", "TMPDIR="+temp)
	cmd.Stderr = os.Stderr
	return cmd, temp
}

// requireGone checks that the server at url is gone, and its files with it.
func requireGone(t *testing.T, url, temp string) {
	t.Helper()
	_, err := pgx.Connect(t.Context(), url)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	left, err := filepath.Glob(filepath.Join(temp, "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestCommandHasServer(t *testing.T) {
	t.Parallel()
	cmd, temp := command(t, "sh", "-c", "echo $"+coretest.DatabaseURL+"; read line; exit 7")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	url := strings.TrimSpace(line)

	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))

	require.NoError(t, stdin.Close())
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, 7, exit.ExitCode(), "the command's exit code is ours")
	requireGone(t, url, temp)
}

func TestSignalEndsCommandAndServer(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			cmd, temp := command(t, "sh", "-c", "echo $"+coretest.DatabaseURL+"; exec sleep 60")
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			line, err := bufio.NewReader(stdout).ReadString('\n')
			require.NoError(t, err)

			require.NoError(t, cmd.Process.Signal(signal))
			require.Error(t, cmd.Wait())
			requireGone(t, strings.TrimSpace(line), temp)
		})
	}
}

func TestCommandNotFound(t *testing.T) {
	t.Parallel()
	cmd, temp := command(t, "stroem-no-such-command")
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Run(), &exit)
	require.Equal(t, 1, exit.ExitCode())
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestServerOfTheCaller(t *testing.T) {
	t.Parallel()
	cmd, temp := command(t, "sh", "-c", "echo $"+coretest.DatabaseURL)
	cmd.Env = append(cmd.Env, coretest.DatabaseURL+"=postgres://given")
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, "postgres://given\n", string(out))
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
}
