package workflows_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
	"github.com/ledgerline/ledgerline/workflows"
)

// bench is the real workflow with the real activities against the sandbox, in
// Temporal's test environment, which skips the waits. Only the database is
// replaced, by the bench, which is the store of calls.
type bench struct {
	activities.Store
	secrets      *secrets.Store
	env          *testsuite.TestWorkflowEnvironment
	sandbox      *sandbox.Sandbox
	organization uuid.UUID
	integration  integrations.Integration
	rows         []runlog.AttemptRow
	control      *runlog.Control // of the integration
	claims       map[uuid.UUID]*claim
	log          bytes.Buffer
	observe      func(activities.Invocation, activities.Attempt)
	acts         *activities.Activities
}

// claim is what is known of an ad-hoc write.
type claim struct {
	runlog.WriteClaim
	effect classify.Effect
	until  time.Time
	ended  bool
	status int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{sandbox: sandbox.New(sandbox.Options{}), organization: uuid.New(), claims: make(map[uuid.UUID]*claim)}
	b.observe = func(activities.Invocation, activities.Attempt) {}
	server := httptest.NewServer(b.sandbox)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	b.secrets = &secrets.Store{Dir: t.TempDir()}
	b.integration = integrations.Integration{
		OrganizationID: b.organization, ID: uuid.New(), Name: "x", Adapter: "xledger", BaseURL: server.URL + "/xledger/graphql",
		Credentials: map[string]integrations.Ref{"token": devstack.WriteSecret(b.secrets.Dir, b.organization, "token", sandbox.DemoXledgerToken)}, Policy: classify.DefaultPolicy(), InFlight: new(time.Duration),
	}
	client := adapters.NewClient(adapters.ClientOptions{DevHosts: []string{strings.TrimPrefix(server.URL, "http://")}})
	t.Cleanup(client.CloseIdle)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silent)
	b.env = suite.NewTestWorkflowEnvironment()
	b.env.SetTestTimeout(time.Minute)
	var err error
	b.acts, err = activities.New(activities.Options{
		Store: b, Client: client, Secrets: b.secrets, Log: slog.New(slog.NewJSONHandler(&b.log, nil)), Now: b.env.Now,
		Observe: func(in activities.Invocation, at activities.Attempt) { b.observe(in, at) },
	})
	require.NoError(t, err)
	workflows.Register(b.env, b.acts)
	return b
}

func (b *bench) Integration(_ context.Context, organization, id uuid.UUID) (integrations.Integration, error) {
	if organization != b.organization || id != b.integration.ID {
		return integrations.Integration{}, runlog.ErrNotFound
	}
	return b.integration, nil
}

func (b *bench) Pause(context.Context, uuid.UUID, uuid.UUID) (*runlog.Pause, error) { return nil, nil }

func (b *bench) InsertAttempts(_ context.Context, _ uuid.UUID, rows []runlog.AttemptRow) error {
	b.rows = append(b.rows, rows...)
	return nil
}

// ClaimWrite keeps claims as PostgreSQL does, for a single run at a time.
func (b *bench) ClaimWrite(_ context.Context, c runlog.WriteClaim, left, inFlight time.Duration, again bool) (runlog.WriteClaimResult, error) {
	now := b.env.Now()
	until := now.Add(left + inFlight)
	k := b.claims[c.CorrelationID]
	if k != nil && k.BodySHA256 != c.BodySHA256 {
		return runlog.WriteClaimResult{}, &runlog.ConflictError{What: "request body"}
	}
	if k == nil || k.effect == classify.None || k.effect == classify.Open && again {
		b.claims[c.CorrelationID] = &claim{WriteClaim: c, effect: classify.Open, until: until}
		return runlog.WriteClaimResult{MaySend: true, Effect: classify.Open, OpenUntil: until, Attempt: c.Attempt}, nil
	}
	due := k.ended || !k.until.After(now)
	return runlog.WriteClaimResult{Effect: k.effect, Due: due, Wait: k.until.Sub(now), OpenUntil: k.until, Attempt: c.Attempt, HTTPStatus: k.status}, nil
}

func (b *bench) SettleWrite(_ context.Context, _, correlation uuid.UUID, _ int, effect classify.Effect, ended bool, status int) error {
	if k := b.claims[correlation]; k.effect == classify.Open {
		k.effect, k.ended, k.status = effect, k.ended || ended, status
	}
	return nil
}

