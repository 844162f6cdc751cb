package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/workflows"
)

// A storm: of 200 invocations of one organization, 90 % fail at each attempt.
// Without limits the vendor would see 20 + 180×4 = 740 requests. The budget
// pays for (500 + successes)/5 retries, and circuit breakers only make it less.
//
// Another organization is unharmed meanwhile: each of its invocations succeeds
// with its first attempt.
func TestStorm(t *testing.T) {
	startWorker(t)
	a, b := limited(t, 20, "{baseDelay: 100ms, attemptTimeout: 2s, budget: 10s}", "{}"), newTenant(t, quick)
	var list []activities.Invocation
	for i := range 200 {
		in := a.ping(fmt.Sprintf("x%d", i%20))
		if i%10 != i/20%10 { // one in ten succeeds, at another integration each time
			script(in, sandbox.Rule{Status: 503})
		}
		list = append(list, in)
	}
	var others []activities.Invocation
	for range 50 {
		others = append(others, b.ping("xledger-main"))
	}
	var storm, calm []workflows.Outcome
	var both sync.WaitGroup
	both.Go(func() { storm = all(t, list) })
	both.Go(func() { calm = all(t, others) })
	both.Wait()

	requests, successes, refused := 0, 0, 0
	for i, in := range list {
		requests += len(reached(in))
		if storm[i].OK {
			successes++
			continue
		}
		require.False(t, storm[i].Failure.IsRetryable)
		if strings.Contains(storm[i].Failure.Message, "budget for retries is empty") {
			refused++
		}
	}
	bound := len(list) + (limits.Tokens+successes*limits.Refund)/limits.RetryCost
	require.LessOrEqual(t, requests, bound)
	require.Positive(t, refused, "the budget was never empty, so this proves nothing")
	t.Logf("%d requests of at most %d; %d outcomes say that the budget is empty; %d succeeded", requests, bound, refused, successes)
	for i, out := range calm {
		require.True(t, out.OK)
		require.Len(t, reached(others[i]), 1)
	}
}

// A vendor that fails every time is left alone: of 40 invocations with up to
// four attempts each, those reach it that were needed to see it, those that
// were under way then, and one for each cool-down that has passed.
func TestBreaker(t *testing.T) {
	const underWay = 4
	startWorker(t, "--concurrency", fmt.Sprint(underWay))
	o := limited(t, 2, "{baseDelay: 100ms, attemptTimeout: 2s, budget: 10s}", "{}")
	began := time.Now()
	var list []activities.Invocation
	for range 40 {
		in := o.ping("x0")
		script(in, sandbox.Rule{Status: 503})
		list = append(list, in)
	}
	waiting := o.ping("x0")
	waiting.Policy = classify.DefaultPolicy()
	outcomes := all(t, list)
	passed := int(time.Since(began)/limits.CoolDown) + 1

	begin(t, waiting) // at once, while the breaker is open
	require.Eventually(t, func() bool {
		shown, _, _ := starter(t, "", "show", waiting.CorrelationID.String(), "--org", o.id.String())
		return strings.Contains(shown, "breaker:open") && strings.Contains(shown, "breaker of this integration is open")
	}, 20*time.Second, 100*time.Millisecond)
	other := o.ping("x1")
	require.True(t, execute(t, other).OK, "another integration's breaker is its own")

	requests := 0
	for i, in := range list {
		requests += len(reached(in))
		// Of one that waits for its turn, the time can end first.
		require.Contains(t, []classify.Class{classify.Transient, classify.Timeout}, outcomes[i].Failure.ErrorClass)
		finish(t, in)
		rows := rowsOf(t, in)
		require.Len(t, rows, outcomes[i].TotalAttempts, "an attempt that made no call is on record too")
	}
	require.LessOrEqual(t, requests, limits.Failures+underWay+passed)
	require.GreaterOrEqual(t, requests, limits.Failures)
	require.True(t, finish(t, waiting).OK, "the vendor is back when the breaker lets an attempt through")
}
