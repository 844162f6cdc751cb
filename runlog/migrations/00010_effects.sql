-- What is known of a write: its effect on attempts, on entries and on ad-hoc
-- writes; until when it can still take effect; and who may give orders about
-- an export.

-- +goose Up
-- The one function that gives the time to which open_until is compared. Timers
-- elsewhere are hints.
CREATE FUNCTION ledgerline.clock() RETURNS timestamptz LANGUAGE sql VOLATILE RETURN clock_timestamp();
GRANT EXECUTE ON FUNCTION ledgerline.clock() TO ledgerline_worker, ledgerline_operator;

ALTER TABLE ledgerline.integrations
    ADD COLUMN in_flight interval, -- how long a request can take effect after its deadline; NULL is the vendor's own
    ADD CONSTRAINT in_flight_is_sane CHECK (in_flight BETWEEN interval '0' AND interval '1 hour');

-- A row of an ad-hoc write that succeeded at once has total_attempts 1.
ALTER TABLE ledgerline.integration_run_logs
    ADD COLUMN effect     text,        -- of a write: done, none or open; NULL if none was sent
    ADD COLUMN open_until timestamptz, -- of an open one: it can take effect until then
    ADD COLUMN actor      text,        -- who asked for it; NULL for runs and monitors
    ADD CONSTRAINT effect_is_known CHECK (effect IN ('done', 'none', 'open')),
    ADD CONSTRAINT actor_is_cut CHECK (length(actor) <= 500),
    DROP CONSTRAINT success_follows_a_failure,
    ADD CONSTRAINT success_follows_a_failure_or_is_a_write
        CHECK (total_attempts IS NULL OR total_attempts = attempt_number AND (total_attempts >= 2 OR effect IS NOT NULL));

-- The run that owns an export, with a number that grows with each owner, and
-- whether it has its plan.
ALTER TABLE ledgerline.bufdir_export_audit_log
    ADD COLUMN fence bigint NOT NULL DEFAULT 1,
    ADD COLUMN planned_at timestamptz, -- when entries were assigned to it: once, also if there were none
    DROP CONSTRAINT trigger_is_known,
    ADD CONSTRAINT trigger_is_known CHECK (trigger IN ('schedule', 'manual', 'backfill', 'retry', 'adopt'));
ALTER TABLE ledgerline.bufdir_export_audit_log NO FORCE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.export_entries NO FORCE ROW LEVEL SECURITY;
UPDATE ledgerline.bufdir_export_audit_log b SET planned_at = started_at WHERE status = 'pending' AND EXISTS (
    SELECT FROM ledgerline.export_entries x WHERE x.organization_id = b.organization_id AND x.export_id = b.export_id);
ALTER TABLE ledgerline.bufdir_export_audit_log FORCE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.export_entries FORCE ROW LEVEL SECURITY;

ALTER TABLE ledgerline.export_entries
    ADD COLUMN effect       text,                           -- of its last sending; NULL if it was never sent
    ADD COLUMN sent_in      uuid,                           -- the invocation that sent it last
    ADD COLUMN sent_attempt integer,                        -- and its attempt
    ADD COLUMN sent_to      text,                           -- and the place to which; NULL if that is not known
    ADD COLUMN open_until   timestamptz,                    -- that sending can take effect until then; never decreases
    ADD COLUMN late_until   timestamptz,                    -- it can land until then, also where a repeat of it does no harm
    ADD COLUMN earlier_until timestamptz,                   -- so long can one before it, if nothing proves that the vendor's work on it has ended
    ADD COLUMN ended        boolean NOT NULL DEFAULT false, -- an answer proves that the vendor's work has ended
    ADD COLUMN partly       boolean NOT NULL DEFAULT false, -- something of the same sending is at the vendor
    ADD COLUMN changed      boolean NOT NULL DEFAULT false, -- it was planned again with other content after it had been sent
    ADD COLUMN settled_at   timestamptz;                    -- when it was found to be exported
ALTER TABLE ledgerline.export_entries NO FORCE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.bufdir_export_audit_log NO FORCE ROW LEVEL SECURITY;
UPDATE ledgerline.export_entries x SET effect = 'done', settled_at = coalesce((SELECT b.finished_at FROM ledgerline.bufdir_export_audit_log b
    WHERE b.organization_id = x.organization_id AND b.export_id = x.export_id), now()) WHERE x.state = 'exported';
