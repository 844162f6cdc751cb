package runlog

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/notify"
)

// ReportEvent queues the notifications that an event leads to, as package notify
// decides. It returns false if there are none, or none that is queued now: people
// know it already, or the hour of the cause is taken.
func ReportEvent(ctx context.Context, db Beginner, e notify.Event) (queued bool, err error) {
	if !hasRuns(e) && len(e.Notifications()) == 0 {
		return false, nil // of most observations, so without a transaction
	}
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		queued, err = report(ctx, tx, e)
		return err
	})
	return queued, err
}

// handlings carry out what a notification of a cause does.
var handlings = map[notify.Handling]func(context.Context, pgx.Tx, notify.Notification) (queued bool, err error){
	notify.Queues:          queueOrSuppress,
	notify.OpensIncident:   openIncident,
	notify.ClosesIncidents: closeIncidents,
}

// report is [ReportEvent] in a transaction of [InOrganization]: people are
// notified exactly if what they are notified of is committed. Reports of one
// cause that is [notify.Hourly] wait for each other's commit, so make this the last
// statement of a transaction, and report events of several causes in the order of
// [notify.Causes].
func report(ctx context.Context, tx pgx.Tx, e notify.Event) (queued bool, err error) {
	if err := readRuns(ctx, tx, &e); err != nil {
		return false, err
	}
	if over, err := hasEnded(ctx, tx, e); err != nil || over {
		return false, err
	}
	for _, n := range e.Notifications() { // in the order of causes
		this, err := handlings[n.Cause.Handling()](ctx, tx, n)
		if err != nil {
			return false, err
		}
		queued = queued || this
	}
	return queued, nil
}

// endedRuns are an integration's runs that ended by themselves, the latest first.
const endedRuns = `
	FROM ledgerline.bufdir_export_audit_log
	WHERE organization_id = @organization_id AND integration_id = @integration_id
	  AND status <> 'pending' AND trigger <> 'adopt' AND error_code IS DISTINCT FROM @cancelled`

// hasRuns reports whether the integration's latest runs belong to an event.
func hasRuns(e notify.Event) bool {
	return e.Kind == notify.ExportClosed || e.Kind == notify.HealthChanged
}

// readRuns adds the integration's latest runs to an event. A complete one of
// which the vendor took nothing says nothing of the vendor.
func readRuns(ctx context.Context, tx pgx.Tx, e *notify.Event) (err error) {
	if !hasRuns(*e) {
		return nil
	}
	arguments := pgx.StrictNamedArgs{"organization_id": e.OrganizationID, "integration_id": e.IntegrationID, "cancelled": classify.Cancelled}
	if e.Kind == notify.HealthChanged {
		return tx.QueryRow(ctx, `SELECT coalesce((SELECT status = 'failed' `+endedRuns+` ORDER BY started_at DESC LIMIT 1), false)`, arguments).Scan(&e.LatestRunFailed)
	}
	e.Runs, err = queryRows[notify.Run](ctx, tx, `
		SELECT export_id, period, status = 'failed' AS failed, coalesce(error_code, '') AS error_kind `+endedRuns+`
		  AND (status = 'failed' OR entries_exported > 0) ORDER BY started_at DESC LIMIT 2`, arguments)
	return err
}

// hasEnded reports whether an event is of a pending export that is pending no longer: what
// its end would have ended must not begin after it. The lock keeps it from ending meanwhile.
func hasEnded(ctx context.Context, tx pgx.Tx, e notify.Event) (bool, error) {
	if e.Kind != notify.ExportPending {
		return false, nil
	}
	tag, err := tx.Exec(ctx, `SELECT FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1 AND export_id = $2 AND status = 'pending' FOR SHARE`,
		e.OrganizationID, e.Facts.ExportID)
	return tag.RowsAffected() == 0, err
}

// exportEvent is the closing of an export.
func exportEvent(e exports.Export) notify.Event {
	return notify.Event{
		Kind: notify.ExportClosed, OrganizationID: e.OrganizationID, IntegrationID: e.IntegrationID, Trigger: e.Trigger, Status: e.Status,
		Facts: notify.Facts{ErrorKind: e.ErrorCode, ExportID: &e.ID, Period: e.Period, Entries: &notify.Entries{
			Total: e.Total, Exported: e.Exported, Rejected: e.Rejected, Unknown: e.Unknown, LateErrors: e.LateErrors, Unsent: e.Unsent(),
		}},
	}
}
