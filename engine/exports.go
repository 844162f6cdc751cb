package engine

import (
	"context"
	"errors"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/workflows"
)

// SyncOptions are the options under which an export starts: the workflow is
// [workflows.SyncName], its argument in. Its ID is its period's, so that there is at most
// one run of a period at a time.
func SyncOptions(in workflows.SyncInput) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID: workflows.SyncID(in), TaskQueue: activities.TaskQueue, Priority: workflows.Fairly(in.OrganizationID),
		WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            in.Summary(),
		TypedSearchAttributes:    workflows.Attributes(in.OrganizationID, in.IntegrationID, in.AdapterName),
	}
}

// BackfillRuns are the runs that make up for firings of an integration's schedule, one of
// each period. by is who asked for them.
func BackfillRuns(in integrations.Integration, firings []Firing, by string) ([]workflows.SyncInput, error) {
	var runs []workflows.SyncInput
	seen := make(map[string]bool)
	for _, f := range firings {
		if seen[f.Period] {
			continue
		}
		seen[f.Period] = true
		run, err := NewSync(in, f.Period, by)
		if err != nil {
			return nil, err
		}
		run.Trigger = exports.ByBackfill
		runs = append(runs, run)
	}
	return runs, nil
}

// BackfillOptions are the options under which a backfill starts: the workflow is
// [workflows.BackfillName], its argument b. There is at most one of an integration at a time;
// the error of a second one is known by [temporal.IsWorkflowExecutionAlreadyStartedError].
func BackfillOptions(in integrations.Integration, b workflows.BackfillInput) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID: workflows.BackfillID(in.OrganizationID, in.ID), TaskQueue: activities.TaskQueue, Priority: workflows.Fairly(in.OrganizationID),
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            workflows.Line(in.Name + " backfill: " + b.Summary()),
		TypedSearchAttributes:                    workflows.Attributes(in.OrganizationID, in.ID, ""),
	}
}

// NewSync is an export of a period of an integration, such as 2026-10, with what the
// integration's file says of retries and limits. by is who asks for it.
func NewSync(in integrations.Integration, period, by string) (workflows.SyncInput, error) {
	start, end, err := exports.ParsePeriod(period)
	run := syncInput(in)
	run.Schedule, run.Period, run.PeriodStart, run.PeriodEnd, run.Trigger, run.TriggeredBy = nil, period, start, end, exports.ByHand, by
	return run, err
}

// syncInput is what a schedule's firings start.
func syncInput(in integrations.Integration) workflows.SyncInput {
	return workflows.SyncInput{
		OrganizationID: in.OrganizationID, IntegrationID: in.ID, IntegrationName: in.Name, AdapterName: in.Adapter, Trigger: exports.BySchedule, TriggeredBy: "schedule",
		Schedule: in.Schedule, Policy: in.Policy, OwnQueue: in.Limits.OwnQueue(),
	}
}

// WakeExports makes the pending exports of an integration that wait because it was paused
// look again now, and not within the hour. One whose run no longer exists is left alone.
func WakeExports(ctx context.Context, c client.Client, pending []exports.Export) error {
	var gone *serviceerror.NotFound
	for _, e := range pending {
		if err := c.SignalWorkflow(ctx, e.WorkflowID, "", workflows.ResumedSignal, nil); err != nil && !errors.As(err, &gone) {
			return err
		}
	}
	return nil
}

// RunClosed reports whether the run of a pending export has ended. One that has continued
// as new has not: it runs under the same workflow ID.
func RunClosed(ctx context.Context, c client.Client, e exports.Export) (bool, error) {
	d, err := c.DescribeWorkflow(ctx, e.WorkflowID, "")
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return true, nil
	}
	return err == nil && activities.Closed(d.Status), err
}
