-- How to read this folder: 00001 has what all tables share, 00002 the
-- integrations to which everything belongs, 00003 the attempts to call a vendor,
-- 00004 exports and their entries, 00005 what people decide about entries, 00006
-- health and secrets, 00007 notifications, 00008 quotas and queues.
--
-- Rules for each file. It runs in a transaction, as the role ledgerline_owner, on
-- PostgreSQL 15 or later; runlog/install.go makes the roles and the schema first.
--
--   * What a file makes belongs to ledgerline_owner. Nothing needs a superuser.
--   * Row-level security is forced on the owner too, so a statement that reads or
--     changes rows sees none of them. A data migration puts it between
--         ALTER TABLE ledgerline.x NO FORCE ROW LEVEL SECURITY;
--         ALTER TABLE ledgerline.x FORCE ROW LEVEL SECURITY;
--     for each table that it names, in the same transaction, so nobody else ever
--     sees the table without it.
--   * A file with which an older program cannot work sets serves_from in
--     ledgerline.schema_serves to its number; its Down sets it back.
--   * A jsonb column that a program decodes has a CHECK of its members
--     (ledgerline.decodes_as), so that one row cannot stop the work on others.
--   * After a change, go test ./runlog -run TestCatalogue -update writes what
--     the self-check expects into runlog/catalogue.txt.

-- +goose Up
GRANT USAGE ON SCHEMA ledgerline TO ledgerline_worker, ledgerline_operator, ledgerline_reader, ledgerline_retention;
GRANT SELECT ON ledgerline.goose_db_version TO ledgerline_worker, ledgerline_operator, ledgerline_reader, ledgerline_retention;

-- Which programs this schema serves, so that old and new ones can run beside each
-- other during an upgrade.
CREATE TABLE ledgerline.schema_serves (
    one         boolean PRIMARY KEY DEFAULT true,
    serves_from bigint  NOT NULL,            -- the schema version of the oldest program that can work with this schema
    catalogue   text    NOT NULL DEFAULT '', -- what the program that migrated last expects; older programs check the schema against it
    CONSTRAINT one_row CHECK (one)
);
INSERT INTO ledgerline.schema_serves (serves_from) VALUES (8); -- no program works with fewer than the first eight files
GRANT SELECT ON ledgerline.schema_serves TO ledgerline_worker, ledgerline_operator, ledgerline_reader, ledgerline_retention;

-- The organization of the current transaction, set with set_config(…, true).
-- After such a transaction the setting is '' and not NULL.
CREATE FUNCTION ledgerline.current_organization() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('app.organization_id', true), '')::uuid;

-- The clock to which every open_until is compared. Timers elsewhere are hints.
CREATE FUNCTION ledgerline.clock() RETURNS timestamptz LANGUAGE sql VOLATILE RETURN clock_timestamp();
GRANT EXECUTE ON FUNCTION ledgerline.clock() TO ledgerline_worker, ledgerline_operator;

-- Whether a value is what a program can decode. Wanted is
--     "text", "boolean", "uuid", "time" (RFC 3339)
--     "texts", "counts"       an object whose values are all texts, or whole numbers
--     "texts or null"         the same, with null for a missing text
--     "list"                  an array of texts
--     [0, 60]                 a whole number from 0 to 60, written without a decimal point
--     ["number", 0, 0.9]      a number in that range
--     ["each", wanted]        an array
--     {"member": wanted, …}   an object with these members and no others: Go ignores the
--                             case of names, so it may decode one that is spelled differently
-- +goose StatementBegin
CREATE FUNCTION ledgerline.decodes_as(value jsonb, wanted jsonb) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_a text := jsonb_typeof(value);
BEGIN
    CASE jsonb_typeof(wanted)
    WHEN 'object' THEN
        RETURN is_a = 'object' AND coalesce((SELECT bool_and(wanted ? member.key AND ledgerline.decodes_as(member.value, wanted -> member.key))
            FROM jsonb_each(CASE is_a WHEN 'object' THEN value END) AS member), true);
    WHEN 'array' THEN
        CASE wanted ->> 0
        WHEN 'each' THEN
            RETURN is_a = 'array' AND coalesce((SELECT bool_and(ledgerline.decodes_as(element.value, wanted -> 1))
                FROM jsonb_array_elements(CASE is_a WHEN 'array' THEN value END) AS element), true);
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
                RETURN false; -- such as 30 February
            END;
        WHEN 'texts' THEN RETURN is_a = 'object' AND NOT value @? 'strict $.* ? (@.type() <> "string")';
        WHEN 'texts or null' THEN RETURN is_a = 'object' AND NOT value @? 'strict $.* ? (@.type() <> "string" && @.type() <> "null")';
        WHEN 'counts' THEN RETURN is_a = 'object' AND NOT EXISTS (SELECT FROM jsonb_each(CASE is_a WHEN 'object' THEN value END) AS member WHERE member.value::text !~ '^-?\d{1,18}$');
        WHEN 'list' THEN RETURN is_a = 'array' AND NOT value @? 'strict $[*] ? (@.type() <> "string")';
        END CASE;
    END CASE;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION ledgerline.decodes_as(jsonb, jsonb), ledgerline.clock(), ledgerline.current_organization();
DROP TABLE ledgerline.schema_serves;
REVOKE SELECT ON ledgerline.goose_db_version FROM ledgerline_worker, ledgerline_operator, ledgerline_reader, ledgerline_retention;
REVOKE USAGE ON SCHEMA ledgerline FROM ledgerline_worker, ledgerline_operator, ledgerline_reader, ledgerline_retention;
