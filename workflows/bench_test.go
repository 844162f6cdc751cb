package workflows_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
	"github.com/ledgerline/ledgerline/workflows"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
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
