package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// What the console's pages are measured with, all of one organization.
const (
	bookEntries      = 5_000_000 // of the newest export of the first integration
	bookIntegrations = 500
	bookMonths       = 20 // an export of each integration in each
	bookAttempts     = 300_000
)

// bookMonth is the newest month.
var bookMonth = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

// books stores what was exported. Nothing is checked and no trigger runs meanwhile, and large
// indexes are made at the end: it takes minutes in place of an hour.
func books(ctx context.Context, admin *pgxpool.Pool) (o integrations.Organization, err error) {
	o = integrations.Organization{ID: uuid.New(), Name: "Eksempel", Short: "eksempel"}
	var list []integrations.Integration
	for i := range bookIntegrations {
		list = append(list, integrations.Integration{
			OrganizationID: o.ID, ID: uuid.New(), Name: fmt.Sprintf("xledger-%03d", i+1), Adapter: "xledger", BaseURL: "https://www.xledger.net/graphql", Policy: classify.DefaultPolicy(),
			Schedule: &integrations.Schedule{Every: integrations.Monthly, Day: 3, Hour: 6, Minute: 30, TimeZone: "Europe/Oslo"},
		})
	}
	if _, err := runlog.ApplyIntegrations(ctx, admin, list, runlog.ApplyOptions{By: "bench", Organizations: []integrations.Organization{o}}); err != nil {
		return o, err
	}
	for _, statement := range []struct {
		sql  string
		args []any
	}{
		{"SET session_replication_role = replica", nil},
		{"SET maintenance_work_mem = '512MB'", nil},
		{withoutIndexes, nil},
		{bookExports, []any{o.ID, bookMonth, bookMonths}},
		{bookBig, []any{o.ID, list[0].ID, bookEntries, bookMonth}},
		{bookSmall, []any{o.ID, list[0].ID, bookMonth}},
		{bookTicks, []any{o.ID}},
		{bookCalls, []any{o.ID, bookAttempts}},
		{bookCounts, []any{o.ID}},
		{withIndexes, nil},
		{"SET session_replication_role = origin", nil},
	} {
		if _, err := admin.Exec(ctx, statement.sql, statement.args...); err != nil {
			return o, fmt.Errorf("%.60s: %w", statement.sql, err)
		}
	}
	_, err = admin.Exec(ctx, "VACUUM (ANALYZE)")
	return o, err
}

