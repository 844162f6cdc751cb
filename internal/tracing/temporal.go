package tracing

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/workflows"
)

// tracer is what the SDK's tracing interceptor makes spans with. It differs from that of
// go.temporal.io/sdk/contrib/opentelemetry in four ways. A run has one span, with the same ID
// whenever the workflow is replayed, so that a run without a parent is one trace. It is exported
// once, when the run has ended, and not when a worker drops the run from its cache. The text of
// an error is not exported. And no span says only that something was scheduled.
type tracer struct {
	interceptor.BaseTracer
	spans trace.Tracer
}

type treatment int

// What becomes of an operation of the SDK's interceptor. What is not in the table has no
// span and no header: a schedule, for one, would otherwise have all its runs in the trace of
// the command that made it.
const (
	ignored  treatment = iota
	recorded           // it has a span
	passed             // its parent's is that of what follows
)

var operations = map[string]treatment{
	"StartWorkflow": recorded, "UpdateWithStartWorkflow": recorded, "RunWorkflow": recorded, "RunActivity": recorded,
	"StartActivity": passed, "StartChildWorkflow": passed,
}

// spanKey is where the interceptor keeps a span in a workflow's context.
type spanKey struct{}

// Options implements [interceptor.Tracer]. The header is that of all of Temporal's SDKs. One that
// cannot be read fails no work.
func (t *tracer) Options() interceptor.TracerOptions {
	return interceptor.TracerOptions{SpanContextKey: spanKey{}, HeaderKey: "_tracer-data",
		DisableSignalTracing: true, DisableQueryTracing: true, AllowInvalidParentSpans: true}
}

// UnmarshalSpan implements [interceptor.Tracer].
func (t *tracer) UnmarshalSpan(m map[string]string) (interceptor.TracerSpanRef, error) {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier(m))
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return nil, nil
	}
	return &span{Span: trace.SpanFromContext(ctx)}, nil
}

// MarshalSpan implements [interceptor.Tracer]. Baggage does not travel: it is anybody's text, and
// would stay in histories.
func (t *tracer) MarshalSpan(s interceptor.TracerSpan) (map[string]string, error) {
	m := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpan(context.Background(), s.(*span).Span), m)
	return m, nil
}

// SpanFromContext implements [interceptor.Tracer].
func (t *tracer) SpanFromContext(ctx context.Context) interceptor.TracerSpan {
	if s := trace.SpanFromContext(ctx); s.SpanContext().IsValid() {
		return &span{Span: s}
	}
	return nil
}

// ContextWithSpan implements [interceptor.Tracer].
func (t *tracer) ContextWithSpan(ctx context.Context, s interceptor.TracerSpan) context.Context {
	return trace.ContextWithSpan(ctx, s.(*span).Span)
}

// StartSpan implements [interceptor.Tracer].
func (t *tracer) StartSpan(o *interceptor.TracerStartSpanOptions) (interceptor.TracerSpan, error) {
	none := trace.SpanFromContext(context.Background())
	parent := none
	if p, ok := o.Parent.(*span); ok {
		parent = p.Span
	}
	switch does := operations[o.Operation]; {
	case o.Name == workflows.MonitorName, does == ignored:
		return &span{Span: none}, nil
	case does == passed:
		return &span{Span: trace.SpanFromContext(trace.ContextWithSpanContext(context.Background(), parent.SpanContext()))}, nil
	case o.Operation == "RunActivity" && !parent.SpanContext().IsValid(): // a monitor's
		return &span{Span: none}, nil
	}
	ctx := trace.ContextWithSpan(context.Background(), parent)
	if o.IdempotencyKey != "" {
		ctx = context.WithValue(ctx, seedKey{}, o.IdempotencyKey)
	}
	kind := trace.SpanKindServer
	if o.ToHeader {
		kind = trace.SpanKindClient
	}
	attributes := make([]attribute.KeyValue, 0, len(o.Tags))
	for key, value := range o.Tags {
		if value != "" {
			attributes = append(attributes, attribute.String(key, value))
		}
	}
	_, s := t.spans.Start(ctx, o.Operation+":"+o.Name,
		trace.WithTimestamp(o.Time), trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
	return &span{Span: s, run: o.Operation == "RunWorkflow"}, nil
}

// span is a span, or what is known of one that another process made.
type span struct {
	trace.Span
	run, over bool // a run's; it has ended, and not only left this worker's cache
}

// Finish implements [interceptor.TracerSpan].
func (s *span) Finish(o *interceptor.TracerFinishSpanOptions) {
	if s.run && !s.over {
		return
	}
	ended(s.Span, nil, o.Error)
	s.End()
}

// ended says on a span what came of its work. Of a failure it has class and kind, never the text.
func ended(s trace.Span, result any, err error) {
	var again *workflow.ContinueAsNewError
	if errors.As(err, &again) {
		return
	}
	kind, class := kindOf(result, err)
	if kind == "" {
		return
	}
	s.SetAttributes(semconv.ErrorTypeKey.String(kind))
	if class != "" {
		s.SetAttributes(classKey.String(string(class)))
	}
	s.SetStatus(codes.Error, kind)
}

// kindOf is why work failed; "" if it did not. Work of which the failure is a result has no error.
func kindOf(result any, err error) (kind string, class classify.Class) {
	const other = "_OTHER" // OpenTelemetry's word for it
	var failed *temporal.ApplicationError
	var k classify.Kind
	switch r := result.(type) {
	case workflows.Outcome:
		k = r.Kind
		if r.OK {
			k = ""
		}
		if r.Failure != nil {
			kind, class = other, r.Failure.ErrorClass
		}
	case workflows.SyncResult:
		if r.Refused != "" || r.Export.Status == exports.Failed {
			k, kind = r.Export.ErrorCode, other
		}
	}
	switch {
	case temporal.IsCanceledError(err):
		k = classify.Cancelled
	case errors.As(err, &failed):
		k, kind = classify.Kind(failed.Type()), other
	case err != nil:
		kind = other
	}
	if slices.Contains(classify.Kinds(), k) && k != classify.OK {
		return string(k), k.Class()
	}
	return kind, class
}

// seedKey is where a context holds what a span's IDs are made of.
type seedKey struct{}

// ids makes the IDs of spans: random ones, or for the run of a workflow the same ones whenever
// it is replayed.
type ids struct{}

// NewIDs implements [sdktrace.IDGenerator].
func (ids) NewIDs(ctx context.Context) (t trace.TraceID, s trace.SpanID) {
	sum := seeded(ctx)
	copy(t[:], sum[:16])
	copy(s[:], sum[16:])
	return t, s
}

// NewSpanID implements [sdktrace.IDGenerator].
func (g ids) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	_, s := g.NewIDs(ctx)
	return s
}

