package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// recording says which histories that are missing are to be recorded: invoke, export, monitor, outcome, paused, all
// with 1, or services for the monitor's and a delivery's, which two other tests record.
var recording = os.Getenv("RECORD")

// TestRecordHistories writes the histories that package workflows replays. It
// runs only when some are to be recorded: RECORD=1 go test ./internal/e2e.
func TestRecordHistories(t *testing.T) {
	if recording == "" {
		t.Skip("not recording; RECORD=1 does, RECORD=invoke, export, monitor, outcome and paused in part")
	}
	for name, record := range map[string]func(*testing.T){"invoke": recordInvocations, "export": recordExports, "monitor": recordMonitor, "outcome": recordOutcomes, "paused": recordPaused} {
		if recording == name || recording == "1" {
			t.Run(name, record) // each with workers of its own
		}
	}
}

func recordInvocations(t *testing.T) {
	startWorker(t)
	o := newTenant(t, quick)
	for name, rule := range map[string]sandbox.Rule{
		"success": {Times: 1, DelayMS: 1}, "permanent": {Status: 400}, "exhausted": {Status: 503}, "recovered": {Times: 2, Status: http.StatusBadGateway},
	} {
		for _, waiter := range []bool{false, true} {
			in := o.ping("xledger-main")
			script(in, rule)
			if waiter {
				execute(t, in)
				name += "-with-waiter"
			} else {
				begin(t, in)
			}
			finish(t, in)
			record(t, name, events(t, in))
		}
	}
	write, _ := o.voucher() // it leaves a row
	invalid := o.ping("xledger-main")
	invalid.AdapterName = "sap"
	for name, in := range map[string]activities.Invocation{"write": write, "not-valid": invalid} {
		begin(t, in)
		finish(t, in)
		record(t, name, events(t, in))
	}
	in := newTenant(t, patient).ping("xledger-main")
	script(in, sandbox.Rule{Status: 503})
	run := begin(t, in)
	waiting(t, run.GetID(), 2)
	cancel(t, run)
	finish(t, in)
	record(t, "cancelled", events(t, in))
}

