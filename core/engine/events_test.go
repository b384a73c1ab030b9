package engine_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/engine"
)

// troubled is a store of which some calls fail as often as is said.
type troubled struct {
	engine.Store
	failedSteps, jobRows, sinks, transitions atomic.Int32
}

var errTrouble = errors.New("dial tcp 10.0.0.1:5432: it is away")

func fails(left *atomic.Int32) error {
	if left.Add(-1) >= 0 {
		return errTrouble
	}
	return nil
}

func (s *troubled) FailedSteps(ctx context.Context, job uuid.UUID) ([]core.Step, error) {
	if err := fails(&s.failedSteps); err != nil {
		return nil, err
	}
	return s.Store.FailedSteps(ctx, job)
}

func (s *troubled) GetJobRow(ctx context.Context, id uuid.UUID) (core.Job, error) {
	if err := fails(&s.jobRows); err != nil {
		return core.Job{}, err
	}
	return s.Store.GetJobRow(ctx, id)
}

func (s *troubled) SinkOutputs(ctx context.Context, job uuid.UUID) (map[string]core.StepOutput, error) {
	if err := fails(&s.sinks); err != nil {
		return nil, err
	}
	return s.Store.SinkOutputs(ctx, job)
}

func (s *troubled) Transition(ctx context.Context, sel core.Selection,
	decide func(context.Context, *core.State, func([]core.StepID) error) (*core.Changes, error),
) error {
	return s.Store.Transition(ctx, sel, func(ctx context.Context, state *core.State, more func([]core.StepID) error) (*core.Changes, error) {
		changes, err := decide(ctx, state, more)
		if err == nil && len(changes.End) > 0 {
			err = fails(&s.transitions)
		}
		return changes, err
	})
}

const later = ": internal error, which the server's log has; it will be tried again"

// TestHookContextThatCannotBeMade tells once what is tried again and again.
func TestHookContextThatCannotBeMade(t *testing.T) {
	t.Parallel()
	said := &eventLog{}
	b := newBundle(t, hooked(), engine.Config{})
	id := b.execute(t, nil)
	b.stop()
	b.exec(t, "update job set deadline_at = now() where job_id = $1", id)
	store := &troubled{Store: b.store}
	store.failedSteps.Store(3)
	b.runOn(t, store, engine.Config{SweepInterval: 10 * time.Millisecond, Event: said.add})
	require.Equal(t, core.JobFailed, b.awaitEnd(t, id))
	require.Equal(t, []string{"[hooks] Failed to build hook context" + later}, said.of(id))
	require.Len(t, b.hooksOf(t, id), 1)
}

// TestTaskStepThatCannotBeHandled repeats the report from which the step of a task follows.
func TestTaskStepThatCannotBeHandled(t *testing.T) {
	t.Parallel()
	said := &eventLog{}
	b := newBundle(t, nested(), engine.Config{})
	w := b.worker(t, "w")
	id := b.execute(t, map[string]any{"word": "x"})
	step := w.claim(1)[0]
	w.start(step)
	b.stop()
	store := &troubled{Store: b.store}
	store.jobRows.Store(2)
	e := b.runOn(t, store, engine.Config{Event: said.add})
	report := api.CompleteRequest{Completions: []api.Completion{succeed(step, `{"n": 1}`)}}
	for range 2 {
		_, err := e.Complete(t.Context(), w.id, report)
		require.ErrorIs(t, err, errTrouble)
	}
	_, err := e.Complete(t.Context(), w.id, report)
	require.NoError(t, err)
	require.Equal(t, []string{"[orchestration] Failed to handle task steps" + later}, said.of(id))
	require.Len(t, b.children(t, id), 1)
}

// TestParentThatIsNotReached is told in the log of the child.
func TestParentThatIsNotReached(t *testing.T) {
	t.Parallel()
	said := &eventLog{}
	ws := nested()
	ws.Tasks["task"].Flow = map[string]core.FlowStep{"below": {Action: "run", Input: map[string]any{"n": 1}}}
	b := newBundle(t, ws, engine.Config{})
	b.stop()
	store := &troubled{Store: b.store}
	store.sinks.Store(3)
	b.Engine = b.runOn(t, store, engine.Config{SweepInterval: 10 * time.Millisecond, Event: said.add})
	id := b.execute(t, nil)
	w := b.worker(t, "w")
	w.run("only")("")
	w.run("last")("")
	require.Equal(t, core.JobCompleted, b.awaitEnd(t, id))
	child := b.children(t, id)["below"]
	require.Equal(t, []string{"[orchestration] Failed to propagate to parent job " + id.String() + later}, said.of(child.ID))
	require.Empty(t, said.of(id))
}

// TestRecoveryIsTold loses a worker, and the database while its steps are recovered.
func TestRecoveryIsTold(t *testing.T) {
	t.Parallel()
	said := &eventLog{}
	b, w, id := one(t, engine.Config{})
	w.start(w.claim(1)...)
	b.stop()
	store := &troubled{Store: b.store}
	store.transitions.Store(6)
	b.runOn(t, store, engine.Config{HeartbeatTimeout: 60 * time.Millisecond, SweepInterval: 10 * time.Millisecond, StartLimit: time.Hour, Event: said.add})
	require.Equal(t, core.JobFailed, b.awaitEnd(t, id))
	eventually(t, "both are told", func() bool { return len(said.of(id)) == 2 })
	require.Equal(t, []string{
		"[recovery] Failed to orchestrate after recovering step 'a'" + later,
		"[recovery] Worker " + w.id.String() + " unresponsive (heartbeat timeout), failing step 'a'",
	}, said.of(id))
}
