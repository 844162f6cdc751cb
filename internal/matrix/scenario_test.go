package matrix

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/answers"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// vendorCalled is a vendor of the matrix, by its adapter.
func vendorCalled(adapter string) vendor {
	return vendors[slices.IndexFunc(vendors, func(v vendor) bool { return v.adapter == adapter })]
}

// states are the states of a voucher's entries, in their order.
func (x *trial) states(voucher string) []string {
	rows := must(x.database.Admin.Query(context.Background(), `SELECT state FROM ledgerline.export_entries WHERE organization_id = $1 AND voucher_id = $2 ORDER BY entry_id`, x.org, voucher))
	return must(pgx.CollectRows(rows, pgx.RowTo[string]))
}

// stored is how often a vendor has a voucher's entries.
func (x *trial) stored(v *sandbox.Sandbox, voucher string) (n int) {
	rows := must(x.database.Admin.Query(context.Background(), `SELECT vendor_key FROM ledgerline.export_entries WHERE organization_id = $1 AND voucher_id = $2`, x.org, voucher))
	for _, key := range must(pgx.CollectRows(rows, pgx.RowTo[string])) {
		n += len(v.Records(key))
	}
	return n
}

// A change set that was given up may still be at work while its repeat is refused,
// because of the very rows that it holds: the refusal proves nothing of the first.
func TestRefusedWhileTheFirstIsAtWork(t *testing.T) {
	x := newParts(t).server(t).trial(cell{vendor: vendorCalled("dataverse"), answer: answers.Answer{}, moment: singleVoucher})
	x.prepare()
	x.line("z000", "2026-09-05", "3000")
	x.sync("2026-09", nil)
	x.line("v000", "2026-10-05", "3000")
	sent := 0
	x.script = func(e sandbox.LogEntry) *sandbox.Rule {
		if !e.Wrote {
			return nil
		}
		switch sent++; sent {
		case 1:
			return &sandbox.Rule{Drop: sandbox.AfterEffect, EffectDelayMS: int(later.Milliseconds())}
		case 2, 3:
			return &sandbox.Rule{Status: 412, Body: answers.ODataError("0x80060892", "A record with matching key values already exists.")}
		}
		return nil
	}
	r := x.sync("2026-10", nil)
	x.vendor.Settle(x.clock.now().Add(inFlight))
	require.Equal(t, 2, x.stored(x.vendor, "v000"))
	require.Equal(t, []string{"exported", "exported"}, x.states("v000"), "%+v", r.Export)
}

// movable is a trial whose integration can be led from one vendor to another: from
// here to there, where elsewhere answers. It has exported an entry.
func movable(t *testing.T) (x *trial, elsewhere *sandbox.Sandbox, here, there string) {
	p := newParts(t)
	old, other := p.server(t), p.server(t)
	x = old.trial(cell{vendor: vendorCalled("xledger"), moment: firstChunk})
	x.prepare()
	elsewhere = sandbox.New(sandbox.Options{Now: x.clock.now})
	other.vendor.Store(elsewhere)
	x.options.Client = adapters.NewClient(adapters.ClientOptions{DevHosts: []string{strings.TrimPrefix(old.address, "http://"), strings.TrimPrefix(other.address, "http://")}})
	t.Cleanup(x.options.Client.CloseIdle)
	x.line("z000", "2026-09-05", "3000")
	x.sync("2026-09", nil)
	return x, elsewhere, x.spec.BaseURL, sandbox.Addresses(other.address)["xledger"]
}

// leadTo leads the integration to another address in spite of open entries, which apply
// refuses, and versions before did not.
func (x *trial) leadTo(address string) {
	x.spec.BaseURL = address
	must(0, runlog.InOrganization(context.Background(), x.database.Operator, x.org, func(tx pgx.Tx) error {
		_, err := tx.Exec(context.Background(), `UPDATE ledgerline.integrations SET base_url = $2 WHERE integration_id = $1`, x.spec.ID, address)
		return err
	}))
}

