package statement_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
)

var (
	october  = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	now      = time.Date(2026, 11, 2, 14, 2, 0, 0, time.UTC)
	root     = exports.Export{ID: uuid.MustParse("0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001"), AdapterName: "xledger", Period: "2026-10", PeriodStart: october, PeriodEnd: october.AddDate(0, 1, 0), Status: exports.Complete, StartedAt: now, WarmUp: 1200 * time.Millisecond, DeferredUntil: &now}
	retry    = exports.Export{ID: uuid.MustParse("1d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001"), ParentID: &root.ID, Period: "2026-10", Status: exports.Failed, StartedAt: now, ErrorCode: "unauthorized", ErrorMessage: "no such token", Trigger: exports.ByRetry, TriggeredBy: "kari@example"}
	vouchers = exports.Count{Entries: 2, Vouchers: 1, Amounts: map[string]string{"NOK": "3200.00"}}
	chain    = exports.Chain{Exports: []exports.Export{root, retry}, Integration: "xledger-main", Planned: true, Late: 1, Counts: map[exports.Outcome]exports.Count{exports.WasExported: vouchers, exports.WasRefused: vouchers}}
)

// What of a period went with another one is missing in it, and is said with the place to look.
func TestElsewhere(t *testing.T) {
	c := chain
	c.Exports, c.Counts = c.Exports[:1], map[exports.Outcome]exports.Count{exports.WasExported: vouchers}
	require.Empty(t, statement.Of(c, now, nil).Elsewhere)
	c.Elsewhere = []exports.Elsewhere{{Period: "2026-11", Outcome: exports.WasRefused, Count: vouchers}}
	p := statement.Of(c, now, nil)
	require.Equal(t, vouchers, p.Missing)
	require.Equal(t, []string{
		"October 2026 is not complete: 2 entries that went with November 2026 were refused (NOK 3,200.00 is missing)",
		"to see what became of the entries that went with November 2026: starter exports show 2026-11 --integration xledger-main",
	}, p.Headline())
	require.Contains(t, fmt.Sprint(p.FactRows(now)), "[elsewhere 2 entries that went with November 2026 were refused: NOK 3,200.00]")
	require.Equal(t, []string{"not complete", "2", "2", "0", "NOK 3,200.00"}, statement.ListRows([]statement.Period{p}, now)[1][2:7])
	encoded, err := json.Marshal(p)
	require.NoError(t, err)
	require.Contains(t, string(encoded), `"elsewhere":[{"period":"2026-11","state":"refused","count":{"entries":2,"vouchers":1,"amounts":{"NOK":"3200.00"}}}]`)
}

// Programs find every member, whatever the period came to, and durations as text.
func TestPeriodAsJSON(t *testing.T) {
	encoded, err := json.Marshal(statement.Of(chain, now, nil))
	require.NoError(t, err)
	var got struct {
		Counts map[string]struct {
			Amounts map[string]string `json:"amounts"`
		} `json:"counts"`
		Missing struct{ Amounts map[string]string } `json:"missing"`
		Exports []map[string]any                    `json:"exports"`
	}
	require.NoError(t, json.Unmarshal(encoded, &got))
	require.Len(t, got.Counts, len(exports.Outcomes))
	require.NotNil(t, got.Counts["unknown"].Amounts)
	require.Equal(t, map[string]string{"NOK": "3200.00"}, got.Missing.Amounts)
	require.Equal(t, "1.2s", got.Exports[0]["warmUp"])
	require.Equal(t, retry.ID.String(), got.Exports[0]["retryExportId"], "the parent names its retry")
	require.Equal(t, root.ID.String(), got.Exports[1]["parentExportId"])
	require.Equal(t, []any{"unauthorized", "no such token"}, []any{got.Exports[1]["errorKind"], got.Exports[1]["message"]})
	require.NotContains(t, got.Exports[0], "deferredUntil", "it has ended")
}

