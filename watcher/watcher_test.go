package watcher_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/watcher"
)

var admin, worker *pgxpool.Pool

func TestMain(m *testing.M) {
	os.Exit(devstack.WithPostgres(func(server *devstack.Postgres) int {
		code, err := setUp(m, server)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}))
}

func setUp(m *testing.M, server *devstack.Postgres) (_ int, err error) {
	ctx := context.Background()
	if admin, err = runlog.Open(ctx, server.URL("postgres", "postgres"), 4); err != nil {
		return 1, err
	}
	defer admin.Close()
	if _, _, err = runlog.Migrate(ctx, admin); err != nil {
		return 1, err
	}
	if _, err = admin.Exec(ctx, "CREATE ROLE w LOGIN IN ROLE ledgerline_worker"); err != nil {
		return 1, err
	}
	if worker, err = runlog.Open(ctx, server.URL("postgres", "w"), 8); err != nil {
		return 1, err
	}
	defer worker.Close()
	return m.Run(), nil
}

// clock is an organization with a daily export at 06:00 in Oslo, from 20 October
// 2026, and the one who watches it.
type clock struct {
	watcher.Watcher
	t    *testing.T
	org  uuid.UUID
	spec integrations.Integration

	mu     sync.Mutex
	alerts []string // logged: the integration, the period and what happened
}

func newClock(t *testing.T, s integrations.Schedule) *clock {
	c := &clock{t: t, org: uuid.New()}
	s.TimeZone = "Europe/Oslo"
	c.spec = integrations.Integration{
		OrganizationID: c.org, ID: uuid.New(), Name: "x", Adapter: "xledger", BaseURL: "https://www.xledger.net/graphql", Policy: classify.DefaultPolicy(), Schedule: &s,
	}
	_, err := runlog.ApplyIntegrations(t.Context(), admin, []integrations.Integration{c.spec}, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), "UPDATE ledgerline.integrations SET schedule_since = '2026-10-20 00:00 Europe/Oslo' WHERE integration_id = $1", c.spec.ID)
	require.NoError(t, err)
	c.Watcher = watcher.Watcher{DB: worker, Log: slog.New(alertHandler{slog.DiscardHandler, c})}
	t.Cleanup(func() {
		_, err := admin.Exec(context.Background(), "UPDATE ledgerline.integrations SET removed_at = now() WHERE integration_id = $1", c.spec.ID)
		require.NoError(t, err)
	})
	return c
}

// alertHandler keeps what is logged as an alert.
type alertHandler struct {
	slog.Handler
	clock *clock
}

func (h alertHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h alertHandler) Handle(_ context.Context, r slog.Record) error {
	says, ok := strings.CutPrefix(r.Message, "ALERT: a scheduled export was ")
	if !ok {
		return nil
	}
	line := says
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "integration", "period":
			line = a.Value.String() + " " + line
		}
		return true
	})
	h.clock.mu.Lock()
	defer h.clock.mu.Unlock()
	h.clock.alerts = append(h.clock.alerts, line)
	return nil
}

// notifications are what people are notified of: each cause and period, and how
// often more within the hour.
func (c *clock) notifications() (list []string) {
	c.t.Helper()
	all, err := runlog.ListNotifications(c.t.Context(), worker, c.org, time.Time{}, uuid.Nil)
	require.NoError(c.t, err)
	for _, n := range all {
		list = append(list, fmt.Sprintf("%s %s, and %d more", n.Cause, n.Facts.Period, n.Suppressed))
	}
	return list
}

func oslo(t *testing.T, s string) time.Time {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Oslo")
	require.NoError(t, err)
	at, err := time.ParseInLocation("2006-01-02 15:04:05", s, zone)
	require.NoError(t, err)
	return at
}

