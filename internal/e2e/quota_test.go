package e2e

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/runlog"
)

// usage is what starter quota shows, by integration.
func usage(t *testing.T, o tenant) map[string]runlog.MonthlyUsage {
	t.Helper()
	out, words, code := starter(t, "", "quota", "--org", o.id.String(), "-o", "json")
	require.Zero(t, code, words)
	byName := make(map[string]runlog.MonthlyUsage)
	for _, u := range fromJSON[[]runlog.MonthlyUsage](t, out) {
		byName[u.Name] = u
	}
	return byName
}

// The ledger equals the vendors' own log after a worker that stops, and after
// one that is killed lacks at most what was counted since it was last stored.
func TestUsageEqualsTheVendorsLog(t *testing.T) {
	// Requests for tokens carry no correlation ID, and runs of other tests may go on
	// meanwhile: of all organizations, as many are counted as Entra has seen.
	admin, err := pgx.Connect(t.Context(), stack.URL(devstack.Admin))
	require.NoError(t, err)
	defer admin.Close(context.Background())
	tokens := func() (n int64) {
		require.NoError(t, admin.QueryRow(t.Context(), `SELECT coalesce(sum(requests), 0)::bigint FROM ledgerline.quota_usage WHERE purpose = 'token'`).Scan(&n))
		return n
	}
	countedBefore, seenBefore := tokens(), int64(len(vendorLog("entra")))
	w := startWorker(t)
	o := newTenant(t, quick)
	mine := make(map[string]bool) // correlation IDs
	sent := func(vendor string) (n int64) {
		for _, e := range vendorLog(vendor) {
			if mine[e.CorrelationID] {
				n++
			}
		}
		return n
	}
	ping := func(integration string) activities.Invocation {
		in := o.ping(integration)
		mine[in.CorrelationID.String()] = true
		return in
	}

	var list []activities.Invocation
	for i := range 20 {
		in := ping([]string{"xledger-main", "crm"}[i%2])
		if i%5 == 0 {
			script(in, sandbox.Rule{Times: 2, Status: 503})
		}
		list = append(list, in)
	}
	// A write whose answer is lost is looked up before anything is sent again.
	lost := ping("xledger-main")
	lost.Operation, lost.Body = adapters.Call, json.RawMessage(`{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){edges{node{dbId}}}}","variables":{"in":[{"node":{"extIdentifier":"`+uuid.NewString()+`","account":{"code":"1920"},"amount":"0.00","trRegNumber":"1"}}]}}`)
	script(lost, sandbox.Rule{Times: 1, Drop: sandbox.AfterEffect})
	for _, out := range all(t, append(list, lost)) {
		require.True(t, out.OK, "%+v", out.Failure)
	}
	require.NoError(t, w.Stop(20*time.Second))
	u := usage(t, o)
	require.Equal(t, map[limits.Purpose]int64{limits.Attempt: sent("xledger") - 1, limits.Readback: 1}, u["xledger-main"].Requests)
	crm := map[limits.Purpose]int64{limits.Attempt: sent("dataverse")}
	if n := u["crm"].Requests[limits.Token]; n > 0 { // none if a run of another organization with the same secret has fetched it
		crm[limits.Token] = n
	}
	require.Equal(t, crm, u["crm"].Requests)
	require.Positive(t, tokens()-countedBefore)
	require.Equal(t, int64(len(vendorLog("entra")))-seenBefore, tokens()-countedBefore)

	// Killed in the midst of traffic, more than once: of each process what it
	// counted in its last 5 s may be missing, and nothing is counted twice.
	const unstored = 5*time.Second + 2*time.Second // and as long as storing may take here
	var missing int64
	for range 3 {
		w = startWorker(t)
		began := time.Now()
		for time.Since(began) < 9*time.Second {
			all(t, []activities.Invocation{ping("xledger-main"), ping("xledger-main"), ping("xledger-main")})
		}
		w.Kill()
		killed := time.Now()
		for _, e := range vendorLog("xledger") {
			if mine[e.CorrelationID] && e.At.After(killed.Add(-unstored)) {
				missing++
			}
		}
	}
	total, made := usage(t, o)["xledger-main"].Total, sent("xledger")
	require.LessOrEqual(t, total, made, "counted twice")
	require.GreaterOrEqual(t, total, made-missing, "more is missing than the documented bound")
	require.Less(t, missing, made, "the bound allows everything, so this proves nothing")
	t.Logf("%d requests, %d counted, at least %d had to be", made, total, made-missing)
}

func vendorLog(vendor string) (list []sandbox.LogEntry) {
	for _, e := range stack.Sandbox.Log() {
		if e.Vendor == vendor {
			list = append(list, e)
		}
	}
	return list
}

// At 100 % of the month's requests calls are refused without a call, and
// exports go on; each threshold is recorded once.
func TestQuotaSpent(t *testing.T) {
	w := startWorker(t)
	o := limited(t, 1, quick, "{monthlyRequests: 5, warnAt: 80, refuseAt100: true}")
	for range 5 {
		require.True(t, execute(t, o.ping("x0")).OK)
	}
	in := o.ping("x0")
	out := execute(t, in)
	require.False(t, out.OK)
	require.Equal(t, 1, out.TotalAttempts)
	require.Equal(t, classify.Permanent, out.Failure.ErrorClass)
	require.False(t, out.Failure.IsRetryable)
	require.Contains(t, out.Failure.Message, "limits.monthlyRequests")
	require.Empty(t, reached(in))
	finish(t, in)
	require.Equal(t, "1:permanent/quota_spent", trail(rowsOf(t, in)))
	shown, _, _ := starter(t, "", "show", in.CorrelationID.String(), "--org", o.id.String())
	require.Contains(t, shown, "limit of requests in the integration's file is used up")

	b := book{tenant{o.id, map[string]integrations.Integration{"xledger-main": o.integrations["x0"]}}, "book " + uuid.NewString()}
	b.vouchers(t, "Q", 3, "2026-10-05", "3000", "0")
	r := result(t, b.start(t, b.input(t, "2026-10")))
	require.Equal(t, 6, r.Export.Exported, "%+v", r.Export)

	require.NoError(t, w.Stop(20*time.Second))
	require.Equal(t, []string{"100", "80"}, queryStrings(t, "SELECT percent::text FROM ledgerline.quota_warnings WHERE organization_id = $1 ORDER BY 1", o.id))
	w2 := startWorker(t) // it knows from the start
	defer w2.Kill()
	in = o.ping("x0")
	require.False(t, execute(t, in).OK)
	require.Empty(t, reached(in))
	table, _, code := starter(t, "", "quota", "--org", o.id.String())
	require.Zero(t, code)
	require.Regexp(t, `x0\s+xledger\s+6\s+0\s+10\s+0\s+0\s+0\s+16\s+5\s+320 %\s+GBP 0.00`, table)
}
