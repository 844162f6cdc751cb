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

// invocation compares invocations that succeed at once with bare workflows:
// same server, same process, same concurrency, eager start and eager activities
// for both. The invocations really call the vendor's sandbox over HTTP.
func invocation(ctx context.Context, s *servers) error {
	stack, c, pool, err := s.connect(ctx, 4)
	if err != nil {
		return err
	}
	defer pool.Close()
	organization := uuid.New()
	list, err := stack.Apply(ctx, organization, "{maxRetries: 3}")
	if err != nil {
		return err
	}
	acts, err := newActivities(stack, pool)
	if err != nil {
		return err
	}
	defer acts.CloseIdle()
	ours := worker.New(c, activities.TaskQueue, workflows.WorkerOptions())
	workflows.Register(ours, acts)
	plain := worker.New(c, bareQueue, worker.Options{})
	plain.RegisterWorkflowWithOptions(bare, workflow.RegisterOptions{Name: "Bare"})
	plain.RegisterActivityWithOptions(func(context.Context) error { return nil }, activity.RegisterOptions{Name: "Nothing"})
	for _, w := range []worker.Worker{ours, plain} {
		if err := w.Start(); err != nil {
			return err
		}
		defer w.Stop()
	}

	runBare := func(ctx context.Context) error {
		run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: uuid.NewString(), TaskQueue: bareQueue, EnableEagerStart: true}, "Bare")
		if err != nil {
			return err
		}
		return run.Get(ctx, nil)
	}
	runOurs := func(ctx context.Context) error {
		in := ping(organization, list["xledger-main"])
		options := engine.InvokeOptions(in)
		options.EnableEagerStart = true
		run, err := c.ExecuteWorkflow(ctx, options, workflows.InvokeName, in)
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

	if err := compare(ctx, runBare, runOurs, 32, 300, 9, "throughput_concurrency_32"); err != nil {
		return err
	}
	if err := compare(ctx, runBare, runOurs, 1, 60, 9, "latency_concurrency_1"); err != nil {
		return err
	}

	// What a caller of the starter waits: an update that starts the workflow.
	var waits []float64
	for range 100 {
		began := time.Now()
		if _, err := engine.Execute(ctx, c, ping(organization, list["xledger-main"])); err != nil {
			return err
		}
		waits = append(waits, float64(time.Since(began).Microseconds())/1000)
	}
	fmt.Printf("# outcome by update-with-start: median %.1f ms\n", median(waits))

	if err := claims(ctx, c, pool, organization, list["xledger-main"]); err != nil {
		return err
	}
	return histories(ctx, c, stack, ping(organization, list["xledger-main"]))
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

// compare runs both in turn and reports the ratio of their times: for
// concurrency 1 that of the latencies, otherwise that of the throughputs.
func compare(ctx context.Context, bare, ours func(context.Context) error, concurrency, n, rounds int, name string) error {
	for _, f := range []func(context.Context) error{bare, ours} { // warm up
		if _, err := many(ctx, f, concurrency, n/5); err != nil {
			return err
		}
	}
	var ratios, bares, own []float64
	for range rounds {
		b, err := many(ctx, bare, concurrency, n)
		if err != nil {
			return err
		}
		o, err := many(ctx, ours, concurrency, n)
		if err != nil {
			return err
		}
		bares, own, ratios = append(bares, b), append(own, o), append(ratios, o/b)
	}
	if concurrency == 1 {
		fmt.Printf("# %s: bare %.2f ms, invocation %.2f ms\n", name, 1000*median(bares)/float64(n), 1000*median(own)/float64(n))
		report("invocation_"+name, median(ratios), "x_bare", atMost(1.2))
		return nil
	}
	fmt.Printf("# %s: bare %.0f/s, invocation %.0f/s\n", name, float64(n)/median(bares), float64(n)/median(own))
	report("invocation_"+name, 1/median(ratios), "x_bare", atLeast(0.9))
	return nil
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
