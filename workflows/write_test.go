package workflows_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/stretchr/testify/require"
)

const mutation = `{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){edges{clientId}}}","variables":{"in":[
 {"node":{"extIdentifier":"k1","trRegNumber":"1","amount":"1.00","account":{"code":"1920"}}},
 {"node":{"extIdentifier":"k2","trRegNumber":"1","amount":"-1.00","account":{"code":"3000"}}}]}}`

// A write whose answer was lost is looked up before it is sent again.
func TestLostAnswerIsReadBack(t *testing.T) {
	for _, fault := range []sandbox.Rule{
		{Drop: sandbox.AfterEffect}, {Reset: sandbox.AfterEffect}, {TruncateAt: 10}, {Drop: sandbox.BeforeEffect}, {Reset: sandbox.BeforeEffect},
	} {
		b := newBench(t)
		fault.Times, fault.Match = 1, sandbox.Match{Operation: "addGLImportItems"}
		b.sandbox.Script(fault)
		in := b.invocation()
		in.Operation, in.Body = adapters.Call, json.RawMessage(mutation)
		out := b.run(t, in)
		require.True(t, out.OK, "%+v: %+v", fault, out.Failure)
		require.Len(t, b.sandbox.Effects(), 2, "%+v: each item exactly once", fault)
		took := fault.Drop != sandbox.BeforeEffect && fault.Reset != sandbox.BeforeEffect
		require.Equal(t, took, out.Response.ReadBack, "%+v", fault)
	}
}

// An answer that does not show what is known to be there says nothing of a call
// either: it is not sent on the strength of it.
func TestQuestionsOfCallsAreProved(t *testing.T) {
	b := newBench(t)
	b.control = &runlog.Control{VendorKeys: []string{"there1", "there2"}, VoucherID: "1"}
	b.made(t, strings.NewReplacer("k1", "there1", "k2", "there2").Replace(mutation))
	b.sandbox.Script(
		sandbox.Rule{Match: sandbox.Match{Operation: "addGLImportItems"}, Times: 1, Act: true, Status: 500, Body: `{"errors":[{"message":"no"}]}`}, // its work has ended
		sandbox.Rule{Match: sandbox.Match{Operation: "glImportItems"}, Times: 1, Lookup: sandbox.Empty},
	)
	in := b.invocation()
	in.Operation, in.Body = adapters.Call, json.RawMessage(mutation)
	out := b.run(t, in)
	require.True(t, out.OK, "%+v", out.Failure)
	require.True(t, out.Response.ReadBack)
	require.Equal(t, []any{3, classify.Done}, []any{out.TotalAttempts, out.Effect})
	require.Equal(t, []classify.Kind{classify.ServerError, classify.Untrusted}, []classify.Kind{b.rows[0].ErrorKind, b.rows[1].ErrorKind})
	require.Len(t, b.sandbox.Effects(), 4, "each item exactly once")
}

// made makes a request at the vendor that no invocation knows of.
func (b *bench) made(t *testing.T, body string) {
	t.Helper()
	to, err := url.Parse(b.integration.BaseURL)
	require.NoError(t, err)
	client := adapters.NewClient(adapters.ClientOptions{DevHosts: []string{to.Host}})
	defer client.CloseIdle()
	conn := &adapters.Conn{
		Client: client, Adapter: b.integration.Adapter, BaseURL: to, Settings: b.integration.Settings,
		Credentials: map[string]string{"clientSecret": sandbox.DemoClientSecret, "token": sandbox.DemoXledgerToken},
	}
	_, v := activities.Adapters()[b.integration.Adapter].Do(t.Context(), conn, adapters.Call, []byte(body))
	require.Equal(t, classify.Success, v.Class, v.Message)
}

// journalLine is a call that makes a line of a journal.
const journalLine = `{"method":"POST","path":"companies(` + sandbox.DemoCompanyID + `)/journals(` + sandbox.DemoJournalID + `)/journalLines",
	"body":{"externalDocumentNumber":"%s","documentNumber":"%s","amount":1.50}}`

// businessCentral makes the integration one with Business Central, and returns a
// call to it.
func (b *bench) businessCentral(t *testing.T) activities.Invocation {
	t.Helper()
	base := sandbox.Addresses(strings.TrimSuffix(b.integration.BaseURL, "/xledger/graphql"))
	b.integration.Adapter, b.integration.BaseURL = "businesscentral", base["businesscentral"]
	b.integration.Settings = map[string]string{"tenantId": sandbox.DemoTenantID, "clientId": sandbox.DemoClientID, "authority": base["entra"]}
	b.integration.Credentials = map[string]integrations.Ref{"clientSecret": devstack.WriteSecret(b.secrets.Dir, b.organization, "secret", sandbox.DemoClientSecret)}
	in := b.invocation()
	in.AdapterName, in.Operation = b.integration.Adapter, adapters.Call
	return in
}

// An attempt whose token took more than half of its time sends nothing: the answer
// might not come in time. The next one has the token.
func TestSlowTokenLeavesNoTimeToSend(t *testing.T) {
	b := newBench(t)
	in := b.businessCentral(t)
	in.Policy.AttemptTimeout = time.Second
	b.sandbox.Script(sandbox.Rule{Match: sandbox.Match{Vendor: "entra"}, Times: 1, DelayMS: 700})
	in.Body = fmt.Appendf(nil, journalLine, "d-1", "7")
	out := b.run(t, in)
	require.True(t, out.OK, "%+v", out.Failure)
	require.Equal(t, []any{2, classify.Done}, []any{out.TotalAttempts, out.Effect})
	require.Equal(t, []any{classify.Late, classify.Timeout, classify.None}, []any{b.rows[0].ErrorKind, b.rows[0].ErrorClass, b.rows[0].Effect})
	require.Len(t, b.sandbox.Effects(), 1)
	require.False(t, out.Response.ReadBack, "nobody had to be asked")
}

