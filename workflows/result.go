package workflows

import (
	"slices"
	"time"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
)

// longestOpen is more than an effect can be open for: inFlight is at most an hour,
// an attempt a minute. How long an effect is open is the difference between the
// database's time and a worker's, whose clock may be wrong. A question that comes too
// early is refused and repeated.
const longestOpen = time.Hour + time.Minute

// gaveUp are the kinds of a sending that may have been too much for the vendor: it
// said so, or did not answer in time.
var gaveUp = []classify.Kind{classify.AttemptTimeout, classify.RequestTimeout, classify.GatewayTimeout}

// ResultOf is what the invocation of an item has shown, folded over its attempts.
func ResultOf(in activities.Invocation, item exports.Item, o Outcome, called activities.CallResult) exports.Result {
	last := called.Trail.Last()
	r := exports.Result{
		Item: item, OK: o.OK, Left: called.Left, Kind: last.Kind, Class: last.Class, Asking: last.Asking, RetryIn: last.RetryAfter,
		Vouchers: last.Vouchers, Entries: last.Entries, Took: last.EndedAt.Sub(last.StartedAt), Timeout: in.Policy.AttemptTimeout,
	}
	var until time.Time
	if !in.ChangesNothing() { // an attempt that was lost has an open effect, whatever it was
		r.Effect, r.Ended, until = called.Trail.Effect()
	}
	if !until.IsZero() {
		r.OpenFor = min(max(0, until.Sub(last.EndedAt)), longestOpen)
	}
	if o.Failure != nil {
		r.Class, r.Message = o.Failure.ErrorClass, o.Failure.Message
	}
	sent := false
	for _, a := range called.Trail {
		r.Requests, r.LookUps = r.Requests+a.Requests, r.LookUps+a.LookUps
		// What was found before anything was sent is from an earlier run, unless this one asks
		// for what it has sent.
		found := a.Found == classify.Done && (sent || item.Step == exports.AskStep)
		r.Accepted = r.Accepted || a.Effect == classify.Done || found
		sent = sent || a.Effect != ""
		if a.Effect != "" { // of its last sending
			r.Unanswered = a.Effect == classify.Open && slices.Contains(gaveUp, a.Kind)
		}
	}
	return r
}
