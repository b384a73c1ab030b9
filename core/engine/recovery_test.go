package engine_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/engine"
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
	require.NoError(t, b.WaitJob(t.Context(), id))
	job, states := b.states(t, id)
	require.Equal(t, core.JobFailed, job)
	require.Equal(t, map[string]core.StepStatus{"a": "failed", "b": "skipped"}, states)
	_, stored, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "Worker heartbeat timeout (worker "+w.id.String()+" unresponsive)", stored[0].ErrorMessage)
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
	b.stop()
	b.exec(t, "update worker set status = 'inactive' where worker_id = $1", w.id)
	b.Engine = b.runOn(t, &interrupted{b.store, func(job uuid.UUID) error {
		if job == bad {
			return errors.New("its hooks cannot be made")
		}
		return nil
	}}, engine.Config{SweepInterval: 10 * time.Millisecond, HeartbeatTimeout: 60 * time.Millisecond})
	require.Equal(t, core.JobFailed, b.awaitEnd(t, good))
	require.Equal(t, core.JobFailed, b.awaitEnd(t, ended), "workers are judged all the same")
	status, _ := b.states(t, bad)
	require.Equal(t, core.JobRunning, status)
}
