-- What people decide about entries: whether the vendor has an entry whose outcome
-- could not be found out, and what it has that the database has lost.

-- +goose Up
CREATE TABLE ledgerline.export_resolutions (
    organization_id uuid        NOT NULL,
    resolution_id   uuid        NOT NULL DEFAULT gen_random_uuid(),
    export_id       uuid        NOT NULL,
    voucher_id      text        NOT NULL,
    at_vendor       boolean     NOT NULL, -- the vendor has the voucher
    entries         integer     NOT NULL,
    reason          text        NOT NULL,
    actor           text        NOT NULL,
    resolved_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, resolution_id),
    CONSTRAINT resolution_of_an_export FOREIGN KEY (organization_id, export_id)
        REFERENCES ledgerline.bufdir_export_audit_log (organization_id, export_id),
    CONSTRAINT resolution_has_words CHECK (length(reason) BETWEEN 1 AND 500 AND length(actor) BETWEEN 1 AND 500)
);
ALTER TABLE ledgerline.export_resolutions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.export_resolutions
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
GRANT SELECT ON ledgerline.export_resolutions TO ledgerline_worker, ledgerline_operator, ledgerline_reader;

-- Records what a person found out about the entries of a voucher whose outcome is
-- open. That the vendor does not have them can be recorded only once they can no
-- longer take effect. It returns the number of entries.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.resolve_voucher(export uuid, voucher text, at_vendor boolean, why text, who text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    org uuid := ledgerline.current_organization();
    n   integer;
BEGIN
    IF EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log WHERE organization_id = org AND export_id = export AND status = 'pending')
       AND NOT at_vendor THEN
        RAISE EXCEPTION 'export % is pending: its run may still send; wait until it has ended', export USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF NOT at_vendor AND EXISTS (SELECT FROM ledgerline.export_entries AS entry WHERE entry.organization_id = org AND entry.export_id = export AND entry.voucher_id = voucher
            AND entry.effect = 'open' AND NOT entry.ended AND entry.open_until > ledgerline.clock()) THEN
        RAISE EXCEPTION 'voucher % can still take effect', voucher USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    UPDATE ledgerline.export_entries AS entry SET
        state = CASE WHEN at_vendor THEN 'exported' ELSE 'planned' END, effect = CASE WHEN at_vendor THEN 'done' ELSE 'none' END,
        settled_at = CASE WHEN at_vendor THEN now() END, ended = NOT at_vendor,
        earlier_until = CASE WHEN entry.ended THEN entry.earlier_until ELSE greatest(entry.earlier_until, entry.late_until) END, reason = left('resolved by ' || who || ': ' || why, 500)
        WHERE entry.organization_id = org AND entry.export_id = export AND entry.voucher_id = voucher AND entry.effect = 'open';
    GET DIAGNOSTICS n = ROW_COUNT;
    IF at_vendor THEN
        UPDATE ledgerline.export_entries AS entry SET partly_exported = true WHERE entry.organization_id = org AND entry.export_id = export AND entry.effect = 'open'
            AND entry.sent_in IN (SELECT resolved.sent_in FROM ledgerline.export_entries AS resolved
                WHERE resolved.organization_id = org AND resolved.export_id = export AND resolved.voucher_id = voucher);
    END IF;
    IF n > 0 THEN
        INSERT INTO ledgerline.export_resolutions (organization_id, export_id, voucher_id, at_vendor, entries, reason, actor)
            VALUES (org, export, voucher, at_vendor, n, why, who);
    END IF;
    RETURN n;
END
$$;
-- +goose StatementEnd

-- Records what the vendor is known to have, after the database has lost it or
-- took it for something else. An entry that is on record becomes exported where
-- it is; any other is added to the given export, which must have the trigger
-- adopt. An entry with a doubt is for a person to decide: unless it is on record
-- as exported, sent or unknown, it goes to the export as unknown, so that nobody
-- sends it meanwhile. It returns how many entries became exported, and how many
-- unknown.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.adopt_entries(export uuid, integration uuid, found_at text, at_vendor jsonb, OUT adopted integer, OUT doubtful integer)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    org   uuid := ledgerline.current_organization();
    since date;
    last  integer;
    n     integer;