func TestRows(t *testing.T) {
	p := statement.Of(chain, now, nil)
	require.Equal(t, []string{
		"October 2026 is not complete: 1 of 2 vouchers was refused (NOK 3,200.00 is missing)",
		"to send the refused ones again once they are corrected: starter exports retry 2026-10 --integration xledger-main",
	}, p.Headline())
	require.Equal(t, []string{"October 2026", "xledger-main", "not complete", "4", "2", "2", "NOK 3,200.00", "2026-11-02 14:02 UTC", "0d9f2f51"}, statement.ListRows([]statement.Period{p}, now)[1])
	require.Equal(t, []string{"1d9f2f51", "0d9f2f51", "2026-11-02 14:02 UTC", "kari@example (retry)", "failed", "0", "0", "0", "0", "unauthorized: no such token"}, p.PartRows(now)[2])
	facts := fmt.Sprint(p.FactRows(now))
	for _, want := range []string{"[period 1–31 October 2026, to xledger-main]", "[refused 2 entries in 1 voucher, NOK 3,200.00]", "[late 1 entry dated before October 2026", "[error unauthorized: no such token]", "export 1d9f2f51]"} {
		require.Contains(t, facts, want)
	}
	pending := root
	pending.Status, pending.DeferredUntil = exports.Pending, new(now.Add(time.Hour))
	running := exports.Chain{Exports: []exports.Export{pending}}
	require.Equal(t, "being exported", statement.ListRows([]statement.Period{statement.Of(running, now, nil)}, now)[1][2])
	for want, f := range map[string]exports.WaitFacts{
		"being exported":                                    {},
		"waits: the integration is paused":                  {Paused: true, DeferredUntil: now.Add(time.Hour), DeferredFor: classify.Paused},
		"waits: no worker is running":                       {NoWorker: true, DeferredUntil: now.Add(time.Hour), DeferredFor: classify.Network},
		"waits for Xledger until 15:02 UTC":                 {Vendor: "Xledger", DeferredUntil: now.Add(time.Hour), DeferredFor: classify.Network},
		"being exported, waits for Xledger until 14:32 UTC": {Vendor: "Xledger", OpenUntil: now.Add(30 * time.Minute)},
		"waits: its run no longer exists":                   {RunGone: true, Paused: true},
		"waits: it was resumed, and looks again soon":       {DeferredUntil: now.Add(time.Hour), DeferredFor: classify.Paused},
	} {
		p := statement.Of(running, now, map[uuid.UUID]exports.WaitFacts{pending.ID: f})
		require.Equal(t, want, statement.ListRows([]statement.Period{p}, now)[1][2])
		require.Equal(t, want == "being exported", p.Waiting == "", "what the table has in a few words is said at length")
	}
	pending.Trigger = exports.ByAdopting
	adopted := statement.Of(exports.Chain{Exports: []exports.Export{pending}, Integration: "xledger-main", Planned: true, Counts: map[exports.Outcome]exports.Count{exports.WasExported: vouchers}},
		now, map[uuid.UUID]exports.WaitFacts{pending.ID: {NoWorker: true}})
	require.Equal(t, []string{
		"October 2026 (adopted) is being taken over: 2 entries so far",
		"to resume it if it was interrupted: starter exports prove --period 2026-10 --integration xledger-main --adopt",
	}, adopted.Headline(), "it has no run")
	require.Equal(t, "being taken over", statement.ListRows([]statement.Period{adopted}, now)[1][2])
	ended := chain
	require.Empty(t, statement.Of(ended, now, map[uuid.UUID]exports.WaitFacts{root.ID: {Paused: true}}).Waiting)
}

// A spreadsheet runs nothing of what others have written, reads amounts as numbers, and
// gets each line whole.
func TestCSV(t *testing.T) {
	p := statement.Of(chain, now, nil)
	p.Integration = "=1+1"
	hostile := []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", "a\nb;c,\"d\""}
	for name, d := range map[string]statement.Dialect{"point": statement.PointDialect, "comma": statement.CommaDialect} {
		t.Run(name, func(t *testing.T) {
			var list []runlog.Voucher
			for _, s := range hostile {
				list = append(list, runlog.Voucher{ID: s, Text: s, Date: october, Outcome: exports.WasRefused, Parts: []runlog.VoucherPart{
					{Outcome: exports.WasRefused, Reason: s, Amounts: map[string]string{"NOK": "-1234.50", "EUR": "0.10"}, Entries: 2}}})
			}
			var b bytes.Buffer
			require.NoError(t, statement.WriteCSVHeader(&b, d))
			require.NoError(t, statement.WriteCSV(&b, d, p, statement.OfVouchers(list)))
			r := csv.NewReader(&b)
			r.Comma = d.Comma
			rows, err := r.ReadAll()
			require.NoError(t, err)
			require.Len(t, rows, 1+2*len(hostile))
			for i, row := range rows[1:] {
				for n, cell := range row {
					if n == 6 {
						continue
					}
					require.NotContains(t, "=+-@\t\r＝＋－＠", string([]rune(strings.TrimLeft(cell, " ") + "x")[0]), "%q of %q", cell, hostile[i/2])
					require.NotContains(t, cell, "\n")
				}
			}
			require.Equal(t, []string{"0" + d.Decimal + "10", "-1234" + d.Decimal + "50"}, []string{rows[1][6], rows[2][6]})
			require.Equal(t, `a\nb;c,"d"`, rows[len(rows)-1][2])
		})
	}
}

