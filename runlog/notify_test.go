package runlog_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
)

// audience is an organization with integrations and channels.
type audience struct {
	base
	organization uuid.UUID
	integrations []uuid.UUID
}

func newAudience(t *testing.T, names ...string) audience {
	t.Helper()
	o := audience{base: newBase(t), organization: uuid.New()}
	var list []integrations.Integration
	for _, name := range names {
		o.integrations = append(o.integrations, uuid.New())
		list = append(list, example(o.organization, o.integrations[len(o.integrations)-1], name))
	}
	_, err := runlog.ApplyIntegrations(t.Context(), o.operator, list, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	o.apply(t, hook("ops"), integrations.Channel{Name: "finance", Email: &integrations.Email{To: []string{"a@example.com"}}, Causes: []notify.Cause{notify.Missed}})
	return o
}

// withoutNotifications runs f while the worker cannot store notifications.
func (b base) withoutNotifications(t *testing.T, f func()) {
	t.Helper()
	_, err := b.admin.Exec(t.Context(), "REVOKE INSERT ON ledgerline.notifications FROM ledgerline_worker")
	require.NoError(t, err)
	f()
	_, err = b.admin.Exec(t.Context(), "GRANT INSERT ON ledgerline.notifications TO ledgerline_worker")
	require.NoError(t, err)
}

func hook(name string) integrations.Channel {
	return integrations.Channel{Name: name, Webhook: &integrations.Webhook{URL: "https://hooks.example.com/x", Secret: "env:X"}}
}

func (o audience) apply(t *testing.T, list ...integrations.Channel) []runlog.ChannelChange {
	t.Helper()
	channels := map[uuid.UUID][]integrations.Channel{o.organization: list}
	read, err := runlog.ApplyChannels(t.Context(), o.reader, channels, "test", true)
	require.NoError(t, err)
	changes, err := runlog.ApplyChannels(t.Context(), o.operator, channels, "test", false)
	require.NoError(t, err)
	require.ElementsMatch(t, changes, read, "a dry run with a login that may only read says the same")
	return changes
}

// event is an event of an integration that leads to a cause.
func (o audience) event(cause notify.Cause, n int) notify.Event {
	e := map[notify.Cause]notify.Event{
		notify.Failing:     {Kind: notify.HealthChanged, State: health.Unreachable, Facts: notify.Facts{ErrorKind: classify.Unavailable}},
		notify.Recovered:   {Kind: notify.HealthChanged, State: health.Healthy, Facts: notify.Facts{ErrorKind: classify.OK}},
		notify.Credentials: {Kind: notify.HealthChanged, State: health.Degraded, Facts: notify.Facts{ErrorKind: classify.Unauthorized}},
		notify.Missed:      {Kind: notify.TickRecorded, Tick: exports.TickMissed},
		notify.Late:        {Kind: notify.TickRecorded, Tick: exports.TickLate},
	}[cause]
	e.OrganizationID, e.IntegrationID = o.organization, o.integrations[n]
	return e
}

func (o audience) report(t *testing.T, cause notify.Cause, n int) (queued bool) {
	queued, err := runlog.ReportEvent(t.Context(), o.worker, o.event(cause, n))
	require.NoError(t, err)
	return queued
}

// hourLater makes the hour of every cause pass.
func (o audience) hourLater(t *testing.T) {
	for _, sql := range []string{
		"UPDATE ledgerline.notification_windows SET opened_at = opened_at - interval '1 hour'",
		"UPDATE ledgerline.notifications SET queued_at = queued_at - interval '1 hour'",
	} {
		_, err := o.admin.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
}

func (o audience) notifications(t *testing.T) []runlog.NotificationRecord {
	list, err := runlog.ListNotifications(t.Context(), o.reader, o.organization, time.Time{}, uuid.Nil)
	require.NoError(t, err)
	return list
}

// notificationsOf counts the notifications of a cause; each integration that one
// is of or names is in the list.
func (o audience) notificationsOf(t *testing.T, cause notify.Cause) (n int, of []string) {
	seen := make(map[uuid.UUID]bool)
	for _, r := range o.notifications(t) {
		if r.Cause == cause && !seen[r.NotificationID] {
			seen[r.NotificationID] = true
			n++
			of = append(append(of, r.Integration), r.Facts.Others...)
		}
	}
	return n, of
}

// concurrently calls f n times at once and counts how often it is true.
func concurrently(n int, f func(i int) bool) int {
	var yes atomic.Int32
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if f(i) {
				yes.Add(1)
			}
		})
	}
	all.Wait()
	return int(yes.Load())
}

