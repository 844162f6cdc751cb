package model

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// request is one that reached a vendor, by the monitor's own reckoning.
type request struct {
	sandbox.LogEntry // as it came
	task             *task
	fault            *fault
	bound            time.Time // the earliest time after which nobody may hold it against the sender that it takes effect
	proves           proof     // its answer; "" while there is none, or nobody heard it
	answered         time.Time
	recorded         bool // what its answer proves is in the database
	believed         bool // it asked, and got an answer that can be believed
}

// closedAt is when a request can take effect no more, as far as its sender can
// know.
func (r *request) closedAt() time.Time {
	if r.recorded && r.proves != open && r.proves != "" {
		return r.answered
	}
	return r.bound
}

// serve is the way to the vendors. What is sent by somebody whose time is up, or
// who is lost, has not left.
func (p *parts) serve(rw http.ResponseWriter, r *http.Request) {
	w := p.world.Load()
	t := w.running.Load()
	if t == nil || !t.heard() {
		panic(http.ErrAbortHandler)
	}
	t.requests.Add(1)
	defer t.requests.Done()
	w.vendor.ServeHTTP(rw, r)
}

// observe is the send monitor: no request that carries a key comes while an
// earlier one with that key is open, nor before the vendor was asked whether that
// one was done, unless its answer proved that it was not.
func (w *world) observe(e sandbox.LogEntry) {
	t := w.running.Load()
	r := &request{LogEntry: e, task: t}
	w.mu.Lock()
	r.fault = w.scripted[e.Rule]
	w.requests[e.Seq] = r
	if len(e.Keys) > 0 {
		elapsed := time.Since(t.real)
		if elapsed > policy.AttemptTimeout/3 {
			w.slow = true // the machine is: what is drawn to be late may be too late
		}
		t.mu.Lock()
		r.bound = t.marked.Add(policy.AttemptTimeout - time.Second - elapsed + w.inFlight(t))
		if e.At.Sub(t.marked) > holdFor+time.Second {
			w.violate("a request of %s left %v after its entries were marked", t.run, e.At.Sub(t.marked))
		}
		t.sent = append(t.sent, r)
		t.mu.Unlock()
	}
	for _, key := range e.Keys {
		for _, before := range w.sends[key] {
			w.checkSend(key, before, r)
		}
		w.sends[key] = append(w.sends[key], r)
	}
	for _, key := range e.LookupKeys {
		w.asked[key] = append(w.asked[key], r)
	}
	w.mu.Unlock()
	t.point(arrived)
}

// checkSend compares a request with an earlier one of the same key.
func (w *world) checkSend(key string, before, r *request) {
	if r.task.repeats || before.proves == nothing && (before.recorded || before.task == r.task) {
		return
	}
	closed := before.closedAt()
	if e := r.At; e.Before(closed) {
		w.violate("key %s is sent as request %d at %s by %s, attempt %d, while request %d of %s, attempt %d, is open until %s: %s", key, r.Seq, clockOf(e), r.task.run, r.task.attempt, before.Seq, before.task.run, before.task.attempt, clockOf(closed), w.story(key))
		return
	}
	for _, ask := range w.asked[key] {
		if ask.believed && !ask.At.Before(closed) && ask.Seq > before.Seq {
			return
		}
	}
	w.violate("key %s is sent, and nobody asked after request %d: %s", key, before.Seq, w.story(key))
}

// answered notes what an answer proves to whoever hears it.
func (w *world) answered(e sandbox.LogEntry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.requests[e.Seq]
	if r == nil || !r.task.heard() {
		return
	}
	r.believed = len(e.LookupKeys) > 0 && e.Status == http.StatusOK && (r.fault == nil || r.fault.rules[0].Lookup != "" || r.fault.rules[0].Stale)
	r.answered, r.proves = w.clock.Now(), honest(e)
	if r.fault == nil || len(e.Keys) == 0 {
		return
	}
	rule := r.fault.rules[0]
	if e.Status == http.StatusUnauthorized && e.Credential == "bad" || rule.Rewrite != nil && e.Effects == 0 {
		return // the vendor's own refusal: a token may have expired
	}
	r.proves = r.fault.proves
}

