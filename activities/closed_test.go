package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"

	"github.com/ledgerline/ledgerline/activities"
)

// Of all statuses that Temporal has, five are an end: what is new is none until somebody
// has read what it means.
func TestClosed(t *testing.T) {
	var closed []string
	for value := range enums.WorkflowExecutionStatus_name {
		if s := enums.WorkflowExecutionStatus(value); activities.Closed(s) {
			closed = append(closed, s.String())
		}
	}
	require.ElementsMatch(t, []string{"Completed", "Failed", "Canceled", "Terminated", "TimedOut"}, closed)
}
