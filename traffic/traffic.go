// Package traffic gathers what a worker's attempts show of integrations' health and
// reports it to their monitors, so that a monitor needs no probe where there is
// traffic.
//
// It decides only what is reported and when: package health says what an
// observation means, and the [Report] that a worker passes says where it goes.
package traffic

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/redact"
)

// Report hands observations to an integration's monitor, and starts one if there
// is none.
type Report func(ctx context.Context, organization, integration uuid.UUID, observations []health.Observation) error

// Options are an [Observer]'s. Zero values take the defaults.
type Options struct {
	Fold    time.Duration // how long what changes nothing is gathered; 5 minutes, and up to a fifth more by integration
	Burst   int           // how many changes are reported at once; 6
	Refill  time.Duration // after which one more is; 30 s
	Backlog int           // attempts that wait to be looked at; 8192
}

// WithDefaults returns a copy in which zero values have their defaults.
func (o Options) WithDefaults() Options {
	o.Fold = cmp.Or(o.Fold, 5*time.Minute)
	o.Burst = cmp.Or(o.Burst, 6)
	o.Refill = cmp.Or(o.Refill, 30*time.Second)
	o.Backlog = cmp.Or(o.Backlog, 8192)
	return o
}

// key identifies an integration.
type key struct{ organization, integration uuid.UUID }

// Observer gathers what invocations show of integrations' health.
//
// An attempt costs it a send on a channel, and nothing more where it shows what
// the one before it showed. A change is reported to a monitor at once only when
// the integration's state may change: a first failure after success, a first
// success after failure, throttling, refused credentials. An integration that
// flickers is reported six times, and then every 30 s. All else is folded into
// one report in five minutes, and there is none without traffic.
//
// What was not reported yet is lost with the process. A monitor then probes where
// it need not have, or learns of a change with the next attempt.
type Observer struct {
	options  Options
	report   Report
	log      *slog.Logger
	attempts chan sample
	dropped  atomic.Int64

	mu    sync.Mutex
	known map[key]*history
}

// sample is what an attempt showed.
type sample struct {
	key
	health.Observation
}

// history is what was seen of one integration.
type history struct {
	last      health.Signal        // "" if nothing was, or if a monitor doubts it
	lastAt    time.Time            // of anything
	successAt time.Time            // of a success
	runs      []health.Observation // not reported yet: each is one or more equal outcomes in a row
	due       time.Time            // when to report; zero if there is nothing
	tokens    float64              // changes that may be reported at once
	refilled  time.Time            // when the tokens were last counted
	failures  int                  // in a row
	reporting bool
}

// maxRuns bounds what is reported of an integration that flickers: the oldest are dropped.
const maxRuns = 16

// forgetAfter is how long an integration without traffic is remembered.
const forgetAfter = time.Hour

// NewObserver returns an observer; nothing is reported before [Observer.Run].
func NewObserver(report Report, o Options, log *slog.Logger) *Observer {
	o = o.WithDefaults()
	return &Observer{options: o, report: report, log: log, attempts: make(chan sample, o.Backlog), known: make(map[key]*history)}
}

// Observe takes note of a finished attempt. It never waits: with a full
// backlog the attempt is dropped and counted. An attempt that is followed by
// another shows nothing yet, unless the vendor throttles.
func (o *Observer) Observe(in activities.Invocation, at activities.Attempt) {
	k, signal := key{in.OrganizationID, in.IntegrationID}, health.SignalOf(at.Kind)
	if in.Purpose != "" && signal == health.Success {
		o.noteSuccess(k, at.EndedAt)
	}
	if in.Purpose != "" || signal == health.Nothing || at.Rule == activities.RuleSettled || at.Retryable && signal != health.Throttled {
		return
	}
	select {
	case o.attempts <- sample{k, at.Observation(health.Call)}:
	default:
		o.dropped.Add(1)
	}
}

// noteSuccess notes that the vendor answered a probe or a warm-up of ours.
func (o *Observer) noteSuccess(k key, at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.historyOf(k, at)
	h.lastAt, h.successAt = at, at
}

// historyOf is an integration's history, which begins now if there is none. o.mu must be held.
func (o *Observer) historyOf(k key, now time.Time) *history {
	h := o.known[k]
	if h == nil {
		h = &history{tokens: float64(o.options.Burst), refilled: now}
		o.known[k] = h
	}
	return h
}

// Dropped is how many attempts were not looked at because the backlog was full.
func (o *Observer) Dropped() int64 { return o.dropped.Load() }

// LastSuccess is when an integration's last attempt was seen that succeeded;
// zero if none was within the last hour.
func (o *Observer) LastSuccess(organization, integration uuid.UUID) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if h := o.known[key{organization, integration}]; h != nil {
		return h.successAt
	}
	return time.Time{}
}

