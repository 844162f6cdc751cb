package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/runlog"
)

// The table and JSON show the same, and a state that nobody keeps up to date is
// not shown as if it were current.
func TestPrintHealth(t *testing.T) {
	at := func(d time.Duration) *time.Time { at := time.Now().Add(d); return &at }
	percent := 81
	seen := healthSeen{used: make(map[uuid.UUID]quotaUsed)}
	for _, h := range []runlog.Health{
		{Name: "current", NextProbeAt: at(-time.Minute)},
		{Name: "dead", NextProbeAt: at(-3 * time.Hour)},
		{Name: "stopped", NextProbeAt: at(-3 * time.Hour), Pause: &runlog.Pause{By: "kari", Reason: "x"}},
		{Name: "unprobed"},
	} {
		h.IntegrationID, h.Adapter, h.Record = uuid.New(), "xledger", &health.Record{State: health.Healthy, Since: time.Now()}
		seen.list = append(seen.list, h)
	}
	seen.used[seen.list[0].IntegrationID] = quotaUsed{Month: "2026-11", Requests: 81, Limit: 100, Percent: &percent}
	var out bytes.Buffer
	require.NoError(t, (&app{output: "table"}).printHealth(&out, seen))
	require.Regexp(t, `current +xledger +healthy +.* in 0s +81 %`, out.String())
	require.Regexp(t, `dead +xledger +healthy \(stale\) +.* was due 3h ago`, out.String())
	require.Regexp(t, `stopped +xledger +paused `, out.String())
	require.Regexp(t, `unprobed +xledger +healthy +[^(]*\n`, out.String())
	out.Reset()
	require.NoError(t, (&app{output: "json"}).printHealth(&out, seen))
	var list []struct {
		Name, State string
		Stale       bool
		Quota       *quotaUsed
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &list))
	for i, want := range []bool{false, true, false, false} {
		require.Equal(t, want, list[i].Stale, list[i].Name)
	}
	require.Equal(t, "healthy", list[1].State)
	require.Equal(t, seen.used[seen.list[0].IntegrationID], *list[0].Quota)
	require.Nil(t, list[1].Quota)
}

func TestHistoryTable(t *testing.T) {
	at := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	require.Equal(t, [][]string{
		{"AT", "ENTRY", "KIND", "CHANGE", "SOURCE", "COUNT", "LATENCY"},
		{"2026-11-24T08:00:00Z", "observation", "dns", "-", "call", "3", "12ms"},
		{"2026-11-24T08:00:00Z", "change", "dns", "healthy > degraded", "-", "-", "-"},
	}, historyTable([]runlog.HealthEntry{
		{Entry: "observation", At: at, Kind: classify.DNS, Source: health.Call, Count: 3, Latency: 12 * time.Millisecond},
		{Entry: "change", At: at, Kind: classify.DNS, From: health.Healthy, To: health.Degraded},
	}))
}
