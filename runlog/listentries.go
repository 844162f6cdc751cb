package runlog

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// The states of listed entries that are not in the record.
const (
	Waits        exports.EntryState = "waiting" // no export has taken it
	WasWithdrawn exports.EntryState = Withdrawn // an export has refused it, and a person has taken it out of its source
)

// EntryFilter selects entries of an integration; its zero value all of them.
type EntryFilter struct {
	From, Before time.Time // dates; zero: no limit
	State        exports.EntryState
	Voucher      string
	Limit        int // most entries in the list; 0 is all
}

// ListedEntry is an entry and what has become of it.
type ListedEntry struct {
	EntryID   string
	VoucherID string
	Date      string `db:"entry_date"` // 2026-10-31
	Account   string
	Text      string
	Amount    string // decimal
	Currency  string
	State     exports.EntryState
	Reason    string // why it is refused or unknown, or the error that the vendor found later

	// Correction is [Replaced] if it was refused and corrected since, and no export has taken
	// it again; else "".
	Correction string

	ExportID      *uuid.UUID // that has taken it
	Period        string     // of that export
	Retry         bool       // that export is a retry
	ExportStatus  exports.Status
	DeferredUntil *time.Time // of a pending export
	DeferredFor   classify.Kind
	ExportError   string     // of a failed export
	OpenUntil     *time.Time // of a sent entry

	// NextDate is the date by which the next export takes the entry: its own if it waits;
	// of one that was refused before it was sent, the first of those that its voucher
	// has got since; of one that was corrected, also the first of those of its voucher that
	// were.
	NextDate *time.Time

	// RetryNow is the export, as a command names it, whose retry would take the entry now; "" if
	// none would.
	RetryNow string
}

// EntrySum is what entries of one state and currency come to.
type EntrySum struct {
	State    exports.EntryState
	Currency string
	Entries  int
	Debit    string // sum of the positive amounts, decimal
}

// EntrySums are the sums of all entries that a filter selects.
type EntrySums struct {
	Entries  int
	Vouchers int
	ByState  []EntrySum
	Waiting  []Waiting // by [ListedEntry.NextDate]
	PerState map[string]int
}

// entryColumns are those of a [ListedEntry], from the tables entry and taken.
const entryColumns = `entry.entry_id, entry.voucher_id, entry.entry_date, coalesce(entry.account, '') AS account, coalesce(entry.text, '') AS text,
    entry.amount, coalesce(entry.currency, '') AS currency, `

// takenColumns are those of an entry that an export has taken.
const takenColumns = `CASE WHEN taken.correction = 'withdrawn' THEN 'withdrawn' ELSE taken.state END AS state, coalesce(taken.late_error, taken.reason, '') AS reason,
    CASE WHEN taken.correction = 'replaced' THEN taken.correction ELSE '' END AS correction, taken.export_id,
    CASE WHEN taken.state = 'sent' THEN taken.open_until END AS open_until, ` + nextDate + ` AS next_date,
    CASE WHEN taken.state = 'rejected' THEN coalesce(refused.retry, '') ELSE '' END AS retry_now`

// nextDate follows the rule of [lines]: an entry that was refused before it was sent is taken
// again when its voucher gets an entry, and one that was corrected when it, or another one of
// its voucher, is due.
const nextDate = `CASE WHEN again.entry_id IS NOT NULL THEN least(again.next_date, grown.next_date)
    WHEN taken.chunk = 0 AND taken.correction IS NULL THEN grown.next_date END`

// nextDates are the tables of [nextDate].
const nextDates = `, corrected AS MATERIALIZED (` + correctedEntries + `
), again AS MATERIALIZED (SELECT entry_id, min(entry_date) OVER (PARTITION BY voucher_id) AS next_date FROM corrected
), grown AS MATERIALIZED (SELECT voucher_id, min(entry_date) AS next_date FROM fresh WHERE voucher_id IN (
    SELECT voucher_id FROM ledgerline.export_entries WHERE organization_id = @organization_id AND integration_id = @integration_id AND chunk = 0
    UNION ALL SELECT voucher_id FROM corrected) GROUP BY voucher_id)`

// ListEntries returns entries of an integration by date, voucher and ID: those of its
// source that no export has taken, and those that one has; and the sums of all that the
// filter selects. It reads the source as a preview does, and changes nothing.
//
// What has been taken is found by its date in the default source, and in the record where
// the source is another one: there it is as it was sent, with the vendor's account. So is
// what was withdrawn.
func ListEntries(ctx context.Context, db Beginner, sources *Sources, in integrations.Integration, f EntryFilter) (list []ListedEntry, sums EntrySums, err error) {
	err = readFresh(ctx, db, sources, in, lastDay, func(tx pgx.Tx, put func(string) string, args pgx.NamedArgs) error {
		source, first := sourceOf(in.Export), ""
		if f.Limit > 0 {
			first = fmt.Sprint("ORDER BY entry_date, voucher_id, entry_id LIMIT ", f.Limit)
		}
		list, err = queryRows[ListedEntry](ctx, tx, put(selectEntries(f, source, "", first, args))+`
			SELECT entry_id, voucher_id, to_char(entry_date, 'YYYY-MM-DD') AS entry_date, account, text, coalesce(round(amount, greatest(2, min_scale(amount)))::text, '') AS amount, currency, listed.state, reason, correction,
			    listed.export_id, coalesce(export.period, '') AS period, coalesce(export.parent_export_id IS NOT NULL, false) AS retry, coalesce(export.status, '') AS export_status,
			    CASE WHEN export.status = 'pending' THEN export.deferred_until END AS deferred_until, CASE WHEN export.status = 'pending' THEN coalesce(export.deferred_for, '') ELSE '' END AS deferred_for,
			    coalesce(export.error_message, '') AS export_error, open_until, next_date, retry_now
			FROM (SELECT * FROM listed `+first+`) AS listed
			LEFT JOIN ledgerline.bufdir_export_audit_log AS export ON export.organization_id = @organization_id AND export.export_id = listed.export_id
			ORDER BY listed.entry_date, voucher_id, entry_id`, args)
		if err != nil {
			return err
		}
		sums, err = sumEntries(ctx, tx, put(selectEntries(f, source, "", "", args)), args)
		if err != nil {
			return err
		}
		sums.Waiting, err = queryRows[Waiting](ctx, tx, put(selectEntries(f, source, " AND (taken.chunk = 0 OR taken.correction = 'replaced') AND "+nextDate+" IS NOT NULL", "", args))+`
			SELECT next_date AS date, count(*)::int AS entries, retry_now AS retry FROM listed GROUP BY next_date, retry_now ORDER BY next_date, retry_now`, args)
		return err
	})
	return list, sums, err
}

