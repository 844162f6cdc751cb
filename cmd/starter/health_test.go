package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/when"
)

// The table and JSON show the same, and a state that nobody keeps up to date is
// not shown as if it were current.
func TestPrintHealth(t *testing.T) {
	at := func(d time.Duration) *time.Time { at := time.Now().Add(d); return &at }
	percent := 81
	seen := healthReport{used: make(map[uuid.UUID]quotaUse)}
	for _, h := range []runlog.HealthStatus{
		{Name: "current", NextProbeAt: at(-time.Minute)},
		{Name: "dead", NextProbeAt: at(-3 * time.Hour)},
		{Name: "stopped", NextProbeAt: at(-3 * time.Hour), Pause: &runlog.Pause{By: "kari", Reason: "x"}},
		{Name: "unprobed"},
	} {
		h.IntegrationID, h.Adapter, h.Record = uuid.New(), "xledger", &health.Record{State: health.Healthy, Since: time.Now()}
		seen.list = append(seen.list, h)
	}
	seen.used[seen.list[0].IntegrationID] = quotaUse{Month: "2026-11", Requests: 81, Limit: 100, Percent: &percent}
	var out bytes.Buffer
	require.NoError(t, (&app{output: outputTable}).printHealth(&out, seen))
	require.Regexp(t, `current +xledger +healthy +.* in 0s +81 %`, out.String())
	require.Regexp(t, `dead +xledger +healthy \(stale\) +.* was due 3h ago`, out.String())
	require.Regexp(t, `stopped +xledger +paused `, out.String())
	require.Regexp(t, `unprobed +xledger +healthy +[^(]*\n`, out.String())
	out.Reset()
	require.NoError(t, (&app{output: outputJSON}).printHealth(&out, seen))
	var list []struct {
		Name, State string
		Stale       bool
		Quota       *quotaUse
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &list))
	for i, want := range []bool{false, true, false, false} {
		require.Equal(t, want, list[i].Stale, list[i].Name)
	}
	require.Equal(t, "healthy", list[1].State)
	require.Equal(t, seen.used[seen.list[0].IntegrationID], *list[0].Quota)
	require.Nil(t, list[1].Quota)
}

// The table, JSON and the lines of --watch show the secret that ends first, and
// an expired one says so.
func TestPrintSecrets(t *testing.T) {
	now := time.Date(2026, 11, 26, 20, 0, 0, 0, time.UTC)
	until := func(day string) *expiry.Secret {
		end, err := expiry.Date(day)
		require.NoError(t, err)
		return &expiry.Secret{Credential: "clientSecret", Source: expiry.File, ExpiresAt: end}
	}
	seen := healthReport{at: now}
	for _, h := range []runlog.HealthStatus{
		{Name: "soon", Secret: until("2026-12-08")},
		{Name: "far", Secret: until("2027-06-01")},
		{Name: "late", Secret: until("2026-11-23"), Pause: &runlog.Pause{By: "kari", Reason: "x"}},
		{Name: "unknown"},
	} {
		h.Adapter, h.Record = "dataverse", &health.Record{State: health.Healthy, Since: time.Now()}
		seen.list = append(seen.list, h)
	}
	var out bytes.Buffer
	require.NoError(t, (&app{output: outputTable}).printHealth(&out, seen))
	require.Regexp(t, `QUOTA +SECRET\n`, out.String())
	require.Regexp(t, `soon .* clientSecret expires in 12 days \(2026-12-08\)\n`, out.String())
	require.Regexp(t, `far .* clientSecret until 2027-06-01\n`, out.String())
	require.Regexp(t, `late .* clientSecret expired 3 days ago \(2026-11-23\)\n`, out.String())
	require.Regexp(t, `unknown .* -\n`, out.String())

	out.Reset()
	require.NoError(t, (&app{output: outputJSON}).printHealth(&out, seen))
	var list []struct {
		Secret *struct {
			Credential, Source, Summary string
			ExpiresAt                   time.Time
			DaysLeft                    int
			Expired                     bool
		}
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &list))
	require.Equal(t, "secret clientSecret expires in 12 days (2026-12-08)", list[0].Secret.Summary)
	require.Equal(t, []any{"clientSecret", "file", 12, false}, []any{list[0].Secret.Credential, list[0].Secret.Source, list[0].Secret.DaysLeft, list[0].Secret.Expired})
	require.Equal(t, time.Date(2026, 12, 8, 0, 0, 0, 0, time.UTC), list[0].Secret.ExpiresAt)
	require.Equal(t, 187, list[1].Secret.DaysLeft)
	require.True(t, list[2].Secret.Expired)
	require.Equal(t, -3, list[2].Secret.DaysLeft)
	require.Nil(t, list[3].Secret)
	require.Contains(t, out.String(), `"secret": null`)

	line := func(i int, at time.Time) string {
		out.Reset()
		seen.at = at
		require.NoError(t, (&app{output: outputTable}).printChange(&out, seen, seen.list[i]))
		return out.String()
	}
	require.Contains(t, line(0, now), "soon  healthy  -  secret clientSecret expires in 12 days (2026-12-08)\n")
	require.NotContains(t, line(1, now), "secret")
	// A line is written when a threshold is reached, and not each day.
	due := func(days int) string {
		return healthReport{at: until("2026-12-08").ExpiresAt.AddDate(0, 0, -days)}.secretDue(seen.list[0])
	}
	require.Empty(t, due(31))
	require.Equal(t, due(30), due(8))
	require.NotEqual(t, due(8), due(7))
	require.NotEqual(t, due(1), due(0))
	require.Equal(t, due(0), due(-5))
}

func TestHistoryTable(t *testing.T) {
	at := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	require.Equal(t, [][]string{
		{"AT", "ENTRY", "KIND", "CHANGE", "SOURCE", "COUNT", "LATENCY"},
		{when.Local(at), "observation", "dns", "-", "call", "3", "12ms"},
		{when.Local(at), "change", "dns", "healthy > degraded", "-", "-", "-"},
	}, historyTable([]runlog.HealthEntry{
		{Type: runlog.HealthObservation, At: at, Kind: classify.DNS, Source: health.Call, Count: 3, Latency: 12 * time.Millisecond},
		{Type: runlog.HealthChange, At: at, Kind: classify.DNS, From: health.Healthy, To: health.Degraded},
	}))
}
