-- Corrections of entries that no vendor has: an entry of the default source is replaced
-- or withdrawn, and a row stays that says who did it, when, why, and what was there.
--
-- The rules are triggers of statements, so that no login goes around them but a
-- superuser's, whose changes are recorded too. A correction holds the planning lock of
-- each integration of its organization, so that no plan copies the old content at the
-- same moment; and what is exported, open, planned by an export that has not ended, or sent
-- by a request that can still arrive is refused, with its whole voucher, whichever exports have
-- its lines. It must be read committed: what is looked for after the lock must be seen. A
-- statement corrects entries of one organization.
--
-- An export that has ended has its own copy of what it planned and never sent, which its
-- retry would send. A correction makes the lines of that voucher rejected, so that they
-- are planned again from their source, whole, by a retry or the next export.

-- +goose Up
CREATE TABLE ledgerline.entry_changes (
    organization_id uuid        NOT NULL,
    change_id       bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    entry_id        text        NOT NULL,
    voucher_id      text        NOT NULL, -- before
    kind            text        NOT NULL,
    actor           text        NOT NULL,
    reason          text        NOT NULL,
    changed_at      timestamptz NOT NULL DEFAULT ledgerline.clock(),
    before          jsonb       NOT NULL,
    after           jsonb,                -- NULL: withdrawn
    PRIMARY KEY (organization_id, change_id),
    CONSTRAINT change_is_known CHECK (kind IN ('replaced', 'withdrawn')),
    CONSTRAINT withdrawn_has_no_after CHECK ((kind = 'withdrawn') = (after IS NULL)),
    CONSTRAINT change_has_an_actor CHECK (length(actor) BETWEEN 1 AND 500),
    CONSTRAINT change_reason_is_cut CHECK (length(reason) <= 500),
    CONSTRAINT before_can_be_read CHECK (ledgerline.decodes_as(before, '{"voucherId": "text", "date": "text", "account": "text", "amount": "text",
        "currency": "text", "text": "text", "dimensions": "texts"}')),
    CONSTRAINT after_can_be_read CHECK (ledgerline.decodes_as(after, '{"voucherId": "text", "date": "text", "account": "text", "amount": "text",
        "currency": "text", "text": "text", "dimensions": "texts"}'))
);
CREATE INDEX entry_changes_by_entry ON ledgerline.entry_changes (organization_id, entry_id);
CREATE INDEX entry_changes_by_voucher ON ledgerline.entry_changes (organization_id, voucher_id);
ALTER TABLE ledgerline.entry_changes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.entry_changes
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
CREATE POLICY functions_of_the_owner ON ledgerline.entry_changes FOR INSERT TO ledgerline_owner WITH CHECK (true);
GRANT SELECT ON ledgerline.entry_changes TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
-- +goose StatementBegin
CREATE FUNCTION ledgerline.changes_stand() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what is recorded of a correction cannot be changed' USING ERRCODE = 'check_violation', CONSTRAINT = 'changes_stand';
END
$$;
-- +goose StatementEnd
CREATE TRIGGER changes_stand BEFORE UPDATE OR DELETE ON ledgerline.entry_changes FOR EACH STATEMENT EXECUTE FUNCTION ledgerline.changes_stand();

-- What was done with the source of an entry since an export refused it. The next export
-- plans what was replaced; nothing plans what was withdrawn.
ALTER TABLE ledgerline.export_entries ADD COLUMN correction text;
ALTER TABLE ledgerline.export_entries ADD CONSTRAINT correction_is_of_a_rejected_entry
    CHECK (correction IS NULL OR correction IN ('replaced', 'withdrawn') AND state = 'rejected') NOT VALID; -- there is none yet
CREATE INDEX export_entries_corrected ON ledgerline.export_entries (organization_id, integration_id, voucher_id) WHERE correction IS NOT NULL;
CREATE INDEX export_entries_under_way ON ledgerline.export_entries (organization_id, integration_id, voucher_id) WHERE effect = 'open' OR earlier_until IS NOT NULL;
-- Whoever plans it again, also a program that knows nothing of corrections, has taken it.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.correction_is_taken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.correction := NULL;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER correction_is_taken BEFORE UPDATE ON ledgerline.export_entries FOR EACH ROW
    WHEN (OLD.correction IS NOT NULL AND (NEW.state <> 'rejected' OR NEW.export_id <> OLD.export_id))
    EXECUTE FUNCTION ledgerline.correction_is_taken();

-- Holds everything that plans entries of the organization, until the transaction ends. A new
-- integration would plan without the lock, so it is stored before or after the correction.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.lock_corrections() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('ledgerline.integrations/' || ledgerline.current_organization(), 0));
    PERFORM pg_advisory_xact_lock(hashtextextended('ledgerline.plan/' || integration.integration_id, 0))
        FROM (SELECT integration_id FROM ledgerline.integrations WHERE organization_id = ledgerline.current_organization() ORDER BY integration_id OFFSET 0) AS integration;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION ledgerline.lock_corrections() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.lock_corrections() TO ledgerline_operator;
-- One that is there already is only changed by INSERT ... ON CONFLICT, and waits for nobody.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.waits_for_corrections() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM ledgerline.integrations WHERE organization_id = NEW.organization_id AND integration_id = NEW.integration_id) THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('ledgerline.integrations/' || NEW.organization_id, 0));
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER waits_for_corrections BEFORE INSERT ON ledgerline.integrations FOR EACH ROW EXECUTE FUNCTION ledgerline.waits_for_corrections();

