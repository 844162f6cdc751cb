-- Exports: the entries that there are to export, a row for each export and for
-- each entry in it, what schedules should have done, and what exports know of
-- their vendor.

-- +goose Up
-- The default source of entries: what the operator has imported.
CREATE TABLE ledgerline.accounting_entries (
    organization_id uuid           NOT NULL,
    entry_id        text           NOT NULL,
    voucher_id      text           NOT NULL,
    entry_date      date           NOT NULL,
    account         text           NOT NULL,
    amount          numeric(20, 2) NOT NULL,
    currency        text           NOT NULL DEFAULT 'NOK',
    text            text           NOT NULL DEFAULT '',
    dimensions      jsonb          NOT NULL DEFAULT '{}',
    created_at      timestamptz    NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, entry_id),
    CONSTRAINT names_are_there CHECK (entry_id <> '' AND voucher_id <> '' AND account <> ''),
    CONSTRAINT currency_is_three_letters CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT amount_is_a_number CHECK (amount <> 'NaN'),
    -- Not decodes_as, which is too slow for millions of entries. Strict, because a
    -- lax path looks into arrays.
    CONSTRAINT dimensions_can_be_read CHECK (jsonb_typeof(dimensions) = 'object' AND NOT dimensions @? 'strict $.* ? (@.type() == "object" || @.type() == "array")')
);
CREATE INDEX accounting_entries_by_date ON ledgerline.accounting_entries (organization_id, entry_date);
ALTER TABLE ledgerline.accounting_entries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.accounting_entries
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
GRANT SELECT ON ledgerline.accounting_entries TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT ON ledgerline.accounting_entries TO ledgerline_operator;

-- A row for each export. idempotency_key makes a period of an integration one
-- export, whoever starts it and however often.
CREATE TABLE ledgerline.bufdir_export_audit_log (
    organization_id     uuid        NOT NULL,
    export_id           uuid        NOT NULL,
    integration_id      uuid        NOT NULL,
    adapter_name        text        NOT NULL,
    period              text        NOT NULL,
    period_start        date        NOT NULL,
    period_end          date        NOT NULL, -- the first day after the period
    idempotency_key     text        NOT NULL,
    trigger             text        NOT NULL,
    triggered_by        text        NOT NULL,
    parent_export_id    uuid,
    workflow_id         text        NOT NULL,
    run_id              uuid        NOT NULL,
    fence               bigint      NOT NULL DEFAULT 1, -- grows with each run that takes the export over
    scheduled_at        timestamptz,
    started_at          timestamptz NOT NULL,
    drift               interval GENERATED ALWAYS AS (started_at - scheduled_at) STORED,
    deferred_until      timestamptz,
    planned_at          timestamptz, -- when entries were assigned to it: once, also if there were none
    finished_at         timestamptz,
    status              text        NOT NULL DEFAULT 'pending',
    entries_total       integer     NOT NULL DEFAULT 0,
    entries_exported    integer     NOT NULL DEFAULT 0,
    entries_rejected    integer     NOT NULL DEFAULT 0,
    entries_unknown     integer     NOT NULL DEFAULT 0,
    entries_with_late_errors integer NOT NULL DEFAULT 0, -- of the exported ones: the vendor found an error in them later
    amounts             jsonb       NOT NULL DEFAULT '{}', -- debit per currency, as text
    sha256              text,
    last_correlation_id uuid,
    error_class         text,
    error_code          text,
    error_message       text,
    chunks              integer     NOT NULL DEFAULT 0, -- planned; attempts beyond them are retries, look-ups and halving
    attempts            integer     NOT NULL DEFAULT 0, -- of all invocations of its run
    requests            integer     NOT NULL DEFAULT 0, -- of its run to the vendor, look-ups included
    look_ups            integer     NOT NULL DEFAULT 0, -- of the requests: what the vendor has, found wrong, or looks like
    isolating           integer     NOT NULL DEFAULT 0, -- of the requests: to find the vouchers that the vendor refuses
    cold_start          boolean     NOT NULL DEFAULT false,
    warm_up             interval,                       -- how long the vendor's first answer took
    warm_up_ms          jsonb,                          -- its parts: dns, connect, tls, token, first_byte, worker_uptime, before_run; without those that took no time
    PRIMARY KEY (organization_id, export_id),
    -- Whoever has the key has the period, so the key is the organization's own.
    CONSTRAINT period_is_exported_once UNIQUE (organization_id, idempotency_key),
    CONSTRAINT export_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT parent_is_of_the_organization FOREIGN KEY (organization_id, parent_export_id)
        REFERENCES ledgerline.bufdir_export_audit_log (organization_id, export_id),
    CONSTRAINT status_is_known CHECK (status IN ('pending', 'complete', 'failed')),
    CONSTRAINT trigger_is_known CHECK (trigger IN ('schedule', 'manual', 'backfill', 'retry', 'adopt')),
    CONSTRAINT finished_exactly_if_not_pending CHECK ((status = 'pending') = (finished_at IS NULL)),
    CONSTRAINT message_is_cut CHECK (length(error_message) <= 500),
    CONSTRAINT amounts_can_be_read CHECK (ledgerline.decodes_as(amounts, '"texts or null"')),
    CONSTRAINT warm_up_ms_can_be_read CHECK (ledgerline.decodes_as(warm_up_ms, '"counts"')),
    CONSTRAINT warm_up_ms_is_small CHECK (length(warm_up_ms::text) <= 500)
);
CREATE INDEX bufdir_export_audit_log_by_time ON ledgerline.bufdir_export_audit_log (organization_id, started_at);
-- An export goes one way: pending, then complete or failed, and then nothing
-- about it changes. What identifies it never does.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.export_goes_one_way() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status <> 'pending' THEN
        RAISE EXCEPTION 'export % is % and cannot be changed', OLD.export_id, OLD.status USING ERRCODE = 'check_violation', CONSTRAINT = 'export_goes_one_way';
    END IF;
    IF (NEW.organization_id, NEW.export_id, NEW.integration_id, NEW.period, NEW.idempotency_key, NEW.trigger, NEW.started_at)
       IS DISTINCT FROM (OLD.organization_id, OLD.export_id, OLD.integration_id, OLD.period, OLD.idempotency_key, OLD.trigger, OLD.started_at) THEN
        RAISE EXCEPTION 'what identifies export % cannot be changed', OLD.export_id USING ERRCODE = 'check_violation', CONSTRAINT = 'export_goes_one_way';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER one_way BEFORE UPDATE ON ledgerline.bufdir_export_audit_log FOR EACH ROW EXECUTE FUNCTION ledgerline.export_goes_one_way();
