package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
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
	"github.com/ledgerline/ledgerline/secrets"
)

// minAttempt is the least time that a wait must leave of the budget: less
// would not be an attempt.
const minAttempt = 2 * time.Second

// CallName is the name under which [Activities.Call] is registered.
const CallName = "Call"

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
	callCtx, logIfCold := a.afterIdle(callCtx, in)
	out := a.attempt(callCtx, in, trail)
	if out.trail != nil {
		trail = out.trail
	}
	if out.verdict.Kind == classify.Cancelled {
		out.message = "cancelled by the caller"
		if errors.Is(context.Cause(ctx), worker.ErrWorkerShutdown) {
			// By a worker that stops: another one takes over.
			effect := out.verdict.Effect
			out.verdict = classify.Verdict{Class: classify.Timeout, Kind: classify.WorkerLost, Rule: "worker:stopped", Effect: effect}
			out.message = "the worker was stopped during this attempt"
		}
	}

	last := &trail[len(trail)-1]
	last.EndedAt = a.options.Now()
	last.apply(out)
	logIfCold(*last)
	if out.verdict.Class == classify.Success {
		a.observe(in, out, *last)
		return CallResult{Response: out.answer, Trail: trail, Left: out.left}.fit(), nil
	}
	a.decide(trail, out, in, info, received) // which may change the kind
	a.observe(in, out, *last)
	a.logFailure(in, *last)
	return CallResult{}, translate(ctx, trail, made(info, in.Policy) < in.Policy.MaxAttempts())
}

// observe reports a finished attempt under the adapter that the integration has,
// whatever the input says, with what the vendor answered.
func (a *Activities) observe(in Invocation, out outcome, at Attempt) {
	in.AdapterName = cmp.Or(out.adapter, OtherAdapter)
	if v := out.refusal; v.Class != "" {
		at.Class, at.Kind, at.Rule, at.HTTPStatus = v.Class, v.Kind, v.Rule, v.HTTPStatus
	}
	a.options.Observe(in, at)
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
			a.options.Log.Error("the attempt trail is unreadable and begins again", "error", redact.Text(err.Error()))
		}
	}
	trail = trail.Begin(int(info.Attempt), info.ScheduledTime, a.options.Now())
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

// attempt resolves the integration and makes the call. It does not return an
// error: every error, and a panic too, is an outcome.
func (a *Activities) attempt(ctx context.Context, in Invocation, trail Trail) outcome {
	var made requestCounts
	var to destination
	conn := &adapters.Conn{Client: a.options.Client, CorrelationID: in.CorrelationID.String(), Count: made.count}
	out := recovered(in, func() outcome { return a.dispatch(ctx, in, conn, &to, trail) })
	out.requests, out.lookUps = int(made.requests.Load()), int(made.lookUps.Load())
	return a.finish(ctx, in, conn, to, out)
}

// finish completes an outcome: with what is known of where it led, and masked. What
// the vendor said has passed masking before; our own errors pass it here, and so does
// the answer.
func (a *Activities) finish(ctx context.Context, in Invocation, conn *adapters.Conn, to destination, out outcome) outcome {
	out.adapter, out.host, out.spec = to.spec.Adapter, to.host, to.spec
	if to.host != (limits.Host{}) && to.spec.Policy != (classify.Policy{}) {
		out.most = to.spec.Policy.MaxAttempts()
	}
	r := conn.Masker()
	masking, cancel := a.maskBy(ctx, in.Policy)
	defer cancel()
	out.message, out.answer = r.Text(out.verdict.Message), a.masked(masking, r, out.answer)
	return out
}

// dispatch makes what an invocation asks for.
func (a *Activities) dispatch(ctx context.Context, in Invocation, conn *adapters.Conn, to *destination, trail Trail) outcome {
	if err := in.Validate(); err != nil {
		return outcome{verdict: classify.NewVerdict(classify.Configuration, "input:invalid",
			"the invocation is not valid, and nothing was sent: "+strings.ReplaceAll(err.Error(), "\n", "; "))}
	}
	if refusal := a.connect(ctx, in, conn, to); refusal != nil {
		return outcome{verdict: *refusal}
	}
	adapter, spec := to.adapter, to.spec
	to.host = limits.Host{Organization: in.OrganizationID, Name: conn.BaseURL.Host}
	switch in.Operation {
	case adapters.Export:
		return a.behindBreaker(in, to, func() outcome { return a.exportChunk(ctx, in, adapter, conn, spec, trail) })
	case adapters.Lookup:
		return a.behindBreaker(in, to, func() outcome { return a.lookUp(ctx, in, adapter, conn) })
	case adapters.Verify:
		return a.behindBreaker(in, to, func() outcome { return a.verify(ctx, in, adapter, conn, spec) })
	}
	request, err := conn.Describe(adapter, in.Operation, in.Body)
	if err != nil {
		return outcome{verdict: classify.NewVerdict(classify.Transformation, "request:body", err.Error())}
	}
	if in.ReadOnly && request.Guard != adapters.ReadOnly { // its audit rows would say nothing of what it did
		return outcome{verdict: classify.NewVerdict(classify.Configuration, "input:readOnly",
			"the invocation says that it changes nothing, and its request may; nothing was sent")}
	}
	if request.Guard == adapters.ReadOnly {
		return a.behindBreaker(in, to, func() (out outcome) {
			out.guard = adapters.ReadOnly
			out.answer, out.verdict = do(ctx, adapter, conn, in.Operation, in.Body)
			return out
		})
	}
	return a.behindBreaker(in, to, func() outcome { return a.write(ctx, in, adapter, conn, spec, request, trail) })
}

