package watcher

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
)

// However many exports are pending, a worker asks at a bounded pace, and about each within
// the time that is promised: as often when it has just started as later.
func TestPaceOfAsking(t *testing.T) {
	for _, c := range []struct {
		exports int
		within  time.Duration // each is asked about
		most    int           // in a quarter of an hour
	}{
		{1, askEvery, 5},
		{1000, askEvery, 3500},
		{10_000, 10_000 * askPace, 10_000},
	} {
		list := make([]exports.Export, c.exports)
		for i := range list {
			list[i] = exports.Export{RunID: uuid.New()}
		}
		start := time.Date(2026, 10, 20, 6, 0, 0, 0, time.UTC)
		now, asked, last := start, 0, make(map[uuid.UUID]time.Time)
		r := NewRuns(func(_ context.Context, e exports.Export) (bool, error) {
			asked++
			if before, ok := last[e.RunID]; ok {
				require.LessOrEqual(t, now.Sub(before), c.within*5/4+20*time.Second)
			}
			last[e.RunID] = now
			return false, nil
		})
		for quarter := range 4 {
			asked = 0
			for range 45 {
				for _, e := range list {
					r.gone(t.Context(), e, now, false)
				}
				r.endPass()
				now = now.Add(20 * time.Second)
			}
			require.LessOrEqual(t, asked, c.most, "%d exports, quarter %d", c.exports, quarter+1)
		}
		require.Len(t, last, c.exports, "each was asked about")
	}
}

// An answer holds until the next one, also while Temporal is away, which costs one request
// in each pass. A run that takes an export over is another one, and so is forgotten what is
// no longer pending.
func TestAnswersHold(t *testing.T) {
	now := time.Date(2026, 10, 20, 6, 0, 0, 0, time.UTC)
	is, asked, away := false, 0, error(nil)
	r := NewRuns(func(context.Context, exports.Export) (bool, error) { asked++; return is, away })
	e, other := exports.Export{RunID: uuid.New()}, exports.Export{RunID: uuid.New()}
	require.False(t, r.gone(t.Context(), e, now, true))
	is = true
	require.False(t, r.gone(t.Context(), e, now.Add(askEvery/2), false))
	require.True(t, r.gone(t.Context(), e, now.Add(askEvery*3/2), false))
	require.False(t, r.gone(t.Context(), other, now, false))
	require.Equal(t, 2, asked)

	away = errors.New("away")
	for pass := range 3 {
		r.endPass()
		require.True(t, r.gone(t.Context(), e, now.Add(time.Hour), true))
		require.False(t, r.gone(t.Context(), other, now.Add(time.Hour), true))
		require.Equal(t, 3+pass, asked)
	}
	taken := exports.Export{RunID: uuid.New()}
	r.endPass()
	require.False(t, r.gone(t.Context(), taken, now, false))
	r.endPass()
	require.Len(t, r.known, 1)
}
