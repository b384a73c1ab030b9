package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/client"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
	"github.com/stroem/stroem/tests/engines"
)

// line is a way to the engine that can be cut.
type line struct {
	engine  string
	address string
	tls     *tls.Config // nil: plain
	mu      sync.Mutex
	accept  net.Listener // nil while it is cut
	open    map[net.Conn]bool
	group   sync.WaitGroup
}

func newLine(t *testing.T, encrypted *tls.Config) *line {
	t.Helper()
	l := &line{engine: engines.Docker(t), address: "127.0.0.1:0", tls: encrypted, open: map[net.Conn]bool{}}
	l.mend(t)
	t.Cleanup(func() {
		l.cut()
		l.group.Wait()
	})
	return l
}

func (l *line) mend(t *testing.T) {
	t.Helper()
	accept, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(t.Context()), "tcp", l.address)
	require.NoError(t, err)
	if l.tls != nil {
		accept = tls.NewListener(accept, l.tls)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accept, l.address = accept, accept.Addr().String()
	l.group.Go(func() {
		for {
			near, err := accept.Accept()
			if err != nil {
				return
			}
			l.group.Go(func() { l.carry(near) })
		}
	})
}

func (l *line) carry(near net.Conn) {
	defer func() { _ = near.Close() }()
	target, err := client.ParseHostURL(l.engine)
	if err != nil {
		return
	}
	far, err := (&net.Dialer{}).DialContext(context.Background(), target.Scheme, target.Host+strings.TrimSuffix(target.Path, "/"))
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	l.mu.Lock()
	l.open[near], l.open[far] = true, true
	if l.accept == nil { // cut meanwhile
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	var there sync.WaitGroup
	there.Go(func() {
		_, _ = io.Copy(far, near)
		_ = far.Close()
	})
	_, _ = io.Copy(near, far)
	_ = near.Close()
	there.Wait()
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.accept != nil {
		_ = l.accept.Close()
		l.accept = nil
	}
	for conn := range l.open {
		_ = conn.Close()
	}
	clear(l.open)
}

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
