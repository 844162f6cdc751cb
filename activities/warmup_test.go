package activities_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
)

// watching is an integration at the sandbox, with activities whose database is
// replaced by the watching, which is the store of monitors.
type watching struct {
	activities.Store
	acts    *activities.Activities
	env     *testsuite.TestActivityEnvironment
	sandbox *sandbox.Sandbox
	secrets *secrets.Store
	target  activities.Target
	in      integrations.Integration
	watched runlog.MonitorTarget
	gate    *limits.Gate
	pause   *runlog.Pause
	reached time.Time // the host, at last by anybody
	away    error     // it cannot be known when
	saw     []time.Time
	log     bytes.Buffer

	lastSuccess time.Time
	saveSecrets func(runlog.SecretExpiries) ([]runlog.SecretWarning, error)
}

func (w *watching) Integration(context.Context, uuid.UUID, uuid.UUID) (integrations.Integration, error) {
	return w.in, nil
}

func (w *watching) Pause(context.Context, uuid.UUID, uuid.UUID) (*runlog.Pause, error) {
	return w.pause, nil
}

func (w *watching) MonitorTarget(context.Context, uuid.UUID, uuid.UUID) (runlog.MonitorTarget, error) {
	return w.watched, nil
}

func (w *watching) HostLastReached(context.Context, string) (time.Time, error) {
	return w.reached, w.away
}

func (w *watching) RecordHostReached(_ context.Context, _ string, at time.Time) error {
	w.saw = append(w.saw, at)
	return nil
}

func (w *watching) RecordSecretExpiries(_ context.Context, s runlog.SecretExpiries) ([]runlog.SecretWarning, error) {
	return w.saveSecrets(s)
}

func watch(t *testing.T, adapter string) *watching {
	t.Helper()
	w := &watching{sandbox: sandbox.New(sandbox.Options{}), target: activities.Target{OrganizationID: uuid.New(), IntegrationID: uuid.New(), Now: time.Now()}}
	server := httptest.NewServer(w.sandbox)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	w.secrets, w.gate = &secrets.Store{Dir: t.TempDir()}, new(limits.Gate)
	w.saveSecrets = func(runlog.SecretExpiries) ([]runlog.SecretWarning, error) { return nil, nil }
	value := sandbox.DemoClientSecret
	if adapter == "xledger" {
		value = sandbox.DemoXledgerToken
	}
	ref := devstack.WriteSecret(w.secrets.Dir, w.target.OrganizationID, "secret", value)
	addresses := sandbox.Addresses(server.URL)
	w.in = integrations.Integration{
		OrganizationID: w.target.OrganizationID, ID: w.target.IntegrationID, Name: "x", Adapter: adapter, BaseURL: addresses[adapter],
		Settings:    map[string]string{"tenantId": sandbox.DemoTenantID, "clientId": sandbox.DemoClientID, "authority": addresses["entra"]},
		Credentials: map[string]integrations.Ref{"token": ref, "clientSecret": ref},
	}
	w.watched = runlog.MonitorTarget{Adapter: adapter, BaseURL: w.in.BaseURL}
	client := adapters.NewClient(adapters.ClientOptions{DevHosts: []string{strings.TrimPrefix(server.URL, "http://")}})
	t.Cleanup(client.CloseIdle)
	var err error
	w.acts, err = activities.New(activities.Options{
		Store: w, Client: client, Secrets: w.secrets, Gate: w.gate, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
		LastSuccess: func(_, _ uuid.UUID) time.Time { return w.lastSuccess },
	})
	require.NoError(t, err)
	var suite testsuite.WorkflowTestSuite
	w.env = suite.NewTestActivityEnvironment()
	w.env.RegisterActivity(w.acts.WarmUp)
	w.env.RegisterActivity(w.acts.Probe)
	return w
}

func run[R any](t *testing.T, w *watching, activity, in any) (r R) {
	t.Helper()
	v, err := w.env.ExecuteActivity(activity, in)
	require.NoError(t, err)
	require.NoError(t, v.Get(&r))
	return r
}