-- Before a correction: who makes it, and that nothing is planned meanwhile.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.correction_begins() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = session_user AND rolsuper) THEN
        RETURN NULL;
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'entries are corrected in a transaction that is read committed' USING ERRCODE = 'check_violation', CONSTRAINT = 'correction_is_read_committed';
    END IF;
    IF coalesce(current_setting('ledgerline.actor', true), '') = '' THEN
        RAISE EXCEPTION 'a correction has an actor: set ledgerline.actor' USING ERRCODE = 'check_violation', CONSTRAINT = 'correction_has_an_actor';
    END IF;
    PERFORM ledgerline.lock_corrections();
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER correction_begins BEFORE UPDATE OR DELETE ON ledgerline.accounting_entries FOR EACH STATEMENT EXECUTE FUNCTION ledgerline.correction_begins();

-- +goose StatementBegin
CREATE FUNCTION ledgerline.entry_content(voucher_id text, entry_date date, account text, amount numeric, currency text, words text, dimensions jsonb) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('voucherId', voucher_id, 'date', to_char(entry_date, 'YYYY-MM-DD'), 'account', account, 'amount', amount::text, 'currency', currency,
        'text', words, 'dimensions', (SELECT coalesce(jsonb_object_agg(each.key, each.value), '{}') FROM jsonb_each_text(dimensions) AS each WHERE each.value IS NOT NULL))
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION ledgerline.entry_content(text, date, text, numeric, text, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.entry_content(text, date, text, numeric, text, text, jsonb) TO ledgerline_operator;

-- After it: that it was allowed, a row of each change, and what it means for exports that
-- have refused the entry, or have ended without sending it. A withdrawal is one for those that
-- read the default source; another source may still have the entry, and is read again.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.entries_are_corrected() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    setting text := current_setting('app.organization_id', true);
    org     uuid := ledgerline.current_organization();
    who     text := left(coalesce(nullif(current_setting('ledgerline.actor', true), ''), session_user), 500);
    why     text := left(coalesce(current_setting('ledgerline.reason', true), ''), 500);
    free    boolean := EXISTS (SELECT FROM pg_roles WHERE rolname = session_user AND rolsuper);
    deletes boolean := TG_OP = 'DELETE';
    line    record;
BEGIN
    IF NOT EXISTS (SELECT FROM corrected) THEN
        RETURN NULL;
    END IF;
    IF free THEN -- the owner of this function sees what is of app.organization_id, which a superuser need not have set
        org := (SELECT organization_id FROM corrected LIMIT 1);
        PERFORM set_config('app.organization_id', org::text, true);
    END IF;
    IF EXISTS (SELECT FROM corrected WHERE organization_id IS DISTINCT FROM org) THEN
        RAISE EXCEPTION 'entries of another organization; correct those of one organization at a time' USING ERRCODE = 'check_violation', CONSTRAINT = 'correction_is_of_the_organization';
    END IF;
    IF NOT free THEN
        SELECT taken.entry_id, taken.state INTO line
            FROM corrected JOIN ledgerline.integrations AS integration ON integration.organization_id = org
            CROSS JOIN LATERAL (SELECT * FROM ledgerline.export_entries AS entry
                WHERE entry.organization_id = org AND entry.integration_id = integration.integration_id AND entry.entry_id = corrected.entry_id OFFSET 0) AS taken
            WHERE taken.state <> 'rejected' AND (taken.state <> 'planned' OR NOT EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log AS export
                WHERE export.organization_id = org AND export.export_id = taken.export_id AND export.status <> 'pending'))
            ORDER BY taken.entry_id LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'entry % is % and cannot be corrected', line.entry_id, line.state
                USING ERRCODE = 'check_violation', CONSTRAINT = CASE line.state WHEN 'exported' THEN 'corrected_is_not_exported' ELSE 'corrected_is_not_under_way' END;
        END IF;
        SELECT sibling.entry_id, sibling.voucher_id, sibling.effect IS NOT DISTINCT FROM 'open' AS is_open INTO line
            FROM (SELECT DISTINCT integration.integration_id, taken.voucher_id
                FROM corrected JOIN ledgerline.integrations AS integration ON integration.organization_id = org
                CROSS JOIN LATERAL (SELECT entry.voucher_id FROM ledgerline.export_entries AS entry
                    WHERE entry.organization_id = org AND entry.integration_id = integration.integration_id AND entry.entry_id = corrected.entry_id OFFSET 0) AS taken) AS voucher
            CROSS JOIN LATERAL (SELECT entry.entry_id, entry.voucher_id, entry.effect FROM ledgerline.export_entries AS entry
                WHERE entry.organization_id = org AND entry.integration_id = voucher.integration_id AND entry.voucher_id = voucher.voucher_id
                  AND (entry.effect = 'open' OR entry.earlier_until IS NOT NULL) AND entry.state <> 'exported'
                  AND (entry.effect = 'open' OR entry.earlier_until > ledgerline.clock()) OFFSET 0) AS sibling
            LIMIT 1;
        IF FOUND AND line.is_open THEN
            RAISE EXCEPTION 'the outcome of line % of voucher % is open', line.entry_id, line.voucher_id USING ERRCODE = 'check_violation', CONSTRAINT = 'corrected_is_not_under_way';
        ELSIF FOUND THEN
            RAISE EXCEPTION 'a request with line % of voucher % can still arrive at the vendor', line.entry_id, line.voucher_id USING ERRCODE = 'check_violation', CONSTRAINT = 'corrected_is_not_under_way';
        END IF;
    END IF;
    IF deletes THEN
        INSERT INTO ledgerline.entry_changes (organization_id, entry_id, voucher_id, kind, actor, reason, before)
            SELECT organization_id, entry_id, voucher_id, 'withdrawn', who, why, ledgerline.entry_content(voucher_id, entry_date, account, amount, currency, text, dimensions) FROM corrected;
    ELSE
        IF NOT free AND EXISTS (SELECT FROM corrected LEFT JOIN stored USING (organization_id, entry_id)
                WHERE stored.entry_id IS NULL OR stored.voucher_id <> corrected.voucher_id AND EXISTS (SELECT FROM ledgerline.integrations AS integration
                    CROSS JOIN LATERAL (SELECT entry.entry_id FROM ledgerline.export_entries AS entry WHERE entry.organization_id = org
                        AND entry.integration_id = integration.integration_id AND entry.entry_id = corrected.entry_id OFFSET 0) AS taken
                    WHERE integration.organization_id = org)) THEN
            RAISE EXCEPTION 'what identifies an entry cannot be changed, nor its voucher once an export has taken it' USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_keeps_its_voucher';
        END IF;
        INSERT INTO ledgerline.entry_changes (organization_id, entry_id, voucher_id, kind, actor, reason, before, after)
            SELECT organization_id, entry_id, corrected.voucher_id, CASE WHEN stored.voucher_id IS NULL THEN 'withdrawn' ELSE 'replaced' END, who, why,
                ledgerline.entry_content(corrected.voucher_id, corrected.entry_date, corrected.account, corrected.amount, corrected.currency, corrected.text, corrected.dimensions),
                CASE WHEN stored.voucher_id IS NOT NULL
                    THEN ledgerline.entry_content(stored.voucher_id, stored.entry_date, stored.account, stored.amount, stored.currency, stored.text, stored.dimensions) END
            FROM corrected LEFT JOIN stored USING (organization_id, entry_id);
    END IF;
    WITH taken AS (
        SELECT DISTINCT entry.integration_id, entry.export_id, entry.voucher_id
        FROM corrected JOIN ledgerline.integrations AS integration ON integration.organization_id = org
        CROSS JOIN LATERAL (SELECT * FROM ledgerline.export_entries AS entry
            WHERE entry.organization_id = org AND entry.integration_id = integration.integration_id AND entry.entry_id = corrected.entry_id OFFSET 0) AS entry
        WHERE corrected.organization_id = org AND entry.state IN ('planned', 'rejected')
    ), lines AS (
        SELECT entry.integration_id, entry.entry_id FROM taken
        JOIN ledgerline.bufdir_export_audit_log AS export ON export.organization_id = org AND export.export_id = taken.export_id
        JOIN ledgerline.export_entries AS entry ON entry.organization_id = org AND entry.export_id = taken.export_id AND entry.voucher_id = taken.voucher_id
        WHERE entry.state = 'rejected' OR entry.state = 'planned' AND export.status <> 'pending'
        UNION
        SELECT entry.integration_id, entry.entry_id FROM taken
        JOIN ledgerline.export_entries AS entry ON entry.organization_id = org AND entry.integration_id = taken.integration_id AND entry.voucher_id = taken.voucher_id AND entry.chunk = 0
    )
    UPDATE ledgerline.export_entries AS entry SET
        reason = CASE WHEN entry.state = 'rejected' THEN entry.reason WHEN deletes AND integration.is_default THEN 'withdrawn before it was sent' ELSE 'corrected before it was sent; planned again from its source' END,
        state = 'rejected',
        correction = CASE WHEN entry.correction = 'withdrawn' OR deletes AND integration.is_default AND entry.entry_id IN (SELECT entry_id FROM corrected) THEN 'withdrawn' ELSE 'replaced' END
        FROM lines JOIN (SELECT integration_id, coalesce(nullif(export ->> 'source', ''), 'ledgerline.accounting_entries') = 'ledgerline.accounting_entries' AS is_default
            FROM ledgerline.integrations WHERE organization_id = org) AS integration USING (integration_id)
        WHERE entry.organization_id = org AND entry.integration_id = lines.integration_id AND entry.entry_id = lines.entry_id;
    PERFORM set_config('app.organization_id', coalesce(setting, ''), true);
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER entries_are_replaced AFTER UPDATE ON ledgerline.accounting_entries REFERENCING OLD TABLE AS corrected NEW TABLE AS stored
    FOR EACH STATEMENT EXECUTE FUNCTION ledgerline.entries_are_corrected();
