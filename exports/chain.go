package exports

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Chain is what people mean by the export of a period: the export, and after it its retry,
// the retry of that, and so on. An entry is counted once, where it is now: a retry takes
// over what its parent did not get done.
type Chain struct {
	Exports     []Export // the first one, then its retries in their order; never empty
	Integration string   // its name
	Planned     bool     // entries were assigned to one of them, if only none
	Counts      map[Outcome]Count
	Late        int // entries that are dated before the period
	LateErrors  int // exported entries in which the vendor found an error later

	// WithdrawnLines are the withdrawn entries of vouchers whose other entries were not.
	WithdrawnLines int

	// Elsewhere are the entries that are dated in the period, are with an export of another
	// period, and are not at the vendor: those that came late, or were corrected. They are
	// no part of Counts. An adoption has none, and what was adopted is not among them.
	Elsewhere []Elsewhere
}

// Elsewhere are entries of a period that went with an export of another one.
type Elsewhere struct {
	Period  string // of that export
	Outcome Outcome
	Count   Count
}

// verbs say of entries what became of them.
var verbs = map[Outcome][2]string{
	WasRefused: {"was refused", "were refused"}, IsWaiting: {"is not sent or not confirmed", "are not sent or not confirmed"},
	IsUnknown: {"may or may not be there", "may or may not be there"},
}

// String says what became of them: "2 entries that went with November 2026 were refused".
func (e Elsewhere) String() string {
	verb := verbs[e.Outcome][1]
	if e.Count.Entries == 1 {
		verb = verbs[e.Outcome][0]
	}
	return counted(e.Count.Entries, "entry", "entries") + " that went with " + PeriodName(e.Period) + " " + verb
}

// Outcome is what became of an entry, in the words of those who keep the books.
type Outcome string

// The outcomes.
const (
	WasExported  Outcome = "exported"  // the vendor has it
	WasRefused   Outcome = "refused"   // by the vendor, or before it was sent
	IsWaiting    Outcome = "waiting"   // to be sent, or sent and to be asked about
	IsUnknown    Outcome = "unknown"   // it was sent, and only a person can say what became of it
	WasWithdrawn Outcome = "withdrawn" // by a person: it is not to be sent
)

// Outcomes are all of them, in the order in which they are shown.
var Outcomes = []Outcome{WasExported, WasRefused, IsWaiting, IsUnknown, WasWithdrawn}

// OutcomeOf is what a state of an entry means for the books.
var OutcomeOf = map[EntryState]Outcome{
	Exported: WasExported, Rejected: WasRefused, Planned: IsWaiting, Sent: IsWaiting, Unknown: IsUnknown,
}

// Count is how much has one outcome. A voucher whose entries have several is counted once:
// as unknown, else refused, else waiting, else exported, else withdrawn.
type Count struct {
	Entries  int               `json:"entries"`
	Vouchers int               `json:"vouchers"`
	Amounts  map[string]string `json:"amounts"` // sum of the positive amounts by currency
}

// Add is the sum of two counts of different entries.
func (c Count) Add(d Count) Count {
	return Count{c.Entries + d.Entries, c.Vouchers + d.Vouchers, AddAmounts(c.Amounts, d.Amounts)}
}

// ChainState is how far a chain is.
type ChainState string

// The states of a chain.
const (
	ChainComplete   ChainState = "complete"   // the vendor has everything that was not withdrawn
	ChainIncomplete ChainState = "incomplete" // it has ended, and something is not exported
	ChainRunning    ChainState = "running"
	ChainFailed     ChainState = "failed" // it has ended, and none of its exports has planned anything
)

// ChainStates are all of them.
var ChainStates = []ChainState{ChainComplete, ChainIncomplete, ChainRunning, ChainFailed}

// First is the export that is no retry.
func (c Chain) First() Export { return c.Exports[0] }

// Last is the export that a retry would retry.
func (c Chain) Last() Export { return c.Exports[len(c.Exports)-1] }

