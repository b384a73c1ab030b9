package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/stroem/stroem/core"
)

// claimReady takes the first steps of each route by priority, then by the time at which they became ready. It locks up
// to the limit in each route until it commits. A worker that was revoked gets none, also where that was not heard of yet.
const claimReady = `
	with candidate as materialized (
		select q.step_id from unnest($1::int[]) as r (route_id), lateral (
			select step_id, priority, ready_at from job_step
			where route_id = r.route_id and status = 'ready'
			order by priority desc, ready_at, step_id limit $2 for update skip locked) q
		where not exists (select from worker where worker_id = $3 and revoked_at is not null)
		order by q.priority desc, q.ready_at, q.step_id limit $2),
	numbered as (select step_id, row_number() over () as n from candidate)
	update job_step s
	set status = 'running', worker_id = $3, claim_id = $4, claimed_at = now(), lease_hash = ($5::bytea[])[c.n]
	from numbered c, job j where s.step_id = c.step_id and j.job_id = s.job_id
	returning ` + claimColumns

// claimAgain hands out again what a claim has got and not started. It renews the leases: the old ones were lost with
// the answer.
const claimAgain = `
	with candidate as materialized (
		select step_id from job_step
		where worker_id = $2 and claim_id = $3 and status = 'running' and started_at is null
		order by step_id limit $1 for update),
	numbered as (select step_id, row_number() over () as n from candidate)
	update job_step s set claimed_at = now(), lease_hash = ($4::bytea[])[c.n]
	from numbered c, job j where s.step_id = c.step_id and j.job_id = s.job_id
	returning ` + claimColumns

const claimColumns = `s.step_id, s.job_id, s.step_name, s.action_name, s.action_type, coalesce(s.action_image, ''),
	s.runner, s.input, s.action_spec, s.attempt, coalesce(s.timeout_secs, 0), s.lease_hash,
	j.workspace, j.task_name, coalesce(j.revision, ''), coalesce(j.revision_digest, ''), j.definition_hash, j.input,
	j.input_sealed, j.mask_sealed`

// takeStops returns the stops that a worker has not been told of lately, or whose answer was lost, and notes that it is told
// now. Its condition is that of an index in which there is hardly ever anything. A step that somebody is changing is left to the
// next claim.
const takeStops = `
	with due as materialized (
		select step_id from job_step
		where worker_id = $1 and stop_reason is not null and (status = 'running' or stop_reason = 'superseded')
			and ($2 or stop_sent_at is null or stop_sent_at < now() - interval '10 seconds')
		for update skip locked)
	update job_step s set stop_sent_at = now() from due where s.step_id = due.step_id
	returning s.step_id, s.job_id, s.step_name, s.attempt, s.stop_reason`

// Claim hands out up to len(q.Leases) ready steps and the stops due for the worker, in one round trip and one
// transaction. Repeating it with the same ClaimID and Retry set returns the steps that the first call claimed, as long
// as they were not started; that alone waits for locks, and may have to be done again after a deadlock.
func (s *Store) Claim(ctx context.Context, q core.ClaimQuery) (steps []core.ClaimedStep, stops []core.StepStop, err error) {
	for range transitionAttempts {
		if steps, stops, err = s.claim(ctx, q); !retryable(err) {
			break
		}
	}
	return steps, stops, err
}

func (s *Store) claim(ctx context.Context, q core.ClaimQuery) ([]core.ClaimedStep, []core.StepStop, error) {
	var steps []core.ClaimedStep
	var stops []core.StepStop
	batch := &pgx.Batch{}
	collect := func(rows pgx.Rows) (err error) {
		more, err := pgx.CollectRows(rows, scanClaimed)
		steps = append(steps, more...)
		return err
	}
	if q.Retry {
		batch.Queue(claimAgain, len(q.Leases), q.WorkerID, q.ClaimID, q.Leases).Query(collect)
	} else if len(q.Leases) > 0 && len(q.Routes) > 0 {
		batch.Queue(claimReady, q.Routes, len(q.Leases), q.WorkerID, q.ClaimID, q.Leases).Query(collect)
	}
	batch.Queue(takeStops, q.WorkerID, q.Retry).Query(func(rows pgx.Rows) (err error) {
		stops, err = pgx.CollectRows(rows, scanStop)
		return err
	})
	if err := s.hot.SendBatch(ctx, batch).Close(); err != nil {
		return nil, nil, fmt.Errorf("claim steps: %w", err)
	}
	return steps, stops, nil
}

func scanClaimed(row pgx.CollectableRow) (core.ClaimedStep, error) {
	var c core.ClaimedStep
	var timeout float64
	err := row.Scan(&c.ID, &c.JobID, &c.Name, &c.ActionName, &c.ActionType, &c.ActionImage,
		&c.Runner, &c.Input, &c.Spec, &c.Attempt, &timeout, &c.LeaseHash,
		&c.Workspace, &c.TaskName, &c.Revision, &c.RevisionDigest, &c.DefinitionHash, &c.JobInput,
		&c.JobInputSealed, &c.MaskSealed)
	c.Timeout = duration(timeout)
	c.Status = core.StepRunning
	return c, err
}

func scanStop(row pgx.CollectableRow) (core.StepStop, error) {
	var s core.StepStop
	err := row.Scan(&s.ID, &s.JobID, &s.Name, &s.Attempt, &s.Reason)
	return s, err
}

// Outputs returns the outputs of a job's completed steps among names; a completed step without output has a nil one.
func (s *Store) Outputs(ctx context.Context, jobID uuid.UUID, names []string) (map[string]core.StepOutput, error) {
	rows, err := s.hot.Query(ctx,
		"select step_name, step_id, output, output_sealed from job_step where job_id = $1 and step_name = any($2) and status = 'completed'", jobID, names)
	if err != nil {
		return nil, fmt.Errorf("load step outputs: %w", err)
	}
	return collectOutputs(rows)
}

func collectOutputs(rows pgx.Rows) (map[string]core.StepOutput, error) {
	defer rows.Close()
	outputs := map[string]core.StepOutput{}
	for rows.Next() {
		var name string
		var output core.StepOutput
		if err := rows.Scan(&name, &output.ID, &output.Output, &output.Sealed); err != nil {
			return nil, fmt.Errorf("load step outputs: %w", err)
		}
		outputs[name] = output
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("load step outputs: %w", err)
	}
	return outputs, nil
}

// SaveInputs stores the rendered inputs of claimed steps. It is done again if it meets a deadlock with somebody who gives
// several of them to somebody else.
func (s *Store) SaveInputs(ctx context.Context, inputs map[core.StepID]core.RenderedInput) error {
	n := len(inputs)
	ids, values, sealed := make([]core.StepID, 0, n), make([]string, 0, n), make([][]byte, 0, n)
	for id, input := range inputs {
		ids, values, sealed = append(ids, id), append(values, string(input.Input)), append(sealed, input.Sealed)
	}
	var err error
	for range transitionAttempts {
		if _, err = s.hot.Exec(ctx, saveInputs, ids, values, sealed); !retryable(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("store rendered inputs: %w", err)
	}
	return nil
}

const saveInputs = `
	update job_step s set input = i.input::jsonb, input_sealed = i.sealed
	from unnest($1::bigint[], $2::text[], $3::bytea[]) as i (step_id, input, sealed)
	where s.step_id = i.step_id and s.status = 'running'`
