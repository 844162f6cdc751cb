package health_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
)

var start = time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)

// A new kind must be decided upon.
func TestEveryKindHasASignal(t *testing.T) {
	var silent []classify.Kind
	for _, k := range classify.Kinds() {
		s := health.SignalOf(k)
		if s == health.Nothing {
			silent = append(silent, k)
		} else if k.Class() == classify.Transient || k.Class() == classify.Timeout {
			require.Contains(t, []health.Signal{health.Failure, health.Throttled}, s, k)
		}
	}
	require.Equal(t, []classify.Kind{
		classify.BreakerOpen, classify.Cancelled, classify.ClaimConflict, classify.Configuration, classify.Dependency, classify.Internal,
		classify.InvalidRequest, classify.NotOwner, classify.Late, classify.Paused, classify.PayloadTooLarge, classify.QuotaSpent,
		classify.Transformation, classify.Unsettled, classify.Untrusted, classify.WorkerLost,
	}, silent, "these say nothing, and no others: a kind that is in no list would be one of them")
}

// in returns a record that is in a state, by what leads there.
func in(t *testing.T, state health.State) health.Record {
	t.Helper()
	r := health.New(start, health.Policy{})
	way := map[health.State][]classify.Kind{
		health.Unknown: nil, health.Healthy: {classify.OK}, health.Degraded: {classify.Unavailable},
		health.Unreachable: {classify.DNS, classify.DNS, classify.DNS}, health.Passive: {classify.RateLimited},
	}
	for _, k := range way[state] {
		r, _ = r.Apply(health.Observation{At: start, Kind: k, Source: health.Call})
	}
	require.Equal(t, state, r.State)
	return r
}

// The state table: every signal in every state, by a call and by a probe.
func TestStates(t *testing.T) {
	const ok, answer, fails, refused, throttled, ours = classify.OK, classify.Business, classify.Network, classify.Unauthorized, classify.QuotaExhausted, classify.Internal
	for _, c := range []struct {
		from       health.State
		kind       classify.Kind
		call, prob health.State
	}{
		{health.Unknown, ok, health.Healthy, health.Healthy},
		{health.Unknown, answer, health.Unknown, health.Degraded}, // a probe asks for nothing that can be wrong
		{health.Unknown, fails, health.Degraded, health.Degraded},
		{health.Unknown, refused, health.Degraded, health.Degraded},
		{health.Unknown, throttled, health.Passive, health.Passive},
		{health.Unknown, ours, health.Unknown, health.Unknown},

		{health.Healthy, ok, health.Healthy, health.Healthy},
		{health.Healthy, answer, health.Healthy, health.Degraded},
		{health.Healthy, fails, health.Degraded, health.Degraded},
		{health.Healthy, refused, health.Degraded, health.Degraded},
		{health.Healthy, throttled, health.Passive, health.Passive},
		{health.Healthy, ours, health.Healthy, health.Healthy},

		{health.Degraded, ok, health.Healthy, health.Healthy},
		{health.Degraded, answer, health.Degraded, health.Degraded},
		{health.Degraded, fails, health.Degraded, health.Unreachable}, // the second in a row; a probe confirms
		{health.Degraded, refused, health.Degraded, health.Degraded},
		{health.Degraded, throttled, health.Passive, health.Passive},
		{health.Degraded, ours, health.Degraded, health.Degraded},

		{health.Unreachable, ok, health.Healthy, health.Healthy},
		{health.Unreachable, answer, health.Degraded, health.Degraded},
		{health.Unreachable, fails, health.Unreachable, health.Unreachable},
		{health.Unreachable, refused, health.Degraded, health.Degraded},
		{health.Unreachable, throttled, health.Passive, health.Passive},
		{health.Unreachable, ours, health.Unreachable, health.Unreachable},

		{health.Passive, ok, health.Healthy, health.Passive}, // only a call's success ends it
		{health.Passive, answer, health.Passive, health.Passive},
		{health.Passive, fails, health.Passive, health.Passive},
		{health.Passive, refused, health.Passive, health.Passive},
		{health.Passive, throttled, health.Passive, health.Passive},
		{health.Passive, ours, health.Passive, health.Passive},
	} {
		for source, want := range map[health.Source]health.State{health.Call: c.call, health.Probe: c.prob} {
			name := fmt.Sprintf("%s, %s by a %s", c.from, c.kind, source)
			r := in(t, c.from)
			after, changes := r.Apply(health.Observation{At: start.Add(time.Hour), Kind: c.kind, Source: source})
			require.Equal(t, want, after.State, name)
			if want != c.from {
				require.Equal(t, []health.Change{{Number: r.Changes + 1, At: start.Add(time.Hour), From: c.from, To: want, Reason: c.kind}}, changes, name)
				require.Equal(t, start.Add(time.Hour), after.Since, name)
			} else if after.Reason != r.Reason { // refused credentials, a probe that is refused, credits that are used up
				require.Equal(t, []health.Change{{Number: r.Changes + 1, At: start.Add(time.Hour), From: c.from, To: c.from, Reason: c.kind}}, changes, name)
				require.Contains(t, []health.State{health.Degraded, health.Passive}, c.from, name)
			} else {
				require.Empty(t, changes, name)
				require.Equal(t, r.Since, after.Since, name)
			}
		}
	}
}

