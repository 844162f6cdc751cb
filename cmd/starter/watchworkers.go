package main

import (
	"context"
	"sync"
	"time"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/calls"
	"github.com/ledgerline/ledgerline/runlog"
)

// How long a command waits in silence before it looks whether a worker is there, and how
// often it looks again.
const (
	silence   = 4 * time.Second
	lookAgain = 5 * time.Second
)

// watchWorkers looks, while a command waits, whether a worker is there, and says once if
// there is none. What it returns ends that, and returns what was seen last: "" if there is
// a worker, or nobody knows.
func (s *session) watchWorkers(ctx context.Context) (stop func() string) {
	ctx, cancel := context.WithCancel(ctx)
	var seen string
	var looking sync.WaitGroup
	looking.Go(func() {
		said := false
		for wait := silence; ; wait = lookAgain {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			list, err := runlog.ListWorkers(ctx, s.db, s.namespace, activities.TaskQueue)
			if err != nil {
				continue // the command itself says what is wrong
			}
			if seen = calls.NoWorker(list, activities.TaskQueue); seen != "" && !said {
				said = true
				s.say("note: %s", seen)
			}
		}
	})
	return func() string {
		cancel()
		looking.Wait()
		return seen
	}
}
