package engine

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"

	"github.com/ledgerline/ledgerline/classify"
)

// Every cause that Temporal has becomes a word that a notification takes.
func TestCauseOf(t *testing.T) {
	for n := range enums.WorkflowTaskFailedCause_name {
		cause := causeOf([]string{"category=WorkflowTaskFailed", fmt.Sprint("cause=WorkflowTaskFailedCause", enums.WorkflowTaskFailedCause(n))})
		require.Regexp(t, regexp.MustCompile(`^[a-z][a-z_]{0,39}$`), string(cause))
	}
	for n := range enums.TimeoutType_name {
		cause := causeOf([]string{fmt.Sprint("cause=WorkflowTaskTimedOutCause", enums.TimeoutType(n))})
		require.Regexp(t, regexp.MustCompile(`^[a-z][a-z_]{0,39}$`), string(cause))
	}
	require.Equal(t, classify.Kind("non_deterministic_error"), causeOf([]string{"cause=WorkflowTaskFailedCauseNonDeterministicError"}))
	require.Equal(t, classify.Kind("start_to_close"), causeOf([]string{"cause=WorkflowTaskTimedOutCauseStartToClose"}))
	for _, none := range [][]string{nil, {"category=WorkflowTaskFailed"}, {"cause="}, {"cause=\x1b\n"}} {
		require.Empty(t, causeOf(none))
	}
}
