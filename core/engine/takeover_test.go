package engine_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/engine"
	"github.com/stroem/stroem/core/postgres"
)

// shellPlugin describes a plugin that runs shell steps.
func shellPlugin(attachable bool) []api.Plugin {
	return []api.Plugin{{Kind: "runner", Name: "shell", State: "ready", ActionTypes: []api.ActionType{
		{Name: "shell", Runner: "local", Tag: "shell", Attachable: attachable},
	}}}
}

// restart registers a worker under the name of w, and returns it with what it is told.
func (w *worker) restart(attachable bool) (*worker, api.Registered) {
	w.t.Helper()
	registered, err := w.e.Register(w.t.Context(), engine.DefaultToken, api.Register{Name: "w", Tags: []string{"shell"}, Plugins: shellPlugin(attachable)})
	require.NoError(w.t, err)
	return &worker{w.t, w.e, uuid.MustParse(registered.WorkerID)}, registered
}

func (w *worker) saveState(step api.Claim, state string) {
	w.t.Helper()
	results, err := w.e.SaveState(w.t.Context(), w.id, api.StartRequest{Steps: []api.StepLease{
		{StepID: step.StepID, Lease: step.Lease, State: []byte(state)},
	}})
	require.NoError(w.t, err)
	require.Equal(w.t, []string{api.Accepted}, statuses(results.Results))
}

// held starts step a and stores a state of it.
func (w *worker) held() api.Claim {
	w.t.Helper()
	step := w.claim(1)[0]
	require.Equal(w.t, []string{api.Accepted}, w.start(step))
	w.saveState(step, "container 7")
	return step
}

func (w *worker) stops() []api.Stop {
	w.t.Helper()
	response, err := w.e.Claim(w.t.Context(), w.id, api.ClaimRequest{MaxSteps: new(0), WaitSecs: new(0)}, alive)
	require.NoError(w.t, err)
	return response.Stop
}

func TestStepsAreHandedOver(t *testing.T) {
	t.Parallel()
	b, w, id := one(t, engine.Config{StartLimit: time.Hour})
	b.reload(func(ws *core.Workspace) { ws.Secrets = map[string]any{"token": "very secret"} })
	require.NotEmpty(t, b.workspace.Digest)
	b.execute(t, nil) // whose step is claimed and not started
	b.execute(t, nil) // whose step is started, and cannot be found again
	step := w.held()
	stateless := w.claim(1)[0]
	w.start(stateless)
	unstarted := w.claim(1)[0]
	newer, registered := w.restart(true)
	require.Len(t, registered.Resume, 1)
	resumed := registered.Resume[0]
	require.Equal(t, step.StepID, resumed.StepID)
	require.Equal(t, "container 7", string(resumed.State))
	require.Equal(t, b.workspace.Digest, resumed.RevisionDigest)
	require.NotEqual(t, step.Lease, resumed.Lease)
	require.Equal(t, []string{"very secret"}, resumed.Mask)
	require.Equal(t, []any{"a", "shell", "local", "ws", "task", 1}, []any{
		resumed.StepName, resumed.ActionType, resumed.Runner, resumed.Workspace, resumed.TaskName, resumed.Attempt,
	})
	require.Empty(t, registered.Remove)
	_, states := b.states(t, uuid.MustParse(stateless.JobID))
	require.Equal(t, core.StepFailed, states["a"])
	again := newer.claim(5)
	require.Len(t, again, 1)
	require.Equal(t, unstarted.StepID, again[0].StepID)
	require.Equal(t, []string{api.Invalid}, w.report(succeed(step, "")), "the older worker has no say in it any more")
	_, err := b.CheckLease(t.Context(), w.id, engine.StepRef{StepID: core.StepID(step.StepID)}, step.Lease)
	require.ErrorIs(t, err, engine.ErrLeaseInvalid)
	require.Equal(t, []string{api.Accepted}, newer.report(succeed(resumed, `{"n":1}`)))
	_, states = b.states(t, id)
	require.Equal(t, map[string]core.StepStatus{"a": "completed", "b": "ready"}, states)
}

