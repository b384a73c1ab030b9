-- migrate:up

-- What came to each webhook, and what became of it; the latest of each trigger are kept.
create table webhook_delivery (
  delivery_id    bigint primary key generated always as identity,
  workspace      text not null,
  trigger_name   text not null,
  at             timestamptz not null default clock_timestamp(),
  method         text not null,
  remote_address text not null,
  bytes          integer not null,
  status         integer not null,
  reason         text, -- why it was refused
  job_id         uuid
);
create index webhook_delivery_trigger on webhook_delivery (workspace, trigger_name, delivery_id desc);
create index webhook_delivery_at on webhook_delivery (at);

-- migrate:down
drop table webhook_delivery;
