package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	sdktemporal "go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/codec"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

// What Temporal has of a call that waits for its second attempt: input, memo, summary, the trail
// in the heartbeat and the failure. With a key none of it is clear, in the run or in the list of
// workflows, and a client with the key reads it. Without one all of it is, so the test looks
// where it is.
func TestPayloadsOfAWaitingCall(t *testing.T) {
	s := newSealed(t, "{baseDelay: 20s, attemptTimeout: 3s, maxRetries: 1, budget: 1m}")
	plain, err := client.Dial(s.Temporal.ClientOptions())
	require.NoError(t, err)
	t.Cleanup(plain.Close)
	for _, c := range []struct {
		name, key string
		ids       []string
	}{{"in clear", "", nil}, {"encrypted", "k1", []string{"k1"}}} {
		t.Run(c.name, func(t *testing.T) {
			w, keyed := s.worker(t, takesTasks, c.key, c.ids...), s.client(t, c.key, c.ids...)
			in := s.call()
			s.Sandbox.Script(sandbox.Rule{Match: sandbox.Match{CorrelationID: in.CorrelationID.String()}, Times: 1, Status: 503, Body: refusal})
			run, err := keyed.ExecuteWorkflow(t.Context(), engine.InvokeOptions(in), workflows.InvokeName, in)
			require.NoError(t, err)
			describe := func(c client.Client) *workflowservice.DescribeWorkflowExecutionResponse {
				t.Helper()
				d, err := c.WorkflowService().DescribeWorkflowExecution(t.Context(), &workflowservice.DescribeWorkflowExecutionRequest{
					Namespace: s.Temporal.Namespace, Execution: &common.WorkflowExecution{WorkflowId: run.GetID()}})
				require.NoError(t, err)
				return d
			}
			var stored *workflowservice.DescribeWorkflowExecutionResponse
			require.Eventually(t, func() bool {
				stored = describe(plain)
				list := stored.GetPendingActivities()
				return len(list) == 1 && list[0].GetAttempt() == 2 && list[0].GetState() == enums.PENDING_ACTIVITY_STATE_SCHEDULED
			}, time.Minute, 20*time.Millisecond)
			waiting, listed := stored.GetPendingActivities()[0], (*workflowpb.WorkflowExecutionInfo)(nil)
			require.Eventually(t, func() bool {
				list, err := plain.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: fmt.Sprintf("WorkflowId = '%s'", run.GetID())})
				require.NoError(t, err)
				if len(list.GetExecutions()) == 1 {
					listed = list.GetExecutions()[0]
				}
				return listed != nil
			}, time.Minute, 20*time.Millisecond)

			clear, sum := c.key == "", workflows.RequestSum(in)
			for what, at := range map[string]struct {
				stored proto.Message
				holds  string
			}{
				"heartbeat":          {waiting.GetHeartbeatDetails(), canary},
				"failure":            {waiting.GetLastFailure(), canary},
				"memo":               {stored.GetWorkflowExecutionInfo().GetMemo(), sum},
				"memo, in the list":  {listed.GetMemo(), sum},
				"summary":            {stored.GetExecutionConfig().GetUserMetadata(), in.Summary},
				"all of the call":    {stored, canary},
				"all of the listing": {listed, sum},
			} {
				text := decoded(t, protojson.Format(at.stored))
				require.NotEqual(t, "{}", text, what)
				require.Equal(t, clear, strings.Contains(text, at.holds), "%s: %s", what, text)
			}
			require.Equal(t, clear, strings.Contains(s.raw(t, in), canary))

			read := describe(keyed)
			d := converter.GetDefaultDataConverter()
			var trail activities.Trail
			require.NoError(t, d.FromPayloads(read.GetPendingActivities()[0].GetHeartbeatDetails(), &trail))
			require.Len(t, trail, 1)
			require.Contains(t, trail.Last().Message, canary)
			require.Contains(t, read.GetPendingActivities()[0].GetLastFailure().GetMessage(), canary)
			for _, memo := range read.GetWorkflowExecutionInfo().GetMemo().GetFields() {
				var got string
				require.NoError(t, d.FromPayload(memo, &got))
				require.Equal(t, sum, got)
			}
			require.Len(t, read.GetWorkflowExecutionInfo().GetMemo().GetFields(), 1)
			require.NoError(t, plain.TerminateWorkflow(t.Context(), run.GetID(), run.GetRunID(), "seen"))
			stop(t, w)
		})
	}
}

