package limits_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/limits"
)

var (
	ok        = classify.Verdict{Class: classify.Success, Kind: classify.OK}
	down      = classify.Verdict{Class: classify.Transient, Kind: classify.Unavailable, HTTPStatus: 503}
	silent    = classify.Verdict{Class: classify.Timeout, Kind: classify.AttemptTimeout}
	throttled = classify.Verdict{Class: classify.Transient, Kind: classify.RateLimited, HTTPStatus: 429}
	refused   = classify.Verdict{Class: classify.Permanent, Kind: classify.BadRequest, HTTPStatus: 400}
	ours      = classify.Verdict{Class: classify.Transient, Kind: classify.Dependency}
	start     = time.Date(2026, 11, 30, 23, 59, 0, 0, time.UTC)
)

// attempts lets verdicts through a breaker at one moment and returns how many
// were let through.
func attempts(b *limits.Breakers, id uuid.UUID, at time.Time, verdicts ...classify.Verdict) (passed int) {
	for _, v := range verdicts {
		if a := b.Admit(id, at); !a.Open {
			passed++
			a.Done(v, at)
		}
	}
	return passed
}

func times(n int, v classify.Verdict) []classify.Verdict {
	all := make([]classify.Verdict, n)
	for i := range all {
		all[i] = v
	}
	return all
}

// Attempts that an open breaker refused come back one after the other, the first
// of them when it lets one through.
func TestRefusedComeBackApart(t *testing.T) {
	var b limits.Breakers
	id := uuid.New()
	attempts(&b, id, start, times(limits.Failures, down)...)
	perSecond := make(map[time.Duration]int)
	for i := range 600 {
		a := b.Admit(id, start.Add(time.Duration(i)*time.Millisecond))
		require.True(t, a.Open)
		require.Equal(t, start.Add(limits.CoolDown), a.Until)
		if i == 0 {
			require.Equal(t, a.Until, a.Back)
		}
		perSecond[a.Back.Sub(a.Until).Truncate(time.Second)]++
	}
	require.Len(t, perSecond, 15)
	for _, n := range perSecond {
		require.Equal(t, 40, n)
	}

	// The same while one attempt is let through, which may hang.
	at := start.Add(limits.CoolDown)
	require.False(t, b.Admit(id, at).Open)
	first, second := b.Admit(id, at), b.Admit(id, at)
	require.True(t, first.Open)
	require.True(t, second.Back.After(first.Back))
}

func TestBreakerOpens(t *testing.T) {
	for name, c := range map[string]struct {
		verdicts []classify.Verdict
		open     bool
	}{
		"nine failures":              {times(9, down), false},
		"ten":                        {times(10, down), true},
		"ten without an answer":      {times(10, silent), true},
		"an answer between":          {append(append(times(9, down), ok), times(9, down)...), false},
		"an answer that says no":     {append(append(times(9, down), refused), times(9, down)...), false},
		"throttling in between":      {append(append(times(9, down), throttled), down), true},
		"throttling alone":           {times(50, throttled), false},
		"failures of ours":           {times(50, ours), false},
		"ours between":               {append(append(times(9, down), ours), down), true},
		"permanent failures":         {times(50, refused), false},
		"an unknown kind, no answer": {times(50, classify.Verdict{Class: classify.Permanent, Kind: classify.Internal}), false},
	} {
		t.Run(name, func(t *testing.T) {
			var b limits.Breakers
			id := uuid.New()
			attempts(&b, id, start, c.verdicts...)
			open, _ := b.State(id)
			require.Equal(t, c.open, open)
			require.False(t, b.Admit(uuid.New(), start).Open, "another integration's breaker is its own")
		})
	}
}

func TestBreakerForgetsWhatIsLongAgo(t *testing.T) {
	var b limits.Breakers
	id := uuid.New()
	for i := range 100 {
		attempts(&b, id, start.Add(time.Duration(i)*7*time.Second), down) // nine in a minute
	}
	open, _ := b.State(id)
	require.False(t, open)
}

