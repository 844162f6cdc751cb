package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/workflows"
)

// DeadExports returns those of an organization's pending exports whose runs no longer exist.
// It asks which runs there are, which costs a request for each thousand, and then of each
// that is missing there, since the list is a second behind.
func DeadExports(ctx context.Context, c client.Client, organization uuid.UUID, pending []exports.Export) (dead []exports.Export, err error) {
	if len(pending) == 0 {
		return nil, nil
	}
	running := make(map[string]bool)
	for token := []byte(nil); ; {
		found, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			PageSize: stuckPage, NextPageToken: token,
			Query: fmt.Sprintf("%s = '%s' AND WorkflowType = '%s' AND ExecutionStatus = 'Running'", workflows.OrganizationID.GetName(), organization, workflows.SyncName),
		})
		if err != nil {
			return nil, err
		}
		for _, e := range found.GetExecutions() {
			running[e.GetExecution().GetWorkflowId()] = true
		}
		if token = found.GetNextPageToken(); len(token) == 0 {
			break
		}
	}
	for _, e := range pending {
		if running[e.WorkflowID] {
			continue
		}
		closed, err := RunClosed(ctx, c, e)
		if err != nil {
			return nil, err
		}
		if closed {
			dead = append(dead, e)
		}
	}
	return dead, nil
}

// CallClosed reports whether no run of a call is open, because it has ended or Temporal does
// not know it any more.
func CallClosed(ctx context.Context, c client.Client, organization, correlation uuid.UUID) (bool, error) {
	d, err := c.DescribeWorkflow(ctx, workflows.InvokeID(organization, correlation), "")
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return true, nil
	}
	return err == nil && activities.Closed(d.Status), err
}
