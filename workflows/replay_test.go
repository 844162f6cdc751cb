package workflows_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/internal/tracing"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/workflows"
)

func recorded(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/histories/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files, "no recorded histories: the test would prove nothing")
	return files
}

// Every way that a workflow can take is recorded: a lost file would make the
// replay say less than it seems to.
func TestRecordedWays(t *testing.T) {
	files := recorded(t)
	for _, way := range []string{"deferred-1", "deferred-2", "refused-1", "refused-2", "retry", "continued-1", "continued-2", "taken-over", "cancelled", "cancelled-between", "unknown", "asked", "aside-1", "aside-2", "reset-1", "reset-2", "fitted-1", "fitted-2", "halved-1", "halved-2", "failed", "not-valid"} {
		require.Contains(t, files, filepath.Join("testdata", "histories", "export-"+way+".json"))
	}
	for _, name := range []string{"success", "success-with-waiter", "permanent", "permanent-with-waiter", "exhausted", "exhausted-with-waiter",
		"recovered", "recovered-with-waiter", "cancelled", "write", "not-valid", "monitor", "monitor-due-1", "monitor-due-2", "notify-delivered", "notify-failed", "backfill", "backfill-refused"} {
		require.Contains(t, files, filepath.Join("testdata", "histories", name+".json"))
	}
}

// What runs now must be able to go on with today's code.
func TestReplay(t *testing.T) {
	for _, file := range recorded(t) {
		replay(t, file)
	}
}

// What was recorded without traces must be able to go on with them.
func TestReplayTraced(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	traces, err := tracing.Start(t.Context(), tracing.Options{Service: "test", Log: slog.New(slog.DiscardHandler), OneTry: true})
	require.NoError(t, err)
	defer traces.Close()
	var interceptors []interceptor.WorkerInterceptor
	for _, i := range traces.Interceptors() {
		interceptors = append(interceptors, i.(interceptor.WorkerInterceptor))
	}
	require.NotEmpty(t, interceptors)
	for _, file := range recorded(t) {
		replay(t, file, interceptors...)
	}
}

// register makes a replayer run the workflows.
func register(r worker.WorkflowReplayer) {
	for name, f := range map[string]any{
		workflows.InvokeName: workflows.Invoke, workflows.SyncName: workflows.Sync, workflows.BackfillName: workflows.Backfill,
		workflows.MonitorName: workflows.Monitor, workflows.NotifyName: workflows.Notify,
	} {
		r.RegisterWorkflowWithOptions(f, workflow.RegisterOptions{Name: name})
	}
}

// A workflow that does something else must fail, or the test above is blind.
func TestReplayNoticesAChange(t *testing.T) {
	for _, file := range recorded(t) {
		r := worker.NewWorkflowReplayer()
		r.RegisterWorkflowWithOptions(func(ctx workflow.Context, in activities.Invocation) (workflows.Outcome, error) {
			if err := workflow.Sleep(ctx, 1); err != nil {
				return workflows.Outcome{}, err
			}
			return workflows.Invoke(ctx, in)
		}, workflow.RegisterOptions{Name: workflows.InvokeName})
		r.RegisterWorkflowWithOptions(func(ctx workflow.Context, in workflows.SyncInput) (workflows.SyncResult, error) {
			if err := workflow.Sleep(ctx, 1); err != nil {
				return workflows.SyncResult{}, err
			}
			return workflows.Sync(ctx, in)
		}, workflow.RegisterOptions{Name: workflows.SyncName})
		r.RegisterWorkflowWithOptions(func(ctx workflow.Context, in workflows.NotifyInput) (notify.DeliveryStatus, error) {
			if err := workflow.Sleep(ctx, 1); err != nil {
				return notify.DeliveryStatus{}, err
			}
			return workflows.Notify(ctx, in)
		}, workflow.RegisterOptions{Name: workflows.NotifyName})
		r.RegisterWorkflowWithOptions(func(ctx workflow.Context, in workflows.MonitorInput) error {
			if err := workflow.Sleep(ctx, 1); err != nil {
				return err
			}
			return workflows.Monitor(ctx, in)
		}, workflow.RegisterOptions{Name: workflows.MonitorName})
		r.RegisterWorkflowWithOptions(func(ctx workflow.Context, in workflows.BackfillInput) (workflows.BackfillResult, error) {
			if err := workflow.Sleep(ctx, 1); err != nil {
				return workflows.BackfillResult{}, err
			}
			return workflows.Backfill(ctx, in)
		}, workflow.RegisterOptions{Name: workflows.BackfillName})
		require.Error(t, r.ReplayWorkflowHistoryFromJSONFile(silent, file), file)
	}
}
