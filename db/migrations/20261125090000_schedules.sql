-- migrate:up

-- When each enabled scheduler trigger fires next. A row whose time has passed was missed, and fires at once.
create table schedule (
  workspace    text not null,
  trigger_name text not null,
  cron         text not null,
  timezone     text not null,
  next_fire_at timestamptz, -- null: never again
  primary key (workspace, trigger_name)
);

-- What became of each instant; that there is one row for an instant makes it fire once.
create table schedule_fire (
  workspace    text not null,
  trigger_name text not null,
  scheduled_at timestamptz not null,
  fired_at     timestamptz not null default now(),
  missed       integer not null default 0,
  job_id       uuid,
  reason       text, -- why there is no job
  primary key (workspace, trigger_name, scheduled_at)
);
create index schedule_fire_fired on schedule_fire (fired_at);

-- migrate:down
drop table schedule_fire;
drop table schedule;