func TestBreakerHalfOpens(t *testing.T) {
	var b limits.Breakers
	id := uuid.New()
	require.Equal(t, limits.Failures, attempts(&b, id, start, times(50, down)...))
	at, coolDown := start, limits.CoolDown
	for range 7 { // 15 s, 30 s, … 5 min, 5 min
		at = at.Add(coolDown)
		require.Zero(t, attempts(&b, id, at.Add(-time.Nanosecond), times(20, down)...))
		trial := b.Admit(id, at)
		require.False(t, trial.Open)
		require.True(t, b.Admit(id, at).Open, "one at a time")
		require.False(t, trial.Done(down, at))
		coolDown = min(2*coolDown, 5*time.Minute)
		_, until := b.State(id)
		require.Equal(t, at.Add(coolDown), until)
	}
	require.Equal(t, 5*time.Minute, coolDown)
	at = at.Add(coolDown)

	trial := b.Admit(id, at)
	trial.Done(throttled, at) // says nothing: the next one tries
	trial = b.Admit(id, at)
	require.False(t, trial.Open)
	require.True(t, trial.Done(ok, at))
	require.Zero(t, b.Open())
	require.Equal(t, limits.Failures, attempts(&b, id, at, times(50, down)...), "it starts again")
}

// Attempts that were under way when the breaker opened neither close it nor
// lengthen it.
func TestBreakerIgnoresLateComers(t *testing.T) {
	var b limits.Breakers
	id := uuid.New()
	early, late := b.Admit(id, start), b.Admit(id, start)
	attempts(&b, id, start, times(10, down)...)
	require.False(t, early.Done(ok, start))
	require.False(t, late.Done(down, start))
	open, until := b.State(id)
	require.True(t, open)
	require.Equal(t, start.Add(limits.CoolDown), until)
}

func TestBudget(t *testing.T) {
	var b limits.Budget
	a := limits.Host{Organization: uuid.New(), Name: "www.xledger.net"}
	count := func(h limits.Host, timeout bool) (n int) {
		for b.Retry(h, timeout) {
			n++
		}
		return n
	}
	require.Equal(t, 100, count(a, false))
	require.Equal(t, 100, count(limits.Host{Organization: a.Organization, Name: "demo.xledger.net"}, false), "another host")
	require.Equal(t, 50, count(limits.Host{Organization: uuid.New(), Name: a.Name}, true), "another organization, timeouts")
	for range 4 {
		b.Success(a)
	}
	require.False(t, b.Retry(a, false), "four successes do not pay for a retry")
	b.Success(a)
	require.True(t, b.Retry(a, false))
	for range 2000 {
		b.Success(a)
	}
	require.Equal(t, limits.Tokens, b.Left(a), "no more than full")
}

// A storm in which 90 % of all requests fail, with three retries allowed: the
// requests stay within the bound that the package states, and without it they
// would not.
func TestBudgetBoundsAStorm(t *testing.T) {
	for name, limited := range map[string]bool{"with": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			var b limits.Budget
			host := limits.Host{Organization: uuid.New(), Name: "www.xledger.net"}
			const invocations = 1000
			requests, successes := 0, 0
			for range invocations {
				for try := range 4 {
					if try > 0 && limited && !b.Retry(host, false) {
						break
					}
					requests++
					if requests%10 == 0 {
						successes++
						b.Success(host)
						break
					}
				}
			}
			bound := invocations + (limits.Tokens+successes*limits.Refund)/limits.RetryCost
			require.Equal(t, limited, requests <= bound, "%d requests, bound %d", requests, bound)
		})
	}
}

func TestQuota(t *testing.T) {
	q := limits.Quota{Monthly: 1000, WarnAt: 80, Refuse: true}
	for _, c := range []struct {
		used    int64
		percent int
		crossed []int
		allowed []limits.Purpose // that are not urgent
	}{
		{0, 0, nil, []limits.Purpose{limits.Attempt, limits.Readback, limits.Lookup, limits.Probe, limits.WarmUp, limits.Token}},
		{799, 79, nil, []limits.Purpose{limits.Attempt, limits.Readback, limits.Lookup, limits.Probe, limits.WarmUp, limits.Token}},
		{800, 80, []int{80}, []limits.Purpose{limits.Attempt, limits.Readback, limits.Lookup, limits.WarmUp, limits.Token}},
		{999, 99, []int{80}, []limits.Purpose{limits.Attempt, limits.Readback, limits.Lookup, limits.WarmUp, limits.Token}},
		{1000, 100, []int{80, 100}, []limits.Purpose{limits.Readback, limits.Token}},
		{5000, 500, []int{80, 100}, []limits.Purpose{limits.Readback, limits.Token}},
	} {
		require.Equal(t, c.percent, q.Percent(c.used))
		require.Equal(t, c.crossed, q.Crossed(c.used))
		var allowed []limits.Purpose
		for _, p := range limits.Purposes() {
			if q.Allows(p, false, c.used) {
				allowed = append(allowed, p)
			}
		}
		require.ElementsMatch(t, c.allowed, allowed, "%d used", c.used)
		require.True(t, q.Allows(limits.Attempt, true, c.used), "urgent")
	}
	require.True(t, limits.Quota{Monthly: 10, WarnAt: 80}.Allows(limits.Attempt, false, 50), "only counted")
	require.False(t, limits.Quota{Monthly: 10, WarnAt: 80}.Allows(limits.Probe, false, 50), "probes stop all the same")
	require.True(t, limits.Quota{}.Allows(limits.Probe, false, 1<<40), "no limit")
	require.Equal(t, []int{100}, limits.Quota{Monthly: 10, WarnAt: 100}.Crossed(10), "notified once")
	require.Positive(t, limits.Quota{Monthly: 3}.Percent(1<<62), "no overflow")
}

