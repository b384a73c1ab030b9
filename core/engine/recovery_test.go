package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/engine"
	"github.com/stroem/stroem/core/postgres"
)

func TestUnstartedStepsBecomeReadyAgain(t *testing.T) {
	t.Parallel()
	b, w, id := one(t, engine.Config{StartLimit: time.Millisecond, SweepInterval: 10 * time.Millisecond})
	step := w.claim(1)[0]
	eventually(t, "the step is ready again", func() bool {
		_, states := b.states(t, id)
		return states["a"] == core.StepReady
	})
	require.Equal(t, []string{api.Stale}, w.start(step), "the first claim may not spawn it any more")
	again := w.claim(1)[0]
	require.Equal(t, step.StepID, again.StepID)
	require.NotEqual(t, step.Lease, again.Lease)
}

func TestStepsOfALostWorkerFail(t *testing.T) {
	t.Parallel()
	b, w, id := one(t, engine.Config{})
	b.execute(t, nil)
	steps := w.claim(2)
	require.Equal(t, []string{api.Accepted}, w.start(steps[0]))
	b.stop() // so that the worker is lost when that is due, and not before
	b.Engine = b.run(t, engine.Config{HeartbeatTimeout: 60 * time.Millisecond, SweepInterval: 10 * time.Millisecond, StartLimit: time.Hour})
	w.e = b.Engine
	require.Equal(t, core.JobFailed, b.awaitEnd(t, id))
	_, states := b.states(t, id)
	require.Equal(t, map[string]core.StepStatus{"a": "failed", "b": "skipped"}, states)
	_, stored, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.Regexp(t, `^Worker heartbeat timeout \(worker `+w.id.String()+` unresponsive\): 'w' was last heard of at 20\S+Z, \d+s before this was noticed$`,
		stored[0].ErrorMessage)
	require.Equal(t, []string{api.Duplicate}, w.report(succeed(steps[0], "")), "its late report is not taken")
	other := b.worker(t, "other")
	eventually(t, "what it had not started goes to another worker", func() bool { return len(other.claim(1)) == 1 })
}

func TestANewWorkerTakesOverTheName(t *testing.T) {
	t.Parallel()
	b, w, id := one(t, engine.Config{StartLimit: time.Hour})
	b.execute(t, nil)
	steps := w.claim(2)
	w.start(steps[0])
	newer := b.worker(t, "w")
	job, _ := b.states(t, id)
	require.Equal(t, core.JobFailed, job, "what the older was running has failed at once")
	require.Len(t, newer.claim(5), 1, "what it had not started is there for the newer")
}

// picky is a workspace with a step that any worker runs, and one that takes a tag which none has.
func picky() *core.Workspace {
	ws := flow(map[string]core.FlowStep{"any": {}, "gpu": {Action: "train"}, "after": {DependsOn: []string{"gpu"}}})
	ws.Actions["train"] = &core.Action{Type: "shell", Tags: []string{"gpu"}, Spec: map[string]any{"cmd": "true"}}
	ws.Actions["tell"] = &core.Action{Type: "shell", Spec: map[string]any{"cmd": "true"}}
	ws.Tasks["task"].OnError = []core.Hook{{Action: "tell", Input: map[string]any{"why": "{{ hook.error_message }}"}}}
	return ws
}

// impatient judges at once, and for how long nobody could run a step.
var impatient = engine.Config{HeartbeatTimeout: 10 * time.Millisecond, SweepInterval: 10 * time.Millisecond, UnclaimableLimit: 50 * time.Millisecond}

// immortal keeps a worker active though it says nothing.
func (b *bundle) immortal(t *testing.T, w *worker) {
	t.Helper()
	b.exec(t, "update worker set last_heartbeat = now() + interval '1 hour' where worker_id = $1", w.id)
}

const nobody = "Nobody could run the step for 50ms. No active worker offers the tags gpu, shell: start one that does, or change the tags of the action"

func TestStepsThatNobodyCanRunFailAfterTheLimit(t *testing.T) {
	t.Parallel()
	b := newBundle(t, picky(), engine.Config{})
	w := b.worker(t, "w")
	id := b.execute(t, nil)
	b.immortal(t, w)
	b.stop()
	b.Engine = b.run(t, impatient)
	w.e = b.Engine
	eventually(t, "the step has failed", func() bool {
		_, states := b.states(t, id)
		return states["gpu"] == core.StepFailed
	})
	job, states := b.states(t, id)
	require.Equal(t, core.JobPending, job)
	require.Equal(t, map[string]core.StepStatus{"any": "ready", "gpu": "failed", "after": "skipped"}, states, "what somebody can run waits")
	require.Equal(t, []string{"any", "hook"}, w.work())
	require.Equal(t, core.JobFailed, b.awaitEnd(t, id))
	_, stored, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	for _, step := range stored {
		if step.Name == "gpu" {
			require.Equal(t, nobody, step.ErrorMessage)
			require.True(t, step.StartedAt.IsZero())
		}
	}
	hooks := b.hooksOf(t, id)
	require.Len(t, hooks, 1)
	for _, hook := range hooks {
		require.Contains(t, string(hook.Input), "Step 'gpu': "+nobody)
	}
}