func TestALostAnswerLosesNoStep(t *testing.T) {
	t.Parallel()
	_, w, _ := one(t, engine.Config{})
	step := w.held()
	lost, registered := w.restart(true)
	require.Len(t, registered.Resume, 1)
	newer, again := lost.restart(true)
	require.Len(t, again.Resume, 1)
	require.Equal(t, step.StepID, again.Resume[0].StepID)
	require.Equal(t, "container 7", string(again.Resume[0].State))
	require.Equal(t, []string{api.Invalid}, lost.report(succeed(registered.Resume[0], "")))
	require.Equal(t, []string{api.Accepted}, newer.report(succeed(again.Resume[0], "")))
}

func TestWhatCannotBeAttachedToIsRemoved(t *testing.T) {
	t.Parallel()
	b, w, id := one(t, engine.Config{})
	step := w.held()
	nobody, registered := w.restart(false)
	require.Empty(t, registered.Resume)
	require.Len(t, registered.Remove, 1)
	require.Equal(t, api.LostRun{
		StepID: step.StepID, Attempt: 1, JobID: id.String(), StepName: "a", Workspace: "ws", TaskName: "task",
		ActionType: "shell", Runner: "local", State: []byte("container 7"),
	}, registered.Remove[0])
	job, states := b.states(t, id)
	require.Equal(t, core.JobFailed, job)
	require.Equal(t, core.StepFailed, states["a"])
	_, err := b.Register(t.Context(), engine.DefaultToken, api.Register{Name: "w", Tags: []string{"shell"}})
	require.NoError(t, err, "one that has no such plugin is not asked")
	newer, registered := nobody.restart(true)
	require.Len(t, registered.Remove, 1, "until it is known to be done")
	require.NoError(t, b.Removed(t.Context(), newer.id, api.RemovedRequest{StepIDs: []int64{step.StepID}}))
	_, registered = newer.restart(true)
	require.Empty(t, registered.Remove)
}

func TestAResumedStepIsStopped(t *testing.T) {
	t.Parallel()
	b, w, id := one(t, engine.Config{})
	w.held()
	_, err := b.Cancel(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, w.stops(), 1, "the older worker was told")
	newer, registered := w.restart(true)
	require.Len(t, registered.Resume, 1)
	stops := newer.stops()
	require.Len(t, stops, 1, "the newer is told at once")
	require.Equal(t, "cancelled", stops[0].Reason)
	report := fail(registered.Resume[0])
	report.Stopped = "cancelled"
	require.Equal(t, []string{api.Accepted}, newer.report(report))
	job, _ := b.states(t, id)
	require.Equal(t, core.JobCancelled, job)
}

func TestTheTimeOfAResumedStepGoesOn(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {Timeout: core.Duration(time.Hour)}}), engine.Config{})
	b.execute(t, nil)
	w := b.worker(t, "w")
	w.held()
	_, registered := w.restart(true)
	require.InDelta(t, 3600, registered.Resume[0].TimeoutSecs, 0)
	require.Positive(t, registered.Resume[0].RanSecs)
}

// While replicas look for lost steps all the time, a restart of the worker never loses one.
func TestNoSweepComesBetween(t *testing.T) {
	t.Parallel()
	b, w, _ := one(t, engine.Config{SweepInterval: time.Millisecond, StartLimit: time.Hour})
	second := b.run(t, engine.Config{SweepInterval: time.Millisecond, StartLimit: time.Hour})
	step := w.held()
	for i := range 20 {
		w.e = []*engine.Engine{b.Engine, second}[i%2]
		var registered api.Registered
		w, registered = w.restart(true)
		require.Len(t, registered.Resume, 1, "restart %d", i)
		step = registered.Resume[0]
	}
	require.Equal(t, []string{api.Accepted}, w.report(succeed(step, "")))
}

