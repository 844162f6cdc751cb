package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/redact"
)

// steps watches the activities that keep a record. Temporal tries one again until the
// database takes it, so nothing fails and nothing is lost, and nobody would notice: what
// the database does not take is logged and counted here. It counts exports that end, too,
// and measures how long after the fact the audit record has a failure.
type steps struct {
	interceptor.WorkerInterceptorBase
	log     *slog.Logger
	metrics *metrics
	now     func() time.Time

	mu         sync.Mutex
	logged     map[string]time.Time         // by activity and reason
	unrecorded map[uuid.UUID]unrecordedWork // by correlation ID: what could not be mirrored
	dropped    time.Time                    // when those that are another worker's were last looked for
}

// unrecordedWork is an invocation whose rows the database did not take.
type unrecordedWork struct{ ended, tried time.Time }

// logSteps is how often the same trouble of an activity is logged: an outage stops them
// all, and each is tried again within 30 s. retriedWithin is longer than that.
const (
	logSteps      = 10 * time.Second
	retriedWithin = 2 * time.Minute
)

func newSteps(m *metrics, log *slog.Logger) *steps {
	s := &steps{log: log, metrics: m, now: time.Now, logged: make(map[string]time.Time), unrecorded: make(map[uuid.UUID]unrecordedWork)}
	m.unrecorded = s.oldest
	return s
}

// InterceptActivity implements [interceptor.WorkerInterceptor].
func (s *steps) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &stepWatcher{interceptor.ActivityInboundInterceptorBase{Next: next}, s}
}

type stepWatcher struct {
	interceptor.ActivityInboundInterceptorBase
	steps *steps
}

// ExecuteActivity implements [interceptor.ActivityInboundInterceptor].
func (w *stepWatcher) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	result, err := w.Next.ExecuteActivity(ctx, in)
	w.steps.refused(activity.GetInfo(ctx), err)
	if len(in.Args) == 1 {
		if m, ok := in.Args[0].(activities.MirrorInput); ok {
			w.steps.mirrored(m, err)
		}
	}
	if closed, ok := result.(activities.CloseResult); ok && err == nil {
		w.steps.metrics.closed.Add(context.Background(), 1, metric.WithAttributes(
			attribute.String("status", string(closed.Export.Status)), attribute.String("trigger", string(closed.Export.Trigger))))
	}
	return result, err
}

// refused counts a step that PostgreSQL did not take.
func (m *metrics) refused(step, reason string) {
	m.refusals.Add(context.Background(), 1, metric.WithAttributes(attribute.String("step", step), attribute.String("reason", reason)))
}

// refused logs and counts an activity that got an error from the database.
func (s *steps) refused(info activity.Info, err error) {
	var failed *temporal.ApplicationError
	if !errors.As(err, &failed) || !activities.IsStoreError(failed.Type()) {
		return
	}
	step, reason := info.ActivityType.Name, failed.Type()
	s.metrics.refused(step, reason)
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); now.Sub(s.logged[step+reason]) >= logSteps {
		s.logged[step+reason] = now
		s.log.Error("the database did not take a step, which is tried again", "step", step, "reason", reason, "attempt", info.Attempt,
			"workflow_id", info.WorkflowExecution.ID, "run_id", info.WorkflowExecution.RunID, "error", redact.Text(failed.Message()))
	}
}

// mirrored notes that an invocation is in the audit record, or not yet.
func (s *steps) mirrored(in activities.MirrorInput, err error) {
	ended := in.Trail.Last().EndedAt
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now().Sub(s.dropped) > retriedWithin { // also if nobody asks for metrics
		s.drop()
	}
	if err != nil {
		s.unrecorded[in.CorrelationID] = unrecordedWork{ended, s.now()}
		return
	}
	delete(s.unrecorded, in.CorrelationID)
	s.metrics.lag.Record(context.Background(), max(0, s.now().Sub(ended)).Seconds())
}

// drop forgets what this worker has not tried lately: it is another worker's. The caller
// holds mu.
func (s *steps) drop() {
	s.dropped = s.now()
	for id, u := range s.unrecorded {
		if s.dropped.Sub(u.tried) > retriedWithin {
			delete(s.unrecorded, id)
		}
	}
}

// oldest is how old the oldest outcome is that this worker could not mirror.
func (s *steps) oldest() (age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
	for _, u := range s.unrecorded {
		age = max(age, s.dropped.Sub(u.ended))
	}
	return age
}
