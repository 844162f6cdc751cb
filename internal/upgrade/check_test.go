package upgrade

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/converter"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/workflows"
)

// settle waits until everything has ended but the monitors, and retries the exports that
// failed.
func (s *stage) settle(t *testing.T, p programs) {
	t.Helper()
	for _, c := range s.asked {
		<-c.done
	}
	quiet := func() bool {
		running := s.executions(t, "ExecutionStatus = 'Running' AND WorkflowType != '"+workflows.MonitorName+"'")
		pending := queryAll[uuid.UUID](t, s, "SELECT export_id FROM ledgerline.bufdir_export_audit_log WHERE status = $1", exports.Pending)
		deliveries := queryAll[string](t, s, "SELECT channel FROM ledgerline.notification_deliveries WHERE state = $1", notify.DeliveryPending)
		return len(running)+len(pending)+len(deliveries) == 0
	}
	if !assert.Eventually(t, quiet, patience, 100*time.Millisecond, "everything has ended") {
		return // what is compared next says why
	}
	for _, e := range queryAll[[]uuid.UUID](t, s,
		"SELECT ARRAY[export_id, organization_id] FROM ledgerline.bufdir_export_audit_log WHERE status = $1", exports.Failed) {
		s.starter(t, p, "", "exports", "retry", e[0].String(), "--org", e[1].String(), "--exit-status=false")
	}
	s.soon(t, "the retries have ended", quiet)
}

// stop ends the workers.
func (s *stage) stop(t *testing.T) {
	t.Helper()
	for _, w := range s.workers {
		require.NoError(t, w.Signal(syscall.SIGTERM))
		require.NoError(t, w.Wait())
	}
}

// check compares everything with its oracle.
func (s *stage) check(t *testing.T) {
	all := s.executions(t, "")
	for i := range all {
		all[i].events = s.history(t, all[i].workflowID, all[i].runID)
	}
	t.Run("workflows", func(t *testing.T) { s.checkWorkflows(t, all) })
	t.Run("outcomes", func(t *testing.T) { s.checkOutcomes(t) })
	t.Run("attempts", func(t *testing.T) { s.checkAttempts(t, all) })
	t.Run("entries", func(t *testing.T) { s.checkEntries(t) })
	t.Run("records", func(t *testing.T) { s.checkRecords(t) })
	t.Run("output", func(t *testing.T) {
		for _, w := range s.all {
			for _, word := range []string{"DATA RACE", "panic:", "goroutine 1 [", "nondeterminis", "TMPRL1100", "does not fit"} {
				assert.NotContains(t, w.Output(), word)
			}
		}
	})
}

// checkWorkflows: no workflow task has failed, monitors run, and everything else has
// completed.
func (s *stage) checkWorkflows(t *testing.T, all []execution) {
	types := make(map[string]int)
	for _, e := range all {
		types[e.kind]++
		want := enums.WORKFLOW_EXECUTION_STATUS_COMPLETED
		switch {
		case e.status == enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW:
			want = e.status
		case e.kind == workflows.MonitorName:
			want = enums.WORKFLOW_EXECUTION_STATUS_RUNNING
		}
		assert.Equal(t, want, e.status, "%s %s", e.workflowID, e.events[len(e.events)-1])
		for _, event := range e.events {
			if a := event.GetWorkflowTaskFailedEventAttributes(); a != nil {
				assert.Fail(t, "a workflow task failed", "%s %s event %d: %s: %s",
					e.workflowID, e.runID, event.GetEventId(), a.GetCause(), a.GetFailure().GetMessage())
			}
		}
	}
	for _, kind := range []string{
		workflows.InvokeName, workflows.SyncName, workflows.MonitorName, workflows.BackfillName, workflows.NotifyName,
	} {
		require.Positive(t, types[kind], kind)
	}
	t.Log(types)
}

