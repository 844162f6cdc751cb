package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

const bareQueue = "bench-bare"

// bare is the least that a call through Temporal can be: a workflow with one
// activity that does nothing.
func bare(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 10 * time.Second})
	return workflow.ExecuteActivity(ctx, "Nothing").Get(ctx, nil)
}

// startBare starts a worker for bare workflows, in this process.
func startBare(c client.Client) (stop func(), err error) {
	w := worker.New(c, bareQueue, worker.Options{})
	w.RegisterWorkflowWithOptions(bare, workflow.RegisterOptions{Name: "Bare"})
	w.RegisterActivityWithOptions(func(context.Context) error { return nil }, activity.RegisterOptions{Name: "Nothing"})
	return w.Stop, w.Start()
}

// runBare runs a bare workflow under these options.
func runBare(ctx context.Context, c client.Client, options client.StartWorkflowOptions) error {
	options.TaskQueue, options.EnableEagerStart = bareQueue, true
	run, err := c.ExecuteWorkflow(ctx, options, "Bare")
	if err != nil {
		return err
	}
	return run.Get(ctx, nil)
}

// invocation compares invocations that succeed at once with bare workflows:
// same server, same process, same concurrency, eager start and eager activities
// for both. The invocations really call the vendor's sandbox over HTTP.
func invocation(ctx context.Context, s *servers) error {
	t, err := s.tenant(ctx, "{maxRetries: 3}")
	if err != nil {
		return err
	}
	defer t.pool.Close()
	acts, err := newActivities(t.stack, t.pool)
	if err != nil {
		return err
	}
	defer acts.CloseIdle()
	ours := worker.New(t.temporal, activities.TaskQueue, workflows.WorkerOptions())
	workflows.Register(ours, acts)
	if err := ours.Start(); err != nil {
		return err
	}
	defer ours.Stop()
	stop, err := startBare(t.temporal)
	if err != nil {
		return err
	}
	defer stop()

	naked := func(ctx context.Context) error {
		return runBare(ctx, t.temporal, client.StartWorkflowOptions{ID: uuid.NewString()})
	}
	// What an invocation carries for people and for fairness, on a bare workflow.
	runSame := func(ctx context.Context) error {
		return runBare(ctx, t.temporal, engine.InvokeOptions(ping(t.organization, t.integration)))
	}
	runOurs := func(ctx context.Context) error {
		in := ping(t.organization, t.integration)
		options := engine.InvokeOptions(in)
		options.EnableEagerStart = true
		run, err := t.temporal.ExecuteWorkflow(ctx, options, workflows.InvokeName, in)
		if err != nil {
			return err
		}
		var out workflows.Outcome
		if err := run.Get(ctx, &out); err != nil {
			return err
		}
		if !out.OK {
			return fmt.Errorf("an invocation failed: %s", out.Failure.Message)
		}
		return nil
	}

	// So many rounds that each comes first as often.
	few, err := inTurn(ctx, 32, 300, 18, naked, runSame, runOurs)
	if err != nil {
		return err
	}
	fmt.Printf("# concurrency 32: bare %.0f/s, with the same metadata %.0f/s, invocation %.0f/s\n", 300/median(few[0]), 300/median(few[1]), 300/median(few[2]))
	report("invocation_throughput_concurrency_32", median(ratios(few[0], few[2])), "x_bare", atLeast(0.92))
	report("invocation_throughput_same_metadata", median(ratios(few[1], few[2])), "x", atLeast(0.97))
	one, err := inTurn(ctx, 1, 60, 9, naked, runOurs)
	if err != nil {
		return err
	}
	fmt.Printf("# concurrency 1: bare %.2f ms, invocation %.2f ms\n", 1000*median(one[0])/60, 1000*median(one[1])/60)
	report("invocation_latency_concurrency_1", median(ratios(one[1], one[0])), "x_bare", atMost(1.2))

	// What a caller of the starter waits: an update that starts the workflow.
	var waits []float64
	for range 100 {
		began := time.Now()
		if _, err := engine.Execute(ctx, t.temporal, ping(t.organization, t.integration)); err != nil {
			return err
		}
		waits = append(waits, float64(time.Since(began).Microseconds())/1000)
	}
	fmt.Printf("# outcome by update-with-start: median %.1f ms\n", median(waits))

	if err := claims(ctx, t.temporal, t.pool, t.organization, t.integration); err != nil {
		return err
	}
	return histories(ctx, t.temporal, t.stack, ping(t.organization, t.integration))
}

