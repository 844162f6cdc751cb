package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"syscall"
	"time"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/internal/answers"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// Lanes of faults. Those of a lane never overlap, so that a fault which waits
// for its moment finds its servers up.
const (
	vendorLane = "vendor" // what the vendor does, to one chunk
	wireLane   = "wire"   // what happens on the way to the vendor
	groundLane = "ground" // to workers, PostgreSQL and Temporal
	peopleLane = "people" // what people do at the vendor
)

// fault is one kind of fault. A vendor's is a list of rules, another one acts.
// act starts the round's run and reports whether the fault has met it.
type fault struct {
	name  string
	lane  string
	only  func(v vendor) bool // the vendors at which there is such a fault; all if nil
	whole bool                // its rounds have no voucher that the vendor refuses or that ends the run, so that the chunk is stored before it is doubted
	rules func(v vendor, key string) []sandbox.Rule
	act   func(ctx context.Context, s *soak, r *round) (bool, error)
}

// times makes rules for the chunk with a key: of sending it, and of looking it up.
func times(n int, rule sandbox.Rule) func(vendor, string) []sandbox.Rule {
	rule.Times = n
	return send(rule)
}

// much makes a rule for the chunk with a key, as long as it has five entries or more.
func much(rule sandbox.Rule) func(vendor, string) []sandbox.Rule {
	return func(v vendor, key string) []sandbox.Rule {
		m := find(v.send, key)
		m.Keys = 5
		return match(m, rule)
	}
}

func send(rules ...sandbox.Rule) func(vendor, string) []sandbox.Rule {
	return func(v vendor, key string) []sandbox.Rule { return match(find(v.send, key), rules...) }
}

// thenLook has a chunk fail after its effect and then the look-up of it.
func thenLook(look func(vendor) sandbox.Rule) func(vendor, string) []sandbox.Rule {
	return func(v vendor, key string) []sandbox.Rule {
		return append(match(find(v.send, key), sandbox.Rule{Times: 1, Reset: sandbox.AfterEffect}), match(find(v.look, key), look(v))...)
	}
}

func match(m sandbox.Match, rules ...sandbox.Rule) (out []sandbox.Rule) {
	for _, r := range rules {
		r.Match = m
		out = append(out, r)
	}
	return out
}

func always(r sandbox.Rule) func(vendor) sandbox.Rule { return func(vendor) sandbox.Rule { return r } }

// unauthorized is a refusal of the credential that ends an attempt.
func unauthorized(v vendor) sandbox.Rule { return sandbox.Rule{Times: v.unauthorized, Status: 401} }

// echo is an answer in which the vendor repeats the credential.
func echo(v vendor) sandbox.Rule {
	return sandbox.Rule{Times: 1, Status: 500, Headers: map[string]string{"Content-Type": "text/plain"},
		Body: "could not handle Authorization: token " + v.secret + " (token=" + v.secret + ")"}
}

// Vendors at which there is a fault.
var (
	whereTokens  = func(v vendor) bool { return v.tokens }
	whereLate    = func(v vendor) bool { return v.late }
	whereJournal = func(v vendor) bool { return v.journal } // where a request can be done in part, too
)

// What a vendor does beside an answer of the table.
const (
	noEffect = "none"
	allDone  = "all"
	doneLate = "late" // within what is in flight
	partDone = "part"
)

// tabled draws an answer from the table of the matrix, by the chunk's key: one
// that can go with the effect.
func tabled(effect string) func(vendor, string) []sandbox.Rule {
	return func(v vendor, key string) []sandbox.Rule {
		var all []sandbox.Rule
		for _, a := range answers.Of(v.adapter) {
			r := a.Rule
			own := r.Status == 0 && !a.Hangs // the vendor's own answer, changed or cut
			switch {
			case effect == noEffect && own, effect == partDone && own,
				effect != noEffect && a.Proof == answers.NothingDone,
				effect == doneLate && a.Proof != answers.NoProof:
				continue
			case effect == allDone && !a.Hangs:
				r.Act = true
			case effect == allDone, effect == doneLate:
				r.EffectDelayMS = 2500
			case effect == partDone:
				r.ActFirst = 1
			}
			r.Times = 1
			all = append(all, r)
		}
		h := fnv.New32a()
		h.Write([]byte(effect + key))
		return match(find(v.send, key), all[int(h.Sum32())%len(all)])
	}
}

