package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/postgres"
)

// register stores a worker named w in place of the one before.
func (b *bundle) register(decide postgres.TakeOver) (uuid.UUID, []uuid.UUID, error) {
	id := uuid.New()
	older, err := b.RegisterWorker(context.Background(), core.Worker{
		ID: id, Name: "w", Tags: []string{"shell"}, Plugins: json.RawMessage("[]"),
	}, nil, id[:], decide)
	return id, older, err
}

// start claims n steps and starts them; the first with has a state.
func (b *bundle) start(t *testing.T, n, with int) []core.ClaimedStep {
	t.Helper()
	steps := b.claim(t, n)
	require.Len(t, steps, n)
	require.NoError(t, b.Transition(t.Context(), core.Selection{Steps: ids(steps)},
		func(context.Context, *core.State, func([]core.StepID) error) (*core.Changes, error) {
			return &core.Changes{Start: ids(steps)}, nil
		}))
	for _, step := range steps[:with] {
		kept, err := b.SaveRunnerState(t.Context(), step.ID, step.LeaseHash, []byte("state"), nil)
		require.NoError(t, err)
		require.True(t, kept)
	}
	return steps
}

func nothing(context.Context, []uuid.UUID, []core.HeldStep, *core.State, func([]core.StepID) error) (*core.Changes, error) {
	return nil, nil
}

func TestRegistrationDecidesAboutTheStepsOfTheOlderWorker(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.create(t, 4)
	started := b.start(t, 2, 1)
	claimed := b.claim(t, 1)
	newer, older, err := b.register(func(
		_ context.Context, superseded []uuid.UUID, held []core.HeldStep, state *core.State, _ func([]core.StepID) error,
	) (*core.Changes, error) {
		require.Equal(t, []uuid.UUID{b.worker}, superseded)
		require.Len(t, held, 1)
		require.Equal(t, started[0].ID, held[0].ID)
		require.Equal(t, "state", string(held[0].RunnerState))
		require.Equal(t, "ws", held[0].Workspace)
		require.Len(t, state.Steps, 3, "all that it has claimed, and nothing else")
		return &core.Changes{
			HandOver: []core.HandOver{{ID: started[0].ID, WorkerID: uuid.Max, LeaseHash: []byte("new lease")}},
			End:      []core.StepEnd{{ID: started[1].ID, From: core.StepRunning, Status: core.StepFailed, Unreported: true}},
			Requeue:  ids(claimed),
		}, nil
	})
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{b.worker}, older)
	step, err := b.StepLease(t.Context(), started[0].ID, uuid.Nil, "")
	require.NoError(t, err)
	require.Equal(t, uuid.Max, step.WorkerID)
	require.Equal(t, "new lease", string(step.LeaseHash))
	step, err = b.StepLease(t.Context(), claimed[0].ID, uuid.Nil, "")
	require.NoError(t, err)
	require.Equal(t, core.StepReady, step.Status)
	_, older, err = b.register(nothing)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{newer}, older)
}

func TestAFailedDecisionLeavesTheOlderWorkerInPlace(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.create(t, 1)
	b.start(t, 1, 1)
	broken := errors.New("broken")
	_, _, err := b.register(func(context.Context, []uuid.UUID, []core.HeldStep, *core.State, func([]core.StepID) error) (*core.Changes, error) {
		return nil, broken
	})
	require.ErrorIs(t, err, broken)
	_, superseded, err := b.WorkerByToken(t.Context(), []byte("hash of w"))
	require.NoError(t, err)
	require.False(t, superseded)
}

func TestOneOfManyRegistrationsAtOnceIsLeft(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.create(t, 1)
	b.start(t, 1, 1)
	const n = 8
	type result struct {
		older []uuid.UUID
		err   error
	}
	results := make(chan result)
	for range n {
		go func() {
			_, older, err := b.register(nothing)
			results <- result{older, err}
		}()
	}
	seen := map[uuid.UUID]bool{}
	for range n {
		r := <-results
		require.NoError(t, r.err)
		require.Len(t, r.older, 1, "each takes over from exactly one")
		require.False(t, seen[r.older[0]])
		seen[r.older[0]] = true
	}
	workers, err := b.ActiveWorkers(t.Context())
	require.NoError(t, err)
	require.Len(t, workers, 1)
}

func TestStepsEndedUnreportedAreToldToTheirWorkerAndItsName(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	job := b.create(t, 3)
	steps := b.start(t, 3, 2)
	end := func(unreported bool, list ...core.ClaimedStep) {
		var changes core.Changes
		for _, id := range ids(list) {
			changes.End = append(changes.End, core.StepEnd{ID: id, From: core.StepRunning, Status: core.StepFailed, Unreported: unreported})
		}
		require.NoError(t, b.Transition(t.Context(), core.Selection{Jobs: []uuid.UUID{job.ID}},
			func(context.Context, *core.State, func([]core.StepID) error) (*core.Changes, error) {
				return &changes, nil
			}))
	}
	end(true, steps[0], steps[2])
	end(false, steps[1])
	stops := func(worker uuid.UUID) (list []core.StepID) {
		_, stops, err := b.Claim(t.Context(), core.ClaimQuery{WorkerID: worker})
		require.NoError(t, err)
		for _, stop := range stops {
			require.Equal(t, core.StopSuperseded, stop.Reason)
			list = append(list, stop.ID)
		}
		slices.Sort(list)
		return list
	}
	require.Equal(t, []core.StepID{steps[0].ID, steps[2].ID}, stops(b.worker))
	require.Empty(t, stops(b.worker), "it is told again after some seconds only")
	require.Empty(t, stops(uuid.New()))
	lost, err := b.LostRuns(t.Context(), "w")
	require.NoError(t, err)
	require.Len(t, lost, 1, "what has no state cannot be found")
	require.Equal(t, steps[0].ID, lost[0].ID)
	require.GreaterOrEqual(t, time.Duration(lost[0].Ran), time.Duration(0))
	newer, _, err := b.register(nothing)
	require.NoError(t, err)
	lost, err = b.LostRuns(t.Context(), "w")
	require.NoError(t, err)
	require.Len(t, lost, 1, "the name has them until they are removed")
	require.NoError(t, b.ForgetRuns(t.Context(), uuid.New(), []core.StepID{steps[0].ID}))
	lost, err = b.LostRuns(t.Context(), "w")
	require.NoError(t, err)
	require.Len(t, lost, 1, "another worker has no say in it")
	require.NoError(t, b.ForgetRuns(t.Context(), newer, []core.StepID{steps[0].ID}))
	lost, err = b.LostRuns(t.Context(), "w")
	require.NoError(t, err)
	require.Empty(t, lost)
}
