package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
	"github.com/ledgerline/ledgerline/workflows"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// month is a simulated month of one integration: the real monitor with the real
// activities against the sandbox, in an environment that skips the waits. Only
// the database is replaced, by the month, which is the store of monitors.
type month struct {
	activities.Store
	options      activities.Options
	acts         *activities.Activities // of options, once they are used
	sandbox      *sandbox.Sandbox
	organization uuid.UUID
	integration  uuid.UUID

	in      integrations.Integration
	watched runlog.MonitorTarget
	gone    bool
	noted   map[string]time.Time                 // hosts
	reached func(host string) (time.Time, error) // when a host was last reached; from noted
	secrets func(runlog.SecretExpiries)          // stores when they end; drops it
	updates []health.Update
	changes []string
	lasts   []time.Duration // when trouble had lasted too long
	asked   []time.Time     // when the vendor was asked, by the simulated clock
	runs    int             // of the workflow: one, and one more for each continue-as-new
	ended   bool
	now     func() time.Time
	began   time.Time
}

var november = time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)

const days30 = 30 * 24 * time.Hour

func newMonth(t *testing.T) *month {
	t.Helper()
	m := &month{sandbox: sandbox.New(sandbox.Options{}), organization: uuid.New(), integration: uuid.New(), noted: make(map[string]time.Time), began: november}
	server := httptest.NewServer(m.sandbox)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	store := &secrets.Store{Dir: t.TempDir()}
	m.in = integrations.Integration{
		OrganizationID: m.organization, ID: m.integration, Name: "x", Adapter: "xledger", BaseURL: server.URL + "/xledger/graphql",
		Credentials: map[string]integrations.Ref{"token": devstack.WriteSecret(store.Dir, m.organization, "token", sandbox.DemoXledgerToken)}, Policy: classify.DefaultPolicy(),
	}
	m.watched = runlog.MonitorTarget{Adapter: m.in.Adapter, BaseURL: m.in.BaseURL}
	m.reached = func(host string) (time.Time, error) { return m.noted[host], nil }
	m.secrets = func(runlog.SecretExpiries) {}
	client := adapters.NewClient(adapters.ClientOptions{DevHosts: []string{strings.TrimPrefix(server.URL, "http://")}})
	t.Cleanup(client.CloseIdle)
	m.options = activities.Options{
		Store: m, Client: client, Secrets: store,
		Observe: func(_ activities.Invocation, done activities.Attempt) {
			if done.Kind != classify.QuotaSpent { // no call was made
				m.asked = append(m.asked, m.now())
			}
		},
	}
	return m
}

// activities are those of the month's options, which are used from now on.
func (m *month) activities(t *testing.T) *activities.Activities {
	t.Helper()
	if m.acts == nil {
		var err error
		m.acts, err = activities.New(m.options)
		require.NoError(t, err)
	}
	return m.acts
}

func (m *month) Integration(context.Context, uuid.UUID, uuid.UUID) (integrations.Integration, error) {
	return m.in, nil
}

func (m *month) Pause(context.Context, uuid.UUID, uuid.UUID) (*runlog.Pause, error) { return nil, nil }

func (m *month) MonitorTarget(context.Context, uuid.UUID, uuid.UUID) (runlog.MonitorTarget, error) {
	if m.gone {
		return runlog.MonitorTarget{}, runlog.ErrNotFound
	}
	w := m.watched
	if n := len(m.updates); n > 0 {
		w.Record = &m.updates[n-1].Record
	}
	return w, nil
}

func (m *month) RecordHealth(_ context.Context, _, _ uuid.UUID, u health.Update) error {
	m.updates = append(m.updates, u)
	for _, c := range u.Changes {
		m.changes = append(m.changes, fmt.Sprintf("%s>%s %s", c.From, c.To, c.Reason))
	}
	return nil
}

func (m *month) HostLastReached(_ context.Context, host string) (time.Time, error) {
	return m.reached(host)
}

func (m *month) RecordHostReached(_ context.Context, host string, at time.Time) error {
	m.noted[host] = at
	return nil
}

func (m *month) RecordSecretExpiries(_ context.Context, s runlog.SecretExpiries) ([]runlog.SecretWarning, error) {
	m.secrets(s)
	return nil, nil
}

func (m *month) ReportEvent(_ context.Context, e notify.Event) (bool, error) {
	if e.Kind == notify.HealthObserved && len(e.Notifications()) > 0 {
		m.lasts = append(m.lasts, m.now().Sub(m.began))
	}
	return false, nil
}

// seen is a signal of what invocations showed.
func (m *month) seen(at time.Duration, kind classify.Kind, count int) event {
	return event{at, func(signal func(string, any)) {
		signal(workflows.ObservedSignal, []health.Observation{{At: m.began.Add(at), Kind: kind, Source: health.Call, Count: count}})
	}}
}

// run lets a month pass, over as many runs of the workflow as it continues as.
func (m *month) run(t *testing.T, length time.Duration, events ...event) {
	t.Helper()
	in := workflows.MonitorInput{OrganizationID: m.organization, IntegrationID: m.integration}
	now, end := m.began, m.began.Add(length)
	for !m.ended {
		var suite testsuite.WorkflowTestSuite
		suite.SetLogger(silent)
		env := suite.NewTestWorkflowEnvironment()
		env.SetTestTimeout(time.Minute)
		env.SetStartTime(now)
		turn := &turns{}
		env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{turn}})
		workflows.Register(env, m.activities(t))
		m.now = env.Now
		over := false
		env.RegisterDelayedCallback(func() { over = true; env.CancelWorkflow() }, end.Sub(now))
		ahead := 0
		for _, e := range events {
			if at := m.began.Add(e.at); ahead < 200 && (at.After(now) || at.Equal(now) && m.runs == 0) { // more than a run takes in
				env.RegisterDelayedCallback(func() { e.do(env.SignalWorkflow) }, at.Sub(now))
				ahead++
			}
		}
		m.runs++
		env.ExecuteWorkflow(workflows.MonitorName, in)
		turn.end()
		require.True(t, env.IsWorkflowCompleted())
		err := env.GetWorkflowError()
		var next *workflow.ContinueAsNewError
		switch {
		case errors.As(err, &next):
			in = workflows.MonitorInput{} // or what is left out would stay
			require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &in))
			now = env.Now()
		case over:
			m.ended = true
		default:
			require.NoError(t, err)
			m.ended = true
		}
	}
}

// gaps checks that the vendor was never asked twice within an interval.
func (m *month) gaps(t *testing.T, least time.Duration) {
	t.Helper()
	for i := 1; i < len(m.asked); i++ {
		require.GreaterOrEqual(t, m.asked[i].Sub(m.asked[i-1]), least-time.Second, "probe %d", i)
	}
}

// event is something that happens at a time since the start of the month.
type event struct {
	at time.Duration
	do func(signal func(name string, arg any))
}

// turns lets activities run one at a time, and none after the end: one that is
// under way when its workflow is cancelled goes on in the environment, and would
// write into the month while the test reads it.
type turns struct {
	interceptor.WorkerInterceptorBase
	mu   sync.Mutex
	over bool
}

type turn struct {
	interceptor.ActivityInboundInterceptorBase
	turns *turns
}

func (t *turns) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &turn{interceptor.ActivityInboundInterceptorBase{Next: next}, t}
}

func (t *turns) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
}

func (t *turn) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	t.turns.mu.Lock()
	defer t.turns.mu.Unlock()
	if t.turns.over {
		return nil, context.Canceled
	}
	return t.Next.ExecuteActivity(ctx, in)
}
