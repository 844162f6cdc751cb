package integrations

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Schedule says when an integration exports by itself, and with that which
// period: the day, ISO week or month that was over at the scheduled time, by
// the calendar of its time zone.
type Schedule struct {
	Every    string `json:"every,omitempty"` // daily, weekly, monthly; "" with Cron
	Hour     int    `json:"hour"`            // 0 to 23, local
	Minute   int    `json:"minute"`          // 0 to 59
	Day      int    `json:"day,omitempty"`   // weekly: 1 (Monday) to 7; monthly: 1 to 28
	Cron     string `json:"cron,omitempty"`  // in place of Every and what belongs to it: five fields
	TimeZone string `json:"timeZone"`        // of the IANA database

	PeriodRule string        `json:"period,omitempty"`  // day, week, month: the one that was over; "" follows from Every
	Overlap    string        `json:"overlap,omitempty"` // buffer_all (""), buffer_one, skip: when a run is still going
	CatchUp    time.Duration `json:"catchUp,omitempty"` // how far back missed firings are made up for; 0 is [DefaultCatchUp]
	WarmUp     time.Duration `json:"warmUp,omitempty"`  // how long before its time the vendor is warmed up; 0 is [DefaultWarmUp]
	Drift      time.Duration `json:"drift,omitempty"`   // how late a run may start without an alert; 0 is [DefaultDrift]
}

// Defaults of a [Schedule].
const (
	DefaultCatchUp = 30 * 24 * time.Hour
	DefaultWarmUp  = 30 * time.Second
	DefaultDrift   = 5 * time.Minute
)

// DriftLimit is how late a run may start without an alert.
func (s Schedule) DriftLimit() time.Duration { return cmp.Or(s.Drift, DefaultDrift) }

// DefaultTimeZone is where the people are who use this.
const DefaultTimeZone = "Europe/Oslo"

// Period returns the period that is due at a scheduled time.
func (s Schedule) Period(scheduled time.Time) (string, error) {
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return "", fmt.Errorf("time zone %q is not known here", s.TimeZone)
	}
	// Only the date counts from here on; days have no time zone, and no nights
	// in which an hour is missing.
	y, m, d := scheduled.In(zone).Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	switch s.Every {
	case "daily":
		return day.AddDate(0, 0, -1).Format(time.DateOnly), nil
	case "weekly":
		year, week := day.AddDate(0, 0, -7).ISOWeek()
		return fmt.Sprintf("%04d-W%02d", year, week), nil
	case "monthly":
		return day.AddDate(0, 0, -day.Day()).Format("2006-01"), nil
	}
	return "", fmt.Errorf("schedule every %q: want daily, weekly or monthly", s.Every)
}

// Occurrences returns when the schedule fires in [from, to).
func (s Schedule) Occurrences(from, to time.Time) (all []time.Time) {
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return nil
	}
	y, m, d := from.In(zone).Date()
	for {
		at := time.Date(y, m, d, s.Hour, s.Minute, 0, 0, zone)
		if !at.Before(to) {
			return all
		}
		due := s.Every == "daily" || s.Every == "weekly" && int(at.Weekday()) == s.Day%7 || s.Every == "monthly" && at.Day() == s.Day
		if due && !at.Before(from) {
			all = append(all, at)
		}
		d++
	}
}

// String is for people: "monthly on day 3 at 06:30 Europe/Oslo".
func (s Schedule) String() string {
	on := ""
	switch s.Every {
	case "weekly":
		on = " on " + weekdays[s.Day-1]
	case "monthly":
		on = fmt.Sprintf(" on day %d", s.Day)
	}
	return fmt.Sprintf("%s%s at %02d:%02d %s", s.Every, on, s.Hour, s.Minute, s.TimeZone)
}

var weekdays = []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}

// schedule reads {every, at, day, timeZone}.
func (p *parser) schedule(n *yaml.Node, at string) *Schedule {
	m := p.fields(n, at, "every", "at", "day", "timeZone")
	if m == nil {
		return nil
	}
	s := &Schedule{TimeZone: DefaultTimeZone, Day: 1}
	var node *yaml.Node
	if s.Every, node = p.text(n, m, at, "every", true); node != nil && !slices.Contains([]string{"daily", "weekly", "monthly"}, s.Every) {
		p.fault(node, at+".every", "%q; want daily, weekly or monthly", clip(s.Every))
	}
	if value, node := p.text(n, m, at, "at", true); node != nil {
		t, err := time.Parse("15:04", value)
		if err != nil {
			p.fault(node, at+".at", "%q; want a time of day in quotes such as \"06:30\"", clip(value))
		}
		s.Hour, s.Minute = t.Hour(), t.Minute()
	}
	if value, node := p.text(n, m, at, "day", false); node != nil {
		number, err := strconv.Atoi(value)
		switch {
		case s.Every == "weekly" && slices.Contains(weekdays, strings.ToLower(value)):
			s.Day = 1 + slices.Index(weekdays, strings.ToLower(value))
		case s.Every == "monthly" && err == nil && number >= 1 && number <= 28:
			s.Day = number
		case s.Every == "weekly":
			p.fault(node, at+".day", "%q; want a day of the week such as monday", clip(value))
		case s.Every == "monthly":
			p.fault(node, at+".day", "%q; want a day from 1 to 28, which every month has", clip(value))
		default:
			p.fault(node, at+".day", "a daily schedule has none")
		}
	}
	if s.Every == "daily" {
		s.Day = 0
	}
	if value, node := p.text(n, m, at, "timeZone", false); node != nil {
		if _, err := time.LoadLocation(value); err != nil || value == "" || value == "Local" {
			p.fault(node, at+".timeZone", "%q; want a name of the IANA database such as Europe/Oslo", clip(value))
		}
		s.TimeZone = value
	}
	return s
}
