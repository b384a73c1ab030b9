-- migrate:up

-- Rolls the transaction back when an update did not touch the rows that it was decided on.
create function expect_rows(actual bigint, expected bigint) returns void language plpgsql as $$
begin
  if actual <> expected then
    raise exception 'expected % rows, found %', expected, actual using errcode = 'serialization_failure';
  end if;
end $$;

create table worker (
  worker_id      uuid primary key,
  name           text not null,
  capabilities   jsonb not null default '["shell"]',
  tags           jsonb not null default '[]',
  version        text not null default '',
  plugins        jsonb not null default '[]',
  token_hash     bytea not null unique,
  status         text not null default 'active' check (status in ('active', 'inactive')),
  superseded_by  uuid,
  last_heartbeat timestamptz,
  registered_at  timestamptz not null default now()
) with (fillfactor = 70);
create index worker_registered on worker (registered_at desc, worker_id);
create index worker_name on worker (name);

-- What a job runs, once per content; never changed.
create table task_definition (
  hash bytea primary key,
  body jsonb not null
);

-- The distinct sets of tags that steps require, as a number: claims look steps up by route.
create table route (
  route_id integer generated always as identity primary key,
  tags     text[] not null unique
);

create table job (
  job_id               uuid primary key,
  workspace            text not null,
  task_name            text not null,
  mode                 text not null default 'distributed' check (mode in ('distributed', 'local')),
  input                jsonb,
  output               jsonb,
  status               text not null check (status in ('pending', 'running', 'completed', 'failed', 'cancelled')),
  source_type          text not null check (source_type in ('trigger', 'user', 'api', 'webhook', 'hook', 'task')),
  source_id            text,
  idempotency_key      text,
  worker_id            uuid,
  revision             text,
  definition_hash      bytea not null references task_definition,
  priority             smallint not null default 0,
  created_at           timestamptz not null default now(),
  started_at           timestamptz,
  completed_at         timestamptz,
  timeout_secs         double precision,
  deadline_at          timestamptz,
  cancel_requested_at  timestamptz,
  timed_out            boolean not null default false,
  error_message        text,
  log_path             text,
  archived_at          timestamptz,
  parent_job_id        uuid references job,
  parent_step_name     text,
  origin_job_id        uuid,
  open_steps           integer not null,
  intolerable_failures integer not null default 0
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
create index job_created on job (created_at desc, job_id desc);
create index job_task on job (workspace, task_name, created_at desc);
create index job_open on job (created_at) where status in ('pending', 'running');
create index job_unsuccessful on job (status, created_at desc) where status in ('failed', 'cancelled');
create index job_parent on job (parent_job_id) where parent_job_id is not null;
create index job_worker on job (worker_id, created_at desc) where worker_id is not null;
create index job_deadline on job (deadline_at) where deadline_at is not null and status in ('pending', 'running');
create unique index job_idempotency on job (workspace, task_name, idempotency_key) where idempotency_key is not null;

-- Blocks of 256 step ids each, so that a job's steps and their dependants are known before they are inserted.
create sequence job_step_block;

create table job_step (
  step_id             bigint primary key,
  job_id              uuid not null references job on delete cascade,
  step_name           text not null,
  flow_step           text not null,
  action_name         text not null,
  action_type         text not null,
  action_image        text,
  action_spec         jsonb,
  input               jsonb,
  output              jsonb,
  status              text not null
                      check (status in ('pending', 'ready', 'running', 'completed', 'failed', 'skipped', 'cancelled')),
  required_tags       jsonb not null,
  runner              text not null,
  executor            text not null default 'worker' check (executor in ('worker', 'server')),
  attempt             integer not null default 1,
  continue_on_failure boolean not null default false,
  dependants          bigint[] not null default '{}',
  open_deps           integer not null,
  priority            smallint not null default 0,
  route_id            integer references route,
  ready_at            timestamptz,
  worker_id           uuid,
  claim_id            uuid,
  claimed_at          timestamptz,
  lease_hash          bytea,
  started_at          timestamptz,
  deadline_at         timestamptz,
  timeout_secs        double precision,
  stop_reason         text check (stop_reason in ('cancelled', 'timed_out', 'superseded')),
  stop_requested_at   timestamptz,
  stop_sent_at        timestamptz,
  runner_state        bytea check (octet_length(runner_state) <= 4096),
  completed_at        timestamptz,
  exit_code           integer,
  error_message       text,
  unique (job_id, step_name)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
create index job_step_ready on job_step (route_id, priority desc, ready_at, step_id) where status = 'ready';
create index job_step_running on job_step (worker_id, claim_id) where status = 'running';

-- An attempt that was replaced by a new one.
create table step_attempt (
  step_id       bigint not null references job_step on delete cascade,
  attempt       integer not null,
  status        text not null,
  worker_id     uuid,
  started_at    timestamptz,
  completed_at  timestamptz,
  exit_code     integer,
  error_message text,
  primary key (step_id, attempt)
);

-- migrate:down
drop table step_attempt;
drop table job_step;
drop sequence job_step_block;
drop table job;
drop table route;
drop table task_definition;
drop table worker;
drop function expect_rows(bigint, bigint);
