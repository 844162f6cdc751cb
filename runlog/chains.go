package runlog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
)

// ChainFilter selects chains; what is zero selects all.
type ChainFilter struct {
	Period      string
	Integration uuid.UUID
	States      []exports.ChainState
	Limit       int // most chains, the newest ones
}

// ListChains returns an organization's exports with their retries, the newest first, and
// how many more the filter selects. Entries are counted as they are now.
func ListChains(ctx context.Context, db Beginner, organization uuid.UUID, f ChainFilter) (list []exports.Chain, more int, err error) {
	err = readOnly(ctx, db, organization, false, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT export_id FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1 AND parent_export_id IS NULL
			AND ($2 = '' OR period = $2) AND ($3 = '00000000-0000-0000-0000-000000000000'::uuid OR integration_id = $3)
			ORDER BY started_at DESC, export_id`, organization, f.Period, f.Integration)
		if err != nil {
			return err
		}
		first, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		if err != nil {
			return err
		}
		if len(f.States) == 0 && f.Limit > 0 && len(first) > f.Limit {
			first, more = first[:f.Limit], len(first)-f.Limit
		}
		if list, err = loadChains(ctx, tx, organization, first); err != nil || len(f.States) == 0 {
			return err
		}
		list = slices.DeleteFunc(list, func(c exports.Chain) bool { return !slices.Contains(f.States, c.State()) })
		if f.Limit > 0 && len(list) > f.Limit {
			list, more = list[:f.Limit], len(list)-f.Limit
		}
		return nil
	})
	return list, more, err
}

// LoadChain returns the chain of an export, whichever of its exports that is; none is an
// error that names its ID.
func LoadChain(ctx context.Context, db Beginner, organization, exportID uuid.UUID) (c exports.Chain, err error) {
	err = readOnly(ctx, db, organization, false, func(tx pgx.Tx) error {
		var first uuid.UUID
		rows, err := tx.Query(ctx, ancestors+` SELECT export_id FROM ancestors WHERE parent_export_id IS NULL`, organization, exportID)
		if err != nil {
			return err
		}
		if first, err = pgx.CollectOneRow(rows, pgx.RowTo[uuid.UUID]); err != nil {
			return fmt.Errorf("the organization has no export %s", exportID)
		}
		list, err := loadChains(ctx, tx, organization, []uuid.UUID{first})
		if err == nil {
			c = list[0]
		}
		return err
	})
	return c, err
}

// chainMember is one export of a chain.
type chainMember struct {
	First, ExportID uuid.UUID
	Integration     string
	IsPlanned       bool
}

// loadChains returns the chains that begin with these exports, in their order.
func loadChains(ctx context.Context, tx pgx.Tx, organization uuid.UUID, first []uuid.UUID) ([]exports.Chain, error) {
	if _, err := tx.Exec(ctx, longStatements); err != nil {
		return nil, err
	}
	members, err := queryRows[chainMember](ctx, tx, `
		WITH RECURSIVE members AS (
		    SELECT export_id AS first, export_id, 0 AS generation FROM unnest($2::uuid[]) AS given (export_id)
		    UNION ALL
		    SELECT members.first, retry.export_id, generation + 1
		    FROM members JOIN ledgerline.bufdir_export_audit_log AS retry ON retry.organization_id = $1 AND retry.parent_export_id = members.export_id
		) SELECT members.first, members.export_id, integration.name AS integration, export.planned_at IS NOT NULL OR export.trigger = 'adopt' AS is_planned
		FROM members JOIN ledgerline.bufdir_export_audit_log AS export ON export.organization_id = $1 AND export.export_id = members.export_id
		    JOIN ledgerline.integrations AS integration ON integration.organization_id = $1 AND integration.integration_id = export.integration_id
		ORDER BY generation`, organization, first)
	if err != nil {
		return nil, err
	}
	chains := make(map[uuid.UUID]*exports.Chain)
	var firsts, all []uuid.UUID // of each member: where its chain begins, and itself
	for _, m := range members {
		if chains[m.First] == nil {
			chains[m.First] = &exports.Chain{Integration: m.Integration, Counts: make(map[exports.Outcome]exports.Count)}
		}
		chains[m.First].Planned = chains[m.First].Planned || m.IsPlanned
		firsts, all = append(firsts, m.First), append(all, m.ExportID)
	}
	rows, err := queryExports(ctx, tx, `WHERE organization_id = $1 AND export_id = ANY($2)`, organization, all)
	if err != nil {
		return nil, err
	}
	byID := make(map[uuid.UUID]exports.Export)
	for _, e := range rows {
		byID[e.ID] = e
	}
	for i, id := range all {
		chains[firsts[i]].Exports = append(chains[firsts[i]].Exports, byID[id])
	}
	if err := countChains(ctx, tx, organization, firsts, all, chains); err != nil {
		return nil, err
	}
	if err := countElsewhere(ctx, tx, organization, first, chains); err != nil {
		return nil, err
	}
	list := make([]exports.Chain, 0, len(first))
	for _, id := range first {
		if c := chains[id]; c != nil {
			list = append(list, *c)
		}
	}
	return list, nil
}

// outcome is an entry's [exports.Outcome] as SQL.
func outcome() string {
	var b strings.Builder
	b.WriteString("CASE WHEN state = 'rejected' AND " + withdrawn() + " THEN 'withdrawn'")
	for _, s := range exports.EntryStates {
		fmt.Fprintf(&b, " WHEN state = '%s' THEN '%s'", s, exports.OutcomeOf[s])
	}
	return b.String() + " END"
}

// withdrawn is whether a person has withdrawn a refused entry, as SQL.
func withdrawn() string { return "correction IS NOT DISTINCT FROM 'withdrawn'" }

// worst is the outcome of a voucher whose entries have several: the first of them in this
// order.
var worst = []exports.Outcome{exports.IsUnknown, exports.WasRefused, exports.IsWaiting, exports.WasWithdrawn, exports.WasExported}

// chainEntries are the entries of exports ($3) of an organization ($1), each with where its chain
// begins ($2, in the same order).
func chainEntries() string {
	return `
WITH entries AS (
    SELECT members.first, entry.voucher_id, entry.entry_date, entry.text, entry.currency, entry.amount, entry.late, entry.late_error, entry.reason, entry.export_id, entry.entry_id,
        entry.effect, CASE WHEN entry.effect = 'open' AND NOT entry.ended THEN entry.open_until END AS open_until, ` + outcome() + ` AS outcome
    FROM unnest($2::uuid[], $3::uuid[]) AS members (first, export_id)
        JOIN ledgerline.export_entries AS entry ON entry.organization_id = $1 AND entry.export_id = members.export_id
)`
}

// voucherOutcome is the outcome of a voucher as SQL, over its entries.
func voucherOutcome() string {
	quoted := make([]string, len(worst))
	for i, o := range worst {
		quoted[i] = "'" + string(o) + "'"
	}
	list := "ARRAY[" + strings.Join(quoted, ", ") + "]"
	return "(" + list + ")[min(array_position(" + list + ", outcome))]"
}

// countChains counts the entries of chains.
func countChains(ctx context.Context, tx pgx.Tx, organization uuid.UUID, firsts, all []uuid.UUID, chains map[uuid.UUID]*exports.Chain) error {
	type sums struct {
		First             uuid.UUID
		Outcome           exports.Outcome
		Currency, Amount  string
		Entries           int
		Late, LateErrors  int
		HasPositiveAmount bool
	}
	list, err := queryRows[sums](ctx, tx, chainEntries()+`
		SELECT first, outcome, currency, count(*) AS entries, coalesce(sum(amount) FILTER (WHERE amount > 0), 0)::text AS amount, bool_or(amount > 0) AS has_positive_amount,
		    count(*) FILTER (WHERE late) AS late, count(late_error) AS late_errors
		FROM entries GROUP BY first, outcome, currency`, organization, firsts, all)
	if err != nil {
		return err
	}
	for _, s := range list {
		c := chains[s.First]
		n := c.Counts[s.Outcome]
		n.Entries += s.Entries
		if s.HasPositiveAmount {
			n.Amounts = exports.AddAmounts(n.Amounts, map[string]string{s.Currency: s.Amount})
		}
		c.Counts[s.Outcome] = n
		c.Late, c.LateErrors = c.Late+s.Late, c.LateErrors+s.LateErrors
	}
	type vouchers struct {
		First    uuid.UUID
		Outcome  exports.Outcome
		Vouchers int
	}
	counted, err := queryRows[vouchers](ctx, tx, chainEntries()+`
		SELECT first, outcome, count(*) AS vouchers FROM (SELECT first, `+voucherOutcome()+` AS outcome FROM entries GROUP BY first, voucher_id) AS by_voucher
		GROUP BY first, outcome`, organization, firsts, all)
	for _, v := range counted {
		n := chains[v.First].Counts[v.Outcome]
		n.Vouchers = v.Vouchers
		chains[v.First].Counts[v.Outcome] = n
	}
	return err
}

// Voucher is what became of a voucher of a chain.
type Voucher struct {
	ID        string
	Date      time.Time // of its earliest entry
	Text      string    // of its first entry that has one
	Outcome   exports.Outcome
	Reason    string            // why it is not exported, or what the vendor found wrong later
	Amounts   map[string]string // sum of the positive amounts by currency
	Entries   int
	Late      bool       // an entry of it is dated before the period
	LateError bool       // the vendor found an error in it after it had accepted it
	OpenUntil *time.Time // until then a request with it can take effect
	ExportID  uuid.UUID  // the last of the chain's exports that has some of it
}

// ListVouchers returns the vouchers of a chain after one ("" is from the start) in their order, at most limit: all,
// or those of which people should know, because they are not exported or have an error at the vendor. more is how
// many there are beyond the limit.
func ListVouchers(ctx context.Context, db Beginner, organization uuid.UUID, c exports.Chain, all bool, after string, limit int) (list []Voucher, more int, err error) {
	var firsts, members []uuid.UUID
	for _, e := range c.Exports {
		firsts, members = append(firsts, c.First().ID), append(members, e.ID)
	}
	type row struct {
		Voucher
		Remaining int
	}
	err = readOnly(ctx, db, organization, false, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, longStatements); err != nil {
			return err
		}
		rows, err := queryRows[row](ctx, tx, chainEntries()+`, sums AS (
		    SELECT voucher_id, jsonb_object_agg(currency, amount::text) AS amounts FROM (
		        SELECT voucher_id, currency, coalesce(sum(amount) FILTER (WHERE amount > 0), 0) AS amount FROM entries
		        WHERE voucher_id > $4 GROUP BY voucher_id, currency) AS by_currency GROUP BY voucher_id
		), vouchers AS (
		    SELECT voucher_id AS id, min(entry_date) AS date, coalesce((array_agg(text ORDER BY entry_id) FILTER (WHERE text <> ''))[1], '') AS text,
		        `+voucherOutcome()+` AS outcome,
		        coalesce((array_agg(coalesce(late_error, reason) ORDER BY outcome = 'exported', entry_id) FILTER (WHERE late_error IS NOT NULL OR outcome <> 'exported' AND reason IS NOT NULL))[1], '') AS reason,
		        count(*) AS entries, bool_or(late) AS late, count(late_error) > 0 AS late_error, max(open_until) AS open_until,
		        (array_agg(export_id ORDER BY array_position($3::uuid[], export_id) DESC))[1] AS export_id
		    FROM entries WHERE voucher_id > $4 GROUP BY voucher_id
		) SELECT vouchers.*, sums.amounts, count(*) OVER () AS remaining FROM vouchers JOIN sums ON sums.voucher_id = vouchers.id
		WHERE $5 OR outcome <> 'exported' OR late_error ORDER BY id LIMIT $6`, organization, firsts, members, after, all, limit)
		for _, r := range rows {
			list, more = append(list, r.Voucher), r.Remaining-len(rows)
		}
		return err
	})
	return list, more, err
}

// OpenVoucherExports returns the exports of a chain that have entries of a voucher whose
// outcome is open: [ResolveVoucher] settles those of each.
func OpenVoucherExports(ctx context.Context, db Beginner, organization uuid.UUID, c exports.Chain, voucher string) (ids []uuid.UUID, err error) {
	var members []uuid.UUID
	for _, e := range c.Exports {
		members = append(members, e.ID)
	}
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT DISTINCT export_id FROM ledgerline.export_entries
			WHERE organization_id = $1 AND export_id = ANY($2) AND voucher_id = $3 AND effect = 'open' ORDER BY export_id`, organization, members, voucher)
		if err == nil {
			ids, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		}
		return err
	})
	return ids, err
}
