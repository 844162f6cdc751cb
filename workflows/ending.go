package workflows

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
)

// Ending is the value of the search attribute Outcome: how a workflow ended that has
// completed, since what fails is a result and no failure of its workflow. One that
// succeeded has none, so that a success costs nothing.
type Ending string

// The endings.
const (
	Succeeded      Ending = ""
	EndedFailed    Ending = "failed"
	EndedOpen      Ending = "open"      // something that was sent may have happened, and nobody knows
	EndedPartly    Ending = "partial"   // entries were rejected, or periods of a backfill refused
	EndedRefused   Ending = "refused"   // of an export: it cannot be made at all
	EndedCancelled Ending = "cancelled" // and nothing is open
)

// Ending is how an invocation has ended.
func (o Outcome) Ending() Ending {
	switch {
	case o.OK:
		return Succeeded
	case o.Effect == classify.Open:
		return EndedOpen
	case o.Kind == classify.Cancelled:
		return EndedCancelled
	}
	return EndedFailed
}

// Ending is how a run of an export has ended. One that found its period exported has done
// what it should.
func (r SyncResult) Ending() Ending {
	switch e := r.Export; {
	case r.Refused != "":
		return EndedRefused
	case r.AlreadyExported:
		return Succeeded
	case e.Unknown > 0:
		return EndedOpen
	case e.ErrorCode == classify.Cancelled:
		return EndedCancelled
	case e.Status == exports.Failed:
		return EndedFailed
	case e.Rejected > 0:
		return EndedPartly
	}
	return Succeeded
}

// Ending is how a backfill has ended.
func (r BackfillResult) Ending() Ending {
	if len(r.Refused) > 0 {
		return EndedPartly
	}
	return Succeeded
}

// noteEnding sets the search attribute Outcome of a workflow that is about to complete.
// change is the change ID by which its type got that.
func noteEnding(ctx workflow.Context, change string, e Ending) error {
	if e == Succeeded || workflow.GetVersion(ctx, change, workflow.DefaultVersion, 1) < 1 {
		return nil
	}
	return workflow.UpsertTypedSearchAttributes(ctx, outcomeOf(e))
}

// outcomeOf sets the search attribute.
func outcomeOf(e Ending) temporal.SearchAttributeUpdate { return OutcomeAttribute.ValueSet(string(e)) }
