package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/redact"
	"github.com/ledgerline/ledgerline/runlog"
)

// minAttempt is the least time that a wait must leave of the budget: less
// would not be an attempt.
const minAttempt = 2 * time.Second

// ruleUnknownIntegration marks the attempt of an invocation whose organization
// has no such integration.
const ruleUnknownIntegration = "integration:unknown"

// rulePaused marks the attempt of an invocation whose integration is paused.
const rulePaused = "integration:paused"

// Call makes one attempt of an invocation. Its error is always a single,
// top-level *temporal.ApplicationError whose type is the [classify.Kind] and
// whose details are the whole [Trail]: the SDK looks only at the outermost
// error, and one wrapped by fmt.Errorf is retried no matter what. A
// cancellation is such an error too, or its attempt would be missing from the
// record.
func (a *Activities) Call(ctx context.Context, in Invocation) (CallResult, error) {
	info := activity.GetInfo(ctx)
	trail := a.begin(ctx, info)

	callCtx, cancel := context.WithDeadline(ctx, deadline(ctx, info, in.Policy))
	defer cancel()
	callCtx, measured := a.afterIdle(callCtx, in)
	done := a.attempt(callCtx, in, trail)
	if done.verdict.Kind == classify.Cancelled {
		done.message = "cancelled by the caller"
		if errors.Is(context.Cause(ctx), worker.ErrWorkerShutdown) {
			// By a worker that stops: another one takes over.
			done.verdict = classify.Verdict{Class: classify.Timeout, Kind: classify.WorkerLost, Rule: "worker:stopped", Unknown: true}
			done.message = "the worker was stopped during this attempt"
		}
	}

	last := &trail[len(trail)-1]
	last.EndedAt = time.Now()
	last.Class, last.Kind, last.Rule = done.verdict.Class, done.verdict.Kind, done.verdict.Rule
	last.HTTPStatus, last.Unknown, last.Message = done.verdict.HTTPStatus, done.verdict.Unknown, done.message
	last.Asked = done.verdict.RetryAfter
	measured(*last)
	if a.Observe != nil {
		defer func() { a.Observe(in, *last) }() // after decide, which may change the kind
	}
	if done.verdict.Class == classify.Success {
		return CallResult{Response: done.answer, Trail: trail}, nil
	}
	a.decide(trail, done, in, info)
	a.logFailure(in, *last)
	return CallResult{}, translate(ctx, trail, int(info.Attempt) < in.Policy.MaxAttempts())
}

// begin reads the trail that earlier attempts left and adds this one. The
// first attempt records no start: that would be a request to the server for
// every invocation, and a missing first entry can mean only one thing.
func (a *Activities) begin(ctx context.Context, info activity.Info) Trail {
	var trail Trail
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &trail); err != nil {
			a.Log.Error("the attempt trail is unreadable and starts anew", "error", err.Error())
		}
	}
	trail = trail.Begin(int(info.Attempt), info.ScheduledTime, time.Now())
	if len(trail) > 1 {
		activity.RecordHeartbeat(ctx, trail)
	}
	return trail
}

// deadline is when the call is cut off: a margin before the server would give
// the attempt up. The context's own deadline is later than the server's by the
// dispatch latency. The start is the server's clock; should this one be behind
// it, the attempt is bounded from now on, or it could still send when the next
// one has asked what is there.
func deadline(ctx context.Context, info activity.Info, p classify.Policy) time.Time {
	d := info.StartedTime.Add(info.StartToCloseTimeout)
	if here := time.Now().Add(info.StartToCloseTimeout); here.Before(d) {
		d = here
	}
	if own, ok := ctx.Deadline(); ok && own.Before(d) {
		d = own
	}
	return d.Add(-margin(p.AttemptTimeout))
}

// outcome is what became of an attempt.
type outcome struct {
	verdict classify.Verdict
	guard   adapters.Guard
	message string // redacted
	answer  Answer
	host    limits.Host // that was called, or was to be
}

