package runlog

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// EntryContent is what an entry was, or is, as ledgerline.entry_changes has it.
type EntryContent struct {
	VoucherID  string            `json:"voucherId"`
	Date       string            `json:"date"` // 2026-10-31
	Account    string            `json:"account"`
	Amount     string            `json:"amount"` // decimal
	Currency   string            `json:"currency"`
	Text       string            `json:"text"`
	Dimensions map[string]string `json:"dimensions"`
}

// The kinds of a [RecordedChange].
const (
	Replaced  = "replaced"
	Withdrawn = "withdrawn"
)

// RecordedChange is a correction on record: an entry that was replaced or withdrawn.
type RecordedChange struct {
	EntryID   string        `json:"entryId"`
	VoucherID string        `json:"voucherId"` // before
	Kind      string        `json:"kind"`      // replaced or withdrawn
	Actor     string        `json:"actor"`
	Reason    string        `json:"reason"` // "" if none was given
	ChangedAt time.Time     `json:"changedAt"`
	Before    EntryContent  `json:"before"`
	After     *EntryContent `json:"after,omitempty"` // nil if it was withdrawn
}

// Differences are the fields that a correction changed; of an entry that was withdrawn, all that it was, in one.
func (r RecordedChange) Differences() []EntryDifference {
	if r.After == nil {
		b := r.Before
		was := strings.Join(slices.DeleteFunc([]string{b.Date, b.Account, b.Amount, b.Currency, b.Text, inOneLine(b.Dimensions)}, func(s string) bool { return s == "" }), " ")
		return []EntryDifference{{r.EntryID, r.VoucherID, Withdrawn, was, ""}}
	}
	return differing{EntryID: r.EntryID, Old: r.Before, New: *r.After}.changes()
}

// ListEntryChanges returns the corrections of a voucher's entries, oldest first. An entry that was moved from one
// voucher to another is among those of both.
func ListEntryChanges(ctx context.Context, db Beginner, organization uuid.UUID, voucher string) ([]RecordedChange, error) {
	return queryInOrganization[RecordedChange](ctx, db, organization, `SELECT entry_id, voucher_id, kind, actor, reason, changed_at, before, after
		FROM ledgerline.entry_changes WHERE organization_id = $1 AND (voucher_id = $2 OR after ->> 'voucherId' = $2) ORDER BY change_id`, organization, voucher)
}

// VoucherHistory returns the changes of a voucher as [ListEntryChanges] does. A voucher that
// is not there, and that no export has taken, is an error.
func VoucherHistory(ctx context.Context, db Beginner, organization uuid.UUID, voucher string) ([]RecordedChange, error) {
	list, err := ListEntryChanges(ctx, db, organization, voucher)
	if err != nil || len(list) > 0 {
		return list, err
	}
	return list, readOnly(ctx, db, organization, false, func(tx pgx.Tx) error {
		var known bool
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM ledgerline.accounting_entries WHERE organization_id = $1 AND voucher_id = $2)
			OR EXISTS (SELECT FROM ledgerline.export_entries WHERE organization_id = $1 AND voucher_id = $2)`, organization, voucher).Scan(&known)
		if err != nil || known {
			return err
		}
		return voucherIsNotThere(ctx, tx, organization, voucher)
	})
}

// lastCorrection is the number of an organization's last correction; 0 if it has none.
func lastCorrection(ctx context.Context, db Beginner, organization uuid.UUID) (last int64, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		last, err = correctionIn(ctx, tx, organization)
		return err
	})
	return last, err
}

// correctionIn is [lastCorrection] in a transaction.
func correctionIn(ctx context.Context, tx pgx.Tx, organization uuid.UUID) (last int64, err error) {
	err = tx.QueryRow(ctx, `SELECT coalesce(max(change_id), 0) FROM ledgerline.entry_changes WHERE organization_id = $1`, organization).Scan(&last)
	return last, err
}
