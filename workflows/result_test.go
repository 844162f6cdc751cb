package workflows

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/failure/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
)

// A worker whose clock is wrong by days does not make a run wait for days.
func TestOpenForIsBounded(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for until, want := range map[time.Time]time.Duration{
		at.Add(17 * time.Minute): 17 * time.Minute, at.Add(10 * 24 * time.Hour): longestOpen, at.Add(-time.Hour): 0,
	} {
		s := ResultOf(activities.Invocation{}, exports.Item{}, Outcome{}, activities.CallResult{Trail: activities.Trail{{Number: 1, EndedAt: at, Effect: classify.Open, OpenUntil: until}}})
		require.Equal(t, want, s.OpenFor)
	}
}

// A question that is lost with its worker leaves nothing open, and is asked again before
// anything that waits for its answer.
func TestLostQuestionIsAskedAgain(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, step := range []exports.Step{exports.PingStep, exports.VerifyStep} {
		question := exports.Item{Step: step}
		p := &exports.Progress{Plan: exports.Plan{Chunks: 3}, Next: 1, Queue: []exports.Item{{Chunk: 1, Do: exports.DoHalve}, question}}
		item, ok, _ := p.Take(at)
		require.True(t, ok)
		require.Equal(t, question, item)
		r := ResultOf(SyncInput{}.Invocation(p.Export, item, uuid.New()), item, Outcome{}, activities.CallResult{Trail: activities.Trail{}.Lost(1, at, at)})
		require.Empty(t, r.Effect)
		require.Positive(t, p.Follow(r, at, 0).Sleep)
		item, ok, _ = p.Take(at)
		require.True(t, ok)
		require.Equal(t, step, item.Step)
	}
}

// Temporal's word that a call is out of attempts is its own only if nobody has held
// the call: holding it takes the attempts that it had not made.
func TestHeldCallHasNoMoreAttempts(t *testing.T) {
	err := temporal.GetDefaultFailureConverter().FailureToError(&failure.Failure{
		FailureInfo: &failure.Failure_ActivityFailureInfo{ActivityFailureInfo: &failure.ActivityFailureInfo{StartedEventId: 7, RetryState: enums.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED}},
		Cause: &failure.Failure{FailureInfo: &failure.Failure_TimeoutFailureInfo{
			TimeoutFailureInfo: &failure.TimeoutFailureInfo{TimeoutType: enums.TIMEOUT_TYPE_START_TO_CLOSE},
		}},
	})
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	p := classify.Policy{}.WithDefaults()
	require.Len(t, trailOf(err, activities.HoldResult{}, p, at, at), p.MaxAttempts())
	require.Len(t, trailOf(err, activities.HoldResult{Cancelled: true}, p, at, at), 1)
}

// The word of an attempt can arrive by heartbeat, and its end be late. Only of a call that was
// held while it was under way is it known that none followed it.
func TestWordBeforeTheEnd(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	word, err := converter.GetDefaultDataConverter().ToPayloads(activities.Trail{{Number: 1, StartedAt: at, EndedAt: at, Class: classify.Timeout, Kind: classify.AttemptTimeout, Retryable: true, Effect: classify.Open}})
	require.NoError(t, err)
	timedOut := temporal.GetDefaultFailureConverter().FailureToError(&failure.Failure{
		FailureInfo: &failure.Failure_ActivityFailureInfo{ActivityFailureInfo: &failure.ActivityFailureInfo{StartedEventId: 7, RetryState: enums.RETRY_STATE_CANCEL_REQUESTED}},
		Cause: &failure.Failure{FailureInfo: &failure.Failure_TimeoutFailureInfo{
			TimeoutFailureInfo: &failure.TimeoutFailureInfo{TimeoutType: enums.TIMEOUT_TYPE_START_TO_CLOSE, LastHeartbeatDetails: word},
		}},
	})
	for _, c := range []struct {
		held activities.HoldResult
		want int
	}{
		{activities.HoldResult{Cancelled: true, Begun: 1, Last: true}, 1},
		{activities.HoldResult{Cancelled: true, Begun: 2, Last: true}, 2}, // the second one left no word
		{activities.HoldResult{Cancelled: true, Begun: 1}, 2},             // another one may have begun
		{activities.HoldResult{Cancelled: true, Unread: true}, 2},
		{activities.HoldResult{}, 2},
	} {
		trail := trailOf(timedOut, c.held, classify.Policy{}.WithDefaults(), at, at)
		require.Len(t, trail, c.want, "%+v", c.held)
		require.False(t, trail.Last().Retryable)
	}
}
