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
)

// watchEvery is how long the watcher waits between two looks. Every worker
// looks; what it finds is recorded once. Temporal has a moment to answer: the
// watcher does its work without it too.
const (
	watchEvery     = 20 * time.Second
	askTemporalFor = 3 * time.Second
)

// watch looks at the schedules until ctx ends.
func watch(ctx context.Context, pool *pgxpool.Pool, temporal client.Client, m *metrics, logger *slog.Logger) {
	w := watcher.Watcher{
		DB: pool, Log: logger, Observe: m.tick,
		Paused: func(ctx context.Context, organization, integration uuid.UUID) (bool, error) {
			ctx, cancel := context.WithTimeout(ctx, askTemporalFor)
			defer cancel()
			return engine.SchedulePaused(ctx, temporal, organization, integration)
		},
		Dead: func(ctx context.Context, e exports.Export) (bool, error) {
			ctx, cancel := context.WithTimeout(ctx, askTemporalFor)
			defer cancel()
			return engine.RunClosed(ctx, temporal, e)
		},
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

// tick counts a recorded tick.
func (m *metrics) tick(t runlog.Tick) {
	m.ticks.Add(context.Background(), 1, metric.WithAttributes(attribute.String("result", string(t.Result))))
}
