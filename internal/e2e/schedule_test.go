package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
)

// file is an integration file with a section added to xledger-main.
func (o tenant) file(section string) string {
	return strings.Replace(stack.Integrations(o.id, quick), "    credentials: {token: file:xledger-token}\n",
		"    credentials: {token: file:xledger-token}\n"+section, 1)
}

func apply(t *testing.T, file string, args ...string) (out, words string) {
	t.Helper()
	out, words, code := starter(t, file, append([]string{"integrations", "apply", "-f", "-"}, args...)...)
	require.Zero(t, code, words)
	return out, words
}

func (o tenant) onMain(t *testing.T, command string, args ...string) (out, words string, code int) {
	t.Helper()
	return starter(t, "", append([]string{"schedules", command, "--org", o.id.String(), "--integration", "xledger-main"}, args...)...)
}

// describeMain looks at the schedule of xledger-main in Temporal itself.
func (o tenant) describeMain(t *testing.T) (*client.ScheduleDescription, error) {
	t.Helper()
	return temporal.ScheduleClient().GetHandle(t.Context(), engine.ScheduleID(o.id, o.integrations["xledger-main"].ID)).Describe(t.Context())
}

func asAdmin(t *testing.T, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), stack.URL(devstack.Admin))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), sql, args...)
	require.NoError(t, err, sql)
}

// Applying is like kubectl apply: it makes what is missing, changes what
// differs, leaves what is as it should be, and removes only if asked.
func TestApply(t *testing.T) {
	o := newTenant(t, quick)
	monthly := "    schedule: {every: monthly, day: 3, at: \"06:30\"}\n"
	out, words := apply(t, o.file(monthly), "--dry-run")
	require.Regexp(t, `updated +xledger-main`, out)
	require.Contains(t, words, "dry run: nothing was changed")
	require.Regexp(t, `(?s)schedule xledger-main: created, monthly on day 3 at 06:30 Europe/Oslo\n(  \w+ \d{4}-\d\d-03 06:30 CES?T exports \d{4}-\d\d\n){5}`, words)
	_, err := o.describeMain(t)
	require.Error(t, err, "a dry run makes no schedule")

	_, words = apply(t, o.file(monthly))
	require.Contains(t, words, "schedule xledger-main: created, monthly on day 3")
	out, words = apply(t, o.file(monthly))
	require.Regexp(t, `unchanged +xledger-main`, out)
	require.Contains(t, words, "schedule xledger-main: unchanged")
	cron := "    schedule: {cron: \"30 6 * * 1-5\", period: day, overlap: skip, catchUp: 24h, warmUp: 0s, driftThreshold: 10m}\n"
	_, words = apply(t, o.file(cron))
	require.Contains(t, words, "updated, cron 30 6 * * 1-5 Europe/Oslo, exports the day before, overlap skip, catch-up 24h, warm-up off, drift 10m")
	require.Contains(t, words, "note: it does not fire for every period")
	d, err := o.describeMain(t)
	require.NoError(t, err)
	require.Equal(t, client.SchedulePolicies{Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: 24 * time.Hour}, *d.Schedule.Policy)
	_, words = apply(t, o.file(cron))
	require.Contains(t, words, "unchanged, cron")

	// What was changed by hand is noticed and set right; a pause stays.
	handle := temporal.ScheduleClient().GetHandle(t.Context(), d.Schedule.Action.(*client.ScheduleWorkflowAction).ID)
	for name, change := range map[string]func(*client.Schedule){
		"overlap": func(s *client.Schedule) { s.Policy.Overlap = enums.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL },
		"window":  func(s *client.Schedule) { s.Policy.CatchupWindow = time.Hour },
		"zone":    func(s *client.Schedule) { s.Spec.TimeZoneName = "UTC" },
		"times": func(s *client.Schedule) {
			s.Spec.Calendars[0].Minute[0].Start = 31
			s.Spec.Calendars[0].Minute[0].End = 31
		},
		"more": func(s *client.Schedule) { s.Spec.Intervals = []client.ScheduleIntervalSpec{{Every: time.Hour}} },
		"action": func(s *client.Schedule) {
			s.Action = &client.ScheduleWorkflowAction{ID: "other", Workflow: "Other", TaskQueue: "other", Args: []any{1, "x"}}
		},
		"no input": func(s *client.Schedule) { s.Action.(*client.ScheduleWorkflowAction).Args = nil },
		"input":    func(s *client.Schedule) { s.Action.(*client.ScheduleWorkflowAction).Args = []any{"x"} },
		"limited":  func(s *client.Schedule) { s.State.LimitedActions, s.State.RemainingActions = true, 1 },
	} {
		require.NoError(t, handle.Update(t.Context(), client.ScheduleUpdateOptions{DoUpdate: func(u client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			change(&u.Description.Schedule)
			u.Description.Schedule.State.Paused, u.Description.Schedule.State.Note = true, "by hand"
			return &client.ScheduleUpdate{Schedule: &u.Description.Schedule}, nil
		}}), name)
		out, words, code := o.onMain(t, "describe")
		require.Zero(t, code, words)
		require.Contains(t, out, "paused, not as applied", name)
		_, words = apply(t, o.file(cron))
		require.Contains(t, words, "schedule xledger-main: updated", name)
		d, err := o.describeMain(t)
		require.NoError(t, err)
		require.True(t, d.Schedule.State.Paused)
		require.Equal(t, "by hand", d.Schedule.State.Note)
	}

	// A schedule that the file no longer has is deleted; that needs no --prune.
	_, words = apply(t, o.file(""))
	require.Contains(t, words, "schedule xledger-main: removed")
	_, err = o.describeMain(t)
	require.Error(t, err)
	_, words = apply(t, o.file(""))
	require.NotContains(t, words, "schedule")
}