func (b *bench) Control(context.Context, uuid.UUID, uuid.UUID, string) (*runlog.Control, error) {
	return b.control, nil
}

// silent drops what the SDK says.
var silent = log.NewStructuredLogger(slog.New(slog.DiscardHandler))

func (b *bench) invocation() activities.Invocation {
	return activities.Invocation{
		OrganizationID: b.organization, IntegrationID: b.integration.ID, AdapterName: "xledger",
		CorrelationID: uuid.New(), Operation: adapters.Ping, Policy: b.integration.Policy,
	}
}

func (b *bench) run(t *testing.T, in activities.Invocation) workflows.Outcome {
	t.Helper()
	b.env.ExecuteWorkflow(workflows.InvokeName, in)
	require.True(t, b.env.IsWorkflowCompleted())
	require.NoError(t, b.env.GetWorkflowError(), "a failure is a result, not a crash")
	var out workflows.Outcome
	require.NoError(t, b.env.GetWorkflowResult(&out))
	return out
}

// waits returns the planned waits of the failed attempts.
func (b *bench) waits() []time.Duration {
	var w []time.Duration
	for _, r := range b.rows {
		if r.IsRetryable {
			w = append(w, r.PlannedDelay)
		}
	}
	return w
}

func assertWaits(t *testing.T, got []time.Duration) {
	t.Helper()
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}
	require.Len(t, got, len(want))
	for i, w := range want {
		assert.GreaterOrEqual(t, got[i], w*8/10, "wait %d", i+1)
		assert.LessOrEqual(t, got[i], w*12/10, "wait %d", i+1)
	}
}

// A 503 leads to three retries after 1 s, 2 s and 4 s ± 20 %.
func TestTransientIsRetriedThreeTimes(t *testing.T) {
	b := newBench(t)
	b.sandbox.Script(sandbox.Rule{Times: 3, Status: http.StatusServiceUnavailable})
	out := b.run(t, b.invocation())
	require.True(t, out.OK)
	require.Equal(t, 4, out.TotalAttempts)
	require.Len(t, b.sandbox.Log(), 4)
	assertWaits(t, b.waits())
	last := b.rows[len(b.rows)-1]
	require.Equal(t, 4, last.TotalAttempts, "the success after retries is on record with its total")
	require.Empty(t, last.ErrorClass)
}

// A 400 returns at once.
func TestPermanentIsNotRetried(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 422} {
		b := newBench(t)
		b.sandbox.Script(sandbox.Rule{Status: status, Body: `{"errors":[{"message":"no"}]}`})
		out := b.run(t, b.invocation())
		require.False(t, out.OK)
		require.Equal(t, 1, out.TotalAttempts)
		require.Equal(t, classify.Permanent, out.Failure.ErrorClass)
		require.Equal(t, status, *out.Failure.HTTPStatus)
		require.False(t, out.Failure.IsRetryable)
		require.Len(t, b.sandbox.Log(), 1, "status %d was sent more than once", status)
		require.Len(t, b.rows, 1)
	}
}

// When all attempts have failed, isRetryable is false; in the
// record, the attempts that were retried say true.
func TestExhaustion(t *testing.T) {
	b := newBench(t)
	b.sandbox.Script(sandbox.Rule{Status: http.StatusBadGateway})
	out := b.run(t, b.invocation())
	require.False(t, out.OK)
	require.Equal(t, 4, out.TotalAttempts)
	require.Equal(t, classify.Transient, out.Failure.ErrorClass)
	require.Equal(t, 4, out.Failure.Attempt)
	require.False(t, out.Failure.IsRetryable)
	assertWaits(t, b.waits())
	require.Len(t, b.rows, 4)
	require.False(t, b.rows[3].IsRetryable)
}

// The failure has exactly the seven members of the mission's schema.
func TestFailureSchema(t *testing.T) {
	b := newBench(t)
	b.sandbox.Script(sandbox.Rule{Status: http.StatusBadRequest, Body: `{}`})
	out := b.run(t, b.invocation())
	raw, err := json.Marshal(out)
	require.NoError(t, err)
	var decoded struct {
		Failure map[string]any `json:"failure"`
	}
	require.NoError(t, json.Unmarshal(raw, &decoded))
	keys := []string{}
	for k := range decoded.Failure {
		keys = append(keys, k)
	}
	require.ElementsMatch(t, []string{"correlationId", "errorClass", "httpStatus", "adapterName", "attempt", "message", "isRetryable"}, keys)
}

