-- Rules of this folder. Each file runs in a transaction, as the role
-- ledgerline_owner, on PostgreSQL 15 or later (see runlog/install.go, which makes
-- the roles and the schema before the first one):
--
--   * What is made belongs to ledgerline_owner at once. Nothing needs a superuser.
--   * Row-level security is forced on the owner too, so a statement that reads or
--     changes rows sees none of them. A migration of data puts it between
--         ALTER TABLE ledgerline.x NO FORCE ROW LEVEL SECURITY;
--         ALTER TABLE ledgerline.x FORCE ROW LEVEL SECURITY;
--     for each table that it names, in the same transaction, so nobody else ever
--     sees the table without it.
--   * What an older program cannot work with sets serves_from in
--     ledgerline.schema_serves to the file's number; its Down sets it back.
--   * A jsonb column that a program decodes has a CHECK of its members
--     (ledgerline.decodes_as), so that no row stops the others.
--   * After a change, go test ./runlog -run TestCatalogue -update writes what
--     the self-check expects into runlog/catalogue.txt.

-- +goose Up
GRANT USAGE ON SCHEMA ledgerline TO ledgerline_worker, ledgerline_operator, ledgerline_reader, ledgerline_retention;

-- The organization of the current transaction, set with set_config(…, true).
-- After such a transaction the setting is '' and not NULL.
CREATE FUNCTION ledgerline.current_organization() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('app.organization_id', true), '')::uuid;

CREATE TABLE ledgerline.integrations (
    organization_id uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    name            text        NOT NULL,
    adapter         text        NOT NULL,
    base_url        text        NOT NULL,
    settings        jsonb       NOT NULL DEFAULT '{}',
    credential_refs jsonb       NOT NULL DEFAULT '{}',
    policy          jsonb       NOT NULL,
    applied_by      text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, integration_id),
    CONSTRAINT integration_id_belongs_to_one_organization UNIQUE (integration_id),
    CONSTRAINT name_is_unique_in_organization UNIQUE (organization_id, name),
    CONSTRAINT credential_refs_hold_no_secret
        CHECK (NOT jsonb_path_exists(credential_refs, '$.* ? (!(@ like_regex "^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.*)$"))'))
);

-- The audit record: one row for each failed attempt, and one for a success
-- that came after a failure. Partitioned by the start of the run, which is the
-- same for all attempts of an invocation, so that the unique key holds it.
CREATE TABLE ledgerline.integration_run_logs (
    organization_id          uuid        NOT NULL,
    integration_id           uuid,
    requested_integration_id uuid        NOT NULL,
    correlation_id           uuid        NOT NULL,
    adapter_name             text        NOT NULL,
    operation                text        NOT NULL,
    attempt_number           integer     NOT NULL,
    error_class              text,
    error_kind               text        NOT NULL,
    rule                     text        NOT NULL,
    http_status              integer,
    error_message            text,
    is_retryable             boolean     NOT NULL,
    total_attempts           integer,
    planned_delay            interval,
    occurred_at              timestamptz NOT NULL,
    workflow_id              text        NOT NULL,
    run_id                   uuid        NOT NULL,
    run_started_at           timestamptz NOT NULL,
    recorded_at              timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT attempt_is_recorded_once PRIMARY KEY (organization_id, correlation_id, attempt_number, run_started_at),
    CONSTRAINT integration_belongs_to_organization FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    -- integration_id is NULL only where the organization has no such
    -- integration; what was asked for is on record all the same.
    CONSTRAINT integration_is_the_requested_one CHECK (integration_id IS NULL OR integration_id = requested_integration_id),
    CONSTRAINT correlation_id_is_v4 CHECK (substr(correlation_id::text, 15, 1) = '4'),
    CONSTRAINT attempt_counts_from_one CHECK (attempt_number >= 1),
    CONSTRAINT error_class_is_known CHECK (error_class IN ('transient', 'permanent', 'timeout')),
    CONSTRAINT success_has_total_attempts CHECK ((error_class IS NULL) = (total_attempts IS NOT NULL)),
    CONSTRAINT success_is_not_retryable CHECK (error_class IS NOT NULL OR NOT is_retryable),
    CONSTRAINT success_follows_a_failure CHECK (total_attempts IS NULL OR total_attempts = attempt_number AND total_attempts >= 2),
    CONSTRAINT http_status_is_a_status CHECK (http_status BETWEEN 100 AND 999),
    CONSTRAINT message_is_cut CHECK (length(error_message) <= 500)
) PARTITION BY RANGE (run_started_at);

