package exports

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

var week = regexp.MustCompile(`^(\d{4})-W(\d{2})$`)

// ParsePeriod reads an accounting period: a month "2026-10", an ISO week
// "2026-W45", or a day "2026-11-23". It returns its first day and the first
// day after it, at 00:00 UTC: days of the calendar, which have no time zone.
func ParsePeriod(s string) (start, end time.Time, err error) {
	if t, err := time.Parse("2006-01-02", s); err == nil {
		return t, t.AddDate(0, 0, 1), nil
	}
	if t, err := time.Parse("2006-01", s); err == nil {
		return t, t.AddDate(0, 1, 0), nil
	}
	if m := week.FindStringSubmatch(s); m != nil {
		year, _ := strconv.Atoi(m[1])
		number, _ := strconv.Atoi(m[2])
		// The fourth of January is always in week 1.
		start := time.Date(year, 1, 4, 0, 0, 0, 0, time.UTC)
		start = start.AddDate(0, 0, -int(start.Weekday()+6)%7+7*(number-1))
		if y, w := start.ISOWeek(); y == year && w == number {
			return start, start.AddDate(0, 0, 7), nil
		}
	}
	return start, end, fmt.Errorf("period %q: want a month 2026-10, an ISO week 2026-W45 or a day 2026-11-23", s)
}

// PeriodKind is what a period is: a month, an ISO week or a day.
type PeriodKind string

// The kinds.
const (
	Month PeriodKind = "month"
	Week  PeriodKind = "week"
	Day   PeriodKind = "day"
)

// KindOfPeriod is the kind of a period that [ParsePeriod] reads.
func KindOfPeriod(period string) PeriodKind {
	switch {
	case week.MatchString(period):
		return Week
	case len(period) == len(time.DateOnly):
		return Day
	}
	return Month
}

// Containing is the period of a kind that has a day.
func (k PeriodKind) Containing(day time.Time) string {
	switch k {
	case Week:
		year, number := day.ISOWeek()
		return fmt.Sprintf("%04d-W%02d", year, number)
	case Day:
		return day.Format(time.DateOnly)
	}
	return day.Format("2006-01")
}

// PeriodInWords writes a period as people do: "October 2026", "week 45 of 2026",
// "23 November 2026". What is no period stays as it is.
func PeriodInWords(period string) string {
	start, _, err := ParsePeriod(period)
	if err != nil {
		return period
	}
	switch KindOfPeriod(period) {
	case Week:
		year, number := start.ISOWeek()
		return fmt.Sprintf("week %d of %d", number, year)
	case Day:
		return start.Format("2 January 2006")
	}
	return start.Format("January 2006")
}
