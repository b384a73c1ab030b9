package engine_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core"
)

// violations lists what must not be at any time between two transactions.
const violations = `
	with step as (select *, status in ('completed', 'failed', 'skipped', 'cancelled') as ended from job_step),
	j as (select *, status in ('completed', 'failed', 'cancelled') as ended from job),
	dependency as (
		select unnest(d.dependants) as step_id, d.ended, d.ended and d.status <> 'completed' as failing from step d),
	depends as (
		select s.step_id, count(d.step_id) filter (where not d.ended) as open, coalesce(bool_or(d.failing), false) as failing
		from step s left join dependency d using (step_id) group by s.step_id),
	counted as (
		select job_id, count(*) filter (where not ended) as open,
			count(*) filter (where status = 'failed' and not continue_on_failure) as failures from step group by job_id),
	child as (select c.*, s.step_id, s.status as step_status, s.executor from j c join step s
		on s.job_id = c.parent_job_id and s.step_name = c.parent_step_name)
	select format('job %s (%s): open_steps %s of %s, intolerable_failures %s of %s', job_id, status, open_steps, open, intolerable_failures, failures)
		from j join counted using (job_id) where open_steps <> open or intolerable_failures <> failures
	union all select format('job %s is %s with %s open steps', job_id, status, open) from j join counted using (job_id) where ended <> (open = 0)
	union all select format('job %s is %s: cancel %s, timed out %s, failures %s', job_id, status, cancel_requested_at, timed_out, failures)
		from j join counted using (job_id) where ended and status <> case when cancel_requested_at is not null then 'cancelled'
			when timed_out or failures > 0 then 'failed' else 'completed' end
	union all select format('job %s is %s and completed_at is %s', job_id, status, completed_at) from j where ended <> (completed_at is not null)
	union all select format('step %s is %s and completed_at is %s', step_id, status, completed_at) from step where ended <> (completed_at is not null)
	union all select format('step %s has ended before it started', step_id) from step where completed_at < started_at
	union all select format('job %s has ended before it started', job_id) from j where completed_at < started_at
	union all select format('step %s is %s: open_deps %s of %s', step_id, status, open_deps, open) from step join depends using (step_id)
		where status = 'pending' and open_deps <> open or status in ('ready', 'running') and open > 0
	union all select format('step %s is pending and waits for nothing', step_id) from step join depends using (step_id)
		where status = 'pending' and open = 0
	union all select format('step %s is %s after a failure', step_id, s.status) from step s join depends using (step_id)
		where failing and not continue_on_failure and status in ('pending', 'ready', 'running', 'completed', 'failed')
	union all select format('step %s is skipped for nothing', step_id) from step s join depends using (step_id) join j using (job_id)
		where s.status = 'skipped' and not timed_out and (continue_on_failure or not failing)
	union all select format('step %s is cancelled, its job is not', step_id) from step s join j using (job_id)
		where s.status = 'cancelled' and cancel_requested_at is null
	union all select format('step %s is %s in a job that is cancelled or has timed out', step_id, s.status) from step s join j using (job_id)
		where (cancel_requested_at is not null or timed_out) and (s.status in ('pending', 'ready') or s.status = 'running' and s.started_at is null)
	union all select format('step %s runs in a job that is stopped, and is not told', step_id) from step s join j using (job_id)
		where (cancel_requested_at is not null or timed_out) and s.status = 'running' and s.stop_reason is null
	union all select format('step %s runs in a job that is pending', step_id) from step s join j using (job_id)
		where s.status = 'running' and s.started_at is not null and j.status = 'pending'
	union all select format('step %s has %s children', step_id, count(*)) from child group by step_id having count(*) > 1
	union all select format('step %s (%s, %s) has a child', step_id, executor, step_status) from child
		where executor <> 'server' or step_status in ('pending', 'ready', 'skipped')
	union all select format('step %s has no child', step_id) from step s where executor = 'server' and status in ('running', 'completed')
		and not exists (select from child c where c.step_id = s.step_id)
	union all select format('step %s is completed, its child is %s', step_id, status) from child where step_status = 'completed' and status <> 'completed'
	union all select format('child %s: depth %s, origin %s', c.job_id, c.depth, c.origin_job_id) from child c join j p on p.job_id = c.parent_job_id
		where c.depth <> p.depth + 1 or c.origin_job_id is distinct from p.origin_job_id
	union all select format('%s fired %s times', source_id, count(*)) from j where source_type = 'hook' group by source_id having count(*) > 1
	union all select format('hook job %s gets %s of a job that is %s', h.job_id, h.input, o.status) from j h join j o on o.job_id = h.origin_job_id
		where h.source_type = 'hook' and h.input->>'status' is distinct from o.status
	union all select format('instant %s has no job of its own', scheduled_at) from schedule_fire f left join j using (job_id)
		where j.source_type is distinct from 'trigger'
	union all select format('%s jobs for %s fires', jobs, fires) from (select count(*) filter (where source_type = 'trigger') as jobs,
		(select count(*) from schedule_fire) as fires from j) as counts where jobs <> fires
	union all select format('job %s: output %s of %s', job_id, j.output, o.output) from j, lateral (
			select jsonb_object_agg(step_name, s.output) as output from step s where s.job_id = j.job_id and s.dependants = '{}' and s.output is not null) o
		where status = 'completed' and j.output is distinct from o.output
	union all select format('step %s is %s on no worker', step_id, status) from step where status = 'running' and executor = 'worker'
		and (worker_id is null or lease_hash is null)`

