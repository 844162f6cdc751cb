// Package tracing follows one piece of work through starter, Temporal, worker and vendor, with OpenTelemetry.
//
// A trace begins with what starts the work: `starter call`, or a workflow that a schedule started.
//
//	starter call                        starter; only of call
//	└ UpdateWithStartWorkflow:outcome   until the outcome is there; StartWorkflow:Sync of sync
//	  └ RunWorkflow:Invoke              worker, from its start to its end, however often it was replayed
//	    ├ RunActivity:Call              one attempt
//	    │ ├ POST                        a request to the vendor, made by package adapters
//	    ├ RunActivity:Call              the next one
//	    └ RunActivity:Mirror            the audit rows
//
// It is off unless an endpoint is set. It is configured by OpenTelemetry's own variables:
//
//	OTEL_EXPORTER_OTLP_ENDPOINT, or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT; the other OTEL_EXPORTER_OTLP_… too
//	OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_SDK_DISABLED …
//
// A span says what was done to which integration, how long it took and what kind of failure came
// of it. It holds no text that anybody else wrote: no body, no message, no path or query. What goes
// wrong with traces never disturbs the work: it is logged rarely, and counted.
package tracing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/interceptor"

	"github.com/ledgerline/ledgerline/internal/version"
)

// flushWithin is how long a program that ends waits for its last spans to be taken.
const flushWithin = 2 * time.Second

// logEvery is how often failures of the export are logged at most.
const logEvery = 10 * time.Minute

// Options say whose spans they are.
type Options struct {
	Service string       // service.name, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES has one
	Log     *slog.Logger // of failures; must hide values of the environment
	Failed  func()       // called for each failure of the export; may be nil
	// OneTry: spans that the collector does not take at once are given up. For a
	// command, which would otherwise wait at its end for a collector that is away.
	OneTry bool
}

// Traces makes and exports spans. Nil is off: its methods do nothing.
type Traces struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// Start starts exporting, or returns nil if the environment does not ask for it. An
// error means that the environment asks for what there is not; then it is off too.
func Start(ctx context.Context, o Options) (*Traces, error) {
	wanted, err := wanted()
	if err != nil || !wanted {
		return nil, err
	}
	otel.SetLogger(logr.FromSlogHandler(withoutValues{o.Log.Handler()}))
	otel.SetErrorHandler(failures(o))
	exporter, err := newExporter(ctx, o.OneTry)
	if err != nil {
		return nil, fmt.Errorf("the exporter of traces: %w", err)
	}
	build, _ := version.Build()
	about, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName(o.Service), semconv.ServiceVersion(build)), resource.WithFromEnv())
	if err != nil {
		otel.Handle(err) // what could be read is in it
	}
	return started(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about)), nil
}

func started(options ...sdktrace.TracerProviderOption) *Traces {
	options = append(options, sdktrace.WithIDGenerator(ids{}), sdktrace.WithSpanProcessor(inheritance{}))
	t := &Traces{provider: sdktrace.NewTracerProvider(options...)}
	t.tracer = t.provider.Tracer("github.com/ledgerline/ledgerline")
	return t
}

// wanted reports whether the environment asks for traces. It refuses what OpenTelemetry would
// pass over: an address to which nothing is sent, and a sampler in whose place every trace is
// taken.
func wanted() (bool, error) {
	endpoint := firstSet("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	if os.Getenv(endpoint) == "" || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	switch os.Getenv("OTEL_TRACES_EXPORTER") {
	case "", "otlp":
	case "none":
		return false, nil
	default:
		return false, errors.New("OTEL_TRACES_EXPORTER: want otlp or none")
	}
	if protocol() != overGRPC { // which takes a name of its own kind, too
		u, err := url.Parse(os.Getenv(endpoint))
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return false, fmt.Errorf("%s: want http:// or https://, a host and a port, such as http://collector:4318", endpoint)
		}
	}
	if err := sampled(strings.TrimSpace(os.Getenv("OTEL_TRACES_SAMPLER")), strings.TrimSpace(os.Getenv("OTEL_TRACES_SAMPLER_ARG"))); err != nil {
		return false, err
	}
	return true, nil
}

// samplers are those that OpenTelemetry's SDK knows by name, and whether they take a ratio.
var samplers = map[string]bool{
	"always_on": false, "always_off": false, "traceidratio": true,
	"parentbased_always_on": false, "parentbased_always_off": false, "parentbased_traceidratio": true,
}

// sampled says what is wrong with a sampler; "" is the default.
func sampled(name, arg string) error {
	ratio, known := samplers[strings.ToLower(name)]
	switch {
	case name != "" && !known:
		return fmt.Errorf("OTEL_TRACES_SAMPLER: want one of %s", strings.Join(slices.Sorted(maps.Keys(samplers)), ", "))
	case ratio && arg != "":
		if n, err := strconv.ParseFloat(arg, 64); err != nil || !(n >= 0 && n <= 1) {
			return errors.New("OTEL_TRACES_SAMPLER_ARG: want a number from 0 to 1, such as 0.05")
		}
	}
	return nil
}