// attempt resolves the integration and makes the call. It does not return an
// error: every fault is an outcome. A panic is one too, and its value and
// stack, which may hold anything, are reduced to where it happened.
func (a *Activities) attempt(ctx context.Context, in Invocation, trail Trail) (out outcome) {
	conn := &adapters.Conn{Client: a.Client, CorrelationID: in.CorrelationID.String(), Uncertain: trail.Uncertain()}
	defer func() {
		if r := recover(); r != nil {
			out.verdict = adapters.Fault(classify.Internal, "panic", "the adapter failed at "+panicSite()+"; this is a defect of Ledgerline")
			out.verdict.Unknown = true
		}
		// One place through which everything passes that is said of an attempt.
		r := redact.New(conn.Secrets()...)
		out.message = r.Text(out.verdict.Message)
		out.answer.Body = []byte(r.Exact(string(out.answer.Body)))
	}()

	adapter, fault := a.connect(ctx, in, conn)
	if fault != nil {
		fault.Unknown = in.Operation == adapters.Export // it did not see whether its entries were sent before
		return outcome{verdict: *fault}
	}
	host := limits.Host{Organization: in.OrganizationID, Name: conn.BaseURL.Host}
	defer func() { out.host = host }()
	if in.Operation == adapters.Export {
		return a.behindBreaker(in, host, func() outcome { return a.exportChunk(ctx, in, adapter, conn, trail) })
	}
	plan, err := adapter.Plan(in.Operation, in.Body)
	if err != nil {
		return outcome{verdict: adapters.Fault(classify.Transformation, "request:body", err.Error())}
	}
	out.guard = plan.Guard
	if plan.Guard == adapters.Unsafe && conn.Uncertain {
		// The attempt before this one was lost after it may have sent.
		out.verdict = adapters.UnknownOutcome(adapters.Fault(classify.UnknownOutcome, "guard:unsafe", ""),
			"an earlier attempt may have taken effect and this request cannot be looked up; it was not sent again")
		return out
	}
	return a.behindBreaker(in, host, func() outcome {
		resp, v := adapter.Do(ctx, conn, in.Operation, in.Body)
		out.verdict = v
		if v.Class == classify.Success {
			out.answer = Answer{HTTPStatus: resp.Status, Body: resp.Body, ReadBack: resp.ReadBack}
		}
		return out
	})
}

// connect finds the integration and fills in the connection. The organization
// is checked before any secret is read.
func (a *Activities) connect(ctx context.Context, in Invocation, conn *adapters.Conn) (adapters.Adapter, *classify.Verdict) {
	fault := func(k classify.Kind, rule, format string, args ...any) (adapters.Adapter, *classify.Verdict) {
		v := adapters.Fault(k, rule, fmt.Sprintf(format, args...))
		return nil, &v
	}
	spec, err := a.Resolve(ctx, in.OrganizationID, in.IntegrationID)
	switch {
	case errors.Is(err, runlog.ErrNotFound):
		return fault(classify.Configuration, ruleUnknownIntegration,
			"organization %s has no integration %s; see starter integrations list", in.OrganizationID, in.IntegrationID)
	case err != nil:
		return fault(classify.Dependency, "integration:unavailable", "the integration could not be looked up: %v", err)
	case spec.Adapter != in.AdapterName:
		return fault(classify.Configuration, "integration:adapter",
			"integration %s uses adapter %s, not %s", spec.Name, spec.Adapter, in.AdapterName)
	}
	if a.Pause != nil {
		pause, err := a.Pause(ctx, in.OrganizationID, in.IntegrationID)
		switch {
		case err != nil:
			return fault(classify.Dependency, "integration:unavailable", "whether the integration is paused could not be looked up: %v", err)
		case pause != nil:
			return fault(classify.Paused, rulePaused, "integration %s was paused by %s at %s: %s; starter integrations resume --org %s --integration %s",
				spec.Name, pause.By, pause.At.UTC().Format(time.RFC3339), pause.Reason, in.OrganizationID, spec.Name)
		}
	}
	adapter, ok := a.Adapters[spec.Adapter]
	if !ok {
		return fault(classify.Configuration, "integration:adapter", "this worker has no adapter %q; it has %s",
			spec.Adapter, strings.Join(slices.Sorted(maps.Keys(a.Adapters)), ", "))
	}
	if conn.BaseURL, err = url.Parse(spec.BaseURL); err != nil {
		return fault(classify.Configuration, "integration:baseURL", "the integration's base URL is not valid")
	}
	if fault := a.meter(in, spec, conn); fault != nil {
		return nil, fault
	}
	conn.Adapter, conn.Settings = spec.Adapter, spec.Settings
	conn.Credentials, err = resolve(spec.Credentials)
	if err != nil {
		return fault(classify.Credentials, "integration:credentials", "%v", err)
	}
	return adapter, nil
}

