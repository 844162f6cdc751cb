package e2e

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/attention"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// An export whose run was terminated needs a person as soon as Temporal says so, before any
// worker has noticed; one whose run is there does not.
func TestAttentionAsksTemporal(t *testing.T) {
	o := newTenant(t, quick)
	open := func(login string) *pgxpool.Pool {
		db, err := pgxpool.New(t.Context(), stack.URL(login))
		require.NoError(t, err)
		t.Cleanup(db.Close)
		return db
	}
	worker, operator := open(devstack.Worker), open(devstack.Operator)
	in, err := engine.NewSync(o.integrations["xledger-main"], "2026-10", "kari")
	require.NoError(t, err)
	options := engine.SyncOptions(in)
	options.TaskQueue = "nobody-asks-" + uuid.NewString() // so that it stays
	run, err := temporal.ExecuteWorkflow(t.Context(), options, workflows.SyncName, in)
	require.NoError(t, err)
	e, owned, err := runlog.ClaimExport(t.Context(), worker, exports.Export{
		OrganizationID: o.id, ID: uuid.New(), IntegrationID: in.IntegrationID, AdapterName: in.AdapterName, Period: in.Period, PeriodStart: in.PeriodStart, PeriodEnd: in.PeriodEnd,
		Trigger: exports.ByHand, TriggeredBy: "kari", StartedAt: time.Now().Add(-time.Hour), WorkflowID: run.GetID(), RunID: uuid.MustParse(run.GetRunID()),
	})
	require.NoError(t, err)
	require.True(t, owned)

	dead := func() (list []attention.Item) {
		t.Helper()
		all, err := attention.List(t.Context(), attention.Sources{DB: operator, Temporal: temporal}, o.id, time.Now())
		require.NoError(t, err)
		for _, i := range all {
			if i.Kind == attention.Dead {
				list = append(list, i)
			}
		}
		return list
	}
	require.Empty(t, dead(), "its run is there, also in the first second, in which Temporal does not list it")
	require.NoError(t, temporal.TerminateWorkflow(t.Context(), run.GetID(), "", "test"))
	require.Eventually(t, func() bool { return len(dead()) == 1 }, 30*time.Second, 200*time.Millisecond)
	i := dead()[0]
	require.Equal(t, []any{"2026-10", e.ID}, []any{i.Period, *i.ExportID})

	again, err := temporal.ExecuteWorkflow(t.Context(), options, workflows.SyncName, in) // somebody resumes it
	require.NoError(t, err)
	_, taken, err := runlog.TakeOverExport(t.Context(), worker, e, again.GetID(), uuid.MustParse(again.GetRunID()))
	require.NoError(t, err)
	require.True(t, taken)
	require.Empty(t, dead())
	require.NoError(t, temporal.TerminateWorkflow(t.Context(), again.GetID(), "", "test"))
}
