package runlog_test

import (
	"encoding/json"
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

// claimScheduled is claim for an export that a schedule started.
func (b books) claimScheduled(period string) exports.Export {
	b.t.Helper()
	e, owned := b.claimBy(exports.BySchedule, period)
	require.True(b.t, owned)
	return e
}

// claimBy claims a period at a time of a schedule.
func (b books) claimBy(trigger exports.Trigger, period string) (e exports.Export, owned bool) {
	b.t.Helper()
	start, end, err := exports.ParsePeriod(period)
	require.NoError(b.t, err)
	now := time.Now()
	e, owned, err = runlog.ClaimExport(b.t.Context(), b.worker, exports.Export{
		OrganizationID: b.org, ID: uuid.New(), IntegrationID: b.spec.ID, AdapterName: "xledger", Period: period, PeriodStart: start, PeriodEnd: end,
		Trigger: trigger, TriggeredBy: "schedule", StartedAt: now, ScheduledAt: &now, WorkflowID: "w", RunID: uuid.New(),
	})
	require.NoError(b.t, err)
	return e, owned
}

// fail closes an export that its vendor could not be reached for.
func (b books) fail(e exports.Export) exports.Export {
	e.ErrorClass, e.ErrorCode = classify.Transient, classify.Unavailable
	return b.close(e)
}

// notifications are "cause period" of what people were notified of, oldest first.
func (b books) notifications() (list []string) {
	b.t.Helper()
	all, err := runlog.ListNotifications(b.t.Context(), b.reader, b.org, time.Time{}, uuid.Nil)
	require.NoError(b.t, err)
	for _, n := range all {
		list = append(list, string(n.Cause)+" "+n.Facts.Period)
	}
	return list
}

// audience is the books' organization as one that is notified.
func (b books) audience() audience {
	return audience{base: b.base, organization: b.org, integrations: []uuid.UUID{b.spec.ID}}
}

// Each scheduled export that fails is notified at once, also while an earlier one is not
// done, and its end once nothing of it is left: neither a run that did something else nor a
// retry that is under way or fails ends it.
func TestScheduledExportFails(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	o := b.audience()
	later := func() {
		o.hourLater(t)
		require.NoError(t, runlog.FlushSuppressed(t.Context(), b.worker, b.org))
	}
	b.lines("a1 a 2026-10-02 3000 1", "a2 a 2026-10-02 1500 -1")
	october := b.claimScheduled("2026-10")
	b.plan(october, integrations.ExportSettings{}, 500)
	b.fail(october)
	require.Equal(t, []string{"export_failed 2026-10"}, b.notifications(), "at once, and as one notification")
	first, err := runlog.ListNotifications(t.Context(), b.reader, b.org, time.Time{}, uuid.Nil)
	require.NoError(t, err)
	require.Equal(t, october.ID, *first[0].Facts.ExportID)
	require.Equal(t, classify.Unavailable, first[0].Facts.ErrorKind)
	require.Equal(t, 2, first[0].Facts.Entries.Unsent)
	b.fail(october)
	later()
	require.Len(t, b.notifications(), 1, "closing again is no news")

	november := b.claimScheduled("2026-11")
	b.fail(november)
	require.ElementsMatch(t, []string{"export_failed 2026-10", "failing 2026-11", "export_failed 2026-11"}, b.notifications())

	december := b.claim("2026-12", nil)
	b.lines("c1 c 2026-12-02 3000 1", "c2 c 2026-12-02 1500 -1")
	b.plan(december, integrations.ExportSettings{}, 500)
	b.export(december)
	b.close(december)
	got := b.notifications()
	require.ElementsMatch(t, []string{"recovered ", "export_recovered 2026-11"}, got[3:], "nothing was left of November, and something is of October")

	later()
	retry := b.claim("2026-10", &october.ID)
	b.plan(retry, integrations.ExportSettings{}, 500)
	b.close(b.claim("2027-01", nil))
	b.fail(retry)
	got = append(got, "unsent 2026-10") // of the retry, which somebody started
	require.Equal(t, got, b.notifications(), "a retry that was under way when another run was complete, and then failed")
	again := b.claim("2026-10", &retry.ID)
	b.plan(again, integrations.ExportSettings{}, 500)
	b.export(again)
	b.close(again)
	require.Equal(t, []string{"export_recovered 2026-10"}, b.notifications()[len(got):])
	b.close(b.claim("2027-02", nil))
	later()
	require.Len(t, b.notifications(), len(got)+1, "an end comes once")
	require.Empty(t, b.openSubjects())
}

// openSubjects are the causes of incidents of subjects that people may still be notified of.
func (b books) openSubjects() (list []string) {
	b.t.Helper()
	rows, err := b.admin.Query(b.t.Context(), `SELECT cause FROM ledgerline.subject_incidents WHERE closed_at IS NULL OR opening_notification_id IS NOT NULL AND closing_notification_id IS NULL`)
	require.NoError(b.t, err)
	for rows.Next() {
		var cause string
		require.NoError(b.t, rows.Scan(&cause))
		list = append(list, cause)
	}
	require.NoError(b.t, rows.Err())
	return list
}

// export marks the planned entries of an export as exported.
func (b books) export(e exports.Export) {
	b.t.Helper()
	s := sending(1)
	var ids []string
	require.NoError(b.t, b.admin.QueryRow(b.t.Context(), `SELECT array_agg(entry_id ORDER BY entry_id) FROM ledgerline.export_entries WHERE export_id = $1`, e.ID).Scan(&ids))
	_, err := runlog.MarkChunk(b.t.Context(), b.worker, e.Owner(), ids, s, time.Minute, runlog.InFlight{})
	require.NoError(b.t, err)
	require.NoError(b.t, runlog.RecordSend(b.t.Context(), b.worker, e.Owner(), ids, s, classify.Done, true, nil))
}

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

// onlyStarted leaves out an organization whose deliveries are to be started.
func onlyStarted(t *testing.T, b books, list []uuid.UUID) (other []uuid.UUID) {
	t.Helper()
	for _, id := range list {
		keys, err := runlog.ListDeliveriesToStart(t.Context(), b.worker, id)
		require.NoError(t, err)
		if len(keys) == 0 {
			other = append(other, id)
		}
	}
	return other
}

// A workflow that is stuck is notified once, however often and by how many workers it is
// reported, and so is its end. Two of one integration are two incidents.
func TestStuckWorkflow(t *testing.T) {
	t.Parallel()
	o := newAudience(t, "main")
	event := func(kind notify.EventKind, id string) notify.Event {
		return notify.Event{Kind: kind, OrganizationID: o.organization, IntegrationID: o.integrations[0],
			Facts: notify.Facts{ErrorKind: "non_deterministic_error", Workflow: &notify.Workflow{Type: "Sync", ID: id}}}
	}
	report := func(kind notify.EventKind, id string) bool {
		queued, err := runlog.ReportEvent(t.Context(), o.worker, event(kind, id))
		require.NoError(t, err)
		return queued
	}
	require.Equal(t, 1, concurrently(20, func(int) bool { return report(notify.WorkflowStuck, "export/1") }))
	require.False(t, report(notify.WorkflowStuck, "export/2"), "the hour is taken")
	o.hourLater(t)
	require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	n, _ := o.notificationsOf(t, notify.WorkflowFailing)
	require.Equal(t, 2, n)
	open, err := runlog.ListReportedSubjects(t.Context(), o.worker, o.organization, notify.WorkflowFailing, 0)
	require.NoError(t, err)
	require.Len(t, open, 2)
	require.False(t, report(notify.WorkflowResumed, "export/3"), "nobody was notified of it")
	require.Equal(t, 1, concurrently(20, func(int) bool { return report(notify.WorkflowResumed, "export/1") }))
	o.hourLater(t)
	require.True(t, report(notify.WorkflowResumed, "export/2"))
	for _, r := range o.notifications(t) {
		require.Equal(t, "Sync", r.Facts.Workflow.Type)
	}
	n, _ = o.notificationsOf(t, notify.WorkflowRecovered)
	require.Equal(t, 2, n)
}

// An export that ends while it is reported as overdue leaves no trouble that nobody ends.
func TestOverdueWhenItEnds(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.audience()
	e := b.claimScheduled("2026-10")
	report := func() bool {
		t.Helper()
		queued, err := runlog.ReportEvent(t.Context(), b.worker, notify.Event{
			Kind: notify.ExportPending, OrganizationID: b.org, IntegrationID: b.spec.ID, PendingFor: 2 * time.Hour, Limit: time.Hour, RemindAfter: notify.RemindAfter,
			Facts: notify.Facts{Period: e.Period, ExportID: &e.ID, Waiting: &notify.Waiting{For: notify.ForProgress}},
		})
		require.NoError(t, err)
		return queued
	}
	require.True(t, report())
	require.Equal(t, []string{"export_overdue"}, b.openSubjects())
	b.close(e)
	require.Empty(t, b.openSubjects())
	require.False(t, report(), "another worker had listed it before")
	require.Empty(t, b.openSubjects())
}

// The numbers are those of what is not done, and counting them reads no more when there is
// a history: it is measured in pages, of which an index of its own would not need more.
func TestMeasure(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ctx := t.Context()
	m, err := runlog.Measure(ctx, b.worker)
	require.NoError(t, err)
	require.Zero(t, m.OldestPending)
	require.Equal(t, map[exports.Status]float64{exports.Pending: 0, exports.Failed: 0}, m.Exports)

	e := b.vouchers(4)
	ids := []string{"e0-1", "e0-2", "e1-1", "e1-2"}
	s := sending(1)
	_, err = runlog.MarkChunk(ctx, b.worker, e.Owner(), ids, s, time.Hour, runlog.InFlight{})
	require.NoError(t, err)
	require.NoError(t, runlog.RecordSend(ctx, b.worker, e.Owner(), ids[:2], s, classify.Done, true, nil))
	b.fail(b.claimScheduled("2026-11"))
	_, err = runlog.ClaimWrite(ctx, b.worker, runlog.WriteClaim{
		OrganizationID: b.org, CorrelationID: uuid.New(), IntegrationID: b.spec.ID, Operation: "call", BodySHA256: sha, RunID: uuid.New(), Attempt: 1,
	}, time.Minute, time.Minute, false)
	require.NoError(t, err)
	_, err = b.admin.Exec(ctx, `UPDATE ledgerline.bufdir_export_audit_log SET deferred_until = now() WHERE export_id = $1`, e.ID)
	require.NoError(t, err)
	m, err = runlog.Measure(ctx, b.worker)
	require.NoError(t, err)
	require.Equal(t, map[exports.Status]float64{exports.Pending: 1, exports.Failed: 1}, m.Exports)
	require.Equal(t, map[exports.EntryState]float64{exports.Planned: 4, exports.Sent: 2, exports.Exported: 2, exports.Rejected: 0, exports.Unknown: 0}, m.Entries)
	require.Equal(t, map[runlog.WriteSource]float64{runlog.WriteOfCall: 1, runlog.WriteOfExport: 2}, m.OpenWrites)
	require.Equal(t, map[notify.Cause]float64{notify.ExportFailed: 1}, m.Incidents)
	require.Positive(t, m.OldestPending)
	require.Positive(t, m.OldestCall)
	// What an answer has proved to have ended can no longer take effect.
	_, err = b.admin.Exec(ctx, `UPDATE ledgerline.write_claims SET ended = true`)
	require.NoError(t, err)
	_, err = b.admin.Exec(ctx, `UPDATE ledgerline.export_entries SET ended = true WHERE effect = 'open'`)
	require.NoError(t, err)
	m, err = runlog.Measure(ctx, b.worker)
	require.NoError(t, err)
	require.Equal(t, map[runlog.WriteSource]float64{runlog.WriteOfCall: 0, runlog.WriteOfExport: 0}, m.OpenWrites)
	require.Zero(t, m.OldestCall)

	// A failed export counts for as long as something of it is left, whoever has found that out.
	b.fail(e)
	left := func(failed int, planned, exported, unknown float64) {
		t.Helper()
		m, err := runlog.Measure(ctx, b.worker)
		require.NoError(t, err)
		require.Equal(t, map[exports.Status]float64{exports.Pending: 0, exports.Failed: float64(failed)}, m.Exports)
		require.Equal(t, []float64{planned, exported, unknown}, []float64{m.Entries[exports.Planned], m.Entries[exports.Exported], m.Entries[exports.Unknown]})
	}
	left(2, 4, 2, 2)
	_, err = runlog.ResolveVoucher(ctx, b.operator, b.org, runlog.Resolution{ExportID: e.ID, VoucherID: "v1", AtVendor: true, Reason: "seen", Actor: "t"})
	require.NoError(t, err)
	left(2, 4, 4, 0)
	_, err = b.admin.Exec(ctx, `UPDATE ledgerline.export_entries SET state = 'exported', effect = 'done' WHERE state = 'planned'`)
	require.NoError(t, err)
	left(1, 0, 8, 0)
	b.close(b.claim("2026-12", nil)) // has what the one without entries would have taken
	left(0, 0, 8, 0)

	_, err = b.admin.Exec(ctx, `INSERT INTO ledgerline.integration_health
		(organization_id, integration_id, state, since, failures, failed_probes, latency, evidence_at, observations, changes)
		VALUES ($1, $2, 'degraded', now(), 1, 0, '0', now(), 1, 1)`, b.org, b.spec.ID)
	require.NoError(t, err)
	in, err := runlog.CountHealth(ctx, b.worker)
	require.NoError(t, err)
	require.Equal(t, map[health.State]int64{health.Degraded: 1}, in)
	_, err = runlog.CountHealth(ctx, b.operator)
	require.ErrorContains(t, err, "permission denied", "it is of all organizations")

	_, err = runlog.Measure(ctx, b.operator)
	require.ErrorContains(t, err, "permission denied", "it is of all organizations")

	before := b.pagesOfMeasure()
	b.history(200, 500)
	after := b.pagesOfMeasure()
	require.LessOrEqual(t, after, before+60, "pages read without a history and with 100,000 entries of 200 exports")
}

const sha = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// pagesOfMeasure is how many pages a count reads.
func (b books) pagesOfMeasure() int {
	b.t.Helper()
	var plan []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	for range 2 { // the first one plans, which reads the catalogue
		var text string
		require.NoError(b.t, b.admin.QueryRow(b.t.Context(), `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM ledgerline.measure()`).Scan(&text))
		require.NoError(b.t, json.Unmarshal([]byte(text), &plan))
	}
	return plan[0].Plan.Hit + plan[0].Plan.Read
}

// history makes complete exports with as many exported entries each.
func (b books) history(count, entries int) {
	b.t.Helper()
	_, err := b.admin.Exec(b.t.Context(), `
		WITH made AS (
		    INSERT INTO ledgerline.bufdir_export_audit_log (organization_id, export_id, integration_id, adapter_name, period, period_start, period_end, idempotency_key,
		        trigger, triggered_by, started_at, finished_at, status, entries_total, entries_exported, workflow_id, run_id)
		    SELECT $1, gen_random_uuid(), $2, 'xledger', '2020-01', '2020-01-01', '2020-02-01', n::text, 'schedule', 'test', '2020-02-01', now(), 'complete', $4, $4, 'x', gen_random_uuid()
		    FROM generate_series(1, $3::integer) AS n RETURNING export_id)
		INSERT INTO ledgerline.export_entries (organization_id, integration_id, entry_id, export_id, voucher_id, chunk, vendor_key, entry_date, late, account, amount, currency, text, dimensions, state, effect)
		SELECT $1, $2, export_id || '/' || n, export_id, 'v', 1, 'k', '2020-01-01', false, '1', 1, 'NOK', '', '{}', 'exported', 'done'
		FROM made, generate_series(1, $4::integer) AS n`, b.org, b.spec.ID, count, entries)
	require.NoError(b.t, err)
	_, err = b.admin.Exec(b.t.Context(), `ANALYZE`)
	require.NoError(b.t, err)
}
