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

// A voucher of a failed export that is corrected is left until an export has taken it: one for
// which it is not due has not exported it.
func TestCorrectedIsLeft(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.audience()
	_, err := b.importing(pair("v", "10.00", "1920", october), runlog.ImportOptions{})
	require.NoError(t, err)
	failed := b.claimScheduled("2026-10")
	b.plan(failed, mapped, 500)
	b.fail(failed)
	require.Equal(t, []string{"x 2026-10"}, b.exportsNotified(notify.ExportFailed))
	_, err = b.importing(pair("v", "25.00", "1920", october), runlog.ImportOptions{Replace: true})
	require.NoError(t, err)

	early := b.claim("2026-09", nil)
	require.Empty(t, b.plan(early, mapped, 500), "it is not due")
	b.close(early)
	require.Empty(t, b.exportsNotified(notify.ExportRecovered), "nothing has exported it")
	november := b.claim("2026-11", nil)
	require.Len(t, b.plan(november, mapped, 500), 2)
	b.export(november)
	b.close(november)
	require.Equal(t, []string{"x 2026-10"}, b.exportsNotified(notify.ExportRecovered))
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
