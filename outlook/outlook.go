// Package outlook says what comes next for an integration: which of its entries wait, with
// which export they will go, and when that starts.
//
// An entry waits if it is in its source and no export has taken it. The rule for where it
// goes is the plan's own, [exports.NextFor]: an export takes whatever no other has taken up
// to the end of its period, and a period that has its plan gets nothing that comes later.
// The package brings together what that rule needs, the record of the exports and the
// firings of the schedule, and puts its answer into words. It asks only PostgreSQL. That
// somebody has paused a schedule by itself, Temporal alone knows: who is connected to it
// hands in an [AskSchedule].
//
// It changes nothing.
package outlook

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// Outlook is what comes next for an integration, as it was when it was loaded.
type Outlook struct {
	Integration integrations.Integration
	Pause       *runlog.Pause // nil if it is not paused

	schedulePause *SchedulePause // nil if it is not paused by itself, or nobody was asked

	claims []exports.Claim
	holds  []hold
	now    time.Time
	zone   *time.Location
	known  map[time.Time]exports.Coming // by date: a list has few of them, and many entries
}

// Load reads the outlook of an integration.
func Load(ctx context.Context, db runlog.Beginner, in integrations.Integration, now time.Time) (*Outlook, error) {
	o := &Outlook{Integration: in, now: now, zone: in.Zone(), known: make(map[time.Time]exports.Coming)}
	var err error
	if o.Pause, err = runlog.LoadPause(ctx, db, in.OrganizationID, in.ID); err != nil {
		return nil, err
	}
	o.claims, err = runlog.ListClaims(ctx, db, in.OrganizationID, in.ID)
	return o, err
}

// NextFor is the export that takes an entry of a date which no export has taken.
func (o *Outlook) NextFor(date time.Time) exports.Coming {
	date = day(date)
	next, ok := o.known[date]
	if !ok {
		next = exports.NextFor(date, o.claims, o.firings(date), o.kind(), o.Integration.Today(o.now))
		o.known[date] = next
	}
	return next
}

// day is the date of a time, at 00:00 UTC.
func day(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// firings yields the schedule's firings from now on that can take an entry of a date. A
// firing exports a period that is over, so none before the date does.
func (o *Outlook) firings(date time.Time) iter.Seq[exports.Firing] {
	return func(yield func(exports.Firing) bool) {
		if o.Integration.Schedule == nil {
			return
		}
		from := o.now
		if date.After(from) {
			from = date.AddDate(0, 0, -1) // a day has begun elsewhere before it begins in UTC
		}
		for at := range o.Integration.Schedule.Firings(from) {
			period, err := o.Integration.Schedule.Period(at)
			if err != nil {
				return
			}
			start, end, err := exports.ParsePeriod(period)
			if err != nil || !yield(exports.Firing{At: at, Period: period, Start: start, End: end}) {
				return
			}
		}
	}
}

// kind is what is exported by hand: what the schedule exports, or the last period that was.
func (o *Outlook) kind() exports.PeriodKind {
	if o.Integration.Schedule != nil {
		return exports.PeriodKind(o.Integration.Schedule.Rule())
	}
	if len(o.claims) > 0 {
		return exports.KindOfPeriod(o.claims[len(o.claims)-1].Period)
	}
	return exports.ByMonth
}

// InWords names an export that is to come, and says how and when it starts: "the export of
// November 2026, by the schedule on 3 December 2026 06:30 CET".
func (o *Outlook) InWords(c exports.Coming) string {
	export := "the export of " + exports.PeriodName(c.Period)
	switch {
	case c.ID != nil && c.By == exports.ByRetry:
		return "the retry of " + exports.PeriodName(c.Period) + ", which has begun"
	case c.ID != nil:
		return export + ", which has begun"
	case c.At != nil && o.schedulePause != nil && c.Sooner != "":
		return fmt.Sprintf("%s, whose schedule is paused; or now, with %s", export, o.command(c.Sooner))
	case c.At != nil && o.schedulePause != nil:
		return export + ", whose schedule is paused"
	case c.At != nil && c.Sooner != "":
		return fmt.Sprintf("%s, by the schedule on %s; or now, with %s", export, o.Time(*c.At), o.command(c.Sooner))
	case c.At != nil:
		return fmt.Sprintf("%s, by the schedule on %s", export, o.Time(*c.At))
	case !exports.HasEnded(c.End, o.Integration.Today(o.now)):
		return fmt.Sprintf("%s, which no schedule starts: from %s, %s", export, c.End.Format("2 January 2006"), o.command(c.Period))
	}
	return fmt.Sprintf("%s, which no schedule starts: %s", export, o.command(c.Period))
}

func (o *Outlook) command(period string) string {
	return fmt.Sprintf("starter sync --integration %s --period %s", o.Integration.Name, period)
}

// Time writes a time where the integration's people are: "3 December 2026 06:30 CET".
func (o *Outlook) Time(t time.Time) string { return t.In(o.zone).Format("2 January 2006 15:04 MST") }

// Paused says that the integration is paused, or its schedule by itself, and what follows; ""
// if neither is.
func (o *Outlook) Paused() string {
	switch {
	case o.Pause == nil && o.schedulePause != nil:
		return o.schedulePause.inWords(o.Integration.Name)
	case o.Pause == nil:
		return ""
	}
	by := o.Pause.By
	if o.Pause.Reason != "" {
		by += ": " + o.Pause.Reason
	}
	return fmt.Sprintf("%s has been paused since %s by %s; nothing is sent, and its schedule does not fire, until starter integrations resume --integration %s",
		o.Integration.Name, o.Time(o.Pause.At), strings.TrimRight(by, ". "), o.Integration.Name)
}

// Going is how many of the waiting entries go with an export.
type Going struct {
	exports.Coming
	Entries int    `json:"entries"`
	Now     string `json:"nowWith,omitempty"` // the retry that would take them at once, as a command
	Words   string `json:"inWords"`           // see [Outlook.InWords]; and the retry
}

// Going says which exports take entries that wait, in the order of their dates.
func (o *Outlook) Going(waiting []runlog.Waiting) []Going {
	list := []Going{}
	for _, w := range waiting {
		next := o.NextFor(w.Date)
		i := 0
		now := o.retryNow(next, w.Retry)
		for i < len(list) && (list[i].Now != now || !same(list[i].Coming, next)) {
			i++
		}
		if i == len(list) {
			list = append(list, Going{Coming: next, Now: now, Words: o.InWords(next) + orNow(now)})
		}
		list[i].Entries += w.Entries
	}
	return list
}

// retryNow is the command of a retry that would take an entry at once; "" if there is none, or
// the next export has begun.
func (o *Outlook) retryNow(next exports.Coming, reference string) string {
	if reference == "" || next.ID != nil {
		return ""
	}
	return "starter exports retry " + reference
}

// orNow names a command that takes an entry at once, after what comes next for it.
func orNow(command string) string {
	if command == "" {
		return ""
	}
	return "; or now, with " + command
}

// same reports whether two entries go with one export.
func same(a, b exports.Coming) bool {
	if (a.ID == nil) != (b.ID == nil) || a.ID != nil && *a.ID != *b.ID {
		return false
	}
	return a.Period == b.Period && a.By == b.By && a.Sooner == b.Sooner
}

// entries is a number of entries: "1 entry", "2 entries".
func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// verb is a verb of the third person after a number of things.
func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