func TestApplyPrune(t *testing.T) {
	o := newTenant(t, quick)
	daily := o.file("    schedule: {every: daily, at: \"06:30\"}\n")
	apply(t, daily)
	without := strings.Replace(daily, daily[strings.Index(daily, "  - id:"):strings.Index(daily, "  - id: "+o.integrations["xledger-old"].ID.String())], "", 1)
	require.NotContains(t, without, "xledger-main")
	_, words := apply(t, without)
	require.Contains(t, words, "xledger-main: not in the file; to remove it, add --prune")
	_, err := o.describeMain(t)
	require.NoError(t, err)
	out, words := apply(t, without, "--prune", "--dry-run")
	require.Regexp(t, `removed +xledger-main`, out)
	require.Contains(t, words, "schedule xledger-main: removed")
	_, err = o.describeMain(t)
	require.NoError(t, err, "a dry run removes nothing")

	out, _ = apply(t, without, "--prune", "--yes", "-o", "json")
	type change struct {
		Name, Action string
		Schedule     *struct{ Action string }
	}
	var main change
	for _, c := range fromJSON[[]change](t, out) {
		if c.Name == "xledger-main" {
			main = c
		}
	}
	require.Equal(t, "removed", main.Action)
	require.Equal(t, "removed", main.Schedule.Action)
	_, err = o.describeMain(t)
	require.Error(t, err)
	_, words, code := starter(t, "", "call", "--org", o.id.String(), "--integration", "xledger-main", "--operation", "ping")
	require.Equal(t, 1, code)
	require.Contains(t, words, "has no such integration")
	require.Len(t, queryStrings(t, "SELECT removed_by FROM ledgerline.integrations WHERE organization_id = $1 AND removed_at IS NOT NULL", o.id), 1, "its row stays")

	// A schedule that is left over from an apply that was cut off goes with the
	// next, of whatever file.
	in := o.integrations["xledger-main"]
	in.Schedule = &integrations.Schedule{Every: integrations.Daily, TimeZone: "UTC"}
	_, err = engine.ApplySchedule(t.Context(), temporal, in, "", false)
	require.NoError(t, err)
	apply(t, without)
	_, err = o.describeMain(t)
	require.Error(t, err)

	out, words = apply(t, daily)
	require.Regexp(t, `created +xledger-main`, out)
	require.Contains(t, words, "schedule xledger-main: created, daily at 06:30")
}

