package activities

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ledgerline/ledgerline/classify"
)

// A clock that is ahead or behind neither shortens nor refuses attempts.
func TestLocalClock(t *testing.T) {
	for _, ahead := range []time.Duration{0, 5 * time.Second, time.Minute, -time.Minute} {
		var log bytes.Buffer
		intercept := LocalClock(slog.New(slog.NewTextHandler(&log, nil)))
		task := func() *workflowservice.PollActivityTaskQueueResponse {
			started := time.Now().Add(-ahead) // the server's clock
			return &workflowservice.PollActivityTaskQueueResponse{
				ScheduledTime: timestamppb.New(started.Add(-20 * time.Second)), CurrentAttemptScheduledTime: timestamppb.New(started.Add(-time.Second)), StartedTime: timestamppb.New(started),
			}
		}
		check := func(task *workflowservice.PollActivityTaskQueueResponse) {
			require.WithinDuration(t, time.Now(), task.StartedTime.AsTime(), time.Second)
			require.Equal(t, 20*time.Second, task.StartedTime.AsTime().Sub(task.ScheduledTime.AsTime()).Round(time.Millisecond))
			require.Equal(t, time.Second, task.StartedTime.AsTime().Sub(task.CurrentAttemptScheduledTime.AsTime()).Round(time.Millisecond))
		}
		poll, eager := task(), &workflowservice.RespondWorkflowTaskCompletedResponse{ActivityTasks: []*workflowservice.PollActivityTaskQueueResponse{task()}}
		for _, reply := range []any{poll, eager, &workflowservice.PollActivityTaskQueueResponse{}} {
			require.NoError(t, intercept(t.Context(), "", nil, reply, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return nil }))
		}
		check(poll)
		check(eager.ActivityTasks[0])
		require.Equal(t, ahead != 0, strings.Contains(log.String(), "clocks"), ahead)
		require.LessOrEqual(t, strings.Count(log.String(), "\n"), 1)
	}
}

// An attempt's time is counted from its receipt.
func TestDeadline(t *testing.T) {
	p, now := classify.DefaultPolicy(), time.Now()
	for _, ahead := range []time.Duration{0, 5 * time.Second, time.Minute, -time.Minute} {
		info := activity.Info{StartedTime: now.Add(-ahead), ScheduledTime: now.Add(-ahead), StartToCloseTimeout: 10 * time.Second, ScheduleToCloseTimeout: 59 * time.Second}
		require.Equal(t, now.Add(9500*time.Millisecond), deadline(now, info, p))
	}
}

// The SDK's deadline does not reach an attempt, and its cancellation does.
func TestDetach(t *testing.T) {
	parent, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-parent.Done()
	live, stop := detach(parent)
	defer stop()
	time.Sleep(10 * time.Millisecond)
	require.NoError(t, live.Err())

	parent, cancelCause := context.WithCancelCause(t.Context())
	live, stop = detach(parent)
	defer stop()
	cancelCause(context.Canceled)
	<-live.Done()
	require.ErrorIs(t, live.Err(), context.Canceled)
}
