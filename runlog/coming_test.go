package runlog_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/outlook"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
)

// A year is an integration whose clock runs from test to test, and its exports.
type year struct {
	books
	now   time.Time
	begun []exports.Export // claimed and not planned, in the order in which they started
	ended []exports.Export // that have no retry
	seen  map[string]int   // how often what a test is to try has happened
}

// claimed makes an export's row; false if it is refused, or its period has its export.
func (y *year) claimed(period string, trigger exports.Trigger, parent *uuid.UUID) (exports.Export, bool) {
	start, end, err := exports.ParsePeriod(period)
	require.NoError(y.t, err)
	asked := exports.Export{
		OrganizationID: y.org, ID: uuid.New(), IntegrationID: y.spec.ID, AdapterName: "xledger", Period: period, PeriodStart: start, PeriodEnd: end,
		Trigger: trigger, TriggeredBy: "test", StartedAt: time.Now(), WorkflowID: "w", RunID: uuid.New(), ParentID: parent,
	}
	preview, previewErr := runlog.PreviewClaim(y.t.Context(), y.operator, asked)
	e, mine, err := runlog.ClaimExport(y.t.Context(), y.worker, asked)
	require.Equal(y.t, err, previewErr, "a preview refuses what a claim does")
	if err != nil {
		var overlap *runlog.OverlapError
		require.ErrorAs(y.t, err, &overlap)
		return e, false
	}
	require.Equal(y.t, mine, preview.Export == nil)
	if !mine {
		require.Equal(y.t, e.ID, preview.Export.ID)
	}
	return e, mine
}

// waiting are the entries that an export is still to take, with that export.
func (y *year) waiting(t require.TestingT) map[string]exports.Coming {
	listing, err := outlook.List(y.t.Context(), y.operator, y.sources, y.spec, runlog.EntryFilter{}, nil, y.now)
	require.NoError(t, err)
	require.Zero(t, listing.More)
	next, states := map[string]exports.Coming{}, map[statement.State]int{}
	gone := y.withdrawn(t)
	for _, e := range listing.Entries {
		states[e.State]++
		if e.Next != nil {
			next[e.EntryID] = *e.Next
			if e.Corrected {
				y.seen["corrected"]++
			}
		}
		// Of another source, only that source says what is gone.
		require.Equal(t, slices.Contains(gone, e.EntryID) && y.spec.Export.Source == "", e.State.OnRecord() == runlog.WasWithdrawn, e.EntryID)
		if e.State.OnRecord() == runlog.WasWithdrawn {
			require.Nil(t, e.Next, "nothing takes what was withdrawn")
			y.seen["withdrawn"]++
		}
		require.Equal(t, e.State.OnRecord() == runlog.Waits, e.Export == nil)
	}
	for _, sum := range listing.Sums.ByState {
		states[sum.State] -= sum.Entries
	}
	for state, n := range states {
		require.Zero(t, n, "the sums are those of the list: %s", state)
	}
	going := 0
	for _, g := range listing.Waiting {
		going += g.Entries
	}
	require.Equal(t, len(next), going)
	return next
}