// export makes the row of a period's export that started at a time.
func (c *clock) export(period, started string, scheduled *time.Time) exports.Export {
	c.t.Helper()
	start, end, err := exports.ParsePeriod(period)
	require.NoError(c.t, err)
	e, _, err := runlog.ClaimExport(c.t.Context(), worker, exports.Export{
		OrganizationID: c.org, ID: uuid.New(), IntegrationID: c.spec.ID, AdapterName: "xledger", Period: period, PeriodStart: start, PeriodEnd: end,
		Trigger: "schedule", TriggeredBy: "test", StartedAt: oslo(c.t, started), ScheduledAt: scheduled, WorkflowID: "w", RunID: uuid.New(),
	})
	require.NoError(c.t, err)
	return e
}

// pass looks at a time and returns what is recorded then.
func (c *clock) pass(now string) (open int, ticks []string) {
	c.t.Helper()
	open, err := c.Pass(c.t.Context(), oslo(c.t, now))
	require.NoError(c.t, err)
	list, err := runlog.ListTicks(c.t.Context(), worker, c.org, time.Unix(0, 0), oslo(c.t, now))
	require.NoError(c.t, err)
	for _, t := range list {
		s := t.Period + " " + string(t.Result)
		if t.LateBy > 0 {
			s += " by " + t.LateBy.String()
		}
		ticks = append(ticks, s)
	}
	return open, ticks
}

var daily = integrations.Schedule{Every: integrations.Daily, Hour: 6}

// Five minutes late is on time; one second more is not, and alerts. The night
// of 25 October has an hour more and changes nothing.
func TestOnTimeAndLate(t *testing.T) {
	c := newClock(t, daily)
	c.PendingLimit = 365 * 24 * time.Hour // none of them ends here
	skewed := oslo(t, "2026-10-23 06:00:00")
	c.export("2026-10-19", "2026-10-20 06:05:00", nil)
	c.export("2026-10-20", "2026-10-21 06:05:01", nil)
	c.export("2026-10-21", "2026-10-22 05:00:00", nil)     // by hand, before
	c.export("2026-10-22", "2026-10-23 05:59:58", &skewed) // its own run, by another clock
	c.export("2026-10-23", "2026-10-24 06:00:01", nil)
	c.export("2026-10-24", "2026-10-25 06:00:01", nil)
	open, ticks := c.pass("2026-10-25 07:00:00")
	require.Zero(t, open)
	require.Equal(t, []string{
		"2026-10-19 on time", "2026-10-20 late by 5m1s", "2026-10-21 earlier", "2026-10-22 on time", "2026-10-23 on time", "2026-10-24 on time",
	}, ticks)
	require.Equal(t, []string{"2026-10-20 x late"}, c.alerts)
	c.pass("2026-10-25 07:01:00")
	require.Len(t, c.alerts, 1, "an alert comes once")
	require.Equal(t, []string{"late 2026-10-20, and 0 more"}, c.notifications())
}

// Nothing ran at all: three periods are missed, each is alerted once however
// many workers look, and is late once it is made up for.
func TestMissedThenCaughtUp(t *testing.T) {
	c := newClock(t, daily)
	_, ticks := c.pass("2026-10-20 06:05:00")
	require.Empty(t, ticks, "it may still be on time")
	var wait sync.WaitGroup
	for range 6 {
		wait.Go(func() {
			_, err := c.Pass(context.Background(), oslo(t, "2026-10-22 08:00:00"))
			require.NoError(t, err)
		})
	}
	wait.Wait()
	open, ticks := c.pass("2026-10-22 08:00:00")
	require.Equal(t, 3, open)
	require.Equal(t, []string{"2026-10-19 missed", "2026-10-20 missed", "2026-10-21 missed"}, ticks)
	require.ElementsMatch(t, []string{"2026-10-19 x missed", "2026-10-20 x missed", "2026-10-21 x missed"}, c.alerts)
	for _, period := range []string{"2026-10-19", "2026-10-20", "2026-10-21"} {
		c.export(period, "2026-10-22 08:30:00", nil)
	}
	open, ticks = c.pass("2026-10-22 09:00:00")
	require.Zero(t, open)
	require.Equal(t, []string{"2026-10-19 late by 50h30m0s", "2026-10-20 late by 26h30m0s", "2026-10-21 late by 2h30m0s"}, ticks)
	got := c.notifications()
	require.Len(t, got, 2)
	require.Regexp(t, "^missed .*, and 2 more$", got[0])
	require.Regexp(t, "^late .*, and 2 more$", got[1])
	_, err := admin.Exec(t.Context(), "UPDATE ledgerline.schedule_ticks SET result = 'on time', late_by = NULL WHERE organization_id = $1", c.org)
	require.ErrorContains(t, err, "is recorded", "what was late stays late")
}

