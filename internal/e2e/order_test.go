package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/workflows"
)

// ways are all the ways in which the export of a period can be started.
var ways = map[string]func(*testing.T, monthly){
	"trigger": func(t *testing.T, m monthly) { // twice in a second
		before := m.describe(t).Info.NumActions
		for range 2 {
			require.NoError(t, m.schedule.Trigger(t.Context(), client.ScheduleTriggerOptions{}))
		}
		m.requireActed(t, before)
	},
	"backfill": func(t *testing.T, m monthly) {
		before := m.describe(t).Info.NumActions
		require.NoError(t, m.schedule.Backfill(t.Context(), client.ScheduleBackfillOptions{Backfill: []client.ScheduleBackfill{
			{Start: m.firing.Add(-time.Minute), End: m.firing.Add(time.Minute), Overlap: enums.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL},
		}}))
		m.requireActed(t, before)
	},
	"starter": func(t *testing.T, m monthly) {
		_, words, code := starter(t, "", "sync", "--org", m.id.String(), "--integration", "xledger-main", "--period", m.period)
		require.Zero(t, code, words)
	},
	"direct": func(t *testing.T, m monthly) { // under a workflow ID of its own, which nothing protects
		in := m.input(t, m.period)
		options := engine.SyncOptions(in)
		options.ID += "/direct"
		run, err := temporal.ExecuteWorkflow(t.Context(), options, workflows.SyncName, in)
		require.NoError(t, err)
		result(t, run)
	},
}

// monthly is a book with a monthly schedule and entries of the month that is
// due.
type monthly struct {
	book
	schedule client.ScheduleHandle
	firing   time.Time // the last one
	period   string
}

func newMonthly(t *testing.T) monthly {
	t.Helper()
	m := monthly{book: newBook(t)}
	spec := m.integrations["xledger-main"]
	spec.Schedule = &integrations.Schedule{Every: integrations.Monthly, Day: 1, TimeZone: integrations.DefaultTimeZone}
	_, err := engine.ApplySchedule(t.Context(), temporal, spec, "", false)
	require.NoError(t, err)
	m.schedule = temporal.ScheduleClient().GetHandle(t.Context(), engine.ScheduleID(m.id, spec.ID))
	t.Cleanup(func() { require.NoError(t, m.schedule.Delete(context.Background())) })
	now := time.Now()
	fired := spec.Schedule.FiringsBetween(now.AddDate(0, 0, -40), now)
	m.firing = fired[len(fired)-1]
	m.period, err = spec.Schedule.Period(now)
	require.NoError(t, err)
	m.vouchers(t, "A", 3, m.period+"-15", "3000", "0")
	return m
}

func (m monthly) describe(t *testing.T) *client.ScheduleDescription {
	t.Helper()
	d, err := m.schedule.Describe(t.Context())
	require.NoError(t, err)
	return d
}

// requireActed waits until the schedule has started something and nothing of it
// is running any more.
func (m monthly) requireActed(t *testing.T, before int) {
	t.Helper()
	require.Eventually(t, func() bool {
		d := m.describe(t)
		return d.Info.NumActions > before && len(d.Info.RunningWorkflows) == 0
	}, time.Minute, 50*time.Millisecond)
}

// results waits until every run of the organization is over, and there are at
// least n, and returns what they say.
func (m monthly) results(t *testing.T, n int) (all []workflows.SyncResult) {
	t.Helper()
	query := fmt.Sprintf("OrganizationId = '%s' AND WorkflowType = '%s'", m.id, workflows.SyncName)
	var seen []string
	defer func() {
		if t.Failed() {
			t.Logf("%d runs wanted; there are %q", n, seen)
		}
	}()
	require.Eventually(t, func() bool {
		page, err := temporal.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: query})
		require.NoError(t, err)
		all, seen = nil, nil
		for _, e := range page.GetExecutions() {
			seen = append(seen, e.GetExecution().GetWorkflowId()+" "+e.GetStatus().String())
			if e.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_COMPLETED {
				return false
			}
			all = append(all, result(t, temporal.GetWorkflow(t.Context(), e.GetExecution().GetWorkflowId(), e.GetExecution().GetRunId())))
		}
		return len(all) >= n
	}, time.Minute, 100*time.Millisecond)
	return all
}

// requireOneEffect asserts that the period was exported once, by one of the
// runs, and that the others say so.
func (m monthly) requireOneEffect(t *testing.T, runs int) {
	t.Helper()
	ids := queryStrings(t, "SELECT export_id::text FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1 AND status = 'complete' AND parent_export_id IS NULL AND period = $2", m.id, m.period)
	require.Len(t, ids, 1)
	require.Len(t, queryStrings(t, "SELECT period FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1", m.id), 1)
	first := 0
	for _, r := range m.results(t, runs) {
		require.Empty(t, r.Refused)
		require.Equal(t, uuid.MustParse(ids[0]), r.Export.ID)
		if !r.AlreadyExported {
			first++
		}
	}
	require.Equal(t, 1, first)
	m.requireOnce(t, 6)
}

// permutations returns every order of the names.
func permutations(names ...string) (all [][]string) {
	if len(names) == 0 {
		return [][]string{nil}
	}
	for i, name := range names {
		rest := append(append([]string(nil), names[:i]...), names[i+1:]...)
		for _, p := range permutations(rest...) {
			all = append(all, append([]string{name}, p...))
		}
	}
	return all
}

// In every order, and at once, a period is exported once.
func TestEveryOrder(t *testing.T) {
	startWorker(t)
	t.Run("orders", func(t *testing.T) {
		for _, order := range permutations("trigger", "backfill", "starter", "direct") {
			t.Run(strings.Join(order, "-"), func(t *testing.T) {
				t.Parallel()
				m := newMonthly(t)
				for _, way := range order {
					ways[way](t, m)
				}
				m.requireOneEffect(t, 4)
			})
		}
	})
	for i := range 3 {
		t.Run(fmt.Sprintf("at once %d", i), func(t *testing.T) {
			m := newMonthly(t)
			var all sync.WaitGroup
			for _, way := range ways {
				all.Go(func() { way(t, m) })
			}
			all.Wait()
			// Of a trigger and a backfill that reach a schedule in one moment the
			// server sometimes keeps only one, so there may be three runs.
			m.requireOneEffect(t, 3)
		})
	}
}
