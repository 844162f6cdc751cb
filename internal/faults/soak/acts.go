package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// holder is the worker that has the call of a round's run, by its process ID in
// the identity under which Temporal knows it. It is asked for as long as the
// call may be under way.
func (s *soak) holder(ctx context.Context, r *round) (p *devstack.Process) {
	ctx, cancel := context.WithTimeout(ctx, policy.AttemptTimeout)
	defer cancel()
	until(ctx, 20*time.Millisecond, func() bool { p = s.holds(ctx, r); return p != nil })
	return p
}

func (s *soak) holds(ctx context.Context, r *round) *devstack.Process {
	call := s.call(ctx, r)
	if call.GetState() != enums.PENDING_ACTIVITY_STATE_STARTED {
		return nil
	}
	pid, _, _ := strings.Cut(call.GetLastWorkerIdentity(), "@")
	n, err := strconv.Atoi(pid)
	if err != nil {
		return nil
	}
	return s.fleet.byPID(n)
}

// call is the call of a round's run; nil if there is none at hand.
func (s *soak) call(ctx context.Context, r *round) *workflow.PendingActivityInfo {
	d, err := s.temporal.DescribeWorkflow(ctx, engine.SyncOptions(r.book.input(r.period)).ID, "")
	if err != nil {
		return nil
	}
	for _, a := range d.RawResponse.GetPendingActivities() {
		if a.GetActivityType().GetName() == activities.CallName {
			return a
		}
	}
	return nil
}

func kill(_ context.Context, s *soak, _ *round, p *devstack.Process) error {
	return s.fleet.signal(p, syscall.SIGKILL)
}

// killAll kills every worker: for a moment nobody is there.
func killAll(_ context.Context, s *soak, _ *round, _ *devstack.Process) (err error) {
	for _, p := range s.fleet.up() {
		err = errors.Join(err, s.fleet.signal(p, syscall.SIGKILL))
	}
	return err
}

// killUnrecorded kills a worker that has the vendor's answer and cannot record
// it: PostgreSQL does not hear it.
func killUnrecorded(ctx context.Context, s *soak, r *round, p *devstack.Process) error {
	var killed error
	_, err := s.wires["postgres"].spoil(deaf, func(func() int64) {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		until(ctx, 10*time.Millisecond, func() bool { return s.effects()[r.marker()] > 0 })
		pause(ctx, 100*time.Millisecond) // the answer is on its way
		killed = s.fleet.signal(p, syscall.SIGKILL)
	})
	return errors.Join(err, killed)
}

// paused stops a worker for longer than an attempt may take, and lets it go on
// as if nothing had happened.
func paused(ctx context.Context, s *soak, p *devstack.Process) error {
	if err := s.fleet.signal(p, syscall.SIGSTOP); err != nil {
		return err
	}
	pause(ctx, 2*policy.AttemptTimeout)
	return s.fleet.signal(p, syscall.SIGCONT)
}

// unreported keeps what a worker has done from Temporal: the attempt is given
// up there and made again.
func unreported(ctx context.Context, s *soak, _ *round, _ *devstack.Process) error {
	_, err := s.wires["temporal"].spoil(deaf, func(func() int64) { pause(ctx, 2*policy.AttemptTimeout) })
	return err
}

// terminate ends a run without a word while its request is at the vendor, and
// somebody starts the period again.
func terminate(ctx context.Context, s *soak, r *round, _ *devstack.Process) error {
	id := engine.SyncOptions(r.book.input(r.period)).ID
	err := insist(ctx, "terminate", func(ctx context.Context) error { return s.temporal.TerminateWorkflow(ctx, id, "", "soak") })
	if err != nil {
		return err
	}
	return s.begin(ctx, r)
}

// resetRun does what "temporal workflow reset" does while the run's request is at
// the vendor: another run goes on from the last step and knows nothing of it.
func resetRun(ctx context.Context, s *soak, r *round, _ *devstack.Process) error {
	id := engine.SyncOptions(r.book.input(r.period)).ID
	return insist(ctx, "reset", func(ctx context.Context) error {
		var point int64
		for it := s.temporal.GetWorkflowHistory(ctx, id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); {
			e, err := it.Next()
			if err != nil {
				return err
			}
			if e.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
				point = e.GetEventId()
			}
		}
		_, err := s.temporal.ResetWorkflowExecution(ctx, &workflowservice.ResetWorkflowExecutionRequest{
			Namespace: s.stack.Temporal.Namespace, RequestId: uuid.NewString(), Reason: "soak", WorkflowTaskFinishEventId: point,
			WorkflowExecution: &common.WorkflowExecution{WorkflowId: id},
		})
		return err
	})
}

// takenOverTwice ends a run without a word while its request is at the vendor,
// and two that know it dead try to go on with its export at once.
func takenOverTwice(ctx context.Context, s *soak, r *round, _ *devstack.Process) error {
	in := r.book.input(r.period)
	options := engine.SyncOptions(in)
	err := insist(ctx, "terminate", func(ctx context.Context) error { return s.temporal.TerminateWorkflow(ctx, options.ID, "", "soak") })
	if err != nil {
		return err
	}
	in.Trigger = exports.ByBackfill // the overlap is meant
	both := make(chan error, 2)
	for _, name := range []string{"/one", "/other"} {
		o := options
		o.ID += name
		go func() { both <- insist(ctx, "start", func(ctx context.Context) error { return s.run(ctx, o, in) }) }()
	}
	return errors.Join(<-both, <-both)
}

func cancelRun(ctx context.Context, s *soak, r *round, _ *devstack.Process) error {
	id := engine.SyncOptions(r.book.input(r.period)).ID
	return insist(ctx, "cancel", func(ctx context.Context) error { return s.temporal.CancelWorkflow(ctx, id, "") })
}

// cancelBetween cancels a run while its call waits for its next attempt.
func cancelBetween(ctx context.Context, s *soak, r *round) (bool, error) {
	rule := sandbox.Rule{Times: 4, Status: 503} // more than one wait, if the first one is missed
	s.stack.Sandbox.Script(match(find(r.book.vendor.send, r.marker()), rule)...)
	if err := s.begin(ctx, r); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if !until(ctx, 10*time.Millisecond, func() bool {
		p := s.call(ctx, r)
		return p.GetState() == enums.PENDING_ACTIVITY_STATE_SCHEDULED && p.GetAttempt() > 1
	}) {
		return false, fmt.Errorf("the chunk of %s does not wait", r.period)
	}
	return true, cancelRun(ctx, s, r, nil)
}

// crashPostgres stops PostgreSQL as a power failure would and starts it again.
func crashPostgres(ctx context.Context, s *soak, r *round) (bool, error) {
	if err := s.begin(ctx, r); err != nil {
		return false, err
	}
	pause(ctx, r.moment)
	if err := s.stack.Postgres.Stop(ctx, "immediate"); err != nil {
		return false, err
	}
	pause(ctx, 500*time.Millisecond)
	return true, s.stack.Postgres.Start(context.WithoutCancel(ctx))
}

// crashTemporal kills the Temporal server and starts it again on its database.
func crashTemporal(ctx context.Context, s *soak, r *round) (bool, error) {
	if err := s.begin(ctx, r); err != nil {
		return false, err
	}
	pause(ctx, r.moment)
	s.stack.Temporal.Kill()
	pause(ctx, 500*time.Millisecond)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return true, s.stack.Temporal.Start(ctx)
}
