package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// fairness measures what a single invocation of one organization takes while
// another's fill the queue of a server that hands tasks out by organization in
// turn.
func fairness(ctx context.Context, s *servers) error {
	stack, err := s.start(ctx)
	if err != nil {
		return err
	}
	var ratios []float64
	for range 3 {
		ratio, err := behind(ctx, stack, stack.Temporal, "fairness", 0)
		if err != nil {
			return err
		}
		ratios = append(ratios, ratio)
	}
	report(fmt.Sprintf("fairness_single_behind_%d", settings.queued), median(ratios), "x_alone", atMost(5))
	return nil
}

// inOrder is the same with a server that hands tasks out in order, and then
// when the organization with the backlog has a rate and so a queue of its own.
func inOrder(ctx context.Context, s *servers) error {
	stack, err := s.start(ctx)
	if err != nil {
		return err
	}
	server, err := devstack.StartTemporal(ctx, devstack.TemporalOptions{Log: os.Stderr, Config: map[string]string{
		"matching.useNewMatcher": "false", "matching.enableFairness": "false",
	}})
	if err != nil {
		return err
	}
	defer server.Close()
	for _, m := range []struct {
		name string
		rate int // a minute
	}{{"in order, own queue", 6000}, {"in order", 0}} {
		if _, err := behind(ctx, stack, server, m.name, m.rate); err != nil {
			return err
		}
	}
	return nil
}

// behind returns how much longer a single invocation takes while another
// organization's backlog lasts: the ratio of the medians. rate is that one's.
func behind(ctx context.Context, stack *devstack.Stack, server *devstack.Temporal, name string, rate int) (ratio float64, err error) {
	bin, err := devstack.Build(ctx, "./cmd/worker", false)
	if err != nil {
		return 0, err
	}
	defer os.Remove(bin)
	c, err := client.Dial(server.ClientOptions())
	if err != nil {
		return 0, err
	}
	defer c.Close()
	a, b := uuid.New(), uuid.New()
	other, err := stack.Apply(ctx, b, "")
	if err != nil {
		return 0, err
	}
	mine, err := backlogged(ctx, stack, a, rate)
	if err != nil {
		return 0, err
	}
	start := func() (*devstack.Process, error) {
		env := append(stack.Env(devstack.Worker), "TEMPORAL_ADDRESS="+server.HostPort())
		return devstack.StartWorker(ctx, bin, []string{"--concurrency", "20"}, env)
	}
	single := func() (float64, error) {
		began := time.Now()
		_, err := engine.Execute(ctx, c, ping(b, other["xledger-main"]))
		return time.Since(began).Seconds(), err
	}
	w, err := start()
	if err != nil {
		return 0, err
	}
	var alone []float64
	for range 30 {
		took, err := single()
		if err != nil {
			w.Kill()
			return 0, err
		}
		alone = append(alone, took)
	}
	w.Kill()
	_, err = many(ctx, func(ctx context.Context) error {
		in := ping(a, mine)
		_, err := c.ExecuteWorkflow(ctx, engine.InvokeOptions(in), workflows.InvokeName, in)
		return err
	}, 32, settings.queued)
	if err != nil {
		return 0, err
	}
	done := len(stack.Sandbox.Log())
	if w, err = start(); err != nil {
		return 0, err
	}
	defer w.Kill()
	var with []float64
	for len(stack.Sandbox.Log())-done-len(with) < settings.queued*9/10 || len(with) == 0 {
		took, err := single()
		if err != nil {
			return 0, err
		}
		with = append(with, took)
	}
	for deadline := time.Now().Add(2 * time.Minute); len(stack.Sandbox.Log())-done-len(with) < settings.queued; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("%s: the backlog is not done: %d of %d", name, len(stack.Sandbox.Log())-done-len(with), settings.queued)
		}
	}
	time.Sleep(time.Second) // the last ones report
	fmt.Printf("# %s: alone %.0f ms, behind %d of another organization %.0f ms (median of %d, first %.0f ms)\n",
		name, 1000*median(alone), settings.queued, 1000*median(with), len(with), 1000*with[0])
	return median(with) / median(alone), nil
}

// backlogged makes an organization with one integration.
func backlogged(ctx context.Context, stack *devstack.Stack, organization uuid.UUID, rate int) (integrations.Integration, error) {
	list, err := integrations.Parse("bench.yaml", []byte(stack.Integrations(organization, "")), integrations.Options{DevHosts: stack.DevHosts()})
	if err != nil {
		return integrations.Integration{}, err
	}
	list = list[:1]
	list[0].Limits.RequestsPerMinute = rate
	pool, err := runlog.Open(ctx, stack.URL(devstack.Operator), 1)
	if err != nil {
		return integrations.Integration{}, err
	}
	defer pool.Close()
	_, err = runlog.ApplyIntegrations(ctx, pool, list, runlog.ApplyOptions{By: "bench"})
	return list[0], err
}
