-- What lets a plan look only at entries that are new, however many were exported
-- before: each transaction that stores entries is an import, imports get a position
-- once a plan can see them, and an integration's mark says up to which position, and
-- before which date, it has taken everything.
--
-- A transaction ID names an import here and orders nothing: one that commits late
-- gets its position when it is seen. So a mark holds in a restored database too, where
-- transaction IDs begin again; one that is used a second time makes its import new.
--
-- Programs that know nothing of this work beside those that do: they take more than a
-- mark says, never less. On a table with entries the file takes the time of reading it
-- once, for which imports wait: 5 million in about a second.

-- +goose Up
-- The entries that are there keep 0: no integration has a mark yet, and its first plan
-- looks at everything. A column with a constant default rewrites nothing.
ALTER TABLE ledgerline.accounting_entries ADD COLUMN imported_in xid8 NOT NULL DEFAULT '0'; -- the transaction that stored or changed it
ALTER TABLE ledgerline.accounting_entries ALTER COLUMN imported_in DROP DEFAULT;            -- so that a way around the trigger is an error
-- Whoever looks for an import looks for one that came after the statistics were taken.
ALTER TABLE ledgerline.accounting_entries ALTER COLUMN imported_in SET (n_distinct = -1);
CREATE INDEX accounting_entries_by_import ON ledgerline.accounting_entries (organization_id, imported_in) WHERE imported_in <> '0';

CREATE TABLE ledgerline.entry_imports (
    organization_id uuid   NOT NULL,
    imported_in     xid8   NOT NULL,
    position        bigint, -- NULL: no plan of a marked source has seen it
    PRIMARY KEY (organization_id, imported_in),
    CONSTRAINT position_is_positive CHECK (position > 0)
);
CREATE INDEX entry_imports_by_position ON ledgerline.entry_imports (organization_id, position);
ALTER TABLE ledgerline.entry_imports ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.entry_imports
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
CREATE POLICY functions_of_the_owner ON ledgerline.entry_imports TO ledgerline_owner USING (true) WITH CHECK (true);
GRANT SELECT ON ledgerline.entry_imports TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT UPDATE (position) ON ledgerline.entry_imports TO ledgerline_worker;

-- Everything of the source that came up to the position, and is dated before the day,
-- has a row in export_entries.
CREATE TABLE ledgerline.plan_marks (
    organization_id uuid        NOT NULL,
    integration_id  uuid        NOT NULL,
    source          text        NOT NULL,
    position        bigint      NOT NULL, -- of ledgerline.entry_imports; of another source, the oldest transaction ID that was not over
    before          date        NOT NULL,
    server          text        NOT NULL DEFAULT '', -- of another source: where its transaction IDs count
    whole_at        timestamptz NOT NULL, -- when the source was last looked at as a whole
    PRIMARY KEY (organization_id, integration_id, source),
    CONSTRAINT mark_belongs_to_integration FOREIGN KEY (organization_id, integration_id)
        REFERENCES ledgerline.integrations (organization_id, integration_id)
);
ALTER TABLE ledgerline.plan_marks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON ledgerline.plan_marks
    USING (organization_id = ledgerline.current_organization()) WITH CHECK (organization_id = ledgerline.current_organization());
CREATE POLICY functions_of_the_owner ON ledgerline.plan_marks TO ledgerline_owner USING (true) WITH CHECK (true);
GRANT SELECT ON ledgerline.plan_marks TO ledgerline_worker, ledgerline_operator, ledgerline_reader;
GRANT INSERT, UPDATE ON ledgerline.plan_marks TO ledgerline_worker;

-- What whoever inserts says of the import does not count. A change makes an entry new:
-- its date may have been after a mark.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.entry_has_its_import() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.imported_in := pg_catalog.pg_current_xact_id();
    RETURN NEW;
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION ledgerline.import_is_new() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO ledgerline.entry_imports AS import (organization_id, imported_in)
        SELECT DISTINCT organization_id, imported_in FROM stored
        ON CONFLICT (organization_id, imported_in) DO UPDATE SET position = NULL WHERE import.position IS NOT NULL;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER has_its_import BEFORE INSERT OR UPDATE ON ledgerline.accounting_entries
    FOR EACH ROW EXECUTE FUNCTION ledgerline.entry_has_its_import();
CREATE TRIGGER import_is_new AFTER INSERT ON ledgerline.accounting_entries REFERENCING NEW TABLE AS stored
    FOR EACH STATEMENT EXECUTE FUNCTION ledgerline.import_is_new();
CREATE TRIGGER change_is_new AFTER UPDATE ON ledgerline.accounting_entries REFERENCING NEW TABLE AS stored
    FOR EACH STATEMENT EXECUTE FUNCTION ledgerline.import_is_new();

-- No program deletes what was exported. Where a superuser does, as to undo a restore, a
-- mark would hide the entries from the next plan.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.marks_end() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM ledgerline.plan_marks;
    ELSE
        DELETE FROM ledgerline.plan_marks WHERE (organization_id, integration_id) IN (SELECT organization_id, integration_id FROM deleted);
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER marks_end AFTER DELETE ON ledgerline.export_entries REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION ledgerline.marks_end();
CREATE TRIGGER all_marks_end AFTER TRUNCATE ON ledgerline.export_entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledgerline.marks_end();
REVOKE ALL ON FUNCTION ledgerline.import_is_new(), ledgerline.marks_end() FROM PUBLIC;

-- What the server knows of a table is brought up to date by autovacuum within a minute
-- or so. Until then a query that marks 500 entries of a million that were just planned
-- may read them all, so a large plan does it at once. Only an owner may.
-- +goose StatementBegin
CREATE FUNCTION ledgerline.analyze_planned(entries bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF entries > (SELECT greatest(reltuples, 0) / 10 FROM pg_catalog.pg_class WHERE oid = 'ledgerline.export_entries'::regclass) THEN
        ANALYZE (SKIP_LOCKED) ledgerline.export_entries;
    END IF;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION ledgerline.analyze_planned(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledgerline.analyze_planned(bigint) TO ledgerline_worker;

-- +goose Down
DROP FUNCTION ledgerline.analyze_planned(bigint);
DROP TRIGGER all_marks_end ON ledgerline.export_entries;
DROP TRIGGER marks_end ON ledgerline.export_entries;
DROP TRIGGER change_is_new ON ledgerline.accounting_entries;
DROP TRIGGER import_is_new ON ledgerline.accounting_entries;
DROP TRIGGER has_its_import ON ledgerline.accounting_entries;
DROP FUNCTION ledgerline.marks_end(), ledgerline.import_is_new(), ledgerline.entry_has_its_import();
DROP TABLE ledgerline.plan_marks, ledgerline.entry_imports;
ALTER TABLE ledgerline.accounting_entries DROP COLUMN imported_in;
