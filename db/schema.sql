-- The schema after all migrations; made by `make generate`.
CREATE FUNCTION expect_rows(actual bigint, expected bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  if actual <> expected then
    raise exception 'expected % rows, found %', expected, actual using errcode = 'serialization_failure';
  end if;
end $$;

CREATE TABLE action_type (
    name text NOT NULL,
    runner text DEFAULT ''::text NOT NULL,
    tag text NOT NULL,
    workspace text DEFAULT ''::text NOT NULL,
    attachable boolean DEFAULT false NOT NULL,
    spec_schema text,
    plugin text NOT NULL,
    plugin_version text DEFAULT ''::text NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE api_key (
    hash bytea NOT NULL,
    prefix text NOT NULL,
    name text NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone
);

CREATE TABLE app_user (
    user_id uuid NOT NULL,
    email text NOT NULL,
    name text,
    role text NOT NULL,
    groups text[] DEFAULT '{}'::text[] NOT NULL,
    password_hash text,
    session_epoch integer DEFAULT 0 NOT NULL,
    disabled_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_login_at timestamp with time zone,
    CONSTRAINT app_user_role_check CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'admin'::text])))
);

CREATE TABLE audit (
    audit_id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor_type text NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    result text NOT NULL,
    remote_address text NOT NULL,
    request_id text NOT NULL,
    details jsonb DEFAULT '{}'::jsonb NOT NULL
);

ALTER TABLE audit ALTER COLUMN audit_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME audit_audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE job (
    job_id uuid NOT NULL,
    workspace text NOT NULL,
    task_name text NOT NULL,
    mode text DEFAULT 'distributed'::text NOT NULL,
    input jsonb,
    output jsonb,
    status text NOT NULL,
    source_type text NOT NULL,
    source_id text,
    idempotency_key text,
    worker_id uuid,
    revision text,
    definition_hash bytea NOT NULL,
    priority smallint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    timeout_secs double precision,
    deadline_at timestamp with time zone,
    cancel_requested_at timestamp with time zone,
    timed_out boolean DEFAULT false NOT NULL,
    error_message text,
    log_path text,
    archived_at timestamp with time zone,
    parent_job_id uuid,
    parent_step_name text,
    origin_job_id uuid,
    open_steps integer NOT NULL,
    intolerable_failures integer DEFAULT 0 NOT NULL,
    revision_digest text,
    input_sealed bytea,
    mask_sealed bytea[],
    depth smallint DEFAULT 0 NOT NULL,
    CONSTRAINT job_mode_check CHECK ((mode = ANY (ARRAY['distributed'::text, 'local'::text]))),
    CONSTRAINT job_source_type_check CHECK ((source_type = ANY (ARRAY['trigger'::text, 'user'::text, 'api'::text, 'webhook'::text, 'hook'::text, 'task'::text]))),
    CONSTRAINT job_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text, 'completed'::text, 'failed'::text, 'cancelled'::text])))
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.02', autovacuum_analyze_scale_factor='0.02');

CREATE TABLE job_step (
    step_id bigint NOT NULL,
    job_id uuid NOT NULL,
    step_name text NOT NULL,
    flow_step text NOT NULL,
    action_name text NOT NULL,
    action_type text NOT NULL,
    action_image text,
    action_spec jsonb,
    input jsonb,
    output jsonb,
    status text NOT NULL,
    required_tags jsonb NOT NULL,
    runner text NOT NULL,
    executor text DEFAULT 'worker'::text NOT NULL,
    attempt integer DEFAULT 1 NOT NULL,
    continue_on_failure boolean DEFAULT false NOT NULL,
    dependants bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    open_deps integer NOT NULL,
    priority smallint DEFAULT 0 NOT NULL,
    route_id integer,
    ready_at timestamp with time zone,
    worker_id uuid,
    claim_id uuid,
    claimed_at timestamp with time zone,
    lease_hash bytea,
    started_at timestamp with time zone,
    deadline_at timestamp with time zone,
    timeout_secs double precision,
    stop_reason text,
    stop_requested_at timestamp with time zone,
    stop_sent_at timestamp with time zone,
    runner_state bytea,
    completed_at timestamp with time zone,
    exit_code integer,
    error_message text,
    input_sealed bytea,
    output_sealed bytea,
    runner_state_sealed bytea,
    CONSTRAINT job_step_executor_check CHECK ((executor = ANY (ARRAY['worker'::text, 'server'::text]))),
    CONSTRAINT job_step_runner_state_check CHECK ((octet_length(runner_state) <= 4096)),
    CONSTRAINT job_step_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'ready'::text, 'running'::text, 'completed'::text, 'failed'::text, 'skipped'::text, 'cancelled'::text]))),
    CONSTRAINT job_step_stop_reason_check CHECK ((stop_reason = ANY (ARRAY['cancelled'::text, 'timed_out'::text, 'superseded'::text])))
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.02', autovacuum_analyze_scale_factor='0.02');

