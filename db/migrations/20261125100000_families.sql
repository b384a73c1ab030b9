-- migrate:up

-- How many jobs there are above a job: a task's steps may run tasks.
alter table job add column depth smallint not null default 0;

-- migrate:down
alter table job drop column depth;