ALTER TABLE ledgerline.bufdir_export_audit_log ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.bufdir_export_audit_log
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
-- An operator adopts entries with an export made for that, and changes no other.
CREATE POLICY operators_adopt ON ledgerline.bufdir_export_audit_log AS RESTRICTIVE FOR INSERT TO ledgerline_operator WITH CHECK (trigger = 'adopt');
CREATE POLICY operators_close ON ledgerline.bufdir_export_audit_log AS RESTRICTIVE FOR UPDATE TO ledgerline_operator USING (trigger = 'adopt');
GRANT SELECT ON ledgerline.bufdir_export_audit_log TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.bufdir_export_audit_log TO ledgerline_worker, ledgerline_operator;

-- What became of an entry at an integration: one row, for ever. The entry is
-- copied when it is planned: what is checked is what is sent and what is proven,
-- whatever happens to its source meanwhile.
CREATE TABLE ledgerline.export_entries (
    organization_id  uuid    NOT NULL,
    integration_id   uuid    NOT NULL,
    entry_id         text    NOT NULL,
    export_id        uuid    NOT NULL,
    voucher_id       text    NOT NULL,
    chunk            integer NOT NULL, -- 0: rejected before it was sent
    vendor_key       text    NOT NULL, -- the entry's identity at the vendor, the same for ever
    entry_date       date    NOT NULL,
    late             boolean NOT NULL, -- dated before the export's period
    account          text    NOT NULL, -- the vendor's account
    amount           numeric NOT NULL,
    currency         text    NOT NULL,
    text             text    NOT NULL,
    dimensions       jsonb,            -- the vendor's dimensions
    state            text    NOT NULL DEFAULT 'planned',
    reason           text,
    effect           text,                           -- of its last sending; NULL: it was never sent
    sent_in          uuid,                           -- the invocation that sent it last
    sent_attempt     integer,                        -- the attempt of that invocation
    sent_to          text,                           -- the place to which that attempt sent it; NULL: not known
    open_until       timestamptz,                    -- that sending can take effect until then; never decreases
    late_until       timestamptz,                    -- it can arrive until then, also where sending it again does no harm
    earlier_until    timestamptz,                    -- an earlier sending can arrive until then; NULL: none can
    ended            boolean NOT NULL DEFAULT false, -- an answer proves that the vendor's work has ended
    partly_exported  boolean NOT NULL DEFAULT false, -- the vendor has something of the same sending
    changed          boolean NOT NULL DEFAULT false, -- it was planned again with other content after it had been sent
    settled_at       timestamptz,                    -- when it was found to be exported
    vendor_reference text,                           -- the vendor's own name of the entry, where it gives one
    late_error       text,                           -- the error that the vendor found after it had accepted the entry
    PRIMARY KEY (organization_id, integration_id, entry_id),
    CONSTRAINT state_is_known CHECK (state IN ('planned', 'sent', 'exported', 'rejected', 'unknown')),
    CONSTRAINT effect_is_known CHECK (effect IN ('done', 'none', 'open')),
    CONSTRAINT exported_exactly_if_done CHECK ((state = 'exported') = (effect IS NOT DISTINCT FROM 'done')),
    CONSTRAINT sent_and_unknown_are_open CHECK (state NOT IN ('sent', 'unknown') OR effect IS NOT DISTINCT FROM 'open'),
    CONSTRAINT planned_and_rejected_are_not_open CHECK (state NOT IN ('planned', 'rejected') OR effect IS DISTINCT FROM 'open'),
    CONSTRAINT open_has_its_sending CHECK (effect IS DISTINCT FROM 'open' OR (open_until IS NOT NULL AND sent_in IS NOT NULL AND sent_attempt IS NOT NULL)),
    CONSTRAINT reason_is_cut CHECK (length(reason) <= 500),
    CONSTRAINT late_error_is_cut CHECK (length(late_error) <= 500),
    CONSTRAINT dimensions_can_be_read CHECK (jsonb_typeof(dimensions) = 'object' AND NOT dimensions @? 'strict $.* ? (@.type() <> "string" && @.type() <> "null")')
);
CREATE INDEX export_entries_by_chunk ON ledgerline.export_entries (organization_id, export_id, chunk);
CREATE INDEX export_entries_by_reference ON ledgerline.export_entries (organization_id, integration_id, vendor_reference) WHERE vendor_reference IS NOT NULL;
-- Entries that were rejected before they were sent are planned again when their
-- voucher gets new lines.
CREATE INDEX export_entries_refused ON ledgerline.export_entries (organization_id, integration_id, voucher_id) WHERE chunk = 0;
-- Instead of a foreign key to the export, which would be looked up for each of a
-- million entries that are planned in one statement: this looks once for each
-- export, and exported_is_final looks when an entry changes its export.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.entries_are_of_an_export() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT organization_id, integration_id, export_id FROM added) AS named
               WHERE NOT EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log AS export
                   WHERE export.organization_id = named.organization_id AND export.integration_id = named.integration_id AND export.export_id = named.export_id)) THEN
        RAISE EXCEPTION 'entries of an export that is not there' USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'entry_of_an_export';
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER of_an_export AFTER INSERT ON ledgerline.export_entries REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION ledgerline.entries_are_of_an_export();
-- An entry that the vendor has stays exported.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.exported_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'exported' AND NEW.state <> 'exported' OR NEW.vendor_key <> OLD.vendor_key THEN
        RAISE EXCEPTION 'entry % is exported', OLD.entry_id USING ERRCODE = 'check_violation', CONSTRAINT = 'exported_is_final';
    END IF;
    IF OLD.open_until IS NOT NULL AND (NEW.open_until IS NULL OR NEW.open_until < OLD.open_until) THEN
        RAISE EXCEPTION 'open_until of entry % never decreases', OLD.entry_id USING ERRCODE = 'check_violation', CONSTRAINT = 'open_until_never_decreases';
    END IF;
    IF NEW.export_id <> OLD.export_id AND NOT EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log AS export
            WHERE export.organization_id = NEW.organization_id AND export.integration_id = NEW.integration_id AND export.export_id = NEW.export_id) THEN
        RAISE EXCEPTION 'entry % of an export that is not there', OLD.entry_id USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'entry_of_an_export';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER final BEFORE UPDATE ON ledgerline.export_entries FOR EACH ROW EXECUTE FUNCTION ledgerline.exported_is_final();
