package tracing

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/workflows"
)

// inputs records the types of what workflows and activities take.
type inputs struct {
	worker.Registry
	types map[string]reflect.Type // nil if it takes nothing
}

func (i *inputs) add(name string, f any) {
	i.types[name] = nil
	if t := reflect.TypeOf(f); t.NumIn() > 1 {
		i.types[name] = t.In(1)
	}
}

func (i *inputs) RegisterWorkflowWithOptions(f any, o workflow.RegisterOptions) { i.add(o.Name, f) }
func (i *inputs) RegisterActivityWithOptions(f any, o activity.RegisterOptions) { i.add(o.Name, f) }

// fill sets every ID, and gives every list one element.
func fill(v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[uuid.UUID]():
		v.Set(reflect.ValueOf(uuid.New()))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	}
}

// A workflow or an activity that is added says whose it is.
func TestEveryInputHasASubject(t *testing.T) {
	all := inputs{types: make(map[string]reflect.Type)}
	workflows.Register(&all, new(activities.Activities))
	require.Greater(t, len(all.types), 15)
	for name, input := range all.types {
		if input == nil {
			require.Equal(t, activities.HoldName, name)
			continue
		}
		v := reflect.New(input)
		fill(v.Elem())
		about := attribute.NewSet(attributesOf(v.Interface())...)
		require.True(t, about.HasValue(organizationKey), "%s takes a %s without an organization", name, input)
	}
	require.Equal(t, []attribute.KeyValue{adapterKey.String(activities.OtherAdapter)},
		attributesOf(activities.Invocation{AdapterName: "anything"}))
	require.Empty(t, attributesOf(nil, 1, "x", activities.Invocation{}, workflows.BackfillInput{}))
}

// A failure has class and kind; of anything else only that it failed, and never its text.
func TestFailures(t *testing.T) {
	const secret = "canary of an error"
	application := func(kind classify.Kind) error { return temporal.NewApplicationError(secret, string(kind)) }
	failed := func(kind classify.Kind, class classify.Class) workflows.Outcome {
		return workflows.Outcome{Kind: kind, Failure: &workflows.Failure{ErrorClass: class, Message: secret}}
	}
	export := func(s exports.Status, kind classify.Kind) workflows.SyncResult {
		return workflows.SyncResult{Export: exports.Export{Status: s, ErrorCode: kind, ErrorMessage: secret}}
	}
	for name, c := range map[string]struct {
		result any
		err    error
		kind   string
		class  classify.Class
	}{
		"done":             {nil, nil, "", ""},
		"ok":               {workflows.Outcome{OK: true}, nil, "", ""},
		"failed":           {failed(classify.Unavailable, classify.Transient), nil, "unavailable", classify.Transient},
		"not valid":        {failed("", classify.Permanent), nil, "_OTHER", classify.Permanent},
		"exported":         {export(exports.Complete, ""), nil, "", ""},
		"not exported":     {export(exports.Failed, classify.Forbidden), nil, "forbidden", classify.Permanent},
		"refused":          {workflows.SyncResult{Refused: secret}, nil, "_OTHER", ""},
		"attempt":          {nil, application(classify.RateLimited), "rate_limited", classify.RateLimited.Class()},
		"of another type":  {nil, application(secret), "_OTHER", ""},
		"of the database":  {nil, errors.New(secret), "_OTHER", ""},
		"cancelled":        {nil, temporal.NewCanceledError(secret), string(classify.Cancelled), classify.Cancelled.Class()},
		"continues as new": {nil, &workflow.ContinueAsNewError{}, "", ""},
	} {
		recorder := tracetest.NewSpanRecorder()
		traces := started(sdktrace.WithSpanProcessor(recorder))
		_, end := traces.Begin(t.Context(), name, nil)
		end(c.result, c.err)
		s := recorder.Ended()[0]
		set := attribute.NewSet(s.Attributes()...)
		kind, _ := set.Value("error.type")
		class, _ := set.Value(classKey)
		require.Equal(t, c.kind, kind.AsString(), name)
		require.Equal(t, string(c.class), class.AsString(), name)
		require.Equal(t, c.kind != "", s.Status().Code == codes.Error, name)
		require.Equal(t, c.kind, s.Status().Description, name)
		require.Empty(t, s.Events(), name)
	}
}