CREATE INDEX integration_run_logs_by_time
    ON ledgerline.integration_run_logs (organization_id, occurred_at, correlation_id, attempt_number);

-- Partitions are made ahead. There is no default partition: it would block
-- detaching one, and hide that one is missing. The name tells the month.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.make_partitions(months_back integer, months_ahead integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    month date;
    made  integer := 0;
BEGIN
    IF months_back NOT BETWEEN 0 AND 24 OR months_ahead NOT BETWEEN 0 AND 24 THEN
        RAISE EXCEPTION 'make_partitions: at most 24 months each way';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('ledgerline.make_partitions', 0));
    FOR i IN -months_back .. months_ahead LOOP
        month := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i))::date;
        IF to_regclass(format('ledgerline.integration_run_logs_%s', to_char(month, 'YYYY_MM'))) IS NULL THEN
            EXECUTE format('CREATE TABLE ledgerline.%I PARTITION OF ledgerline.integration_run_logs FOR VALUES FROM (%L) TO (%L)',
                'integration_run_logs_' || to_char(month, 'YYYY_MM'),
                to_char(month, 'YYYY-MM-DD') || ' 00:00:00+00',
                to_char(month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00');
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END
$$;
-- +goose StatementEnd

-- Drops the partitions whose last month ended more than keep_months ago.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.drop_partitions(keep_months integer) RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    partition text;
BEGIN
    IF keep_months < 1 THEN
        RAISE EXCEPTION 'drop_partitions: keep at least one month';
    END IF;
    FOR partition IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'ledgerline.integration_run_logs'::regclass
          AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month'
              <= date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => keep_months)
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE ledgerline.%I', partition);
        RETURN NEXT partition;
    END LOOP;
END
$$;
-- +goose StatementEnd

ALTER TABLE ledgerline.integrations ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.integrations FORCE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.integration_run_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.integration_run_logs FORCE ROW LEVEL SECURITY;

CREATE POLICY own_organization ON ledgerline.integrations
    USING (organization_id = ledgerline.current_organization())
    WITH CHECK (organization_id = ledgerline.current_organization());
CREATE POLICY own_organization ON ledgerline.integration_run_logs
    USING (organization_id = ledgerline.current_organization())
    WITH CHECK (organization_id = ledgerline.current_organization());

-- The worker writes rows and cannot read them back, change them or delete
-- them. Nobody has a right on a partition: row-level security on the parent
-- would not guard it.
GRANT SELECT ON ledgerline.integrations TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.integrations TO ledgerline_operator;
GRANT INSERT ON ledgerline.integration_run_logs TO ledgerline_worker;
GRANT SELECT ON ledgerline.integration_run_logs TO ledgerline_operator, ledgerline_reader;

REVOKE ALL ON FUNCTION ledgerline.make_partitions(integer, integer), ledgerline.drop_partitions(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.make_partitions(integer, integer) TO ledgerline_worker;
GRANT EXECUTE ON FUNCTION ledgerline.drop_partitions(integer) TO ledgerline_retention;

SELECT ledgerline.make_partitions(2, 4);
GRANT SELECT ON ledgerline.goose_db_version TO ledgerline_worker, ledgerline_operator, ledgerline_reader, ledgerline_retention;

-- +goose Down
DROP TABLE ledgerline.integration_run_logs, ledgerline.integrations;
DROP FUNCTION ledgerline.make_partitions(integer, integer), ledgerline.drop_partitions(integer), ledgerline.current_organization();
REVOKE SELECT ON ledgerline.goose_db_version FROM ledgerline_worker, ledgerline_operator, ledgerline_reader, ledgerline_retention;
REVOKE USAGE ON SCHEMA ledgerline FROM ledgerline_worker, ledgerline_operator, ledgerline_reader, ledgerline_retention;
