-- How integrations are doing and were doing, who paused them, and which of the
-- vendors' hosts were reached. Kinds only: no vendor's words are kept here.

-- +goose Up
ALTER TABLE ledgerline.integrations ADD COLUMN health jsonb NOT NULL DEFAULT '{}'; -- how it is watched

-- The operator shows the health of all organizations.
GRANT EXECUTE ON FUNCTION ledgerline.organizations() TO ledgerline_operator;

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
    observations    bigint      NOT NULL,  -- numbers given out in the history
    changes         bigint      NOT NULL,
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, integration_id),
    CONSTRAINT health_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT state_is_known CHECK (state IN ('unknown', 'healthy', 'degraded', 'unreachable', 'passive')),
    CONSTRAINT kinds_only CHECK (reason ~ '^[a-z_]{1,40}$' AND last_failure ~ '^[a-z_]{1,40}$'),
    CONSTRAINT probe_has_an_interval CHECK ((next_probe_at IS NULL) = (probe_interval IS NULL))
);

-- Every change, for ever, and the last 96 observations: a day of probes 15
-- minutes apart. Observation number n lies in slot n % 96 and is written over
-- by number n + 96, so that nobody needs the right to delete.
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

-- When a vendor's host was last reached by anybody. It names no organization.
CREATE TABLE ledgerline.vendor_hosts (
    host         text        PRIMARY KEY,
    reachable_at timestamptz NOT NULL
);

ALTER TABLE ledgerline.integration_health ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.integration_health FORCE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.integration_health_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.integration_health_history FORCE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.integration_pauses ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.integration_pauses FORCE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.vendor_hosts ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.vendor_hosts FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.integration_health
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
CREATE POLICY own_organization ON ledgerline.integration_health_history
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
CREATE POLICY own_organization ON ledgerline.integration_pauses
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
CREATE POLICY shared_by_workers ON ledgerline.vendor_hosts TO ledgerline_worker USING (true) WITH CHECK (true);

GRANT SELECT ON ledgerline.integration_health, ledgerline.integration_health_history TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.integration_health, ledgerline.integration_health_history TO ledgerline_worker;
GRANT SELECT ON ledgerline.integration_pauses TO ledgerline_operator, ledgerline_reader;
GRANT INSERT ON ledgerline.integration_pauses TO ledgerline_operator;
GRANT SELECT, INSERT, UPDATE ON ledgerline.vendor_hosts TO ledgerline_worker;

-- +goose Down
DROP TABLE ledgerline.vendor_hosts, ledgerline.integration_pauses, ledgerline.integration_health_history, ledgerline.integration_health;
DROP FUNCTION ledgerline.only_older_observations_are_replaced();
REVOKE EXECUTE ON FUNCTION ledgerline.organizations() FROM ledgerline_operator;
ALTER TABLE ledgerline.integrations DROP COLUMN health;
