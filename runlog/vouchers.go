package runlog

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
)

// Voucher is what became of a voucher of a chain. Its entries and amounts are of what its
// outcome is about: of one that is exported, the exported lines; of one that is not, those
// that are missing. So the vouchers of an outcome sum to what [exports.Chain] counts.
type Voucher struct {
	ID        string
	Date      time.Time // of its earliest entry
	Text      string    // of its first entry that has one
	Outcome   exports.Outcome
	Parts     []VoucherPart // by outcome, in the order of worst
	Late      bool          // an entry of it is dated before the period
	Corrected bool          // a line of it was corrected since it was refused, and no export has taken it again
	LateError bool          // the vendor found an error in it after it had accepted it
	OpenUntil *time.Time    // until then a request with it can take effect
	ExportID  uuid.UUID     // the last of the chain's exports that has some of it
}

// VoucherPart are the lines of a voucher that have one outcome.
type VoucherPart struct {
	Outcome exports.Outcome   `json:"outcome"`
	Entries int               `json:"entries"`
	Amounts map[string]string `json:"amounts"` // sum of the positive amounts by currency
	Reason  string            `json:"reason"`  // why it is not exported, or what the vendor found wrong later
}

// isAbout reports whether the voucher's outcome is about lines of this one: all that is
// missing belongs together.
func (v Voucher) isAbout(o exports.Outcome) bool {
	done := v.Outcome == exports.WasExported || v.Outcome == exports.WasWithdrawn
	return o == v.Outcome || !done && o != exports.WasExported && o != exports.WasWithdrawn
}

// Entries is how many lines the voucher's outcome is about.
func (v Voucher) Entries() (n int) {
	for _, p := range v.Parts {
		if v.isAbout(p.Outcome) {
			n += p.Entries
		}
	}
	return n
}

// Amounts are the sums of the positive amounts of these lines, by currency.
func (v Voucher) Amounts() (sum map[string]string) {
	for _, p := range v.Parts {
		if v.isAbout(p.Outcome) {
			sum = exports.AddAmounts(sum, p.Amounts)
		}
	}
	return sum
}

// Reason is why the voucher is not exported, or what the vendor found wrong later.
func (v Voucher) Reason() string {
	for _, p := range v.Parts {
		if p.Reason != "" && (p.Outcome != exports.WasWithdrawn || v.Outcome == p.Outcome) {
			return p.Reason
		}
	}
	return ""
}

// Withdrawn is how many lines were withdrawn of a voucher whose other lines were not.
func (v Voucher) Withdrawn() int {
	for _, p := range v.Parts {
		if p.Outcome == exports.WasWithdrawn && v.Outcome != p.Outcome {
			return p.Entries
		}
	}
	return 0
}

// ListVouchers returns the vouchers of a chain after one ("" is from the start) in their order, at most limit: all,
// or those of which people should know, because something of them is not exported or has an error at the vendor. more
// is how many there are beyond the limit.
func ListVouchers(ctx context.Context, db Beginner, organization uuid.UUID, c exports.Chain, all bool, after string, limit int) (list []Voucher, more int, err error) {
	var firsts, members []uuid.UUID
	for _, e := range c.Exports {
		firsts, members = append(firsts, c.First().ID), append(members, e.ID)
	}
	type row struct {
		Voucher
		Remaining int
	}
	err = inSnapshot(ctx, db, organization, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, longStatements); err != nil {
			return err
		}
		rows, err := queryRows[row](ctx, tx, selectVouchers(allEntries+" AND entry.voucher_id > $4", ", count(*) OVER () AS remaining")+`
		WHERE $5 OR is_partial OR late_error ORDER BY id LIMIT $6`, organization, firsts, members, after, all, limit)
		for _, r := range rows {
			list, more = append(list, r.Voucher), r.Remaining-len(rows)
		}
		return err
	})
	return list, more, err
}

// selectVouchers is a query of each [Voucher] of the exports of [chainEntries], and of more columns.
func selectVouchers(from, more string) string {
	return chainEntries(from) + `, parts AS (
		    SELECT voucher_id, jsonb_agg(jsonb_build_object('outcome', outcome, 'entries', entries, 'amounts', amounts, 'reason', reason) ORDER BY ` + place() + `) AS parts FROM (
		        SELECT voucher_id, outcome, sum(entries) AS entries, jsonb_object_agg(currency, amount::text) AS amounts,
		            coalesce((array_agg(reason ORDER BY reason_of) FILTER (WHERE reason IS NOT NULL))[1], '') AS reason FROM (
		            SELECT voucher_id, outcome, currency, coalesce(sum(amount) FILTER (WHERE amount > 0), 0) AS amount, count(*) AS entries,
		                min(entry_id) FILTER (WHERE ` + problem + ` IS NOT NULL) AS reason_of, (array_agg(` + problem + ` ORDER BY entry_id) FILTER (WHERE ` + problem + ` IS NOT NULL))[1] AS reason
		            FROM entries GROUP BY voucher_id, outcome, currency) AS by_currency
		        GROUP BY voucher_id, outcome) AS by_outcome
		    GROUP BY voucher_id
		), vouchers AS (
		    SELECT voucher_id AS id, min(entry_date) AS date, coalesce((array_agg(text ORDER BY entry_id) FILTER (WHERE text <> ''))[1], '') AS text,
		        ` + voucherOutcome() + ` AS outcome, bool_or(outcome <> 'exported') AS is_partial,
		        bool_or(late) AS late, bool_or(corrected) AS corrected, count(late_error) > 0 AS late_error, max(open_until) AS open_until,
		        (array_agg(export_id ORDER BY array_position($3::uuid[], export_id) DESC))[1] AS export_id
		    FROM entries GROUP BY voucher_id
		) SELECT id, date, text, outcome, parts, late, corrected, late_error, open_until, export_id` + more + ` FROM vouchers JOIN parts ON parts.voucher_id = vouchers.id`
}

// problem is what is said of an entry as SQL; NULL if nothing is.
const problem = `CASE WHEN outcome = 'exported' THEN late_error ELSE coalesce(late_error, reason) END`
