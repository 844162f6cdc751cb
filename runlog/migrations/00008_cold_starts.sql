-- Where the time of a run's warm-up went.

-- +goose Up
ALTER TABLE ledgerline.bufdir_export_audit_log
    ADD COLUMN warm_up_ms jsonb, -- dns, connect, tls, token, first_byte, worker_uptime, before_run; those that took no time are left out
    ADD CONSTRAINT warm_up_ms_is_small CHECK (length(warm_up_ms::text) <= 500);

-- +goose Down
ALTER TABLE ledgerline.bufdir_export_audit_log DROP COLUMN warm_up_ms;
