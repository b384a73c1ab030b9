package main

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// waiter is a recorder that tells when a text has come on stderr.
type waiter struct {
	*plugintest.Recorder
	text string
	once sync.Once
	came chan struct{}
}

func (w *waiter) Stderr() io.Writer { return w }

func (w *waiter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.text) {
		w.once.Do(func() { close(w.came) })
	}
	return w.Recorder.Stderr().Write(p)
}

// TestEngineThatGoesAway loses the engine in the midst of a step that goes on, as with live-restore. By tcp the engine is not
// local, so that the workspace travels.
func TestEngineThatGoesAway(t *testing.T) {
	t.Parallel()
	engine(t)
	way := newLine(t, nil)
	f := setup(t, typeShell, doc{
		"cmd": "i=0; while [ $i -lt 200 ]; do echo out$i; i=$((i+1)); [ $((i%10)) = 0 ] && sleep 0.1; done; cat file; exit 5",
	}, doc{"host": "tcp://" + way.address})
	f.files(t, map[string]string{"file": "travelled"})
	out := &waiter{Recorder: f.out, text: "lost the connection to the Docker engine", came: make(chan struct{})}
	var result *pluginapi.Result
	var err error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		result, err = f.runner.Run(t.Context(), f.req, out)
	}()
	<-f.out.HasOutput()
	way.cut()
	<-out.came
	way.mend(t)
	<-ended
	require.NoError(t, err)
	require.Equal(t, 5, result.ExitCode)
	stdout, stderr, _ := f.out.Text()
	require.Equal(t, 200, strings.Count(stdout, "out"))
	require.True(t, strings.HasPrefix(stdout, "out0\nout1\nout2\n"))
	require.True(t, strings.HasSuffix(stdout, "out198\nout199\ntravelled"))
	require.Contains(t, stderr, "stroem: the Docker engine answers again")
}

// TestConnectionsThatBreak has something between that ends connections on which nothing happens, as proxies do: a step that says
// nothing for long is well all the same.
func TestConnectionsThatBreak(t *testing.T) {
	t.Parallel()
	engine(t)
	way := newLine(t, nil)
	f := setup(t, typeDocker, doc{"cmd": "echo begin; sleep 5; echo end; exit 5"}, doc{"host": "tcp://" + way.address})
	go func() {
		<-f.out.HasOutput()
		way.shorten(300 * time.Millisecond)
	}()
	result, err := f.runner.Run(t.Context(), f.req, f.out)
	require.NoError(t, err)
	require.Equal(t, 5, result.ExitCode)
	stdout, _, _ := f.out.Text()
	require.Equal(t, "begin\nend\n", stdout)
}

// TestStopWithoutAnAnswer: an engine that is frozen does not keep a run that is told to stop.
func TestStopWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	engine(t)
	way := newLine(t, nil)
	f := setup(t, typeDocker, doc{"cmd": "echo begin; sleep 600"}, doc{"host": "tcp://" + way.address})
	f.req.StopGrace = 300 * time.Millisecond
	r := newTestRunner()
	require.NoError(t, r.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, doc{"host": "tcp://" + way.address})}))
	ctx, cancel := context.WithCancelCause(t.Context())
	var told time.Time
	go func() {
		<-f.out.HasOutput()
		way.frozen.Lock()
		told = time.Now()
		cancel(pluginapi.ErrStopped)
	}()
	result, err := r.Run(ctx, f.req, f.out)
	took := time.Since(told)
	way.frozen.Unlock()
	require.Nil(t, result)
	require.Equal(t, pluginapi.CodeUnavailable, pluginapi.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "does not answer")
	require.Less(t, took, 30*time.Second, "the host waits for five seconds and reports something else then; calls may take minutes")
	require.NoError(t, f.runner.Remove(t.Context(), &pluginapi.RemoveRequest{RunID: f.req.RunID}))
	require.NoError(t, r.Close())
}