// A schedule that was paused by hand does not fire, and that is said too; so is
// a firing that the overlap rule left out. Temporal being away is no excuse.
func TestPausedAndSkipped(t *testing.T) {
	c := newClock(t, integrations.Schedule{Every: integrations.Daily, Hour: 6, Overlap: integrations.Skip, DriftThreshold: time.Minute})
	c.Paused = func(context.Context, uuid.UUID, uuid.UUID) (bool, error) { return true, nil }
	_, ticks := c.pass("2026-10-20 06:02:00")
	require.Equal(t, []string{"2026-10-19 paused"}, ticks)

	c.Paused = func(context.Context, uuid.UUID, uuid.UUID) (bool, error) {
		return false, errors.New("Temporal is away")
	}
	_, ticks = c.pass("2026-10-21 06:02:00")
	require.Equal(t, []string{"2026-10-19 paused", "2026-10-20 missed"}, ticks)

	c.export("2026-10-15", "2026-10-22 05:00:00", nil) // long, and still going
	_, ticks = c.pass("2026-10-22 06:02:00")
	require.Equal(t, []string{"2026-10-19 paused", "2026-10-20 missed", "2026-10-21 skipped"}, ticks)
	require.Equal(t, []string{"2026-10-19 x paused", "2026-10-20 x missed", "2026-10-21 x skipped"}, c.alerts)
}

// A schedule is not asked about times before it was as it is.
func TestSince(t *testing.T) {
	c := newClock(t, integrations.Schedule{Every: integrations.Weekly, Hour: 6, Day: 1})
	_, ticks := c.pass("2026-10-26 06:10:00")
	require.Equal(t, []string{"2026-W43 missed"}, ticks)
}

// An export that is pending although its run no longer exists keeps its entries
// from everybody; it is reported once it is old enough, and not while Temporal is
// away.
func TestAbandoned(t *testing.T) {
	c := newClock(t, daily)
	e := c.export("2026-10-19", "2026-10-20 06:00:00", nil)
	away := errors.New("Temporal is away")
	c.Runs = watcher.NewRuns(func(_ context.Context, of exports.Export) (bool, error) { return of.ID == e.ID, away })
	for _, now := range []string{"2026-10-20 06:09:00", "2026-10-20 06:11:00", "2026-10-20 06:17:00"} {
		open, _ := c.pass(now)
		require.Zero(t, open)
		require.Empty(t, c.notifications())
	}
	away = nil
	for _, now := range []string{"2026-10-20 06:17:20", "2026-10-20 06:17:40"} {
		open, ticks := c.pass(now)
		require.Equal(t, 1, open)
		require.Equal(t, []string{"export_overdue 2026-10-19, and 0 more"}, c.notifications(), "once")
		require.Equal(t, []string{"2026-10-19 on time"}, ticks, "it did start on time")
	}
	list, err := runlog.ListNotifications(t.Context(), worker, c.org, time.Time{}, uuid.Nil)
	require.NoError(t, err)
	require.Equal(t, e.ID, *list[0].Facts.ExportID)
	require.Equal(t, notify.ForRun, list[0].Facts.Waiting.For)
}

