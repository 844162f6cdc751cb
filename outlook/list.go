package outlook

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// Entry is an entry, what has become of it, and what comes next for it.
type Entry struct {
	runlog.ListedEntry
	Next *exports.Coming `json:"next,omitempty"` // the export that takes it; nil if one has
	Why  string          `json:"why"`            // in words: why it is not exported, and what comes next
}

// Listing is a list of an integration's entries.
type Listing struct {
	Entries []Entry          `json:"entries"`
	More    int              `json:"more"`             // that the filter selects, beyond its limit
	Sums    runlog.EntrySums `json:"sums"`             // of all that the filter selects
	Waiting []Going          `json:"waiting"`          // of these, those that are still to be taken, by the export that will
	Holds   []string         `json:"holds"`            // why exports that have not ended do not continue, and what to do; a pause is in Paused
	Paused  string           `json:"paused,omitempty"` // see [Outlook.Paused]
	Source  string           `json:"source"`           // the table or view that the entries come from
}

// List returns entries of an integration by date, voucher and ID, each with what comes next
// for it.
func List(ctx context.Context, db runlog.Beginner, sources *runlog.Sources, in integrations.Integration, f runlog.EntryFilter, now time.Time) (l Listing, err error) {
	o, err := Load(ctx, db, in, now)
	if err != nil {
		return l, err
	}
	list, sums, err := runlog.ListEntries(ctx, db, sources, in, f)
	if err != nil {
		return l, err
	}
	l = Listing{Entries: []Entry{}, More: sums.Entries - len(list), Sums: sums, Waiting: o.Going(sums.Waiting), Paused: o.Paused(), Source: in.Export.Source}
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
		o.hold(e, facts[e.ID])
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

// entry adds what comes next for an entry.
func (o *Outlook) entry(listed runlog.ListedEntry) Entry {
	e := Entry{ListedEntry: listed}
	if listed.NextDate != nil {
		next := o.NextFor(*listed.NextDate)
		e.Next = &next
	}
	e.Why = o.why(e)
	return e
}

// why says why an entry is not exported, and what comes next. Of an exported one it is the
// error that the vendor found later, if it did.
func (o *Outlook) why(e Entry) string {
	retry := fmt.Sprintf("starter exports retry %s --integration %s", e.Period, o.Integration.Name)
	over := e.ExportStatus != exports.Pending
	switch {
	case e.State == runlog.Waits:
		return "waits for " + o.InWords(*e.Next)
	case e.State == runlog.WasWithdrawn:
		return "withdrawn; to see by whom and why: starter entries history " + e.VoucherID
	case e.Correction == runlog.Replaced && e.Next != nil && over:
		return fmt.Sprintf("%s; corrected since, and goes again with %s; or now, with %s", e.Reason, o.InWords(*e.Next), retry)
	case e.Correction == runlog.Replaced && e.Next != nil:
		return e.Reason + "; corrected since, and goes again with " + o.InWords(*e.Next)
	case e.Correction == runlog.Replaced && !over:
		return e.Reason + "; corrected since, and goes again once its export has ended"
	case e.State == exports.Rejected && e.Next != nil:
		return e.Reason + "; its voucher has new entries and goes again with " + o.InWords(*e.Next)
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
func (o *Outlook) waits(e Entry) string {
	i := slices.IndexFunc(o.holds, func(h hold) bool { return e.ExportID != nil && h.export == *e.ExportID })
	sent := e.State == exports.Sent && e.OpenUntil != nil && e.OpenUntil.After(o.now)
	switch {
	case i >= 0 && o.holds[i].reason.For != exports.WaitForProgress && !(sent && o.holds[i].reason.For == exports.WaitForWrites):
		return "waits: " + o.holds[i].reason.Says
	case sent:
		return "sent; the vendor may still act on it until " + o.Time(*e.OpenUntil)
	}
	return "is being exported"
}