CREATE SEQUENCE job_step_block
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE log_archive (
    job_id uuid NOT NULL,
    key text NOT NULL,
    lines bigint NOT NULL,
    archived_at timestamp with time zone NOT NULL
);

CREATE TABLE log_segment (
    job_id uuid NOT NULL,
    n integer NOT NULL,
    replica_id uuid NOT NULL,
    first_line bigint DEFAULT 1 NOT NULL,
    lines bigint,
    superseded boolean DEFAULT false NOT NULL,
    archived boolean DEFAULT false NOT NULL,
    dropped boolean DEFAULT false NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    last_error text
);

CREATE TABLE log_start (
    job_id uuid NOT NULL,
    n integer NOT NULL,
    step_name text NOT NULL,
    attempt integer NOT NULL,
    first bigint NOT NULL
);

CREATE TABLE refresh_token (
    hash bytea NOT NULL,
    family_id uuid NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    spent_at timestamp with time zone
);

CREATE TABLE replica (
    replica_id uuid NOT NULL,
    internal_url text DEFAULT ''::text NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    valid_until timestamp with time zone DEFAULT now() NOT NULL,
    adopted boolean DEFAULT false NOT NULL
);

CREATE TABLE route (
    route_id integer NOT NULL,
    tags text[] NOT NULL
);

ALTER TABLE route ALTER COLUMN route_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME route_route_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE schedule (
    workspace text NOT NULL,
    trigger_name text NOT NULL,
    cron text NOT NULL,
    timezone text NOT NULL,
    next_fire_at timestamp with time zone
);

CREATE TABLE schedule_fire (
    workspace text NOT NULL,
    trigger_name text NOT NULL,
    scheduled_at timestamp with time zone NOT NULL,
    fired_at timestamp with time zone DEFAULT now() NOT NULL,
    missed integer DEFAULT 0 NOT NULL,
    job_id uuid,
    reason text
);

CREATE TABLE schema_migrations (
    version character varying NOT NULL
);

CREATE TABLE sealing_key (
    only_row boolean DEFAULT true NOT NULL,
    key_id text NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT sealing_key_only_row_check CHECK (only_row)
);

CREATE TABLE step_attempt (
    step_id bigint NOT NULL,
    attempt integer NOT NULL,
    status text NOT NULL,
    worker_id uuid,
    started_at timestamp with time zone,
    completed_at timestamp with time zone,
    exit_code integer,
    error_message text
);

