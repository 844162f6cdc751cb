-- Which workers know of a pause. A worker reads all pauses each time that it says that it
-- is there, and says then as of when it has: whoever paused an integration can wait for
-- that, and need not guess.
--
-- The time is this server's, taken before the pauses are read. A worker of the version
-- before writes none.

-- +goose Up
ALTER TABLE ledgerline.workers ADD COLUMN pauses_read_at timestamptz; -- what it knows of pauses is as of then, or newer; NULL: it does not say
GRANT SELECT (pauses_read_at) ON ledgerline.workers TO ledgerline_reader;

-- The integrations that are paused, of all organizations.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.pauses() RETURNS TABLE (organization_id uuid, integration_id uuid, paused_at timestamptz, paused_by text, pause_reason text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT integration.organization_id, integration.integration_id, integration.paused_at, integration.paused_by, integration.pause_reason
        FROM ledgerline.integrations AS integration WHERE integration.paused_at IS NOT NULL AND integration.removed_at IS NULL
    $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION ledgerline.worker_has_read_pauses(worker uuid, as_of timestamptz) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        UPDATE ledgerline.workers SET pauses_read_at = greatest(pauses_read_at, as_of) WHERE worker_id = worker
    $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION ledgerline.pauses(), ledgerline.worker_has_read_pauses(uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.pauses(), ledgerline.worker_has_read_pauses(uuid, timestamptz) TO ledgerline_worker;

-- +goose Down
DROP FUNCTION ledgerline.worker_has_read_pauses(uuid, timestamptz), ledgerline.pauses();
ALTER TABLE ledgerline.workers DROP COLUMN pauses_read_at;
