-- Rules that the database did not carry yet: what a row may hold that programs
-- decode, so that one row cannot stop the others; what of an entry may change; a
-- period belongs to its organization. And from which program on this schema is
-- good, so that old and new ones run beside each other.

-- +goose Up
CREATE TABLE ledgerline.schema_serves (
    one         boolean PRIMARY KEY DEFAULT true,
    serves_from bigint  NOT NULL,            -- the schema of the oldest program that can work with this one
    catalogue   text    NOT NULL DEFAULT '', -- what the program that migrated last expects, for older ones
    CONSTRAINT one_row CHECK (one)
);
INSERT INTO ledgerline.schema_serves (serves_from) VALUES (14);
GRANT SELECT ON ledgerline.schema_serves TO ledgerline_worker, ledgerline_operator, ledgerline_reader, ledgerline_retention;

-- Whether a value is what a program can decode. Wanted is
--     "text", "boolean", "uuid", "time" (RFC 3339)
--     "texts", "counts"       an object whose values are all texts, or whole numbers
--     "texts or null"         the same, with null for a text that is not there
--     "list"                  an array of texts
--     [0, 60]                 a whole number from 0 to 60, written without a point
--     ["number", 0, 0.9]      a number in that range
--     ["each", wanted]        an array
--     {"member": wanted, …}   an object with these members and no others: Go reads names
--                             without regard to case, so a strange one may be read too
-- +goose StatementBegin
CREATE FUNCTION ledgerline.decodes_as(value jsonb, wanted jsonb) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_a text := jsonb_typeof(value);
BEGIN
    CASE jsonb_typeof(wanted)
    WHEN 'object' THEN
        RETURN is_a = 'object' AND coalesce((SELECT bool_and(wanted ? m.key AND ledgerline.decodes_as(m.value, wanted -> m.key))
            FROM jsonb_each(CASE is_a WHEN 'object' THEN value END) m), true);
    WHEN 'array' THEN
        CASE wanted ->> 0
        WHEN 'each' THEN
            RETURN is_a = 'array' AND coalesce((SELECT bool_and(ledgerline.decodes_as(e.value, wanted -> 1))
                FROM jsonb_array_elements(CASE is_a WHEN 'array' THEN value END) e), true);
        WHEN 'number' THEN
            RETURN CASE WHEN is_a = 'number' THEN value::numeric BETWEEN (wanted -> 1)::numeric AND (wanted -> 2)::numeric ELSE false END;
        ELSE
            RETURN CASE WHEN is_a = 'number' AND value::text ~ '^-?\d{1,18}$' THEN value::numeric BETWEEN (wanted -> 0)::numeric AND (wanted -> 1)::numeric ELSE false END;
        END CASE;
    ELSE
        CASE wanted #>> '{}'
        WHEN 'text' THEN RETURN is_a = 'string';
        WHEN 'boolean' THEN RETURN is_a = 'boolean';
        WHEN 'uuid' THEN RETURN is_a = 'string' AND (value #>> '{}') ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$';
        WHEN 'time' THEN
            BEGIN
                RETURN is_a = 'string' AND (value #>> '{}') ~ '^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$'
                    AND (value #>> '{}')::timestamptz IS NOT NULL;
            EXCEPTION WHEN datetime_field_overflow OR invalid_datetime_format THEN
                RETURN false; -- 30 February
            END;
        WHEN 'texts' THEN RETURN is_a = 'object' AND NOT value @? 'strict $.* ? (@.type() <> "string")';
        WHEN 'texts or null' THEN RETURN is_a = 'object' AND NOT value @? 'strict $.* ? (@.type() <> "string" && @.type() <> "null")';
        WHEN 'counts' THEN RETURN is_a = 'object' AND NOT EXISTS (SELECT FROM jsonb_each(CASE is_a WHEN 'object' THEN value END) m WHERE m.value::text !~ '^-?\d{1,18}$');
        WHEN 'list' THEN RETURN is_a = 'array' AND NOT value @? 'strict $[*] ? (@.type() <> "string")';
        END CASE;
    END CASE;
END
$$;
-- +goose StatementEnd

-- Durations are nanoseconds. The highest are not those of a file, which says what
-- makes sense, but those that every program can compute with.
ALTER TABLE ledgerline.integrations
    ADD CONSTRAINT settings_can_be_read CHECK (ledgerline.decodes_as(settings, '"texts"')),
    ADD CONSTRAINT policy_can_be_read CHECK (ledgerline.decodes_as(policy, '{"baseDelay": [0, 60000000000], "coefficient": ["number", 0, 10], "maxRetries": [0, 10],
        "jitter": ["number", 0, 0.9], "attemptTimeout": [0, 60000000000], "budget": [0, 60000000000]}')),
    ADD CONSTRAINT schedule_can_be_read CHECK (ledgerline.decodes_as(schedule, '{"every": "text", "hour": [0, 23], "minute": [0, 59], "day": [0, 28], "cron": "text",
        "timeZone": "text", "period": "text", "overlap": "text", "catchUp": [0, 31622400000000000], "warmUp": [-1, 86400000000000], "drift": [0, 31622400000000000]}')),
    ADD CONSTRAINT export_can_be_read CHECK (ledgerline.decodes_as(export, '{"source": "text", "chunkSize": [0, 1000000], "accounts": "texts", "dimensions": "texts",
        "currencies": "list", "isolateRequests": [0, 1000000], "equalRefusals": [0, 1000000]}')),
    ADD CONSTRAINT limits_can_be_read CHECK (ledgerline.decodes_as(limits, '{"requestsPerMinute": [0, 1000000], "concurrentRequests": [0, 100000],
        "monthlyRequests": [0, 1000000000000], "warnAt": [0, 100], "refuseAt100": "boolean"}')),
    ADD CONSTRAINT health_can_be_read CHECK (ledgerline.decodes_as(health, '{"interval": [0, 31622400000000000], "maxInterval": [0, 31622400000000000], "noProbes": "boolean"}')),
    ADD CONSTRAINT addresses_have_no_user CHECK (base_url ~ '^https?://[^/?#@\\[:space:]]+([/?#]|$)'
        AND coalesce(settings ->> 'authority', 'https://x') ~ '^https?://[^/?#@\\[:space:]]+([/?#]|$)');
ALTER TABLE ledgerline.notification_channels
    ADD CONSTRAINT settings_members_can_be_read CHECK (ledgerline.decodes_as(settings, CASE kind WHEN 'webhook' THEN '{"url": "text", "secret": "text"}'::jsonb ELSE '{"to": "list"}'::jsonb END)),
    ADD CONSTRAINT name_is_plain CHECK (name ~ '^[a-z0-9-]{1,63}$'), -- it is part of a workflow's ID
    ADD CONSTRAINT url_has_no_user CHECK (kind <> 'webhook' OR coalesce(settings ->> 'url' ~ '^https?://[^/?#@\\[:space:]]+([/?#]|$)', false));
ALTER TABLE ledgerline.notifications
    ADD CONSTRAINT facts_can_be_read CHECK (ledgerline.decodes_as(facts, '{"errorKind": "text", "exportId": "uuid", "period": "text", "scheduledAt": "time",
        "lateSeconds": [-100000000000, 100000000000], "since": "time", "others": "list", "earlier": {"count": [0, 1000000000], "integrations": "list"},
        "entries": {"total": [0, 1000000000000], "exported": [0, 1000000000000], "rejected": [0, 1000000000000], "unknown": [0, 1000000000000], "faulted": [0, 1000000000000], "unsent": [0, 1000000000000]},
        "quota": {"month": "text", "used": [0, 100000000000000000], "limit": [0, 100000000000000000], "percent": [0, 1000000000]},
        "secret": {"credential": "text", "source": "text", "expiresAt": "time", "days": [-1000000, 1000000]}}'));
ALTER TABLE ledgerline.vendor_contracts
    ADD CONSTRAINT checks_can_be_read CHECK (ledgerline.decodes_as(checks, '["each", {"what": "text", "state": "text", "found": "text", "remedy": "text"}]')),
    ADD CONSTRAINT learnt_can_be_read CHECK (ledgerline.decodes_as(learnt, '"texts"'));
ALTER TABLE ledgerline.bufdir_export_audit_log
    ADD CONSTRAINT amounts_can_be_read CHECK (ledgerline.decodes_as(amounts, '"texts or null"')),
    ADD CONSTRAINT warm_up_ms_can_be_read CHECK (ledgerline.decodes_as(warm_up_ms, '"counts"')),
    -- Whoever has the key has the period, so it is the organization's own.
    DROP CONSTRAINT period_is_exported_once,
    ADD CONSTRAINT period_is_exported_once UNIQUE (organization_id, idempotency_key);
-- Written out, since there are millions of entries. Strict: otherwise a path looks
-- into arrays.
ALTER TABLE ledgerline.accounting_entries
    ADD CONSTRAINT dimensions_can_be_read CHECK (jsonb_typeof(dimensions) = 'object' AND NOT dimensions @? 'strict $.* ? (@.type() == "object" || @.type() == "array")'),
    ADD CONSTRAINT amount_is_a_number CHECK (amount <> 'NaN');
ALTER TABLE ledgerline.export_entries
    ADD CONSTRAINT dimensions_can_be_read CHECK (jsonb_typeof(dimensions) = 'object' AND NOT dimensions @? 'strict $.* ? (@.type() <> "string" && @.type() <> "null")');

-- What is planned is what is sent and what is proven. An entry that was rejected
-- is planned again from its source, and then only its content may differ. An entry
-- that the vendor has stays as it is, except for a fault that the vendor finds later.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.content_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'exported' AND (to_jsonb(NEW) - 'vendor_fault') <> (to_jsonb(OLD) - 'vendor_fault') THEN
        RAISE EXCEPTION 'entry % is exported', OLD.entry_id USING ERRCODE = 'check_violation', CONSTRAINT = 'exported_is_final';
    END IF;
    IF (NEW.organization_id, NEW.integration_id, NEW.entry_id, NEW.voucher_id, NEW.vendor_key)
       IS DISTINCT FROM (OLD.organization_id, OLD.integration_id, OLD.entry_id, OLD.voucher_id, OLD.vendor_key) THEN
        RAISE EXCEPTION 'what identifies entry % cannot be changed', OLD.entry_id USING ERRCODE = 'check_violation', CONSTRAINT = 'exported_is_final';
    END IF;
    IF (OLD.state <> 'rejected' OR NEW.state NOT IN ('planned', 'rejected'))
       AND (NEW.entry_date, NEW.account, NEW.amount, NEW.currency, NEW.text, NEW.dimensions, NEW.late)
           IS DISTINCT FROM (OLD.entry_date, OLD.account, OLD.amount, OLD.currency, OLD.text, OLD.dimensions, OLD.late) THEN
        RAISE EXCEPTION 'entry % is %: its content cannot be changed', OLD.entry_id, OLD.state USING ERRCODE = 'check_violation', CONSTRAINT = 'planned_content_stands';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER content_stands BEFORE UPDATE ON ledgerline.export_entries FOR EACH ROW EXECUTE FUNCTION ledgerline.content_stands();

-- +goose Down
DROP TRIGGER content_stands ON ledgerline.export_entries;
DROP FUNCTION ledgerline.content_stands();
ALTER TABLE ledgerline.export_entries DROP CONSTRAINT dimensions_can_be_read;
ALTER TABLE ledgerline.accounting_entries DROP CONSTRAINT dimensions_can_be_read, DROP CONSTRAINT amount_is_a_number;
-- This fails, and nothing changes, where two organizations have the same key.
ALTER TABLE ledgerline.bufdir_export_audit_log DROP CONSTRAINT amounts_can_be_read, DROP CONSTRAINT warm_up_ms_can_be_read,
    DROP CONSTRAINT period_is_exported_once, ADD CONSTRAINT period_is_exported_once UNIQUE (idempotency_key);
ALTER TABLE ledgerline.vendor_contracts DROP CONSTRAINT checks_can_be_read, DROP CONSTRAINT learnt_can_be_read;
ALTER TABLE ledgerline.notifications DROP CONSTRAINT facts_can_be_read;
ALTER TABLE ledgerline.notification_channels DROP CONSTRAINT settings_members_can_be_read, DROP CONSTRAINT name_is_plain, DROP CONSTRAINT url_has_no_user;
ALTER TABLE ledgerline.integrations DROP CONSTRAINT settings_can_be_read, DROP CONSTRAINT policy_can_be_read, DROP CONSTRAINT schedule_can_be_read,
    DROP CONSTRAINT export_can_be_read, DROP CONSTRAINT limits_can_be_read, DROP CONSTRAINT health_can_be_read, DROP CONSTRAINT addresses_have_no_user;
DROP FUNCTION ledgerline.decodes_as(jsonb, jsonb);
DROP TABLE ledgerline.schema_serves;
