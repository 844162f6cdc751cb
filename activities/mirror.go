package activities

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/runlog"
)

// Finished is an invocation that is over, for [Activities.Mirror].
type Finished struct {
	OrganizationID uuid.UUID `json:"organizationId"`
	IntegrationID  uuid.UUID `json:"integrationId"`
	CorrelationID  uuid.UUID `json:"correlationId"`
	AdapterName    string    `json:"adapterName"`
	Operation      string    `json:"operation"`
	RunStartedAt   time.Time `json:"runStartedAt"`
	Trail          Trail     `json:"trail"`
}

// Error types of [Activities.Mirror], shown in the Temporal UI while it waits.
const (
	auditUnavailable = "audit_unavailable" // the database is away: it goes on when it is back
	auditRefused     = "audit_refused"     // the database refuses the rows: someone must look
)

// Mirror copies a trail into integration_run_logs: one row for each failed
// attempt, and one with the total if a success came after a failure. It is
// idempotent, so the workflow retries it without limit: an outage of the
// database delays the audit record and never loses any of it.
//
// Rows that the database refuses are retried too, more slowly and loudly:
// dropping them would make the audit record wrong in silence.
func (a *Activities) Mirror(ctx context.Context, f Finished) error {
	rows := f.rows(activity.GetInfo(ctx))
	if f.unknownIntegration() {
		// The foreign key could not hold: what was asked for is kept beside it.
		for i := range rows {
			rows[i].IntegrationID = nil
		}
	}
	err := a.Audit(ctx, f.OrganizationID, rows)
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	if runlog.IsTransient(err) {
		return temporal.NewApplicationErrorWithOptions(cut(err.Error()), auditUnavailable,
			temporal.ApplicationErrorOptions{Category: temporal.ApplicationErrorCategoryBenign})
	}
	a.Log.Error("the database refuses audit rows; they are kept in Temporal and tried again",
		"correlation_id", f.CorrelationID, "organization_id", f.OrganizationID, "error", cut(err.Error()))
	return temporal.NewApplicationErrorWithOptions(cut(err.Error()), auditRefused,
		temporal.ApplicationErrorOptions{NextRetryDelay: time.Minute})
}

// unknownIntegration reports whether the organization has no such integration.
func (f Finished) unknownIntegration() bool {
	return f.Trail.Last().Rule == ruleUnknownIntegration
}

func (f Finished) rows(info activity.Info) []runlog.Row {
	run, _ := uuid.Parse(info.WorkflowExecution.RunID)
	row := func(at Attempt) runlog.Row {
		return runlog.Row{
			OrganizationID: f.OrganizationID, IntegrationID: &f.IntegrationID, RequestedIntegrationID: f.IntegrationID,
			CorrelationID: f.CorrelationID, AdapterName: f.AdapterName, Operation: f.Operation,
			AttemptNumber: at.Number, ErrorClass: at.Class, ErrorKind: at.Kind, Rule: at.Rule, HTTPStatus: at.HTTPStatus,
			ErrorMessage: at.Message, IsRetryable: at.Retryable, PlannedDelay: at.Delay, OccurredAt: at.EndedAt,
			WorkflowID: info.WorkflowExecution.ID, RunID: run, RunStartedAt: f.RunStartedAt,
		}
	}
	failures := f.Trail.Failures()
	rows := make([]runlog.Row, 0, len(failures)+1)
	for _, at := range failures {
		rows = append(rows, row(at))
	}
	if last := f.Trail.Last(); last.Class == classify.Success && len(failures) > 0 {
		r := row(last)
		r.ErrorClass, r.TotalAttempts = "", last.Number
		rows = append(rows, r)
	}
	return rows
}
