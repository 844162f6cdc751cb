package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/workflows"
)

// A receiver that stays away is tried after 10 s, 20 s, 40 s …, and in the end
// why it failed is recorded once. The test environment ends after ten
// attempts, before the waits reach their hour.
func TestNotifySchedule(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	var at []time.Time
	env.RegisterActivityWithOptions(func(context.Context, activities.DeliverInput) (activities.DeliverResult, error) {
		at = append(at, env.Now())
		return activities.DeliverResult{}, temporal.NewApplicationError("not delivered", string(classify.Unavailable))
	}, activity.RegisterOptions{Name: activities.DeliverName})
	var ends []activities.RecordDeliveryInput
	env.RegisterActivityWithOptions(func(_ context.Context, end activities.RecordDeliveryInput) error {
		ends = append(ends, end)
		return nil
	}, activity.RegisterOptions{Name: activities.RecordDeliveryName})
	key := notify.DeliveryKey{OrganizationID: uuid.New(), NotificationID: uuid.New(), Channel: "ops"}
	env.ExecuteWorkflow(workflows.Notify, workflows.NotifyInput{DeliveryKey: key})
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, []activities.RecordDeliveryInput{{Key: key, Status: notify.DeliveryStatus{State: notify.DeliveryFailed, ErrorKind: classify.Unavailable}}}, ends)
	require.Len(t, at, 10)
	for i, wait := range []time.Duration{10, 20, 40, 80, 160, 320, 640, 1280, 2560} {
		require.Equal(t, wait*time.Second, at[i+1].Sub(at[i]).Round(time.Second), "wait %d", i+1)
	}
}
