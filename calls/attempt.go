package calls

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/when"
)

// Attempt is one attempt, as people and programs see it.
type Attempt struct {
	Number      int             `json:"attempt"`
	OK          bool            `json:"ok"`                // it succeeded
	Running     bool            `json:"running,omitempty"` // it has not ended
	StartedAt   *time.Time      `json:"startedAt,omitempty"`
	OccurredAt  *time.Time      `json:"occurredAt,omitempty"` // when it ended
	ErrorClass  classify.Class  `json:"errorClass,omitempty"` // of a failure: transient, permanent or timeout
	Kind        classify.Kind   `json:"kind,omitempty"`
	Rule        string          `json:"rule,omitempty"`
	HTTPStatus  int             `json:"httpStatus,omitempty"` // 0 if there was no response
	Message     string          `json:"message,omitempty"`
	IsRetryable bool            `json:"isRetryable"`
	Delay       string          `json:"delay,omitempty"` // until the next one, such as 1.5s
	Effect      classify.Effect `json:"effect,omitempty"`
	OpenUntil   *time.Time      `json:"openUntil,omitempty"`
}

// Row is a row of the audit record: an attempt, and what it belongs to.
type Row struct {
	OrganizationID  uuid.UUID `json:"organizationId"`
	CorrelationID   uuid.UUID `json:"correlationId"`
	IntegrationID   uuid.UUID `json:"integrationId"`             // that was asked for
	IntegrationName string    `json:"integrationName,omitempty"` // "" if the organization has no such integration
	AdapterName     string    `json:"adapterName"`
	Operation       string    `json:"operation"`
	Export          *Origin   `json:"export,omitempty"` // that it was an attempt of
	Attempt
	TotalAttempts int       `json:"totalAttempts,omitempty"` // of a success
	Actor         string    `json:"actor,omitempty"`
	WorkflowID    string    `json:"workflowId"`
	RunID         uuid.UUID `json:"runId"`
	RunStartedAt  time.Time `json:"runStartedAt"`
}

// Origin is the export that an attempt was made for, and what of it, as far as that is
// known: what has been sent again since belongs to that later attempt.
type Origin struct {
	ExportID uuid.UUID      `json:"exportId"`
	Period   string         `json:"period"`
	Status   exports.Status `json:"status"`
	RetryOf  *uuid.UUID     `json:"retryOf,omitempty"`
	Chunk    int            `json:"chunk,omitempty"`
	Entries  int            `json:"entries,omitempty"`
	Vouchers int            `json:"vouchers,omitempty"`
	Voucher  string         `json:"voucher,omitempty"` // the first of them
}

// VoucherText names the vouchers on one line; "" if they are not known.
func (o *Origin) VoucherText() string {
	if o == nil || o.Vouchers == 0 {
		return ""
	}
	if o.Vouchers > 1 {
		return fmt.Sprintf("%s and %d more", o.Voucher, o.Vouchers-1)
	}
	return o.Voucher
}

func originOf(e exports.Export) *Origin {
	return &Origin{ExportID: e.ID, Period: e.Period, Status: e.Status, RetryOf: e.ParentID}
}

// add adds what an invocation has sent.
func (o *Origin) add(sent []runlog.SentEntries, correlation uuid.UUID) {
	for _, s := range sent {
		if s.SentIn == correlation && s.ExportID == o.ExportID {
			o.Chunk, o.Entries, o.Vouchers, o.Voucher = s.Chunk, s.Entries, s.Vouchers, s.Voucher
		}
	}
}

