package workflows_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/workflows"
)

// texts are what somebody puts where a name or a line belongs.
var texts = []string{
	strings.Repeat("x", 1<<20), "a\nlevel=ERROR msg=forged", "a\r\nb", "\x1b]0;owned\a", "\u202egnp.exe", "\u2028x", "a\x00b", "\xff", "\u200b",
}

// hostile are invocations that somebody who reaches Temporal could start. The fields
// that no case changes are those of a call that works.
func hostile() map[string]func(*activities.Invocation) {
	cases := map[string]func(*activities.Invocation){
		"no organization":  func(in *activities.Invocation) { in.OrganizationID = uuid.Nil },
		"no integration":   func(in *activities.Invocation) { in.IntegrationID = uuid.Nil },
		"no correlation":   func(in *activities.Invocation) { in.CorrelationID = uuid.Nil },
		"no adapter":       func(in *activities.Invocation) { in.AdapterName = "" },
		"adapter's case":   func(in *activities.Invocation) { in.AdapterName = "XLEDGER" },
		"operation":        func(in *activities.Invocation) { in.Operation = "drop" },
		"many retries":     func(in *activities.Invocation) { in.Policy.MaxRetries = 1 << 40 },
		"negative retries": func(in *activities.Invocation) { in.Policy.MaxRetries = -2 },
		"no wait":          func(in *activities.Invocation) { in.Policy.BaseDelay = 1 },
		"negative wait":    func(in *activities.Invocation) { in.Policy.BaseDelay = -time.Second },
		"shrinking waits":  func(in *activities.Invocation) { in.Policy.Coefficient = 1e-9 },
		"exploding waits":  func(in *activities.Invocation) { in.Policy.Coefficient = 1e300 },
		"jitter":           func(in *activities.Invocation) { in.Policy.Jitter = 2 },
		"a long attempt":   func(in *activities.Invocation) { in.Policy.AttemptTimeout = 24 * time.Hour },
		"no attempt":       func(in *activities.Invocation) { in.Policy.AttemptTimeout = 1 },
		"a long budget":    func(in *activities.Invocation) { in.Policy.Budget = 1 << 62 },
		"purpose":          func(in *activities.Invocation) { in.Purpose = limits.Purpose(uuid.NewString()) },
	}
	for i, s := range texts {
		cases[fmt.Sprintf("adapter %d", i)] = func(in *activities.Invocation) { in.AdapterName = s }
		cases[fmt.Sprintf("operation %d", i)] = func(in *activities.Invocation) { in.Operation = adapters.Operation(s) }
		cases[fmt.Sprintf("purpose %d", i)] = func(in *activities.Invocation) { in.Purpose = limits.Purpose(s) }
		cases[fmt.Sprintf("summary %d", i)] = func(in *activities.Invocation) { in.Summary = s }
		cases[fmt.Sprintf("actor %d", i)] = func(in *activities.Invocation) { in.Actor = s }
	}
	return cases
}

// requireTame checks what is said of something that was refused.
func requireTame(t *testing.T, said string) {
	t.Helper()
	require.NotEmpty(t, said)
	require.LessOrEqual(t, len([]rune(said)), 800)
	for _, r := range said {
		require.False(t, unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp), "%q", said)
	}
}

// An invocation that is not valid is refused by its workflow, and by the attempt
// where another workflow let it through: as a result, in words that harm nobody, and
// with nothing sent.
func TestHostileInvocations(t *testing.T) {
	for name, change := range hostile() {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			in := b.invocation()
			change(&in)
			out := b.run(t, in)
			require.False(t, out.OK)
			require.Equal(t, classify.Permanent, out.Failure.ErrorClass)
			require.False(t, out.Failure.IsRetryable)
			require.Contains(t, []string{"xledger", activities.OtherAdapter}, out.AdapterName)
			require.Equal(t, out.AdapterName, out.Failure.AdapterName)
			requireTame(t, out.Failure.Message)
			require.Empty(t, b.sandbox.Log())

			in = b.invocation()
			change(&in)
			requireTame(t, attempt(b, in).Error())
			require.Empty(t, b.sandbox.Log())
		})
	}
}

// attempt makes one, as a workflow would that does not check its input.
func attempt(b *bench, in activities.Invocation) error {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silent)
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(b.acts.Call)
	_, err := env.ExecuteActivity(b.acts.Call, in)
	return err
}