// sweptStore does something between the time at which a sweep finds steps of lost workers and the time at which it ends them.
type sweptStore struct {
	*postgres.Store
	found func()
}

func (s *sweptStore) Overdue(ctx context.Context, limits core.SweepLimits) (core.Overdue, error) {
	overdue, err := s.Store.Overdue(ctx, limits)
	if len(overdue.Lost) > 0 {
		s.found()
	}
	return overdue, err
}

// A worker comes back at the very moment at which it is given up: what a sweep has found of it belongs to the new one by then.
func TestASweepLeavesAloneWhatWasHandedOver(t *testing.T) {
	t.Parallel()
	b, w, id := one(t, engine.Config{})
	w.held()
	b.stop() // so that the worker is lost when that is due, and not before
	var newer *worker
	var registered api.Registered
	swept := make(chan struct{})
	store := &sweptStore{b.store, sync.OnceFunc(func() {
		newer, registered = w.restart(true)
		close(swept)
	})}
	b.runOn(t, store, engine.Config{HeartbeatTimeout: 60 * time.Millisecond, SweepInterval: 10 * time.Millisecond})
	await(t, "a sweep has found the step", swept)
	b.stop() // which waits for the sweep
	b.Engine = b.run(t, engine.Config{})
	newer.e = b.Engine
	require.Len(t, registered.Resume, 1)
	require.Equal(t, []string{api.Accepted}, newer.report(succeed(registered.Resume[0], "")))
	_, states := b.states(t, id)
	require.Equal(t, core.StepCompleted, states["a"])
}

func TestAGivenUpWorkerIsToldToStopItsSteps(t *testing.T) {
	t.Parallel()
	b, w, id := one(t, engine.Config{})
	step := w.claim(1)[0]
	w.start(step)
	b.stop() // so that the worker is lost when that is due, and not before
	b.Engine = b.run(t, engine.Config{HeartbeatTimeout: 60 * time.Millisecond, SweepInterval: 10 * time.Millisecond})
	w.e = b.Engine
	require.Equal(t, core.JobFailed, b.awaitEnd(t, id))
	want := []api.Stop{{StepID: step.StepID, Attempt: 1, JobID: id.String(), StepName: "a", Reason: "superseded"}}
	require.Equal(t, want, w.stops(), "it may still run the step")
	report := fail(step)
	report.Stopped = "superseded"
	require.Equal(t, []string{api.Duplicate}, w.report(report))
	_, stored, err := b.store.GetJob(context.WithoutCancel(t.Context()), id)
	require.NoError(t, err)
	require.Empty(t, stored[0].StopReason, "it has said so: there is nothing to tell it any more")
	require.Contains(t, stored[0].ErrorMessage, "unresponsive")
}

// Steps that end while what follows from their loss is being made are neither lost nor handed over.
func TestStepsThatEndBeforeTheyAreTakenOver(t *testing.T) {
	t.Parallel()
	b := newBundle(t, hooked(), engine.Config{})
	w := b.worker(t, "w")
	first, second := b.execute(t, nil), b.execute(t, nil)
	held := w.held()
	lost := w.claim(1)[0]
	w.start(lost)
	replica := b.runOn(t, &interrupted{b.store, func(uuid.UUID) error {
		require.Equal(t, []string{api.Accepted, api.Accepted}, w.report(succeed(held, ""), succeed(lost, "")))
		return nil
	}}, engine.Config{})
	registered, err := replica.Register(t.Context(), engine.DefaultToken, api.Register{Name: "w", Tags: []string{"shell"}, Plugins: shellPlugin(true)})
	require.NoError(t, err)
	require.Empty(t, registered.Resume)
	for _, id := range []uuid.UUID{first, second} {
		_, states := b.states(t, id)
		require.Equal(t, map[string]core.StepStatus{"a": "completed", "b": "ready"}, states)
	}
}
