-- migrate:up

-- A job's detail lists the jobs of its hooks. Only these and what is below them have an origin, and it never changes: updates of
-- jobs stay as cheap as they are (HOT). While it is built, for as long as it takes to read the table once, writes to it wait.
create index job_origin on job (origin_job_id) where origin_job_id is not null;

-- migrate:down
drop index job_origin;
