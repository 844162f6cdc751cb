package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/redact"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
)

// minAttempt is the least time that a wait must leave of the budget: less
// would not be an attempt.
const minAttempt = 2 * time.Second

// ruleUnknownIntegration marks the attempt of an invocation whose organization
// has no such integration.
const ruleUnknownIntegration = "integration:unknown"

// rulePaused marks the attempt of an invocation whose integration is paused.
const rulePaused = "integration:paused"

// ruleCredentials marks the attempt of an invocation whose secrets could not be
// read.
const ruleCredentials = "integration:credentials"

// Call makes one attempt of an invocation. Its error is always a single,
// top-level *temporal.ApplicationError whose type is the [classify.Kind] and
// whose details are the whole [Trail]: the SDK looks only at the outermost
// error, and one wrapped by fmt.Errorf is retried no matter what. A
// cancellation is such an error too, or its attempt would be missing from the
// record.
func (a *Activities) Call(ctx context.Context, in Invocation) (CallResult, error) {
	info, received := activity.GetInfo(ctx), time.Now()
	ctx, live := detach(ctx)
	defer live()
	trail := a.begin(ctx, info)

	end := deadline(received, info, in.Policy)
	callCtx, cancel := context.WithDeadline(adapters.SendBy(ctx, lastMoment(end, in.Policy)), end)
	defer cancel()
	callCtx, measured := a.afterIdle(callCtx, in)
	done := a.attempt(callCtx, in, trail)
	if done.trail != nil {
		trail = done.trail
	}
	if done.verdict.Kind == classify.Cancelled {
		done.message = "cancelled by the caller"
		if errors.Is(context.Cause(ctx), worker.ErrWorkerShutdown) {
			// By a worker that stops: another one takes over.
			effect := done.verdict.Effect
			done.verdict = classify.Verdict{Class: classify.Timeout, Kind: classify.WorkerLost, Rule: "worker:stopped", Effect: effect}
			done.message = "the worker was stopped during this attempt"
		}
	}

	last := &trail[len(trail)-1]
	last.EndedAt = a.now()
	last.Class, last.Kind, last.Rule = done.verdict.Class, done.verdict.Kind, done.verdict.Rule
	last.HTTPStatus, last.Message = done.verdict.HTTPStatus, done.message
	last.Effect, last.Ended, last.OpenUntil = done.verdict.Effect, done.verdict.Ended, done.openUntil
	last.Found, last.Asking = done.found, done.asking
	last.Requests, last.LookUps, last.Entries, last.Vouchers = done.requests, done.lookUps, done.entries, done.vouchers
	last.RetryAfter = done.verdict.RetryAfter
	measured(*last)
	if a.Observe != nil {
		in := in
		in.AdapterName = cmp.Or(done.adapter, OtherAdapter)
		defer func() { a.Observe(in, *last) }() // after decide, which may change the kind
	}
	if done.verdict.Class == classify.Success {
		return CallResult{Response: done.answer, Trail: trail, Left: done.left}.fit(), nil
	}
	a.decide(trail, done, in, info, received)
	a.logFailure(in, *last)
	return CallResult{}, translate(ctx, trail, int(info.Attempt) < in.Policy.MaxAttempts())
}

func (a *Activities) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// detach returns a context that is cancelled when ctx is, and has no deadline.
// The SDK's deadline depends on the server's clock and this one agreeing; a
// worker whose clock is ahead would find it passed before it began.
func detach(ctx context.Context) (context.Context, func()) {
	live, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			cancel(context.Cause(ctx))
		}
	})
	return live, func() {
		stop()
		cancel(nil)
	}
}

// begin reads the trail that earlier attempts left and adds this one. The
// first attempt records no start: that would be a request to the server for
// every invocation, and a missing first entry can mean only one thing.
func (a *Activities) begin(ctx context.Context, info activity.Info) Trail {
	var trail Trail
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &trail); err != nil {
			a.Log.Error("the attempt trail is unreadable and begins again", "error", cut(err.Error()))
		}
	}
	trail = trail.Begin(int(info.Attempt), info.ScheduledTime, a.now())
	if len(trail) > 1 {
		activity.RecordHeartbeat(ctx, trail)
	}
	return trail
}