// A refused voucher that was corrected since says so, until an export takes it again.
func TestCorrectedSince(t *testing.T) {
	views := statement.OfVouchers([]runlog.Voucher{{ID: "v", Date: october, Outcome: exports.WasRefused, Corrected: true,
		Parts: []runlog.VoucherPart{{Outcome: exports.WasRefused, Entries: 2, Amounts: map[string]string{"NOK": "5.00"}, Reason: "no such account"}}}})
	const says = "no such account; corrected since, and not sent again yet"
	require.Equal(t, says, statement.VoucherRows(views, false, now)[1][5])
	var b bytes.Buffer
	require.NoError(t, statement.WriteCSV(&b, statement.PointDialect, statement.Of(chain, now, nil), views))
	require.Contains(t, b.String(), ",refused,"+`"`+says+`"`+",")
	encoded, err := json.Marshal(views)
	require.NoError(t, err)
	require.Contains(t, string(encoded), `"corrected":true`)
}

// A voucher is what became of the lines that were not withdrawn; a spreadsheet gets a row for
// each state of its lines.
func TestVouchersOfSeveralStates(t *testing.T) {
	part := func(o exports.Outcome, amount string) runlog.VoucherPart {
		return runlog.VoucherPart{Outcome: o, Entries: 1, Amounts: map[string]string{"NOK": amount}, Reason: map[exports.Outcome]string{exports.WasRefused: "no such account", exports.WasWithdrawn: "before"}[o]}
	}
	for name, c := range map[string]struct {
		outcome exports.Outcome
		parts   []runlog.VoucherPart
		row     []string // amount, state, reason
		csv     []string // amount and state of each row
	}{
		"exported, a line withdrawn": {exports.WasExported, []runlog.VoucherPart{part(exports.WasExported, "10.00"), part(exports.WasWithdrawn, "5.00")},
			[]string{"NOK 10.00", "exported", "1 line of it was withdrawn"}, []string{"10.00 exported", "5.00 withdrawn"}},
		"refused, a line withdrawn": {exports.WasRefused, []runlog.VoucherPart{part(exports.WasRefused, "10.00"), part(exports.WasWithdrawn, "5.00")},
			[]string{"NOK 10.00", "refused", "no such account; 1 line of it was withdrawn"}, []string{"10.00 refused", "5.00 withdrawn"}},
		"withdrawn":            {exports.WasWithdrawn, []runlog.VoucherPart{part(exports.WasWithdrawn, "5.00")}, []string{"NOK 5.00", "withdrawn", "before"}, []string{"5.00 withdrawn"}},
		"refused and exported": {exports.WasRefused, []runlog.VoucherPart{part(exports.WasRefused, "10.00"), part(exports.WasExported, "7.00")}, []string{"NOK 10.00", "refused", "no such account"}, []string{"10.00 refused", "7.00 exported"}},
		"refused and unknown":  {exports.IsUnknown, []runlog.VoucherPart{part(exports.IsUnknown, "1.00"), part(exports.WasRefused, "10.00")}, []string{"NOK 11.00", "unknown", "no such account"}, []string{"1.00 unknown", "10.00 refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			views := statement.OfVouchers([]runlog.Voucher{{ID: "v", Date: october, Outcome: c.outcome, Parts: c.parts}})
			require.Equal(t, c.row, statement.VoucherRows(views, false, now)[1][3:])
			var b bytes.Buffer
			require.NoError(t, statement.WriteCSV(&b, statement.PointDialect, statement.Of(chain, now, nil), views))
			rows, err := csv.NewReader(&b).ReadAll()
			require.NoError(t, err)
			var got []string
			for _, r := range rows {
				got = append(got, r[6]+" "+r[8])
			}
			require.Equal(t, c.csv, got)
		})
	}
}
