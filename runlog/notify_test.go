package runlog_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
)

// teller is an organization with integrations and channels.
type teller struct {
	base
	organization uuid.UUID
	integrations []uuid.UUID
}

func newTeller(t *testing.T, names ...string) teller {
	t.Helper()
	o := teller{base: newBase(t), organization: uuid.New()}
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

func hook(name string) integrations.Channel {
	return integrations.Channel{Name: name, Webhook: &integrations.Webhook{URL: "https://hooks.example.com/x", Secret: "env:X"}}
}

func (o teller) apply(t *testing.T, list ...integrations.Channel) []runlog.ChannelChange {
	t.Helper()
	changes, err := runlog.ApplyChannels(t.Context(), o.operator, map[uuid.UUID][]integrations.Channel{o.organization: list}, "test", false)
	require.NoError(t, err)
	return changes
}

func (o teller) in(t *testing.T, f func(context.Context, pgx.Tx) (bool, error)) (queued bool) {
	require.NoError(t, runlog.InOrganization(t.Context(), o.worker, o.organization, func(tx pgx.Tx) (err error) {
		queued, err = f(t.Context(), tx)
		return err
	}))
	return queued
}

func (o teller) fail(t *testing.T, n int) bool {
	return o.in(t, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		return runlog.OpenIncident(ctx, tx, runlog.Notification{OrganizationID: o.organization, IntegrationID: o.integrations[n], Facts: notify.Facts{ErrorKind: classify.Unavailable}})
	})
}

func (o teller) recover(t *testing.T, n int) bool {
	return o.in(t, func(ctx context.Context, tx pgx.Tx) (bool, error) {
		return runlog.CloseIncidents(ctx, tx, o.organization, o.integrations[n])
	})
}

func (o teller) notify(t *testing.T, cause notify.Cause, n int) bool {
	queued, err := runlog.QueueNotification(t.Context(), o.worker, runlog.Notification{OrganizationID: o.organization, IntegrationID: o.integrations[n], Cause: cause})
	require.NoError(t, err)
	return queued
}