// What is at the vendor under a request's number, with another amount or twice, is
// not taken for the request.
func TestAnotherRecordUnderTheNumber(t *testing.T) {
	for name, before := range map[string][]string{"another amount": {`-1`}, "twice": {"1", "1.00"}} {
		b := newBench(t)
		in := b.businessCentral(t)
		line := strings.Replace(journalLine, `"amount":1.50`, `"amount":%s`, 1)
		require.NotEqual(t, journalLine, line)
		for _, amount := range before {
			b.made(t, fmt.Sprintf(line, "d-1", "7", amount))
		}
		b.sandbox.Script(sandbox.Rule{Match: sandbox.Match{Method: "POST", Operation: "journalLines"}, Times: 1, Drop: sandbox.BeforeEffect})
		in.Body = fmt.Appendf(nil, line, "d-1", "7", "1")
		out := b.run(t, in)
		require.Equal(t, []any{false, classify.Open, classify.UnknownOutcome}, []any{out.OK, out.Effect, out.Kind}, "%s: %+v", name, out.Failure)
		require.Contains(t, out.Failure.Message, "may have been there before", name)
		require.Len(t, b.sandbox.Effects(), len(before), name)
	}
}

// A journal line that is not in the journal any more may have been posted: if the
// ledger has its document, a person must look.
func TestPostedLineIsNotResent(t *testing.T) {
	b := newBench(t)
	in, line := b.businessCentral(t), journalLine
	b.made(t, fmt.Sprintf(line, "d-1", "7"))
	require.Equal(t, 1, b.sandbox.Post(sandbox.DemoJournalID))

	b.sandbox.Script(sandbox.Rule{Match: sandbox.Match{Method: "POST", Operation: "journalLines"}, Times: 1, Drop: sandbox.BeforeEffect})
	in.Body = fmt.Appendf(nil, line, "d-2", "7")
	out := b.run(t, in)
	require.False(t, out.OK)
	require.Contains(t, out.Failure.Message, "document 7 has entries in the general ledger")
	require.Len(t, b.sandbox.Effects(), 2, "a line and its posting, and nothing more")
}

// A write that nobody can be asked about is sent again only if it is proved that
// nothing was done, for which 503 counts here; or if the caller says that a repeat
// does no harm.
func TestUnsafeWrites(t *testing.T) {
	for name, c := range map[string]struct {
		rule       sandbox.Rule
		idempotent bool
		requests   int
		effect     classify.Effect
		kind       classify.Kind // of the outcome; "" for a success
	}{
		"reset":                {sandbox.Rule{Reset: sandbox.AfterEffect}, false, 1, classify.Open, classify.UnknownOutcome},
		"502":                  {sandbox.Rule{Status: 502}, false, 1, classify.Open, classify.UnknownOutcome},
		"500 in its shape":     {sandbox.Rule{Status: 500, Body: `{"errors":[{"message":"no"}]}`}, false, 1, classify.Open, classify.UnknownOutcome},
		"throttled with data":  {sandbox.Rule{Status: 200, Body: `{"data":null,"errors":[{"message":"no","code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"}]}`}, false, 1, classify.Open, classify.UnknownOutcome},
		"503":                  {sandbox.Rule{Status: 503}, false, 2, classify.Done, ""},
		"503 with data":        {sandbox.Rule{Status: 503, Body: `{"data":{"a":{"id":1},"b":null},"errors":[{"message":"no"}]}`}, false, 1, classify.Open, classify.UnknownOutcome},
		"503, gave up":         {sandbox.Rule{Status: 503, Body: `{"errors":[{"message":"the query timed out"}]}`}, false, 1, classify.Open, classify.UnknownOutcome},
		"429":                  {sandbox.Rule{Status: 429}, false, 2, classify.Done, ""},
		"502, vouched for":     {sandbox.Rule{Status: 502}, true, 2, classify.Done, ""},
		"reset, vouched for":   {sandbox.Rule{Reset: sandbox.AfterEffect}, true, 2, classify.Done, ""},
		"refused, vouched for": {sandbox.Rule{Status: 400, Body: `{"errors":[{"message":"no"}]}`}, true, 1, classify.Open, classify.BadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			c.rule.Times = 1
			b.sandbox.Script(c.rule, sandbox.Rule{Status: 200, Body: `{"data":{"addProjects":{"edges":[]}}}`})
			in := b.invocation()
			in.Operation, in.Body = adapters.Call, json.RawMessage(`{"query":"mutation { addProjects(inputs: []) { edges { node { dbId } } } }"}`)
			in.Idempotent = c.idempotent
			out := b.run(t, in)
			require.Len(t, b.sandbox.Log(), c.requests, "and nobody is asked")
			require.Equal(t, c.requests, out.TotalAttempts)
			require.Equal(t, []any{c.effect, c.kind}, []any{out.Effect, out.Kind}, "%+v", out.Failure)
			require.Equal(t, c.kind == "", out.OK)
			if c.kind == classify.UnknownOutcome {
				require.Equal(t, c.kind, b.rows[0].ErrorKind)
				require.Contains(t, out.Failure.Message, "outcome is unknown")
			}
		})
	}
}
