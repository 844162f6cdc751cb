package runlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/notify"
)

// An incident is a failing period of an integration, or a time in which its
// credentials are refused. What is told of it:
//
//	          Fail                    Recover
//	  (none) ──────► open, not told ──────────► closed: nobody knew, nobody hears
//	                   │ the hour is free
//	                   ▼      Recover                  the hour is free
//	                 open, told ──────► closed, end not told ──────► settled
//	                   ▲                      │
//	                   └───────── Fail ───────┘ (the end is taken back)
//
// The hour of a cause can delay a message but never lose one: [FlushSuppressed]
// tells later what is still true then, all of it in one message. A unique index
// keeps an integration to one unsettled incident of each cause, so that it is
// told of once and its end exactly once, whoever calls and how often. Two that
// end together are one message.

// OpenIncident says that an integration is failing, the default of the cause of n, or
// that its credentials are refused, [notify.Credentials]. It opens an incident
// unless one is open, and queues the notification unless the hour is taken. It
// runs in a transaction of [InOrganization], as its last statement.
func OpenIncident(ctx context.Context, tx pgx.Tx, n Notification) (queued bool, err error) {
	n.Cause = cmp.Or(n.Cause, notify.Failing)
	if _, opens := owed[n.Cause]; !opens || n.Cause == notify.Recovered {
		return false, fmt.Errorf("notification: %s opens no incident", n.Cause)
	}
	if n.OccurredAt.IsZero() {
		n.OccurredAt = time.Now()
	}
	if err := n.Validate(); err != nil {
		return false, err
	}
	opened, err := open(ctx, tx, n)
	if err != nil || !opened {
		return false, err
	}
	n.Facts.Since = &n.OccurredAt
	queued, err = tell(ctx, tx, n)
	if err == nil && !queued {
		err = suppress(ctx, tx, n)
	}
	return queued, err
}

// open makes an incident, or takes back the end of one that nobody was told of.
func open(ctx context.Context, tx pgx.Tx, n Notification) (opened bool, err error) {
	for {
		made, err := tx.Exec(ctx, `
			INSERT INTO ledgerline.incidents (organization_id, incident_id, integration_id, cause, error_kind, opened_at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (organization_id, integration_id, cause) WHERE closed_at IS NULL OR failing_id IS NOT NULL AND recovered_id IS NULL DO NOTHING`,
			n.OrganizationID, uuid.New(), n.IntegrationID, n.Cause, n.Facts.ErrorKind, n.OccurredAt)
		if err != nil || made.RowsAffected() == 1 {
			return err == nil, err
		}
		found, err := tx.Exec(ctx, `
			UPDATE ledgerline.incidents SET closed_at = NULL
			WHERE organization_id = $1 AND integration_id = $2 AND cause = $3 AND (closed_at IS NULL OR failing_id IS NOT NULL AND recovered_id IS NULL)`,
			n.OrganizationID, n.IntegrationID, n.Cause)
		if err != nil || found.RowsAffected() == 1 {
			return false, err
		}
		// It was settled between the two statements: it is over, so try again.
	}
}

// CloseIncidents says that an integration works again. If an incident is open and
// people were told of it, they are told of its end, exactly once; else nothing
// is queued. It runs in a transaction of [InOrganization], as its last
// statement. An integration that was not failing costs one statement.
func CloseIncidents(ctx context.Context, tx pgx.Tx, organization, integration uuid.UUID) (queued bool, err error) {
	rows, err := tx.Query(ctx, `
		UPDATE ledgerline.incidents SET closed_at = greatest(now(), opened_at)
		WHERE organization_id = $1 AND integration_id = $2 AND closed_at IS NULL RETURNING failing_id IS NOT NULL`, organization, integration)
	if err != nil {
		return false, err
	}
	told, err := pgx.CollectRows(rows, pgx.RowTo[bool])
	if err != nil || !slices.Contains(told, true) {
		return false, err
	}
	return tell(ctx, tx, Notification{OrganizationID: organization, IntegrationID: integration, Cause: notify.Recovered})
}

// CloseIncidentsUnlessRunFailed is [Recover], unless the integration's latest run failed: a vendor
// that answers again does not mend that.
func CloseIncidentsUnlessRunFailed(ctx context.Context, tx pgx.Tx, organization, integration uuid.UUID) (queued bool, err error) {
	var failed bool
	err = tx.QueryRow(ctx, `
		SELECT coalesce((SELECT status = 'failed' FROM ledgerline.bufdir_export_audit_log
		WHERE organization_id = $1 AND integration_id = $2 AND status <> 'pending' AND trigger <> 'adopt' AND error_code IS DISTINCT FROM $3
		ORDER BY started_at DESC LIMIT 1), false)`, organization, integration, classify.Cancelled).Scan(&failed)
	if err != nil || failed {
		return false, err
	}
	return CloseIncidents(ctx, tx, organization, integration)
}