// What the integration has stored beats what the input says of it, in what is done,
// in what is recorded and in the labels of metrics.
func TestInputAgainstTheIntegration(t *testing.T) {
	write := []byte(`{"query":"mutation M{a}"}`)
	for name, c := range map[string]struct {
		change func(*activities.Invocation)
		label  string
		asked  int
	}{
		"another adapter":      {func(in *activities.Invocation) { in.AdapterName = "dataverse" }, "xledger", 0},
		"another organization": {func(in *activities.Invocation) { in.OrganizationID = uuid.New() }, activities.OtherAdapter, 0},
		"another integration":  {func(in *activities.Invocation) { in.IntegrationID = uuid.New() }, activities.OtherAdapter, 0},
		"a write that reads":   {func(in *activities.Invocation) { in.Operation, in.Body, in.ReadOnly = adapters.Call, write, true }, "xledger", 0},
		"more attempts than it has": {func(in *activities.Invocation) {
			in.Policy.MaxRetries, in.Policy.AttemptTimeout, in.Policy.BaseDelay, in.Policy.Coefficient = 10, time.Second, 10*time.Millisecond, 1
		}, "xledger", 4},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.sandbox.Script(sandbox.Rule{Status: http.StatusServiceUnavailable})
			labels := make(map[string]bool)
			b.observe = func(in activities.Invocation, _ activities.Attempt) { labels[in.AdapterName] = true }
			in := b.invocation()
			c.change(&in)
			out := b.run(t, in)
			require.False(t, out.OK)
			require.False(t, out.Failure.IsRetryable)
			require.Len(t, b.sandbox.Log(), c.asked)
			require.Equal(t, map[string]bool{c.label: true}, labels)
			require.Len(t, b.rows, max(c.asked, 1), "it is on record")
			if c.asked == 0 {
				require.Equal(t, classify.Permanent, out.Failure.ErrorClass)
			}
		})
	}
}

// environment runs a workflow whose activities have nothing: one that is run fails
// the test.
func environment(t *testing.T) *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silent)
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	workflows.Register(env, &activities.Activities{})
	env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		t.Errorf("%s was run", info.ActivityType.Name)
	})
	return env
}

// syncs are runs that somebody could start.
func syncs() map[string]func(*workflows.SyncInput) {
	cases := map[string]func(*workflows.SyncInput){
		"no organization":          func(in *workflows.SyncInput) { in.OrganizationID = uuid.Nil },
		"no integration":           func(in *workflows.SyncInput) { in.IntegrationID = uuid.Nil },
		"no adapter":               func(in *workflows.SyncInput) { in.AdapterName = "" },
		"trigger":                  func(in *workflows.SyncInput) { in.Trigger = "nobody" },
		"adopting":                 func(in *workflows.SyncInput) { in.Trigger = exports.ByAdopting },
		"period beside a schedule": func(in *workflows.SyncInput) { in.Schedule, in.Period = &integrations.Schedule{}, "../x" },
		"period":                   func(in *workflows.SyncInput) { in.Period = "../../2026-10" },
		"start":                    func(in *workflows.SyncInput) { in.PeriodStart = time.Time{} },
		"end":                      func(in *workflows.SyncInput) { in.PeriodEnd = in.PeriodEnd.AddDate(1000, 0, 0) },
		"deferral":                 func(in *workflows.SyncInput) { in.DeferBase = 1 },
		"no deferral":              func(in *workflows.SyncInput) { in.DeferBase = -time.Hour },
		"policy":                   func(in *workflows.SyncInput) { in.Policy.MaxRetries = 1 << 40 },
		"waits":                    func(in *workflows.SyncInput) { in.Policy.BaseDelay = 1 },
	}
	for i, s := range texts {
		cases[fmt.Sprintf("adapter %d", i)] = func(in *workflows.SyncInput) { in.AdapterName = s }
		cases[fmt.Sprintf("trigger %d", i)] = func(in *workflows.SyncInput) { in.Trigger = exports.Trigger(s) }
		cases[fmt.Sprintf("who %d", i)] = func(in *workflows.SyncInput) { in.TriggeredBy = s }
		cases[fmt.Sprintf("period %d", i)] = func(in *workflows.SyncInput) { in.Period = s }
	}
	return cases
}

func anySync() workflows.SyncInput {
	start, end, _ := exports.ParsePeriod("2026-10")
	return workflows.SyncInput{OrganizationID: uuid.New(), IntegrationID: uuid.New(), AdapterName: "xledger", Period: "2026-10", PeriodStart: start, PeriodEnd: end,
		Trigger: exports.ByHand, TriggeredBy: "kari", Policy: classify.DefaultPolicy()}
}