// The first warm-up finds no connection and no token, the second finds both.
func TestWarmUp(t *testing.T) {
	for _, adapter := range vendors.Names() {
		w := watch(t, adapter)
		first := run[activities.WarmUpResult](t, w, w.acts.WarmUp, activities.WarmUpInput{Target: w.target})
		require.True(t, first.Cold, adapter)
		require.Equal(t, classify.OK, first.Kind)
		require.Equal(t, health.WarmUp, first.Observation.Source)
		require.Equal(t, adapter != "xledger", first.Parts.Fetched, "%s has tokens", adapter)
		require.Positive(t, first.Parts.Connect)
		require.Contains(t, w.log.String(), "cold start")
		for _, s := range []string{sandbox.DemoXledgerToken, sandbox.DemoClientSecret} {
			require.NotContains(t, w.log.String(), s)
		}
		second := run[activities.WarmUpResult](t, w, w.acts.WarmUp, activities.WarmUpInput{Target: w.target})
		require.False(t, second.Cold, adapter)
		require.Zero(t, second.Parts.Connect+second.Parts.Token)

		n := len(w.sandbox.Log())
		w.lastSuccess = time.Now()
		third := run[activities.WarmUpResult](t, w, w.acts.WarmUp, activities.WarmUpInput{Target: w.target, UnlessTraffic: time.Minute})
		require.Equal(t, activities.SkippedTraffic, third.Skipped)
		require.Equal(t, second.Parts, third.Parts, "it stands for the one before")
		require.Positive(t, third.Before)
		require.Positive(t, third.Milliseconds()["before_run"])
		require.Positive(t, first.Milliseconds()["connect"])
		require.NotContains(t, second.Milliseconds(), "connect")
		w.watched.Paused = true
		require.NotEmpty(t, run[activities.WarmUpResult](t, w, w.acts.WarmUp, activities.WarmUpInput{Target: w.target}).Skipped)
		require.Len(t, w.sandbox.Log(), n)
	}
}

// A probe says what the vendor said, makes one request whatever that is, and
// notes its host as reached unless the answer is one of trouble.
func TestProbe(t *testing.T) {
	for _, c := range []struct {
		rule    sandbox.Rule
		kind    classify.Kind
		reached bool
	}{
		{sandbox.Rule{Times: 1, DelayMS: 1}, classify.OK, true},
		{sandbox.Rule{Status: 401}, classify.Unauthorized, false},
		{sandbox.Rule{Status: 429}, classify.RateLimited, false},
		{sandbox.Rule{Status: 200, Body: `{"errors":[{"code":"BAD_REQUEST.INSUFFICIENT_CREDITS"}]}`}, classify.QuotaExhausted, false},
		{sandbox.Rule{Status: 503}, classify.Unavailable, false},
		{sandbox.Rule{Drop: sandbox.BeforeEffect}, classify.Network, false},
	} {
		w := watch(t, "xledger")
		w.sandbox.Script(c.rule)
		in := activities.ProbeInput{Target: w.target, Planned: w.target.Now, Record: health.New(w.target.Now, health.Policy{})}
		p := run[activities.ProbeResult](t, w, w.acts.Probe, in)
		require.Equal(t, c.kind, p.Observation.Kind)
		require.Equal(t, c.reached, len(w.saw) == 1, "%s", c.kind)
		require.Len(t, w.sandbox.Log(), 1, "%s", c.kind)
	}
}

func TestProbeIsLeftOut(t *testing.T) {
	for want, change := range map[activities.SkipReason]func(w *watching, in *activities.ProbeInput){
		activities.SkippedPaused:  func(w *watching, _ *activities.ProbeInput) { w.watched.Paused = true },
		activities.SkippedOff:     func(w *watching, _ *activities.ProbeInput) { w.watched.Policy.NoProbes = true },
		activities.SkippedNothing: func(w *watching, _ *activities.ProbeInput) { w.pause = &runlog.Pause{By: "kari", Reason: "x"} },
		activities.SkippedQuota: func(w *watching, _ *activities.ProbeInput) {
			w.in.Limits = integrations.RequestLimits{MonthlyRequests: 1}
			w.gate.Ledger.Count(w.target.OrganizationID, w.target.IntegrationID, limits.Attempt, time.Now())
		},
		activities.SkippedShared: func(w *watching, in *activities.ProbeInput) {
			w.reached = in.Planned.Add(-time.Minute)
			in.Record, _ = in.Record.Apply(health.Observation{At: in.Planned.Add(-time.Hour), Kind: classify.OK, Source: health.Call})
		},
	} {
		w := watch(t, "xledger")
		in := activities.ProbeInput{Target: w.target, Planned: w.target.Now, Record: health.New(w.target.Now, health.Policy{})}
		change(w, &in)
		p := run[activities.ProbeResult](t, w, w.acts.Probe, in)
		require.Equal(t, want, p.Skipped)
		require.Nil(t, p.Observation)
		require.Empty(t, w.sandbox.Log(), want)
	}
	w := watch(t, "xledger")
	w.away = errors.New("away")
	_, err := w.env.ExecuteActivity(w.acts.Probe, activities.ProbeInput{Target: w.target, Planned: w.target.Now})
	require.Error(t, err)
	require.Empty(t, w.sandbox.Log(), "nobody is asked if it cannot be known who was")
}
