package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/redact"
	"github.com/ledgerline/ledgerline/runlog"
)

// Every step of the store that PostgreSQL does not take is logged with its IDs and
// counted, whatever becomes of the activity. There are two ways:
//
//   - It ends its activity by [storeError]. The error's type says so, see [IsStoreError],
//     and the worker logs and counts it.
//   - The activity has something else to say, as an attempt has, or continues without it:
//     then the step goes through [refusals].

// Error types of activities that keep a record, shown in the Temporal UI while one waits,
// and why PostgreSQL did not take a step.
const (
	auditUnavailable = "audit_unavailable" // the database is away: it is tried again until it is back
	auditRefused     = "audit_refused"     // the database refuses the step or its rows: someone must look
)

// IsStoreError reports whether an error of this type is of an activity whose record the
// database did not take.
func IsStoreError(errorType string) bool {
	return errorType == auditUnavailable || errorType == auditRefused
}

// storeError keeps a database error short and without what it may quote.
func storeError(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, runlog.ErrNotOwner) { // the run has to claim again
		return temporal.NewApplicationErrorWithOptions(redact.Text(err.Error()), string(classify.NotOwner),
			temporal.ApplicationErrorOptions{NonRetryable: true, Category: temporal.ApplicationErrorCategoryBenign})
	}
	return temporal.NewApplicationErrorWithOptions(redact.Text(err.Error()), reasonOf(err),
		temporal.ApplicationErrorOptions{Category: temporal.ApplicationErrorCategoryBenign})
}

// reasonOf is why PostgreSQL did not take a step.
func reasonOf(err error) string {
	if runlog.IsTransient(err) {
		return auditUnavailable
	}
	return auditRefused
}

// refusals logs and counts steps that PostgreSQL did not take. An answer of the store is
// none, nor is a step that was cancelled.
type refusals struct {
	log   *slog.Logger
	count func(step, reason string) // may be nil
}

// note takes the error of a step, nil if there is none: what says what has come of it,
// and ids are attributes of the log line.
func (r refusals) note(step, what string, err error, ids ...any) {
	if err == nil || runlog.IsOutcome(err) || errors.Is(err, context.Canceled) {
		return
	}
	reason, level := reasonOf(err), slog.LevelWarn
	if reason == auditRefused {
		level = slog.LevelError
	}
	r.log.Log(context.Background(), level, "the database did not take a step: "+what,
		append([]any{"step", step, "reason", reason, "error", redact.Text(err.Error())}, ids...)...)
	if r.count != nil {
		r.count(step, reason)
	}
}

func (a *Activities) refusals() refusals { return refusals{a.options.Log, a.options.Refused} }

// ids are the attributes of a log line about an invocation.
func (in Invocation) ids() []any {
	return []any{
		"correlation_id", in.CorrelationID, "organization_id", in.OrganizationID, "integration_id", in.IntegrationID,
		"operation", in.Operation,
	}
}

// storeVerdict is the verdict on an attempt one of whose steps failed: it ends there and
// can be made again. No attempt makes that verdict in another way.
func (a *Activities) storeVerdict(in Invocation, step, rule, what string, err error) classify.Verdict {
	if errors.Is(err, runlog.ErrNotOwner) {
		return classify.NewVerdict(classify.NotOwner, "export:owner", "this run no longer owns the export: "+err.Error())
	}
	if errors.Is(err, runlog.ErrMoved) {
		v := classify.NewVerdict(classify.Dependency, "integration:moved", what+": "+err.Error())
		v.RetryAfter = Freshness // until the next attempt reads the integration again
		return v
	}
	a.refusals().note(step, what, err, in.ids()...)
	return classify.NewVerdict(classify.Dependency, rule, fmt.Sprintf("%s: %v", what, err))
}
