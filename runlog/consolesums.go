package runlog

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
)

// ListPeriodSums returns what [ListChains] does of the periods that end after a day, of some
// integrations or of all, and is quick beside millions of entries: what is at the vendor is
// counted once, when an export has ended, see [SumExports], and only what is not there, and what
// runs have exported so far, entry by entry.
//
// Of each export it has what the methods of [exports.Chain] need, and not what it cost.
func ListPeriodSums(ctx context.Context, db Beginner, organization uuid.UUID, since time.Time, integrations ...uuid.UUID) (list []exports.Chain, err error) {
	err = inSnapshot(ctx, db, organization, func(tx pgx.Tx) error {
		where, args := `AND export.period_end > $2`, []any{organization, since}
		if len(integrations) > 0 {
			where, args = where+` AND export.integration_id = ANY($3)`, append(args, integrations)
		}
		s, err := loadSums(ctx, tx, organization, where, args...)
		for _, id := range s.order {
			list = append(list, *s.chainOf[id])
		}
		return err
	})
	return list, err
}

// LoadPeriodSums returns what [ListChains] does of a period of an integration, in the way of
// [ListPeriodSums]: the export with its retries, and adoptions. The newest is first.
func LoadPeriodSums(ctx context.Context, db Beginner, organization, integration uuid.UUID, period string) (list []exports.Chain, err error) {
	err = inSnapshot(ctx, db, organization, func(tx pgx.Tx) error {
		s, err := loadSums(ctx, tx, organization, `AND export.integration_id = $2 AND export.period = $3`, organization, integration, period)
		if err != nil {
			return err
		}
		rows, err := queryExports(ctx, tx, `WHERE organization_id = $1 AND export_id = ANY($2)`, organization, s.all)
		if err != nil {
			return err
		}
		whole := make(map[uuid.UUID]exports.Export, len(rows))
		for _, e := range rows {
			whole[e.ID] = e
		}
		for _, id := range s.order {
			c := *s.chainOf[id]
			for i, e := range c.Exports {
				c.Exports[i] = whole[e.ID]
			}
			list = append(list, c)
		}
		return nil
	})
	return list, err
}

// loadSums counts the chains of the exports that a condition selects.
func loadSums(ctx context.Context, tx pgx.Tx, organization uuid.UUID, where string, args ...any) (sums, error) {
	s := sums{organization: organization, chainOf: make(map[uuid.UUID]*exports.Chain), done: make(map[uuid.UUID]bool)}
	if _, err := tx.Exec(ctx, longStatements); err != nil {
		return s, err
	}
	if err := s.load(ctx, tx, where, args...); err != nil || len(s.order) == 0 {
		return s, err
	}
	for _, count := range []func(context.Context, pgx.Tx) error{s.countLive, s.countMissing, s.countLateErrors} {
		if err := count(ctx, tx); err != nil {
			return s, err
		}
	}
	chains := make(map[uuid.UUID]*exports.Chain, len(s.order))
	for _, id := range s.order {
		chains[id] = s.chainOf[id]
	}
	return s, countElsewhere(ctx, tx, organization, s.order, chains)
}

// sums are the chains of an organization while they are counted.
type sums struct {
	organization uuid.UUID
	order        []uuid.UUID                  // the first export of each chain
	firsts, all  []uuid.UUID                  // of each export: the first one of its chain, and itself
	chainOf      map[uuid.UUID]*exports.Chain // by each of its exports
	done         map[uuid.UUID]bool           // exports of which is counted what the vendor has
}