// checkOutcomes: each call that a starter was asked for has the outcome that it should
// have, once, and the vendor has what was written, once.
func (s *stage) checkOutcomes(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	effects := make(map[string]int)
	for _, e := range s.stack.Sandbox.Effects() {
		effects[e.Key]++
	}
	requests := make(map[string]int)
	for _, e := range s.stack.Sandbox.Log() {
		requests[e.CorrelationID]++
	}
	for _, c := range s.asked {
		where := c.kind.name + " " + c.correlation.String() + " by the " + c.by + " starter"
		if !assert.NoError(t, c.err, where) {
			continue
		}
		assert.Equal(t, c.kind.ok, c.out.OK, "%s: %+v", where, c.out.Failure)
		if c.kind.attempts > 0 {
			assert.Equal(t, c.kind.attempts, c.out.TotalAttempts, where)
		}
		if c.kind.cancelled {
			assert.Equal(t, "cancelled by the caller", c.out.Failure.Message, where)
		}
		var result workflows.Outcome // what the workflow has as its result
		require.NoError(t, s.temporal.GetWorkflow(ctx, c.workflowID(), "").Get(ctx, &result), where)
		assert.JSONEq(t, asJSON(t, result), asJSON(t, c.out), where)
		if !c.kind.write {
			assert.Equal(t, c.out.TotalAttempts, requests[c.correlation.String()], "requests of %s", where)
		}
		want := 0
		if c.kind.ok {
			want = 1
		}
		for _, key := range c.keys {
			assert.Equal(t, want, effects[key], "item %s of %s", key, where)
		}
		if c.kind.write {
			assert.Equal(t, c.kind.ok, c.out.Effect == classify.Done, "%s: %s", where, c.out.Effect)
			claims := queryAll[classify.Effect](t, s, "SELECT effect FROM ledgerline.write_claims WHERE correlation_id = $1", c.correlation)
			assert.Equal(t, []classify.Effect{c.out.Effect}, claims, "the claim of %s", where)
		}
	}
}

// asJSON is the form in which outcomes are stored and printed.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}

// invocation is what a history says of one.
type invocation struct {
	in       activities.Invocation
	attempts int
	ok       bool
}

// invocations finds the calls in a history.
func (e execution) invocations() (all map[int64]*invocation) {
	all = make(map[int64]*invocation)
	for _, event := range e.events {
		switch a := event.Attributes.(type) {
		case *history.HistoryEvent_ActivityTaskScheduledEventAttributes:
			i := new(invocation)
			if a.ActivityTaskScheduledEventAttributes.GetActivityType().GetName() == activities.CallName &&
				converter.GetDefaultDataConverter().FromPayloads(a.ActivityTaskScheduledEventAttributes.GetInput(), &i.in) == nil {
				all[event.GetEventId()] = i
			}
		case *history.HistoryEvent_ActivityTaskStartedEventAttributes:
			if i := all[a.ActivityTaskStartedEventAttributes.GetScheduledEventId()]; i != nil {
				i.attempts = int(a.ActivityTaskStartedEventAttributes.GetAttempt())
			}
		case *history.HistoryEvent_ActivityTaskCompletedEventAttributes:
			if i := all[a.ActivityTaskCompletedEventAttributes.GetScheduledEventId()]; i != nil {
				i.ok = true
			}
		}
	}
	return all
}

// attempt is a row of integration_run_logs.
type attempt struct {
	Attempt, Total int
	Class          string
}

