-- Failures reach a person: incidents of an export or a workflow, why an export waits,
-- and what metrics count. Programs of version 8 work with it: they see nothing of it.

-- +goose Up
ALTER TABLE ledgerline.notifications DROP CONSTRAINT cause_is_known, ADD CONSTRAINT cause_is_known CHECK (cause IN (
        'failing', 'recovered', 'export_failed', 'export_recovered', 'export_overdue', 'export_ended', 'workflow_failing', 'workflow_recovered',
        'late', 'missed', 'quota_80', 'quota_100', 'credentials', 'secret_expires', 'rejected', 'late_errors', 'unsent', 'test')),
    DROP CONSTRAINT facts_can_be_read, ADD CONSTRAINT facts_can_be_read CHECK (ledgerline.decodes_as(facts, '{"errorKind": "text", "exportId": "uuid", "period": "text", "scheduledAt": "time",
        "lateSeconds": [-100000000000, 100000000000], "since": "time", "others": "list", "earlier": {"count": [0, 1000000000], "integrations": "list"},
        "entries": {"total": [0, 1000000000000], "exported": [0, 1000000000000], "rejected": [0, 1000000000000], "unknown": [0, 1000000000000], "lateErrors": [0, 1000000000000], "unsent": [0, 1000000000000]},
        "quota": {"month": "text", "used": [0, 100000000000000000], "limit": [0, 100000000000000000], "percent": [0, 1000000000]},
        "secret": {"credential": "text", "source": "text", "expiresAt": "time", "days": [-1000000, 1000000]},
        "waiting": {"for": "text", "until": "time"}, "workflow": {"type": "text", "id": "text"}}'));

-- Trouble of one subject: an export that failed or is overdue, a workflow whose code
-- fails. It is as in incidents, but that an integration can have several at a time, and
-- that one is notified again while it lasts.
CREATE TABLE ledgerline.subject_incidents (
    organization_id uuid        NOT NULL,
    incident_id     uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    cause           text        NOT NULL,
    subject         text        NOT NULL, -- the export's ID, or the workflow's
    facts           jsonb       NOT NULL,
    opened_at       timestamptz NOT NULL,
    closed_at       timestamptz,
    opening_notification_id uuid, -- of its beginning; NULL: nobody was notified
    closing_notification_id uuid, -- of its end
    notified_at     timestamptz,  -- when it was notified last that it lasts
    reminder_due    boolean     NOT NULL DEFAULT false, -- it is to be notified again
    PRIMARY KEY (organization_id, incident_id),
    CONSTRAINT incident_of_an_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT opening_is_a_notification FOREIGN KEY (organization_id, opening_notification_id)
        REFERENCES ledgerline.notifications (organization_id, notification_id),
    CONSTRAINT closing_is_a_notification FOREIGN KEY (organization_id, closing_notification_id)
        REFERENCES ledgerline.notifications (organization_id, notification_id),
    CONSTRAINT cause_has_a_subject CHECK (cause IN ('export_failed', 'export_overdue', 'workflow_failing')),
    CONSTRAINT export_is_an_id CHECK (cause = 'workflow_failing' OR subject ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
    CONSTRAINT subject_is_a_name CHECK (length(subject) BETWEEN 1 AND 250),
    CONSTRAINT facts_are_few CHECK (length(facts::text) <= 4000),
    CONSTRAINT facts_can_be_read CHECK (ledgerline.decodes_as(facts, '{"errorKind": "text", "exportId": "uuid", "period": "text", "scheduledAt": "time",
        "lateSeconds": [-100000000000, 100000000000], "since": "time", "others": "list", "earlier": {"count": [0, 1000000000], "integrations": "list"},
        "entries": {"total": [0, 1000000000000], "exported": [0, 1000000000000], "rejected": [0, 1000000000000], "unknown": [0, 1000000000000], "lateErrors": [0, 1000000000000], "unsent": [0, 1000000000000]},
        "quota": {"month": "text", "used": [0, 100000000000000000], "limit": [0, 100000000000000000], "percent": [0, 1000000000]},
        "secret": {"credential": "text", "source": "text", "expiresAt": "time", "days": [-1000000, 1000000]},
        "waiting": {"for": "text", "until": "time"}, "workflow": {"type": "text", "id": "text"}}')),
    CONSTRAINT closing_follows_opening CHECK (closing_notification_id IS NULL OR opening_notification_id IS NOT NULL AND closed_at IS NOT NULL)
);
CREATE UNIQUE INDEX one_incident_of_a_subject ON ledgerline.subject_incidents (organization_id, integration_id, cause, subject)
    WHERE closed_at IS NULL OR opening_notification_id IS NOT NULL AND closing_notification_id IS NULL;
CREATE TRIGGER one_way BEFORE UPDATE ON ledgerline.subject_incidents FOR EACH ROW EXECUTE FUNCTION ledgerline.incident_goes_one_way();
ALTER TABLE ledgerline.subject_incidents ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.subject_incidents
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
CREATE POLICY functions_of_the_owner ON ledgerline.subject_incidents FOR SELECT TO ledgerline_owner USING (true);
GRANT SELECT ON ledgerline.subject_incidents TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.subject_incidents TO ledgerline_worker;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledgerline.organizations_to_notify() RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT organization_id FROM ledgerline.notification_deliveries WHERE state = 'pending' AND started_at IS NULL
    UNION
    SELECT incident.organization_id FROM (
        SELECT organization_id, integration_id, cause, opening_notification_id, closing_notification_id, closed_at, false AS reminder_due FROM ledgerline.incidents
            WHERE closed_at IS NULL OR opening_notification_id IS NOT NULL AND closing_notification_id IS NULL
        UNION ALL
        SELECT organization_id, integration_id, cause, opening_notification_id, closing_notification_id, closed_at, reminder_due FROM ledgerline.subject_incidents
            WHERE closed_at IS NULL OR opening_notification_id IS NOT NULL AND closing_notification_id IS NULL
    ) AS incident
    JOIN ledgerline.integrations AS integration
        ON integration.organization_id = incident.organization_id AND integration.integration_id = incident.integration_id AND integration.removed_at IS NULL
    LEFT JOIN ledgerline.notification_windows AS hour ON hour.organization_id = incident.organization_id
        AND hour.cause = CASE WHEN incident.closed_at IS NULL THEN incident.cause
            ELSE CASE incident.cause WHEN 'export_failed' THEN 'export_recovered' WHEN 'export_overdue' THEN 'export_ended'
                WHEN 'workflow_failing' THEN 'workflow_recovered' ELSE 'recovered' END END
    WHERE (incident.closed_at IS NULL AND (incident.opening_notification_id IS NULL OR incident.reminder_due)
        OR incident.closed_at IS NOT NULL AND incident.opening_notification_id IS NOT NULL AND incident.closing_notification_id IS NULL)
      AND (hour.opened_at IS NULL OR hour.opened_at <= now() - interval '1 hour')
    UNION
    SELECT hour.organization_id FROM ledgerline.notification_windows AS hour
    JOIN ledgerline.notifications AS notification ON notification.organization_id = hour.organization_id AND notification.notification_id = hour.notification_id
    WHERE notification.suppressed > 0
      AND hour.cause NOT IN ('failing', 'recovered', 'credentials', 'export_failed', 'export_recovered', 'export_overdue', 'export_ended', 'workflow_failing', 'workflow_recovered')
      AND hour.opened_at BETWEEN now() - interval '1 day' AND now() - interval '1 hour'
$$;
-- +goose StatementEnd

-- Why a pending export is deferred: the kind of the error that it waits for to pass.
ALTER TABLE ledgerline.bufdir_export_audit_log ADD COLUMN deferred_for text,
    ADD CONSTRAINT deferred_for_is_a_word CHECK (deferred_for ~ '^[a-z_]{1,40}$');

-- What is looked for every few seconds, whatever the history: it has few rows.
CREATE INDEX exports_pending ON ledgerline.bufdir_export_audit_log (organization_id, started_at) WHERE status = 'pending';
CREATE INDEX exports_failed ON ledgerline.bufdir_export_audit_log (organization_id, export_id) WHERE status = 'failed';
CREATE INDEX exports_retried ON ledgerline.bufdir_export_audit_log (organization_id, parent_export_id) WHERE parent_export_id IS NOT NULL;
CREATE INDEX writes_open ON ledgerline.write_claims (open_until) WHERE effect = 'open';

-- What the worker's metrics show of all organizations: numbers and no names. Its cost
-- follows what is pending, failed or open, and not the history: each index that it uses
-- leaves out what is done. A plan that reads all of a table is ruled out, also where the
-- planner knows nothing of the tables yet.
CREATE POLICY functions_of_the_owner ON ledgerline.bufdir_export_audit_log FOR SELECT TO ledgerline_owner USING (true);
CREATE POLICY functions_of_the_owner ON ledgerline.export_entries FOR SELECT TO ledgerline_owner USING (true);
CREATE POLICY functions_of_the_owner ON ledgerline.write_claims FOR SELECT TO ledgerline_owner USING (true);
-- +goose StatementBegin
CREATE FUNCTION ledgerline.measure() RETURNS TABLE (metric text, label text, value double precision)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    WITH pending AS MATERIALIZED (
        SELECT organization_id, export_id, started_at FROM ledgerline.bufdir_export_audit_log WHERE status = 'pending' AND trigger <> 'adopt'
    ), failed AS MATERIALIZED ( -- and not retried
        SELECT organization_id, export_id, finished_at, entries_total, entries_exported, entries_rejected, entries_unknown
        FROM ledgerline.bufdir_export_audit_log AS export WHERE status = 'failed' AND trigger <> 'adopt'
          AND NOT EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log AS retry
              WHERE retry.organization_id = export.organization_id AND retry.parent_export_id = export.export_id)
    ), entries AS MATERIALIZED (
        SELECT entry.state, count(*) AS entries, count(*) FILTER (WHERE entry.effect = 'open' AND entry.open_until > clock_timestamp()) AS open
        FROM pending CROSS JOIN LATERAL (SELECT state, effect, open_until FROM ledgerline.export_entries AS entry
            WHERE entry.organization_id = pending.organization_id AND entry.export_id = pending.export_id) AS entry
        GROUP BY entry.state
    ), just_failed AS MATERIALIZED ( -- no vendor works on a request for a day
        SELECT count(*) AS open FROM failed CROSS JOIN LATERAL (SELECT FROM ledgerline.export_entries AS entry
            WHERE entry.organization_id = failed.organization_id AND entry.export_id = failed.export_id
              AND entry.effect = 'open' AND entry.open_until > clock_timestamp()) AS entry
        WHERE failed.entries_unknown > 0 AND failed.finished_at > now() - interval '1 day'
    )
    SELECT 'exports', 'pending', count(*)::double precision FROM pending
    UNION ALL SELECT 'exports', 'failed', count(*) FROM failed
    UNION ALL SELECT 'oldest_pending', '', coalesce(extract(epoch FROM clock_timestamp() - min(started_at)), 0) FROM pending
    UNION ALL SELECT 'entries', state, sum(entries) FROM (
        SELECT state, entries FROM entries
        UNION ALL SELECT 'exported', sum(entries_exported) FROM failed
        UNION ALL SELECT 'rejected', sum(entries_rejected) FROM failed
        UNION ALL SELECT 'unknown', sum(entries_unknown) FROM failed
        UNION ALL SELECT 'planned', sum(entries_total - entries_exported - entries_rejected - entries_unknown) FROM failed
    ) AS counted GROUP BY state
    UNION ALL SELECT 'open_writes', 'export', coalesce((SELECT sum(open) FROM entries), 0) + (SELECT open FROM just_failed)
    UNION ALL SELECT 'open_writes', 'call', count(*) FROM ledgerline.write_claims WHERE effect = 'open' AND open_until > clock_timestamp()
    UNION ALL SELECT 'incidents', cause, count(*) FROM (
        SELECT cause FROM ledgerline.incidents WHERE closed_at IS NULL
        UNION ALL SELECT cause FROM ledgerline.subject_incidents WHERE closed_at IS NULL) AS open GROUP BY cause
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION ledgerline.measure() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.measure() TO ledgerline_worker;

-- How many integrations are in which state of health, of all organizations together.
CREATE POLICY functions_of_the_owner ON ledgerline.integration_health FOR SELECT TO ledgerline_owner USING (true);
-- +goose StatementBegin
CREATE FUNCTION ledgerline.count_health() RETURNS TABLE (state text, integrations bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT health.state, count(*) FROM ledgerline.integration_health AS health
        JOIN ledgerline.integrations AS integration USING (organization_id, integration_id)
        WHERE integration.removed_at IS NULL GROUP BY health.state;
    $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION ledgerline.count_health() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.count_health() TO ledgerline_worker;

-- +goose Down
DROP FUNCTION ledgerline.count_health();
DROP POLICY functions_of_the_owner ON ledgerline.integration_health;
DROP FUNCTION ledgerline.measure();
DROP POLICY functions_of_the_owner ON ledgerline.write_claims;
DROP POLICY functions_of_the_owner ON ledgerline.export_entries;
DROP POLICY functions_of_the_owner ON ledgerline.bufdir_export_audit_log;
DROP INDEX ledgerline.writes_open, ledgerline.exports_retried, ledgerline.exports_failed, ledgerline.exports_pending;
ALTER TABLE ledgerline.bufdir_export_audit_log DROP COLUMN deferred_for;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledgerline.organizations_to_notify() RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT organization_id FROM ledgerline.notification_deliveries WHERE state = 'pending' AND started_at IS NULL
    UNION
    SELECT incident.organization_id FROM ledgerline.incidents AS incident
    JOIN ledgerline.integrations AS integration
        ON integration.organization_id = incident.organization_id AND integration.integration_id = incident.integration_id AND integration.removed_at IS NULL
    LEFT JOIN ledgerline.notification_windows AS hour ON hour.organization_id = incident.organization_id
        AND hour.cause = CASE WHEN incident.closed_at IS NULL THEN incident.cause ELSE 'recovered' END
    WHERE (incident.closed_at IS NULL AND incident.opening_notification_id IS NULL
        OR incident.closed_at IS NOT NULL AND incident.opening_notification_id IS NOT NULL AND incident.closing_notification_id IS NULL)
      AND (hour.opened_at IS NULL OR hour.opened_at <= now() - interval '1 hour')
    UNION
    SELECT hour.organization_id FROM ledgerline.notification_windows AS hour
    JOIN ledgerline.notifications AS notification ON notification.organization_id = hour.organization_id AND notification.notification_id = hour.notification_id
    WHERE notification.suppressed > 0 AND hour.cause NOT IN ('failing', 'recovered', 'credentials')
      AND hour.opened_at BETWEEN now() - interval '1 day' AND now() - interval '1 hour'
$$;
-- +goose StatementEnd
DROP TABLE ledgerline.subject_incidents;
-- What people were notified of stays on record, although version 8 has no word for it.
ALTER TABLE ledgerline.notifications DROP CONSTRAINT cause_is_known, ADD CONSTRAINT cause_is_known CHECK (cause IN (
        'failing', 'recovered', 'late', 'missed', 'quota_80', 'quota_100',
        'credentials', 'secret_expires', 'rejected', 'late_errors', 'unsent', 'test')) NOT VALID,
    DROP CONSTRAINT facts_can_be_read, ADD CONSTRAINT facts_can_be_read CHECK (ledgerline.decodes_as(facts, '{"errorKind": "text", "exportId": "uuid", "period": "text", "scheduledAt": "time",
        "lateSeconds": [-100000000000, 100000000000], "since": "time", "others": "list", "earlier": {"count": [0, 1000000000], "integrations": "list"},
        "entries": {"total": [0, 1000000000000], "exported": [0, 1000000000000], "rejected": [0, 1000000000000], "unknown": [0, 1000000000000], "lateErrors": [0, 1000000000000], "unsent": [0, 1000000000000]},
        "quota": {"month": "text", "used": [0, 100000000000000000], "limit": [0, 100000000000000000], "percent": [0, 1000000000]},
        "secret": {"credential": "text", "source": "text", "expiresAt": "time", "days": [-1000000, 1000000]}}')) NOT VALID;
