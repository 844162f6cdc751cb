// Package workflows says how long and in what order. Package classify says whether, package
// exports what an export's run does next, and package activities does the work.
//
//	Invoke    one call to a vendor, with its retries, and its audit rows
//	Sync      one export of one period, chunk by chunk
//	Backfill  exports of several periods, one after the other
//	Monitor   the health of one integration, for as long as there is one
//	Notify    the delivery of one notification to one channel
//
// A workflow is deterministic: Temporal runs it again from its history whenever a worker
// has to remember where it was. So this package has no I/O, no clock and no Temporal
// client. Programs start workflows and ask about them by package engine. What both need
// is here: inputs, results, IDs, search attributes.
//
// [Invoke] is the one to read first. Temporal retries its activity by the retry policy
// that the workflow gives it, so that waiting costs nothing and survives everything; the
// workflow only says when it is over.
//
//	           Call ──fails──► wait 1 s, 2 s, 4 s ± 20 % ──► Call …      (Temporal)
//	             │
//	started ─────┴──► outcome known ──► Mirror ──► completed
//	                       │              (without limit)
//	caller ◄── update ─────┘
//
// A history has 11 events when a call succeeds, 18 when it fails, however many attempts
// there were, and two more if a caller waited by the update. Before a call is cancelled,
// Hold reads what its attempts have left.
//
// A call or an export that fails is a result: its workflow completes. Whoever reaches
// Temporal can start one, so each checks its own input first.
package workflows

import (
	"maps"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
)

// WorkerOptions returns the options that a worker must have.
//
// The heartbeat throttle is longer than any attempt. The SDK sends an attempt's first
// heartbeat at once and keeps the next one until the throttle has passed or the attempt
// ends, when it sends it before the failure. If the throttle passed while one is kept, the
// SDK would send it beside the failure, and the server might take the failure first: then
// the trail would lack its last entry.
//
// A worker that stops gives attempts under way 12 s to finish, 2 s more than the default
// attempt timeout. The SDK's default is none.
func WorkerOptions() worker.Options {
	return worker.Options{
		DefaultHeartbeatThrottleInterval: 70 * time.Second,
		MaxHeartbeatThrottleInterval:     70 * time.Second,
		WorkerStopTimeout:                12 * time.Second,
	}
}

// types are the workflows by their type.
var types = map[string]any{InvokeName: Invoke, SyncName: Sync, BackfillName: Backfill, MonitorName: Monitor, NotifyName: Notify}

// Types returns the types of all workflows.
func Types() []string { return slices.Sorted(maps.Keys(types)) }

// Register makes a worker run the workflows and activities.
func Register(w worker.Registry, a *activities.Activities) {
	for name, f := range types {
		w.RegisterWorkflowWithOptions(f, workflow.RegisterOptions{Name: name})
	}
	for name, f := range map[string]any{
		activities.CallName: a.Call, activities.HoldName: a.Hold, activities.MirrorName: a.Mirror,
		activities.ClaimName: a.ClaimExport, activities.PlanName: a.PlanExport, activities.DeferName: a.DeferExport, activities.CloseName: a.CloseExport,
		activities.SplitName: a.SplitChunk, activities.DrawName: a.DrawVoucher, activities.FitName: a.FitChunks,
		activities.InspectName: a.Inspect, activities.ProbeName: a.Probe, activities.WarmUpName: a.WarmUp, activities.RecordHealthName: a.RecordHealth,
		activities.DeliverName: a.Deliver, activities.RecordDeliveryName: a.RecordDelivery,
	} {
		w.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
}