// Fifty at once are one notification; the others are counted and named on it,
// and the next one repeats them.
func TestOnePerCauseAndHour(t *testing.T) {
	t.Parallel()
	o := newAudience(t, "main", "crm", "erp")
	require.Equal(t, 1, concurrently(50, func(i int) bool { return o.report(t, notify.Missed, i%3) }))
	list := o.notifications(t)
	require.Len(t, list, 2, "one for each channel that wants it")
	require.Equal(t, 49, list[0].Suppressed)
	require.Subset(t, []string{"main", "crm", "erp"}, list[0].OtherIntegrations)
	require.GreaterOrEqual(t, len(list[0].OtherIntegrations), 2)
	require.True(t, o.report(t, notify.Late, 0), "another cause has an hour of its own")
	require.Len(t, o.notifications(t), 3, "and is not what finance wants")

	other := newAudience(t, "main")
	require.True(t, other.report(t, notify.Missed, 0), "another organization too")

	o.hourLater(t)
	require.True(t, o.report(t, notify.Missed, 0))
	list = o.notifications(t)
	require.Equal(t, 49, list[len(list)-1].Facts.Earlier.Count)
	o.hourLater(t)
	require.True(t, o.report(t, notify.Missed, 0))
	list = o.notifications(t)
	require.Nil(t, list[len(list)-1].Facts.Earlier, "repeated once")
}

// What is rolled back is not notified, and does not take the hour.
func TestReportIsPartOfTheTransaction(t *testing.T) {
	t.Parallel()
	o := newAudience(t, "main")
	tx, err := o.worker.Begin(t.Context())
	require.NoError(t, err)
	for _, cause := range []notify.Cause{notify.Missed, notify.Failing} {
		queued, err := runlog.ReportEvent(t.Context(), tx, o.event(cause, 0))
		require.NoError(t, err)
		require.True(t, queued)
	}
	require.NoError(t, tx.Rollback(t.Context()))
	require.Empty(t, o.notifications(t))
	require.True(t, o.report(t, notify.Missed, 0))
	require.True(t, o.report(t, notify.Failing, 0))
	foreign := o.event(notify.Late, 0)
	foreign.IntegrationID = uuid.New()
	_, err = runlog.ReportEvent(t.Context(), o.worker, foreign)
	require.Error(t, err, "the foreign key refuses another's integration")
}

// A late run that had been missed before is notified as both, each with its tick.
func TestTicksAreReported(t *testing.T) {
	t.Parallel()
	o := newAudience(t, "main")
	at := time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)
	record := func(tick runlog.Tick) bool {
		recorded, err := runlog.RecordTick(t.Context(), o.worker, o.organization, tick)
		require.NoError(t, err)
		return recorded
	}
	tick := runlog.Tick{IntegrationID: o.integrations[0], ExpectedAt: at, Period: "2026-10", Result: exports.TickMissed}
	o.withoutNotifications(t, func() {
		recorded, err := runlog.RecordTick(t.Context(), o.worker, o.organization, tick)
		require.ErrorContains(t, err, "42501")
		require.False(t, recorded)
	})
	require.Equal(t, 1, concurrently(8, func(int) bool { return record(tick) }))
	id := uuid.New()
	tick.Result, tick.LateBy, tick.ExportID = exports.TickLate, 90*time.Minute, &id
	require.True(t, record(tick))
	require.False(t, record(tick))
	tick.ExpectedAt, tick.Result, tick.LateBy = at.AddDate(0, 1, 0), exports.TickOnTime, 0
	require.True(t, record(tick))
	var got []string
	for _, n := range o.notifications(t) {
		if n.Channel == "ops" {
			require.True(t, at.Equal(*n.Facts.ScheduledAt))
			require.Equal(t, "2026-10", n.Facts.Period)
			got = append(got, fmt.Sprint(n.Cause, " ", n.Facts.LateSeconds))
		}
	}
	require.Equal(t, []string{"missed 0", "late 5400"}, got)
}

