package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// limited is an organization with n Xledger integrations, "x0", "x1", …, that
// have the limits of a section.
func limited(t *testing.T, n int, retry, section string) tenant {
	t.Helper()
	o := tenant{id: uuid.New(), integrations: make(map[string]integrations.Integration)}
	var b strings.Builder
	fmt.Fprintf(&b, "organization: %s\nintegrations:\n", o.id)
	for i := range n {
		fmt.Fprintf(&b, "  - {id: %s, name: x%d, adapter: xledger, baseURL: %q, inFlight: 1s, credentials: {token: %q}, retry: %s, limits: %s}\n",
			uuid.New(), i, stack.Vendors["xledger"], stack.Secret(o.id, "xledger-token", sandbox.DemoXledgerToken), retry, section)
	}
	list, err := integrations.Parse("limited.yaml", []byte(b.String()), integrations.Options{DevHosts: stack.DevHosts()})
	require.NoError(t, err)
	pool, err := runlog.Open(t.Context(), stack.URL(devstack.Operator), 1)
	require.NoError(t, err)
	defer pool.Close()
	_, err = runlog.ApplyIntegrations(t.Context(), pool, list, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	for _, in := range list {
		o.integrations[in.Name] = in
	}
	return o
}

// all runs invocations at once and returns their outcomes, by position.
func all(t *testing.T, list []activities.Invocation) []workflows.Outcome {
	t.Helper()
	out := make([]workflows.Outcome, len(list))
	var wg sync.WaitGroup
	places := make(chan struct{}, 50)
	for i, in := range list {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			var err error
			if out[i], err = engine.Execute(ctx, temporal, in); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return out
}

// usage is what starter quota shows, by integration.
func usage(t *testing.T, o tenant) map[string]runlog.MonthlyUsage {
	t.Helper()
	out, words, code := starter(t, "", "quota", "--org", o.id.String(), "-o", "json")
	require.Zero(t, code, words)
	byName := make(map[string]runlog.MonthlyUsage)
	for _, u := range fromJSON[[]runlog.MonthlyUsage](t, out) {
		byName[u.Name] = u
	}
	return byName
}

// The ledger equals the vendors' own log after a worker that stops, and after
// one that is killed lacks at most what was counted since it was last stored.
func TestUsageEqualsTheVendorsLog(t *testing.T) {
	// Requests for tokens carry no correlation ID, and runs of other tests may go on
	// meanwhile: of all organizations, as many are counted as Entra has seen.
	admin, err := pgx.Connect(t.Context(), stack.URL(devstack.Admin))
	require.NoError(t, err)
	defer admin.Close(context.Background())
	tokens := func() (n int64) {
		require.NoError(t, admin.QueryRow(t.Context(), `SELECT coalesce(sum(requests), 0)::bigint FROM ledgerline.quota_usage WHERE purpose = 'token'`).Scan(&n))
		return n
	}
	countedBefore, seenBefore := tokens(), int64(len(vendorLog("entra")))
	w := startWorker(t)
	o := newTenant(t, quick)
	mine := make(map[string]bool) // correlation IDs
	sent := func(vendor string) (n int64) {
		for _, e := range vendorLog(vendor) {
			if mine[e.CorrelationID] {
				n++
			}
		}
		return n
	}
	ping := func(integration string) activities.Invocation {
		in := o.ping(integration)
		mine[in.CorrelationID.String()] = true
		return in
	}

	var list []activities.Invocation
	for i := range 20 {
		in := ping([]string{"xledger-main", "crm"}[i%2])
		if i%5 == 0 {
			script(in, sandbox.Rule{Times: 2, Status: 503})
		}
		list = append(list, in)
	}
	// A write whose answer is lost is looked up before anything is sent again.
	lost := ping("xledger-main")
	lost.Operation, lost.Body = adapters.Call, json.RawMessage(`{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){edges{node{dbId}}}}","variables":{"in":[{"node":{"extIdentifier":"`+uuid.NewString()+`","account":{"code":"1920"},"amount":"0.00","trRegNumber":"1"}}]}}`)
	script(lost, sandbox.Rule{Times: 1, Drop: sandbox.AfterEffect})
	for _, out := range all(t, append(list, lost)) {
		require.True(t, out.OK, "%+v", out.Failure)
	}
	require.NoError(t, w.Stop(20*time.Second))
	u := usage(t, o)
	require.Equal(t, map[limits.Purpose]int64{limits.Attempt: sent("xledger") - 1, limits.Readback: 1}, u["xledger-main"].Requests)
	crm := map[limits.Purpose]int64{limits.Attempt: sent("dataverse")}
	if n := u["crm"].Requests[limits.Token]; n > 0 { // none if a run of another organization with the same secret has fetched it
		crm[limits.Token] = n
	}
	require.Equal(t, crm, u["crm"].Requests)
	require.Positive(t, tokens()-countedBefore)
	require.Equal(t, int64(len(vendorLog("entra")))-seenBefore, tokens()-countedBefore)

	// Killed in the midst of traffic, more than once: of each process what it
	// counted in its last 5 s may be missing, and nothing is counted twice.
	const unstored = 5*time.Second + 2*time.Second // and as long as storing may take here
	var missing int64
	for range 3 {
		w = startWorker(t)
		began := time.Now()
		for time.Since(began) < 9*time.Second {
			all(t, []activities.Invocation{ping("xledger-main"), ping("xledger-main"), ping("xledger-main")})
		}
		w.Kill()
		killed := time.Now()
		for _, e := range vendorLog("xledger") {
			if mine[e.CorrelationID] && e.At.After(killed.Add(-unstored)) {
				missing++
			}
		}
	}
	total, made := usage(t, o)["xledger-main"].Total, sent("xledger")
	require.LessOrEqual(t, total, made, "counted twice")
	require.GreaterOrEqual(t, total, made-missing, "more is missing than the documented bound")
	require.Less(t, missing, made, "the bound allows everything, so this proves nothing")
	t.Logf("%d requests, %d counted, at least %d had to be", made, total, made-missing)
}

func vendorLog(vendor string) (list []sandbox.LogEntry) {
	for _, e := range stack.Sandbox.Log() {
		if e.Vendor == vendor {
			list = append(list, e)
		}
	}
	return list
}

// At 100 % of the month's requests calls are refused without a call, and
// exports go on; each threshold is recorded once.
func TestQuotaSpent(t *testing.T) {
	w := startWorker(t)
	o := limited(t, 1, quick, "{monthlyRequests: 5, warnAt: 80, refuseAt100: true}")
	for range 5 {
		require.True(t, execute(t, o.ping("x0")).OK)
	}
	in := o.ping("x0")
	out := execute(t, in)
	require.False(t, out.OK)
	require.Equal(t, 1, out.TotalAttempts)
	require.Equal(t, classify.Permanent, out.Failure.ErrorClass)
	require.False(t, out.Failure.IsRetryable)
	require.Contains(t, out.Failure.Message, "limits.monthlyRequests")
	require.Empty(t, reached(in))
	finish(t, in)
	require.Equal(t, "1:permanent/quota_spent", trail(rowsOf(t, in)))
	shown, _, _ := starter(t, "", "show", in.CorrelationID.String(), "--org", o.id.String())
	require.Contains(t, shown, "limit of requests in the integration's file is used up")

	b := book{tenant{o.id, map[string]integrations.Integration{"xledger-main": o.integrations["x0"]}}, "book " + uuid.NewString()}
	b.vouchers(t, "Q", 3, "2026-10-05", "3000", "0")
	r := result(t, b.start(t, b.input(t, "2026-10")))
	require.Equal(t, 6, r.Export.Exported, "%+v", r.Export)

	require.NoError(t, w.Stop(20*time.Second))
	require.Equal(t, []string{"100", "80"}, queryStrings(t, "SELECT percent::text FROM ledgerline.quota_warnings WHERE organization_id = $1 ORDER BY 1", o.id))
	w2 := startWorker(t) // it knows from the start
	defer w2.Kill()
	in = o.ping("x0")
	require.False(t, execute(t, in).OK)
	require.Empty(t, reached(in))
	table, _, code := starter(t, "", "quota", "--org", o.id.String())
	require.Zero(t, code)
	require.Regexp(t, `x0\s+xledger\s+6\s+0\s+10\s+0\s+0\s+0\s+16\s+5\s+320 %\s+GBP 0.00`, table)
}

// A storm: of 200 invocations of one organization, 90 % fail at each attempt.
// Without limits the vendor would see 20 + 180×4 = 740 requests. The budget
// pays for (500 + successes)/5 retries, and breakers only make it less.
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
	requests := 0
	for i, in := range list {
		requests += len(reached(in))
		require.Equal(t, classify.Transient, outcomes[i].Failure.ErrorClass)
		finish(t, in)
		rows := rowsOf(t, in)
		require.Len(t, rows, outcomes[i].TotalAttempts, "an attempt that made no call is on record too")
	}
	passed := int(time.Since(began)/limits.CoolDown) + 1
	require.LessOrEqual(t, requests, limits.Failures+underWay+passed)
	require.GreaterOrEqual(t, requests, limits.Failures)

	begin(t, waiting)
	require.Eventually(t, func() bool {
		shown, _, _ := starter(t, "", "show", waiting.CorrelationID.String(), "--org", o.id.String())
		return strings.Contains(shown, "breaker:open") && strings.Contains(shown, "breaker of this integration is open")
	}, 20*time.Second, 100*time.Millisecond)
	other := o.ping("x1")
	require.True(t, execute(t, other).OK, "another integration's breaker is its own")
	require.True(t, finish(t, waiting).OK, "the vendor is back when the breaker lets an attempt through")
}

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
			d, err := temporal.DescribeWorkflowExecution(t.Context(), workflows.InvokeID(in.OrganizationID, in.CorrelationID), "")
			require.NoError(t, err)
			require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_RUNNING, d.GetWorkflowExecutionInfo().GetStatus())
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
	require.Eventually(t, func() bool { return strings.Contains(w.Output(), "the breaker of an integration changed") }, 30*time.Second, 50*time.Millisecond)
	require.Contains(t, w.Output(), hasty.integrations["x0"].ID.String())
	unharmed(append(under, behind...))
	requests := 0
	for _, in := range behind {
		requests += len(reached(in))
	}
	require.LessOrEqual(t, requests, limits.Failures+slots-hanging+2, "those that were needed to see it, those under way then, and trials")
}