// Somebody encrypts with a key that a running worker lacks, past all rules. What the worker is
// handed it gives back, until it has seen that the key is in use; no invocation loses its only
// attempt. A key of which nobody knows stops no worker.
func TestForeignPayloadKey(t *testing.T) {
	s := newSealed(t, "{attemptTimeout: 5s, maxRetries: 0, budget: 1m}")
	lacking := s.worker(t, takesTasks, "k1", "k1")
	foreign := s.client(t, "k2", "k1", "k2")
	var list []activities.Invocation
	for range 8 {
		in := s.call()
		list = append(list, in)
		_, err := foreign.ExecuteWorkflow(t.Context(), engine.InvokeOptions(in), workflows.InvokeName, in)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		return strings.Contains(lacking.Output(), "a task was given back, because its payload cannot be read")
	}, time.Minute, 20*time.Millisecond)
	known := s.call()
	out, err := engine.Execute(t.Context(), s.client(t, "k1", "k1"), known)
	require.NoError(t, err)
	require.True(t, out.OK)
	status, body := readiness(t, lacking)
	require.Equal(t, 200, status, body)

	// The key is in use, and the worker was out of sight.
	conn, err := pgx.Connect(t.Context(), s.URL(devstack.Admin))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	secret, err := base64.StdEncoding.DecodeString(s.keys["k2"])
	require.NoError(t, err)
	named, err := codec.New("k2", map[string][]byte{"k2": secret})
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `INSERT INTO ledgerline.payload_keys (name) VALUES ($1)`, named.Current())
	require.NoError(t, err)
	require.Eventually(t, func() bool { status, body = readiness(t, lacking); return status == 503 }, time.Minute, 20*time.Millisecond)
	require.Contains(t, body, "payloads are encrypted with key k2 (")
	s.shows(t, "payloads are encrypted with key k2 (")
	s.worker(t, takesTasks, "k2", "k1", "k2")
	for _, in := range list {
		require.NoError(t, foreign.GetWorkflow(t.Context(), workflows.InvokeID(s.org, in.CorrelationID), "").Get(bounded(t, longest), &out))
		require.True(t, out.OK, "%+v", out)
	}
	got := make(map[string]int)
	for _, e := range s.Sandbox.Log() {
		got[e.CorrelationID]++
	}
	for _, in := range append(list, known) {
		require.Equal(t, 1, got[in.CorrelationID.String()])
	}
	stop(t, lacking) // it ends like any
}

// An activity that is given back, again and again, has as many attempts as before when a
// worker can read it, and what it noted in its heartbeat.
func TestGivenBack(t *testing.T) {
	s := &sealed{Stack: stack, keys: make(map[string]string)}
	for _, id := range []string{"k1", "k2"} {
		secret := make([]byte, codec.KeySize)
		_, _ = rand.Read(secret)
		s.keys[id] = base64.StdEncoding.EncodeToString(secret)
	}
	queue := "given-back-" + uuid.NewString()
	c := s.client(t, "k2", "k1", "k2")
	flow := worker.New(c, queue, worker.Options{LocalActivityWorkerOnly: true})
	flow.RegisterWorkflowWithOptions(func(ctx workflow.Context, text string) (string, error) {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute,
			RetryPolicy: &sdktemporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, BackoffCoefficient: 1, MaximumAttempts: 2}})
		var out string
		err := workflow.ExecuteActivity(ctx, "Echo", text).Get(ctx, &out)
		return out, err
	}, workflow.RegisterOptions{Name: "Echoes"})
	require.NoError(t, flow.Start())
	t.Cleanup(flow.Stop)

	// It has the old key only, and nobody stops it.
	old, err := codec.New("k1", map[string][]byte{"k1": make([]byte, codec.KeySize)})
	require.NoError(t, err)
	var back atomic.Int64
	options := s.Temporal.ClientOptions()
	require.NoError(t, old.Secure(&options, &codec.Gate{Unreadable: func(string) { back.Add(1) }}))
	blind, err := client.Dial(options)
	require.NoError(t, err)
	t.Cleanup(blind.Close)
	echo := func(ctx context.Context, text string) (string, error) {
		var noted int
		if activity.HasHeartbeatDetails(ctx) {
			if err := activity.GetHeartbeatDetails(ctx, &noted); err != nil {
				return "", err
			}
		}
		if noted++; noted < 2 {
			activity.RecordHeartbeat(ctx, noted)
			return "", fmt.Errorf("attempt %d", noted)
		}
		return text, nil
	}
	handler := func(c client.Client) worker.Worker {
		w := worker.New(c, queue, worker.Options{DisableWorkflowWorker: true})
		w.RegisterActivityWithOptions(echo, activity.RegisterOptions{Name: "Echo"})
		require.NoError(t, w.Start())
		return w
	}
	lacking := handler(blind)
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: queue, TaskQueue: queue}, "Echoes", "text")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return back.Load() >= 3 }, time.Minute, 10*time.Millisecond)
	lacking.Stop()
	t.Cleanup(handler(c).Stop)
	var out string
	require.NoError(t, run.Get(bounded(t, longest), &out))
	require.Equal(t, "text", out)
}
