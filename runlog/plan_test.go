package runlog_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
)

// books is an organization with one integration and its entries.
type books struct {
	base
	t    *testing.T
	org  uuid.UUID
	spec integrations.Integration
}

func newBooks(t *testing.T) books { return booksOn(t, server) }

func booksOn(t *testing.T, server *devstack.Postgres) books {
	b := books{base: newBaseOn(t, server), t: t, org: uuid.New()}
	b.spec = integrations.Integration{
		OrganizationID: b.org, ID: uuid.New(), Name: "x", Adapter: "xledger", BaseURL: "https://www.xledger.net/graphql", Policy: classify.DefaultPolicy(),
	}
	_, err := runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{b.spec}, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	return b
}

// line is "entry voucher date account amount [currency [dimensions]]".
func (b books) lines(lines ...string) {
	b.t.Helper()
	for _, l := range lines {
		f := append(strings.Fields(l), "NOK", "{}")
		if len(strings.Fields(l)) > 5 {
			f[5], f[6] = strings.Fields(l)[5], "{}"
		}
		if len(strings.Fields(l)) > 6 {
			f[6] = strings.Fields(l)[6]
		}
		_, err := b.admin.Exec(b.t.Context(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, currency, dimensions)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, b.org, f[0], f[1], f[2], f[3], f[4], f[5], f[6])
		require.NoError(b.t, err, l)
	}
}

func (b books) claim(period string, parent *uuid.UUID) exports.Export {
	b.t.Helper()
	start, end, err := exports.ParsePeriod(period)
	require.NoError(b.t, err)
	trigger := exports.ByHand
	if parent != nil {
		trigger = exports.ByRetry
	}
	e, owned, err := runlog.ClaimExport(b.t.Context(), b.worker, exports.Export{
		OrganizationID: b.org, ID: uuid.New(), IntegrationID: b.spec.ID, AdapterName: "xledger", Period: period, PeriodStart: start, PeriodEnd: end,
		Trigger: trigger, TriggeredBy: "test", StartedAt: time.Now(), WorkflowID: "w", RunID: uuid.New(), ParentID: parent,
	})
	require.NoError(b.t, err)
	require.True(b.t, owned)
	return e
}

// plan returns the entries of an export as "entry:chunk:state[:reason]".
func (b books) plan(e exports.Export, x integrations.ExportSettings, size int) []string {
	b.t.Helper()
	_, err := runlog.PlanExport(b.t.Context(), b.worker, b.sources, e, x, size, size)
	require.NoError(b.t, err)
	return b.entries(e)
}

func (b books) entries(e exports.Export) []string {
	b.t.Helper()
	rows, err := b.admin.Query(b.t.Context(), `SELECT entry_id || ':' || chunk || ':' || state || coalesce(':' || reason, '') || CASE WHEN late THEN ' (late)' ELSE '' END
		FROM ledgerline.export_entries WHERE export_id = $1 ORDER BY entry_id`, e.ID)
	require.NoError(b.t, err)
	defer rows.Close()
	list := []string{}
	for rows.Next() {
		var s string
		require.NoError(b.t, rows.Scan(&s))
		list = append(list, s)
	}
	return list
}

// notifiedOf returns the causes that people were notified of, in order.
func (b books) notifiedOf() (causes []string) {
	b.t.Helper()
	rows, err := b.admin.Query(b.t.Context(), "SELECT cause FROM ledgerline.notifications ORDER BY queued_at")
	require.NoError(b.t, err)
	causes, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(b.t, err)
	return causes
}