const (
	// withoutIndexes keeps in mind the indexes of entries that are no constraints, and drops them.
	withoutIndexes = `DO $$ DECLARE one record; BEGIN
		CREATE TEMPORARY TABLE dropped AS SELECT indexdef, indexname FROM pg_indexes WHERE schemaname = 'ledgerline' AND tablename IN ('export_entries', 'accounting_entries')
		    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conname = indexname);
		FOR one IN SELECT indexname FROM dropped LOOP EXECUTE format('DROP INDEX ledgerline.%I', one.indexname); END LOOP;
		END $$`
	withIndexes = `DO $$ DECLARE one record; BEGIN FOR one IN SELECT indexdef FROM dropped LOOP EXECUTE one.indexdef; END LOOP; END $$`

	bookExports = `
		INSERT INTO ledgerline.bufdir_export_audit_log (organization_id, export_id, integration_id, adapter_name, period, period_start, period_end, idempotency_key, trigger, triggered_by,
		    workflow_id, run_id, scheduled_at, started_at, planned_at, finished_at, status)
		SELECT $1, gen_random_uuid(), integration_id, 'xledger', to_char(month, 'YYYY-MM'), month, month + interval '1 month', integration_id || '/' || to_char(month, 'YYYY-MM'), 'schedule', 'schedule',
		    'bench/' || integration_id || to_char(month, 'YYYY-MM'), gen_random_uuid(), month + interval '33 days', month + interval '33 days', month + interval '33 days', month + interval '34 days', 'complete'
		FROM ledgerline.integrations, generate_series(0, $3::int - 1) AS back, LATERAL (SELECT ($2::date - make_interval(months => back))::date AS month) AS of
		WHERE organization_id = $1`

	// Two entries to a voucher; of 1,000 vouchers one is refused.
	bookBig = `
		INSERT INTO ledgerline.export_entries (organization_id, integration_id, entry_id, export_id, voucher_id, chunk, vendor_key, entry_date, late, account, amount, currency, text,
		    state, reason, effect, settled_at)
		SELECT $1, $2, 'E' || i, export_id, 'V' || lpad((i / 2)::text, 8, '0'), i / 500 + 1, left(md5('E' || i), 32), $4::date + i / 2 % 31, false, CASE i % 2 WHEN 0 THEN '1920' ELSE '3000' END,
		    CASE i % 2 WHEN 0 THEN 100.10 ELSE -100.10 END + i % 7, 'NOK', 'Faktura ' || i / 2, CASE WHEN i / 2 % 1000 = 7 THEN 'rejected' ELSE 'exported' END,
		    CASE WHEN i / 2 % 1000 = 7 THEN 'account.code: No value matching X999' END, CASE WHEN i / 2 % 1000 = 7 THEN 'none' ELSE 'done' END, CASE WHEN i / 2 % 1000 <> 7 THEN now() END
		FROM generate_series(0, $3::int - 1) AS i, ledgerline.bufdir_export_audit_log AS export
		WHERE export.organization_id = $1 AND export.integration_id = $2 AND export.period_start = $4::date`

	// Ten entries of each other export; of 50 exports one has a voucher that is refused. The
	// vouchers of an organization go to each of its vendors, so they have the same IDs.
	bookSmall = `
		INSERT INTO ledgerline.export_entries (organization_id, integration_id, entry_id, export_id, voucher_id, chunk, vendor_key, entry_date, late, account, amount, currency, text,
		    state, reason, effect, settled_at)
		SELECT $1, integration_id, period || '-' || i, export_id, period || '-' || i / 2, 1, left(md5(period || i), 32), period_start, false, CASE i % 2 WHEN 0 THEN '1920' ELSE '3000' END,
		    CASE i % 2 WHEN 0 THEN 25 ELSE -25 END, 'NOK', 'Kontingent ' || i / 2, CASE WHEN refused AND i < 2 THEN 'rejected' ELSE 'exported' END,
		    CASE WHEN refused AND i < 2 THEN 'account.code: No value matching X999' END, CASE WHEN refused AND i < 2 THEN 'none' ELSE 'done' END, CASE WHEN NOT refused OR i >= 2 THEN now() END
		FROM (SELECT *, row_number() OVER (ORDER BY integration_id, period) % 50 = 0 AS refused FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1) AS export, generate_series(0, 9) AS i
		WHERE NOT (integration_id = $2 AND period_start = $3::date)`

	bookTicks = `
		INSERT INTO ledgerline.schedule_ticks (organization_id, integration_id, expected_at, period, result, export_id)
		SELECT $1, integration_id, scheduled_at, period, 'on time', export_id FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1`

	bookCalls = `
		INSERT INTO ledgerline.integration_run_logs (organization_id, integration_id, requested_integration_id, correlation_id, adapter_name, operation, attempt_number, error_class, error_kind, rule,
		    http_status, error_message, is_retryable, occurred_at, workflow_id, run_id, run_started_at)
		SELECT $1, integration_id, integration_id, gen_random_uuid(), 'xledger', 'voucher.get', 1, CASE i % 3 WHEN 0 THEN 'permanent' ELSE 'transient' END, CASE i % 3 WHEN 0 THEN 'business' ELSE 'unavailable' END,
		    'status:503', 503, 'Service Unavailable', i % 3 > 0, now() - i * interval '5 seconds', 'bench/' || i, gen_random_uuid(), now() - i * interval '5 seconds'
		FROM generate_series(1, $2::int) AS i JOIN (SELECT integration_id, row_number() OVER () AS n FROM ledgerline.integrations WHERE organization_id = $1) AS integration ON n = i % 500 + 1`

	// What exports counted when they ended, and the entries as they are stored: those of the
	// first vouchers, since a page reads only the one that it shows.
	bookCounts = `
		WITH counted AS (SELECT export_id, count(*) AS entries, count(*) FILTER (WHERE state = 'exported') AS exported FROM ledgerline.export_entries WHERE organization_id = $1 GROUP BY 1
		), closed AS (
		    UPDATE ledgerline.bufdir_export_audit_log AS export SET entries_total = entries, entries_exported = exported, entries_rejected = entries - exported
		    FROM counted WHERE export.organization_id = $1 AND export.export_id = counted.export_id)
		INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, currency, text, imported_in)
		SELECT organization_id, entry_id, voucher_id, entry_date, account, amount, currency, text, '0' FROM ledgerline.export_entries
		WHERE organization_id = $1 AND voucher_id >= 'V' AND voucher_id < 'V00200000'`
)
