// Package when reads and writes moments as people do.
//
// People say "since two weeks", "on 31 October" or "at ten past eight", and mean their own
// clock. [Parse] and [ParseEnd] read that; what has a zone of its own, RFC 3339, is taken as
// it is. [Local] is a moment in a table: local time, with the zone beside it, because the one
// who reads it may not be the one who asked. JSON is for programs, and has UTC.
//
// The package is pure: a caller says what time it is.
package when

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// ErrMoment is returned for a text that is no moment. It says what would be one.
var ErrMoment = errors.New("want a duration such as 90m, 24h, 1d or 2w, a date such as 2026-10-31, or a time such as 2026-10-31T08:00:00Z")

// Parse reads the moment from which on something is wanted: a duration before now, a date,
// which begins at midnight in now's zone, or a time.
func Parse(s string, now time.Time) (time.Time, error) {
	t, _, err := parse(s, now)
	return t, err
}

// ParseEnd is [Parse] for the moment before which something is wanted. A date counts as a
// whole: --until 2026-10-31 has what happened on 31 October.
func ParseEnd(s string, now time.Time) (time.Time, error) {
	t, day, err := parse(s, now)
	if day {
		t = t.AddDate(0, 0, 1)
	}
	return t, err
}

// layouts are the times that are read, besides RFC 3339 in the zone of now.
var layouts = []string{"2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, "2006-01-02 15:04"}

func parse(s string, now time.Time) (t time.Time, day bool, err error) {
	if d, err := Duration(s); err == nil {
		return now.Add(-d), false, nil
	}
	if t, err = time.Parse(time.RFC3339, s); err == nil {
		return t, false, nil
	}
	if t, err = time.ParseInLocation(time.DateOnly, s, now.Location()); err == nil {
		return t, true, nil
	}
	for _, layout := range layouts {
		if t, err = time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, false, nil
		}
	}
	return time.Time{}, false, ErrMoment
}

// units are those of [Duration] that Go does not know: a day has 24 hours.
var units = map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour}

// longest is the longest duration that is read.
const longest = 100 * 365 * 24 * time.Hour

var daysFirst = regexp.MustCompile(`^([0-9]{1,6})([wd])(.*)$`)

// Duration reads a positive duration. It may begin with weeks and days: 2w, 1d12h, 90m.
func Duration(s string) (total time.Duration, err error) {
	rest := s
	for {
		m := daysFirst.FindStringSubmatch(rest)
		if m == nil {
			break
		}
		n, _ := strconv.Atoi(m[1])
		if total += time.Duration(min(n, 36500)) * units[m[2]]; total > longest {
			return 0, fmt.Errorf("%q is too long: want at most 100 years, such as 52w", s)
		}
		rest = m[3]
	}
	if rest != "" || s == "" {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 {
			return 0, fmt.Errorf("%q is no duration: want one such as 90m, 24h, 1d or 2w", s)
		}
		total += d
	}
	if total <= 0 || total > longest {
		return 0, fmt.Errorf("%q is no duration: want one such as 90m, 24h, 1d or 2w", s)
	}
	return total, nil
}

// Local is a moment as a table shows it: 2026-10-31 08:00:05 CET.
func Local(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// Clock is the time of day of a moment that is near: 08:00:05 CET. One of another day than
// now has its date.
func Clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.Format(time.DateOnly) != now.Format(time.DateOnly) {
		return Local(t)
	}
	return t.Format("15:04:05 MST")
}