// A schedule of a paused integration is paused, however it comes to be, and
// resuming the integration sets it going.
func TestApplyWhilePaused(t *testing.T) {
	o := newTenant(t, quick)
	daily, weekly := o.file("    schedule: {every: daily, at: \"06:30\"}\n"), o.file("    schedule: {every: weekly, day: monday, at: \"06:30\"}\n")
	command := func(name string) {
		_, words, code := starter(t, "", "integrations", name, "--org", o.id.String(), "--integration", "xledger-main", "--reason", "month end", "--no-wait")
		require.Zero(t, code, words)
	}
	paused := func() bool {
		d, err := o.describeMain(t)
		require.NoError(t, err)
		require.Equal(t, d.Schedule.State.Paused, strings.HasPrefix(d.Schedule.State.Note, "integration paused: "), d.Schedule.State.Note)
		return d.Schedule.State.Paused
	}
	command("pause")
	_, words := apply(t, daily)
	require.Contains(t, words, "schedule xledger-main: created and paused")
	require.True(t, paused(), "new")
	_, words = apply(t, daily)
	require.Contains(t, words, "schedule xledger-main: unchanged and paused")
	for name, file := range map[string]string{"changed": weekly, "as it was": daily} {
		_, words, code := o.onMain(t, "resume") // by hand, and the integration stays paused
		require.Zero(t, code, words)
		require.False(t, paused())
		_, words = apply(t, file)
		require.Contains(t, words, "schedule xledger-main: updated and paused", name)
		require.True(t, paused(), name)
	}
	apply(t, o.file(""))
	apply(t, daily)
	require.True(t, paused(), "taken out of the file and put back")
	without := strings.Replace(daily, daily[strings.Index(daily, "  - id:"):strings.Index(daily, "  - id: "+o.integrations["xledger-old"].ID.String())], "", 1)
	apply(t, without, "--prune", "--yes")
	_, words = apply(t, daily)
	require.Contains(t, words, "schedule xledger-main: created and paused", "removed and brought back: the pause is still there")
	require.True(t, paused())
	command("resume")
	require.False(t, paused())
}

// What is wrong is found before anything is written, in the database or in
// Temporal.
func TestApplyChangesNothingIfAnythingIsWrong(t *testing.T) {
	o := newTenant(t, quick)
	for _, sql := range []string{
		"CREATE SCHEMA IF NOT EXISTS books", "GRANT USAGE ON SCHEMA books TO " + devstack.Source, "DROP VIEW IF EXISTS books.bad",
		"CREATE VIEW books.bad AS SELECT organization_id, entry_id, voucher_id, entry_date, account, amount::float8, currency, text, created_at FROM ledgerline.accounting_entries",
	} {
		asAdmin(t, sql)
	}
	untouched := func() {
		t.Helper()
		require.Empty(t, queryStrings(t, "SELECT name FROM ledgerline.integrations WHERE organization_id = $1 AND (schedule IS NOT NULL OR export <> '{}')", o.id))
		_, err := o.describeMain(t)
		require.Error(t, err)
	}
	daily := "    schedule: {every: daily, at: \"06:30\"}\n"
	for section, says := range map[string]string{
		"    schedule: {cron: \"0 6 30 2 *\", period: month}\n":     "stdin:9:22: integrations[0].schedule.cron",
		daily + "    export: {source: books.none}\n":                "integration xledger-main: export.source books.none: there is no such table or view",
		daily + "    export: {source: books.bad}\n":                 `export.source books.bad: column amount is "double precision" and must be numeric`,
		daily + "    export: {source: books.bad, currencies: []}\n": "an empty list",
	} {
		_, words, code := starter(t, o.file(section), "integrations", "apply", "-f", "-")
		require.NotZero(t, code)
		require.Contains(t, words, says)
		untouched()
	}
	_, words, code := starter(t, o.file(daily+"    export: {source: books.bad}\n"), "integrations", "apply", "-f", "-")
	require.Equal(t, 1, code)
	require.Contains(t, words, `GRANT SELECT ON books.bad TO "app_source"`)
	require.Contains(t, words, "column dimensions is missing")
	_, words, code = starterEnv(t, append(stack.Env(devstack.Operator), "TEMPORAL_ADDRESS=127.0.0.1:1"), o.file(daily), "integrations", "apply", "-f", "-")
	require.Equal(t, 1, code)
	require.Contains(t, words, "nothing was applied: cannot reach Temporal")
	untouched()
	_, words, code = starterEnv(t, append(stack.Env(devstack.Operator), "TEMPORAL_ADDRESS=127.0.0.1:1"), o.file(""), "integrations", "apply", "-f", "-")
	require.Zero(t, code, "no schedules, no Temporal: %s", words)
}

