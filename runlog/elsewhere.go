package runlog

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
)

// elsewhereEntries are, by chain, the entries dated in the period of its first export ($2) that
// are in another chain of its integration and not at the vendor. Adoptions have none, and
// lend none: each is shown by itself.
//
// An export that has ended with all its entries exported gets no others, so that most are
// not looked into. Days come before entries, so that each entry is looked at once.
func elsewhereEntries() string {
	return `
WITH RECURSIVE first AS (
    SELECT export_id, integration_id, period_start, period_end FROM ledgerline.bufdir_export_audit_log
    WHERE organization_id = $1 AND export_id = ANY($2) AND trigger <> 'adopt'
), other AS (
    SELECT export_id AS found_in, integration_id, period, export_id, parent_export_id, trigger FROM ledgerline.bufdir_export_audit_log
    WHERE organization_id = $1 AND integration_id IN (SELECT integration_id FROM first) AND (status = 'pending' OR entries_total > entries_exported)
    UNION ALL
    SELECT other.found_in, other.integration_id, other.period, parent.export_id, parent.parent_export_id, parent.trigger
    FROM other JOIN ledgerline.bufdir_export_audit_log AS parent ON parent.organization_id = $1 AND parent.export_id = other.parent_export_id
), remaining AS MATERIALIZED (
    SELECT other.integration_id, other.export_id AS chain, other.period, entry.entry_date, entry.voucher_id, entry.currency, entry.amount, entry.outcome
    FROM other CROSS JOIN LATERAL (
        SELECT entry_date, voucher_id, currency, amount, ` + outcome() + ` AS outcome FROM ledgerline.export_entries
        WHERE organization_id = $1 AND export_id = other.found_in AND state <> 'exported' OFFSET 0) AS entry
    WHERE other.parent_export_id IS NULL AND other.trigger <> 'adopt' AND entry.outcome <> 'withdrawn'
      AND (cardinality($2::uuid[]) > 1 OR other.export_id <> ALL ($2)) -- of one chain, its own are not looked at
), days AS MATERIALIZED (
    SELECT first.export_id AS first, day.chain, day.entry_date FROM first
    JOIN (SELECT DISTINCT integration_id, chain, entry_date FROM remaining) AS day ON day.integration_id = first.integration_id
    WHERE day.chain <> first.export_id AND day.entry_date >= first.period_start AND day.entry_date < first.period_end
), entries AS (
    SELECT days.first, remaining.period, remaining.voucher_id, remaining.currency, remaining.amount, remaining.outcome
    FROM days JOIN remaining ON remaining.chain = days.chain AND remaining.entry_date = days.entry_date
)`
}

// countElsewhere counts what of the periods of chains is with exports of other periods.
func countElsewhere(ctx context.Context, tx pgx.Tx, organization uuid.UUID, first []uuid.UUID, chains map[uuid.UUID]*exports.Chain) error {
	if _, err := tx.Exec(ctx, `SET LOCAL enable_nestloop = off`); err != nil { // no statistics are of what is materialized
		return err
	}
	type sums struct {
		First            uuid.UUID
		Period           string
		Outcome          exports.Outcome
		Currency, Amount string
		Entries          int
	}
	type group struct {
		first   uuid.UUID
		period  string
		outcome exports.Outcome
	}
	list, err := queryRows[sums](ctx, tx, elsewhereEntries()+`
		SELECT first, period, outcome, currency, count(*) AS entries, coalesce(sum(amount) FILTER (WHERE amount > 0), 0)::text AS amount
		FROM entries GROUP BY first, period, outcome, currency ORDER BY period, outcome`, organization, first)
	if err != nil || len(list) == 0 {
		return err
	}
	at := make(map[group]int) // in the chain's list
	for _, s := range list {
		c, g := chains[s.First], group{s.First, s.Period, s.Outcome}
		i, known := at[g]
		if !known {
			i, at[g] = len(c.Elsewhere), len(c.Elsewhere)
			c.Elsewhere = append(c.Elsewhere, exports.Elsewhere{Period: s.Period, Outcome: s.Outcome})
		}
		n := &c.Elsewhere[i].Count
		n.Entries += s.Entries
		n.Amounts = exports.AddAmounts(n.Amounts, map[string]string{s.Currency: s.Amount})
	}
	type vouchers struct {
		First    uuid.UUID
		Period   string
		Outcome  exports.Outcome
		Vouchers int
	}
	counted, err := queryRows[vouchers](ctx, tx, elsewhereEntries()+`
		SELECT first, period, outcome, count(*) AS vouchers FROM (
		    SELECT first, period, `+voucherOutcome()+` AS outcome FROM entries GROUP BY first, period, voucher_id) AS by_voucher
		GROUP BY first, period, outcome`, organization, first)
	for _, v := range counted {
		if i, known := at[group{v.First, v.Period, v.Outcome}]; known {
			chains[v.First].Elsewhere[i].Count.Vouchers = v.Vouchers
		}
	}
	return err
}
