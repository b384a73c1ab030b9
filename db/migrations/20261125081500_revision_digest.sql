-- migrate:up

-- Names the files of the pinned revision by what they are: the source may have others under the revision's name later.
alter table job add column revision_digest text;

-- migrate:down
alter table job drop column revision_digest;
