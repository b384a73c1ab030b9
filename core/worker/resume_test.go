package worker_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/core/worker"
	"github.com/stroem/stroem/pluginapi"
)

// runningBefore is a step that a worker before the one under test has started.
func runningBefore(st *step) {
	st.status, st.Lease, st.state, st.resume = "running", "old lease", []byte("container 7"), &api.LogKnown{}
}

// attachRunner attaches to the step a, which does what is said.
func attachRunner(do attaching) *scripted {
	r := newScripted(nil)
	r.attach = map[string]attaching{"a": do}
	return r
}

// at is a time in the life of a step.
func at(second int) time.Time { return time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC) }

func TestAStepIsTakenUp(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	st := s.add("a", runningBefore, func(st *step) {
		st.Mask = []string{"hunter22"}
		st.log, st.lines = "1\n2\n3\n", 3
		st.resume = &api.LogKnown{Since: at(1), Until: at(1), Stdout: 2, Stderr: 1}
	})
	requests := make(chan *pluginapi.AttachRequest, 1)
	runner := attachRunner(func(_ context.Context, req *pluginapi.AttachRequest, out pluginapi.Output) (*pluginapi.Result, error) {
		requests <- req
		if err := out.Started(req.State); err != nil {
			return nil, err
		}
		for _, line := range []struct {
			text string
			at   time.Time
		}{{"known\n", at(1)}, {"OUTPUT: {\"n\": 1}\n", at(1)}, {"new hunter22\n", at(1)}} {
			if _, err := pluginapi.WriteTimed(out.Stdout(), []byte(line.text), line.at); err != nil {
				return nil, err
			}
		}
		for _, text := range []string{"known\n", "oops\n"} {
			if _, err := pluginapi.WriteTimed(out.Stderr(), []byte(text), at(2)); err != nil {
				return nil, err
			}
		}
		return &pluginapi.Result{}, nil
	})
	startWorker(t, s, runner)
	req := receive(t, requests)
	require.Equal(t, "job-1.1.1", req.RunID)
	require.Equal(t, []string{"shell", "local", "container 7"}, []string{req.Type, req.Runner, string(req.State)})
	require.Equal(t, at(1), req.Since)
	require.Equal(t, map[string]string{"workspace": "ws", "task": "task", "job_id": "job-1", "step": "a"}, req.Labels)
	require.Equal(t, "job-1.1.1", filepath.Base(req.ScratchDir))
	result := s.result(st)
	require.Equal(t, 0, *result.ExitCode)
	require.JSONEq(t, `{"n": 1}`, string(result.Output), "an output that is known comes again")
	require.Equal(t, int64(4), result.Logs.First)
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Contains(t, st.log, `"ts":"2026-01-02T03:04:01.000000Z","line":"new ••••••"`)
	require.Equal(t, 5, strings.Count(st.log, "\n"))
	require.Contains(t, st.log, "oops")
	require.Zero(t, runner.ran("a"))
	require.Zero(t, s.calls[statePath], "the server has the state")
}

func TestStepsThatAreTakenUpMayBeMoreThanSlots(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const n = 3
	goOn, running := make(chan struct{}), make(chan struct{}, n)
	runner := newScripted(nil)
	runner.attach = map[string]attaching{}
	var steps []*step
	for i := range n {
		name := fmt.Sprint("a", i)
		steps = append(steps, s.add(name, runningBefore))
		runner.attach[name] = func(context.Context, *pluginapi.AttachRequest, pluginapi.Output) (*pluginapi.Result, error) {
			running <- struct{}{}
			<-goOn
			return &pluginapi.Result{}, nil
		}
	}
	next := []*step{s.add("b"), s.add("c")}
	startWorker(t, s, runner, func(o *worker.Options) { o.Slots = 1 })
	for range n {
		receive(t, running)
	}
	s.eventually("the worker listens", func() bool { return s.open > 0 })
	goOn <- struct{}{}
	goOn <- struct{}{}
	s.eventually("two have ended", func() bool { return s.reportsOf(steps) == 2 })
	s.eventually("it listens still", func() bool { return s.open > 0 })
	s.do(func() {
		require.Equal(t, []string{"ready", "ready"}, []string{next[0].status, next[1].status}, "one slot, and it is taken")
		for _, claim := range s.claims {
			require.Zero(t, *claim.MaxSteps)
		}
	})
	close(goOn)
	for _, st := range append(steps, next...) {
		s.result(st)
	}
	require.Equal(t, 1, runner.most)
}

// reportsOf counts the steps that are reported; s.mu is held.
func (s *server) reportsOf(steps []*step) (n int) {
	for _, st := range steps {
		n += st.reports
	}
	return n
}

func TestAStepThatIsGone(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	st := s.add("a", runningBefore)
	runner := newScripted(nil)
	startWorker(t, s, runner)
	result := s.result(st)
	require.Equal(t, "The worker was started anew, and the step is gone: no such container", result.Error)
	require.Equal(t, -1, *result.ExitCode)
	removals := runner.removals()
	require.Len(t, removals, 1)
	require.Equal(t, "job-1.1.1", removals[0].RunID)
	require.Equal(t, "container 7", string(removals[0].State))
}

