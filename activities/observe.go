package activities

import (
	"context"
	"hash/fnv"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/health"
)

// Tell hands observations to an integration's monitor, and starts one if there
// is none.
type Tell func(ctx context.Context, organization, integration uuid.UUID, seen []health.Observation) error

// ObserverOptions are an [Observer]'s. Zero values take the defaults.
type ObserverOptions struct {
	Fold    time.Duration // how long what changes nothing is gathered; 5 minutes, and up to a fifth more by integration
	Burst   int           // how many changes are told at once; 6
	Refill  time.Duration // after which one more is; 30 s
	Backlog int           // attempts that wait to be looked at; 8192
}

func (o ObserverOptions) withDefaults() ObserverOptions {
	if o.Fold == 0 {
		o.Fold = 5 * time.Minute
	}
	if o.Burst == 0 {
		o.Burst = 6
	}
	if o.Refill == 0 {
		o.Refill = 30 * time.Second
	}
	if o.Backlog == 0 {
		o.Backlog = 8192
	}
	return o
}

// Observer gathers what invocations show of integrations' health, so that a
// monitor needs no probe where there is traffic.
//
// An attempt costs it a send on a channel, and nothing more where it shows what
// the one before it showed. A monitor is told at once only when its
// integration's state may change: a first failure after success, a first
// success after failure, throttling, refused credentials. An integration that
// flickers is told of six times, and then every 30 s. All else is folded into
// one message in five minutes, and none without traffic.
//
// What was not told yet is lost with the process. A monitor then probes where
// it need not have, or hears of a change with the next attempt.
type Observer struct {
	options ObserverOptions
	tell    Tell
	log     *slog.Logger
	in      chan seen
	dropped atomic.Int64

	mu    sync.Mutex
	known map[key]*traffic
}

type seen struct {
	key
	health.Observation
}

// traffic is what was seen of one integration.
type traffic struct {
	last    health.Signal        // "" if nothing was, or if a monitor doubts it
	lastAt  time.Time            // of anything
	goodAt  time.Time            // of a success
	runs    []health.Observation // not told yet: each one or more like outcomes in a row
	due     time.Time            // when to tell; zero if there is nothing
	tokens  float64              // changes that may be told at once
	refill  time.Time
	row     int // failures in a row
	telling bool
}

// maxRuns bounds what is told of an integration that flickers: the oldest go.
const maxRuns = 16

// forgetAfter is how long an integration without traffic is remembered.
const forgetAfter = time.Hour

// NewObserver returns an observer; nothing is told before [Observer.Run].
func NewObserver(tell Tell, o ObserverOptions, log *slog.Logger) *Observer {
	o = o.withDefaults()
	return &Observer{options: o, tell: tell, log: log, in: make(chan seen, o.Backlog), known: make(map[key]*traffic)}
}

// Observe takes note of a finished attempt. It never waits: with a full
// backlog the attempt is dropped and counted. An attempt that is followed by
// another shows nothing yet, unless the vendor throttles.
func (o *Observer) Observe(in Invocation, done Attempt) {
	signal := health.SignalOf(done.Kind)
	if in.Purpose != "" && signal == health.Success {
		o.warm(key{in.OrganizationID, in.IntegrationID}, done.EndedAt)
	}
	if in.Purpose != "" || signal == health.Nothing || done.Rule == RuleSettled || done.Retryable && signal != health.Throttled {
		return
	}
	select {
	case o.in <- seen{key{in.OrganizationID, in.IntegrationID}, done.observation(health.Call)}:
	default:
		o.dropped.Add(1)
	}
}

// warm notes that the vendor answered a probe or a warm-up of ours.
func (o *Observer) warm(k key, at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.known[k]
	if t == nil {
		t = &traffic{tokens: float64(o.options.Burst), refill: at}
		o.known[k] = t
	}
	t.lastAt, t.goodAt = at, at
}

// Dropped is how many attempts were not looked at for want of room.
func (o *Observer) Dropped() int64 { return o.dropped.Load() }

// LastSuccess is when an integration's last attempt was seen that succeeded;
// zero if none was within the last hour.
func (o *Observer) LastSuccess(organization, integration uuid.UUID) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t := o.known[key{organization, integration}]; t != nil {
		return t.goodAt
	}
	return time.Time{}
}

// Doubt makes the next outcome of an integration news: its monitor does not
// take it for healthy, perhaps because of what another worker saw.
func (o *Observer) Doubt(organization, integration uuid.UUID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t := o.known[key{organization, integration}]; t != nil && t.last == health.Success {
		t.last = ""
	}
}

// tellers is how many messages are under way at once.
const tellers = 8

