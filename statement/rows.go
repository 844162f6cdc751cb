package statement

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/exports"
)

// stateWords are the states as a table has them.
var stateWords = map[exports.ChainState]string{
	exports.ChainComplete: "complete", exports.ChainIncomplete: "not complete", exports.ChainRunning: "being exported", exports.ChainFailed: "not exported",
}

// ListRows are periods as a table, one line each. Times are in now's zone.
func ListRows(list []Period, now time.Time) [][]string {
	rows := [][]string{{"PERIOD", "INTEGRATION", "STATE", "ENTRIES", "EXPORTED", "REFUSED", "MISSING", "STARTED", "EXPORT"}}
	for _, p := range list {
		missing := exports.MoneyList(p.Missing.Amounts)
		if missing == "" {
			missing = "-"
		}
		state := stateWords[p.State]
		switch {
		case p.State == exports.ChainRunning && p.Exports[0].Trigger == exports.ByAdopting:
			state = "being taken over"
		case p.waits != "":
			state = p.waits
		}
		rows = append(rows, []string{
			p.Name, p.Integration, state, strconv.Itoa(p.Total.Entries), strconv.Itoa(p.Counts[exports.WasExported].Entries),
			strconv.Itoa(p.Counts[exports.WasRefused].Entries), missing, at(&p.StartedAt, now), exports.Short(p.Exports[0].ID),
		})
	}
	return rows
}

// at is a time as a table has it, in now's zone.
func at(t *time.Time, now time.Time) string {
	if t == nil {
		return "-"
	}
	return t.In(now.Location()).Format("2006-01-02 15:04 MST")
}

// Headline is what matters first, a line or two.
func (p Period) Headline() []string {
	lines := []string{p.Summary}
	if p.Waiting != "" {
		lines = append(lines, p.Waiting)
	}
	if p.Next != "" {
		lines = append(lines, p.next+": "+p.Next)
	}
	return lines
}

// FactRows are what is known of a period, as a table of two columns.
func (p Period) FactRows(now time.Time) [][]string {
	first, last := p.Exports[0], p.Exports[len(p.Exports)-1]
	rows := [][]string{{"period", p.Days + ", to " + p.Integration}}
	for _, o := range exports.Outcomes {
		if c := p.Counts[o]; c.Entries > 0 {
			rows = append(rows, []string{string(o), countWords(c)})
		}
	}
	for _, e := range p.Elsewhere {
		rows = append(rows, []string{"elsewhere", e.words + prefixed(": ", exports.MoneyList(e.Count.Amounts))})
	}
	if p.Late > 0 {
		rows = append(rows, []string{"late", countOf(p.Late, "entry", "entries") + " dated before " + exports.PeriodName(p.Period) + ", which came after that was exported"})
	}
	if p.LateErrors > 0 {
		rows = append(rows, []string{"late errors", countOf(p.LateErrors, "exported entry", "exported entries") + " with an error at the vendor"})
	}
	rows = append(rows, []string{"started", at(&first.StartedAt, now) + " by " + first.TriggeredBy + " (" + string(first.Trigger) + ")"})
	if n := len(p.Exports) - 1; n > 0 {
		rows = append(rows, []string{"retried", countOf(n, "time", "times") + ", last " + at(&last.StartedAt, now) + " by " + last.TriggeredBy + ": export " + exports.Short(last.ID)})
	}
	if last.FinishedAt != nil {
		rows = append(rows, []string{"ended", at(last.FinishedAt, now)})
	}
	if last.Message != "" && p.State != exports.ChainFailed { // else the summary has it
		rows = append(rows, []string{"error", strings.TrimPrefix(string(last.ErrorKind)+": "+last.Message, ": ")})
	}
	return rows
}

// countWords is a count in a line.
func countWords(c exports.Count) string {
	line := countOf(c.Entries, "entry", "entries")
	if c.Vouchers > 0 {
		line += " in " + countOf(c.Vouchers, "voucher", "vouchers")
	}
	if amounts := exports.MoneyList(c.Amounts); amounts != "" {
		line += ", " + amounts
	}
	return line
}

func countOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// VoucherRows are vouchers as a table, one line each. pending is whether a run is at work.
func VoucherRows(list []Voucher, pending bool, now time.Time) [][]string {
	rows := [][]string{{"VOUCHER", "DATE", "TEXT", "AMOUNT", "STATE", "REASON"}}
	for _, v := range list {
		state := string(v.State)
		if v.LateError {
			state = "error at the vendor"
		}
		rows = append(rows, []string{v.VoucherID, v.Date, dash(v.Text), dash(exports.MoneyList(v.Amounts)), state, dash(v.why(pending, now))})
	}
	return rows
}

// why is the reason why a voucher is not exported, and what was withdrawn of it.
func (v Voucher) why(pending bool, now time.Time) string {
	why := v.Message
	if v.Corrected {
		why = corrected(why)
	}
	switch {
	case v.OpenUntil != nil && v.OpenUntil.After(now):
		why = "it was sent, and can take effect until " + exports.Until(*v.OpenUntil, now) + prefixed("; ", why)
	case why != "":
	case v.State == exports.IsWaiting && pending:
		why = "to be sent"
	case v.State == exports.IsWaiting:
		why = "not sent, or not confirmed: a retry asks the vendor and sends it"
	}
	switch v.Withdrawn {
	case 0:
		return why
	case 1:
		return strings.TrimPrefix(why+"; 1 line of it was withdrawn", "; ")
	}
	return strings.TrimPrefix(fmt.Sprintf("%s; %d lines of it were withdrawn", why, v.Withdrawn), "; ")
}

// corrected is a reason that may hold no longer.
func corrected(reason string) string {
	return strings.TrimPrefix(reason+"; corrected since, and not sent again yet", "; ")
}

// PartRows are the exports of a period as a table: what each of them came to when it ended.
func (p Period) PartRows(now time.Time) [][]string {
	rows := [][]string{{"EXPORT", "RETRY OF", "STARTED", "BY", "STATUS", "ENTRIES", "EXPORTED", "REFUSED", "UNKNOWN", "ERROR"}}
	for _, e := range p.Exports {
		parent := "-"
		if e.ParentID != nil {
			parent = exports.Short(*e.ParentID)
		}
		rows = append(rows, []string{
			exports.Short(e.ID), parent, at(&e.StartedAt, now), e.TriggeredBy + " (" + string(e.Trigger) + ")", string(e.Status), strconv.Itoa(e.Total),
			strconv.Itoa(e.Exported), strconv.Itoa(e.Refused), strconv.Itoa(e.Unknown), dash(strings.TrimPrefix(string(e.ErrorKind)+": "+e.Message, ": ")),
		})
	}
	return rows
}

// dash stands for an empty text in a table.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// prefixed is a text after what leads to it; "" if there is none.
func prefixed(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}