// Temporal is asked about each pending export every few minutes, and not in each pass; and
// about one that is to be reported at once, so that what it waits for is true. A worker
// that has just started has asked about none.
func TestTemporalIsAskedSeldom(t *testing.T) {
	c := newClock(t, daily)
	c.PendingLimit = time.Hour
	const n = 12
	for day := range n {
		c.export(fmt.Sprintf("2026-09-%02d", day+1), "2026-10-20 05:30:00", nil)
	}
	asked := 0
	c.Runs = watcher.NewRuns(func(context.Context, exports.Export) (bool, error) { asked++; return false, nil })
	now := oslo(t, "2026-10-20 05:45:00")
	pass := func() {
		_, err := c.Pass(t.Context(), now)
		require.NoError(t, err)
		now = now.Add(20 * time.Second)
	}
	for now.Before(oslo(t, "2026-10-20 06:00:01")) {
		pass()
	}
	require.GreaterOrEqual(t, asked, 2*n, "each was asked about, and again")
	require.LessOrEqual(t, asked, 5*n, "46 passes")
	require.Empty(t, c.notifications())

	asked = 0
	c.Runs = watcher.NewRuns(func(context.Context, exports.Export) (bool, error) { asked++; return true, nil })
	now = oslo(t, "2026-10-20 06:30:00")
	pass()
	require.Equal(t, n, asked)
	pass()
	require.Equal(t, n, asked)
	list, err := runlog.ListNotifications(t.Context(), worker, c.org, time.Time{}, uuid.Nil)
	require.NoError(t, err)
	for _, n := range list {
		if n.Cause == notify.ExportOverdue {
			require.Equal(t, notify.ForRun, n.Facts.Waiting.For)
		}
	}
}

// Whether a schedule is paused is asked when a tick is missed, and not again.
func TestPauseIsAskedOnce(t *testing.T) {
	c := newClock(t, daily)
	asked := 0
	c.Paused = func(context.Context, uuid.UUID, uuid.UUID) (bool, error) { asked++; return false, nil }
	for range 3 {
		_, ticks := c.pass("2026-10-22 08:00:00")
		require.Equal(t, []string{"2026-10-19 missed", "2026-10-20 missed", "2026-10-21 missed"}, ticks)
		require.Equal(t, 3, asked)
	}
}

// What an export waits for, by its record; what is over or was said of another counts for
// nothing. The first that holds is said.
func TestOverdue(t *testing.T) {
	soon := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	for name, c := range map[string]struct {
		sql   string
		until *time.Time
		want  notify.WaitReason
		kind  classify.Kind
	}{
		"under way":           {"", nil, notify.ForProgress, ""},
		"paused":              {"UPDATE ledgerline.integrations SET paused_at = now(), paused_by = 'a', pause_reason = 'b' WHERE integration_id = $1 AND $2::uuid = $2 AND $3::timestamptz = $3", nil, notify.ForResume, ""},
		"deferred":            {deferred("unavailable", "$3"), &soon, notify.ForVendor, classify.Unavailable},
		"circuit breaker":     {deferred("breaker_open", "$3"), &soon, notify.ForVendor, classify.BreakerOpen},
		"deferred for naught": {deferred("unavailable", "$3::timestamptz - interval '2 hours'"), nil, notify.ForProgress, ""},
		"resumed":             {deferred("paused", "$3"), &soon, notify.ForProgress, ""},
		"open writes":         {openEntry("$3"), &soon, notify.ForWrites, ""},
		"writes that ended":   {openEntry("$3::timestamptz - interval '2 hours'"), nil, notify.ForProgress, ""},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock(t, daily)
			e := clock.export("2026-10-19", "2026-10-20 06:00:00", nil)
			if c.sql != "" {
				_, err := admin.Exec(t.Context(), c.sql, clock.spec.ID, e.ID, soon)
				require.NoError(t, err)
			}
			clock.pass("2026-10-20 17:59:59")
			require.Empty(t, clock.notifications())
			clock.pass("2026-10-20 18:00:00")
			require.Equal(t, []string{"export_overdue 2026-10-19, and 0 more"}, clock.notifications(), "half a day is half its period")
			list, err := runlog.ListNotifications(t.Context(), worker, clock.org, time.Time{}, uuid.Nil)
			require.NoError(t, err)
			w := list[0].Facts.Waiting
			require.Equal(t, c.want, w.For)
			require.Equal(t, c.kind, list[0].Facts.ErrorKind)
			require.Equal(t, c.until == nil, w.Until == nil)
			if c.until != nil {
				require.WithinDuration(t, *c.until, *w.Until, 0)
			}
		})
	}
}