// utc is a time in UTC, as JSON has it; nil if there is none.
func utc(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// delay is a duration in words; "" if there is none.
func delay(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return d.Round(time.Millisecond).String()
}

// attemptOf is an attempt as its trail has it.
func attemptOf(a activities.Attempt) Attempt {
	at := Attempt{
		Number: a.Number, OK: a.Class == classify.Success, Running: a.Class == "", StartedAt: utc(a.StartedAt), OccurredAt: utc(a.EndedAt),
		ErrorClass: a.Class, Kind: a.Kind, Rule: a.Rule, HTTPStatus: a.HTTPStatus, Message: a.Message, IsRetryable: a.Retryable,
		Delay: delay(a.Delay), Effect: a.Effect,
	}
	if at.OK {
		at.ErrorClass = ""
	}
	if a.Effect == classify.Open {
		at.OpenUntil = utc(a.Until())
	}
	return at
}

// AttemptsOf are the attempts of a trail; never nil.
func AttemptsOf(trail activities.Trail) []Attempt {
	list := make([]Attempt, len(trail))
	for i, a := range trail {
		list[i] = attemptOf(a)
	}
	return list
}

// attemptOfRow is an attempt as its row has it.
func attemptOfRow(r runlog.AttemptRow) Attempt {
	at := Attempt{
		Number: r.AttemptNumber, OK: r.ErrorClass == "", OccurredAt: utc(r.OccurredAt), ErrorClass: r.ErrorClass, Kind: r.ErrorKind, Rule: r.Rule,
		HTTPStatus: r.HTTPStatus, Message: r.ErrorMessage, IsRetryable: r.IsRetryable, Delay: delay(r.PlannedDelay), Effect: r.Effect,
	}
	if r.OpenUntil != nil {
		at.OpenUntil = utc(*r.OpenUntil)
	}
	return at
}

// Rows puts beside rows what they belong to. The vouchers are those of what was refused: to
// know which all attempts have sent would take a look at every entry.
func (s Sources) Rows(ctx context.Context, organization uuid.UUID, rows []runlog.AttemptRow, names Names) ([]Row, error) {
	var workflowIDs []string
	for _, r := range rows {
		if r.Operation == "export" && !slices.Contains(workflowIDs, r.WorkflowID) {
			workflowIDs = append(workflowIDs, r.WorkflowID)
		}
	}
	of, err := runlog.ExportsOfRuns(ctx, s.DB, organization, workflowIDs)
	if err != nil {
		return nil, err
	}
	var exportIDs, refused []uuid.UUID
	for _, r := range rows {
		if e, ok := of[r.WorkflowID]; ok && r.ErrorClass == classify.Permanent {
			if refused = append(refused, r.CorrelationID); !slices.Contains(exportIDs, e.ID) {
				exportIDs = append(exportIDs, e.ID)
			}
		}
	}
	sent, err := runlog.ListSent(ctx, s.DB, organization, exportIDs, refused)
	if err != nil {
		return nil, err
	}
	list := make([]Row, len(rows))
	for i, r := range rows {
		list[i] = rowOf(r, names)
		if e, ok := of[r.WorkflowID]; ok {
			list[i].Export = originOf(e)
			list[i].Export.add(sent, r.CorrelationID)
		}
	}
	return list, nil
}

func rowOf(r runlog.AttemptRow, names Names) Row {
	return Row{
		OrganizationID: r.OrganizationID, CorrelationID: r.CorrelationID, IntegrationID: r.RequestedIntegrationID, IntegrationName: names[r.RequestedIntegrationID],
		AdapterName: r.AdapterName, Operation: r.Operation, Attempt: attemptOfRow(r), TotalAttempts: r.TotalAttempts, Actor: r.Actor,
		WorkflowID: r.WorkflowID, RunID: r.RunID, RunStartedAt: r.RunStartedAt.UTC(),
	}
}

// EffectText is what is known of a write, and until when it can still take effect.
func EffectText(effect classify.Effect, openUntil *time.Time) string {
	if effect == classify.Open && openUntil != nil && !openUntil.IsZero() {
		return "open until " + when.Clock(*openUntil, time.Now())
	}
	return cmp.Or(string(effect), "-")
}

// classText is what an attempt came to.
func (a Attempt) classText() string {
	switch {
	case a.Running:
		return "running"
	case a.OK:
		return string(classify.Success)
	}
	return string(a.ErrorClass)
}

// number is a number in a table; "-" for 0.
func number(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// RowHeading are the columns of [Row.Cells], as wide as what is in most of them.
var RowHeading = []string{"OCCURRED AT            ", "CALL    ", "INTEGRATION     ", "OPERATION", "PERIOD ", "VOUCHER", "#", "CLASS    ", "KIND               ", "HTTP", "EFFECT                 ", "MESSAGE"}

// Cells is a row in a table.
func (r Row) Cells() []string {
	at, period, message := "-", "-", r.Message
	if r.OccurredAt != nil {
		at = when.Local(*r.OccurredAt)
	}
	if r.Export != nil {
		period = r.Export.Period
	}
	switch {
	case r.OK && r.TotalAttempts == 1:
		message = "at the first attempt"
	case r.OK:
		message = fmt.Sprintf("after %d attempts", r.TotalAttempts)
	}
	wide := func(s string, column int) string { return fmt.Sprintf("%-*s", len(RowHeading[column]), s) }
	return []string{at, Short(r.CorrelationID), wide(cmp.Or(r.IntegrationName, r.AdapterName), 2), wide(r.Operation, 3), wide(period, 4), wide(cmp.Or(r.Export.VoucherText(), "-"), 5),
		fmt.Sprint(r.Number), wide(r.classText(), 7), wide(string(r.Kind), 8), wide(number(r.HTTPStatus), 9), wide(EffectText(r.Effect, r.OpenUntil), 10), plain.Clip(message, 100)}
}
