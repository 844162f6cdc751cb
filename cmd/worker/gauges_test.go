package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/codec"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
)

// gauge returns the values of a metric by the value of its label, "" if it has none.
func gauge(t *testing.T, m *metrics, name string) map[string]float64 {
	t.Helper()
	families, err := m.registry.Gather()
	require.NoError(t, err)
	values := make(map[string]float64)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, one := range f.GetMetric() {
			label := ""
			for _, l := range one.GetLabel() {
				if l.GetName() == "used" {
					label = l.GetValue()
				}
			}
			values[label] = one.GetGauge().GetValue()
		}
	}
	return values
}

// The metric says what the endpoint says, and nothing before there is one.
func TestReadyGauge(t *testing.T) {
	m, err := newMetrics(new(secrets.Store))
	require.NoError(t, err)
	defer m.close()
	require.Empty(t, gauge(t, m, "ledgerline_worker_ready"))
	var temporal, postgres error
	asks := func(err *error) func(context.Context) error { return func(context.Context) error { return *err } }
	serves := m.serve(ready(asks(&temporal), asks(&postgres), newSlots(1), new(codec.Gate)))
	says := func() map[string]float64 {
		serves.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
		return gauge(t, m, "ledgerline_worker_ready")
	}
	require.Equal(t, map[string]float64{"": 1}, says())
	postgres = errors.New("away")
	require.Equal(t, map[string]float64{"": 0}, says())
	postgres, temporal = nil, postgres
	require.Equal(t, map[string]float64{"": 0}, says())
}

// The SDK counts the request by which readiness is asked, perhaps as the first of its
// kind. That never waits for the metrics that are being collected.
func TestMetricsDoNotWaitForThemselves(t *testing.T) {
	m, err := newMetrics(new(secrets.Store))
	require.NoError(t, err)
	defer m.close()
	temporal := func(context.Context) error {
		m.handler.Timer("temporal_request_latency").Record(time.Second)
		return nil
	}
	serves := m.serve(ready(temporal, func(context.Context) error { return nil }, newSlots(1), new(codec.Gate)))
	answered := make(chan string, 1)
	go func() {
		w := httptest.NewRecorder()
		serves.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
		answered <- w.Body.String()
	}()
	select {
	case text := <-answered:
		require.Contains(t, text, "ledgerline_worker_ready")
	case <-time.After(time.Minute):
		t.Fatal("the metrics wait for themselves")
	}
}

func TestQuotaGauge(t *testing.T) {
	m, err := newMetrics(new(secrets.Store))
	require.NoError(t, err)
	defer m.close()
	of := func(requests, monthly int64, warnAt int) limits.Total {
		return limits.Total{Requests: requests, Quota: limits.Quota{Monthly: monthly, WarnAt: warnAt}}
	}
	m.countQuotas([]limits.Total{of(79, 100, 80), of(80, 100, 80), of(99, 100, 80), of(100, 100, 80), of(500, 100, 0), of(99, 100, 0), of(5, 0, 80)})
	require.Equal(t, map[string]float64{"below": 3, "warning": 2, "spent": 2}, gauge(t, m, "ledgerline_quotas"))
	m.countQuotas(nil)
	require.Equal(t, map[string]float64{"below": 0, "warning": 0, "spent": 0}, gauge(t, m, "ledgerline_quotas"))
}

// Every state has a number, also one that none is in any longer.
func TestHealthGauge(t *testing.T) {
	m, err := newMetrics(new(secrets.Store))
	require.NoError(t, err)
	defer m.close()
	want := map[string]float64{"unknown": 0, "healthy": 7, "degraded": 1, "unreachable": 0, "passive": 0}
	m.countHealth(map[health.State]int64{health.Healthy: 7, health.Degraded: 1})
	require.Equal(t, want, values(t, m, "ledgerline_integrations", "state"))
	m.countHealth(map[health.State]int64{health.Healthy: 8})
	want["healthy"], want["degraded"] = 8, 0
	require.Equal(t, want, values(t, m, "ledgerline_integrations", "state"))
}

// What is of all organizations, by the table in docs/operations.md, is served for three
// minutes after it was counted last, whatever kept it from being counted again.
func TestOldCountsAreAbsent(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	var ofAll []string
	for _, match := range regexp.MustCompile("(?m)^\\| `(ledgerline_[a-z_]+)` \\| gauge[a-z_:, ]* \\| all \\|").FindAllStringSubmatch(string(text), -1) {
		ofAll = append(ofAll, match[1])
	}
	require.Contains(t, ofAll, "ledgerline_workflows_stuck")
	slices.Sort(ofAll)
	synctest.Test(t, func(t *testing.T) {
		m, err := newMetrics(new(secrets.Store))
		require.NoError(t, err)
		defer m.close()
		served := func() (names []string) {
			families, err := m.registry.Gather()
			require.NoError(t, err)
			for _, f := range families {
				if slices.Contains(ofAll, f.GetName()) {
					names = append(names, f.GetName())
				}
			}
			return names
		}
		require.Empty(t, served(), "before the first count")
		m.stuck.show(map[string]int64{"Sync": 1})
		m.overdue.show(map[string]int64{"": 1})
		m.countQuotas(nil)
		m.countHealth(nil)
		m.measured.set(runlog.Measurements{}, time.Now().Add(measuredFor))
		require.Equal(t, ofAll, served())
		time.Sleep(measuredFor - time.Second)
		require.Equal(t, ofAll, served())
		m.stuck.show(map[string]int64{"Invoke": 0})
		require.Equal(t, map[string]float64{"Invoke": 0}, values(t, m, "ledgerline_workflows_stuck", "workflow_type"))
		time.Sleep(time.Second)
		require.Equal(t, []string{"ledgerline_workflows_stuck"}, served())
		time.Sleep(measuredFor)
		require.Empty(t, served())
	})
}

// Latencies have buckets below a second, and drift has the five minutes after which a
// run counts as late.
func TestBuckets(t *testing.T) {
	m, err := newMetrics(new(secrets.Store))
	require.NoError(t, err)
	defer m.close()
	m.drift.Record(t.Context(), 301)
	m.duration.Record(t.Context(), .2)
	m.handler.Timer("temporal_x_latency").Record(200 * time.Millisecond)
	families, err := m.registry.Gather()
	require.NoError(t, err)
	below := make(map[string]map[float64]uint64) // how many were at most so long
	for _, f := range families {
		for _, one := range f.GetMetric() {
			if h := one.GetHistogram(); h != nil {
				below[f.GetName()] = make(map[float64]uint64)
				for _, b := range h.GetBucket() {
					below[f.GetName()][b.GetUpperBound()] = b.GetCumulativeCount()
				}
			}
		}
	}
	at := func(name string, bound float64) uint64 {
		require.Contains(t, below[name], bound, name)
		return below[name][bound]
	}
	require.Equal(t, []uint64{0, 1}, []uint64{at("ledgerline_export_drift_seconds", 300), at("ledgerline_export_drift_seconds", 900)})
	for _, name := range []string{"ledgerline_attempt_duration_seconds", "temporal_x_latency_seconds"} {
		require.Equal(t, []uint64{0, 1}, []uint64{at(name, .1), at(name, .25)}, name)
	}
}