// A header that is no span, whoever wrote it, begins a new trace and is no error.
func TestHeaders(t *testing.T) {
	tr := &tracer{spans: started().tracer}
	for _, header := range []map[string]string{
		nil, {}, {"traceparent": ""}, {"traceparent": "00-x"}, {"traceparent": "00-" + string(make([]byte, 1<<16)), "baggage": "x=y"},
	} {
		ref, err := tr.UnmarshalSpan(header)
		require.NoError(t, err)
		require.Nil(t, ref)
	}
	run := func(parent interceptor.TracerSpanRef, operation, name string) *span {
		o := &interceptor.TracerStartSpanOptions{Parent: parent, Operation: operation, Name: name}
		if operation == "RunWorkflow" {
			o.IdempotencyKey = "run"
		}
		s, err := tr.StartSpan(o)
		require.NoError(t, err)
		return s.(*span)
	}
	first, again := run(nil, "RunWorkflow", workflows.SyncName), run(nil, "RunWorkflow", workflows.SyncName)
	require.True(t, first.SpanContext().IsSampled())
	require.Equal(t, first.SpanContext(), again.SpanContext(), "a replay makes the same span")
	header, err := tr.MarshalSpan(run(first, "StartActivity", activities.CallName))
	require.NoError(t, err)
	require.Len(t, header, 1)
	ref, err := tr.UnmarshalSpan(header)
	require.NoError(t, err)
	attempt := run(ref, "RunActivity", activities.CallName)
	require.Equal(t, first.SpanContext().SpanID(), attempt.Span.(sdktrace.ReadOnlySpan).Parent().SpanID())

	// What has no trace leaves none behind.
	for _, nothing := range []*span{
		run(first, "CreateSchedule", "x"), run(first, "HandleUpdate", "x"), run(first, "StartWorkflow", workflows.MonitorName),
		run(nil, "RunWorkflow", workflows.MonitorName), run(nil, "StartActivity", activities.ProbeName),
		run(nil, "RunActivity", activities.ProbeName),
	} {
		header, err := tr.MarshalSpan(nothing)
		require.NoError(t, err)
		require.Empty(t, header)
		require.False(t, nothing.IsRecording())
	}
}

// The first span of a trace decides by the ratio for all of it, in another process and after
// a replay too.
func TestSampling(t *testing.T) {
	const runs = 200
	for name, c := range map[string]struct {
		sampler, ratio string
		least, most    int
	}{
		"not set": {"", "", runs, runs},
		"none":    {"parentbased_traceidratio", "0", 0, 0},
		"all":     {"parentbased_traceidratio", "1", runs, runs},
		"half":    {"parentbased_traceidratio", "0.5", runs / 4, 3 * runs / 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_TRACES_SAMPLER", c.sampler)
			t.Setenv("OTEL_TRACES_SAMPLER_ARG", c.ratio)
			starts, continues := tracetest.NewSpanRecorder(), tracetest.NewSpanRecorder()
			starter, worker := &tracer{spans: started(sdktrace.WithSpanProcessor(starts)).tracer}, &tracer{spans: started(sdktrace.WithSpanProcessor(continues)).tracer}
			for i := range runs {
				for range 2 { // a replay
					s, err := starter.StartSpan(&interceptor.TracerStartSpanOptions{Operation: "RunWorkflow", Name: workflows.SyncName, IdempotencyKey: fmt.Sprint("run", i)})
					require.NoError(t, err)
					header, err := starter.MarshalSpan(s)
					require.NoError(t, err)
					parent, err := worker.UnmarshalSpan(header)
					require.NoError(t, err)
					_, err = worker.StartSpan(&interceptor.TracerStartSpanOptions{Operation: "RunActivity", Name: activities.CallName, Parent: parent})
					require.NoError(t, err)
				}
			}
			traces := func(r *tracetest.SpanRecorder) map[string]int {
				spans := make(map[string]int)
				for _, s := range r.Started() {
					spans[s.SpanContext().TraceID().String()]++
				}
				return spans
			}
			taken := traces(starts)
			require.GreaterOrEqual(t, len(taken), c.least)
			require.LessOrEqual(t, len(taken), c.most)
			require.Equal(t, taken, traces(continues))
			for _, n := range taken {
				require.Equal(t, 2, n)
			}
		})
	}
}

