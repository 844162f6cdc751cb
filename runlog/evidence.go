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

// exportedBy selects the entries of an export ($1, $2) that were exported by a
// time ($3), or are now if it is NULL.
const exportedBy = `organization_id = $1 AND export_id = $2 AND state = 'exported' AND ($3::timestamptz IS NULL OR settled_at <= $3)`

// canonicalSum is the SHA-256 over an export's exported entries, all of them or
// those that were exported by a time, in the order of their keys, each as a line
// of vendor key, voucher, account, amount, currency and date with tabs between.
func canonicalSum(ctx context.Context, tx pgx.Tx, e exports.Export, by *time.Time) (string, error) {
	rows, err := tx.Query(ctx, `
		SELECT vendor_key || E'\t' || voucher_id || E'\t' || account || E'\t' || amount || E'\t' || currency || E'\t' || entry_date || E'\n'
		FROM ledgerline.export_entries WHERE `+exportedBy+` ORDER BY vendor_key COLLATE "C"`, e.OrganizationID, e.ID, by)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	var line string
	_, err = pgx.ForEachRow(rows, []any{&line}, func() error {
		_, err := hash.Write([]byte(line))
		return err
	})
	return hex.EncodeToString(hash.Sum(nil)), err
}

// Evidence is what the entry table says of an export, counted again.
type Evidence struct {
	Exported int               // entries
	SHA256   string            // hex, over the exported entries
	Amounts  map[string]string // sum of the positive amounts by currency, decimal
}

// Recount counts, sums and hashes the exported entries of an export again.
func Recount(ctx context.Context, db Beginner, e exports.Export) (Evidence, error) {
	return RecountUntil(ctx, db, e, nil)
}

