-- What made exports slow where many entries were exported before.
--
-- What an update of an entry may not do is looked for before the trigger's function is
-- called, and no longer in each call: marking and recording 5,000 entries took a third
-- of their time in calls that found nothing. The functions say why, as before.
--
-- A plan of 20,000 entries brings the statistics up to date, however small a part of the
-- table it is. Until they know an export's organization, a query for 500 of its entries
-- reads all of them: beside three million, 100,000 took 50 ms more for each of 200 chunks.
-- That grows with the square, so at 20,000 it is about what the statistics take, 0.2 s.

-- +goose Up
CREATE OR REPLACE TRIGGER final BEFORE UPDATE ON ledgerline.export_entries FOR EACH ROW
    WHEN (OLD.state = 'exported' AND NEW.state <> 'exported' OR NEW.vendor_key <> OLD.vendor_key OR NEW.export_id <> OLD.export_id
        OR OLD.open_until IS NOT NULL AND (NEW.open_until IS NULL OR NEW.open_until < OLD.open_until))
    EXECUTE FUNCTION ledgerline.exported_is_final();
CREATE OR REPLACE TRIGGER content_is_final BEFORE UPDATE ON ledgerline.export_entries FOR EACH ROW
    WHEN (OLD.state = 'exported' -- one by one: rows that are compared are written in another way after a restore
        OR NEW.organization_id IS DISTINCT FROM OLD.organization_id
        OR NEW.integration_id IS DISTINCT FROM OLD.integration_id OR NEW.entry_id IS DISTINCT FROM OLD.entry_id
        OR NEW.voucher_id IS DISTINCT FROM OLD.voucher_id OR NEW.vendor_key IS DISTINCT FROM OLD.vendor_key
        OR NEW.entry_date IS DISTINCT FROM OLD.entry_date OR NEW.account IS DISTINCT FROM OLD.account
        OR NEW.amount IS DISTINCT FROM OLD.amount OR NEW.currency IS DISTINCT FROM OLD.currency
        OR NEW.text IS DISTINCT FROM OLD.text OR NEW.dimensions IS DISTINCT FROM OLD.dimensions
        OR NEW.late IS DISTINCT FROM OLD.late)
    EXECUTE FUNCTION ledgerline.content_is_final();
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledgerline.analyze_planned(entries bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF entries >= 20000 OR entries > (SELECT greatest(reltuples, 0) / 10 FROM pg_catalog.pg_class WHERE oid = 'ledgerline.export_entries'::regclass) THEN
        ANALYZE (SKIP_LOCKED) ledgerline.export_entries;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledgerline.analyze_planned(entries bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF entries > (SELECT greatest(reltuples, 0) / 10 FROM pg_catalog.pg_class WHERE oid = 'ledgerline.export_entries'::regclass) THEN
        ANALYZE (SKIP_LOCKED) ledgerline.export_entries;
    END IF;
END
$$;
-- +goose StatementEnd
CREATE OR REPLACE TRIGGER final BEFORE UPDATE ON ledgerline.export_entries FOR EACH ROW EXECUTE FUNCTION ledgerline.exported_is_final();
CREATE OR REPLACE TRIGGER content_is_final BEFORE UPDATE ON ledgerline.export_entries FOR EACH ROW EXECUTE FUNCTION ledgerline.content_is_final();
