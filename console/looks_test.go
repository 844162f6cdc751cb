package console

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// However many have a page open, the record is looked at once for all of them, and at few pages at
// a time.
func TestPagesThatAreOpenShareTheirLooks(t *testing.T) {
	var s streams
	var looks, running, most atomic.Int64
	begun := make(chan struct{})
	load := func(context.Context) (string, error) {
		looks.Add(1)
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		<-begun
		return "mark", nil
	}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			mark, err := s.state(t.Context(), []string{"one", "two", "three", "four"}[i%4], time.Hour, load)
			require.NoError(t, err)
			require.Equal(t, "mark", mark)
		})
	}
	close(begun)
	all.Wait()
	require.EqualValues(t, 4, looks.Load())
	require.LessOrEqual(t, most.Load(), int64(looksAtOnce))
	_, err := s.state(t.Context(), "one", 0, load) // the last look is too old
	require.NoError(t, err)
	require.EqualValues(t, 5, looks.Load())
	gone, leave := context.WithCancel(t.Context())
	leave()
	_, err = s.state(gone, "five", time.Hour, func(context.Context) (string, error) { select {} })
	require.ErrorIs(t, err, context.Canceled)
}
