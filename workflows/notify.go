package workflows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/runlog"
)

// NotifyName is the workflow type of [Notify].
const NotifyName = "Notify"

// deliverWithin is how long a notification is worth sending. What is older,
// people have found out.
const deliverWithin = 24 * time.Hour

// NotifyID is the workflow ID of a delivery: the same notification and channel
// is the same delivery.
func NotifyID(k runlog.DeliveryKey) string {
	return "notify/" + k.NotificationID.String() + "/" + k.Channel
}

// Notify delivers one notification to one channel and records what came of it.
// A worker that dies after it sent and before it could say so makes the next
// one send again, with the same ID: at least once, and a receiver can tell.
//
//	queued (table) ──► Deliver ──fails──► wait 10 s, 20 s … 1 h ──► Deliver …   (Temporal, for 24 h)
//	                     │
//	                     └──► RecordDelivery ──► completed
//	                            (without limit)
func Notify(ctx workflow.Context, k runlog.DeliveryKey) (runlog.DeliveryState, error) {
	var s runlog.DeliveryState
	if err := validKey(k); err != nil {
		return s, notValid(err)
	}
	if err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, deliverOptions(k)), activities.DeliverName, k).Get(ctx, &s); err != nil {
		s = runlog.DeliveryState{State: "failed", ErrorKind: lastKind(err)}
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	err := store(ctx, activities.RecordDeliveryName, "record: "+s.State, activities.RecordDeliveryInput{Key: k, State: s}, nil)
	return s, err
}

// deliverOptions bound an attempt of 10 s and what is around it, and all
// attempts together. The waits are those of [activities.DeliverBase]; a
// receiver that asks for a longer one gets it.
func deliverOptions(k runlog.DeliveryKey) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		StartToCloseTimeout:    20 * time.Second,
		ScheduleToCloseTimeout: deliverWithin,
		Summary:                "to " + k.Channel,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: activities.DeliverBase, BackoffCoefficient: 2, MaximumInterval: activities.DeliverMax},
	}
}

// lastKind is why the last attempt failed that could say so.
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

// StartDeliveries makes one pass over what waits to be told: it queues what
// the hour of its cause kept back, and starts a workflow for each delivery that
// Temporal does not have. Any number of workers may do so at once, and it may
// stop anywhere: a delivery that was started and not marked is started again,
// which Temporal refuses. One organization's fault does not keep the others.
func StartDeliveries(ctx context.Context, c client.Client, db runlog.Beginner, log *slog.Logger) error {
	organizations, err := runlog.ListOrganizationsToNotify(ctx, db)
	if err != nil {
		return err
	}
	var faults []error
	for _, organization := range organizations {
		if err := runlog.FlushSuppressed(ctx, db, organization); err != nil {
			faults = append(faults, fmt.Errorf("organization %s: %w", organization, err))
			continue
		}
		keys, err := runlog.ListDeliveriesToStart(ctx, db, organization)
		if err != nil {
			faults = append(faults, fmt.Errorf("organization %s: %w", organization, err))
			continue
		}
		for _, k := range keys {
			if err := startDelivery(ctx, c, db, k); err != nil {
				// Temporal or the database is away, for the others too.
				return errors.Join(append(faults, fmt.Errorf("%s: %w", NotifyID(k), err))...)
			}
			log.Info("notification handed over", "organization_id", k.OrganizationID, "notification_id", k.NotificationID, "channel", k.Channel)
		}
	}
	return errors.Join(faults...)
}

func startDelivery(ctx context.Context, c client.Client, db runlog.Beginner, k runlog.DeliveryKey) error {
	_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: NotifyID(k), TaskQueue: activities.TaskQueue,
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            "notification to " + k.Channel,
		TypedSearchAttributes:                    temporal.NewSearchAttributes(OrganizationID.ValueSet(k.OrganizationID.String())),
	}, NotifyName, k)
	var there *serviceerror.WorkflowExecutionAlreadyStarted
	if err != nil && !errors.As(err, &there) {
		return err
	}
	return runlog.MarkDeliveryStarted(ctx, db, k)
}
