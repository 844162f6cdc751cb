package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/redact"
	"github.com/ledgerline/ledgerline/runlog"
)

// states are metrics that say how something is now.
type states struct {
	ready  atomic.Pointer[bool] // as [metrics.serve] has found it; nil: nobody has asked
	quotas countGauge
	health countGauge
}

func (m *states) register(meter metric.Meter) error {
	var errs [3]error
	_, errs[0] = meter.Int64ObservableGauge("ledgerline_worker_ready", metric.WithDescription("What /readyz answers: 1 if the worker can work, 0 if not."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			if ready := m.ready.Load(); ready != nil {
				o.Observe(map[bool]int64{true: 1}[*ready])
			}
			return nil
		}))
	errs[1] = m.quotas.register(meter, "ledgerline_quotas", "used", "Integrations with a monthly limit of requests, by how much of it is used.")
	errs[2] = m.health.register(meter, "ledgerline_integrations", "state", "Integrations by the state of their health.")
	return errors.Join(errs[:]...)
}

// quotaUse is how much of its monthly limit an integration has used: a label.
type quotaUse string

// The uses.
const (
	quotaBelow   quotaUse = "below"
	quotaWarning quotaUse = "warning" // as much as limits.warnAt says, or more
	quotaSpent   quotaUse = "spent"
)

// useOf says how much of its limit an integration has used.
func useOf(t limits.Total) quotaUse {
	switch used := t.Quota.Percent(t.Requests); {
	case used >= limits.Full:
		return quotaSpent
	case t.Quota.WarnAt > 0 && used >= t.Quota.WarnAt:
		return quotaWarning
	}
	return quotaBelow
}

// integrationsEvery is how long a worker waits between two looks at all integrations.
const integrationsEvery = time.Minute

// watchIntegrations counts integrations by their use of the month's limit and by their
// health, until ctx ends.
func watchIntegrations(ctx context.Context, pool *pgxpool.Pool, m *states, logger *slog.Logger) {
	for {
		totals, err := runlog.ListLimitedUsage(ctx, pool, time.Now())
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			logger.Warn("the month's requests could not be counted for the metrics", "error", redact.Text(err.Error()))
		default:
			m.countQuotas(totals)
		}
		if in, err := runlog.CountHealth(ctx, pool); err == nil {
			m.countHealth(in)
		} else if ctx.Err() == nil {
			logger.Warn("the health of integrations could not be counted for the metrics", "error", redact.Text(err.Error()))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(integrationsEvery + rand.N(integrationsEvery/4)):
		}
	}
}

// countQuotas shows the number of every use, also of those that none has.
func (m *states) countQuotas(totals []limits.Total) {
	count := map[string]int64{string(quotaBelow): 0, string(quotaWarning): 0, string(quotaSpent): 0}
	for _, t := range totals {
		count[string(useOf(t))]++
	}
	m.quotas.show(count)
}

// countHealth shows the number of every state, also of those that none is in.
func (m *states) countHealth(in map[health.State]int64) {
	count := make(map[string]int64)
	for _, s := range []health.State{health.Unknown, health.Healthy, health.Degraded, health.Unreachable, health.Passive} {
		count[string(s)] = in[s]
	}
	m.health.show(count)
}

// startAtZero serves a zero for each result of a tick: a rate sees the first one of them
// only if there was a zero before.
func (m *metrics) startAtZero() {
	for _, result := range exports.TickResults {
		m.ticks.Add(context.Background(), 0, metric.WithAttributes(attribute.String("result", string(result))))
	}
}
