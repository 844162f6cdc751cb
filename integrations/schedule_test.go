package integrations_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
)

// The period of a scheduled time, by the calendar of Oslo: also in the nights
// in which an hour is missing or comes twice, and around midnight UTC.
func TestSchedulePeriod(t *testing.T) {
	for _, c := range []struct{ every, at, want string }{
		{"daily", "2026-11-23T05:30:00Z", "2026-11-22"},
		{"daily", "2026-11-22T23:30:00Z", "2026-11-22"}, // half past midnight in Oslo
		{"daily", "2026-03-29T00:30:00Z", "2026-03-28"}, // the clocks go forward
		{"daily", "2026-03-29T01:30:00Z", "2026-03-28"},
		{"daily", "2026-10-25T00:30:00Z", "2026-10-24"}, // and back: both half past twos
		{"daily", "2026-10-25T01:30:00Z", "2026-10-24"},
		{"daily", "2028-03-01T05:00:00Z", "2028-02-29"},
		{"daily", "2026-12-31T23:30:00Z", "2026-12-31"},
		{"weekly", "2026-11-23T05:30:00Z", "2026-W47"},
		{"weekly", "2027-01-04T05:30:00Z", "2026-W53"},
		{"weekly", "2027-01-11T05:30:00Z", "2027-W01"},
		{"monthly", "2026-11-03T05:30:00Z", "2026-10"},
		{"monthly", "2027-01-01T05:30:00Z", "2026-12"},
		{"monthly", "2026-10-31T23:30:00Z", "2026-10"}, // the first of November in Oslo
		{"monthly", "2026-03-28T05:30:00Z", "2026-02"},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		require.NoError(t, err)
		got, err := integrations.Schedule{Every: c.every, TimeZone: "Europe/Oslo"}.Period(at)
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%s at %s", c.every, c.at)
		_, _, err = integrations.Period(got)
		require.NoError(t, err)
	}
	_, err := integrations.Schedule{Every: "daily", TimeZone: "Mars/Base"}.Period(time.Now())
	require.Error(t, err)
	_, err = integrations.Schedule{Every: "hourly", TimeZone: "UTC"}.Period(time.Now())
	require.Error(t, err)
}

func TestOccurrences(t *testing.T) {
	from, to := time.Date(2026, 10, 20, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC)
	for every, want := range map[string]int{"daily": 21, "weekly": 3, "monthly": 1} {
		s := integrations.Schedule{Every: every, Hour: 6, Minute: 30, Day: 3, TimeZone: "Europe/Oslo"}
		all := s.Occurrences(from, to)
		require.Len(t, all, want, every)
		for _, at := range all {
			require.Equal(t, "06:30", at.Format("15:04"), "also after the clocks have changed")
		}
	}
}

func TestScheduleInFile(t *testing.T) {
	with := func(schedule string) (*integrations.Schedule, error) {
		list, err := integrations.Parse("x.yaml", []byte(strings.Replace(good, "    credentials: {token", "    schedule: "+schedule+"\n    credentials: {token", 1)), integrations.Options{})
		if err != nil {
			return nil, err
		}
		return list[0].Schedule, nil
	}
	for text, want := range map[string]string{
		`{every: daily, at: "06:30"}`:                     "daily at 06:30 Europe/Oslo",
		`{every: weekly, at: "00:05", day: friday}`:       "weekly on friday at 00:05 Europe/Oslo",
		`{every: monthly, at: "23:59", day: 28}`:          "monthly on day 28 at 23:59 Europe/Oslo",
		`{every: monthly, at: "6:05", timeZone: Etc/UTC}`: "monthly on day 1 at 06:05 Etc/UTC",
	} {
		s, err := with(text)
		require.NoError(t, err, text)
		require.Equal(t, want, s.String())
	}
	for text, says := range map[string]string{
		`{every: hourly, at: "06:30"}`: "schedule.every", `{every: daily}`: "schedule.at: missing", `{every: daily, at: "24:00"}`: "schedule.at",
		`{every: monthly, at: "1:00", day: 31}`: "want a day from 1 to 28", `{every: daily, at: "1:00", day: 3}`: "a daily schedule has none",
		`{every: weekly, at: "1:00", day: 8}`: "day of the week", `{every: daily, at: "1:00", timeZone: Oslo}`: "IANA", `daily`: "want a mapping",
	} {
		_, err := with(text)
		require.ErrorContains(t, err, says, text)
	}
}
