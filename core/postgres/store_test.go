package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/postgres"
	"github.com/stroem/stroem/db"
)

// bundle is a store on a schema of its own, with a route and a worker.
type bundle struct {
	*postgres.Store
	url    string
	route  int
	worker uuid.UUID
}

func newBundle(t *testing.T) *bundle {
	t.Helper()
	store, url := coretest.Store(t)
	b := &bundle{Store: store, url: url, worker: uuid.New()}
	var err error
	b.route, err = b.Route(t.Context(), []string{"shell"})
	require.NoError(t, err)
	_, err = b.RegisterWorker(t.Context(), core.Worker{
		ID: b.worker, Name: "w", Tags: []string{"shell"}, Plugins: json.RawMessage("[]"),
	}, nil, []byte("hash of w"), nil)
	require.NoError(t, err)
	return b
}

// create stores a job whose steps stand for themselves, all ready.
func (b *bundle) create(t *testing.T, steps int) core.NewJob {
	t.Helper()
	job := core.NewJob{
		Job: core.Job{
			ID: uuid.Must(uuid.NewV7()), Workspace: "ws", TaskName: "task", Mode: "distributed", Status: core.JobPending,
			SourceType: core.SourceAPI, Revision: "r1", DefinitionHash: []byte("hash"), Input: json.RawMessage(`{"a":1}`),
			Progress: core.Progress{OpenSteps: steps},
		},
		Definition: json.RawMessage(`{"task":{"flow":{}},"actions":{}}`),
	}
	ids, err := b.StepIDs(t.Context(), steps)
	require.NoError(t, err)
	for i := range steps {
		job.Steps = append(job.Steps, core.NewStep{Spec: json.RawMessage(`{"type":"shell","cmd":":"}`), Step: core.Step{
			ID: ids[i], JobID: job.ID, Name: fmt.Sprintf("s%05d", i), ActionName: "a", ActionType: "shell", Runner: "local",
			Tags: []string{"shell"}, Input: json.RawMessage(`{}`), Status: core.StepReady, Route: b.route,
		}})
	}
	require.NoError(t, b.CreateJobs(t.Context(), []core.NewJob{job}))
	return job
}

func (b *bundle) claim(t *testing.T, n int) []core.ClaimedStep {
	t.Helper()
	steps, _, err := b.Claim(t.Context(), core.ClaimQuery{
		WorkerID: b.worker, ClaimID: uuid.New(), Routes: []int{b.route}, Leases: leases(n),
	})
	require.NoError(t, err)
	return steps
}

func leases(n int) [][]byte {
	hashes := make([][]byte, n)
	for i := range hashes {
		id := uuid.New()
		hashes[i] = id[:]
	}
	return hashes
}

func TestMigrationsGoUpDownAndUp(t *testing.T) {
	t.Parallel()
	url := coretest.EmptySchema(t)
	tables := func() (n int) {
		conn, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close(t.Context())) }()
		require.NoError(t, conn.QueryRow(t.Context(),
			"select count(*) from pg_tables where schemaname = current_schema() and tablename <> 'schema_migrations'").Scan(&n))
		return n
	}
	require.NoError(t, postgres.Migrate(t.Context(), url))
	up := tables()
	require.Positive(t, up)
	require.NoError(t, postgres.Migrate(t.Context(), url), "a second server that starts")
	for range migrations(t) {
		require.NoError(t, postgres.Rollback(t.Context(), url))
	}
	require.Zero(t, tables())
	require.NoError(t, postgres.Migrate(t.Context(), url))
	require.Equal(t, up, tables())
}

// migrations are the names of all of them.
func migrations(t *testing.T) []string {
	t.Helper()
	names, err := fs.Glob(db.Migrations, "migrations/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	return names
}

func TestOpenDoesNotTellThePassword(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(t.Context(), "postgres://u:very-secret@host:not-a-port/db", 10)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "very-secret")
}

func TestClaimsAreDisjointAndInOrder(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	first, second := b.create(t, 20), b.create(t, 20)
	type result struct {
		steps []core.ClaimedStep
		err   error
	}
	results := make(chan result)
	for range 10 {
		go func() {
			steps, _, err := b.Claim(context.WithoutCancel(t.Context()), core.ClaimQuery{
				WorkerID: b.worker, ClaimID: uuid.New(), Routes: []int{b.route}, Leases: leases(2),
			})
			results <- result{steps, err}
		}()
	}
	seen := map[core.StepID]bool{}
	for range 10 {
		r := <-results
		require.NoError(t, r.err)
		require.Len(t, r.steps, 2)
		for _, step := range r.steps {
			require.False(t, seen[step.ID], "step %d was claimed twice", step.ID)
			seen[step.ID] = true
		}
	}
	rest := b.claim(t, 100)
	require.Len(t, rest, 20)
	for _, step := range rest {
		require.Equal(t, second.ID, step.JobID, "the older job's steps come first")
		require.JSONEq(t, `{"a":1}`, string(step.JobInput))
	}
	require.NotEqual(t, first.ID, second.ID)
	require.Empty(t, b.claim(t, 1))
}