// faults are all kinds. An attempt is given up by its worker after 1.425 s and
// by Temporal after 1.5 s, four attempts are an invocation, and what outlasts it
// defers the run.
var faults = []fault{
	{name: "vendor/reset-before", lane: vendorLane, rules: times(2, sandbox.Rule{Reset: sandbox.BeforeEffect})},
	{name: "vendor/reset-after", lane: vendorLane, rules: times(1, sandbox.Rule{Reset: sandbox.AfterEffect})},
	{name: "vendor/drop-before", lane: vendorLane, rules: times(1, sandbox.Rule{Drop: sandbox.BeforeEffect})},
	{name: "vendor/drop-after", lane: vendorLane, rules: times(1, sandbox.Rule{Drop: sandbox.AfterEffect})},
	{name: "vendor/timeout-before", lane: vendorLane, rules: times(1, sandbox.Rule{Hang: true})},
	{name: "vendor/timeout-after", lane: vendorLane, rules: times(1, sandbox.Rule{DripMS: 200})},
	{name: "vendor/acts-when-given-up", lane: vendorLane, rules: times(1, sandbox.Rule{DelayMS: 1440})},
	{name: "vendor/acts-after-the-connection", lane: vendorLane, rules: times(1, sandbox.Rule{Drop: sandbox.AfterEffect, EffectDelayMS: 2500})},
	{name: "vendor/acts-after-the-deadline", lane: vendorLane, rules: times(1, sandbox.Rule{Hang: true, EffectDelayMS: 3500})},
	{name: "vendor/acts-after-502", lane: vendorLane, rules: times(1, sandbox.Rule{Status: 502, EffectDelayMS: 2500})},
	{name: "vendor/acts-and-answers-503", lane: vendorLane, rules: times(1, sandbox.Rule{Status: 503, Act: true})},
	{name: "vendor/acts-and-answers-500", lane: vendorLane, rules: times(1, sandbox.Rule{Status: 500, Act: true})},
	{name: "vendor/acts-and-refuses", lane: vendorLane, whole: true, rules: func(v vendor, key string) []sandbox.Rule {
		r := v.refusal
		r.Times, r.Act = 1, true
		return match(find(v.send, key), r)
	}},
	{name: "vendor/too-large", lane: vendorLane, rules: much(sandbox.Rule{Times: 2, Status: 413})},
	{name: "vendor/gives-up-on-much", lane: vendorLane, rules: much(sandbox.Rule{Times: 1, Status: 504})},
	{name: "vendor/acts-and-gives-up-on-much", lane: vendorLane, rules: much(sandbox.Rule{Times: 1, Status: 504, Act: true})},
	{name: "vendor/slow", lane: vendorLane, rules: times(1, sandbox.Rule{DelayMS: 900})},
	{name: "vendor/answer-cut", lane: vendorLane, rules: times(1, sandbox.Rule{TruncateAt: 20})},
	{name: "vendor/not-json", lane: vendorLane, rules: times(1, sandbox.Rule{Status: 200, Body: "<html>maintenance</html>", Headers: map[string]string{"Content-Type": "text/html"}})},
	{name: "vendor/throttled-by-code", lane: vendorLane, rules: func(v vendor, key string) []sandbox.Rule { return match(find(v.send, key), v.throttled...) }},
	{name: "vendor/throttled-429", lane: vendorLane, rules: times(5, sandbox.Rule{Status: 429, Headers: map[string]string{"Retry-After": "1"}})},
	{name: "vendor/outage-503", lane: vendorLane, rules: times(6, sandbox.Rule{Status: 503})},
	{name: "vendor/refused-401", lane: vendorLane, rules: func(v vendor, key string) []sandbox.Rule { return match(find(v.send, key), unauthorized(v)) }},
	{name: "vendor/repeats-credential", lane: vendorLane, rules: func(v vendor, key string) []sandbox.Rule { return match(find(v.send, key), echo(v)) }},
	{name: "vendor/look-up-503", lane: vendorLane, whole: true, rules: thenLook(always(sandbox.Rule{Times: 2, Status: 503}))},
	{name: "vendor/look-up-outage", lane: vendorLane, whole: true, rules: thenLook(always(sandbox.Rule{Times: 5, Status: 503}))},
	{name: "vendor/look-up-401", lane: vendorLane, whole: true, rules: thenLook(unauthorized)},
	{name: "vendor/look-up-refused", lane: vendorLane, whole: true, rules: thenLook(func(v vendor) sandbox.Rule { r := v.refusal; r.Times = 1; return r })},
	{name: "vendor/late-faults-outage", lane: vendorLane, only: whereLate, rules: lateFaults(sandbox.Rule{Times: 5, Status: 503})},
	{name: "vendor/late-faults-unheard", lane: vendorLane, only: whereLate, rules: lateFaults(sandbox.Rule{Times: 1, Hang: true}, sandbox.Rule{Times: 1, TruncateAt: 20})},

	{name: "table/none-1", lane: vendorLane, rules: tabled(noEffect)},
	{name: "table/none-2", lane: vendorLane, rules: tabled(noEffect)},
	{name: "table/all-1", lane: vendorLane, whole: true, rules: tabled(allDone)},
	{name: "table/all-2", lane: vendorLane, whole: true, rules: tabled(allDone)},
	{name: "table/late-1", lane: vendorLane, whole: true, rules: tabled(doneLate)},
	{name: "table/late-2", lane: vendorLane, whole: true, rules: tabled(doneLate)},
	{name: "table/part", lane: vendorLane, only: whereJournal, rules: tabled(partDone)},

	{name: "people/post", lane: peopleLane, only: whereJournal, whole: true, act: posted},
	{name: "people/delete", lane: peopleLane, whole: true, act: deleted},

	{name: "token/revoked", lane: wireLane, only: whereTokens, act: tokens()},
	{name: "token/outage-503", lane: wireLane, only: whereTokens, act: tokens(sandbox.Rule{Times: 4, Status: 503})},
	{name: "token/throttled-429", lane: wireLane, only: whereTokens, act: tokens(sandbox.Rule{Times: 2, Status: 429, Headers: map[string]string{"Retry-After": "1"}, Body: "Too many requests"})},
	{name: "token/unheard", lane: wireLane, only: whereTokens, act: tokens(sandbox.Rule{Times: 1, Hang: true}, sandbox.Rule{Times: 1, TruncateAt: 20})},
	{name: "token/refused", lane: wireLane, only: whereTokens, act: tokens(sandbox.Rule{Times: 1, Status: 401, Body: `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}`})},

	{name: "wire/reset-before", lane: wireLane, act: spoiled("vendor", time.Second, toxic{"reset_peer", "upstream", `{"timeout":0}`})},
	{name: "wire/reset-after", lane: wireLane, act: spoiled("vendor", time.Second, toxic{"reset_peer", "downstream", `{"timeout":0}`})},
	{name: "wire/black-hole", lane: wireLane, act: spoiled("vendor", 2*time.Second, toxic{"timeout", "upstream", `{"timeout":0}`})},
	{name: "wire/closed-unheard", lane: wireLane, act: spoiled("vendor", time.Second, toxic{"timeout", "upstream", `{"timeout":300}`})},
	{name: "wire/answers-late", lane: wireLane, act: spoiled("vendor", 2*time.Second, toxic{"latency", "downstream", `{"latency":2500}`})},
	{name: "wire/answers-cut", lane: wireLane, act: spoiled("vendor", time.Second, toxic{"limit_data", "downstream", `{"bytes":150}`})},
	{name: "wire/answers-in-slices", lane: wireLane, act: spoiled("vendor", time.Second, toxic{"slicer", "downstream", `{"average_size":40,"size_variation":20,"delay":500}`},
		toxic{"latency", "downstream", `{"latency":100,"jitter":80}`})},

	{name: "worker/killed-before", lane: groundLane, act: struck(sandbox.Rule{Hang: true}, kill)},
	{name: "worker/killed-during", lane: groundLane, act: struck(sandbox.Rule{DelayMS: 1200}, kill)},
	{name: "worker/killed-after", lane: groundLane, act: struck(sandbox.Rule{DripMS: 50}, kill)},
	{name: "worker/killed-unrecorded", lane: groundLane, act: struck(sandbox.Rule{DelayMS: 400}, killUnrecorded)},
	{name: "worker/killed-any-time", lane: groundLane, act: anyTime(func(_ context.Context, s *soak, p *devstack.Process) error { return s.fleet.signal(p, syscall.SIGKILL) })},
	{name: "worker/all-killed", lane: groundLane, act: struck(sandbox.Rule{DripMS: 50}, killAll)},
	{name: "worker/stopped-in-order", lane: groundLane, act: struck(sandbox.Rule{DelayMS: 300}, func(_ context.Context, s *soak, _ *round, p *devstack.Process) error {
		return s.fleet.signal(p, syscall.SIGTERM)
	})},
	{name: "worker/paused-during", lane: groundLane, act: struck(sandbox.Rule{DelayMS: 300}, func(ctx context.Context, s *soak, _ *round, p *devstack.Process) error { return paused(ctx, s, p) })},
	{name: "worker/paused-any-time", lane: groundLane, act: anyTime(paused)},
	{name: "worker/cannot-report", lane: groundLane, act: struck(sandbox.Rule{DelayMS: 200}, unreported)},
	{name: "run/terminated", lane: groundLane, act: struck(sandbox.Rule{DelayMS: 800}, terminate)},
	{name: "run/reset", lane: groundLane, act: struck(sandbox.Rule{DelayMS: 800}, resetRun)},
	{name: "run/taken-over-twice", lane: groundLane, act: struck(sandbox.Rule{DelayMS: 800}, takenOverTwice)},
	{name: "run/cancelled", lane: groundLane, act: struck(sandbox.Rule{DripMS: 30}, cancelRun)},
	{name: "run/cancelled-between", lane: groundLane, act: cancelBetween},
	{name: "run/cancelled-while-deferred", lane: groundLane, act: after(policy.MaxAttempts(), 250*time.Millisecond, cancelRun)},
	{name: "postgres/crash", lane: groundLane, act: crashPostgres},
	{name: "postgres/cut-after-commit", lane: groundLane, act: spoiled("postgres", 500*time.Millisecond, toxic{"cut_after_commit", "downstream", "{}"})},
	{name: "postgres/black-hole", lane: groundLane, act: spoiled("postgres", 2*time.Second, deaf...)},
	{name: "postgres/reset", lane: groundLane, act: spoiled("postgres", 500*time.Millisecond, toxic{"reset_peer", "downstream", `{"timeout":0}`})},
	{name: "postgres/answers-cut", lane: groundLane, act: spoiled("postgres", 500*time.Millisecond, toxic{"limit_data", "downstream", `{"bytes":900}`})},
	{name: "postgres/slow", lane: groundLane, act: spoiled("postgres", time.Second, toxic{"latency", "downstream", `{"latency":150,"jitter":100}`},
		toxic{"slicer", "upstream", `{"average_size":64,"size_variation":32,"delay":200}`})},
	{name: "temporal/crash", lane: groundLane, act: crashTemporal},
	{name: "temporal/black-hole", lane: groundLane, act: spoiled("temporal", 2*time.Second, deaf...)},
	{name: "temporal/reset", lane: groundLane, act: spoiled("temporal", 500*time.Millisecond, toxic{"reset_peer", "downstream", `{"timeout":0}`})},
	{name: "temporal/slow", lane: groundLane, act: spoiled("temporal", time.Second, toxic{"latency", "downstream", `{"latency":200,"jitter":100}`})},
}