// settle sends a chunk and records that its entries have come to a state.
func (b books) settle(e exports.Export, chunk int, state exports.EntryState, names map[string]string) []runlog.ChunkEntry {
	b.t.Helper()
	ctx, s := b.t.Context(), runlog.Sending{CorrelationID: uuid.New(), Attempt: 1}
	opened, err := runlog.LoadChunk(ctx, b.worker, e.Owner(), chunk)
	entries := opened.Entries
	require.NoError(b.t, err)
	var ids []string
	unknown := make(map[string]string)
	for _, x := range entries {
		ids, unknown[x.EntryID] = append(ids, x.EntryID), "nobody knows"
	}
	_, err = runlog.MarkChunk(ctx, b.worker, e.Owner(), ids, s, 0, runlog.InFlight{})
	require.NoError(b.t, err)
	switch state {
	case exports.Exported:
		err = runlog.RecordSend(ctx, b.worker, e.Owner(), ids, s, classify.Done, false, names)
	case exports.Unknown:
		err = runlog.RecordAnswer(ctx, b.worker, e.Owner(), runlog.LookupAnswer{Unknown: unknown}, []runlog.Sending{s})
	case exports.Rejected:
		require.NoError(b.t, runlog.RecordSend(ctx, b.worker, e.Owner(), ids, s, classify.None, false, nil))
		_, err = runlog.SplitChunk(ctx, b.worker, e.Owner(), chunk, 1000+chunk, "refused", true)
	}
	require.NoError(b.t, err)
	return entries
}

func (b books) close(e exports.Export) exports.Export {
	b.t.Helper()
	closed, err := runlog.CloseExport(b.t.Context(), b.worker, e)
	require.NoError(b.t, err)
	return closed
}

// Vouchers stay whole, whatever their sizes; a million entries get their chunks
// in the same way.
func TestPlanChunks(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	for v, n := range []int{2, 3, 2, 6, 2, 2} {
		for i := range n - 1 {
			b.lines(fmt.Sprintf("e%d-%d v%d 2026-10-01 1920 1.10", v, i, v))
		}
		b.lines(fmt.Sprintf("e%d-x v%d 2026-10-01 3000 -%d.%d0", v, v, n-1, n-1))
	}
	e := b.claim("2026-10", nil)
	b.plan(e, integrations.ExportSettings{}, 6)
	rows, err := b.admin.Query(t.Context(), `SELECT voucher_id, count(DISTINCT chunk), min(chunk) FROM ledgerline.export_entries GROUP BY 1 ORDER BY 1`)
	require.NoError(t, err)
	var chunks []int
	for rows.Next() {
		var voucher string
		var distinct, chunk int
		require.NoError(t, rows.Scan(&voucher, &distinct, &chunk))
		require.Equal(t, 1, distinct, "voucher %s is torn", voucher)
		chunks = append(chunks, chunk)
	}
	require.Equal(t, []int{1, 2, 2, 4, 3, 3}, chunks, "the one large voucher has a chunk of its own, and does not make the others small")
	var most int
	require.NoError(t, b.admin.QueryRow(t.Context(), `SELECT max(n) FROM (SELECT count(*) AS n FROM ledgerline.export_entries GROUP BY chunk) c`).Scan(&most))
	require.LessOrEqual(t, most, 6)

	require.Len(t, b.plan(e, integrations.ExportSettings{}, 6), 17, "planning again adds nothing")
}