// Doubt makes the next outcome of an integration news: its monitor does not
// take it for healthy, perhaps because of what another worker saw.
func (o *Observer) Doubt(organization, integration uuid.UUID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if h := o.known[key{organization, integration}]; h != nil && h.last == health.Success {
		h.last = ""
	}
}

// reporters is how many reports are under way at once.
const reporters = 8

// Run looks at attempts and reports to monitors, until ctx ends. Then it reports what
// is left; with Temporal away it gives up within five seconds.
func (o *Observer) Run(ctx context.Context) {
	work := make(chan key, reporters)
	var wg sync.WaitGroup
	for range reporters {
		wg.Go(func() {
			for k := range work {
				o.reportOne(context.WithoutCancel(ctx), k)
			}
		})
	}
	defer wg.Wait()
	defer close(work)
	tick := time.NewTicker(min(time.Second, o.options.Fold/10, o.options.Refill/4))
	defer tick.Stop()
	for {
		select {
		case s := <-o.attempts:
			if o.note(s, time.Now()) {
				offer(work, s.key)
			}
		case now := <-tick.C:
			for _, k := range o.dueAt(now) {
				if !offer(work, k) {
					break // all reporters are busy; the next tick offers the rest
				}
			}
		case <-ctx.Done():
			o.drain(work)
			return
		}
	}
}

// offer gives a key to a reporter, if one is free.
func offer(work chan<- key, k key) bool {
	select {
	case work <- k:
		return true
	default:
		return false
	}
}

// drain reports what is left.
func (o *Observer) drain(work chan<- key) {
	for {
		select {
		case s := <-o.attempts:
			o.note(s, time.Now())
			continue
		default:
		}
		break
	}
	enough := time.After(2 * time.Second)
	for _, k := range o.dueAt(time.Now().Add(2 * o.options.Fold)) {
		select {
		case work <- k:
		case <-enough:
			return
		}
	}
}

// note adds an observation and says whether it is to be reported now.
func (o *Observer) note(s sample, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	h, signal := o.historyOf(s.key, now), s.Signal()
	if h.lastAt = now; signal == health.Success {
		h.successAt = now
	}
	h.add(s.Observation)
	if h.failures++; signal != health.Failure {
		h.failures = 0
	}
	// Each failure is news until so many in a row mean that the vendor is away.
	news := (signal != h.last || signal == health.Failure && h.failures <= health.UnreachableAfter) && !(signal == health.Answer && h.last == health.Success)
	if signal != health.Answer || h.last != health.Success {
		h.last = signal
	}
	if !news {
		if h.due.IsZero() {
			h.due = now.Add(o.options.Fold + health.Phase(s.integration.String(), o.options.Fold/5))
		}
		return false
	}
	h.tokens = min(float64(o.options.Burst), h.tokens+float64(now.Sub(h.refilled))/float64(o.options.Refill))
	h.refilled = now
	if h.tokens < 1 {
		if wait := now.Add(o.options.Refill); h.due.IsZero() || wait.Before(h.due) {
			h.due = wait
		}
		return false
	}
	h.tokens--
	h.due = now // also if no reporter is free
	return true
}

// add appends an observation, or counts it with the last run if it is equal to it.
func (h *history) add(seen health.Observation) {
	if n := len(h.runs); n > 0 && h.runs[n-1].Kind == seen.Kind {
		last := &h.runs[n-1]
		last.At, last.Latency, last.Count = seen.At, seen.Latency, last.Count+seen.Count
		return
	}
	if len(h.runs) == maxRuns {
		h.runs = append(h.runs[:0], h.runs[1:]...)
	}
	h.runs = append(h.runs, seen)
}

// dueAt returns the integrations of which to report, and forgets old ones.
func (o *Observer) dueAt(now time.Time) (due []key) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for k, h := range o.known {
		switch {
		case h.reporting:
		case !h.due.IsZero() && !h.due.After(now):
			due = append(due, k)
		case h.due.IsZero() && now.Sub(h.lastAt) > forgetAfter:
			delete(o.known, k)
		}
	}
	return due
}

// reportOne reports what there is of one integration. What could not be reported is
// kept, before what came meanwhile.
func (o *Observer) reportOne(ctx context.Context, k key) {
	o.mu.Lock()
	h := o.known[k]
	if h == nil || h.reporting || len(h.runs) == 0 {
		o.mu.Unlock()
		return
	}
	runs := h.runs
	h.runs, h.due, h.reporting = nil, time.Time{}, true
	o.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	err := o.report(ctx, k.organization, k.integration, runs)

	o.mu.Lock()
	defer o.mu.Unlock()
	h.reporting = false
	if err == nil {
		return
	}
	o.log.Warn("what an integration's traffic shows could not be reported to its monitor; it is tried again",
		"organization_id", k.organization, "integration_id", k.integration, "error", redact.Text(err.Error()))
	newer := h.runs
	h.runs = runs
	for _, r := range newer {
		h.add(r)
	}
	h.due = time.Now().Add(o.options.Refill)
}
