package secrets_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
)

// noDatabase is what the worker's store, which is the worker, does not have.
type noDatabase = activities.Store

// worker is the activities of one, at a vendor that counts its requests.
type worker struct {
	home
	noDatabase
	acts        *activities.Activities
	sandbox     *sandbox.Sandbox
	address     string
	credentials map[string]integrations.Ref
	log         bytes.Buffer
}

// newWorker makes activities for an integration of acme's with these credentials.
func newWorker(t *testing.T, token integrations.Ref) *worker {
	t.Helper()
	w := &worker{home: newHome(t), sandbox: sandbox.New(sandbox.Options{})}
	w.write(t, w.acme+"/good", sandbox.DemoXledgerToken)
	server := httptest.NewServer(w.sandbox)
	t.Cleanup(server.Close)
	client := adapters.NewClient(adapters.ClientOptions{DevHosts: []string{strings.TrimPrefix(server.URL, "http://")}})
	t.Cleanup(client.CloseIdle)
	w.address, w.credentials = sandbox.Addresses(server.URL)["xledger"], map[string]integrations.Ref{"token": token}
	var err error
	w.acts, err = activities.New(activities.Options{Store: w, Client: client, Secrets: w.Store, Log: slog.New(slog.NewTextHandler(&w.log, nil))})
	require.NoError(t, err)
	return w
}

func (w *worker) Integration(_ context.Context, organization, id uuid.UUID) (integrations.Integration, error) {
	return integrations.Integration{OrganizationID: organization, ID: id, Name: "x", Adapter: "xledger", BaseURL: w.address, Credentials: w.credentials}, nil
}

func (*worker) Pause(context.Context, uuid.UUID, uuid.UUID) (*runlog.Pause, error) { return nil, nil }

func (w *worker) MonitorTarget(context.Context, uuid.UUID, uuid.UUID) (runlog.MonitorTarget, error) {
	return runlog.MonitorTarget{Adapter: "xledger", BaseURL: w.address, Credentials: w.credentials}, nil
}

func (*worker) HostLastReached(context.Context, string) (time.Time, error) { return time.Time{}, nil }

// call makes an attempt of acme's as a worker does.
func (w *worker) call(timeout time.Duration) error {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(w.acts.Call)
	policy := classify.DefaultPolicy()
	policy.AttemptTimeout = timeout
	_, err := env.ExecuteActivity(w.acts.Call, activities.Invocation{
		OrganizationID: acme, IntegrationID: uuid.New(), AdapterName: "xledger", CorrelationID: uuid.New(), Operation: adapters.Ping, Policy: policy,
	})
	return err
}

// kind is the kind of a failed attempt.
func kind(t *testing.T, err error) classify.Kind {
	t.Helper()
	var failed *temporal.ApplicationError
	require.True(t, errors.As(err, &failed), "%v", err)
	return classify.Kind(failed.Type())
}

// Attempts whose secret hangs end in their time and leave their slots, while the
// file still hangs. What they say is that something of ours failed, and may pass.
func TestHangingSecretsLeaveTheirSlots(t *testing.T) {
	w := newWorker(t, "file:dead")
	back := make(chan struct{})
	var reading atomic.Int32
	w.BeforeReading(func(ref integrations.Ref) {
		if ref == "file:dead" {
			reading.Add(1)
			<-back
		}
	})
	var all sync.WaitGroup
	ends := make([]error, 8)
	for i := range ends {
		all.Go(func() { ends[i] = w.call(time.Second) })
	}
	all.Wait() // and the files hang on
	for _, err := range ends {
		require.Equal(t, classify.Dependency, kind(t, err))
		require.ErrorContains(t, err, "file:dead: the file does not answer")
	}
	require.EqualValues(t, 4, reading.Load())
	require.Equal(t, 4, w.Stuck())
	require.Empty(t, w.sandbox.Log())

	// A monitor's looks and probes are held up no longer.
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(w.acts.Inspect)
	env.RegisterActivity(w.acts.Probe)
	target := activities.Target{OrganizationID: bravo, IntegrationID: uuid.New(), Now: time.Now()}
	_, err := env.ExecuteActivity(w.acts.Inspect, activities.InspectInput{Target: target})
	require.NoError(t, err)
	probed, err := env.ExecuteActivity(w.acts.Probe, activities.ProbeInput{Target: target, Planned: target.Now})
	require.NoError(t, err)
	var p activities.ProbeResult
	require.NoError(t, probed.Get(&p))
	require.Equal(t, activities.SkippedNothing, p.Skipped, "the vendor was not asked, and nothing is said of it")

	close(back)
	require.Eventually(t, func() bool { return w.Stuck() == 0 }, 10*time.Second, time.Millisecond)
}

// What is no regular file is refused at once, as a missing secret is.
func TestPipesAndDevicesAreRefused(t *testing.T) {
	for name, ref := range map[string]integrations.Ref{"pipe": "file:pipe", "device": "file:/dev/ptmx", "other's": "env:BRAVO_TOKEN", "the worker's": "env:DATABASE_URL", "missing": "file:none"} {
		w := newWorker(t, ref)
		w.DevShared = name == "device"
		require.NoError(t, syscall.Mkfifo(w.acme+"/pipe", 0o600))
		for range 4 {
			err := w.call(10 * time.Second)
			require.Equal(t, classify.Credentials, kind(t, err), name)
			require.ErrorContains(t, err, string(ref))
		}
		require.Empty(t, w.sandbox.Log(), name)
		require.Zero(t, w.Stuck())
	}
	w := newWorker(t, "file:good")
	require.NoError(t, w.call(10*time.Second))
	require.Len(t, w.sandbox.Log(), 1)
}
