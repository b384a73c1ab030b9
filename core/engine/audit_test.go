package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/engine"
	"github.com/stroem/stroem/core/postgres"
)

// audited runs the task with an entry in the audit log.
func audited(ctx context.Context, e *engine.Engine, target string, input map[string]any, key string) (uuid.UUID, error) {
	return e.Execute(ctx, engine.Execute{
		Workspace: "ws", Task: "task", Input: input, Source: core.SourceAPI, IdempotencyKey: key,
		Audit: &core.AuditEntry{
			Actor: core.Actor{Type: core.ActorUser, Name: "ada@example.com"}, Action: "job.execute", Target: target, Result: core.AuditOK,
			Details: map[string]any{"job_id": "forged", "more": true},
		},
	})
}

// auditLog are the targets in the audit log, each with the job that its entry names.
func (b *bundle) auditLog(t *testing.T) map[string]string {
	t.Helper()
	entries, total, err := b.store.Audit(t.Context(), core.AuditFilter{Limit: 500})
	require.NoError(t, err)
	require.Len(t, entries, total)
	jobs := map[string]string{}
	for _, e := range entries {
		require.NotContains(t, jobs, e.Target, "one entry for each")
		require.Equal(t, "r1", e.Details["revision"])
		require.Equal(t, true, e.Details["more"])
		require.Len(t, e.Details, 3)
		jobs[e.Target], _ = e.Details["job_id"].(string)
	}
	return jobs
}

func TestExecuteIsAuditedOnce(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {}}), engine.Config{})
	first, err := audited(t.Context(), b.Engine, "first", nil, "")
	require.NoError(t, err)
	keyed, err := audited(t.Context(), b.Engine, "keyed", nil, "key")
	require.NoError(t, err)
	again, err := audited(t.Context(), b.Engine, "keyed again", nil, "key")
	require.NoError(t, err)
	require.Equal(t, keyed, again)
	_, err = audited(t.Context(), b.Engine, "other input", map[string]any{"x": 1}, "key")
	require.ErrorContains(t, err, "another input")
	b.execute(t, nil) // as triggers do
	require.Equal(t, map[string]string{"first": first.String(), "keyed": keyed.String()}, b.auditLog(t))
}

// gate is a store that holds back the first transaction that creates jobs, so that what follows becomes one batch.
type gate struct {
	*postgres.Store
	once          sync.Once
	held, release chan struct{}

	mu      sync.Mutex
	batches []int // how many jobs each transaction had
}

func (g *gate) CreateJobs(ctx context.Context, jobs []core.NewJob) error {
	g.once.Do(func() {
		close(g.held)
		<-g.release
	})
	g.mu.Lock()
	g.batches = append(g.batches, len(jobs))
	g.mu.Unlock()
	return g.Store.CreateJobs(ctx, jobs)
}

// TestABatchIsAuditedAsFarAsItIsStored stores jobs together, one of which the database refuses: it and its entry are gone, all
// others have one entry each.
func TestABatchIsAuditedAsFarAsItIsStored(t *testing.T) {
	t.Parallel()
	const jobs, refused = 8, 3
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {}}), engine.Config{})
	store := &gate{Store: b.store, held: make(chan struct{}), release: make(chan struct{})}
	e := b.runOn(t, store, engine.Config{})
	var running sync.WaitGroup
	type result struct {
		id  uuid.UUID
		err error
	}
	results := make([]result, jobs+1)
	run := func(i int, input map[string]any) {
		running.Go(func() { results[i].id, results[i].err = audited(t.Context(), e, fmt.Sprint(i), input, "") })
	}
	run(jobs, nil)
	await(t, "a transaction is under way", store.held)
	for i := range jobs {
		var input map[string]any
		if i == refused {
			input = map[string]any{"n": json.Number("1e999999")}
		}
		run(i, input)
	}
	eventually(t, "all others wait", func() bool { return e.QueuedCreations() == jobs })
	close(store.release)
	running.Wait()
	want := map[string]string{}
	for i, r := range results {
		if i == refused {
			require.ErrorContains(t, r.err, "cannot be stored")
			continue
		}
		require.NoError(t, r.err)
		want[fmt.Sprint(i)] = r.id.String()
	}
	require.Equal(t, want, b.auditLog(t))
	require.Equal(t, slices.Concat([]int{1, jobs}, slices.Repeat([]int{1}, jobs)), store.batches, "together, and then each alone")
	_, total, err := b.store.ListJobs(t.Context(), core.JobFilter{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, jobs, total)
}
