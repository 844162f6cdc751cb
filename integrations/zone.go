package integrations

import (
	"time"

	"github.com/ledgerline/ledgerline/zones"
)

// Zone is the time zone where an integration's periods begin and end: that of its schedule;
// of one without, the zone that its schedule would have by default.
func (i Integration) Zone() *time.Location {
	name := DefaultTimeZone
	if i.Schedule != nil {
		name = i.Schedule.TimeZone
	}
	zone, err := zones.Load(name)
	if err != nil { // stored by other means than a file; its schedule never fires
		return time.UTC
	}
	return zone
}

// Moment writes a time for people, where the integration's are: "28 November 2026 00:41:52 CET".
func (i Integration) Moment(t time.Time) string {
	return t.In(i.Zone()).Format("2 January 2006 15:04:05 MST")
}

// Today is the date in the integration's zone at a moment, at 00:00 UTC as the days of a
// period are: see [exports.HasEnded].
func (i Integration) Today(now time.Time) time.Time {
	y, m, d := now.In(i.Zone()).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}
