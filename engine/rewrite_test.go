package engine

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// Schedules of other programs in the namespace are none of ours.
func TestIsScheduleID(t *testing.T) {
	id := ScheduleID(uuid.New(), uuid.New())
	require.True(t, isScheduleID(id))
	for _, other := range []string{"", "nightly", "export/nightly", "export/a/b", id + "/x", "x" + id, strings.ToUpper(id), strings.Replace(id, "export", "import", 1)} {
		require.False(t, isScheduleID(other), other)
	}
}
