-- What limits need that hold over all workers: how many requests an integration
-- made in a month, and which worker serves an integration's own queue. Workers
-- write counts and leases of many organizations at once, through functions that
-- run with the rights of the owner, and in no other way.

-- +goose Up
CREATE TABLE ledgerline.quota_usage (
    organization_id uuid   NOT NULL,
    integration_id  uuid   NOT NULL,
    month           date   NOT NULL, -- UTC
    purpose         text   NOT NULL,
    requests        bigint NOT NULL,
    PRIMARY KEY (organization_id, integration_id, month, purpose),
    CONSTRAINT usage_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT month_is_its_first_day CHECK (month = date_trunc('month', month)),
    CONSTRAINT purpose_is_known CHECK (purpose IN ('attempt', 'readback', 'lookup', 'probe', 'warmup', 'token')),
    CONSTRAINT requests_count_up CHECK (requests >= 0)
);
ALTER TABLE ledgerline.quota_usage ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.quota_usage FOR SELECT USING (organization_id = ledgerline.current_organization());
CREATE POLICY functions_of_the_owner ON ledgerline.quota_usage TO ledgerline_owner USING (true) WITH CHECK (true);
GRANT SELECT ON ledgerline.quota_usage TO ledgerline_worker, ledgerline_operator, ledgerline_reader;

-- People are notified of a threshold once a month, by the worker that sees it
-- first, and again if the limit changes.
CREATE TABLE ledgerline.quota_warnings (
    organization_id uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    month           date        NOT NULL,
    percent         integer     NOT NULL,
    monthly         bigint      NOT NULL, -- the limit that the percentage is of
    warned_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, integration_id, month, percent, monthly),
    CONSTRAINT warning_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT percent_is_a_threshold CHECK (percent BETWEEN 1 AND 100)
);
ALTER TABLE ledgerline.quota_warnings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.quota_warnings
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
GRANT SELECT ON ledgerline.quota_warnings TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT ON ledgerline.quota_warnings TO ledgerline_worker;

-- The last batch of counts that each worker process has stored. A batch whose
-- commit was not confirmed is stored again, and recognized by its number.
CREATE TABLE ledgerline.quota_batches (
    worker_id uuid        PRIMARY KEY,
    number    bigint      NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE ledgerline.quota_batches ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY functions_of_the_owner ON ledgerline.quota_batches TO ledgerline_owner USING (true) WITH CHECK (true);
-- The row of a worker process is of use while the process may store its last batch
-- again. A process that starts deletes the rows that are older than three months.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.delete_old_batches() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM ledgerline.quota_batches WHERE stored_at < now() - interval '3 months';
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER delete_old_batches AFTER INSERT ON ledgerline.quota_batches FOR EACH ROW EXECUTE FUNCTION ledgerline.delete_old_batches();

-- Adds a batch of counts, of many organizations, and returns the month's total of
-- each integration in the batch, with its limits. Counts only grow. A batch that is
-- already stored adds nothing.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.add_usage(worker uuid, batch bigint, organizations uuid[], integrations uuid[], months date[], purposes text[], counts bigint[])
    RETURNS TABLE (organization_id uuid, integration_id uuid, month date, requests bigint, limits jsonb)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO ledgerline.quota_batches AS stored (worker_id, number) VALUES (worker, batch)
        ON CONFLICT (worker_id) DO UPDATE SET number = excluded.number, stored_at = now() WHERE stored.number < excluded.number;
    IF FOUND THEN
        INSERT INTO ledgerline.quota_usage AS usage (organization_id, integration_id, month, purpose, requests)
            SELECT * FROM unnest(organizations, integrations, months, purposes, counts)
            ON CONFLICT (organization_id, integration_id, month, purpose) DO UPDATE SET requests = usage.requests + excluded.requests;
    END IF;
    RETURN QUERY
        SELECT usage.organization_id, usage.integration_id, usage.month, sum(usage.requests)::bigint, integration.limits
        FROM ledgerline.quota_usage AS usage JOIN ledgerline.integrations AS integration USING (organization_id, integration_id)
        WHERE (usage.organization_id, usage.integration_id, usage.month) IN (SELECT * FROM unnest(organizations, integrations, months))
        GROUP BY 1, 2, 3, 5;
END
$$;
-- +goose StatementEnd

-- The month's totals of all integrations that have a quota, for a worker that
-- starts.
CREATE FUNCTION ledgerline.list_limited_usage(of_month date)
    RETURNS TABLE (organization_id uuid, integration_id uuid, month date, requests bigint, limits jsonb)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT usage.organization_id, usage.integration_id, usage.month, sum(usage.requests)::bigint, integration.limits
        FROM ledgerline.quota_usage AS usage JOIN ledgerline.integrations AS integration USING (organization_id, integration_id)
        WHERE usage.month = of_month AND integration.limits ? 'monthlyRequests' GROUP BY 1, 2, 3, 5
    $$;

-- Integrations whose calls have a queue of their own. One that was removed keeps
-- it for as long as a run may wait to be resumed there, and a bit longer. A limit
-- that is not a number cannot be kept: unreadable says so, and the other queues
-- are served all the same.
CREATE VIEW ledgerline.queues AS
    SELECT organization_id, integration_id,
           coalesce(substring(limits ->> 'requestsPerMinute' FROM '^[0-9]{1,9}$')::integer, 0) AS requests_per_minute,
           coalesce(substring(limits ->> 'concurrentRequests' FROM '^[0-9]{1,9}$')::integer, 0) AS concurrent_requests,
           coalesce(limits ->> 'requestsPerMinute', '0') !~ '^[0-9]{1,9}$' OR coalesce(limits ->> 'concurrentRequests', '0') !~ '^[0-9]{1,9}$' AS unreadable
    FROM ledgerline.integrations WHERE own_queue AND coalesce(removed_at > now() - interval '35 days', true);

-- Which worker makes the attempts of an integration that has a concurrency limit:
-- one at a time, so that the limit holds over all workers.
CREATE TABLE ledgerline.queue_leases (
    organization_id uuid        NOT NULL,
    integration_id  uuid        PRIMARY KEY,
    worker_id       uuid        NOT NULL,
    until           timestamptz NOT NULL, -- after that another worker may take it
    CONSTRAINT lease_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id)
);
ALTER TABLE ledgerline.queue_leases ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY functions_of_the_owner ON ledgerline.queue_leases TO ledgerline_owner USING (true) WITH CHECK (true);