// One signal of many like failures is as good as many signals: both changes
// are reported.
func TestFoldedFailures(t *testing.T) {
	r, changes := in(t, health.Healthy).Apply(health.Observation{At: start, Kind: classify.Unavailable, Source: health.Call, Count: 50})
	require.Equal(t, health.Unreachable, r.State)
	require.Len(t, changes, 2)
	require.Equal(t, []health.State{health.Healthy, health.Degraded, health.Degraded, health.Unreachable},
		[]health.State{changes[0].From, changes[0].To, changes[1].From, changes[1].To})
	require.Equal(t, 50, r.Failures)
	// Answers in between are signs of life.
	r = in(t, health.Healthy)
	for range 5 {
		r, _ = r.Apply(health.Observation{At: start, Kind: classify.Unavailable, Source: health.Call, Count: 2})
		r, _ = r.Apply(health.Observation{At: start, Kind: classify.NotFound, Source: health.Call})
	}
	require.Equal(t, health.Degraded, r.State)
}

// That credentials are refused is news for an integration that is degraded
// already, once.
func TestRefusedIsNews(t *testing.T) {
	r := in(t, health.Degraded)
	r, changes := r.Apply(health.Observation{At: start, Kind: classify.Unauthorized, Source: health.Call})
	require.Len(t, changes, 1)
	r, changes = r.Apply(health.Observation{At: start, Kind: classify.Forbidden, Source: health.Call})
	require.Empty(t, changes)
	wait, ok := r.Wait(health.Policy{})
	require.True(t, ok)
	require.Equal(t, 4*time.Hour, wait, "asking does not fix credentials")
}

// A vendor that says no to a probe is there: it is asked again after waits that
// double, and that it refuses the credentials is news when it says so.
func TestAnswerToAProbe(t *testing.T) {
	for _, kind := range []classify.Kind{classify.Business, classify.BadRequest, classify.Unprocessable, classify.NotFound} {
		r := in(t, health.Healthy)
		var waits []time.Duration
		for range 3 {
			r, _ = r.Apply(health.Observation{At: start, Kind: kind, Source: health.Probe})
			wait, ok := r.Wait(health.Policy{})
			require.True(t, ok)
			waits = append(waits, wait)
		}
		require.Equal(t, health.Degraded, r.State)
		require.Equal(t, kind, r.Reason)
		require.Equal(t, kind, r.LastFailure)
		require.Zero(t, r.Failures, "a sign of life")
		require.Equal(t, []time.Duration{30 * time.Minute, time.Hour, 2 * time.Hour}, waits)
		r, changes := r.Apply(health.Observation{At: start, Kind: classify.Unauthorized, Source: health.Call})
		require.Len(t, changes, 1)
		require.Equal(t, classify.Unauthorized, r.Reason)
		wait, _ := r.Wait(health.Policy{})
		require.Equal(t, 4*time.Hour, wait)
		r, changes = r.Apply(health.Observation{At: start, Kind: kind, Source: health.Probe})
		require.Len(t, changes, 1, "they are not refused any more")
		require.Equal(t, kind, r.Reason)
		r, changes = r.Apply(health.Observation{At: start, Kind: kind, Source: health.Call})
		require.Empty(t, changes)
		require.Equal(t, kind, r.Reason)
	}
}

