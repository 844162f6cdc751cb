package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// keyRates tries the server's rates per fairness key on one queue: a key whose backlog is
// held to 2 a second, and single workflows of another key beside it. docs/limits.md says
// why Ledgerline gives an integration with a rate a queue of its own instead.
func keyRates(ctx context.Context, s *servers) error {
	if _, err := s.start(ctx); err != nil {
		return err
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	const queue, rate, waiting = "bench-key-rates", 2, 40
	w := worker.New(c, queue, worker.Options{DisableEagerActivities: true})
	w.RegisterWorkflowWithOptions(bare, workflow.RegisterOptions{Name: "Bare"})
	var mu sync.Mutex
	var held []time.Time // when an activity of the key with the backlog started
	w.RegisterActivityWithOptions(func(ctx context.Context) error {
		if activity.GetInfo(ctx).Priority.FairnessKey == "held" {
			mu.Lock()
			defer mu.Unlock()
			held = append(held, time.Now())
		}
		return nil
	}, activity.RegisterOptions{Name: "Nothing"})
	if err := w.Start(); err != nil {
		return err
	}
	defer w.Stop()
	start := func(ctx context.Context, key string) (client.WorkflowRun, error) {
		return c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: uuid.NewString(), TaskQueue: queue, Priority: temporal.Priority{FairnessKey: key}}, "Bare")
	}
	single := func(ctx context.Context) error {
		run, err := start(ctx, "single")
		if err != nil {
			return err
		}
		return run.Get(ctx, nil)
	}
	alone, err := steadily(ctx, 200*time.Millisecond, 50, single)
	if err != nil {
		return err
	}
	if _, err := c.WorkflowService().UpdateTaskQueueConfig(ctx, &workflowservice.UpdateTaskQueueConfigRequest{
		Namespace: s.stack.Temporal.Namespace, TaskQueue: queue, TaskQueueType: enums.TASK_QUEUE_TYPE_ACTIVITY,
		UpdateFairnessKeyRateLimitDefault: &workflowservice.UpdateTaskQueueConfigRequest_RateLimitUpdate{RateLimit: &taskqueue.RateLimit{RequestsPerSecond: rate}},
		// A key's rate is the default times its weight, so a key without a limit has a large one.
		SetFairnessWeightOverrides: map[string]float32{"single": 1000},
	}); err != nil {
		return err
	}
	var runs []client.WorkflowRun
	for range waiting {
		run, err := start(ctx, "held")
		if err != nil {
			return err
		}
		runs = append(runs, run)
	}
	behind, err := steadily(ctx, 200*time.Millisecond, 50, single)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if err := run.Get(ctx, nil); err != nil {
			return err
		}
	}
	perSecond := float64(len(held)-1) / held[len(held)-1].Sub(held[0]).Seconds()
	fmt.Printf("# key-rates: %d of a key held to %d a second ran at %.2f a second; another key alone p50 %.0f p99 %.0f ms, beside them p50 %.0f p99 %.0f ms\n",
		waiting, rate, perSecond, alone.at(50), alone.at(99), behind.at(50), behind.at(99))
	report("key_rates_p50", behind.at(50)/alone.at(50), "x_alone", atMost(1.2))
	return nil
}
