// Package statement is what people and programs are shown of a period's export: what arrived,
// what is missing, why, and what to do.
//
// A [Period] is a view of an [exports.Chain], with the words that a controller uses and JSON
// names of its own: what is stored in Temporal is [exports.Export], and frozen. Its rows are
// for a table, [WriteCSV] is for a spreadsheet. Whoever prints it, the command line or a
// web page, adds no words.
//
// The package formats. It reads no database, and its clock is the caller's.
package statement

import (
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

// Period is an export and its retries, counted as one.
type Period struct {
	Period        string                            `json:"period"`
	Name          string                            `json:"name"` // "October 2026"
	Days          string                            `json:"days"` // "1–31 October 2026"
	IntegrationID uuid.UUID                         `json:"integrationId"`
	Integration   string                            `json:"integration"`
	State         exports.ChainState                `json:"state"`
	Summary       string                            `json:"summary"`
	Next          string                            `json:"next,omitempty"`    // the command for what is to be done
	Waiting       string                            `json:"waiting,omitempty"` // why, until when, and what to do
	StartedAt     time.Time                         `json:"startedAt"`
	FinishedAt    *time.Time                        `json:"finishedAt,omitempty"` // of the last export
	Total         exports.Count                     `json:"total"`
	Counts        map[exports.Outcome]exports.Count `json:"counts"`
	Missing       exports.Count                     `json:"missing"`
	Elsewhere     []Elsewhere                       `json:"elsewhere"`  // of the missing: with exports of other periods
	Late          int                               `json:"late"`       // entries dated before the period
	LateErrors    int                               `json:"lateErrors"` // exported entries in which the vendor found an error later
	Exports       []Export                          `json:"exports"`    // the first one, then its retries

	next  string // what Next is for
	waits string // Waiting in a few words
}

// Elsewhere are missing entries that are dated in a period, and went with the export of
// another one.
type Elsewhere struct {
	Period string          `json:"period"`
	State  exports.Outcome `json:"state"`
	Count  exports.Count   `json:"count"`

	words string
}

// Export is one export of a period.
type Export struct {
	OrganizationID    uuid.UUID         `json:"organizationId"`
	ID                uuid.UUID         `json:"exportId"`
	IntegrationID     uuid.UUID         `json:"integrationId"`
	AdapterName       string            `json:"adapterName"`
	Period            string            `json:"period"`
	Trigger           exports.Trigger   `json:"trigger"`
	TriggeredBy       string            `json:"triggeredBy"`
	ParentID          *uuid.UUID        `json:"parentExportId,omitempty"` // what it is the retry of
	RetryID           *uuid.UUID        `json:"retryExportId,omitempty"`  // its retry
	ScheduledAt       *time.Time        `json:"scheduledAt,omitempty"`
	StartedAt         time.Time         `json:"startedAt"`
	DeferredUntil     *time.Time        `json:"deferredUntil,omitempty"` // of a pending one
	DeferredFor       classify.Kind     `json:"deferredFor,omitempty"`
	FinishedAt        *time.Time        `json:"finishedAt,omitempty"`
	Status            exports.Status    `json:"status"`
	Total             int               `json:"entriesTotal"` // these as they were when it ended
	Exported          int               `json:"entriesExported"`
	Refused           int               `json:"entriesRefused"`
	Unknown           int               `json:"entriesUnknown"`
	LateErrors        int               `json:"entriesWithLateErrors"`
	Attempts          int               `json:"attempts"`
	Chunks            int               `json:"chunks"`
	Requests          int               `json:"requests"`
	LookUps           int               `json:"lookUps"`
	Isolating         int               `json:"isolating"`
	WarmUp            string            `json:"warmUp,omitempty"` // such as "1.2s"
	ColdStart         bool              `json:"coldStart"`
	Amounts           map[string]string `json:"amounts"`
	SHA256            string            `json:"sha256,omitempty"`
	LastCorrelationID *uuid.UUID        `json:"lastCorrelationId,omitempty"`
	ErrorClass        classify.Class    `json:"errorClass,omitempty"`
	ErrorKind         classify.Kind     `json:"errorKind,omitempty"`
	Message           string            `json:"message,omitempty"`
	WorkflowID        string            `json:"workflowId"`
	RunID             uuid.UUID         `json:"runId"`
}

// Of is the view of a chain at a time, in whose zone times are. facts are those of the export
// of it that is pending, by its ID; without them nothing is said of why it waits.
func Of(c exports.Chain, now time.Time, facts map[uuid.UUID]exports.WaitFacts) Period {
	first, last := c.First(), c.Last()
	p := Period{
		Period: first.Period, Name: c.Name(), Days: exports.PeriodDays(first.PeriodStart, first.PeriodEnd), IntegrationID: first.IntegrationID, Integration: c.Integration,
		State: c.State(), Summary: c.Summary(), StartedAt: first.StartedAt, FinishedAt: last.FinishedAt,
		Total: full(c.Total()), Missing: full(c.Missing()), Elsewhere: []Elsewhere{}, Counts: make(map[exports.Outcome]exports.Count), Late: c.Late, LateErrors: c.LateErrors,
	}
	p.next, p.Next = c.NextStep()
	if e := c.Pending(); e != nil && e.Trigger != exports.ByAdopting { // which has no run
		if why := facts[e.ID].Reason(now); why.For != exports.WaitForProgress {
			p.Waiting, p.waits = why.String(), why.Brief
		}
	}
	for _, o := range exports.Outcomes {
		p.Counts[o] = full(c.Counts[o])
	}
	for _, e := range c.Elsewhere {
		p.Elsewhere = append(p.Elsewhere, Elsewhere{e.Period, e.Outcome, full(e.Count), e.String()})
	}
	for _, e := range c.Exports {
		view := OfExport(e)
		if retry := c.Retry(e); retry != nil {
			view.RetryID = &retry.ID
		}
		p.Exports = append(p.Exports, view)
	}
	return p
}

// full has an empty object where there are no amounts.
func full(c exports.Count) exports.Count {
	if c.Amounts == nil {
		c.Amounts = map[string]string{}
	}
	return c
}

// OfExport is the view of one export.
func OfExport(e exports.Export) Export {
	v := Export{
		OrganizationID: e.OrganizationID, ID: e.ID, IntegrationID: e.IntegrationID, AdapterName: e.AdapterName, Period: e.Period, Trigger: e.Trigger, TriggeredBy: e.TriggeredBy,
		ParentID: e.ParentID, ScheduledAt: e.ScheduledAt, StartedAt: e.StartedAt, FinishedAt: e.FinishedAt, Status: e.Status,
		Total: e.Total, Exported: e.Exported, Refused: e.Rejected, Unknown: e.Unknown, LateErrors: e.LateErrors,
		Attempts: e.Attempts, Chunks: e.Chunks, Requests: e.Requests, LookUps: e.LookUps, Isolating: e.Isolating, ColdStart: e.ColdStart,
		Amounts: e.Amounts, SHA256: e.SHA256, LastCorrelationID: e.LastCorrelationID,
		ErrorClass: e.ErrorClass, ErrorKind: e.ErrorCode, Message: e.ErrorMessage, WorkflowID: e.WorkflowID, RunID: e.RunID,
	}
	if e.WarmUp > 0 {
		v.WarmUp = e.WarmUp.Round(time.Millisecond).String()
	}
	if e.Status == exports.Pending { // that it was deferred stays on record, and says nothing any more
		v.DeferredUntil, v.DeferredFor = e.DeferredUntil, e.DeferredFor
	}
	return v
}

// Voucher is one voucher of a period, as JSON has it.
type Voucher struct {
	VoucherID string            `json:"voucherId"`
	Date      string            `json:"date"` // 2026-10-31
	Text      string            `json:"text"`
	State     exports.Outcome   `json:"state"`
	Amounts   map[string]string `json:"amounts"`
	Entries   int               `json:"entries"`             // that the state is about: the exported ones, or those that are missing
	Withdrawn int               `json:"withdrawn,omitempty"` // entries of it that a person has withdrawn, and others not
	Late      bool              `json:"late"`                // an entry of it is dated before the period
	LateError bool              `json:"lateError"`           // the vendor found an error in it later
	Message   string            `json:"message,omitempty"`
	OpenUntil *time.Time        `json:"openUntil,omitempty"` // a request with it can take effect until then
	Corrected bool              `json:"corrected,omitempty"` // since it was refused, and no export has taken it again
	ExportID  uuid.UUID         `json:"exportId"`

	parts []runlog.VoucherPart
}

// OfVouchers are the views of vouchers; never nil.
func OfVouchers(list []runlog.Voucher) []Voucher {
	views := make([]Voucher, 0, len(list))
	for _, v := range list {
		views = append(views, Voucher{
			VoucherID: v.ID, Date: v.Date.Format(time.DateOnly), Text: v.Text, State: v.Outcome, Amounts: v.Amounts(), Entries: v.Entries(), Withdrawn: v.Withdrawn(),
			Late: v.Late, LateError: v.LateError, Corrected: v.Corrected, Message: v.Reason(), OpenUntil: v.OpenUntil, ExportID: v.ExportID, parts: v.Parts,
		})
	}
	return views
}
