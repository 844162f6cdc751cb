-- What is known of an integration's vendor: what was checked of what exports
-- assume, and the size of a request that works. And what a run has cost.

-- +goose Up
CREATE TABLE ledgerline.vendor_contracts (
    organization_id uuid    NOT NULL,
    integration_id  uuid    NOT NULL,
    file            text    NOT NULL DEFAULT '', -- what of the integration's file it was checked for, as a hash; '' if never
    checks          jsonb   NOT NULL DEFAULT '[]',
    learnt          jsonb,
    checked_at      timestamptz,
    chunk_size      integer, -- most entries in a request that worked last; NULL is what the file says
    chunk_full      integer, -- what the file said then: another one makes chunk_size void
    PRIMARY KEY (organization_id, integration_id),
    CONSTRAINT contract_of_an_integration FOREIGN KEY (organization_id, integration_id) REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT chunk_size_is_positive CHECK (chunk_size > 0)
);
ALTER TABLE ledgerline.vendor_contracts ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledgerline.vendor_contracts FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.vendor_contracts
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
GRANT SELECT ON ledgerline.vendor_contracts TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.vendor_contracts TO ledgerline_worker;

ALTER TABLE ledgerline.bufdir_export_audit_log
    ADD COLUMN requests  integer NOT NULL DEFAULT 0, -- that its run made to the vendor, look-ups included
    ADD COLUMN look_ups  integer NOT NULL DEFAULT 0, -- of them: what the vendor has, found faulty, or looks like
    ADD COLUMN isolating integer NOT NULL DEFAULT 0; -- of them: to find the vouchers that it refuses

ALTER TABLE ledgerline.notifications DROP CONSTRAINT cause_is_known,
    ADD CONSTRAINT cause_is_known CHECK (cause IN ('failing', 'recovered', 'late', 'missed', 'quota_80', 'quota_100', 'credentials', 'rejected', 'faulted', 'unsent', 'test'));

-- +goose Down
-- What is stored can break the constraint of before, so it holds for new rows only.
ALTER TABLE ledgerline.notifications DROP CONSTRAINT cause_is_known,
    ADD CONSTRAINT cause_is_known CHECK (cause IN ('failing', 'recovered', 'late', 'missed', 'quota_80', 'quota_100', 'credentials', 'rejected', 'faulted', 'test')) NOT VALID;
ALTER TABLE ledgerline.bufdir_export_audit_log DROP COLUMN requests, DROP COLUMN look_ups, DROP COLUMN isolating;
DROP TABLE ledgerline.vendor_contracts;
