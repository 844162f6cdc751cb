-- The console: the role of its login, who is signed in, what people did there, what they
-- acknowledged, the files that they have not confirmed yet, and what its pages need to be
-- quick beside five million entries.
--
-- The role may read what ledgerline_reader may, and do what finance staff do: import, correct
-- and withdraw entries, resolve vouchers, pause and resume an integration. It may not change
-- an integration's file, an export, an attempt or what is known of an entry.
--
-- It makes three indexes of export_entries and one of accounting_entries, and reads the tables
-- for that, during which no export and no import can write: 5 million entries of export_entries in
-- about 15 seconds, and one more index of accounting_entries. Workers try again.

-- +goose Up
GRANT USAGE ON SCHEMA ledgerline TO ledgerline_console;
GRANT SELECT ON ledgerline.goose_db_version, ledgerline.schema_serves, ledgerline.accounting_entries, ledgerline.bufdir_export_audit_log, ledgerline.entry_changes,
    ledgerline.entry_imports, ledgerline.export_entries, ledgerline.export_resolutions, ledgerline.incidents, ledgerline.integration_health,
    ledgerline.integration_health_history, ledgerline.integration_pauses, ledgerline.integration_run_logs, ledgerline.integration_secrets, ledgerline.integrations,
    ledgerline.notification_channels, ledgerline.notification_deliveries, ledgerline.notification_windows, ledgerline.notifications, ledgerline.organizations,
    ledgerline.plan_marks, ledgerline.quota_usage, ledgerline.quota_warnings, ledgerline.schedule_ticks, ledgerline.secret_warnings, ledgerline.subject_incidents,
    ledgerline.vendor_contracts, ledgerline.vendor_controls, ledgerline.write_claims TO ledgerline_console;
GRANT SELECT (worker_id, identity, host, version, revision, namespace, task_queue, started_at, seen_at, stopping_at, stopped_at, clock_offset, needs, lacking, examined_at,
    pauses_read_at) ON ledgerline.workers TO ledgerline_console;
ALTER POLICY of_no_organization ON ledgerline.workers TO ledgerline_operator, ledgerline_reader, ledgerline_console;
GRANT EXECUTE ON FUNCTION ledgerline.clock(), ledgerline.organizations(), ledgerline.find_organization(text), ledgerline.list_organizations() TO ledgerline_console;

GRANT INSERT, UPDATE (voucher_id, entry_date, account, amount, currency, text, dimensions), DELETE ON ledgerline.accounting_entries TO ledgerline_console;
GRANT EXECUTE ON FUNCTION ledgerline.lock_corrections(), ledgerline.entry_content(text, date, text, numeric, text, text, jsonb),
    ledgerline.resolve_voucher(uuid, text, boolean, text, text) TO ledgerline_console;
GRANT UPDATE (paused_at, paused_by, pause_reason) ON ledgerline.integrations TO ledgerline_console;
GRANT INSERT ON ledgerline.integration_pauses TO ledgerline_console;
-- What it hands to Temporal is encrypted as a starter's is.
GRANT EXECUTE ON FUNCTION ledgerline.use_payload_key(text) TO ledgerline_console;

