package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/core/worker"
	"github.com/stroem/stroem/pluginapi"
)

func TestWhatWasLostIsRemovedBeforeWorkIsTaken(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.fail(removedPath, proxy503)
	scratch := coretest.TempDir(t)
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(scratch, name), []byte(content), 0o600))
	}
	for _, dir := range []string{"job-1.1.1", "job-8.8.1", "job-9.9.1"} {
		require.NoError(t, os.Mkdir(filepath.Join(scratch, dir), 0o700))
	}
	write("job-1.1.1.json", `{"step_id":1,"attempt":1,"job_id":"job-1","step_name":"a","action_type":"shell","runner":"local"}`)
	write("job-8.8.1.json", `{"step_id":8,"attempt":1,"job_id":"job-8","step_name":"x","action_type":"shell","runner":"local","state":"aGVyZQ=="}`)
	write("job-9.9.1.json", `{"step_id":9,"attempt":1,"job_id":"job-9","step_name":"y","action_type":"other.type","runner":"none"}`)
	write("job-7.7.1.json", `{"step_id":`)
	s.remove = []api.LostRun{{StepID: 5, Attempt: 1, JobID: "job-5", StepName: "z", ActionType: "acme.noop", Runner: "none", State: []byte("there")}}
	goesOn := s.add("a", runningBefore)
	next := s.add("b")
	release := make(chan struct{})
	runner := attachRunner(func(context.Context, *pluginapi.AttachRequest, pluginapi.Output) (*pluginapi.Result, error) {
		<-release
		return &pluginapi.Result{}, nil
	})
	runner.removing = make(chan struct{})
	startWorker(t, s, runner, func(o *worker.Options) { o.ScratchDir = scratch })
	s.eventually("the worker listens", func() bool { return s.open > 0 })
	s.do(func() {
		require.Equal(t, "ready", next.status)
		require.Zero(t, *s.claims[0].MaxSteps)
	})
	close(runner.removing)
	s.result(next)
	states := map[string]string{}
	for _, r := range runner.removals() {
		states[r.RunID] = r.Type + "/" + r.Runner + " " + string(r.State)
	}
	require.Equal(t, map[string]string{"job-8.8.1": "shell/local here", "job-5.5.1": "acme.noop/ there"}, states)
	s.eventually("the server knows", func() bool { return len(s.removed) == 2 })
	require.ElementsMatch(t, []int64{5, 8}, s.removed)
	require.DirExists(t, filepath.Join(scratch, "job-1.1.1"), "its step goes on")
	close(release)
	s.result(goesOn)
	s.eventually("nothing is left but the record of what nobody can remove", func() bool {
		entries, err := os.ReadDir(scratch)
		return err == nil && len(entries) == 1 && entries[0].Name() == "job-9.9.1.json"
	})
}

// Work is taken in the end, however much cannot be removed.
func TestWhatCannotBeRemovedDoesNotKeepWorkAway(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for i := range int64(100) {
		s.remove = append(s.remove, api.LostRun{StepID: 1000 + i, Attempt: 1, JobID: "job", ActionType: "shell", Runner: "local"})
	}
	st := s.add("a")
	runner := newScripted(nil)
	runner.removing = make(chan struct{})
	startWorker(t, s, runner, func(o *worker.Options) { o.RemoveLimit = 50 * time.Millisecond })
	require.Empty(t, s.result(st).Error)
	require.Empty(t, runner.removals())
}

// A runner's state is kept before anything else of the run is let through.
func TestStateIsStoredFirst(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tag, actionType, runner, state string
		stored                         bool
	}{
		"attachable":     {"shell", "shell", "local", "container 7", true},
		"without state":  {"shell", "shell", "local", "", false},
		"not attachable": {"acme", "acme.noop", "none", "pid 7", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.fail(statePath, lost)
			scratch := coretest.TempDir(t)
			written := make(chan api.LostRun, 1)
			runner := newScripted(map[string]behaviour{"a": func(_ context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
				err := out.Started([]byte(c.state))
				content, readErr := os.ReadFile(filepath.Join(scratch, req.RunID+".json"))
				var run api.LostRun
				err = errors.Join(err, readErr, json.Unmarshal(content, &run))
				written <- run
				s.do(func() { require.Equal(t, c.stored, s.calls[statePath] >= 2, "when Started returns, the server has it") })
				return &pluginapi.Result{}, err
			}})
			st := s.add("a", func(st *step) { st.tag, st.ActionType, st.Runner = c.tag, c.actionType, c.runner })
			startWorker(t, s, runner, func(o *worker.Options) { o.ScratchDir = scratch })
			require.Empty(t, s.result(st).Error)
			run := receive(t, written)
			require.Equal(t, []string{c.actionType, c.state}, []string{run.ActionType, string(run.State)}, "and it is written down here")
			if c.stored {
				require.Equal(t, c.state, string(st.state))
			}
			entries, err := os.ReadDir(scratch)
			require.NoError(t, err)
			require.Empty(t, entries)
		})
	}
}