// hourLater makes the hour of every cause pass.
func (o teller) hourLater(t *testing.T) {
	for _, sql := range []string{
		"UPDATE ledgerline.notification_windows SET opened_at = opened_at - interval '1 hour'",
		"UPDATE ledgerline.notifications SET queued_at = queued_at - interval '1 hour'",
	} {
		_, err := o.admin.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
}

func (o teller) told(t *testing.T) []runlog.NotificationRecord {
	list, err := runlog.ListNotifications(t.Context(), o.reader, o.organization, time.Time{}, uuid.Nil)
	require.NoError(t, err)
	return list
}

// toldOf counts the notifications of a cause; each integration that one is of
// or names is in the list.
func (o teller) toldOf(t *testing.T, cause notify.Cause) (n int, of []string) {
	seen := make(map[uuid.UUID]bool)
	for _, told := range o.told(t) {
		if told.Cause == cause && !seen[told.NotificationID] {
			seen[told.NotificationID] = true
			n++
			of = append(append(of, told.Integration), told.Facts.Others...)
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
	o := newTeller(t, "main", "crm", "erp")
	require.Equal(t, 1, concurrently(50, func(i int) bool { return o.notify(t, notify.Missed, i%3) }))
	list := o.told(t)
	require.Len(t, list, 2, "one for each channel that wants it")
	require.Equal(t, 49, list[0].Suppressed)
	require.Subset(t, []string{"main", "crm", "erp"}, list[0].Also)
	require.GreaterOrEqual(t, len(list[0].Also), 2)
	require.True(t, o.notify(t, notify.Late, 0), "another cause has an hour of its own")
	require.Len(t, o.told(t), 3, "and is not what finance wants")

	other := newTeller(t, "main")
	require.True(t, other.notify(t, notify.Missed, 0), "another organization too")

	o.hourLater(t)
	require.True(t, o.notify(t, notify.Missed, 0))
	list = o.told(t)
	require.Equal(t, 49, list[len(list)-1].Facts.Earlier.Count)
	o.hourLater(t)
	require.True(t, o.notify(t, notify.Missed, 0))
	list = o.told(t)
	require.Nil(t, list[len(list)-1].Facts.Earlier, "repeated once")
}

// What is rolled back is not told, and does not take the hour.
func TestNotifyIsPartOfTheTransaction(t *testing.T) {
	t.Parallel()
	o := newTeller(t, "main")
	err := runlog.InOrganization(t.Context(), o.worker, o.organization, func(tx pgx.Tx) error {
		queued, err := runlog.Notify(t.Context(), tx, runlog.Notification{OrganizationID: o.organization, IntegrationID: o.integrations[0], Cause: notify.Missed})
		require.True(t, queued)
		require.NoError(t, err)
		return context.Canceled
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, o.told(t))
	require.True(t, o.notify(t, notify.Missed, 0))
	_, err = runlog.QueueNotification(t.Context(), o.worker, runlog.Notification{OrganizationID: o.organization, IntegrationID: uuid.New(), Cause: notify.Late})
	require.Error(t, err, "the foreign key refuses another's integration")
	for _, cause := range []notify.Cause{notify.Failing, notify.Credentials, notify.Recovered, notify.Test, "x"} {
		_, err = runlog.QueueNotification(t.Context(), o.worker, runlog.Notification{OrganizationID: o.organization, IntegrationID: o.integrations[0], Cause: cause})
		require.Error(t, err)
	}
}

// A failing period is told of once, and its end exactly once, whoever calls and
// however often.
func TestIncident(t *testing.T) {
	t.Parallel()
	o := newTeller(t, "main")
	require.False(t, o.recover(t, 0), "nothing was failing")
	require.Equal(t, 1, concurrently(50, func(int) bool { return o.fail(t, 0) }))
	require.Equal(t, 1, concurrently(50, func(int) bool { return o.recover(t, 0) }))
	require.False(t, o.recover(t, 0))
	failing, _ := o.toldOf(t, notify.Failing)
	recovered, _ := o.toldOf(t, notify.Recovered)
	require.Equal(t, []int{1, 1}, []int{failing, recovered})
	require.Zero(t, o.told(t)[0].Suppressed, "the same incident again is nothing new")

	// Within the hour: nobody is told, so nobody hears of the end.
	require.False(t, o.fail(t, 0))
	require.Equal(t, 1, o.told(t)[0].Suppressed)
	require.False(t, o.recover(t, 0))
	o.hourLater(t)
	require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	require.Len(t, o.told(t), 2)
}

// Refused credentials are told of once and so is their end; with a failing
// period of the same integration they end in one message.
func TestIncidentOfCredentials(t *testing.T) {
	t.Parallel()
	o := newTeller(t, "main", "crm")
	refused := func(n int) bool {
		return o.in(t, func(ctx context.Context, tx pgx.Tx) (bool, error) {
			return runlog.OpenIncident(ctx, tx, runlog.Notification{OrganizationID: o.organization, IntegrationID: o.integrations[n], Cause: notify.Credentials,
				Facts: notify.Facts{ErrorKind: classify.Unauthorized}})
		})
	}
	require.True(t, refused(0))
	require.False(t, refused(0))
	require.True(t, o.fail(t, 0), "another cause")
	require.False(t, refused(1), "kept for the hour")
	require.True(t, o.recover(t, 0))
	require.False(t, o.recover(t, 0))
	n, of := o.toldOf(t, notify.Recovered)
	require.Equal(t, 1, n)
	require.Equal(t, []string{"main"}, of)

	o.hourLater(t)
	waiting, err := runlog.ListOrganizationsToNotify(t.Context(), o.worker)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{o.organization}, waiting)
	require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	n, of = o.toldOf(t, notify.Credentials)
	require.Equal(t, 2, n)
	require.Equal(t, []string{"main", "crm"}, of)
	list := o.told(t)
	require.Equal(t, classify.Unauthorized, list[len(list)-1].Facts.ErrorKind)
	require.True(t, o.recover(t, 1))
	n, _ = o.toldOf(t, notify.Failing)
	require.Equal(t, 1, n)
	for _, cause := range []notify.Cause{notify.Recovered, notify.Missed} {
		err := runlog.InOrganization(t.Context(), o.worker, o.organization, func(tx pgx.Tx) error {
			_, err := runlog.OpenIncident(t.Context(), tx, runlog.Notification{OrganizationID: o.organization, IntegrationID: o.integrations[0], Cause: cause})
			return err
		})
		require.Error(t, err, cause)
	}
}

// What came within the hour is told when it is over, once, whoever looks.
func TestSuppressedIsTold(t *testing.T) {
	t.Parallel()
	o := newTeller(t, "main", "crm", "erp")
	for _, n := range []int{0, 1, 2, 1} {
		o.notify(t, notify.Missed, n)
	}
	require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	n, _ := o.toldOf(t, notify.Missed)
	require.Equal(t, 1, n, "not before the hour is over")
	o.hourLater(t)
	waiting, err := runlog.ListOrganizationsToNotify(t.Context(), o.worker)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{o.organization}, waiting)
	require.Equal(t, 0, concurrently(8, func(int) bool { return runlog.FlushSuppressed(t.Context(), o.worker, o.organization) != nil }))
	n, of := o.toldOf(t, notify.Missed)
	require.Equal(t, 2, n)
	require.Equal(t, []string{"main", "crm"}, of)
	list := o.told(t)
	require.Equal(t, &notify.Earlier{Count: 3, Integrations: []string{"crm", "erp"}}, list[len(list)-1].Facts.Earlier)
	o.hourLater(t)
	require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	n, _ = o.toldOf(t, notify.Missed)
	require.Equal(t, 2, n)
}

// The hour delays what is still true, and then one message tells all of it.
func TestIncidentsOfSeveral(t *testing.T) {
	t.Parallel()
	o := newTeller(t, "main", "crm", "erp")
	require.True(t, o.fail(t, 0))
	require.False(t, o.fail(t, 1))
	require.False(t, o.fail(t, 2))
	require.Equal(t, []string{"crm", "erp"}, o.told(t)[0].Also)
	require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	require.Len(t, o.told(t), 1, "not before the hour is over")
	o.hourLater(t)
	require.Equal(t, 0, concurrently(8, func(int) bool { return runlog.FlushSuppressed(t.Context(), o.worker, o.organization) != nil }))
	n, of := o.toldOf(t, notify.Failing)
	require.Equal(t, 2, n)
	require.Equal(t, []string{"main", "crm", "erp"}, of)

	require.True(t, o.recover(t, 0))
	require.False(t, o.recover(t, 1), "kept for the hour")
	require.False(t, o.recover(t, 2))
	require.False(t, o.fail(t, 2), "and taken back")
	o.hourLater(t)
	waiting, err := runlog.ListOrganizationsToNotify(t.Context(), o.worker)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{o.organization}, waiting)
	require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	n, of = o.toldOf(t, notify.Recovered)
	require.Equal(t, 2, n)
	require.Equal(t, []string{"main", "crm"}, of)
	o.hourLater(t)
	require.True(t, o.recover(t, 2))
	n, of = o.toldOf(t, notify.Recovered)
	require.Equal(t, 3, n)
	require.Equal(t, []string{"main", "crm", "erp"}, of)
	require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	n, _ = o.toldOf(t, notify.Failing)
	require.Equal(t, 2, n)
}

// Fail and Recover at once, many times: as many ends as beginnings, each once.
func TestIncidentStorm(t *testing.T) {
	t.Parallel()
	o := newTeller(t, "main", "crm")
	for range 5 {
		concurrently(24, func(i int) bool {
			if i%3 == 0 {
				return o.recover(t, i%2)
			}
			return o.fail(t, i%2)
		})
		o.hourLater(t)
		require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	}
	for range 3 {
		o.recover(t, 0)
		o.recover(t, 1)
		o.hourLater(t)
		require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	}
	_, failing := o.toldOf(t, notify.Failing)
	_, recovered := o.toldOf(t, notify.Recovered)
	require.NotEmpty(t, failing)
	require.ElementsMatch(t, failing, recovered)
	var open int
	require.NoError(t, o.admin.QueryRow(t.Context(), "SELECT count(*) FROM ledgerline.incidents WHERE closed_at IS NULL OR failing_id IS NOT NULL AND recovered_id IS NULL").Scan(&open))
	require.Zero(t, open)
}

// Two failed runs in a row are failing; a complete one ends it.
func TestRunEnded(t *testing.T) {
	t.Parallel()
	o := newTeller(t, "main")
	exported := 1
	run := func(status, code string) bool {
		_, err := o.admin.Exec(t.Context(), `
			INSERT INTO ledgerline.bufdir_export_audit_log (organization_id, export_id, integration_id, adapter_name, period, period_start, period_end, idempotency_key,
			    trigger, triggered_by, started_at, finished_at, status, error_code, entries_total, entries_exported, workflow_id, run_id)
			VALUES ($1, gen_random_uuid(), $2, 'xledger', '2026-10', '2026-10-01', '2026-11-01', gen_random_uuid()::text, 'manual', 'test', clock_timestamp(), now(), $3, nullif($4, ''), $5, $5, 'x', gen_random_uuid())`,
			o.organization, o.integrations[0], status, code, exported)
		require.NoError(t, err)
		return o.in(t, func(ctx context.Context, tx pgx.Tx) (bool, error) {
			return runlog.UpdateIncidents(ctx, tx, o.organization, o.integrations[0])
		})
	}
	require.False(t, run("failed", "unavailable"), "one is not enough")
	require.False(t, run("complete", ""))
	require.False(t, run("failed", "unavailable"))
	require.False(t, run("failed", "cancelled"), "somebody stopped it")
	require.True(t, run("failed", "unauthorized"))
	require.False(t, run("failed", "unauthorized"))
	exported = 0
	require.False(t, run("complete", ""), "of which the vendor took nothing")
	exported = 1
	require.True(t, run("complete", ""))
	require.False(t, run("complete", ""))
	require.Equal(t, classify.Unauthorized, o.told(t)[0].Facts.ErrorKind)
}

func TestApplyChannels(t *testing.T) {
	t.Parallel()
	o := newTeller(t, "main")
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
	require.Equal(t, map[string]string{"ops": "updated", "finance": "updated"}, action(o.apply(t, moved, hook("finance"))), "removed ones come back, as what they are now")
	list, err := runlog.ListChannels(t.Context(), o.reader, o.organization)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, integrations.Ref("env:X"), list[0].Webhook.Secret)
	require.Equal(t, map[string]string{"ops": "removed", "finance": "removed"}, action(o.apply(t)))
	require.True(t, o.notify(t, notify.Missed, 0))
	require.Empty(t, o.told(t)[0].Channel, "on record, though nobody is told")
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
	o := newTeller(t, "main")
	require.True(t, o.notify(t, notify.Late, 0))
	keys, err := runlog.ListDeliveriesToStart(t.Context(), o.worker, o.organization)
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.NoError(t, runlog.MarkDeliveryStarted(t.Context(), o.worker, keys[0]))
	again, err := runlog.ListDeliveriesToStart(t.Context(), o.worker, o.organization)
	require.NoError(t, err)
	require.Empty(t, again)
	record := func(k notify.DeliveryKey, s notify.DeliveryStatus) {
		require.NoError(t, runlog.RecordDelivery(t.Context(), o.worker, k, s))
	}
	record(keys[0], notify.DeliveryStatus{State: notify.DeliveryPending, Attempts: 2, ErrorKind: classify.Unavailable, Status: 503})
	record(keys[0], notify.DeliveryStatus{State: notify.DeliveryFailed, Attempts: 3, ErrorKind: notify.Gone, Status: 410})
	record(keys[0], notify.DeliveryStatus{State: notify.Delivered, Attempts: 4})
	got := o.told(t)[0]
	require.Equal(t, notify.DeliveryStatus{State: notify.DeliveryFailed, Attempts: 3, ErrorKind: notify.Gone, Status: 410}, got.DeliveryStatus)

	d, err := runlog.LoadDelivery(t.Context(), o.worker, keys[0])
	require.NoError(t, err)
	require.NotNil(t, d.Channel.DisabledAt)
	require.Equal(t, "main", d.Message.Integration)
	o.hourLater(t)
	require.True(t, o.notify(t, notify.Late, 0))
	list := o.told(t)
	require.Empty(t, list[len(list)-1].Channel, "a disabled channel is not used")
	_, err = runlog.QueueTest(t.Context(), o.operator, o.organization, "ops")
	require.NoError(t, err, "but can be tried")
	keys, err = runlog.ListDeliveriesToStart(t.Context(), o.worker, o.organization)
	require.NoError(t, err)
	record(keys[0], notify.DeliveryStatus{State: notify.Delivered, Attempts: 1})
	channels, err := runlog.ListChannels(t.Context(), o.reader, o.organization)
	require.NoError(t, err)
	require.Nil(t, channels[1].DisabledAt)
	_, err = runlog.LoadDelivery(t.Context(), o.worker, notify.DeliveryKey{OrganizationID: uuid.New(), NotificationID: keys[0].NotificationID, Channel: "ops"})
	require.ErrorIs(t, err, runlog.ErrNotFound, "another organization cannot see it")
}
