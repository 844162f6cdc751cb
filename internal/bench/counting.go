package main

import (
	"context"
	"log/slog"
	"sync"

	"github.com/google/uuid"
	"go.temporal.io/sdk/worker"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/traffic"
	"github.com/ledgerline/ledgerline/usage"
	"github.com/ledgerline/ledgerline/workflows"
)

// counting compares invocations that are counted, admitted and watched with the
// same ones of a worker without ledger, budget, circuit breakers and observer: in turn,
// in one process.
func counting(ctx context.Context, s *servers) error {
	t, err := s.tenant(ctx, "")
	if err != nil {
		return err
	}
	defer t.pool.Close()
	ctx, stop := context.WithCancel(ctx)
	var loops sync.WaitGroup
	defer loops.Wait()
	defer stop()
	on := func(queue string, counted, watched bool) (func(context.Context) error, func(), error) {
		options := activities.Options{DB: t.pool, DevHosts: t.stack.DevHosts(), Secrets: t.stack.SecretStore()}
		if counted {
			options.Gate = new(limits.Gate)
			recorder, err := usage.New(ctx, usage.Options{DB: t.pool, Ledger: &options.Gate.Ledger})
			if err != nil {
				return nil, nil, err
			}
			loops.Go(func() { recorder.Run(ctx) })
		}
		if watched {
			observer := traffic.NewObserver(func(ctx context.Context, organization, integration uuid.UUID, seen []health.Observation) error {
				return engine.ReportObservations(ctx, t.temporal, t.organization, integration, "", seen)
			}, traffic.Options{}, slog.New(slog.DiscardHandler))
			options.Observe, options.LastSuccess = observer.Observe, observer.LastSuccess
			loops.Go(func() { observer.Run(ctx) })
		}
		acts, err := activities.New(options)
		if err != nil {
			return nil, nil, err
		}
		w := worker.New(t.temporal, queue, workflows.WorkerOptions())
		workflows.Register(w, acts)
		f := func(ctx context.Context) error {
			in := ping(t.organization, t.integration)
			options := engine.InvokeOptions(in)
			options.TaskQueue, options.EnableEagerStart = queue, true
			run, err := t.temporal.ExecuteWorkflow(ctx, options, workflows.InvokeName, in)
			if err != nil {
				return err
			}
			return run.Get(ctx, nil)
		}
		return f, func() { w.Stop(); acts.CloseIdle() }, w.Start()
	}
	without, stopWithout, err := on("bench-without", false, false)
	if err != nil {
		return err
	}
	defer stopWithout()
	kinds := []struct {
		name             string
		counted, watched bool
		queue            string
		ratios           []float64
		run              func(context.Context) error
	}{
		{name: "ledger_throughput", counted: true, queue: "bench-counted"},
		{name: "observer_throughput", watched: true, queue: "bench-watched"},
		{name: "ledger_and_observer_throughput", counted: true, watched: true, queue: activities.TaskQueue}, // where monitors run
	}
	for i, k := range kinds {
		run, stop, err := on(k.queue, k.counted, k.watched)
		if err != nil {
			return err
		}
		defer stop()
		kinds[i].run = run
	}
	const concurrency, n = 32, 300
	for round := range 10 {
		o, err := many(ctx, without, concurrency, n)
		if err != nil {
			return err
		}
		for i := range kinds {
			w, err := many(ctx, kinds[i].run, concurrency, n)
			if err != nil {
				return err
			}
			if round > 0 { // the first one warms up
				kinds[i].ratios = append(kinds[i].ratios, o/w)
			}
		}
	}
	for _, k := range kinds {
		report(k.name, median(k.ratios), "x_without", atLeast(0.95))
	}
	return nil
}