// RecountUntil is [Recount] of the entries that were exported by a time, such as
// when the export was closed: entries can be found to be exported after that. nil
// is now.
func RecountUntil(ctx context.Context, db Beginner, e exports.Export, by *time.Time) (evidence Evidence, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, longStatements); err != nil {
			return err
		}
		if evidence.SHA256, err = canonicalSum(ctx, tx, e, by); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT coalesce(sum(entries), 0)::int, coalesce(jsonb_object_agg(currency, debit::text), '{}') FROM (
			    SELECT currency, count(*) AS entries, sum(amount) FILTER (WHERE amount > 0) AS debit FROM ledgerline.export_entries
			    WHERE `+exportedBy+` GROUP BY currency) AS by_currency`,
			e.OrganizationID, e.ID, by).Scan(&evidence.Exported, &evidence.Amounts)
	})
	return evidence, err
}

// Counts are an export's entries by state. Open ones are among the sent and
// unknown ones: it is not known whether they are at the vendor.
type Counts struct {
	Total    int
	Planned  int
	Sent     int
	Exported int
	Rejected int
	Unknown  int
	Open     int
	// Withdrawn ones are among the rejected: they were taken out of their source, and nothing sends them.
	Withdrawn int
}

// CountEntries counts the entries of an export as they are now.
func CountEntries(ctx context.Context, db Beginner, organization, exportID uuid.UUID) (counts Counts, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		counts, err = queryRow[Counts](ctx, tx, `SELECT count(*) AS total, count(*) FILTER (WHERE state = 'planned') AS planned,
			    count(*) FILTER (WHERE state = 'sent') AS sent, count(*) FILTER (WHERE state = 'exported') AS exported,
			    count(*) FILTER (WHERE state = 'rejected') AS rejected, count(*) FILTER (WHERE state = 'unknown') AS unknown,
			    count(*) FILTER (WHERE effect = 'open') AS open, count(*) FILTER (WHERE correction = 'withdrawn') AS withdrawn
			FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2`, organization, exportID)
		return err
	})
	return counts, err
}

// LateError is the state of a [Problem] that the vendor accepted and found an error in
// later.
const LateError exports.EntryState = "late_error"

// Problem is an entry of which people should know: it was not exported, or the
// vendor found an error in it later.
type Problem struct {
	VoucherID string
	EntryID   string
	State     exports.EntryState // or [LateError]
	Reason    string
	Effect    classify.Effect // of its last sending; "" if it was never sent
	OpenUntil *time.Time      // of an open one, where the vendor's work has not ended: it can take effect until then
}

// ListProblems returns the entries of an export that are not exported, and those
// that the vendor found errors in later, in the order of their vouchers; at most limit.
func ListProblems(ctx context.Context, db Beginner, organization, exportID uuid.UUID, limit int) ([]Problem, error) {
	return queryInOrganization[Problem](ctx, db, organization, `
		SELECT voucher_id, entry_id, CASE WHEN late_error IS NULL THEN state ELSE 'late_error' END AS state, coalesce(late_error, reason, '') AS reason,
		    coalesce(effect, '') AS effect, CASE WHEN effect = 'open' AND NOT ended THEN open_until END AS open_until
		FROM ledgerline.export_entries
		WHERE organization_id = $1 AND export_id = $2 AND (state <> 'exported' OR late_error IS NOT NULL) ORDER BY voucher_id, entry_id LIMIT $3`,
		organization, exportID, limit)
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

// recordsPerPage is how many entries are read at once.
const recordsPerPage = 20_000

// EntryRecords yields the entries of an export, whatever their state, in the order
// of their vouchers. The first error ends it.
func EntryRecords(ctx context.Context, db Beginner, organization, exportID uuid.UUID) iter.Seq2[EntryRecord, error] {
	return recordPages(func(last EntryRecord) ([]EntryRecord, error) {
		return queryRecords(ctx, db, organization, `
			SELECT entry_id, voucher_id, vendor_key, account, amount::text AS amount, currency, text, dimensions, entry_date AS date,
			    state, export_id, CASE WHEN effect = 'open' AND NOT ended THEN open_until END AS open_until
			FROM ledgerline.export_entries
			WHERE organization_id = @organization_id AND export_id = @export_id AND (voucher_id, entry_id) > (@last_voucher_id, @last_entry_id)
			ORDER BY voucher_id, entry_id LIMIT @page_size`, pgx.NamedArgs{
			"organization_id": organization, "export_id": exportID,
			"last_voucher_id": last.VoucherID, "last_entry_id": last.EntryID, "page_size": recordsPerPage,
		})
	})
}

// recordPages yields pages until one is not full.
func recordPages(page func(last EntryRecord) ([]EntryRecord, error)) iter.Seq2[EntryRecord, error] {
	return func(yield func(EntryRecord, error) bool) {
		var last EntryRecord
		for {
			list, err := page(last)
			if err != nil {
				yield(EntryRecord{}, err)
				return
			}
			for _, record := range list {
				if !yield(record, nil) {
					return
				}
				last = record
			}
			if len(list) < recordsPerPage {
				return
			}
		}
	}
}

// queryRecords reads one page in a transaction of its own.
func queryRecords(ctx context.Context, db Beginner, organization uuid.UUID, query string, args pgx.NamedArgs) (list []EntryRecord, err error) {
	err = readOnly(ctx, db, organization, false, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, longStatements); err != nil {
			return err
		}
		list, err = queryRows[EntryRecord](ctx, tx, query, args)
		return err
	})
	return list, err
}

// LoadControl returns the entries that are known to be at a place of an integration: a
// look-up that does not find them proves nothing. It is nil if there are none.
func LoadControl(ctx context.Context, db Beginner, organization, integration uuid.UUID, place string) (control *Control, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		control, err = queryControl(ctx, tx, organization, integration, place)
		return err
	})
	return control, err
}

func queryControl(ctx context.Context, tx pgx.Tx, organization, integration uuid.UUID, place string) (*Control, error) {
	controls, err := queryRows[Control](ctx, tx, `SELECT vendor_keys, voucher_id FROM ledgerline.vendor_controls
		WHERE organization_id = $1 AND integration_id = $2 AND place = $3`, organization, integration, place)
	if err != nil || len(controls) == 0 {
		return nil, err
	}
	return &controls[0], nil
}

// AttemptStats is what the run logs say of an export.
type AttemptStats struct {
	Invocations int // that have rows
	Failed      int // attempts that failed
	Open        int // invocations whose last row says that another attempt follows
}

// LoadAttemptStats counts the run logs of an export's workflow.
func LoadAttemptStats(ctx context.Context, db Beginner, e exports.Export) (stats AttemptStats, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		stats, err = queryRow[AttemptStats](ctx, tx, `
			SELECT count(*) AS invocations, coalesce(sum(failed), 0)::int AS failed, count(*) FILTER (WHERE open) AS open FROM (
			    SELECT count(*) FILTER (WHERE error_class IS NOT NULL) AS failed,
			        (array_agg(is_retryable ORDER BY attempt_number DESC))[1] AS open
			    FROM ledgerline.integration_run_logs
			    WHERE organization_id = @organization_id AND integration_id = @integration_id AND workflow_id = @workflow_id AND operation = 'export'
			      AND occurred_at BETWEEN @started_at::timestamptz - interval '1 minute' AND coalesce(@finished_at::timestamptz, now()) + interval '1 minute'
			    GROUP BY correlation_id) AS by_invocation`, pgx.StrictNamedArgs{
			"organization_id": e.OrganizationID, "integration_id": e.IntegrationID, "workflow_id": e.WorkflowID,
			"started_at": e.StartedAt, "finished_at": e.FinishedAt,
		})
		return err
	})
	return stats, err
}
