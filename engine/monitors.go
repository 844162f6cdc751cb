package engine

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/workflows"
)

// monitorOptions are the options under which a monitor starts. There is at most
// one of an integration. name is the integration's, "" if the caller does not know it.
func monitorOptions(organization, integration uuid.UUID, name string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID: workflows.MonitorID(organization, integration), TaskQueue: activities.TaskQueue,
		WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            workflows.Line(strings.TrimSpace(name + " monitor")),
		TypedSearchAttributes:    workflows.Attributes(organization, integration, ""),
	}
}

// EnsureMonitor starts an integration's monitor if it is not running. name is the
// integration's, for people.
func EnsureMonitor(ctx context.Context, c client.Client, organization, integration uuid.UUID, name string) error {
	_, err := c.ExecuteWorkflow(ctx, monitorOptions(organization, integration, name), workflows.MonitorName,
		workflows.MonitorInput{OrganizationID: organization, IntegrationID: integration})
	return err
}

// ReportObservations hands what traffic showed to an integration's monitor, and starts the
// monitor if it is not running. name is the integration's, "" if it is not known.
func ReportObservations(ctx context.Context, c client.Client, organization, integration uuid.UUID, name string, seen []health.Observation) error {
	return signalMonitor(ctx, c, organization, integration, name, workflows.ObservedSignal, seen)
}

// RefreshMonitor makes an integration's monitor read its integration again: the file was
// applied, or somebody paused or resumed it. name is the integration's.
func RefreshMonitor(ctx context.Context, c client.Client, organization, integration uuid.UUID, name string) error {
	return signalMonitor(ctx, c, organization, integration, name, workflows.ChangedSignal, nil)
}

func signalMonitor(ctx context.Context, c client.Client, organization, integration uuid.UUID, name, signal string, arg any) error {
	o := monitorOptions(organization, integration, name)
	_, err := c.SignalWithStartWorkflow(ctx, o.ID, signal, arg, o, workflows.MonitorName, workflows.MonitorInput{OrganizationID: organization, IntegrationID: integration})
	return err
}
