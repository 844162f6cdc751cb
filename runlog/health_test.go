package runlog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// watch applies an observation to a record and stores what came of it.
func watch(t *testing.T, b base, organization, integration uuid.UUID, r health.Record, seen ...health.Observation) (health.Record, health.Update) {
	t.Helper()
	u := health.Update{Observations: seen}
	for _, o := range seen {
		var changes []health.Change
		r, changes = r.Apply(o)
		u.Changes = append(u.Changes, changes...)
	}
	u.Record = r
	if at, ok := r.NextProbe(health.Policy{}, integration.String(), time.Now()); ok {
		u.NextProbeAt = at
		u.ProbeInterval, _ = r.Wait(health.Policy{})
	}
	require.NoError(t, runlog.RecordHealth(t.Context(), b.worker, organization, integration, u))
	return r, u
}

func TestHealthComesBackAsItWas(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	w, err := runlog.MonitoredIntegration(t.Context(), b.worker, organization, integration)
	require.NoError(t, err)
	require.Nil(t, w.Record)
	list, err := runlog.ListHealth(t.Context(), b.operator, organization)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Nil(t, list[0].Record)

	now := time.Now().UTC().Truncate(time.Microsecond)
	r, u := watch(t, b, organization, integration, health.New(now, health.Policy{}),
		health.Observation{At: now, Kind: classify.OK, Source: health.Call, Count: 3, Latency: 12 * time.Millisecond},
		health.Observation{At: now.Add(time.Second), Kind: classify.Unavailable, Source: health.Probe, Latency: time.Second})
	require.NoError(t, runlog.RecordHealth(t.Context(), b.worker, organization, integration, u), "again")
	w, err = runlog.MonitoredIntegration(t.Context(), b.worker, organization, integration)
	require.NoError(t, err)
	require.Equal(t, "xledger", w.Adapter)
	for _, at := range []*time.Time{&w.Record.Since, &w.Record.LastSuccessAt, &w.Record.LastFailureAt, &w.Record.Evidence} {
		*at = at.UTC()
	}
	require.Equal(t, r, *w.Record)
	list, err = runlog.ListHealth(t.Context(), b.reader, organization)
	require.NoError(t, err)
	require.Equal(t, 30*time.Minute, list[0].ProbeInterval)
	require.WithinDuration(t, u.NextProbeAt, *list[0].NextProbeAt, time.Millisecond)

	for late, want := range map[string]bool{"1 minute": false, "4 minutes": true} {
		_, err := b.admin.Exec(t.Context(), "UPDATE ledgerline.integration_health SET next_probe_at = now() - $1::text::interval", late)
		require.NoError(t, err)
		listed, err := runlog.ListMonitorTargets(t.Context(), b.worker, organization)
		require.NoError(t, err)
		require.Equal(t, want, listed[0].Overdue, late)
	}

	history, err := runlog.ListHealthHistory(t.Context(), b.operator, organization, integration)
	require.NoError(t, err)
	var entries []string
	for _, h := range history {
		entries = append(entries, fmt.Sprintf("%s %d %s %s>%s %s %d %v", h.Type, h.Number, h.Kind, h.From, h.To, h.Source, h.Count, h.Latency))
	}
	require.Equal(t, []string{
		"observation 1 ok > call 3 12ms", "change 1 ok unknown>healthy  0 0s",
		"observation 2 unavailable > probe 1 1s", "change 2 unavailable healthy>degraded  0 0s",
	}, entries)

	_, err = runlog.MonitoredIntegration(t.Context(), b.worker, uuid.New(), integration)
	require.ErrorIs(t, err, runlog.ErrNotFound)
	other, _ := b.tenant(t)
	require.Error(t, runlog.RecordHealth(t.Context(), b.worker, other, integration, u), "another's integration")
}

// The history keeps the last 96 observations and every change, and neither a
// late update nor anybody else rewrites it.
func TestHealthHistoryIsBounded(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	at := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	r := health.New(at, health.Policy{})
	var late health.Update
	for i := range 250 {
		kind := classify.OK
		if i%50 == 49 {
			kind = classify.DNS
		}
		var u health.Update
		r, u = watch(t, b, organization, integration, r, health.Observation{At: at.Add(time.Duration(i) * time.Second), Kind: kind, Source: health.Call})
		if i == 100 {
			late = u
		}
	}
	require.NoError(t, runlog.RecordHealth(t.Context(), b.worker, organization, integration, late))
	history, err := runlog.ListHealthHistory(t.Context(), b.operator, organization, integration)
	require.NoError(t, err)
	count, least, changes := 0, int64(1000), 0
	for _, h := range history {
		if h.Type == runlog.HealthChange {
			changes++
			continue
		}
		count++
		least = min(least, h.Number)
	}
	require.Equal(t, []any{96, int64(155), 10}, []any{count, least, changes})
	list, err := runlog.ListHealth(t.Context(), b.operator, organization)
	require.NoError(t, err)
	require.EqualValues(t, 250, list[0].Record.Observations, "the late update changed nothing")

	for _, sql := range []string{
		"UPDATE ledgerline.integration_health_history SET kind = 'ok' WHERE entry = 'change'",
		"UPDATE ledgerline.integration_health_history SET kind = 'ok' WHERE entry = 'observation'",
	} {
		err := runlog.InOrganization(t.Context(), b.worker, organization, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), sql)
			return err
		})
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg)
		require.Equal(t, "only_older_observations_are_replaced", pg.ConstraintName)
	}
	for _, sql := range []string{
		"DELETE FROM ledgerline.integration_health_history", "DELETE FROM ledgerline.integration_health",
		"SELECT FROM ledgerline.integration_pauses", "DELETE FROM ledgerline.vendor_hosts",
	} {
		_, err := b.worker.Exec(t.Context(), sql)
		require.ErrorContains(t, err, "42501", sql)
	}
	_, err = b.operator.Exec(t.Context(), "SELECT FROM ledgerline.vendor_hosts")
	require.ErrorContains(t, err, "42501")
}

