-- What an integration exports and how, what its schedule should have done and
-- did, and entries as they were when they were planned.

-- +goose Up
ALTER TABLE ledgerline.integrations
    ADD COLUMN export         jsonb NOT NULL DEFAULT '{}', -- source, mappings, chunk size
    ADD COLUMN schedule_since timestamptz,                 -- the schedule is as it is since then: what it should have done before is not asked
    ADD COLUMN removed_at     timestamptz,                 -- pruned: its past stays, it is not called any more
    ADD COLUMN removed_by     text,
    ADD COLUMN paused_at      timestamptz,
    ADD COLUMN paused_by      text,
    ADD COLUMN pause_reason   text,
    DROP CONSTRAINT name_is_unique_in_organization,
    ADD CONSTRAINT pause_has_an_actor CHECK ((paused_at IS NULL) = (paused_by IS NULL));
CREATE UNIQUE INDEX name_is_unique_in_organization ON ledgerline.integrations (organization_id, name) WHERE removed_at IS NULL;
ALTER TABLE ledgerline.integrations NO FORCE ROW LEVEL SECURITY;
UPDATE ledgerline.integrations SET schedule_since = updated_at WHERE schedule IS NOT NULL;
ALTER TABLE ledgerline.integrations FORCE ROW LEVEL SECURITY;

-- The owner cannot log in, so this policy serves the function below and nobody
-- else: who works for all organizations must know which there are.
CREATE POLICY functions_of_the_owner ON ledgerline.integrations FOR SELECT TO ledgerline_owner USING (true);
CREATE FUNCTION ledgerline.organizations() RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'SELECT DISTINCT organization_id FROM ledgerline.integrations WHERE removed_at IS NULL ORDER BY 1';
REVOKE ALL ON FUNCTION ledgerline.organizations() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.organizations() TO ledgerline_worker;

-- An entry is copied when it is planned: what is checked is what is sent and
-- what is proven, whatever becomes of the source meanwhile. account and
-- dimensions are the vendor's.
ALTER TABLE ledgerline.export_entries
    ADD COLUMN entry_date       date,
    ADD COLUMN account          text,
    ADD COLUMN amount           numeric,
    ADD COLUMN currency         text,
    ADD COLUMN text             text,
    ADD COLUMN dimensions       jsonb,
    ADD COLUMN vendor_reference text,  -- the vendor's own name of the entry, where it gives one
    ADD COLUMN vendor_fault     text;  -- accepted, and found faulty by the vendor later
ALTER TABLE ledgerline.export_entries NO FORCE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.accounting_entries NO FORCE ROW LEVEL SECURITY;
UPDATE ledgerline.export_entries x SET entry_date = a.entry_date, account = a.account, amount = a.amount, currency = a.currency, text = a.text, dimensions = '{}'
    FROM ledgerline.accounting_entries a WHERE a.organization_id = x.organization_id AND a.entry_id = x.entry_id;
ALTER TABLE ledgerline.export_entries FORCE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.accounting_entries FORCE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.export_entries
    ALTER COLUMN entry_date SET NOT NULL, ALTER COLUMN account SET NOT NULL, ALTER COLUMN amount SET NOT NULL,
    ALTER COLUMN currency SET NOT NULL, ALTER COLUMN text SET NOT NULL,
    ADD CONSTRAINT fault_is_cut CHECK (length(vendor_fault) <= 500);
-- A foreign key would be looked up for each of a million entries that are
-- planned in one statement; this looks once for each export.
ALTER TABLE ledgerline.export_entries DROP CONSTRAINT entry_of_an_export;
-- +goose StatementBegin
CREATE FUNCTION ledgerline.entries_are_of_an_export() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT organization_id, integration_id, export_id FROM added) a
               WHERE NOT EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log e
                   WHERE e.organization_id = a.organization_id AND e.integration_id = a.integration_id AND e.export_id = a.export_id)) THEN
        RAISE EXCEPTION 'entries of an export that is not there' USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'entry_of_an_export';
    END IF;
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION ledgerline.exported_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'exported' AND NEW.state <> 'exported' OR NEW.vendor_key <> OLD.vendor_key THEN
        RAISE EXCEPTION 'entry % is exported', OLD.entry_id USING ERRCODE = 'check_violation', CONSTRAINT = 'exported_is_final';
    END IF;
    IF NEW.export_id <> OLD.export_id AND NOT EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log e
            WHERE e.organization_id = NEW.organization_id AND e.integration_id = NEW.integration_id AND e.export_id = NEW.export_id) THEN
        RAISE EXCEPTION 'entry % of an export that is not there', OLD.entry_id USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'entry_of_an_export';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER of_an_export AFTER INSERT ON ledgerline.export_entries REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION ledgerline.entries_are_of_an_export();
