-- Which keys encrypt what Temporal stores, and which workers can read them. A key
-- comes into use only when every worker has it, and a worker that lacks one takes
-- no task, because a payload that it cannot read would cost an invocation an
-- attempt. Names of keys are "ID/check"; a check says nothing of its key.

-- +goose Up
CREATE TABLE ledgerline.payload_keys (
    name      text        PRIMARY KEY,
    first_use timestamptz NOT NULL DEFAULT now(),
    last_use  timestamptz NOT NULL DEFAULT now(), -- to the minute
    CONSTRAINT name_is_of_a_key CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}/[0-9a-f]{8}$')
);
ALTER TABLE ledgerline.payload_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY functions_of_the_owner ON ledgerline.payload_keys TO ledgerline_owner USING (true) WITH CHECK (true);

-- The worker processes that take tasks, and the keys that each has.
CREATE TABLE ledgerline.payload_readers (
    worker_id uuid        PRIMARY KEY,
    label     text        NOT NULL, -- for people: host and process
    keys      text[]      NOT NULL,
    seen_at   timestamptz NOT NULL,
    CONSTRAINT label_is_short CHECK (octet_length(label) BETWEEN 1 AND 300)
);
ALTER TABLE ledgerline.payload_readers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY functions_of_the_owner ON ledgerline.payload_readers TO ledgerline_owner USING (true) WITH CHECK (true);

-- Makes a worker one that takes tasks, and returns the keys in use that it lacks.
-- If it lacks any, it is none. The lock keeps a key from coming into use meanwhile. A
-- worker that was not seen for ten minutes has ended, so its row is dropped.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.read_payloads(worker uuid, worker_label text, has text[]) RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('ledgerline.payload_keys'));
    DELETE FROM ledgerline.payload_readers WHERE seen_at < now() - interval '10 minutes' AND worker_id <> worker;
    RETURN QUERY SELECT name FROM ledgerline.payload_keys WHERE name <> ALL (has) ORDER BY 1;
    IF FOUND THEN
        DELETE FROM ledgerline.payload_readers WHERE worker_id = worker;
    ELSE
        INSERT INTO ledgerline.payload_readers (worker_id, label, keys, seen_at) VALUES (worker, worker_label, has, now())
            ON CONFLICT (worker_id) DO UPDATE SET label = excluded.label, keys = excluded.keys, seen_at = excluded.seen_at;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION ledgerline.stop_reading_payloads(worker uuid) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        DELETE FROM ledgerline.payload_readers WHERE worker_id = worker;
    $$;
-- +goose StatementEnd

-- Takes a key into use, unless a worker lacks it: then it returns those workers, and
-- nothing may be encrypted with the key. A worker that was not seen for ten minutes
-- has ended.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.use_payload_key(key text) RETURNS TABLE (label text, seen_at timestamptz)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF EXISTS (SELECT FROM ledgerline.payload_keys WHERE name = key) THEN
        UPDATE ledgerline.payload_keys SET last_use = now() WHERE name = key AND last_use < now() - interval '1 minute';
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('ledgerline.payload_keys'));
    DELETE FROM ledgerline.payload_readers WHERE seen_at < now() - interval '10 minutes';
    RETURN QUERY SELECT label, seen_at FROM ledgerline.payload_readers WHERE NOT key = ANY (keys) ORDER BY 1;
    IF NOT FOUND THEN
        INSERT INTO ledgerline.payload_keys (name) VALUES (key) ON CONFLICT (name) DO NOTHING;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION ledgerline.list_payload_keys() RETURNS TABLE (name text, first_use timestamptz, last_use timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT name, first_use, last_use FROM ledgerline.payload_keys ORDER BY first_use, name;
    $$;
-- +goose StatementEnd

-- Takes a key out of use that was not used after a time: workers need it no longer. It
-- returns whether it did.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.retire_payload_key(key text, used timestamptz) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        WITH gone AS (DELETE FROM ledgerline.payload_keys WHERE name = key AND last_use <= used RETURNING name) SELECT EXISTS (SELECT FROM gone);
    $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION ledgerline.read_payloads(uuid, text, text[]), ledgerline.stop_reading_payloads(uuid), ledgerline.use_payload_key(text),
    ledgerline.list_payload_keys(), ledgerline.retire_payload_key(text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.read_payloads(uuid, text, text[]), ledgerline.stop_reading_payloads(uuid) TO ledgerline_worker;
GRANT EXECUTE ON FUNCTION ledgerline.use_payload_key(text) TO ledgerline_worker, ledgerline_operator;
GRANT EXECUTE ON FUNCTION ledgerline.list_payload_keys(), ledgerline.retire_payload_key(text, timestamptz) TO ledgerline_operator;

-- +goose Down
DROP FUNCTION ledgerline.retire_payload_key(text, timestamptz), ledgerline.list_payload_keys(), ledgerline.use_payload_key(text),
    ledgerline.stop_reading_payloads(uuid), ledgerline.read_payloads(uuid, text, text[]);
DROP TABLE ledgerline.payload_readers, ledgerline.payload_keys;