// deadline is when the call is cut off: a margin before the server would give
// the attempt up. It is counted from the receipt of the task, by this process's
// monotonic clock: wall clocks need not agree.
func deadline(received time.Time, info activity.Info, p classify.Policy) time.Time {
	return received.Add(min(info.StartToCloseTimeout, p.AttemptTimeout) - margin(p.AttemptTimeout))
}

// outcome is what became of an attempt.
type outcome struct {
	verdict   classify.Verdict // its Effect is that of what this attempt sent
	guard     adapters.Guard
	message   string // redacted
	answer    Answer
	host      limits.Host     // that was called, or was to be
	openUntil time.Time       // of what it sent
	adapter   string          // that the integration has stored; "" if it has none
	most      int             // attempts that the integration allows; 0 if that is not known
	found     classify.Effect // what asking proved of all that was sent before
	asking    bool            // it ended in the question what is there
	left      int             // entries of a chunk that was asked for which are not there
	trail     Trail           // with other numbers; nil if they stay

	requests, lookUps int // that it made, those for tokens left out; look-ups are among them
	entries, vouchers int // of a chunk: what it sent, or would have
}

// attempt resolves the integration and makes the call. It does not return an
// error: every fault is an outcome. A panic is one too, and its value and
// stack, which may hold anything, are reduced to where it happened.
func (a *Activities) attempt(ctx context.Context, in Invocation, trail Trail) (out outcome) {
	var made counts
	conn := &adapters.Conn{Client: a.Client, CorrelationID: in.CorrelationID.String(), Count: made.count}
	defer func() {
		out.requests, out.lookUps = int(made.requests.Load()), int(made.lookUps.Load())
		if r := recover(); r != nil {
			out.verdict = classify.NewVerdict(classify.Internal, "panic", "the adapter failed at "+panicSite()+"; this is a defect of Ledgerline")
			if !out.openUntil.IsZero() || in.Operation == adapters.Call && !in.ReadOnly {
				out.verdict.Effect = classify.Open
			}
		}
		// What the vendor said has passed masking before; our own errors pass it here,
		// and so does the answer.
		r := conn.Masker()
		masking, cancel := a.maskBy(ctx, in.Policy)
		defer cancel()
		out.message, out.answer = r.Text(out.verdict.Message), a.masked(masking, r, out.answer)
	}()

	if err := in.Validate(); err != nil {
		return outcome{verdict: classify.NewVerdict(classify.Configuration, "input:invalid",
			"the invocation is not valid, and nothing was sent: "+strings.ReplaceAll(err.Error(), "\n", "; "))}
	}
	adapter, spec, fault := a.connect(ctx, in, conn)
	if fault != nil {
		return outcome{verdict: *fault, adapter: spec.Adapter}
	}
	host := limits.Host{Organization: in.OrganizationID, Name: conn.BaseURL.Host}
	defer func() {
		out.host, out.adapter = host, spec.Adapter
		if spec.Policy != (classify.Policy{}) {
			out.most = spec.Policy.MaxAttempts()
		}
	}()
	switch in.Operation {
	case adapters.Export:
		return a.behindBreaker(in, host, func() outcome { return a.exportChunk(ctx, in, adapter, conn, spec, trail) })
	case adapters.Lookup:
		return a.behindBreaker(in, host, func() outcome { return a.lookUp(ctx, in, adapter, conn) })
	case adapters.Verify:
		return a.behindBreaker(in, host, func() outcome { return a.verify(ctx, adapter, conn, spec) })
	}
	plan, err := adapter.Describe(in.Operation, in.Body)
	if err != nil {
		return outcome{verdict: classify.NewVerdict(classify.Transformation, "request:body", err.Error())}
	}
	if in.ReadOnly && plan.Guard != adapters.ReadOnly { // its audit rows would say nothing of what it did
		return outcome{verdict: classify.NewVerdict(classify.Configuration, "input:readOnly", "the invocation says that it changes nothing, and its request may; nothing was sent")}
	}
	if plan.Guard == adapters.ReadOnly {
		return a.behindBreaker(in, host, func() (out outcome) {
			out.guard = adapters.ReadOnly
			out.answer, out.verdict = do(ctx, adapter, conn, in.Operation, in.Body)
			return out
		})
	}
	return a.behindBreaker(in, host, func() outcome { return a.write(ctx, in, adapter, conn, spec, plan, trail) })
}

