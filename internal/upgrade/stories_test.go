package upgrade

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
	"github.com/ledgerline/ledgerline/zones"
)

// story is something that the old version has begun and that waits when the first of its
// workers is replaced.
type story struct {
	name  string
	waits func() bool            // it is as the upgrade must find it
	mixed func(t *testing.T)     // done while both versions are at work
	each  func(p programs) error // done after each step, by its newest version
	comes func() bool            // the change does not end before it
	over  func(t *testing.T)     // looked at in the end, beside what holds for everything
}

// beginning is how a version's starter begins a story.
type beginning struct {
	name  string
	begin func(t *testing.T, s *stage, p programs) story
}

// stories are begun before the first worker is replaced.
var stories = []beginning{
	{"a call waits for its retry, and its caller for the update", func(t *testing.T, s *stage, p programs) story {
		c := s.call(t.Context(), p, s.apply(t, p, organization{retry: patient}), kind{
			name: "patient", rules: []sandbox.Rule{{Times: 3, Status: 503}}, ok: true, attempts: 4})
		return story{waits: func() bool { return s.waits(t.Context(), c.workflowID()) }}
	}},
	{"a call has an open write, and cannot ask yet", func(t *testing.T, s *stage, p programs) story {
		o := s.apply(t, p, organization{retry: patient})
		c := s.call(t.Context(), p, o, kind{name: "open", write: true, credit: "-100.00", rules: []sandbox.Rule{
			{Match: sends, Times: 1, Reset: sandbox.AfterEffect}, {Match: looks, Times: 2, Status: 503},
		}, ok: true, attempts: 4})
		return story{waits: func() bool { return s.waits(t.Context(), c.workflowID()) }}
	}},
	{"a call is cancelled while it waits", func(t *testing.T, s *stage, p programs) story {
		o := s.apply(t, p, organization{retry: patient})
		c := s.call(t.Context(), p, o, kind{name: "cancelled", rules: waits})
		return story{
			waits: func() bool { return s.waits(t.Context(), c.workflowID()) },
			mixed: func(t *testing.T) { require.NoError(t, s.temporal.CancelWorkflow(t.Context(), c.workflowID(), "")) },
		}
	}},
	{"a run is cancelled while it waits, and its export retried", func(t *testing.T, s *stage, p programs) story {
		o := s.apply(t, p, organization{retry: patient})
		s.vouchers(t, p, o, batch{"2026-05-04", "C", good(3)})
		s.sends(o, sandbox.Rule{Status: 503})
		run := s.export(t, p, o, "2026-05")
		return story{
			waits: func() bool { return s.waits(t.Context(), run) },
			mixed: func(t *testing.T) { require.NoError(t, s.temporal.CancelWorkflow(t.Context(), run, "")) },
			over: func(t *testing.T) {
				require.Equal(t, []string{"failed cancelled", "complete "}, s.exportsOf(t, o, "status || ' ' || coalesce(error_code, '')"))
			},
		}
	}},
	{"a run is deferred", func(t *testing.T, s *stage, p programs) story {
		o := s.apply(t, p, organization{retry: quick})
		s.vouchers(t, p, o, batch{"2026-05-04", "F", good(3)})
		s.sends(o, sandbox.Rule{Times: 1, Status: 429, Headers: map[string]string{"Retry-After": "62"}})
		s.export(t, p, o, "2026-05")
		return story{waits: func() bool {
			return slices.Equal(s.exportsOf(t, o, "(deferred_until IS NOT NULL)::text"), []string{"true"})
		}}
	}},
	{"a chunk is halved", func(t *testing.T, s *stage, p programs) story {
		o := s.apply(t, p, organization{retry: quick})
		accounts := good(32)
		accounts[13] = "X999"
		s.vouchers(t, p, o, batch{"2026-05-04", "H", accounts})
		s.sends(o, sandbox.Rule{DelayMS: 2000})
		s.export(t, p, o, "2026-05")
		return story{waits: func() bool { return s.sent(t, o) >= 2 }}
	}},
	{"a run continues as new", func(t *testing.T, s *stage, p programs) story {
		o := s.apply(t, p, organization{retry: quick, section: "    export: {chunkSize: 2}\n"})
		s.vouchers(t, p, o, batch{"2026-05-04", "N", good(60)})
		s.sends(o, sandbox.Rule{DelayMS: 500})
		run := s.export(t, p, o, "2026-05")
		return story{
			waits: func() bool { return s.sent(t, o) >= 2 },
			over: func(t *testing.T) {
				n := len(s.executions(t, fmt.Sprintf("WorkflowId = '%s'", run)))
				require.True(t, n > 1 || somebodysServer != "", "%d runs", n)
			},
		}
	}},
	{"a backfill is between its runs", func(t *testing.T, s *stage, p programs) story {
		o := s.apply(t, p, organization{retry: quick, section: "    schedule: {every: monthly, day: 3, at: \"06:30\"}\n"})
		for _, month := range []string{"2026-04", "2026-05", "2026-06", "2026-07"} {
			s.vouchers(t, p, o, batch{month + "-10", "B" + month, good(2)})
		}
		s.sends(o, sandbox.Rule{DelayMS: 4000})
		s.starter(t, p, "", o.on("schedules", "backfill", "--from", "2026-05-01", "--to", "2026-09-01")...)
		return story{
			waits: func() bool { return s.sent(t, o) >= 1 },
			over: func(t *testing.T) {
				require.Equal(t, []string{"2026-04 backfill", "2026-05 backfill", "2026-06 backfill", "2026-07 backfill"},
					s.exportsOf(t, o, "period || ' ' || trigger"))
			},
		}
	}},
	{"a notification is refused at first", func(t *testing.T, s *stage, p programs) story {
		o := s.apply(t, p, organization{retry: quick, channel: true})
		s.vouchers(t, p, o, batch{"2026-05-04", "R", []string{"X999", "3000"}})
		s.export(t, p, o, "2026-05")
		return story{waits: func() bool { return s.hooks.calls() > 0 }}
	}},
	{"a monitor sleeps, and is woken after each step", func(t *testing.T, s *stage, p programs) story {
		o := s.apply(t, p, organization{retry: quick})
		monitor := workflows.MonitorID(o.id, o.integration)
		reads := func() (n int) { // of the integration by the chain of its runs; each signal makes it read again
			for run, more := "", true; more; {
				events := s.history(t, monitor, run)
				for _, e := range events {
					if e.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName() == activities.InspectName {
						n++
					}
				}
				run = events[0].GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId()
				more = run != ""
			}
			return n
		}
		asleep := func() bool {
			d, err := s.temporal.DescribeWorkflow(t.Context(), monitor, "")
			if err != nil || d.RawResponse.GetPendingWorkflowTask() != nil || len(d.RawResponse.GetPendingActivities()) > 0 {
				return false // it may not have begun
			}
			for _, e := range s.history(t, monitor, "") {
				if e.GetEventType() == enums.EVENT_TYPE_TIMER_STARTED {
					return true
				}
			}
			return false
		}
		paused, signals := false, 0
		return story{
			waits: asleep,
			each: func(p programs) error {
				command := o.on("pause", "--reason", "upgrade")
				if paused {
					command = o.on("resume")
				}
				before := reads()
				if _, _, err := s.run(t.Context(), p, operator, "", append([]string{"integrations"}, command...)...); err != nil {
					return err
				}
				paused, signals = !paused, signals+1
				s.soon(t, "the monitor reads its integration", func() bool { return reads() > before && asleep() })
				return nil
			},
			over: func(t *testing.T) { require.False(t, paused); require.Greater(t, reads(), signals) },
		}
	}},
}