// One correlation ID, a v4, in every row, request and log line.
func TestOneCorrelationID(t *testing.T) {
	b := newBench(t)
	b.sandbox.Script(sandbox.Rule{Times: 2, Status: http.StatusGatewayTimeout})
	in := b.invocation()
	out := b.run(t, in)
	require.Equal(t, uuid.Version(4), out.CorrelationID.Version())
	for _, r := range b.rows {
		require.Equal(t, in.CorrelationID, r.CorrelationID)
		require.Equal(t, b.organization, r.OrganizationID)
	}
	for _, e := range b.sandbox.Log() {
		require.Equal(t, in.CorrelationID.String(), e.CorrelationID)
	}
	lines := strings.Split(strings.TrimSpace(b.log.String()), "\n")
	require.Len(t, lines, 2)
	for _, l := range lines {
		require.Contains(t, l, in.CorrelationID.String())
		require.Contains(t, l, b.organization.String())
	}
	require.NotContains(t, b.log.String(), sandbox.DemoXledgerToken)
}

// A business error inside HTTP 200 is called once.
func TestBusinessErrorInside200(t *testing.T) {
	b := newBench(t)
	in := b.invocation()
	in.Operation = adapters.Call
	in.Body = json.RawMessage(`{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){edges{clientId}}}","variables":{"in":[{"node":{"extIdentifier":"a","trRegNumber":"1","amount":"1.00","account":{"code":"1920"}}}]}}`)
	out := b.run(t, in)
	require.False(t, out.OK)
	require.Equal(t, classify.Permanent, out.Failure.ErrorClass)
	require.Equal(t, 200, *out.Failure.HTTPStatus)
	require.Contains(t, out.Failure.Message, "does not balance")
	require.Len(t, b.sandbox.Log(), 1)
	require.Empty(t, b.sandbox.Effects())
}

// Throttling inside HTTP 200 is infrastructure: retried, after the documented wait.
func TestThrottlingInside200(t *testing.T) {
	b := newBench(t)
	b.sandbox.Script(sandbox.Rule{Times: 1, Status: 200, Body: `{"errors":[{"code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED","message":"x"}]}`})
	require.True(t, b.run(t, b.invocation()).OK)
	require.Equal(t, []time.Duration{5 * time.Second}, b.waits())
}

func TestRetryAfter(t *testing.T) {
	t.Run("fits the budget", func(t *testing.T) {
		b := newBench(t)
		b.sandbox.Script(sandbox.Rule{Times: 1, Status: 429, Headers: map[string]string{"Retry-After": "20"}})
		require.True(t, b.run(t, b.invocation()).OK)
		require.Equal(t, []time.Duration{20 * time.Second}, b.waits(), "jitter must not go below what the vendor asks")
	})
	t.Run("does not fit", func(t *testing.T) {
		b := newBench(t)
		b.sandbox.Script(sandbox.Rule{Status: 429, Headers: map[string]string{"Retry-After": "300"}})
		out := b.run(t, b.invocation())
		require.Equal(t, 1, out.TotalAttempts)
		require.Equal(t, classify.Transient, out.Failure.ErrorClass)
		require.False(t, out.Failure.IsRetryable)
		require.Contains(t, out.Failure.Message, "takes calls again at")
	})
}

// Another organization's integration is refused before any secret is read and
// any call is made, and the refusal is on record.
func TestForeignIntegration(t *testing.T) {
	b := newBench(t)
	in := b.invocation()
	in.OrganizationID = uuid.New()
	out := b.run(t, in)
	require.Equal(t, classify.Permanent, out.Failure.ErrorClass)
	require.Empty(t, b.sandbox.Log())
	require.Len(t, b.rows, 1)
	require.Nil(t, b.rows[0].IntegrationID)
	require.Equal(t, in.IntegrationID, b.rows[0].RequestedIntegrationID)
	require.Equal(t, classify.Configuration, b.rows[0].ErrorKind)
}

