package postgres_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
)

// holder is a transaction that holds the lock of one step. It does not give way in a deadlock.
func (b *bundle) holder(t *testing.T, step core.StepID) pgx.Tx {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	_, err = conn.Exec(t.Context(), "set deadlock_timeout = '1h'")
	require.NoError(t, err)
	holder, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = holder.Exec(t.Context(), "select from job_step where step_id = $1 for update", step)
	require.NoError(t, err)
	return holder
}

// awaitWaiting returns when somebody waits for a lock of the holder.
func awaitWaiting(t *testing.T, holder pgx.Tx) {
	t.Helper()
	eventually(t, "it waits", func() (waits bool) {
		require.NoError(t, holder.QueryRow(t.Context(),
			"select exists (select from pg_stat_activity where pg_backend_pid() = any(pg_blocking_pids(pid)))").Scan(&waits))
		return waits
	})
}

// A claim holds steps that others want, so it does not wait for one that somebody else is changing.
func TestAClaimDoesNotWaitForAStop(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.create(t, 2)
	step := b.claim(t, 1)[0]
	require.NoError(t, b.Transition(t.Context(), core.Selection{Steps: []core.StepID{step.ID}},
		func(context.Context, *core.State, func([]core.StepID) error) (*core.Changes, error) {
			return &core.Changes{Start: []core.StepID{step.ID}, Stop: map[core.StepID]core.StopReason{step.ID: core.StopCancelled}}, nil
		}))
	holder := b.holder(t, step.ID)
	q := core.ClaimQuery{WorkerID: b.worker, ClaimID: uuid.New(), Routes: []int{b.route}, Leases: leases(1)}
	steps, stops, err := b.Claim(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, steps, 1)
	require.Empty(t, stops)
	require.NoError(t, holder.Rollback(t.Context()))
	_, stops, err = b.Claim(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, stops, 1, "it is told the next time")
}

// Transitions lock steps in any order. What waits for some of them is done again if that was a deadlock.
func TestWhatMeetsADeadlockIsDoneAgain(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(context.Context, *bundle, core.ClaimQuery, []core.ClaimedStep) error{
		"a repeated claim": func(ctx context.Context, b *bundle, q core.ClaimQuery, _ []core.ClaimedStep) error {
			_, _, err := b.Claim(ctx, q)
			return err
		},
		"rendered inputs": func(ctx context.Context, b *bundle, _ core.ClaimQuery, steps []core.ClaimedStep) error {
			inputs := map[core.StepID]core.RenderedInput{}
			for i := range steps {
				inputs[steps[i].ID] = core.RenderedInput{Input: json.RawMessage("{}")}
			}
			return b.SaveInputs(ctx, inputs)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			b.create(t, 2)
			q := core.ClaimQuery{WorkerID: b.worker, ClaimID: uuid.New(), Routes: []int{b.route}, Leases: leases(2)}
			steps, _, err := b.Claim(t.Context(), q)
			require.NoError(t, err)
			require.Len(t, steps, 2)
			q.Retry = true
			// It has locked one of them when it waits for the other; which one comes first is the database's affair.
			first, second := min(steps[0].ID, steps[1].ID), max(steps[0].ID, steps[1].ID)
			holder := b.holder(t, second)
			done := make(chan error, 1)
			go func() { done <- write(t.Context(), b, q, steps) }()
			awaitWaiting(t, holder)
			_, err = holder.Exec(t.Context(), "select from job_step where step_id = $1 for update", first)
			require.NoError(t, err)
			require.NoError(t, holder.Rollback(t.Context()))
			require.NoError(t, <-done)
		})
	}
}

// A transaction that ends a step may be older than the one that started it.
func TestNothingEndsBeforeItStarts(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	job := b.create(t, 1)
	step := b.claim(t, 1)[0].ID
	holder := b.holder(t, step)
	_, err := holder.Exec(t.Context(), "select from job where job_id = $1 for update", job.ID)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		done <- b.Transition(t.Context(), core.Selection{Steps: []core.StepID{step}},
			func(context.Context, *core.State, func([]core.StepID) error) (*core.Changes, error) {
				return &core.Changes{
					End:  []core.StepEnd{{ID: step, From: core.StepRunning, Status: core.StepFailed}},
					Jobs: map[uuid.UUID]core.JobChange{job.ID: {Status: core.JobFailed}},
				}, nil
			})
	}()
	awaitWaiting(t, holder)
	for _, start := range []string{
		"update job_step set started_at = clock_timestamp() where job_id = $1", "update job set started_at = clock_timestamp() where job_id = $1",
	} {
		_, err = holder.Exec(t.Context(), start, job.ID)
		require.NoError(t, err)
	}
	require.NoError(t, holder.Commit(t.Context()))
	require.NoError(t, <-done)
	stored, steps, err := b.GetJob(t.Context(), job.ID)
	require.NoError(t, err)
	require.False(t, stored.CompletedAt.Before(stored.StartedAt))
	require.False(t, steps[0].CompletedAt.Before(steps[0].StartedAt))
}