// What we expect is what Temporal does: in both nights in which the clocks
// change, at the turn of years, on leap days.
func TestOccurrencesAreTemporals(t *testing.T) {
	for _, s := range []integrations.Schedule{
		{Every: integrations.Daily, Hour: 2, Minute: 30, TimeZone: "Europe/Oslo"},
		{Every: integrations.Daily, Hour: 6, Minute: 30, TimeZone: "Europe/Oslo"},
		{Every: integrations.Daily, TimeZone: "Europe/Oslo"},
		{Every: integrations.Daily, Hour: 1, Minute: 30, TimeZone: "Europe/Oslo"},
		{Every: integrations.Daily, Hour: 1, Minute: 30, TimeZone: "America/New_York"},
		{Every: integrations.Weekly, Day: 7, Hour: 6, TimeZone: "America/Havana"}, // whose clocks change at midnight
		{Every: integrations.Weekly, Day: 7, Hour: 2, TimeZone: "Europe/Oslo"},
		{Every: integrations.Weekly, Day: 1, Hour: 23, Minute: 59, TimeZone: "America/New_York"},
		{Every: integrations.Monthly, Day: 28, Hour: 2, Minute: 30, TimeZone: "Europe/Oslo"},
		{Cron: "*/20 0-4 * * sun", PeriodRule: integrations.DayBefore, TimeZone: "Europe/Oslo"},
		{Cron: "0 6 29 2 *", PeriodRule: integrations.MonthBefore, TimeZone: "UTC"},
		{Cron: "15,45 */6 31 * *", PeriodRule: integrations.MonthBefore, TimeZone: "Europe/Oslo"},
		{Cron: "0 1-3 * mar,oct 5-7", PeriodRule: integrations.WeekBefore, TimeZone: "Europe/Oslo"},
	} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			in := integrations.Integration{OrganizationID: uuid.New(), ID: uuid.New(), Name: "x", Adapter: "xledger", Policy: classify.DefaultPolicy(), Schedule: &s}
			action, err := engine.ApplySchedule(t.Context(), temporal, in, "", false)
			require.NoError(t, err)
			require.Equal(t, engine.ScheduleCreated, action)
			action, err = engine.ApplySchedule(t.Context(), temporal, in, "", false)
			require.NoError(t, err)
			require.Equal(t, engine.ScheduleUnchanged, action, "what Temporal made of it is what we asked for")
			from, to := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 3, 31, 0, 0, 30, 0, time.UTC)
			answer, err := temporal.WorkflowService().ListScheduleMatchingTimes(t.Context(), &workflowservice.ListScheduleMatchingTimesRequest{
				Namespace: stack.Temporal.Namespace, ScheduleId: engine.ScheduleID(in.OrganizationID, in.ID), StartTime: timestamppb.New(from.Add(-time.Second)), EndTime: timestamppb.New(to),
			})
			require.NoError(t, err)
			var got, want []string
			for _, at := range answer.StartTime {
				got = append(got, at.AsTime().Format(time.RFC3339))
			}
			for _, at := range s.FiringsBetween(from, to) {
				want = append(want, at.UTC().Format(time.RFC3339))
			}
			require.NotEmpty(t, got)
			if len(got) < len(want) {
				want = want[:len(got)] // the server lists the first thousand
			}
			require.Equal(t, want, got)
			d, err := engine.DescribeSchedule(t.Context(), temporal, in)
			require.NoError(t, err)
			require.False(t, d.OutOfSync)
			for i, at := range s.Next(time.Now(), len(d.Next)) {
				require.True(t, at.Equal(d.Next[i].At), "%s and %s", at, d.Next[i].At)
			}
			require.NotEmpty(t, d.Next)
			action, err = engine.RemoveSchedule(t.Context(), temporal, in.OrganizationID, in.ID, false)
			require.NoError(t, err)
			require.Equal(t, engine.ScheduleRemoved, action)
		})
	}
}