// patience is how long a fault waits for its moment: for a run to come to it that
// has lost several workers to the faults before, each missed after 20 s.
const patience = 90 * time.Second

// deaf lets nothing through, and says nothing.
var deaf = []toxic{{"timeout", "upstream", `{"timeout":0}`}, {"timeout", "downstream", `{"timeout":0}`}}

// spoiled begins the round's run on a spoiled wire, which stays so at least for
// a time and until something has met it.
func spoiled(name string, atLeast time.Duration, list ...toxic) func(context.Context, *soak, *round) (bool, error) {
	return func(ctx context.Context, s *soak, r *round) (bool, error) {
		var begun error
		n, err := s.wires[name].spoil(list, func(met func() int64) {
			if begun = s.begin(ctx, r); begun != nil {
				return
			}
			pause(ctx, atLeast)
			soon, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			until(soon, 20*time.Millisecond, func() bool { return met() > 0 })
		})
		return n > 0, errors.Join(begun, err)
	}
}

// anyTime strikes a worker at a drawn moment of the round's run.
func anyTime(act func(context.Context, *soak, *devstack.Process) error) func(context.Context, *soak, *round) (bool, error) {
	return func(ctx context.Context, s *soak, r *round) (bool, error) {
		if err := s.begin(ctx, r); err != nil {
			return false, err
		}
		pause(ctx, r.moment)
		var p *devstack.Process
		until(ctx, 10*time.Millisecond, func() bool {
			if up := s.fleet.up(); len(up) > 0 {
				p = up[r.number%len(up)]
			}
			return p != nil
		})
		if p == nil {
			return false, errors.New("no worker is up")
		}
		return true, act(ctx, s, p)
	}
}

