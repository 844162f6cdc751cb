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
        UPDATE ledgerline.export_entries x SET partly_exported = true WHERE x.organization_id = org AND x.export_id = export AND x.effect = 'open'
            AND x.sent_in IN (SELECT y.sent_in FROM ledgerline.export_entries y WHERE y.organization_id = org AND y.export_id = export AND y.voucher_id = voucher);
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
        UPDATE ledgerline.export_entries x SET partly_exported = true
            FROM (SELECT DISTINCT y.export_id, y.chunk, y.sent_in FROM ledgerline.export_entries y JOIN jsonb_to_recordset(at_vendor) AS f (entry_id text) USING (entry_id)
                  WHERE y.organization_id = org AND y.integration_id = integration AND y.state = 'exported') s
            WHERE x.organization_id = org AND x.export_id = s.export_id AND x.chunk = s.chunk AND x.sent_in = s.sent_in AND x.effect = 'open' AND NOT x.partly_exported;
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
            effect = 'open', sent_in = excluded.sent_in, sent_attempt = 1, sent_to = excluded.sent_to, open_until = greatest(x.open_until, excluded.open_until), ended = true, partly_exported = false
        WHERE x.state IN ('planned', 'rejected');
    GET DIAGNOSTICS doubtful = ROW_COUNT;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION ledgerline.resolve_voucher(uuid, text, boolean, text, text), ledgerline.adopt_entries(uuid, uuid, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.resolve_voucher(uuid, text, boolean, text, text), ledgerline.adopt_entries(uuid, uuid, text, jsonb) TO ledgerline_operator;

-- +goose Down
DROP FUNCTION ledgerline.adopt_entries(uuid, uuid, text, jsonb), ledgerline.resolve_voucher(uuid, text, boolean, text, text);
DROP TABLE ledgerline.export_resolutions;
