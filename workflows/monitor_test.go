package workflows_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

const quarters = int(days30 / (15 * time.Minute))

// A healthy integration that nobody uses: a probe every 15 minutes, 2880 in 30
// days, and the monitor has not forgotten anything when it continues as new.
func TestMonthOfAnIdleIntegration(t *testing.T) {
	m := newMonth(t)
	m.run(t, days30)
	require.Len(t, m.asked, quarters)
	require.Len(t, m.sandbox.Log(), quarters)
	m.gaps(t, 15*time.Minute)
	require.Equal(t, []string{"unknown>healthy ok"}, m.changes)
	require.Greater(t, m.runs, 20, "it continues as new")
	last := m.updates[len(m.updates)-1]
	require.EqualValues(t, quarters, last.Record.Observations, "numbers go on over continue-as-new")
	require.Equal(t, m.updates[0].Record.Since, last.Record.Since)
}

// One whose traffic is seen every five minutes is never probed.
func TestMonthOfABusyIntegration(t *testing.T) {
	m := newMonth(t)
	var events []event
	for at := time.Duration(0); at < days30; at += 5 * time.Minute {
		events = append(events, m.seen(at, classify.OK, 1000))
	}
	m.run(t, days30, events...)
	require.Empty(t, m.asked)
	require.Empty(t, m.sandbox.Log())
	require.Equal(t, []string{"unknown>healthy ok"}, m.changes)
	require.GreaterOrEqual(t, len(m.updates), len(events))
}

// One that fails is probed after 15, 30, 60, 120 minutes and then every four
// hours.
func TestMonthOfAFailingIntegration(t *testing.T) {
	m := newMonth(t)
	m.sandbox.Script(sandbox.Rule{Status: 503})
	m.run(t, days30)
	want := 0
	for slot, wait := 0, 2; slot < quarters; slot, wait = slot+wait, min(2*wait, 16) {
		want++
	}
	require.Equal(t, 183, want) // 5 in the first 7.5 hours, and one in each four hours after
	require.Len(t, m.asked, want)
	m.gaps(t, 30*time.Minute)
	require.Equal(t, []string{"unknown>degraded unavailable", "degraded>unreachable unavailable"}, m.changes)
	require.Equal(t, 4*time.Hour, m.updates[len(m.updates)-1].ProbeInterval)
}

// One that was throttled is not asked at all until a call has succeeded,
// whatever else happens.
func TestMonthOfAThrottledIntegration(t *testing.T) {
	for _, kind := range []classify.Kind{classify.RateLimited, classify.QuotaExhausted} {
		m := newMonth(t)
		m.watched.Schedule = &integrations.Schedule{Every: integrations.Daily, Hour: 12, TimeZone: "UTC"}
		m.run(t, days30,
			m.seen(0, kind, 1), m.seen(24*time.Hour, classify.Unavailable, 5), m.seen(48*time.Hour, classify.Business, 1),
			m.seen(20*24*time.Hour, kind, 3), m.seen(29*24*time.Hour, classify.OK, 1))
		require.NotEmpty(t, m.asked)
		require.Greater(t, m.asked[0].Sub(november), 29*24*time.Hour, "nothing before a real success")
		require.InDelta(t, 96, len(m.asked), 3, "a day of probes after it")
		require.Equal(t, []string{"unknown>passive " + string(kind), "passive>healthy ok"}, m.changes)
	}
}

// A probe that is throttled ends the probing.
func TestThrottledProbe(t *testing.T) {
	m := newMonth(t)
	m.sandbox.Script(sandbox.Rule{Status: 429, Headers: map[string]string{"Retry-After": "5"}})
	m.run(t, days30)
	require.Len(t, m.asked, 1)
	require.Equal(t, []string{"unknown>passive rate_limited"}, m.changes)
	last := m.updates[len(m.updates)-1]
	require.Zero(t, last.NextProbeAt)
}

// While it is paused nobody is asked; when it is resumed, the monitor gets a signal.
func TestMonthOfAPausedIntegration(t *testing.T) {
	m := newMonth(t)
	m.watched.Schedule = &integrations.Schedule{Every: integrations.Daily, Hour: 12, TimeZone: "UTC"}
	pause := func(at time.Duration, paused bool) event {
		return event{at, func(signal func(string, any)) {
			m.watched.Paused = paused
			signal(workflows.ChangedSignal, nil)
		}}
	}
	m.run(t, days30, pause(time.Hour, true), pause(29*24*time.Hour, false))
	for _, at := range m.asked {
		require.False(t, at.Sub(november) > time.Hour && at.Sub(november) < 29*24*time.Hour, "asked at %v", at)
	}
	require.InDelta(t, 4+96, len(m.asked), 3)
}