// A failing period is notified once, and its end exactly once, whoever reports and
// however often.
func TestIncident(t *testing.T) {
	t.Parallel()
	o := newAudience(t, "main")
	require.False(t, o.report(t, notify.Recovered, 0), "nothing was failing")
	require.Equal(t, 1, concurrently(50, func(int) bool { return o.report(t, notify.Failing, 0) }))
	require.Equal(t, 1, concurrently(50, func(int) bool { return o.report(t, notify.Recovered, 0) }))
	require.False(t, o.report(t, notify.Recovered, 0))
	failing, _ := o.notificationsOf(t, notify.Failing)
	recovered, _ := o.notificationsOf(t, notify.Recovered)
	require.Equal(t, []int{1, 1}, []int{failing, recovered})
	require.Zero(t, o.notifications(t)[0].Suppressed, "the same incident again is nothing new")

	// Within the hour: nobody is notified, so nobody is notified of the end.
	require.False(t, o.report(t, notify.Failing, 0))
	require.Equal(t, 1, o.notifications(t)[0].Suppressed)
	require.False(t, o.report(t, notify.Recovered, 0))
	o.hourLater(t)
	require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	require.Len(t, o.notifications(t), 2)
}

// Refused credentials are notified once and so is their end; with a failing
// period of the same integration they end in one message.
func TestIncidentOfCredentials(t *testing.T) {
	t.Parallel()
	o := newAudience(t, "main", "crm")
	refused := func(n int) bool { return o.report(t, notify.Credentials, n) }
	require.True(t, refused(0))
	require.False(t, refused(0))
	require.True(t, o.report(t, notify.Failing, 0), "another cause")
	require.False(t, refused(1), "suppressed for the hour")
	require.True(t, o.report(t, notify.Recovered, 0))
	require.False(t, o.report(t, notify.Recovered, 0))
	n, of := o.notificationsOf(t, notify.Recovered)
	require.Equal(t, 1, n)
	require.Equal(t, []string{"main"}, of)

	o.hourLater(t)
	waiting, err := runlog.ListOrganizationsToNotify(t.Context(), o.worker)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{o.organization}, waiting)
	require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	n, of = o.notificationsOf(t, notify.Credentials)
	require.Equal(t, 2, n)
	require.Equal(t, []string{"main", "crm"}, of)
	list := o.notifications(t)
	require.Equal(t, classify.Unauthorized, list[len(list)-1].Facts.ErrorKind)
	require.True(t, o.report(t, notify.Recovered, 1))
	n, _ = o.notificationsOf(t, notify.Failing)
	require.Equal(t, 1, n)
}

// What came within the hour is notified when it is over, once, whoever looks.
func TestSuppressedIsNotified(t *testing.T) {
	t.Parallel()
	o := newAudience(t, "main", "crm", "erp")
	for _, n := range []int{0, 1, 2, 1} {
		o.report(t, notify.Missed, n)
	}
	require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	n, _ := o.notificationsOf(t, notify.Missed)
	require.Equal(t, 1, n, "not before the hour is over")
	o.hourLater(t)
	waiting, err := runlog.ListOrganizationsToNotify(t.Context(), o.worker)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{o.organization}, waiting)
	require.Equal(t, 0, concurrently(8, func(int) bool { return runlog.FlushSuppressed(t.Context(), o.worker, o.organization) != nil }))
	n, of := o.notificationsOf(t, notify.Missed)
	require.Equal(t, 2, n)
	require.Equal(t, []string{"main", "crm"}, of)
	list := o.notifications(t)
	require.Equal(t, &notify.Earlier{Count: 3, Integrations: []string{"crm", "erp"}}, list[len(list)-1].Facts.Earlier)
	o.hourLater(t)
	require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	n, _ = o.notificationsOf(t, notify.Missed)
	require.Equal(t, 2, n)
}