// What is refused here costs no call and names the line and the remedy; amounts
// are decimal all the way.
func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.lines("a1 a 2026-10-01 1920 0.10", "a2 a 2026-10-01 1920 0.20", "a3 a 2026-10-02 3000 -0.30", // would not be zero in floats
		"b1 b 2026-10-01 1920 100.00", "b2 b 2026-10-01 3000 -99.99",
		"c1 c 2026-10-01 1920 5", "c2 c 2026-10-01 9999 -5",
		`d1 d 2026-10-01 1920 5 NOK {"project":"P1"}`, `d2 d 2026-10-01 3000 -5 NOK {"team":"T"}`,
		"e1 e 2026-10-01 1920 5 EUR", "e2 e 2026-10-01 3000 -5 EUR",
		`f1 f 2026-10-01 1920 5 NOK {"project":"P1","note":"n"}`, "f2 f 2026-10-01 3000 -5",
		"g1 g 2026-10-01 1920 123456789012345678.99", "g2 g 2026-10-01 3000 -123456789012345678.99")
	x := integrations.ExportSettings{
		Accounts:   map[string]string{"1920": "19200", "3000": "30000"},
		Dimensions: map[string]string{"project": "project", "note": ""},
	}
	e := b.claim("2026-10", nil)
	p, err := runlog.PreviewExport(t.Context(), b.operator, b.sources, e, x, 500)
	require.NoError(t, err)
	require.Equal(t, []int{7, 3, 1}, []int{p.Entries, p.Vouchers, p.Chunks})
	require.Equal(t, map[string]string{"NOK": "123456789012345684.29"}, p.Amounts)
	require.Equal(t, []runlog.Problem{
		{VoucherID: "b", State: "rejected", Reason: "the voucher does not sum to zero: difference 0.01"},
		{VoucherID: "c", State: "rejected", Reason: "line c2: account 9999 is not mapped; add it to export.accounts of the integration file"},
		{VoucherID: "d", State: "rejected", Reason: `line d2: dimension team is not mapped; add it to export.dimensions of the integration file, with "" to leave it out`},
		{VoucherID: "e", State: "rejected", Reason: "line e1: currency EUR is not taken; export.currencies of the integration file has NOK"},
	}, p.Rejected)
	require.Empty(t, b.entries(e), "a preview plans nothing")
	var contents integrations.Contents // and an import says it before
	contents.Note("NOK", "9999", map[string]string{"project": "P1", "note": "n", "team": "T"})
	contents.Note("EUR", "1920", nil)
	said := x.NotTaken(contents)
	require.Len(t, said, 3)
	for _, problem := range p.Rejected[1:] {
		require.Contains(t, said, problem.Reason[len("line e1: "):])
	}

	require.Len(t, b.plan(e, x, 500), 15)
	taken := b.settle(e, 1, exports.Exported, map[string]string{"a1": "4711"})
	require.Len(t, taken, 7)
	require.Equal(t, "19200", taken[0].Account)
	require.Equal(t, "0.10", taken[0].Amount)
	require.Equal(t, map[string]string{"project": "P1"}, taken[3].Dimensions)
	require.Nil(t, taken[4].Dimensions)
	require.Equal(t, "123456789012345678.99", taken[5].Amount)
	record := func(asking exports.Export, message string) int64 {
		t.Helper()
		n, err := runlog.RecordLateErrors(t.Context(), b.worker, b.org, b.spec.ID, asking.ID, map[string]string{"4711": message, "9": "another's"})
		require.NoError(t, err)
		return n
	}
	require.EqualValues(t, 1, record(e, "account is closed"))
	require.Zero(t, record(e, "account is closed"), "no news")
	require.Empty(t, b.notifiedOf(), "people are notified when its export closes")
	closed := b.close(e)
	require.Equal(t, []string{"rejected", "late_errors"}, b.notifiedOf())
	_, err = b.admin.Exec(t.Context(), "UPDATE ledgerline.notification_windows SET opened_at = opened_at - interval '1 hour'")
	require.NoError(t, err)
	next := b.claim("2026-11", nil)
	require.EqualValues(t, 1, record(next, "account is locked"))
	require.Equal(t, []string{"rejected", "late_errors", "late_errors"}, b.notifiedOf(), "of an export that has closed")
	require.Equal(t, []int{15, 7, 8, 0, 1}, []int{closed.Total, closed.Exported, closed.Rejected, closed.Unknown, closed.LateErrors})
	require.Equal(t, exports.Complete, closed.Status)
}

