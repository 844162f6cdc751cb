package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

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
		return strings.Contains(shown, "its turn in the integration's own queue has not come: its requestsPerMinute or concurrentRequests")
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

// A concurrency limit holds over all workers, whatever becomes of them: of
// the one that makes the attempts, too. Waiting for it uses up neither an
// attempt's time nor the invocation's budget of five seconds.
func TestConcurrency(t *testing.T) {
	const most = 2
	o := limited(t, 1, "{baseDelay: 100ms, attemptTimeout: 1500ms, maxRetries: 2, budget: 5s}", fmt.Sprintf("{concurrentRequests: %d}", most))
	var list, failing []activities.Invocation
	// start begins n invocations, one of which fails first, and waits until some have
	// been made.
	start := func(n int) {
		t.Helper()
		before := len(list)
		for i := range n {
			in := o.ping("x0")
			if i == n/2 {
				script(in, sandbox.Rule{Times: 1, Status: 503})
				failing = append(failing, in)
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
	start(24) // each takes half a second: six seconds in the queue
	require.NoError(t, one.Stop(20*time.Second))
	three := startWorker(t)
	start(12)
	require.NoError(t, two.Stop(20*time.Second)) // whichever of the two it was: the third one has it now
	start(12)
	three.Kill()
	startWorker(t)
	start(12)
	for _, in := range list {
		out := finish(t, in)
		require.True(t, out.OK, "%+v: %v", out.Failure, trail(rowsOf(t, in)))
	}
	for _, in := range failing {
		require.GreaterOrEqual(t, finish(t, in).TotalAttempts, 2)
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
