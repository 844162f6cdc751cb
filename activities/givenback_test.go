package activities

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/classify"
)

// An attempt that was given back takes none of an invocation's own: those that follow are
// planned as before, and leave their trail for the next.
func TestGivenBackCostsNoAttempt(t *testing.T) {
	a := &Activities{}
	for name, c := range map[string]struct {
		attempt, temporals int
		retried            bool
	}{
		"the first of three":                       {1, 3, true},
		"the last":                                 {3, 3, false},
		"one was given back":                       {3, 4, true},
		"one was given back, the last":             {4, 4, false},
		"two were given back, the first":           {3, 5, true},
		"two were given back, the last":            {5, 5, false},
		"Temporal makes no more, as for a hold":    {1, 1, true},
		"a server that says nothing of its policy": {3, -1, false},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			info := activity.Info{Attempt: int32(c.attempt), ScheduledTime: now, StartedTime: now, ScheduleToCloseTimeout: time.Minute}
			if c.temporals >= 0 {
				info.RetryPolicy = &temporal.RetryPolicy{MaximumAttempts: int32(c.temporals)}
			}
			in := Invocation{CorrelationID: uuid.New(), Policy: classify.Policy{MaxRetries: 2}.WithDefaults()}
			out := outcome{verdict: classify.NewVerdict(classify.Unavailable, "503", "away"), most: 3}
			trail := Trail{{Number: c.attempt, Class: classify.Transient, Kind: classify.Unavailable}}
			a.decide(trail, out, in, info, now)
			require.Equal(t, c.retried, trail.Last().Retryable)
			require.Equal(t, c.retried, trail.Last().Delay > 0)
		})
	}
}
