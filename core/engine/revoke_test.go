package engine_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/engine"
)

func TestRevokingGivesUpTheSteps(t *testing.T) {
	t.Parallel()
	b := newBundle(t, hooked(), engine.Config{StartLimit: time.Hour})
	started, attachable, unstarted, cancelled := b.execute(t, nil), b.execute(t, nil), b.execute(t, nil), b.execute(t, nil)
	other := b.worker(t, "other")
	w, registered := (&worker{t: t, e: b.Engine}).restart(true)
	_, err := b.AuthenticateWorker(t.Context(), registered.Token)
	require.NoError(t, err)
	first := w.claim(1)[0]
	w.start(first)
	held := w.held()
	w.claim(1)
	last := w.claim(1)[0]
	w.start(last)
	_, err = b.Cancel(t.Context(), cancelled)
	require.NoError(t, err)

	given, err := b.Revoke(t.Context(), w.id)
	require.NoError(t, err)
	require.Equal(t, engine.GivenUp{Requeued: 1, Ended: 3}, given)
	for job, want := range map[uuid.UUID]core.StepStatus{started: core.StepFailed, attachable: core.StepFailed, cancelled: core.StepCancelled, unstarted: core.StepReady} {
		_, steps, err := b.store.GetJob(t.Context(), job)
		require.NoError(t, err)
		require.Equal(t, want, steps[0].Status)
		if want == core.StepFailed {
			require.Equal(t, "Worker revoked (worker "+w.id.String()+"): what it was running has been given up", steps[0].ErrorMessage)
		}
	}
	require.NotEmpty(t, b.hooksOf(t, started), "what follows from it is there")

	_, err = b.AuthenticateWorker(t.Context(), registered.Token)
	require.ErrorIs(t, err, core.ErrWorkerRevoked)
	require.Equal(t, []string{api.Duplicate}, w.report(succeed(first, "")))
	require.NoError(t, b.store.Heartbeats(t.Context(), map[uuid.UUID]time.Time{w.id: time.Now()}))
	stored, err := b.store.GetWorker(t.Context(), w.id)
	require.NoError(t, err)
	require.Equal(t, core.WorkerInactive, stored.Status, "what was heard before does not bring it back")
	require.False(t, stored.RevokedAt.IsZero())
	_, err = b.Register(t.Context(), engine.DefaultToken, api.Register{Name: "w", Tags: []string{"shell"}})
	require.ErrorIs(t, err, core.ErrWorkerRevoked)
	_, err = b.Register(t.Context(), engine.DefaultToken, api.Register{Name: "w", Tags: []string{"shell"}, WorkerToken: registered.Token})
	require.ErrorIs(t, err, core.ErrWorkerRevoked)
	require.NotEmpty(t, other.claim(1), "others go on")
	given, err = b.Revoke(t.Context(), w.id)
	require.NoError(t, err)
	require.Zero(t, given, "once is enough")

	require.NoError(t, b.Restore(t.Context(), w.id))
	_, err = b.AuthenticateWorker(t.Context(), registered.Token)
	require.Equal(t, "worker_unknown", reason(t, err), "its own token does not come back")
	_, restored := w.restart(true)
	require.Empty(t, restored.Resume)
	require.Len(t, restored.Remove, 1, "what it may have left is removed")
	require.Equal(t, held.StepID, restored.Remove[0].StepID)
	_, err = b.AuthenticateWorker(t.Context(), restored.Token)
	require.NoError(t, err)
}

// What is revoked is a name: whoever has it by now goes with the one that was seen in a list.
func TestRevokingAnOlderWorkerRevokesTheNewer(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {}}), engine.Config{})
	older := b.worker(t, "w")
	_, newer := older.restart(true)
	id := b.worker(t, "another").id
	_, err := b.Revoke(t.Context(), older.id)
	require.NoError(t, err)
	_, err = b.AuthenticateWorker(t.Context(), newer.Token)
	require.ErrorIs(t, err, core.ErrWorkerRevoked)
	w, err := b.store.GetWorker(t.Context(), id)
	require.NoError(t, err)
	require.Zero(t, w.RevokedAt)
	_, err = b.Revoke(t.Context(), uuid.New())
	require.Equal(t, core.CodeNotFound, core.ErrorCode(err))
	require.Equal(t, core.CodeNotFound, core.ErrorCode(b.Restore(t.Context(), uuid.New())))
}

// An open claim, here or on a replica that has not heard of it, brings nothing.
func TestARevokedWorkerGetsNoSteps(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {}}), engine.Config{})
	w, registered := (&worker{t: t, e: b.Engine}).restart(true)
	second := b.run(t, engine.Config{})
	for _, e := range []*engine.Engine{b.Engine, second} {
		_, err := e.AuthenticateWorker(t.Context(), registered.Token)
		require.NoError(t, err)
	}
	looked, claimed := make(chan struct{}), make(chan error)
	go func() {
		_, err := b.Claim(limited(t), w.id, api.ClaimRequest{MaxSteps: new(1), WaitSecs: new(60), Tags: []string{"shell"}}, func() bool {
			select {
			case <-looked:
			default:
				close(looked)
			}
			return true
		})
		claimed <- err
	}()
	await(t, "the claim is open", looked)
	_, err := b.Revoke(t.Context(), w.id)
	require.NoError(t, err)
	require.ErrorIs(t, <-claimed, core.ErrWorkerRevoked)

	b.execute(t, nil)
	_, err = second.AuthenticateWorker(t.Context(), registered.Token)
	require.NoError(t, err, "the other replica does not know it yet")
	response, err := second.Claim(t.Context(), w.id, api.ClaimRequest{MaxSteps: new(1), WaitSecs: new(0), Tags: []string{"shell"}}, alive)
	require.NoError(t, err)
	require.Empty(t, response.Steps)
	require.Len(t, b.worker(t, "other").claim(1), 1)
}