CREATE TRIGGER entries_are_withdrawn AFTER DELETE ON ledgerline.accounting_entries REFERENCING OLD TABLE AS corrected
    FOR EACH STATEMENT EXECUTE FUNCTION ledgerline.entries_are_corrected();

-- An entry that was withdrawn and is stored again is new; what exports know of it stays.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.withdrawn_come_again() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    setting text := current_setting('app.organization_id', true);
    org     uuid;
    again   text[];
    line    record;
BEGIN
    FOR org IN SELECT DISTINCT organization_id FROM stored LOOP -- a superuser's can be of several, see entries_are_corrected
        PERFORM set_config('app.organization_id', org::text, true);
        CONTINUE WHEN NOT EXISTS (SELECT FROM ledgerline.entry_changes WHERE organization_id = org AND kind = 'withdrawn');
        again := ARRAY(SELECT entry_id FROM stored WHERE organization_id = org
            INTERSECT SELECT entry_id FROM ledgerline.entry_changes WHERE organization_id = org AND kind = 'withdrawn');
        CONTINUE WHEN again = '{}';
        PERFORM ledgerline.lock_corrections();
        FOR line IN SELECT entry.integration_id, entry.entry_id, entry.voucher_id, entry.state, entry.chunk, stored.voucher_id AS stored_voucher,
                    coalesce(nullif(integration.export ->> 'source', ''), 'ledgerline.accounting_entries') = 'ledgerline.accounting_entries' AS is_default
                FROM stored JOIN ledgerline.integrations AS integration ON integration.organization_id = org
                CROSS JOIN LATERAL (SELECT * FROM ledgerline.export_entries AS entry
                    WHERE entry.organization_id = org AND entry.integration_id = integration.integration_id AND entry.entry_id = stored.entry_id OFFSET 0) AS entry
                WHERE stored.organization_id = org AND stored.entry_id = ANY(again) LOOP
            CONTINUE WHEN line.state <> 'rejected' AND NOT line.is_default; -- its source has it all the time
            IF line.state <> 'rejected' THEN
                RAISE EXCEPTION 'entry % was withdrawn, and is % all the same', line.entry_id, line.state USING ERRCODE = 'check_violation', CONSTRAINT = 'corrected_is_not_exported';
            END IF;
            IF line.voucher_id <> line.stored_voucher THEN
                RAISE EXCEPTION 'entry % belongs to voucher %, with which an export has taken it; give it another ID', line.entry_id, line.voucher_id
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'entry_keeps_its_voucher';
            END IF;
            UPDATE ledgerline.export_entries SET correction = 'replaced'
                WHERE organization_id = org AND integration_id = line.integration_id AND entry_id = line.entry_id;
        END LOOP;
    END LOOP;
    PERFORM set_config('app.organization_id', coalesce(setting, ''), true);
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER withdrawn_come_again AFTER INSERT ON ledgerline.accounting_entries REFERENCING NEW TABLE AS stored
    FOR EACH STATEMENT EXECUTE FUNCTION ledgerline.withdrawn_come_again();
