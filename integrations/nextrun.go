package integrations

import (
	"fmt"
	"time"

	"github.com/ledgerline/ledgerline/zones"
)

// Run is a firing of a schedule: when, in the schedule's time zone, and what it exports.
type Run struct {
	At     time.Time `json:"at"`
	Period string    `json:"period"`
}

// NextRun returns when the integration exports by itself next, counted from a time on. It
// is false if there is no schedule, or one that never fires. Whether something holds that
// run up, such as a pause, is not known here: see package engine.
func (i Integration) NextRun(from time.Time) (Run, bool) {
	if i.Schedule == nil {
		return Run{}, false
	}
	return i.Schedule.NextRun(from)
}

// NextRun returns when the schedule fires next, from a time on; false if never.
func (s Schedule) NextRun(from time.Time) (Run, bool) {
	return s.firstRun(from, func(string) bool { return true })
}

// NextRunFor returns the first firing, from a time on, that exports a period; false if none
// does. The firings go through the periods in order, so it looks no further than the first
// one whose period is later.
func (s Schedule) NextRunFor(period string, from time.Time) (Run, bool) {
	r, ok := s.firstRun(from, func(p string) bool { return p >= period })
	return r, ok && r.Period == period
}

func (s Schedule) firstRun(from time.Time, wanted func(period string) bool) (Run, bool) {
	for at := range s.Firings(from) {
		period, err := s.Period(at)
		if err != nil {
			return Run{}, false
		}
		if wanted(period) {
			return Run{at, period}, true
		}
	}
	return Run{}, false
}

// InWords is when the schedule fires, for a table: "every month on the 3rd at 06:30
// (Europe/Oslo)".
func (s Schedule) InWords() string {
	at := fmt.Sprintf("at %02d:%02d", s.Hour, s.Minute)
	switch {
	case s.Cron != "":
		at = "by cron " + s.Cron
	case s.Every == Daily:
		at = "every day " + at
	case s.Every == Weekly && s.Day >= 1 && s.Day <= 7:
		at = "every " + time.Weekday(s.Day%7).String() + " " + at
	case s.Every == Monthly:
		at = "every month on the " + ordinal(s.Day) + " " + at
	default:
		at = s.when()
	}
	return at + " (" + s.TimeZone + ")"
}

// ordinal writes a day of the month: 1st, 2nd, 3rd, 4th, 11th, 21st.
func ordinal(n int) string {
	ending := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			ending = "st"
		case 2:
			ending = "nd"
		case 3:
			ending = "rd"
		}
	}
	return fmt.Sprintf("%d%s", n, ending)
}

// Local returns a time in the schedule's zone; where that is not known, in UTC.
func (s Schedule) Local(at time.Time) time.Time {
	zone, err := zones.Load(s.TimeZone)
	if err != nil {
		return at.UTC()
	}
	return at.In(zone)
}
