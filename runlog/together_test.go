package runlog_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
)

// another is a second integration of the books' organization.
func (b books) another(name string) books {
	b.t.Helper()
	other := b
	other.spec.ID, other.spec.Name = uuid.New(), name
	_, err := runlog.ApplyIntegrations(b.t.Context(), b.operator, []integrations.Integration{b.spec, other.spec}, runlog.ApplyOptions{By: "test"})
	require.NoError(b.t, err)
	return other
}

// exportsNotified are "integration period" of the notifications of a cause. Each is of one
// export alone: it names no others, and nothing is counted on it.
func (b books) exportsNotified(cause notify.Cause) (list []string) {
	b.t.Helper()
	all, err := runlog.ListNotifications(b.t.Context(), b.reader, b.org, time.Time{}, uuid.Nil)
	require.NoError(b.t, err)
	for _, n := range all {
		if n.Cause != cause {
			continue
		}
		require.NotNil(b.t, n.Facts.ExportID)
		require.Empty(b.t, n.Facts.Others)
		require.Zero(b.t, n.Suppressed)
		list = append(list, n.Integration+" "+n.Facts.Period)
	}
	return list
}

// Scheduled exports that fail together are notified at once, each by itself with its own
// integration, period and error, and so are their ends.
func TestExportsFailTogether(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	crm := b.another("crm")
	o := b.audience()
	periods := []string{"2026-07", "2026-08", "2026-09"}
	var failed, recovered []string
	for _, period := range periods {
		b.fail(b.claimScheduled(period))
		refused := crm.claimScheduled(period)
		refused.ErrorClass, refused.ErrorCode = classify.Permanent, classify.Forbidden
		crm.close(refused)
		failed = append(failed, "x "+period, "crm "+period)
		require.ElementsMatch(t, failed, b.exportsNotified(notify.ExportFailed), "at once")
	}
	all, err := runlog.ListNotifications(t.Context(), b.reader, b.org, time.Time{}, uuid.Nil)
	require.NoError(t, err)
	for _, n := range all {
		if n.Cause == notify.ExportFailed {
			require.Equal(t, map[string]classify.Kind{"x": classify.Unavailable, "crm": classify.Forbidden}[n.Integration], n.Facts.ErrorKind)
		}
	}
	nothingIsLeft := func() {
		t.Helper()
		list, err := runlog.ListOrganizationsToNotify(t.Context(), b.worker)
		require.NoError(t, err)
		require.Empty(t, onlyStarted(t, b, list))
	}
	nothingIsLeft()
	for _, in := range []books{crm, b} {
		in.close(in.claim("2026-10", nil))
		for _, period := range periods {
			recovered = append(recovered, in.spec.Name+" "+period)
		}
		require.ElementsMatch(t, recovered, b.exportsNotified(notify.ExportRecovered), "at once")
	}
	nothingIsLeft()
	o.hourLater(t)
	require.NoError(t, runlog.FlushSuppressed(t.Context(), b.worker, b.org))
	require.ElementsMatch(t, failed, b.exportsNotified(notify.ExportFailed))
	require.ElementsMatch(t, recovered, b.exportsNotified(notify.ExportRecovered))
	require.Empty(t, b.openSubjects())
}

// What fails and is done again within the hour is notified, beginning and end, and so is
// the next one within the same hour. The same export fails once, whatever is tried.
func TestExportFailsAndRecoversWithinTheHour(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	var want []string
	for _, period := range []string{"2026-07", "2026-08"} {
		e := b.claimScheduled(period)
		b.fail(e)
		want = append(want, "x "+period)
		require.Equal(t, want, b.exportsNotified(notify.ExportFailed))

		b.fail(e)
		_, owned := b.claimBy(exports.BySchedule, period)
		require.False(t, owned, "a schedule that is triggered again has nothing to export")
		retry := b.claim(period, &e.ID)
		b.fail(retry)
		require.Equal(t, want, b.exportsNotified(notify.ExportFailed), "a retry that fails was started by a person")

		b.close(b.claim(period, &retry.ID))
		require.Equal(t, want, b.exportsNotified(notify.ExportRecovered))
		b.fail(e)
		require.Equal(t, want, b.exportsNotified(notify.ExportFailed))
	}
	require.Empty(t, b.openSubjects())
}

// The vendor of 20 integrations is away on the first of the month: 20 exports fail, and
// each is notified once. So is each end, also where one run ends more than are queued in
// one transaction.
func TestManyExportsFail(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	list := []books{b}
	var of []string
	for range 19 {
		list = append(list, b.another("i"+uuid.NewString()[:8]))
	}
	for _, in := range list {
		of = append(of, in.spec.Name+" 2026-10")
	}
	require.Equal(t, 20, concurrently(20, func(i int) bool {
		list[i].fail(list[i].claimScheduled("2026-10"))
		return true
	}))
	require.ElementsMatch(t, of, b.exportsNotified(notify.ExportFailed))

	months := []string{"x 2026-10"}
	for n := range 24 {
		period := time.Date(2024, time.Month(10+n), 1, 0, 0, 0, 0, time.UTC).Format("2006-01")
		b.fail(b.claimScheduled(period))
		months = append(months, "x "+period)
	}
	b.close(b.claim("2026-11", nil))
	waiting, err := runlog.ListOrganizationsToNotify(t.Context(), b.worker)
	require.NoError(t, err)
	require.Contains(t, waiting, b.org, "without an hour between")
	require.Zero(t, concurrently(8, func(int) bool { return runlog.FlushSuppressed(t.Context(), b.worker, b.org) != nil }))
	require.ElementsMatch(t, months, b.exportsNotified(notify.ExportRecovered))
	waiting, err = runlog.ListOrganizationsToNotify(t.Context(), b.worker)
	require.NoError(t, err)
	require.NotContains(t, waiting, b.org)
}

