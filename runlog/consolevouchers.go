package runlog

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
)

// VoucherQuery selects vouchers of a chain, and a page of them; its zero value the first page
// of all.
type VoucherQuery struct {
	Outcomes []exports.Outcome // of the voucher; none: all
	Search   string            // part of its ID or of a text of its entries, whatever the case, or an amount of it or of an entry
	After    string            // the voucher with which the page before ended, or its next
	Limit    int               // most vouchers of the page; 0 is 100
}

const (
	// looksAt is at how many vouchers a page looks at most that searches, or wants outcomes: the
	// page is short then, and the next one looks at those that follow.
	looksAt = 1000

	// atOnce is how many entries are looked at together.
	atOnce = 4000
)

// PageVouchers returns a page of a chain's vouchers in the order of their IDs, as bytes are
// ordered, and what to give as After for the next page; "" if this is the last one. However
// large the chain is, a page looks at a small part of it: one that searches, or wants
// vouchers that the vendor has, can have fewer than its limit, even none, and is not the
// last one all the same while next is not "".
func PageVouchers(ctx context.Context, db Beginner, organization uuid.UUID, c exports.Chain, q VoucherQuery) (list []Voucher, next string, err error) {
	if q.Limit <= 0 {
		q.Limit = 100
	}
	p := voucherPage{q: q, organization: organization, search: strings.ToLower(strings.TrimSpace(storable(q.Search)))}
	p.q.After = strings.ToValidUTF8(strings.ReplaceAll(q.After, "\x00", ""), "")
	p.amount = amountOf(p.search)
	for _, e := range c.Exports {
		p.firsts, p.members = append(p.firsts, c.First().ID), append(p.members, e.ID)
	}
	err = inSnapshot(ctx, db, organization, func(tx pgx.Tx) error {
		part, err := tx.Begin(ctx) // the settings are those of this page only
		if err != nil {
			return err
		}
		defer func() { _ = part.Rollback(context.WithoutCancel(ctx)) }()
		if _, err := part.Exec(ctx, byIndex); err != nil {
			return err
		}
		var ids []string
		if ids, next, err = p.find(ctx, part); err != nil || len(ids) == 0 {
			return err
		}
		list, err = queryRows[Voucher](ctx, part, selectVouchers(givenVouchers, "")+` ORDER BY id COLLATE "C"`, organization, p.firsts, p.members, ids)
		return err
	})
	return list, next, err
}

// voucherPage is a page that is looked for.
type voucherPage struct {
	q               VoucherQuery
	organization    uuid.UUID
	firsts, members []uuid.UUID
	search          string  // in small letters
	amount          *string // a decimal, if the search is one
}

// givenVouchers are the entries of vouchers ($4) among [allEntries]. Each is looked up in
// the index that has the order, which is the only one that needs no sort: an equality would
// leave the choice to what the server guesses of a table that has grown since it last looked.
const givenVouchers = `unnest($2::uuid[], $3::uuid[]) AS members (first, export_id) CROSS JOIN unnest($4::text[]) AS given (voucher)
        CROSS JOIN LATERAL (SELECT * FROM ledgerline.export_entries AS entry WHERE entry.organization_id = $1 AND entry.export_id = members.export_id
            AND entry.voucher_id COLLATE "C" >= given.voucher AND entry.voucher_id COLLATE "C" <= given.voucher ORDER BY entry.voucher_id COLLATE "C" OFFSET 0) AS entry`

// byIndex makes the planner take the index that has the wanted order. It ends with the transaction.
const byIndex = `SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_nestloop = on; SET LOCAL jit = off`

// find returns the IDs of the page and where the next one begins.
func (p *voucherPage) find(ctx context.Context, tx pgx.Tx) (found []string, next string, err error) {
	after, window, looked := p.q.After, min(atOnce, 4*(p.q.Limit+1)), 0
	for {
		ids, last, err := p.following(ctx, tx, after, window)
		if err != nil {
			return nil, "", err
		}
		looked += len(ids)
		if found, err = p.choose(ctx, tx, found, ids); err != nil {
			return nil, "", err
		}
		switch {
		case len(found) > p.q.Limit:
			return found[:p.q.Limit], found[p.q.Limit-1], nil
		case last == "":
			return found, "", nil
		case looked >= looksAt:
			return found, last, nil
		}
		after, window = last, min(atOnce, 2*window)
	}
}

// missingState is what [exports.Outcome] an entry has that is not exported, as the index
// export_entries_missing has it.
const missingState = `(CASE WHEN entry.correction = 'withdrawn' THEN entry.correction ELSE entry.state END)`

// states are those of entries of which a voucher of the wanted outcomes has one; nil if only
// all entries have them.
func (p *voucherPage) states() (list []string) {
	if slices.Contains(p.q.Outcomes, exports.WasExported) {
		return nil
	}
	for state, outcome := range exports.OutcomeOf {
		if slices.Contains(p.q.Outcomes, outcome) {
			list = append(list, string(state))
		}
	}
	if slices.Contains(p.q.Outcomes, exports.WasWithdrawn) {
		list = append(list, string(WasWithdrawn))
	}
	return list
}