func deferred(kind, until string) string {
	return "UPDATE ledgerline.bufdir_export_audit_log SET deferred_for = '" + kind + "', deferred_until = " + until + " WHERE integration_id = $1 AND export_id = $2 AND $3::timestamptz = $3::timestamptz"
}

func openEntry(until string) string {
	return `INSERT INTO ledgerline.export_entries (organization_id, integration_id, entry_id, export_id, voucher_id, chunk, vendor_key, entry_date, late, account, amount, currency, text, dimensions,
		state, effect, sent_in, sent_attempt, open_until) SELECT organization_id, $1, 'e', $2, 'v', 1, 'k', '2026-10-19', false, '1', 1, 'NOK', '', '{}', 'sent', 'open', $2, 1, ` + until + `
		FROM ledgerline.integrations WHERE integration_id = $1 AND $3::timestamptz = $3`
}

// However many workers look, an export that is overdue is notified once, then again each
// day with what it waits for then, and its end once. Those of a month have a day.
func TestOverdueIsRepeated(t *testing.T) {
	c := newClock(t, integrations.Schedule{Every: integrations.Monthly, Hour: 6, Day: 1})
	e := c.export("2026-09", "2026-10-20 06:00:00", nil)
	pass := func(now string) {
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				_, err := c.Pass(context.Background(), oslo(t, now))
				require.NoError(t, err)
			})
		}
		wait.Wait()
	}
	reasons := func() (list []notify.WaitReason) {
		all, err := runlog.ListNotifications(t.Context(), worker, c.org, time.Time{}, uuid.Nil)
		require.NoError(t, err)
		for _, n := range all {
			if n.Cause == notify.ExportOverdue {
				list = append(list, n.Facts.Waiting.For)
			}
		}
		return list
	}
	aDayPasses := func() {
		for _, sql := range []string{
			"UPDATE ledgerline.subject_incidents SET notified_at = notified_at - interval '1 day' WHERE organization_id = $1",
			"UPDATE ledgerline.notification_windows SET opened_at = opened_at - interval '1 day' WHERE organization_id = $1",
			"UPDATE ledgerline.notifications SET queued_at = queued_at - interval '1 day' WHERE organization_id = $1",
		} {
			_, err := admin.Exec(t.Context(), sql, c.org)
			require.NoError(t, err)
		}
	}
	pass("2026-10-21 05:59:59")
	require.Empty(t, reasons())
	pass("2026-10-21 06:00:00")
	pass("2026-10-21 06:00:20")
	require.Equal(t, []notify.WaitReason{notify.ForProgress}, reasons())
	_, err := admin.Exec(t.Context(), deferred("unavailable", "$3"), c.spec.ID, e.ID, time.Now().Add(time.Hour))
	require.NoError(t, err)
	aDayPasses()
	pass("2026-10-22 06:00:00")
	pass("2026-10-22 06:00:20")
	require.Equal(t, []notify.WaitReason{notify.ForProgress, notify.ForVendor}, reasons())

	// Another one that is overdue since then does not delay the reminder, nor is it delayed.
	aDayPasses()
	c.export("2026-08", "2026-10-22 05:00:00", nil)
	pass("2026-10-23 06:00:00")
	pass("2026-10-23 06:00:20")
	require.ElementsMatch(t, []notify.WaitReason{notify.ForProgress, notify.ForVendor, notify.ForVendor, notify.ForProgress}, reasons())

	_, err = runlog.CloseExport(t.Context(), worker, e)
	require.NoError(t, err)
	pass("2026-10-24 07:00:00")
	got := c.notifications()
	require.Equal(t, "export_ended 2026-09, and 0 more", got[len(got)-1])
	require.Len(t, reasons(), 4)
}

