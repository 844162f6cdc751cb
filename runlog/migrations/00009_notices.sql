-- Refused credentials are an incident like a failing period, so that their end
-- is told. What the hour of a cause kept back is told when it is over. A quota's
-- thresholds are told anew for another limit. Old batches of counts are dropped.

-- +goose Up
ALTER TABLE ledgerline.incidents
    ADD COLUMN cause text NOT NULL DEFAULT 'failing',
    ADD CONSTRAINT cause_has_an_end CHECK (cause IN ('failing', 'credentials'));
DROP INDEX ledgerline.one_incident_at_a_time;
CREATE UNIQUE INDEX one_incident_at_a_time ON ledgerline.incidents (organization_id, integration_id, cause)
    WHERE closed_at IS NULL OR failing_id IS NOT NULL AND recovered_id IS NULL;

CREATE POLICY functions_of_the_owner ON ledgerline.notifications FOR SELECT TO ledgerline_owner USING (true);
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledgerline.organizations_to_notify() RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT organization_id FROM ledgerline.notification_deliveries WHERE state = 'pending' AND started_at IS NULL
    UNION
    SELECT i.organization_id FROM ledgerline.incidents i
    JOIN ledgerline.integrations g ON g.organization_id = i.organization_id AND g.integration_id = i.integration_id AND g.removed_at IS NULL
    LEFT JOIN ledgerline.notification_windows w ON w.organization_id = i.organization_id
        AND w.cause = CASE WHEN i.closed_at IS NULL THEN i.cause ELSE 'recovered' END
    WHERE (i.closed_at IS NULL AND i.failing_id IS NULL OR i.closed_at IS NOT NULL AND i.failing_id IS NOT NULL AND i.recovered_id IS NULL)
      AND (w.opened_at IS NULL OR w.opened_at <= now() - interval '1 hour')
    UNION
    SELECT w.organization_id FROM ledgerline.notification_windows w
    JOIN ledgerline.notifications n ON n.organization_id = w.organization_id AND n.notification_id = w.notification_id
    WHERE n.suppressed > 0 AND w.cause NOT IN ('failing', 'recovered', 'credentials')
      AND w.opened_at BETWEEN now() - interval '1 day' AND now() - interval '1 hour'
$$;
-- +goose StatementEnd

ALTER TABLE ledgerline.quota_warnings ADD COLUMN monthly bigint NOT NULL DEFAULT 0; -- the limit that the percentage is of
ALTER TABLE ledgerline.quota_warnings NO FORCE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.integrations NO FORCE ROW LEVEL SECURITY;
UPDATE ledgerline.quota_warnings w SET monthly = coalesce((i.limits ->> 'monthlyRequests')::bigint, 0)
    FROM ledgerline.integrations i WHERE i.organization_id = w.organization_id AND i.integration_id = w.integration_id;
ALTER TABLE ledgerline.quota_warnings FORCE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.integrations FORCE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.quota_warnings ALTER COLUMN monthly DROP DEFAULT,
    DROP CONSTRAINT quota_warnings_pkey, ADD PRIMARY KEY (organization_id, integration_id, month, percent, monthly);

-- The row of a worker process is of use while it may store its last batch
-- again; a process that starts removes those of three months ago.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.old_batches_go() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM ledgerline.quota_batches WHERE stored_at < now() - interval '3 months';
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER old_batches_go AFTER INSERT ON ledgerline.quota_batches FOR EACH ROW EXECUTE FUNCTION ledgerline.old_batches_go();

-- +goose Down
DROP TRIGGER old_batches_go ON ledgerline.quota_batches;
DROP FUNCTION ledgerline.old_batches_go();
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledgerline.organizations_to_notify() RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT organization_id FROM ledgerline.notification_deliveries WHERE state = 'pending' AND started_at IS NULL
    UNION
    SELECT i.organization_id FROM ledgerline.incidents i
    JOIN ledgerline.integrations g ON g.organization_id = i.organization_id AND g.integration_id = i.integration_id AND g.removed_at IS NULL
    LEFT JOIN ledgerline.notification_windows w ON w.organization_id = i.organization_id
        AND w.cause = CASE WHEN i.closed_at IS NULL THEN 'failing' ELSE 'recovered' END
    WHERE (i.closed_at IS NULL AND i.failing_id IS NULL OR i.closed_at IS NOT NULL AND i.failing_id IS NOT NULL AND i.recovered_id IS NULL)
      AND (w.opened_at IS NULL OR w.opened_at <= now() - interval '1 hour')
$$;
-- +goose StatementEnd
ALTER TABLE ledgerline.quota_warnings NO FORCE ROW LEVEL SECURITY;
DELETE FROM ledgerline.quota_warnings w USING ledgerline.quota_warnings o
    WHERE (o.organization_id, o.integration_id, o.month, o.percent) = (w.organization_id, w.integration_id, w.month, w.percent) AND o.monthly > w.monthly;
ALTER TABLE ledgerline.quota_warnings FORCE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.quota_warnings DROP CONSTRAINT quota_warnings_pkey, DROP COLUMN monthly, ADD PRIMARY KEY (organization_id, integration_id, month, percent);
DROP POLICY functions_of_the_owner ON ledgerline.notifications;
ALTER TABLE ledgerline.incidents NO FORCE ROW LEVEL SECURITY;
DELETE FROM ledgerline.incidents WHERE cause <> 'failing';
ALTER TABLE ledgerline.incidents FORCE ROW LEVEL SECURITY;
DROP INDEX ledgerline.one_incident_at_a_time;
ALTER TABLE ledgerline.incidents DROP COLUMN cause;
CREATE UNIQUE INDEX one_incident_at_a_time ON ledgerline.incidents (organization_id, integration_id)
    WHERE closed_at IS NULL OR failing_id IS NOT NULL AND recovered_id IS NULL;