// load reads the exports with what was counted of them before, and makes their chains.
func (s *sums) load(ctx context.Context, tx pgx.Tx, where string, args ...any) error {
	rows, err := tx.Query(ctx, `
		SELECT export.export_id, export.integration_id, integration.name, export.adapter_name, export.period, export.period_start, export.period_end, export.trigger,
		    export.parent_export_id, export.scheduled_at, export.started_at, export.deferred_until, coalesce(export.deferred_for, ''), export.finished_at, export.status,
		    coalesce(export.error_code, ''), coalesce(export.error_message, ''), export.planned_at IS NOT NULL OR export.trigger = 'adopt',
		    known.export_id IS NOT NULL, coalesce(known.entries, 0), coalesce(known.late, 0), coalesce(known.vouchers, 0), known.amounts
		FROM ledgerline.bufdir_export_audit_log AS export
		JOIN ledgerline.integrations AS integration ON integration.organization_id = $1 AND integration.integration_id = export.integration_id
		LEFT JOIN ledgerline.export_sums AS known ON known.organization_id = $1 AND known.export_id = export.export_id
		WHERE export.organization_id = $1 `+where+` ORDER BY export.started_at DESC, export.export_id`, args...)
	if err != nil {
		return err
	}
	type export struct {
		exports.Export
		integration string
		planned     bool
	}
	var list []export
	var known []exportedSum
	e, sum, isKnown := export{Export: exports.Export{OrganizationID: s.organization}}, exportedSum{}, false
	retries := make(map[uuid.UUID][]export)
	_, err = pgx.ForEachRow(rows, []any{
		&e.ID, &e.IntegrationID, &e.integration, &e.AdapterName, &e.Period, &e.PeriodStart, &e.PeriodEnd, &e.Trigger,
		&e.ParentID, &e.ScheduledAt, &e.StartedAt, &e.DeferredUntil, &e.DeferredFor, &e.FinishedAt, &e.Status,
		&e.ErrorCode, &e.ErrorMessage, &e.planned, &isKnown, &sum.Entries, &sum.Late, &sum.Vouchers, &sum.Amounts,
	}, func() error {
		if e.ParentID != nil {
			retries[*e.ParentID] = append(retries[*e.ParentID], e)
		} else {
			list = append(list, e)
		}
		if isKnown {
			sum.ExportID = e.ID
			known = append(known, sum)
		}
		sum.Amounts = nil // the next row has a map of its own
		return nil
	})
	if err != nil {
		return err
	}
	for _, first := range list {
		s.order = append(s.order, first.ID)
		c := &exports.Chain{Integration: first.integration, Counts: make(map[exports.Outcome]exports.Count)}
		for members := []export{first}; len(members) > 0; {
			var next []export
			for _, m := range members {
				c.Exports, c.Planned = append(c.Exports, m.Export), c.Planned || m.planned
				s.chainOf[m.ID] = c
				s.firsts, s.all = append(s.firsts, first.ID), append(s.all, m.ID)
				next = append(next, retries[m.ID]...)
			}
			members = next
		}
	}
	s.add(known)
	return nil
}

// exportedSum is what the vendor has of an export.
type exportedSum struct {
	ExportID uuid.UUID
	Entries  int
	Late     int
	Vouchers int // of which the exports that it retries have nothing
	Amounts  map[string]string
}

func (s *sums) add(list []exportedSum) {
	for _, e := range list {
		c := s.chainOf[e.ExportID]
		if s.done[e.ExportID] = true; c == nil || e.Entries == 0 {
			continue
		}
		n := c.Counts[exports.WasExported]
		n.Entries, n.Vouchers = n.Entries+e.Entries, n.Vouchers+e.Vouchers
		switch {
		case len(e.Amounts) == 0:
		case n.Amounts == nil:
			n.Amounts = e.Amounts
		default:
			n.Amounts = exports.AddAmounts(n.Amounts, e.Amounts)
		}
		c.Counts[exports.WasExported], c.Late = n, c.Late+e.Late
	}
}