// What an operator sets goes before what an export's period says.
func TestPendingLimit(t *testing.T) {
	c := newClock(t, daily)
	c.PendingLimit, c.RemindAfter = time.Minute, time.Hour
	c.export("2026-10-19", "2026-10-20 06:00:00", nil)
	c.pass("2026-10-20 06:00:59")
	require.Empty(t, c.notifications())
	c.pass("2026-10-20 06:01:01")
	require.Len(t, c.notifications(), 1)
}

// A workflow that is stuck is reported once, and so is that it continues; where Temporal
// cannot say, nothing is known of either.
func TestStuckWorkflows(t *testing.T) {
	c := newClock(t, integrations.Schedule{Every: integrations.Weekly, Hour: 6, Day: 1})
	list := []watcher.StuckWorkflow{{c.org, c.spec.ID, notify.Workflow{Type: "Sync", ID: "export/1"}, "non_deterministic_error"}}
	var away error
	all := true
	c.Stuck = func(context.Context) ([]watcher.StuckWorkflow, bool, error) { return list, all, away }
	c.pass("2026-10-20 06:00:00")
	c.pass("2026-10-20 06:00:20")
	require.Equal(t, []string{"workflow_failing , and 0 more"}, c.notifications())
	sent, err := runlog.ListNotifications(t.Context(), worker, c.org, time.Time{}, uuid.Nil)
	require.NoError(t, err)
	require.Equal(t, notify.Workflow{Type: "Sync", ID: "export/1"}, *sent[0].Facts.Workflow)
	require.Equal(t, classify.Kind("non_deterministic_error"), sent[0].Facts.ErrorKind)
	list, away = nil, errors.New("Temporal is away")
	c.pass("2026-10-20 06:00:40")
	require.Len(t, c.notifications(), 1)
	away, all = nil, false // it may be among those that are not listed
	c.pass("2026-10-20 06:00:50")
	require.Len(t, c.notifications(), 1)
	all = true
	c.pass("2026-10-20 06:01:00")
	c.pass("2026-10-20 06:01:20")
	require.Equal(t, []string{"workflow_failing , and 0 more", "workflow_recovered , and 0 more"}, c.notifications())
}

// An integration whose schedule was stored by other means, and can never fire, is
// counted as overdue and stops nobody else's.
func TestUnusableScheduleStopsNobodyElse(t *testing.T) {
	c := newClock(t, daily)
	for i, schedule := range []string{`{"every": "daily", "timeZone": "Nowhere/Land"}`, `{"every": "hourly", "timeZone": "UTC"}`, `{"cron": "x", "period": "day", "timeZone": "UTC"}`} {
		id := uuid.New()
		_, err := admin.Exec(t.Context(), `INSERT INTO ledgerline.integrations (organization_id, integration_id, name, adapter, base_url, policy, applied_by, schedule)
			VALUES ($1, $2, $3, 'xledger', 'https://www.xledger.net/graphql', '{}', 't', $4)`, c.org, id, fmt.Sprintf("a%d", i), schedule)
		require.NoError(t, err)
		t.Cleanup(func() {
			_, err := admin.Exec(context.Background(), "UPDATE ledgerline.integrations SET removed_at = now() WHERE integration_id = $1", id)
			require.NoError(t, err)
		})
	}
	open, ticks := c.pass("2026-10-20 08:00:00")
	require.Equal(t, 3+1, open)
	require.Equal(t, []string{"2026-10-19 missed"}, ticks)
}
