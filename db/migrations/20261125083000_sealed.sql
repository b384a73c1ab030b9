-- migrate:up

-- What is secret stands in plain columns in its masked form. Where that is another one, the original is beside it, sealed
-- for its row and column. None of these columns is in an index: updates stay HOT.
alter table job
  add column input_sealed bytea,
  add column mask_sealed  bytea[]; -- what is secret in this job beyond the workspace's secrets
alter table job_step
  add column input_sealed        bytea,
  add column output_sealed       bytea,
  add column runner_state_sealed bytea;

-- The key with which values are sealed: all replicas have to have the same one.
create table sealing_key (
  only_row    boolean primary key default true check (only_row),
  key_id      text not null,
  recorded_at timestamptz not null default now()
);

-- migrate:down
drop table sealing_key;
alter table job_step
  drop column input_sealed,
  drop column output_sealed,
  drop column runner_state_sealed;
alter table job
  drop column input_sealed,
  drop column mask_sealed;