// A backfill is somebody's, who watches it: however many of its periods fail, the hour of
// the causes that concern the integration bounds what is notified.
func TestBackfillFails(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	for n := range 24 {
		period := time.Date(2024, time.Month(10+n), 1, 0, 0, 0, 0, time.UTC).Format("2006-01")
		b.lines(period+"/1 "+period+" "+period+"-02 3000 1", period+"/2 "+period+" "+period+"-02 1500 -1")
		e, _ := b.claimBy(exports.ByBackfill, period)
		b.plan(e, integrations.ExportSettings{}, 500)
		b.fail(e)
	}
	require.Equal(t, []string{"unsent 2024-10", "failing 2024-11"}, b.notifications())
}

// What a worker of an older version has left for the hour is notified by one of this
// version each by itself, and the hour that it keeps delays nothing here.
func TestHourOfAnOlderWorker(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	o := b.audience()
	b.fail(b.claimScheduled("2026-06"))
	var first uuid.UUID
	require.NoError(t, b.admin.QueryRow(t.Context(), `SELECT notification_id FROM ledgerline.notifications WHERE cause = 'export_failed'`).Scan(&first))
	left := func(period string) {
		t.Helper()
		_, err := b.admin.Exec(t.Context(), `
			INSERT INTO ledgerline.subject_incidents (organization_id, incident_id, integration_id, cause, subject, facts, opened_at)
			SELECT $1, gen_random_uuid(), $2, 'export_failed', $3::text, jsonb_build_object('exportId', $3::text, 'period', $4::text), now()`, b.org, b.spec.ID, uuid.NewString(), period)
		require.NoError(t, err)
	}
	_, err := b.admin.Exec(t.Context(), `INSERT INTO ledgerline.notification_windows (organization_id, cause, opened_at, notification_id) VALUES ($1, 'export_failed', now(), $2)`, b.org, first)
	require.NoError(t, err)
	left("2026-07")
	b.fail(b.claimScheduled("2026-08"))
	require.ElementsMatch(t, []string{"x 2026-06", "x 2026-07", "x 2026-08"}, b.exportsNotified(notify.ExportFailed))
	left("2026-09")
	left("2026-10")
	o.hourLater(t)
	waiting, err := runlog.ListOrganizationsToNotify(t.Context(), b.worker)
	require.NoError(t, err)
	require.Contains(t, waiting, b.org)
	require.NoError(t, runlog.FlushSuppressed(t.Context(), b.worker, b.org))
	require.ElementsMatch(t, []string{"x 2026-06", "x 2026-07", "x 2026-08", "x 2026-09", "x 2026-10"}, b.exportsNotified(notify.ExportFailed))
}

// Exports that are overdue together are notified each with what it waits for, and each end
// at once. The same one is not notified twice within an hour, however often somebody wants
// to be reminded.
func TestOverdueTogether(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	list := map[notify.WaitReason]exports.Export{notify.ForProgress: b.claimScheduled("2026-09"), notify.ForVendor: b.claimScheduled("2026-10")}
	report := func() {
		t.Helper()
		for reason, e := range list {
			_, err := runlog.ReportEvent(t.Context(), b.worker, notify.Event{
				Kind: notify.ExportPending, OrganizationID: b.org, IntegrationID: b.spec.ID, PendingFor: 2 * time.Hour, Limit: time.Hour, RemindAfter: time.Millisecond,
				Facts: notify.Facts{Period: e.Period, ExportID: &e.ID, Waiting: &notify.Waiting{For: reason}},
			})
			require.NoError(t, err)
		}
	}
	report()
	report()
	require.ElementsMatch(t, []string{"x 2026-09", "x 2026-10"}, b.exportsNotified(notify.ExportOverdue))
	_, err := b.admin.Exec(t.Context(), `UPDATE ledgerline.subject_incidents SET notified_at = notified_at - interval '1 hour'`)
	require.NoError(t, err)
	report()
	report()
	require.ElementsMatch(t, []string{"x 2026-09", "x 2026-10", "x 2026-09", "x 2026-10"}, b.exportsNotified(notify.ExportOverdue))
	all, err := runlog.ListNotifications(t.Context(), b.reader, b.org, time.Time{}, uuid.Nil)
	require.NoError(t, err)
	for _, n := range all {
		require.Equal(t, list[n.Facts.Waiting.For].ID, *n.Facts.ExportID)
	}
	for _, e := range list {
		b.close(e)
	}
	require.ElementsMatch(t, []string{"x 2026-09", "x 2026-10"}, b.exportsNotified(notify.ExportEnded))
	require.Empty(t, b.openSubjects())
}
