-- Which workers run, as they say themselves: each writes a row at its start, every few
-- seconds, and at its end. The rows are of programs and not of organizations. What
-- a worker lacks names organizations, so operators see it and reports do not.
--
-- All times are this server's, so that whoever reads them needs no clock.

-- +goose Up
CREATE TABLE ledgerline.workers (
    worker_id    uuid        PRIMARY KEY, -- a process: one that starts again has another
    identity     text        NOT NULL,    -- what Temporal lists as its pollers' identity
    host         text        NOT NULL,
    version      text        NOT NULL,
    revision     text        NOT NULL,    -- of the source that it was built from; '' if nobody knows
    namespace    text        NOT NULL,    -- Temporal's
    task_queue   text        NOT NULL,
    started_at   timestamptz NOT NULL,
    seen_at      timestamptz NOT NULL,
    stopping_at  timestamptz,             -- it takes no more work, and finishes what is under way
    stopped_at   timestamptz,             -- it has ended by itself; NULL also of one that was killed
    clock_offset interval    NOT NULL,    -- its clock minus this server's, and how long its last word took
    needs        integer     NOT NULL DEFAULT 0,    -- secrets, mail server and sources that files name
    lacks        jsonb       NOT NULL DEFAULT '[]', -- those that it cannot use, at most a hundred
    lacking      integer     NOT NULL DEFAULT 0,    -- how many it cannot use
    examined_at  timestamptz,             -- when it last tried all of them; NULL: not yet
    CONSTRAINT lacks_can_be_read CHECK (ledgerline.decodes_as(lacks, '["each", {"organizationId": "uuid", "owner": "text", "what": "text", "why": "text"}]')),
    CONSTRAINT lacks_are_few CHECK (CASE jsonb_typeof(lacks) WHEN 'array' THEN jsonb_array_length(lacks) <= 100 ELSE false END),
    CONSTRAINT counts_are_sane CHECK (lacking BETWEEN 0 AND needs),
    CONSTRAINT texts_are_short CHECK (length(identity) <= 400 AND length(host) <= 300 AND length(version) <= 200 AND length(revision) <= 200)
);
ALTER TABLE ledgerline.workers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY functions_of_the_owner ON ledgerline.workers TO ledgerline_owner USING (true) WITH CHECK (true);
CREATE POLICY of_no_organization ON ledgerline.workers FOR SELECT TO ledgerline_operator, ledgerline_reader USING (true);
GRANT SELECT ON ledgerline.workers TO ledgerline_operator;
GRANT SELECT (worker_id, identity, host, version, revision, namespace, task_queue, started_at, seen_at, stopping_at, stopped_at, clock_offset, needs, lacking, examined_at)
    ON ledgerline.workers TO ledgerline_reader;

-- A worker says that it is there. lacks is NULL while it has not examined what it
-- needs since it last said so. Rows of workers that were last seen a week ago are
-- dropped by whoever starts next.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.worker_is_there(worker uuid, identity text, host text, version text, revision text, namespace text, task_queue text,
    its_clock timestamptz, stopping boolean, stopped boolean, needs integer, lacking integer, lacks jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    present timestamptz := clock_timestamp();
BEGIN
    UPDATE ledgerline.workers AS known
        SET seen_at = present, clock_offset = its_clock - present,
            stopping_at = coalesce(stopping_at, CASE WHEN stopping OR stopped THEN present END),
            stopped_at = coalesce(stopped_at, CASE WHEN stopped THEN present END),
            needs = coalesce(worker_is_there.needs, known.needs), lacking = coalesce(worker_is_there.lacking, known.lacking),
            lacks = coalesce(worker_is_there.lacks, known.lacks),
            examined_at = CASE WHEN worker_is_there.lacks IS NULL THEN examined_at ELSE present END
        WHERE worker_id = worker;
    IF NOT FOUND THEN
        DELETE FROM ledgerline.workers WHERE seen_at < present - interval '7 days';
        INSERT INTO ledgerline.workers (worker_id, identity, host, version, revision, namespace, task_queue, started_at, seen_at, stopping_at, stopped_at,
                clock_offset, needs, lacking, lacks, examined_at)
            VALUES (worker, worker_is_there.identity, worker_is_there.host, worker_is_there.version, worker_is_there.revision, worker_is_there.namespace,
                worker_is_there.task_queue, present, present, CASE WHEN stopping OR stopped THEN present END, CASE WHEN stopped THEN present END,
                its_clock - present, coalesce(worker_is_there.needs, 0), coalesce(worker_is_there.lacking, 0), coalesce(worker_is_there.lacks, '[]'),
                CASE WHEN worker_is_there.lacks IS NOT NULL THEN present END);
    END IF;
END
$$;
-- +goose StatementEnd

-- What files name and only a worker can use: secrets by their references, the mail
-- server of an e-mail channel, the login of a source. Never a value.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.worker_needs() RETURNS TABLE (organization_id uuid, owner text, what text, reference text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT integration.organization_id, integration.name, credential.key, credential.value #>> '{}'
        FROM ledgerline.integrations AS integration, jsonb_each(integration.credential_refs) AS credential WHERE integration.removed_at IS NULL
        UNION ALL
        SELECT integration.organization_id, integration.name, 'source', '' FROM ledgerline.integrations AS integration
        WHERE integration.removed_at IS NULL AND coalesce(integration.export ->> 'source', '') <> ''
        UNION ALL
        SELECT channel.organization_id, channel.name, CASE channel.kind WHEN 'email' THEN 'mail server' ELSE 'signing secret' END, coalesce(channel.settings ->> 'secret', '')
        FROM ledgerline.notification_channels AS channel WHERE channel.removed_at IS NULL AND channel.disabled_at IS NULL
        ORDER BY 1, 2, 3
    $$;
-- +goose StatementEnd
CREATE POLICY functions_of_the_owner ON ledgerline.notification_channels FOR SELECT TO ledgerline_owner USING (true);
REVOKE ALL ON FUNCTION ledgerline.worker_is_there(uuid, text, text, text, text, text, text, timestamptz, boolean, boolean, integer, integer, jsonb), ledgerline.worker_needs() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.worker_is_there(uuid, text, text, text, text, text, text, timestamptz, boolean, boolean, integer, integer, jsonb), ledgerline.worker_needs()
    TO ledgerline_worker;

-- +goose Down
DROP POLICY functions_of_the_owner ON ledgerline.notification_channels;
DROP FUNCTION ledgerline.worker_needs(), ledgerline.worker_is_there(uuid, text, text, text, text, text, text, timestamptz, boolean, boolean, integer, integer, jsonb);
DROP TABLE ledgerline.workers;
