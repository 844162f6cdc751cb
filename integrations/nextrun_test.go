package integrations_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
)

// The next run of each kind of schedule, and the period that it exports; also over the end
// of a year and the night in which the clocks change.
func TestNextRun(t *testing.T) {
	monthly := integrations.Schedule{Every: integrations.Monthly, Day: 3, Hour: 6, Minute: 30, TimeZone: "Europe/Oslo"}
	weekly := integrations.Schedule{Every: integrations.Weekly, Day: 7, Hour: 2, Minute: 30, TimeZone: "Europe/Oslo"}
	cron := integrations.Schedule{Cron: "0 6 3 * *", PeriodRule: integrations.MonthBefore, TimeZone: "UTC"}
	for _, c := range []struct {
		name     string
		schedule *integrations.Schedule
		from     string
		at       string // "" is none
		period   string
	}{
		{"none", nil, "2026-11-01T00:00:00Z", "", ""},
		{"monthly", &monthly, "2026-11-01T00:00:00Z", "2026-11-03T06:30:00+01:00", "2026-10"},
		{"monthly, at its time", &monthly, "2026-11-03T05:30:00Z", "2026-11-03T06:30:00+01:00", "2026-10"},
		{"monthly, after its time", &monthly, "2026-12-03T05:30:01Z", "2027-01-03T06:30:00+01:00", "2026-12"},
		{"monthly, in summer", &monthly, "2026-06-30T00:00:00Z", "2026-07-03T06:30:00+02:00", "2026-06"},
		{"weekly, in the missing hour", &weekly, "2026-03-28T00:00:00Z", "2026-04-05T02:30:00+02:00", "2026-W13"},
		{"cron", &cron, "2026-11-05T00:00:00Z", "2026-12-03T06:00:00Z", "2026-11"},
		{"unusable", &integrations.Schedule{Every: "hourly", TimeZone: "UTC"}, "2026-11-05T00:00:00Z", "", ""},
		{"no such zone", &integrations.Schedule{Every: integrations.Daily, TimeZone: "Mars/Base"}, "2026-11-05T00:00:00Z", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			run, ok := integrations.Integration{Schedule: c.schedule}.NextRun(instant(t, c.from))
			require.Equal(t, c.at != "", ok)
			if ok {
				require.Equal(t, []string{c.at, c.period}, []string{run.At.Format(time.RFC3339), run.Period})
			}
		})
	}
}

// The run that will take a period, which need not be the next one.
func TestNextRunFor(t *testing.T) {
	s := integrations.Schedule{Every: integrations.Monthly, Day: 3, Hour: 6, Minute: 30, TimeZone: "Europe/Oslo"}
	from := instant(t, "2026-11-27T15:00:00Z")
	run, ok := s.NextRunFor("2026-12", from)
	require.True(t, ok)
	require.Equal(t, "2027-01-03T06:30:00+01:00", run.At.Format(time.RFC3339))
	_, ok = s.NextRunFor("2026-10", from)
	require.False(t, ok, "the firing of October is over")
	_, ok = s.NextRunFor("2026-W50", from)
	require.False(t, ok, "not one of its periods")
}

func TestScheduleInWords(t *testing.T) {
	for want, s := range map[string]integrations.Schedule{
		"every day at 06:05 (UTC)":                       {Every: integrations.Daily, Hour: 6, Minute: 5, TimeZone: "UTC"},
		"every Sunday at 00:00 (Europe/Oslo)":            {Every: integrations.Weekly, Day: 7, TimeZone: "Europe/Oslo"},
		"every month on the 1st at 06:30 (Europe/Oslo)":  {Every: integrations.Monthly, Day: 1, Hour: 6, Minute: 30, TimeZone: "Europe/Oslo"},
		"every month on the 12th at 06:30 (Europe/Oslo)": {Every: integrations.Monthly, Day: 12, Hour: 6, Minute: 30, TimeZone: "Europe/Oslo"},
		"every month on the 23rd at 06:30 (Europe/Oslo)": {Every: integrations.Monthly, Day: 23, Hour: 6, Minute: 30, TimeZone: "Europe/Oslo"},
		"by cron 0 6 * * 1-5 (UTC)":                      {Cron: "0 6 * * 1-5", PeriodRule: integrations.DayBefore, TimeZone: "UTC"},
	} {
		require.Equal(t, want, s.InWords())
	}
}