func TestVendorHosts(t *testing.T) {
	b := newBase(t)
	at, err := runlog.HostLastReached(t.Context(), b.worker, "www.xledger.net")
	require.NoError(t, err)
	require.Zero(t, at)
	now := time.Now().UTC().Truncate(time.Second)
	for _, c := range []struct{ saw, want time.Duration }{{0, 0}, {30 * time.Second, 0}, {2 * time.Minute, 2 * time.Minute}, {time.Minute, 2 * time.Minute}} {
		require.NoError(t, runlog.RecordHostReached(t.Context(), b.worker, "www.xledger.net", now.Add(c.saw)))
		at, err = runlog.HostLastReached(t.Context(), b.worker, "www.xledger.net")
		require.NoError(t, err)
		require.Equal(t, now.Add(c.want), at.UTC())
	}
}

func TestPause(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	before, err := runlog.ListMonitorTargets(t.Context(), b.worker, organization)
	require.NoError(t, err)
	require.Len(t, before, 1)
	require.True(t, before[0].Doubtful)
	require.False(t, before[0].Overdue)

	p, changed, err := runlog.PauseIntegration(t.Context(), b.operator, organization, integration, "kari", "month end")
	require.NoError(t, err)
	require.True(t, changed)
	again, changed, err := runlog.PauseIntegration(t.Context(), b.operator, organization, integration, "ola", "too")
	require.NoError(t, err)
	require.False(t, changed)
	require.Equal(t, "kari", again.By)
	got, err := runlog.LoadPause(t.Context(), b.worker, organization, integration)
	require.NoError(t, err)
	require.Equal(t, []string{p.By, p.Reason}, []string{got.By, got.Reason})
	require.True(t, p.At.Equal(got.At))
	all, err := runlog.ListPauses(t.Context(), b.worker, organization)
	require.NoError(t, err)
	require.Equal(t, map[uuid.UUID]runlog.Pause{integration: *got}, all)
	during, err := runlog.ListMonitorTargets(t.Context(), b.worker, organization)
	require.NoError(t, err)
	require.NotEqual(t, before[0].Version, during[0].Version, "its monitor must look again")
	w, err := runlog.MonitoredIntegration(t.Context(), b.worker, organization, integration)
	require.NoError(t, err)
	require.True(t, w.Paused)

	was, err := runlog.ResumeIntegration(t.Context(), b.operator, organization, integration, "ola", "done")
	require.NoError(t, err)
	require.Equal(t, "kari", was.By)
	was, err = runlog.ResumeIntegration(t.Context(), b.operator, organization, integration, "ola", "done")
	require.NoError(t, err)
	require.Nil(t, was)
	got, err = runlog.LoadPause(t.Context(), b.worker, organization, integration)
	require.NoError(t, err)
	require.Nil(t, got)
	all, err = runlog.ListPauses(t.Context(), b.worker, organization)
	require.NoError(t, err)
	require.Empty(t, all)

	rows, err := b.admin.Query(t.Context(), "SELECT action || ' ' || actor || ': ' || reason FROM ledgerline.integration_pauses WHERE integration_id = $1 ORDER BY at", integration)
	require.NoError(t, err)
	audit, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"pause kari: month end", "resume ola: done"}, audit)

	_, err = runlog.LoadPause(t.Context(), b.worker, uuid.New(), integration)
	require.ErrorIs(t, err, runlog.ErrNotFound)
	_, _, err = runlog.PauseIntegration(t.Context(), b.operator, uuid.New(), integration, "x", "y")
	require.ErrorIs(t, err, runlog.ErrNotFound)
	_, _, err = runlog.PauseIntegration(t.Context(), b.worker, organization, integration, "x", "y")
	require.ErrorContains(t, err, "42501", "the worker cannot pause")
}

// How an integration is watched is part of its file.
func TestApplyHealth(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	in := example(organization, integration, "main")
	in.Health = health.Policy{Interval: time.Hour, NoProbes: true}
	for _, want := range []runlog.ApplyAction{runlog.ActionUpdated, runlog.ActionUnchanged} {
		changes, err := runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{in}, runlog.ApplyOptions{By: "kari"})
		require.NoError(t, err)
		require.Equal(t, want, changes[0].Action)
	}
	stored, err := runlog.LoadIntegration(t.Context(), b.worker, organization, integration)
	require.NoError(t, err)
	require.Equal(t, in.Health, stored.Health)
	all, err := runlog.ListOrganizations(t.Context(), b.operator)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{organization}, all)
}