func seeded(ctx context.Context) (sum [32]byte) {
	if seed, ok := ctx.Value(seedKey{}).(string); ok {
		return sha256.Sum256([]byte(seed))
	}
	_, _ = rand.Read(sum[:]) // never fails
	return sum
}

// describer puts on the span of a workflow or an activity what it is about, and on a run's what
// came of it. It stands inside the tracing interceptor.
type describer struct{ interceptor.InterceptorBase }

// InterceptClient implements [interceptor.ClientInterceptor].
func (*describer) InterceptClient(
	next interceptor.ClientOutboundInterceptor,
) interceptor.ClientOutboundInterceptor {
	return &describedClient{interceptor.ClientOutboundInterceptorBase{Next: next}}
}

type describedClient struct {
	interceptor.ClientOutboundInterceptorBase
}

// ExecuteWorkflow implements [interceptor.ClientOutboundInterceptor].
func (c *describedClient) ExecuteWorkflow(
	ctx context.Context, in *interceptor.ClientExecuteWorkflowInput,
) (client.WorkflowRun, error) {
	trace.SpanFromContext(ctx).SetAttributes(attributesOf(in.Args...)...)
	return c.Next.ExecuteWorkflow(ctx, in)
}

// InterceptWorkflow implements [interceptor.WorkerInterceptor].
func (*describer) InterceptWorkflow(
	_ workflow.Context, next interceptor.WorkflowInboundInterceptor,
) interceptor.WorkflowInboundInterceptor {
	return &describedRun{interceptor.WorkflowInboundInterceptorBase{Next: next}}
}

type describedRun struct {
	interceptor.WorkflowInboundInterceptorBase
}

// ExecuteWorkflow implements [interceptor.WorkflowInboundInterceptor]. Of a run that has ended
// long ago and is replayed, to answer a query for one, the span was exported then.
func (r *describedRun) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	s, ok := ctx.Value(spanKey{}).(*span)
	if !ok {
		return r.Next.ExecuteWorkflow(ctx, in)
	}
	if s.IsRecording() {
		s.SetAttributes(attributesOf(in.Args...)...)
	}
	result, err := r.Next.ExecuteWorkflow(ctx, in)
	if s.over = !workflow.IsReplaying(ctx); s.over && err == nil {
		ended(s, result, nil)
	}
	return result, err
}

// InterceptActivity implements [interceptor.WorkerInterceptor].
func (*describer) InterceptActivity(
	_ context.Context, next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	return &describedActivity{interceptor.ActivityInboundInterceptorBase{Next: next}}
}

type describedActivity struct {
	interceptor.ActivityInboundInterceptorBase
}

// ExecuteActivity implements [interceptor.ActivityInboundInterceptor].
func (a *describedActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	if s := trace.SpanFromContext(ctx); s.IsRecording() {
		s.SetAttributes(append(attributesOf(in.Args...), attemptKey.Int(int(activity.GetInfo(ctx).Attempt)))...)
	}
	return a.Next.ExecuteActivity(ctx, in)
}