// Credentials that are refused are tried every four hours, not every 15 minutes.
func TestMonthOfRefusedCredentials(t *testing.T) {
	m := newMonth(t)
	m.sandbox.Script(sandbox.Rule{Status: 401})
	m.run(t, days30)
	require.InDelta(t, 180, len(m.asked), 1)
	require.Equal(t, []string{"unknown>degraded unauthorized"}, m.changes)
}

// A vendor that says no to every probe is there: it is asked as one that fails,
// and refused credentials after that are news.
func TestMonthOfProbesThatAreRefused(t *testing.T) {
	m := newMonth(t)
	m.sandbox.Script(sandbox.Rule{Status: 200, Body: `{"errors":[{"message":"no"}]}`})
	m.run(t, days30, m.seen(20*24*time.Hour, classify.Unauthorized, 1))
	require.InDelta(t, 183, len(m.asked), 2)
	m.gaps(t, 30*time.Minute)
	require.Equal(t, []string{"unknown>degraded business", "degraded>degraded unauthorized", "degraded>degraded business"}, m.changes)
	require.Greater(t, m.lasts[0], time.Hour)
	require.Less(t, m.lasts[0], 3*time.Hour, "people are notified that this lasts")
}

// Others reach the host all the time: the integration's own credentials are
// tried every four hours, and that is all.
func TestMonthOnASharedHost(t *testing.T) {
	m := newMonth(t)
	m.reached = func(string) (time.Time, error) { return m.now().Add(-time.Minute), nil }
	m.run(t, days30)
	require.InDelta(t, 180, len(m.asked), 1)
	m.gaps(t, 4*time.Hour)

	// It is only for the healthy: trouble is looked at by everyone.
	failing := newMonth(t)
	failing.reached = func(string) (time.Time, error) { return failing.now().Add(-time.Minute), nil }
	failing.sandbox.Script(sandbox.Rule{Status: 503})
	failing.run(t, days30)
	require.Len(t, failing.asked, 183)
}

// The quota, the file and a database that is away each stop probes.
func TestProbesThatAreNotMade(t *testing.T) {
	for name, stop := range map[string]func(m *month){
		"quota": func(m *month) {
			m.in.Limits, m.options.Gate = integrations.RequestLimits{MonthlyRequests: 1}, new(limits.Gate)
			m.options.Gate.Ledger.Count(m.organization, m.integration, limits.Attempt, time.Now())
		},
		"file": func(m *month) { m.watched.Policy.NoProbes = true },
		"database": func(m *month) {
			m.reached = func(string) (time.Time, error) { return time.Time{}, errors.New("away") }
		},
	} {
		m := newMonth(t)
		stop(m)
		m.run(t, 48*time.Hour)
		require.Empty(t, m.asked, name)
		require.Empty(t, m.changes, name)
	}
}

// Probes that nobody could make show nothing, and the next one is on record.
func TestProbesThatErr(t *testing.T) {
	m := newMonth(t)
	m.run(t, 48*time.Hour, event{24 * time.Hour, func(func(string, any)) {
		m.reached = func(string) (time.Time, error) { return time.Time{}, errors.New("away") }
	}})
	require.Len(t, m.asked, 96)
	require.Equal(t, []string{"unknown>healthy ok"}, m.changes)
	require.WithinRange(t, m.updates[len(m.updates)-1].NextProbeAt, m.began.Add(48*time.Hour-time.Minute), m.began.Add(49*time.Hour))
}

// What the file says is picked up without a restart, and an integration that is
// removed takes its monitor with it.
func TestMonitorFollowsItsIntegration(t *testing.T) {
	m := newMonth(t)
	change := func(at time.Duration, do func()) event {
		return event{at, func(signal func(string, any)) { do(); signal(workflows.ChangedSignal, nil) }}
	}
	m.run(t, days30,
		change(10*time.Hour, func() { m.watched.Policy = health.Policy{Interval: time.Hour} }),
		change(20*time.Hour, func() { m.watched.Policy = health.Policy{NoProbes: true} }),
		change(30*time.Hour, func() { m.gone = true }))
	in := func(from, to time.Duration) int {
		return len(slices.DeleteFunc(slices.Clone(m.asked), func(at time.Time) bool { return at.Sub(november) < from || at.Sub(november) >= to }))
	}
	require.Equal(t, 40, in(0, 10*time.Hour))
	require.InDelta(t, 10, in(10*time.Hour, 20*time.Hour), 1)
	require.Zero(t, in(20*time.Hour, days30))
	require.Less(t, m.now().Sub(november), 31*time.Hour, "it has ended")
}