// Where entries were sent is asked, and not where the integration leads by now: an
// answer of another place, which may be proved by what is known to be there, says
// nothing of them.
func TestAskedWhereItWasSent(t *testing.T) {
	x, elsewhere, here, there := movable(t)

	x.line("v000", "2026-10-05", "3000")
	x.script = func(e sandbox.LogEntry) *sandbox.Rule {
		if e.Wrote {
			return &sandbox.Rule{Drop: sandbox.AfterEffect}
		}
		return nil
	}
	x.run = uuid.New()
	e := x.firstAttempt()
	x.script = nil
	e.ErrorClass, e.ErrorCode = classify.Permanent, classify.Cancelled
	closed := must(runlog.CloseExport(t.Context(), x.options.DB, e))
	require.Equal(t, 2, x.stored(x.vendor, "v000"))

	x.leadTo(there)
	x.line("w000", "2026-11-05", "3000")
	x.sync("2026-11", nil)
	require.Equal(t, 2, x.stored(elsewhere, "w000"), "what was never sent goes where the integration leads")

	r := x.sync("2026-10", &closed.ID)
	require.Zero(t, x.stored(elsewhere, "v000"))
	require.Equal(t, []string{"sent", "sent"}, x.states("v000"))
	require.Equal(t, []any{exports.Failed, classify.Configuration}, []any{r.Export.Status, r.Export.ErrorCode})
	require.Contains(t, r.Export.ErrorMessage, here)

	x.leadTo(here)
	x.sync("2026-10", &r.Export.ID)
	require.Equal(t, []string{"exported", "exported"}, x.states("v000"))
	require.Equal(t, 2, x.stored(x.vendor, "v000"))
}

const twoItems = `{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){edges{clientId}}}","variables":{"in":[
 {"node":{"extIdentifier":"k1","trRegNumber":"1","amount":"1.00","account":{"code":"1920"}}},
 {"node":{"extIdentifier":"k2","trRegNumber":"1","amount":"-1.00","account":{"code":"3000"}}}]}}`

// invoke runs an ad-hoc write, as a run of its own.
func (x *trial) invoke(correlation uuid.UUID, body string) (out workflows.Outcome) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silent)
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	x.clock.follow(env)
	defer x.clock.follow(nil)
	x.run = uuid.New()
	workflows.Register(env, x.activities())
	env.ExecuteWorkflow(workflows.InvokeName, activities.Invocation{
		OrganizationID: x.org, IntegrationID: x.spec.ID, AdapterName: x.spec.Adapter, CorrelationID: correlation, Operation: adapters.Call,
		Body: json.RawMessage(body), Policy: x.spec.Policy, Actor: "matrix",
	})
	must(0, env.GetWorkflowError())
	must(0, env.GetWorkflowResult(&out))
	return out
}

// wait lets time pass until nothing that was sent can take effect any more.
func (x *trial) wait() {
	x.clock.mu.Lock()
	defer x.clock.mu.Unlock()
	x.clock.at = x.clock.at.Add(2 * inFlight)
}

// A look-up that does not show what exports know to be there does not send an
// ad-hoc write again, and neither does one that is made somewhere else.
func TestAdHocWriteIsAskedForWhereItWasSent(t *testing.T) {
	x, elsewhere, here, there := movable(t)
	before := len(x.vendor.Effects())

	lie := ""
	x.script = func(e sandbox.LogEntry) *sandbox.Rule {
		switch {
		case e.Wrote:
			return &sandbox.Rule{Drop: sandbox.AfterEffect, EffectDelayMS: int(later.Milliseconds())}
		case lie != "":
			return &sandbox.Rule{Lookup: lie}
		}
		return nil
	}
	correlation := uuid.New()
	out := x.invoke(correlation, twoItems)
	require.Equal(t, classify.Open, out.Effect)
	x.wait()

	lie = sandbox.Empty
	out = x.invoke(correlation, twoItems)
	require.Equal(t, []any{classify.Open, classify.Untrusted}, []any{out.Effect, out.Kind}, "%+v", out)
	require.Len(t, x.vendor.Effects(), before+2)

	x.leadTo(there)
	out = x.invoke(correlation, twoItems)
	require.Equal(t, []any{classify.Open, classify.UnknownOutcome}, []any{out.Effect, out.Kind}, "%+v", out)
	require.Contains(t, out.Failure.Message, here)
	require.Empty(t, elsewhere.Effects())

	x.leadTo(here)
	lie = ""
	out = x.invoke(correlation, twoItems)
	require.Equal(t, []any{true, classify.Done}, []any{out.OK, out.Effect}, "%+v", out)
	require.Len(t, x.vendor.Effects(), before+2)
}