// Pending is the export that has not ended, the last one if there are several; nil if all have.
func (c Chain) Pending() *Export {
	for i := range slices.Backward(c.Exports) {
		if c.Exports[i].Status == Pending {
			return &c.Exports[i]
		}
	}
	return nil
}

// Retry is the retry of one of the chain's exports; nil if it has none.
func (c Chain) Retry(of Export) *Export {
	for i, e := range c.Exports {
		if e.ParentID != nil && *e.ParentID == of.ID {
			return &c.Exports[i]
		}
	}
	return nil
}

// Total is what the chain has taken, whatever became of it.
func (c Chain) Total() (total Count) {
	for _, o := range Outcomes {
		total = total.Add(c.Counts[o])
	}
	return total
}

// Missing is what the vendor does not have, as far as is known, and should.
func (c Chain) Missing() Count {
	missing := c.left()
	for _, e := range c.Elsewhere {
		missing = missing.Add(e.Count)
	}
	return missing
}

// left is what the chain itself has taken and the vendor does not have.
func (c Chain) left() Count {
	return Count{}.Add(c.Counts[WasRefused]).Add(c.Counts[IsWaiting]).Add(c.Counts[IsUnknown])
}

// State is how far the chain is.
func (c Chain) State() ChainState {
	switch {
	case c.Pending() != nil:
		return ChainRunning
	case c.left().Entries > 0:
		return ChainIncomplete
	case !c.Planned: // a retry of an export that was still to be planned ends with nothing, too
		return ChainFailed
	case len(c.Elsewhere) > 0:
		return ChainIncomplete
	}
	return ChainComplete
}

// NothingToRetry is whether a retry would do nothing. One that failed is retried also if
// nothing of it is left, so that it no longer counts as failed.
func (c Chain) NothingToRetry() bool {
	return c.Pending() == nil && c.Planned && c.left().Entries == 0 && c.Last().Status != Failed
}

// Name is what people call the chain: its period.
func (c Chain) Name() string {
	name := PeriodName(c.First().Period)
	if c.First().Trigger == ByAdopting {
		name += " (adopted)"
	}
	return name
}

// Reference is how a command line names the chain, see [Export.Reference].
func (c Chain) Reference() string { return c.First().Reference(c.Integration) }

// Summary says in one sentence how far the chain is: "October 2026 is complete: 84 entries
// in 21 vouchers, NOK 120,400.00".
func (c Chain) Summary() string {
	total, done := c.Total(), c.Counts[WasExported]
	switch c.State() {
	case ChainFailed:
		return c.Name() + " was not exported: " + c.cause()
	case ChainRunning:
		if c.First().Trigger == ByAdopting {
			return fmt.Sprintf("%s is being taken over: %s so far", c.Name(), counted(total.Entries, "entry", "entries"))
		}
		if total.Entries == 0 {
			return c.Name() + " is being exported: its entries are being planned"
		}
		return fmt.Sprintf("%s is being exported: %d of %s in %s at the vendor%s", c.Name(), done.Entries, counted(total.Entries, "entry", "entries"),
			counted(total.Vouchers, "voucher", "vouchers"), prefixed(", ", strings.Join(c.parts(false), ", ")))
	case ChainIncomplete:
		line := c.Name() + " is not complete: " + enumerate(c.parts(true))
		if missing := MoneyList(c.Missing().Amounts); missing != "" {
			line += " (" + missing + " is missing)"
		}
		return line + c.remarks()
	}
	if total.Entries == 0 {
		return c.Name() + " is complete: there was nothing to export"
	}
	if done.Entries == 0 {
		return c.Name() + " is complete: there is nothing to export" + c.remarks()
	}
	return fmt.Sprintf("%s is complete: %s in %s%s%s", c.Name(), counted(done.Entries, "entry", "entries"), counted(done.Vouchers, "voucher", "vouchers"),
		prefixed(", ", MoneyList(done.Amounts)), c.remarks())
}

