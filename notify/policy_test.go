package notify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/notify"
)

var (
	states  = []health.State{health.Unknown, health.Healthy, health.Degraded, health.Unreachable, health.Passive}
	sources = []health.Source{health.Call, health.Probe, health.WarmUp}
	kinds   = append(classify.Kinds(), "", "a kind that is not known")
)

// causes are what an event leads to. Whatever it is, the order is that of the
// causes, so that transactions do not wait for each other in a circle, each cause
// comes once, and a notification can be stored.
func causes(t *testing.T, e notify.Event) (list []notify.Cause) {
	t.Helper()
	e.OrganizationID, e.IntegrationID, e.OccurredAt = uuid.New(), uuid.New(), time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)
	last := -1
	for _, n := range e.Notifications() {
		at := slices.Index(notify.Causes(), n.Cause)
		require.Greater(t, at, last, "%+v", e)
		last = at
		require.Equal(t, notify.Notification{OrganizationID: e.OrganizationID, IntegrationID: e.IntegrationID, Cause: n.Cause, OccurredAt: e.OccurredAt, Facts: n.Facts, RemindAfter: e.RemindAfter}, n)
		list = append(list, n.Cause)
	}
	return list
}

// Refused credentials, in words of this test.
func refuses(k classify.Kind) bool {
	return slices.Contains([]classify.Kind{classify.Unauthorized, classify.Forbidden, classify.Credentials}, k)
}

// Every state of health for every reason, after a run that failed and one that
// did not.
func TestHealthChangedPolicy(t *testing.T) {
	count := make(map[notify.Cause]int)
	for _, to := range states {
		for _, reason := range kinds {
			for _, failed := range []bool{false, true} {
				var want []notify.Cause
				switch {
				case to == health.Healthy && failed: // a vendor that answers does not fix a run
				case to == health.Healthy:
					want = []notify.Cause{notify.Recovered}
				case refuses(reason):
					want = []notify.Cause{notify.Credentials}
				case to == health.Unreachable, reason == classify.QuotaExhausted:
					want = []notify.Cause{notify.Failing}
				}
				e := notify.Event{Kind: notify.HealthChanged, State: to, Facts: notify.Facts{ErrorKind: reason}, LatestRunFailed: failed}
				require.Equal(t, want, causes(t, e), "to %s for %q, latest run failed: %t", to, reason, failed)
				for _, cause := range want {
					count[cause]++
				}
			}
		}
	}
	require.Len(t, count, 3)
}

// Every outcome by every source, in every state and for every reason, up to an
// hour and from then on.
func TestHealthObservedPolicy(t *testing.T) {
	fails, throttles := map[classify.Kind]bool{}, map[classify.Kind]bool{}
	for _, k := range kinds {
		switch k.Signal() {
		case classify.SignalFailure:
			fails[k] = true
		case classify.SignalThrottled:
			throttles[k] = true
		}
	}
	at := time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)
	count := 0
	for _, state := range states {
		for _, reason := range kinds {
			for _, seen := range kinds {
				for _, source := range sources {
					for _, lasted := range []time.Duration{0, time.Hour - time.Nanosecond, time.Hour, 48 * time.Hour} {
						trouble := fails[seen] || throttles[seen] || source != health.Call && seen.Signal() == classify.SignalAnswer
						var want []notify.Cause
						if trouble && lasted >= time.Hour && (state == health.Passive || state == health.Degraded && !refuses(reason)) {
							want = []notify.Cause{notify.Failing}
							count++
						}
						e := notify.Event{
							Kind: notify.HealthObserved, State: state, Since: at, Facts: notify.Facts{ErrorKind: reason},
							Observation: health.Observation{At: at.Add(lasted), Kind: seen, Source: source},
						}
						if got := causes(t, e); !slices.Equal(want, got) {
							t.Fatalf("%s for %q, %q seen by a %s after %v: got %v, want %v", state, reason, seen, source, lasted, got, want)
						}
					}
				}
			}
		}
	}
	require.Positive(t, count)
}

