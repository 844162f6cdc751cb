package runlog

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/notify"
)

// An incident is a failing period of an integration, or a time in which its
// credentials are refused. What people are notified of it:
//
//	          openIncident                closeIncidents
//	  (none) ─────────────► open, not notified ─────────► closed: nobody knew, nobody is notified
//	                          │ the hour is free
//	                          ▼      closeIncidents                 the hour is free
//	                        open, notified ─────► closed, end not notified ─────► settled
//	                          ▲                          │
//	                          └────── openIncident ──────┘ (the end is taken back)
//
// The hour of a cause can delay a message but never lose one: [FlushSuppressed]
// notifies later of what is still true then, all of it in one message. A unique
// index keeps an integration to one unsettled incident of each cause, so that
// its beginning is notified once and its end exactly once, whoever reports and
// how often. Two that end together are one message.

// openIncident opens an incident of the cause unless one is open, and queues the
// notification of it unless the hour is taken.
func openIncident(ctx context.Context, tx pgx.Tx, n notify.Notification) (queued bool, err error) {
	if n.OccurredAt.IsZero() {
		n.OccurredAt = time.Now()
	}
	if err := n.Validate(); err != nil {
		return false, err
	}
	opened, err := insertIncident(ctx, tx, n)
	if err != nil || !opened {
		return false, err
	}
	n.Facts.Since = &n.OccurredAt
	queued, err = queueForIncidents(ctx, tx, n)
	if err == nil && !queued {
		err = suppress(ctx, tx, n)
	}
	return queued, err
}

// unsettled is of an incident that has not ended, or of whose end nobody has been
// notified yet; its unique index has the same words.
const unsettled = `(closed_at IS NULL OR opening_notification_id IS NOT NULL AND closing_notification_id IS NULL)`

// insertIncident makes an incident, or takes back the end of one that nobody was
// notified of.
func insertIncident(ctx context.Context, tx pgx.Tx, n notify.Notification) (opened bool, err error) {
	arguments := pgx.NamedArgs{
		"organization_id": n.OrganizationID, "incident_id": uuid.New(), "integration_id": n.IntegrationID, "cause": n.Cause,
		"error_kind": n.Facts.ErrorKind, "opened_at": n.OccurredAt,
	}
	for {
		made, err := tx.Exec(ctx, `
			INSERT INTO ledgerline.incidents (organization_id, incident_id, integration_id, cause, error_kind, opened_at)
			VALUES (@organization_id, @incident_id, @integration_id, @cause, @error_kind, @opened_at)
			ON CONFLICT (organization_id, integration_id, cause) WHERE `+unsettled+` DO NOTHING`, arguments)
		if err != nil || made.RowsAffected() == 1 {
			return err == nil, err
		}
		found, err := tx.Exec(ctx, `
			UPDATE ledgerline.incidents SET closed_at = NULL
			WHERE organization_id = @organization_id AND integration_id = @integration_id AND cause = @cause AND `+unsettled, arguments)
		if err != nil || found.RowsAffected() == 1 {
			return false, err
		}
		// It was settled between the two statements: it is over, so try again.
	}
}

// closeIncidents closes the integration's open incidents. If people were notified
// of one, they are notified of its end, exactly once; else nothing is queued. An
// integration without an incident costs one statement.
func closeIncidents(ctx context.Context, tx pgx.Tx, n notify.Notification) (queued bool, err error) {
	rows, err := tx.Query(ctx, `
		UPDATE ledgerline.incidents SET closed_at = greatest(now(), opened_at)
		WHERE organization_id = $1 AND integration_id = $2 AND closed_at IS NULL RETURNING opening_notification_id IS NOT NULL`, n.OrganizationID, n.IntegrationID)
	if err != nil {
		return false, err
	}
	notified, err := pgx.CollectRows(rows, pgx.RowTo[bool])
	if err != nil || !slices.Contains(notified, true) {
		return false, err
	}
	return queueForIncidents(ctx, tx, notify.Notification{OrganizationID: n.OrganizationID, IntegrationID: n.IntegrationID, Cause: n.Cause})
}