// Off is nil, and nil does nothing. What cannot be read is off too, and says so.
func TestOff(t *testing.T) {
	const endpoint, all, way = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"
	sampler := func(name, arg string) map[string]string {
		return map[string]string{endpoint: "http://127.0.0.1:1", "OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": arg}
	}
	for name, c := range map[string]struct {
		env map[string]string
		on  bool
		err string
	}{
		"nothing":        {},
		"a protocol":     {env: map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}},
		"an endpoint":    {env: map[string]string{endpoint: "http://127.0.0.1:1"}, on: true},
		"of traces only": {env: map[string]string{all: "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, on: true},
		"disabled":       {env: map[string]string{endpoint: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "True"}},
		"no exporter":    {env: map[string]string{endpoint: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"}},
		"another":        {env: map[string]string{endpoint: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "zipkin"}, err: "want otlp or none"},
		"not a way":      {env: map[string]string{endpoint: "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, err: "want grpc or http/protobuf"},

		"no scheme":                {env: map[string]string{endpoint: "collector:4318"}, err: endpoint + ": want http:// or https://"},
		"no scheme, an IP":         {env: map[string]string{endpoint: "127.0.0.1:4318"}, err: endpoint + ": want http://"},
		"no scheme, of traces":     {env: map[string]string{all: "collector:4318", endpoint: "http://127.0.0.1:1"}, err: all + ": want http://"},
		"no scheme, not for these": {env: map[string]string{all: "http://127.0.0.1:1", endpoint: "collector:4318"}, on: true},
		"no host":                  {env: map[string]string{endpoint: "http://"}, err: endpoint + ": want http://"},
		"TLS":                      {env: map[string]string{endpoint: "https://127.0.0.1:1"}, on: true},
		"gRPC by its own name":     {env: map[string]string{endpoint: "127.0.0.1:1", way: "grpc"}, on: true},
		"disabled, and wrong":      {env: map[string]string{endpoint: "collector:4318", "OTEL_SDK_DISABLED": "true"}},

		"an unknown sampler":   {env: sampler("half", ""), err: "OTEL_TRACES_SAMPLER: want one of always_off, always_on, parentbased_always_off"},
		"a sampler":            {env: sampler("parentbased_traceidratio", "0.05"), on: true},
		"in capitals":          {env: sampler(" Always_On ", "half"), on: true},
		"without its argument": {env: sampler("traceidratio", ""), on: true},
		"half":                 {env: sampler("traceidratio", "half"), err: "OTEL_TRACES_SAMPLER_ARG: want a number from 0 to 1"},
		"5 of 100":             {env: sampler("parentbased_traceidratio", "5"), err: "OTEL_TRACES_SAMPLER_ARG: want"},
		"less than nothing":    {env: sampler("traceidratio", "-1"), err: "OTEL_TRACES_SAMPLER_ARG: want"},
		"not a number":         {env: sampler("traceidratio", "NaN"), err: "OTEL_TRACES_SAMPLER_ARG: want"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{endpoint, all} {
				t.Setenv(variable, "")
			}
			for variable, value := range c.env {
				t.Setenv(variable, value)
			}
			traces, err := Start(t.Context(), Options{Log: slog.New(slog.DiscardHandler), OneTry: true})
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.err)
			}
			require.Equal(t, c.on, traces != nil)
			if !c.on {
				require.Empty(t, traces.Interceptors())
			}
			ctx, end := traces.Begin(t.Context(), "x", nil)
			require.Equal(t, c.on, ctx != t.Context())
			end(nil, nil)
			traces.Close()
		})
	}
}
