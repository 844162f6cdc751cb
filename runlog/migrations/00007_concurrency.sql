-- Which worker makes the attempts of an integration that has a limit of
-- concurrency. One at a time, so that the limit holds over all of them.

-- +goose Up
CREATE TABLE ledgerline.queue_leases (
    organization_id uuid        NOT NULL,
    integration_id  uuid        PRIMARY KEY,
    worker_id       uuid        NOT NULL,
    until           timestamptz NOT NULL, -- then another worker may take it
    CONSTRAINT lease_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id)
);

-- The worker processes that there are, to share the leases out.
CREATE TABLE ledgerline.queue_workers (
    worker_id uuid        PRIMARY KEY,
    seen_at   timestamptz NOT NULL
);

-- Integrations whose calls have a queue of their own. One that was removed
-- keeps it for as long as a run may wait to go on there, and a bit longer.
-- A limit that is no number cannot be kept: unreadable says so, and it stops nobody else.
CREATE VIEW ledgerline.queues AS
    SELECT organization_id, integration_id,
           coalesce(substring(limits ->> 'requestsPerMinute' FROM '^[0-9]{1,9}$')::integer, 0) AS requests_per_minute,
           coalesce(substring(limits ->> 'concurrentRequests' FROM '^[0-9]{1,9}$')::integer, 0) AS concurrent_requests,
           coalesce(limits ->> 'requestsPerMinute', '0') !~ '^[0-9]{1,9}$' OR coalesce(limits ->> 'concurrentRequests', '0') !~ '^[0-9]{1,9}$' AS unreadable
    FROM ledgerline.integrations WHERE own_queue AND coalesce(removed_at > now() - interval '35 days', true);

-- All is across organizations, and only the functions below touch it.
-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['queue_leases', 'queue_workers'] LOOP
        EXECUTE format('ALTER TABLE ledgerline.%I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE ledgerline.%I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY functions_of_the_owner ON ledgerline.%I TO ledgerline_owner USING (true) WITH CHECK (true)', t);
    END LOOP;
END
$$;
-- +goose StatementEnd
DROP FUNCTION ledgerline.own_queues();

-- The queues, with their limits. It renews the worker's leases for ttl, and
-- takes free ones up to its share: as many as each worker has that was seen
-- within half of ttl. One that has more is told of one of them as surplus, to give it
-- back.
--
-- Only this server's clock counts, from the beginning of the transaction: a
-- lease never ends here before it does for its worker, who counts from before
-- it asked.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.own_queues(worker uuid, ttl interval)
    RETURNS TABLE (integration_id uuid, requests_per_minute integer, concurrent_requests integer, held boolean, surplus boolean, unreadable boolean)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    share bigint;
    mine  bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('ledgerline.queue_leases')); -- one at a time: each touches the others' rows
    INSERT INTO ledgerline.queue_workers (worker_id, seen_at) VALUES (worker, now())
        ON CONFLICT (worker_id) DO UPDATE SET seen_at = excluded.seen_at;
    DELETE FROM ledgerline.queue_workers WHERE seen_at < now() - ttl / 2;
    DELETE FROM ledgerline.queue_leases WHERE integration_id NOT IN (SELECT integration_id FROM ledgerline.queues WHERE concurrent_requests > 0);
    UPDATE ledgerline.queue_leases SET until = now() + ttl WHERE worker_id = worker;
    GET DIAGNOSTICS mine = ROW_COUNT;
    SELECT ceil(count(*)::numeric / (SELECT count(*) FROM ledgerline.queue_workers)) INTO share
        FROM ledgerline.queues WHERE concurrent_requests > 0;
    IF mine < share THEN
        INSERT INTO ledgerline.queue_leases AS l (organization_id, integration_id, worker_id, until)
            SELECT q.organization_id, q.integration_id, worker, now() + ttl
            FROM ledgerline.queues q LEFT JOIN ledgerline.queue_leases o USING (integration_id)
            WHERE q.concurrent_requests > 0 AND coalesce(o.until < now(), true)
            ORDER BY q.integration_id LIMIT share - mine
            ON CONFLICT (integration_id) DO UPDATE SET worker_id = excluded.worker_id, until = excluded.until WHERE l.until < now();
    END IF;
    RETURN QUERY
        SELECT q.integration_id, q.requests_per_minute, q.concurrent_requests, l.worker_id IS NOT NULL,
               l.worker_id IS NOT NULL AND row_number() OVER (PARTITION BY l.worker_id ORDER BY q.integration_id) = share + 1,
               q.unreadable
        FROM ledgerline.queues q LEFT JOIN ledgerline.queue_leases l ON l.integration_id = q.integration_id AND l.worker_id = worker
        ORDER BY 1;
END
$$;
-- +goose StatementEnd

-- Gives leases back, for others to take at once. Without a list the worker gives
-- all back and has no part in them any more.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.release_queues(worker uuid, integrations uuid[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        DELETE FROM ledgerline.queue_leases WHERE worker_id = worker AND (integrations IS NULL OR integration_id = ANY (integrations));
        DELETE FROM ledgerline.queue_workers WHERE worker_id = worker AND integrations IS NULL;
    $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION ledgerline.own_queues(uuid, interval), ledgerline.release_queues(uuid, uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.own_queues(uuid, interval), ledgerline.release_queues(uuid, uuid[]) TO ledgerline_worker;

-- +goose Down
DROP FUNCTION ledgerline.own_queues(uuid, interval), ledgerline.release_queues(uuid, uuid[]);
DROP VIEW ledgerline.queues;
DROP TABLE ledgerline.queue_leases, ledgerline.queue_workers;
CREATE FUNCTION ledgerline.own_queues()
    RETURNS TABLE (integration_id uuid, requests_per_minute integer)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT integration_id, coalesce((limits ->> 'requestsPerMinute')::integer, 0)
        FROM ledgerline.integrations WHERE own_queue ORDER BY 1
    $$;
REVOKE ALL ON FUNCTION ledgerline.own_queues() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.own_queues() TO ledgerline_worker;