// recordExports records every way that a run can take. Which step of it the
// code would take otherwise is what a replay notices.
func recordExports(t *testing.T) {
	startWorker(t)
	for name, prepare := range map[string]func(book) workflows.SyncInput{
		"deferred": func(b book) workflows.SyncInput {
			b.vouchers(t, "A", 2, "2026-10-15", "3000", "0")
			b.fault(sandbox.Rule{Times: 5, Status: 503})
			return b.input(t, "2026-10")
		},
		"refused": func(b book) workflows.SyncInput { // halved until the voucher is found
			b.vouchers(t, "A", 3, "2026-10-15", "3000", "0")
			b.vouchers(t, "B", 1, "2026-10-15", "X1", "0")
			return b.input(t, "2026-10")
		},
		"retry": func(b book) workflows.SyncInput {
			b.vouchers(t, "A", 2, "2026-10-15", "3000", "0")
			b.fault(sandbox.Rule{Times: 1, Status: 401})
			e := result(t, b.start(t, b.input(t, "2026-10"))).Export
			in := b.input(t, "2026-10")
			in.ParentID, in.Trigger = &e.ID, exports.ByRetry
			return in
		},
		"continued": func(b book) workflows.SyncInput { // as new, so that it has several histories
			b.exportAs(t, integrations.ExportSettings{ChunkSize: 2})
			b.vouchers(t, "A", 12, "2026-10-15", "3000", "0")
			return b.input(t, "2026-10")
		},
		"taken-over": func(b book) workflows.SyncInput { // from one that was terminated
			b.vouchers(t, "A", 2, "2026-10-15", "3000", "0")
			b.fault(sandbox.Rule{Times: 1, Status: 503})
			in := b.input(t, "2026-10")
			in.DeferBase, in.Policy.MaxRetries = time.Hour, 0
			run := b.start(t, in)
			b.deferred(t)
			require.NoError(t, temporal.TerminateWorkflow(t.Context(), run.GetID(), run.GetRunID(), "by hand"))
			return in
		},
		"unknown": func(b book) workflows.SyncInput { // and the vendor does not say what it has
			b.vouchers(t, "A", 1, "2026-10-15", "3000", "0")
			b.fault(sandbox.Rule{Times: 1, Reset: sandbox.AfterEffect})
			stack.Sandbox.Script(sandbox.Rule{Times: 1, Status: 401, Match: sandbox.Match{Operation: "glImportItems"}})
			in := b.input(t, "2026-10")
			in.Policy.MaxRetries = 0
			return in
		},
		"asked": func(b book) workflows.SyncInput { // what is there, before anything follows from a refusal
			b.vouchers(t, "A", 1, "2026-10-15", "3000", "0")
			b.fault(sandbox.Rule{Times: 1, Act: true, Status: 400, Body: `{"errors":[{"message":"no"}]}`})
			return b.input(t, "2026-10")
		},
		"aside": func(b book) workflows.SyncInput { // until what was sent can take effect no more
			b.exportAs(t, integrations.ExportSettings{ChunkSize: 2})
			b.vouchers(t, "A", 2, "2026-10-15", "3000", "0")
			b.fault(sandbox.Rule{Times: 1, Reset: sandbox.BeforeEffect})
			in := b.input(t, "2026-10")
			in.Policy.MaxRetries = 0
			return in
		},
		"fitted": func(b book) workflows.SyncInput { // the vendor takes no request of that size
			b.exportAs(t, integrations.ExportSettings{ChunkSize: 4})
			b.vouchers(t, "A", 3, "2026-10-15", "3000", "0")
			b.fault(sandbox.Rule{Status: http.StatusRequestEntityTooLarge, Match: sandbox.Match{Keys: 3}})
			return b.input(t, "2026-10")
		},
		"halved": func(b book) workflows.SyncInput { // of a vendor that need not be asked who is refused
			in := b.integrations["crm"]
			in.Export.ChunkSize = 4
			b.applied(t, in)
			b.vouchers(t, "A", 2, "2026-10-15", "3000", "0")
			b.vouchers(t, "H", 2, "2026-10-16", "3000", "0")
			stack.Sandbox.Script(sandbox.Rule{Status: http.StatusBadRequest, Body: `{"error":{"code":"0x80040203","message":"no"}}`, Match: sandbox.Match{BodyContains: "2026-10-16"}})
			run := b.input(t, "2026-10")
			run.IntegrationID, run.AdapterName = in.ID, in.Adapter
			return run
		},
	} {
		b := newBook(t)
		run := b.start(t, prepare(b))
		first := run.GetRunID()
		result(t, run)
		recordChain(t, "export-"+name, chain(t, run.GetID(), first))
	}

	b := newBook(t)
	b.vouchers(t, "A", 1, "2026-09-15", "3000", "0")
	backfill := workflows.BackfillInput{Runs: []workflows.SyncInput{b.input(t, "2026-09"), b.input(t, "2026-10"), {Period: "2026-11"}}}
	filled, err := temporal.ExecuteWorkflow(t.Context(), engine.BackfillOptions(b.integrations["xledger-main"], backfill), workflows.BackfillName, backfill)
	require.NoError(t, err)
	var done workflows.BackfillResult
	require.NoError(t, filled.Get(bounded(t, longest), &done))
	require.Equal(t, 2, done.Exported, "%+v", done)
	record(t, "backfill", eventsOf(t, filled.GetID()))

	b = newBook(t)
	b.vouchers(t, "A", 1, "2026-10-15", "3000", "0")
	b.fault(sandbox.Rule{Times: 1, DelayMS: 1000})
	in := b.input(t, "2026-10")
	run := b.start(t, in)
	b.atVendor(t, 1)
	list := points(t, run)
	run = reset(t, run, list[len(list)-1]) // it is not the owner, and has to claim
	first := run.GetRunID()
	result(t, run)
	recordChain(t, "export-reset", chain(t, run.GetID(), first))

	b = newBook(t)
	b.vouchers(t, "A", 2, "2026-10-15", "3000", "0")
	b.fault(sandbox.Rule{Times: 1, Status: 503})
	in = b.input(t, "2026-10")
	in.DeferBase, in.Policy.MaxRetries = time.Hour, 0
	run = b.start(t, in)
	b.deferred(t)
	cancel(t, run)
	result(t, run)
	recordChain(t, "export-cancelled", chain(t, run.GetID(), run.GetRunID()))

	b = newBook(t)
	b.vouchers(t, "A", 2, "2026-10-15", "3000", "0")
	b.fault(sandbox.Rule{Times: 1, Status: 503})
	in = b.input(t, "2026-10")
	in.Policy.BaseDelay, in.Policy.MaxRetries = 15*time.Second, 1
	run = b.start(t, in)
	waiting(t, run.GetID(), 2)
	cancel(t, run)
	result(t, run)
	recordChain(t, "export-cancelled-between", chain(t, run.GetID(), run.GetRunID()))
}

