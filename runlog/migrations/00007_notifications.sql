-- Notifications: where an organization is notified, of what, and what became of
-- each delivery. No vendor's words and no secret are in any of it.

-- +goose Up
CREATE TABLE ledgerline.notification_channels (
    organization_id uuid        NOT NULL,
    name            text        NOT NULL,
    kind            text        NOT NULL,
    settings        jsonb       NOT NULL,
    causes          text[]      NOT NULL DEFAULT '{}', -- empty: all
    applied_by      text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    removed_at      timestamptz, -- no longer in the file; its notifications stay on record
    disabled_at     timestamptz, -- the receiver said that it no longer exists
    PRIMARY KEY (organization_id, name),
    CONSTRAINT name_is_plain CHECK (name ~ '^[a-z0-9-]{1,63}$'), -- it is part of a workflow's ID
    CONSTRAINT kind_is_known CHECK (kind IN ('webhook', 'email')),
    CONSTRAINT settings_are_known CHECK (settings - CASE kind WHEN 'webhook' THEN ARRAY['url', 'secret'] ELSE ARRAY['to'] END = '{}'),
    CONSTRAINT settings_members_can_be_read CHECK (ledgerline.decodes_as(settings, CASE kind WHEN 'webhook' THEN '{"url": "text", "secret": "text"}'::jsonb ELSE '{"to": "list"}'::jsonb END)),
    CONSTRAINT settings_hold_no_secret CHECK (kind <> 'webhook' OR coalesce(
        jsonb_typeof(settings -> 'secret') = 'string' AND settings ->> 'secret' ~ '^(env:[A-Za-z_][A-Za-z0-9_]*|file:[^[:cntrl:]]+)$', false)),
    CONSTRAINT url_has_no_user CHECK (kind <> 'webhook' OR coalesce(settings ->> 'url' ~ '^https?://[^/?#@\\[:space:]]+([/?#]|$)', false))
);
ALTER TABLE ledgerline.notification_channels ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.notification_channels
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
GRANT SELECT ON ledgerline.notification_channels TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.notification_channels TO ledgerline_operator;
GRANT UPDATE (disabled_at) ON ledgerline.notification_channels TO ledgerline_worker;

