package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/secrets"
	"github.com/ledgerline/ledgerline/workflows"
)

// However many names come from outside, a metric has as many series as before.
func TestLabelsAreKnown(t *testing.T) {
	m, err := newMetrics(new(secrets.Store))
	require.NoError(t, err)
	defer m.close()
	count := func(workflow, activity, adapter string) {
		m.handler.WithTags(map[string]string{"workflow_type": workflow, "activity_type": activity}).Counter("temporal_x").Inc(1)
		m.handler.WithTags(map[string]string{"workflow_type": workflow}).Timer("temporal_y").Record(time.Second)
		m.observe(activities.Invocation{AdapterName: adapter}, activities.Attempt{Class: classify.Permanent, Kind: classify.Configuration})
	}
	series := func() (n int) {
		families, err := m.registry.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if n += len(f.GetMetric()); f.GetName() == "temporal_x_total" || f.GetName() == "ledgerline_attempts_total" {
				for _, one := range f.GetMetric() {
					for _, label := range one.GetLabel() {
						require.NotContains(t, label.GetValue(), "hostile")
					}
				}
			}
		}
		return n
	}
	count(workflows.InvokeName, activities.CallName, "xledger")
	count("hostile", "hostile", "hostile")
	before := series()
	for i := range 1000 {
		count(fmt.Sprint("hostile", i), fmt.Sprint("hostile", i), fmt.Sprint("hostile\x1b", i))
	}
	require.Equal(t, before, series())
	families, err := m.registry.Gather()
	require.NoError(t, err)
	text := fmt.Sprint(families)
	for _, kept := range []string{`value:"Invoke"`, `value:"Call"`, `value:"xledger"`, `value:"other"`} {
		require.Contains(t, text, kept)
	}
}