-- Refused here and never sent: looked for again when their voucher gets new lines.
CREATE INDEX export_entries_refused ON ledgerline.export_entries (organization_id, integration_id, voucher_id) WHERE chunk = 0;
CREATE INDEX export_entries_by_reference ON ledgerline.export_entries (organization_id, integration_id, vendor_reference) WHERE vendor_reference IS NOT NULL;

ALTER TABLE ledgerline.bufdir_export_audit_log
    ADD COLUMN entries_faulted integer NOT NULL DEFAULT 0, -- of the exported ones: the vendor found them faulty later
    ADD COLUMN attempts        integer NOT NULL DEFAULT 0, -- attempts of all the run's invocations
    ADD COLUMN chunks          integer NOT NULL DEFAULT 0, -- planned; attempts beyond them are retries, look-ups and halving
    ADD COLUMN warm_up         interval,                   -- how long the vendor's first answer took
    ADD COLUMN cold_start      boolean NOT NULL DEFAULT false;

-- What each schedule should have done, and what came of it. A row is made when
-- that is known, and only a tick that was not done can still become one that
-- was done late.
CREATE TABLE ledgerline.schedule_ticks (
    organization_id uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    expected_at     timestamptz NOT NULL,
    period          text        NOT NULL,
    result          text        NOT NULL,
    late_by         interval,
    export_id       uuid,
    recorded_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, integration_id, expected_at),
    CONSTRAINT tick_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT result_is_known CHECK (result IN ('on time', 'earlier', 'late', 'missed', 'skipped', 'paused')),
    CONSTRAINT done_names_its_export CHECK ((result IN ('on time', 'earlier', 'late')) = (export_id IS NOT NULL))
);
-- +goose StatementBegin
CREATE FUNCTION ledgerline.tick_is_done_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.export_id IS NOT NULL OR NEW.export_id IS NULL
       OR (NEW.organization_id, NEW.integration_id, NEW.expected_at, NEW.period) IS DISTINCT FROM (OLD.organization_id, OLD.integration_id, OLD.expected_at, OLD.period) THEN
        RAISE EXCEPTION 'the tick of % at % is recorded', OLD.integration_id, OLD.expected_at USING ERRCODE = 'check_violation', CONSTRAINT = 'tick_is_done_once';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER done_once BEFORE UPDATE ON ledgerline.schedule_ticks FOR EACH ROW EXECUTE FUNCTION ledgerline.tick_is_done_once();
ALTER TABLE ledgerline.schedule_ticks ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.schedule_ticks FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.schedule_ticks
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
GRANT SELECT ON ledgerline.schedule_ticks TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.schedule_ticks TO ledgerline_worker;

-- +goose Down
DROP TABLE ledgerline.schedule_ticks;
DROP TRIGGER of_an_export ON ledgerline.export_entries;
DROP FUNCTION ledgerline.tick_is_done_once(), ledgerline.organizations(), ledgerline.entries_are_of_an_export();
DROP POLICY functions_of_the_owner ON ledgerline.integrations;
ALTER TABLE ledgerline.bufdir_export_audit_log DROP COLUMN entries_faulted, DROP COLUMN attempts, DROP COLUMN chunks, DROP COLUMN warm_up, DROP COLUMN cold_start;
ALTER TABLE ledgerline.export_entries DROP COLUMN entry_date, DROP COLUMN account, DROP COLUMN amount, DROP COLUMN currency, DROP COLUMN text,
    DROP COLUMN dimensions, DROP COLUMN vendor_reference, DROP COLUMN vendor_fault,
    ADD CONSTRAINT entry_of_an_export FOREIGN KEY (organization_id, export_id) REFERENCES ledgerline.bufdir_export_audit_log (organization_id, export_id);
DROP INDEX ledgerline.export_entries_refused;
DROP INDEX ledgerline.name_is_unique_in_organization;
ALTER TABLE ledgerline.integrations DROP COLUMN export, DROP COLUMN schedule_since, DROP COLUMN removed_at, DROP COLUMN removed_by, DROP COLUMN paused_at,
    DROP COLUMN paused_by, DROP COLUMN pause_reason, ADD CONSTRAINT name_is_unique_in_organization UNIQUE (organization_id, name);
