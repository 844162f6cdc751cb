package runlog_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

// drawn are periods of two integrations in which anything can have become of anything.
type drawn struct {
	books
	r *rand.Rand
	n int // entries so far
}

func drawBooks(t *testing.T, b books, r *rand.Rand) (one, two *drawn) {
	first, second := b.fresh(t)
	return &drawn{books: first, r: r}, &drawn{books: second, r: r, n: 1000000}
}

// store stores vouchers with up to four lines each, of which some are refused here.
func (d *drawn) store(month string) {
	for range d.r.IntN(12) {
		voucher := []string{"V%d", "v%d", "Å-%d", "%d"}[d.r.IntN(4)]
		voucher = fmt.Sprintf(voucher, d.r.IntN(30))
		currency := []string{"NOK", "NOK", "EUR"}[d.r.IntN(3)]
		amount := fmt.Sprintf("%d.%02d", d.r.IntN(3), d.r.IntN(3))
		for i := range 2 * (1 + d.r.IntN(2)) {
			sign, account := []string{"", "-"}[i%2], []string{"1920", "3000", "1920", "3000", "X1"}[d.r.IntN(5)]
			_, err := d.admin.Exec(d.t.Context(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, currency, text)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, d.org, fmt.Sprintf("e%d", d.n), voucher, fmt.Sprintf("%s-%02d", month, 1+d.r.IntN(28)), account, sign+amount, currency,
				[]string{"", "Strøm", "Husleie ØST", "faktura 12"}[d.r.IntN(4)])
			require.NoError(d.t, err)
			d.n++
		}
	}
}

// run plans an export and lets anything become of some of its entries, one by one.
func (d *drawn) run(period string, parent *uuid.UUID) exports.Export {
	e := d.claim(period, parent)
	if d.r.IntN(8) == 0 {
		return e // it fails before it has planned
	}
	d.plan(e, mapped, 2+d.r.IntN(6))
	for _, state := range []exports.EntryState{exports.Exported, exports.Exported, exports.Rejected, exports.Sent, exports.Unknown} {
		_, err := d.admin.Exec(d.t.Context(), `UPDATE ledgerline.export_entries SET state = $2,
			    effect = CASE WHEN $2 = 'exported' THEN 'done' WHEN $2 IN ('sent', 'unknown') THEN 'open' ELSE 'none' END,
			    sent_in = gen_random_uuid(), sent_attempt = 1, open_until = coalesce(open_until, now() - interval '1 hour'), reason = CASE WHEN $2 <> 'exported' THEN 'because' END,
			    late_error = CASE WHEN $2 = 'exported' AND hashtext(entry_id || $3) % 9 = 0 THEN 'wrong after all' END, chunk = greatest(chunk, 1)
			WHERE export_id = $1 AND state = 'planned' AND abs(hashtext(voucher_id || CASE WHEN $4 THEN entry_id ELSE '' END || $3)) % 3 = 0`, e.ID, state, fmt.Sprint(d.r.Uint64()), d.r.IntN(3) == 0)
		require.NoError(d.t, err)
	}
	return e
}

// chain is a period with up to three retries, of which the last one may be under way; a voucher of it may be withdrawn.
func (d *drawn) chain(period string) {
	d.store(period)
	e := d.run(period, nil)
	for range d.r.IntN(4) {
		d.close(e)
		if list, _, err := runlog.ListVouchers(d.t.Context(), d.reader, d.org, d.load(e), true, "", 100); err == nil && len(list) > 0 && d.r.IntN(2) == 0 {
			_, _ = runlog.WithdrawVoucher(d.t.Context(), d.operator, d.org, list[d.r.IntN(len(list))].ID, "kari", "twice") // where it may be
		}
		if d.r.IntN(3) == 0 {
			d.store(period)
		}
		e = d.run(period, &e.ID)
	}
	if d.r.IntN(4) > 0 {
		d.close(e)
	}
}

func (d *drawn) load(e exports.Export) exports.Chain {
	c, err := runlog.LoadChain(d.t.Context(), d.reader, d.org, e.ID)
	require.NoError(d.t, err)
	return c
}