// clocks are begun when all [stories] wait, so that they strike during the change.
var clocks = []beginning{
	{"a schedule fires", func(t *testing.T, s *stage, p programs) story {
		_, clock := s.scheduled(t, p, organization{retry: quick}, 10*time.Second, "schedule complete")
		return clock
	}},
	{"another fires a minute later, its export fails, and people are notified", func(t *testing.T, s *stage, p programs) story {
		o, clock := s.scheduled(t, p, organization{retry: quick, channel: true}, 70*time.Second, "schedule failed", "retry complete")
		s.sends(o, sandbox.Rule{Status: 401})
		over := clock.over
		clock.over = func(t *testing.T) {
			over(t)
			require.NotEmpty(t, queryAll[string](t, s,
				"SELECT state FROM ledgerline.notification_deliveries WHERE organization_id = $1", o.id))
		}
		return clock
	}},
}

// export starts a run by a starter, does not wait for it, and returns its workflow ID.
func (s *stage) export(t *testing.T, p programs, o organization, period string) (workflowID string) {
	t.Helper()
	s.starter(t, p, "", o.on("sync", "--period", period, "--no-wait")...)
	return workflows.SyncID(workflows.SyncInput{OrganizationID: o.id, IntegrationID: o.integration, Period: period})
}

// scheduled gives an organization a schedule that fires at the next full minute after a
// while, and says what its exports should be in the end: trigger and status.
func (s *stage) scheduled(t *testing.T, p programs, o organization, after time.Duration, want ...string,
) (organization, story) {
	t.Helper()
	zone, err := zones.Load("Europe/Oslo")
	require.NoError(t, err)
	fires := time.Now().Add(after).In(zone).Truncate(time.Minute).Add(time.Minute)
	o.section = fmt.Sprintf("    schedule: {every: daily, at: %q}\n", fires.Format("15:04"))
	o = s.apply(t, p, o)
	s.vouchers(t, p, o, batch{fires.AddDate(0, 0, -1).Format(time.DateOnly), "S", good(3)})
	exported := func() []string { return s.exportsOf(t, o, "trigger || ' ' || status") }
	return o, story{
		comes: func() bool { return len(exported()) > 0 },
		over:  func(t *testing.T) { require.Equal(t, want, exported()) },
	}
}
