package calls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/serviceerror"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/when"
)

// StateUnknown is the state of a call that Temporal cannot be asked for.
const StateUnknown engine.State = "unknown"

// Source is where the attempts of a report come from.
type Source string

// The sources of a [Report].
const (
	FromTemporal Source = "temporal"
	FromTable    Source = "table"
)

// Report is all that is known of a call.
type Report struct {
	CorrelationID   uuid.UUID       `json:"correlationId"`
	OrganizationID  uuid.UUID       `json:"organizationId"`
	Organization    string          `json:"organization,omitempty"` // its short name, if it has one and that is known
	IntegrationID   *uuid.UUID      `json:"integrationId,omitempty"`
	IntegrationName string          `json:"integrationName,omitempty"`
	AdapterName     string          `json:"adapterName,omitempty"`
	Operation       string          `json:"operation,omitempty"`
	Export          *Origin         `json:"export,omitempty"` // of an attempt of an export
	State           engine.State    `json:"state"`            // running, waiting, recording, completed, or unknown without Temporal
	Source          Source          `json:"source"`
	Attempts        []Attempt       `json:"attempts"`
	NextAttemptAt   *time.Time      `json:"nextAttemptAt,omitempty"`
	Reason          string          `json:"reason,omitempty"` // why it waits, or why nothing more was tried
	TotalAttempts   int             `json:"totalAttempts,omitempty"`
	Effect          classify.Effect `json:"effect,omitempty"`    // of a write, over all attempts
	OpenUntil       *time.Time      `json:"openUntil,omitempty"` // of an open one
	Actor           string          `json:"actor,omitempty"`     // who asked for it
	UI              string          `json:"ui,omitempty"`

	WorkflowID string `json:"-"` // Temporal's, and its run; "" if Temporal does not have the call
	RunID      string `json:"-"`
}

// Read returns what is known of a call. Without an organization ([uuid.Nil]) only Temporal is
// asked, until it has said whose it is. The error is a [*MissingError] if nobody knows it.
func (s Sources) Read(ctx context.Context, organization, correlation uuid.UUID) (Report, error) {
	r := Report{CorrelationID: correlation, OrganizationID: organization, State: StateUnknown, Attempts: []Attempt{}}
	if err := s.readTemporal(ctx, &r); err != nil {
		return r, err
	}
	if s.DB != nil && r.OrganizationID != uuid.Nil && (r.State == engine.Completed || r.State == StateUnknown) {
		if err := s.readRecord(ctx, &r); err != nil {
			return r, err
		}
	}
	if s.DB != nil && r.Source == "" && r.OrganizationID != uuid.Nil {
		if err := s.readPending(ctx, &r); err != nil {
			return r, err
		}
	}
	if s.DB != nil && r.OrganizationID != uuid.Nil {
		if o, err := runlog.FindOrganization(ctx, s.DB, r.OrganizationID.String()); err == nil {
			r.Organization = o.Short
		}
	}
	if r.IntegrationID != nil && r.IntegrationName == "" {
		r.IntegrationName = s.Names(ctx, r.OrganizationID)[*r.IntegrationID]
	}
	switch {
	case r.Source != "":
		return r, nil
	case organization == uuid.Nil:
		return r, fmt.Errorf("no call %s is known; to search the audit record too, add --org", correlation)
	}
	return r, &MissingError{fmt.Sprintf("no call %s is known", correlation)}
}