// recordPaused records a run that finds its integration paused, and goes on when it is resumed.
func recordPaused(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.verified(t, "xledger-main")
	b.vouchers(t, "A", 2, "2026-10-15", "3000", "0")
	args := []string{"--org", b.id.String(), "--integration", "xledger-main"}
	_, words, code := starter(t, "", append([]string{"integrations", "pause", "--reason", "month end"}, args...)...)
	require.Zero(t, code, words)
	in := b.input(t, "2026-10")
	in.DeferBase = 0
	run := b.start(t, in)
	b.deferred(t)
	_, words, code = starter(t, "", append([]string{"integrations", "resume"}, args...)...)
	require.Zero(t, code, words)
	result(t, run)
	recordChain(t, "export-paused", chain(t, run.GetID(), run.GetRunID()))
}

// recordOutcomes records how what did not succeed sets the search attribute Outcome.
func recordOutcomes(t *testing.T) {
	t.Run("exports", func(t *testing.T) {
		startWorker(t)
		b := newBook(t)
		b.vouchers(t, "A", 1, "2026-10-15", "3000", "0")
		b.fault(sandbox.Rule{Times: 1, Status: 401})
		failed := b.start(t, b.input(t, "2026-10"))
		require.Equal(t, workflows.EndedFailed, result(t, failed).Ending())
		record(t, "export-failed", eventsOf(t, failed.GetID()))

		in := b.input(t, "2026-11")
		in.Trigger = "whim"
		invalid := b.start(t, in)
		require.Equal(t, workflows.EndedRefused, result(t, invalid).Ending())
		record(t, "export-not-valid", eventsOf(t, invalid.GetID()))

		backfill := workflows.BackfillInput{Runs: []workflows.SyncInput{in}}
		refused, err := temporal.ExecuteWorkflow(t.Context(), engine.BackfillOptions(b.integrations["xledger-main"], backfill), workflows.BackfillName, backfill)
		require.NoError(t, err)
		require.NoError(t, refused.Get(bounded(t, longest), nil))
		record(t, "backfill-refused", eventsOf(t, refused.GetID()))
	})

	w := worker.New(temporal, activities.TaskQueue, workflows.WorkerOptions())
	w.RegisterWorkflowWithOptions(workflows.Notify, workflow.RegisterOptions{Name: workflows.NotifyName})
	w.RegisterActivityWithOptions(func(context.Context, activities.DeliverInput) (r activities.DeliverResult, err error) {
		r.Status = notify.DeliveryStatus{State: notify.DeliveryFailed, Attempts: 1, ErrorKind: classify.Unauthorized, Status: http.StatusGone}
		return r, nil
	}, activity.RegisterOptions{Name: activities.DeliverName})
	w.RegisterActivityWithOptions(func(context.Context, activities.RecordDeliveryInput) error { return nil }, activity.RegisterOptions{Name: activities.RecordDeliveryName})
	require.NoError(t, w.Start())
	defer w.Stop()
	key := notify.DeliveryKey{OrganizationID: uuid.New(), NotificationID: uuid.New(), Channel: "books"}
	run, err := temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: workflows.NotifyID(key), TaskQueue: activities.TaskQueue}, workflows.NotifyName, key)
	require.NoError(t, err)
	require.NoError(t, run.Get(bounded(t, longest), nil))
	record(t, "notify-failed", eventsOf(t, run.GetID()))
}

