package outlook

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/zones"
)

var now = time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC)

// months is the outlook of an integration that exports on the third of each month, and has
// exported some periods.
func months(t *testing.T, scheduled bool, periods ...string) *Outlook {
	t.Helper()
	o := &Outlook{Integration: integrations.Integration{Name: "xledger-main"}, now: now, known: map[time.Time]exports.Coming{}}
	var err error
	o.zone, err = zones.Load(integrations.DefaultTimeZone)
	require.NoError(t, err)
	if scheduled {
		o.Integration.Schedule = &integrations.Schedule{Every: integrations.Monthly, Day: 3, Hour: 6, Minute: 30, TimeZone: integrations.DefaultTimeZone}
	}
	for _, p := range periods {
		start, end, err := exports.ParsePeriod(p)
		require.NoError(t, err)
		o.claims = append(o.claims, exports.Claim{ID: uuid.New(), Period: p, Start: start, End: end, Trigger: exports.BySchedule})
	}
	return o
}

func date(s string) time.Time {
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return d
}

func TestImportedInWords(t *testing.T) {
	o := months(t, true, "2026-09", "2026-10")
	o.claims[0].Retry = true // a retry has no period: September was never exported
	require.Equal(t, []string{
		"1 entry of September 2026 came late, and goes with the export of November 2026, by the schedule on 3 December 2026 06:30 CET; or now, with starter sync --integration xledger-main --period 2026-09",
		"3 entries of October 2026 came late: October 2026 has its export, so they go with the export of November 2026, by the schedule on 3 December 2026 06:30 CET",
		"84 entries of November 2026 go with the export of November 2026, by the schedule on 3 December 2026 06:30 CET",
		"1 entry of July 2027 goes with the export of July 2027, by the schedule on 3 August 2027 06:30 CEST",
	}, o.imported([]runlog.Waiting{{Date: date("2026-09-30"), Entries: 1}, {Date: date("2026-10-01"), Entries: 1}, {Date: date("2026-10-31"), Entries: 2},
		{Date: date("2026-11-23"), Entries: 84}, {Date: date("2027-07-01"), Entries: 1}}))

	// A retry of the period would take new lines of its refused vouchers at once.
	const retry = "2026-10 --integration xledger-main"
	waiting := []runlog.Waiting{{Date: date("2026-10-01"), Entries: 1}, {Date: date("2026-10-01"), Entries: 2, Retry: retry}, {Date: date("2026-10-31"), Entries: 3, Retry: retry}}
	const later = "the export of November 2026, by the schedule on 3 December 2026 06:30 CET"
	o = months(t, true, "2026-10")
	require.Equal(t, []string{
		"1 entry of October 2026 came late: October 2026 has its export, so it goes with " + later,
		"5 entries of October 2026 came late: October 2026 has its export, so they go with " + later + "; or now, with starter exports retry 2026-10 --integration xledger-main",
	}, o.imported(waiting))
	require.Equal(t, []string{
		"besides, 1 entry dated in October 2026 came later: it goes with " + later,
		"besides, 5 entries dated in October 2026 came later: they go with " + later + "; or now, with starter exports retry 2026-10 --integration xledger-main",
	}, o.later(exports.Export{Period: "2026-10", PeriodStart: date("2026-10-01"), PeriodEnd: date("2026-11-01")}, waiting).Words)
	o = months(t, true, "2026-10")
	o.claims = append(o.claims, exports.Claim{ID: uuid.New(), Period: "2026-11", Start: date("2026-11-01"), End: date("2026-12-01"), WillPlan: true})
	require.Equal(t, []string{
		"6 entries of October 2026 came late: October 2026 has its export, so they go with the export of November 2026, which has begun",
	}, o.imported(waiting))

	o = months(t, false, "2026-10")
	require.Equal(t, []string{
		"2 entries of October 2026 came late: October 2026 has its export, so they go with the export of November 2026, which no schedule starts: from 1 December 2026, starter sync --integration xledger-main --period 2026-11",
	}, o.imported([]runlog.Waiting{{Date: date("2026-10-15"), Entries: 2}}))
	require.Equal(t, []string{
		"2 entries of October 2026 go with the export of October 2026, which no schedule starts: starter sync --integration xledger-main --period 2026-10",
	}, months(t, false).imported([]runlog.Waiting{{Date: date("2026-10-15"), Entries: 2}}))

	o = months(t, false, "2026-W43")
	require.Equal(t, []string{
		"2 entries of October 2026 came late: week 43 of 2026 has its export, so they go with the export of week 44 of 2026, which no schedule starts: starter sync --integration xledger-main --period 2026-W44",
		"1 entry of November 2026 goes with the export of week 45 of 2026, which no schedule starts: starter sync --integration xledger-main --period 2026-W45",
	}, o.imported([]runlog.Waiting{{Date: date("2026-10-20"), Entries: 2}, {Date: date("2026-11-02"), Entries: 1}}))
}

