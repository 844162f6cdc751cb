package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
)

func TestBackfillFirings(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	daily := integrations.Schedule{Every: integrations.Daily, TimeZone: "Europe/Oslo"}
	list, err := backfillFirings(daily, "2026-10-24", "2026-10-27", now)
	require.NoError(t, err)
	var got []string
	for _, f := range list {
		got = append(got, f.At.UTC().Format(time.RFC3339)+" "+f.Period)
	}
	require.Equal(t, []string{"2026-10-23T22:00:00Z 2026-10-23", "2026-10-24T22:00:00Z 2026-10-24", "2026-10-25T23:00:00Z 2026-10-25"}, got,
		"dates are those of the schedule's zone, over the night in which the clocks go back too")
	list, err = backfillFirings(daily, "2026-10-24T22:00:00Z", "2026-10-24T22:00:01Z", now)
	require.NoError(t, err)
	require.Len(t, list, 1)
	list, err = backfillFirings(integrations.Schedule{Cron: "0 * * * *", PeriodRule: integrations.DayBefore, TimeZone: "UTC"}, "2026-11-01", "2026-11-17T16:00:00Z", now)
	require.NoError(t, err)
	require.Len(t, list, maxBackfill)
	for _, c := range []struct{ from, to, says string }{
		{"", "2026-10-27", "--from"}, {"2026-10-24", "27.10.2026", "--to \"27.10.2026\": want a date such as 2026-10-01, in Europe/Oslo, or RFC 3339"},
		{"2026-10-24", "2026-10-24", "want a time after --from"}, {"2026-10-24", "2026-11-25", "in the future, when the schedule runs by itself; want 2026-11-24T13:00:00+01:00 or earlier"},
		{"2025-10-01", "2026-11-24", "span more than 400 runs; want fewer: --to 2026-11-05T00:00:00+01:00 has the first 400"},
		{"2026-10-24T10:00:00Z", "2026-10-24T11:00:00Z", "does not fire from"},
	} {
		_, err := backfillFirings(daily, c.from, c.to, now)
		require.ErrorContains(t, err, c.says)
	}
}

func TestProgressWithoutTerminal(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, "import", 200)
	p.set(50, "7 entries")
	require.Empty(t, out.String(), "what is quick says nothing")
	p.drawn = time.Time{}
	p.set(50, "7 entries")
	p.set(60, "8 entries")
	p.end()
	require.Equal(t, "import  25% 7 entries\n", out.String())
	p = newProgress(&out, "import", 0)
	require.Equal(t, "import 7 entries", p.line(50, "7 entries"))
	p.total, p.width = 100, 40
	require.Equal(t, "import [############............]  50%…", p.line(50, strings.Repeat("x", 40)))
}
