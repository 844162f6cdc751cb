package main

import (
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
)

// What the database does not take is counted each time and logged now and then; other
// errors are not its.
func TestStepsRefused(t *testing.T) {
	m, err := newMetrics(new(secrets.Store))
	require.NoError(t, err)
	defer m.close()
	var log strings.Builder
	s := newSteps(m, slog.New(slog.NewTextHandler(&log, nil)))
	now := time.Now()
	s.now = func() time.Time { return now }
	info := activity.Info{ActivityType: activity.Type{Name: activities.CloseName}}
	for _, kind := range []string{"audit_unavailable", "audit_refused", "audit_refused", string(classify.NotOwner), string(classify.Unavailable)} {
		s.refused(info, temporal.NewApplicationError("no", kind))
	}
	s.refused(info, nil)
	s.refused(info, errors.New("audit_refused"))
	require.Equal(t, map[string]float64{"audit_unavailable": 1, "audit_refused": 2}, values(t, m, "ledgerline_store_refusals_total", "reason"))
	require.Equal(t, 2, strings.Count(log.String(), "did not take"))
	now = now.Add(logSteps)
	s.refused(info, temporal.NewApplicationError("no", "audit_refused"))
	require.Equal(t, 3, strings.Count(log.String(), "did not take"))
}

// stepsAt are steps by a clock that the test sets.
func stepsAt(t *testing.T) (s *steps, now *time.Time) {
	m, err := newMetrics(new(secrets.Store))
	require.NoError(t, err)
	t.Cleanup(func() { m.close() })
	s, now = newSteps(m, slog.New(slog.DiscardHandler)), new(time.Time)
	*now = time.Now()
	s.now = func() time.Time { return *now }
	return s, now
}

// The age is that of the oldest outcome that is not stored, until it is stored or another
// worker has it.
func TestOldestUnrecorded(t *testing.T) {
	s, now := stepsAt(t)
	ended := func(ago time.Duration) activities.MirrorInput {
		return activities.MirrorInput{CorrelationID: uuid.New(), Trail: activities.Trail{{Number: 1, EndedAt: now.Add(-ago)}}}
	}
	require.Zero(t, s.oldest())
	old, young := ended(time.Minute), ended(time.Second)
	s.mirrored(old, errors.New("away"))
	s.mirrored(young, errors.New("away"))
	require.Equal(t, time.Minute, s.oldest())
	s.mirrored(old, nil)
	require.Equal(t, time.Second, s.oldest())
	*now = now.Add(retriedWithin + 1)
	require.Zero(t, s.oldest(), "it is another worker's")
	require.Empty(t, s.unrecorded)
}

// What other workers have taken over is forgotten although nobody asks for metrics, and
// what this worker still tries is not.
func TestUnrecordedIsBounded(t *testing.T) {
	s, now := stepsAt(t)
	own := uuid.New()
	for second := range 3600 {
		*now = now.Add(time.Second)
		s.mirrored(activities.MirrorInput{CorrelationID: uuid.New(), Trail: activities.Trail{{Number: 1, EndedAt: *now}}}, errors.New("away"))
		if second%30 == 0 {
			s.mirrored(activities.MirrorInput{CorrelationID: own, Trail: activities.Trail{{Number: 1, EndedAt: *now}}}, errors.New("away"))
		}
		require.LessOrEqual(t, len(s.unrecorded), 2+int(2*retriedWithin/time.Second))
	}
	require.Contains(t, s.unrecorded, own)
	*now = now.Add(2 * retriedWithin)
	s.mirrored(activities.MirrorInput{CorrelationID: own, Trail: activities.Trail{{Number: 1, EndedAt: *now}}}, nil)
	require.Empty(t, s.unrecorded)
}

// values are those of a metric by a label.
func values(t *testing.T, m *metrics, name, label string) map[string]float64 {
	t.Helper()
	families, err := m.registry.Gather()
	require.NoError(t, err)
	got := make(map[string]float64)
	for _, f := range families {
		for _, one := range f.GetMetric() {
			for _, l := range one.GetLabel() {
				if f.GetName() == name && l.GetName() == label {
					got[l.GetValue()] += one.GetCounter().GetValue() + one.GetGauge().GetValue()
				}
			}
		}
	}
	return got
}

