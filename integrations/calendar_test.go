package integrations_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

func clock(all []time.Time) (out []string) {
	for _, at := range all {
		out = append(out, at.Format("01-02 15:04 MST"))
	}
	return out
}

func TestOccurrences(t *testing.T) {
	from, to := time.Date(2026, 10, 20, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC)
	for every, want := range map[integrations.Frequency]int{integrations.Daily: 21, integrations.Weekly: 3, integrations.Monthly: 1} {
		s := integrations.Schedule{Every: every, Hour: 6, Minute: 30, Day: 3, TimeZone: "Europe/Oslo"}
		all := s.FiringsBetween(from, to)
		require.Len(t, all, want, every)
		for _, at := range all {
			require.Equal(t, "06:30", at.Format("15:04"), "also after the clocks have changed")
		}
	}
	s := integrations.Schedule{Every: integrations.Daily, TimeZone: "Europe/Oslo"}
	midnight := instant(t, "2026-11-24T23:00:00Z")
	require.Len(t, s.FiringsBetween(midnight, midnight.Add(time.Second)), 1, "from counts")
	require.Empty(t, s.FiringsBetween(midnight.Add(-time.Hour), midnight), "to does not")
	require.Empty(t, integrations.Schedule{Every: integrations.Daily, TimeZone: "Mars/Base"}.Next(from, 1))
	require.Empty(t, integrations.Schedule{Cron: "x", TimeZone: "UTC"}.Next(from, 1))
}

// In the night in which the clocks go forward, what is due in the missing hour
// does not fire. When they go back, it is as in Temporal, to which package e2e
// holds the same schedules.
func TestOccurrencesWhenClocksChange(t *testing.T) {
	for _, c := range []struct {
		name  string
		s     integrations.Schedule
		night string
		want  []string
	}{
		{"forward, missing", integrations.Schedule{Every: integrations.Daily, Hour: 2, Minute: 30}, "2026-03-29", nil},
		{"forward, before", integrations.Schedule{Every: integrations.Daily, Hour: 1, Minute: 59}, "2026-03-29", []string{"03-29 01:59 CET"}},
		{"forward, after", integrations.Schedule{Every: integrations.Daily, Hour: 3}, "2026-03-29", []string{"03-29 03:00 CEST"}},
		{"forward, a cron", integrations.Schedule{Cron: "0,30 1-3 * * *"}, "2026-03-29",
			[]string{"03-29 01:00 CET", "03-29 01:30 CET", "03-29 03:00 CEST", "03-29 03:30 CEST"}},
		{"back, the second one", integrations.Schedule{Every: integrations.Daily, Hour: 2, Minute: 30}, "2026-10-25", []string{"10-25 02:30 CET"}},
		{"back, before and again", integrations.Schedule{Every: integrations.Daily, Hour: 1, Minute: 59}, "2026-10-25", []string{"10-25 01:59 CEST", "10-25 02:59 CEST"}},
		{"back, well before", integrations.Schedule{Every: integrations.Daily, Minute: 59}, "2026-10-25", []string{"10-25 00:59 CEST"}},
		{"back, after", integrations.Schedule{Every: integrations.Daily, Hour: 3}, "2026-10-25", []string{"10-25 03:00 CET"}},
		{"monthly on that day", integrations.Schedule{Every: integrations.Monthly, Day: 25, Hour: 2}, "2026-10-25", []string{"10-25 02:00 CET"}},
	} {
		c.s.TimeZone = "Europe/Oslo"
		day, err := time.Parse(time.DateOnly, c.night)
		require.NoError(t, err)
		require.Equal(t, c.want, clock(c.s.FiringsBetween(day.Add(-2*time.Hour), day.Add(21*time.Hour))), c.name)
	}
}

// Over ten years each firing of a preset exports the period that follows the
// one before: nothing is left out and nothing comes twice, in whatever zone and
// whatever the clocks do at 01:00 to 03:59.
func TestPresetsCoverEveryPeriod(t *testing.T) {
	from := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, zone := range []string{"Europe/Oslo", "UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Auckland"} {
		for _, every := range []integrations.Frequency{integrations.Daily, integrations.Weekly, integrations.Monthly} {
			for _, at := range []string{"00:00", "00:59", "04:00", "06:30", "23:59"} {
				for _, day := range []int{1, 3, 7, 28} {
					if every == integrations.Daily && day > 1 || every == integrations.Weekly && day > 7 {
						continue
					}
					t.Run(fmt.Sprint(zone, every, at, day), func(t *testing.T) {
						s := integrations.Schedule{Every: every, Day: day, TimeZone: zone}
						_, err := fmt.Sscanf(at, "%d:%d", &s.Hour, &s.Minute)
						require.NoError(t, err)
						var last time.Time
						n := 0
						for _, at := range s.FiringsBetween(from, from.AddDate(10, 0, 0)) {
							period, err := s.Period(at)
							require.NoError(t, err)
							start, end, err := exports.ParsePeriod(period)
							require.NoError(t, err)
							if !last.IsZero() {
								require.True(t, start.Equal(last), "%s exports %s, and the period before ended at %s", at, period, last)
							}
							require.False(t, time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC).Before(end), "%s exports %s before it is over", at, period)
							last = end
							n++
						}
						require.GreaterOrEqual(t, n, 119)
					})
				}
			}
		}
	}
}

func TestRemarks(t *testing.T) {
	from := instant(t, "2026-11-24T12:00:00Z")
	for _, c := range []struct {
		name string
		s    integrations.Schedule
		want []string
	}{
		{"usual", integrations.Schedule{Every: integrations.Daily, Hour: 6}, nil},
		{"monthly", integrations.Schedule{Every: integrations.Monthly, Day: 3, Hour: 6}, nil},
		{"every weekday", integrations.Schedule{Cron: "30 6 * * 1-5", PeriodRule: integrations.DayBefore},
			[]string{"does not fire for every period: from 2026-11-27 to 2026-11-28 nothing is exported by itself, and the entries go with 2026-11-29, marked late"}},
		{"twice a day", integrations.Schedule{Cron: "0 6,18 * * *", PeriodRule: integrations.DayBefore},
			[]string{"fires more than once for a period, such as 2026-11-24 at 2026-11-25 18:00: the first firing exports it, the others find it exported"}},
		{"in the night", integrations.Schedule{Every: integrations.Daily, Hour: 2, Minute: 30},
			[]string{"from 2027-03-27 to 2027-03-27 nothing"}},
		{"before the hour that comes twice", integrations.Schedule{Every: integrations.Daily, Hour: 1, Minute: 30}, []string{"such as 2027-10-30 at 2027-10-31 02:30"}},
		{"no zone", integrations.Schedule{Every: integrations.Daily, TimeZone: "Mars/Base"}, nil},
	} {
		if c.s.TimeZone == "" {
			c.s.TimeZone = "Europe/Oslo"
		}
		got := c.s.Remarks(from)
		require.Len(t, got, len(c.want), "%s: %v", c.name, got)
		for i := range c.want {
			require.Contains(t, got[i], c.want[i], c.name)
		}
	}
}
