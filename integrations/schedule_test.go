package integrations_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return at
}

// The period of a scheduled time, by the calendar of Oslo: also in the nights
// in which an hour is missing or comes twice, and around midnight UTC.
func TestSchedulePeriod(t *testing.T) {
	for _, c := range []struct {
		every    integrations.Frequency
		at, want string
	}{
		{"daily", "2026-11-23T05:30:00Z", "2026-11-22"},
		{"daily", "2026-11-22T23:30:00Z", "2026-11-22"}, // half past midnight in Oslo
		{"daily", "2026-03-29T00:30:00Z", "2026-03-28"}, // the clocks go forward
		{"daily", "2026-03-29T01:30:00Z", "2026-03-28"},
		{"daily", "2026-10-25T00:30:00Z", "2026-10-24"}, // and back: both half past twos
		{"daily", "2026-10-25T01:30:00Z", "2026-10-24"},
		{"daily", "2028-03-01T05:00:00Z", "2028-02-29"},
		{"daily", "2026-03-01T05:00:00Z", "2026-02-28"},
		{"daily", "2026-12-31T23:30:00Z", "2026-12-31"},
		{"weekly", "2026-11-23T05:30:00Z", "2026-W47"},
		{"weekly", "2027-01-04T05:30:00Z", "2026-W53"},
		{"weekly", "2021-01-10T22:59:00Z", "2020-W53"}, // Sunday, a minute before midnight
		{"weekly", "2021-01-10T23:00:00Z", "2021-W01"}, // Monday
		{"weekly", "2027-01-11T05:30:00Z", "2027-W01"},
		{"monthly", "2026-11-03T05:30:00Z", "2026-10"},
		{"monthly", "2027-01-01T05:30:00Z", "2026-12"},
		{"monthly", "2026-10-31T23:30:00Z", "2026-10"}, // the first of November in Oslo
		{"monthly", "2026-03-31T21:59:00Z", "2026-02"}, // a minute before April, summer time
		{"monthly", "2026-03-31T22:00:00Z", "2026-03"},
		{"monthly", "2028-03-01T05:30:00Z", "2028-02"},
	} {
		got, err := integrations.Schedule{Every: c.every, TimeZone: "Europe/Oslo"}.Period(instant(t, c.at))
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%s at %s", c.every, c.at)
		_, _, err = exports.ParsePeriod(got)
		require.NoError(t, err)
	}
	_, err := integrations.Schedule{Every: integrations.Daily, TimeZone: "Mars/Base"}.Period(time.Now())
	require.Error(t, err)
	_, err = integrations.Schedule{Every: "hourly", TimeZone: "UTC"}.Period(time.Now())
	require.Error(t, err)
}

