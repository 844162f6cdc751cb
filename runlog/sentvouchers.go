package runlog

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
)

// SentVoucher is what one export has of a voucher.
type SentVoucher struct {
	IntegrationID uuid.UUID
	Integration   string // its name
	Adapter       string
	ExportID      uuid.UUID
	Period        string
	Trigger       exports.Trigger
	Status        exports.Status // of the export
	Outcome       exports.Outcome
	Entries       int
	Amounts       map[string]string // sum of the positive amounts by currency
	Reason        string            // why it is not exported, or what the vendor found wrong later
	ByVendor      bool              // the reason is what the vendor said: the voucher was sent
	Corrected     bool              // since it was refused, and no export has taken it again
	LateError     bool
	OpenUntil     *time.Time // a request with it can take effect until then
}

// ListSentVoucher returns which exports have something of a voucher, the newest first: one row
// for each export and outcome.
func ListSentVoucher(ctx context.Context, db Beginner, organization uuid.UUID, voucher string) (list []SentVoucher, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		list, err = queryRows[SentVoucher](ctx, tx, `
			SELECT integration.integration_id, integration.name AS integration, integration.adapter, export.export_id, export.period, export.trigger, export.status,
			    entry.outcome, entry.entries, entry.amounts, coalesce(entry.reason, '') AS reason, entry.by_vendor, entry.corrected, entry.late_error, entry.open_until
			FROM ledgerline.bufdir_export_audit_log AS export
			JOIN ledgerline.integrations AS integration ON integration.organization_id = $1 AND integration.integration_id = export.integration_id
			CROSS JOIN LATERAL (
			    SELECT outcome, sum(entries)::int AS entries, jsonb_object_agg(currency, amount::text) AS amounts, min(reason) AS reason, bool_or(by_vendor) AS by_vendor,
			        bool_or(corrected) AS corrected, bool_or(late_error) AS late_error, max(open_until) AS open_until
			    FROM (
			        SELECT CASE WHEN line.correction = 'withdrawn' THEN 'withdrawn' WHEN line.state = 'rejected' THEN 'refused' WHEN line.state IN ('planned', 'sent') THEN 'waiting' ELSE line.state END AS outcome,
			            line.currency, count(*) AS entries, coalesce(sum(line.amount) FILTER (WHERE line.amount > 0), 0) AS amount, min(coalesce(line.late_error, line.reason)) AS reason,
			            bool_or(line.chunk > 0) AS by_vendor, bool_or(line.correction IS NOT DISTINCT FROM 'replaced') AS corrected, bool_or(line.late_error IS NOT NULL) AS late_error,
			            max(line.open_until) FILTER (WHERE line.effect = 'open' AND NOT line.ended AND line.open_until > ledgerline.clock()) AS open_until
			        FROM ledgerline.export_entries AS line
			        WHERE line.organization_id = $1 AND line.export_id = export.export_id AND line.voucher_id COLLATE "C" = $2
			        GROUP BY 1, 2) AS by_currency
			    GROUP BY outcome) AS entry
			WHERE export.organization_id = $1 ORDER BY export.started_at DESC, export.export_id, entry.outcome`, organization, storable(voucher))
		return err
	})
	return list, err
}

// ListVoucherEntries returns the entries of a voucher that are stored in the default source, by
// their IDs.
func ListVoucherEntries(ctx context.Context, db Beginner, organization uuid.UUID, voucher string) (list []AccountingEntry, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		list, err = queryRows[AccountingEntry](ctx, tx, `
			SELECT entry_id, voucher_id, entry_date AS date, account, amount::text AS amount, currency, text,
			    (SELECT jsonb_object_agg(key, value) FROM jsonb_each_text(dimensions) WHERE value IS NOT NULL) AS dimensions
			FROM ledgerline.accounting_entries WHERE organization_id = $1 AND voucher_id = $2 ORDER BY entry_id`, organization, storable(voucher))
		return err
	})
	return list, err
}
