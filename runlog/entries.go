package runlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// AccountingEntry is an accounting entry to be stored.
type AccountingEntry struct {
	EntryID, VoucherID string
	Date               time.Time
	Account            string
	Amount             string // decimal, at most two places
	Currency, Text     string
	Dimensions         map[string]string
}

// ImportOptions are how entries are imported that are there already with other contents.
type ImportOptions struct {
	Replace bool   // replaces them, where no vendor has them
	DryRun  bool   // finds out what would be done, and changes nothing: a login that may only read can do it
	Actor   string // who imports; recorded of what is replaced
	Reason  string // likewise; "" is none

	Check func(ImportResult) error // is given what was done before it holds, with Changes; its error takes all back; nil: nobody looks

	AllowRepeated bool // stores also lines that are stored already under other IDs; without it they are a [*RepeatedError]
}

// ImportResult is what an import came to.
type ImportResult struct {
	Added      int64             `json:"added"`
	Unchanged  int64             `json:"unchanged"` // were there, the same in everything
	Replaced   int64             `json:"replaced"`
	Unbalanced int64             `json:"unbalanced"` // vouchers of the file, or that lost an entry by it, that do not sum to zero
	Examples   []Imbalance       `json:"examples"`   // of those, at most five
	Mixed      int64             `json:"mixed"`      // vouchers of more than one currency, of the same; they are in no sum
	MixedOnes  []Mixed           `json:"mixedOnes"`  // of those, at most five
	LeftCount  int64             `json:"leftCount"`  // with Replace, vouchers of the file, or that lost an entry by it, with stored lines that the file does not have
	Left       []LeftVoucher     `json:"left"`       // of those, at most 1,000
	Changes    []EntryDifference `json:"changes"`    // between what is there and the file, at most 1,000
	Refused    []Refusal         `json:"refused"`    // entries that are there with other contents and were not replaced, at most 1,000
	Sendings   []NextSending     `json:"sendings"`   // of what was replaced, or withdrawn and comes again, after an export had refused it, at most 1,000
	Import     string            `json:"-"`          // the import, for [WaitingFilter]
}

// Imbalance is what a voucher lacks to sum to zero.
type Imbalance struct {
	VoucherID  string `json:"voucherId"`
	Difference string `json:"difference"` // decimal
}

// Mixed is a voucher of more than one currency.
type Mixed struct {
	VoucherID  string    `json:"voucherId"`
	Currencies [2]string `json:"currencies"` // two of them, the first and the last by name
}

// importBatch is how many entries go in one statement: enough to be as fast as
// possible without COPY, which row-level security refuses, and few enough to
// keep little in memory.
const importBatch = 5000