// claims reports what it costs a write that its correlation ID is claimed: the
// outcome of a write against that of a read to the same vendor, in turn, and the
// claim's two transactions alone.
func claims(ctx context.Context, c client.Client, pool *pgxpool.Pool, organization uuid.UUID, spec integrations.Integration) error {
	call := func(body string) (float64, error) {
		in := ping(organization, spec)
		in.Operation, in.Body = adapters.Call, []byte(body)
		began := time.Now()
		out, err := engine.Execute(ctx, c, in)
		if err == nil && !out.OK {
			err = fmt.Errorf("a call failed: %s", out.Failure.Message)
		}
		return float64(time.Since(began).Microseconds()) / 1000, err
	}
	var reads, writes, ratios, alone []float64
	for i := range 60 {
		read, err := call(`{"query":"query { __typename }"}`)
		if err != nil {
			return err
		}
		write, err := call(fmt.Sprintf(`{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){edges{clientId node{dbId}}}}","variables":{"in":[{"clientId":"1","node":{`+
			`"extIdentifier":"%s","trRegNumber":"1","postedDate":"2026-10-15","amount":"0.00","account":{"code":"1920"}}}]}}`, uuid.New()))
		if err != nil {
			return err
		}
		claim := runlog.WriteClaim{OrganizationID: organization, CorrelationID: uuid.New(), IntegrationID: spec.ID, Operation: "call",
			BodySHA256: fmt.Sprintf("%064x", i), RunID: uuid.New(), Attempt: 1}
		began := time.Now()
		if _, err := runlog.ClaimWrite(ctx, pool, claim, time.Second, time.Minute, false); err != nil {
			return err
		}
		if err := runlog.SettleWrite(ctx, pool, organization, claim.CorrelationID, 1, classify.Done, false, 200); err != nil {
			return err
		}
		reads, writes, ratios, alone = append(reads, read), append(writes, write), append(ratios, write/read), append(alone, float64(time.Since(began).Microseconds())/1000)
	}
	fmt.Printf("# outcome of a read %.1f ms, of a write with its claim %.1f ms; the claim alone %.2f ms\n", median(reads), median(writes), median(alone))
	report("invocation_write_latency", median(ratios), "x_read", atMost(1.5))
	return nil
}

// inTurn runs each function n times, so many at once, in so many rounds, and returns the
// seconds of each round by function. The functions take turns within a round, and each
// round begins with another one: what comes first has less to wait for that the others
// have left.
func inTurn(ctx context.Context, concurrency, n, rounds int, functions ...func(context.Context) error) ([][]float64, error) {
	took := make([][]float64, len(functions))
	for round := range rounds + 1 { // the first warms up
		for turn := range functions {
			i := (round + turn) % len(functions)
			seconds, err := many(ctx, functions[i], concurrency, n)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				took[i] = append(took[i], seconds)
			}
		}
	}
	return took, nil
}

// ratios are a/b, round by round.
func ratios(a, b []float64) []float64 {
	list := make([]float64, len(a))
	for i := range a {
		list[i] = a[i] / b[i]
	}
	return list
}

// many runs f n times, so many at once, and returns the seconds it took.
func many(ctx context.Context, f func(context.Context) error, concurrency, n int) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	began := time.Now()
	for range concurrency {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := f(ctx); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began).Seconds(), context.Cause(ctx)
}

// histories reports the events of a success and of an exhausted invocation,
// both without an update waiter.
func histories(ctx context.Context, c client.Client, stack *devstack.Stack, in activities.Invocation) error {
	failing := in
	failing.CorrelationID = uuid.New()
	failing.Policy.BaseDelay = 100 * time.Millisecond
	stack.Sandbox.Script(sandbox.Rule{Match: sandbox.Match{CorrelationID: failing.CorrelationID.String()}, Status: 503})
	for _, h := range []struct {
		name   string
		in     activities.Invocation
		target float64
	}{{"history_events_success", in, 11}, {"history_events_exhausted", failing, 18}} {
		run, err := c.ExecuteWorkflow(ctx, engine.InvokeOptions(h.in), workflows.InvokeName, h.in)
		if err != nil {
			return err
		}
		if err := run.Get(ctx, nil); err != nil {
			return err
		}
		events := 0
		for it := c.GetWorkflowHistory(ctx, run.GetID(), run.GetRunID(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); events++ {
			if _, err := it.Next(); err != nil {
				return err
			}
		}
		report(h.name, float64(events), "events", atMost(h.target))
	}
	return nil
}

func ping(organization uuid.UUID, in integrations.Integration) activities.Invocation {
	inv := activities.Invocation{
		OrganizationID: organization, IntegrationID: in.ID, AdapterName: in.Adapter, CorrelationID: uuid.New(),
		Operation: adapters.Ping, Policy: in.Policy, OwnQueue: in.Limits.OwnQueue(),
	}
	inv.Summary, _ = engine.Describe(inv)
	return inv
}
