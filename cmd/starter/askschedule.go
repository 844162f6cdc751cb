package main

import (
	"context"
	"time"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/outlook"
)

// askWithin is how long a command that needs only PostgreSQL waits for what Temporal says.
const askWithin = 2 * time.Second

// askSchedule is an [outlook.AskSchedule]. Nothing is said if Temporal cannot be asked: the
// command does not need it. Finding out why it cannot is not waited for.
func (s *session) askSchedule(ctx context.Context, in integrations.Integration) *outlook.SchedulePause {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	said := make(chan *outlook.SchedulePause, 1)
	go func() {
		temporal, _, err := s.app.temporal(ctx)
		if err != nil {
			said <- nil
			return
		}
		defer temporal.Close()
		status, err := engine.DescribeSchedule(ctx, temporal, in)
		if err != nil || !status.Paused {
			said <- nil
			return
		}
		said <- &outlook.SchedulePause{Note: status.Note}
	}()
	select {
	case pause := <-said:
		return pause
	case <-ctx.Done():
		return nil
	}
}
