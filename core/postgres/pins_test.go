package postgres_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
)

// pin stores a job of one step that is pinned to a revision.
func (b *bundle) pin(t *testing.T, workspace, revision string, status core.JobStatus) {
	t.Helper()
	require.NoError(t, b.CreateJobs(t.Context(), []core.NewJob{{
		Job: core.Job{
			ID: uuid.Must(uuid.NewV7()), Workspace: workspace, TaskName: "task", Mode: "distributed", Status: status,
			SourceType: core.SourceAPI, Revision: revision, DefinitionHash: []byte("hash"), Input: json.RawMessage(`{}`),
		},
		Definition: json.RawMessage(`{"task":{"flow":{}},"actions":{}}`),
	}}))
}

func TestPins(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	pins, err := b.Pins(t.Context())
	require.NoError(t, err)
	require.Empty(t, pins)
	b.pin(t, "a", "r1", core.JobPending)
	b.pin(t, "a", "r1", core.JobRunning)
	b.pin(t, "a", "r2", core.JobRunning)
	b.pin(t, "b", "r1", core.JobPending)
	for _, ended := range []core.JobStatus{core.JobCompleted, core.JobFailed, core.JobCancelled} {
		b.pin(t, "a", "old", ended)
	}
	pins, err = b.Pins(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []core.Pin{{Workspace: "a", Revision: "r1"}, {Workspace: "a", Revision: "r2"}, {Workspace: "b", Revision: "r1"}}, pins)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.Pins(ctx)
	require.ErrorIs(t, err, context.Canceled)
}
