-- When the secrets of integrations end, and of which thresholds people have been
-- notified. Names and times only: a secret's value is in no table.

-- +goose Up
ALTER TABLE ledgerline.notifications
    DROP CONSTRAINT cause_is_known,
    ADD CONSTRAINT cause_is_known CHECK (cause IN ('failing', 'recovered', 'late', 'missed', 'quota_80', 'quota_100',
        'credentials', 'secret_ends', 'rejected', 'faulted', 'unsent', 'test'));

CREATE TABLE ledgerline.integration_secrets (
    organization_id uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    credential      text        NOT NULL, -- its name in the integration file
    source          text,                 -- who says when it ends: the file, or the secret itself
    issued_at       timestamptz,          -- of a token that says it
    expires_at      timestamptz,          -- NULL: an end was known before, and none is now
    noted_at        timestamptz NOT NULL, -- when a worker first saw it so
    PRIMARY KEY (organization_id, integration_id, credential),
    CONSTRAINT secret_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT credential_is_a_name CHECK (credential ~ '^[A-Za-z]{1,40}$'),
    CONSTRAINT source_is_known CHECK (source IN ('file', 'jwt')),
    CONSTRAINT end_has_a_source CHECK ((source IS NULL) = (expires_at IS NULL)),
    CONSTRAINT issued_before_its_end CHECK (issued_at < expires_at)
);

-- The nearest threshold of which people were notified, for each end that a secret
-- has had. A renewed secret has another end, so its thresholds begin again; the
-- first one that comes back is not new.
CREATE TABLE ledgerline.secret_warnings (
    organization_id uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    credential      text        NOT NULL,
    expires_at      timestamptz NOT NULL,
    days            integer     NOT NULL, -- before the end; 0: it has expired
    warned_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, integration_id, credential, expires_at),
    CONSTRAINT warning_is_of_a_secret FOREIGN KEY (organization_id, integration_id, credential)
        REFERENCES ledgerline.integration_secrets (organization_id, integration_id, credential),
    CONSTRAINT days_are_a_threshold CHECK (days IN (30, 7, 1, 0))
);

-- +goose StatementBegin
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['integration_secrets', 'secret_warnings'] LOOP
        EXECUTE format('ALTER TABLE ledgerline.%I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE ledgerline.%I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY own_organization ON ledgerline.%I USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization())', t);
        EXECUTE format('GRANT SELECT ON ledgerline.%I TO ledgerline_worker, ledgerline_operator, ledgerline_reader', t);
        EXECUTE format('GRANT INSERT, UPDATE ON ledgerline.%I TO ledgerline_worker', t);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE ledgerline.secret_warnings, ledgerline.integration_secrets;
-- What is stored can break the constraint of before, so it holds for new rows only.
ALTER TABLE ledgerline.notifications
    DROP CONSTRAINT cause_is_known,
    ADD CONSTRAINT cause_is_known CHECK (cause IN ('failing', 'recovered', 'late', 'missed', 'quota_80', 'quota_100',
        'credentials', 'rejected', 'faulted', 'unsent', 'test')) NOT VALID;