// Whatever became of a chain's vouchers, its pages are, one after another and however small,
// what its statement has: of each outcome, and of what is searched for.
func TestPagesAreTheStatement(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	vouchers, found := 0, 0
	for range 5 {
		d, _ := drawBooks(t, b, r)
		d.chain("2026-10")
		d.chain("2026-11")
		chains, _, err := runlog.ListChains(t.Context(), b.reader, d.org, runlog.ChainFilter{})
		require.NoError(t, err)
		for _, c := range chains {
			all, _, err := runlog.ListVouchers(t.Context(), b.reader, d.org, c, true, "", 10000)
			require.NoError(t, err)
			slices.SortFunc(all, func(a, b runlog.Voucher) int { return strings.Compare(a.ID, b.ID) })
			vouchers += len(all)
			for _, outcomes := range [][]exports.Outcome{
				nil, {exports.WasExported}, {exports.WasRefused}, {exports.IsWaiting}, {exports.IsUnknown}, {exports.WasWithdrawn}, {exports.WasRefused, exports.IsUnknown},
				exports.Outcomes,
			} {
				want := slices.DeleteFunc(append([]runlog.Voucher{}, all...), func(v runlog.Voucher) bool { return len(outcomes) > 0 && !slices.Contains(outcomes, v.Outcome) })
				require.Equal(t, want, pages(d.books, c, runlog.VoucherQuery{Outcomes: outcomes, Limit: 1 + r.IntN(4)}), "%v", outcomes)
			}
			for _, search := range []string{"v1", "å-", "STRØM", " øst ", "12", "nothing", "%", "1,10", "1.1", "−2,02"} {
				of := []exports.Outcome{exports.WasRefused, exports.IsWaiting}
				matches := pages(d.books, c, runlog.VoucherQuery{Search: search, Limit: 1 + r.IntN(4)})
				want := slices.DeleteFunc(append([]runlog.Voucher{}, matches...), func(v runlog.Voucher) bool { return !slices.Contains(of, v.Outcome) })
				require.Equal(t, want, pages(d.books, c, runlog.VoucherQuery{Search: search, Outcomes: of, Limit: 3}), search)
				lower := strings.ToLower(strings.TrimSpace(search))
				for _, v := range all {
					hit := slices.ContainsFunc(matches, func(m runlog.Voucher) bool { return m.ID == v.ID })
					found += map[bool]int{true: 1}[hit]
					for _, amount := range v.Amounts() {
						if strings.Contains("1,10 1.1 −2,02", search) && (amount == "1.10" && search != "−2,02" || amount == "2.02" && search == "−2,02") {
							require.True(t, hit, "%s: %s with %s", search, v.ID, amount)
						}
					}
					if strings.Contains(strings.ToLower(v.ID), lower) || strings.Contains(strings.ToLower(v.Text), lower) {
						require.True(t, hit, "%s: %s %s", search, v.ID, v.Text)
					} else if search == "nothing" || search == "%" {
						require.False(t, hit, "%s: %s %s", search, v.ID, v.Text)
					}
				}
			}
		}
	}
	require.Greater(t, vouchers, 20)
	require.Greater(t, found, 20)
}

// pages are all pages of a query.
func pages(b books, c exports.Chain, q runlog.VoucherQuery) []runlog.Voucher {
	b.t.Helper()
	all := []runlog.Voucher{}
	for {
		list, next, err := runlog.PageVouchers(b.t.Context(), b.console, b.org, c, q)
		require.NoError(b.t, err)
		require.LessOrEqual(b.t, len(list), q.Limit)
		all = append(all, list...)
		if next == "" {
			return all
		}
		require.Greater(b.t, next, q.After, "a page gets on")
		q.After = next
	}
}

// A page looks at a part of a chain, and the next one at what follows, also where a voucher
// has more lines than are looked at together.
func TestPagesAreBounded(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	_, err := b.admin.Exec(t.Context(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, text)
		SELECT $1, 'e' || n, CASE WHEN n < 10000 THEN 'large' ELSE 'v' || n / 2 END, '2026-10-01', '1920', CASE n % 2 WHEN 0 THEN 5 ELSE -5 END, CASE n WHEN 29999 THEN 'needle' ELSE 'hay' END FROM generate_series(0, 29999) AS n`, b.org)
	require.NoError(t, err)
	e := b.claim("2026-10", nil)
	b.plan(e, mapped, 5000)
	c, err := runlog.LoadChain(t.Context(), b.reader, b.org, e.ID)
	require.NoError(t, err)
	list, next, err := runlog.PageVouchers(t.Context(), b.console, b.org, c, runlog.VoucherQuery{Search: "needle", Limit: 10})
	require.NoError(t, err)
	require.Empty(t, list)
	require.NotEmpty(t, next, "there may be more")
	all := pages(b, c, runlog.VoucherQuery{Search: "needle", Limit: 10})
	require.Len(t, all, 1)
	require.Equal(t, "v14999", all[0].ID)
	require.Len(t, pages(b, c, runlog.VoucherQuery{Limit: 1000}), 10001)
	require.Empty(t, pages(b, c, runlog.VoucherQuery{After: "\x00\xff", Search: "\x00\xff", Outcomes: []exports.Outcome{"odd"}, Limit: 5}))
}