func TestStepsThatNobodyCanRunWaitWithoutALimit(t *testing.T) {
	t.Parallel()
	b := newBundle(t, picky(), engine.Config{})
	waiting := b.execute(t, nil)
	config := impatient
	config.UnclaimableLimit = 0
	for range 2 { // each time a step is lost, which tells that a sweep was there, and after the second time a whole one
		w := b.worker(t, "w")
		id := b.execute(t, nil)
		w.start(w.claim(2)...)
		b.stop()
		b.Engine = b.run(t, config)
		eventually(t, "a sweep was there", func() bool {
			_, states := b.states(t, id)
			return states["any"] == core.StepFailed
		})
	}
	_, states := b.states(t, waiting)
	require.Equal(t, core.StepReady, states["gpu"])
}

// unclaimableStore lets something happen between what a sweep finds and what it does about it.
type unclaimableStore struct {
	*postgres.Store
	found func([]core.UnclaimableStep)
}

func (s *unclaimableStore) Unclaimable(ctx context.Context, limit time.Duration) ([]core.UnclaimableStep, error) {
	steps, err := s.Store.Unclaimable(ctx, limit)
	s.found(steps)
	return steps, err
}

// A worker that can run the step claims it at the very moment at which it is given up.
func TestASweepLeavesAloneWhatWasClaimed(t *testing.T) {
	t.Parallel()
	ws := picky()
	ws.Tasks["task"].Flow = map[string]core.FlowStep{"gpu": {Action: "train"}}
	b := newBundle(t, ws, engine.Config{})
	id := b.execute(t, nil)
	b.stop() // so that it does not lead; workers can still register and claim
	var claimed []api.Claim
	judged := make(chan struct{})
	store := &unclaimableStore{Store: b.store}
	sweeps := 0
	store.found = func(steps []core.UnclaimableStep) {
		switch {
		case len(steps) > 0 && claimed == nil:
			able := b.worker(t, "able", "gpu", "shell")
			b.immortal(t, able)
			response, err := b.Claim(t.Context(), able.id, api.ClaimRequest{MaxSteps: new(1), WaitSecs: new(0), Tags: []string{"gpu", "shell"}}, alive)
			require.NoError(t, err)
			claimed = response.Steps
		case claimed != nil:
			if sweeps++; sweeps == 1 {
				close(judged)
			}
		}
	}
	b.runOn(t, store, impatient)
	await(t, "the sweep has judged twice", judged)
	b.stop()
	require.Len(t, claimed, 1)
	_, states := b.states(t, id)
	require.Equal(t, map[string]core.StepStatus{"gpu": "running"}, states)
}

// A job that cannot be brought to its end does not hold up the recovery of others.
func TestOneJobDoesNotHoldUpTheSweep(t *testing.T) {
	t.Parallel()
	b := newBundle(t, hooked(), engine.Config{})
	w, late := b.worker(t, "w"), b.worker(t, "late")
	bad, good := b.execute(t, nil), b.execute(t, nil)
	for range 2 {
		w.start(w.claim(1)...)
	}
	ended := b.execute(t, nil) // of a worker that falls silent later
	late.start(late.claim(1)...)
	overdue := b.execute(t, nil)
	b.stop()
	b.exec(t, "update worker set status = 'inactive' where worker_id = $1", w.id)
	b.exec(t, "update job set deadline_at = now() where job_id = $1", overdue)
	b.Engine = b.runOn(t, &interrupted{b.store, func(job uuid.UUID) error {
		if job == bad {
			return errors.New("its hooks cannot be made")
		}
		return nil
	}}, engine.Config{SweepInterval: 10 * time.Millisecond, HeartbeatTimeout: 60 * time.Millisecond})
	require.Equal(t, core.JobFailed, b.awaitEnd(t, good))
	require.Equal(t, core.JobFailed, b.awaitEnd(t, overdue), "jobs time out all the same")
	require.Equal(t, core.JobFailed, b.awaitEnd(t, ended), "workers are judged all the same")
	status, _ := b.states(t, bad)
	require.Equal(t, core.JobRunning, status)
}
