-- Attempts to call a vendor: the audit record of those that failed, and what is
-- known of each ad-hoc write.

-- +goose Up
-- The audit record: a row for each failed attempt, for a success after a failure,
-- and for each ad-hoc write that succeeded. It is partitioned by the start of the
-- run: the unique key must contain that column, and all attempts of an invocation
-- have the same value in it.
CREATE TABLE ledgerline.integration_run_logs (
    organization_id          uuid        NOT NULL,
    integration_id           uuid,        -- NULL: the organization has no such integration
    requested_integration_id uuid        NOT NULL,
    correlation_id           uuid        NOT NULL,
    adapter_name             text        NOT NULL,
    operation                text        NOT NULL,
    attempt_number           integer     NOT NULL,
    error_class              text,        -- NULL: a success
    error_kind               text        NOT NULL,
    rule                     text        NOT NULL, -- the rule that classified it
    http_status              integer,
    error_message            text,
    is_retryable             boolean     NOT NULL,
    total_attempts           integer,     -- of a success; 1 for an ad-hoc write that succeeded at once
    planned_delay            interval,
    effect                   text,        -- of a write: done, none or open; NULL if none was sent
    open_until               timestamptz, -- of an open write: it can take effect until then
    actor                    text,        -- who made the call; NULL for runs and monitors
    occurred_at              timestamptz NOT NULL,
    workflow_id              text        NOT NULL,
    run_id                   uuid        NOT NULL,
    run_started_at           timestamptz NOT NULL,
    recorded_at              timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT attempt_is_recorded_once PRIMARY KEY (organization_id, correlation_id, attempt_number, run_started_at),
    CONSTRAINT integration_belongs_to_organization FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT integration_is_the_requested_one CHECK (integration_id IS NULL OR integration_id = requested_integration_id),
    CONSTRAINT correlation_id_is_v4 CHECK (substr(correlation_id::text, 15, 1) = '4'),
    CONSTRAINT attempt_counts_from_one CHECK (attempt_number >= 1),
    CONSTRAINT error_class_is_known CHECK (error_class IN ('transient', 'permanent', 'timeout')),
    CONSTRAINT effect_is_known CHECK (effect IN ('done', 'none', 'open')),
    CONSTRAINT success_has_total_attempts CHECK ((error_class IS NULL) = (total_attempts IS NOT NULL)),
    CONSTRAINT success_is_not_retryable CHECK (error_class IS NOT NULL OR NOT is_retryable),
    CONSTRAINT success_follows_a_failure_or_is_a_write
        CHECK (total_attempts IS NULL OR total_attempts = attempt_number AND (total_attempts >= 2 OR effect IS NOT NULL)),
    CONSTRAINT http_status_is_a_status CHECK (http_status BETWEEN 100 AND 999),
    CONSTRAINT message_is_cut CHECK (length(error_message) <= 500),
    CONSTRAINT actor_is_cut CHECK (length(actor) <= 500)
) PARTITION BY RANGE (run_started_at);
CREATE INDEX integration_run_logs_by_time
    ON ledgerline.integration_run_logs (organization_id, occurred_at, correlation_id, attempt_number);
ALTER TABLE ledgerline.integration_run_logs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.integration_run_logs
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
-- The worker inserts rows and cannot read, change or delete them. No role has a
-- right on a partition, where the row-level security of the table does not hold.
GRANT INSERT ON ledgerline.integration_run_logs TO ledgerline_worker;
GRANT SELECT ON ledgerline.integration_run_logs TO ledgerline_operator, ledgerline_reader;

-- Partitions are made ahead, named after their month. There is no default
-- partition: it would block detaching others, and hide that one is missing.
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

-- Drops the partitions whose month ended more than keep_months ago, and returns
-- their names.
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
        SELECT child.relname FROM pg_inherits AS parent JOIN pg_class AS child ON child.oid = parent.inhrelid
        WHERE parent.inhparent = 'ledgerline.integration_run_logs'::regclass
          AND to_date(right(child.relname, 7), 'YYYY_MM') + interval '1 month'
              <= date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => keep_months)
        ORDER BY child.relname
    LOOP
        EXECUTE format('DROP TABLE ledgerline.%I', partition);
        RETURN NEXT partition;
    END LOOP;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION ledgerline.make_partitions(integer, integer), ledgerline.drop_partitions(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.make_partitions(integer, integer) TO ledgerline_worker;
GRANT EXECUTE ON FUNCTION ledgerline.drop_partitions(integer) TO ledgerline_retention;

SELECT ledgerline.make_partitions(2, 4);

-- Ad-hoc writes: a correlation ID stands for one request for good. Rows are never
-- dropped.
CREATE TABLE ledgerline.write_claims (
    organization_id uuid        NOT NULL,
    correlation_id  uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    operation       text        NOT NULL,
    body_sha256     text        NOT NULL,
    actor           text        NOT NULL DEFAULT '',
    effect          text        NOT NULL DEFAULT 'open',
    ended           boolean     NOT NULL DEFAULT false, -- something proves that the vendor's work has ended
    open_until      timestamptz NOT NULL,               -- an open one can take effect until then; never decreases
    attempts        integer     NOT NULL DEFAULT 0,     -- the number of the last attempt, also of one that only looked it up
    run_id          uuid        NOT NULL,               -- the workflow run of that attempt
    run_offset      integer     NOT NULL DEFAULT 0,     -- how many attempts earlier runs made
    sent_attempt    integer     NOT NULL,               -- the number of the last attempt that sent it
    sent_to         text        NOT NULL,               -- the place to which that attempt sent it
    repeated        boolean     NOT NULL DEFAULT false, -- it was sent again while an earlier sending was open
    http_status     integer,                            -- of the response that settled it
    claimed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at      timestamptz,
    PRIMARY KEY (organization_id, correlation_id),
    CONSTRAINT claim_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT effect_is_known CHECK (effect IN ('done', 'none', 'open')),
    CONSTRAINT body_is_hashed CHECK (body_sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT actor_is_cut CHECK (length(actor) <= 500)
);
-- What identifies a claim never changes, and what is known of it only grows.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.claim_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.organization_id, NEW.correlation_id, NEW.integration_id, NEW.operation, NEW.body_sha256, NEW.actor, NEW.claimed_at)
       IS DISTINCT FROM (OLD.organization_id, OLD.correlation_id, OLD.integration_id, OLD.operation, OLD.body_sha256, OLD.actor, OLD.claimed_at)
       OR OLD.effect = 'done' AND NEW.effect <> 'done' OR NEW.open_until < OLD.open_until OR NEW.attempts < OLD.attempts OR NEW.sent_attempt < OLD.sent_attempt THEN
        RAISE EXCEPTION 'the claim of % is final', OLD.correlation_id USING ERRCODE = 'check_violation', CONSTRAINT = 'claim_is_final';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER final BEFORE UPDATE ON ledgerline.write_claims FOR EACH ROW EXECUTE FUNCTION ledgerline.claim_is_final();
ALTER TABLE ledgerline.write_claims ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.write_claims
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
GRANT SELECT ON ledgerline.write_claims TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.write_claims TO ledgerline_worker;

-- +goose Down
DROP TABLE ledgerline.write_claims, ledgerline.integration_run_logs;
DROP FUNCTION ledgerline.claim_is_final(), ledgerline.make_partitions(integer, integer), ledgerline.drop_partitions(integer);
