package worker_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/worker"
	"github.com/stroem/stroem/pluginapi"
)

// change has the server let the workers in again that register, as the ones that they are.
func (s *server) change() {
	s.do(func() {
		for _, w := range s.workers {
			w.changed = true
		}
	})
}

// A server with other tokens in its configuration costs no step, whichever call hears of it.
func TestAChangedTokenStopsNothing(t *testing.T) {
	t.Parallel()
	s, gate := newServer(t), newGate()
	first := s.add("a")
	runner := newScripted(map[string]behaviour{"a": gate.run})
	startWorker(t, s, runner)
	receive(t, gate.running)
	s.change()
	close(gate.open)
	require.Equal(t, 0, *s.result(first).ExitCode)
	require.Equal(t, 1, runner.ran("a"))
	for range 3 {
		s.change()
		require.Equal(t, 0, *s.result(s.add("b")).ExitCode)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(t, s.workers, 1, "it is the same worker all the time")
	require.GreaterOrEqual(t, s.renewals, 4)
}

func TestAWorkerThatIsNotLetInAnyMoreEnds(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	stopped := make(chan struct{})
	running := make(chan struct{})
	s.add("a")
	p := startWorker(t, s, newScripted(map[string]behaviour{"a": func(ctx context.Context, _ *pluginapi.RunRequest, _ pluginapi.Output) (*pluginapi.Result, error) {
		close(running)
		<-ctx.Done()
		close(stopped)
		return nil, context.Cause(ctx)
	}}))
	receive(t, running)
	s.do(func() { s.denied = "worker_name_not_allowed" })
	s.change()
	s.add("b") // has the open claim answered
	require.EqualError(t, p.wait(), "register: Server returned 403: worker_name_not_allowed")
	receive(t, stopped)
}

func TestARevokedWorkerEnds(t *testing.T) {
	t.Parallel()
	s, gate := newServer(t), newGate()
	s.add("a")
	p := startWorker(t, s, newScripted(map[string]behaviour{"a": gate.run}))
	receive(t, gate.running)
	s.do(func() {
		for _, w := range s.workers {
			w.revoked = true
		}
		s.denied = "worker_revoked"
	})
	require.ErrorIs(t, p.wait(), worker.ErrRevoked)
	s.mu.Lock()
	registrations := s.calls[registerPath]
	s.mu.Unlock()
	require.Equal(t, 1, registrations, "it does not try to come back")
	again := startWorker(t, s, newScripted(nil))
	require.EqualError(t, again.wait(), "register: Server returned 403: worker_revoked")
}

// A run that could be attached to is stopped as well: nobody takes it up.
func TestARevokedWorkerLetsNothingGoOn(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.add("a")
	causes, running := make(chan error, 1), make(chan struct{})
	p := startWorker(t, s, newScripted(map[string]behaviour{"a": func(ctx context.Context, _ *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
		if err := out.Started([]byte("container 7")); err != nil {
			return nil, err
		}
		close(running)
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return nil, context.Cause(ctx)
	}}))
	receive(t, running)
	s.do(func() {
		for _, w := range s.workers {
			w.revoked = true
		}
	})
	require.ErrorIs(t, p.wait(), worker.ErrRevoked)
	require.NotErrorIs(t, receive(t, causes), pluginapi.ErrHostGone)
}
