package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/worker"
	"github.com/stroem/stroem/pluginapi"
)

func TestDrain(t *testing.T) {
	t.Parallel()
	s, gate := newServer(t), newGate()
	running, stopped := s.add("running"), s.add("stopped")
	runner := newScripted(map[string]behaviour{"running": gate.run, "stopped": gate.run})
	p := startWorker(t, s, runner)
	receive(t, gate.running)
	receive(t, gate.running)
	s.eventually("the server holds a claim for the slots that are free", func() bool {
		return *s.claims[len(s.claims)-1].MaxSteps == 2 && s.open == 1
	})
	p.drain()
	s.eventually("the worker only listens, and asks for no work", func() bool {
		return *s.claims[len(s.claims)-1].MaxSteps == 0 && s.open == 1
	})
	later := s.add("later")
	s.do(func() { stopped.stop = "cancelled" })
	require.Equal(t, "cancelled", s.result(stopped).Stopped, "stops are heard during a drain")
	close(gate.open)
	require.NoError(t, p.wait())
	require.Equal(t, 0, *s.result(running).ExitCode)
	require.Zero(t, runner.ran("later"))
	s.do(func() { require.Equal(t, "ready", later.status) })
}

func TestDrainHasALimit(t *testing.T) {
	t.Parallel()
	s, gate := newServer(t), newGate()
	st := s.add("a")
	p := startWorker(t, s, newScripted(map[string]behaviour{"a": gate.run}), func(o *worker.Options) { o.Drain = 30 * time.Millisecond })
	receive(t, gate.running)
	p.drain()
	require.NoError(t, p.wait())
	require.ErrorIs(t, receive(t, gate.causes), pluginapi.ErrStopped)
	result := s.result(st)
	require.Contains(t, result.Error, "The worker was shut down")
	require.Empty(t, result.Stopped, "the server did not ask for it")
}

func TestSecondSignal(t *testing.T) {
	t.Parallel()
	for name, signals := range map[string]func(*process){
		"while draining": func(p *process) { p.drain(); p.abort() },
		"alone":          func(p *process) { p.abort() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, gate := newServer(t), newGate()
			st := s.add("a")
			p := startWorker(t, s, newScripted(map[string]behaviour{"a": gate.run}))
			receive(t, gate.running)
			signals(p)
			require.NoError(t, p.wait())
			require.Contains(t, s.result(st).Error, "The worker was shut down")
		})
	}
}

// TestEndWithoutTheServer ends a worker whose server is away while a step has lines to send and another one a result.
func TestEndWithoutTheServer(t *testing.T) {
	t.Parallel()
	s, gate := newServer(t), newGate()
	writing := make(chan struct{})
	runner := newScripted(map[string]behaviour{
		"quick": gate.run,
		"writer": func(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
			line := make([]byte, 1<<10)
			for i := range line {
				line[i] = 'x'
			}
			line[len(line)-1] = '\n'
			for range 600 { // more than one batch
				if _, err := out.Stdout().Write(line); err != nil {
					return nil, err
				}
			}
			close(writing)
			<-ctx.Done()
			return nil, ctx.Err()
		},
	})
	s.add("quick")
	s.add("writer")
	s.fail("/worker/jobs/job-2/logs", dropped, dropped, dropped, dropped, dropped, dropped, dropped, dropped, dropped, dropped)
	p := startWorker(t, s, runner, func(o *worker.Options) { o.Drain = 0 })
	receive(t, gate.running)
	receive(t, writing)
	s.do(func() { s.away = true })
	close(gate.open)
	s.eventually("the result is offered in vain", func() bool { return s.calls[completePath] > 0 })
	p.drain()
	require.NoError(t, p.wait())
	require.Contains(t, p.log.String(), "results could not be reported")
}