BEGIN
    SELECT period_start INTO since FROM ledgerline.bufdir_export_audit_log WHERE organization_id = org AND export_id = export
        AND integration_id = integration AND trigger = 'adopt' AND status = 'pending';
    IF since IS NULL THEN
        RAISE EXCEPTION 'export % does not adopt', export USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    -- Chunk 0 holds entries that were never sent. They are planned again when their voucher grows.
    UPDATE ledgerline.export_entries AS entry SET state = 'exported', effect = 'done', settled_at = ledgerline.clock(), reason = NULL,
        chunk = greatest(entry.chunk, 1), sent_to = found_at, vendor_reference = coalesce(given.vendor_reference, entry.vendor_reference)
        FROM jsonb_to_recordset(at_vendor) AS given (entry_id text, vendor_reference text, doubt text)
        WHERE entry.organization_id = org AND entry.integration_id = integration AND entry.entry_id = given.entry_id AND given.doubt IS NULL AND entry.state <> 'exported';
    GET DIAGNOSTICS adopted = ROW_COUNT;
    IF adopted > 0 THEN -- the vendor has something of each sending that they were in
        UPDATE ledgerline.export_entries AS entry SET partly_exported = true
            FROM (SELECT DISTINCT exported.export_id, exported.chunk, exported.sent_in FROM ledgerline.export_entries AS exported
                  JOIN jsonb_to_recordset(at_vendor) AS given (entry_id text) USING (entry_id)
                  WHERE exported.organization_id = org AND exported.integration_id = integration AND exported.state = 'exported') AS sending
            WHERE entry.organization_id = org AND entry.export_id = sending.export_id AND entry.chunk = sending.chunk AND entry.sent_in = sending.sent_in
              AND entry.effect = 'open' AND NOT entry.partly_exported;
    END IF;
    INSERT INTO ledgerline.export_entries (organization_id, integration_id, entry_id, export_id, voucher_id, chunk, vendor_key, late, state, effect, settled_at,
            vendor_reference, entry_date, account, amount, currency, text, dimensions)
        SELECT org, integration, given.entry_id, export, given.voucher_id, 1, left(encode(sha256(convert_to(integration::text || '/' || given.entry_id, 'UTF8')), 'hex'), 32),
            given.entry_date < since, 'exported', 'done', ledgerline.clock(), given.vendor_reference, given.entry_date,
            given.account, given.amount, given.currency, given.text, given.dimensions
        FROM jsonb_to_recordset(at_vendor) AS given (entry_id text, voucher_id text, vendor_reference text, entry_date date, account text, amount numeric, currency text,
            text text, dimensions jsonb, doubt text)
        WHERE given.doubt IS NULL ON CONFLICT (organization_id, integration_id, entry_id) DO NOTHING;
    GET DIAGNOSTICS n = ROW_COUNT;
    adopted := adopted + n;
    IF adopted > 0 THEN
        INSERT INTO ledgerline.vendor_controls AS control (organization_id, integration_id, place, vendor_keys, voucher_id, settled_at)
            SELECT org, integration, found_at, (array_agg(entry.vendor_key ORDER BY entry.entry_id))[1:2], entry.voucher_id, max(entry.settled_at)
            FROM ledgerline.export_entries AS entry
            JOIN jsonb_to_recordset(at_vendor) AS given (entry_id text, doubt text) USING (entry_id)
            WHERE entry.organization_id = org AND entry.integration_id = integration AND entry.state = 'exported' AND given.doubt IS NULL
            GROUP BY entry.voucher_id ORDER BY entry.voucher_id DESC LIMIT 1
            ON CONFLICT (organization_id, integration_id, place) DO UPDATE SET vendor_keys = excluded.vendor_keys, voucher_id = excluded.voucher_id, settled_at = excluded.settled_at
            WHERE control.settled_at <= excluded.settled_at;
    END IF;
    SELECT coalesce(max(chunk), 1) INTO last FROM ledgerline.export_entries WHERE organization_id = org AND export_id = export;
    -- A chunk for each voucher, so that a retry can send it whole.
    INSERT INTO ledgerline.export_entries AS entry (organization_id, integration_id, entry_id, export_id, voucher_id, chunk, vendor_key, late, state, reason, effect, sent_in,
            sent_attempt, sent_to, open_until, ended, vendor_reference, entry_date, account, amount, currency, text, dimensions)
        SELECT org, integration, given.entry_id, export, given.voucher_id,
            coalesce((SELECT max(earlier.chunk) FROM ledgerline.export_entries AS earlier
                WHERE earlier.organization_id = org AND earlier.export_id = export AND earlier.voucher_id = given.voucher_id AND earlier.state = 'unknown'),
                last + dense_rank() OVER (ORDER BY given.voucher_id)),
            left(encode(sha256(convert_to(integration::text || '/' || given.entry_id, 'UTF8')), 'hex'), 32),
            given.entry_date < since, 'unknown', left(given.doubt, 500), 'open', export, 1, found_at, ledgerline.clock(), true, given.vendor_reference,
            given.entry_date, given.account, given.amount, given.currency, given.text, given.dimensions
        FROM jsonb_to_recordset(at_vendor) AS given (entry_id text, voucher_id text, vendor_reference text, entry_date date, account text, amount numeric, currency text,
            text text, dimensions jsonb, doubt text)
        WHERE given.doubt IS NOT NULL
        ON CONFLICT (organization_id, integration_id, entry_id) DO UPDATE SET export_id = excluded.export_id, chunk = excluded.chunk, state = 'unknown', reason = excluded.reason,
            effect = 'open', sent_in = excluded.sent_in, sent_attempt = 1, sent_to = excluded.sent_to,
            open_until = greatest(entry.open_until, excluded.open_until), ended = true, partly_exported = false
        WHERE entry.state IN ('planned', 'rejected');
    GET DIAGNOSTICS doubtful = ROW_COUNT;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION ledgerline.resolve_voucher(uuid, text, boolean, text, text), ledgerline.adopt_entries(uuid, uuid, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.resolve_voucher(uuid, text, boolean, text, text), ledgerline.adopt_entries(uuid, uuid, text, jsonb) TO ledgerline_operator;

-- +goose Down
DROP FUNCTION ledgerline.adopt_entries(uuid, uuid, text, jsonb), ledgerline.resolve_voucher(uuid, text, boolean, text, text);
DROP TABLE ledgerline.export_resolutions;