-- What is planned is what is sent and what is proven. A rejected entry is planned
-- again from its source, and only then may its content differ. An entry that the
-- vendor has stays as it is, except for an error that the vendor finds later.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.content_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'exported' AND (to_jsonb(NEW) - 'late_error') <> (to_jsonb(OLD) - 'late_error') THEN
        RAISE EXCEPTION 'entry % is exported', OLD.entry_id USING ERRCODE = 'check_violation', CONSTRAINT = 'exported_is_final';
    END IF;
    IF (NEW.organization_id, NEW.integration_id, NEW.entry_id, NEW.voucher_id, NEW.vendor_key)
       IS DISTINCT FROM (OLD.organization_id, OLD.integration_id, OLD.entry_id, OLD.voucher_id, OLD.vendor_key) THEN
        RAISE EXCEPTION 'what identifies entry % cannot be changed', OLD.entry_id USING ERRCODE = 'check_violation', CONSTRAINT = 'exported_is_final';
    END IF;
    IF (OLD.state <> 'rejected' OR NEW.state NOT IN ('planned', 'rejected'))
       AND (NEW.entry_date, NEW.account, NEW.amount, NEW.currency, NEW.text, NEW.dimensions, NEW.late)
           IS DISTINCT FROM (OLD.entry_date, OLD.account, OLD.amount, OLD.currency, OLD.text, OLD.dimensions, OLD.late) THEN
        RAISE EXCEPTION 'entry % is %: its content cannot be changed', OLD.entry_id, OLD.state USING ERRCODE = 'check_violation', CONSTRAINT = 'planned_content_is_final';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER content_is_final BEFORE UPDATE ON ledgerline.export_entries FOR EACH ROW EXECUTE FUNCTION ledgerline.content_is_final();