func TestRepeatedClaimReturnsTheSameSteps(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.create(t, 3)
	q := core.ClaimQuery{WorkerID: b.worker, ClaimID: uuid.New(), Routes: []int{b.route}, Leases: leases(2)}
	first, _, err := b.Claim(t.Context(), q)
	require.NoError(t, err)
	q.Retry, q.Leases = true, leases(2)
	again, _, err := b.Claim(t.Context(), q)
	require.NoError(t, err)
	require.ElementsMatch(t, ids(first), ids(again))
	require.NotEqual(t, first[0].LeaseHash, again[0].LeaseHash, "the lost leases are worth nothing")
	q.WorkerID = uuid.New()
	foreign, _, err := b.Claim(t.Context(), q)
	require.NoError(t, err)
	require.Empty(t, foreign, "a claim belongs to its worker")
}

func ids(steps []core.ClaimedStep) []core.StepID {
	list := make([]core.StepID, len(steps))
	for i := range steps {
		list[i] = steps[i].ID
	}
	return list
}

func TestTransitionIsAllOrNothing(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	job := b.create(t, 2)
	step := job.Steps[0].ID
	err := b.Transition(t.Context(), core.Selection{Steps: []core.StepID{step}},
		func(context.Context, *core.State, func([]core.StepID) error) (*core.Changes, error) {
			return &core.Changes{
				// The step is ready, not running: the guard must take back the change to the job, too.
				End:  []core.StepEnd{{ID: step, From: core.StepRunning, Status: core.StepCompleted}},
				Jobs: map[uuid.UUID]core.JobChange{job.ID: {Status: core.JobRunning, Progress: core.Progress{OpenSteps: 1}}},
			}, nil
		})
	require.ErrorContains(t, err, "expected 1 rows, found 0")
	stored, steps, err := b.GetJob(t.Context(), job.ID)
	require.NoError(t, err)
	require.Equal(t, core.JobPending, stored.Status)
	require.Equal(t, core.StepReady, steps[0].Status)
}

func TestOverdueFindsUnstartedAndLostSteps(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.create(t, 3)
	claimed := b.claim(t, 2)
	require.NoError(t, b.Transition(t.Context(), core.Selection{Steps: ids(claimed[:1])},
		func(context.Context, *core.State, func([]core.StepID) error) (*core.Changes, error) {
			return &core.Changes{Start: ids(claimed[:1])}, nil
		}))
	limits := core.SweepLimits{Start: time.Hour, Grace: time.Hour, Stop: time.Hour}
	overdue, err := b.Overdue(t.Context(), limits)
	require.NoError(t, err)
	require.Empty(t, overdue.Unstarted)
	require.Empty(t, overdue.Lost)
	lost, err := b.DeactivateWorkers(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{b.worker}, lost)
	overdue, err = b.Overdue(t.Context(), limits)
	require.NoError(t, err)
	for i, found := range [][]core.OverdueStep{overdue.Lost, overdue.Unstarted} {
		require.Len(t, found, 1)
		require.False(t, found[0].Heard.IsZero())
		require.NotEmpty(t, found[0].Worker)
		require.Equal(t, core.OverdueStep{ID: claimed[i].ID, WorkerID: b.worker, Worker: found[0].Worker, Heard: found[0].Heard}, found[0])
	}
	require.NoError(t, b.Heartbeats(t.Context(), map[uuid.UUID]time.Time{b.worker: time.Now()}))
	overdue, err = b.Overdue(t.Context(), limits)
	require.NoError(t, err)
	require.Empty(t, overdue.Lost, "a heartbeat makes the worker active again")
}

func TestIdempotencyKeyIsTakenOnce(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	job := b.create(t, 1)
	job.IdempotencyKey = "k"
	for i, want := range []error{nil, postgres.ErrIdempotencyKeyTaken} {
		job.ID = uuid.Must(uuid.NewV7())
		ids, err := b.StepIDs(t.Context(), 1)
		require.NoError(t, err)
		job.Steps[0].ID, job.Steps[0].JobID = ids[0], job.ID
		require.ErrorIs(t, b.CreateJobs(t.Context(), []core.NewJob{job}), want, "call %d", i)
	}
	_, total, err := b.ListJobs(t.Context(), core.JobFilter{Workspace: "ws", Limit: 10})
	require.NoError(t, err)
	require.Equal(t, 2, total)
}

func TestListJobsPages(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for range 5 {
		b.create(t, 1)
	}
	all, total, err := b.ListJobs(t.Context(), core.JobFilter{Limit: 500})
	require.NoError(t, err)
	require.Equal(t, 5, total)
	page, total, err := b.ListJobs(t.Context(), core.JobFilter{Limit: 2, BeforeTime: all[1].CreatedAt, BeforeID: all[1].ID})
	require.NoError(t, err)
	require.Equal(t, 5, total)
	require.Equal(t, []uuid.UUID{all[2].ID, all[3].ID}, []uuid.UUID{page[0].ID, page[1].ID})
	none, total, err := b.ListJobs(t.Context(), core.JobFilter{Statuses: []core.JobStatus{core.JobFailed}, Limit: 10})
	require.NoError(t, err)
	require.Zero(t, total)
	require.Empty(t, none)
}

func TestStepIDsAscendAndAreUnique(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	var last core.StepID
	for _, n := range []int{1, 300, 5, 1000, 1} {
		ids, err := b.StepIDs(t.Context(), n)
		require.NoError(t, err)
		require.Len(t, ids, n)
		for _, id := range ids {
			require.Greater(t, id, last)
			last = id
		}
	}
}
