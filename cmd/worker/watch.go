package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/redact"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/watcher"
	"github.com/ledgerline/ledgerline/workflows"
)

// watchEvery is how long the watcher waits between two looks. Every worker
// looks; what it finds is recorded once. Temporal has a moment to answer: the
// watcher does its work without it too.
const (
	watchEvery     = 20 * time.Second
	askTemporalFor = 3 * time.Second
)

// watch looks at the schedules until ctx ends.
func watch(ctx context.Context, pool *pgxpool.Pool, temporal client.Client, m *metrics, logger *slog.Logger, pendingLimit, remindAfter time.Duration) {
	w := watcher.Watcher{
		DB: pool, Log: logger, Observe: m.tick, PendingLimit: pendingLimit, RemindAfter: remindAfter, Stuck: stuckWorkflows(temporal, m, logger),
		Paused: func(ctx context.Context, organization, integration uuid.UUID) (bool, error) {
			ctx, cancel := context.WithTimeout(ctx, askTemporalFor)
			defer cancel()
			return engine.SchedulePaused(ctx, temporal, organization, integration)
		},
		Runs: watcher.NewRuns(func(ctx context.Context, e exports.Export) (bool, error) {
			ctx, cancel := context.WithTimeout(ctx, askTemporalFor)
			defer cancel()
			return engine.RunClosed(ctx, temporal, e)
		}),
	}
	for {
		open, err := w.Pass(ctx, time.Now())
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			logger.Error("the schedules could not be looked at", "error", redact.Text(err.Error()))
		default:
			m.overdue.show(map[string]int64{"": int64(open)})
			m.lastWatch.Record(ctx, float64(time.Now().Unix()))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchEvery + rand.N(watchEvery/4)):
		}
	}
}

// stuckWorkflows asks for workflows whose tasks fail. What it logs, it logs when that begins
// and not at each pass.
func stuckWorkflows(temporal client.Client, m *metrics, logger *slog.Logger) func(context.Context) ([]watcher.StuckWorkflow, bool, error) {
	asked, logged := true, make(map[string]bool) // by workflow ID
	return func(ctx context.Context) ([]watcher.StuckWorkflow, bool, error) {
		ctx, cancel := context.WithTimeout(ctx, askTemporalFor)
		defer cancel()
		found, all, err := engine.StuckWorkflows(ctx, temporal)
		if err != nil && asked {
			logger.Warn("workflows whose tasks fail cannot be looked for; a server before 1.32 does not report them", "error", redact.Text(err.Error()))
		}
		if asked = err == nil; !asked {
			return nil, false, err
		}
		count, unnotified := make(map[string]int64), make(map[string]bool)
		for _, name := range workflows.Types() {
			count[name] = 0
		}
		var list []watcher.StuckWorkflow
		for _, s := range found {
			count[s.Workflow.Type]++
			if s.OrganizationID == uuid.Nil || s.IntegrationID == uuid.Nil { // the delivery of a notification, which cannot be notified
				if unnotified[s.Workflow.ID] = true; !logged[s.Workflow.ID] {
					logger.Error("ALERT: a workflow cannot continue, because its code fails", "workflow_type", s.Workflow.Type, "workflow_id", s.Workflow.ID, "cause", string(s.Cause))
				}
				continue
			}
			list = append(list, watcher.StuckWorkflow(s))
		}
		logged = unnotified
		m.stuck.show(count)
		return list, all, nil
	}
}

// tick counts a recorded tick.
func (m *metrics) tick(t runlog.Tick) {
	m.ticks.Add(context.Background(), 1, metric.WithAttributes(attribute.String("result", string(t.Result))))
}