// resolve reads the secrets that references name.
func resolve(refs map[string]integrations.Ref) (map[string]string, error) {
	secrets := make(map[string]string, len(refs))
	var faults []error
	for name, ref := range refs {
		secret, err := ref.Resolve()
		if err != nil {
			faults = append(faults, fmt.Errorf("credentials.%s: %w", name, err))
			continue
		}
		secrets[name] = secret
	}
	return secrets, errors.Join(faults...)
}

// decide says of the last attempt whether another one follows, and when.
func (a *Activities) decide(trail Trail, done outcome, in Invocation, info activity.Info) {
	last := &trail[len(trail)-1]
	retry := done.verdict.Retry()
	// 503 proves nothing and is tried again all the same: the server did not handle
	// the request, says RFC 9110.
	if retry && last.Unknown && done.guard == adapters.Unsafe && last.HTTPStatus != http.StatusServiceUnavailable {
		last.Kind = classify.UnknownOutcome
		last.Message = cut("the outcome is unknown and the request cannot be looked up, so it is not sent again: " + last.Message)
		return
	}
	if !retry || int(info.Attempt) >= in.Policy.MaxAttempts() {
		return
	}
	delay := in.Policy.NextDelay(in.CorrelationID.String(), int(info.Attempt), done.verdict.RetryAfter)
	left := time.Until(info.ScheduledTime.Add(info.ScheduleToCloseTimeout))
	if in.OwnQueue {
		left = min(left, in.Policy.Budget-trail.spent(in.Policy.AttemptTimeout))
	}
	if delay > left-min(minAttempt, in.Policy.AttemptTimeout) {
		last.Message = cut(fmt.Sprintf("the vendor takes calls again at %s, after this invocation's budget: %s",
			time.Now().Add(delay).UTC().Truncate(time.Second).Format(time.RFC3339), last.Message))
		return
	}
	if !a.affords(done.verdict, done.host) {
		last.Rule = RuleBudget
		last.Message = cut(fmt.Sprintf("not tried again: too many attempts of this organization at %s fail, and its budget for retries is empty: %s",
			done.host.Name, last.Message))
		return
	}
	last.Retryable, last.Delay = true, delay
}

// cut keeps a message within the limit after words of ours came before it.
func cut(s string) string { return redact.Text(s) }

// translate is the last step: it records the trail for the next attempt and
// turns the failed attempt into the one error that Temporal understands. The
// category keeps expected failures of vendors out of the worker's error log.
//
// more says whether Temporal would try again by its own count; then it must be
// told if that is not wanted.
func translate(ctx context.Context, trail Trail, more bool) error {
	last := trail.Last()
	if last.Retryable {
		activity.RecordHeartbeat(ctx, trail)
	}
	return temporal.NewApplicationErrorWithOptions(last.Message, string(last.Kind), temporal.ApplicationErrorOptions{
		NonRetryable:   more && !last.Retryable,
		NextRetryDelay: last.Delay,
		Details:        []any{trail},
		Category:       temporal.ApplicationErrorCategoryBenign,
	})
}

func (a *Activities) logFailure(in Invocation, at Attempt) {
	a.Log.Warn("attempt failed",
		"correlation_id", in.CorrelationID, "organization_id", in.OrganizationID, "integration_id", in.IntegrationID,
		"adapter", in.AdapterName, "operation", in.Operation, "attempt", at.Number, "class", at.Class, "kind", at.Kind,
		"rule", at.Rule, "http_status", at.HTTPStatus, "retryable", at.Retryable, "delay", at.Delay.String(), "message", at.Message)
}

// panicSite names the function and line that panicked, without its values.
func panicSite() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") {
			name := f.Function[strings.LastIndexByte(f.Function, '/')+1:]
			return fmt.Sprintf("%s (line %d)", name, f.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}
