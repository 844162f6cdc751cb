package activities

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"

	"github.com/ledgerline/ledgerline/classify"
)

// Temporal's number is that of the attempt at hand, begun or not.
func TestHoldResultOf(t *testing.T) {
	left := Trail{{Number: 1, Class: classify.Transient, Kind: classify.Unavailable}}
	details, err := converter.GetDefaultDataConverter().ToPayloads(left)
	require.NoError(t, err)
	for state, begun := range map[enums.PendingActivityState]int{
		enums.PENDING_ACTIVITY_STATE_SCHEDULED: 1, enums.PENDING_ACTIVITY_STATE_PAUSED: 1,
		enums.PENDING_ACTIVITY_STATE_STARTED: 2, enums.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED: 2, enums.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED: 2,
	} {
		h, err := holdResultOf(&workflow.PendingActivityInfo{State: state, Attempt: 2, HeartbeatDetails: details})
		require.NoError(t, err)
		require.Equal(t, HoldResult{Begun: begun, Trail: left, Last: begun == 2}, h, state)
	}
	h, err := holdResultOf(&workflow.PendingActivityInfo{State: enums.PENDING_ACTIVITY_STATE_SCHEDULED, Attempt: 1})
	require.NoError(t, err)
	require.Equal(t, HoldResult{}, h, "no attempt was made")
	_, err = holdResultOf(&workflow.PendingActivityInfo{Attempt: 1, HeartbeatDetails: &common.Payloads{Payloads: []*common.Payload{{Data: []byte("?")}}}})
	require.ErrorContains(t, err, "unreadable")
}
