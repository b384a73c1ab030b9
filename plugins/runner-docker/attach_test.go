package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// keeper is an output that keeps what came with its times, as a host does.
type keeper struct {
	mu     sync.Mutex
	chunks []chunk
	state  []byte
	enough chan struct{} // closed when there are twenty chunks
	once   sync.Once
}

type chunk struct {
	stderr bool
	at     time.Time
	text   string
}

func newKeeper() *keeper { return &keeper{enough: make(chan struct{})} }

func (k *keeper) Started(state []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state = bytes.Clone(state)
	return nil
}
func (k *keeper) Stdout() io.Writer { return keeperWriter{k, false} }
func (k *keeper) Stderr() io.Writer { return keeperWriter{k, true} }

type keeperWriter struct {
	*keeper
	stderr bool
}

func (w keeperWriter) Write(p []byte) (int, error) { return w.WriteTimed(p, time.Now()) }

func (w keeperWriter) WriteTimed(p []byte, at time.Time) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.chunks = append(w.chunks, chunk{w.stderr, at, string(p)})
	if len(w.chunks) == 20 {
		w.once.Do(func() { close(w.enough) })
	}
	return len(p), nil
}

// known forgets what came with the last time, and returns that: it is where to go on.
func (k *keeper) known() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	since := k.chunks[len(k.chunks)-1].at
	var before []chunk
	for _, c := range k.chunks {
		if c.at.Before(since) {
			before = append(before, c)
		}
	}
	k.chunks = before
	return since
}

func (k *keeper) text(stderr bool) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var b strings.Builder
	for _, c := range k.chunks {
		if c.stderr == stderr {
			b.WriteString(c.text)
		}
	}
	return b.String()
}

// process starts the plugin as a host does, to be killed.
func process(t *testing.T) (*exec.Cmd, *hostapi.Runner) {
	t.Helper()
	cmd := exec.Command(pluginBinary(t)) //nolint:noctx // go-plugin ends it
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cfg := hostapi.ClientConfig(cmd)
	cfg.Logger = hclog.NewNullLogger()
	client := plugin.NewClient(cfg)
	t.Cleanup(client.Kill)
	conn, err := hostapi.Connect(client)
	require.NoError(t, err)
	r := hostapi.NewRunner(conn, "runner(docker)")
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, nil)}))
	return cmd, r
}

func (f *fixture) attachRequest(since time.Time, state []byte) *pluginapi.AttachRequest {
	return &pluginapi.AttachRequest{
		RunID: f.req.RunID, Type: f.req.Type, Runner: f.req.Runner, State: state, Since: since,
		ScratchDir: f.req.ScratchDir, StopGrace: f.req.StopGrace, Labels: f.req.Labels,
	}
}

// TestAttachAfterKill kills the plugin in the midst of a step that writes to both streams, and goes on with another one.
func TestAttachAfterKill(t *testing.T) {
	t.Parallel()
	const lines = 300
	f := setup(t, typeShell, doc{
		"cmd": "i=0; while [ $i -lt 300 ]; do echo out$i; echo err$i >&2; i=$((i+1)); [ $((i%10)) = 0 ] && sleep 0.05; done; exit 5",
	}, doc{"workspace": "volume"})
	cmd, lost := process(t)
	k := newKeeper()
	ended := make(chan error, 1)
	go func() {
		_, err := lost.Run(t.Context(), f.req, k)
		ended <- err
	}()
	<-k.enough
	require.NoError(t, cmd.Process.Kill())
	require.Equal(t, pluginapi.CodeUnavailable, pluginapi.CodeOf(<-ended))

	result, err := f.runner.Attach(t.Context(), f.attachRequest(k.known(), k.state), k)
	require.NoError(t, err)
	require.Equal(t, exit(5), *result)
	var stdout, stderr strings.Builder
	for n := range lines {
		stdout.WriteString("out" + strconv.Itoa(n) + "\n")
		stderr.WriteString("err" + strconv.Itoa(n) + "\n")
	}
	require.Equal(t, stdout.String(), k.text(false))
	require.Equal(t, stderr.String(), k.text(true))

	_, err = f.runner.Attach(t.Context(), f.attachRequest(zero, k.state), plugintest.NewRecorder())
	require.Equal(t, pluginapi.CodeNotFound, pluginapi.CodeOf(err), "%v", err)
}

// TestAttachToContainerThatHasEnded: its result is known as long as it is there.
func TestAttachToContainerThatHasEnded(t *testing.T) {
	t.Parallel()
	f := setup(t, typeDocker, doc{"cmd": "echo begin; sleep 0.5; echo end; exit 6"}, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	first := plugintest.NewRecorder()
	go func() {
		<-first.HasOutput()
		cancel(pluginapi.ErrHostGone)
	}()
	_, err := f.runner.Run(ctx, f.req, first)
	require.Error(t, err)
	over, failed := f.api.ContainerWait(t.Context(), name(f.req.RunID, f.req.Labels), container.WaitConditionNotRunning)
	select {
	case <-over:
	case err := <-failed:
		require.NoError(t, err)
	}
	result, err := f.runner.Attach(t.Context(), f.attachRequest(zero, nil), f.out)
	require.NoError(t, err)
	require.Equal(t, exit(6), *result)
	stdout, _, _ := f.out.Text()
	require.Equal(t, "begin\nend\n", stdout)
}

// TestAttachBeforeTheStart: a plugin may die when the container is made and not started.
func TestAttachBeforeTheStart(t *testing.T) {
	t.Parallel()
	for name, complete := range map[string]bool{"complete": true, "without its files": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, typeShell, doc{"cmd": "echo here; exit 7"}, nil)
			r := newTestRunner()
			require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, nil)}))
			defer func() { require.NoError(t, r.Close()) }()
			l, err := r.newLaunch(f.req, plugintest.NewRecorder())
			require.NoError(t, err)
			if complete {
				require.NoError(t, l.prepare(t.Context()))
			} else {
				require.NoError(t, l.create(t.Context()))
			}
			result, err := f.runner.Attach(t.Context(), f.attachRequest(zero, nil), f.out)
			if !complete {
				require.Equal(t, pluginapi.CodeNotFound, pluginapi.CodeOf(err))
				require.ErrorContains(t, err, "was created, but never started")
				require.NoError(t, f.runner.Remove(t.Context(), &pluginapi.RemoveRequest{RunID: f.req.RunID}))
				return
			}
			require.NoError(t, err)
			require.Equal(t, exit(7), *result)
		})
	}
}

// TestLeftoverOfTheSameRun: whoever asks for a run again has given up the first.
func TestLeftoverOfTheSameRun(t *testing.T) {
	t.Parallel()
	f := setup(t, typeShell, doc{"cmd": "echo once"}, doc{"workspace": "volume"})
	r := newTestRunner()
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, doc{"workspace": "volume"})}))
	defer func() { require.NoError(t, r.Close()) }()
	l, err := r.newLaunch(f.req, plugintest.NewRecorder())
	require.NoError(t, err)
	require.NoError(t, l.prepare(t.Context()))
	f.want(t, outcome{stdout: "once\n"})
}
