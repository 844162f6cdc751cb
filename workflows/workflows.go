// Package workflows says how long and in what order; package classify says
// whether, and package activities does the work. Everything in a workflow is
// deterministic: it is run again from its history whenever a worker has to
// remember where it was.
//
// [Invoke] is one adapter call with its retries. Temporal retries the activity
// by the retry policy that the workflow gives it, so waiting costs nothing and
// survives everything; the workflow only says when it is over.
//
//	           Call ──fails──► wait 1 s, 2 s, 4 s ± 20 % ──► Call …      (Temporal)
//	             │
//	started ─────┴──► outcome known ──► Mirror ──► completed
//	                       │              (without limit)
//	caller ◄── update ─────┘
//
// A history has 11 events when a call succeeds, 18 when it fails, however many
// attempts there were, and two more if a caller waited by the update. Before a
// call is cancelled, Hold reads what its attempts have left.
//
// The package also holds the client's side, [Execute], and the names that both
// sides share, so that no string is built twice.
package workflows

import (
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
)

// Search attributes, all keywords. The first four are set at the start; the
// last one when an invocation has failed.
var (
	OrganizationID = temporal.NewSearchAttributeKeyKeyword("OrganizationId")
	IntegrationID  = temporal.NewSearchAttributeKeyKeyword("IntegrationId")
	AdapterName    = temporal.NewSearchAttributeKeyKeyword("AdapterName")
	CorrelationID  = temporal.NewSearchAttributeKeyKeyword("CorrelationId")
	ErrorClass     = temporal.NewSearchAttributeKeyKeyword("ErrorClass")
)

// SearchAttributes are the names of all search attributes.
func SearchAttributes() []string {
	return []string{OrganizationID.GetName(), IntegrationID.GetName(), AdapterName.GetName(), CorrelationID.GetName(), ErrorClass.GetName()}
}

// WorkerOptions returns the options that a worker must have.
//
// The heartbeat throttle is longer than any attempt. The SDK sends an attempt's
// first heartbeat at once and keeps the next one until the throttle has passed
// or the attempt ends, when it sends it before the failure. Should the throttle
// pass while one is kept, the SDK sends it beside the failure, and the server
// may take the failure first: then the trail lacks its last entry.
//
// A stopping worker gives attempts under way the time to finish (the SDK's
// default is none), which is 2 s more than the default attempt timeout.
func WorkerOptions() worker.Options {
	return worker.Options{
		DefaultHeartbeatThrottleInterval: 70 * time.Second,
		MaxHeartbeatThrottleInterval:     70 * time.Second,
		WorkerStopTimeout:                12 * time.Second,
	}
}

// Register makes a worker run the workflows and activities.
func Register(w worker.Registry, a *activities.Activities) {
	w.RegisterWorkflowWithOptions(Invoke, workflow.RegisterOptions{Name: InvokeName})
	w.RegisterWorkflowWithOptions(Sync, workflow.RegisterOptions{Name: SyncName})
	w.RegisterWorkflowWithOptions(Backfill, workflow.RegisterOptions{Name: BackfillName})
	w.RegisterWorkflowWithOptions(Notify, workflow.RegisterOptions{Name: NotifyName})
	w.RegisterWorkflowWithOptions(Monitor, workflow.RegisterOptions{Name: MonitorName})
	for name, f := range map[string]any{
		activities.DeliverName: a.Deliver, activities.RecordDeliveryName: a.RecordDelivery,
		activities.ClaimName: a.ClaimExport, activities.PlanName: a.PlanExport, activities.SplitName: a.SplitChunk,
		activities.DrawName: a.DrawVoucher, activities.FitName: a.FitChunks,
		activities.DeferName: a.DeferExport, activities.CloseName: a.CloseExport,
		activities.InspectName: a.Inspect, activities.ProbeName: a.Probe, activities.WarmUpName: a.WarmUp, activities.RecordHealthName: a.RecordHealth,
	} {
		w.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	w.RegisterActivityWithOptions(a.Call, activity.RegisterOptions{Name: activities.CallName})
	w.RegisterActivityWithOptions(a.Hold, activity.RegisterOptions{Name: activities.HoldName})
	w.RegisterActivityWithOptions(a.Mirror, activity.RegisterOptions{Name: activities.MirrorName})
}
