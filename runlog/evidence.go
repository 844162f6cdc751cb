package runlog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// debits sums the positive amounts of an export's exported entries by currency.
const debits = `
SELECT coalesce(jsonb_object_agg(currency, debit::text), '{}') AS amounts FROM (
    SELECT currency, sum(amount) FILTER (WHERE amount > 0) AS debit FROM ledgerline.export_entries
    WHERE organization_id = $1 AND export_id = $2 AND state = 'exported' GROUP BY currency) s`

// canonicalSum is the SHA-256 over an export's exported entries in the order of
// their keys, each as a line of vendor key, voucher, account, amount, currency
// and date with tabs between.
func canonicalSum(ctx context.Context, tx pgx.Tx, e Export) (string, error) {
	rows, err := tx.Query(ctx, `
		SELECT vendor_key || E'\t' || voucher_id || E'\t' || account || E'\t' || amount || E'\t' || currency || E'\t' || entry_date || E'\n'
		FROM ledgerline.export_entries
		WHERE organization_id = $1 AND export_id = $2 AND state = 'exported' ORDER BY vendor_key COLLATE "C"`, e.OrganizationID, e.ID)
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
	Amounts  map[string]string
	Keys     []string // the vendor's keys of the exported entries, in order
}

// Recount counts, sums and hashes the exported entries of an export again.
func Recount(ctx context.Context, db Beginner, e Export) (ev Evidence, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		if ev.SHA256, err = canonicalSum(ctx, tx, e); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT vendor_key FROM ledgerline.export_entries
			WHERE organization_id = $1 AND export_id = $2 AND state = 'exported' ORDER BY vendor_key`, e.OrganizationID, e.ID)
		if err != nil {
			return err
		}
		if ev.Keys, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return err
		}
		ev.Exported = len(ev.Keys)
		return tx.QueryRow(ctx, debits, e.OrganizationID, e.ID).Scan(&ev.Amounts)
	})
	return ev, err
}

// Problem is an entry that was not exported, for people.
type Problem struct {
	VoucherID string `json:"voucherId"`
	EntryID   string `json:"entryId"`
	State     string `json:"state"`
	Reason    string `json:"reason,omitempty"`
}

// Problems returns the entries of an export that are not exported.
func Problems(ctx context.Context, db Beginner, organization, export uuid.UUID, limit int) (list []Problem, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT voucher_id, entry_id, state, coalesce(reason, '') FROM ledgerline.export_entries
			WHERE organization_id = $1 AND export_id = $2 AND state <> 'exported' ORDER BY voucher_id, entry_id LIMIT $3`, organization, export, limit)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Problem])
		return err
	})
	return list, err
}

// Attempts is what the run logs say of an export.
type Attempts struct {
	Invocations int // that have rows
	Failed      int // attempts that failed
	Open        int // invocations whose last row says that another attempt follows
}

// AttemptsOf counts the run logs of an export's workflow.
func AttemptsOf(ctx context.Context, db Beginner, e Export) (a Attempts, err error) {
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
