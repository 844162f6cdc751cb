package main

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// Five minutes late is on time, a second more is not; a firing without an
// export is missed once it is no longer due.
func TestTicks(t *testing.T) {
	in := integrations.Integration{ID: uuid.New(), Name: "x", Schedule: &integrations.Schedule{Every: "daily", Hour: 6, TimeZone: "Etc/UTC"}}
	at := func(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }
	export := func(period string, started time.Time) runlog.Export {
		return runlog.Export{ID: uuid.New(), IntegrationID: in.ID, Period: period, StartedAt: started, Trigger: "manual", Status: "complete"}
	}
	exports := []runlog.Export{
		export("2026-11-01", at(2, 6).Add(5*time.Minute)), export("2026-11-02", at(3, 6).Add(5*time.Minute+time.Second)),
		export("2026-11-03", at(4, 5)), {IntegrationID: uuid.New(), Period: "2026-11-04"},
	}
	var got []string
	for _, tick := range ticksOf(in, exports, at(2, 0), at(6, 6).Add(time.Minute), false) {
		got = append(got, tick.Period+" "+tick.Result)
	}
	require.Equal(t, []string{"2026-11-01 on time", "2026-11-02 late by 5 min", "2026-11-03 earlier, by manual", "2026-11-04 missed", "2026-11-05 due"}, got)
	require.Equal(t, "paused", ticksOf(in, nil, at(2, 0), at(3, 0), true)[0].Result)
}
