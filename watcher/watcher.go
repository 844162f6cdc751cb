// Package watcher compares what schedules should have done with what was done.
//
// A run that starts late can say so; one that never starts cannot. So the
// watcher does not listen to runs. It computes from the integration files when
// each schedule should have fired, looks in the audit record for the export of
// that period, and records the difference: one row of schedule_ticks for each
// time, the same whichever worker writes it.
//
//	            export started?
//	tick ───┬── before it ─────────────► earlier
//	        ├── within the threshold ──► on time
//	        ├── after it ──────────────► late       ALERT
//	        └── not yet, and the threshold has passed:
//	              schedule paused ─────► paused     ALERT ─┐
//	              a run still going ───► skipped    ALERT ─┼─► late, once it is made up for
//	              otherwise ───────────► missed     ALERT ─┘
//
// It also looks at exports that are pending. One whose run no longer exists, because
// somebody terminated it or its namespace was lost, cannot say so, and one whose run
// never ends does not. And it asks Temporal for workflows whose code fails. Of what it
// finds, package notify decides who is notified.
//
// It needs PostgreSQL and nothing else; Temporal is asked only whether a
// schedule is paused or a run is dead, and if it is down too a tick is missed
// all the same. A pass that does not happen cannot alert either: the time of the
// last one is a metric; alert when it does not change.
package watcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
)

// Watcher looks at the schedules of every organization. DB and Log must be set.
type Watcher struct {
	DB  runlog.Beginner
	Log *slog.Logger
	// Paused asks whether a schedule is paused. An error counts as no. It may be
	// nil.
	Paused func(ctx context.Context, organization, integration uuid.UUID) (bool, error)
	// Runs knows which pending exports' runs no longer exist; nil knows of none.
	Runs *Runs
	// Stuck lists the workflows of all organizations whose tasks fail; all is false if there
	// are more. An error, or a nil function, counts as not known: then nothing is reported of
	// any.
	Stuck func(ctx context.Context) (list []StuckWorkflow, all bool, err error)
	// PendingLimit is how long an export may be pending; 0 is [notify.PendingLimit].
	PendingLimit time.Duration
	// RemindAfter is after how long people are notified again of one that is overdue; 0
	// is [notify.RemindAfter].
	RemindAfter time.Duration
	// Observe is called with each tick that was recorded. It may be nil.
	Observe func(t runlog.Tick)
}

// StuckWorkflow is a workflow that cannot continue: its code fails whenever a worker
// runs it. Cause is a word of Temporal's, such as non_deterministic_error.
type StuckWorkflow struct {
	OrganizationID, IntegrationID uuid.UUID
	Workflow                      notify.Workflow
	Cause                         classify.Kind
}

// Pass looks once at everything that should have happened until now. It returns
// how many ticks are not done, and exports without a run.
func (w Watcher) Pass(ctx context.Context, now time.Time) (open int, err error) {
	organizations, err := runlog.ListOrganizations(ctx, w.DB)
	if err != nil {
		return 0, err
	}
	defer w.Runs.endPass()
	var failed []error
	if err := w.stuck(ctx, organizations); err != nil {
		failed = append(failed, err)
	}
	for _, organization := range organizations {
		n, err := w.organization(ctx, organization, now)
		open += n
		if err != nil {
			failed = append(failed, fmt.Errorf("organization %s: %w", organization, err))
		}
	}
	return open, errors.Join(failed...)
}

// organization looks at one organization. What goes wrong with an export or an
// integration is reported and does not stop the others.
func (w Watcher) organization(ctx context.Context, organization uuid.UUID, now time.Time) (open int, err error) {
	var failed []error
	if open, err = w.pending(ctx, organization, now); err != nil {
		failed = append(failed, err)
	}
	schedules, err := runlog.ListScheduledIntegrations(ctx, w.DB, organization)
	if err != nil {
		return open, errors.Join(append(failed, err)...)
	}
	for _, s := range schedules {
		n, err := w.schedule(ctx, organization, s, now)
		open += n
		if err != nil {
			failed = append(failed, fmt.Errorf("integration %s (%s): %w", s.Name, s.ID, err))
		}
	}
	return open, errors.Join(failed...)
}

