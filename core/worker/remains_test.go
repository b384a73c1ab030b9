package worker_test

import (
	"context"
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
			written := make(chan bool, 1)
			runner := newScripted(map[string]behaviour{"a": func(_ context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
				err := out.Started([]byte(c.state))
				content, _ := os.ReadFile(filepath.Join(scratch, req.RunID+".json"))
				written <- len(content) > 0
				s.do(func() { require.Equal(t, c.stored, s.calls[statePath] >= 2, "when Started returns, the server has it") })
				return &pluginapi.Result{}, err
			}})
			st := s.add("a", func(st *step) { st.tag, st.ActionType, st.Runner = c.tag, c.actionType, c.runner })
			startWorker(t, s, runner, func(o *worker.Options) { o.ScratchDir = scratch })
			require.Empty(t, s.result(st).Error)
			require.Equal(t, c.state != "", receive(t, written), "and it is written down here")
			if c.stored {
				require.Equal(t, c.state, string(st.state))
			}
			entries, err := os.ReadDir(scratch)
			require.NoError(t, err)
			require.Empty(t, entries)
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