-- The worker processes that share the leases.
CREATE TABLE ledgerline.queue_workers (
    worker_id uuid        PRIMARY KEY,
    seen_at   timestamptz NOT NULL
);
ALTER TABLE ledgerline.queue_workers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY functions_of_the_owner ON ledgerline.queue_workers TO ledgerline_owner USING (true) WITH CHECK (true);

-- The queues, with their limits. It renews the worker's leases for ttl, and takes
-- free ones up to the worker's share: the leases divided by the workers that were
-- seen within half of ttl. If the worker has more than its share, one of them is
-- marked as surplus, for it to give back.
--
-- Only this server's clock counts, from the beginning of the transaction: a lease
-- never ends here before it ends for its worker, which counts from before its
-- call.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.lease_queues(worker uuid, ttl interval)
    RETURNS TABLE (integration_id uuid, requests_per_minute integer, concurrent_requests integer, held boolean, surplus boolean, unreadable boolean)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    share bigint;
    mine  bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('ledgerline.queue_leases')); -- one at a time: each changes rows of the others
    INSERT INTO ledgerline.queue_workers (worker_id, seen_at) VALUES (worker, now())
        ON CONFLICT (worker_id) DO UPDATE SET seen_at = excluded.seen_at;
    DELETE FROM ledgerline.queue_workers WHERE seen_at < now() - ttl / 2;
    DELETE FROM ledgerline.queue_leases WHERE integration_id NOT IN (SELECT integration_id FROM ledgerline.queues WHERE concurrent_requests > 0);
    UPDATE ledgerline.queue_leases SET until = now() + ttl WHERE worker_id = worker;
    GET DIAGNOSTICS mine = ROW_COUNT;
    SELECT ceil(count(*)::numeric / (SELECT count(*) FROM ledgerline.queue_workers)) INTO share
        FROM ledgerline.queues WHERE concurrent_requests > 0;
    IF mine < share THEN
        INSERT INTO ledgerline.queue_leases AS lease (organization_id, integration_id, worker_id, until)
            SELECT queue.organization_id, queue.integration_id, worker, now() + ttl
            FROM ledgerline.queues AS queue LEFT JOIN ledgerline.queue_leases AS taken USING (integration_id)
            WHERE queue.concurrent_requests > 0 AND coalesce(taken.until < now(), true)
            ORDER BY queue.integration_id LIMIT share - mine
            ON CONFLICT (integration_id) DO UPDATE SET worker_id = excluded.worker_id, until = excluded.until WHERE lease.until < now();
    END IF;
    RETURN QUERY
        SELECT queue.integration_id, queue.requests_per_minute, queue.concurrent_requests, lease.worker_id IS NOT NULL,
               lease.worker_id IS NOT NULL AND row_number() OVER (PARTITION BY lease.worker_id ORDER BY queue.integration_id) = share + 1,
               queue.unreadable
        FROM ledgerline.queues AS queue LEFT JOIN ledgerline.queue_leases AS lease ON lease.integration_id = queue.integration_id AND lease.worker_id = worker
        ORDER BY 1;
END
$$;
-- +goose StatementEnd

-- Gives leases back, for others to take at once. Without a list the worker gives
-- all of them back and no longer counts as one that shares them.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.release_queues(worker uuid, integrations uuid[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        DELETE FROM ledgerline.queue_leases WHERE worker_id = worker AND (integrations IS NULL OR integration_id = ANY (integrations));
        DELETE FROM ledgerline.queue_workers WHERE worker_id = worker AND integrations IS NULL;
    $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION ledgerline.add_usage(uuid, bigint, uuid[], uuid[], date[], text[], bigint[]), ledgerline.list_limited_usage(date),
    ledgerline.lease_queues(uuid, interval), ledgerline.release_queues(uuid, uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.add_usage(uuid, bigint, uuid[], uuid[], date[], text[], bigint[]), ledgerline.list_limited_usage(date),
    ledgerline.lease_queues(uuid, interval), ledgerline.release_queues(uuid, uuid[]) TO ledgerline_worker;

-- +goose Down
DROP FUNCTION ledgerline.release_queues(uuid, uuid[]), ledgerline.lease_queues(uuid, interval), ledgerline.list_limited_usage(date),
    ledgerline.add_usage(uuid, bigint, uuid[], uuid[], date[], text[], bigint[]);
DROP VIEW ledgerline.queues;
DROP TABLE ledgerline.queue_workers, ledgerline.queue_leases, ledgerline.quota_batches, ledgerline.quota_warnings, ledgerline.quota_usage;
DROP FUNCTION ledgerline.delete_old_batches();