// The hour delays what is still true, and then one message has all of it.
func TestIncidentsOfSeveral(t *testing.T) {
	t.Parallel()
	o := newAudience(t, "main", "crm", "erp")
	require.True(t, o.report(t, notify.Failing, 0))
	require.False(t, o.report(t, notify.Failing, 1))
	require.False(t, o.report(t, notify.Failing, 2))
	require.Equal(t, []string{"crm", "erp"}, o.notifications(t)[0].OtherIntegrations)
	require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	require.Len(t, o.notifications(t), 1, "not before the hour is over")
	o.hourLater(t)
	require.Equal(t, 0, concurrently(8, func(int) bool { return runlog.FlushSuppressed(t.Context(), o.worker, o.organization) != nil }))
	n, of := o.notificationsOf(t, notify.Failing)
	require.Equal(t, 2, n)
	require.Equal(t, []string{"main", "crm", "erp"}, of)

	require.True(t, o.report(t, notify.Recovered, 0))
	require.False(t, o.report(t, notify.Recovered, 1), "suppressed for the hour")
	require.False(t, o.report(t, notify.Recovered, 2))
	require.False(t, o.report(t, notify.Failing, 2), "and taken back")
	o.hourLater(t)
	waiting, err := runlog.ListOrganizationsToNotify(t.Context(), o.worker)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{o.organization}, waiting)
	require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	n, of = o.notificationsOf(t, notify.Recovered)
	require.Equal(t, 2, n)
	require.Equal(t, []string{"main", "crm"}, of)
	o.hourLater(t)
	require.True(t, o.report(t, notify.Recovered, 2))
	n, of = o.notificationsOf(t, notify.Recovered)
	require.Equal(t, 3, n)
	require.Equal(t, []string{"main", "crm", "erp"}, of)
	require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	n, _ = o.notificationsOf(t, notify.Failing)
	require.Equal(t, 2, n)
}

// Beginnings and ends at once, many times: as many ends as beginnings, each once.
func TestIncidentStorm(t *testing.T) {
	t.Parallel()
	o := newAudience(t, "main", "crm")
	for range 5 {
		concurrently(24, func(i int) bool {
			if i%3 == 0 {
				return o.report(t, notify.Recovered, i%2)
			}
			return o.report(t, notify.Failing, i%2)
		})
		o.hourLater(t)
		require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	}
	for range 3 {
		o.report(t, notify.Recovered, 0)
		o.report(t, notify.Recovered, 1)
		o.hourLater(t)
		require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	}
	_, failing := o.notificationsOf(t, notify.Failing)
	_, recovered := o.notificationsOf(t, notify.Recovered)
	require.NotEmpty(t, failing)
	require.ElementsMatch(t, failing, recovered)
	var open int
	require.NoError(t, o.admin.QueryRow(t.Context(), "SELECT count(*) FROM ledgerline.incidents WHERE closed_at IS NULL OR opening_notification_id IS NOT NULL AND closing_notification_id IS NULL").Scan(&open))
	require.Zero(t, open)
}

// Two failed runs in a row are failing; a complete one ends it, and a vendor that
// answers again does not, if the latest run failed.
func TestLatestRuns(t *testing.T) {
	t.Parallel()
	o := newAudience(t, "main")
	exported := 1
	closing := notify.Event{Kind: notify.ExportClosed, OrganizationID: o.organization, IntegrationID: o.integrations[0]}
	runOf := func(trigger exports.Trigger, status exports.Status, code classify.Kind) bool {
		_, err := o.admin.Exec(t.Context(), `
			INSERT INTO ledgerline.bufdir_export_audit_log (organization_id, export_id, integration_id, adapter_name, period, period_start, period_end, idempotency_key,
			    trigger, triggered_by, started_at, finished_at, status, error_code, entries_total, entries_exported, workflow_id, run_id)
			VALUES ($1, gen_random_uuid(), $2, 'xledger', '2026-10', '2026-10-01', '2026-11-01', gen_random_uuid()::text, $6, 'test', clock_timestamp(), now(), $3, nullif($4, ''), $5, $5, 'x', gen_random_uuid())`,
			o.organization, o.integrations[0], status, code, exported, trigger)
		require.NoError(t, err)
		queued, err := runlog.ReportEvent(t.Context(), o.worker, closing)
		require.NoError(t, err)
		return queued
	}
	run := func(status exports.Status, code classify.Kind) bool { return runOf(exports.ByHand, status, code) }
	require.False(t, run(exports.Failed, classify.Unavailable), "one is not enough")
	require.False(t, run(exports.Complete, ""))
	require.False(t, run(exports.Failed, classify.Unavailable))
	require.False(t, run(exports.Failed, classify.Cancelled), "somebody stopped it")
	require.False(t, runOf(exports.ByAdopting, exports.Failed, classify.Unavailable), "nothing was sent")
	require.True(t, run(exports.Failed, classify.Unauthorized))
	require.False(t, run(exports.Failed, classify.Unauthorized))
	require.False(t, o.report(t, notify.Recovered, 0), "the vendor answers, and the latest run failed")
	exported = 0
	require.False(t, run(exports.Complete, ""), "of which the vendor took nothing")
	exported = 1
	require.True(t, run(exports.Complete, ""))
	require.False(t, run(exports.Complete, ""))
	first := o.notifications(t)[0]
	require.Equal(t, classify.Unauthorized, first.Facts.ErrorKind)
	require.Equal(t, "2026-10", first.Facts.Period)
	require.NotNil(t, first.Facts.ExportID)

	o.hourLater(t)
	require.True(t, o.report(t, notify.Failing, 0))
	require.False(t, run(exports.Failed, classify.Unavailable))
	require.False(t, run(exports.Failed, classify.Cancelled))
	require.False(t, o.report(t, notify.Recovered, 0))
	exported = 0
	require.False(t, run(exports.Complete, ""))
	require.True(t, o.report(t, notify.Recovered, 0), "the latest run did not fail")
}