func TestAttachWaitsForWhatThePluginNeeds(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"the engine is not up":     pluginapi.Errorf(pluginapi.CodeUnavailable, "no answer from the engine"),
		"the plugin has not begun": &pluginapi.Error{Code: pluginapi.CodeUnavailable, Message: "away", Err: pluginhost.ErrNotBegun},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			st := s.add("a", runningBefore)
			calls := 0
			startWorker(t, s, attachRunner(func(context.Context, *pluginapi.AttachRequest, pluginapi.Output) (*pluginapi.Result, error) {
				if calls++; calls == 1 {
					return nil, err
				}
				return &pluginapi.Result{}, nil
			}))
			require.Empty(t, s.result(st).Error)
		})
	}
}

func TestAStepThatIsTakenUpIsStopped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*step)
		cause  error
		want   api.Completion
	}{
		"asked for":  {func(st *step) { st.stop = "cancelled" }, pluginapi.ErrStopped, api.Completion{Stopped: "cancelled", Error: "Cancelled"}},
		"time over":  {func(st *step) { st.TimeoutSecs, st.RanSecs = 30, 40 }, pluginapi.ErrTimedOut, api.Completion{Stopped: "timed_out", Error: "Timed out after 30s"}},
		"a bit left": {func(st *step) { st.TimeoutSecs, st.RanSecs = 30, 29.9 }, pluginapi.ErrTimedOut, api.Completion{Stopped: "timed_out", Error: "Timed out after 30s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			st := s.add("a", runningBefore, c.change)
			causes := make(chan error, 1)
			startWorker(t, s, attachRunner(func(ctx context.Context, _ *pluginapi.AttachRequest, _ pluginapi.Output) (*pluginapi.Result, error) {
				<-ctx.Done()
				causes <- context.Cause(ctx)
				return &pluginapi.Result{ExitCode: -1, Signal: "SIGTERM"}, nil
			}))
			require.ErrorIs(t, receive(t, causes), c.cause)
			result := s.result(st)
			require.Equal(t, c.want, api.Completion{Stopped: result.Stopped, Error: result.Error})
		})
	}
}

// A worker that is superseded while it takes up a step has not lost it: the newer one takes it up.
func TestASupersededWorkerLetsGoOfWhatItTakesUp(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	st := s.add("a", runningBefore)
	causes, asked := make(chan error, 1), make(chan string, 1)
	scratch := filepath.Join(coretest.TempDir(t), "scratch")
	shared := func(o *worker.Options) { o.ScratchDir = scratch }
	older := attachRunner(func(ctx context.Context, req *pluginapi.AttachRequest, _ pluginapi.Output) (*pluginapi.Result, error) {
		asked <- req.ScratchDir
		<-ctx.Done() // before it has said that the step is started
		causes <- context.Cause(ctx)
		return nil, context.Cause(ctx)
	})
	first := startWorker(t, s, older, shared)
	dir := receive(t, asked)
	goOn := make(chan struct{})
	startWorker(t, s, attachRunner(func(ctx context.Context, _ *pluginapi.AttachRequest, _ pluginapi.Output) (*pluginapi.Result, error) {
		select {
		case <-goOn:
		case <-ctx.Done():
		}
		return &pluginapi.Result{}, nil
	}), shared)
	require.ErrorIs(t, first.wait(), worker.ErrSuperseded)
	require.ErrorIs(t, receive(t, causes), pluginapi.ErrHostGone)
	require.Empty(t, older.removals())
	require.DirExists(t, dir, "it belongs to the newer worker now")
	close(goOn)
	require.Empty(t, s.result(st).Error)
}

// A worker that another one has superseded lets go of what that one can take up, and stops the rest.
func TestASupersededWorkerLetsGo(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	st := s.add("a", func(st *step) { st.resume = &api.LogKnown{} })
	causes, running := make(chan error, 1), make(chan string, 1)
	scratch := filepath.Join(coretest.TempDir(t), "scratch")
	shared := func(o *worker.Options) { o.ScratchDir = scratch }
	older := startWorker(t, s, newScripted(map[string]behaviour{"a": func(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
		if err := out.Started([]byte("container 7")); err != nil {
			return nil, err
		}
		running <- req.ScratchDir
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return nil, context.Cause(ctx)
	}}), shared)
	dir := receive(t, running)
	goOn := make(chan struct{})
	startWorker(t, s, attachRunner(func(context.Context, *pluginapi.AttachRequest, pluginapi.Output) (*pluginapi.Result, error) {
		<-goOn
		return &pluginapi.Result{}, nil
	}), shared)
	require.ErrorIs(t, older.wait(), worker.ErrSuperseded)
	require.ErrorIs(t, receive(t, causes), pluginapi.ErrHostGone)
	require.DirExists(t, dir, "it belongs to the newer worker now")
	close(goOn)
	require.Empty(t, s.result(st).Error)
	s.eventually("the newer worker removes it", func() bool {
		_, err := os.Stat(dir)
		return os.IsNotExist(err)
	})
}
