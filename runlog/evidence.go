package runlog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
)

// thenExported selects the entries of an export ($1, $2) that were exported at a
// time ($3), or are now if it is NULL.
const thenExported = `organization_id = $1 AND export_id = $2 AND state = 'exported' AND ($3::timestamptz IS NULL OR settled_at <= $3)`

// debits sums the positive amounts of an export's exported entries by currency.
const debits = `
SELECT coalesce(jsonb_object_agg(currency, debit::text), '{}') AS amounts FROM (
    SELECT currency, sum(amount) FILTER (WHERE amount > 0) AS debit FROM ledgerline.export_entries
    WHERE organization_id = $1 AND export_id = $2 AND state = 'exported' GROUP BY currency) s`

// canonicalSum is the SHA-256 over an export's exported entries, all of them or
// those that were exported at a time, in the order of their keys, each as a line
// of vendor key, voucher, account, amount, currency and date with tabs between.
func canonicalSum(ctx context.Context, tx pgx.Tx, e exports.Export, at *time.Time) (string, error) {
	rows, err := tx.Query(ctx, `
		SELECT vendor_key || E'\t' || voucher_id || E'\t' || account || E'\t' || amount || E'\t' || currency || E'\t' || entry_date || E'\n'
		FROM ledgerline.export_entries WHERE `+thenExported+` ORDER BY vendor_key COLLATE "C"`, e.OrganizationID, e.ID, at)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	var line string
	_, err = pgx.ForEachRow(rows, []any{&line}, func() error {
		_, err := h.Write([]byte(line))
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// Evidence is what the entry table says of an export, counted anew.
type Evidence struct {
	Exported int
	SHA256   string
	Amounts  map[string]string // sum of the positive amounts by currency
}

// Recount counts, sums and hashes the exported entries of an export again.
func Recount(ctx context.Context, db Beginner, e exports.Export) (Evidence, error) {
	return RecountUntil(ctx, db, e, nil)
}

// RecountUntil is [Recount] of the entries that were exported at a time, such as
// when the export was closed: entries can be found to be exported after that. nil
// is now.
func RecountUntil(ctx context.Context, db Beginner, e exports.Export, at *time.Time) (ev Evidence, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, longStatements); err != nil {
			return err
		}
		if ev.SHA256, err = canonicalSum(ctx, tx, e, at); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT coalesce(sum(n), 0)::int, coalesce(jsonb_object_agg(currency, debit::text), '{}') FROM (
			    SELECT currency, count(*) AS n, sum(amount) FILTER (WHERE amount > 0) AS debit FROM ledgerline.export_entries WHERE `+thenExported+` GROUP BY currency) s`,
			e.OrganizationID, e.ID, at).Scan(&ev.Exported, &ev.Amounts)
	})
	return ev, err
}

// Counts are an export's entries by state. Open ones are among the sent and
// unknown ones: it is not known whether they are at the vendor.
type Counts struct {
	Total    int `json:"total"`
	Planned  int `json:"planned"`
	Sent     int `json:"sent"`
	Exported int `json:"exported"`
	Rejected int `json:"rejected"`
	Unknown  int `json:"unknown"`
	Open     int `json:"open"`
}

// CountEntries counts the entries of an export as they are now.
func CountEntries(ctx context.Context, db Beginner, organization, export uuid.UUID) (n Counts, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE state = 'planned'), count(*) FILTER (WHERE state = 'sent'), count(*) FILTER (WHERE state = 'exported'),
			    count(*) FILTER (WHERE state = 'rejected'), count(*) FILTER (WHERE state = 'unknown'), count(*) FILTER (WHERE effect = 'open')
			FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2`, organization, export).
			Scan(&n.Total, &n.Planned, &n.Sent, &n.Exported, &n.Rejected, &n.Unknown, &n.Open)
	})
	return n, err
}

// Faulty is the state of a [Problem] that the vendor accepted and found faulty
// later.
const Faulty exports.EntryState = "faulty"

// Problem is an entry of which people should know: it was not exported, or the
// vendor found it faulty.
type Problem struct {
	VoucherID string             `json:"voucherId"`
	EntryID   string             `json:"entryId"`
	State     exports.EntryState `json:"state"` // or [Faulty]
	Reason    string             `json:"reason,omitempty"`
	Effect    classify.Effect    `json:"effect,omitempty"`    // of its last sending; "" if it was never sent
	OpenUntil *time.Time         `json:"openUntil,omitempty"` // of an open one, where the vendor's work has not ended: it can take effect until then
}