UPDATE ledgerline.export_entries SET effect = 'open', ended = true, open_until = now(), sent_in = export_id, sent_attempt = 1
    WHERE state IN ('sent', 'unknown');
ALTER TABLE ledgerline.export_entries FORCE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.bufdir_export_audit_log FORCE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.export_entries
    ADD CONSTRAINT effect_is_known CHECK (effect IN ('done', 'none', 'open')),
    ADD CONSTRAINT exported_exactly_if_done CHECK ((state = 'exported') = (effect IS NOT DISTINCT FROM 'done')),
    ADD CONSTRAINT sent_and_unknown_are_open CHECK (state NOT IN ('sent', 'unknown') OR effect IS NOT DISTINCT FROM 'open'),
    ADD CONSTRAINT planned_and_rejected_are_not_open CHECK (state NOT IN ('planned', 'rejected') OR effect IS DISTINCT FROM 'open'),
    ADD CONSTRAINT open_has_its_sending CHECK (effect IS DISTINCT FROM 'open' OR (open_until IS NOT NULL AND sent_in IS NOT NULL AND sent_attempt IS NOT NULL));

-- Entries that are known to be at the vendor, the newest of each integration and
-- each place to which its base URL and settings have led: a look-up there that
-- does not find them proves nothing. Two lines of one voucher, where there are two:
-- they stand next to each other at the vendor.
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

-- Ad-hoc writes: a correlation ID stands for one request for good. Rows are
-- never dropped.
CREATE TABLE ledgerline.write_claims (
    organization_id uuid        NOT NULL,
    correlation_id  uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    operation       text        NOT NULL,
    body_sha256     text        NOT NULL,
    actor           text        NOT NULL DEFAULT '',
    effect          text        NOT NULL DEFAULT 'open',
    ended           boolean     NOT NULL DEFAULT false,
    open_until      timestamptz NOT NULL,
    attempts        integer     NOT NULL DEFAULT 0, -- the number of the last attempt, also of one that only asked
    run_id          uuid        NOT NULL,           -- the workflow run of that attempt
    run_offset      integer     NOT NULL DEFAULT 0, -- how many attempts earlier runs have made
    sent_attempt    integer     NOT NULL,           -- the number of the last one that sent
    sent_to         text        NOT NULL,           -- and the place to which
    repeated        boolean     NOT NULL DEFAULT false, -- an earlier sending was open when it was sent once more
    http_status     integer,                        -- of the answer that settled it
    claimed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at      timestamptz,
    PRIMARY KEY (organization_id, correlation_id),
    CONSTRAINT claim_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT effect_is_known CHECK (effect IN ('done', 'none', 'open')),
    CONSTRAINT body_is_hashed CHECK (body_sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT actor_is_cut CHECK (length(actor) <= 500)
);

-- What people have said of entries whose outcome could not be found out.
CREATE TABLE ledgerline.export_resolutions (
    organization_id uuid        NOT NULL,
    resolution_id   uuid        NOT NULL DEFAULT gen_random_uuid(),
    export_id       uuid        NOT NULL,
    voucher_id      text        NOT NULL,
    is_there        boolean     NOT NULL, -- at the vendor
    entries         integer     NOT NULL,
    reason          text        NOT NULL,
    actor           text        NOT NULL,
    resolved_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, resolution_id),
    CONSTRAINT resolution_of_an_export FOREIGN KEY (organization_id, export_id)
        REFERENCES ledgerline.bufdir_export_audit_log (organization_id, export_id),
    CONSTRAINT resolution_has_words CHECK (length(reason) BETWEEN 1 AND 500 AND length(actor) BETWEEN 1 AND 500)
);

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledgerline.exported_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'exported' AND NEW.state <> 'exported' OR NEW.vendor_key <> OLD.vendor_key THEN
        RAISE EXCEPTION 'entry % is exported', OLD.entry_id USING ERRCODE = 'check_violation', CONSTRAINT = 'exported_is_final';
    END IF;
    IF OLD.open_until IS NOT NULL AND (NEW.open_until IS NULL OR NEW.open_until < OLD.open_until) THEN
        RAISE EXCEPTION 'open_until of entry % never decreases', OLD.entry_id USING ERRCODE = 'check_violation', CONSTRAINT = 'open_until_never_decreases';
    END IF;
    IF NEW.export_id <> OLD.export_id AND NOT EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log e
            WHERE e.organization_id = NEW.organization_id AND e.integration_id = NEW.integration_id AND e.export_id = NEW.export_id) THEN
        RAISE EXCEPTION 'entry % of an export that is not there', OLD.entry_id USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'entry_of_an_export';
    END IF;
    RETURN NEW;
