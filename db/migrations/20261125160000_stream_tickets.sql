-- migrate:up

-- What a browser opens the log stream of a job with, once: it cannot send the Authorization header then.
create table stream_ticket (
  hash          bytea primary key,
  job_id        uuid not null,
  user_id       uuid not null references app_user on delete cascade,
  session_epoch integer not null,                             -- of the user when it was made
  api_key       bytea references api_key on delete cascade,   -- that it was made with
  expires_at    timestamptz not null
);
create index stream_ticket_expires on stream_ticket (expires_at);

-- migrate:down
drop table stream_ticket;