// The observations that a monitor makes lead to the same.
func TestHealthEvents(t *testing.T) {
	organization, integration := uuid.New(), uuid.New()
	start := time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)
	type seen struct {
		kind   classify.Kind
		source health.Source
		after  time.Duration
	}
	for name, c := range map[string]struct {
		seen []seen
		want []notify.Cause
	}{
		"one failure":               {[]seen{{classify.DNS, health.Call, 0}, {classify.OK, health.Call, 1}}, []notify.Cause{notify.Recovered}},
		"confirmed by a probe":      {[]seen{{classify.DNS, health.Call, 0}, {classify.DNS, health.Probe, 1}}, []notify.Cause{notify.Failing}},
		"failures for an hour":      {[]seen{{classify.Unavailable, health.Call, 0}, {classify.Unavailable, health.Call, time.Hour}}, []notify.Cause{notify.Failing}},
		"failures for less":         {[]seen{{classify.Unavailable, health.Call, 0}, {classify.Unavailable, health.Call, time.Hour - 1}}, nil},
		"a probe that is refused":   {[]seen{{classify.Business, health.Probe, 0}, {classify.Business, health.Probe, time.Hour}}, []notify.Cause{notify.Failing}},
		"an answer to a call":       {[]seen{{classify.DNS, health.Call, 0}, {classify.NotFound, health.Call, 2 * time.Hour}}, nil},
		"throttled for an hour":     {[]seen{{classify.RateLimited, health.Call, 0}, {classify.RateLimited, health.Call, time.Hour}}, []notify.Cause{notify.Failing}},
		"no credits":                {[]seen{{classify.QuotaExhausted, health.Call, 0}, {classify.QuotaExhausted, health.Call, 1}}, []notify.Cause{notify.Failing}},
		"refused, then unavailable": {[]seen{{classify.Unauthorized, health.Call, 0}, {classify.Unavailable, health.Call, 2 * time.Hour}}, []notify.Cause{notify.Credentials}},
		"an error of ours":          {[]seen{{classify.DNS, health.Call, 0}, {classify.Internal, health.Call, 2 * time.Hour}}, nil},
	} {
		r := health.New(start, health.Policy{})
		var got []notify.Cause
		for _, s := range c.seen {
			u := health.Update{Observations: []health.Observation{{At: start.Add(s.after), Kind: s.kind, Source: s.source}}}
			r, u.Changes = r.Apply(u.Observations[0])
			u.Record = r
			for _, e := range notify.HealthEvents(organization, integration, u) {
				for _, n := range e.Notifications() {
					require.NoError(t, n.Validate(), name)
					require.Equal(t, s.kind, n.Facts.ErrorKind, name)
					got = append(got, n.Cause)
				}
			}
		}
		require.Equal(t, c.want, got, name)
	}
	require.Empty(t, notify.HealthEvents(organization, integration, health.Update{}), "nothing was seen")
}

// Every outcome of an export of every trigger and status for every error, after every
// two latest runs.
func TestExportClosedPolicy(t *testing.T) {
	failed := notify.Run{ExportID: uuid.New(), Period: "2026-10", Failed: true, ErrorKind: classify.Unavailable}
	done := notify.Run{ExportID: uuid.New(), Period: "2026-09"}
	latest := map[string]struct {
		runs []notify.Run
		want []notify.Cause
	}{
		"none":                   {nil, nil},
		"a first failure":        {[]notify.Run{failed}, nil},
		"a first success":        {[]notify.Run{done}, []notify.Cause{notify.Recovered}},
		"a failure":              {[]notify.Run{failed, done}, nil},
		"two failures":           {[]notify.Run{failed, failed}, []notify.Cause{notify.Failing}},
		"a success":              {[]notify.Run{done, failed}, []notify.Cause{notify.Recovered}},
		"a success after others": {[]notify.Run{done, done}, []notify.Cause{notify.Recovered}},
	}
	for _, trigger := range exports.Triggers {
		for name, runs := range latest {
			for _, kind := range kinds {
				for bits := range 8 * len(exports.Statuses) {
					rejected, lateErrors, unsent, status := bits&1, bits>>1&1, bits>>2&1, exports.Statuses[bits>>3]
					scheduledFailed := trigger == exports.BySchedule && status == exports.Failed && kind != classify.Cancelled
					want := slices.Clone(runs.want)
					add := func(cause notify.Cause, so bool) {
						if so {
							want = append(want, cause)
						}
					}
					add(notify.ExportFailed, scheduledFailed)
					add(notify.ExportRecovered, status == exports.Complete)
					add(notify.ExportEnded, true)
					add(notify.Credentials, refuses(kind))
					add(notify.Rejected, rejected > 0)
					add(notify.LateErrors, lateErrors > 0)
					add(notify.Unsent, unsent > 0 && kind != classify.Cancelled && !refuses(kind) && !scheduledFailed)
					if trigger == exports.ByAdopting {
						want = nil
					}
					id := uuid.New()
					e := notify.Event{
						Kind: notify.ExportClosed, Trigger: trigger, Status: status, Runs: runs.runs, Facts: notify.Facts{ErrorKind: kind, ExportID: &id, Period: "2026-11",
							Entries: &notify.Entries{Total: 9, Rejected: rejected, LateErrors: lateErrors, Unsent: unsent}},
					}
					require.Equal(t, want, causes(t, e), "%s of %s, %q, latest runs: %s, %b", trigger, e.Facts.Period, kind, name, bits)
					for _, n := range e.Notifications() {
						if n.Cause == notify.Failing { // it is about the latest run
							require.Equal(t, notify.Facts{ErrorKind: failed.ErrorKind, ExportID: &failed.ExportID, Period: failed.Period}, n.Facts)
						} else {
							require.Equal(t, e.Facts, n.Facts)
						}
					}
				}
			}
		}
	}
}

