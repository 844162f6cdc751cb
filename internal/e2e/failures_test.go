package e2e

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/workflows"
)

// scheduled is an input as a schedule starts it.
func (b book) scheduled(t *testing.T, period string) workflows.SyncInput {
	in := b.input(t, period)
	in.Trigger, in.TriggeredBy = exports.BySchedule, "schedule"
	return in
}

// hourLater makes an hour pass for an organization's incidents of exports.
func (o tenant) hourLater(t *testing.T) {
	asAdmin(t, "UPDATE ledgerline.subject_incidents SET notified_at = notified_at - interval '1 hour' WHERE organization_id = $1", o.id)
}

// A scheduled export that fails is notified at once, by one notification, and so is that
// nothing of it is left after a retry; and so is the next one, within the same hour.
// Metrics count what there is.
func TestScheduledExportFails(t *testing.T) {
	b := newBook(t)
	h := newHooks(t, func(http.ResponseWriter, string, int) {})
	applyHooks(t, b.tenant, h)
	w := notifyWorker(t, h)
	b.verified(t, "xledger-main")
	for n, period := range []string{"2026-10", "2026-11"} {
		b.vouchers(t, period+"/", 3, period+"-05", "3900", "0")
		stack.Sandbox.Script(sandbox.Rule{Match: sandbox.Match{BodyContains: b.text}, Times: 1, Status: 403, Body: `{"errors":[{"code":"UNAUTHORIZED","message":"no access"}]}`})

		failed := result(t, b.start(t, b.scheduled(t, period))).Export
		require.Equal(t, exports.Failed, failed.Status, failed.ErrorMessage)
		got := h.hears(t, "export_failed", n+1)
		require.Equal(t, period, got.Data.Period)
		require.Equal(t, failed.ErrorCode, got.Data.ErrorKind)
		require.Contains(t, metricsOf(t, w), fmt.Sprintf(`ledgerline_exports_closed_total{otel_scope_name="ledgerline",otel_scope_schema_url="",otel_scope_version="",status="failed",trigger="schedule"} %d`, n+1))

		_, words, code := starter(t, "", "exports", "retry", failed.ID.String(), "--org", b.id.String())
		require.Zero(t, code, words)
		require.Equal(t, period, h.hears(t, "export_recovered", n+1).Data.Period)
		b.requireOnce(t, 6*(n+1))
	}
	require.Empty(t, queryStrings(t, "SELECT cause FROM ledgerline.subject_incidents WHERE organization_id = $1 AND closed_at IS NULL", b.id))
	require.Equal(t, []string{"export_failed"}, queryStrings(t, "SELECT DISTINCT cause FROM ledgerline.notifications WHERE organization_id = $1 AND cause NOT IN ('export_recovered', 'credentials', 'recovered')", b.id))
}

// An export that is pending for too long is notified with what it waits for, again, and
// with its end.
func TestOverdueExport(t *testing.T) {
	b := newBook(t)
	h := newHooks(t, func(http.ResponseWriter, string, int) {})
	applyHooks(t, b.tenant, h)
	t.Setenv("LEDGERLINE_PENDING_LIMIT", "1s")
	w := notifyWorker(t, h, "LEDGERLINE_REMIND_AFTER=1s")
	b.verified(t, "xledger-main")
	b.vouchers(t, "o", 2, "2026-10-05", "3900", "0")
	stack.Sandbox.Script(sandbox.Rule{Match: sandbox.Match{BodyContains: b.text}, Times: 1000, Status: 503, Body: "down"})
	in := b.scheduled(t, "2026-10")
	in.DeferBase = time.Minute
	run := b.start(t, in)

	for n := range 2 {
		got := h.hears(t, "export_overdue", n+1)
		require.Equal(t, "2026-10", got.Data.Period)
		require.Equal(t, notify.ForVendor, got.Data.Waiting.For)
		require.NotEmpty(t, got.Data.ErrorKind)
		b.hourLater(t)
	}
	require.Eventually(t, func() bool {
		m := metricsOf(t, w)
		return regexp.MustCompile(`ledgerline_exports\{[^}]*status="pending"\} [1-9]`).MatchString(m) && regexp.MustCompile(`ledgerline_incidents\{cause="export_overdue"[^}]*\} [1-9]`).MatchString(m) &&
			regexp.MustCompile(`ledgerline_export_oldest_pending_seconds\{[^}]*\} [1-9]`).MatchString(m)
	}, 90*time.Second, time.Second)
	require.NoError(t, temporal.CancelWorkflow(t.Context(), run.GetID(), ""))
	require.Equal(t, exports.Failed, result(t, run).Export.Status)
	ended := h.hears(t, "export_ended", 1)
	require.Equal(t, "2026-10", ended.Data.Period)
	require.Equal(t, classify.Cancelled, ended.Data.ErrorKind)
}

