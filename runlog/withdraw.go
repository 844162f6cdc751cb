package runlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
)

// Withdrawal is a voucher that was withdrawn, with all its entries in the default source.
type Withdrawal struct {
	VoucherID string           `json:"voucherId"`
	Reason    string           `json:"reason"`
	Actor     string           `json:"actor"`
	Entries   []WithdrawnEntry `json:"entries"`
}

// WithdrawnEntry is an entry of a [Withdrawal].
type WithdrawnEntry struct {
	EntryID string       `json:"entryId"`
	Content EntryContent `json:"content"`
}

// selectVoucher returns the entries of a voucher.
const selectVoucher = `SELECT entry_id, ` + storedContent + ` AS content FROM ledgerline.accounting_entries AS stored
	WHERE organization_id = $1 AND voucher_id = $2 ORDER BY entry_id`

// storedContent is an [EntryContent] of a row named stored, as ledgerline.entry_content
// makes it, which those who only read may not call; importedContent one of [importedEntries].
const (
	storedContent = `jsonb_build_object('voucherId', stored.voucher_id, 'date', to_char(stored.entry_date, 'YYYY-MM-DD'), 'account', stored.account,
    'amount', stored.amount::text, 'currency', stored.currency, 'text', stored.text,
    'dimensions', (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each_text(stored.dimensions) WHERE value IS NOT NULL))`
	importedContent = `jsonb_build_object('voucherId', imported.voucher_id, 'date', to_char(imported.entry_date, 'YYYY-MM-DD'), 'account', imported.account,
    'amount', round(imported.amount, 2)::text, 'currency', imported.currency, 'text', imported.text,
    'dimensions', (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each_text(imported.dimensions) WHERE value IS NOT NULL))`
)

// WithdrawVoucher takes a voucher that no vendor has out of the default source, so that no export and no retry sends
// it. Who did it, why, and what was there stays on record. It is refused with a [*RefusedError] while one of its
// entries is exported, or in an export that has not ended, or its outcome is open. The same entries can be imported
// again.
func WithdrawVoucher(ctx context.Context, db Beginner, organization uuid.UUID, voucher, actor, reason string) (done Withdrawal, err error) {
	if strings.TrimSpace(reason) == "" {
		return done, errors.New("a withdrawal has a reason")
	}
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		if err := beginCorrection(ctx, tx, actor, reason); err != nil {
			return err
		}
		list, err := queryRows[WithdrawnEntry](ctx, tx, selectVoucher, organization, voucher)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return voucherIsNotThere(ctx, tx, organization, voucher)
		}
		ids := column(list, func(e WithdrawnEntry) string { return e.EntryID })
		taken, err := loadTaken(ctx, tx, organization, ids)
		if err != nil {
			return err
		}
		if err := refuseWithdrawal(list, taken); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM ledgerline.accounting_entries WHERE organization_id = $1 AND entry_id = ANY($2)`, organization, ids); err != nil {
			return err
		}
		done = Withdrawal{VoucherID: voucher, Reason: reason, Actor: actor, Entries: list}
		return nil
	})
	return done, correctionError(err)
}

// refuseWithdrawal is a [*RefusedError] if an entry cannot be withdrawn.
func refuseWithdrawal(list []WithdrawnEntry, taken map[string][]takenEntry) error {
	refused := &RefusedError{}
	for _, e := range list {
		if why, remedy, ok := refusalOfAny(taken[e.EntryID]); !ok {
			refused.Refused = append(refused.Refused, Refusal{e.EntryID, e.Content.VoucherID, why, remedy})
		}
		for _, t := range taken[e.EntryID] {
			if t.State == exports.Exported {
				refused.Counter = append(refused.Counter, e.counter())
				break
			}
		}
	}
	if refused.Total = len(refused.Refused); refused.Total > 0 {
		return refused
	}
	return nil
}

// counter is the entry that takes e back.
func (e WithdrawnEntry) counter() AccountingEntry {
	c := e.Content
	date, _ := time.Parse(time.DateOnly, c.Date)
	amount, negative := strings.CutPrefix(c.Amount, "-")
	if !negative {
		amount = "-" + amount
	}
	return AccountingEntry{
		EntryID: e.EntryID + "-counter", VoucherID: c.VoucherID + "-counter", Date: date, Account: c.Account, Amount: amount, Currency: c.Currency,
		Text: strings.TrimSpace("Counter-entry of " + c.VoucherID + " " + c.Text), Dimensions: c.Dimensions,
	}
}

// voucherIsNotThere says why there is no such voucher: it was withdrawn, or is of another source.
func voucherIsNotThere(ctx context.Context, tx pgx.Tx, organization uuid.UUID, voucher string) error {
	var at time.Time
	var by, why string
	err := tx.QueryRow(ctx, `SELECT changed_at, actor, reason FROM ledgerline.entry_changes
		WHERE organization_id = $1 AND voucher_id = $2 AND kind = 'withdrawn' ORDER BY change_id DESC LIMIT 1`, organization, voucher).Scan(&at, &by, &why)
	if err == nil {
		return fmt.Errorf("voucher %s was withdrawn on %s by %s: %s", voucher, at.Local().Format("2 January 2006 15:04 MST"), by, why)
	} else if !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	var integration, source string
	err = tx.QueryRow(ctx, `SELECT name, export ->> 'source' FROM ledgerline.integrations AS integration
		WHERE organization_id = $1 AND export ->> 'source' <> '' AND EXISTS (
		    SELECT FROM ledgerline.export_entries AS entry
		    WHERE entry.organization_id = $1 AND entry.integration_id = integration.integration_id AND entry.voucher_id = $2)
		ORDER BY name LIMIT 1`, organization, voucher).Scan(&integration, &source)
	switch {
	case err == nil:
		return fmt.Errorf("voucher %s comes from %s, the source of integration %s: correct it there", voucher, source, integration)
	case errors.Is(err, pgx.ErrNoRows):
		return noSuchVoucher(ctx, tx, organization, voucher)
	}
	return err
}

// noSuchVoucher says where the vouchers are that there are.
func noSuchVoucher(ctx context.Context, tx pgx.Tx, organization uuid.UUID, voucher string) error {
	var integration string
	err := tx.QueryRow(ctx, `SELECT name FROM ledgerline.integrations WHERE organization_id = $1 AND removed_at IS NULL
		ORDER BY coalesce(export ->> 'source', '') <> '', name LIMIT 1`, organization).Scan(&integration)
	switch {
	case err == nil:
		return fmt.Errorf("no voucher %s was imported; those that were, with their IDs: starter entries list --integration %s", voucher, integration)
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("no voucher %s was imported: the organization has no integrations", voucher)
	}
	return err
}
