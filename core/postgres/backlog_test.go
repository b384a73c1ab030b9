package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/postgres"
)

func TestBacklog(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	empty, err := b.Backlog(t.Context())
	require.NoError(t, err)
	require.Equal(t, core.Backlog{Queues: []core.Queue{}}, empty)

	b.create(t, 3)
	b.create(t, 2)
	require.Len(t, b.claim(t, 2), 2)
	now := time.Now()
	require.NoError(t, b.SaveSchedules(t.Context(), []core.Schedule{
		{Workspace: "ws", Trigger: "late", Cron: "* * * * *", NextFire: now.Add(-time.Hour)},
		{Workspace: "ws", Trigger: "never", Cron: "0 0 30 2 *"},
		{Workspace: "ws", Trigger: "soon", Cron: "* * * * *", NextFire: now.Add(time.Hour)},
	}, nil))
	backlog, err := b.Backlog(t.Context())
	require.NoError(t, err)
	require.Len(t, backlog.Queues, 1)
	require.Equal(t, []string{"shell"}, backlog.Queues[0].Tags)
	require.Equal(t, 3, backlog.Queues[0].Ready)
	require.Positive(t, backlog.Queues[0].Oldest)
	require.Less(t, backlog.Queues[0].Oldest, time.Minute)
	require.Equal(t, []int{2, 0, 2}, []int{backlog.WorkerSteps, backlog.ServerSteps, backlog.OpenJobs})
	require.InDelta(t, time.Hour, backlog.ScheduleDelay, float64(time.Minute))
}

// fill stores jobs that have ended beside some that wait, each with one step.
func (b *bundle) fill(t *testing.T, ended, ready int) *pgx.Conn {
	t.Helper()
	b.create(t, 1) // with the definition of the others
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) })
	for status, n := range map[string]int{"completed": ended, "ready": ready} {
		job := map[string]string{"completed": "completed", "ready": "pending"}[status]
		_, err = conn.Exec(t.Context(), `
			with j as (
				insert into job (job_id, workspace, task_name, status, source_type, definition_hash, open_steps)
				select gen_random_uuid(), 'ws', 'task', $1, 'api', 'hash', 0 from generate_series(1, $2) returning job_id)
			insert into job_step (step_id, job_id, step_name, flow_step, action_name, action_type, status, required_tags, runner, open_deps,
				route_id, ready_at)
			select -row_number() over () - $5, job_id, 's', 's', 'a', 'shell', $3, '["shell"]', 'local', 0, $4, now() - interval '1 minute' from j`,
			job, n, status, b.route, map[string]int{"completed": 0, "ready": ended}[status])
		require.NoError(t, err)
	}
	_, err = conn.Exec(t.Context(), "vacuum analyze job, job_step")
	require.NoError(t, err)
	return conn
}

// What a scrape, a sweep and a job's detail ask does not look through the jobs of the past.
func TestTheBacklogIsCountedFromIndexes(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	const ready = 50_000 // half of all: never is the table itself more tempting
	conn := b.fill(t, ready, ready)
	for query, index := range map[string]string{
		postgres.ReadQueues: "job_step_ready", postgres.CountRunning: "job_step_running", postgres.CountOpen: "job_open",
		// The jobs of a job's hooks, as ListJobs asks for them.
		`select job_id from job where true and origin_job_id = '01999b6e-0000-7000-8000-000000000000' and source_type = 'hook'
			order by created_at desc, job_id desc limit 500`: "job_origin",
		strings.ReplaceAll(postgres.FindUnclaimable, "$1", "60"): "job_step_ready",
	} {
		rows, err := conn.Query(t.Context(), "explain "+query)
		require.NoError(t, err)
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		text := strings.Join(plan, "\n")
		t.Log(text)
		require.Contains(t, text, index, query)
		require.NotContains(t, text, "Seq Scan on job", query)
	}
	begin := time.Now()
	backlog, err := b.Backlog(t.Context())
	require.NoError(t, err)
	t.Log("a scrape of 50,000 ready steps beside as many that have ended took", time.Since(begin))
	require.Equal(t, ready+1, backlog.Queues[0].Ready)
}

func TestUnclaimable(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	conn := b.fill(t, 0, 2)
	gpu, err := b.Route(t.Context(), []string{"gpu", "shell"})
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `update job_step set route_id = $1, required_tags = '["shell", "gpu"]' where step_id = -1`, gpu)
	require.NoError(t, err)
	find := func(limit time.Duration) []core.UnclaimableStep {
		found, err := b.Unclaimable(t.Context(), limit)
		require.NoError(t, err)
		return found
	}
	require.Empty(t, find(time.Hour), "it has not waited for long enough")
	require.Equal(t, []core.UnclaimableStep{{
		ID: -1, Reason: "No active worker offers the tags gpu, shell: start one that does, or change the tags of the action",
	}}, find(30*time.Second))

	able := uuid.New()
	_, err = b.RegisterWorker(t.Context(), core.Worker{ID: able, Name: "able", Tags: []string{"gpu", "shell"}, Plugins: []byte("[]")}, nil, []byte("able"), nil)
	require.NoError(t, err)
	require.Empty(t, find(30*time.Second), "a worker can run it")
	_, err = conn.Exec(t.Context(), "update worker set status = 'inactive', last_heartbeat = now() - interval '10 seconds' where worker_id = $1", able)
	require.NoError(t, err)
	require.Empty(t, find(30*time.Second), "one could until a moment ago")
	require.Len(t, find(5*time.Second), 1)
}
