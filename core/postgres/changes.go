package postgres

import (
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// queueChanges writes what was decided, one statement for each kind of change whatever the number of rows. Every
// statement checks that it found the rows in the status that the decision was made on.
func queueChanges(batch *pgx.Batch, c *core.Changes) error {
	queueEnds(batch, c.End)
	if len(c.Start) > 0 {
		batch.Queue(guarded(`update job_step set started_at = now(), deadline_at = now() + timeout_secs * interval '1 second'
			where step_id = any($1) and status = 'running' and started_at is null`), c.Start, len(c.Start))
	}
	if len(c.Requeue) > 0 {
		batch.Queue(guarded(`update job_step set status = 'ready', ready_at = clock_timestamp(), worker_id = null,
				claim_id = null, claimed_at = null, lease_hash = null
			where step_id = any($1) and status = 'running' and started_at is null`), c.Requeue, len(c.Requeue))
	}
	if len(c.Ready) > 0 {
		batch.Queue(guarded(`update job_step set status = 'ready', open_deps = 0, ready_at = clock_timestamp()
			where step_id = any($1) and status = 'pending'`), c.Ready, len(c.Ready))
	}
	queueDispatches(batch, c.Dispatch)
	queueHandOvers(batch, c.HandOver)
	if len(c.Settled) > 0 {
		batch.Queue(`update job_step set stop_reason = null, runner_state = null, runner_state_sealed = null
			where step_id = any($1) and status in ('failed', 'cancelled') and stop_reason = 'superseded'`, c.Settled)
	}
	queueOpenDeps(batch, c.OpenDeps)
	queueStops(batch, c.Stop)
	queueJobs(batch, c.Jobs)
	return queueNewJobs(batch, c.Create)
}

func guarded(update string) string {
	return "with changed as (" + update + " returning 1) select expect_rows((select count(*) from changed), $2)"
}

// queueEnds ends steps. now() is the time at which the transaction began, and it may have waited for one that started a step.
func queueEnds(batch *pgx.Batch, ends []core.StepEnd) {
	if len(ends) == 0 {
		return
	}
	ids, from, to := make([]core.StepID, len(ends)), make([]string, len(ends)), make([]string, len(ends))
	outputs, codes, messages := make([]*string, len(ends)), make([]*int, len(ends)), make([]*string, len(ends))
	unreported, sealed := make([]bool, len(ends)), make([][]byte, len(ends))
	for i, end := range ends {
		ids[i], from[i], to[i] = end.ID, string(end.From), string(end.Status)
		outputs[i], codes[i], messages[i] = optional(string(end.Output)), end.ExitCode, optional(end.Error)
		unreported[i], sealed[i] = end.Unreported, end.OutputSealed
	}
	batch.Queue(`
		with changed as (
			update job_step s set status = e.status, output = e.output::jsonb, output_sealed = e.sealed, exit_code = e.exit_code,
				error_message = e.message, completed_at = greatest(now(), s.started_at),
				stop_reason = case when e.unreported then 'superseded' else s.stop_reason end
			from unnest($1::bigint[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::bool[],
				$9::bytea[]) as e (step_id, source, status, output, exit_code, message, unreported, sealed)
			where s.step_id = e.step_id and s.status = e.source returning 1)
		select expect_rows((select count(*) from changed), $2)`, ids, len(ids), from, to, outputs, codes, messages, unreported,
		sealed)
}

func queueDispatches(batch *pgx.Batch, dispatches []core.Dispatch) {
	if len(dispatches) == 0 {
		return
	}
	n := len(dispatches)
	ids, inputs, sealed := make([]core.StepID, n), make([]string, n), make([][]byte, n)
	for i, d := range dispatches {
		ids[i], inputs[i], sealed[i] = d.ID, string(d.Input), d.Sealed
	}
	batch.Queue(`
		with changed as (
			update job_step s set status = 'running', open_deps = 0, ready_at = clock_timestamp(), started_at = now(),
				deadline_at = now() + s.timeout_secs * interval '1 second', input = d.input::jsonb, input_sealed = d.sealed
			from unnest($1::bigint[], $3::text[], $4::bytea[]) as d (step_id, input, sealed)
			where s.step_id = d.step_id and s.status = 'pending' returning 1)
		select expect_rows((select count(*) from changed), $2)`, ids, n, inputs, sealed)
}

// queueHandOvers gives started steps to other workers. One that is to be stopped is told at once, and is given the time
// for it anew.
func queueHandOvers(batch *pgx.Batch, handOvers []core.HandOver) {
	if len(handOvers) == 0 {
		return
	}
	n := len(handOvers)
	ids, workers, leases := make([]core.StepID, n), make([]uuid.UUID, n), make([][]byte, n)
	for i, h := range handOvers {
		ids[i], workers[i], leases[i] = h.ID, h.WorkerID, h.LeaseHash
	}
	batch.Queue(`
		with changed as (
			update job_step s set worker_id = h.worker_id, lease_hash = h.lease_hash, claim_id = null, stop_sent_at = null,
				stop_requested_at = case when s.stop_requested_at is not null then now() end
			from unnest($1::bigint[], $3::uuid[], $4::bytea[]) as h (step_id, worker_id, lease_hash)
			where s.step_id = h.step_id and s.status = 'running' and s.started_at is not null returning 1)
		select expect_rows((select count(*) from changed), $2)`, ids, n, workers, leases)
}

func queueOpenDeps(batch *pgx.Batch, openDeps map[core.StepID]int) {
	if len(openDeps) == 0 {
		return
	}
	ids, counts := make([]core.StepID, 0, len(openDeps)), make([]int, 0, len(openDeps))
	for id, n := range openDeps {
		ids, counts = append(ids, id), append(counts, n)
	}
	batch.Queue(`
		with changed as (
			update job_step s set open_deps = d.n from unnest($1::bigint[], $3::int[]) as d (step_id, n)
			where s.step_id = d.step_id and s.status = 'pending' returning 1)
		select expect_rows((select count(*) from changed), $2)`, ids, len(ids), counts)
}

// queueStops keeps the reason of the first stop.
func queueStops(batch *pgx.Batch, stops map[core.StepID]core.StopReason) {
	if len(stops) == 0 {
		return
	}
	ids, reasons := make([]core.StepID, 0, len(stops)), make([]string, 0, len(stops))
	for id, reason := range stops {
		ids, reasons = append(ids, id), append(reasons, string(reason))
	}
	batch.Queue(`
		update job_step s set stop_reason = coalesce(s.stop_reason, r.reason),
			stop_requested_at = coalesce(s.stop_requested_at, now())
		from unnest($1::bigint[], $2::text[]) as r (step_id, reason) where s.step_id = r.step_id and s.status = 'running'`,
		ids, reasons)
}

// queueJobs comes last: the output of a job that completes is gathered from its sink steps as they have become.
func queueJobs(batch *pgx.Batch, jobs map[uuid.UUID]core.JobChange) {
	if len(jobs) == 0 {
		return
	}
	n := len(jobs)
	ids, statuses, messages := make([]uuid.UUID, 0, n), make([]string, 0, n), make([]*string, 0, n)
	workers := make([]*uuid.UUID, 0, n)
	open, failures := make([]int, 0, n), make([]int, 0, n)
	cancelled, timedOut := make([]bool, 0, n), make([]bool, 0, n)
	for id, job := range jobs {
		ids, statuses, messages = append(ids, id), append(statuses, string(job.Status)), append(messages, optional(job.Error))
		workers = append(workers, optional(job.WorkerID))
		open, failures = append(open, job.Progress.OpenSteps), append(failures, job.Progress.IntolerableFailures)
		cancelled, timedOut = append(cancelled, job.Progress.CancelRequested), append(timedOut, job.Progress.TimedOut)
	}
	batch.Queue(`
		with changed as (
			update job j set status = c.status, open_steps = c.open, intolerable_failures = c.failures,
				error_message = coalesce(c.message, j.error_message), timed_out = c.timed_out,
				cancel_requested_at = case when c.cancelled then coalesce(j.cancel_requested_at, now()) end,
				worker_id = coalesce(j.worker_id, c.worker_id),
				started_at = case when c.status = 'running' then coalesce(j.started_at, now()) else j.started_at end,
				deadline_at = case when c.status = 'running'
					then coalesce(j.deadline_at, now() + j.timeout_secs * interval '1 second') else j.deadline_at end,
				completed_at = case when c.status in ('completed', 'failed', 'cancelled') then greatest(now(), j.started_at) end,
				output = case when c.status = 'completed' then (
					select jsonb_object_agg(s.step_name, s.output) from job_step s
					where s.job_id = j.job_id and s.dependants = '{}' and s.output is not null) end
			from unnest($1::uuid[], $3::text[], $4::text[], $5::uuid[], $6::int[], $7::int[], $8::bool[], $9::bool[])
				as c (job_id, status, message, worker_id, open, failures, cancelled, timed_out)
			where j.job_id = c.job_id and j.status in ('pending', 'running') returning 1)
		select expect_rows((select count(*) from changed), $2)`,
		ids, n, statuses, messages, workers, open, failures, cancelled, timedOut)
}

// value is the reverse of optional.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func duration(seconds float64) core.Duration { return core.Duration(seconds * float64(time.Second)) }