// checkAttempts: the rows of each invocation are its attempts, each once, and there are no
// other rows. One that reads and succeeds at once has none.
func (s *stage) checkAttempts(t *testing.T, all []execution) {
	rows := make(map[uuid.UUID][]attempt)
	found, err := s.admin.Query(t.Context(), `SELECT correlation_id, attempt_number, coalesce(total_attempts, 0), coalesce(error_class, '')
		FROM ledgerline.integration_run_logs ORDER BY correlation_id, attempt_number`)
	require.NoError(t, err)
	for found.Next() {
		var id uuid.UUID
		var a attempt
		require.NoError(t, found.Scan(&id, &a.Attempt, &a.Total, &a.Class))
		rows[id] = append(rows[id], a)
	}
	require.NoError(t, found.Err())
	known := make(map[uuid.UUID]bool)
	for _, e := range all {
		for _, i := range e.invocations() {
			id := i.in.CorrelationID
			list := rows[id]
			known[id] = true
			for n, a := range list {
				assert.Equal(t, n+1, a.Attempt, "rows of %s in %s: %v", id, e.workflowID, list)
				assert.Equal(t, i.ok && n+1 == len(list), a.Class == "", "rows of %s in %s: %v", id, e.workflowID, list)
			}
			switch {
			case len(list) == 0:
				assert.True(t, i.ok && i.attempts == 1, "%s in %s made %d attempts and has no row", id, e.workflowID, i.attempts)
			case i.attempts > 0: // one that was cancelled while it waited does not say how many
				assert.Len(t, list, i.attempts, "rows of %s in %s", id, e.workflowID)
			}
			if len(list) > 0 && i.ok {
				assert.Equal(t, len(list), list[len(list)-1].Total, "rows of %s in %s: %v", id, e.workflowID, list)
			}
		}
	}
	for id, list := range rows {
		assert.True(t, known[id], "%d rows of %s, which no history knows", len(list), id)
	}
}

// checkEntries: every entry is where it should be, and the vendor has each that is
// exported, once, and nothing else.
func (s *stage) checkEntries(t *testing.T) {
	ours, effects := make(map[string]bool), make(map[string]int)
	for _, c := range s.asked {
		for _, key := range c.keys {
			ours[key] = true
		}
	}
	for _, e := range s.stack.Sandbox.Effects() {
		effects[strings.ToLower(e.Key)]++
	}
	total := 0
	for organization, fates := range s.imported {
		found, err := s.admin.Query(t.Context(),
			"SELECT entry_id, state, lower(vendor_key) FROM ledgerline.export_entries WHERE organization_id = $1", organization)
		require.NoError(t, err)
		seen := make(map[string]bool)
		for found.Next() {
			var id, state, key string
			require.NoError(t, found.Scan(&id, &state, &key))
			assert.False(t, seen[id], "entry %s of %s is there twice", id, organization)
			assert.Equal(t, fates[id], state, "entry %s of %s", id, organization)
			want := 0
			if state == exported {
				want = 1
			}
			assert.Equal(t, want, effects[key], "entry %s of %s is %s", id, organization, state)
			seen[id], ours[key] = true, true
		}
		require.NoError(t, found.Err())
		assert.Len(t, seen, len(fates), "entries of %s", organization)
		total += len(fates)
	}
	for key, n := range effects {
		assert.True(t, ours[key], "the vendor has %s, %d times, which is nobody's", key, n)
	}
	t.Logf("%d entries, %d effects at the vendor", total, len(effects))
}

// checkRecords: every record is closed, and every notification has arrived.
func (s *stage) checkRecords(t *testing.T) {
	assert.Empty(t, queryAll[uuid.UUID](t, s,
		"SELECT export_id FROM ledgerline.bufdir_export_audit_log WHERE status = $1 OR finished_at IS NULL", exports.Pending))
	deliveries := func(state string) []string {
		return queryAll[string](t, s, "SELECT notification_id::text FROM ledgerline.notification_deliveries WHERE "+state, notify.Delivered)
	}
	arrived := deliveries("state = $1")
	assert.NotEmpty(t, arrived)
	assert.Empty(t, deliveries("state <> $1"))
	assert.Empty(t, s.hooks.refused)
	for id, n := range s.hooks.attempts {
		assert.True(t, slices.Contains(arrived, id), "notification %s came %d times and is not on record", id, n)
	}
}
