-- Integrations: the connections of organizations to their vendors, as the
-- integration files say, and who paused them.

-- +goose Up
CREATE TABLE ledgerline.integrations (
    organization_id uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    name            text        NOT NULL,
    adapter         text        NOT NULL,
    base_url        text        NOT NULL,
    settings        jsonb       NOT NULL DEFAULT '{}',
    credential_refs jsonb       NOT NULL DEFAULT '{}',  -- where each secret is, and never a secret
    policy          jsonb       NOT NULL,               -- retries and timeouts
    in_flight       interval,                           -- how long a request can take effect after its deadline; NULL: the vendor's default
    limits          jsonb       NOT NULL DEFAULT '{}',  -- rate, concurrency and quota
    own_queue       boolean     NOT NULL DEFAULT false, -- it has or once had a rate or a concurrency limit: calls may wait in its queue
    export          jsonb       NOT NULL DEFAULT '{}',  -- source, mappings, chunk size
    schedule        jsonb,
    schedule_since  timestamptz,                        -- when the schedule became what it is; runs before that are not expected
    health          jsonb       NOT NULL DEFAULT '{}',  -- how often to probe it
    paused_at       timestamptz,
    paused_by       text,
    pause_reason    text,
    removed_at      timestamptz,                        -- no longer in the file: its past stays, and it is no longer called
    removed_by      text,
    applied_by      text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, integration_id),
    CONSTRAINT integration_id_belongs_to_one_organization UNIQUE (integration_id),
    CONSTRAINT addresses_have_no_user CHECK (base_url ~ '^https?://[^/?#@\\[:space:]]+([/?#]|$)'
        AND coalesce(settings ->> 'authority', 'https://x') ~ '^https?://[^/?#@\\[:space:]]+([/?#]|$)'),
    -- A flat object of references and nothing else: a secret could hide in an array
    -- or in an object within it. file:NAME is below a folder of the organization.
    CONSTRAINT credential_refs_hold_no_secret CHECK (CASE WHEN jsonb_typeof(credential_refs) = 'object'
        THEN NOT jsonb_path_exists(credential_refs,
            'strict $.* ? (@.type() != "string" || !(@ like_regex "^(env:[A-Za-z_][A-Za-z0-9_]*|file:[^[:cntrl:]]+)$"))')
        ELSE false END),
    CONSTRAINT in_flight_is_sane CHECK (in_flight BETWEEN interval '0' AND interval '1 hour'),
    CONSTRAINT pause_has_an_actor CHECK ((paused_at IS NULL) = (paused_by IS NULL)),
    -- Durations are nanoseconds. The highest values are not those that a file may
    -- have, which are lower, but those with which every program can compute.
    CONSTRAINT settings_can_be_read CHECK (ledgerline.decodes_as(settings, '"texts"')),
    CONSTRAINT policy_can_be_read CHECK (ledgerline.decodes_as(policy, '{"baseDelay": [0, 60000000000], "coefficient": ["number", 0, 10], "maxRetries": [0, 10],
        "jitter": ["number", 0, 0.9], "attemptTimeout": [0, 60000000000], "budget": [0, 60000000000]}')),
    CONSTRAINT limits_can_be_read CHECK (ledgerline.decodes_as(limits, '{"requestsPerMinute": [0, 1000000], "concurrentRequests": [0, 100000],
        "monthlyRequests": [0, 1000000000000], "warnAt": [0, 100], "refuseAt100": "boolean"}')),
    CONSTRAINT export_can_be_read CHECK (ledgerline.decodes_as(export, '{"source": "text", "chunkSize": [0, 1000000], "accounts": "texts", "dimensions": "texts",
        "currencies": "list", "isolateRequests": [0, 1000000], "equalRefusals": [0, 1000000]}')),
    CONSTRAINT schedule_can_be_read CHECK (ledgerline.decodes_as(schedule, '{"every": "text", "hour": [0, 23], "minute": [0, 59], "day": [0, 28], "cron": "text",
        "timeZone": "text", "period": "text", "overlap": "text", "catchUp": [0, 31622400000000000], "warmUp": [-1, 86400000000000], "driftThreshold": [0, 31622400000000000]}')),
    CONSTRAINT health_can_be_read CHECK (ledgerline.decodes_as(health, '{"interval": [0, 31622400000000000], "maxInterval": [0, 31622400000000000], "noProbes": "boolean"}'))
);
CREATE UNIQUE INDEX name_is_unique_in_organization ON ledgerline.integrations (organization_id, name) WHERE removed_at IS NULL;
ALTER TABLE ledgerline.integrations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.integrations
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
-- The owner cannot log in, so a policy like this one serves the functions that run
-- with the owner's rights, and nobody else.
CREATE POLICY functions_of_the_owner ON ledgerline.integrations FOR SELECT TO ledgerline_owner USING (true);
GRANT SELECT ON ledgerline.integrations TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.integrations TO ledgerline_operator;

-- All organizations, for whoever works for them all.
CREATE FUNCTION ledgerline.organizations() RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'SELECT DISTINCT organization_id FROM ledgerline.integrations WHERE removed_at IS NULL ORDER BY 1';
REVOKE ALL ON FUNCTION ledgerline.organizations() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.organizations() TO ledgerline_worker, ledgerline_operator;

-- Who paused and resumed an integration, when and why. Rows are only added.
CREATE TABLE ledgerline.integration_pauses (
    organization_id uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    at              timestamptz NOT NULL,
    action          text        NOT NULL,
    actor           text        NOT NULL,
    reason          text        NOT NULL,
    PRIMARY KEY (organization_id, integration_id, at),
    CONSTRAINT pause_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT action_is_known CHECK (action IN ('pause', 'resume')),
    CONSTRAINT reason_is_cut CHECK (length(reason) <= 500)
);
ALTER TABLE ledgerline.integration_pauses ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.integration_pauses
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
GRANT SELECT ON ledgerline.integration_pauses TO ledgerline_operator, ledgerline_reader;
GRANT INSERT ON ledgerline.integration_pauses TO ledgerline_operator;

-- +goose Down
DROP FUNCTION ledgerline.organizations();
DROP TABLE ledgerline.integration_pauses, ledgerline.integrations;
