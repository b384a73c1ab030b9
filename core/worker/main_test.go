package worker_test

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what has to happen.
const patience = 20 * time.Second

// process is a worker under test.
type process struct {
	t     *testing.T
	drain context.CancelFunc // the first signal
	abort context.CancelFunc // the second
	done  chan struct{}
	err   error // what Run returned, once done is closed
	log   *syncBuffer
}

// startWorker runs a worker against a server until the test ends.
func startWorker(t *testing.T, s *server, runner *scripted, change ...func(*worker.Options)) *process {
	t.Helper()
	p := newProcess(t, s, runner, change...)
	t.Cleanup(func() {
		p.abort()
		p.drain()
		<-p.done
	})
	return p
}

func newProcess(t *testing.T, s *server, runner *scripted, change ...func(*worker.Options)) *process {
	t.Helper()
	c, err := client.New(client.Options{Server: s.http.URL, Token: sharedToken})
	require.NoError(t, err)
	p := &process{t: t, done: make(chan struct{}), log: &syncBuffer{}}
	dir := coretest.TempDir(t)
	o := worker.Options{
		Name: "w", Version: "1", Client: c, Runners: runner, Slots: 4,
		CacheDir: filepath.Join(dir, "cache"), ScratchDir: filepath.Join(dir, "scratch"),
		StopGrace: 100 * time.Millisecond, Drain: patience, ReportLimit: 300 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(p.log, nil)),
	}
	for _, f := range change {
		f(&o)
	}
	// Not the test's own context, which ends before the cleanups.
	ctx, drain := context.WithCancel(context.WithoutCancel(t.Context()))
	abortCtx, abort := context.WithCancel(context.WithoutCancel(t.Context()))
	p.drain, p.abort = drain, abort
	go func() {
		defer close(p.done)
		defer c.Close()
		p.err = worker.New(o).Run(ctx, abortCtx)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.log.String())
		}
	})
	return p
}

// wait returns what Run returns.
func (p *process) wait() error {
	p.t.Helper()
	select {
	case <-p.done:
		return p.err
	case <-time.After(patience):
		require.FailNow(p.t, "the worker does not end", p.log.String())
		return nil
	}
}

// receive waits for what a channel brings.
func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
		panic("not reached")
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