// What a cron or a preset exports is a rule of its own.
func TestPeriodRule(t *testing.T) {
	at := instant(t, "2027-01-04T05:30:00Z")
	for rule, want := range map[integrations.PeriodRule]string{
		integrations.DayBefore: "2027-01-03", integrations.WeekBefore: "2026-W53", integrations.MonthBefore: "2026-12",
	} {
		for _, s := range []integrations.Schedule{
			{Cron: "30 6 * * 1-5", TimeZone: "Europe/Oslo", PeriodRule: rule}, {Every: integrations.Daily, TimeZone: "Europe/Oslo", PeriodRule: rule},
		} {
			got, err := s.Period(at)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	}
	_, err := integrations.Schedule{Cron: "30 6 * * *", TimeZone: "UTC"}.Period(at)
	require.ErrorContains(t, err, "want daily")
}

// Rows and workflow inputs of before there were crons and rules mean what they
// meant.
func TestScheduleOfBefore(t *testing.T) {
	var s integrations.Schedule
	require.NoError(t, json.Unmarshal([]byte(`{"every":"monthly","hour":6,"minute":30,"day":3,"timeZone":"Europe/Oslo"}`), &s))
	require.Equal(t, "monthly on day 3 at 06:30 Europe/Oslo", s.String())
	require.Equal(t, []any{integrations.MonthBefore, integrations.BufferAll, 720 * time.Hour, 30 * time.Second, 5 * time.Minute},
		[]any{s.Rule(), s.OverlapRule(), s.CatchUpWindow(), s.WarmUpLead(), s.DriftThresholdOrDefault()})
	require.Equal(t, "2026-12-03 06:30", s.Next(instant(t, "2026-11-24T00:00:00Z"), 1)[0].Format("2006-01-02 15:04"))
	again, err := json.Marshal(s)
	require.NoError(t, err)
	require.JSONEq(t, `{"every":"monthly","hour":6,"minute":30,"day":3,"timeZone":"Europe/Oslo"}`, string(again))
}

func parseSchedule(schedule string) (*integrations.Schedule, error) {
	src := strings.Replace(good, "    credentials: {token", "    schedule: "+schedule+"\n    credentials: {token", 1)
	list, err := integrations.Parse("x.yaml", []byte(src), integrations.Options{})
	if err != nil {
		return nil, err
	}
	return list[0].Schedule, nil
}

func TestScheduleInFile(t *testing.T) {
	for text, want := range map[string]string{
		`{every: daily, at: "06:30"}`:                     "daily at 06:30 Europe/Oslo",
		`{every: weekly, at: "00:05", day: friday}`:       "weekly on friday at 00:05 Europe/Oslo",
		`{every: monthly, at: "23:59", day: 28}`:          "monthly on day 28 at 23:59 Europe/Oslo",
		`{every: monthly, at: "6:05", timeZone: Etc/UTC}`: "monthly on day 1 at 06:05 Etc/UTC",
		`{every: daily, at: "06:30", period: month}`:      "daily at 06:30 Europe/Oslo, exports the month before",
		`{cron: " 30 6 * *  1-5", period: day}`:           "cron 30 6 * * 1-5 Europe/Oslo, exports the day before",
		// Defaults that are written out are as if they were not.
		`{every: daily, at: "06:30", period: day, overlap: buffer_all, catchUp: 720h, warmUp: 30s, driftThreshold: 5m}`: "daily at 06:30 Europe/Oslo",
		`{every: daily, at: "06:30", overlap: skip, catchUp: 90m, warmUp: 0s, driftThreshold: 24h}`:                     "daily at 06:30 Europe/Oslo, overlap skip, catch-up 1h30m, warm-up off, drift 24h",
	} {
		s, err := parseSchedule(text)
		require.NoError(t, err, text)
		require.Equal(t, want, s.String())
	}
	s, err := parseSchedule(`{every: daily, at: "06:30", warmUp: 0s}`)
	require.NoError(t, err)
	require.Equal(t, integrations.NoWarmUp, s.WarmUp)
	require.Zero(t, s.WarmUpLead())
	for text, says := range map[string]string{
		`{every: hourly, at: "06:30"}`:                      "x.yaml:7:23: integrations[0].schedule.every",
		`{every: daily}`:                                    "schedule.at: missing",
		`{every: daily, at: "24:00"}`:                       "schedule.at",
		`{every: monthly, at: "1:00", day: 31}`:             "want a day from 1 to 28",
		`{every: daily, at: "1:00", day: 3}`:                "a daily schedule has none",
		`{every: weekly, at: "1:00", day: 8}`:               "day of the week",
		`{every: daily, at: "1:00", timeZone: Oslo}`:        "IANA",
		`{every: daily, at: "1:00", timeZone: Europe/Olso}`: `x.yaml:7:52: integrations[0].schedule.timeZone: "Europe/Olso"`,
		`daily`:        "want a mapping",
		`{at: "1:00"}`: "want every (daily, weekly or monthly) or cron",
		`{every: daily, at: "1:00", cron: "0 1 * * *"}`:        "x.yaml:7:48: integrations[0].schedule.cron: stands beside every",
		`{cron: "0 1 * * *"}`:                                  "schedule.period: missing; want day, week or month",
		`{cron: "0 1 * * *", period: day, at: "1:00"}`:         "schedule.at: belongs to every",
		`{cron: "0 1 * * *", period: quarter}`:                 `"quarter"; want day, week, month`,
		`{cron: "0 6 30 2 *", period: month}`:                  "x.yaml:7:22: integrations[0].schedule.cron: \"0 6 30 2 *\": it never fires",
		`{every: daily, at: "1:00", overlap: buffer-all}`:      "did you mean buffer_all?",
		`{every: daily, at: "1:00", catchUp: 59s}`:             "59s; want 1m to 8760h",
		`{every: daily, at: "1:00", catchUp: 8761h}`:           "8761h; want 1m to 8760h",
		`{every: daily, at: "1:00", catchUp: 30d}`:             "is not a duration",
		`{every: daily, at: "1:00", warmUp: -1s}`:              "-1s; want 0s to 10m",
		`{every: daily, at: "1:00", warmUp: 11m}`:              "11m; want 0s to 10m",
		`{every: daily, at: "1:00", driftThreshold: 999ms}`:    "999ms; want 1s to 24h",
		`{every: daily, at: "1:00", driftThreshold: 24h1s}`:    "24h1s; want 1s to 24h",
		`{every: daily, at: "1:00", driftThreshold: 999999h1}`: "is not a duration",
	} {
		_, err := parseSchedule(text)
		require.ErrorContains(t, err, says, text)
	}
}