func (w Watcher) schedule(ctx context.Context, organization uuid.UUID, s runlog.ScheduledIntegration, now time.Time) (open int, err error) {
	if err := s.Schedule.Usable(); err != nil { // what it should have done is not known: counted as overdue
		w.Log.Error("the schedule of an integration does not fire; correct its file and apply it", "organization_id", organization, "integration_id", s.ID, "integration", s.Name, "error", err)
		return 1, nil
	}
	from := Since(s, now)
	recorded, err := runlog.ListTicks(ctx, w.DB, organization, from, now.Add(time.Second))
	if err != nil {
		return 0, err
	}
	known, done := make(map[int64]bool), make(map[int64]bool)
	for _, t := range recorded {
		if t.IntegrationID == s.ID {
			known[t.ExpectedAt.Unix()], done[t.ExpectedAt.Unix()] = true, t.ExportID != nil
		}
	}
	for _, at := range s.Schedule.FiringsBetween(from, now.Add(time.Second)) {
		if done[at.Unix()] {
			continue
		}
		paused := w.Paused
		if known[at.Unix()] { // why it was not done is on record, and stays so
			paused = nil
		}
		t, err := Look(ctx, w.DB, organization, s, at, now, paused)
		if err != nil {
			return open, err
		}
		if t.Result == "" {
			continue
		}
		if t.ExportID == nil {
			open++
		}
		if err := w.record(ctx, organization, s, t); err != nil {
			return open, err
		}
	}
	return open, nil
}

// Restless is how old a pending export is before its run is asked about, as often as
// [Runs] says.
const Restless = 10 * time.Minute

// pending reports the exports that are pending, and counts those whose runs no longer
// exist. Their entries belong to them, so nobody else exports these until somebody claims
// the period again. What people know of already is not looked at again for a day.
func (w Watcher) pending(ctx context.Context, organization uuid.UUID, now time.Time) (dead int, err error) {
	remindAfter := cmp.Or(w.RemindAfter, notify.RemindAfter)
	list, err := runlog.ListPendingExports(ctx, w.DB, organization, now.Add(-min(Restless, cmp.Or(w.PendingLimit, Restless))))
	if err != nil || len(list) == 0 {
		return 0, err
	}
	known, err := runlog.ListReportedSubjects(ctx, w.DB, organization, notify.ExportOverdue, remindAfter)
	if err != nil {
		return 0, err
	}
	var failed []error
	for _, e := range list {
		event := notify.Event{
			Kind: notify.ExportPending, OrganizationID: organization, IntegrationID: e.IntegrationID, OccurredAt: now,
			PendingFor: now.Sub(e.StartedAt), Limit: cmp.Or(w.PendingLimit, notify.PendingLimit(e)), RemindAfter: remindAfter,
			Facts: notify.Facts{Period: e.Period, ExportID: &e.ID, ScheduledAt: e.ScheduledAt},
		}
		reported := slices.ContainsFunc(known, func(k runlog.ReportedSubject) bool { return k.Subject == e.ID.String() })
		if event.PendingFor >= Restless {
			about := !reported && len(event.Notifications()) > 0 // to be reported, with what it waits for now
			if w.Runs.gone(ctx, e, now, about) {
				dead++
				event.Facts.Waiting = &notify.Waiting{For: notify.ForRun}
			}
		}
		if reported {
			continue
		}
		if err := w.reportPending(ctx, e, event); err != nil {
			failed = append(failed, fmt.Errorf("export %s: %w", e.ID, err))
		}
	}
	return dead, errors.Join(failed...)
}

// reportPending reports a pending export, with what it waits for if people are notified.
func (w Watcher) reportPending(ctx context.Context, e exports.Export, event notify.Event) error {
	if len(event.Notifications()) == 0 {
		return nil
	}
	if event.Facts.Waiting == nil {
		waiting, err := runlog.LoadWaiting(ctx, w.DB, e)
		if err != nil {
			return err
		}
		event.Facts.Waiting = &waiting
		if waiting.For == notify.ForVendor {
			event.Facts.ErrorKind = e.DeferredFor
		}
	}
	queued, err := runlog.ReportEvent(ctx, w.DB, event)
	if err == nil && queued {
		w.Log.Error("ALERT: an export is pending for too long", "organization_id", e.OrganizationID, "integration_id", e.IntegrationID,
			"export_id", e.ID, "period", e.Period, "workflow_id", e.WorkflowID, "pending_for", event.PendingFor.String(),
			"waits_for", string(event.Facts.Waiting.For), "error_kind", string(event.Facts.ErrorKind))
	}
	return err
}