-- What people are notified of. suppressed counts what came within the hour after it
-- and got no notification of its own, and other_integrations names where it came
-- from; the next notification of the cause repeats them in its facts.
CREATE TABLE ledgerline.notifications (
    organization_id uuid        NOT NULL,
    notification_id uuid        NOT NULL, -- the webhook-id
    cause           text        NOT NULL,
    integration_id  uuid,                 -- NULL: of no integration
    facts           jsonb       NOT NULL DEFAULT '{}',
    occurred_at     timestamptz NOT NULL,
    queued_at       timestamptz NOT NULL DEFAULT now(),
    suppressed      integer     NOT NULL DEFAULT 0,
    other_integrations text[]   NOT NULL DEFAULT '{}',
    PRIMARY KEY (organization_id, notification_id),
    CONSTRAINT notification_of_an_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT cause_is_known CHECK (cause IN ('failing', 'recovered', 'late', 'missed', 'quota_80', 'quota_100',
        'credentials', 'secret_expires', 'rejected', 'late_errors', 'unsent', 'test')),
    CONSTRAINT facts_are_few CHECK (length(facts::text) <= 4000),
    CONSTRAINT facts_can_be_read CHECK (ledgerline.decodes_as(facts, '{"errorKind": "text", "exportId": "uuid", "period": "text", "scheduledAt": "time",
        "lateSeconds": [-100000000000, 100000000000], "since": "time", "others": "list", "earlier": {"count": [0, 1000000000], "integrations": "list"},
        "entries": {"total": [0, 1000000000000], "exported": [0, 1000000000000], "rejected": [0, 1000000000000], "unknown": [0, 1000000000000], "lateErrors": [0, 1000000000000], "unsent": [0, 1000000000000]},
        "quota": {"month": "text", "used": [0, 100000000000000000], "limit": [0, 100000000000000000], "percent": [0, 1000000000]},
        "secret": {"credential": "text", "source": "text", "expiresAt": "time", "days": [-1000000, 1000000]}}')),
    CONSTRAINT other_integrations_are_bounded CHECK (cardinality(other_integrations) <= 20)
);
CREATE INDEX notifications_by_time ON ledgerline.notifications (organization_id, queued_at);
CREATE INDEX notifications_by_cause ON ledgerline.notifications (organization_id, cause, queued_at);
ALTER TABLE ledgerline.notifications ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.notifications
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
CREATE POLICY functions_of_the_owner ON ledgerline.notifications FOR SELECT TO ledgerline_owner USING (true);
GRANT SELECT ON ledgerline.notifications TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT ON ledgerline.notifications TO ledgerline_operator; -- tests of a channel
GRANT INSERT, UPDATE (suppressed, other_integrations) ON ledgerline.notifications TO ledgerline_worker;

-- At most one notification per cause and hour: the row says which was the last
-- one, and its lock makes those that come at the same time wait for each other.
-- The hour begins with that notification and is not an hour of the clock, so that
-- there are never two shortly before and after a full hour.
CREATE TABLE ledgerline.notification_windows (
    organization_id uuid        NOT NULL,
    cause           text        NOT NULL,
    opened_at       timestamptz NOT NULL,
    notification_id uuid        NOT NULL,
    PRIMARY KEY (organization_id, cause),
    CONSTRAINT window_is_of_a_notification FOREIGN KEY (organization_id, notification_id)
        REFERENCES ledgerline.notifications (organization_id, notification_id) DEFERRABLE INITIALLY DEFERRED
);
ALTER TABLE ledgerline.notification_windows ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.notification_windows
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
CREATE POLICY functions_of_the_owner ON ledgerline.notification_windows FOR SELECT TO ledgerline_owner USING (true);
GRANT SELECT ON ledgerline.notification_windows TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.notification_windows TO ledgerline_worker;

-- A period in which an integration fails, or its credentials are refused. It opens
-- once and closes once. People are notified of its beginning at most once, and
-- then of its end exactly once.
CREATE TABLE ledgerline.incidents (
    organization_id uuid        NOT NULL,
    incident_id     uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    cause           text        NOT NULL DEFAULT 'failing',
    error_kind      text        NOT NULL DEFAULT '',
    opened_at       timestamptz NOT NULL,
    closed_at       timestamptz,
    opening_notification_id uuid, -- of its beginning; NULL: nobody was notified
    closing_notification_id uuid, -- of its end
    PRIMARY KEY (organization_id, incident_id),
    CONSTRAINT incident_of_an_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT opening_is_a_notification FOREIGN KEY (organization_id, opening_notification_id)
        REFERENCES ledgerline.notifications (organization_id, notification_id),
    CONSTRAINT closing_is_a_notification FOREIGN KEY (organization_id, closing_notification_id)
        REFERENCES ledgerline.notifications (organization_id, notification_id),
    CONSTRAINT cause_has_an_end CHECK (cause IN ('failing', 'credentials')),
    CONSTRAINT closing_follows_opening CHECK (closing_notification_id IS NULL OR opening_notification_id IS NOT NULL AND closed_at IS NOT NULL)
);
-- Not settled: it has not ended, or nobody has been notified of its end yet.
CREATE UNIQUE INDEX one_incident_at_a_time ON ledgerline.incidents (organization_id, integration_id, cause)
    WHERE closed_at IS NULL OR opening_notification_id IS NOT NULL AND closing_notification_id IS NULL;
-- +goose StatementBegin
CREATE FUNCTION ledgerline.incident_goes_one_way() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.closing_notification_id IS NOT NULL OR OLD.closed_at IS NOT NULL AND OLD.opening_notification_id IS NULL
       OR OLD.opening_notification_id IS NOT NULL AND NEW.opening_notification_id IS DISTINCT FROM OLD.opening_notification_id THEN
        RAISE EXCEPTION 'incident % is settled', OLD.incident_id USING ERRCODE = 'check_violation', CONSTRAINT = 'incident_goes_one_way';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER one_way BEFORE UPDATE ON ledgerline.incidents FOR EACH ROW EXECUTE FUNCTION ledgerline.incident_goes_one_way();
ALTER TABLE ledgerline.incidents ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.incidents
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
CREATE POLICY functions_of_the_owner ON ledgerline.incidents FOR SELECT TO ledgerline_owner USING (true);
GRANT SELECT ON ledgerline.incidents TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.incidents TO ledgerline_worker;

-- The outbox: a row for each notification and channel.
CREATE TABLE ledgerline.notification_deliveries (
    organization_id uuid        NOT NULL,
    notification_id uuid        NOT NULL,
    channel         text        NOT NULL,
    state           text        NOT NULL DEFAULT 'pending',
    started_at      timestamptz, -- when Temporal had its workflow
    attempts        integer     NOT NULL DEFAULT 0,
    error_kind      text,        -- of the last attempt that failed
    status_code     integer,     -- what the receiver or mail server answered to it
    delivered_at    timestamptz,
    finished_at     timestamptz,
    PRIMARY KEY (organization_id, notification_id, channel),
    CONSTRAINT delivery_of_a_notification FOREIGN KEY (organization_id, notification_id)
        REFERENCES ledgerline.notifications (organization_id, notification_id),
    CONSTRAINT delivery_to_a_channel FOREIGN KEY (organization_id, channel)
        REFERENCES ledgerline.notification_channels (organization_id, name),
    CONSTRAINT state_is_known CHECK (state IN ('pending', 'delivered', 'failed')),
    CONSTRAINT finished_exactly_if_not_pending CHECK ((state = 'pending') = (finished_at IS NULL)),
    CONSTRAINT delivered_has_its_time CHECK ((state = 'delivered') = (delivered_at IS NOT NULL)),
    CONSTRAINT error_kind_is_a_word CHECK (error_kind ~ '^[a-z_]{1,40}$')
);
CREATE INDEX deliveries_to_start ON ledgerline.notification_deliveries (organization_id) WHERE state = 'pending' AND started_at IS NULL;
-- +goose StatementBegin
CREATE FUNCTION ledgerline.delivery_ends_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'pending' THEN
        RAISE EXCEPTION 'the delivery of % to % is %', OLD.notification_id, OLD.channel, OLD.state USING ERRCODE = 'check_violation', CONSTRAINT = 'delivery_ends_once';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER ends_once BEFORE UPDATE ON ledgerline.notification_deliveries FOR EACH ROW EXECUTE FUNCTION ledgerline.delivery_ends_once();
ALTER TABLE ledgerline.notification_deliveries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.notification_deliveries
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
CREATE POLICY functions_of_the_owner ON ledgerline.notification_deliveries FOR SELECT TO ledgerline_owner USING (true);
GRANT SELECT ON ledgerline.notification_deliveries TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT ON ledgerline.notification_deliveries TO ledgerline_operator; -- tests of a channel
GRANT INSERT, UPDATE (state, started_at, attempts, error_kind, status_code, delivered_at, finished_at) ON ledgerline.notification_deliveries TO ledgerline_worker;

-- The organizations for which there is something to do now: a delivery to start,
-- the beginning or end of an incident to notify of, or what the hour of a cause
-- suppressed. To ask each organization every few seconds would cost a transaction
-- for each.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.organizations_to_notify() RETURNS SETOF uuid
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
REVOKE ALL ON FUNCTION ledgerline.organizations_to_notify() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.organizations_to_notify() TO ledgerline_worker;

-- +goose Down
DROP FUNCTION ledgerline.organizations_to_notify();
DROP TABLE ledgerline.notification_deliveries, ledgerline.incidents, ledgerline.notification_windows, ledgerline.notifications, ledgerline.notification_channels;
DROP FUNCTION ledgerline.delivery_ends_once(), ledgerline.incident_goes_one_way();
