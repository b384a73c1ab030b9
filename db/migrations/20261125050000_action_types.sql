-- migrate:up

-- The action types that plugins of workers have described; the latest description of a type stands.
create table action_type (
  name           text not null,
  runner         text not null default '',
  tag            text not null,
  workspace      text not null default '',
  attachable     boolean not null default false,
  spec_schema    text, -- JSON as it was given
  plugin         text not null,
  plugin_version text not null default '',
  changed_at     timestamptz not null default now(),
  primary key (name, runner)
);

-- migrate:down
drop table action_type;
