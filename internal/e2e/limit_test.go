package e2e

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
)

// longest is more than any test takes, also on a busy machine.
const longest = 8 * time.Minute

var withLimit sync.Map // names of tests

// limit ends a test that hangs: what waits for a run waits for ever if the run does.
// Its open runs are shown with the end of their histories, and terminated, so that the
// test fails under its own name and the others still run.
func limit(t *testing.T) {
	if _, has := withLimit.LoadOrStore(t.Name(), true); has {
		return
	}
	over := time.AfterFunc(longest, func() {
		t.Errorf("%s has run for %v", t.Name(), longest)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		open, err := temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: `ExecutionStatus = "Running"`})
		if err != nil {
			fmt.Fprintln(os.Stderr, "its open runs are not known:", err)
			return
		}
		for _, run := range open.Executions {
			id := run.GetExecution()
			fmt.Fprintln(os.Stderr, "open:", run.GetType().GetName(), id.GetWorkflowId(), id.GetRunId(), run.GetStartTime().AsTime())
			var last []string
			for events := temporal.GetWorkflowHistory(ctx, id.GetWorkflowId(), id.GetRunId(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
				e, err := events.Next()
				if err != nil {
					break
				}
				last = append(last, fmt.Sprintf("  %d %v %v", e.GetEventId(), e.GetEventTime().AsTime(), e.GetEventType()))
			}
			for _, line := range last[max(0, len(last)-20):] {
				fmt.Fprintln(os.Stderr, line)
			}
			if err := temporal.TerminateWorkflow(ctx, id.GetWorkflowId(), id.GetRunId(), t.Name()+" hangs"); err != nil {
				fmt.Fprintln(os.Stderr, "  is not terminated:", err)
			}
		}
	})
	t.Cleanup(func() { over.Stop() })
}

// bounded is the test's context, which ends after d.
func bounded(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
