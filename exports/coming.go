package exports

import (
	"iter"
	"time"

	"github.com/google/uuid"
)

// Claim is an export as far as it matters for those to come: which period it has taken,
// and whether its plan is still to be made.
type Claim struct {
	ID        uuid.UUID `db:"export_id"`
	Period    string
	Start     time.Time `db:"period_start"`
	End       time.Time `db:"period_end"` // the first day after it
	Trigger   Trigger
	Retry     bool // it has a parent
	WillPlan  bool // it is pending, has no plan, and will take whatever no export has taken
	StartedAt time.Time
}

// HasPeriod reports whether no other export is made of the claim's period.
func (c Claim) HasPeriod() bool { return !c.Retry && c.Trigger != ByAdopting }

// Firing is when a schedule starts an export by itself, and of which period.
type Firing struct {
	At         time.Time
	Period     string
	Start, End time.Time
}

// Coming is an export that an entry waits for.
type Coming struct {
	Period string     `json:"period"`
	Start  time.Time  `json:"-"`
	End    time.Time  `json:"-"`
	By     Trigger    `json:"by"`                   // of one that has begun, what started it; [ByHand]: somebody has to start it
	At     *time.Time `json:"at,omitempty"`         // when the schedule starts it
	ID     *uuid.UUID `json:"exportId,omitempty"`   // of one that has begun and is not planned yet
	Sooner string     `json:"soonerWith,omitempty"` // a period that is over and has no export: one of it, by hand, takes the entry now
}

// NextFor is the export that takes an entry of a date which no export has taken. It follows
// the rule of the plan: an export takes every such entry up to the end of its period, once,
// so a period that has its plan gets none that come later. That is the first export whose
// period ends after the date, of
//
//   - those that have begun and are not planned, in the order of claims,
//   - the firings of the schedule whose period has no export yet,
//   - without those, the first period of a kind that can be started by hand: it is there or
//     later, and overlaps none that has its export.
//
// Firings come in the order of time. today is the date where the organization is.
func NextFor(date time.Time, claims []Claim, firings iter.Seq[Firing], kind PeriodKind, today time.Time) Coming {
	taken := make(map[string]bool)
	for _, c := range claims {
		if c.WillPlan && date.Before(c.End) {
			return Coming{Period: c.Period, Start: c.Start, End: c.End, By: c.Trigger, ID: &c.ID}
		}
		taken[c.Period] = taken[c.Period] || c.HasPeriod()
	}
	byHand := firstFree(date, claims, kind)
	for f := range firings {
		if taken[f.Period] || !date.Before(f.End) {
			continue
		}
		next := Coming{Period: f.Period, Start: f.Start, End: f.End, By: BySchedule, At: &f.At}
		if HasEnded(byHand.End, today) && byHand.End.Before(f.End) {
			next.Sooner = byHand.Period
		}
		return next
	}
	return byHand
}

// firstFree is the first period of a kind that ends after a date and overlaps no period
// that has its export.
func firstFree(date time.Time, claims []Claim, kind PeriodKind) Coming {
	for day := date; ; {
		period := kind.Containing(day)
		start, end, err := ParsePeriod(period)
		if err != nil { // after the year 9999
			return Coming{Period: period, By: ByHand}
		}
		free := true
		for _, c := range claims {
			free = free && (!c.HasPeriod() || !c.Start.Before(end) || !start.Before(c.End))
		}
		if free {
			return Coming{Period: period, Start: start, End: end, By: ByHand}
		}
		day = end
	}
}