func TestApplyChannels(t *testing.T) {
	t.Parallel()
	o := newAudience(t, "main")
	action := func(changes []runlog.ChannelChange) map[string]string {
		m := make(map[string]string)
		for _, c := range changes {
			m[c.Name] = string(c.Action)
		}
		return m
	}
	require.Equal(t, map[string]string{"ops": "unchanged", "finance": "removed"}, action(o.apply(t, hook("ops"))))
	moved := hook("ops")
	moved.Webhook.URL += "/y"
	changes := o.apply(t, moved, hook("finance"))
	require.Equal(t, map[string]string{"ops": "updated", "finance": "updated"}, action(changes), "removed ones come back, as what they are now")
	require.Equal(t, [][]integrations.FieldChange{
		{{Field: "webhook.url", Old: "https://hooks.example.com/x", New: "https://hooks.example.com/x/y"}},
		{{Field: "webhook.url", New: "https://hooks.example.com/x"}, {Field: "webhook.secret", New: "env:X"}},
	}, [][]integrations.FieldChange{changes[0].Changes, changes[1].Changes}, "a secret is a reference")
	list, err := runlog.ListChannels(t.Context(), o.reader, o.organization)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, integrations.Ref("env:X"), list[0].Webhook.Secret)
	require.Equal(t, map[string]string{"ops": "removed", "finance": "removed"}, action(o.apply(t)))
	require.True(t, o.report(t, notify.Missed, 0))
	require.Empty(t, o.notifications(t)[0].Channel, "on record, though nobody is notified")
	_, err = runlog.QueueTest(t.Context(), o.operator, o.organization, "")
	require.ErrorIs(t, err, runlog.ErrNoChannel)

	secret := hook("x")
	secret.Webhook.Secret = "whsec_verysecret"
	_, err = runlog.ApplyChannels(t.Context(), o.operator, map[uuid.UUID][]integrations.Channel{o.organization: {secret}}, "test", false)
	require.ErrorContains(t, err, "settings_hold_no_secret")
	_, err = runlog.ApplyChannels(t.Context(), o.worker, map[uuid.UUID][]integrations.Channel{o.organization: {hook("x")}}, "test", false)
	require.ErrorContains(t, err, "ledgerline_operator")
}