func TestErrorsOfOurOwnArePermanent(t *testing.T) {
	cases := map[string]struct {
		change func(*bench, *activities.Invocation)
		kind   classify.Kind
	}{
		"malformed request": {func(_ *bench, in *activities.Invocation) {
			in.Operation, in.Body = adapters.Call, json.RawMessage(`{"quer":""}`)
		}, classify.Transformation},
		"missing secret": {func(b *bench, _ *activities.Invocation) {
			b.integration.Credentials = map[string]integrations.Ref{"token": "env:LEDGERLINE_TEST_NOT_SET"}
		}, classify.Credentials},
		"wrong adapter":  {func(_ *bench, in *activities.Invocation) { in.AdapterName = "dataverse" }, classify.Configuration},
		"forbidden host": {func(b *bench, _ *activities.Invocation) { b.integration.BaseURL = "https://169.254.169.254/graphql" }, classify.InvalidRequest},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			in := b.invocation()
			c.change(b, &in)
			out := b.run(t, in)
			require.Equal(t, 1, out.TotalAttempts)
			require.Equal(t, c.kind, b.rows[0].ErrorKind, b.rows[0].ErrorMessage)
			require.False(t, out.Failure.IsRetryable)
			require.Empty(t, b.sandbox.Log(), "no call may be made")
		})
	}
}

// cancelled runs an invocation that is cancelled while it waits for its third
// attempt, with what can be known of the first two.
func (b *bench) cancelled(t *testing.T, held activities.HoldResult, err error) workflows.Outcome {
	t.Helper()
	b.sandbox.Script(sandbox.Rule{Status: http.StatusBadGateway})
	b.env.OnActivity(activities.HoldName, mock.Anything).Return(held, err)
	b.env.RegisterDelayedCallback(b.env.CancelWorkflow, 2*time.Second)
	out := b.run(t, b.invocation())
	require.Len(t, b.sandbox.Log(), 2)
	return out
}

// What a cancelled call's attempts left is in its outcome and on record, with
// an attempt of which nothing was heard.
func TestCancelledCallIsHeld(t *testing.T) {
	b := newBench(t)
	first := activities.Attempt{Number: 1, Class: classify.Transient, Kind: classify.BadGateway, HTTPStatus: 502, Retryable: true, EndedAt: time.Now()}
	out := b.cancelled(t, activities.HoldResult{Begun: 2, Trail: activities.Trail{first}}, nil)
	require.Equal(t, []any{2, 2, classify.Permanent, "cancelled by the caller", false},
		[]any{out.TotalAttempts, out.Failure.Attempt, out.Failure.ErrorClass, out.Failure.Message, out.Failure.IsRetryable})
	require.Len(t, b.rows, 2)
	require.Equal(t, []classify.Kind{classify.BadGateway, classify.WorkerLost}, []classify.Kind{b.rows[0].ErrorKind, b.rows[1].ErrorKind})
	require.True(t, b.rows[0].IsRetryable)
	require.False(t, b.rows[1].IsRetryable)
}

// Where Temporal does not say what the attempts left, the outcome says that it
// is missing.
func TestCancelledCallIsUnread(t *testing.T) {
	b := newBench(t)
	out := b.cancelled(t, activities.HoldResult{}, temporal.NewNonRetryableApplicationError("away", "away", nil))
	require.Equal(t, classify.Permanent, out.Failure.ErrorClass)
	require.Contains(t, out.Failure.Message, "Temporal could not be asked for the attempts before")
	require.Len(t, b.rows, 1)
	require.Equal(t, classify.WorkerLost, b.rows[0].ErrorKind)
}

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

// A success whose body is too large once it is encoded is a success without its
// body, at every limit; the vendor is called once and one row is left.
func TestLargeAnswers(t *testing.T) {
	for name, fill := range map[string]string{"<": "<", "a control character": "\\u0001", "invalid UTF-8": "\xff", "plain": "abcdefgh"} {
		for _, size := range []int{200_000, 316_000, 317_000, 450_000, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3 << 20} {
			b := newBench(t)
			body := []byte(`{"data":{"addProjects":{"x":"` + strings.Repeat(fill, (size-40)/len(fill)) + `"}}}`)
			b.sandbox.Script(sandbox.Rule{Status: 200, Bytes: body})
			in := b.invocation()
			in.Operation, in.Body = adapters.Call, json.RawMessage(`{"query":"mutation { addProjects(inputs: []) { x } }"}`)
			out := b.run(t, in)
			require.True(t, out.OK, "%s %d: %+v", name, size, out.Failure)
			require.Equal(t, classify.Done, out.Effect)
			require.Len(t, b.sandbox.Log(), 1)
			require.Len(t, b.rows, 1)
			require.Equal(t, []any{1, classify.Done}, []any{b.rows[0].TotalAttempts, b.rows[0].Effect})
			if len(body) > 1<<20 && name != "invalid UTF-8" { // which becomes a single replacement
				require.NotNil(t, out.Response.Omitted, "%s %d", name, size)
			}
			if out.Response.Omitted != nil {
				require.Empty(t, out.Response.Body)
				require.Len(t, out.Response.Omitted.SHA256, 64)
			}
			encoded, err := json.Marshal(out)
			require.NoError(t, err)
			require.Less(t, len(encoded), 2_000_000)
		}
	}
}

