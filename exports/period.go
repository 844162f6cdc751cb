package exports

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var week = regexp.MustCompile(`^(\d{4})-W(\d{2})$`)

// HasEnded reports whether a period has, of which end is the first day after it. today is the
// date where the organization is: a day is over at another moment in each time zone.
func HasEnded(end, today time.Time) bool { return !end.After(today) }

// Due says why a period is not to be exported now, and the one thing to do about it; nil if
// it is. One that has begun and not ended is exported only if that is asked for. today is the
// date where the organization is.
func Due(period string, start, end, today time.Time, unfinished bool) error {
	switch {
	case start.After(today):
		return fmt.Errorf("period %s has not begun, and nothing can be exported for it before %s: give a period that has ended", period, Day(start))
	case !HasEnded(end, today) && !unfinished:
		return fmt.Errorf("period %s ends on %s: export it after that, or add --unfinished to export what is there now; entries that come later then go with the next period",
			period, Day(end.AddDate(0, 0, -1)))
	}
	return nil
}

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
	ByMonth PeriodKind = "month"
	ByWeek  PeriodKind = "week"
	ByDay   PeriodKind = "day"
)

// KindOfPeriod is the kind of a period that [ParsePeriod] reads.
func KindOfPeriod(period string) PeriodKind {
	switch {
	case week.MatchString(period):
		return ByWeek
	case len(period) == len(time.DateOnly):
		return ByDay
	}
	return ByMonth
}

// Containing is the period of a kind that has a day.
func (k PeriodKind) Containing(day time.Time) string {
	switch k {
	case ByWeek:
		year, number := day.ISOWeek()
		return fmt.Sprintf("%04d-W%02d", year, number)
	case ByDay:
		return day.Format(time.DateOnly)
	}
	return day.Format("2006-01")
}

// PeriodName is a period as people say it: "October 2026", "week 45 of 2026" or
// "23 November 2026"; what is no period stays as it is.
func PeriodName(period string) string {
	start, _, err := ParsePeriod(period)
	switch year, number, isWeek := strings.Cut(period, "-W"); {
	case err != nil:
		return period
	case isWeek:
		return "week " + strings.TrimPrefix(number, "0") + " of " + year
	case len(period) == len("2026-10"):
		return start.Format("January 2006")
	}
	return Day(start)
}

// PeriodDays are the days from start to before end as people write them:
// "1–31 October 2026", "28 September – 4 October 2026", "23 November 2026".
func PeriodDays(start, end time.Time) string {
	last := end.AddDate(0, 0, -1)
	switch {
	case !last.After(start):
		return Day(start)
	case start.Year() != last.Year():
		return Day(start) + " – " + Day(last)
	case start.Month() != last.Month():
		return start.Format("2 January") + " – " + Day(last)
	}
	return start.Format("2") + "–" + Day(last)
}

// Day is a day of the calendar as people write it: "31 October 2026".
func Day(t time.Time) string { return t.Format("2 January 2006") }
