package runlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/notify"
)

// Notification is what people are to be told; see [notify.Notification].
type Notification = notify.Notification

// Notify queues a notification for each of the organization's channels that
// wants its cause, in a transaction of [InOrganization]: it is told exactly if
// what it tells of is committed.
//
// At most one is queued per cause and hour, an hour from the last one on. What
// comes within it is counted and named on the row of that one, and told when the
// hour is over, by [FlushSuppressed]; queued is then false. Callers of one cause wait
// for each other's commit, so make this the last statement of a transaction,
// and where it tells of several causes, tell them in the order of
// [notify.Causes].
//
// Failing, credentials and recovered have a memory of their own: see [OpenIncident] and
// [CloseIncidents]. What was suppressed of the other causes is told when the hour is
// over: see [FlushSuppressed].
func Notify(ctx context.Context, tx pgx.Tx, n Notification) (queued bool, err error) {
	switch n.Cause {
	case notify.Failing, notify.Credentials, notify.Recovered, notify.Test:
		return false, fmt.Errorf("notification: %s is queued by Fail, Recover or QueueTest", n.Cause)
	}
	id, err := queue(ctx, tx, n)
	if err != nil || id != uuid.Nil {
		return err == nil, err
	}
	return false, suppress(ctx, tx, n)
}

// QueueNotification is [Notify] in a transaction of its own.
func QueueNotification(ctx context.Context, db Beginner, n Notification) (queued bool, err error) {
	err = InOrganization(ctx, db, n.OrganizationID, func(tx pgx.Tx) error {
		queued, err = Notify(ctx, tx, n)
		return err
	})
	return queued, err
}

// takeWindow waits for whoever is taking it, and affects a row only if the last
// notification of the cause is an hour old.
const takeWindow = `
INSERT INTO ledgerline.notification_windows AS w (organization_id, cause, opened_at, notification_id) VALUES ($1, $2, now(), $3)
ON CONFLICT (organization_id, cause) DO UPDATE SET opened_at = excluded.opened_at, notification_id = excluded.notification_id
WHERE w.opened_at <= excluded.opened_at - interval '1 hour'`

// insertNotification adds what was suppressed since the last one of the cause.
const insertNotification = `
INSERT INTO ledgerline.notifications (organization_id, notification_id, cause, integration_id, facts, occurred_at)
SELECT $1, $2, $3, $4, $5::jsonb || coalesce((
    SELECT jsonb_build_object('earlier', jsonb_build_object('count', suppressed, 'integrations', also))
    FROM (SELECT suppressed, also FROM ledgerline.notifications WHERE organization_id = $1 AND cause = $3 ORDER BY queued_at DESC LIMIT 1) last
    WHERE suppressed > 0), '{}'), $6`

// insertDeliveries makes the outbox rows. A test goes to every channel, or to
// the one that is named even if it is disabled: that is how it is tried again.
const insertDeliveries = `
INSERT INTO ledgerline.notification_deliveries (organization_id, notification_id, channel)
SELECT organization_id, $2, name FROM ledgerline.notification_channels
WHERE organization_id = $1 AND removed_at IS NULL
  AND (disabled_at IS NULL AND $4 = '' AND (causes = '{}' OR $3 = ANY (causes) OR $3 = 'test') OR name = $4)`

// queue stores a notification with its deliveries, or returns [uuid.Nil] if
// its cause was told of within the hour.
func queue(ctx context.Context, tx pgx.Tx, n Notification) (uuid.UUID, error) {
	if err := n.Validate(); err != nil {
		return uuid.Nil, err
	}
	id := uuid.New()
	if taken, err := tx.Exec(ctx, takeWindow, n.OrganizationID, n.Cause, id); err != nil || taken.RowsAffected() == 0 {
		return uuid.Nil, err
	}
	return id, insert(ctx, tx, id, n, "")
}

func insert(ctx context.Context, tx pgx.Tx, id uuid.UUID, n Notification, channel string) error {
	var integration *uuid.UUID
	if n.IntegrationID != uuid.Nil {
		integration = &n.IntegrationID
	}
	if n.OccurredAt.IsZero() {
		n.OccurredAt = time.Now()
	}
	if _, err := tx.Exec(ctx, insertNotification, n.OrganizationID, id, n.Cause, integration, n.Facts, n.OccurredAt); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, insertDeliveries, n.OrganizationID, id, n.Cause, channel)
	return err
}

// suppress counts a notification that is not told by itself on the one that
// was, and names its integration there.
func suppress(ctx context.Context, tx pgx.Tx, n Notification) error {
	_, err := tx.Exec(ctx, `
		UPDATE ledgerline.notifications n SET suppressed = n.suppressed + 1,
		    also = CASE WHEN i.name IS NULL OR i.name = ANY (n.also) OR cardinality(n.also) >= $4 THEN n.also ELSE n.also || i.name END
		FROM ledgerline.notification_windows w
		LEFT JOIN ledgerline.integrations i ON i.organization_id = $1 AND i.integration_id = $3
		WHERE w.organization_id = $1 AND w.cause = $2 AND n.organization_id = $1 AND n.notification_id = w.notification_id`,
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
		if err := insert(ctx, tx, id, Notification{OrganizationID: organization, Cause: notify.Test}, channel); err != nil {
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