// A run that ended without a result may have left something. It is removed, if need be by the next worker.
func TestARunThatIsBrokenOffIsRemoved(t *testing.T) {
	t.Parallel()
	gone := &pluginapi.Error{Code: pluginapi.CodeUnavailable, Message: "the plugin ended during the call", Err: pluginhost.ErrPluginGone}
	broken := pluginapi.Errorf(pluginapi.CodeTimeout, "the run did not end within 15s of being told to stop")
	for name, c := range map[string]struct {
		err, stuck  error
		attach      bool
		state       string
		now, before int // removals by the worker that had the run, and records of it that the next one finds
	}{
		"by the host":              {err: broken, state: "container 7", now: 1},
		"before it had a state":    {err: broken, now: 1},
		"and cannot be removed":    {err: broken, stuck: broken, state: "container 7", now: 1, before: 1},
		"with its plugin":          {err: gone, state: "container 7", before: 1},
		"when it was taken up":     {err: broken, attach: true, state: "container 7", now: 1},
		"and is stuck, taken up":   {err: broken, stuck: broken, attach: true, state: "container 7", now: 1, before: 1},
		"with its plugin, too":     {err: gone, attach: true, state: "container 7", before: 1},
		"for a plugin that is off": {err: &pluginapi.Error{Code: pluginapi.CodeInvalid, Message: "no such image"}, now: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			scratch := coretest.TempDir(t)
			keep := func(o *worker.Options) { o.ScratchDir = scratch }
			records := func() []string {
				found, _ := filepath.Glob(filepath.Join(scratch, "*")) // the pattern is good
				return found
			}
			begun := make(chan []string, 1)
			end := func(out pluginapi.Output) (*pluginapi.Result, error) {
				begun <- records()
				if c.state != "" {
					return nil, errors.Join(c.err, out.Started([]byte(c.state)))
				}
				return nil, c.err
			}
			runner := newScripted(map[string]behaviour{"a": func(_ context.Context, _ *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
				return end(out)
			}})
			runner.attach = map[string]attaching{"a": func(_ context.Context, _ *pluginapi.AttachRequest, out pluginapi.Output) (*pluginapi.Result, error) {
				return end(out)
			}}
			runner.stuck = c.stuck
			st := s.add("a")
			if c.attach {
				s.do(func() { runningBefore(st) })
			}
			first := startWorker(t, s, runner, keep)
			require.Contains(t, s.result(st).Error, c.err.Error())
			require.Contains(t, receive(t, begun), filepath.Join(scratch, "job-1.1.1.json"), "before the runner hears of the run")
			first.drain()
			require.NoError(t, first.wait())
			require.Len(t, runner.removals(), c.now)
			require.Len(t, records(), c.before)
			s.eventually("the server knows that it has gone", func() bool { return s.open == 0 })
			next := newScripted(nil)
			startWorker(t, s, next, keep)
			require.Empty(t, s.result(s.add("b")).Error)
			require.Len(t, next.removals(), c.before)
			for _, r := range append(runner.removals(), next.removals()...) {
				require.Equal(t, []string{"job-1.1.1", "shell", "local", c.state}, []string{r.RunID, r.Type, r.Runner, string(r.State)})
			}
		})
	}
}

// A plugin that dies between a claim and the start of its steps is waited for, and they are not said to have started.
func TestAStepWaitsForAPluginThatIsAway(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	runner := newScripted(nil)
	types := runner.ActionTypes()
	st := s.add("a")
	s.granted = func() { runner.offer() }
	startWorker(t, s, runner, func(o *worker.Options) { o.Changed = runner.Changed })
	s.eventually("the worker has the step, and listens", func() bool {
		return st.status == "claimed" && len(s.claims) > 1 && *s.claims[len(s.claims)-1].MaxSteps == 0
	})
	s.do(func() { s.granted = nil })
	s.do(func() { require.Empty(t, s.starts) })
	runner.offer(types...)
	require.Empty(t, s.result(st).Error)
	require.Equal(t, 1, runner.ran("a"))
	require.Len(t, s.starts, 1)
}

// Steps of the same claim whose runner is there do not wait with it.
func TestAPluginThatIsAwayHoldsUpNoOthers(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	runner := newScripted(nil)
	types := runner.ActionTypes()
	away := s.add("a")
	other := s.add("b", func(st *step) { st.tag, st.ActionType, st.Runner = "acme", "acme.noop", "none" })
	s.granted = func() { runner.offer(types[1]) }
	startWorker(t, s, runner, func(o *worker.Options) { o.Changed, o.RunnerWait = runner.Changed, time.Hour })
	require.Empty(t, s.result(other).Error)
	s.do(func() {
		require.Equal(t, "claimed", away.status)
		s.granted = nil
	})
	runner.offer(types...)
	require.Empty(t, s.result(away).Error)
}

func TestAStepWhosePluginStaysAwayGoesBack(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	runner := newScripted(nil)
	types := runner.ActionTypes()
	st := s.add("a")
	s.granted = func() { runner.offer(types[1]) }
	startWorker(t, s, runner, func(o *worker.Options) {
		o.Changed, o.Slots, o.RunnerWait = runner.Changed, 1, 20*time.Millisecond
	})
	s.eventually("the worker has the step", func() bool { return st.status == "claimed" })
	other := s.add("b", func(st *step) { st.tag, st.ActionType, st.Runner = "acme", "acme.noop", "none" })
	require.Empty(t, s.result(other).Error, "its slot is free again")
	s.do(func() { require.Equal(t, "claimed", st.status, "it was never said to have started") })
}

func TestACallOfWhichNoPluginHasHeardIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	calls := 0
	runner := newScripted(map[string]behaviour{"a": func(context.Context, *pluginapi.RunRequest, pluginapi.Output) (*pluginapi.Result, error) {
		if calls++; calls < 3 {
			return nil, &pluginapi.Error{Code: pluginapi.CodeUnavailable, Message: "the plugin is backoff", Err: pluginhost.ErrNotBegun}
		}
		return &pluginapi.Result{}, nil
	}})
	st := s.add("a")
	startWorker(t, s, runner)
	require.Empty(t, s.result(st).Error)
	require.Equal(t, 3, runner.ran("a"))
	require.Equal(t, 1, st.starts)
}
