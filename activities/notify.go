package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/redact"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
)

// DeliverName is the name under which [Activities.Deliver] is registered.
const DeliverName = "Deliver"

// The waits between attempts to deliver: 10 s, 20 s, 40 s … up to an hour.
const (
	DeliverBase = 10 * time.Second
	DeliverMax  = time.Hour
)

// DeliverInput says what [Activities.Deliver] is to deliver.
type DeliverInput struct {
	Key notify.DeliveryKey `json:"key"`
}

// DeliverResult is what became of a delivery.
type DeliverResult struct {
	Status notify.DeliveryStatus `json:"status"`
}

// Deliver makes one attempt to deliver a notification to a channel. Delivered
// or refused for good is a result; what may succeed later is an error, whose
// type is its kind. Its input is names only: the message is made here, and the
// secret read here.
func (a *Activities) Deliver(ctx context.Context, in DeliverInput) (DeliverResult, error) {
	status, err := a.deliver(ctx, in.Key)
	return DeliverResult{Status: status}, err
}

func (a *Activities) deliver(ctx context.Context, k notify.DeliveryKey) (notify.DeliveryStatus, error) {
	attempt := int(activity.GetInfo(ctx).Attempt)
	d, err := runlog.LoadDelivery(ctx, a.options.DB, k)
	switch {
	case errors.Is(err, runlog.ErrNotFound):
		return notify.DeliveryStatus{State: notify.DeliveryFailed, ErrorKind: classify.NotFound}, nil
	case err != nil:
		a.refusals().note("LoadDelivery", "a notification could not be read, and is delivered later", err, deliveryIDs(k)...)
		return notify.DeliveryStatus{}, deliverLater(notify.Result{Kind: classify.Dependency}, attempt)
	case d.State != notify.DeliveryPending:
		return notify.DeliveryStatus{State: d.State}, nil // it was delivered, or given up, before
	}
	r := a.send(ctx, d)
	s := notify.DeliveryStatus{State: notify.DeliveryPending, Attempts: attempt, ErrorKind: r.Kind, Status: r.Status}
	switch {
	case r.Delivered():
		s.State = notify.Delivered
		if r.Kind == classify.OK {
			s.ErrorKind, s.Status = "", 0
		}
		return s, nil
	case r.Permanent:
		s.State = notify.DeliveryFailed
		a.logDelivery(k, r, attempt)
		return s, nil
	}
	a.logDelivery(k, r, attempt)
	// So that people see why it takes so long; RecordDelivery records the end for certain.
	if err := runlog.RecordDelivery(ctx, a.options.DB, k, s); err != nil {
		a.refusals().note("RecordDelivery", "an attempt to notify could not be recorded", err, deliveryIDs(k)...)
	}
	return notify.DeliveryStatus{}, deliverLater(r, attempt)
}

// send sends a message in the way of its channel.
func (a *Activities) send(ctx context.Context, d runlog.Delivery) notify.Result {
	test := d.Message.Notification.Cause == notify.Test
	switch {
	case d.Removed():
		return notify.Result{Kind: notify.ChannelRemoved, Permanent: true}
	case d.Channel.DisabledAt != nil && !test: // a test may find that it works again
		return notify.Result{Kind: notify.ChannelDisabled, Permanent: true}
	case d.Channel.Webhook != nil:
		secret, err := a.options.Secrets.Resolve(ctx, d.Message.Notification.OrganizationID, d.Channel.Webhook.Secret)
		if errors.Is(err, secrets.ErrHangs) {
			return notify.Result{Kind: classify.Dependency, Err: err}
		}
		if err != nil {
			return notify.Result{Kind: classify.Credentials, Err: err}
		}
		return a.webhooks.Send(ctx, d.Channel.Webhook.URL, secret, d.Message)
	}
	return a.options.Mail.Send(ctx, d.Channel.Email.To, d.Message)
}

// deliverLater asks for another attempt, and never before the receiver wants one.
func deliverLater(r notify.Result, attempt int) error {
	o := temporal.ApplicationErrorOptions{Category: temporal.ApplicationErrorCategoryBenign}
	if planned := min(DeliverBase<<min(attempt-1, 20), DeliverMax); r.RetryAfter > planned {
		o.NextRetryDelay = r.RetryAfter
	}
	message := "not delivered: " + string(r.Kind)
	if r.Status != 0 {
		message += fmt.Sprintf(", answer %d", r.Status)
	}
	return temporal.NewApplicationErrorWithOptions(message, string(r.Kind), o)
}

// deliveryIDs are the attributes of a log line about a delivery.
func deliveryIDs(k notify.DeliveryKey) []any {
	return []any{"organization_id", k.OrganizationID, "notification_id", k.NotificationID, "channel", k.Channel}
}

func (a *Activities) logDelivery(k notify.DeliveryKey, r notify.Result, attempt int) {
	words := ""
	if r.Err != nil {
		words = redact.New(r.Secrets...).Text(r.Err.Error())
	}
	a.options.Log.Warn("a notification was not delivered", "organization_id", k.OrganizationID, "notification_id", k.NotificationID, "channel", k.Channel,
		"attempt", attempt, "kind", r.Kind, "status", r.Status, "final", r.Permanent, "error", words)
}

// RecordDeliveryName is the name under which [Activities.RecordDelivery] is registered.
const RecordDeliveryName = "RecordDelivery"

// RecordDeliveryInput is what became of a delivery, for [Activities.RecordDelivery].
type RecordDeliveryInput struct {
	Key    notify.DeliveryKey    `json:"key"`
	Status notify.DeliveryStatus `json:"status"`
}

// RecordDelivery stores what became of a delivery. It is idempotent and retried
// without limit: a database that is away never makes a message go out twice.
func (a *Activities) RecordDelivery(ctx context.Context, in RecordDeliveryInput) error {
	err := runlog.RecordDelivery(ctx, a.options.DB, in.Key, in.Status)
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return storeError(err)
}