// countLive counts what the vendor has of the other exports.
func (s *sums) countLive(ctx context.Context, tx pgx.Tx) error {
	var live, of, retried []uuid.UUID
	for _, id := range s.all {
		if s.done[id] {
			continue
		}
		live = append(live, id)
		for _, e := range s.chainOf[id].Exports { // those before it
			if e.ID == id {
				break
			}
			of, retried = append(of, id), append(retried, e.ID)
		}
	}
	if len(live) == 0 {
		return nil
	}
	list, err := queryRows[exportedSum](ctx, tx, `
		WITH parts AS MATERIALIZED (
		    SELECT entry.export_id, entry.voucher_id, entry.currency, count(*) AS entries, count(*) FILTER (WHERE entry.late) AS late, sum(entry.amount) FILTER (WHERE entry.amount > 0) AS amount
		    FROM unnest($2::uuid[]) AS live JOIN ledgerline.export_entries AS entry ON entry.organization_id = $1 AND entry.export_id = live AND entry.state = 'exported' GROUP BY 1, 2, 3
		), retried AS MATERIALIZED (SELECT * FROM unnest($3::uuid[], $4::uuid[]) AS retried (export_id, before)
		), amounts AS (
		    SELECT export_id, jsonb_object_agg(currency, round(amount, greatest(2, scale(amount)))::text) AS amounts FROM (SELECT export_id, currency, sum(amount) AS amount FROM parts GROUP BY 1, 2) AS each
		    WHERE amount IS NOT NULL GROUP BY 1
		), vouchers AS (SELECT export_id, voucher_id, sum(entries) AS entries, sum(late) AS late FROM parts GROUP BY 1, 2
		), earlier AS MATERIALIZED (
		    SELECT DISTINCT vouchers.export_id, vouchers.voucher_id FROM vouchers JOIN retried USING (export_id)
		    CROSS JOIN LATERAL (SELECT FROM ledgerline.export_entries AS entry WHERE entry.organization_id = $1 AND entry.export_id = retried.before
		        AND entry.voucher_id COLLATE "C" = vouchers.voucher_id AND entry.state = 'exported' LIMIT 1) AS entry)
		SELECT vouchers.export_id, sum(entries)::int AS entries, sum(late)::int AS late, count(*) FILTER (WHERE earlier.export_id IS NULL)::int AS vouchers,
		    coalesce((SELECT amounts FROM amounts WHERE amounts.export_id = vouchers.export_id), '{}') AS amounts
		FROM vouchers LEFT JOIN earlier ON earlier.export_id = vouchers.export_id AND earlier.voucher_id = vouchers.voucher_id GROUP BY vouchers.export_id`,
		s.organization, live, of, retried)
	s.add(list)
	return err
}

