package runlog

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/notify"
)

// ListOrganizationsToNotify returns the organizations that have something to be
// told now. It needs the worker's role.
func ListOrganizationsToNotify(ctx context.Context, db Beginner) (list []uuid.UUID, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT ledgerline.organizations_to_notify()`)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	return list, err
}

// ListDeliveriesToStart returns deliveries of an organization that Temporal does
// not have yet, at most 100.
func ListDeliveriesToStart(ctx context.Context, db Beginner, organization uuid.UUID) (keys []notify.DeliveryKey, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT organization_id, notification_id, channel FROM ledgerline.notification_deliveries
			WHERE organization_id = $1 AND state = 'pending' AND started_at IS NULL ORDER BY notification_id, channel LIMIT 100`, organization)
		if err != nil {
			return err
		}
		keys, err = pgx.CollectRows(rows, pgx.RowToStructByPos[notify.DeliveryKey])
		return err
	})
	return keys, err
}

// MarkDeliveryStarted records that Temporal has a delivery's workflow.
func MarkDeliveryStarted(ctx context.Context, db Beginner, k notify.DeliveryKey) error {
	return InOrganization(ctx, db, k.OrganizationID, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE ledgerline.notification_deliveries SET started_at = now()
			WHERE organization_id = $1 AND notification_id = $2 AND channel = $3 AND state = 'pending' AND started_at IS NULL`,
			k.OrganizationID, k.NotificationID, k.Channel)
		return err
	})
}

// Delivery is what an attempt needs to know.
type Delivery struct {
	Message notify.Message
	Channel Channel
	State   notify.DeliveryState
}

// Removed reports whether the file does not have the channel any more.
func (d Delivery) Removed() bool { return d.Channel.removed }

// LoadDelivery returns a delivery, or [ErrNotFound].
func LoadDelivery(ctx context.Context, db Beginner, k notify.DeliveryKey) (d Delivery, err error) {
	d.Message = notify.Message{ID: k.NotificationID, Notification: Notification{OrganizationID: k.OrganizationID}}
	d.Channel.Name = k.Channel
	n := &d.Message.Notification
	var integration *uuid.UUID
	var kind, settings string
	err = InOrganization(ctx, db, k.OrganizationID, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT n.cause, n.integration_id, n.facts, n.occurred_at, coalesce(i.name, ''), coalesce(i.adapter, ''),
			    c.kind, c.settings::text, c.causes, c.disabled_at, c.removed_at IS NOT NULL, d.state
			FROM ledgerline.notification_deliveries d
			JOIN ledgerline.notifications n USING (organization_id, notification_id)
			JOIN ledgerline.notification_channels c ON c.organization_id = d.organization_id AND c.name = d.channel
			LEFT JOIN ledgerline.integrations i ON i.organization_id = n.organization_id AND i.integration_id = n.integration_id
			WHERE d.organization_id = $1 AND d.notification_id = $2 AND d.channel = $3`, k.OrganizationID, k.NotificationID, k.Channel).
			Scan(&n.Cause, &integration, &n.Facts, &n.OccurredAt, &d.Message.Integration, &d.Message.Adapter,
				&kind, &settings, &d.Channel.Causes, &d.Channel.DisabledAt, &d.Channel.removed, &d.State)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return d, ErrNotFound
	}
	if err != nil {
		return d, err
	}
	if integration != nil {
		n.IntegrationID = *integration
	}
	return d, d.Channel.read(kind, settings)
}

// RecordDelivery stores how far a delivery is. It is idempotent: one that has
// ended stays as it is, and attempts only grow. A receiver that is gone
// disables its channel, and a test that arrives enables it.
func RecordDelivery(ctx context.Context, db Beginner, k notify.DeliveryKey, s notify.DeliveryStatus) error {
	return InOrganization(ctx, db, k.OrganizationID, func(tx pgx.Tx) error {
		changed, err := tx.Exec(ctx, `
			UPDATE ledgerline.notification_deliveries SET state = $4, attempts = greatest(attempts, $5),
			    error_kind = coalesce(nullif($6, ''), error_kind), status_code = CASE WHEN $6 = '' THEN status_code ELSE nullif($7, 0) END,
			    started_at = coalesce(started_at, now()),
			    finished_at = CASE WHEN $4 <> 'pending' THEN now() END, delivered_at = CASE WHEN $4 = 'delivered' THEN now() END
			WHERE organization_id = $1 AND notification_id = $2 AND channel = $3 AND state = 'pending'`,
			k.OrganizationID, k.NotificationID, k.Channel, s.State, s.Attempts, string(s.ErrorKind), s.Status)
		if err != nil || changed.RowsAffected() == 0 {
			return err
		}
		switch {
		case s.ErrorKind == notify.Gone:
			_, err = tx.Exec(ctx, `UPDATE ledgerline.notification_channels SET disabled_at = now() WHERE organization_id = $1 AND name = $2 AND disabled_at IS NULL`, k.OrganizationID, k.Channel)
		case s.State == notify.Delivered:
			_, err = tx.Exec(ctx, `UPDATE ledgerline.notification_channels SET disabled_at = NULL WHERE organization_id = $1 AND name = $2 AND disabled_at IS NOT NULL`, k.OrganizationID, k.Channel)
		}
		return err
	})
}

// NotificationRecord is a notification and what became of it at one channel.
type NotificationRecord struct {
	NotificationID uuid.UUID    `json:"notificationId"`
	Cause          notify.Cause `json:"cause"`
	Integration    string       `json:"integration,omitempty"`
	OccurredAt     time.Time    `json:"occurredAt"`
	QueuedAt       time.Time    `json:"queuedAt"`
	Suppressed     int          `json:"suppressed"` // further ones within the hour
	Also           []string     `json:"also"`       // and their integrations
	Facts          notify.Facts `json:"facts"`
	Channel        string       `json:"channel,omitempty"` // "" if no channel wanted it
	notify.DeliveryStatus
	DeliveredAt *time.Time `json:"deliveredAt,omitempty"`
}

// ListNotifications returns the newest notifications of an organization that were queued
// since a time, oldest first, at most [MaxPage] rows: one for each channel. A
// notification ID selects its rows alone.
func ListNotifications(ctx context.Context, db Beginner, organization uuid.UUID, since time.Time, id uuid.UUID) (list []NotificationRecord, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT * FROM (
			    SELECT n.notification_id, n.cause, coalesce(i.name, ''), n.occurred_at, n.queued_at, n.suppressed, n.also, n.facts, coalesce(d.channel, ''),
			        coalesce(d.state, ''), coalesce(d.attempts, 0), coalesce(d.error_kind, ''), coalesce(d.status_code, 0), d.delivered_at
			    FROM ledgerline.notifications n
			    LEFT JOIN ledgerline.notification_deliveries d USING (organization_id, notification_id)
			    LEFT JOIN ledgerline.integrations i USING (organization_id, integration_id)
			    WHERE n.organization_id = $1 AND n.queued_at >= $2 AND ($3::uuid = '00000000-0000-0000-0000-000000000000' OR n.notification_id = $3)
			    ORDER BY n.queued_at DESC, n.notification_id, d.channel LIMIT $4) newest
			ORDER BY 5, 1, 9`, organization, since, id, MaxPage)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (t NotificationRecord, err error) {
			err = row.Scan(&t.NotificationID, &t.Cause, &t.Integration, &t.OccurredAt, &t.QueuedAt, &t.Suppressed, &t.Also, &t.Facts, &t.Channel,
				&t.State, &t.Attempts, &t.ErrorKind, &t.Status, &t.DeliveredAt)
			return t, err
		})
		return err
	})
	return list, err
}
