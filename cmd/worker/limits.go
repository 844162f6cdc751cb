package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// How often counts are stored, and integrations with a rate are looked for. The
// first is what a process that is killed loses at most.
const (
	flushEvery = 5 * time.Second
	lookEvery  = 10 * time.Second
)

// keepLimits stores what is counted and works on the queues of integrations
// that have a rate, until stop is called. Then it waits for attempts in those
// queues and stores what was counted last.
func keepLimits(ctx context.Context, acts *activities.Activities, temporal client.Client, logger *slog.Logger) (stop func(), err error) {
	if err := acts.LearnUsage(ctx); err != nil {
		return nil, err
	}
	q := &queues{acts: acts, temporal: temporal, logger: logger, running: make(map[uuid.UUID]queue)}
	q.look(ctx)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	loops.Go(func() { q.keep(ctx) })
	loops.Go(func() { flushUsage(ctx, acts, logger) })
	return func() {
		cancel()
		loops.Wait()
		q.stop()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		for range 2 { // a batch whose fate is open, and what came after it
			if err := acts.FlushUsage(ctx); err != nil {
				logger.Error("requests that were counted last could not be stored and are missing in starter quota", "error", err)
				return
			}
		}
	}, nil
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

// queues are the workers of the integrations that have a rate. The server hands
// out as many attempts as TaskQueueActivitiesPerSecond says over all workers, so
// that waiting costs no attempt anything.
type queues struct {
	acts     *activities.Activities
	temporal client.Client
	logger   *slog.Logger
	running  map[uuid.UUID]queue
}

type queue struct {
	perMinute int
	worker    worker.Worker
}

func (q *queues) keep(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			q.look(ctx)
		}
	}
}

// look starts what is missing and replaces what has another rate. A queue stays
// open after its integration has lost its rate: calls may still wait there.
func (q *queues) look(ctx context.Context) {
	list, err := runlog.Queues(ctx, q.acts.DB)
	if err != nil {
		if ctx.Err() == nil {
			q.logger.Warn("integrations with a rate could not be looked up; going on with what is known", "error", err)
		}
		return
	}
	for _, want := range list {
		is, ok := q.running[want.IntegrationID]
		if ok && is.perMinute == want.RequestsPerMinute {
			continue
		}
		if ok {
			is.worker.Stop()
			delete(q.running, want.IntegrationID)
		}
		options := workflows.WorkerOptions()
		options.DisableEagerActivities = true // they would pass the rate by
		options.MaxConcurrentActivityTaskPollers, options.MaxConcurrentWorkflowTaskPollers = 2, 2
		options.MaxConcurrentActivityExecutionSize = 20
		options.TaskQueueActivitiesPerSecond = float64(want.RequestsPerMinute) / 60 // 0 is no limit
		w := worker.New(q.temporal, activities.OwnQueue(want.IntegrationID), options)
		workflows.Register(w, q.acts)
		if err := w.Start(); err != nil {
			q.logger.Error("the queue of an integration cannot be worked on; trying again", "integration_id", want.IntegrationID, "error", err)
			continue
		}
		q.running[want.IntegrationID] = queue{want.RequestsPerMinute, w}
	}
}

func (q *queues) stop() {
	var all sync.WaitGroup
	for _, r := range q.running {
		all.Go(r.worker.Stop)
	}
	all.Wait()
}
