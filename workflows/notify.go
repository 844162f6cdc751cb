package workflows

import (
	"errors"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/notify"
)

// NotifyName is the workflow type of [Notify].
const NotifyName = "Notify"

// deliverWithin is how long a notification is worth sending. After a day, people know.
const deliverWithin = 24 * time.Hour

// NotifyInput says what a [Notify] delivers.
type NotifyInput struct {
	notify.DeliveryKey
	// About is shown to people, such as "xledger-main export failed"; "" in deliveries that were started before there was one.
	About string `json:"about,omitempty"`
}

// Notify delivers one notification to one channel and records what came of it.
// If a worker dies after it sent and before it could report that, the next one sends
// again, with the same ID: delivery is at least once, and a receiver can drop duplicates.
//
//	queued (table) ──► Deliver ──fails──► wait 10 s, 20 s … 1 h ──► Deliver …   (Temporal, for 24 h)
//	                     │
//	                     └──► RecordDelivery ──► completed
//	                            (without limit)
func Notify(ctx workflow.Context, in NotifyInput) (notify.DeliveryStatus, error) {
	var s notify.DeliveryStatus
	if err := in.Validate(); err != nil {
		return s, notValid(err)
	}
	k, now := in.DeliveryKey, workflow.Now(ctx)
	show(ctx, in.About, "being delivered to %s, until %s at the latest; Pending Activities shows when the next attempt is", k.Channel, clock(now.Add(deliverWithin), now))
	var delivered activities.DeliverResult
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, deliverOptions(k)), activities.DeliverName, activities.DeliverInput{Key: k}).Get(ctx, &delivered)
	if s = delivered.Status; err != nil {
		s = notify.DeliveryStatus{State: notify.DeliveryFailed, ErrorKind: lastKind(err)}
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	show(ctx, in.About, "%s, to %s", deliveryWords(s), k.Channel)
	err = runUntilDone(ctx, activities.RecordDeliveryName, "record: "+string(s.State), activities.RecordDeliveryInput{Key: k, Status: s}, nil)
	if err == nil && s.State == notify.DeliveryFailed {
		err = noteEnding(ctx, notifyOutcome, EndedFailed)
	}
	return s, err
}

// deliveryWords are what became of a delivery, for people.
func deliveryWords(s notify.DeliveryStatus) string {
	if s.State != notify.DeliveryFailed || s.ErrorKind == "" {
		return string(s.State)
	}
	return string(s.State) + " (" + strings.ReplaceAll(string(s.ErrorKind), "_", " ") + ")"
}

// deliverOptions give an attempt, which takes at most 10 s, 20 s with what is around it,
// and bound all attempts together. The waits begin with [activities.DeliverBase]; a
// receiver that asks for a longer wait gets it.
func deliverOptions(k notify.DeliveryKey) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		StartToCloseTimeout:    20 * time.Second,
		ScheduleToCloseTimeout: deliverWithin,
		Summary:                "to " + k.Channel,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: activities.DeliverBase, BackoffCoefficient: 2, MaximumInterval: activities.DeliverMax},
	}
}

// lastKind is why the last attempt failed that could report it.
func lastKind(err error) classify.Kind {
	var failed *temporal.ApplicationError
	var cancelled *temporal.CanceledError
	switch {
	case errors.As(err, &cancelled):
		return classify.Cancelled
	case errors.As(err, &failed):
		return classify.Kind(failed.Type())
	}
	return classify.AttemptTimeout
}