// Rules of attempts that made no call because of their integration.
const (
	ruleUnknownIntegration = "integration:unknown"     // the organization has no such integration
	rulePaused             = "integration:paused"      // it is paused
	ruleCredentials        = "integration:credentials" // its secrets could not be read
)

// destination is where an attempt leads.
type destination struct {
	adapter adapters.Adapter
	spec    integrations.Integration // also if the attempt gets no further; zero if there is none
	host    limits.Host              // zero until the connection is complete
}

// connect finds the integration and fills in the destination and the connection, or
// returns why nothing is sent. The organization is checked before any secret is read.
func (a *Activities) connect(ctx context.Context, in Invocation, conn *adapters.Conn, to *destination) *classify.Verdict {
	refuse := func(k classify.Kind, rule, format string, args ...any) *classify.Verdict {
		v := classify.NewVerdict(k, rule, fmt.Sprintf(format, args...))
		return &v
	}
	spec, err := a.options.Store.Integration(ctx, in.OrganizationID, in.IntegrationID)
	to.spec = spec
	switch {
	case errors.Is(err, runlog.ErrNotFound):
		if err := a.homes.elsewhere(ctx, in.OrganizationID); err != nil { // another worker may know it
			return refuse(classify.Dependency, "organization:elsewhere", "%v", err)
		}
		return refuse(classify.Configuration, ruleUnknownIntegration,
			"organization %s has no integration %s; see starter integrations list", in.OrganizationID, in.IntegrationID)
	case err != nil:
		v := a.storeVerdict(in, "LoadIntegration", "integration:unavailable", "the integration could not be looked up", err)
		return &v
	case spec.Adapter != in.AdapterName:
		return refuse(classify.Configuration, "integration:adapter",
			"integration %s uses adapter %s, not %s; nothing was sent", spec.Name, spec.Adapter, in.AdapterName)
	}
	pause, err := a.options.Store.Pause(ctx, in.OrganizationID, in.IntegrationID)
	switch {
	case err != nil:
		v := a.storeVerdict(in, "LoadPause", "integration:unavailable", "whether the integration is paused could not be looked up", err)
		return &v
	case pause != nil:
		return refuse(classify.Paused, rulePaused,
			"integration %s was paused by %s on %s: %s; starter integrations resume %s",
			spec.Name, pause.By, spec.Moment(pause.At), pause.Reason, spec.Name)
	}
	var ok bool
	if to.adapter, ok = a.options.Adapters[spec.Adapter]; !ok {
		return refuse(classify.Configuration, "integration:adapter", "this worker has no adapter %q; it has %s",
			spec.Adapter, strings.Join(slices.Sorted(maps.Keys(a.options.Adapters)), ", "))
	}
	if conn.BaseURL, err = url.Parse(spec.BaseURL); err != nil {
		return refuse(classify.Configuration, "integration:baseURL", "the integration's base URL is not valid")
	}
	if refusal := a.meter(in, spec, conn); refusal != nil {
		return refusal
	}
	conn.Adapter, conn.Settings = spec.Adapter, spec.Settings
	conn.Credentials, err = a.readSecrets(ctx, in.OrganizationID, spec.Credentials)
	switch {
	case errors.Is(err, secrets.ErrHangs): // it may pass, and the vendor has no part in it
		return refuse(classify.Dependency, ruleCredentials, "%v", err)
	case ctx.Err() != nil && err != nil:
		v := classify.Err(ctx.Err())
		return &v
	case err != nil:
		return refuse(classify.Credentials, ruleCredentials, "%v", err)
	}
	return nil
}