ALTER TABLE ledgerline.export_entries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.export_entries
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
GRANT SELECT ON ledgerline.export_entries TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.export_entries TO ledgerline_worker;

-- What each schedule should have done, and what happened. A row is made when that
-- is known; after that only a tick without an export can become one that was done
-- late.
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
ALTER TABLE ledgerline.schedule_ticks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.schedule_ticks
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
GRANT SELECT ON ledgerline.schedule_ticks TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.schedule_ticks TO ledgerline_worker;

-- What exports know of an integration's vendor: whether it is as they assume, and
-- the size of a request that works.
CREATE TABLE ledgerline.vendor_contracts (
    organization_id uuid    NOT NULL,
    integration_id  uuid    NOT NULL,
    file            text    NOT NULL DEFAULT '', -- a hash of the part of the integration file that was checked; '': never
    checks          jsonb   NOT NULL DEFAULT '[]',
    learned         jsonb,
    checked_at      timestamptz,
    chunk_size      integer, -- most entries in a request that worked last; NULL: as the file says
    chunk_full      integer, -- what the file said then; once it says another size, chunk_size is void
    PRIMARY KEY (organization_id, integration_id),
    CONSTRAINT contract_of_an_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT chunk_size_is_positive CHECK (chunk_size > 0),
    CONSTRAINT checks_can_be_read CHECK (ledgerline.decodes_as(checks, '["each", {"what": "text", "state": "text", "found": "text", "remedy": "text"}]')),
    CONSTRAINT learned_can_be_read CHECK (ledgerline.decodes_as(learned, '"texts"'))
);
ALTER TABLE ledgerline.vendor_contracts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.vendor_contracts
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
GRANT SELECT ON ledgerline.vendor_contracts TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.vendor_contracts TO ledgerline_worker;

-- Entries that are known to be at the vendor: the newest of each integration and
-- of each place to which its base URL and settings have led. A look-up there that
-- does not find them proves nothing. They are two lines of one voucher, where
-- there are two, because those are next to each other at the vendor.
CREATE TABLE ledgerline.vendor_controls (
    organization_id uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    place           text        NOT NULL,
    vendor_keys     text[]      NOT NULL,
    voucher_id      text        NOT NULL,
    settled_at      timestamptz NOT NULL,
    PRIMARY KEY (organization_id, integration_id, place),
    CONSTRAINT control_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id)
);
ALTER TABLE ledgerline.vendor_controls ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.vendor_controls
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
GRANT SELECT ON ledgerline.vendor_controls TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.vendor_controls TO ledgerline_worker;

-- +goose Down
DROP TABLE ledgerline.vendor_controls, ledgerline.vendor_contracts, ledgerline.schedule_ticks, ledgerline.export_entries,
    ledgerline.bufdir_export_audit_log, ledgerline.accounting_entries;
DROP FUNCTION ledgerline.tick_is_done_once(), ledgerline.entries_are_of_an_export(), ledgerline.exported_is_final(),
    ledgerline.content_is_final(), ledgerline.export_goes_one_way();
