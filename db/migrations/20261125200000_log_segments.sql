-- migrate:up

-- A server process, known again after a restart by what its data directory holds.
create table replica (
  replica_id   uuid primary key,
  internal_url text not null default '',         -- where the others reach it; '': nowhere
  seen_at      timestamptz not null default now()
);

-- The log of a job is its segments, one after another. Each is a file that one replica keeps.
create table log_segment (
  job_id     uuid not null references job on delete cascade,
  n          integer not null,                   -- from 1
  replica_id uuid not null,
  first_line bigint not null default 1,          -- its number in the log
  lines      bigint,                             -- null: more may come
  archived   boolean not null default false,     -- the archive has all of it
  dropped    boolean not null default false,     -- the replica has it no more: it is in the archive
  primary key (job_id, n)
);
create index log_segment_unarchived on log_segment (replica_id, job_id) where not archived;

-- What the archive has of the log of a job: its first lines.
create table log_archive (
  job_id      uuid primary key references job on delete cascade,
  key         text not null,
  lines       bigint not null,
  archived_at timestamptz not null default now()
);

-- migrate:down
drop table log_archive;
drop table log_segment;
drop table replica;
