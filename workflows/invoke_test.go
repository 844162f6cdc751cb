package workflows_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

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
		require.Contains(t, out.Failure.Message, "takes calls again on")
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