func TestWhy(t *testing.T) {
	later := now.Add(90 * time.Minute)
	runs, throttled, paused, idle, open := uuid.New(), uuid.New(), uuid.New(), uuid.New(), uuid.New()
	o := months(t, true)
	for id, f := range map[uuid.UUID]exports.WaitFacts{
		runs:      {},
		throttled: {Vendor: "Xledger", DeferredUntil: later, DeferredFor: classify.RateLimited},
		paused:    {Integration: "xledger-main", Paused: true, PausedBy: "kari", PausedAt: now, DeferredUntil: later, DeferredFor: classify.Paused},
		idle:      {NoWorker: true},
		open:      {Vendor: "Xledger", OpenUntil: later},
	} {
		o.hold(exports.Export{ID: id, Period: "2026-10"}, f)
	}
	require.ElementsMatch(t, []string{
		"the export of October 2026 waits: Xledger throttles the requests; the next try is at 13:30 CET; nothing is to be done: it tries again by itself; if it happens often, lower limits.requestsPerMinute in the integration file",
		"the export of October 2026 waits: no worker is running; start one; the export then continues by itself",
		"the export of October 2026 waits: what was sent to Xledger may still take effect until 13:30 CET, and nothing is sent again before that; nothing is to be done: Xledger is then asked what it has",
	}, o.holdsInWords(), "once each, and no pause, which the listing has by itself")
	november := exports.Coming{Period: "2026-11", End: date("2026-12-01"), By: exports.BySchedule, At: &later}
	for want, e := range map[string]struct {
		runlog.ListedEntry
		Next *exports.Coming
	}{
		"waits for the export of November 2026, by the schedule on 23 November 2026 13:30 CET": {ListedEntry: runlog.ListedEntry{State: runlog.Waits}, Next: &november},
		"waits for the export of November 2026, by the schedule on 23 November 2026 13:30 CET; or now, with starter exports retry 2026-10 --integration xledger-main": {
			ListedEntry: runlog.ListedEntry{State: runlog.Waits, RetryNow: "2026-10 --integration xledger-main"}, Next: &november},
		"account 8 is not mapped; its voucher has new entries and goes again with the export of November 2026, by the schedule on 23 November 2026 13:30 CET; " +
			"or now, with starter exports retry 2026-10 --integration xledger-main": {
			ListedEntry: runlog.ListedEntry{State: exports.Rejected, Reason: "account 8 is not mapped", RetryNow: "2026-10 --integration xledger-main"}, Next: &november},
		"": {ListedEntry: runlog.ListedEntry{State: exports.Exported}},
		"withdrawn; to see by whom and why: starter entries history B7": {ListedEntry: runlog.ListedEntry{State: runlog.WasWithdrawn, VoucherID: "B7", Reason: "account 9 is not mapped"}},
		"account 9 is closed; corrected since, and goes again with the export of November 2026, by the schedule on 23 November 2026 13:30 CET; " +
			"or now, with starter exports retry 2026-10 --integration xledger-main": {
			ListedEntry: runlog.ListedEntry{State: exports.Rejected, Reason: "account 9 is closed", Correction: runlog.Replaced, Period: "2026-10", ExportStatus: exports.Complete}, Next: &november},
		"account 9 is closed; corrected since, and goes again once its export has ended": {
			ListedEntry: runlog.ListedEntry{State: exports.Rejected, Reason: "account 9 is closed", Correction: runlog.Replaced, ExportStatus: exports.Pending}},
		"account 9 is not mapped; its voucher has new entries and goes again with the export of November 2026, by the schedule on 23 November 2026 13:30 CET": {
			ListedEntry: runlog.ListedEntry{State: exports.Rejected, Reason: "account 9 is not mapped"}, Next: &november},
		"is being exported": {ListedEntry: runlog.ListedEntry{State: exports.Planned, ExportStatus: exports.Pending, ExportID: &runs}},
		"waits: Xledger throttles the requests; the next try is at 13:30 CET": {
			ListedEntry: runlog.ListedEntry{State: exports.Planned, ExportStatus: exports.Pending, ExportID: &throttled}},
		"waits: integration xledger-main is paused by kari since 12:00 CET": {
			ListedEntry: runlog.ListedEntry{State: exports.Planned, ExportStatus: exports.Pending, ExportID: &paused}},
		"waits: no worker is running": {
			ListedEntry: runlog.ListedEntry{State: exports.Sent, ExportStatus: exports.Pending, ExportID: &idle, OpenUntil: &later}},
		"waits: what was sent to Xledger may still take effect until 13:30 CET, and nothing is sent again before that": {
			ListedEntry: runlog.ListedEntry{State: exports.Sent, ExportStatus: exports.Pending, ExportID: &open}},
		"sent; the vendor may still act on it until 23 November 2026 13:30 CET": {
			ListedEntry: runlog.ListedEntry{State: exports.Sent, ExportStatus: exports.Pending, ExportID: &open, OpenUntil: &later}},
		"not sent: no token; to send it: starter exports retry 2026-10 --integration xledger-main": {
			ListedEntry: runlog.ListedEntry{State: exports.Planned, ExportStatus: exports.Failed, ExportError: "no token", Period: "2026-10"}},
		"it is not known whether the vendor has it; to ask: starter exports retry 2026-10 --integration xledger-main": {
			ListedEntry: runlog.ListedEntry{State: exports.Sent, ExportStatus: exports.Failed, Period: "2026-10"}},
	} {
		require.Equal(t, want, o.why(e.ListedEntry, e.Next))
	}
	require.Equal(t, "is being exported", o.why(runlog.ListedEntry{State: exports.Planned, ExportStatus: exports.Pending, ExportID: &open}, nil), "what others were sent is no reason for it")
}