// sumEntries sums what a query of [selectEntries] lists.
func sumEntries(ctx context.Context, tx pgx.Tx, query string, args pgx.NamedArgs) (sums EntrySums, err error) {
	sums.ByState, sums.PerState = []EntrySum{}, map[string]int{}
	rows, err := tx.Query(ctx, query+`
		SELECT coalesce(state, ''), coalesce(currency, ''), grouping(state), grouping(currency), count(*)::int, count(DISTINCT voucher_id)::int,
		    round(coalesce(sum(amount) FILTER (WHERE amount > 0), 0), 2)::text
		FROM listed GROUP BY GROUPING SETS ((state, currency), (state), ()) ORDER BY state, currency`, args)
	if err != nil {
		return sums, err
	}
	var sum EntrySum
	var allStates, allCurrencies, vouchers int
	_, err = pgx.ForEachRow(rows, []any{&sum.State, &sum.Currency, &allStates, &allCurrencies, &sum.Entries, &vouchers, &sum.Debit}, func() error {
		switch {
		case allStates == 1:
			sums.Entries, sums.Vouchers = sum.Entries, vouchers
		case allCurrencies == 1:
			sums.PerState[string(sum.State)] = vouchers
		default:
			sums.ByState = append(sums.ByState, sum)
		}
		return nil
	})
	return sums, err
}

// selectEntries is a WITH clause that ends with listed: the entries that a filter selects,
// of those that an export has taken only where and holds too. first follows both parts of
// it, so that a page of a million entries is found by their dates.
func selectEntries(f EntryFilter, source, and, first string, args pgx.NamedArgs) string {
	where := ""
	if !f.From.IsZero() {
		where, args["from"] = where+" AND entry.entry_date >= @from", f.From
	}
	if !f.Before.IsZero() {
		where, args["before"] = where+" AND entry.entry_date < @before", f.Before
	}
	if f.Voucher != "" {
		where, args["voucher"] = where+" AND entry.voucher_id = @voucher", f.Voucher
	}
	var parts []string
	if f.State == "" || f.State == Waits {
		parts = append(parts, `SELECT `+entryColumns+`'waiting' AS state, '' AS reason, '' AS correction, NULL::uuid AS export_id, NULL::timestamptz AS open_until, entry.entry_date AS next_date, coalesce(refused.retry, '') AS retry_now
			FROM fresh AS entry LEFT JOIN refused ON refused.voucher_id = entry.voucher_id AND entry.entry_date < refused.period_end WHERE true`+where+" "+first)
	}
	switch f.State {
	case Waits:
		return withListed("", parts)
	case "", WasWithdrawn:
	default:
		where, args["state"] = where+" AND taken.state = @state AND taken.correction IS DISTINCT FROM 'withdrawn'", f.State
	}
	take := func(from string) {
		parts = append(parts, `SELECT `+entryColumns+takenColumns+` FROM `+from+`
			LEFT JOIN again ON again.entry_id = taken.entry_id LEFT JOIN grown ON grown.voucher_id = taken.voucher_id LEFT JOIN refused ON refused.voucher_id = taken.voucher_id
			WHERE entry.organization_id = @organization_id AND taken.organization_id = @organization_id AND taken.integration_id = @integration_id`+where+and+" "+first)
	}
	const record = `ledgerline.export_entries AS entry CROSS JOIN LATERAL (SELECT entry.*) AS taken`
	if source == integrations.DefaultSource && f.State != WasWithdrawn {
		take(`ledgerline.accounting_entries AS entry JOIN ledgerline.export_entries AS taken ON taken.organization_id = entry.organization_id AND taken.entry_id = entry.entry_id`)
	}
	if source == integrations.DefaultSource || f.State == WasWithdrawn { // what was withdrawn is only in the record
		where += " AND taken.correction = 'withdrawn'"
	}
	if f.State == "" || f.State == WasWithdrawn || source != integrations.DefaultSource {
		take(record)
	}
	return withListed(nextDates, parts)
}

// withListed is the WITH clause of [selectEntries].
func withListed(tables string, parts []string) string {
	return `WITH fresh AS MATERIALIZED ({fresh}), refused AS MATERIALIZED (` + refusedVouchers + `)` + tables + `, listed AS ((` + strings.Join(parts, ")\nUNION ALL\n(") + `))`
}
