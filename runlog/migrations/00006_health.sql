-- How integrations are doing and were doing, which of the vendors' hosts were reached, and
-- when secrets expire. Kinds, names and times only: no vendor's words and no
-- secret's value are kept here.

-- +goose Up
CREATE TABLE ledgerline.integration_health (
    organization_id uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    state           text        NOT NULL,
    since           timestamptz NOT NULL,
    reason          text,                  -- the kind that led to the state
    last_success_at timestamptz,
    last_failure_at timestamptz,
    last_failure    text,
    failures        integer     NOT NULL,  -- in a row
    failed_probes   integer     NOT NULL,  -- in a row; each doubles the wait for the next
    latency         interval    NOT NULL,  -- of the last success
    evidence_at     timestamptz NOT NULL,  -- the wait for a probe counts from here
    probe_interval  interval,              -- NULL: none is due
    next_probe_at   timestamptz,
    observations    bigint      NOT NULL,  -- how many numbers the history has given to observations
    changes         bigint      NOT NULL,  -- and to changes
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, integration_id),
    CONSTRAINT health_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT state_is_known CHECK (state IN ('unknown', 'healthy', 'degraded', 'unreachable', 'passive')),
    CONSTRAINT kinds_only CHECK (reason ~ '^[a-z_]{1,40}$' AND last_failure ~ '^[a-z_]{1,40}$'),
    CONSTRAINT probe_has_an_interval CHECK ((next_probe_at IS NULL) = (probe_interval IS NULL))
);
ALTER TABLE ledgerline.integration_health ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.integration_health
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
GRANT SELECT ON ledgerline.integration_health TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.integration_health TO ledgerline_worker;

-- Every change, for ever, and the last 96 observations: a day of probes 15
-- minutes apart. Observation n is in slot n % 96 and is overwritten by
-- observation n + 96, so that nobody needs the right to delete.
CREATE TABLE ledgerline.integration_health_history (
    organization_id uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    entry           text        NOT NULL,
    slot            bigint      NOT NULL,
    number          bigint      NOT NULL,
    at              timestamptz NOT NULL,
    kind            text        NOT NULL,
    from_state      text,
    to_state        text,
    source          text,
    count           integer,
    latency         interval,
    PRIMARY KEY (organization_id, integration_id, entry, slot),
    CONSTRAINT history_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT entry_is_known CHECK (entry IN ('change', 'observation')),
    CONSTRAINT observations_share_96_slots CHECK (slot = CASE entry WHEN 'observation' THEN number % 96 ELSE number END),
    CONSTRAINT change_has_states CHECK ((entry = 'change') = (from_state IS NOT NULL AND to_state IS NOT NULL)),
    CONSTRAINT observation_has_a_source CHECK ((entry = 'observation') = (source IS NOT NULL AND count IS NOT NULL AND latency IS NOT NULL)),
    CONSTRAINT kinds_only CHECK (kind ~ '^[a-z_]{1,40}$')
);
-- +goose StatementBegin
CREATE FUNCTION ledgerline.only_older_observations_are_replaced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.entry <> 'observation' OR NEW.number <= OLD.number
       OR (NEW.organization_id, NEW.integration_id, NEW.entry, NEW.slot) IS DISTINCT FROM (OLD.organization_id, OLD.integration_id, OLD.entry, OLD.slot) THEN
        RAISE EXCEPTION 'the health history of % is not rewritten', OLD.integration_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'only_older_observations_are_replaced';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER only_older BEFORE UPDATE ON ledgerline.integration_health_history
    FOR EACH ROW EXECUTE FUNCTION ledgerline.only_older_observations_are_replaced();
ALTER TABLE ledgerline.integration_health_history ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.integration_health_history
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
GRANT SELECT ON ledgerline.integration_health_history TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.integration_health_history TO ledgerline_worker;

-- When a vendor's host was last reached by any worker. It names no organization.
CREATE TABLE ledgerline.vendor_hosts (
    host         text        PRIMARY KEY,
    reachable_at timestamptz NOT NULL
);
ALTER TABLE ledgerline.vendor_hosts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY shared_by_workers ON ledgerline.vendor_hosts TO ledgerline_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON ledgerline.vendor_hosts TO ledgerline_worker;

-- When the secrets of an integration expire.
CREATE TABLE ledgerline.integration_secrets (
    organization_id uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    credential      text        NOT NULL, -- its name in the integration file
    source          text,                 -- what says when it expires: the file, or the secret itself
    issued_at       timestamptz,          -- of a token that says it
    expires_at      timestamptz,          -- NULL: it was known before, and no longer is
    noted_at        timestamptz NOT NULL, -- when a worker first found it so
    PRIMARY KEY (organization_id, integration_id, credential),
    CONSTRAINT secret_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT credential_is_a_name CHECK (credential ~ '^[A-Za-z]{1,40}$'),
    CONSTRAINT source_is_known CHECK (source IN ('file', 'jwt')),
    CONSTRAINT end_has_a_source CHECK ((source IS NULL) = (expires_at IS NULL)),
    CONSTRAINT issued_before_its_end CHECK (issued_at < expires_at)
);
ALTER TABLE ledgerline.integration_secrets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.integration_secrets
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
GRANT SELECT ON ledgerline.integration_secrets TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.integration_secrets TO ledgerline_worker;

-- The nearest threshold of which people were notified, for each time at which a
-- secret was to expire. A renewed secret expires at another time, so its
-- thresholds begin again; a time that comes back is not new.
CREATE TABLE ledgerline.secret_warnings (
    organization_id uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    credential      text        NOT NULL,
    expires_at      timestamptz NOT NULL,
    days            integer     NOT NULL, -- before it expires; 0: it has expired
    warned_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, integration_id, credential, expires_at),
    CONSTRAINT warning_is_of_a_secret FOREIGN KEY (organization_id, integration_id, credential)
        REFERENCES ledgerline.integration_secrets (organization_id, integration_id, credential),
    CONSTRAINT days_are_a_threshold CHECK (days IN (30, 7, 1, 0))
);
ALTER TABLE ledgerline.secret_warnings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.secret_warnings
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
GRANT SELECT ON ledgerline.secret_warnings TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.secret_warnings TO ledgerline_worker;

-- +goose Down
DROP TABLE ledgerline.secret_warnings, ledgerline.integration_secrets, ledgerline.vendor_hosts,
    ledgerline.integration_health_history, ledgerline.integration_health;
DROP FUNCTION ledgerline.only_older_observations_are_replaced();