// parts say how many vouchers are not exported, and why. Those that wait are left out of
// a run, which is at work on them.
func (c Chain) parts(ended bool) (list []string) {
	total := c.Total().Vouchers
	say := func(o Outcome, one, many string) {
		n := c.Counts[o].Vouchers
		if n == 0 {
			return
		}
		of := ""
		if len(list) == 0 && ended {
			of = fmt.Sprintf(" of %s", counted(total, "voucher", "vouchers"))
		}
		verb := many
		if n == 1 {
			verb = one
		}
		list = append(list, fmt.Sprintf("%d%s %s", n, of, verb))
	}
	say(WasRefused, "was refused", "were refused")
	if ended {
		say(IsWaiting, "was not sent or not confirmed", "were not sent or not confirmed")
	}
	say(IsUnknown, "may or may not be there", "may or may not be there")
	if ended {
		for _, e := range c.Elsewhere {
			list = append(list, e.String())
		}
	}
	return list
}

// remarks are what else people should know of a chain that has ended.
func (c Chain) remarks() (line string) {
	if n := c.Counts[WasWithdrawn].Vouchers; n > 0 {
		line += fmt.Sprintf("; %s withdrawn", wasOrWere(n, "voucher", "vouchers"))
	}
	if n := c.WithdrawnLines; n > 0 {
		line += fmt.Sprintf("; %s withdrawn", wasOrWere(n, "single line", "single lines"))
	}
	if c.LateErrors > 0 {
		line += fmt.Sprintf("; the vendor found errors in %s after it had accepted them", counted(c.LateErrors, "entry", "entries"))
	}
	return line
}

// NextStep is what a person can do about the chain and the command for it, both "" if
// there is nothing to do.
func (c Chain) NextStep() (what, command string) {
	retry := "starter exports retry " + c.Reference()
	switch state := c.State(); {
	case state == ChainRunning && c.First().Trigger == ByAdopting:
		return "to resume it if it was interrupted", fmt.Sprintf("starter exports prove --period %s --integration %s --adopt", c.First().Period, c.Integration)
	case state == ChainFailed:
		return "once that is fixed", retry
	case state == ChainComplete || state == ChainRunning:
		return "", ""
	}
	switch refused, waiting, unknown := c.Counts[WasRefused].Entries, c.Counts[IsWaiting].Entries, c.Counts[IsUnknown].Entries; {
	case refused+waiting+unknown == 0: // a retry would not take them
		period := c.Elsewhere[0].Period
		return "to see what became of the entries that went with " + PeriodName(period), "starter exports show " + period + " --integration " + c.Integration
	case refused == 0 && waiting == 0 && unknown > 0:
		return "to ask the vendor once more", retry
	case refused == 0:
		return "to send the rest, after asking the vendor what it has", retry
	}
	return "to send the refused ones again once they are corrected", retry
}

// Until is a time that is to come, with how long that is: "14:05 CET (in 3 min)". It is
// shown in now's zone, with the day if it is another one.
func Until(t, now time.Time) string {
	local := t.In(now.Location())
	layout := "15:04 MST"
	if local.Format(time.DateOnly) != now.Format(time.DateOnly) {
		layout = "2 January 15:04 MST"
	}
	d := t.Sub(now)
	in := fmt.Sprintf("%.0f s", max(0, d.Seconds()))
	switch {
	case d >= 2*time.Hour:
		in = fmt.Sprintf("%.0f h", d.Hours())
	case d >= 90*time.Second:
		in = fmt.Sprintf("%.0f min", d.Minutes())
	}
	return local.Format(layout) + " (in " + in + ")"
}

// cause is the last error with which one of the exports ended.
func (c Chain) cause() string {
	for _, e := range slices.Backward(c.Exports) {
		if e.ErrorMessage != "" {
			return e.ErrorMessage
		}
	}
	return "its run ended before it had planned anything"
}

// counted is a number of things.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// wasOrWere is a number of things with its verb.
func wasOrWere(n int, one, many string) string {
	if n == 1 {
		return "1 " + one + " was"
	}
	return fmt.Sprintf("%d %s were", n, many)
}

// prefixed is a text after what leads to it; "" if there is none.
func prefixed(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}
