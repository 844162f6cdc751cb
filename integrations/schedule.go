package integrations

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/zones"
)

// Frequency is how often a schedule fires that has no cron.
type Frequency string

// The frequencies.
const (
	Daily   Frequency = "daily"
	Weekly  Frequency = "weekly"
	Monthly Frequency = "monthly"
)

// PeriodRule is which period a firing exports: the one before it.
type PeriodRule string

// The period rules.
const (
	DayBefore   PeriodRule = "day"
	WeekBefore  PeriodRule = "week"
	MonthBefore PeriodRule = "month"
)

// periodRules are those of a frequency that has no other.
var periodRules = map[Frequency]PeriodRule{Daily: DayBefore, Weekly: WeekBefore, Monthly: MonthBefore}

// OverlapRule is what happens to a firing while a run is still going.
type OverlapRule string

// The overlap rules.
const (
	BufferAll OverlapRule = "buffer_all" // it waits, and so do others
	BufferOne OverlapRule = "buffer_one" // it waits, and others are skipped
	Skip      OverlapRule = "skip"       // it is skipped
)

// Schedule says when an integration exports by itself, and with that which
// period: the day, ISO week or month that was over at the scheduled time, by
// the calendar of its time zone.
type Schedule struct {
	Every    Frequency `json:"every,omitempty"` // "" with Cron
	Hour     int       `json:"hour"`            // 0 to 23, local
	Minute   int       `json:"minute"`          // 0 to 59
	Day      int       `json:"day,omitempty"`   // weekly: 1 (Monday) to 7; monthly: 1 to 28
	Cron     string    `json:"cron,omitempty"`  // in place of Every and what belongs to it: five fields
	TimeZone string    `json:"timeZone"`        // of the IANA database

	PeriodRule     PeriodRule    `json:"period,omitempty"`         // "" follows from Every
	Overlap        OverlapRule   `json:"overlap,omitempty"`        // "" is [BufferAll]
	CatchUp        time.Duration `json:"catchUp,omitempty"`        // how far back missed firings are made up for; 0 is [DefaultCatchUp]
	WarmUp         time.Duration `json:"warmUp,omitempty"`         // how long before its time the vendor is warmed up; 0 is [defaultWarmUp], [NoWarmUp] is never
	DriftThreshold time.Duration `json:"driftThreshold,omitempty"` // how late a run may start without an alert; 0 is [defaultDriftThreshold]
}

// Defaults of a [Schedule]. A file that writes one out is stored without it, so
// that both mean, and compare, the same.
const (
	DefaultCatchUp        = 30 * 24 * time.Hour
	defaultWarmUp         = 30 * time.Second
	defaultDriftThreshold = 5 * time.Minute
)

// NoWarmUp is [Schedule.WarmUp] where a file says 0s: 0 is the default in what
// was stored before there was a choice.
const NoWarmUp time.Duration = -1

// DefaultTimeZone is where the people are who use this.
const DefaultTimeZone = "Europe/Oslo"

// CatchUpWindow is how far back missed firings are made up for.
func (s Schedule) CatchUpWindow() time.Duration { return cmp.Or(s.CatchUp, DefaultCatchUp) }

// WarmUpLead is how long before its time the vendor is warmed up; 0 is never.
func (s Schedule) WarmUpLead() time.Duration { return max(0, cmp.Or(s.WarmUp, defaultWarmUp)) }

// DriftThresholdOrDefault is how late a run may start without an alert.
func (s Schedule) DriftThresholdOrDefault() time.Duration {
	return cmp.Or(s.DriftThreshold, defaultDriftThreshold)
}

// OverlapRule is what happens to a firing while a run is still going.
func (s Schedule) OverlapRule() OverlapRule { return cmp.Or(s.Overlap, BufferAll) }

// Rule is which period a firing exports; "" if the schedule says none.
func (s Schedule) Rule() PeriodRule { return cmp.Or(s.PeriodRule, periodRules[s.Every]) }

// Period returns the period that is due at a scheduled time.
func (s Schedule) Period(scheduled time.Time) (string, error) {
	zone, err := zones.Load(s.TimeZone)
	if err != nil {
		return "", fmt.Errorf("time zone %q is not known here; want a name such as Europe/Oslo", s.TimeZone)
	}
	// Only the date counts from here on; days have no time zone, and no nights
	// in which an hour is missing.
	y, m, d := scheduled.In(zone).Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	switch s.Rule() {
	case DayBefore:
		return day.AddDate(0, 0, -1).Format(time.DateOnly), nil
	case WeekBefore:
		year, week := day.AddDate(0, 0, -7).ISOWeek()
		return fmt.Sprintf("%04d-W%02d", year, week), nil
	case MonthBefore:
		return day.AddDate(0, 0, -day.Day()).Format("2006-01"), nil
	}
	return "", fmt.Errorf("schedule every %q, period %q: want daily, weekly or monthly, or a period of day, week or month", s.Every, s.PeriodRule)
}

// canonical leaves out what is the default.
func (s Schedule) canonical() Schedule {
	if s.Every != "" && s.PeriodRule == periodRules[s.Every] {
		s.PeriodRule = ""
	}
	if s.Overlap == BufferAll {
		s.Overlap = ""
	}
	for d, standard := range map[*time.Duration]time.Duration{&s.CatchUp: DefaultCatchUp, &s.WarmUp: defaultWarmUp, &s.DriftThreshold: defaultDriftThreshold} {
		if *d == standard {
			*d = 0
		}
	}
	return s
}

// String is for people: "monthly on day 3 at 06:30 Europe/Oslo", and what is
// not as usual.
func (s Schedule) String() string {
	parts := []string{s.when() + " " + s.TimeZone}
	if s.PeriodRule != "" {
		parts = append(parts, "exports the "+string(s.PeriodRule)+" before")
	}
	if s.Overlap != "" {
		parts = append(parts, "overlap "+string(s.Overlap))
	}
	if s.CatchUp != 0 {
		parts = append(parts, "catch-up "+Short(s.CatchUp))
	}
	if s.WarmUp != 0 {
		parts = append(parts, "warm-up "+Short(s.WarmUpLead()))
	}
	if s.DriftThreshold != 0 {
		parts = append(parts, "drift "+Short(s.DriftThreshold))
	}
	return strings.Join(parts, ", ")
}

func (s Schedule) when() string {
	if s.Cron != "" {
		return "cron " + s.Cron
	}
	on := ""
	switch {
	case s.Every == Weekly && s.Day >= 1 && s.Day <= 7:
		on = " on " + weekdays[s.Day-1]
	case s.Every == Monthly:
		on = fmt.Sprintf(" on day %d", s.Day)
	}
	return fmt.Sprintf("%s%s at %02d:%02d", s.Every, on, s.Hour, s.Minute)
}

// Short writes a duration as people do in a file: 720h, 5m, off for 0.
func Short(d time.Duration) string {
	if d == 0 {
		return "off"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

var weekdays = []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