// The table of metrics in docs/operations.md has exactly those that a worker serves, with
// their labels, and a count that is too old is not served. What alerts and dashboard choose
// or group by are labels of that table, or of a target.
func TestMetricsAreDocumented(t *testing.T) {
	m, err := newMetrics(new(secrets.Store))
	require.NoError(t, err)
	defer m.close()
	s := newSteps(m, slog.New(slog.DiscardHandler))
	ctx := t.Context()
	m.observe(activities.Invocation{AdapterName: "xledger"}, activities.Attempt{})
	m.tick(runlog.Tick{})
	m.drift.Record(ctx, 1)
	m.overdue.show(map[string]int64{"": 1})
	m.lastWatch.Record(ctx, 1)
	m.closed.Add(ctx, 1) // its labels, and those of refusals, have tests of their own
	m.traceFailed()
	m.stuck.show(map[string]int64{"Sync": 1})
	m.refusals.Add(ctx, 1)
	s.mirrored(activities.MirrorInput{}, nil)
	m.countQuotas(nil)
	m.countHealth(nil)
	m.ready.Store(new(bool))
	served := func() (names []string) {
		families, err := m.registry.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if strings.HasPrefix(f.GetName(), "ledgerline_") {
				names = append(names, f.GetName())
			}
		}
		return names
	}
	require.NotContains(t, served(), "ledgerline_exports")
	m.measured.set(runlog.Measurements{}, time.Now())
	require.NotContains(t, served(), "ledgerline_exports")
	m.measured.set(runlog.Measurements{}, time.Now().Add(measuredFor))
	require.Equal(t, map[string]float64{"pending": 0, "failed": 0}, values(t, m, "ledgerline_exports", "status"))
	require.Len(t, values(t, m, "ledgerline_incidents", "cause"), 5)
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	documented := make(map[string][]string)
	for _, match := range regexp.MustCompile("(?m)^\\| `(ledgerline_[a-z_]+)` \\| (?:counter|gauge|histogram)(?:: ([a-z_, ]+))? \\|").FindAllStringSubmatch(string(text), -1) {
		documented[match[1]] = strings.FieldsFunc(match[2], func(r rune) bool { return r == ',' || r == ' ' })
	}
	require.Equal(t, served(), slices.Sorted(maps.Keys(documented)))
	families, err := m.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			if !strings.HasPrefix(l.GetName(), "otel_scope_") {
				labels = append(labels, l.GetName())
			}
		}
		if want, ok := documented[f.GetName()]; ok && len(labels) > 0 {
			require.ElementsMatch(t, want, labels, f.GetName())
		}
	}

	looks := regexp.MustCompile(`by \(([a-z_, ]+)\) \((?:[a-z_]+\()*(ledgerline_[a-z_]+)`)
	seen := 0
	for _, path := range []string{"prometheus/ledgerline.rules.yaml", "grafana/ledgerline.json"} {
		text, err := os.ReadFile(filepath.Join("../../deploy", path))
		require.NoError(t, err)
		for _, match := range looks.FindAllStringSubmatch(string(text), -1) {
			name := strings.TrimSuffix(match[2], "_bucket")
			for _, label := range strings.Split(match[1], ", ") {
				require.Contains(t, append([]string{"le", "instance"}, documented[name]...), label, "%s: %s", path, match[0])
				seen++
			}
		}
	}
	require.Greater(t, seen, 15)
}

// A count that takes long is made rarely, and never so rarely that nobody would see a change.
func TestPauseAfter(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		0: measureEvery, 300 * time.Millisecond: measureEvery, 2 * time.Second: 200 * time.Second, 10 * time.Second: measureRarely,
	} {
		require.Equal(t, want, pauseAfter(took), took)
	}
}
