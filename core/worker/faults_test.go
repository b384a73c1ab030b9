package worker_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/worker"
	"github.com/stroem/stroem/pluginapi"
)

func TestResultsSurviveAnOutage(t *testing.T) {
	t.Parallel()
	s, gate := newServer(t), newGate()
	st := s.add("a")
	runner := newScripted(map[string]behaviour{"a": func(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
		if _, err := out.Stdout().Write([]byte("OUTPUT: {\"n\": 1}\n")); err != nil {
			return nil, err
		}
		return gate.run(ctx, req, out)
	}})
	startWorker(t, s, runner)
	receive(t, gate.running)
	s.do(func() { s.away = true })
	close(gate.open)
	s.eventually("the result is offered in vain", func() bool { return s.calls[completePath] >= 2 })
	s.do(func() { s.away = false })
	result := s.result(st)
	require.Equal(t, 0, *result.ExitCode)
	require.JSONEq(t, `{"n": 1}`, string(result.Output))
	require.Equal(t, 1, runner.ran("a"))
	s.result(s.add("b"))
}

// TestAFullDiskHoldsUpNobodyElse has the server find no room for the log of one step.
func TestAFullDiskHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	stuck := s.add("a", func(st *step) { st.full = true })
	startWorker(t, s, newScripted(nil), func(o *worker.Options) { o.Slots = 2 })
	s.eventually("the result is offered in vain", func() bool { return s.calls[completePath] >= 2 })
	for range 5 {
		s.result(s.add("b"))
	}
	s.do(func() {
		require.Equal(t, "running", stuck.status)
		stuck.full = false
	})
	s.result(stuck)
	require.Equal(t, 1, stuck.reports)
	s.result(s.add("c"))
}

func TestLostCompletionAnswer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	runner := newScripted(nil)
	s.fail(completePath, lost, proxy503, dropped)
	steps := []*step{s.add("a"), s.add("b"), s.add("c")}
	startWorker(t, s, runner, func(o *worker.Options) { o.Slots = 1 })
	for _, st := range steps { // b is claimed with the answer that is lost
		s.result(st)
		require.Equal(t, 1, runner.ran(st.StepName))
		require.Equal(t, 1, st.reports)
	}
}

func TestServerIsNotThereYet(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.fail(registerPath, proxy503)
	st := s.add("a")
	startWorker(t, s, newScripted(nil))
	s.result(st)
}

func TestRefusedRegistration(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.fail(registerPath, refusal)
	p := startWorker(t, s, newScripted(nil))
	require.EqualError(t, p.wait(), "register: Server returned 400: It is wrong")
}

func TestStoppedBeforeItIsRegistered(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.away = true
	p := startWorker(t, s, newScripted(nil))
	s.eventually("it has tried", func() bool { return s.calls[registerPath] > 0 })
	p.drain()
	require.NoError(t, p.wait())
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.interval = 0.02
	startWorker(t, s, newScripted(nil))
	s.eventually("an idle worker says that it lives", func() bool { return s.calls[heartbeatPath] >= 3 })
}

func TestSuperseded(t *testing.T) {
	t.Parallel()
	s, gate := newServer(t), newGate()
	st := s.add("a")
	older := startWorker(t, s, newScripted(map[string]behaviour{"a": gate.run}))
	receive(t, gate.running)
	startWorker(t, s, newScripted(nil))
	require.ErrorIs(t, older.wait(), worker.ErrSuperseded)
	require.ErrorIs(t, receive(t, gate.causes), worker.ErrSuperseded)
	s.do(func() { require.Zero(t, st.reports) })
	s.result(s.add("b"))
}

// TestSupersededThroughAnyCall has each call in turn be the one that brings the news.
func TestSupersededThroughAnyCall(t *testing.T) {
	t.Parallel()
	supersede := func(s *server) {
		for _, w := range s.workers {
			w.superseded = true
		}
	}
	for name, news := range map[string]func(*server, *gate){
		"heartbeat":  func(s *server, _ *gate) { supersede(s) },
		"completion": func(s *server, gate *gate) { supersede(s); close(gate.open) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, gate := newServer(t), newGate()
			s.interval = 0.02
			s.add("a")
			p := startWorker(t, s, newScripted(map[string]behaviour{"a": gate.run}))
			receive(t, gate.running)
			s.mu.Lock()
			news(s, gate) // unannounced: the open claim goes on
			s.mu.Unlock()
			require.ErrorIs(t, p.wait(), worker.ErrSuperseded)
		})
	}
}

func TestUnknownWorkerRegistersAgain(t *testing.T) {
	t.Parallel()
	s, gate := newServer(t), newGate()
	s.add("a")
	startWorker(t, s, newScripted(map[string]behaviour{"a": gate.run}))
	receive(t, gate.running)
	s.do(func() { clear(s.workers) })
	cause := receive(t, gate.causes)
	require.EqualError(t, cause, "the server does not know this worker")
	s.result(s.add("b"))
	s.do(func() { require.Equal(t, 2, s.calls[registerPath]) })
}

func TestCancelWhileRunning(t *testing.T) {
	t.Parallel()
	s, gate := newServer(t), newGate()
	st := s.add("a")
	startWorker(t, s, newScripted(map[string]behaviour{"a": gate.run}), func(o *worker.Options) { o.Slots = 1 })
	receive(t, gate.running)
	s.do(func() { st.stop = "cancelled" })
	require.ErrorIs(t, receive(t, gate.causes), pluginapi.ErrStopped)
	result := s.result(st)
	require.Equal(t, "cancelled", result.Stopped)
	require.Equal(t, "Cancelled", result.Error)
	require.Equal(t, -1, *result.ExitCode)
}

