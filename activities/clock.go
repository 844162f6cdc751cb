package activities

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// maxSkew is how far the clocks of the server and of this process may be apart
// before somebody should know.
const maxSkew = time.Second

// LocalClock is an interceptor for the client of a worker. It moves the times of
// each activity task to this process's clock, as if the task had been handed out
// when it was received. The SDK computes an activity's deadline from the server's
// times with the local clock, and drops the report of one whose deadline seems to
// have passed: a worker whose clock is ahead would make calls and report none.
//
// A skew of more than a second is logged, at most once a minute.
func LocalClock(log *slog.Logger) grpc.UnaryClientInterceptor {
	var warned atomic.Int64
	local := func(task *workflowservice.PollActivityTaskQueueResponse, now time.Time) {
		if task.GetStartedTime() == nil {
			return // an empty poll
		}
		skew := now.Sub(task.GetStartedTime().AsTime())
		for _, at := range []**timestamppb.Timestamp{&task.ScheduledTime, &task.CurrentAttemptScheduledTime, &task.StartedTime} {
			if *at != nil {
				*at = timestamppb.New((*at).AsTime().Add(skew))
			}
		}
		if last := warned.Load(); skew.Abs() > maxSkew && now.Unix()-last >= 60 && warned.CompareAndSwap(last, now.Unix()) {
			log.Warn("the clocks of this worker and of Temporal differ; attempts keep their time, but check the time service", "ahead", skew.String())
		}
	}
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := invoke(ctx, method, req, reply, cc, opts...)
		if err != nil {
			return err
		}
		switch r := reply.(type) {
		case *workflowservice.PollActivityTaskQueueResponse:
			local(r, time.Now())
		case *workflowservice.RespondWorkflowTaskCompletedResponse: // tasks that are handed out at once
			for _, task := range r.GetActivityTasks() {
				local(task, time.Now())
			}
		}
		return nil
	}
}
