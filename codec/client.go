package codec

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"go.temporal.io/api/activity/v1"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/failure/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// Gate is what a worker's polls pass. While it is shut none is sent, so the worker takes no
// task; what is under way ends as usual. The zero value is open.
type Gate struct {
	// Unreadable is called with the ID of the key that a task lacked, each time. It must
	// not block; nil is nobody.
	Unreadable func(keyID string)

	mu     sync.Mutex
	reason string
	opened chan struct{} // while it is shut; closed when it opens
}

// Set shuts the gate for a reason, or opens it with "".
func (g *Gate) Set(reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.reason == "" && reason != "":
		g.opened = make(chan struct{})
	case g.reason != "" && reason == "":
		close(g.opened)
	}
	g.reason = reason
}

// Reason is why the gate is shut, "" if it is open.
func (g *Gate) Reason() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reason
}

// pass waits until the gate is open or ctx ends.
func (g *Gate) pass(ctx context.Context) bool {
	for {
		g.mu.Lock()
		shut, opened := g.reason != "", g.opened
		g.mu.Unlock()
		if !shut {
			return true
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return false
		}
	}
}

// Secure makes a client encrypt what it sends and decrypt what it gets. The gate is that of a
// worker's client, nil of any other.
//
// A worker that is handed a task which it cannot read gives it back: it fails the activity's
// attempt at once and allows one attempt more in its place, so that the invocation has as many
// as before; a workflow task is simply handed out again. Without that an attempt would be
// lost by its timeout. A payload that was changed costs an attempt: nobody could read it.
//
// It is done at the wire and not by a data converter, so that raw answers, of which the
// module reads some (histories, memos, schedules, pending activities), are decrypted too.
func (k *Keys) Secure(o *client.Options, gate *Gate) error {
	if gate == nil {
		gate = new(Gate)
	}
	words, err := converter.NewFailureGRPCClientInterceptor(converter.NewFailureGRPCClientInterceptorOptions{EncodeCommonAttributes: true})
	if err != nil {
		return err
	}
	payloads, err := converter.NewPayloadCodecGRPCClientInterceptor(
		converter.PayloadCodecGRPCClientInterceptorOptions{Codecs: []converter.PayloadCodec{k}})
	if err != nil {
		return err
	}
	chain := []grpc.UnaryClientInterceptor{gate.intercept, payloads}
	if k.Current() != "" {
		chain = []grpc.UnaryClientInterceptor{gate.intercept, copyRequest, words, payloads}
	}
	o.ConnectionOptions.DialOptions = append(o.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(chain...))
	return nil
}

// intercept is the outermost of the chain.
func (g *Gate) intercept(ctx context.Context, method string, req, reply any,
	cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	poll := strings.Contains(method, "/Poll") && strings.HasSuffix(method, "TaskQueue")
	if poll && !g.pass(ctx) {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil // like a poll that found nothing
		}
		return ctx.Err()
	}
	err := invoke(ctx, method, req, reply, cc, opts...)
	var unknown *UnknownKeyError
	lacks := errors.As(err, &unknown)
	switch {
	case !lacks && !errors.Is(err, ErrTampered):
		return err
	case !poll:
		return status.Error(codes.FailedPrecondition, err.Error()) // which is not tried again
	case lacks && g.Unreadable != nil:
		g.Unreadable(unknown.ID)
	}
	err = giveBack(workflowservice.NewWorkflowServiceClient(cc), req, reply, err, lacks)
	proto.Reset(reply.(proto.Message))
	return err
}

// copyRequest keeps a request as it is: what follows encrypts it in place, and the SDK keeps
// parts of it and sends it again.
func copyRequest(ctx context.Context, method string, req, reply any,
	cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if m, ok := req.(proto.Message); ok {
		req = proto.Clone(m)
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

// giveBackWithin bounds the requests that give a task back, retryIn is when another worker gets it.
const (
	giveBackWithin = 5 * time.Second
	retryIn        = time.Second
)

// giveBack gives a task back that cannot be read. If another worker may be able to, it costs no
// attempt. The context of the poll may be about to end.
func giveBack(service workflowservice.WorkflowServiceClient, req, reply any, why error, free bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), giveBackWithin)
	defer cancel()
	cause := &failure.Failure{Message: "given back unread: " + why.Error(), Source: "GoSDK"}
	switch task := reply.(type) {
	case *workflowservice.PollWorkflowTaskQueueResponse:
		poll := req.(*workflowservice.PollWorkflowTaskQueueRequest)
		if task.GetQuery() != nil {
			_, err := service.RespondQueryTaskCompleted(ctx, &workflowservice.RespondQueryTaskCompletedRequest{
				TaskToken: task.GetTaskToken(), Namespace: poll.GetNamespace(),
				CompletedType: enums.QUERY_RESULT_TYPE_FAILED, ErrorMessage: cause.Message, Failure: cause,
			})
			return err
		}
		_, err := service.RespondWorkflowTaskFailed(ctx, &workflowservice.RespondWorkflowTaskFailedRequest{
			TaskToken: task.GetTaskToken(), Namespace: poll.GetNamespace(), Identity: poll.GetIdentity(), Failure: cause,
			Cause: enums.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE,
		})
		return err
	case *workflowservice.PollActivityTaskQueueResponse:
		poll := req.(*workflowservice.PollActivityTaskQueueRequest)
		var errs []error
		if most := task.GetRetryPolicy().GetMaximumAttempts(); most > 0 && free {
			_, err := service.UpdateActivityOptions(ctx, &workflowservice.UpdateActivityOptionsRequest{
				Namespace: poll.GetNamespace(), Execution: task.GetWorkflowExecution(), Identity: poll.GetIdentity(),
				Activity:        &workflowservice.UpdateActivityOptionsRequest_Id{Id: task.GetActivityId()},
				ActivityOptions: &activity.ActivityOptions{RetryPolicy: &common.RetryPolicy{MaximumAttempts: most + 1}},
				UpdateMask:      &fieldmaskpb.FieldMask{Paths: []string{"retry_policy.maximum_attempts"}},
			})
			errs = append(errs, err)
		}
		cause.FailureInfo = &failure.Failure_ApplicationFailureInfo{ApplicationFailureInfo: &failure.ApplicationFailureInfo{
			Type: UnreadableType, NextRetryDelay: durationpb.New(retryIn),
		}}
		_, err := service.RespondActivityTaskFailed(ctx, &workflowservice.RespondActivityTaskFailedRequest{
			TaskToken: task.GetTaskToken(), Namespace: poll.GetNamespace(), Identity: poll.GetIdentity(), Failure: cause,
		})
		return errors.Join(append(errs, err)...)
	}
	return nil
}

// UnreadableType is the type of the failure of an attempt that was given back.
const UnreadableType = "payload_unreadable"
