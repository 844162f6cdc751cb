package main

import (
	"context"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
)

// stored is an export's row as far as settling goes.
type stored struct {
	Integration, ID uuid.UUID
	Period          string
	Parent          *uuid.UUID
	WorkflowID      string
	Ended           string // why, if it failed
}

const selectStored = `SELECT integration_id, export_id, period, parent_export_id, workflow_id, coalesce(error_class || '/' || error_code || ': ' || error_message, status) FROM ledgerline.bufdir_export_audit_log b `

// maxRetries is how many rounds of retries must do: the faults are over.
const maxRetries = 8

// settle does what people and schedules do after an outage: wait, start again
// what was ended by force, retry what failed, and export the next period, which
// takes everything that came late.
func (s *soak) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.bound)
	defer cancel()
	s.quiet(ctx)
	for _, b := range s.plan.books {
		in := b.input(month(b.rounds).Format("2006-01"))
		in.Trigger = exports.ByBackfill
		if err := s.last(ctx, b); err != nil {
			s.violated("settled: %s: %v", b.name, err)
		}
		if err := insist(ctx, "last export", func(ctx context.Context) error { return s.run(ctx, engine.SyncOptions(in), in) }); err != nil {
			s.violated("settled: %s: %v", b.name, err)
		}
	}
	s.quiet(ctx)
	for range maxRetries {
		if err := s.look(ctx); err != nil {
			s.violated("settled: people: %v", err)
		}
		open, err := rowsOf[stored](ctx, s, selectStored+`WHERE EXISTS (SELECT FROM ledgerline.export_entries x
			WHERE x.organization_id = b.organization_id AND x.export_id = b.export_id AND x.state IN ('planned', 'sent', 'unknown'))`)
		if err != nil {
			s.violated("settled: settling: %v", err)
			return
		}
		if len(open) == 0 {
			return
		}
		s.say("%d exports have open entries: retrying them", len(open))
		for _, e := range open {
			s.say("  %s %s of %s: %s", e.Period, e.ID, s.bookOf(e.Integration).name, e.Ended)
			if err := s.retry(ctx, s.bookOf(e.Integration), e.ID, e.Period); err != nil {
				s.violated("settled: retry of %s: %v", e.ID, err)
			}
		}
		s.quiet(ctx)
	}
}

// quiet waits until no export is under way. One whose workflow was ended by
// force is started again.
func (s *soak) quiet(ctx context.Context) {
	still := 0
	var pending []stored
	var running int
	done := until(ctx, 200*time.Millisecond, func() bool {
		var err error
		if pending, err = rowsOf[stored](ctx, s, selectStored+`WHERE status = 'pending'`); err != nil {
			return false
		}
		found, err := s.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: "WorkflowType = 'Sync' AND ExecutionStatus = 'Running'"})
		if err != nil {
			return false
		}
		running = len(found.GetExecutions())
		for _, e := range pending {
			s.revive(ctx, e)
		}
		if still++; running > 0 || len(pending) > 0 {
			still = 0
		}
		return still >= 3 // what was just started may not be listed yet
	})
	if !done {
		s.violated("settled: after %v, %d exports are pending and %d runs are running: %+v", s.bound, len(pending), running, pending[:min(3, len(pending))])
	}
}

// revive starts an export again whose workflow has ended.
func (s *soak) revive(ctx context.Context, e stored) {
	d, err := s.temporal.DescribeWorkflow(ctx, e.WorkflowID, "")
	if err != nil || !activities.Closed(d.Status) {
		return
	}
	in := s.bookOf(e.Integration).input(e.Period)
	if e.Parent != nil {
		in.ParentID, in.Trigger = e.Parent, exports.ByRetry
	}
	_ = s.run(ctx, engine.SyncOptions(in), in) // it is tried again
}

func (s *soak) bookOf(integration uuid.UUID) *book {
	for _, b := range s.plan.books {
		if b.id == integration {
			return b
		}
	}
	return &book{name: "nobody's " + integration.String()}
}

// watch looks at the exports' rows all the time: they go one way.
func (s *soak) watch(ctx context.Context) {
	type seen struct {
		ID     uuid.UUID
		Status string
		Sum    string
	}
	before := make(map[uuid.UUID]seen)
	for {
		pause(ctx, 300*time.Millisecond)
		if ctx.Err() != nil {
			return
		}
		// The whole row of a closed export: nothing of it may change.
		now, err := rowsOf[seen](ctx, s, `SELECT export_id, status, CASE WHEN status = 'pending' THEN '' ELSE md5(b::text) END FROM ledgerline.bufdir_export_audit_log b`)
		if err != nil {
			continue
		}
		there := make(map[uuid.UUID]bool)
		for _, e := range now {
			there[e.ID] = true
			if was, ok := before[e.ID]; ok && was.Status != string(exports.Pending) && was != e {
				s.violated("one way: export %s was %s and is %s, or was changed afterwards", e.ID, was.Status, e.Status)
			}
			before[e.ID] = e
		}
		for id := range before {
			if !there[id] {
				s.violated("one way: export %s is gone", id)
				delete(before, id)
			}
		}
	}
}