// A delivery ends once; one whose receiver is gone disables its channel, and a
// test that arrives enables it.
func TestRecordDelivery(t *testing.T) {
	t.Parallel()
	o := newAudience(t, "main")
	require.True(t, o.report(t, notify.Late, 0))
	toStart := func() (keys []notify.DeliveryKey) {
		t.Helper()
		list, err := runlog.ListDeliveriesToStart(t.Context(), o.worker, o.organization)
		require.NoError(t, err)
		for _, d := range list {
			want := [2]string{string(notify.Late), "main"}
			if d.Integration == "" {
				want = [2]string{string(notify.Test), ""}
			}
			require.Equal(t, want, [2]string{string(d.Cause), d.Integration})
			keys = append(keys, d.DeliveryKey)
		}
		return keys
	}
	keys := toStart()
	require.Len(t, keys, 1)
	require.NoError(t, runlog.MarkDeliveryStarted(t.Context(), o.worker, keys[0]))
	require.Empty(t, toStart())
	record := func(k notify.DeliveryKey, s notify.DeliveryStatus) {
		require.NoError(t, runlog.RecordDelivery(t.Context(), o.worker, k, s))
	}
	record(keys[0], notify.DeliveryStatus{State: notify.DeliveryPending, Attempts: 2, ErrorKind: classify.Unavailable, Status: 503})
	record(keys[0], notify.DeliveryStatus{State: notify.DeliveryFailed, Attempts: 3, ErrorKind: notify.Gone, Status: 410})
	record(keys[0], notify.DeliveryStatus{State: notify.Delivered, Attempts: 4})
	got := o.notifications(t)[0]
	require.Equal(t, notify.DeliveryStatus{State: notify.DeliveryFailed, Attempts: 3, ErrorKind: notify.Gone, Status: 410}, got.DeliveryStatus)

	d, err := runlog.LoadDelivery(t.Context(), o.worker, keys[0])
	require.NoError(t, err)
	require.NotNil(t, d.Channel.DisabledAt)
	require.Equal(t, "main", d.Message.Integration)
	o.hourLater(t)
	require.True(t, o.report(t, notify.Late, 0))
	list := o.notifications(t)
	require.Empty(t, list[len(list)-1].Channel, "a disabled channel is not used")
	_, err = runlog.QueueTest(t.Context(), o.operator, o.organization, "ops")
	require.NoError(t, err, "but can be tried")
	keys = toStart()
	record(keys[0], notify.DeliveryStatus{State: notify.Delivered, Attempts: 1})
	channels, err := runlog.ListChannels(t.Context(), o.reader, o.organization)
	require.NoError(t, err)
	require.Nil(t, channels[1].DisabledAt)
	_, err = runlog.LoadDelivery(t.Context(), o.worker, notify.DeliveryKey{OrganizationID: uuid.New(), NotificationID: keys[0].NotificationID, Channel: "ops"})
	require.ErrorIs(t, err, runlog.ErrNotFound, "another organization cannot see it")
}

// A message names its export as a command finds it: by the beginning of the ID where a period
// leads elsewhere, or an integration is no longer found by its name.
func TestDeliveryNamesItsExport(t *testing.T) {
	t.Parallel()
	o := newAudience(t, "main")
	claim := func(trigger exports.Trigger, parent *uuid.UUID) uuid.UUID {
		t.Helper()
		start, end, err := exports.ParsePeriod("2026-10")
		require.NoError(t, err)
		e, mine, err := runlog.ClaimExport(t.Context(), o.worker, exports.Export{
			OrganizationID: o.organization, ID: uuid.New(), IntegrationID: o.integrations[0], AdapterName: "xledger", Period: "2026-10", PeriodStart: start, PeriodEnd: end,
			Trigger: trigger, TriggeredBy: "test", StartedAt: time.Now(), WorkflowID: "w", RunID: uuid.New(), ParentID: parent,
		})
		require.NoError(t, err)
		require.True(t, mine)
		return e.ID
	}
	named := func(export uuid.UUID) string {
		t.Helper()
		o.hourLater(t)
		e := o.event(notify.Late, 0)
		e.Facts.ExportID, e.Facts.Period = &export, "2026-10"
		queued, err := runlog.ReportEvent(t.Context(), o.worker, e)
		require.NoError(t, err)
		require.True(t, queued)
		list, err := runlog.ListDeliveriesToStart(t.Context(), o.worker, o.organization)
		require.NoError(t, err)
		d, err := runlog.LoadDelivery(t.Context(), o.worker, list[len(list)-1].DeliveryKey)
		require.NoError(t, err)
		require.NoError(t, runlog.RecordDelivery(t.Context(), o.worker, list[len(list)-1].DeliveryKey, notify.DeliveryStatus{State: notify.Delivered, Attempts: 1}))
		return d.Message.Export
	}
	one := claim(exports.ByHand, nil)
	retry := claim(exports.ByRetry, &one)
	require.Equal(t, "2026-10 --integration main", named(one))
	require.Equal(t, "2026-10 --integration main", named(retry))
	adoption := claim(exports.ByAdopting, nil)
	require.Equal(t, adoption.String()[:8], named(adoption))
	require.Equal(t, retry.String()[:8], named(retry), "it can be a retry of the adoption")
	_, err := o.admin.Exec(t.Context(), "UPDATE ledgerline.integrations SET removed_at = now(), removed_by = 'test' WHERE integration_id = $1", o.integrations[0])
	require.NoError(t, err)
	require.Empty(t, named(one))
}