END
$$;
CREATE FUNCTION ledgerline.claim_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.organization_id, NEW.correlation_id, NEW.integration_id, NEW.operation, NEW.body_sha256, NEW.actor, NEW.claimed_at)
       IS DISTINCT FROM (OLD.organization_id, OLD.correlation_id, OLD.integration_id, OLD.operation, OLD.body_sha256, OLD.actor, OLD.claimed_at)
       OR OLD.effect = 'done' AND NEW.effect <> 'done' OR NEW.open_until < OLD.open_until OR NEW.attempts < OLD.attempts OR NEW.sent_attempt < OLD.sent_attempt THEN
        RAISE EXCEPTION 'the claim of % stands', OLD.correlation_id USING ERRCODE = 'check_violation', CONSTRAINT = 'claim_stands';
    END IF;
    RETURN NEW;
END
$$;
-- Entries of a voucher whose outcome is open, and can no longer take effect, are
-- what a person found. It returns how many they were.
CREATE FUNCTION ledgerline.resolve_voucher(export uuid, voucher text, at_vendor boolean, why text, who text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    org uuid := ledgerline.current_organization();
    n   integer;
BEGIN
    IF EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log b WHERE b.organization_id = org AND b.export_id = export AND b.status = 'pending')
       AND NOT at_vendor THEN
        RAISE EXCEPTION 'export % is pending: its run may still send; wait until it has ended', export USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF NOT at_vendor AND EXISTS (SELECT FROM ledgerline.export_entries x WHERE x.organization_id = org AND x.export_id = export AND x.voucher_id = voucher
            AND x.effect = 'open' AND NOT x.ended AND x.open_until > ledgerline.clock()) THEN
        RAISE EXCEPTION 'voucher % can still take effect', voucher USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    UPDATE ledgerline.export_entries x SET
        state = CASE WHEN at_vendor THEN 'exported' ELSE 'planned' END, effect = CASE WHEN at_vendor THEN 'done' ELSE 'none' END,
        settled_at = CASE WHEN at_vendor THEN now() END, ended = NOT at_vendor,
        earlier_until = CASE WHEN x.ended THEN x.earlier_until ELSE greatest(x.earlier_until, x.late_until) END, reason = left('resolved by ' || who || ': ' || why, 500)
        WHERE x.organization_id = org AND x.export_id = export AND x.voucher_id = voucher AND x.effect = 'open';
    GET DIAGNOSTICS n = ROW_COUNT;
    IF at_vendor THEN
        UPDATE ledgerline.export_entries x SET partly = true WHERE x.organization_id = org AND x.export_id = export AND x.effect = 'open'
            AND x.sent_in IN (SELECT y.sent_in FROM ledgerline.export_entries y WHERE y.organization_id = org AND y.export_id = export AND y.voucher_id = voucher);
    END IF;
    IF n > 0 THEN
        INSERT INTO ledgerline.export_resolutions (organization_id, export_id, voucher_id, is_there, entries, reason, actor)
            VALUES (org, export, voucher, at_vendor, n, why, who);
    END IF;
    RETURN n;
END
$$;
-- Records what the vendor is known to have, after the database has lost it or
-- took it for something else. An entry that is on record becomes exported where
-- it is; one that is not is added to the given export, which must be of trigger
-- adopt. One with a doubt is something that only a person can tell: it goes to
-- the export as unknown, unless it is on record as exported, sent or unknown, so
-- that nobody sends it meanwhile. It returns how many entries became exported,
-- and how many unknown.
CREATE FUNCTION ledgerline.adopt_entries(export uuid, integration uuid, found_at text, at_vendor jsonb, OUT adopted integer, OUT doubtful integer)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    org   uuid := ledgerline.current_organization();
    since date;
    last  integer;
    n     integer;
