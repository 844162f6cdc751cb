package activities

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/redact"
	"github.com/ledgerline/ledgerline/runlog"
)

// MirrorName is the name under which [Activities.Mirror] is registered.
const MirrorName = "Mirror"

// MirrorInput is an invocation that is over, for [Activities.Mirror].
type MirrorInput struct {
	OrganizationID uuid.UUID          `json:"organizationId"`
	IntegrationID  uuid.UUID          `json:"integrationId"`
	CorrelationID  uuid.UUID          `json:"correlationId"`
	AdapterName    string             `json:"adapterName"`
	Operation      adapters.Operation `json:"operation"`
	RunStartedAt   time.Time          `json:"runStartedAt"`
	Trail          Trail              `json:"trail"`
	Actor          string             `json:"actor,omitempty"`
	ReadOnly       bool               `json:"readOnly,omitempty"` // nothing is known of a write, because there was none
}

// Rows reports whether an invocation leaves rows in the audit record: one for
// each failed attempt, one for a success after a failure, and one for an ad-hoc
// write that succeeded at once.
func (in MirrorInput) Rows() bool {
	return len(in.Trail.Failures()) > 0 || in.adHocWrite()
}

func (in MirrorInput) adHocWrite() bool {
	effect, _, _ := in.Trail.Effect()
	return in.Operation == adapters.Call && effect != "" && in.Trail.Last().Class == classify.Success
}

// Mirror copies a trail into integration_run_logs, see [MirrorInput.Rows]. It is
// idempotent, so the workflow retries it without limit: an outage of the database
// delays the audit record and never loses any of it.
//
// A row that the database refuses is stored in a reduced form that it accepts, and
// that names the reason: one bad row must not keep the others out. Should that be
// refused too, it is retried, slowly and with an error in the log.
func (a *Activities) Mirror(ctx context.Context, in MirrorInput) error {
	rows := in.rows(activity.GetInfo(ctx))
	err := a.options.Store.InsertAttempts(ctx, in.OrganizationID, rows)
	if err != nil && !errors.Is(err, context.Canceled) && !runlog.IsTransient(err) {
		refused := err
		if err = a.auditEach(ctx, in.OrganizationID, rows); err == nil {
			a.refusals().note("InsertAttempts", "audit rows that it refused are stored in a reduced form", refused,
				"correlation_id", in.CorrelationID, "organization_id", in.OrganizationID, "integration_id", in.IntegrationID)
		}
	}
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return err
	case runlog.IsTransient(err):
		return temporal.NewApplicationErrorWithOptions(redact.Text(err.Error()), auditUnavailable,
			temporal.ApplicationErrorOptions{Category: temporal.ApplicationErrorCategoryBenign})
	}
	return temporal.NewApplicationErrorWithOptions(redact.Text(err.Error()), auditRefused,
		temporal.ApplicationErrorOptions{NextRetryDelay: time.Minute})
}

// InsertAttempts is the [Store]'s in production.
func (d *Database) InsertAttempts(ctx context.Context, organization uuid.UUID, rows []runlog.AttemptRow) error {
	return runlog.InsertAttempts(ctx, d.db, organization, rows)
}

// auditEach stores rows one by one, and in a reduced form those that are refused.
func (a *Activities) auditEach(ctx context.Context, organization uuid.UUID, rows []runlog.AttemptRow) error {
	for _, r := range rows {
		err := a.options.Store.InsertAttempts(ctx, organization, []runlog.AttemptRow{r})
		if err != nil && !runlog.IsTransient(err) {
			err = a.options.Store.InsertAttempts(ctx, organization, []runlog.AttemptRow{r.Reduced(err)})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (in MirrorInput) rows(info activity.Info) []runlog.AttemptRow {
	run, _ := uuid.Parse(info.WorkflowExecution.RunID)
	row := func(at Attempt) runlog.AttemptRow {
		r := runlog.AttemptRow{
			OrganizationID: in.OrganizationID, RequestedIntegrationID: in.IntegrationID,
			CorrelationID: in.CorrelationID, AdapterName: in.AdapterName, Operation: string(in.Operation),
			AttemptNumber: at.Number, ErrorClass: at.Class, ErrorKind: at.Kind, Rule: at.Rule, HTTPStatus: at.HTTPStatus,
			ErrorMessage: at.Message, IsRetryable: at.Retryable, PlannedDelay: at.Delay, OccurredAt: at.EndedAt,
			WorkflowID: info.WorkflowExecution.ID, RunID: run, RunStartedAt: in.RunStartedAt, Actor: in.Actor,
		}
		if !in.ReadOnly {
			r.Effect = at.Effect
		}
		if until := at.Until(); r.Effect == classify.Open && !until.IsZero() {
			r.OpenUntil = &until
		}
		return r
	}
	failures := in.Trail.Failures()
	rows := make([]runlog.AttemptRow, 0, len(failures)+1)
	for _, at := range failures {
		rows = append(rows, row(at))
	}
	if last := in.Trail.Last(); last.Class == classify.Success && in.Rows() {
		r := row(last)
		r.ErrorClass, r.TotalAttempts = "", last.Number
		if r.Effect == "" && in.adHocWrite() { // it was found to be done
			r.Effect = classify.Done
		}
		rows = append(rows, r)
	}
	return rows
}
