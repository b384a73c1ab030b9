package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// busyHost takes no output before it is told to, and then piece by piece.
type busyHost struct {
	*plugintest.Recorder
	open  chan struct{}
	piece time.Duration // that each piece takes
}

func (h *busyHost) Stdout() io.Writer { return busyWriter{h, h.Recorder.Stdout()} }

type busyWriter struct {
	host *busyHost
	io.Writer
}

func (w busyWriter) Write(p []byte) (int, error) {
	<-w.host.open
	if w.host.piece > 0 {
		<-time.After(w.host.piece)
	}
	return w.Writer.Write(p)
}

// behind starts a step whose output nobody takes, and waits for its pod to end.
func (r *runner) behind(t *testing.T, c *cluster, cmd string, piece time.Duration) (*pluginapi.RunRequest, *busyHost, *underWay) {
	t.Helper()
	req := request(t, map[string]any{"cmd": cmd}, nil)
	host := &busyHost{Recorder: plugintest.NewRecorder(), open: make(chan struct{}), piece: piece}
	u := inBackground(t, func(ctx context.Context, _ pluginapi.Output) (*pluginapi.Result, error) { return r.Run(ctx, req, host) })
	t.Cleanup(func() { // before the run is waited for
		select {
		case <-host.open:
		default:
			close(host.open)
		}
	})
	c.podOf(t, req, ended)
	return req, host, u
}

// TestStopOfAStepThatIsOver stops a run whose step has ended, and whose output would take a minute to read.
func TestStopOfAStepThatIsOver(t *testing.T) {
	t.Parallel()
	r, c := newTestRunner(t, nil)
	const lines = 600
	_, host, u := r.behind(t, c, "n=0; while [ $n -lt 600 ]; do n=$((n+1)); echo line $n; done; exit 3", 100*time.Millisecond)
	u.cancel(pluginapi.ErrStopped)
	close(host.open)
	soon(t, "the end", u.ended)
	require.NoError(t, u.err)
	require.Equal(t, 3, u.result.ExitCode, "it has a result of its own")
	require.Less(t, strings.Count(stdout(host.Recorder), "\n"), lines, "the rest is not read")
	require.Contains(t, text(host.Recorder), "stroem: the step was stopped: the end of its output, which is long, was not read")
}

// TestHostThatGoesAtTheEnd loses its host between the end of the step and that of its output: another instance has to find both.
func TestHostThatGoesAtTheEnd(t *testing.T) {
	t.Parallel()
	r, c := newTestRunner(t, nil)
	req, host, u := r.behind(t, c, "echo one; echo two; exit 3", 0)
	u.cancel(pluginapi.ErrHostGone)
	close(host.open)
	soon(t, "the end", u.ended)
	require.ErrorIs(t, u.err, pluginapi.ErrHostGone)
	out := plugintest.NewRecorder()
	result, err := r.Attach(t.Context(), &pluginapi.AttachRequest{
		RunID: req.RunID, Type: req.Type, State: host.State(), StopGrace: req.StopGrace,
	}, out)
	require.NoError(t, err)
	require.Equal(t, 3, result.ExitCode)
	require.Equal(t, "one\ntwo\n", stdout(out))
}