func TestCancelBeforeTheStart(t *testing.T) {
	t.Parallel()
	s, runner := newServer(t), newScripted(nil)
	st := s.add("a", func(st *step) { st.stop = "cancelled" })
	startWorker(t, s, runner)
	require.Equal(t, "cancelled", s.result(st).Stopped)
	require.Zero(t, runner.ran("a"))
}

func TestTaskTimesOut(t *testing.T) {
	t.Parallel()
	s, gate := newServer(t), newGate()
	st := s.add("a")
	startWorker(t, s, newScripted(map[string]behaviour{"a": gate.run}))
	receive(t, gate.running)
	s.do(func() { st.stop = "timed_out" })
	require.ErrorIs(t, receive(t, gate.causes), pluginapi.ErrTimedOut)
	result := s.result(st)
	require.Equal(t, "timed_out", result.Stopped)
	require.Equal(t, "Timed out", result.Error)
}

func TestStepTimesOut(t *testing.T) {
	t.Parallel()
	s, gate := newServer(t), newGate()
	st := s.add("a", func(st *step) { // without a workspace, whose download would take of its time
		st.tag, st.ActionType, st.Runner, st.TimeoutSecs = "acme", "acme.noop", "none", 0.03
	})
	startWorker(t, s, newScripted(map[string]behaviour{"a": gate.run}))
	require.ErrorIs(t, receive(t, gate.causes), pluginapi.ErrTimedOut)
	result := s.result(st)
	require.Equal(t, "timed_out", result.Stopped)
	require.Equal(t, "Timed out after 30ms", result.Error)
}

func TestRefusedResults(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	withLogs := s.add("logs", func(st *step) { st.refuse = func(c completion) bool { return c.Logs != nil } })
	withOutput := s.add("output", func(st *step) { st.refuse = func(c completion) bool { return c.Output != nil } })
	good := s.add("good")
	startWorker(t, s, newScripted(map[string]behaviour{
		"logs": say("OUTPUT: 1\n"), "output": say("OUTPUT: 2\n"), "good": say("OUTPUT: 3\n"),
	}))
	require.JSONEq(t, "3", string(s.result(good).Output), "others do not suffer")
	require.JSONEq(t, "1", string(s.result(withLogs).Output), "the result matters more than its lines")
	require.Empty(t, withLogs.log)
	require.Contains(t, s.result(withOutput).Error, "The step's result was refused: Server returned 400")
}

func TestLogsEndAtTheServersLimit(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.maxBytes = 10
	st := s.add("a")
	startWorker(t, s, newScripted(map[string]behaviour{"a": say("first\nsecond\nthird\n")}))
	require.Equal(t, 0, *s.result(st).ExitCode, "the step itself does not suffer")
	require.Contains(t, st.log, "first")
	require.NotContains(t, st.log, "third")
}

func TestPanic(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	st := s.add("a", func(st *step) { st.Mask = []string{"hunter22"} })
	startWorker(t, s, newScripted(map[string]behaviour{
		"a": func(context.Context, *pluginapi.RunRequest, pluginapi.Output) (*pluginapi.Result, error) {
			panic("index of hunter22 out of range")
		},
	}))
	result := s.result(st)
	require.Equal(t, "Runner panicked: index of •••••• out of range", result.Error)
	require.Equal(t, -1, *result.ExitCode)
	s.result(s.add("b"))
}

func TestStepsThatCannotBeRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do     behaviour
		change func(*step)
		want   string
	}{
		"the runner fails": {
			do: func(context.Context, *pluginapi.RunRequest, pluginapi.Output) (*pluginapi.Result, error) {
				return nil, errors.New("runner(shell): fork: no memory for hunter22")
			},
			want: "runner(shell): fork: no memory for ••••••",
		},
		"the runner says nothing": {
			do: func(context.Context, *pluginapi.RunRequest, pluginapi.Output) (*pluginapi.Result, error) {
				return nil, nil //nolint:nilnil // as a bad runner does
			},
			want: "the runner gave no result",
		},
		"the runner has gone": {
			change: func(st *step) { st.Runner = "docker" },
			want:   "no runner of this worker offers the action type shell/docker",
		},
		"the action is no object": {
			change: func(st *step) { st.ActionSpec = []byte(`[]`) },
			want:   "decode the action: json: cannot unmarshal array into Go value of type struct",
		},
		"the input is no object": {
			change: func(st *step) { st.Input = []byte(`[]`) },
			want:   "decode the input: json: cannot unmarshal array into Go value of type map",
		},
		"a name that leads elsewhere": {
			change: func(st *step) { st.Workspace = "../.." },
			want:   `Failed to download workspace: the workspace "../.." or its revision "rev1" is no name`,
		},
		"a revision that is gone": {
			change: func(st *step) { st.WorkspaceURL = "/worker/workspace/ws.tar.gz?revision=old" },
			want:   "Failed to download workspace: Server returned 404: Revision not found",
		},
		"a broken archive": {
			change: func(st *step) { st.Revision, st.WorkspaceURL = "rev2", "/worker/workspace/ws.tar.gz?revision=broken" },
			want:   "Failed to download workspace: unpack the workspace: unpack: gzip: invalid header",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.archives["broken"] = []byte("this is no archive")
			if c.do == nil {
				c.do = exit(0)
			}
			startWorker(t, s, newScripted(map[string]behaviour{"a": c.do}))
			result := s.result(s.add("a", func(st *step) {
				st.Mask = []string{"hunter22"}
				if c.change != nil {
					c.change(st)
				}
			}))
			require.Contains(t, result.Error, c.want)
			require.Equal(t, -1, *result.ExitCode)
		})
	}
}