func TestLedger(t *testing.T) {
	var l limits.Ledger
	org, a, b := uuid.New(), uuid.New(), uuid.New()
	_, any := l.Take()
	require.False(t, any)
	l.Count(org, a, limits.Attempt, start)
	l.Count(org, a, limits.Attempt, start)
	l.Count(org, a, limits.Token, start)
	l.Count(org, b, limits.Attempt, start.Add(2*time.Minute)) // next month
	first, any := l.Take()
	require.True(t, any)
	require.ElementsMatch(t, []limits.Count{
		{limits.Key{Organization: org, Integration: a, Month: "2026-11", Purpose: limits.Attempt}, 2},
		{limits.Key{Organization: org, Integration: a, Month: "2026-11", Purpose: limits.Token}, 1},
		{limits.Key{Organization: org, Integration: b, Month: "2026-12", Purpose: limits.Attempt}, 1},
	}, first.Counts)

	l.Count(org, a, limits.Attempt, start)
	again, _ := l.Take()
	require.Equal(t, first, again, "until it is done, the same batch")
	require.EqualValues(t, 4, l.Used(org, a, limits.Quota{}, start), "what is not stored counts too")

	quota := limits.Quota{Monthly: 10, WarnAt: 80}
	l.Done(first, []limits.Total{{Organization: org, Integration: a, Month: "2026-11", Requests: 7, Quota: quota}})
	require.EqualValues(t, 8, l.Used(org, a, quota, start), "seven of all workers, one since")
	second, _ := l.Take()
	require.Equal(t, first.Number+1, second.Number)
	require.Equal(t, first.Worker, second.Worker)
	require.Len(t, second.Counts, 1)
	l.Done(first, nil) // late, and of no use
	again, _ = l.Take()
	require.Equal(t, second, again)
}

// The loop is woken when a threshold is reached, and each is due until people are
// notified of it.
func TestLedgerThresholds(t *testing.T) {
	var l limits.Ledger
	org, id := uuid.New(), uuid.New()
	quota := limits.Quota{Monthly: 10, WarnAt: 80}
	l.Used(org, id, quota, start)
	woken := 0
	for range 20 {
		l.Count(org, id, limits.Attempt, start)
		select {
		case <-l.Wake():
			woken++
		default:
		}
	}
	require.Equal(t, 2, woken, "at 80 %% and at 100 %%")
	total := limits.Total{Organization: org, Integration: id, Month: "2026-11", Requests: 9, Quota: quota}
	due := l.Due([]limits.Total{total})
	require.Equal(t, []limits.Warning{{Total: total, Percent: 80}}, due)
	require.Equal(t, due, l.Due([]limits.Total{total}), "until people are notified")
	l.Warned(due[0])
	require.Empty(t, l.Due([]limits.Total{total}))
	total.Requests = 10
	require.Equal(t, []limits.Warning{{Total: total, Percent: 100}}, l.Due([]limits.Total{total}))

	l.Warned(limits.Warning{Total: total, Percent: 100})
	require.Empty(t, l.Due([]limits.Total{total}))
	raised := total
	raised.Quota.Monthly, raised.Requests = 20, 19
	l.Learn([]limits.Total{raised})
	require.Equal(t, []limits.Warning{{Total: raised, Percent: 80}}, l.Due([]limits.Total{raised}), "of another limit")
	l.Warned(limits.Warning{Total: total, Percent: 100}) // of the limit that was
	require.Len(t, l.Due([]limits.Total{raised}), 1)
}
