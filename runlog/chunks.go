package runlog

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/notify"
)

// Entry is one line of a voucher, as it goes to the vendor. The amount is
// decimal text throughout; account and dimensions are the vendor's.
type Entry struct {
	EntryID, VoucherID, Account, Amount, Currency, Text, VendorKey string
	Dimensions                                                     map[string]string
	Date                                                           time.Time
}

// TakeChunk returns the entries of a chunk that are to be sent, and marks them
// as sent before anybody sends them. sent is true if they were marked before:
// then they may be at the vendor already, who must be asked first.
func TakeChunk(ctx context.Context, db Beginner, organization, export uuid.UUID, chunk int) (entries []Entry, sent bool, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT entry_id, voucher_id, account, amount::text, currency, text, vendor_key, dimensions, entry_date, state = 'sent'
			FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2 AND chunk = $3 AND state IN ('planned', 'sent')
			ORDER BY voucher_id, entry_id FOR UPDATE`, organization, export, chunk)
		if err != nil {
			return err
		}
		entries, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Entry, err error) {
			var before bool
			err = row.Scan(&e.EntryID, &e.VoucherID, &e.Account, &e.Amount, &e.Currency, &e.Text, &e.VendorKey, &e.Dimensions, &e.Date, &before)
			sent = sent || before
			return e, err
		})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE ledgerline.export_entries SET state = 'sent'
			WHERE organization_id = $1 AND export_id = $2 AND chunk = $3 AND state = 'planned'`, organization, export, chunk)
		return err
	})
	return entries, sent, err
}

// pending holds while an export is not closed: nothing about it changes after.
const pending = `EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log p WHERE p.organization_id = $1 AND p.export_id = $2 AND p.status = 'pending')`

// SettleChunk records what became of a chunk that was sent: exported, rejected
// or unknown. references are the vendor's own names of entries by their keys.
func SettleChunk(ctx context.Context, db Beginner, organization, export uuid.UUID, chunk int, state, reason string, references map[string]string) error {
	return InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		names := make(map[string]string, len(references))
		for k, name := range references {
			names[k] = storable(name)
		}
		// Looked up in an object: a join would compare each name with each entry.
		_, err := tx.Exec(ctx, `UPDATE ledgerline.export_entries SET state = $4, reason = nullif($5, ''), vendor_reference = coalesce($6::jsonb ->> vendor_key, vendor_reference)
			WHERE organization_id = $1 AND export_id = $2 AND chunk = $3 AND state IN ('planned', 'sent') AND `+pending,
			organization, export, chunk, state, storable(reason), names)
		return err
	})
}

// RecordFaults notes what the vendor found faulty after accepting it, by the
// vendor's names, and returns of how many of the integration's entries that is
// news. Some may be of earlier exports, which closed before it was found: people
// are told of these here, and of those of the asking export when it closes.
func RecordFaults(ctx context.Context, db Beginner, organization, integration, asking uuid.UUID, faults map[string]string) (concerned int64, err error) {
	names, messages := make([]string, 0, len(faults)), make([]string, 0, len(faults))
	for name, m := range faults {
		names, messages = append(names, storable(name)), append(messages, storable(m))
	}
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			WITH news AS (
			    UPDATE ledgerline.export_entries x SET vendor_fault = left(g.m, 500)
			    FROM unnest($3::text[], $4::text[]) AS g (name, m)
			    WHERE x.organization_id = $1 AND x.integration_id = $2 AND x.vendor_reference = g.name AND x.state = 'exported'
			      AND x.vendor_fault IS DISTINCT FROM left(g.m, 500)
			    RETURNING x.export_id
			)
			SELECT b.export_id, b.period, count(*) FROM news JOIN ledgerline.bufdir_export_audit_log b ON b.organization_id = $1 AND b.export_id = news.export_id
			GROUP BY b.export_id, b.period, b.started_at ORDER BY b.started_at`,
			organization, integration, names, messages)
		if err != nil {
			return err
		}
		type faulty struct {
			Export  uuid.UUID
			Period  string
			Entries int64
		}
		of, err := pgx.CollectRows(rows, pgx.RowToStructByPos[faulty])
		if err != nil {
			return err
		}
		for _, f := range of {
			concerned += f.Entries
			if f.Export == asking {
				continue
			}
			_, err := Notify(ctx, tx, Notification{OrganizationID: organization, IntegrationID: integration, Cause: notify.Faulted, Facts: notify.Facts{
				ExportID: &f.Export, Period: f.Period, Entries: &notify.Entries{Faulted: int(f.Entries)},
			}})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return concerned, err
}

// SplitChunk moves the upper half of a refused chunk's vouchers to chunk into,
// to find the one that the vendor refuses. Both halves are to be sent again. If
// a refusal does not mean that nothing was stored (atomic is false), they stay
// marked as sent, so that the vendor is asked first. split is false if the chunk
// is one voucher, which then is rejected with the reason if atomic, and else
// left for [SettleChunk]. Doing it again is harmless.
func SplitChunk(ctx context.Context, db Beginner, organization, export uuid.UUID, chunk, into int, reason string, atomic bool) (split bool, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		var vouchers, moved int
		if err := tx.QueryRow(ctx, `SELECT count(DISTINCT voucher_id) FILTER (WHERE chunk = $3 AND state = 'sent'), count(*) FILTER (WHERE chunk = $4)
			FROM (SELECT voucher_id, chunk, state FROM ledgerline.export_entries
			    WHERE organization_id = $1 AND export_id = $2 AND chunk IN ($3, $4) FOR UPDATE) e`, organization, export, chunk, into).Scan(&vouchers, &moved); err != nil {
			return err
		}
		if split = moved > 0; split {
			return nil
		}
		if split = vouchers > 1; !split {
			if !atomic {
				return nil
			}
			_, err := tx.Exec(ctx, `UPDATE ledgerline.export_entries SET state = 'rejected', reason = nullif($4, '')
				WHERE organization_id = $1 AND export_id = $2 AND chunk = $3 AND state = 'sent'`, organization, export, chunk, storable(reason))
			return err
		}
		_, err := tx.Exec(ctx, `
			UPDATE ledgerline.export_entries x SET state = CASE WHEN $5 THEN 'planned' ELSE 'sent' END, chunk = CASE WHEN v.half = 2 THEN $4 ELSE x.chunk END
			FROM (SELECT voucher_id, ntile(2) OVER (ORDER BY voucher_id) AS half
			      FROM (SELECT DISTINCT voucher_id FROM ledgerline.export_entries
			            WHERE organization_id = $1 AND export_id = $2 AND chunk = $3 AND state = 'sent') d) v
			WHERE x.organization_id = $1 AND x.export_id = $2 AND x.chunk = $3 AND x.state = 'sent' AND x.voucher_id = v.voucher_id`,
			organization, export, chunk, into, atomic)
		return err
	})
	return split, err
}