// ImportEntries stores entries as they come, all or none: the first error that
// entries yields ends it. An entry that is there already, the same in everything,
// is left as it is. One that is there with other contents is a [*RefusedError], which
// comes with the result; with Replace only if it cannot be replaced. Lines that are stored
// under other IDs are a [*RepeatedError].
func ImportEntries(ctx context.Context, db Beginner, organization uuid.UUID, entries iter.Seq2[AccountingEntry, error], options ImportOptions) (done ImportResult, err error) {
	i := importing{organization: organization, options: options, file: newInFile(), added: newLines{lines: make(map[uint64]int), vouchers: make(map[string]struct{})}}
	err = i.begin(ctx, db, func(tx pgx.Tx) error {
		// Entries may come slowly, and the last query reads all of them.
		if _, err := tx.Exec(ctx, `SELECT set_config('idle_in_transaction_session_timeout', '600s', true), set_config('statement_timeout', '120s', true)`); err != nil {
			return err
		}
		if err := i.alone(ctx, tx); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM ledgerline.accounting_entries WHERE organization_id = $1)`, organization).Scan(&i.hadEntries); err != nil {
			return err
		}
		batch := make([]AccountingEntry, 0, importBatch)
		for e, err := range entries {
			if err != nil {
				return err
			}
			if batch = append(batch, e); len(batch) == importBatch {
				if err := i.take(ctx, tx, batch); err != nil {
					return err
				}
				batch = batch[:0]
			}
		}
		if err := i.take(ctx, tx, batch); err != nil {
			return err
		}
		for batch := range slices.Chunk(i.again, importBatch) {
			if options.DryRun {
				if err := i.refuseAgain(ctx, tx, batch); err != nil {
					return err
				}
			}
			if err := i.store(ctx, tx, batch); err != nil {
				return err
			}
		}
		if err := i.refuseRepeated(ctx, tx); err != nil {
			return err
		}
		if err := i.replace(ctx, tx); err != nil {
			return err
		}
		if err := i.sendAgain(ctx, tx); err != nil {
			return err
		}
		if err := i.findLeft(ctx, tx); err != nil {
			return err
		}
		if options.DryRun {
			return i.previewUnbalanced(ctx, tx)
		}
		if err := i.findUnbalanced(ctx, tx); err != nil {
			return err
		}
		if options.Check != nil {
			if err := options.Check(i.done); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, `SELECT pg_current_xact_id()::text`).Scan(&i.done.Import)
	})
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		i.done.Refused = refused.Refused
	case err != nil:
		return ImportResult{}, correctionError(err)
	}
	i.done.Examples, i.done.Changes = append([]Imbalance{}, i.done.Examples...), append([]EntryDifference{}, i.done.Changes...)
	i.done.MixedOnes, i.done.Left = append([]Mixed{}, i.done.MixedOnes...), append([]LeftVoucher{}, i.done.Left...)
	i.done.Refused, i.done.Sendings = append([]Refusal{}, i.done.Refused...), append([]NextSending{}, i.done.Sendings...)
	return i.done, err
}

const (
	// importedEntries are the entries of a batch, as rows.
	importedEntries = `(
    SELECT entry_id, voucher_id, entry_date, account, amount, currency, text, dimensions::jsonb AS dimensions
    FROM unnest(@entry_id::text[], @voucher_id::text[], @entry_date::date[], @account::text[], @amount::numeric[], @currency::text[], @text::text[], @dimensions::text[])
        AS columns (entry_id, voucher_id, entry_date, account, amount, currency, text, dimensions)) AS imported`

	insertImported = `
INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, currency, text, dimensions)
SELECT @organization, entry_id, voucher_id, entry_date, account, amount, currency, text, dimensions FROM ` + importedEntries + ` ON CONFLICT DO NOTHING`

	// selectDifferent finds entries that are stored with other contents. LATERAL and
	// OFFSET: one look at the key for each entry, whatever the planner thinks of a
	// table that is being filled.
	selectDifferent = `
SELECT imported.entry_id, ` + storedContent + ` AS old, ` + importedContent + ` AS new
FROM ` + importedEntries + ` CROSS JOIN LATERAL (
    SELECT * FROM ledgerline.accounting_entries WHERE organization_id = @organization AND entry_id = imported.entry_id OFFSET 0) AS stored
WHERE (stored.voucher_id, stored.entry_date, stored.account, stored.amount, stored.currency, stored.text, stored.dimensions)
    IS DISTINCT FROM (imported.voucher_id, imported.entry_date, imported.account, imported.amount, imported.currency, imported.text, imported.dimensions)
ORDER BY 1`
)

// importing is an import under way.
type importing struct {
	organization uuid.UUID
	options      ImportOptions
	done         ImportResult
	differ       []differing
	again        []AccountingEntry // were withdrawn before; stored after all others, because no plan is made from then on
	unbalanced   map[string]bool   // vouchers that were [isUnbalanced] when the first entry was found to be there; nil before
	touched      []string          // of those, vouchers of which the file has entries that are there

	hadEntries bool     // of the organization, before
	file       *inFile  // with Replace, or if it compares
	added      newLines // if it compares

	store func(context.Context, pgx.Tx, []AccountingEntry) error // insert, or of a dry run compare
	sums  map[sumKey]*voucherSum                                 // of a dry run: what the file adds to each of its vouchers
}

// begin runs fn in the transaction of an import. That of a dry run is read-only.
func (i *importing) begin(ctx context.Context, db Beginner, fn func(pgx.Tx) error) error {
	if i.options.DryRun {
		i.store, i.sums = i.compare, make(map[sumKey]*voucherSum)
		return readOnly(ctx, db, i.organization, false, fn)
	}
	i.store = i.insert
	return InOrganization(ctx, db, i.organization, fn)
}

// alone waits for another import of the organization: what the one stores, the other is to see.
// A dry run waits for nobody.
func (i *importing) alone(ctx context.Context, tx pgx.Tx) error {
	if i.options.DryRun {
		return nil
	}
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('ledgerline.import/' || $1::text, 0))`, i.organization)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "57014" && // statement_timeout
		ctx.Err() == nil {
		return errors.New("another import of this organization has gone on for two minutes: import it again when that one has ended")
	}
	return err
}

