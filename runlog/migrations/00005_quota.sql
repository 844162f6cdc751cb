-- How many requests each integration made in a month, of all workers together,
-- and which thresholds of its quota have been told.

-- +goose Up
ALTER TABLE ledgerline.integrations
    ADD COLUMN limits    jsonb   NOT NULL DEFAULT '{}',
    ADD COLUMN own_queue boolean NOT NULL DEFAULT false; -- it has, or once had, a rate: calls may wait in its queue

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

-- A threshold is told once a month, by whichever worker sees it first.
CREATE TABLE ledgerline.quota_warnings (
    organization_id uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    month           date        NOT NULL,
    percent         integer     NOT NULL,
    warned_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, integration_id, month, percent),
    CONSTRAINT warning_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id),
    CONSTRAINT percent_is_a_threshold CHECK (percent BETWEEN 1 AND 100)
);

-- The last batch that each worker process has stored. A batch whose commit was
-- not confirmed is stored again; by its number it is known.
CREATE TABLE ledgerline.quota_batches (
    worker_id uuid        PRIMARY KEY,
    number    bigint      NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);

-- +goose StatementBegin
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['quota_usage', 'quota_warnings', 'quota_batches'] LOOP
        EXECUTE format('ALTER TABLE ledgerline.%I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE ledgerline.%I FORCE ROW LEVEL SECURITY', t);
    END LOOP;
END
$$;
-- +goose StatementEnd
CREATE POLICY own_organization ON ledgerline.quota_usage FOR SELECT
    USING (organization_id = ledgerline.current_organization());
CREATE POLICY own_organization ON ledgerline.quota_warnings
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
-- The owner cannot log in: these serve the functions below and nobody else.
CREATE POLICY functions_of_the_owner ON ledgerline.quota_usage TO ledgerline_owner USING (true) WITH CHECK (true);
CREATE POLICY functions_of_the_owner ON ledgerline.quota_batches TO ledgerline_owner USING (true) WITH CHECK (true);
GRANT SELECT ON ledgerline.quota_usage, ledgerline.quota_warnings TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT ON ledgerline.quota_warnings TO ledgerline_worker;

-- What a worker counts belongs to many organizations and is stored at once, so
-- it is the one thing that is written across them: counts, and only upwards.
-- A batch that is there already adds nothing. The answer is the month's total
-- of each integration that is named, with its limits.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.add_usage(worker uuid, batch bigint, organizations uuid[], integrations uuid[], months date[], purposes text[], counts bigint[])
    RETURNS TABLE (organization_id uuid, integration_id uuid, month date, requests bigint, limits jsonb)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO ledgerline.quota_batches AS b (worker_id, number) VALUES (worker, batch)
        ON CONFLICT (worker_id) DO UPDATE SET number = excluded.number, stored_at = now() WHERE b.number < excluded.number;
    IF FOUND THEN
        INSERT INTO ledgerline.quota_usage AS u (organization_id, integration_id, month, purpose, requests)
            SELECT * FROM unnest(organizations, integrations, months, purposes, counts)
            ON CONFLICT (organization_id, integration_id, month, purpose) DO UPDATE SET requests = u.requests + excluded.requests;
    END IF;
    RETURN QUERY
        SELECT u.organization_id, u.integration_id, u.month, sum(u.requests)::bigint, i.limits
        FROM ledgerline.quota_usage u JOIN ledgerline.integrations i USING (organization_id, integration_id)
        WHERE (u.organization_id, u.integration_id, u.month) IN (SELECT * FROM unnest(organizations, integrations, months))
        GROUP BY 1, 2, 3, 5;
END
$$;
-- +goose StatementEnd

-- The month's totals of all integrations that have a limit, for a worker that
-- starts.
CREATE FUNCTION ledgerline.limited_usage(of_month date)
    RETURNS TABLE (organization_id uuid, integration_id uuid, month date, requests bigint, limits jsonb)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT u.organization_id, u.integration_id, u.month, sum(u.requests)::bigint, i.limits
        FROM ledgerline.quota_usage u JOIN ledgerline.integrations i USING (organization_id, integration_id)
        WHERE u.month = of_month AND i.limits ? 'monthlyRequests' GROUP BY 1, 2, 3, 5
    $$;

-- The integrations whose calls have a queue of their own, with their rate.
CREATE FUNCTION ledgerline.own_queues()
    RETURNS TABLE (integration_id uuid, requests_per_minute integer)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT integration_id, coalesce((limits ->> 'requestsPerMinute')::integer, 0)
        FROM ledgerline.integrations WHERE own_queue ORDER BY 1
    $$;

REVOKE ALL ON FUNCTION ledgerline.add_usage(uuid, bigint, uuid[], uuid[], date[], text[], bigint[]), ledgerline.limited_usage(date), ledgerline.own_queues() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.add_usage(uuid, bigint, uuid[], uuid[], date[], text[], bigint[]), ledgerline.limited_usage(date), ledgerline.own_queues() TO ledgerline_worker;

-- +goose Down
DROP FUNCTION ledgerline.add_usage(uuid, bigint, uuid[], uuid[], date[], text[], bigint[]), ledgerline.limited_usage(date), ledgerline.own_queues();
DROP TABLE ledgerline.quota_usage, ledgerline.quota_warnings, ledgerline.quota_batches;
ALTER TABLE ledgerline.integrations DROP COLUMN limits, DROP COLUMN own_queue;