BEGIN
    SELECT b.period_start INTO since FROM ledgerline.bufdir_export_audit_log b WHERE b.organization_id = org AND b.export_id = export
        AND b.integration_id = integration AND b.trigger = 'adopt' AND b.status = 'pending';
    IF since IS NULL THEN
        RAISE EXCEPTION 'export % does not adopt', export USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    -- Chunk 0 is of what was never sent, and is planned again when its voucher grows.
    UPDATE ledgerline.export_entries x SET state = 'exported', effect = 'done', settled_at = ledgerline.clock(), reason = NULL, chunk = greatest(x.chunk, 1), sent_to = found_at,
        vendor_reference = coalesce(f.vendor_reference, x.vendor_reference)
        FROM jsonb_to_recordset(at_vendor) AS f (entry_id text, vendor_reference text, doubt text)
        WHERE x.organization_id = org AND x.integration_id = integration AND x.entry_id = f.entry_id AND f.doubt IS NULL AND x.state <> 'exported';
    GET DIAGNOSTICS adopted = ROW_COUNT;
    IF adopted > 0 THEN -- what was sent with them is not nowhere either
        UPDATE ledgerline.export_entries x SET partly = true
            FROM (SELECT DISTINCT y.export_id, y.chunk, y.sent_in FROM ledgerline.export_entries y JOIN jsonb_to_recordset(at_vendor) AS f (entry_id text) USING (entry_id)
                  WHERE y.organization_id = org AND y.integration_id = integration AND y.state = 'exported') s
            WHERE x.organization_id = org AND x.export_id = s.export_id AND x.chunk = s.chunk AND x.sent_in = s.sent_in AND x.effect = 'open' AND NOT x.partly;
    END IF;
    INSERT INTO ledgerline.export_entries (organization_id, integration_id, entry_id, export_id, voucher_id, chunk, vendor_key, late, state, effect, settled_at,
            vendor_reference, entry_date, account, amount, currency, text, dimensions)
        SELECT org, integration, f.entry_id, export, f.voucher_id, 1, left(encode(sha256(convert_to(integration::text || '/' || f.entry_id, 'UTF8')), 'hex'), 32),
            f.entry_date < since, 'exported', 'done', ledgerline.clock(), f.vendor_reference, f.entry_date, f.account, f.amount, f.currency, f.text, f.dimensions
        FROM jsonb_to_recordset(at_vendor) AS f (entry_id text, voucher_id text, vendor_reference text, entry_date date, account text, amount numeric, currency text,
            text text, dimensions jsonb, doubt text)
        WHERE f.doubt IS NULL ON CONFLICT (organization_id, integration_id, entry_id) DO NOTHING;
    GET DIAGNOSTICS n = ROW_COUNT;
    adopted := adopted + n;
    IF adopted > 0 THEN
        INSERT INTO ledgerline.vendor_controls AS c (organization_id, integration_id, place, vendor_keys, voucher_id, settled_at)
            SELECT org, integration, found_at, (array_agg(x.vendor_key ORDER BY x.entry_id))[1:2], x.voucher_id, max(x.settled_at) FROM ledgerline.export_entries x
            JOIN jsonb_to_recordset(at_vendor) AS f (entry_id text, doubt text) USING (entry_id)
            WHERE x.organization_id = org AND x.integration_id = integration AND x.state = 'exported' AND f.doubt IS NULL
            GROUP BY x.voucher_id ORDER BY x.voucher_id DESC LIMIT 1
            ON CONFLICT (organization_id, integration_id, place) DO UPDATE SET vendor_keys = excluded.vendor_keys, voucher_id = excluded.voucher_id, settled_at = excluded.settled_at
            WHERE c.settled_at <= excluded.settled_at;
    END IF;
    SELECT coalesce(max(x.chunk), 1) INTO last FROM ledgerline.export_entries x WHERE x.organization_id = org AND x.export_id = export;
    -- A chunk for each voucher, so that a retry can send it whole.
    INSERT INTO ledgerline.export_entries AS x (organization_id, integration_id, entry_id, export_id, voucher_id, chunk, vendor_key, late, state, reason, effect, sent_in,
            sent_attempt, sent_to, open_until, ended, vendor_reference, entry_date, account, amount, currency, text, dimensions)
        SELECT org, integration, f.entry_id, export, f.voucher_id,
            coalesce((SELECT max(y.chunk) FROM ledgerline.export_entries y WHERE y.organization_id = org AND y.export_id = export AND y.voucher_id = f.voucher_id AND y.state = 'unknown'),
                last + dense_rank() OVER (ORDER BY f.voucher_id)),
            left(encode(sha256(convert_to(integration::text || '/' || f.entry_id, 'UTF8')), 'hex'), 32),
            f.entry_date < since, 'unknown', left(f.doubt, 500), 'open', export, 1, found_at, ledgerline.clock(), true, f.vendor_reference, f.entry_date, f.account, f.amount, f.currency,
            f.text, f.dimensions
        FROM jsonb_to_recordset(at_vendor) AS f (entry_id text, voucher_id text, vendor_reference text, entry_date date, account text, amount numeric, currency text,
            text text, dimensions jsonb, doubt text)
        WHERE f.doubt IS NOT NULL
        ON CONFLICT (organization_id, integration_id, entry_id) DO UPDATE SET export_id = excluded.export_id, chunk = excluded.chunk, state = 'unknown', reason = excluded.reason,
            effect = 'open', sent_in = excluded.sent_in, sent_attempt = 1, sent_to = excluded.sent_to, open_until = greatest(x.open_until, excluded.open_until), ended = true, partly = false
        WHERE x.state IN ('planned', 'rejected');
    GET DIAGNOSTICS doubtful = ROW_COUNT;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER stands BEFORE UPDATE ON ledgerline.write_claims FOR EACH ROW EXECUTE FUNCTION ledgerline.claim_stands();
