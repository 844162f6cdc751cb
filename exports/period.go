package exports

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

var week = regexp.MustCompile(`^(\d{4})-W(\d{2})$`)

// Due says why a period is not to be exported now, and the one thing to do about it; nil if
// it is. One that has begun and not ended is exported only if that is asked for. A day is
// over at another time in each time zone, so a day is granted.
func Due(period string, start, end, now time.Time, unfinished bool) error {
	const prose = "2 January 2006"
	switch {
	case start.After(now.AddDate(0, 0, 1)):
		return fmt.Errorf("period %s has not begun, and nothing can be exported for it before %s: give a period that has ended", period, start.Format(prose))
	case end.After(now) && !unfinished:
		return fmt.Errorf("period %s ends on %s: export it after that, or add --unfinished to export what is there now; entries that come later then go with the next period",
			period, end.AddDate(0, 0, -1).Format(prose))
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
