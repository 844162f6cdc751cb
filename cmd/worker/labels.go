package main

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/workflows"
)

// knownTypes leaves labels of workflow and activity types out of every metric unless
// a worker runs the type. Whoever reaches Temporal can start a workflow of any type,
// and the SDK counts it under that name: a name for each start would be a series for
// each.
//
// Histograms get buckets in seconds: OpenTelemetry's own are for milliseconds.
func knownTypes() sdkmetric.View {
	names := types{known: make(map[string]bool)}
	workflows.Register(&names, new(activities.Activities))
	keep := func(kv attribute.KeyValue) bool {
		return kv.Key != "workflow_type" && kv.Key != "activity_type" || names.known[kv.Value.AsString()]
	}
	return func(i sdkmetric.Instrument) (sdkmetric.Stream, bool) {
		s := sdkmetric.Stream{Name: i.Name, Description: i.Description, Unit: i.Unit, AttributeFilter: keep}
		if i.Kind == sdkmetric.InstrumentKindHistogram && (strings.HasPrefix(i.Name, "temporal_") || buckets[i.Name] != nil) {
			bounds := buckets[i.Name]
			if bounds == nil { // the SDK's
				bounds = latencies
			}
			s.Aggregation = sdkmetric.AggregationExplicitBucketHistogram{Boundaries: bounds}
		}
		return s, true
	}
}

// Upper bounds of buckets, in seconds: of latencies, and of histograms that differ or do
// not say theirs. Those of drift have the five minutes after which a run counts as late.
var (
	latencies = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	buckets   = map[string][]float64{
		"ledgerline_attempt_duration": latencies,
		"ledgerline_export_drift":     {1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 24 * 3600},
	}
)

// types records the names that are registered.
type types struct {
	worker.Registry
	known map[string]bool
}

func (t *types) RegisterWorkflowWithOptions(_ any, o workflow.RegisterOptions) {
	t.known[o.Name] = true
}
func (t *types) RegisterActivityWithOptions(_ any, o activity.RegisterOptions) {
	t.known[o.Name] = true
}