// FlushSuppressed queues what the hour suppressed: incidents that are still open,
// and ends of incidents, each in one message for all integrations; of the other
// causes, one message that counts and names what came within the hour.
func FlushSuppressed(ctx context.Context, db Beginner, organization uuid.UUID) error {
	for _, cause := range notify.Causes() {
		flush := queueSuppressed
		if cause.Handling() != notify.Queues {
			flush = queueForIncidents
		}
		err := InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
			_, err := flush(ctx, tx, notify.Notification{OrganizationID: organization, Cause: cause})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// queueSuppressed queues a notification of a cause for what was suppressed after
// its last one, once the hour is over. What is older than a day, people have
// found out.
func queueSuppressed(ctx context.Context, tx pgx.Tx, n notify.Notification) (queued bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT integration.integration_id FROM ledgerline.notification_windows AS hour
		JOIN ledgerline.notifications AS last ON last.organization_id = hour.organization_id AND last.notification_id = hour.notification_id
		JOIN ledgerline.integrations AS integration
		    ON integration.organization_id = hour.organization_id AND integration.name = ANY (last.other_integrations) AND integration.removed_at IS NULL
		WHERE hour.organization_id = $1 AND hour.cause = $2 AND last.suppressed > 0
		  AND hour.opened_at BETWEEN now() - interval '1 day' AND now() - interval '1 hour'
		ORDER BY array_position(last.other_integrations, integration.name) LIMIT 1`, n.OrganizationID, n.Cause).Scan(&n.IntegrationID)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	id, err := queue(ctx, tx, n)
	return id != uuid.Nil, err
}

// notNotified are, by the handling of @cause, the incidents of which it has not
// notified people yet, and the column that says that it has.
var notNotified = map[notify.Handling]struct{ condition, column string }{
	notify.OpensIncident:   {"closed_at IS NULL AND opening_notification_id IS NULL AND cause = @cause", "opening_notification_id"},
	notify.ClosesIncidents: {"closed_at IS NOT NULL AND opening_notification_id IS NOT NULL AND closing_notification_id IS NULL", "closing_notification_id"},
}

// incidentToNotify is an incident of which people are to be notified.
type incidentToNotify struct {
	IncidentID    uuid.UUID
	IntegrationID uuid.UUID
	Name          string
	ErrorKind     classify.Kind
	OpenedAt      time.Time
	OccurredAt    time.Time
}

// queueForIncidents queues one message for all incidents of which a cause has not
// notified people yet, n's own first; without an integration in n, the oldest
// one's. It returns false if there are none, or the hour is taken. Incidents that
// another transaction is at are left to it, so nobody waits for them.
func queueForIncidents(ctx context.Context, tx pgx.Tx, n notify.Notification) (queued bool, err error) {
	due := notNotified[n.Cause.Handling()]
	list, err := queryRows[incidentToNotify](ctx, tx, `
		SELECT incident_id, integration_id, name, error_kind, opened_at, coalesce(closed_at, opened_at) AS occurred_at
		FROM ledgerline.incidents AS incident JOIN ledgerline.integrations USING (organization_id, integration_id)
		WHERE organization_id = @organization_id AND `+due.condition+` AND removed_at IS NULL
		ORDER BY integration_id <> @integration_id, opened_at LIMIT @most FOR UPDATE OF incident SKIP LOCKED`,
		pgx.NamedArgs{"organization_id": n.OrganizationID, "integration_id": n.IntegrationID, "cause": n.Cause, "most": 1 + notify.MaxNames})
	if err != nil || len(list) == 0 {
		return false, err
	}
	first := list[0]
	n.IntegrationID, n.Facts.Since = first.IntegrationID, &first.OpenedAt
	if n.OccurredAt.IsZero() {
		n.OccurredAt = first.OccurredAt
	}
	if n.Facts.ErrorKind == "" && n.Cause.Handling() == notify.OpensIncident {
		n.Facts.ErrorKind = first.ErrorKind
	}
	var ids []uuid.UUID
	for _, i := range list {
		ids = append(ids, i.IncidentID)
		if i.IntegrationID != first.IntegrationID && !slices.Contains(n.Facts.Others, i.Name) {
			n.Facts.Others = append(n.Facts.Others, i.Name)
		}
	}
	id, err := queue(ctx, tx, n)
	if err != nil || id == uuid.Nil {
		return false, err
	}
	_, err = tx.Exec(ctx, `UPDATE ledgerline.incidents SET `+due.column+` = $3 WHERE organization_id = $1 AND incident_id = ANY ($2)`, n.OrganizationID, ids, id)
	return err == nil, err
}