// With 500 invocations of one organization queued, another's single one is
// dispatched long before they are done. Counted in the vendor's order.
func TestFairness(t *testing.T) {
	a, b := newTenant(t, quick), newTenant(t, quick)
	const queued = 500
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

// While one request takes all that an integration allows, another invocation's
// command says what it waits for.
func TestTurn(t *testing.T) {
	o := limited(t, 1, "{attemptTimeout: 10s, maxRetries: 0, budget: 30s}", "{concurrentRequests: 1}")
	startWorker(t)
	first, second := o.ping("x0"), o.ping("x0")
	script(first, sandbox.Rule{DelayMS: 8000})
	begin(t, first)
	require.Eventually(t, func() bool { return len(reached(first)) > 0 }, 60*time.Second, 20*time.Millisecond)
	begin(t, second)
	require.Eventually(t, func() bool {
		shown, _, _ := starter(t, "", "show", second.CorrelationID.String(), "--org", o.id.String())
		return strings.Contains(shown, "its turn has not come in the integration's own queue, by its requestsPerMinute or concurrentRequests")
	}, 20*time.Second, 50*time.Millisecond)
	require.True(t, finish(t, first).OK)
	require.True(t, finish(t, second).OK)
}

// A rate holds over two workers, and waiting for it uses up neither an
// attempt's time nor the invocation's budget of four seconds.
func TestRate(t *testing.T) {
	const perMinute, n = 300, 60 // five a second: more than ten seconds in the queue
	o := limited(t, 1, "{baseDelay: 100ms, attemptTimeout: 1500ms, maxRetries: 1, budget: 4s}", fmt.Sprintf("{requestsPerMinute: %d}", perMinute))
	startWorker(t)
	startWorker(t)
	var list []activities.Invocation
	for i := range n {
		in := o.ping("x0")
		if i == n/2 {
			script(in, sandbox.Rule{Times: 1, Status: 503})
		}
		list = append(list, in)
		begin(t, in)
	}
	for i, in := range list {
		out := finish(t, in)
		require.True(t, out.OK, "%+v", out.Failure)
		require.Equal(t, map[bool]int{false: 1, true: 2}[i == n/2], out.TotalAttempts)
	}
	var times []time.Time
	for _, in := range list {
		for _, e := range reached(in) {
			times = append(times, e.At)
		}
	}
	require.Len(t, times, n+1)
	first, end := times[0], times[0]
	for _, at := range times {
		if at.Before(first) {
			first = at
		}
		if at.After(end) {
			end = at
		}
	}
	const perSecond = perMinute / 60
	t.Logf("%d requests in %v", len(times), end.Sub(first))
	require.LessOrEqual(t, float64(n+1), end.Sub(first).Seconds()*perSecond+burst(perSecond))
}

// A limit of concurrency holds over all workers, whatever becomes of them: of
// the one that makes the attempts, too. Waiting for it uses up neither an
// attempt's time nor the invocation's budget of four seconds.
func TestConcurrency(t *testing.T) {
	const most, n = 2, 20
	o := limited(t, 1, "{baseDelay: 100ms, attemptTimeout: 1s, maxRetries: 2, budget: 4s}", fmt.Sprintf("{concurrentRequests: %d}", most))
	var list []activities.Invocation
	// start begins invocations that take longer than their budget altogether, and
	// waits until some have been made.
	start := func() {
		t.Helper()
		before := len(list)
		for i := range n {
			in := o.ping("x0")
			if i == n/2 {
				script(in, sandbox.Rule{Times: 1, Status: 503})
			}
			script(in, sandbox.Rule{DelayMS: 500})
			list = append(list, in)
			begin(t, in)
		}
		require.Eventually(t, func() bool {
			made := 0
			for _, in := range list[before:] {
				made += len(reached(in))
			}
			return made >= 5
		}, 90*time.Second, 20*time.Millisecond)
	}
	one, two := startWorker(t), startWorker(t)
	start()
	require.NoError(t, one.Stop(20*time.Second))
	three := startWorker(t)
	start()
	require.NoError(t, two.Stop(20*time.Second)) // whichever of the two it was: the third one has it now
	start()
	three.Kill()
	startWorker(t)
	start()
	for i, in := range list {
		out := finish(t, in)
		require.True(t, out.OK, "%+v", out.Failure)
		if i%n == n/2 {
			require.GreaterOrEqual(t, out.TotalAttempts, 2)
		}
	}

	// How many are under way when each one comes.
	var all []sandbox.LogEntry
	for _, in := range list {
		all = append(all, reached(in)...)
	}
	together := 0
	for _, e := range all {
		require.False(t, e.Done.IsZero())
		now := 0
		for _, other := range all {
			if !other.At.After(e.At) && other.Done.After(e.At) {
				now++
			}
		}
		require.LessOrEqual(t, now, most)
		together = max(together, now)
	}
	require.Equal(t, most, together, "as many as are allowed")
}

// burst is what the server lets through at once beyond the rate: a second's
// worth, rounded up in each of the queue's partitions.
func burst(perSecond int) float64 { return float64(perSecond + 4) }