// Run looks at attempts and tells monitors, until ctx ends. Then it tells what
// is left; with Temporal away it gives up within five seconds.
func (o *Observer) Run(ctx context.Context) {
	work := make(chan key, tellers)
	var wg sync.WaitGroup
	for range tellers {
		wg.Go(func() {
			for k := range work {
				o.tellOne(context.WithoutCancel(ctx), k)
			}
		})
	}
	defer wg.Wait()
	defer close(work)
	tick := time.NewTicker(min(time.Second, o.options.Fold/10, o.options.Refill/4))
	defer tick.Stop()
	for {
		select {
		case s := <-o.in:
			if o.note(s, time.Now()) {
				o.send(work, s.key)
			}
		case now := <-tick.C:
			for _, k := range o.dueAt(now) {
				if !o.send(work, k) {
					break // the tellers are busy; the next tick goes on
				}
			}
		case <-ctx.Done():
			o.finish(work)
			return
		}
	}
}

// send gives a key to a teller, if one is free.
func (o *Observer) send(work chan<- key, k key) bool {
	select {
	case work <- k:
		return true
	default:
		return false
	}
}

// finish tells what is left.
func (o *Observer) finish(work chan<- key) {
	for {
		select {
		case s := <-o.in:
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

// note adds an observation and reports whether it is to be told now.
func (o *Observer) note(s seen, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.known[s.key]
	if t == nil {
		t = &traffic{tokens: float64(o.options.Burst), refill: now}
		o.known[s.key] = t
	}
	signal := s.Signal()
	if t.lastAt = now; signal == health.Success {
		t.goodAt = now
	}
	t.add(s.Observation)
	if t.row++; signal != health.Failure {
		t.row = 0
	}
	// Each failure is news until so many in a row mean that the vendor is away.
	news := (signal != t.last || signal == health.Failure && t.row <= health.UnreachableAfter) && !(signal == health.Answer && t.last == health.Success)
	if signal != health.Answer || t.last != health.Success {
		t.last = signal
	}
	if !news {
		if t.due.IsZero() {
			t.due = now.Add(o.options.Fold + jitter(s.integration, o.options.Fold/5))
		}
		return false
	}
	t.tokens = min(float64(o.options.Burst), t.tokens+float64(now.Sub(t.refill))/float64(o.options.Refill))
	t.refill = now
	if t.tokens < 1 {
		if wait := now.Add(o.options.Refill); t.due.IsZero() || wait.Before(t.due) {
			t.due = wait
		}
		return false
	}
	t.tokens--
	t.due = now // also if no teller is free
	return true
}

// add appends to the last run what is like it.
func (t *traffic) add(seen health.Observation) {
	if n := len(t.runs); n > 0 && t.runs[n-1].Kind == seen.Kind {
		last := &t.runs[n-1]
		last.At, last.Latency, last.Count = seen.At, seen.Latency, last.Count+seen.Count
		return
	}
	if len(t.runs) == maxRuns {
		t.runs = append(t.runs[:0], t.runs[1:]...)
	}
	t.runs = append(t.runs, seen)
}

// jitter is a share of most, the same for an integration at all times.
func jitter(integration uuid.UUID, most time.Duration) time.Duration {
	h := fnv.New32a()
	h.Write(integration[:])
	return most * time.Duration(h.Sum32()%1000) / 1000
}

// dueAt returns the integrations of which to tell, and forgets old ones.
func (o *Observer) dueAt(now time.Time) (due []key) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for k, t := range o.known {
		switch {
		case t.telling:
		case !t.due.IsZero() && !t.due.After(now):
			due = append(due, k)
		case t.due.IsZero() && now.Sub(t.lastAt) > forgetAfter:
			delete(o.known, k)
		}
	}
	return due
}

// tellOne tells what there is of one integration. What could not be told is
// kept, before what came meanwhile.
func (o *Observer) tellOne(ctx context.Context, k key) {
	o.mu.Lock()
	t := o.known[k]
	if t == nil || t.telling || len(t.runs) == 0 {
		o.mu.Unlock()
		return
	}
	runs := t.runs
	t.runs, t.due, t.telling = nil, time.Time{}, true
	o.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	err := o.tell(ctx, k.organization, k.integration, runs)

	o.mu.Lock()
	defer o.mu.Unlock()
	t.telling = false
	if err == nil {
		return
	}
	o.log.Warn("a monitor could not be told what its integration's traffic shows; it is tried again",
		"organization_id", k.organization, "integration_id", k.integration, "error", cut(err.Error()))
	newer := t.runs
	t.runs = runs
	for _, r := range newer {
		t.add(r)
	}
	t.due = time.Now().Add(o.options.Refill)
}

// NoteTraffic records that an integration's host was reached, if what was seen
// of it shows that. It is for whoever makes a [Tell].
func (a *Activities) NoteTraffic(ctx context.Context, organization, integration uuid.UUID, runs []health.Observation) {
	var at time.Time
	for _, r := range runs {
		if s := r.Signal(); (s == health.Success || s == health.Answer) && r.At.After(at) {
			at = r.At
		}
	}
	if at.IsZero() {
		return
	}
	spec, err := a.Resolve(ctx, organization, integration)
	if err == nil {
		err = a.Health.SawHost(ctx, hostOf(spec.BaseURL), at)
	}
	if err != nil {
		a.Log.Debug("a vendor's host could not be noted as reached", "error", cut(err.Error()))
	}
}