// recordMonitor records a monitor to which everything happens that takes hours otherwise:
// its activities say so, and a run before it in its chain has left it a past.
func recordMonitor(t *testing.T) {
	integration := activities.Target{OrganizationID: uuid.New(), IntegrationID: uuid.New()}
	asLong := health.Observation{Kind: classify.OK, Source: health.Call}
	var inspected atomic.Int32
	w := worker.New(temporal, activities.TaskQueue, workflows.WorkerOptions())
	for name, f := range map[string]any{
		activities.InspectName: func(context.Context, activities.InspectInput) (r activities.InspectResult, err error) {
			r.Policy.NoProbes = true
			switch n := inspected.Add(1); {
			case n == 1:
				r.WarmUp, r.RunAt = time.Now(), time.Now().Add(time.Minute)
			case n > 7:
				r.Gone = true
			}
			return r, nil
		},
		activities.ProbeName: func(context.Context, activities.ProbeInput) (r activities.ProbeResult, err error) {
			return r, errors.New("no database")
		},
		activities.WarmUpName: func(context.Context, activities.WarmUpInput) (activities.WarmUpResult, error) {
			return activities.WarmUpResult{Observation: &asLong}, nil
		},
		activities.RecordHealthName: func(context.Context, activities.RecordHealthInput) error { return nil },
	} {
		w.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	w.RegisterWorkflowWithOptions(workflows.Monitor, workflow.RegisterOptions{Name: workflows.MonitorName})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context, in workflows.MonitorInput) error {
		return workflow.NewContinueAsNewError(ctx, workflows.MonitorName, in)
	}, workflow.RegisterOptions{Name: "Before"})
	require.NoError(t, w.Start())
	defer w.Stop()

	due := time.Now().Add(5 * time.Second) // a probe comes then, and the look at the integration after it
	past := &workflows.MonitorProgress{InspectedAt: due.Add(time.Second - 12*time.Hour)}
	past.Record = health.New(due.Add(-24*time.Hour), past.Integration.Policy)
	asLong.At = due.Add(-24 * time.Hour)
	past.Record, _ = past.Record.Apply(asLong)
	for {
		integration.IntegrationID = uuid.New()
		at, _ := past.Record.NextProbe(past.Integration.Policy, integration.IntegrationID.String(), time.Now())
		if at.Before(due) {
			break
		}
	}
	run, err := temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: workflows.MonitorID(integration.OrganizationID, integration.IntegrationID), TaskQueue: activities.TaskQueue},
		"Before", workflows.MonitorInput{OrganizationID: integration.OrganizationID, IntegrationID: integration.IntegrationID, Resume: past})
	require.NoError(t, err)
	first := run.GetRunID()
	require.Eventually(t, func() bool { return inspected.Load() >= 2 }, 30*time.Second, 10*time.Millisecond, "it is due, and after a warm-up")
	for n := int32(3); n <= 8; n++ {
		require.NoError(t, temporal.SignalWorkflow(t.Context(), run.GetID(), "", workflows.ChangedSignal, nil))
		require.Eventually(t, func() bool { return inspected.Load() >= n }, 30*time.Second, 10*time.Millisecond)
	}
	require.NoError(t, run.Get(bounded(t, longest), nil))
	recordChain(t, "monitor-due", chain(t, run.GetID(), first)[1:])
}

// deferred waits until the book's export waits for the vendor.
func (b book) deferred(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		return len(queryStrings(t, "SELECT period FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1 AND deferred_until IS NOT NULL", b.id)) == 1
	}, 30*time.Second, 20*time.Millisecond)
}

// exportAs changes how the book is exported.
func (b book) exportAs(t *testing.T, x integrations.ExportSettings) {
	t.Helper()
	in := b.integrations["xledger-main"]
	in.Export = x
	b.applied(t, in)
}

// applied stores an integration as a file would.
func (b book) applied(t *testing.T, in integrations.Integration) {
	t.Helper()
	pool, err := runlog.Open(t.Context(), stack.URL(devstack.Operator), 1)
	require.NoError(t, err)
	defer pool.Close()
	_, err = runlog.ApplyIntegrations(t.Context(), pool, []integrations.Integration{in}, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
}

// recordChain numbers the histories of a run that has several.
func recordChain(t *testing.T, name string, histories [][]*history.HistoryEvent) {
	t.Helper()
	for i, list := range histories {
		if len(histories) > 1 {
			record(t, fmt.Sprintf("%s-%d", name, i+1), list)
		} else {
			record(t, name, list)
		}
	}
}

// record writes a history that is missing. One that is there is frozen: written again, it
// would say what the code does now, and a replay of it nothing.
func record(t *testing.T, name string, list []*history.HistoryEvent) {
	t.Helper()
	path := filepath.Join("..", "..", "workflows", "testdata", "histories", name+".json")
	if _, err := os.Stat(path); err == nil {
		t.Logf("%s stays as it is; to record it again, delete it first", path)
		return
	}
	raw, err := protojson.MarshalOptions{Indent: " "}.Marshal(&history.History{Events: list})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(raw, '\n'), 0o644))
}