// countMissing counts what the vendor does not have. A voucher of which it has another line is
// no longer counted as exported, unless all that is missing was withdrawn.
func (s *sums) countMissing(ctx context.Context, tx pgx.Tx) error {
	const missing = `
		WITH entries AS MATERIALIZED (
		    SELECT members.first, entry.voucher_id, entry.currency, entry.amount, entry.late, `
	const from = ` AS outcome
		    FROM ledgerline.export_entries AS entry JOIN unnest($2::uuid[], $3::uuid[]) AS members (first, export_id) ON members.export_id = entry.export_id
		    WHERE entry.organization_id = $1 AND entry.state <> 'exported'
		)`
	type part struct {
		First             uuid.UUID
		Outcome           exports.Outcome
		Currency, Amount  string
		Entries, Late     int
		HasPositiveAmount bool
	}
	parts, err := queryRows[part](ctx, tx, missing+outcome()+from+`
		SELECT first, outcome, currency, count(*)::int AS entries, count(*) FILTER (WHERE late)::int AS late, coalesce(sum(amount) FILTER (WHERE amount > 0), 0)::text AS amount,
		    bool_or(amount > 0) AS has_positive_amount FROM entries GROUP BY 1, 2, 3`, s.organization, s.firsts, s.all)
	if err != nil || len(parts) == 0 {
		return err
	}
	for _, p := range parts {
		c := s.chainOf[p.First]
		n := c.Counts[p.Outcome]
		n.Entries += p.Entries
		if p.HasPositiveAmount {
			n.Amounts = exports.AddAmounts(n.Amounts, map[string]string{p.Currency: p.Amount})
		}
		c.Counts[p.Outcome], c.Late = n, c.Late+p.Late
	}
	var firsts, members []uuid.UUID // of chains of which the vendor has something
	for i, first := range s.firsts {
		if s.chainOf[first].Counts[exports.WasExported].Entries > 0 {
			firsts, members = append(firsts, first), append(members, s.all[i])
		}
	}
	type vouchers struct {
		First              uuid.UUID
		Outcome            exports.Outcome
		Exported           bool // the vendor has another line
		Vouchers           int
		Withdrawn, Entries int
	}
	counted, err := queryRows[vouchers](ctx, tx, missing+outcome()+from+`, vouchers AS MATERIALIZED (
		    SELECT first, voucher_id, `+voucherOutcome()+` AS outcome, count(*) FILTER (WHERE outcome = 'withdrawn') AS withdrawn, count(*) AS entries FROM entries GROUP BY 1, 2
		), partly AS MATERIALIZED (
		    SELECT DISTINCT vouchers.first, vouchers.voucher_id FROM vouchers JOIN unnest($4::uuid[], $5::uuid[]) AS members (first, export_id) USING (first)
		    CROSS JOIN LATERAL (SELECT FROM ledgerline.export_entries AS entry WHERE entry.organization_id = $1 AND entry.export_id = members.export_id
		        AND entry.voucher_id COLLATE "C" = vouchers.voucher_id AND entry.state = 'exported' LIMIT 1) AS entry
		)
		SELECT first, outcome, partly.first IS NOT NULL AS exported, count(*)::int AS vouchers, sum(withdrawn)::int AS withdrawn, sum(entries)::int AS entries
		FROM vouchers LEFT JOIN partly USING (first, voucher_id) GROUP BY 1, 2, 3`, s.organization, s.firsts, s.all, firsts, members)
	for _, v := range counted {
		c := s.chainOf[v.First]
		if v.Outcome == exports.WasWithdrawn && v.Exported { // it is counted as exported
			c.WithdrawnLines += v.Withdrawn
			continue
		}
		n := c.Counts[v.Outcome]
		n.Vouchers += v.Vouchers
		c.Counts[v.Outcome] = n
		if v.Outcome != exports.WasWithdrawn {
			c.WithdrawnLines += v.Withdrawn
		}
		if v.Exported {
			n := c.Counts[exports.WasExported]
			n.Vouchers -= v.Vouchers
			c.Counts[exports.WasExported] = n
		}
	}
	return err
}

// countLateErrors counts what vendors have found wrong later.
func (s *sums) countLateErrors(ctx context.Context, tx pgx.Tx) error {
	type found struct {
		ExportID uuid.UUID
		Errors   int
	}
	list, err := queryRows[found](ctx, tx, `SELECT export_id, count(*)::int AS errors FROM ledgerline.export_entries
		WHERE organization_id = $1 AND late_error IS NOT NULL AND export_id = ANY($2) GROUP BY 1`, s.organization, s.all)
	for _, f := range list {
		if c := s.chainOf[f.ExportID]; c != nil {
			c.LateErrors += f.Errors
		}
	}
	return err
}

// sumsAtOnce is how many exports are counted in a transaction.
const sumsAtOnce = 100

// SumExports counts what vendors have of the exports that have ended, once for each, so that
// [ListPeriodSums] need not: those that a worker of a version before has closed, or of which a
// person has found out more since. It needs the console's or the worker's role. It returns for
// how many it has.
func SumExports(ctx context.Context, db Beginner, organization uuid.UUID) (counted int, err error) {
	var open []uuid.UUID
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT export_id FROM ledgerline.bufdir_export_audit_log AS export WHERE organization_id = $1 AND status <> 'pending'
			AND NOT EXISTS (SELECT FROM ledgerline.export_sums AS known WHERE known.organization_id = $1 AND known.export_id = export.export_id) ORDER BY started_at DESC`, organization)
		if err == nil {
			open, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		}
		return err
	})
	for len(open) > 0 && err == nil {
		n := min(sumsAtOnce, len(open))
		var some int
		some, err = sumExports(ctx, db, organization, open[:n])
		counted, open = counted+some, open[n:]
	}
	return counted, err
}

func sumExports(ctx context.Context, db Beginner, organization uuid.UUID, ids []uuid.UUID) (counted int, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, longStatements); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT ledgerline.sum_exports($1)`, ids).Scan(&counted)
	})
	return counted, err
}