// metricsOf is what a worker serves.
func metricsOf(t *testing.T, p *devstack.Process) string {
	t.Helper()
	address := listening.FindStringSubmatch(p.Output())
	require.NotNil(t, address)
	resp, err := http.Get("http://" + address[1] + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(text)
}

// A workflow whose code panics, and one whose code does not fit its history, are notified
// by name, and that they continue is too, once there is code again that fits.
func TestStuckWorkflow(t *testing.T) {
	all := map[string]func(workflow.Context) error{
		"workflow_worker_unhandled_failure": func(workflow.Context) error { panic("broken") },
		"non_deterministic_error": func(ctx workflow.Context) error {
			ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
			return workflow.ExecuteActivity(ctx, "none").Get(ctx, nil)
		},
	}
	heard, hosts := make(map[string]*hooks), stack.DevHosts()
	for name := range all {
		heard[name] = newHooks(t, func(http.ResponseWriter, string, int) {})
		hosts = append(hosts, heard[name].Listener.Addr().String())
	}
	w := startWorker(t, "--dev-vendor-hosts", strings.Join(hosts, ","))
	for name, broken := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, h := newTenant(t, quick), heard[name]
			applyHooks(t, o, h)
			queue := "stuck-" + uuid.NewString()
			works := func(ctx workflow.Context) error {
				if err := workflow.Sleep(ctx, 2*time.Second); err != nil {
					return err
				}
				return workflow.Sleep(ctx, time.Millisecond)
			}
			run := func(code func(workflow.Context) error) worker.Worker {
				w := worker.New(temporal, queue, worker.Options{})
				w.RegisterWorkflowWithOptions(code, workflow.RegisterOptions{Name: workflows.SyncName})
				require.NoError(t, w.Start())
				return w
			}
			before := run(works)
			in := o.integrations["xledger-main"]
			started, err := temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
				ID: fmt.Sprintf("export/%s/%s/2026-10", o.id, in.ID), TaskQueue: queue, TypedSearchAttributes: workflows.Attributes(o.id, in.ID, in.Adapter),
			}, workflows.SyncName)
			require.NoError(t, err)
			require.Eventually(t, func() bool { return len(eventsOf(t, started.GetID())) >= 5 }, time.Minute, 50*time.Millisecond)
			before.Stop()
			worker.PurgeStickyWorkflowCache() // which all workers of a process share: it has what the code before made
			after := run(broken)
			got := h.hears(t, "workflow_failing", 1)
			require.Equal(t, "xledger-main", got.Data.Integration)
			require.Equal(t, classify.Kind(name), got.Data.ErrorKind)
			require.Equal(t, workflows.SyncName, got.Data.Workflow.Type)
			require.Equal(t, started.GetID(), got.Data.Workflow.ID)
			require.Regexp(t, `ledgerline_workflows_stuck\{[^}]*workflow_type="Sync"\} [1-9]`, metricsOf(t, w))
			after.Stop()
			worker.PurgeStickyWorkflowCache()
			last := run(works)
			defer last.Stop()
			require.NoError(t, started.Get(bounded(t, longest), nil))
			require.Equal(t, started.GetID(), h.hears(t, "workflow_recovered", 1).Data.Workflow.ID)
		})
	}
}

// A run looks at a pause no more than hourly, by which it leaves no row, and again at once
// when its integration is resumed.
func TestPausedExport(t *testing.T) {
	b := newBook(t)
	startWorker(t)
	b.verified(t, "xledger-main")
	b.vouchers(t, "p", 2, "2026-10-05", "3900", "0")
	args := []string{"--org", b.id.String(), "--integration", "xledger-main"}
	_, words, code := starter(t, "", append([]string{"integrations", "pause", "--reason", "month end"}, args...)...)
	require.Zero(t, code, words)
	in := b.input(t, "2026-10")
	in.DeferBase = 0
	run := b.start(t, in)
	require.Eventually(t, func() bool {
		return len(queryStrings(t, "SELECT export_id::text FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1 AND deferred_for = 'paused' AND deferred_until > now() + interval '55 minutes'", b.id)) == 1
	}, time.Minute, 100*time.Millisecond)
	require.Empty(t, queryStrings(t, "SELECT error_kind FROM ledgerline.integration_run_logs WHERE organization_id = $1", b.id))
	_, words, code = starter(t, "", append([]string{"integrations", "resume"}, args...)...)
	require.Zero(t, code, words)
	require.Contains(t, words, "exports that wait: notified")
	require.Equal(t, exports.Complete, result(t, run).Export.Status)
	b.requireOnce(t, 4)
	require.Empty(t, queryStrings(t, "SELECT error_kind FROM ledgerline.integration_run_logs WHERE organization_id = $1", b.id))
}
