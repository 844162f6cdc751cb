-- Exports: what is to be exported, what became of each entry, and one row for
-- each export operation.

-- +goose Up
ALTER TABLE ledgerline.integrations ADD COLUMN schedule jsonb;

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
    CONSTRAINT currency_is_three_letters CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT names_are_there CHECK (entry_id <> '' AND voucher_id <> '' AND account <> '')
);
CREATE INDEX accounting_entries_by_date ON ledgerline.accounting_entries (organization_id, entry_date);

-- One row for each export operation. idempotency_key makes a period of an
-- integration one export, whoever starts it and however often.
CREATE TABLE ledgerline.bufdir_export_audit_log (
    organization_id     uuid        NOT NULL,
    export_id           uuid        NOT NULL,
    integration_id      uuid        NOT NULL,
    adapter_name        text        NOT NULL,
    period              text        NOT NULL,
    period_start        date        NOT NULL,
    period_end          date        NOT NULL, -- the first day after it
    idempotency_key     text        NOT NULL,
    trigger             text        NOT NULL,
    triggered_by        text        NOT NULL,
    parent_export_id    uuid,
    scheduled_at        timestamptz,
    started_at          timestamptz NOT NULL,
    drift               interval GENERATED ALWAYS AS (started_at - scheduled_at) STORED,
    deferred_until      timestamptz,
    finished_at         timestamptz,
    status              text        NOT NULL DEFAULT 'pending',
    entries_total       integer     NOT NULL DEFAULT 0,
    entries_exported    integer     NOT NULL DEFAULT 0,
    entries_rejected    integer     NOT NULL DEFAULT 0,
    entries_unknown     integer     NOT NULL DEFAULT 0,
    amounts             jsonb       NOT NULL DEFAULT '{}', -- debit per currency, as text
    sha256              text,
    last_correlation_id uuid,
    error_class         text,
    error_code          text,
    error_message       text,
    workflow_id         text        NOT NULL,
    run_id              uuid        NOT NULL,
    PRIMARY KEY (organization_id, export_id),
    CONSTRAINT period_is_exported_once UNIQUE (idempotency_key),
    CONSTRAINT export_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT parent_is_of_the_organization FOREIGN KEY (organization_id, parent_export_id)
        REFERENCES ledgerline.bufdir_export_audit_log (organization_id, export_id),
    CONSTRAINT status_is_known CHECK (status IN ('pending', 'complete', 'failed')),
    CONSTRAINT trigger_is_known CHECK (trigger IN ('schedule', 'manual', 'backfill', 'retry')),
    CONSTRAINT finished_exactly_if_not_pending CHECK ((status = 'pending') = (finished_at IS NULL)),
    CONSTRAINT message_is_cut CHECK (length(error_message) <= 500)
);
CREATE INDEX bufdir_export_audit_log_by_time ON ledgerline.bufdir_export_audit_log (organization_id, started_at);

-- What became of an entry at an integration: one row, ever.
CREATE TABLE ledgerline.export_entries (
    organization_id uuid    NOT NULL,
    integration_id  uuid    NOT NULL,
    entry_id        text    NOT NULL,
    export_id       uuid    NOT NULL,
    voucher_id      text    NOT NULL,
    chunk           integer NOT NULL,
    vendor_key      text    NOT NULL, -- the entry's identity at the vendor, the same for ever
    late            boolean NOT NULL, -- dated before the export's period
    state           text    NOT NULL DEFAULT 'planned',
    reason          text,
    PRIMARY KEY (organization_id, integration_id, entry_id),
    CONSTRAINT entry_of_an_export FOREIGN KEY (organization_id, export_id)
        REFERENCES ledgerline.bufdir_export_audit_log (organization_id, export_id),
    CONSTRAINT state_is_known CHECK (state IN ('planned', 'sent', 'exported', 'rejected', 'unknown')),
    CONSTRAINT reason_is_cut CHECK (length(reason) <= 500)
);
CREATE INDEX export_entries_by_chunk ON ledgerline.export_entries (organization_id, export_id, chunk);

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
-- An entry that the vendor has stays exported.
CREATE FUNCTION ledgerline.exported_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'exported' AND NEW.state <> 'exported' OR NEW.vendor_key <> OLD.vendor_key THEN
        RAISE EXCEPTION 'entry % is exported', OLD.entry_id USING ERRCODE = 'check_violation', CONSTRAINT = 'exported_is_final';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER one_way BEFORE UPDATE ON ledgerline.bufdir_export_audit_log FOR EACH ROW EXECUTE FUNCTION ledgerline.export_goes_one_way();
CREATE TRIGGER final BEFORE UPDATE ON ledgerline.export_entries FOR EACH ROW EXECUTE FUNCTION ledgerline.exported_is_final();

-- +goose StatementBegin
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['accounting_entries', 'bufdir_export_audit_log', 'export_entries'] LOOP
        EXECUTE format('ALTER TABLE ledgerline.%I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE ledgerline.%I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY own_organization ON ledgerline.%I USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization())', t);
        EXECUTE format('GRANT SELECT ON ledgerline.%I TO ledgerline_worker, ledgerline_operator, ledgerline_reader', t);
    END LOOP;
END
$$;
-- +goose StatementEnd
GRANT INSERT ON ledgerline.accounting_entries TO ledgerline_operator;
GRANT INSERT, UPDATE ON ledgerline.bufdir_export_audit_log, ledgerline.export_entries TO ledgerline_worker;

-- +goose Down
DROP TABLE ledgerline.export_entries, ledgerline.bufdir_export_audit_log, ledgerline.accounting_entries;
DROP FUNCTION ledgerline.export_goes_one_way(), ledgerline.exported_is_final();
ALTER TABLE ledgerline.integrations DROP COLUMN schedule;