// readTemporal fills in what Temporal has.
func (s Sources) readTemporal(ctx context.Context, r *Report) error {
	if s.Temporal == nil {
		return nil
	}
	live, err := engine.InvocationStatus(ctx, s.Temporal, r.OrganizationID, r.CorrelationID)
	var notFound *serviceerror.NotFound
	if errors.As(err, &notFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r.OrganizationID, r.Source, r.WorkflowID, r.RunID = live.OrganizationID, FromTemporal, live.WorkflowID, live.RunID
	r.setLive(live)
	return nil
}

// setLive sets what Temporal knows of the attempts.
func (r *Report) setLive(live engine.Status) {
	r.State, r.TotalAttempts, r.Reason = live.State, len(live.Trail), live.Reason
	if live.NextAttemptAt != nil {
		r.NextAttemptAt = utc(*live.NextAttemptAt)
	}
	r.setTrail(live.Trail)
}

// setTrail sets the attempts, and what is known of a write over all of them.
func (r *Report) setTrail(trail activities.Trail) {
	r.Attempts = AttemptsOf(trail)
	var ended bool
	var until time.Time
	r.Effect, ended, until = trail.Effect()
	if ended { // the answer proves that it can no longer take effect
		until = trail.Last().EndedAt
	}
	if r.Effect == classify.Open {
		r.OpenUntil = utc(until)
	}
}

// readRecord replaces the attempts by those of the audit record, if it has any: a read that
// succeeded at once has left none there.
func (s Sources) readRecord(ctx context.Context, r *Report) error {
	claim, err := runlog.LoadWriteState(ctx, s.DB, r.OrganizationID, r.CorrelationID)
	if err != nil {
		return err
	}
	if claim != nil { // of all runs, with what the vendor said when it was asked
		r.Effect, r.OpenUntil, r.Actor = claim.Effect, nil, claim.Actor
		if claim.OpenUntil != nil {
			r.OpenUntil = utc(*claim.OpenUntil)
		}
	}
	rows, _, err := runlog.ListAttempts(ctx, s.DB, r.OrganizationID, runlog.AttemptFilter{CorrelationID: r.CorrelationID})
	if err != nil || len(rows) == 0 {
		return err
	}
	r.Source, r.Attempts = FromTable, nil
	for _, row := range rows {
		r.Attempts = append(r.Attempts, attemptOfRow(row))
		r.Actor, r.TotalAttempts = cmp.Or(r.Actor, row.Actor), max(r.TotalAttempts, row.AttemptNumber)
	}
	last := rows[len(rows)-1]
	r.IntegrationID, r.AdapterName, r.Operation = &last.RequestedIntegrationID, last.AdapterName, last.Operation
	r.Reason = engine.Reason(activities.Attempt{Kind: last.ErrorKind, Rule: last.Rule})
	if strings.HasPrefix(last.WorkflowID, "invoke/") {
		if s.Temporal != nil { // which no longer has it
			r.State = engine.Completed
		}
		return nil
	}
	r.State = engine.Completed // an attempt of an export, or a probe: its rows come when it has ended
	return s.readOrigin(ctx, r, last.WorkflowID)
}

// readOrigin fills in the export that a workflow works for.
func (s Sources) readOrigin(ctx context.Context, r *Report, workflowID string) error {
	of, err := runlog.ExportsOfRuns(ctx, s.DB, r.OrganizationID, []string{workflowID})
	e, ok := of[workflowID]
	if err != nil || !ok {
		return err
	}
	r.Export = originOf(e)
	sent, err := runlog.ListSent(ctx, s.DB, r.OrganizationID, []uuid.UUID{e.ID}, []uuid.UUID{r.CorrelationID})
	r.Export.add(sent, r.CorrelationID)
	return err
}

// readPending fills in an attempt of an export that has not ended: it has no row yet, and its
// run has it among its activities.
func (s Sources) readPending(ctx context.Context, r *Report) error {
	e, err := runlog.PendingSender(ctx, s.DB, r.OrganizationID, r.CorrelationID)
	if err != nil || e == nil {
		return err
	}
	r.IntegrationID, r.AdapterName, r.Operation, r.Source = &e.IntegrationID, e.AdapterName, "export", FromTable
	if err := s.readOrigin(ctx, r, e.WorkflowID); err != nil || s.Temporal == nil {
		return err
	}
	live, err := engine.ExportStatus(ctx, s.Temporal, e.WorkflowID)
	var notFound *serviceerror.NotFound
	if errors.As(err, &notFound) {
		return nil
	}
	if err == nil {
		r.Source, r.WorkflowID, r.RunID = FromTemporal, live.WorkflowID, live.RunID
		r.setLive(live)
	}
	return err
}

// Lines are the report without its attempts: a name and a value each.
func (r Report) Lines(now time.Time) [][]string {
	lines := [][]string{{"correlation", r.CorrelationID.String()}, {"organization", cmp.Or(r.Organization, r.OrganizationID.String())}}
	add := func(known bool, name, value string) {
		if known {
			lines = append(lines, []string{name, value})
		}
	}
	add(r.IntegrationName+r.AdapterName != "", "integration", strings.TrimSpace(r.IntegrationName+" ("+r.AdapterName+")"))
	add(r.Operation != "", "operation", r.Operation)
	if o := r.Export; o != nil {
		add(true, "export", fmt.Sprintf("%s, period %s, %s", o.ExportID, o.Period, o.Status))
		add(o.RetryOf != nil, "retry of", fmt.Sprint(o.RetryOf))
		add(o.Chunk > 0, "chunk", fmt.Sprint(o.Chunk))
		add(o.Vouchers > 0, "vouchers", fmt.Sprintf("%s (%s)", o.VoucherText(), count(o.Entries, "entry", "entries")))
		add(o.Vouchers == 0, "vouchers", "not known: it sent none, or a later attempt has sent them again")
	}
	add(true, "state", fmt.Sprintf("%s (from %s)", r.State, map[Source]string{FromTemporal: "Temporal", FromTable: "integration_run_logs"}[r.Source]))
	if r.NextAttemptAt != nil {
		add(true, "next attempt", fmt.Sprintf("%s, in %v", when.Local(*r.NextAttemptAt), max(0, r.NextAttemptAt.Sub(now)).Round(100*time.Millisecond)))
	}
	add(r.Reason != "", "reason", r.Reason)
	add(r.Effect != "", "effect", EffectText(r.Effect, r.OpenUntil))
	add(r.Actor != "", "asked by", r.Actor)
	add(r.UI != "", "temporal ui", r.UI)
	return lines
}

// Table is the report's attempts.
func (r Report) Table() [][]string {
	rows := [][]string{{"ATTEMPT", "ENDED", "CLASS", "KIND", "RULE", "HTTP", "EFFECT", "WAIT", "MESSAGE"}}
	for _, a := range r.Attempts {
		ended := "-"
		if a.OccurredAt != nil {
			ended = when.Local(*a.OccurredAt)
		}
		rows = append(rows, []string{fmt.Sprint(a.Number), ended, a.classText(), cmp.Or(string(a.Kind), "-"), cmp.Or(a.Rule, "-"), number(a.HTTPStatus),
			EffectText(a.Effect, a.OpenUntil), cmp.Or(a.Delay, "-"), plain.Clip(a.Message, 80)})
	}
	return rows
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
