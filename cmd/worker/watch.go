package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/redact"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/watcher"
)

// watchEvery is how long the watcher waits between two looks. Every worker
// looks; what it finds is recorded once.
const watchEvery = 20 * time.Second

// watch looks at the schedules until ctx ends.
func watch(ctx context.Context, pool *pgxpool.Pool, temporal client.Client, m *metrics, logger *slog.Logger) {
	w := watcher.Watcher{
		DB: pool, Log: logger, Observe: m.tick, Alert: tellOfTick,
		Paused: func(ctx context.Context, organization, integration uuid.UUID) (bool, error) {
			ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
			defer cancel()
			return engine.SchedulePaused(ctx, temporal, organization, integration)
		},
	}
	w.Dead = func(ctx context.Context, e exports.Export) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		return engine.RunClosed(ctx, temporal, e)
	}
	w.Stuck = func(ctx context.Context, e exports.Export) error {
		news, err := runlog.QueueNotification(ctx, pool, runlog.Notification{OrganizationID: e.OrganizationID, IntegrationID: e.IntegrationID, Cause: notify.Missed,
			Facts: notify.Facts{Period: e.Period, ExportID: &e.ID, ScheduledAt: e.ScheduledAt}})
		if news {
			logger.Error("ALERT: an export is pending and its run is no more; starter sync of its period goes on with it",
				"organization_id", e.OrganizationID, "integration_id", e.IntegrationID, "export_id", e.ID, "period", e.Period, "workflow_id", e.WorkflowID)
		}
		return err
	}
	for {
		open, err := w.Pass(ctx, time.Now())
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			logger.Error("the schedules could not be looked at", "error", redact.Text(err.Error()))
		default:
			m.overdue.Record(ctx, int64(open))
			m.lastWatch.Record(ctx, float64(time.Now().Unix()))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchEvery + rand.N(watchEvery/4)):
		}
	}
}

// tellOfTick queues that a run was late or did not happen.
func tellOfTick(ctx context.Context, tx pgx.Tx, organization uuid.UUID, s runlog.ScheduledIntegration, t runlog.Tick) error {
	cause := notify.Missed
	if t.Result == runlog.TickLate {
		cause = notify.Late
	}
	_, err := runlog.Notify(ctx, tx, runlog.Notification{OrganizationID: organization, IntegrationID: s.ID, Cause: cause, Facts: notify.Facts{
		Period: t.Period, ScheduledAt: &t.ExpectedAt, LateSeconds: int64(t.LateBy.Seconds()), ExportID: t.ExportID,
	}})
	return err
}

// tick counts a recorded tick.
func (m *metrics) tick(t runlog.Tick) {
	m.ticks.Add(context.Background(), 1, metric.WithAttributes(attribute.String("result", t.Result)))
}