// differing is an entry that is there with other contents.
type differing struct {
	entry    AccountingEntry
	EntryID  string
	Old, New EntryContent
}

// mostReplaced is how many entries an import can replace. They are kept in memory, and no plan is made meanwhile.
const mostReplaced = 100_000

// take stores a batch without what was withdrawn before, which it keeps for later.
func (i *importing) take(ctx context.Context, tx pgx.Tx, batch []AccountingEntry) error {
	i.noteFile(batch)
	withdrawn, err := queryIDs(ctx, tx, `SELECT DISTINCT entry_id FROM ledgerline.entry_changes WHERE organization_id = $1 AND kind = 'withdrawn' AND entry_id = ANY($2)`,
		i.organization, column(batch, func(e AccountingEntry) string { return e.EntryID }))
	if err != nil {
		return err
	}
	var fresh []AccountingEntry
	for _, e := range batch {
		if withdrawn[e.EntryID] {
			i.again = append(i.again, e)
		} else {
			fresh = append(fresh, e)
		}
	}
	return i.store(ctx, tx, fresh)
}

// insert stores the entries of a batch that are not there yet, and notes those that differ.
func (i *importing) insert(ctx context.Context, tx pgx.Tx, batch []AccountingEntry) error {
	added, err := i.insertNew(ctx, tx, batch)
	if err != nil {
		return err
	}
	there := int64(len(batch)) - added
	i.done.Added += added
	if there == 0 {
		return nil
	}
	if err := i.noteUnbalanced(ctx, tx, batch); err != nil {
		return err
	}
	_, err = i.noteDifferent(ctx, tx, batch, there)
	return err
}

// queryIDs are the IDs that a query returns.
func queryIDs(ctx context.Context, tx pgx.Tx, sql string, args ...any) (map[string]bool, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	ids := make(map[string]bool, len(list))
	for _, id := range list {
		ids[id] = true
	}
	return ids, err
}

// insertNew stores the entries of a batch that are not there yet, and returns how many.
func (i *importing) insertNew(ctx context.Context, tx pgx.Tx, batch []AccountingEntry) (int64, error) {
	if !i.compares() {
		inserted, err := tx.Exec(ctx, insertImported, i.args(batch))
		return inserted.RowsAffected(), err
	}
	added, err := queryIDs(ctx, tx, insertImported+` RETURNING entry_id`, i.args(batch))
	if err != nil {
		return 0, err
	}
	for _, e := range batch {
		if added[e.EntryID] {
			i.noteNew(e)
		}
	}
	return int64(len(added)), nil
}

// noteDifferent notes, and returns, the entries of a batch that are there with other
// contents. there is how many are there.
func (i *importing) noteDifferent(ctx context.Context, tx pgx.Tx, batch []AccountingEntry, there int64) (noted []differing, err error) {
	found, err := queryRows[struct {
		EntryID  string
		Old, New EntryContent
	}](ctx, tx, selectDifferent, i.args(batch))
	if err != nil {
		return nil, err
	}
	i.done.Unchanged += there - int64(len(found))
	if len(i.differ)+len(found) > mostReplaced {
		return nil, fmt.Errorf("more than %d entries are there with other contents, the first is %s: see whether this is the right file", mostReplaced, found[0].EntryID)
	}
	byID := make(map[string]AccountingEntry, len(batch))
	for _, e := range batch {
		byID[e.EntryID] = e
	}
	for _, f := range found {
		noted = append(noted, differing{byID[f.EntryID], f.EntryID, f.Old, f.New})
		if i.options.Replace { // its new contents may be those of another line: IDs of line numbers shift
			i.noteNew(byID[f.EntryID])
		}
	}
	i.noteMoves(noted)
	i.differ = append(i.differ, noted...)
	return noted, nil
}

