package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/redact"
	"github.com/ledgerline/ledgerline/runlog"
)

// How often a worker counts what all organizations have: each 30 s, but a count that
// takes long, as of a pending export with a million entries, is made so rarely that it
// takes a hundredth of the time, down to one in ten minutes. The last one is shown until two more should have been
// made, and for three minutes at least. Every worker counts: each of them may be the one
// that is left.
const (
	measureEvery  = 30 * time.Second
	measureShare  = 100
	measureRarely = 10 * time.Minute
	measuredFor   = 3 * time.Minute
)

// pauseAfter is how long a worker waits after a count that took so long.
func pauseAfter(took time.Duration) time.Duration {
	return min(max(measureEvery, measureShare*took), measureRarely)
}

// counted is the last count of something. One that is too old is not shown: a metric that
// is absent can be noticed, and one that stands still cannot.
type counted[T any] struct {
	mu    sync.Mutex
	count T
	until time.Time // zero: there was none
}

func (c *counted[T]) set(count T, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count, c.until = count, until
}

// last returns the last count; fresh is false if it is too old.
func (c *counted[T]) last() (count T, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count, time.Now().Before(c.until)
}

// countGauge serves a count that a loop makes each minute or more often, until measuredFor
// after the last one: by the values of its label, or under "" if it has none.
type countGauge struct {
	counted[map[string]int64]
	label string
}

func (g *countGauge) register(meter metric.Meter, name, label, description string) error {
	g.label = label
	_, err := meter.Int64ObservableGauge(name, metric.WithDescription(description), metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
		last, fresh := g.last()
		if !fresh {
			return nil
		}
		for of, n := range last {
			var labels []attribute.KeyValue
			if g.label != "" {
				labels = append(labels, attribute.String(g.label, of))
			}
			o.Observe(n, metric.WithAttributes(labels...))
		}
		return nil
	}))
	return err
}

func (g *countGauge) show(count map[string]int64) { g.set(count, time.Now().Add(measuredFor)) }

// measure counts until ctx ends.
func measure(ctx context.Context, pool *pgxpool.Pool, m *metrics, logger *slog.Logger) {
	for {
		began := time.Now()
		counted, err := runlog.Measure(ctx, pool)
		pause := pauseAfter(time.Since(began))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil: // of which the time says nothing: PostgreSQL may be back soon
			pause = measureEvery
			logger.Error("exports and entries could not be counted, so their metrics are absent after a while", "error", redact.Text(err.Error()))
		default:
			m.measured.set(counted, time.Now().Add(max(measuredFor, 3*pause)))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause + rand.N(pause/4)):
		}
	}
}

// gauges serves the last count. Every value of a label is there, also with none.
func (m *metrics) gauges(meter metric.Meter) error {
	gauge := func(name, description string, options ...metric.Float64ObservableGaugeOption) (g metric.Float64ObservableGauge, err error) {
		return meter.Float64ObservableGauge(name, append(options, metric.WithDescription(description))...)
	}
	errs := make([]error, 7)
	var pending, oldest, entries, writes, call, incidents metric.Float64ObservableGauge
	pending, errs[0] = gauge("ledgerline_exports", "Exports that are pending, and those that failed and were not retried.")
	oldest, errs[1] = gauge("ledgerline_export_oldest_pending", "Since when the oldest pending export is under way; 0 if there is none.", metric.WithUnit("s"))
	entries, errs[2] = gauge("ledgerline_export_entries", "Entries of exports that are pending, or failed and were not retried, by state.")
	writes, errs[3] = gauge("ledgerline_open_writes", "Requests of calls and entries of exports that were sent and can still take effect.")
	call, errs[6] = gauge("ledgerline_call_oldest_open_write", "Since when the oldest call has a request that was sent and can still take effect; 0 if there is none.", metric.WithUnit("s"))
	incidents, errs[4] = gauge("ledgerline_incidents", "Trouble that has not ended, by the cause of its notification.")
	_, errs[5] = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		last, fresh := m.measured.last()
		if !fresh {
			return nil
		}
		show := func(g metric.Float64Observable, value float64, label, of string) {
			o.ObserveFloat64(g, value, metric.WithAttributes(attribute.String(label, of)))
		}
		for _, s := range []exports.Status{exports.Pending, exports.Failed} {
			show(pending, last.Exports[s], "status", string(s))
		}
		o.ObserveFloat64(oldest, last.OldestPending)
		for _, s := range exports.EntryStates {
			show(entries, last.Entries[s], "state", string(s))
		}
		for _, s := range []runlog.WriteSource{runlog.WriteOfCall, runlog.WriteOfExport} {
			show(writes, last.OpenWrites[s], "source", string(s))
		}
		o.ObserveFloat64(call, last.OldestCall)
		for _, c := range notify.Causes() {
			if c.EndedBy() != "" {
				show(incidents, last.Incidents[c], "cause", string(c))
			}
		}
		return nil
	}, pending, oldest, entries, writes, call, incidents)
	return errors.Join(errs...)
}
