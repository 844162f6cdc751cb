package runlog

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/notify"
)

// Tick is a time at which a schedule should have started an export, and what
// came of it.
type Tick struct {
	IntegrationID uuid.UUID
	ExpectedAt    time.Time
	Period        string
	Result        exports.TickResult // "" while it is open
	LateBy        time.Duration
	ExportID      *uuid.UUID
}

// ScheduledIntegration is an integration with a schedule, and since when it is as it is.
type ScheduledIntegration struct {
	ID       uuid.UUID `db:"integration_id"`
	Name     string
	Adapter  string
	Schedule integrations.Schedule
	Since    time.Time
}

// ListScheduledIntegrations returns an organization's integrations that have a schedule.
func ListScheduledIntegrations(ctx context.Context, db Beginner, organization uuid.UUID) ([]ScheduledIntegration, error) {
	return queryInOrganization[ScheduledIntegration](ctx, db, organization, `
		SELECT integration_id, name, adapter, schedule, coalesce(schedule_since, updated_at) AS since FROM ledgerline.integrations
		WHERE organization_id = $1 AND schedule IS NOT NULL AND removed_at IS NULL ORDER BY name`, organization)
}

// ListTicks returns the recorded ticks of an organization in [from, to), by time.
func ListTicks(ctx context.Context, db Beginner, organization uuid.UUID, from, to time.Time) ([]Tick, error) {
	return queryInOrganization[Tick](ctx, db, organization, `
		SELECT integration_id, expected_at, period, result, coalesce(late_by, interval '0') AS late_by, export_id FROM ledgerline.schedule_ticks
		WHERE organization_id = $1 AND expected_at >= $2 AND expected_at < $3 ORDER BY expected_at, integration_id`, organization, from, to)
}

// ListPendingExports returns an organization's exports that began before a time and
// are not over. One that adopts has no run that could be gone.
func ListPendingExports(ctx context.Context, db Beginner, organization uuid.UUID, before time.Time) (list []exports.Export, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		list, err = queryExports(ctx, tx, `WHERE organization_id = $1 AND status = 'pending' AND trigger <> 'adopt' AND started_at < $2 ORDER BY started_at`, organization, before)
		return err
	})
	return list, err
}

// ListReportedSubjects returns the subjects of an organization's open incidents of a cause.
// Those of which people were notified longer ago than remindAfter are left out, unless it
// is 0: they are to be reported again.
func ListReportedSubjects(ctx context.Context, db Beginner, organization uuid.UUID, cause notify.Cause, remindAfter time.Duration) ([]ReportedSubject, error) {
	return queryInOrganization[ReportedSubject](ctx, db, organization, `
		SELECT integration_id, subject, facts FROM ledgerline.subject_incidents WHERE organization_id = $1 AND cause = $2 AND closed_at IS NULL
		  AND ($3::interval = interval '0' OR reminder_due OR notified_at IS NULL OR notified_at > now() - $3::interval)`, organization, cause, remindAfter)
}

// tryWithin is how long after a deferral its next try may still be under way.
const tryWithin = 2 * time.Minute

// ReportedSubject is what an open incident is about.
type ReportedSubject struct {
	IntegrationID uuid.UUID
	Subject       string // see [notify.Notification.Subject]
	Facts         notify.Facts
}

// LoadWaiting says what a pending export waits for by its record, and when its run is
// known to be there: the first of [notify.WaitReasons] that holds.
func LoadWaiting(ctx context.Context, db Beginner, e exports.Export) (w notify.Waiting, err error) {
	var paused bool
	var writes *time.Time
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT (SELECT paused_at IS NOT NULL FROM ledgerline.integrations WHERE organization_id = $1 AND integration_id = $2),
			    (SELECT max(open_until) FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $3
			        AND effect = 'open' AND NOT ended AND open_until > ledgerline.clock())`,
			e.OrganizationID, e.IntegrationID, e.ID).Scan(&paused, &writes)
	})
	switch {
	case err != nil:
	case paused:
		w.For = notify.ForResume
	case e.DeferredUntil != nil && e.DeferredFor == classify.Paused: // resumed, and it looks again then
		w = notify.Waiting{For: notify.ForProgress, Until: e.DeferredUntil}
	case e.DeferredUntil != nil && time.Since(*e.DeferredUntil) < tryWithin:
		w = notify.Waiting{For: notify.ForVendor, Until: e.DeferredUntil}
	case writes != nil:
		w = notify.Waiting{For: notify.ForWrites, Until: writes}
	default:
		w.For = notify.ForProgress
	}
	return w, err
}

// LoadExportOfPeriod finds the export of an integration's period, which is not a
// retry, or nil.
func LoadExportOfPeriod(ctx context.Context, db Beginner, organization, integration uuid.UUID, period string) (e *exports.Export, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		found, ok, err := exportWithKey(ctx, tx, exports.Export{OrganizationID: organization, IntegrationID: integration, Period: period})
		if ok {
			e = &found
		}
		return err
	})
	return e, err
}

// WasExporting reports whether an export of an integration was going on at a
// time.
func WasExporting(ctx context.Context, db Beginner, organization, integration uuid.UUID, at time.Time) (was bool, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log
			WHERE organization_id = $1 AND integration_id = $2 AND trigger <> 'adopt' AND started_at < $3 AND coalesce(finished_at, 'infinity') > $3)`,
			organization, integration, at).Scan(&was)
	})
	return was, err
}

// RecordTick stores what came of a tick, and reports it in the same transaction.
// It returns false if that is not new: the tick has a row, and not one that says
// it was not done while now it is.
func RecordTick(ctx context.Context, db Beginner, organization uuid.UUID, t Tick) (recorded bool, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			INSERT INTO ledgerline.schedule_ticks AS tick (organization_id, integration_id, expected_at, period, result, late_by, export_id)
			VALUES (@organization_id, @integration_id, @expected_at, @period, @result, @late_by, @export_id)
			ON CONFLICT (organization_id, integration_id, expected_at) DO UPDATE SET result = excluded.result, late_by = excluded.late_by,
			    export_id = excluded.export_id, recorded_at = now()
			WHERE tick.export_id IS NULL AND excluded.export_id IS NOT NULL`, pgx.StrictNamedArgs{
			"organization_id": organization, "integration_id": t.IntegrationID, "expected_at": t.ExpectedAt, "period": t.Period,
			"result": t.Result, "late_by": orNull(t.LateBy), "export_id": t.ExportID,
		})
		if recorded = err == nil && tag.RowsAffected() == 1; !recorded {
			return err
		}
		_, err = report(ctx, tx, notify.Event{
			Kind: notify.TickRecorded, OrganizationID: organization, IntegrationID: t.IntegrationID, Tick: t.Result,
			Facts: notify.Facts{Period: t.Period, ScheduledAt: &t.ExpectedAt, LateSeconds: int64(t.LateBy.Seconds()), ExportID: t.ExportID},
		})
		return err
	})
	return recorded && err == nil, err
}