// firstSet is the first of variables that is set, or the last one.
func firstSet(names ...string) string {
	for _, name := range names {
		if os.Getenv(name) != "" {
			return name
		}
	}
	return names[len(names)-1]
}

// The protocols.
const (
	overGRPC = "grpc"
	overHTTP = "http/protobuf"
)

// protocol is the protocol that the environment asks for. OpenTelemetry's default is HTTP.
func protocol() string {
	return cmp.Or(os.Getenv(firstSet("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")), overHTTP)
}

// newExporter makes the exporter. It connects when it has something to send.
func newExporter(ctx context.Context, oneTry bool) (*otlptrace.Exporter, error) {
	switch protocol() {
	case overGRPC:
		var options []otlptracegrpc.Option
		if oneTry {
			options = append(options, otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}))
		}
		return otlptracegrpc.New(ctx, options...)
	case overHTTP:
		var options []otlptracehttp.Option
		if oneTry {
			options = append(options, otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
		}
		return otlptracehttp.New(ctx, options...)
	}
	return nil, errors.New("OTEL_EXPORTER_OTLP_PROTOCOL: want grpc or http/protobuf")
}

// failures handles what goes wrong inside OpenTelemetry, which concerns nobody's work.
func failures(o Options) otel.ErrorHandler {
	var seen, logged atomic.Int64
	return otel.ErrorHandlerFunc(func(err error) {
		n := seen.Add(1)
		if o.Failed != nil {
			o.Failed()
		}
		now, last := time.Now().UnixNano(), logged.Load()
		if (last == 0 || now-last >= int64(logEvery)) && logged.CompareAndSwap(last, now) {
			o.Log.Warn("traces are not exported; work continues without them", "failures", n, "error", err)
		}
	})
}

// withoutValues logs what OpenTelemetry says of its settings without the values, which are
// anybody's: a header that it cannot read, for one, may hold a key.
type withoutValues struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h withoutValues) Handle(ctx context.Context, r slog.Record) error {
	only := slog.NewRecord(r.Time, r.Level, "OpenTelemetry: "+r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			only.Add("error", err)
		}
		return true
	})
	return h.Handler.Handle(ctx, only)
}

// WithAttrs implements [slog.Handler].
func (h withoutValues) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup implements [slog.Handler].
func (h withoutValues) WithGroup(string) slog.Handler { return h }

// Close exports what is left, for at most 2 s. A failure is handled like any other.
func (t *Traces) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushWithin)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		otel.Handle(err)
	}
}

// Interceptors are for the options of a Temporal client. Its workers use them too.
func (t *Traces) Interceptors() []interceptor.ClientInterceptor {
	if t == nil {
		return nil
	}
	return []interceptor.ClientInterceptor{interceptor.NewTracingInterceptor(&tracer{spans: t.tracer}), &describer{}}
}

// Begin starts the trace of a command that concerns subject, such as an
// [activities.Invocation]. end is called with what came of it, such as a
// [workflows.Outcome].
func (t *Traces) Begin(ctx context.Context, name string, subject any) (traced context.Context, end func(result any, err error)) {
	if t == nil {
		return ctx, func(any, error) {}
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithAttributes(attributesOf(subject)...))
	return ctx, func(result any, err error) {
		ended(span, result, err)
		span.End()
	}
}

// inheritance gives a span what its parent in this process says of its subject.
type inheritance struct{}

// subjects are the attributes that say what a span is about.
const (
	organizationKey = attribute.Key("ledgerline.organization_id")
	integrationKey  = attribute.Key("ledgerline.integration_id")
	correlationKey  = attribute.Key("ledgerline.correlation_id")
	adapterKey      = attribute.Key("ledgerline.adapter")
	attemptKey      = attribute.Key("ledgerline.attempt")
	classKey        = attribute.Key("ledgerline.error.class")
)

// OnStart implements [sdktrace.SpanProcessor].
func (inheritance) OnStart(parent context.Context, s sdktrace.ReadWriteSpan) {
	above, ok := trace.SpanFromContext(parent).(sdktrace.ReadOnlySpan)
	if !ok {
		return
	}
	for _, a := range above.Attributes() {
		switch a.Key {
		case organizationKey, integrationKey, correlationKey, adapterKey:
			s.SetAttributes(a)
		}
	}
}

// OnEnd implements [sdktrace.SpanProcessor].
func (inheritance) OnEnd(sdktrace.ReadOnlySpan) {}

// Shutdown implements [sdktrace.SpanProcessor].
func (inheritance) Shutdown(context.Context) error { return nil }

// ForceFlush implements [sdktrace.SpanProcessor].
func (inheritance) ForceFlush(context.Context) error { return nil }
