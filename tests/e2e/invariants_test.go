package e2e

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// What has to come true once one server is left.
const (
	// Jobs that have not ended, but for what the trigger has just started.
	openJobs = `select count(*) from job where status in ('pending', 'running') and not (source_type = 'trigger' and created_at > now() - interval '2 s')`
	fires    = `select count(*) from schedule_fire`
)

// What must not be found after that. Trigger jobs may go on being made meanwhile, so that each looks at one snapshot.
var violations = map[string]string{
	"jobs that have ended with steps that have not": `select count(*) from job j join job_step s using (job_id)
		where j.status in ('completed', 'failed', 'cancelled') and s.status in ('pending', 'ready', 'running')`,
	"steps that ran more than once for the server": `select count(*) from job_step where attempt <> 1`,
	"fires without a job of their own":             `select count(*) - count(distinct job_id) from schedule_fire`,
	"jobs of the trigger without a fire": `select count(*) from job
		where source_type = 'trigger' and job_id not in (select job_id from schedule_fire where job_id is not null)`,
	"steps with other than one child job": `select count(*) from job_step s where s.executor = 'server' and 1 <>
		(select count(*) from job c where c.parent_job_id = s.job_id and c.parent_step_name = s.step_name)`,
	"steps that ended otherwise than their child job": `select count(*) from job c
		join job_step s on s.job_id = c.parent_job_id and s.step_name = c.parent_step_name where s.status <> c.status`,
	"counters that do not agree with the steps": `select count(*) from job j where open_steps <>
		(select count(*) from job_step s where s.job_id = j.job_id and s.status in ('pending', 'ready', 'running'))`,
}

// check waits until everything has ended, and holds it against what is promised.
func (m *matrix) check() string {
	m.t.Helper()
	conn, err := pgx.Connect(m.t.Context(), m.database)
	require.NoError(m.t, err)
	defer func() { require.NoError(m.t, conn.Close(context.WithoutCancel(m.t.Context()))) }()
	count := func(query string) (n int) {
		require.NoError(m.t, conn.QueryRow(m.t.Context(), query).Scan(&n))
		return n
	}
	before := count(fires)
	m.eventually("the other server fires", func(context.Context) bool { return count(fires) >= before+2 })
	m.eventually("all jobs have ended", func(context.Context) bool { return count(openJobs) == 0 })
	for what, query := range violations {
		require.Zero(m.t, count(query), what)
	}
	m.checkJobs(conn)
	m.checkRuns(conn)
	return "holds"
}

// checkJobs compares the jobs that were asked for, and their hooks, with what they have to be.
func (m *matrix) checkJobs(conn *pgx.Conn) {
	m.t.Helper()
	want := map[string]struct {
		status string
		hooks  []string
	}{
		"whole": {"completed", []string{"_hook:note", "below"}}, "broken": {"failed", []string{"_hook:fail", "_hook:note"}},
		"tree": {"cancelled", nil}, "held": {"cancelled", nil}, "lost": {"failed", []string{"_hook:note"}},
	}
	for task, id := range m.jobs {
		var status string
		var jobs int
		var hooks []string
		require.NoError(m.t, conn.QueryRow(m.t.Context(), `select status, (select count(*) from job where task_name = $2),
			(select array_agg(task_name order by task_name) from job where source_type = 'hook' and origin_job_id = $1)
			from job where job_id = $1`, id, task).Scan(&status, &jobs, &hooks))
		require.Equal(m.t, want[task].status, status, task)
		require.Equal(m.t, 1, jobs, "%s was asked for once, however often it took", task)
		require.Equal(m.t, want[task].hooks, hooks, "each hook of %s has one job", task)
		m.eventually("nothing of "+task+" is left", func(context.Context) bool { return len(stepProcesses(m.t, id)) == 0 })
	}
}

// checkRuns compares what the steps wrote with what the server says of them.
func (m *matrix) checkRuns(conn *pgx.Conn) {
	m.t.Helper()
	rows, err := conn.Query(m.t.Context(), `select job_id || '.' || step_name, s.status from job_step s join job using (job_id)
		where executor = 'worker' and job.status in ('completed', 'failed', 'cancelled')`)
	require.NoError(m.t, err)
	statuses := map[string]string{}
	var key, status string
	_, err = pgx.ForEachRow(rows, []any{&key, &status}, func() error {
		statuses[key] = status
		return nil
	})
	require.NoError(m.t, err)
	runs := runsOf(m.t, m.notes)
	for key, status := range statuses {
		switch want := 1; status {
		case "skipped":
			require.Zero(m.t, runs[key], key)
		case "completed", "failed":
			require.Equal(m.t, want, runs[key], "step %s is %s", key, status)
		default:
			require.LessOrEqual(m.t, runs[key], want, "step %s is %s", key, status)
		}
	}
	for key, n := range runs {
		require.Equal(m.t, 1, n, "step %s ran more than once", key)
	}
}