// UpdateIncidents looks at an integration's latest runs and calls [Fail] if the last
// two failed, [CloseIncidents] if the last one is complete. Runs that were cancelled
// do not count, and neither do complete ones of which the vendor took nothing:
// they say nothing of it.
func UpdateIncidents(ctx context.Context, tx pgx.Tx, organization, integration uuid.UUID) (queued bool, err error) {
	rows, err := tx.Query(ctx, `
		SELECT export_id, period, status, coalesce(error_code, '') FROM ledgerline.bufdir_export_audit_log
		WHERE organization_id = $1 AND integration_id = $2 AND status <> 'pending' AND trigger <> 'adopt' AND error_code IS DISTINCT FROM $3
		  AND (status = 'failed' OR entries_exported > 0)
		ORDER BY started_at DESC LIMIT 2`, organization, integration, classify.Cancelled)
	if err != nil {
		return false, err
	}
	type run struct {
		ID     uuid.UUID
		Period string
		Status exports.Status
		Code   string
	}
	last, err := pgx.CollectRows(rows, pgx.RowToStructByPos[run])
	switch {
	case err != nil:
		return false, err
	case len(last) > 0 && last[0].Status == exports.Complete:
		return CloseIncidents(ctx, tx, organization, integration)
	case len(last) < 2 || last[1].Status == exports.Complete:
		return false, nil
	}
	return OpenIncident(ctx, tx, Notification{OrganizationID: organization, IntegrationID: integration, Facts: notify.Facts{
		ErrorKind: classify.Kind(last[0].Code), ExportID: &last[0].ID, Period: last[0].Period,
	}})
}

// FlushSuppressed queues what the hour kept back: incidents that are still open, and
// ends of incidents, each in one message for all integrations; of the other
// causes, one message that counts and names what came within the hour.
func FlushSuppressed(ctx context.Context, db Beginner, organization uuid.UUID) error {
	for _, cause := range notify.Causes() {
		err := InOrganization(ctx, db, organization, func(tx pgx.Tx) (err error) {
			if _, incident := owed[cause]; incident {
				_, err = tell(ctx, tx, Notification{OrganizationID: organization, Cause: cause})
			} else {
				err = tellSuppressed(ctx, tx, organization, cause)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tellSuppressed queues a notification of a cause for what was suppressed after
// its last one, once the hour is over. What is older than a day, people have
// found out.
func tellSuppressed(ctx context.Context, tx pgx.Tx, organization uuid.UUID, cause notify.Cause) error {
	n := Notification{OrganizationID: organization, Cause: cause}
	err := tx.QueryRow(ctx, `
		SELECT g.integration_id FROM ledgerline.notification_windows w
		JOIN ledgerline.notifications n ON n.organization_id = w.organization_id AND n.notification_id = w.notification_id
		JOIN ledgerline.integrations g ON g.organization_id = w.organization_id AND g.name = ANY (n.also) AND g.removed_at IS NULL
		WHERE w.organization_id = $1 AND w.cause = $2 AND n.suppressed > 0 AND w.opened_at BETWEEN now() - interval '1 day' AND now() - interval '1 hour'
		ORDER BY array_position(n.also, g.name) LIMIT 1`, organization, cause).Scan(&n.IntegrationID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err == nil {
		_, err = queue(ctx, tx, n)
	}
	return err
}

// owed are the incidents of which a cause has to tell, and the column that says
// that it did.
var owed = map[notify.Cause]struct{ condition, column string }{
	notify.Failing:     {"i.cause = 'failing' AND i.closed_at IS NULL AND i.failing_id IS NULL", "failing_id"},
	notify.Credentials: {"i.cause = 'credentials' AND i.closed_at IS NULL AND i.failing_id IS NULL", "failing_id"},
	notify.Recovered:   {"i.closed_at IS NOT NULL AND i.failing_id IS NOT NULL AND i.recovered_id IS NULL", "recovered_id"},
}

// tell queues one message for all incidents that a cause has to tell of, n's
// own first; without an integration in n, the oldest one's. It returns false
// if there are none, or the hour is taken. Incidents that another transaction
// is at are left to it, so nobody waits for them.
func tell(ctx context.Context, tx pgx.Tx, n Notification) (queued bool, err error) {
	rows, err := tx.Query(ctx, `
		SELECT i.incident_id, i.integration_id, g.name, i.error_kind, i.opened_at, coalesce(i.closed_at, i.opened_at)
		FROM ledgerline.incidents i JOIN ledgerline.integrations g ON g.organization_id = i.organization_id AND g.integration_id = i.integration_id
		WHERE i.organization_id = $1 AND `+owed[n.Cause].condition+` AND g.removed_at IS NULL
		ORDER BY i.integration_id <> $2, i.opened_at LIMIT $3 FOR UPDATE OF i SKIP LOCKED`, n.OrganizationID, n.IntegrationID, 1+notify.MaxNames)
	if err != nil {
		return false, err
	}
	type incident struct {
		ID, Integration uuid.UUID
		Name            string
		Kind            classify.Kind
		Opened, At      time.Time
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[incident])
	if err != nil || len(list) == 0 {
		return false, err
	}
	first := list[0]
	n.IntegrationID, n.Facts.Since = first.Integration, &first.Opened
	if n.OccurredAt.IsZero() {
		n.OccurredAt = first.At
	}
	if n.Facts.ErrorKind == "" && n.Cause != notify.Recovered {
		n.Facts.ErrorKind = first.Kind
	}
	var ids []uuid.UUID
	for _, i := range list {
		ids = append(ids, i.ID)
		if i.Integration != first.Integration && !slices.Contains(n.Facts.Others, i.Name) {
			n.Facts.Others = append(n.Facts.Others, i.Name)
		}
	}
	id, err := queue(ctx, tx, n)
	if err != nil || id == uuid.Nil {
		return false, err
	}
	_, err = tx.Exec(ctx, `UPDATE ledgerline.incidents SET `+owed[n.Cause].column+` = $3 WHERE organization_id = $1 AND incident_id = ANY ($2)`, n.OrganizationID, ids, id)
	return err == nil, err
}
