package runlog

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/notify"
)

// ListOrganizationsToNotify returns the organizations that have something to be
// notified of now. It needs the worker's role.
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

// DeliveryListing is a delivery as the loop sees it that starts their workflows.
type DeliveryListing struct {
	notify.DeliveryKey
	Cause       notify.Cause
	Integration string // its name, "" if the notification is about none
}

// ListDeliveriesToStart returns deliveries of an organization that Temporal does
// not have yet, at most 100.
func ListDeliveriesToStart(ctx context.Context, db Beginner, organization uuid.UUID) ([]DeliveryListing, error) {
	return queryInOrganization[DeliveryListing](ctx, db, organization, `
		SELECT delivery.organization_id, delivery.notification_id, delivery.channel, notification.cause, coalesce(integration.name, '') AS integration
		FROM ledgerline.notification_deliveries AS delivery
		JOIN ledgerline.notifications AS notification USING (organization_id, notification_id)
		LEFT JOIN ledgerline.integrations AS integration
		    ON integration.organization_id = notification.organization_id AND integration.integration_id = notification.integration_id
		WHERE delivery.organization_id = $1 AND delivery.state = 'pending' AND delivery.started_at IS NULL
		ORDER BY delivery.notification_id, delivery.channel LIMIT 100`, organization)
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

// loadedDelivery is a row of [LoadDelivery].
type loadedDelivery struct {
	Cause         notify.Cause
	IntegrationID uuid.UUID
	Facts         notify.Facts
	OccurredAt    time.Time
	Organization  string
	Integration   string
	Export        string
	Adapter       string
	Kind          string
	Settings      string
	Causes        []notify.Cause
	DisabledAt    *time.Time
	Removed       bool
	State         notify.DeliveryState
}

// LoadDelivery returns a delivery, or [ErrNotFound].
func LoadDelivery(ctx context.Context, db Beginner, k notify.DeliveryKey) (d Delivery, err error) {
	var loaded loadedDelivery
	err = InOrganization(ctx, db, k.OrganizationID, func(tx pgx.Tx) error {
		loaded, err = queryRow[loadedDelivery](ctx, tx, `
			SELECT notification.cause, coalesce(notification.integration_id, '00000000-0000-0000-0000-000000000000') AS integration_id,
			    `+calledOrganization+` AS organization, notification.facts, notification.occurred_at, coalesce(integration.name, '') AS integration, coalesce(integration.adapter, '') AS adapter,
			    CASE WHEN export.export_id IS NULL OR integration.removed_at IS NOT NULL THEN '' ELSE `+referenceOf("export", "integration.name")+` END AS export,
			    channel.kind, channel.settings::text, channel.causes, channel.disabled_at, channel.removed_at IS NOT NULL AS removed, delivery.state
			FROM ledgerline.notification_deliveries AS delivery
			JOIN ledgerline.notifications AS notification USING (organization_id, notification_id)
			JOIN ledgerline.notification_channels AS channel ON channel.organization_id = delivery.organization_id AND channel.name = delivery.channel
			LEFT JOIN ledgerline.integrations AS integration
			    ON integration.organization_id = notification.organization_id AND integration.integration_id = notification.integration_id
			LEFT JOIN ledgerline.bufdir_export_audit_log AS export
			    ON export.organization_id = notification.organization_id AND export.export_id = (notification.facts ->> 'exportId')::uuid
			        AND export.integration_id = notification.integration_id
			WHERE delivery.organization_id = $1 AND delivery.notification_id = $2 AND delivery.channel = $3`, k.OrganizationID, k.NotificationID, k.Channel)
		return err
	})
	if err != nil {
		return d, err
	}
	d.State = loaded.State
	d.Message = notify.Message{ID: k.NotificationID, Organization: loaded.Organization, Integration: loaded.Integration, Export: loaded.Export, Adapter: loaded.Adapter, Notification: notify.Notification{
		OrganizationID: k.OrganizationID, IntegrationID: loaded.IntegrationID, Cause: loaded.Cause, OccurredAt: loaded.OccurredAt, Facts: loaded.Facts,
	}}
	d.Channel.Name, d.Channel.Causes, d.Channel.DisabledAt, d.Channel.removed = k.Channel, loaded.Causes, loaded.DisabledAt, loaded.Removed
	return d, d.Channel.read(loaded.Kind, loaded.Settings)
}

// RecordDelivery stores how far a delivery is. It is idempotent: one that has
// ended stays as it is, and attempts only grow. A receiver that is gone
// disables its channel, and a test that arrives enables it.
func RecordDelivery(ctx context.Context, db Beginner, k notify.DeliveryKey, s notify.DeliveryStatus) error {
	return InOrganization(ctx, db, k.OrganizationID, func(tx pgx.Tx) error {
		changed, err := tx.Exec(ctx, `
			UPDATE ledgerline.notification_deliveries SET state = @state, attempts = greatest(attempts, @attempts),
			    error_kind = coalesce(nullif(@error_kind, ''), error_kind),
			    status_code = CASE WHEN @error_kind = '' THEN status_code ELSE nullif(@status_code::integer, 0) END,
			    started_at = coalesce(started_at, now()),
			    finished_at = CASE WHEN @state <> 'pending' THEN now() END, delivered_at = CASE WHEN @state = 'delivered' THEN now() END
			WHERE organization_id = @organization_id AND notification_id = @notification_id AND channel = @channel AND state = 'pending'`, pgx.StrictNamedArgs{
			"organization_id": k.OrganizationID, "notification_id": k.NotificationID, "channel": k.Channel,
			"state": s.State, "attempts": s.Attempts, "error_kind": string(s.ErrorKind), "status_code": s.Status,
		})
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
	NotificationID    uuid.UUID    `json:"notificationId"`
	Cause             notify.Cause `json:"cause"`
	Integration       string       `json:"integration,omitempty"`
	OccurredAt        time.Time    `json:"occurredAt"`
	QueuedAt          time.Time    `json:"queuedAt"`
	Suppressed        int          `json:"suppressed"`        // further ones within the hour
	OtherIntegrations []string     `json:"otherIntegrations"` // and their integrations
	Facts             notify.Facts `json:"facts"`
	Channel           string       `json:"channel,omitempty"` // "" if no channel wanted it
	notify.DeliveryStatus
	DeliveredAt *time.Time `json:"deliveredAt,omitempty"`
}

// ListNotifications returns the newest notifications of an organization that were queued
// since a time, oldest first, at most [MaxPage] rows: one for each channel. A
// notification ID selects its rows alone.
func ListNotifications(ctx context.Context, db Beginner, organization uuid.UUID, since time.Time, id uuid.UUID) ([]NotificationRecord, error) {
	list, _, err := ListNewestNotifications(ctx, db, organization, NotificationFilter{Since: since, ID: id})
	return list, err
}

// NotificationFilter selects notifications by when they were queued.
type NotificationFilter struct {
	Since, Until time.Time // zero: all; Until is exclusive
	ID           uuid.UUID // only this one; [uuid.Nil] is all
	Limit        int       // 1 to MaxPage; 0 is MaxPage
}

// ListNewestNotifications is [ListNotifications] of a filter. more reports whether it selects
// older rows too.
func ListNewestNotifications(ctx context.Context, db Beginner, organization uuid.UUID, f NotificationFilter) (list []NotificationRecord, more bool, err error) {
	limit := f.Limit
	if limit <= 0 || limit > MaxPage {
		limit = MaxPage
	}
	var until *time.Time
	if !f.Until.IsZero() {
		until = &f.Until
	}
	list, err = queryInOrganization[NotificationRecord](ctx, db, organization, `
		SELECT * FROM (
		    SELECT notification_id, cause, coalesce(name, '') AS integration, occurred_at, queued_at, suppressed, other_integrations, facts, coalesce(channel, '') AS channel,
		        coalesce(state, '') AS state, coalesce(attempts, 0) AS attempts, coalesce(delivery.error_kind, '') AS error_kind,
		        coalesce(status_code, 0) AS status, delivered_at
		    FROM ledgerline.notifications AS notification
		    LEFT JOIN ledgerline.notification_deliveries AS delivery USING (organization_id, notification_id)
		    LEFT JOIN ledgerline.integrations USING (organization_id, integration_id)
		    WHERE organization_id = $1 AND queued_at >= $2 AND ($5::timestamptz IS NULL OR queued_at < $5) AND ($3::uuid = '00000000-0000-0000-0000-000000000000' OR notification_id = $3)
		    ORDER BY queued_at DESC, notification_id, channel LIMIT $4) AS newest
		ORDER BY queued_at, notification_id, channel`, organization, f.Since, f.ID, limit+1, until) // one more shows that there are others
	if more = len(list) > limit; more {
		list = list[len(list)-limit:]
	}
	return list, more, err
}