// stuck reports the workflows that are stuck and were not reported, and those that no
// longer are. Where Temporal cannot say, nothing is known of either; one that is not in a
// list that is cut may still be stuck.
func (w Watcher) stuck(ctx context.Context, organizations []uuid.UUID) error {
	if w.Stuck == nil {
		return nil
	}
	type subject struct {
		organization uuid.UUID
		workflowID   string
	}
	var failed []error
	open := make(map[subject]runlog.ReportedSubject)
	for _, organization := range organizations {
		reported, err := runlog.ListReportedSubjects(ctx, w.DB, organization, notify.WorkflowFailing, 0)
		if err != nil {
			return fmt.Errorf("organization %s: %w", organization, err)
		}
		for _, r := range reported {
			open[subject{organization, r.Subject}] = r
		}
	}
	// Asked after that, so that what another worker reports meanwhile is not taken for over.
	list, all, err := w.Stuck(ctx)
	if err != nil {
		return nil // not known, which is for whoever asked to say
	}
	for _, s := range list {
		if it := (subject{s.OrganizationID, s.Workflow.ID}); open[it].Subject != "" {
			delete(open, it)
			continue
		}
		queued, err := runlog.ReportEvent(ctx, w.DB, notify.Event{
			Kind: notify.WorkflowStuck, OrganizationID: s.OrganizationID, IntegrationID: s.IntegrationID,
			Facts: notify.Facts{ErrorKind: s.Cause, Workflow: &s.Workflow},
		})
		if err != nil {
			failed = append(failed, fmt.Errorf("workflow %s: %w", s.Workflow.ID, err))
		} else if queued {
			w.Log.Error("ALERT: a workflow cannot continue, because its code fails", "organization_id", s.OrganizationID, "integration_id", s.IntegrationID,
				"workflow_type", s.Workflow.Type, "workflow_id", s.Workflow.ID, "cause", string(s.Cause))
		}
	}
	if !all {
		return errors.Join(failed...)
	}
	for it, o := range open {
		_, err := runlog.ReportEvent(ctx, w.DB, notify.Event{
			Kind: notify.WorkflowResumed, OrganizationID: it.organization, IntegrationID: o.IntegrationID, Facts: notify.Facts{Workflow: o.Facts.Workflow},
		})
		if err != nil {
			failed = append(failed, fmt.Errorf("workflow %s: %w", o.Subject, err))
		}
	}
	return errors.Join(failed...)
}

// Since is from when on a schedule's ticks are looked at: as long as they are
// made up for, and a while longer, but not from before it was as it is.
func Since(s runlog.ScheduledIntegration, now time.Time) time.Time {
	from := now.Add(-s.Schedule.CatchUpWindow() - 10*24*time.Hour)
	if s.Since.After(from) {
		return s.Since
	}
	return from
}

// Look says what came of one tick. The result is "" while it may still be on
// time.
func Look(ctx context.Context, db runlog.Beginner, organization uuid.UUID, s runlog.ScheduledIntegration, at, now time.Time,
	paused func(context.Context, uuid.UUID, uuid.UUID) (bool, error)) (t runlog.Tick, err error) {
	t = runlog.Tick{IntegrationID: s.ID, ExpectedAt: at}
	if t.Period, err = s.Schedule.Period(at); err != nil {
		return t, err
	}
	e, err := runlog.LoadExportOfPeriod(ctx, db, organization, s.ID, t.Period)
	if err != nil {
		return t, err
	}
	if e != nil {
		t.ExportID = &e.ID
		t.Result, t.LateBy = judge(at, *e, s.Schedule.DriftThresholdOrDefault())
		return t, nil
	}
	if now.Sub(at) <= s.Schedule.DriftThresholdOrDefault() {
		return t, nil
	}
	t.Result = exports.TickMissed
	if paused != nil {
		if is, err := paused(ctx, organization, s.ID); err == nil && is {
			t.Result = exports.TickPaused
			return t, nil
		}
	}
	if s.Schedule.Overlap == integrations.Skip || s.Schedule.Overlap == integrations.BufferOne {
		was, err := runlog.WasExporting(ctx, db, organization, s.ID, at)
		if err != nil {
			return t, err
		}
		if was {
			t.Result = exports.TickSkipped
		}
	}
	return t, nil
}

// judge compares the start of an export with the time it was expected at. The
// schedule's own run is never early: what looks so is the skew of two clocks.
func judge(expected time.Time, e exports.Export, limit time.Duration) (result exports.TickResult, lateBy time.Duration) {
	own := e.ScheduledAt != nil && e.ScheduledAt.Equal(expected)
	switch late := e.StartedAt.Sub(expected); {
	case late < 0 && !own:
		return exports.TickEarlier, 0
	case late <= limit:
		return exports.TickOnTime, 0
	default:
		return exports.TickLate, late
	}
}

func (w Watcher) record(ctx context.Context, organization uuid.UUID, s runlog.ScheduledIntegration, t runlog.Tick) error {
	recorded, err := runlog.RecordTick(ctx, w.DB, organization, t)
	if err != nil || !recorded {
		return err
	}
	if !t.Result.InTime() {
		w.Log.Error("ALERT: a scheduled export was "+string(t.Result), "organization_id", organization, "integration_id", s.ID, "integration", s.Name,
			"period", t.Period, "expected_at", t.ExpectedAt, "late_by", t.LateBy.String())
	}
	if w.Observe != nil {
		w.Observe(t)
	}
	return nil
}