-- Who is signed in. A row is known by the SHA-256 of the token in the browser's cookie, and
-- only to who has that: no role can read the table. Sessions have no organization; what a
-- person may see is decided anew at each request.
CREATE TABLE ledgerline.console_sessions (
    token_hash bytea       PRIMARY KEY,
    subject    text        NOT NULL, -- who, as the issuer names them
    name       text        NOT NULL,
    email      text        NOT NULL,
    groups     text[]      NOT NULL,
    started_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT token_is_hashed CHECK (octet_length(token_hash) = 32),
    CONSTRAINT session_is_of_somebody CHECK (length(subject) BETWEEN 1 AND 500),
    CONSTRAINT texts_are_short CHECK (length(name) <= 500 AND length(email) <= 500 AND cardinality(groups) <= 2000),
    CONSTRAINT session_is_short CHECK (expires_at > started_at AND expires_at <= started_at + interval '12 hours')
);
CREATE INDEX console_sessions_by_end ON ledgerline.console_sessions (expires_at);
ALTER TABLE ledgerline.console_sessions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY functions_of_the_owner ON ledgerline.console_sessions TO ledgerline_owner USING (true) WITH CHECK (true);
-- A session lasts from now, by this server's clock. A token that was used is refused.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.begin_console_session(hash bytea, subject text, name text, email text, groups text[], lasts interval) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    present timestamptz := ledgerline.clock();
BEGIN
    DELETE FROM ledgerline.console_sessions WHERE expires_at <= present;
    INSERT INTO ledgerline.console_sessions (token_hash, subject, name, email, groups, started_at, expires_at)
        VALUES (hash, begin_console_session.subject, begin_console_session.name, begin_console_session.email, begin_console_session.groups, present, present + lasts);
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION ledgerline.console_session(hash bytea) RETURNS TABLE (subject text, name text, email text, groups text[], started_at timestamptz, expires_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT session.subject, session.name, session.email, session.groups, session.started_at, session.expires_at
        FROM ledgerline.console_sessions AS session WHERE session.token_hash = hash AND session.expires_at > ledgerline.clock()
    $$;
-- +goose StatementEnd
CREATE FUNCTION ledgerline.end_console_session(hash bytea) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'DELETE FROM ledgerline.console_sessions WHERE token_hash = hash';
REVOKE ALL ON FUNCTION ledgerline.begin_console_session(bytea, text, text, text, text[], interval), ledgerline.console_session(bytea),
    ledgerline.end_console_session(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.begin_console_session(bytea, text, text, text, text[], interval), ledgerline.console_session(bytea),
    ledgerline.end_console_session(bytea) TO ledgerline_console;

-- What people did: a row before it is done, and once what came of it. json and not jsonb, so
-- that an earlier answer is given again as it was, byte for byte.
CREATE TABLE ledgerline.console_actions (
    organization_id uuid        NOT NULL,
    action_id       uuid        NOT NULL,
    at              timestamptz NOT NULL DEFAULT ledgerline.clock(),
    ended_at        timestamptz,          -- NULL: it is under way, or its process ended meanwhile
    subject         text        NOT NULL, -- who, as the issuer names them
    actor           text        NOT NULL, -- who, for people
    action          text        NOT NULL, -- such as "retry"
    target          text        NOT NULL, -- to what, such as an export
    key             text,                 -- the idempotency key; NULL: none was given
    request         bytea,                -- SHA-256 of what was asked for
    status          integer,              -- as HTTP has it
    before          json,
    after           json,
    response        json,
    PRIMARY KEY (organization_id, action_id),
    CONSTRAINT action_has_its_words CHECK (length(subject) BETWEEN 1 AND 500 AND length(actor) BETWEEN 1 AND 500 AND action ~ '^[a-z][a-z_-]{0,63}$' AND length(target) <= 500),
    CONSTRAINT key_is_short CHECK (length(key) BETWEEN 1 AND 255),
    CONSTRAINT request_is_hashed CHECK (octet_length(request) = 32),
    CONSTRAINT key_has_its_request CHECK (key IS NULL OR request IS NOT NULL),
    CONSTRAINT status_exactly_if_ended CHECK ((ended_at IS NULL) = (status IS NULL)),
    CONSTRAINT status_is_a_status CHECK (status BETWEEN 100 AND 599),
    CONSTRAINT what_came_of_it_is_short CHECK (octet_length(before::text) <= 1000000 AND octet_length(after::text) <= 1000000 AND octet_length(response::text) <= 1000000)
);
CREATE UNIQUE INDEX key_is_used_once ON ledgerline.console_actions (organization_id, subject, key) WHERE key IS NOT NULL;
CREATE INDEX console_actions_by_time ON ledgerline.console_actions (organization_id, at, action_id);
-- +goose StatementBegin
CREATE FUNCTION ledgerline.action_ends_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.ended_at IS NOT NULL OR NEW.status IS NULL
       OR (NEW.organization_id, NEW.action_id, NEW.at, NEW.subject, NEW.actor, NEW.action, NEW.target) IS DISTINCT FROM
          (OLD.organization_id, OLD.action_id, OLD.at, OLD.subject, OLD.actor, OLD.action, OLD.target)
       OR NEW.key IS DISTINCT FROM OLD.key OR NEW.request IS DISTINCT FROM OLD.request THEN
        RAISE EXCEPTION 'action % has ended, or this is not its end', OLD.action_id USING ERRCODE = 'check_violation', CONSTRAINT = 'action_ends_once';
    END IF;
    NEW.ended_at := ledgerline.clock();
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER ends_once BEFORE UPDATE ON ledgerline.console_actions FOR EACH ROW EXECUTE FUNCTION ledgerline.action_ends_once();
ALTER TABLE ledgerline.console_actions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.console_actions
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
CREATE POLICY functions_of_the_owner ON ledgerline.console_actions TO ledgerline_owner USING (true) WITH CHECK (true);
GRANT SELECT ON ledgerline.console_actions TO ledgerline_operator, ledgerline_reader, ledgerline_console;
GRANT INSERT (organization_id, action_id, subject, actor, action, target, key, request, before), UPDATE (status, before, after, response)
    ON ledgerline.console_actions TO ledgerline_console;

-- Who has seen what needs a person. Rows are only added: the last one of a key counts.
CREATE TABLE ledgerline.console_acknowledgements (
    organization_id    uuid        NOT NULL,
    acknowledgement_id bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    key                text        NOT NULL, -- one occurrence of a thing, such as "incident/…/2026-10-31T06:30:00Z"
    note               text        NOT NULL,
    actor              text        NOT NULL,
    at                 timestamptz NOT NULL DEFAULT ledgerline.clock(),
    PRIMARY KEY (organization_id, acknowledgement_id),
    CONSTRAINT acknowledgement_has_its_words CHECK (length(key) BETWEEN 1 AND 500 AND length(note) <= 500 AND length(actor) BETWEEN 1 AND 500)
);
CREATE INDEX console_acknowledgements_by_key ON ledgerline.console_acknowledgements (organization_id, key, acknowledgement_id);
ALTER TABLE ledgerline.console_acknowledgements ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.console_acknowledgements
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
CREATE POLICY functions_of_the_owner ON ledgerline.console_acknowledgements TO ledgerline_owner USING (true) WITH CHECK (true);
GRANT SELECT ON ledgerline.console_acknowledgements TO ledgerline_operator, ledgerline_reader, ledgerline_console;
GRANT INSERT (organization_id, key, note, actor) ON ledgerline.console_acknowledgements TO ledgerline_console;

-- Removes what is older than keep_months whole months, of all organizations, and returns how
-- many rows: the months of integration_run_logs are dropped by drop_partitions.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.drop_console_records(keep_months integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    oldest  timestamptz := (date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => keep_months)) AT TIME ZONE 'UTC';
    actions bigint;
    seen    bigint;
BEGIN
    IF keep_months < 1 THEN
        RAISE EXCEPTION 'drop_console_records: keep at least one month';
    END IF;
    DELETE FROM ledgerline.console_actions WHERE at < oldest;
    GET DIAGNOSTICS actions = ROW_COUNT;
    DELETE FROM ledgerline.console_acknowledgements WHERE at < oldest;
    GET DIAGNOSTICS seen = ROW_COUNT;
    RETURN actions + seen;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION ledgerline.drop_console_records(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.drop_console_records(integer) TO ledgerline_retention;

-- Files that people have dropped and not confirmed yet. They have entries, so they are not
-- kept for longer than an hour, and only the console reads them.
CREATE TABLE ledgerline.console_uploads (
    organization_id uuid        NOT NULL,
    upload_id       uuid        NOT NULL,
    name            text        NOT NULL,
    content         bytea       NOT NULL,
    actor           text        NOT NULL,
    stored_at       timestamptz NOT NULL DEFAULT ledgerline.clock(),
    expires_at      timestamptz NOT NULL DEFAULT ledgerline.clock() + interval '1 hour',
    PRIMARY KEY (organization_id, upload_id),
    CONSTRAINT upload_has_its_words CHECK (length(name) BETWEEN 1 AND 500 AND length(actor) BETWEEN 1 AND 500),
    CONSTRAINT upload_is_bounded CHECK (octet_length(content) BETWEEN 1 AND 33554432),
    CONSTRAINT upload_is_short CHECK (expires_at > stored_at AND expires_at <= stored_at + interval '2 hours')
);
CREATE INDEX console_uploads_by_end ON ledgerline.console_uploads (expires_at);
ALTER TABLE ledgerline.console_uploads ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.console_uploads
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
CREATE POLICY functions_of_the_owner ON ledgerline.console_uploads TO ledgerline_owner USING (true) WITH CHECK (true);
GRANT SELECT, INSERT (organization_id, upload_id, name, content, actor), DELETE ON ledgerline.console_uploads TO ledgerline_console;
-- Of all organizations, since nobody may come back to the one whose file it was.
CREATE FUNCTION ledgerline.drop_expired_uploads() RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'DELETE FROM ledgerline.console_uploads WHERE expires_at <= ledgerline.clock()';
REVOKE ALL ON FUNCTION ledgerline.drop_expired_uploads() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.drop_expired_uploads() TO ledgerline_console;

-- A page of the vouchers of an export begins where the one before ended. Bytes are compared,
-- so that the order is the same in every database and the beginning of an ID can be looked for.
CREATE INDEX export_entries_by_voucher ON ledgerline.export_entries (organization_id, export_id, voucher_id COLLATE "C");
-- What the vendor does not have, by what became of it: few, whatever the history.
CREATE INDEX export_entries_missing ON ledgerline.export_entries
    (organization_id, export_id, (CASE WHEN correction = 'withdrawn' THEN correction ELSE state END), voucher_id COLLATE "C") WHERE state <> 'exported';
CREATE INDEX export_entries_late_errors ON ledgerline.export_entries (organization_id, export_id) WHERE late_error IS NOT NULL;
-- A voucher as it is stored.
CREATE INDEX accounting_entries_by_voucher ON ledgerline.accounting_entries (organization_id, voucher_id);
-- Ticks that are not done, and the last delivery of each channel that ended.
CREATE INDEX schedule_ticks_not_done ON ledgerline.schedule_ticks (organization_id, expected_at) WHERE export_id IS NULL;
CREATE INDEX deliveries_ended ON ledgerline.notification_deliveries (organization_id, channel, finished_at) WHERE finished_at IS NOT NULL;

-- What of an export is at its vendor. An exported entry is final, so this is counted once,
-- when the export has ended. Where a person finds out later that the vendor has more, what was
-- counted of the integration is forgotten, and counted again.
CREATE TABLE ledgerline.export_sums (
    organization_id uuid    NOT NULL,
    export_id       uuid    NOT NULL,
    entries         integer NOT NULL,
    late            integer NOT NULL, -- of them: dated before the period
    vouchers        integer NOT NULL, -- of which the exports that it retries have nothing
    amounts         jsonb   NOT NULL, -- sum of the positive amounts by currency, as text; without a currency that has none
    PRIMARY KEY (organization_id, export_id),
    CONSTRAINT sum_of_an_export FOREIGN KEY (organization_id, export_id) REFERENCES ledgerline.bufdir_export_audit_log (organization_id, export_id) ON DELETE CASCADE,
    CONSTRAINT amounts_can_be_read CHECK (ledgerline.decodes_as(amounts, '"texts"'))
);
ALTER TABLE ledgerline.export_sums ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.export_sums
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
GRANT SELECT ON ledgerline.export_sums TO ledgerline_operator, ledgerline_reader, ledgerline_console;

-- Counts those of the given exports that have ended and are not counted, and returns how many
-- it has counted. It waits for whoever makes others forget, and they for it.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.sum_exports(given uuid[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    org     uuid := ledgerline.current_organization();
    one     record;
    counted integer := 0;
    n       integer;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'exports are counted in a transaction that is read committed';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('ledgerline.sums/' || org, 0));
    FOR one IN
        WITH RECURSIVE line AS (
            SELECT export_id AS wanted, export_id, parent_export_id, integration_id, status FROM ledgerline.bufdir_export_audit_log
            WHERE organization_id = org AND export_id = ANY(given)
            UNION ALL
            SELECT line.wanted, parent.export_id, parent.parent_export_id, parent.integration_id, parent.status
            FROM line JOIN ledgerline.bufdir_export_audit_log AS parent ON parent.organization_id = org AND parent.export_id = line.parent_export_id
        )
        SELECT wanted, array_agg(export_id) FILTER (WHERE export_id <> wanted) AS retried FROM line
        WHERE NOT EXISTS (SELECT FROM ledgerline.export_sums AS known WHERE known.organization_id = org AND known.export_id = wanted)
        GROUP BY wanted
        HAVING bool_and(status <> 'pending') AND NOT EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log AS adoption WHERE adoption.organization_id = org
            AND adoption.integration_id = ANY(array_agg(line.integration_id)) AND adoption.status = 'pending' AND adoption.trigger = 'adopt')
    LOOP
        INSERT INTO ledgerline.export_sums (organization_id, export_id, entries, late, vouchers, amounts)
            SELECT org, one.wanted, coalesce(sum(entries), 0), coalesce(sum(late), 0),
                count(*) FILTER (WHERE is_first AND (one.retried IS NULL OR NOT EXISTS (
                    SELECT FROM ledgerline.export_entries AS earlier WHERE earlier.organization_id = org AND earlier.export_id = ANY(one.retried)
                        AND earlier.voucher_id COLLATE "C" = by_voucher.voucher_id AND earlier.state = 'exported'))),
                coalesce((SELECT jsonb_object_agg(currency, round(amount, greatest(2, scale(amount)))::text) FROM (
                    SELECT currency, sum(amount) AS amount FROM ledgerline.export_entries
                    WHERE organization_id = org AND export_id = one.wanted AND state = 'exported' AND amount > 0 GROUP BY currency) AS by_currency), '{}')
            FROM (SELECT voucher_id COLLATE "C" AS voucher_id, true AS is_first, count(*) AS entries, count(*) FILTER (WHERE late) AS late
                FROM ledgerline.export_entries WHERE organization_id = org AND export_id = one.wanted AND state = 'exported' GROUP BY 1) AS by_voucher
            ON CONFLICT (organization_id, export_id) DO NOTHING;
        GET DIAGNOSTICS n = ROW_COUNT;
        counted := counted + n;
    END LOOP;
    RETURN counted;
END
$$;
-- +goose StatementEnd
-- An export that has exported all that it had gets no more, unless it is a retry: its vouchers
-- may be in what it retries.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.sums_are_forgotten() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ledgerline.sums/' || NEW.organization_id, 0));
    DELETE FROM ledgerline.export_sums AS known USING ledgerline.bufdir_export_audit_log AS export
        WHERE known.organization_id = NEW.organization_id AND export.organization_id = NEW.organization_id AND export.export_id = known.export_id
          AND export.integration_id = (SELECT integration_id FROM ledgerline.bufdir_export_audit_log
              WHERE organization_id = NEW.organization_id AND export_id = NEW.export_id)
          AND (export.entries_total > export.entries_exported OR export.parent_export_id IS NOT NULL);
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER sums_are_forgotten AFTER INSERT ON ledgerline.export_resolutions FOR EACH ROW EXECUTE FUNCTION ledgerline.sums_are_forgotten();
CREATE TRIGGER sums_are_forgotten AFTER INSERT ON ledgerline.bufdir_export_audit_log FOR EACH ROW WHEN (NEW.trigger = 'adopt')
    EXECUTE FUNCTION ledgerline.sums_are_forgotten();
REVOKE ALL ON FUNCTION ledgerline.sum_exports(uuid[]), ledgerline.sums_are_forgotten() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.sum_exports(uuid[]) TO ledgerline_worker, ledgerline_console;

-- +goose Down
DROP TRIGGER sums_are_forgotten ON ledgerline.bufdir_export_audit_log;
DROP TRIGGER sums_are_forgotten ON ledgerline.export_resolutions;
DROP FUNCTION ledgerline.sums_are_forgotten(), ledgerline.sum_exports(uuid[]);
DROP TABLE ledgerline.export_sums;
DROP INDEX ledgerline.deliveries_ended, ledgerline.schedule_ticks_not_done, ledgerline.accounting_entries_by_voucher,
    ledgerline.export_entries_late_errors, ledgerline.export_entries_missing, ledgerline.export_entries_by_voucher;
DROP FUNCTION ledgerline.drop_expired_uploads(), ledgerline.drop_console_records(integer);
DROP TABLE ledgerline.console_uploads, ledgerline.console_acknowledgements, ledgerline.console_actions;
DROP FUNCTION ledgerline.action_ends_once(), ledgerline.end_console_session(bytea), ledgerline.console_session(bytea),
    ledgerline.begin_console_session(bytea, text, text, text, text[], interval);
DROP TABLE ledgerline.console_sessions;
REVOKE EXECUTE ON FUNCTION ledgerline.use_payload_key(text), ledgerline.lock_corrections(), ledgerline.entry_content(text, date, text, numeric, text, text, jsonb),
    ledgerline.resolve_voucher(uuid, text, boolean, text, text), ledgerline.clock(), ledgerline.organizations(), ledgerline.find_organization(text),
    ledgerline.list_organizations() FROM ledgerline_console;
ALTER POLICY of_no_organization ON ledgerline.workers TO ledgerline_operator, ledgerline_reader;
REVOKE ALL ON ALL TABLES IN SCHEMA ledgerline FROM ledgerline_console;
REVOKE SELECT (worker_id, identity, host, version, revision, namespace, task_queue, started_at, seen_at, stopping_at, stopped_at, clock_offset, needs, lacking, examined_at,
    pauses_read_at) ON ledgerline.workers FROM ledgerline_console;
REVOKE UPDATE (voucher_id, entry_date, account, amount, currency, text, dimensions) ON ledgerline.accounting_entries FROM ledgerline_console;
REVOKE UPDATE (paused_at, paused_by, pause_reason) ON ledgerline.integrations FROM ledgerline_console;
REVOKE USAGE ON SCHEMA ledgerline FROM ledgerline_console;
