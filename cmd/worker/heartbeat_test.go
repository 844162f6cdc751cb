package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/runlog"
)

// records are a database that can be away.
type records struct {
	mu    sync.Mutex
	away  error
	words []runlog.Heartbeat
}

func (r *records) record(ctx context.Context, h runlog.Heartbeat) error {
	r.mu.Lock()
	away := r.away
	r.mu.Unlock()
	if away != nil {
		<-ctx.Done() // it hangs for as long as it may
		return away
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.words = append(r.words, h)
	return nil
}

func (r *records) said() []runlog.Heartbeat {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.words)
}

func (r *records) set(away error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = away
}

// A worker says that it is there, what it lacks once it knows, that it stops and that it
// has stopped. A database that does not answer costs a line in the log; what was found
// meanwhile is said when it is back.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var r records
		lacks := 0
		h := &heart{record: r.record, log: slog.New(slog.NewTextHandler(&log, nil)), nudge: make(chan struct{}, 1),
			examine: func(context.Context) (runlog.Examined, error) {
				lacks++
				if lacks == 1 {
					assert.Len(t, r.said(), 1, "before anything else")
				}
				return runlog.Examined{Needs: lacks}, nil
			}}
		h.start(t.Context())
		synctest.Wait()
		require.Len(t, r.said(), 2, "as soon as it was examined")
		require.Nil(t, r.said()[0].Examined)
		require.Equal(t, 1, r.said()[1].Examined.Needs)
		time.Sleep(35 * time.Second)
		synctest.Wait()
		require.Len(t, r.said(), 5)
		require.Nil(t, r.said()[4].Examined, "it was said")

		r.set(errors.New("away"))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Len(t, r.said(), 5)
		require.Equal(t, 1, strings.Count(log.String(), "could not say"))
		r.set(nil)
		time.Sleep(runlog.HeartbeatEvery)
		synctest.Wait()
		require.Equal(t, 3, r.said()[5].Examined.Needs, "the last that was found")

		h.stopping()
		synctest.Wait()
		last := r.said()[len(r.said())-1]
		require.True(t, last.Stopping && !last.Stopped)
		h.stop()
		last = r.said()[len(r.said())-1]
		require.True(t, last.Stopping && last.Stopped)
		require.NotContains(t, log.String(), "ERROR")
	})
	(&heart{}).stop() // a worker that did not start says nothing
}

// What a worker lacks for its keys is said at once, when it starts to wait and when it no
// longer does, with what else it has found.
func TestHeartbeatOfOneThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r records
		var mu sync.Mutex
		why := "it lacks k1"
		h := newHeart(nil, runlog.Heartbeat{}, func(context.Context) (runlog.Examined, error) {
			mu.Lock()
			defer mu.Unlock()
			if why == "" {
				return runlog.Examined{Needs: 1}, nil
			}
			return runlog.Examined{Needs: 2, Lacks: []runlog.Lack{{Why: why}}}, nil
		}, slog.New(slog.DiscardHandler))
		h.record = r.record
		last := func() runlog.Heartbeat { said := r.said(); return said[len(said)-1] }
		h.start(t.Context())
		synctest.Wait()
		require.Equal(t, "it lacks k1", last().Examined.Lacks[0].Why)
		mu.Lock()
		why = ""
		mu.Unlock()
		before := len(r.said())
		h.changed()
		h.start(t.Context())
		synctest.Wait()
		require.Len(t, r.said(), before+1, "it starts once")
		require.Empty(t, last().Examined.Lacks)
		h.stop()
		require.True(t, last().Stopped)
	})
}
