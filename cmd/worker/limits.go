package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
)

// flushEvery is how often counts are stored, and so what a process that is
// killed loses at most.
const flushEvery = 5 * time.Second

// keepLimits stores what is counted and works on the queues of integrations
// that have one of their own, until stop is called, which waits for attempts in
// those queues. When all attempts have ended, flush stores what was counted last.
func keepLimits(ctx context.Context, acts *activities.Activities, temporal client.Client, logger *slog.Logger) (stop, flush func(), err error) {
	if err := acts.LearnUsage(ctx); err != nil {
		return nil, nil, err
	}
	q := newQueues(acts, temporal, logger)
	q.look(ctx)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	loops.Go(func() { q.keep(ctx) })
	loops.Go(func() { flushUsage(ctx, acts, logger) })
	stop = func() {
		cancel()
		loops.Wait()
		q.stop()
	}
	flush = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		for range 2 { // a batch whose fate is open, and what came after it
			if err := acts.FlushUsage(ctx); err != nil {
				logger.Error("requests that were counted last could not be stored and are missing in starter quota", "error", err)
				return
			}
		}
	}
	return stop, flush, nil
}

func flushUsage(ctx context.Context, acts *activities.Activities, logger *slog.Logger) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-acts.Gate.Ledger.Wake():
		}
		if err := acts.FlushUsage(ctx); err != nil && ctx.Err() == nil {
			logger.Warn("counted requests could not be stored; they are kept and stored later", "error", err)
		}
	}
}
