-- migrate:up

-- Under which of the configuration's tokens a worker has registered, and whether it was revoked. A name with a revoked
-- worker does not register again.
alter table worker
  add column token_name text not null default 'default',
  add column revoked_at timestamptz;
create index worker_revoked on worker (name) where revoked_at is not null;

-- migrate:down
drop index worker_revoked;
alter table worker
  drop column revoked_at,
  drop column token_name;
