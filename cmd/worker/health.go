package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	prometheusexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/codec"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
)

// metrics are the worker's own and the SDK's, for Prometheus.
type metrics struct {
	states

	registry *prometheus.Registry
	provider *sdkmetric.MeterProvider
	handler  client.MetricsHandler
	attempts metric.Int64Counter
	duration metric.Float64Histogram

	ticks     metric.Int64Counter
	drift     metric.Float64Histogram
	overdue   countGauge
	lastWatch metric.Float64Gauge
	traces    metric.Int64Counter

	refusals   metric.Int64Counter // of steps, by the database
	closed     metric.Int64Counter // exports
	lag        metric.Float64Histogram
	unrecorded func() time.Duration // how old the oldest outcome is that could not be mirrored; nil is 0
	stuck      countGauge
	measured   counted[runlog.Measurements]
}

func newMetrics(store *secrets.Store) (*metrics, error) {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := prometheusexporter.New(prometheusexporter.WithRegisterer(m.registry))
	if err != nil {
		return nil, err
	}
	m.provider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithView(knownTypes()))
	m.handler = opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
		Meter:   m.provider.Meter("temporal"),
		OnError: func(error) {}, // the default panics; a metric is not worth a worker
	})
	meter := m.provider.Meter("ledgerline")
	if err := m.register(meter); err != nil {
		return nil, err
	}
	if m.attempts, err = meter.Int64Counter("ledgerline_attempts", metric.WithDescription("Finished attempts by adapter, class and kind.")); err != nil {
		return nil, err
	}
	errs := make([]error, 13)
	m.duration, errs[0] = meter.Float64Histogram("ledgerline_attempt_duration", metric.WithUnit("s"), metric.WithDescription("How long attempts took."))
	m.ticks, errs[1] = meter.Int64Counter("ledgerline_schedule_ticks", metric.WithDescription("Times at which a schedule should have fired, by what came of them."))
	m.drift, errs[2] = meter.Float64Histogram("ledgerline_export_drift", metric.WithUnit("s"), metric.WithDescription("How much later than scheduled exports started."))
	errs[3] = m.overdue.register(meter, "ledgerline_schedules_overdue", "", "Ticks that should have been done and are not.")
	m.lastWatch, errs[4] = meter.Float64Gauge("ledgerline_watch_last_pass_timestamp", metric.WithUnit("s"), metric.WithDescription("When the schedules were last looked at; alert when it stands still."))
	m.traces, errs[12] = meter.Int64Counter("ledgerline_trace_export_failures", metric.WithDescription("Exports of traces that failed."))
	_, errs[5] = meter.Int64ObservableGauge("ledgerline_secret_reads_stuck", metric.WithDescription("Reads of secrets that were abandoned because the file does not answer."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(store.Stuck()))
			return nil
		}))
	m.refusals, errs[6] = meter.Int64Counter("ledgerline_store_refusals", metric.WithDescription("Steps that PostgreSQL did not take, by activity or step of an attempt, and reason."))
	m.closed, errs[7] = meter.Int64Counter("ledgerline_exports_closed", metric.WithDescription("Exports that ended, by status and trigger."))
	m.lag, errs[8] = meter.Float64Histogram("ledgerline_mirror_lag", metric.WithUnit("s"), metric.WithDescription("How long after an invocation's last attempt its audit rows were stored."),
		metric.WithExplicitBucketBoundaries(.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600))
	errs[9] = m.stuck.register(meter, "ledgerline_workflows_stuck", "workflow_type", "Workflows whose tasks fail, by type.")
	_, errs[10] = meter.Float64ObservableGauge("ledgerline_mirror_oldest_unrecorded", metric.WithUnit("s"),
		metric.WithDescription("Age of the oldest outcome whose audit rows this worker tried to store and could not; 0 if there is none."),
		metric.WithFloat64Callback(func(_ context.Context, o metric.Float64Observer) error {
			if m.unrecorded != nil {
				o.Observe(m.unrecorded().Seconds())
			}
			return nil
		}))
	errs[11] = m.gauges(meter)
	return m, errors.Join(errs...)
}

// traceFailed counts a failed export of traces.
func (m *metrics) traceFailed() { m.traces.Add(context.Background(), 1) }

func (m *metrics) close() { _ = m.provider.Shutdown(context.Background()) }

// observe counts a finished attempt.
func (m *metrics) observe(in activities.Invocation, a activities.Attempt) {
	labels := metric.WithAttributes(
		attribute.String("adapter", activities.AdapterLabel(in.AdapterName)), attribute.String("class", string(a.Class)), attribute.String("kind", string(a.Kind)))
	m.attempts.Add(context.Background(), 1, labels)
	m.duration.Record(context.Background(), a.EndedAt.Sub(a.StartedAt).Seconds(), labels)
}

// endpoints serve /livez: the process runs; /readyz: Temporal and PostgreSQL
// answer, attempts come to an end, and payloads can be read; /metrics.
func endpoints(pool *pgxpool.Pool, temporal client.Client, m *metrics, s *slots, gate *codec.Gate) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	can := ready(func(ctx context.Context) error {
		_, err := temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
		return err
	}, pool.Ping, s, gate)
	mux.Handle("GET /readyz", can)
	mux.Handle("GET /metrics", m.serve(can))
	return mux
}

// serve serves the metrics. Whether the worker is ready is asked before they are
// collected, and not by a callback of the metric: the SDK counts its requests, a new count
// waits until nothing is being collected, and so a callback that makes a request can wait
// for itself, and everything that calls Temporal with it.
func (m *metrics) serve(can readiness) http.Handler {
	all := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, ok := can(r.Context())
		m.ready.Store(&ok)
		all.ServeHTTP(w, r)
	})
}

// readiness says whether a worker can work, and what of it cannot.
type readiness func(context.Context) (says string, ok bool)

// ServeHTTP answers 200 if the worker can work, and 503 if not.
func (can readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	says, ok := can(r.Context())
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprint(w, says)
}

func ready(temporal, postgres func(context.Context) error, s *slots, gate *codec.Gate) readiness {
	return func(ctx context.Context) (string, bool) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		temporalErr, databaseErr, stuck, taken := temporal(ctx), postgres(ctx), s.stuck(), "ok"
		if stuck > 0 {
			taken = fmt.Sprintf("all %d taken for %s, and none came free", s.size, stuck.Round(time.Second))
		}
		unreadable := gate.Reason()
		return fmt.Sprintf("temporal: %s\npostgresql: %s\nslots: %s\npayloads: %s\n", okOr(temporalErr), okOr(databaseErr), taken, cmp.Or(unreadable, "ok")),
			temporalErr == nil && databaseErr == nil && stuck == 0 && unreadable == ""
	}
}

// okOr does not show the error: the endpoint needs no credentials to read.
func okOr(err error) string {
	if err != nil {
		return "unavailable"
	}
	return "ok"
}