func TestStateInWords(t *testing.T) {
	o, finished := months(t, true), now.Add(-time.Hour)
	e := exports.Export{Period: "2026-10", Status: exports.Complete, FinishedAt: &finished}
	refused := exports.Count{Entries: 2, Vouchers: 1, Amounts: map[string]string{"NOK": "3200.00"}}
	chain := exports.Chain{Exports: []exports.Export{e}, Integration: "xledger-main", Planned: true, Counts: map[exports.Outcome]exports.Count{exports.WasRefused: refused}}
	const says = "October 2026 is not complete: 1 of 1 voucher was refused (NOK 3,200.00 is missing); to send the refused ones again once they are corrected: starter exports retry 2026-10 --integration xledger-main"
	require.Equal(t, "October 2026 has its export, which ended on 23 November 2026 11:00 CET", o.state(e, nil), "that its run has ended says nothing of its entries")
	require.Equal(t, "October 2026 has its export, which ended on 23 November 2026 11:00 CET; "+says, o.state(e, &chain))
	require.Equal(t, "the export of October 2026 has its retry, which ended on 23 November 2026 11:00 CET; "+says, o.retried(e, chain))
	e.Status, e.ErrorMessage = exports.Failed, "no token"
	require.Equal(t, "October 2026 has its export, which failed on 23 November 2026 11:00 CET: no token; to send what it left: starter exports retry 2026-10 --integration xledger-main", o.state(e, nil))
	require.Equal(t, "October 2026 has its export, which failed on 23 November 2026 11:00 CET: no token; "+says, o.state(e, &chain))
	require.Equal(t, "October 2026 has its export, which failed on 23 November 2026 11:00 CET; October 2026 was not exported: no token; "+
		"once that is fixed: starter exports retry 2026-10 --integration xledger-main", o.state(e, &exports.Chain{Exports: []exports.Export{e}, Integration: "xledger-main"}))
	e = exports.Export{Period: "2026-10", Status: exports.Pending, StartedAt: now}
	require.Equal(t, "October 2026 is being exported, since 23 November 2026 12:00 CET", o.state(e, nil))

	require.Empty(t, o.Paused())
	o.Pause = &runlog.Pause{At: now, By: "kari@example", Reason: "new accounts."}
	require.Equal(t, "xledger-main has been paused since 23 November 2026 12:00 CET by kari@example: new accounts; nothing is sent, and its schedule does not fire, until starter integrations resume --integration xledger-main", o.Paused())
}

