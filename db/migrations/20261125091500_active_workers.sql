-- migrate:up

-- Each registration is a row, and nearly all of them are of the past. What is asked about workers is asked about the active ones,
-- by a job's detail for each of its steps. Heartbeats do not change the status, so their updates stay cheap (HOT).
create index worker_active on worker (name, worker_id) where status = 'active';

-- migrate:down
drop index worker_active;
