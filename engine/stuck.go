package engine

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/workflows"
)

// StuckWorkflow is a workflow of ours that cannot continue: its tasks fail one after the
// other, because its code panics or does not fit its history, or time out.
type StuckWorkflow struct {
	OrganizationID, IntegrationID uuid.UUID // uuid.Nil of one without
	Workflow                      notify.Workflow
	Cause                         classify.Kind // as Temporal has it: non_deterministic_error, start_to_close
}

// reportedProblems is set by the server, from 1.32 on, when five tasks in a row have
// failed, and removed when one succeeds. How many, its dynamic configuration says:
// system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute.
var reportedProblems = temporal.NewSearchAttributeKeyKeywordList("TemporalReportedProblems")

// stuckPage bounds what is asked for: whoever has so many knows.
const stuckPage = 1000

// StuckWorkflows returns the running workflows whose tasks fail, at most a thousand; all is
// false if there are more. It leaves out those of other programs in the namespace. A server
// that does not report them returns a [*serviceerror.InvalidArgument].
func StuckWorkflows(ctx context.Context, c client.Client) (list []StuckWorkflow, all bool, err error) {
	found, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: stuckPage,
		Query: fmt.Sprintf("%s IN ('category=WorkflowTaskFailed', 'category=WorkflowTaskTimedOut') AND ExecutionStatus = 'Running' AND WorkflowType IN ('%s')",
			reportedProblems.GetName(), strings.Join(workflows.Types(), "', '")),
	})
	if err != nil {
		return nil, false, err
	}
	for _, e := range found.GetExecutions() {
		if s := stuck(e); s.Workflow.Valid() && e.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
			list = append(list, s)
		}
	}
	return list, len(found.GetNextPageToken()) == 0 || len(found.GetExecutions()) < stuckPage, nil
}

func stuck(e *workflow.WorkflowExecutionInfo) StuckWorkflow {
	s := StuckWorkflow{Workflow: notify.Workflow{Type: e.GetType().GetName(), ID: e.GetExecution().GetWorkflowId()}}
	fields := e.GetSearchAttributes().GetIndexedFields()
	read := func(name string, into any) {
		if p, ok := fields[name]; ok {
			_ = converter.GetDefaultDataConverter().FromPayload(p, into) // what cannot be read stays zero
		}
	}
	var organization, integration string
	var problems []string
	read(workflows.OrganizationID.GetName(), &organization)
	read(workflows.IntegrationID.GetName(), &integration)
	read(reportedProblems.GetName(), &problems)
	s.OrganizationID, _ = uuid.Parse(organization)
	s.IntegrationID, _ = uuid.Parse(integration)
	s.Cause = causeOf(problems)
	return s
}

// words splits NonDeterministicError.
var words = regexp.MustCompile(`[A-Z][a-z]*`)

// causeOf is the cause among reported problems, as a word of the kind of errors: of
// "cause=WorkflowTaskFailedCauseNonDeterministicError" it is non_deterministic_error.
func causeOf(problems []string) classify.Kind {
	for _, p := range problems {
		name, ok := strings.CutPrefix(p, "cause=")
		if !ok {
			continue
		}
		name = strings.TrimPrefix(strings.TrimPrefix(name, "WorkflowTaskFailedCause"), "WorkflowTaskTimedOutCause")
		word := strings.ToLower(strings.Join(words.FindAllString(name, -1), "_"))
		return classify.Kind(word[:min(len(word), 40)])
	}
	return ""
}
