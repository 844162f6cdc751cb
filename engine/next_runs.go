package engine

import (
	"context"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// NextRun is when an integration exports by itself next, as far as is known, and what
// keeps it from that.
type NextRun struct {
	Schedule string            `json:"schedule"`         // in words; "" if it has none
	Next     *integrations.Run `json:"next,omitempty"`   // nil if nothing will fire
	Paused   *runlog.Pause     `json:"paused,omitempty"` // the integration's: its calls and its schedule are paused
	Held     string            `json:"held,omitempty"`   // why the schedule does not fire: its note, or what is wrong with it
	Asked    bool              `json:"asked"`            // Temporal was asked; otherwise Next follows from the file
}

// NextRuns returns the next run of each integration of a list, by its ID: from Temporal's
// own next firings, or with a nil client from the schedules. pauses are the integrations'
// of [runlog.ListPauses]. It asks Temporal once for each schedule; what one of them cannot
// say stands in its Held, and does not keep the others back.
func NextRuns(ctx context.Context, c client.Client, list []integrations.Integration, pauses map[uuid.UUID]runlog.Pause, now time.Time) map[uuid.UUID]NextRun {
	runs := make(map[uuid.UUID]NextRun, len(list))
	for _, in := range list {
		n := NextRun{}
		if in.Schedule != nil {
			n = nextRun(ctx, c, in, now)
		}
		if p, ok := pauses[in.ID]; ok {
			n.Paused, n.Next = &p, nil
		}
		runs[in.ID] = n
	}
	return runs
}

func nextRun(ctx context.Context, c client.Client, in integrations.Integration, now time.Time) NextRun {
	n := NextRun{Schedule: in.Schedule.InWords()}
	if c == nil {
		if run, ok := in.NextRun(now); ok {
			n.Next = &run
		}
		return n
	}
	s, err := DescribeSchedule(ctx, c, in)
	n.Asked = err == nil
	switch {
	case err != nil:
		n.Held = err.Error()
	case s.Paused:
		n.Held = "paused: " + s.Note
	case len(s.Next) > 0:
		n.Next = &integrations.Run{At: s.Next[0].At, Period: s.Next[0].Period}
	}
	return n
}
