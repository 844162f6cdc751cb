-- Names of organizations, for the people who read and type them in place of UUIDs. An
-- organization needs none. A short name is unique in the database, so an operator who
-- chooses one that is taken learns that, and not whose it is.
--
-- Who may read may also ask for the time and for all organizations, which the commands
-- that only read need.

-- +goose Up
CREATE TABLE ledgerline.organizations (
    organization_id uuid        PRIMARY KEY,
    name            text        NOT NULL, -- as people write it: Norsk Eksempel AS
    short_name      text        NOT NULL, -- as people type it: eksempel
    changed_at      timestamptz NOT NULL DEFAULT now(),
    changed_by      text        NOT NULL,
    CONSTRAINT short_name_is_unique UNIQUE (short_name),
    CONSTRAINT short_name_can_be_typed CHECK (short_name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    CONSTRAINT short_name_is_no_uuid CHECK (replace(short_name, '-', '') !~ '^[0-9a-f]{32}$'),
    CONSTRAINT name_is_a_line CHECK (length(name) BETWEEN 1 AND 200 AND name !~ '[[:cntrl:]]'),
    CONSTRAINT changed_by_is_cut CHECK (length(changed_by) BETWEEN 1 AND 500)
);
ALTER TABLE ledgerline.organizations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.organizations
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
CREATE POLICY functions_of_the_owner ON ledgerline.organizations FOR SELECT TO ledgerline_owner USING (true);
GRANT SELECT ON ledgerline.organizations TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.organizations TO ledgerline_operator;

-- The organization with a short name; NULL if there is none.
CREATE FUNCTION ledgerline.find_organization(wanted text) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'SELECT organization_id FROM ledgerline.organizations WHERE short_name = wanted';

-- Every organization that has a name, or has or had an integration, with its names.
CREATE FUNCTION ledgerline.list_organizations() RETURNS TABLE (organization_id uuid, name text, short_name text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'SELECT known.organization_id, coalesce(named.name, ''''), coalesce(named.short_name, '''')
        FROM (SELECT integrations.organization_id FROM ledgerline.integrations UNION SELECT organizations.organization_id FROM ledgerline.organizations) AS known
        LEFT JOIN ledgerline.organizations AS named ON named.organization_id = known.organization_id
        ORDER BY named.short_name NULLS LAST, known.organization_id';
REVOKE ALL ON FUNCTION ledgerline.find_organization(text), ledgerline.list_organizations() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.find_organization(text) TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT EXECUTE ON FUNCTION ledgerline.list_organizations() TO ledgerline_operator, ledgerline_reader;

GRANT EXECUTE ON FUNCTION ledgerline.clock(), ledgerline.organizations() TO ledgerline_reader;

-- +goose Down
REVOKE EXECUTE ON FUNCTION ledgerline.clock(), ledgerline.organizations() FROM ledgerline_reader;
DROP FUNCTION ledgerline.list_organizations(), ledgerline.find_organization(text);
DROP TABLE ledgerline.organizations;
