package runlog

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/notify"
)

// takeWindow waits for whoever is taking it, and affects a row only if the last
// notification of the cause is an hour old.
const takeWindow = `
INSERT INTO ledgerline.notification_windows AS hour (organization_id, cause, opened_at, notification_id) VALUES ($1, $2, now(), $3)
ON CONFLICT (organization_id, cause) DO UPDATE SET opened_at = excluded.opened_at, notification_id = excluded.notification_id
WHERE hour.opened_at <= excluded.opened_at - interval '1 hour'`

// insertNotification adds what was suppressed since the last one of the cause.
const insertNotification = `
INSERT INTO ledgerline.notifications (organization_id, notification_id, cause, integration_id, facts, occurred_at)
SELECT @organization_id, @notification_id, @cause, @integration_id, @facts::jsonb || coalesce((
    SELECT jsonb_build_object('earlier', jsonb_build_object('count', suppressed, 'integrations', other_integrations))
    FROM (SELECT suppressed, other_integrations FROM ledgerline.notifications WHERE organization_id = @organization_id AND cause = @cause ORDER BY queued_at DESC LIMIT 1) AS last
    WHERE suppressed > 0), '{}'), @occurred_at`

// insertDeliveries makes the outbox rows. A test goes to every channel, or to
// the one that is named even if it is disabled: that is how it is tried again.
const insertDeliveries = `
INSERT INTO ledgerline.notification_deliveries (organization_id, notification_id, channel)
SELECT organization_id, $2, name FROM ledgerline.notification_channels
WHERE organization_id = $1 AND removed_at IS NULL
  AND (disabled_at IS NULL AND $4 = '' AND (causes = '{}' OR $3 = ANY (causes) OR $3 = 'test') OR name = $4)`

// queue stores a notification with its deliveries. Of a cause whose pace is
// [notify.Hourly] that is at most one an hour: it returns [uuid.Nil] if the last one
// of the cause is younger.
func queue(ctx context.Context, tx pgx.Tx, n notify.Notification) (uuid.UUID, error) {
	if err := n.Validate(); err != nil {
		return uuid.Nil, err
	}
	id := uuid.New()
	if n.Cause.Pace() == notify.Hourly {
		if taken, err := tx.Exec(ctx, takeWindow, n.OrganizationID, n.Cause, id); err != nil || taken.RowsAffected() == 0 {
			return uuid.Nil, err
		}
	}
	return id, store(ctx, tx, id, n, "")
}

// store stores a notification, and its deliveries to all channels that want it
// or to one.
func store(ctx context.Context, tx pgx.Tx, id uuid.UUID, n notify.Notification, channel string) error {
	if n.OccurredAt.IsZero() {
		n.OccurredAt = time.Now()
	}
	_, err := tx.Exec(ctx, insertNotification, pgx.StrictNamedArgs{
		"organization_id": n.OrganizationID, "notification_id": id, "cause": n.Cause, "integration_id": orNull(n.IntegrationID),
		"facts": n.Facts, "occurred_at": n.OccurredAt,
	})
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, insertDeliveries, n.OrganizationID, id, n.Cause, channel)
	return err
}

// queueOrSuppress queues a notification. If the hour of its cause is taken, it is
// counted, and [FlushSuppressed] notifies of it when the hour is over.
func queueOrSuppress(ctx context.Context, tx pgx.Tx, n notify.Notification) (queued bool, err error) {
	id, err := queue(ctx, tx, n)
	if err != nil || id != uuid.Nil {
		return err == nil, err
	}
	return false, suppress(ctx, tx, n)
}

// suppress counts a notification that is not queued by itself on the one that
// was, and names its integration there.
func suppress(ctx context.Context, tx pgx.Tx, n notify.Notification) error {
	_, err := tx.Exec(ctx, `
		UPDATE ledgerline.notifications AS last SET suppressed = last.suppressed + 1,
		    other_integrations = CASE
		        WHEN integration.name IS NULL OR integration.name = ANY (last.other_integrations) OR cardinality(last.other_integrations) >= $4
		        THEN last.other_integrations ELSE last.other_integrations || integration.name END
		FROM ledgerline.notification_windows AS hour
		LEFT JOIN ledgerline.integrations AS integration ON integration.organization_id = $1 AND integration.integration_id = $3
		WHERE hour.organization_id = $1 AND hour.cause = $2 AND last.organization_id = $1 AND last.notification_id = hour.notification_id`,
		n.OrganizationID, n.Cause, n.IntegrationID, notify.MaxNames)
	return err
}

// ErrNoChannel is returned where a test has nowhere to go.
var ErrNoChannel = errors.New("the organization has no such channel that is in use; add one under notifications in its file and apply it")

// QueueTest queues a test for all channels of an organization that are in use,
// or for one of them, and returns its ID. The hour does not count. It needs no
// more rights than the operator's.
func QueueTest(ctx context.Context, db Beginner, organization uuid.UUID, channel string) (id uuid.UUID, err error) {
	id = uuid.New()
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		if err := store(ctx, tx, id, notify.Notification{OrganizationID: organization, Cause: notify.Test}, channel); err != nil {
			return err
		}
		var deliveries int
		err := tx.QueryRow(ctx, `SELECT count(*) FROM ledgerline.notification_deliveries WHERE organization_id = $1 AND notification_id = $2`, organization, id).Scan(&deliveries)
		if err == nil && deliveries == 0 {
			err = ErrNoChannel
		}
		return err
	})
	return id, err
}