// lateFaults are rules for the question which errors the vendor found later. It
// names no entry: whichever run asks next meets them.
func lateFaults(rules ...sandbox.Rule) func(vendor, string) []sandbox.Rule {
	return func(vendor, string) []sandbox.Rule {
		return match(sandbox.Match{Operation: "glImportItemErrors"}, rules...)
	}
}

// tokens revokes every access token, and has requests for new ones fail.
func tokens(rules ...sandbox.Rule) func(context.Context, *soak, *round) (bool, error) {
	return func(ctx context.Context, s *soak, r *round) (bool, error) {
		number := s.stack.Sandbox.Script(match(sandbox.Match{Vendor: "entra"}, rules...)...)
		s.stack.Sandbox.RevokeTokens()
		asked := s.asked("entra")
		if err := s.begin(ctx, r); err != nil {
			return false, err
		}
		soon, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return until(soon, 20*time.Millisecond, func() bool {
			for n := range rules {
				if s.stack.Sandbox.Fired(number+n) == 0 {
					return false
				}
			}
			return s.asked("entra") > asked
		}), nil
	}
}

// asked is how many requests a vendor has seen.
func (s *soak) asked(vendor string) (n int) {
	for _, e := range s.stack.Sandbox.Log() {
		if e.Vendor == vendor {
			n++
		}
	}
	return n
}