// A day of the schedule's zone begins before it does in UTC, or after.
func TestNextForInOtherZones(t *testing.T) {
	for _, zone := range []string{"Pacific/Auckland", "America/Los_Angeles", "Pacific/Kiritimati"} {
		o := months(t, true)
		o.Integration.Schedule = &integrations.Schedule{Every: integrations.Daily, TimeZone: zone}
		for _, day := range []string{"2026-10-01", "2026-11-30", "2027-02-28"} {
			next := o.NextFor(date(day))
			require.True(t, next.End.After(date(day)))
			if date(day).After(now) {
				require.Equal(t, day, next.Period, zone)
			}
		}
	}
}

// A schedule that is paused by itself promises no time. Temporal is asked only where an entry
// relies on the schedule.
func TestSchedulePausedByItself(t *testing.T) {
	asked := 0
	says := func(p *SchedulePause) AskSchedule {
		return func(context.Context, integrations.Integration) *SchedulePause { asked++; return p }
	}
	late := []runlog.Waiting{{Date: date("2026-10-01"), Entries: 2}}
	october := exports.Export{Period: "2026-10", PeriodStart: date("2026-10-01"), PeriodEnd: date("2026-11-01")}
	o := months(t, true, "2026-09", "2026-10")
	o.askSchedule(t.Context(), says(&SchedulePause{"kari@example: ferie"}), late)
	const paused = "the schedule of xledger-main is paused (kari@example: ferie) and starts no export, until starter schedules resume xledger-main"
	require.Equal(t, []string{"besides, 2 entries dated in October 2026 came later: they go with the export of November 2026, whose schedule is paused", paused}, o.later(october, late).Words)
	require.Equal(t, paused, o.Paused())
	require.Equal(t, "waits for the export of November 2026, whose schedule is paused", o.why(runlog.ListedEntry{State: runlog.Waits}, new(o.NextFor(date("2026-10-01")))))
	require.Equal(t, "the export of November 2026, whose schedule is paused; or now, with starter sync --integration xledger-main --period 2026-08", o.InWords(o.NextFor(date("2026-08-01"))))
	require.Empty(t, o.later(october, nil).Words)

	o = months(t, true, "2026-10")
	o.askSchedule(t.Context(), says(&SchedulePause{}), late)
	require.Equal(t, "the schedule of xledger-main is paused and starts no export, until starter schedules resume xledger-main", o.Paused(), "in the Temporal UI, without a word")
	o = months(t, true, "2026-10")
	o.askSchedule(t.Context(), says(nil), late)
	require.Empty(t, o.Paused())
	require.Equal(t, 3, asked)

	o = months(t, true, "2026-10")
	o.askSchedule(t.Context(), says(nil), nil)
	o.askSchedule(t.Context(), nil, late)
	o.Pause = &runlog.Pause{By: "kari"}
	o.askSchedule(t.Context(), says(nil), late)
	months(t, false).askSchedule(t.Context(), says(nil), late)
	require.Equal(t, 3, asked, "nobody is asked if nothing waits, the integration is paused, or there is no schedule")
}

// Whether a vendor takes exports is known without asking anybody.
func TestPreviewNeedsAnExporter(t *testing.T) {
	_, err := Preview(t.Context(), nil, nil, integrations.Integration{Adapter: "faxbridge"}, exports.Export{}, nil, now)
	require.EqualError(t, err, "adapter faxbridge takes no exports; name an integration of another adapter, see starter integrations list")
}