// honest is what an answer proves that is the sandbox's own.
func honest(e sandbox.LogEntry) proof {
	switch {
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusTooManyRequests:
		return nothing
	case e.Vendor == "dataverse" && e.Status >= 400 && strings.HasPrefix(e.Answer, "--"):
		return nothing // a change set that is refused is undone
	case e.Effects > 0:
		return done
	}
	return ended
}

// committed notes that a task's transaction is.
func (w *world) committed(t *task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marked = w.clock.Now()
	for _, r := range t.sent {
		r.recorded = r.proves != ""
	}
	t.sent = nil
}

// orders is what an export was like before a transaction of a run that does not
// own it: it may record facts and give no orders.
type orders struct {
	t      *task
	export uuid.UUID
	before map[entry]entryRow
}

// ordersOf is nil for a run that owns its export, or has none yet.
func (w *world) ordersOf(t *task) *orders {
	id := t.export
	if id == uuid.Nil || t.name == "ClaimExport" {
		return nil
	}
	var owner uuid.UUID
	var pending bool
	err := w.database.Admin.QueryRow(context.Background(), `SELECT run_id, status = 'pending' FROM ledgerline.bufdir_export_audit_log WHERE export_id = $1`, id).Scan(&owner, &pending)
	if err == pgx.ErrNoRows || err == nil && owner == t.run && pending {
		return nil
	}
	return &orders{t, id, w.read()}
}

// check looks for orders.
func (o *orders) check() {
	if o == nil {
		return
	}
	w := o.t.w
	for k, is := range w.read() {
		was := o.before[k]
		own := was.SentIn == o.t.correlation && was.SentAttempt == int(o.t.attempt)
		switch {
		case is == was:
			continue
		case is.State == "exported" && is.Export == was.Export && is.Chunk == was.Chunk: // a fact
			continue
		}
		facts := was
		facts.PartlyExported = is.PartlyExported
		if own {
			facts.Ended = is.Ended
			if is.State == "planned" && was.State == "sent" {
				facts.State, facts.Effect = is.State, is.Effect
			}
		}
		if is != facts {
			w.mu.Lock()
			w.violate("%s of run %s, which does not own export %s, changed %s from %+v to %+v", o.t.name, o.t.run, o.export, k.id, was, is)
			w.mu.Unlock()
		}
	}
}

// violate notes what must not be. The world's mutex is held.
func (w *world) violate(format string, args ...any) {
	w.violations = append(w.violations, fmt.Sprintf(format, args...))
}

// mayBeUnknown notes that of these entries, and of what was sent with them, only a
// person may be able to tell what became of them. The world's mutex is held.
func (w *world) mayBeUnknown(keys ...string) {
	for _, key := range keys {
		w.unknowable[key] = true
		for _, r := range w.sends[key] {
			for _, other := range r.Keys {
				w.unknowable[other] = true
			}
		}
	}
}

func last[T any](all []T, n int) []T { return all[max(0, len(all)-n):] }

// story is what was sent and asked of a key of late.
func (w *world) story(key string) string {
	var lines []string
	add := func(what string, r *request) {
		name := "no fault"
		if r.fault != nil {
			name = r.fault.name
		}
		lines = append(lines, fmt.Sprintf("%d %s at %s by %s (%s), proves %q to it at %s, recorded %v", r.Seq, what, clockOf(r.At), r.task.run, name, r.proves, clockOf(r.answered), r.recorded))
	}
	for _, r := range last(w.sends[key], 6) {
		add("sent", r)
	}
	for _, r := range last(w.asked[key], 6) {
		add("asked", r)
	}
	return strings.Join(lines, "; ")
}

func clockOf(t time.Time) string { return t.UTC().Format("15:04:05.000") }