// where says how far a round's run is.
func (s *soak) where(ctx context.Context, r *round) string {
	var row string
	err := s.admin.QueryRow(ctx, `SELECT b::text FROM ledgerline.bufdir_export_audit_log b WHERE integration_id = $1 AND period = $2 AND parent_export_id IS NULL`,
		r.book.id, r.period).Scan(&row)
	d, other := s.temporal.DescribeWorkflow(ctx, engine.SyncOptions(r.book.input(r.period)).ID, "")
	if other != nil {
		return fmt.Sprint(row, errors.Join(err, other))
	}
	return fmt.Sprint(row, d.Status, d.RawResponse.GetPendingActivities(), err)
}

// after has the vendor refuse the round's chunk for a while, and acts a moment
// after the n-th time.
func after(n int, moment time.Duration, act func(context.Context, *soak, *round, *devstack.Process) error) func(context.Context, *soak, *round) (bool, error) {
	return func(ctx context.Context, s *soak, r *round) (bool, error) {
		number := s.stack.Sandbox.Script(match(find(r.book.vendor.send, r.marker()), sandbox.Rule{Times: n, Status: 503})...)
		if err := s.begin(ctx, r); err != nil {
			return false, err
		}
		soon, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if !until(soon, 10*time.Millisecond, func() bool { return s.stack.Sandbox.Fired(number) >= n }) {
			return false, fmt.Errorf("the chunk has not come to the vendor %d times: %s", n, s.where(ctx, r))
		}
		pause(ctx, moment)
		return true, act(ctx, s, r, nil)
	}
}

// struck lets the vendor hold the round's chunk by a rule, finds the worker
// that has the call, and acts.
func struck(rule sandbox.Rule, act func(context.Context, *soak, *round, *devstack.Process) error) func(context.Context, *soak, *round) (bool, error) {
	return func(ctx context.Context, s *soak, r *round) (bool, error) {
		rule.Times = 3 // more than one moment, if the first one is missed
		number := s.stack.Sandbox.Script(match(find(r.book.vendor.send, r.marker()), rule)...)
		if err := s.begin(ctx, r); err != nil {
			return false, err
		}
		for seen := 0; ; {
			soon, cancel := context.WithTimeout(ctx, patience)
			reached := until(soon, 10*time.Millisecond, func() bool { return s.stack.Sandbox.Fired(number) > seen })
			cancel()
			if !reached {
				return false, fmt.Errorf("the chunk has not come to the vendor: %s", s.where(ctx, r))
			}
			seen = s.stack.Sandbox.Fired(number)
			if p := s.holder(ctx, r); p != nil {
				return true, act(ctx, s, r, p)
			}
		}
	}
}