// A voucher whose lines come one by one is refused until it is whole, then it
// goes with the next export, flagged late; so it does with a retry.
func TestPlanHeals(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.lines("a1 a 2026-10-31 1920 10", "a2 a 2026-11-01 3000 -10", "b1 b 2026-10-30 1920 7", "c1 c 2026-10-30 1920 1")
	october := b.claim("2026-10", nil)
	require.Equal(t, []string{
		"a1:0:rejected:the voucher does not sum to zero: difference 10.00",
		"b1:0:rejected:the voucher does not sum to zero: difference 7.00",
		"c1:0:rejected:the voucher does not sum to zero: difference 1.00",
	}, b.plan(october, integrations.ExportSettings{}, 500))
	closed := b.close(october)
	require.Equal(t, []int{3, 0, 3}, []int{closed.Total, closed.Exported, closed.Rejected})

	b.lines("b2 b 2026-10-30 3000 -7") // late
	november := b.claim("2026-11", nil)
	require.Equal(t, []string{"a1:1:planned (late)", "a2:1:planned", "b1:1:planned (late)", "b2:1:planned (late)"}, b.plan(november, integrations.ExportSettings{}, 500))
	require.Equal(t, []string{"c1:0:rejected:the voucher does not sum to zero: difference 1.00"}, b.entries(october))

	b.lines("c2 c 2026-10-30 3000 -1", "d1 d 2026-10-30 1920 1", "d2 d 2026-10-30 3000 -1")
	retry := b.claim("2026-10", &october.ID)
	require.Equal(t, []string{"c1:1:planned", "c2:1:planned"}, b.plan(retry, integrations.ExportSettings{}, 500), "a retry takes its parent's and no others")
}

// An export is planned once, also if there was nothing to plan: a second try of
// the step, by a worker that was frozen in it, must not bring entries into it that
// its run does not know of. They go with the next export.
func TestPlanOnce(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	october := b.claim("2026-10", nil)
	require.Empty(t, b.plan(october, integrations.ExportSettings{}, 500))
	b.lines("a1 a 2026-10-31 1920 10", "a2 a 2026-10-31 3000 -10")
	require.Empty(t, b.plan(october, integrations.ExportSettings{}, 500))
	require.Equal(t, exports.Complete, b.close(october).Status)
	require.Equal(t, []string{"a1:1:planned (late)", "a2:1:planned (late)"}, b.plan(b.claim("2026-11", nil), integrations.ExportSettings{}, 500))
}

// A retry takes over the chunks of its parent: what may be at the vendor is
// marked so, and chunk numbers have no gaps.
func TestPlanRetry(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	for i := range 5 {
		b.lines(fmt.Sprintf("e%d-1 v%d 2026-10-01 1920 1", i, i), fmt.Sprintf("e%d-2 v%d 2026-10-01 3000 -1", i, i))
	}
	e := b.claim("2026-10", nil)
	b.plan(e, integrations.ExportSettings{}, 2)
	for chunk, state := range map[int]exports.EntryState{1: exports.Exported, 2: exports.Unknown, 3: exports.Exported, 4: exports.Rejected} {
		b.settle(e, chunk, state, nil)
	}
	retry := b.claim("2026-10", &e.ID)
	require.Empty(t, b.plan(retry, integrations.ExportSettings{}, 2), "the parent is not over")
	require.Equal(t, exports.Failed, b.close(e).Status)
	require.Equal(t, []string{"e1-1:1:sent", "e1-2:1:sent", "e3-1:3:planned", "e3-2:3:planned", "e4-1:2:planned", "e4-2:2:planned"}, b.plan(retry, integrations.ExportSettings{}, 2))
	_, err := b.admin.Exec(t.Context(), `UPDATE ledgerline.export_entries SET state = 'planned' WHERE entry_id = 'e0-1'`)
	require.ErrorContains(t, err, "is exported")
}

// A retry that could not read its source has planned nothing; its own retry takes
// what the first export left, and not nothing for ever.
func TestPlanRetryOfARetryThatFailed(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	e := b.vouchers(2)
	b.settle(e, 1, exports.Unknown, nil)
	require.Equal(t, exports.Failed, b.close(e).Status)
	parent := e.ID
	for range 2 {
		retry := b.claim("2026-10", &parent)
		_, err := runlog.PlanExport(t.Context(), b.worker, b.sources, retry, integrations.ExportSettings{Source: "nowhere.entries"}, 500, 500)
		var source *runlog.SourceError
		require.ErrorAs(t, err, &source)
		b.close(retry)
		parent = retry.ID
	}
	retry := b.claim("2026-10", &parent)
	require.Len(t, b.plan(retry, integrations.ExportSettings{}, 500), 4)
}

