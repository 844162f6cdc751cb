package workflows

import (
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
)

// BackfillName is the workflow type of [Backfill].
const BackfillName = "Backfill"

// BackfillInput lists what to export, in the order of its periods.
type BackfillInput struct {
	Runs []SyncInput `json:"runs"`
}

// Summary is what the Temporal UI shows of a backfill, without its integration's name.
func (in BackfillInput) Summary() string {
	switch n := len(in.Runs); n {
	case 0:
		return "nothing"
	case 1:
		return in.Runs[0].Period
	default:
		return fmt.Sprintf("%s, %s to %s", count(n, "period"), in.Runs[0].Period, in.Runs[n-1].Period)
	}
}

// BackfillResult counts what became of the runs.
type BackfillResult struct {
	Exported int      `json:"exported"` // periods that had no export before
	Before   int      `json:"before"`   // that had one, or whose run was under way
	Refused  []string `json:"refused,omitempty"`
}

// Backfill exports periods one after the other, each by a run of its own, which has the
// trigger backfill on its row. Temporal's own backfill would start them as if the schedule
// had fired, and each would raise an alert as late. The order matters: a later period takes
// what is left of earlier ones.
func Backfill(ctx workflow.Context, in BackfillInput) (done BackfillResult, err error) {
	if err := in.Validate(); err != nil {
		return BackfillResult{}, notValid(err)
	}
	name := "" // as the last run has it that is valid
	for i, run := range in.Runs {
		if err := run.Validate(); err != nil { // before its period becomes part of an ID
			done.Refused = append(done.Refused, onOneLine(err))
			continue
		}
		child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
			WorkflowID: SyncID(run), TaskQueue: activities.TaskQueue, Priority: Fairly(run.OrganizationID), StaticSummary: Line(run.Summary()),
			TypedSearchAttributes: Attributes(run.OrganizationID, run.IntegrationID, run.AdapterName),
			WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, ParentClosePolicy: enums.PARENT_CLOSE_POLICY_ABANDON,
			WaitForCancellation: true,
		})
		name = run.IntegrationName
		show(ctx, name, "exporting %s, period %d of %d", run.Period, i+1, len(in.Runs))
		var r SyncResult
		err := workflow.ExecuteChildWorkflow(child, SyncName, run).Get(ctx, &r)
		switch {
		case temporal.IsWorkflowExecutionAlreadyStartedError(err), err == nil && r.AlreadyExported:
			done.Before++
		case err != nil:
			return done, err
		case r.Refused != "":
			done.Refused = append(done.Refused, run.Period+": "+r.Refused)
		default:
			done.Exported++
		}
	}
	show(ctx, name, "%d exported, %d exported before, %d refused", done.Exported, done.Before, len(done.Refused))
	return done, noteEnding(ctx, backfillOutcome, done.Ending())
}