REVOKE ALL ON FUNCTION ledgerline.resolve_voucher(uuid, text, boolean, text, text), ledgerline.adopt_entries(uuid, uuid, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.resolve_voucher(uuid, text, boolean, text, text), ledgerline.adopt_entries(uuid, uuid, text, jsonb) TO ledgerline_operator;

-- +goose StatementBegin
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['vendor_controls', 'write_claims', 'export_resolutions'] LOOP
        EXECUTE format('ALTER TABLE ledgerline.%I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE ledgerline.%I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY own_organization ON ledgerline.%I USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization())', t);
        EXECUTE format('GRANT SELECT ON ledgerline.%I TO ledgerline_worker, ledgerline_operator, ledgerline_reader', t);
    END LOOP;
END
$$;
-- +goose StatementEnd
GRANT INSERT, UPDATE ON ledgerline.vendor_controls, ledgerline.write_claims TO ledgerline_worker;
-- An operator adopts with an export of its own, and touches no other.
GRANT INSERT, UPDATE ON ledgerline.bufdir_export_audit_log TO ledgerline_operator;
CREATE POLICY operators_adopt ON ledgerline.bufdir_export_audit_log AS RESTRICTIVE FOR INSERT TO ledgerline_operator WITH CHECK (trigger = 'adopt');
CREATE POLICY operators_close ON ledgerline.bufdir_export_audit_log AS RESTRICTIVE FOR UPDATE TO ledgerline_operator USING (trigger = 'adopt');

-- +goose Down
DROP FUNCTION ledgerline.adopt_entries(uuid, uuid, text, jsonb), ledgerline.resolve_voucher(uuid, text, boolean, text, text);
DROP TABLE ledgerline.export_resolutions, ledgerline.write_claims, ledgerline.vendor_controls;
DROP FUNCTION ledgerline.claim_stands();
-- +goose StatementBegin
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
ALTER TABLE ledgerline.export_entries DROP COLUMN effect, DROP COLUMN sent_in, DROP COLUMN sent_attempt, DROP COLUMN sent_to, DROP COLUMN late_until, DROP COLUMN earlier_until, DROP COLUMN open_until, DROP COLUMN ended,
    DROP COLUMN partly, DROP COLUMN changed, DROP COLUMN settled_at;
DROP POLICY operators_adopt ON ledgerline.bufdir_export_audit_log;
DROP POLICY operators_close ON ledgerline.bufdir_export_audit_log;
REVOKE INSERT, UPDATE ON ledgerline.bufdir_export_audit_log FROM ledgerline_operator;
-- What is stored can break the constraints of before, so they hold for new rows only.
ALTER TABLE ledgerline.bufdir_export_audit_log DROP COLUMN fence, DROP COLUMN planned_at,
    DROP CONSTRAINT trigger_is_known,
    ADD CONSTRAINT trigger_is_known CHECK (trigger IN ('schedule', 'manual', 'backfill', 'retry')) NOT VALID;
ALTER TABLE ledgerline.integration_run_logs DROP CONSTRAINT success_follows_a_failure_or_is_a_write, DROP COLUMN effect, DROP COLUMN open_until, DROP COLUMN actor,
    ADD CONSTRAINT success_follows_a_failure CHECK (total_attempts IS NULL OR total_attempts = attempt_number AND total_attempts >= 2) NOT VALID;
ALTER TABLE ledgerline.integrations DROP COLUMN in_flight;
DROP FUNCTION ledgerline.clock();
