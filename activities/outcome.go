package activities

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/limits"
)

// outcome is what became of an attempt.
type outcome struct {
	verdict   classify.Verdict // its Effect is that of what this attempt sent
	refusal   classify.Verdict // the vendor's; a verification that reports it is a success all the same
	guard     adapters.Guard
	message   string // redacted
	answer    Answer
	host      limits.Host              // that was called, or was to be
	openUntil time.Time                // of what it sent
	spec      integrations.Integration // as it is stored; zero if there is none
	adapter   string                   // that the integration has stored; "" if it has none
	most      int                      // attempts that the integration allows; 0 if that is not known
	found     classify.Effect          // what the look-up proved of all that was sent before
	asking    bool                     // it ended in the look-up of what is there
	left      int                      // entries of a chunk that was only looked up which are not there
	trail     Trail                    // with other numbers; nil if they stay

	requests, lookUps int // that it made, those for tokens left out; look-ups are among them
	entries, vouchers int // of a chunk: what it sent, or would have
}

// apply records in an attempt what became of it. When it ended is recorded before.
func (at *Attempt) apply(out outcome) {
	v := out.verdict
	at.Class, at.Kind, at.Rule, at.HTTPStatus, at.Message, at.RetryAfter = v.Class, v.Kind, v.Rule, v.HTTPStatus, out.message, v.RetryAfter
	at.Effect, at.Ended, at.OpenUntil = v.Effect, v.Ended, out.openUntil
	at.Found, at.Asking = out.found, out.asking
	at.Requests, at.LookUps, at.Entries, at.Vouchers = out.requests, out.lookUps, out.entries, out.vouchers
}

// recovered turns a panic into an outcome. Its value and stack, which may hold
// anything, are reduced to where it happened.
func recovered(in Invocation, call func() outcome) (out outcome) {
	defer func() {
		if recover() == nil {
			return
		}
		out = outcome{verdict: classify.NewVerdict(classify.Internal, "panic", "the adapter failed at "+panicSite()+"; this is a defect of Ledgerline")}
		if in.Operation == adapters.Call && !in.ReadOnly {
			out.verdict.Effect = classify.Open
		}
	}()
	return call()
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

// requestCounts counts the requests of an attempt. A token may be fetched by another
// goroutine, for several attempts.
type requestCounts struct{ requests, lookUps atomic.Int32 }

func (c *requestCounts) count(p limits.Purpose) {
	switch p {
	case limits.Token:
		return
	case limits.Readback, limits.Lookup:
		c.lookUps.Add(1)
	}
	c.requests.Add(1)
}