// ListProblems returns the entries of an export that are not exported, and those
// that the vendor found faulty later.
func ListProblems(ctx context.Context, db Beginner, organization, export uuid.UUID, limit int) (list []Problem, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT voucher_id, entry_id, CASE WHEN vendor_fault IS NULL THEN state ELSE 'faulty' END, coalesce(vendor_fault, reason, ''),
			    coalesce(effect, ''), CASE WHEN effect = 'open' AND NOT ended THEN open_until END
			FROM ledgerline.export_entries
			WHERE organization_id = $1 AND export_id = $2 AND (state <> 'exported' OR vendor_fault IS NOT NULL) ORDER BY voucher_id, entry_id LIMIT $3`, organization, export, limit)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Problem])
		return err
	})
	return list, err
}

// EntryRecord is an entry as the record has it, or as its source has it where the
// record does not have it.
type EntryRecord struct {
	EntryID, VoucherID, VendorKey string
	Account, Amount, Currency     string // the vendor's account; decimal
	Text                          string
	Dimensions                    map[string]string // the vendor's
	Date                          time.Time
	State                         exports.EntryState // "" if it is not on record
	ExportID                      *uuid.UUID         // nil if it is not on record
	OpenUntil                     *time.Time         // of an open one, where the vendor's work has not ended
}

// recordedColumns are the columns of x, an entry on record.
const recordedColumns = `x.entry_id, x.voucher_id, x.vendor_key, x.account, x.amount::text, x.currency, x.text, x.dimensions, x.entry_date,
    x.state, x.export_id, CASE WHEN x.effect = 'open' AND NOT x.ended THEN x.open_until END`

// recordedPage is how many entries are read at once.
const recordedPage = 20_000

// EntryRecords yields the entries of an export, whatever their state, in the order
// of their vouchers. The first error ends it.
func EntryRecords(ctx context.Context, db Beginner, organization, export uuid.UUID) iter.Seq2[EntryRecord, error] {
	return recordedPages(func(last EntryRecord) ([]EntryRecord, error) {
		return queryRecorded(ctx, db, organization, `SELECT `+recordedColumns+` FROM ledgerline.export_entries x
			WHERE x.organization_id = $1 AND x.export_id = $2 AND (x.voucher_id, x.entry_id) > ($3, $4) ORDER BY x.voucher_id, x.entry_id LIMIT $5`,
			organization, export, last.VoucherID, last.EntryID, recordedPage)
	})
}

// recordedPages yields pages until one is not full.
func recordedPages(page func(last EntryRecord) ([]EntryRecord, error)) iter.Seq2[EntryRecord, error] {
	return func(yield func(EntryRecord, error) bool) {
		var last EntryRecord
		for {
			list, err := page(last)
			if err != nil {
				yield(EntryRecord{}, err)
				return
			}
			for _, r := range list {
				if !yield(r, nil) {
					return
				}
				last = r
			}
			if len(list) < recordedPage {
				return
			}
		}
	}
}

func queryRecorded(ctx context.Context, db Beginner, organization uuid.UUID, query string, args ...any) (list []EntryRecord, err error) {
	err = readOnly(ctx, db, organization, false, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, longStatements); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[EntryRecord])
		return err
	})
	return list, err
}

// LoadControl returns the entries that are known to be at a place of an integration: a
// look-up that does not find them proves nothing. It is nil if there are none.
func LoadControl(ctx context.Context, db Beginner, organization, integration uuid.UUID, place string) (c *Control, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		c, err = controlOf(ctx, tx, organization, integration, place)
		return err
	})
	return c, err
}

func controlOf(ctx context.Context, tx pgx.Tx, organization, integration uuid.UUID, place string) (*Control, error) {
	rows, err := tx.Query(ctx, `SELECT vendor_keys, voucher_id FROM ledgerline.vendor_controls WHERE organization_id = $1 AND integration_id = $2 AND place = $3`, organization, integration, place)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Control])
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// AttemptStats is what the run logs say of an export.
type AttemptStats struct {
	Invocations int // that have rows
	Failed      int // attempts that failed
	Open        int // invocations whose last row says that another attempt follows
}

// LoadAttemptStats counts the run logs of an export's workflow.
func LoadAttemptStats(ctx context.Context, db Beginner, e exports.Export) (a AttemptStats, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT count(*), coalesce(sum(failed), 0)::int, count(*) FILTER (WHERE open) FROM (
			    SELECT count(*) FILTER (WHERE error_class IS NOT NULL) AS failed,
			        (array_agg(is_retryable ORDER BY attempt_number DESC))[1] AS open
			    FROM ledgerline.integration_run_logs
			    WHERE organization_id = $1 AND integration_id = $2 AND workflow_id = $3 AND operation = 'export'
			      AND occurred_at BETWEEN $4::timestamptz - interval '1 minute' AND coalesce($5::timestamptz, now()) + interval '1 minute'
			    GROUP BY correlation_id) i`,
			e.OrganizationID, e.IntegrationID, e.WorkflowID, e.StartedAt, e.FinishedAt).Scan(&a.Invocations, &a.Failed, &a.Open)
	})
	return a, err
}