// counts are the requests of an attempt. A token may be fetched by another
// goroutine, for several attempts.
type counts struct{ requests, lookUps atomic.Int32 }

func (c *counts) count(p limits.Purpose) {
	switch p {
	case limits.Token:
		return
	case limits.Readback, limits.Lookup:
		c.lookUps.Add(1)
	}
	c.requests.Add(1)
}

// connect finds the integration and fills in the connection. The organization
// is checked before any secret is read.
func (a *Activities) connect(ctx context.Context, in Invocation, conn *adapters.Conn) (adapters.Adapter, integrations.Integration, *classify.Verdict) {
	spec, err := a.Resolve(ctx, in.OrganizationID, in.IntegrationID)
	fault := func(k classify.Kind, rule, format string, args ...any) (adapters.Adapter, integrations.Integration, *classify.Verdict) {
		v := classify.NewVerdict(k, rule, fmt.Sprintf(format, args...))
		return nil, spec, &v
	}
	switch {
	case errors.Is(err, runlog.ErrNotFound):
		return fault(classify.Configuration, ruleUnknownIntegration,
			"organization %s has no integration %s; see starter integrations list", in.OrganizationID, in.IntegrationID)
	case err != nil:
		return fault(classify.Dependency, "integration:unavailable", "the integration could not be looked up: %v", err)
	case spec.Adapter != in.AdapterName:
		return fault(classify.Configuration, "integration:adapter",
			"integration %s uses adapter %s, not %s; nothing was sent", spec.Name, spec.Adapter, in.AdapterName)
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
		return nil, spec, fault
	}
	conn.Adapter, conn.Settings = spec.Adapter, spec.Settings
	conn.Credentials, err = a.readSecrets(ctx, in.OrganizationID, spec.Credentials)
	switch {
	case errors.Is(err, secrets.ErrHangs): // it may pass, and the vendor has no part in it
		return fault(classify.Dependency, ruleCredentials, "%v", err)
	case ctx.Err() != nil && err != nil:
		v := classify.Err(ctx.Err())
		return nil, spec, &v
	case err != nil:
		return fault(classify.Credentials, ruleCredentials, "%v", err)
	}
	return adapter, spec, nil
}

// readSecrets reads the secrets that an organization's references name.
func (a *Activities) readSecrets(ctx context.Context, organization uuid.UUID, refs map[string]integrations.Ref) (map[string]string, error) {
	values := make(map[string]string, len(refs))
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		value, err := a.Secrets.Resolve(ctx, organization, refs[name])
		if err != nil {
			faults = append(faults, fmt.Errorf("the credential named %s is not readable: %w", name, err))
			continue
		}
		values[name] = value
	}
	return values, errors.Join(faults...)
}

// decide says of the last attempt whether another one follows, and when.
func (a *Activities) decide(trail Trail, done outcome, in Invocation, info activity.Info, received time.Time) {
	last := &trail[len(trail)-1]
	retry := done.verdict.Retry()
	if retry && last.Effect == classify.Open && done.guard == adapters.Unsafe {
		last.Kind = classify.UnknownOutcome
		last.Message = cut("the outcome is unknown and the request cannot be looked up, so it is not sent again: " + last.Message)
		return
	}
	if !retry || int(info.Attempt) >= in.Policy.MaxAttempts() || done.most > 0 && int(info.Attempt) >= done.most {
		return // whatever the input says, no more often than the integration's own policy
	}
	delay := in.Policy.NextDelay(in.CorrelationID.String(), int(info.Attempt), done.verdict.RetryAfter)
	// By the server's clock as it was when it handed out the task.
	left := info.ScheduleToCloseTimeout - info.StartedTime.Sub(info.ScheduledTime) - time.Since(received)
	if in.OwnQueue {
		left = min(left, in.Policy.Budget-trail.spent(in.Policy.AttemptTimeout))
	}
	if delay > left-min(minAttempt, in.Policy.AttemptTimeout) {
		if last.Kind == classify.Unsettled {
			return // its message says until when it waits
		}
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