// The commands on a schedule, as an operator uses them.
func TestScheduleCommands(t *testing.T) {
	o := newTenant(t, quick)
	apply(t, o.file("    schedule: {every: daily, at: \"06:30\", warmUp: 1m}\n"))
	out, words, code := o.onMain(t, "describe")
	require.Zero(t, code, words)
	for _, s := range []string{"daily at 06:30 Europe/Oslo, warm-up 1m", "export/" + o.id.String(), "the day before", "buffer_all", "720h", "above 5m", "active", "NEXT FIRINGS"} {
		require.Contains(t, out, s)
	}
	require.Len(t, regexpFirings(out), 5)
	_, words, code = o.onMain(t, "pause")
	require.Equal(t, 2, code)
	require.Contains(t, words, "--reason is missing")
	out, words, code = o.onMain(t, "pause", "--reason", "closing the year", "-o", "json")
	require.Zero(t, code, words)
	state := fromJSON[engine.ScheduleStatus](t, out)
	require.True(t, state.Paused)
	require.Contains(t, state.Note, ": closing the year")
	require.Empty(t, queryStrings(t, "SELECT name FROM ledgerline.integrations WHERE organization_id = $1 AND paused_at IS NOT NULL", o.id), "calls go on")
	out, _, _ = starter(t, "", "schedules", "list", "--org", o.id.String())
	require.Regexp(t, `xledger-main .* paused .*closing the year`, out)

	// Lost in Temporal, it is made again by applying the file; the pause was the
	// lost schedule's.
	_, err := engine.RemoveSchedule(t.Context(), temporal, o.id, o.integrations["xledger-main"].ID, false)
	require.NoError(t, err)
	_, words, code = o.onMain(t, "trigger")
	require.Equal(t, 1, code)
	require.Contains(t, words, "it is not in Temporal; apply its file again")
	_, words = apply(t, o.file("    schedule: {every: daily, at: \"06:30\", warmUp: 1m}\n"))
	require.Contains(t, words, "schedule xledger-main: created,")
	d, err := o.describeMain(t)
	require.NoError(t, err)
	require.False(t, d.Schedule.State.Paused)

	_, words, code = o.onMain(t, "resume")
	require.Zero(t, code, words)
	require.Empty(t, queryStrings(t, "SELECT name FROM ledgerline.integrations WHERE organization_id = $1 AND paused_at IS NOT NULL", o.id))
	out, words, code = o.onMain(t, "trigger", "-o", "json")
	require.Zero(t, code, words)
	due, err := (integrations.Schedule{Every: integrations.Daily, TimeZone: "Europe/Oslo"}).Period(time.Now())
	require.NoError(t, err)
	require.Contains(t, words, "triggered for "+due)
	require.Eventually(t, func() bool {
		out, _, _ = o.onMain(t, "describe", "-o", "json")
		return len(fromJSON[engine.ScheduleStatus](t, out).Running) == 1
	}, 20*time.Second, 200*time.Millisecond)
	fired := fromJSON[engine.ScheduleStatus](t, out).Last[0]
	require.Equal(t, due, fired.Period)
	require.True(t, strings.HasPrefix(fired.WorkflowID, "export/"+o.id.String()))
	_, words, code = starter(t, "", "schedules", "trigger", "--org", o.id.String(), "--integration", "crm")
	require.Equal(t, 1, code)
	require.Contains(t, words, "has no schedule")
}

