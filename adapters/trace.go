package adapters

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/ledgerline/ledgerline/classify"
)

// noSpan is that of a request that nobody traces.
var noSpan = trace.SpanFromContext(context.Background())

// startSpan starts the span of a request, below the one in ctx and with its provider. Where
// nobody traces, it does nothing. Path and query are left out, and so is everything that
// was sent or came back. The vendor gets no traceparent: it has the correlation ID.
func startSpan(ctx context.Context, r Request) (context.Context, trace.Span) {
	above := trace.SpanFromContext(ctx)
	if !above.IsRecording() {
		return ctx, noSpan
	}
	tracer := above.TracerProvider().Tracer("github.com/ledgerline/ledgerline/adapters")
	return tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		semconv.HTTPRequestMethodKey.String(r.Method), semconv.ServerAddress(r.URL.Hostname()),
		attribute.String("ledgerline.request", string(r.Op))))
}

// endSpan ends it with what came of the request. Of a failure it has class and kind, never
// the text.
func endSpan(span trace.Span, v classify.Verdict) {
	if v.HTTPStatus != 0 {
		span.SetAttributes(semconv.HTTPResponseStatusCode(v.HTTPStatus))
	}
	if v.Class != classify.Success {
		span.SetAttributes(semconv.ErrorTypeKey.String(string(v.Kind)), attribute.String("ledgerline.error.class", string(v.Class)))
		span.SetStatus(codes.Error, string(v.Kind))
	}
	span.End()
}