// Every result of a tick, every threshold of a quota and of a secret, and what
// the vendor found later.
func TestOtherPolicies(t *testing.T) {
	missed, late := []notify.Cause{notify.Missed}, []notify.Cause{notify.Late}
	ticks := map[exports.TickResult][]notify.Cause{
		exports.TickOnTime: nil, exports.TickEarlier: nil, exports.TickLate: late,
		exports.TickMissed: missed, exports.TickSkipped: missed, exports.TickPaused: missed,
	}
	require.Len(t, ticks, len(exports.TickResults))
	ticks[""] = nil // it may still be on time
	for result, want := range ticks {
		require.Equal(t, want, causes(t, notify.Event{Kind: notify.TickRecorded, Tick: result}), result)
	}
	require.Equal(t, []notify.Cause{notify.WorkflowFailing}, causes(t, notify.Event{Kind: notify.WorkflowStuck}))
	require.Equal(t, []notify.Cause{notify.WorkflowRecovered}, causes(t, notify.Event{Kind: notify.WorkflowResumed}))
	for _, days := range []int{30, 7, 1, 0} {
		e := notify.Event{Kind: notify.SecretExpiring, Facts: notify.Facts{Secret: &notify.Secret{Credential: "token", Source: expiry.Token, Days: days}}}
		require.Equal(t, []notify.Cause{notify.SecretExpires}, causes(t, e))
	}
	for percent := 1; percent <= 110; percent++ {
		want := []notify.Cause{notify.Quota80}
		if percent >= 100 {
			want = []notify.Cause{notify.Quota100}
		}
		e := notify.Event{Kind: notify.QuotaReached, Facts: notify.Facts{Quota: &notify.Quota{Percent: percent}}}
		require.Equal(t, want, causes(t, e), percent)
	}
	require.Equal(t, []notify.Cause{notify.LateErrors}, causes(t, notify.Event{Kind: notify.LateErrorsFound}))
	require.Empty(t, causes(t, notify.Event{Kind: notify.LateErrorsFound, Pending: true}), "closing it notifies")
}

// Every reason why an export waits, and none, before its limit and from then on: people
// are notified once it is reached, or at once where the run no longer exists.
func TestExportPendingPolicy(t *testing.T) {
	for _, limit := range []time.Duration{time.Second, 12 * time.Hour, 24 * time.Hour} {
		for _, reason := range append([]notify.WaitReason{""}, notify.WaitReasons...) {
			for _, pending := range []time.Duration{0, limit - 1, limit, limit + 1, 100 * limit} {
				for _, remind := range []time.Duration{0, 24 * time.Hour} {
					e := notify.Event{Kind: notify.ExportPending, PendingFor: pending, Limit: limit, RemindAfter: remind}
					if reason != "" {
						e.Facts.Waiting = &notify.Waiting{For: reason}
					}
					var want []notify.Cause
					if pending >= limit || reason == notify.ForRun {
						want = []notify.Cause{notify.ExportOverdue}
					}
					require.Equal(t, want, causes(t, e), "%s of %s, %q", pending, limit, reason)
				}
			}
		}
	}
}

