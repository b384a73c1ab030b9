-- migrate:up

create table app_user (
  user_id       uuid primary key,
  email         text not null,
  name          text,
  role          text not null check (role in ('viewer', 'operator', 'admin')),
  groups        text[] not null default '{}', -- as the provider named them at the last sign-in
  password_hash text,
  session_epoch integer not null default 0, -- access tokens of an earlier one are refused
  disabled_at   timestamptz,
  created_at    timestamptz not null default now(),
  last_login_at timestamptz
);
-- In whatever language the database is: only A to Z are as a to z, as in core.FoldEmail.
create unique index app_user_email on app_user (lower(email collate "C"));

-- Who a user is at the providers that they sign in with.
create table user_identity (
  provider   text not null,
  subject    text not null,
  user_id    uuid not null references app_user on delete cascade,
  created_at timestamptz not null default now(),
  primary key (provider, subject)
);
create index user_identity_user on user_identity (user_id);

-- A refresh token is used once, for the next one of its family. One that comes twice was stolen: its family ends.
create table refresh_token (
  hash       bytea primary key,
  family_id  uuid not null,
  user_id    uuid not null references app_user on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  spent_at   timestamptz
);
create index refresh_token_family on refresh_token (family_id);
create index refresh_token_user on refresh_token (user_id);
create index refresh_token_expires on refresh_token (expires_at);

create table api_key (
  hash         bytea primary key,
  prefix       text not null,
  name         text not null,
  user_id      uuid not null references app_user on delete cascade,
  created_at   timestamptz not null default now(),
  expires_at   timestamptz,
  last_used_at timestamptz
);
create index api_key_user on api_key (user_id, created_at desc);

create table audit (
  audit_id       bigint primary key generated always as identity,
  at             timestamptz not null default clock_timestamp(),
  actor_type     text not null,
  actor          text not null,
  action         text not null,
  target         text not null,
  result         text not null,
  remote_address text not null,
  request_id     text not null,
  details        jsonb not null default '{}'
);
create index audit_at on audit (at);

-- migrate:down
drop table audit;
drop table api_key;
drop table refresh_token;
drop table user_identity;
drop table app_user;