REVOKE ALL ON FUNCTION ledgerline.correction_begins(), ledgerline.entries_are_corrected(), ledgerline.withdrawn_come_again() FROM PUBLIC;
GRANT UPDATE (voucher_id, entry_date, account, amount, currency, text, dimensions), DELETE ON ledgerline.accounting_entries TO ledgerline_operator;

-- +goose Down
REVOKE UPDATE (voucher_id, entry_date, account, amount, currency, text, dimensions), DELETE ON ledgerline.accounting_entries FROM ledgerline_operator;
DROP TRIGGER withdrawn_come_again ON ledgerline.accounting_entries;
DROP TRIGGER entries_are_withdrawn ON ledgerline.accounting_entries;
DROP TRIGGER entries_are_replaced ON ledgerline.accounting_entries;
DROP TRIGGER correction_begins ON ledgerline.accounting_entries;
DROP TRIGGER waits_for_corrections ON ledgerline.integrations;
DROP TRIGGER correction_is_taken ON ledgerline.export_entries;
DROP INDEX ledgerline.export_entries_under_way;
DROP INDEX ledgerline.export_entries_corrected;
ALTER TABLE ledgerline.export_entries DROP COLUMN correction;
DROP TABLE ledgerline.entry_changes;
DROP FUNCTION ledgerline.withdrawn_come_again(), ledgerline.entries_are_corrected(), ledgerline.correction_begins(), ledgerline.correction_is_taken(),
    ledgerline.lock_corrections(), ledgerline.waits_for_corrections(), ledgerline.changes_stand(), ledgerline.entry_content(text, date, text, numeric, text, text, jsonb);