// A passive integration's calls can find out more.
func TestPassiveIsNews(t *testing.T) {
	r := in(t, health.Passive)
	for _, c := range []struct {
		kind classify.Kind
		news bool
	}{
		{classify.RateLimited, false}, {classify.QuotaExhausted, true}, {classify.QuotaExhausted, false}, {classify.RateLimited, false},
		{classify.Unauthorized, true}, {classify.Forbidden, false}, {classify.Unavailable, false},
	} {
		var changes []health.Change
		r, changes = r.Apply(health.Observation{At: start, Kind: c.kind, Source: health.Call})
		require.Equal(t, c.news, len(changes) == 1, c.kind)
		require.Equal(t, health.Passive, r.State)
	}
}

func TestWaitDoubles(t *testing.T) {
	r := in(t, health.Healthy)
	var waits []time.Duration
	for range 8 {
		wait, ok := r.Wait(health.Policy{})
		require.True(t, ok)
		waits = append(waits, wait)
		r, _ = r.Apply(health.Observation{At: start, Kind: classify.DNS, Source: health.Probe})
	}
	const m = time.Minute
	require.Equal(t, []time.Duration{15 * m, 30 * m, 60 * m, 120 * m, 240 * m, 240 * m, 240 * m, 240 * m}, waits)
	r, _ = r.Apply(health.Observation{At: start, Kind: classify.OK, Source: health.Probe})
	wait, _ := r.Wait(health.Policy{})
	require.Equal(t, 15*m, wait)
	for _, p := range []struct {
		r health.Record
		p health.Policy
	}{{in(t, health.Passive), health.Policy{}}, {r, health.Policy{NoProbes: true}}} {
		_, ok := p.r.NextProbe(p.p, "x", start)
		require.False(t, ok)
	}
}

// Probes of a fleet that was started at once are spread over the interval, keep
// to their moment, and are never closer together than the interval.
func TestProbesAreSpread(t *testing.T) {
	const fleet = 10_000
	perMinute := make([]int, 15)
	for i := range fleet {
		key := fmt.Sprintf("integration %d", i)
		r := health.New(start, health.Policy{})
		first, ok := r.NextProbe(health.Policy{}, key, start)
		require.True(t, ok)
		require.False(t, first.Before(start))
		require.Less(t, first.Sub(start), 15*time.Minute)
		perMinute[int(first.Sub(start)/time.Minute)]++
		r = r.ProbeSent(first)
		second, _ := r.NextProbe(health.Policy{}, key, first)
		require.Equal(t, 15*time.Minute, second.Sub(first))
		now := second.Add(20 * time.Second) // a little late
		at, _ := r.NextProbe(health.Policy{}, key, now)
		require.Equal(t, second, at)
		now = second.Add(7 * time.Minute) // nobody was there to ask
		at, _ = r.NextProbe(health.Policy{}, key, now)
		require.Equal(t, 15*time.Minute, at.Sub(second), "it keeps to its moment")
	}
	require.Less(t, slices.Max(perMinute), fleet/15*12/10)
	require.Greater(t, slices.Min(perMinute), fleet/15*8/10)
}

func TestProven(t *testing.T) {
	r := in(t, health.Healthy)
	at := start.Add(time.Hour)
	require.True(t, r.Proven(health.Policy{}, at, at.Add(-time.Minute)))
	require.False(t, r.Proven(health.Policy{}, at, at.Add(-15*time.Minute)), "its own probe of an interval ago proves nothing")
	require.False(t, r.Proven(health.Policy{}, at, time.Time{}))
	at = start.Add(4 * time.Hour)
	require.False(t, r.Proven(health.Policy{}, at, at), "its credentials are tried every MaxInterval")
	require.False(t, in(t, health.Unreachable).Proven(health.Policy{}, start.Add(time.Hour), start.Add(time.Hour)))
}

func TestPolicyValidate(t *testing.T) {
	for _, p := range []health.Policy{{}, {Interval: time.Hour}, {Interval: 5 * time.Hour}, {MaxInterval: 15 * time.Minute}, {NoProbes: true}} {
		require.NoError(t, p.Validate(), "%+v", p)
	}
	err := health.Policy{Interval: 14 * time.Minute, MaxInterval: time.Second}.Validate()
	require.ErrorContains(t, err, "interval: 14m0s; want 15m0s to 168h0m0s")
	require.ErrorContains(t, err, "maxInterval: 1s")
}