// Warm-ups come half a minute before each scheduled run, and not where traffic
// keeps the worker warm.
func TestWarmUpBeforeARun(t *testing.T) {
	m := newMonth(t)
	m.watched.Policy.NoProbes = true
	m.watched.Schedule = &integrations.Schedule{Every: integrations.Daily, Hour: 12, TimeZone: "UTC"}
	m.run(t, days30)
	require.Len(t, m.asked, 30)
	for i, at := range m.asked {
		require.WithinDuration(t, time.Date(2026, 11, 1+i, 11, 59, 30, 0, time.UTC), at, time.Second)
	}

	busy := newMonth(t)
	busy.watched = m.watched
	busy.watched.BaseURL = "http://127.0.0.1:1"
	busy.options.LastSuccess = func(_, _ uuid.UUID) time.Time { return time.Now().Add(-10 * time.Second) }
	busy.run(t, days30)
	require.Empty(t, busy.asked)
}

// A month before its end a secret is notified of 30, 7 and 1 days ahead and at its
// end, each at the first look after it: within a probe's interval, or within 12
// hours of an integration that is not probed, which costs no request.
func TestMonthOfASecretThatEnds(t *testing.T) {
	for name, c := range map[string]struct {
		watched runlog.MonitorTarget
		within  time.Duration
	}{
		"probed":     {runlog.MonitorTarget{}, 15 * time.Minute},
		"not probed": {runlog.MonitorTarget{Policy: health.Policy{NoProbes: true}}, 12 * time.Hour},
		"paused":     {runlog.MonitorTarget{Paused: true}, 12 * time.Hour},
	} {
		m := newMonth(t)
		end := m.began.Add(31*24*time.Hour + time.Hour)
		claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, end.Unix()))
		m.watched.Paused, m.watched.Policy = c.watched.Paused, c.watched.Policy
		m.watched.Credentials = map[string]integrations.Ref{"token": devstack.WriteSecret(m.options.Secrets.Dir, m.organization, "ends", "e30."+claims+".c2ln")}
		stored, saves, last := false, 0, 31
		var days []int
		m.secrets = func(s runlog.SecretExpiries) {
			saves++
			require.Len(t, s.Known, 1)
			require.True(t, s.Known[0].ExpiresAt.Equal(end))
			m.watched.Secrets, stored = s.Known, true
			if n, due := s.Known[0].Due(s.At); due && n < last { // as the database has it
				last, days = n, append(days, n)
				require.WithinRange(t, s.At, end.Add(-time.Duration(n)*24*time.Hour), end.Add(-time.Duration(n)*24*time.Hour+c.within), name)
			}
		}
		m.run(t, 32*24*time.Hour)
		require.True(t, stored, name)
		require.Equal(t, []int{30, 7, 1, 0}, days, name)
		if c.within > time.Hour {
			require.Empty(t, m.asked, name)
			require.Empty(t, m.sandbox.Log(), name)
			require.InDelta(t, 62, saves, 2, "%s: two looks a day, from the first threshold on", name)
		}
	}
}

// A monitor that was ended, say with its namespace, goes on from what is stored.
func TestMonitorGoesOnFromTheStore(t *testing.T) {
	m := newMonth(t)
	m.sandbox.Script(sandbox.Rule{Status: 503})
	m.run(t, 3*time.Hour)
	before := m.updates[len(m.updates)-1]
	require.Equal(t, health.Unreachable, before.Record.State)
	m.began, m.ended = m.began.Add(3*time.Hour), false
	m.asked = nil
	m.run(t, 30*time.Hour)
	require.WithinDuration(t, before.NextProbeAt, m.asked[0], time.Second)
	require.Equal(t, []string{"unknown>degraded unavailable", "degraded>unreachable unavailable"}, m.changes)
	require.Greater(t, m.updates[len(m.updates)-1].Record.Observations, before.Record.Observations)
}

// Probes that fell due while no worker was there are not made up for at once.
func TestLateProbesKeepToTheirMoment(t *testing.T) {
	m := newMonth(t)
	m.run(t, 3*time.Hour)
	slot := m.asked[0].Sub(november) % (15 * time.Minute)
	m.began, m.ended, m.asked = m.began.Add(9*time.Hour+slot+5*time.Minute), false, nil
	m.run(t, time.Hour)
	require.Len(t, m.asked, 4)
	require.InDelta(t, 10*time.Minute, m.asked[0].Sub(m.began), float64(time.Second))
}
