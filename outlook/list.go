package outlook

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
)

// Entry is an entry, what has become of it, and what comes next for it.
type Entry struct {
	EntryID   string          `json:"entryId"`
	VoucherID string          `json:"voucherId"`
	Date      string          `json:"date"` // 2026-10-31
	Account   string          `json:"account"`
	Text      string          `json:"text"`
	Amount    string          `json:"amount"` // decimal
	Currency  string          `json:"currency"`
	State     statement.State `json:"state"`
	Message   string          `json:"message,omitempty"`   // why it is refused or unknown, or the error that the vendor found later
	Corrected bool            `json:"corrected,omitempty"` // since it was refused, and no export has taken it again
	Why       string          `json:"why"`                 // in words: why it is not exported, and what comes next
	Next      *exports.Coming `json:"next,omitempty"`      // the export that takes it; nil if one has
	Export    *EntryExport    `json:"export,omitempty"`    // that has taken it
	OpenUntil *time.Time      `json:"openUntil,omitempty"` // of a sent one
}

// EntryExport is the export that has taken an entry.
type EntryExport struct {
	ID            uuid.UUID      `json:"exportId"`
	Period        string         `json:"period"`
	Retry         bool           `json:"retry,omitempty"` // it is a retry
	Status        exports.Status `json:"status"`
	DeferredUntil *time.Time     `json:"deferredUntil,omitempty"` // of a pending one
	DeferredFor   classify.Kind  `json:"deferredFor,omitempty"`
	Message       string         `json:"message,omitempty"` // of a failed one
}

// Sum is what entries of one state and currency come to.
type Sum struct {
	State    statement.State `json:"state"`
	Currency string          `json:"currency"`
	Entries  int             `json:"entries"`
	Debit    string          `json:"debit"` // sum of the positive amounts, decimal
}

// Sums are the sums of all entries that a filter selects.
type Sums struct {
	Entries  int                     `json:"entries"`
	Vouchers int                     `json:"vouchers"`
	ByState  []Sum                   `json:"byState"`
	PerState map[statement.State]int `json:"vouchersByState"`
}

// Listing is a list of an integration's entries.
type Listing struct {
	Entries []Entry  `json:"entries"`
	More    int      `json:"more"`             // that the filter selects, beyond its limit
	Sums    Sums     `json:"sums"`             // of all that the filter selects
	Waiting []Going  `json:"waiting"`          // of these, those that are still to be taken, by the export that will
	Holds   []string `json:"holds"`            // why exports that have not ended do not continue, and what to do; a pause is in Paused
	Paused  string   `json:"paused,omitempty"` // see [Outlook.Paused]
	Source  string   `json:"source"`           // the table or view that the entries come from
}

// List returns entries of an integration by date, voucher and ID, each with what comes next
// for it, all as it was at one moment. ask can be nil.
func List(ctx context.Context, db runlog.Beginner, sources *runlog.Sources, in integrations.Integration, f runlog.EntryFilter, ask AskSchedule, now time.Time) (l Listing, err error) {
	err = runlog.Snapshot(ctx, db, func(db runlog.Beginner) error {
		l, err = list(ctx, db, sources, in, f, ask, now)
		return err
	})
	return l, err
}

func list(ctx context.Context, db runlog.Beginner, sources *runlog.Sources, in integrations.Integration, f runlog.EntryFilter, ask AskSchedule, now time.Time) (l Listing, err error) {
	o, err := Load(ctx, db, in, now)
	if err != nil {
		return l, err
	}
	list, sums, err := runlog.ListEntries(ctx, db, sources, in, f)
	if err != nil {
		return l, err
	}
	o.askSchedule(ctx, ask, sums.Waiting)
	l = Listing{Entries: []Entry{}, More: sums.Entries - len(list), Sums: sumsOf(sums), Waiting: o.Going(sums.Waiting), Paused: o.Paused(), Source: in.Export.Source}
	if l.Source == "" {
		l.Source = integrations.DefaultSource
	}
	if err := o.loadHolds(ctx, db, list); err != nil {
		return l, err
	}
	for _, listed := range list {
		l.Entries = append(l.Entries, o.entry(listed))
	}
	l.Holds = o.holdsInWords()
	return l, nil
}

// loadHolds reads, once, why the exports wait that have listed entries and have not ended.
func (o *Outlook) loadHolds(ctx context.Context, db runlog.Beginner, list []runlog.ListedEntry) error {
	var pending []exports.Export
	for _, e := range list {
		if e.ExportID == nil || e.ExportStatus != exports.Pending || slices.ContainsFunc(pending, func(x exports.Export) bool { return x.ID == *e.ExportID }) {
			continue
		}
		pending = append(pending, exports.Export{
			ID: *e.ExportID, IntegrationID: o.Integration.ID, AdapterName: o.Integration.Adapter, Period: e.Period, Status: e.ExportStatus,
			DeferredUntil: e.DeferredUntil, DeferredFor: e.DeferredFor,
		})
	}
	facts, err := runlog.ListWaitFacts(ctx, db, o.Integration.OrganizationID, pending)
	for _, e := range pending {
		if f, ok := facts[e.ID]; ok {
			o.hold(e, f)
		}
	}
	return err
}

