package integrations_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
)

func TestCron(t *testing.T) {
	for cron, want := range map[string]integrations.Calendar{
		"30 6 * * *":          {Minutes: []int{30}, Hours: []int{6}},
		"30 6 * * 1-5":        {Minutes: []int{30}, Hours: []int{6}, Weekdays: []int{1, 2, 3, 4, 5}},
		"30 6 * * mon-FRI":    {Minutes: []int{30}, Hours: []int{6}, Weekdays: []int{1, 2, 3, 4, 5}},
		"0 0 * * 0":           {Minutes: []int{0}, Hours: []int{0}, Weekdays: []int{0}},
		"0 0 * * 7":           {Minutes: []int{0}, Hours: []int{0}, Weekdays: []int{0}},
		"0 0 * * 5-7":         {Minutes: []int{0}, Hours: []int{0}, Weekdays: []int{0, 5, 6}},
		"0 0 * * 0-6":         {Minutes: []int{0}, Hours: []int{0}},
		"0 0 1-31 1-12 *":     {Minutes: []int{0}, Hours: []int{0}},
		"*/20 8-18/5 * * *":   {Minutes: []int{0, 20, 40}, Hours: []int{8, 13, 18}},
		"5,5,3 1 1,15 * *":    {Minutes: []int{3, 5}, Hours: []int{1}, Days: []int{1, 15}},
		"0 6 29 2 *":          {Minutes: []int{0}, Hours: []int{6}, Days: []int{29}, Months: []int{2}},
		"0 6 31 feb,jan * ":   {Minutes: []int{0}, Hours: []int{6}, Days: []int{31}, Months: []int{1, 2}},
		"0 6 1 jan,apr-jul *": {Minutes: []int{0}, Hours: []int{6}, Days: []int{1}, Months: []int{1, 4, 5, 6, 7}},
	} {
		got, err := integrations.Schedule{Cron: cron}.Calendar()
		require.NoError(t, err, cron)
		require.Equal(t, want, got, cron)
	}
	for cron, says := range map[string]string{
		"0 30 6 * * *":      "6 fields: there are no seconds and no years",
		"0 30 6 * * * *":    "7 fields",
		"30 6 * *":          "4 fields; want five",
		"@daily":            "@daily says no time; want five fields",
		"@every 5m":         "@every counts from when the schedule was made",
		"TZ=UTC 0 6 * * *":  "a time zone has its own field",
		"0 6 30 2 *":        "it never fires: no month of 2 has a day 30",
		"0 6 31 4,6,9,11 *": "it never fires",
		"60 6 * * *":        `minute "60"; want 0 to 59`,
		"0 24 * * *":        `hour "24"`,
		"0 6 0 * *":         `day of the month "0"`,
		"0 6 * 13 *":        `month "13"`,
		"0 6 * * 8":         `day of the week "8"`,
		"0 6 * * 5-1":       `day of the week "5-1"`,
		"0 6 * * monday":    `day of the week "monday"`,
		"0 6 ? * 1":         `day of the month "?"`,
		"0 6 L * *":         `day of the month "L"`,
		"0 6 * * 1#1":       `day of the week "1#1"`,
		"*/0 6 * * *":       `minute "*/0"`,
		"*/x 6 * * *":       `minute "*/x"`,
		"5/10 6 * * *":      `minute "5/10"`,
		"1-2-3 6 * * *":     `minute "1-2-3"`,
		"-5 6 * * *":        `minute "-5"`,
		"+5 6 * * *":        `minute "+5"`,
		"1,,2 6 * * *":      `minute ""`,
		"0 6 13 * 5":        "some programs take for either and some for both",
	} {
		_, err := integrations.Schedule{Cron: cron}.Calendar()
		require.ErrorContains(t, err, says, cron)
	}
}

func FuzzCron(f *testing.F) {
	for _, s := range []string{"30 6 * * 1-5", "*/5 * 1,2 feb *", "@every 1s", "0 0 31 2 *", "- - - - -", "/ / / / /"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := integrations.Schedule{Cron: s}.Calendar()
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		if len(c.Minutes) == 0 || len(c.Hours) == 0 {
			t.Errorf("%q: no time: %+v", s, c)
		}
		if len((integrations.Schedule{Cron: s, TimeZone: "UTC"}).Next(instant(t, "2026-11-24T00:00:00Z"), 2)) != 2 {
			t.Errorf("%q passed and does not fire", s)
		}
	})
}