func regexpFirings(out string) (lines []string) {
	_, next, _ := strings.Cut(out, "NEXT FIRINGS")
	for _, l := range strings.Split(next, "\n")[1:] {
		if strings.Contains(l, "06:30") {
			lines = append(lines, l)
		}
	}
	return lines
}

// A backfill says what it will run, and starts that: one run for each firing,
// in order, under the firing's own time.
func TestScheduleBackfill(t *testing.T) {
	o := newTenant(t, quick)
	apply(t, o.file("    schedule: {every: daily, at: \"06:30\"}\n"))
	_, words, code := o.onMain(t, "backfill", "--from", "2026-10-24", "--to", "2126-10-24")
	require.Equal(t, 2, code)
	require.Contains(t, words, "in the future")
	out, words, code := o.onMain(t, "backfill", "--from", "2025-10-25", "--to", "2025-10-28")
	require.Zero(t, code, words)
	for _, line := range []string{"Sat 2025-10-25 06:30 CEST  2025-10-24", "Sun 2025-10-26 06:30 CET   2025-10-25", "Mon 2025-10-27 06:30 CET   2025-10-26"} {
		require.Contains(t, out, line)
	}
	startWorker(t)
	require.Eventually(t, func() bool {
		return slices.Equal(queryStrings(t, "SELECT period || ' ' || trigger || ' ' || status FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1 ORDER BY started_at", o.id),
			[]string{"2025-10-24 backfill complete", "2025-10-25 backfill complete", "2025-10-26 backfill complete"})
	}, 60*time.Second, 200*time.Millisecond)
}

// A schedule exports its period once: also when it is triggered twice,
// backfilled, and joined by a run by hand.
func TestSchedule(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	schedule := integrations.Schedule{Every: integrations.Monthly, Day: 1, Minute: 1, TimeZone: "Europe/Oslo"}
	apply(t, b.file("    schedule: {every: monthly, day: 1, at: \"00:01\"}\n"))
	due, err := schedule.Period(time.Now())
	require.NoError(t, err)
	b.vouchers(t, "A", 5, due+"-15", "3000", "0")
	for _, command := range [][]string{{"trigger"}, {"trigger"}, {"pause", "--reason", "test"}, {"trigger"}} {
		_, words, code := b.onMain(t, command[0], command[1:]...)
		require.Zero(t, code, words)
	}
	last := schedule.FiringsBetween(time.Now().AddDate(0, 0, -31), time.Now())
	require.NotEmpty(t, last)
	at := last[len(last)-1]
	_, words, code := b.onMain(t, "backfill", "--from", at.Add(-time.Minute).Format(time.RFC3339), "--to", at.Add(time.Second).Format(time.RFC3339))
	require.Zero(t, code, words)
	_, words, code = starter(t, "", "sync", "--org", b.id.String(), "--integration", "xledger-main", "--period", due)
	require.Zero(t, code, words)
	require.Eventually(t, func() bool {
		return slices.Equal(queryStrings(t, "SELECT status FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1", b.id), []string{"complete"})
	}, 30*time.Second, 100*time.Millisecond)
	b.requireOnce(t, 10)
	require.Equal(t, []string{due}, queryStrings(t, "SELECT period FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1", b.id))
}
