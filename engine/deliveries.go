package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// StartDeliveries makes one pass over the notifications that are waiting: it queues those
// that were suppressed until the hour of their cause is over, and starts a workflow for
// each delivery that Temporal does not have. Any number of workers may do so at once, and
// it may stop anywhere: a delivery that was started and not marked is started again, which
// Temporal refuses. An error of one organization does not stop the others.
func StartDeliveries(ctx context.Context, c client.Client, db runlog.Beginner, log *slog.Logger) error {
	organizations, err := runlog.ListOrganizationsToNotify(ctx, db)
	if err != nil {
		return err
	}
	var errs []error
	for _, organization := range organizations {
		if err := runlog.FlushSuppressed(ctx, db, organization); err != nil {
			errs = append(errs, fmt.Errorf("organization %s: %w", organization, err))
			continue
		}
		list, err := runlog.ListDeliveriesToStart(ctx, db, organization)
		if err != nil {
			errs = append(errs, fmt.Errorf("organization %s: %w", organization, err))
			continue
		}
		for _, d := range list {
			if err := startDelivery(ctx, c, db, d); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", workflows.NotifyID(d.DeliveryKey), err))
				if away := (*serviceerror.Unavailable)(nil); ctx.Err() != nil || errors.As(err, &away) || runlog.IsTransient(err) {
					return errors.Join(errs...) // Temporal or the database is away, for the others too
				}
				continue
			}
			log.Info("notification handed over", "organization_id", d.OrganizationID, "notification_id", d.NotificationID, "channel", d.Channel)
		}
	}
	return errors.Join(errs...)
}

// startDelivery starts the workflow of a delivery, if there is none, and marks it as started.
func startDelivery(ctx context.Context, c client.Client, db runlog.Beginner, d runlog.DeliveryListing) error {
	k, about := d.DeliveryKey, strings.TrimSpace(d.Integration+" "+strings.ReplaceAll(string(d.Cause), "_", " "))
	_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: workflows.NotifyID(k), TaskQueue: activities.TaskQueue,
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            workflows.Line(about + ", to " + k.Channel),
		TypedSearchAttributes:                    temporal.NewSearchAttributes(workflows.OrganizationID.ValueSet(k.OrganizationID.String())),
	}, workflows.NotifyName, workflows.NotifyInput{DeliveryKey: k, About: about})
	var there *serviceerror.WorkflowExecutionAlreadyStarted
	if err != nil && !errors.As(err, &there) {
		return err
	}
	return runlog.MarkDeliveryStarted(ctx, db, k)
}
