-- migrate:up

-- A server process, known again after a restart by what its data directory holds.
create table replica (
  replica_id   uuid primary key,
  internal_url text not null default '',         -- where the others reach it; '': nowhere
  seen_at      timestamptz not null default now(),
  valid_until  timestamptz not null default now(), -- until then nobody takes over from it
  adopted      boolean not null default false    -- logs of older versions in its directory have their rows
);

-- The log of a job is its segments, one after another. Each is a file that one replica keeps.
create table log_segment (
  job_id     uuid not null references job on delete cascade,
  n          integer not null,                   -- from 1
  replica_id uuid not null,
  first_line bigint not null default 1,          -- its number in the log
  lines      bigint,                             -- null: more may come
  superseded boolean not null default false,     -- the log goes on in the next one
  archived   boolean not null default false,     -- the archive has all of it
  dropped    boolean not null default false,     -- the replica has it no more: it is in the archive
  due_at     timestamptz not null default now(), -- when it is tried to archive the log that ends with it, once the job has ended
  attempts   integer not null default 0,         -- to do so that have failed
  last_error text,                               -- of the last of them
  primary key (job_id, n)
);
create index log_segment_superseded on log_segment (replica_id) where superseded and lines is null;
create index log_segment_unarchived on log_segment (replica_id, due_at) where not archived;
create index log_segment_archived on log_segment (replica_id, job_id) where archived and not dropped;

-- With which line of the worker's an attempt goes on in a segment behind the first one.
create table log_start (
  job_id    uuid not null,
  n         integer not null,
  step_name text not null,
  attempt   integer not null,
  first     bigint not null,
  primary key (job_id, n, step_name, attempt),
  foreign key (job_id, n) references log_segment on delete cascade
);

-- What the archive has of the log of a job: its first lines.
create table log_archive (
  job_id      uuid primary key references job on delete cascade,
  key         text not null,
  lines       bigint not null,
  archived_at timestamptz not null               -- when it had these, by the clock of the replica
);

-- migrate:down
drop table log_archive;
drop table log_start;
drop table log_segment;
drop table replica;
