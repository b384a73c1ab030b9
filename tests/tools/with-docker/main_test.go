//go:build linux

package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/tests/dockerd"
	"github.com/stroem/stroem/tests/enclosure"
	"github.com/stroem/stroem/tests/engines"
	"github.com/stroem/stroem/tests/localimage"
)

// actAsCommand tells the test binary to be with-docker.
const actAsCommand = "STROEM_TEST_ACT_AS_WITH_DOCKER"

const image = "stroem.local/busybox:1"

func TestMain(m *testing.M) {
	dockerd.Inside()
	if os.Getenv(actAsCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// command is with-docker with a directory for temporary files of its own, and no engine given to it.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	engines.Docker(t) // where tests get one, this can start one
	program, err := os.Executable()
	require.NoError(t, err)
	temp, err := os.MkdirTemp("", "stroem-test-") //nolint:usetesting // paths of sockets are to be short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(temp) })
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), actAsCommand+"=1", engines.DockerHost+"=", "TMPDIR="+temp, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// archive is the path of an image.
func archive(t *testing.T) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "image.tar"))
	require.NoError(t, err)
	require.NoError(t, localimage.Image{Name: image, Command: []string{"sh"}}.Write(t.Context(), file))
	require.NoError(t, file.Close())
	return file.Name()
}

// startContainer is a script that starts a container which does not end when it is asked to.
const startContainer = `
set -e
export DOCKER_HOST=$STROEM_TEST_DOCKER_HOST
docker load -q -i "$0" >&2
docker run -d -m 64m ` + image + ` sh -c 'trap "" TERM; while true; do sleep 1; done' >&2
echo $DOCKER_HOST
`

// started starts the command, whose script ends by itself with standard input, and returns what is to be gone later.
func started(t *testing.T, cmd *exec.Cmd) enclosure.Trace {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	trace := enclosure.Follow(filepath.Dir(strings.TrimPrefix(strings.TrimSpace(line), "unix://")))
	require.Len(t, trace.Links, 2, "a bridge and the container's interface")
	require.NotEmpty(t, trace.Left())
	return trace
}

func requireGone(t *testing.T, trace enclosure.Trace) {
	t.Helper()
	require.Eventually(t, func() bool { return len(trace.Left()) == 0 }, time.Minute, 20*time.Millisecond)
}

func TestCommandHasEngine(t *testing.T) {
	t.Parallel()
	cmd := command(t, "sh", "-c", startContainer+"cat >&2; exit 7", archive(t))
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	trace := started(t, cmd)
	require.NoError(t, stdin.Close())
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, 7, exit.ExitCode(), "the command's exit code is ours")
	requireGone(t, trace)
}

func TestSignalEndsCommandAndEngine(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			cmd := command(t, "sh", "-c", startContainer+"exec cat >&2", archive(t))
			stdin, err := cmd.StdinPipe()
			require.NoError(t, err)
			defer func() { _ = stdin.Close() }()
			trace := started(t, cmd)
			require.NoError(t, cmd.Process.Signal(signal))
			require.Error(t, cmd.Wait())
			requireGone(t, trace)
		})
	}
}

func TestEngineOfTheCaller(t *testing.T) {
	t.Parallel()
	cmd := command(t, "sh", "-c", "echo $"+engines.DockerHost)
	cmd.Env = append(cmd.Env, engines.DockerHost+"=unix:///given")
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, "unix:///given\n", string(out))
}