// A voucher of which the vendor has a part is whole with that part: its rest can be
// retried.
func TestPlanRetryOfTheRest(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	e := b.vouchers(1)
	ids, s := []string{"e0-1", "e0-2"}, sending(1)
	_, err := runlog.MarkChunk(t.Context(), b.worker, e.Owner(), ids, s, 0, runlog.InFlight{})
	require.NoError(t, err)
	answer := runlog.LookupAnswer{Exported: map[string]string{"e0-1": "1"}, Absent: []string{"e0-2"}}
	require.NoError(t, runlog.RecordAnswer(t.Context(), b.worker, e.Owner(), answer, []runlog.Sending{s}))
	split, err := runlog.SplitChunk(t.Context(), b.worker, e.Owner(), 1, 2, "refused", true)
	require.NoError(t, err)
	require.False(t, split)
	require.Equal(t, exports.Complete, b.close(e).Status)
	retry := b.claim("2026-10", &e.ID)
	require.Equal(t, []string{"e0-2:1:planned"}, b.plan(retry, integrations.ExportSettings{}, 500))
}

// Entries can come from any view that has the columns. What is wrong with it is
// said with the remedy, and nothing is planned.
func TestPlanSource(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.lines("a1 a 2026-10-01 1920 10", "a2 a 2026-10-01 3000 -10")
	for _, sql := range []string{
		"CREATE SCHEMA reporting", "GRANT USAGE ON SCHEMA reporting TO s",
		"CREATE VIEW reporting.entries AS SELECT * FROM ledgerline.accounting_entries",
		"CREATE VIEW reporting.closed AS SELECT * FROM ledgerline.accounting_entries",
		"CREATE VIEW reporting.short AS SELECT organization_id, entry_id, voucher_id, entry_date, account, currency, text, dimensions, created_at FROM ledgerline.accounting_entries",
		"CREATE VIEW reporting.twice AS SELECT * FROM ledgerline.accounting_entries UNION ALL SELECT * FROM ledgerline.accounting_entries",
		"CREATE VIEW reporting.texts AS SELECT organization_id, entry_id, voucher_id, entry_date, account, amount::text, currency, text, dimensions, created_at FROM ledgerline.accounting_entries",
		"CREATE VIEW reporting.fine AS SELECT organization_id, entry_id, voucher_id, entry_date, account, amount / 3 AS amount, currency, text, dimensions, created_at FROM ledgerline.accounting_entries",
		"GRANT SELECT ON reporting.entries, reporting.short, reporting.twice, reporting.texts, reporting.fine TO s",
	} {
		_, err := b.admin.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	e := b.claim("2026-10", nil)
	for source, want := range map[string]string{
		"reporting.none":     "no such table or view",
		"nowhere.entries":    "no such table or view",
		"reporting.closed":   `GRANT SELECT ON reporting.closed TO "s"`,
		"reporting.short":    "column amount is missing; add it, as numeric",
		"reporting.twice":    "duplicate entry_id",
		"reporting.texts":    "in a view: amount::numeric AS amount",
		`x"; DROP TABLE y; `: "not a name",
	} {
		_, err := runlog.PlanExport(t.Context(), b.worker, b.sources, e, integrations.ExportSettings{Source: source}, 500, 500)
		var sourceError *runlog.SourceError
		require.ErrorAs(t, err, &sourceError, source)
		require.ErrorContains(t, err, want)
		require.Empty(t, b.entries(e))
	}
	p, err := runlog.PreviewExport(t.Context(), b.operator, b.sources, e, integrations.ExportSettings{Source: "reporting.fine"}, 500)
	require.NoError(t, err)
	require.Contains(t, p.Rejected[0].Reason, "has more than two decimals")
	require.Len(t, b.plan(e, integrations.ExportSettings{Source: "reporting.entries"}, 500), 2)
}

// Periods asked for by hand do not overlap; a schedule that changes its kind
// goes on.
func TestClaimOverlap(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	october := b.claim("2026-10", nil)
	start, end, err := exports.ParsePeriod("2026-W44") // 26 October to 1 November
	require.NoError(t, err)
	e := exports.Export{
		OrganizationID: b.org, ID: uuid.New(), IntegrationID: b.spec.ID, AdapterName: "xledger", Period: "2026-W44", PeriodStart: start, PeriodEnd: end,
		Trigger: "manual", TriggeredBy: "test", StartedAt: time.Now(), WorkflowID: "w", RunID: uuid.New(),
	}
	_, _, err = runlog.ClaimExport(t.Context(), b.worker, e)
	var overlap *runlog.OverlapError
	require.ErrorAs(t, err, &overlap)
	require.Equal(t, october.ID, overlap.Other.ID)
	e.Trigger = "schedule"
	_, owned, err := runlog.ClaimExport(t.Context(), b.worker, e)
	require.NoError(t, err)
	require.True(t, owned)
	b.claim("2026-11-02", nil)
}

// An export asks for what was found since the one before it began, and so does
// its retry.
func TestLateErrorsSince(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	since := func(of, want exports.Export) {
		t.Helper()
		at, err := runlog.LateErrorsSince(t.Context(), b.worker, b.org, of.ID)
		require.NoError(t, err)
		require.WithinDuration(t, want.StartedAt, at, time.Microsecond)
	}
	first := b.claim("2026-09", nil)
	since(first, first)
	first.Chunks = 1
	b.close(first)
	b.close(b.claim("2026-08", nil)) // nothing to send: it asked nobody
	second := b.claim("2026-10", nil)
	again := b.claim("2026-10", &second.ID)
	last := b.claim("2026-10", &again.ID)
	since(second, first)
	since(again, first)
	since(last, first)
	third := b.claim("2026-11-01", nil)
	since(third, first)
	last.Chunks, last.ErrorMessage = 1, "late errors could not be asked for: away"
	b.close(last)
	since(third, first)
	again.Chunks = 1
	b.close(again)
	since(third, again)
}

// A run that the vendor refuses to know is recorded as refused credentials, and the
// next one that works as their end.
func TestCloseTellsOfCredentials(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	e := b.claim("2026-10", nil)
	e.ErrorClass, e.ErrorCode = classify.Permanent, classify.Unauthorized
	require.Equal(t, exports.Failed, b.close(e).Status)
	require.Equal(t, []string{"credentials"}, b.notifiedOf())
	require.Equal(t, exports.Complete, b.close(b.claim("2026-11", nil)).Status)
	require.Equal(t, []string{"credentials"}, b.notifiedOf(), "nobody was asked, so nothing is known")
	b.lines("a1 a 2026-12-01 1920 1", "a2 a 2026-12-01 3000 -1")
	e = b.claim("2026-12", nil)
	require.Len(t, b.plan(e, integrations.ExportSettings{}, 500), 2)
	b.settle(e, 1, exports.Exported, nil)
	require.Equal(t, exports.Complete, b.close(e).Status)
	require.Equal(t, []string{"credentials", "recovered"}, b.notifiedOf())
}

// What was not there when it was asked for can land later where a repeat does no
// harm: until then it is known, so that it does not go to another place.
func TestLoadChunkKnowsWhatCanLand(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	e := b.vouchers(1)
	s := sending(1)
	_, err := runlog.MarkChunk(t.Context(), b.worker, e.Owner(), []string{"e0-1", "e0-2"}, s, 0, runlog.InFlight{Changed: time.Hour})
	require.NoError(t, err)
	require.NoError(t, runlog.RecordAnswer(t.Context(), b.worker, e.Owner(), runlog.LookupAnswer{Absent: []string{"e0-1", "e0-2"}}, []runlog.Sending{s, s}))
	opened, err := runlog.LoadChunk(t.Context(), b.worker, e.Owner(), 1)
	entries := opened.Entries
	require.NoError(t, err)
	require.Len(t, entries, 2)
	for _, x := range entries {
		require.Equal(t, []bool{false, true}, []bool{x.Open, x.EarlierCanLand})
	}
}
