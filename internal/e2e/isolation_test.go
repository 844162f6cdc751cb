package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/workflows"
)

// A vendor that hangs holds up nobody else's calls: not while attempts hang, and
// not once the breaker is open, however many calls are queued behind them.
func TestIsolation(t *testing.T) {
	const slots, hanging, queued = 20, 15, 100 // more than a breaker needs, and fewer than the worker takes
	w := startWorker(t, "--concurrency", fmt.Sprint(slots))
	patient := limited(t, 1, "{attemptTimeout: 55s, maxRetries: 0, budget: 60s}", "{}")
	hasty := limited(t, 1, "{baseDelay: 100ms, attemptTimeout: 2s, budget: 60s}", "{}")
	calm := newTenant(t, quick)
	hang := func(o tenant, n int) (list []activities.Invocation) {
		for range n {
			in := o.ping("x0")
			script(in, sandbox.Rule{Hang: true})
			run := begin(t, in)
			t.Cleanup(func() { _ = temporal.TerminateWorkflow(context.Background(), run.GetID(), run.GetRunID(), "tested") })
			list = append(list, in)
		}
		return list
	}
	// unharmed runs calls of the third organization; none of the others' may
	// have ended when they are done.
	unharmed := func(others []activities.Invocation) {
		var list []activities.Invocation
		for range slots {
			list = append(list, calm.ping("xledger-main"))
		}
		for i, out := range all(t, list) {
			require.True(t, out.OK, "%+v", out.Failure)
			require.Equal(t, 1, out.TotalAttempts)
			require.Len(t, reached(list[i]), 1)
		}
		for _, in := range others {
			d, err := temporal.DescribeWorkflow(t.Context(), workflows.InvokeID(in.OrganizationID, in.CorrelationID), "")
			require.NoError(t, err)
			require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_RUNNING, d.Status)
		}
	}

	under := hang(patient, hanging)
	require.Eventually(t, func() bool {
		for _, in := range under {
			if len(reached(in)) == 0 {
				return false
			}
		}
		return true
	}, 20*time.Second, 50*time.Millisecond)
	unharmed(under)

	behind := hang(hasty, queued)
	require.Eventually(t, func() bool { return strings.Contains(w.Output(), "the circuit breaker of an integration changed") }, 30*time.Second, 50*time.Millisecond)
	require.Contains(t, w.Output(), hasty.integrations["x0"].ID.String())
	unharmed(append(under, behind...))
	requests := 0
	for _, in := range behind {
		requests += len(reached(in))
	}
	require.LessOrEqual(t, requests, limits.Failures+slots-hanging+2, "those that were needed to see it, those under way then, and trials")
}

// With 200 invocations of one organization queued, another's single one is
// dispatched long before they are done. Counted in the vendor's order.
func TestFairness(t *testing.T) {
	a, b := newTenant(t, quick), newTenant(t, quick)
	const queued = 200
	var mine []activities.Invocation
	of := make(map[string]bool)
	for range queued {
		in := a.ping("xledger-main")
		begin(t, in)
		mine, of[in.CorrelationID.String()] = append(mine, in), true
	}
	single := b.ping("xledger-main")
	begin(t, single)
	startWorker(t, "--concurrency", "4")
	require.True(t, finish(t, single).OK)
	before := 0
	at := reached(single)[0].Seq
	for _, e := range stack.Sandbox.Log() {
		if e.Seq < at && of[e.CorrelationID] {
			before++
		}
	}
	for _, in := range mine {
		finish(t, in)
	}
	t.Logf("%d of %d went before", before, queued)
	require.Less(t, before, queued/2)
}
