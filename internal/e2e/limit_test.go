package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
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
			fmt.Fprintln(os.Stderr, strings.Join(lastEvents(ctx, id.GetWorkflowId(), id.GetRunId()), "\n"))
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

// lastEvents are the last events of a run, one a line.
func lastEvents(ctx context.Context, id, run string) (lines []string) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for events := temporal.GetWorkflowHistory(ctx, id, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		e, err := events.Next()
		if err != nil {
			return append(lines, err.Error())
		}
		lines = append(lines, fmt.Sprintf("  %d %v %v", e.GetEventId(), e.GetEventTime().AsTime(), e.GetEventType()))
	}
	return lines[max(0, len(lines)-20):]
}