// unrelated lists what must not be once everything has ended.
const unrelated = `
	select format('step %s is %s (%s), its child %s is %s', s.step_id, s.status, s.error_message, c.job_id, c.status)
		from job c join job_step s on s.job_id = c.parent_job_id and s.step_name = c.parent_step_name join job p on p.job_id = c.parent_job_id
		where s.status = 'completed' and (c.status <> 'completed' or s.output is distinct from c.output)
			or s.status = 'failed' and c.status = 'completed' and s.deadline_at is null and not p.timed_out`

const describeOpen = `select format('job %s %s (%s) of %s/%s, step %s %s of %s: %s, stop %s, started %s, worker %s', j.job_id, j.status, j.task_name,
		j.parent_job_id, j.parent_step_name, s.step_id, s.step_name, s.executor, s.status, s.stop_reason, s.started_at, s.worker_id)
	from job j join job_step s using (job_id) where j.status in ('pending', 'running') order by j.job_id, s.step_id`

func (m *model) query(sql string, args ...any) []string {
	rows, err := m.db.Query(m.ctx, sql, args...)
	if err != nil {
		return []string{err.Error()}
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return append(texts, err.Error())
	}
	return texts
}

// await waits for a job to end, or for some sweeps to have passed.
func (m *model) await(id uuid.UUID) {
	ctx, cancel := context.WithTimeout(m.ctx, 20*time.Millisecond)
	defer cancel()
	_ = m.replicas[0].WaitJob(ctx, id)
}

// check looks at what has to be true whatever has been done.
func (m *model) check(rt *rapid.T) {
	problems := m.query(violations)
	problems = append(problems, m.checkHooks(false)...)
	problems = append(problems, m.checkReports()...)
	m.mu.Lock()
	defer m.mu.Unlock()
	if problems = append(problems, m.problems...); len(problems) > 0 {
		rt.Fatalf("%s", strings.Join(problems, "\n"))
	}
}

// checkHooks compares the hooks that were fired with those that had to be, in one look at the database.
func (m *model) checkHooks(ended bool) (problems []string) {
	told := m.said.count("Failed to fire hook")
	rows, err := m.db.Query(m.ctx, `select j.job_id, j.task_name, j.source_type, j.status, j.origin_job_id is null, coalesce(string_agg(h.source_id, ' ' order by h.source_id), '')
		from job j left join job h on h.origin_job_id = j.job_id and h.source_type = 'hook' group by j.job_id`)
	if err != nil {
		return []string{err.Error()}
	}
	defer rows.Close()
	for rows.Next() {
		var id uuid.UUID
		var task, fired string
		var source core.SourceType
		var status core.JobStatus
		var own bool // not below a hook
		if err := rows.Scan(&id, &task, &source, &status, &own, &fired); err != nil {
			return []string{err.Error()}
		}
		var want []string
		places, broken := m.hooksOf(task, source, status)
		if !own {
			places, broken = nil, 0
		}
		for _, place := range places {
			want = append(want, fmt.Sprintf("ws/%s/%s/%s", task, id, place))
		}
		if told := told[id]; told > broken || ended && told < broken { // it is told after the commit
			problems = append(problems, fmt.Sprintf("job %s: %d of %d hooks that cannot be fired were told", id, told, broken))
		}
		if got := strings.Fields(fired); !slices.Equal(got, want) {
			problems = append(problems, fmt.Sprintf("job %s (%s, %s, %s): hooks %q in place of %q", id, task, source, status, got, want))
		}
	}
	return problems
}

// checkReports compares the steps with the reports about them: of each step one was accepted, and stands.
func (m *model) checkReports() (problems []string) {
	m.mu.Lock()
	accepted, began := maps.Clone(m.accepted), m.clock
	m.mu.Unlock()
	rows, err := m.db.Query(m.ctx, `select step_id, status, executor, coalesce(output::text, '') from job_step where status in ('completed', 'failed', 'cancelled')
		or step_id = any($1)`, slices.Collect(maps.Keys(accepted)))
	if err != nil {
		return []string{err.Error()}
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var status core.StepStatus
		var executor, output string
		if err := rows.Scan(&id, &status, &executor, &output); err != nil {
			return []string{err.Error()}
		}
		reports := accepted[id]
		if len(reports) > 1 {
			problems = append(problems, fmt.Sprintf("%d reports of step %d were accepted", len(reports), id))
		}
		if executor == "worker" && status == core.StepCompleted && len(reports) == 0 {
			problems = append(problems, fmt.Sprintf("step %d is completed, and nobody has said so", id))
		}
		for _, r := range reports {
			stands := r.success && status == core.StepCompleted && output == r.output
			if !r.success {
				stands = status == core.StepFailed || status == core.StepCancelled
			}
			if !stands && r.at <= began {
				problems = append(problems, fmt.Sprintf("step %d is %s with %q; what was accepted is %+v", id, status, output, r))
			}
		}
	}
	return problems
}

// checkEnd looks at what has to be true of jobs that have all ended.
func (m *model) checkEnd(rt *rapid.T) {
	problems := append(m.query(unrelated), m.checkHooks(true)...)
	m.mu.Lock()
	defer m.mu.Unlock()
	for id := range m.jobs {
		if status, err := m.store.JobStatus(m.ctx, id); err != nil || !status.Terminal() {
			problems = append(problems, fmt.Sprintf("job %s was answered, and is %s: %v", id, status, err))
		}
	}
	if len(problems) > 0 {
		rt.Fatalf("%s", strings.Join(problems, "\n"))
	}
}