// hold notes why an export that has not ended waits.
func (o *Outlook) hold(e exports.Export, f exports.WaitFacts) {
	o.holds = append(o.holds, hold{e.ID, e.Period, f.Reason(o.now.In(o.zone))})
}

// hold is why an export that has not ended waits.
type hold struct {
	export uuid.UUID
	period string
	reason exports.WaitReason
}

// holdsInWords are a line for each export that waits, but for a pause, of which
// [Outlook.Paused] says more.
func (o *Outlook) holdsInWords() []string {
	lines := []string{}
	for _, h := range o.holds {
		if h.reason.For != exports.WaitForProgress && h.reason.For != exports.WaitForResume {
			lines = append(lines, "the export of "+exports.PeriodName(h.period)+" waits: "+h.reason.String())
		}
	}
	return lines
}

// sumsOf is the view of sums.
func sumsOf(sums runlog.EntrySums) Sums {
	s := Sums{Entries: sums.Entries, Vouchers: sums.Vouchers, ByState: []Sum{}, PerState: make(map[statement.State]int)}
	for _, sum := range sums.ByState {
		s.ByState = append(s.ByState, Sum{statement.StateOf(sum.State), sum.Currency, sum.Entries, sum.Debit})
	}
	for state, n := range sums.PerState {
		s.PerState[statement.StateOf(exports.EntryState(state))] = n
	}
	return s
}

// entry is the view of an entry, with what comes next for it.
func (o *Outlook) entry(e runlog.ListedEntry) Entry {
	view := Entry{
		EntryID: e.EntryID, VoucherID: e.VoucherID, Date: e.Date, Account: e.Account, Text: e.Text, Amount: e.Amount, Currency: e.Currency,
		State: statement.StateOf(e.State), Message: e.Reason, Corrected: e.Correction == runlog.Replaced, OpenUntil: e.OpenUntil,
	}
	if e.ExportID != nil {
		view.Export = &EntryExport{*e.ExportID, e.Period, e.Retry, e.ExportStatus, e.DeferredUntil, e.DeferredFor, e.ExportError}
	}
	if e.NextDate != nil {
		next := o.NextFor(*e.NextDate)
		view.Next = &next
	}
	view.Why = o.why(e, view.Next)
	return view
}

// why says why an entry is not exported, and what comes next. Of an exported one it is the
// error that the vendor found later, if it did.
func (o *Outlook) why(e runlog.ListedEntry, next *exports.Coming) string {
	retry := fmt.Sprintf("starter exports retry %s --integration %s", e.Period, o.Integration.Name)
	over := e.ExportStatus != exports.Pending
	switch {
	case e.State == runlog.Waits:
		return "waits for " + o.InWords(*next) + orNow(o.retryNow(*next, e.RetryNow))
	case e.State == runlog.WasWithdrawn:
		return "withdrawn; to see by whom and why: starter entries history " + e.VoucherID
	case e.Correction == runlog.Replaced && next != nil && over:
		return fmt.Sprintf("%s; corrected since, and goes again with %s%s", e.Reason, o.InWords(*next), orNow(retry))
	case e.Correction == runlog.Replaced && next != nil:
		return e.Reason + "; corrected since, and goes again with " + o.InWords(*next)
	case e.Correction == runlog.Replaced && !over:
		return e.Reason + "; corrected since, and goes again once its export has ended"
	case e.State == exports.Rejected && next != nil:
		return e.Reason + "; its voucher has new entries and goes again with " + o.InWords(*next) + orNow(o.retryNow(*next, e.RetryNow))
	case e.State == exports.Planned && over && e.ExportError != "":
		return "not sent: " + e.ExportError + "; to send it: " + retry
	case e.State == exports.Planned && over:
		return "not sent; to send it: " + retry
	case e.State == exports.Sent && over:
		return "it is not known whether the vendor has it; to ask: " + retry
	case e.State == exports.Planned || e.State == exports.Sent:
		return o.waits(e)
	}
	return e.Reason
}

// waits says what an entry of an export that has not ended waits for, and until when.
func (o *Outlook) waits(e runlog.ListedEntry) string {
	i := slices.IndexFunc(o.holds, func(h hold) bool { return e.ExportID != nil && h.export == *e.ExportID })
	sent := e.State == exports.Sent && e.OpenUntil != nil && e.OpenUntil.After(o.now)
	var reason exports.WaitReason
	if i >= 0 {
		reason = o.holds[i].reason
	}
	switch {
	case i >= 0 && reason.For != exports.WaitForProgress && reason.For != exports.WaitForWrites:
		return "waits: " + reason.Says
	case reason.For == exports.WaitForWrites && e.State == exports.Sent && !sent: // its vendor is asked once the others can be
		return "waits: " + reason.Says
	case sent:
		return "sent; the vendor may still act on it until " + o.Time(*e.OpenUntil)
	}
	return "is being exported"
}