// behindBreaker calls the vendor unless the integration's circuit breaker is open. An
// attempt that finds it open is on record like any other.
func (a *Activities) behindBreaker(in Invocation, to *destination, call func() outcome) (out outcome) {
	if a.options.Gate == nil {
		return call()
	}
	admitted := a.options.Gate.Breakers.Admit(in.IntegrationID, time.Now())
	if admitted.Open {
		v := classify.NewVerdict(classify.BreakerOpen, RuleBreaker, fmt.Sprintf(
			"no call was made: the vendor failed %d times in a row or more; one attempt is let through on %s",
			limits.Failures, to.spec.Moment(admitted.Until)))
		v.RetryAfter = max(0, time.Until(admitted.Back))
		return outcome{verdict: v}
	}
	defer func() {
		v := out.verdict
		switch {
		case out.refusal.Class != "":
			v = out.refusal
		case v.Rule == RuleSettled:
			v = classify.Verdict{} // it says nothing of the vendor
		}
		if v.Class == classify.Success {
			a.options.Gate.Budget.Success(to.host)
		}
		if admitted.Done(v, time.Now()) {
			open, until := a.options.Gate.Breakers.State(in.IntegrationID)
			a.options.Log.Warn("the circuit breaker of an integration changed",
				"organization_id", in.OrganizationID, "integration_id", in.IntegrationID, "open", open, "until", until)
		}
	}()
	return call()
}

// do makes a raw request. The answer to it is not masked: [Activities.masked] does
// that, once the attempt has ended.
func do(ctx context.Context, adapter adapters.Adapter, conn *adapters.Conn, op adapters.Operation, body []byte) (Answer, classify.Verdict) {
	resp, v := adapter.Do(ctx, conn, op, body)
	v = maskVerdict(conn, v)
	if v.Class != classify.Success {
		return Answer{}, v
	}
	return Answer{HTTPStatus: resp.Status, Body: resp.Body, Omitted: resp.Omitted}, v
}

// decide says of the last attempt whether another one follows, and when.
func (a *Activities) decide(trail Trail, out outcome, in Invocation, info activity.Info, received time.Time) {
	last := &trail[len(trail)-1]
	retry := out.verdict.Retry()
	if retry && last.Effect == classify.Open && out.guard == adapters.Unsafe {
		last.Kind = classify.UnknownOutcome
		last.Message = redact.Text("the outcome is unknown and the request cannot be looked up, so it is not sent again: " + last.Message)
		return
	}
	n := made(info, in.Policy)
	if !retry || n >= in.Policy.MaxAttempts() || out.most > 0 && n >= out.most {
		return // whatever the input says, no more often than the integration's own policy
	}
	delay := in.Policy.NextDelay(in.CorrelationID.String(), n, out.verdict.RetryAfter)
	// By the server's clock as it was when it handed out the task.
	left := info.ScheduleToCloseTimeout - info.StartedTime.Sub(info.ScheduledTime) - time.Since(received)
	if in.OwnQueue {
		left = min(left, in.Policy.Budget-trail.spent(in.Policy.AttemptTimeout))
	}
	if delay > left-min(minAttempt, in.Policy.AttemptTimeout) {
		if last.Kind == classify.Unsettled {
			return // its message says until when it waits
		}
		last.Message = redact.Text(fmt.Sprintf("the vendor takes calls again on %s, after this invocation's budget: %s",
			out.spec.Moment(time.Now().Add(delay)), last.Message))
		return
	}
	if !a.affords(out.verdict, out.host) {
		last.Rule = RuleBudget
		last.Message = redact.Text(fmt.Sprintf(
			"not tried again: too many attempts of this organization at %s fail, and its budget for retries is empty: %s",
			out.host.Name, last.Message))
		return
	}
	last.Retryable, last.Delay = true, delay
}

// made is how many attempts count, with this one. For one that a worker gave back, because
// it could not read it, Temporal makes one more than the policy has; see package codec.
func made(info activity.Info, p classify.Policy) int {
	n := int(info.Attempt)
	if info.RetryPolicy == nil {
		return n
	}
	givenBack := max(0, int(info.RetryPolicy.MaximumAttempts)-p.MaxAttempts())
	return max(1, n-givenBack)
}

// translate is the last step: it records the trail for the next attempt and
// turns the failed attempt into the one error that Temporal understands. The
// category keeps expected failures of vendors out of the worker's error log.
//
// more says whether Temporal would try again by its own count; then the error must
// say so if that is not wanted.
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
	a.options.Log.Warn("attempt failed",
		"correlation_id", in.CorrelationID, "organization_id", in.OrganizationID, "integration_id", in.IntegrationID,
		"adapter", in.AdapterName, "operation", in.Operation, "attempt", at.Number, "class", at.Class, "kind", at.Kind,
		"rule", at.Rule, "http_status", at.HTTPStatus, "retryable", at.Retryable, "delay", at.Delay.String(), "message", at.Message)
}
