package runlog

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
	err = inSnapshot(ctx, db, organization, func(tx pgx.Tx) error {
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
	err = inSnapshot(ctx, db, organization, func(tx pgx.Tx) error {
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
// What was withdrawn is no part of a voucher that has other entries.
var worst = []exports.Outcome{exports.IsUnknown, exports.WasRefused, exports.IsWaiting, exports.WasExported, exports.WasWithdrawn}

// allEntries are the entries of exports ($3) of an organization ($1), each with where its chain
// begins ($2, in the same order).
const allEntries = `unnest($2::uuid[], $3::uuid[]) AS members (first, export_id)
        JOIN ledgerline.export_entries AS entry ON entry.organization_id = $1 AND entry.export_id = members.export_id`

// chainEntries is a table entries of some of [allEntries].
func chainEntries(from string) string {
	return `
WITH entries AS (
    SELECT members.first, entry.voucher_id, entry.entry_date, entry.text, entry.currency, entry.amount, entry.late, entry.late_error, entry.reason, entry.export_id, entry.entry_id,
        entry.effect, entry.state = 'rejected' AND entry.correction IS NOT DISTINCT FROM 'replaced' AS corrected, CASE WHEN entry.effect = 'open' AND NOT entry.ended THEN entry.open_until END AS open_until, ` + outcome() + ` AS outcome
    FROM ` + from + `
)`
}

// voucherOutcome is the outcome of a voucher as SQL, over its entries.
func voucherOutcome() string { return "(" + worstFirst() + ")[min(" + place() + ")]" }

// place is where an outcome is among the worst, as SQL.
func place() string { return "array_position(" + worstFirst() + ", outcome)" }

// worstFirst is an array of worst as SQL.
func worstFirst() string {
	quoted := make([]string, len(worst))
	for i, o := range worst {
		quoted[i] = "'" + string(o) + "'"
	}
	return "ARRAY[" + strings.Join(quoted, ", ") + "]"
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
	list, err := queryRows[sums](ctx, tx, chainEntries(allEntries)+`
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
		First     uuid.UUID
		Outcome   exports.Outcome
		Vouchers  int
		Withdrawn int // entries
	}
	counted, err := queryRows[vouchers](ctx, tx, chainEntries(allEntries)+`
		SELECT first, outcome, count(*) AS vouchers, sum(withdrawn)::int AS withdrawn FROM (
		    SELECT first, `+voucherOutcome()+` AS outcome, count(*) FILTER (WHERE outcome = 'withdrawn') AS withdrawn FROM entries GROUP BY first, voucher_id) AS by_voucher
		GROUP BY first, outcome`, organization, firsts, all)
	for _, v := range counted {
		c := chains[v.First]
		n := c.Counts[v.Outcome]
		n.Vouchers = v.Vouchers
		c.Counts[v.Outcome] = n
		if v.Outcome != exports.WasWithdrawn {
			c.WithdrawnLines += v.Withdrawn
		}
	}
	return err
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