// args are entries as [importedEntries] takes them.
func (i *importing) args(list []AccountingEntry) pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{
		"organization": i.organization,
		"entry_id":     column(list, func(e AccountingEntry) string { return e.EntryID }),
		"voucher_id":   column(list, func(e AccountingEntry) string { return e.VoucherID }),
		"entry_date":   column(list, func(e AccountingEntry) time.Time { return e.Date }),
		"account":      column(list, func(e AccountingEntry) string { return e.Account }),
		"amount":       column(list, func(e AccountingEntry) string { return e.Amount }),
		"currency":     column(list, func(e AccountingEntry) string { return e.Currency }),
		"text":         column(list, func(e AccountingEntry) string { return storable(e.Text) }),
		"dimensions":   column(list, AccountingEntry.dimensionsJSON),
	}
}

func (e AccountingEntry) dimensionsJSON() string {
	if len(e.Dimensions) == 0 {
		return "{}"
	}
	text, err := json.Marshal(e.Dimensions)
	if err != nil {
		panic(err) // a map of strings
	}
	return string(text)
}

// Vouchers that do not sum to zero, or have more than one currency, count with all their entries, also
// those of earlier imports.
const (
	selectUnbalanced = `SELECT voucher_id FROM ledgerline.accounting_entries WHERE organization_id = $1 GROUP BY voucher_id HAVING ` + isUnbalanced
	isUnbalanced     = `(sum(amount) <> 0 OR min(currency COLLATE "C") <> max(currency COLLATE "C"))`

	// listUnbalanced lists the first of each kind; {list} is from FROM to HAVING.
	listUnbalanced = `
SELECT voucher_id, difference, first, last, total FROM (
    SELECT voucher_id, sum(amount)::text AS difference, min(currency COLLATE "C") AS first, max(currency COLLATE "C") AS last,
        count(*) OVER same AS total, row_number() OVER (same ORDER BY voucher_id) AS number
    {list}
    WINDOW same AS (PARTITION BY min(currency COLLATE "C") <> max(currency COLLATE "C"))) AS voucher
WHERE number <= 5 ORDER BY voucher_id`
)

// noteUnbalanced notes vouchers of a batch that were [isUnbalanced] before it and may be left as they are. All others
// that do not have an entry that this transaction has stored.
func (i *importing) noteUnbalanced(ctx context.Context, tx pgx.Tx, batch []AccountingEntry) error {
	if i.unbalanced == nil {
		rows, err := tx.Query(ctx, selectUnbalanced, i.organization)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		i.unbalanced = make(map[string]bool, len(list))
		for _, voucher := range list {
			i.unbalanced[voucher] = true
		}
	}
	for _, e := range batch {
		if i.unbalanced[e.VoucherID] {
			i.touched = append(i.touched, e.VoucherID)
			delete(i.unbalanced, e.VoucherID)
		}
	}
	return nil
}

// findUnbalanced adds the vouchers of the file that do not sum to zero or have more than one currency.
func (i *importing) findUnbalanced(ctx context.Context, tx pgx.Tx) error {
	if i.done.Added+i.done.Replaced == 0 && len(i.touched) == 0 {
		return nil
	}
	return i.addUnbalanced(ctx, tx, `FROM ledgerline.accounting_entries WHERE organization_id = $1 GROUP BY voucher_id
    HAVING `+isUnbalanced+` AND (bool_or(imported_in = pg_current_xact_id()) OR voucher_id = ANY($2))`, i.organization, i.touched)
}

func (i *importing) addUnbalanced(ctx context.Context, tx pgx.Tx, list string, args ...any) error {
	rows, err := tx.Query(ctx, strings.Replace(listUnbalanced, "{list}", list, 1), args...)
	if err != nil {
		return err
	}
	var voucher, difference, first, last string
	var total int64
	_, err = pgx.ForEachRow(rows, []any{&voucher, &difference, &first, &last, &total}, func() error {
		if first != last {
			i.done.Mixed, i.done.MixedOnes = total, append(i.done.MixedOnes, Mixed{voucher, [2]string{first, last}})
		} else {
			i.done.Unbalanced, i.done.Examples = total, append(i.done.Examples, Imbalance{voucher, difference})
		}
		return nil
	})
	return err
}
