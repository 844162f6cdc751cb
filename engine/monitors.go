package engine

import (
	"context"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/workflows"
)

// monitorOptions are the options under which a monitor starts. There is at most
// one of an integration.
func monitorOptions(organization, integration uuid.UUID) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID: workflows.MonitorID(organization, integration), TaskQueue: activities.TaskQueue,
		WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            "watches an integration",
		TypedSearchAttributes:    workflows.Attributes(organization, integration, ""),
	}
}

// EnsureMonitor starts an integration's monitor if it is not running.
func EnsureMonitor(ctx context.Context, c client.Client, organization, integration uuid.UUID) error {
	_, err := c.ExecuteWorkflow(ctx, monitorOptions(organization, integration), workflows.MonitorName,
		workflows.MonitorInput{OrganizationID: organization, IntegrationID: integration})
	return err
}

// ReportObservations hands what traffic showed to an integration's monitor, and starts the
// monitor if it is not running. It is what package traffic calls a Report.
func ReportObservations(ctx context.Context, c client.Client, organization, integration uuid.UUID, seen []health.Observation) error {
	return signalMonitor(ctx, c, organization, integration, workflows.ObservedSignal, seen)
}

// RefreshMonitor makes an integration's monitor read its integration again: the file was
// applied, or somebody paused or resumed it.
func RefreshMonitor(ctx context.Context, c client.Client, organization, integration uuid.UUID) error {
	return signalMonitor(ctx, c, organization, integration, workflows.ChangedSignal, nil)
}

func signalMonitor(ctx context.Context, c client.Client, organization, integration uuid.UUID, signal string, arg any) error {
	o := monitorOptions(organization, integration)
	_, err := c.SignalWithStartWorkflow(ctx, o.ID, signal, arg, o, workflows.MonitorName, workflows.MonitorInput{OrganizationID: organization, IntegrationID: integration})
	return err
}
