package activities

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/api/activity/v1"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	sdkactivity "go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/ledgerline/ledgerline/redact"
)

// HoldName is the name under which [Activities.Hold] is registered.
const HoldName = "Hold"

// HoldResult is a call that is about to be cancelled.
type HoldResult struct {
	Begun     int   `json:"begun"`           // attempts by Temporal's count, with one under way; 0 if there is no call
	Trail     Trail `json:"trail,omitempty"` // what they left
	Last      bool  `json:"last,omitempty"`  // the last of these was under way, and none can follow it
	Unread    bool  `json:"-"`               // Temporal did not answer: nothing is known
	Cancelled bool  `json:"-"`               // it was held, or at least tried
}

// Hold makes the current attempt the last one of its workflow's call, and
// reads what the attempts before it left. Temporal forgets that when it cancels
// a call that waits for its next attempt.
//
// The order closes the race: an attempt that begins, or ends, after the reading
// ends the call, and its report has the whole trail. It changes nothing for an
// attempt under way. A server that cannot change an activity's options leaves
// the race open, for as long as the workflow task takes to return to it.
func (a *Activities) Hold(ctx context.Context) (HoldResult, error) {
	info, c := sdkactivity.GetInfo(ctx), sdkactivity.GetClient(ctx)
	unheld := makeLast(ctx, c, info)
	if unheld != nil {
		a.options.Log.Warn("a call could not be held before it is cancelled", "workflow_id", info.WorkflowExecution.ID, "error", redact.Text(unheld.Error()))
	}
	d, err := c.DescribeWorkflow(ctx, info.WorkflowExecution.ID, info.WorkflowExecution.RunID)
	if err != nil {
		return HoldResult{}, err
	}
	for _, p := range d.RawResponse.GetPendingActivities() {
		if p.GetActivityType().GetName() == CallName {
			held, err := holdResultOf(p)
			held.Last = held.Last && unheld == nil
			return held, err
		}
	}
	return HoldResult{}, nil // it has just ended, or never begun
}

// makeLast lets no attempt follow the current one. The intervals keep one that
// waits from beginning: the server computes its time again when options change.
func makeLast(ctx context.Context, c client.Client, info sdkactivity.Info) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := c.WorkflowService().UpdateActivityOptions(ctx, &workflowservice.UpdateActivityOptionsRequest{
		Namespace: info.Namespace,
		Execution: &common.WorkflowExecution{WorkflowId: info.WorkflowExecution.ID, RunId: info.WorkflowExecution.RunID},
		Activity:  &workflowservice.UpdateActivityOptionsRequest_Type{Type: CallName},
		ActivityOptions: &activity.ActivityOptions{RetryPolicy: &common.RetryPolicy{
			MaximumAttempts: 1, InitialInterval: durationpb.New(24 * time.Hour), MaximumInterval: durationpb.New(24 * time.Hour),
		}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"retry_policy.maximum_attempts", "retry_policy.initial_interval", "retry_policy.maximum_interval"}},
	})
	return err
}

// holdResultOf reads what a pending call has done so far.
func holdResultOf(p *workflow.PendingActivityInfo) (h HoldResult, err error) {
	h.Begun = int(p.GetAttempt())
	switch p.GetState() {
	case enums.PENDING_ACTIVITY_STATE_SCHEDULED, enums.PENDING_ACTIVITY_STATE_PAUSED: // the number is that of the next one
		h.Begun--
	default:
		h.Last = true
	}
	h.Trail, err = PendingTrail(p)
	return h, err
}

// PendingTrail reads the trail that the attempts of a call have left so far.
func PendingTrail(p *workflow.PendingActivityInfo) (t Trail, err error) {
	if len(p.GetHeartbeatDetails().GetPayloads()) == 0 {
		return nil, nil
	}
	if err := converter.GetDefaultDataConverter().FromPayloads(p.GetHeartbeatDetails(), &t); err != nil {
		return nil, fmt.Errorf("the trail of a call is unreadable: %w", err)
	}
	return t, nil
}
