-- migrate:up

-- What a worker has to stop: running steps that are asked to, and steps that were ended without a word of their worker
-- ('superseded'), which may still run there. Nearly always there are none.
create index job_step_stop on job_step (worker_id)
  where stop_reason is not null and (status = 'running' or stop_reason = 'superseded');

-- migrate:down
drop index job_step_stop;