// texts are what a query of the organization returns.
func (y *year) texts(t require.TestingT, query string) []string {
	rows, err := y.admin.Query(y.t.Context(), query, y.org)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

// withdrawn are the entries that an export has refused and that are not in their source.
func (y *year) withdrawn(t require.TestingT) []string {
	return y.texts(t, `SELECT entry_id FROM ledgerline.export_entries AS taken WHERE organization_id = $1
		AND NOT EXISTS (SELECT FROM ledgerline.accounting_entries AS entry WHERE entry.organization_id = $1 AND entry.entry_id = taken.entry_id)`)
}

// refused are entries, or their vouchers, that can be corrected.
func (y *year) refused(t require.TestingT, column string) []string {
	return y.texts(t, `SELECT DISTINCT `+column+` FROM ledgerline.export_entries AS taken WHERE organization_id = $1 AND state = 'rejected' AND correction IS DISTINCT FROM 'withdrawn'
		AND NOT EXISTS (SELECT FROM ledgerline.export_entries AS other WHERE other.organization_id = $1 AND other.voucher_id = taken.voucher_id AND other.state <> 'rejected') ORDER BY 1`)
}

// correct replaces an entry, or withdraws its voucher; or it is refused.
func (y *year) correct(t require.TestingT, replaces *runlog.AccountingEntry, voucher string) {
	var err error
	if replaces != nil {
		_, err = y.importing([]runlog.AccountingEntry{*replaces}, runlog.ImportOptions{Replace: true, AllowRepeated: true}) // lines may be alike
	} else {
		_, err = runlog.WithdrawVoucher(y.t.Context(), y.operator, y.org, voucher, "kari", "twice")
	}
	var refused *runlog.RefusedError
	if err != nil && !errors.As(err, &refused) {
		require.Regexp(t, `was withdrawn|was imported|belongs to voucher`, err.Error())
	}
}

// taken are the entries that an export has got by its plan.
func (y *year) taken(t require.TestingT, e exports.Export) []string {
	rows, err := y.admin.Query(y.t.Context(), `SELECT entry_id FROM ledgerline.export_entries WHERE export_id = $1 ORDER BY entry_id`, e.ID)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

// expected are the entries for which a test of their export holds.
func expected(next map[string]exports.Coming, is func(exports.Coming) bool) []string {
	list := []string{}
	for id, c := range next {
		if is(c) {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}

// planBegun plans what has begun, in order, and checks that each export takes what was
// expected of it before. The plan of one can refuse an incomplete voucher that the next one
// completes, and takes whole.
func (y *year) planBegun(t require.TestingT) {
	for _, e := range y.begun {
		next := y.waiting(t)
		y.plan(e, y.spec.Export, 4)
		require.Equal(t, expected(next, func(c exports.Coming) bool { return c.ID != nil && *c.ID == e.ID }), y.taken(t, e), "%s, by %s", e.Period, e.Trigger)
	}
}

// retried retries the first export that has ended and has no retry. One whose parent has
// planned nothing takes what an export would.
func (y *year) retried(t require.TestingT) {
	if len(y.ended) == 0 {
		return
	}
	parent := y.ended[0]
	y.ended = y.ended[1:]
	e, ok := y.claimed(parent.Period, exports.ByRetry, &parent.ID)
	require.True(t, ok)
	want := expected(y.waiting(t), func(c exports.Coming) bool { return c.ID != nil && *c.ID == e.ID })
	y.plan(e, y.spec.Export, 4)
	if len(want) > 0 {
		y.seen["retry of everything"]++
		require.Subset(t, y.taken(t, e), want)
	}
	y.close(e)
}

// finish settles what has begun.
func (y *year) finish(rt *rapid.T) {
	for _, e := range y.begun {
		for chunk := 1; chunk <= 30; chunk++ {
			opened, err := runlog.LoadChunk(y.t.Context(), y.worker, e.Owner(), chunk)
			require.NoError(rt, err)
			state := rapid.SampledFrom([]exports.EntryState{exports.Exported, exports.Rejected, exports.Unknown, exports.Planned}).Draw(rt, "state")
			if len(opened.Entries) > 0 && state != exports.Planned {
				y.settle(e, chunk, state, nil)
			}
		}
		if rapid.IntRange(0, 3).Draw(rt, "ends") > 0 {
			y.close(e)
			y.ended = append(y.ended, e)
		}
	}
	y.begun = nil
}

// What a list says of an entry that waits is what happens: the export that it names, and no
// other, takes the entry, if nobody intervenes. That holds for what comes late, for vouchers
// that were refused and get new entries or are corrected or withdrawn, for periods that are skipped, exported by hand or
// out of order, for exports that could not be planned and their retries, with each kind of
// schedule and without, for the default source and for a view.
func TestComingExportTakesWhatIsSaid(t *testing.T) {
	t.Parallel()
	base := newBooks(t)
	_, err := base.admin.Exec(t.Context(), `CREATE SCHEMA books; GRANT USAGE ON SCHEMA books TO s;
		CREATE VIEW books.marked AS SELECT *, imported_in AS changed_in FROM ledgerline.accounting_entries; GRANT SELECT ON books.marked TO s`)
	require.NoError(t, err)
	schedules := []*integrations.Schedule{
		nil,
		{Every: integrations.Monthly, Day: 3, Hour: 6, Minute: 30, TimeZone: "Europe/Oslo"},
		{Every: integrations.Weekly, Day: 1, Hour: 0, Minute: 15, TimeZone: "Pacific/Auckland"},
		{Cron: "0 5 2,20 * *", PeriodRule: integrations.MonthBefore, TimeZone: "America/New_York"},
		{Cron: "0 5 2 1,4,7,10 *", PeriodRule: integrations.MonthBefore, TimeZone: "UTC"},
	}
	seen := map[string]int{}
	check := func(rt *rapid.T) {
		y := &year{books: base, seen: seen, now: time.Date(2026, 7, 20, 12, 0, 0, 0, time.UTC)}
		y.org = uuid.New()
		y.spec.OrganizationID, y.spec.ID = y.org, uuid.New()
		y.spec.Schedule = rapid.SampledFrom(schedules).Draw(rt, "schedule")
		y.spec.Export.Source = rapid.SampledFrom([]string{"", "", "books.marked"}).Draw(rt, "source")
		_, err := runlog.ApplyIntegrations(t.Context(), y.operator, []integrations.Integration{y.spec}, runlog.ApplyOptions{By: "test"})
		require.NoError(t, err)
		n, vouchers := 0, map[string]string{} // of entries
		for range rapid.IntRange(5, 12).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"store", "store", "store", "replace", "replace", "withdraw", "by hand", "what comes next", "what comes next", "what comes next", "fail", "retry"}).Draw(rt, "step") {
			case "store":
				for range rapid.IntRange(1, 3).Draw(rt, "vouchers") {
					voucher, month := rapid.IntRange(1, 8).Draw(rt, "voucher"), rapid.IntRange(5, 12).Draw(rt, "month")
					for _, amount := range rapid.SampledFrom([][]string{{"1.10", "-1.10"}, {"1.10"}, {"-1.10"}}).Draw(rt, "amounts") {
						n++
						vouchers[fmt.Sprintf("e%03d", n)] = fmt.Sprintf("v%d", voucher)
						y.lines(fmt.Sprintf("e%03d v%d 2026-%02d-%02d 1920 %s", n, voucher, month, rapid.IntRange(1, 28).Draw(rt, "day"), amount))
					}
				}
			case "replace": // or it is stored, also again
				for range min(n, rapid.IntRange(1, 4).Draw(rt, "corrections")) {
					id, voucher := fmt.Sprintf("e%03d", rapid.IntRange(1, n).Draw(rt, "entry")), fmt.Sprintf("v%d", rapid.IntRange(1, 8).Draw(rt, "voucher"))
					if refused := y.refused(rt, "entry_id"); len(refused) > 0 && rapid.IntRange(0, 3).Draw(rt, "is refused") > 0 {
						id = rapid.SampledFrom(refused).Draw(rt, "refused")
					}
					if v := vouchers[id]; v != "" && rapid.IntRange(0, 5).Draw(rt, "keeps its voucher") > 0 {
						voucher = v
					}
					month, day := rapid.IntRange(5, 12).Draw(rt, "month"), rapid.IntRange(1, 28).Draw(rt, "day")
					y.correct(rt, &runlog.AccountingEntry{EntryID: id, VoucherID: voucher, Date: time.Date(2026, time.Month(month), day, 0, 0, 0, 0, time.UTC), Account: "1920",
						Amount: rapid.SampledFrom([]string{"1.10", "-1.10"}).Draw(rt, "amount"), Currency: "NOK"}, "")
				}
			case "withdraw":
				vouchers := y.refused(rt, "voucher_id")
				y.correct(rt, nil, rapid.SampledFrom(append(vouchers, fmt.Sprintf("v%d", rapid.IntRange(1, 8).Draw(rt, "voucher")))).Draw(rt, "withdrawn"))
			case "by hand":
				period := rapid.SampledFrom([]string{"2026-06", "2026-07", "2026-08", "2026-09", "2026-W30", "2026-08-15"}).Draw(rt, "period")
				if e, ok := y.claimed(period, exports.ByHand, nil); ok {
					y.begun = append(y.begun, e)
				}
				if rapid.Bool().Draw(rt, "at once") {
					y.planBegun(rt)
					y.finish(rt)
				}
			case "what comes next":
				// Whatever has begun is planned first; then comes the first export that some
				// entry waits for, or the schedule's firing before it, which takes nothing.
				y.planBegun(rt)
				y.finish(rt)
				next := y.waiting(rt)
				if y.spec.Schedule == nil {
					first := exports.Coming{}
					for _, c := range next {
						if first.Period == "" || c.End.Before(first.End) {
							first = c
						}
					}
					if first.Period == "" {
						break
					}
					e, ok := y.claimed(first.Period, exports.ByHand, nil)
					require.True(rt, ok, "what is to be started by hand is not refused: %s", first.Period)
					y.begun = append(y.begun, e)
					y.plan(e, y.spec.Export, 4)
					require.Equal(rt, expected(next, func(c exports.Coming) bool { return c.Period == first.Period }), y.taken(rt, e), first.Period)
					seen["by hand"]++
					y.finish(rt)
					break
				}
				at := y.spec.Schedule.Next(y.now, 1)[0]
				y.now = at.Add(time.Second)
				period, err := y.spec.Schedule.Period(at)
				require.NoError(rt, err)
				want := expected(next, func(c exports.Coming) bool { return c.At != nil && c.At.Equal(at) })
				e, ok := y.claimed(period, exports.BySchedule, nil)
				if !ok {
					require.Empty(rt, want, "a period that has its export takes nothing")
					seen["period is taken"]++
					break
				}
				y.begun = append(y.begun, e)
				y.plan(e, y.spec.Export, 4)
				require.Equal(rt, want, y.taken(rt, e), "%s at %s", period, at)
				seen["by schedule"]++
				y.finish(rt)
			case "fail": // as where the source cannot be read
				if e, ok := y.claimed("2026-05", exports.ByHand, nil); ok {
					e.ErrorClass, e.ErrorMessage = classify.Permanent, "no source"
					y.close(e)
					y.ended = append([]exports.Export{e}, y.ended...)
					if rapid.Bool().Draw(rt, "is retried") { // with something to take
						n++
						vouchers[fmt.Sprintf("e%03d", n)] = "v9"
						y.lines(fmt.Sprintf("e%03d v9 2026-05-20 1920 1.10", n))
						y.retried(rt)
					}
				}
			case "retry":
				y.retried(rt)
			}
		}
	}
	ways := []string{"by hand", "by schedule", "period is taken", "retry of everything", "corrected", "withdrawn"}
	for tries := 0; tries == 0 || tries < 15 && slices.ContainsFunc(ways, func(way string) bool { return seen[way] == 0 }); tries++ {
		rapid.Check(t, check)
	}
	for _, way := range ways {
		require.Positive(t, seen[way], "%s: %v", way, seen)
	}
}