// Each cause but a test is led to by some event, and an event without its facts
// is no panic in a transaction.
func TestEveryCauseHasAnEvent(t *testing.T) {
	for _, kind := range notify.EventKinds {
		require.NotPanics(t, func() { causes(t, notify.Event{Kind: kind}) }, kind)
	}
	require.Empty(t, causes(t, notify.Event{Kind: "another"}))
	led := map[notify.Cause]bool{notify.Test: true}
	for _, e := range []notify.Event{
		{Kind: notify.ExportClosed, Runs: []notify.Run{{Failed: true}, {Failed: true}}, Facts: notify.Facts{ErrorKind: classify.Forbidden}, Trigger: exports.BySchedule, Status: exports.Failed},
		{Kind: notify.ExportPending}, {Kind: notify.WorkflowStuck}, {Kind: notify.WorkflowResumed},
		{Kind: notify.ExportClosed, Status: exports.Complete, Runs: []notify.Run{{}}, Facts: notify.Facts{Entries: &notify.Entries{Rejected: 1, LateErrors: 1, Unsent: 1}}},
		{Kind: notify.TickRecorded, Tick: exports.TickLate}, {Kind: notify.TickRecorded, Tick: exports.TickMissed}, {Kind: notify.SecretExpiring},
		{Kind: notify.QuotaReached, Facts: notify.Facts{Quota: &notify.Quota{Percent: 80}}}, {Kind: notify.QuotaReached, Facts: notify.Facts{Quota: &notify.Quota{Percent: 100}}},
	} {
		for _, cause := range causes(t, e) {
			led[cause] = true
		}
	}
	for _, cause := range notify.Causes() {
		require.True(t, led[cause], cause)
	}
}

// What begins and what ends it, in words of this test.
var ends = map[notify.Cause]notify.Cause{
	notify.Failing: notify.Recovered, notify.Credentials: notify.Recovered,
	notify.ExportFailed: notify.ExportRecovered, notify.ExportOverdue: notify.ExportEnded, notify.WorkflowFailing: notify.WorkflowRecovered,
}

// Every cause: what begins has one end, what ends it begins nothing, and the rest is
// queued. Only an export and a workflow are subjects, and only what is of an export
// does not wait for an hour.
func TestHandlings(t *testing.T) {
	id := uuid.New()
	facts := notify.Facts{ExportID: &id, Workflow: &notify.Workflow{Type: "Sync", ID: "export/x"}}
	for _, cause := range notify.Causes() {
		handling, subject, pace := notify.Queues, "", notify.Hourly
		var ended []notify.Cause
		for _, begins := range notify.Causes() {
			if ends[begins] == cause {
				handling, ended = notify.ClosesIncidents, append(ended, begins)
			}
		}
		if ends[cause] != "" {
			handling = notify.OpensIncident
		}
		switch cause {
		case notify.ExportFailed, notify.ExportRecovered, notify.ExportOverdue, notify.ExportEnded:
			subject, pace = id.String(), notify.AtOnce
		case notify.WorkflowFailing, notify.WorkflowRecovered:
			subject = "export/x"
		}
		require.Equal(t, handling, cause.Handling(), cause)
		require.Equal(t, pace, cause.Pace(), cause)
		require.ElementsMatch(t, ended, cause.Ends(), cause)
		require.Equal(t, ends[cause], cause.EndedBy(), cause)
		require.Equal(t, handling != notify.Queues && subject == "", cause.OfIntegration(), cause)
		require.Equal(t, subject, notify.Notification{Cause: cause, Facts: facts}.Subject(), cause)
		require.Empty(t, notify.Notification{Cause: cause}.Subject(), cause)
	}
}

// What a message says of a new fact is a word of ours, whatever it is made of.
func TestFactsAreWords(t *testing.T) {
	n := notify.Notification{OrganizationID: uuid.New(), IntegrationID: uuid.New(), Cause: notify.ExportOverdue}
	for _, reason := range notify.WaitReasons {
		n.Facts.Waiting = &notify.Waiting{For: reason}
		require.NoError(t, n.Validate())
	}
	n.Facts.Waiting = &notify.Waiting{For: "the vendor said: 1234"}
	require.ErrorContains(t, n.Validate(), "what it waits for")
	n.Facts = notify.Facts{Workflow: &notify.Workflow{Type: "Sync", ID: "export/1-2026-10-01T06:00:00Z"}}
	require.NoError(t, n.Validate())
	for _, w := range []notify.Workflow{{"Sync", ""}, {"", "x"}, {"Sync", "a b"}, {"Sync\n", "x"}, {"Sync", "<x>"}, {"Sync", strings.Repeat("x", 251)}} {
		n.Facts.Workflow = &w
		require.ErrorContains(t, n.Validate(), "no name of ours", "%q", w)
	}
}
