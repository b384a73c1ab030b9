//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// actAsHost makes the test program act as a host of the plugin that the variable names, until it is killed.
const actAsHost = "STROEM_TEST_ACT_AS_HOST"

// holdOpen is a step that spreads over several processes, which ignore polite signals. Each of them, and nobody else, holds
// the named pipe open.
const holdOpen = `exec 9>"$HELD"; trap '' TERM INT HUP
sleep 120 & (sleep 120 & sleep 120) & echo ready; sleep 120`

// launch starts the plugin and runs holdOpen on it in the background.
func launch(ctx context.Context, path, held, scratch string) (cmd *exec.Cmd, client *plugin.Client, out *plugintest.Recorder, done <-chan error, err error) {
	cmd = exec.Command(path) //nolint:noctx // go-plugin ends it
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cfg := hostapi.ClientConfig(cmd)
	cfg.Logger = hclog.NewNullLogger()
	client = plugin.NewClient(cfg)
	conn, err := hostapi.Connect(client)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	runner := hostapi.NewRunner(conn, "runner(shell)")
	if err := runner.Configure(ctx, &pluginapi.Config{}); err != nil {
		return nil, nil, nil, nil, err
	}
	spec, err := json.Marshal(spec{Cmd: holdOpen})
	if err != nil {
		return nil, nil, nil, nil, err
	}
	out = plugintest.NewRecorder()
	ended := make(chan error, 1)
	go func() {
		_, err := runner.Run(ctx, &pluginapi.RunRequest{
			RunID: "held", Type: "shell", Runner: "local", Spec: spec, Env: map[string]string{"HELD": held},
			Workspace: pluginapi.Workspace{Dir: scratch}, ScratchDir: scratch, StopGrace: time.Minute,
		}, out)
		ended <- err
	}()
	return cmd, client, out, ended, nil
}

// hostMain is the main function of the test program as a host. It says the plugin's process id when the step is under way.
func hostMain(path string) {
	dir := os.Getenv("STROEM_TEST_DIR")
	cmd, _, out, done, err := launch(context.Background(), path, filepath.Join(dir, "held"), dir)
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	<-out.HasOutput()
	fmt.Println(cmd.Process.Pid)
	if err := <-done; err != nil {
		fmt.Println("error:", err)
	}
}

// namedPipe makes a named pipe and opens it for reading. It ends when the last process that holds it open has gone.
func namedPipe(t *testing.T, dir string) (path string, pipe *os.File) {
	t.Helper()
	path = filepath.Join(dir, "held")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	pipe, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = pipe.Close() })
	return path, pipe
}

// requireAllGone fails if any of the step's processes lives for more than three seconds.
func requireAllGone(t *testing.T, pipe *os.File) {
	t.Helper()
	require.NoError(t, pipe.SetReadDeadline(time.Now().Add(3*time.Second)))
	_, err := pipe.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "processes of the step are left")
}

func TestNothingSurvivesTheDeathOfThePlugin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, pipe := namedPipe(t, dir)
	cmd, client, out, done, err := launch(t.Context(), binary(t), path, dir)
	require.NoError(t, err)
	t.Cleanup(client.Kill)
	<-out.HasOutput()
	require.NoError(t, cmd.Process.Kill())
	requireAllGone(t, pipe)
	err = <-done
	require.Equal(t, pluginapi.CodeUnavailable, pluginapi.CodeOf(err), "got %v", err)
	require.ErrorContains(t, err, "runner(shell): no answer from the plugin")
}

func TestNothingSurvivesTheEndOfTheHost(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]os.Signal{"killed": os.Kill, "terminated": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			_, pipe := namedPipe(t, dir)
			self, err := os.Executable()
			require.NoError(t, err)
			host := exec.CommandContext(t.Context(), self)
			host.Env = append(os.Environ(), actAsHost+"="+binary(t), "STROEM_TEST_DIR="+dir)
			stdout, err := host.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, host.Start())
			var pid int
			_, err = fmt.Fscanln(stdout, &pid)
			require.NoError(t, err)
			require.NoError(t, host.Process.Signal(end))
			require.Error(t, host.Wait())
			requireAllGone(t, pipe)
			require.Eventually(t, func() bool { return ended(pid) }, 5*time.Second, 10*time.Millisecond, "the plugin is left")
		})
	}
}

// ended says whether a process has ended, though perhaps nobody has collected it yet.
func ended(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

func TestPluginIgnoresTerminationWhileItsHostLives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, pipe := namedPipe(t, dir)
	ctx, cancel := context.WithCancelCause(t.Context())
	cmd, client, out, done, err := launch(ctx, binary(t), path, dir)
	require.NoError(t, err)
	<-out.HasOutput()
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		require.NoError(t, cmd.Process.Signal(signal))
	}
	require.NoError(t, pipe.SetReadDeadline(time.Now().Add(300*time.Millisecond)))
	_, err = pipe.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "the step was ended")
	client.Kill()
	requireAllGone(t, pipe)
	require.Error(t, <-done)
	cancel(nil)
}

func TestStartedByHand(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), binary(t))
	text, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, 2, cmd.ProcessState.ExitCode())
	require.Contains(t, string(text), `This is the runner plugin "shell" of Strøm`)
	require.Contains(t, string(text), "stroem-worker starts it")
}