// following returns the vouchers after one that can be of the page, in their order, and the
// last one that was looked at; "" if there are no others. Of each export, and of each state,
// as many entries are read: what is after the last one of a full window is not known yet.
func (p *voucherPage) following(ctx context.Context, tx pgx.Tx, after string, window int) (ids []string, last string, err error) {
	states, where := p.states(), ""
	if states != nil {
		where = ` AND entry.state <> 'exported' AND ` + missingState + ` = scan.state`
	} else {
		states = []string{""} // one scan of each export
	}
	rows, err := tx.Query(ctx, `
		WITH looked_at AS MATERIALIZED (
		    SELECT scan.export_id, scan.state, page.voucher_id FROM (SELECT export_id, state FROM unnest($2::uuid[]) AS export_id, unnest($3::text[]) AS state) AS scan
		    CROSS JOIN LATERAL (SELECT entry.voucher_id COLLATE "C" AS voucher_id FROM ledgerline.export_entries AS entry
		        WHERE entry.organization_id = $1 AND entry.export_id = scan.export_id AND entry.voucher_id COLLATE "C" > $4`+where+`
		        ORDER BY entry.voucher_id COLLATE "C" LIMIT $5) AS page
		), full_ones AS (SELECT max(voucher_id) AS last FROM looked_at GROUP BY export_id, state HAVING count(*) = $5)
		SELECT DISTINCT voucher_id, coalesce((SELECT min(last) FROM full_ones), '') FROM looked_at
		WHERE voucher_id <= coalesce((SELECT min(last) FROM full_ones), voucher_id) ORDER BY voucher_id`, p.organization, p.members, states, after, window)
	if err != nil {
		return nil, "", err
	}
	var id string
	_, err = pgx.ForEachRow(rows, []any{&id, &last}, func() error {
		ids = append(ids, id)
		return nil
	})
	return ids, last, err
}

// choose appends those of the vouchers that the page wants.
func (p *voucherPage) choose(ctx context.Context, tx pgx.Tx, found, ids []string) ([]string, error) {
	if len(p.q.Outcomes) == 0 && p.search == "" {
		return append(found, ids...), nil
	}
	type judged struct {
		VoucherID string
		Outcome   exports.Outcome
		Texts     string
		HasAmount bool
	}
	list, err := queryRows[judged](ctx, tx, chainEntries(givenVouchers)+`
		SELECT voucher_id, (`+worstFirst()+`)[min(worst)] AS outcome, string_agg(texts, E'\n') AS texts, coalesce(bool_or(has_amount OR all_amount = $5 OR missing_amount = $5), false) AS has_amount
		FROM (SELECT voucher_id, currency, min(`+place()+`) AS worst, string_agg(DISTINCT text, E'\n') AS texts, bool_or(abs(amount) = $5::numeric) AS has_amount,
		        sum(amount) FILTER (WHERE amount > 0) AS all_amount, sum(amount) FILTER (WHERE amount > 0 AND outcome NOT IN ('exported', 'withdrawn')) AS missing_amount
		    FROM entries GROUP BY voucher_id, currency) AS by_currency
		GROUP BY voucher_id`, p.organization, p.firsts, p.members, ids, p.amount)
	if err != nil {
		return nil, err
	}
	wanted := make(map[string]bool, len(list))
	for _, v := range list {
		of := len(p.q.Outcomes) == 0 || slices.Contains(p.q.Outcomes, v.Outcome)
		wanted[v.VoucherID] = of && (p.search == "" || v.HasAmount || strings.Contains(strings.ToLower(v.VoucherID+"\n"+v.Texts), p.search))
	}
	for _, id := range ids {
		if wanted[id] {
			found = append(found, id)
		}
	}
	return found, nil
}

var (
	spaces    = strings.NewReplacer(" ", "", "\u00a0", "", "\u202f", "", "\u2212", "", "-", "", "'", "")
	isCents   = regexp.MustCompile(`^\d+,\d{1,2}$`)
	isDecimal = regexp.MustCompile(`^\d{1,20}(\.\d{1,10})?$`)
)

// amountOf is the amount that a text is, as people write it in Norwegian or in English, without
// its sign; nil if it is none.
func amountOf(text string) *string {
	text = spaces.Replace(text)
	if comma, point := strings.LastIndex(text, ","), strings.LastIndex(text, "."); comma > point && (point >= 0 || isCents.MatchString(text)) {
		text = strings.ReplaceAll(strings.ReplaceAll(text, ".", ""), ",", ".") // 1.140,50
	} else {
		text = strings.ReplaceAll(text, ",", "") // 1,140.50
	}
	if !isDecimal.MatchString(text) {
		return nil
	}
	return &text
}