CREATE TABLE stream_ticket (
    hash bytea NOT NULL,
    job_id uuid NOT NULL,
    user_id uuid NOT NULL,
    session_epoch integer NOT NULL,
    api_key bytea,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE task_definition (
    hash bytea NOT NULL,
    body jsonb NOT NULL
);

CREATE TABLE user_identity (
    provider text NOT NULL,
    subject text NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE webhook_delivery (
    delivery_id bigint NOT NULL,
    workspace text NOT NULL,
    trigger_name text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    method text NOT NULL,
    remote_address text NOT NULL,
    bytes integer NOT NULL,
    status integer NOT NULL,
    reason text,
    job_id uuid
);

ALTER TABLE webhook_delivery ALTER COLUMN delivery_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME webhook_delivery_delivery_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE worker (
    worker_id uuid NOT NULL,
    name text NOT NULL,
    capabilities jsonb DEFAULT '["shell"]'::jsonb NOT NULL,
    tags jsonb DEFAULT '[]'::jsonb NOT NULL,
    version text DEFAULT ''::text NOT NULL,
    plugins jsonb DEFAULT '[]'::jsonb NOT NULL,
    token_hash bytea NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    superseded_by uuid,
    last_heartbeat timestamp with time zone,
    registered_at timestamp with time zone DEFAULT now() NOT NULL,
    token_name text DEFAULT 'default'::text NOT NULL,
    revoked_at timestamp with time zone,
    CONSTRAINT worker_status_check CHECK ((status = ANY (ARRAY['active'::text, 'inactive'::text])))
)
WITH (fillfactor='70');

ALTER TABLE ONLY action_type
    ADD CONSTRAINT action_type_pkey PRIMARY KEY (name, runner);

ALTER TABLE ONLY api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY app_user
    ADD CONSTRAINT app_user_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (audit_id);

ALTER TABLE ONLY job
    ADD CONSTRAINT job_pkey PRIMARY KEY (job_id);

ALTER TABLE ONLY job_step
    ADD CONSTRAINT job_step_job_id_step_name_key UNIQUE (job_id, step_name);

ALTER TABLE ONLY job_step
    ADD CONSTRAINT job_step_pkey PRIMARY KEY (step_id);

ALTER TABLE ONLY log_archive
    ADD CONSTRAINT log_archive_pkey PRIMARY KEY (job_id);

ALTER TABLE ONLY log_segment
    ADD CONSTRAINT log_segment_pkey PRIMARY KEY (job_id, n);

ALTER TABLE ONLY log_start
    ADD CONSTRAINT log_start_pkey PRIMARY KEY (job_id, n, step_name, attempt);

ALTER TABLE ONLY refresh_token
    ADD CONSTRAINT refresh_token_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY replica
    ADD CONSTRAINT replica_pkey PRIMARY KEY (replica_id);

ALTER TABLE ONLY route
    ADD CONSTRAINT route_pkey PRIMARY KEY (route_id);

ALTER TABLE ONLY route
    ADD CONSTRAINT route_tags_key UNIQUE (tags);

ALTER TABLE ONLY schedule_fire
    ADD CONSTRAINT schedule_fire_pkey PRIMARY KEY (workspace, trigger_name, scheduled_at);

ALTER TABLE ONLY schedule
    ADD CONSTRAINT schedule_pkey PRIMARY KEY (workspace, trigger_name);

ALTER TABLE ONLY schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY sealing_key
    ADD CONSTRAINT sealing_key_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY step_attempt
    ADD CONSTRAINT step_attempt_pkey PRIMARY KEY (step_id, attempt);

ALTER TABLE ONLY stream_ticket
    ADD CONSTRAINT stream_ticket_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY task_definition
    ADD CONSTRAINT task_definition_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY user_identity
    ADD CONSTRAINT user_identity_pkey PRIMARY KEY (provider, subject);

ALTER TABLE ONLY webhook_delivery
    ADD CONSTRAINT webhook_delivery_pkey PRIMARY KEY (delivery_id);

ALTER TABLE ONLY worker
    ADD CONSTRAINT worker_pkey PRIMARY KEY (worker_id);

ALTER TABLE ONLY worker
    ADD CONSTRAINT worker_token_hash_key UNIQUE (token_hash);

CREATE INDEX api_key_user ON api_key USING btree (user_id, created_at DESC);

CREATE UNIQUE INDEX app_user_email ON app_user USING btree (lower((email COLLATE "C")));

CREATE INDEX audit_at ON audit USING btree (at);

CREATE INDEX job_created ON job USING btree (created_at DESC, job_id DESC);

CREATE INDEX job_deadline ON job USING btree (deadline_at) WHERE ((deadline_at IS NOT NULL) AND (status = ANY (ARRAY['pending'::text, 'running'::text])));

CREATE UNIQUE INDEX job_idempotency ON job USING btree (workspace, task_name, idempotency_key) WHERE (idempotency_key IS NOT NULL);

CREATE INDEX job_open ON job USING btree (created_at) WHERE (status = ANY (ARRAY['pending'::text, 'running'::text]));

CREATE INDEX job_open_child ON job USING btree (parent_job_id, parent_step_name) WHERE ((parent_job_id IS NOT NULL) AND (status = ANY (ARRAY['pending'::text, 'running'::text])) AND (cancel_requested_at IS NULL));

CREATE INDEX job_origin ON job USING btree (origin_job_id) WHERE (origin_job_id IS NOT NULL);

CREATE INDEX job_parent ON job USING btree (parent_job_id) WHERE (parent_job_id IS NOT NULL);

CREATE INDEX job_step_ready ON job_step USING btree (route_id, priority DESC, ready_at, step_id) WHERE (status = 'ready'::text);

CREATE INDEX job_step_running ON job_step USING btree (worker_id, claim_id) WHERE (status = 'running'::text);

CREATE INDEX job_step_stop ON job_step USING btree (worker_id) WHERE ((stop_reason IS NOT NULL) AND ((status = 'running'::text) OR (stop_reason = 'superseded'::text)));

CREATE INDEX job_step_task ON job_step USING btree (job_id) WHERE ((status = 'running'::text) AND (executor = 'server'::text));

CREATE INDEX job_task ON job USING btree (workspace, task_name, created_at DESC);

CREATE INDEX job_unsuccessful ON job USING btree (status, created_at DESC) WHERE (status = ANY (ARRAY['failed'::text, 'cancelled'::text]));

CREATE INDEX job_worker ON job USING btree (worker_id, created_at DESC) WHERE (worker_id IS NOT NULL);

CREATE INDEX log_segment_archived ON log_segment USING btree (replica_id, job_id) WHERE (archived AND (NOT dropped));

CREATE INDEX log_segment_superseded ON log_segment USING btree (replica_id) WHERE (superseded AND (lines IS NULL));

CREATE INDEX log_segment_unarchived ON log_segment USING btree (replica_id, due_at) WHERE (NOT archived);

CREATE INDEX refresh_token_expires ON refresh_token USING btree (expires_at);

CREATE INDEX refresh_token_family ON refresh_token USING btree (family_id);

CREATE INDEX refresh_token_user ON refresh_token USING btree (user_id);

CREATE INDEX schedule_fire_fired ON schedule_fire USING btree (fired_at);

CREATE INDEX stream_ticket_expires ON stream_ticket USING btree (expires_at);

CREATE INDEX user_identity_user ON user_identity USING btree (user_id);

CREATE INDEX webhook_delivery_at ON webhook_delivery USING btree (at);

CREATE INDEX webhook_delivery_trigger ON webhook_delivery USING btree (workspace, trigger_name, delivery_id DESC);

CREATE INDEX worker_active ON worker USING btree (name, worker_id) WHERE (status = 'active'::text);

CREATE INDEX worker_name ON worker USING btree (name);

CREATE INDEX worker_registered ON worker USING btree (registered_at DESC, worker_id);

CREATE INDEX worker_revoked ON worker USING btree (name) WHERE (revoked_at IS NOT NULL);

ALTER TABLE ONLY api_key
    ADD CONSTRAINT api_key_user_id_fkey FOREIGN KEY (user_id) REFERENCES app_user(user_id) ON DELETE CASCADE;

ALTER TABLE ONLY job
    ADD CONSTRAINT job_definition_hash_fkey FOREIGN KEY (definition_hash) REFERENCES task_definition(hash);

ALTER TABLE ONLY job
    ADD CONSTRAINT job_parent_job_id_fkey FOREIGN KEY (parent_job_id) REFERENCES job(job_id);

ALTER TABLE ONLY job_step
    ADD CONSTRAINT job_step_job_id_fkey FOREIGN KEY (job_id) REFERENCES job(job_id) ON DELETE CASCADE;

ALTER TABLE ONLY job_step
    ADD CONSTRAINT job_step_route_id_fkey FOREIGN KEY (route_id) REFERENCES route(route_id);

ALTER TABLE ONLY log_archive
    ADD CONSTRAINT log_archive_job_id_fkey FOREIGN KEY (job_id) REFERENCES job(job_id) ON DELETE CASCADE;

ALTER TABLE ONLY log_segment
    ADD CONSTRAINT log_segment_job_id_fkey FOREIGN KEY (job_id) REFERENCES job(job_id) ON DELETE CASCADE;

ALTER TABLE ONLY log_start
    ADD CONSTRAINT log_start_job_id_n_fkey FOREIGN KEY (job_id, n) REFERENCES log_segment(job_id, n) ON DELETE CASCADE;

ALTER TABLE ONLY refresh_token
    ADD CONSTRAINT refresh_token_user_id_fkey FOREIGN KEY (user_id) REFERENCES app_user(user_id) ON DELETE CASCADE;

ALTER TABLE ONLY step_attempt
    ADD CONSTRAINT step_attempt_step_id_fkey FOREIGN KEY (step_id) REFERENCES job_step(step_id) ON DELETE CASCADE;

ALTER TABLE ONLY stream_ticket
    ADD CONSTRAINT stream_ticket_api_key_fkey FOREIGN KEY (api_key) REFERENCES api_key(hash) ON DELETE CASCADE;

ALTER TABLE ONLY stream_ticket
    ADD CONSTRAINT stream_ticket_user_id_fkey FOREIGN KEY (user_id) REFERENCES app_user(user_id) ON DELETE CASCADE;

ALTER TABLE ONLY user_identity
    ADD CONSTRAINT user_identity_user_id_fkey FOREIGN KEY (user_id) REFERENCES app_user(user_id) ON DELETE CASCADE;