func TestHostileRuns(t *testing.T) {
	require.NoError(t, anySync().Validate())
	for name, change := range syncs() {
		t.Run(name, func(t *testing.T) {
			in := anySync()
			change(&in)
			env := environment(t)
			env.ExecuteWorkflow(workflows.SyncName, in)
			require.NoError(t, env.GetWorkflowError())
			var r workflows.SyncResult
			require.NoError(t, env.GetWorkflowResult(&r))
			requireTame(t, r.Refused)

			env = environment(t)
			env.ExecuteWorkflow(workflows.BackfillName, workflows.BackfillInput{Runs: []workflows.SyncInput{in}})
			require.NoError(t, env.GetWorkflowError())
			var done workflows.BackfillResult
			require.NoError(t, env.GetWorkflowResult(&done))
			require.Len(t, done.Refused, 1)
			requireTame(t, done.Refused[0])
		})
	}
	env := environment(t)
	env.ExecuteWorkflow(workflows.BackfillName, workflows.BackfillInput{Runs: make([]workflows.SyncInput, 1001)})
	require.ErrorContains(t, env.GetWorkflowError(), "at most 1000")
}

func TestHostileDeliveries(t *testing.T) {
	ok := workflows.NotifyInput{DeliveryKey: notify.DeliveryKey{OrganizationID: uuid.New(), NotificationID: uuid.New(), Channel: "mail"}}
	cases := make([]workflows.NotifyInput, 3)
	cases[1].OrganizationID = ok.OrganizationID
	cases[2].NotificationID, cases[2].Channel = ok.NotificationID, ok.Channel
	for _, s := range texts {
		in := ok
		in.Channel = s
		cases = append(cases, in)
		in = ok
		in.About = s
		cases = append(cases, in)
	}
	for _, in := range cases {
		env := environment(t)
		env.ExecuteWorkflow(workflows.NotifyName, in)
		require.ErrorContains(t, env.GetWorkflowError(), "the input is not valid")
		require.Less(t, len(env.GetWorkflowError().Error()), 1000)
	}
}

func TestHostileMonitors(t *testing.T) {
	env := environment(t)
	env.ExecuteWorkflow(workflows.MonitorName, workflows.MonitorInput{})
	require.ErrorContains(t, env.GetWorkflowError(), "the input is not valid")

	t.Run("resumed from nothing", func(t *testing.T) {
		m := newMonth(t)
		m.gone = true
		env := environment(t)
		env.SetOnActivityStartedListener(func(*activity.Info, context.Context, converter.EncodedValues) {})
		env.RegisterActivityWithOptions(m.activities(t).Inspect, activity.RegisterOptions{Name: activities.InspectName, DisableAlreadyRegisteredCheck: true})
		env.ExecuteWorkflow(workflows.MonitorName, workflows.MonitorInput{OrganizationID: m.organization, IntegrationID: m.integration,
			Resume: &workflows.MonitorProgress{Record: health.Record{State: health.Healthy}}})
		require.NoError(t, env.GetWorkflowError(), "it looked, and there is no such integration")
	})
	t.Run("signals", func(t *testing.T) {
		m := newMonth(t)
		m.run(t, 2*time.Hour, event{time.Minute, func(signal func(string, any)) {
			signal(workflows.ObservedSignal, []health.Observation{
				{At: m.began.AddDate(5000, 0, 0), Kind: classify.Unavailable, Source: "\x1b[31m", Count: 1 << 62, Latency: -1},
				{At: m.began, Kind: "\n", Source: health.Probe, Count: -1 << 62},
			})
		}})
		last := m.updates[len(m.updates)-1].Record
		require.False(t, last.LastFailureAt.After(m.began.Add(time.Minute)), "nothing is observed before it happens")
		require.LessOrEqual(t, last.Failures, 100_000)
		for _, u := range m.updates {
			for _, o := range u.Observations {
				require.Contains(t, []health.Source{health.Call, health.Probe, health.WarmUp}, o.Source)
			}
		}
	})
}

// Every workflow that a worker runs is among those above.
func TestEveryInputIsTried(t *testing.T) {
	r := registry{TestWorkflowEnvironment: new(testsuite.WorkflowTestSuite).NewTestWorkflowEnvironment()}
	workflows.Register(&r, &activities.Activities{})
	require.ElementsMatch(t, []string{workflows.InvokeName, workflows.SyncName, workflows.BackfillName, workflows.NotifyName, workflows.MonitorName}, r.names)
}

type registry struct {
	*testsuite.TestWorkflowEnvironment
	names []string
}

func (r *registry) RegisterWorkflowWithOptions(_ any, o workflow.RegisterOptions) {
	r.names = append(r.names, o.Name)
}