// An invocation that cannot be made ends with an outcome and calls nobody.
func TestInvalidInvocation(t *testing.T) {
	for want, change := range map[string]func(*activities.Invocation){
		"correlationId": func(in *activities.Invocation) { in.CorrelationID = uuid.Must(uuid.NewV7()) },
		"adapterName":   func(in *activities.Invocation) { in.AdapterName = "sap" },
		"policy":        func(in *activities.Invocation) { in.Policy.MaxRetries = 99 },
		"operation":     func(in *activities.Invocation) { in.Operation = "drop" },
	} {
		b := newBench(t)
		in := b.invocation()
		change(&in)
		out := b.run(t, in)
		require.Contains(t, out.Failure.Message, want)
		require.Equal(t, classify.Permanent, out.Failure.ErrorClass)
		require.Zero(t, out.TotalAttempts)
		require.Empty(t, b.sandbox.Log())
	}
}

// Hostile texts do not change what an answer means.
func TestHostileAnswers(t *testing.T) {
	canary := sandbox.DemoXledgerToken
	cases := map[string]struct {
		rule     sandbox.Rule
		class    classify.Class
		kind     classify.Kind
		attempts int
	}{
		"invalid UTF-8 in a permanent error": {sandbox.Rule{Status: 400, Bytes: []byte("{\"errors\":[{\"message\":\"\xff\xfe " + canary + "\"}]}")}, classify.Permanent, classify.BadRequest, 1},
		"3 MB of error text":                 {sandbox.Rule{Status: 422, Body: `{"errors":[{"message":"` + strings.Repeat("long "+canary+" ", 3<<20/40) + `"}]}`}, classify.Permanent, classify.Unprocessable, 1},
		"5 MB success":                       {sandbox.Rule{Status: 200, BodySize: 5 << 20}, classify.Permanent, classify.PayloadTooLarge, 1},
		"control characters":                 {sandbox.Rule{Status: 400, Body: "{\"errors\":[{\"message\":\"a\\u0000b\\u202e\\u001b[31m\"}]}"}, classify.Permanent, classify.BadRequest, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.sandbox.Script(c.rule)
			out := b.run(t, b.invocation())
			require.Equal(t, c.class, out.Failure.ErrorClass)
			require.Equal(t, c.attempts, out.TotalAttempts)
			require.Len(t, b.sandbox.Log(), c.attempts)
			require.Equal(t, c.kind, b.rows[0].ErrorKind)
			require.NotContains(t, out.Failure.Message+b.rows[0].ErrorMessage+b.log.String(), canary)
			require.LessOrEqual(t, len([]rune(out.Failure.Message)), 500)
			require.False(t, strings.ContainsAny(out.Failure.Message, "\x00\x1b\u202e\n"))
		})
	}
}

// A panicking adapter is a defect of ours; its value may hold anything and is
// not shown.
func TestPanicIsContained(t *testing.T) {
	canary := strings.Join([]string{"panic", "canary", "77"}, "-")
	b := newBench(t)
	in := b.invocation()
	acts, err := activities.New(activities.Options{
		Store: b, Adapters: map[string]adapters.Adapter{"xledger": broken{canary}}, Secrets: b.secrets, Log: slog.New(slog.NewJSONHandler(&b.log, nil)),
	})
	require.NoError(t, err)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silent)
	b.env = suite.NewTestWorkflowEnvironment()
	workflows.Register(b.env, acts)
	out := b.run(t, in)
	require.Equal(t, 1, out.TotalAttempts)
	require.Equal(t, classify.Internal, b.rows[0].ErrorKind)
	require.NotContains(t, out.Failure.Message+b.log.String(), canary)
	require.Contains(t, out.Failure.Message, "broken.Do")
}

// broken panics with a secret.
type broken struct{ canary string }

func (broken) Vendor() adapters.Vendor { return adapters.Vendor{} }
func (broken) Describe(adapters.Operation, []byte) (adapters.Description, error) {
	return adapters.Description{Guard: adapters.ReadOnly}, nil
}
func (b broken) Do(context.Context, *adapters.Conn, adapters.Operation, []byte) (adapters.Response, classify.Verdict) {
	panic(b.canary)
}
