-- migrate:up

-- What the sweep asks for every second: the steps that wait for child jobs, and the child jobs that go on. Writes to both tables
-- wait while the indexes are built, for as long as it takes to read the tables once: they hold hardly a row.
create index job_step_task on job_step (job_id) where status = 'running' and executor = 'server';
create index job_open_child on job (parent_job_id, parent_step_name)
  where parent_job_id is not null and status in ('pending', 'running') and cancel_requested_at is null;

-- migrate:down
drop index job_open_child;
drop index job_step_task;
