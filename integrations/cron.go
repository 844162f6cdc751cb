package integrations

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxCron is the longest cron that is taken, in bytes.
const maxCron = 100

// cronFields are a cron's, in order.
var cronFields = []struct {
	name     string
	min, max int
	names    []string // three letters each, the first for min
}{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of the month", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"day of the week", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

// parseCron reads the five fields of a cron: *, 5, 1-5, */15, 8-18/2, lists of
// these, and names of months and weekdays; 7 is Sunday as 0 is.
//
// It is read here and handed to Temporal as a calendar, because what programs
// make of a cron differs. One that restricts both the day of the month and the
// day of the week is refused for that reason: most take it for either of them,
// Temporal for both at once.
func parseCron(text string) (c Calendar, err error) {
	fields := strings.Fields(text)
	switch {
	case strings.HasPrefix(text, "@every"):
		return c, errors.New("@every counts from when the schedule was made and not by the clock; want five fields such as 0 */6 * * *")
	case strings.HasPrefix(text, "@"):
		return c, fmt.Errorf("%s says no time; want five fields such as 30 6 * * *, or every: daily, weekly or monthly", fields[0])
	case strings.Contains(text, "TZ="):
		return c, errors.New("a time zone has its own field, timeZone; want five fields such as 30 6 * * 1-5")
	case len(text) > maxCron:
		return c, fmt.Errorf("longer than %d bytes; want five fields such as 30 6 * * 1-5", maxCron)
	case len(fields) == 6 || len(fields) == 7:
		return c, fmt.Errorf("%d fields: there are no seconds and no years; want five: minute, hour, day of the month, month, day of the week, such as 30 6 * * 1-5", len(fields))
	case len(fields) != 5:
		return c, fmt.Errorf("%d fields; want five: minute, hour, day of the month, month, day of the week, such as 30 6 * * 1-5", len(fields))
	}
	into := []*[]int{&c.Minutes, &c.Hours, &c.Days, &c.Months, &c.Weekdays}
	for i, field := range fields {
		if *into[i], err = cronField(i, field); err != nil {
			return c, err
		}
	}
	if len(c.Days) > 0 && len(c.Weekdays) > 0 {
		return c, errors.New("it names days of the month and days of the week, which some programs take for either and some for both; want * in one of the two")
	}
	if !c.fires() {
		return c, fmt.Errorf("it never fires: no month of %s has a day %s; want a day that there is", fields[3], fields[2])
	}
	return c, nil
}

// cronField reads one field. A field that matches everything gives an empty
// list where [Calendar] has a meaning for that.
func cronField(i int, text string) ([]int, error) {
	f := cronFields[i]
	invalid := func(part string) error {
		return fmt.Errorf("%s %q; want %d to %d, *, a range 1-5, a step */2 or 1-5/2, or a list of these", f.name, part, f.min, f.max)
	}
	number := func(s string) (int, bool) {
		if at := slices.Index(f.names, strings.ToLower(s)); at >= 0 {
			return f.min + at, true
		}
		n, err := strconv.Atoi(s)
		return n, err == nil && len(s) <= 2 && n >= f.min && n <= f.max && s[0] != '+'
	}
	seen := make(map[int]bool)
	for part := range strings.SplitSeq(text, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		first, last, step := f.min, f.max, 1
		if span != "*" {
			a, b, isRange := strings.Cut(span, "-")
			var ok, okLast bool
			first, ok = number(a)
			last, okLast = first, ok
			if isRange {
				last, okLast = number(b)
			}
			if !ok || !okLast || last < first || stepped && !isRange {
				return nil, invalid(part)
			}
		}
		if stepped {
			n, err := strconv.Atoi(stepText)
			if err != nil || n < 1 || n > f.max || len(stepText) > 2 {
				return nil, invalid(part)
			}
			step = n
		}
		for n := first; n <= last; n += step {
			if f.max == 7 {
				seen[n%7] = true
			} else {
				seen[n] = true
			}
		}
	}
	all := make([]int, 0, len(seen))
	for n := f.min; n <= f.max; n++ {
		if seen[n] {
			all = append(all, n)
		}
	}
	if every := f.max - f.min + 1; i >= 2 && (len(all) == every || f.max == 7 && len(all) == 7) {
		return nil, nil
	}
	return all, nil
}

// fires reports whether there is any date on which the calendar fires. Four
// years have every date there is.
func (c Calendar) fires() bool {
	for day := time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC); day.Year() < 2028; day = day.AddDate(0, 0, 1) {
		if c.on(day, day.Weekday()) {
			return true
		}
	}
	return false
}
