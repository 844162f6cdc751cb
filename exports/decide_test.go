package exports

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
)

// What follows from an invocation of a chunk.
func TestDecide(t *testing.T) {
	send, ask := SendStep, AskStep
	for _, c := range []struct {
		name string
		seen Result
		want action
		step Step          // of the item
		then action        // of the item
		wait time.Duration // of aside
	}{
		{name: "done", seen: Result{OK: true}, want: forward},
		{name: "asked, and all of it is there", seen: Result{OK: true, Item: Item{Step: ask, Then: halve}}, want: forward},
		{name: "asked after a refusal, and some is not there", seen: Result{OK: true, Left: 2, Item: Item{Step: ask, Then: halve}, run: conditions{trusted: true}}, want: halve, step: ask, then: halve},
		{name: "asked after another permanent failure", seen: Result{OK: true, Left: 2, Item: Item{Step: ask, Then: fail}}, want: fail, step: ask, then: fail},
		{name: "asked, and it can be sent", seen: Result{OK: true, Left: 2, Item: Item{Step: ask}}, want: again, step: send},
		{name: "asked too early", seen: Result{Kind: classify.Unsettled, Class: classify.Transient, Asking: true, RetryIn: 3 * time.Second, Item: Item{Step: ask, Then: halve}},
			want: aside, step: ask, then: halve, wait: 3 * time.Second},
		{name: "only a person can tell", seen: Result{Kind: classify.UnknownOutcome, Class: classify.Permanent, Asking: true}, want: forward},

		{name: "refused, and nothing was sent", seen: Result{Kind: classify.Transformation, Class: classify.Permanent, run: conditions{trusted: true}}, want: halve},
		{name: "refused, and proved to have had no effect", seen: Result{Kind: classify.BadRequest, Class: classify.Permanent, Effect: classify.None, run: conditions{trusted: true}}, want: halve},
		{name: "refused, and the work has ended", seen: Result{Kind: classify.Business, Class: classify.Permanent, Effect: classify.Open, Ended: true}, want: again, step: ask, then: halve},
		{name: "refused by an unknown party", seen: Result{Kind: classify.BadRequest, Class: classify.Permanent, Effect: classify.Open, OpenFor: time.Minute},
			want: aside, step: ask, then: halve, wait: time.Minute},
		{name: "not what was asked for", seen: Result{Kind: classify.InvalidResponse, Class: classify.Permanent, Effect: classify.Open, OpenFor: time.Minute},
			want: aside, step: ask, then: fail, wait: time.Minute},
		{name: "a conflict with somebody else's change is no refusal of content", seen: Result{Kind: classify.Conflict, Class: classify.Permanent, Effect: classify.Open, Ended: true, Vouchers: 1, run: conditions{trusted: true}},
			want: again, step: ask, then: fail},
		{name: "a conflict, and proved to have had no effect", seen: Result{Kind: classify.Conflict, Class: classify.Permanent, Effect: classify.None, Vouchers: 1, run: conditions{trusted: true}}, want: fail},
		{name: "refused token", seen: Result{Kind: classify.Unauthorized, Class: classify.Permanent, Effect: classify.None}, want: fail},
		{name: "refused token in a part", seen: Result{Kind: classify.Unauthorized, Class: classify.Permanent, Effect: classify.Open, Ended: true}, want: fail},
		{name: "refuses everything", seen: Result{Kind: classify.Business, Class: classify.Permanent, Effect: classify.Open, Ended: true, refusesAll: true}, want: fail},

		{name: "no answer", seen: Result{Kind: classify.AttemptTimeout, Class: classify.Timeout, Effect: classify.Open, OpenFor: time.Minute}, want: aside, step: send, wait: time.Minute},
		{name: "no answer, asked early within the invocation", seen: Result{Kind: classify.Network, Class: classify.Transient, Effect: classify.Open, Ended: false}, want: aside, step: send},
		{name: "unavailable", seen: Result{Kind: classify.Unavailable, Class: classify.Transient, Effect: classify.Open, Ended: true}, want: pause, step: send},
		{name: "throttled", seen: Result{Kind: classify.RateLimited, Class: classify.Transient, Effect: classify.None}, want: pause, step: send},
		{name: "credits are used up", seen: Result{Kind: classify.QuotaExhausted, Class: classify.Permanent, Effect: classify.None}, want: pause, step: send},
		{name: "paused", seen: Result{Kind: classify.Paused, Class: classify.Permanent, deferrals: 1000}, want: pause, step: send},

		{name: "the question was throttled", seen: Result{Kind: classify.RateLimited, Class: classify.Transient, Asking: true, Effect: classify.Open, Item: Item{Step: ask, Then: halve}}, want: pause, step: ask, then: halve},
		{name: "the question was refused", seen: Result{Kind: classify.Unauthorized, Class: classify.Permanent, Asking: true, Effect: classify.Open}, want: fail},
		{name: "a refused question is no refusal of content", seen: Result{Kind: classify.BadRequest, Class: classify.Permanent, Asking: true, Effect: classify.Open}, want: fail},
		{name: "the answer proves nothing", seen: Result{Kind: classify.Untrusted, Class: classify.Transient, Asking: true}, want: aside, step: send, wait: time.Minute},

		{name: "refused before anything was accepted, several", seen: Result{Kind: classify.Business, Class: classify.Permanent, Effect: classify.None, Vouchers: 9}, want: hold, step: send},
		{name: "refused before anything was accepted, one", seen: Result{Kind: classify.Business, Class: classify.Permanent, Effect: classify.None, Vouchers: 1}, want: suspect, step: send},
		{name: "refused, and something was accepted", seen: Result{Kind: classify.Business, Class: classify.Permanent, Effect: classify.None, Vouchers: 9, run: conditions{trusted: true}}, want: halve},
		{name: "refused, and a part of it is there", seen: Result{OK: true, Left: 2, Vouchers: 1, Accepted: true, Item: Item{Step: ask, Then: halve}}, want: halve, step: ask, then: halve},
		{name: "refused, and it has cost enough", seen: Result{Kind: classify.Business, Class: classify.Permanent, Effect: classify.None, Vouchers: 9, run: conditions{trusted: true, spent: true}}, want: leave, step: send},
		{name: "one refused, and it has cost enough", seen: Result{Kind: classify.Business, Class: classify.Permanent, Effect: classify.None, Vouchers: 1, run: conditions{trusted: true, spent: true}}, want: halve},
		{name: "asked after a refusal before anything was accepted", seen: Result{OK: true, Left: 18, Vouchers: 9, Item: Item{Step: ask, Then: halve}}, want: hold, step: ask, then: halve},
		{name: "a document that cannot be read", seen: Result{Kind: classify.RequestDocument, Class: classify.Permanent, Effect: classify.None, Vouchers: 9}, want: hold, step: send},
		{name: "a document that cannot be read, of a run that has had others accepted", seen: Result{Kind: classify.RequestDocument, Class: classify.Permanent, Effect: classify.None, Vouchers: 1, run: conditions{trusted: true, accepted: true}}, want: halve},
		{name: "a document that cannot be read, and nothing was accepted, whatever was tried", seen: Result{Kind: classify.RequestDocument, Class: classify.Permanent, Effect: classify.None, Vouchers: 1, run: conditions{trusted: true}}, want: leave, step: send},
		{name: "one refused, which may be for the token", seen: Result{Kind: classify.Business, Class: classify.Permanent, Effect: classify.None, Vouchers: 1, run: conditions{trusted: true, accepted: true, pings: true}}, want: suspect, step: send},
		{name: "no such table or company", seen: Result{Kind: classify.NotFound, Class: classify.Permanent, Effect: classify.None, Vouchers: 9}, want: fail},
		{name: "the vendor takes no request at all", seen: Result{Kind: classify.Business, Class: classify.Permanent, Item: Item{Step: PingStep}}, want: fail},
		{name: "the contract differs", seen: Result{Kind: classify.Configuration, Class: classify.Permanent, Item: Item{Step: VerifyStep}}, want: fail},
		{name: "the contract cannot be asked for", seen: Result{Kind: classify.Unavailable, Class: classify.Transient, Item: Item{Step: VerifyStep}}, want: pause, step: VerifyStep},
		{name: "an answer about the contract that proves nothing", seen: Result{Kind: classify.Untrusted, Class: classify.Transient, Item: Item{Step: VerifyStep}}, want: pause, step: VerifyStep},
		{name: "the contract is refused in the vendor's words", seen: Result{Kind: classify.Business, Class: classify.Permanent, Item: Item{Step: VerifyStep}}, want: fail},

		{name: "too large, proved", seen: Result{Kind: classify.PayloadTooLarge, Class: classify.Permanent, Effect: classify.None, Vouchers: 9}, want: shrink, step: send},
		{name: "too large, and the work has ended", seen: Result{Kind: classify.PayloadTooLarge, Class: classify.Permanent, Effect: classify.Open, Ended: true, Vouchers: 9}, want: again, step: ask, then: shrink},
		{name: "too large for one voucher, and nothing was accepted", seen: Result{Kind: classify.PayloadTooLarge, Class: classify.Permanent, Effect: classify.None, Vouchers: 1}, want: suspect, step: send},
		{name: "too large for one voucher", seen: Result{Kind: classify.PayloadTooLarge, Class: classify.Permanent, Effect: classify.None, Vouchers: 1, run: conditions{trusted: true}}, want: leave, step: send},
		{name: "gave up", seen: Result{Kind: classify.GatewayTimeout, Class: classify.Transient, Effect: classify.Open, OpenFor: time.Minute, Unanswered: true, Vouchers: 9, Entries: 18, run: conditions{sizeProved: true}}, want: aside, step: ask, then: shrink, wait: time.Minute},
		{name: "gave up, and a question came too early", seen: Result{Kind: classify.Unsettled, Class: classify.Transient, Asking: true, Effect: classify.Open, RetryIn: time.Second, Unanswered: true, Vouchers: 9, Entries: 18, run: conditions{sizeProved: true}}, want: aside, step: ask, then: shrink, wait: time.Second},
		{name: "gave up at a size of which nothing was accepted", seen: Result{Kind: classify.GatewayTimeout, Class: classify.Transient, Effect: classify.Open, OpenFor: time.Minute, Unanswered: true, Vouchers: 9, Entries: 18}, want: pause, step: send, wait: time.Minute},
		{name: "gave up there for the third time", seen: Result{Kind: classify.GatewayTimeout, Class: classify.Transient, Effect: classify.Open, OpenFor: time.Minute, Unanswered: true, Vouchers: 9, Entries: 18, Item: Item{Tries: 2}}, want: aside, step: ask, then: shrink, wait: time.Minute},
		{name: "gave up with few entries", seen: Result{Kind: classify.GatewayTimeout, Class: classify.Transient, Effect: classify.Open, OpenFor: time.Minute, Unanswered: true, Vouchers: 9, Entries: 18, run: conditions{sizeProved: true, floor: 31}}, want: aside, step: send, wait: time.Minute},
		{name: "gave up with one voucher", seen: Result{Kind: classify.GatewayTimeout, Class: classify.Transient, Effect: classify.Open, OpenFor: time.Minute, Unanswered: true, Vouchers: 1, run: conditions{sizeProved: true}}, want: aside, step: send, wait: time.Minute},
		{name: "gave up, asked, and nothing is there", seen: Result{OK: true, Left: 18, Vouchers: 9, Item: Item{Step: ask, Then: shrink, Code: classify.GatewayTimeout}}, want: shrink, step: ask, then: shrink},
		{name: "gave up, asked, and one is left", seen: Result{OK: true, Left: 2, Vouchers: 1, Item: Item{Step: ask, Then: shrink, Code: classify.GatewayTimeout}}, want: again, step: send},
		{name: "too large, asked, and one is left", seen: Result{OK: true, Left: 2, Vouchers: 1, Item: Item{Step: ask, Then: shrink, Code: classify.PayloadTooLarge}, run: conditions{trusted: true}}, want: leave, step: ask, then: shrink},

		{name: "not the owner", seen: Result{Kind: classify.NotOwner, Class: classify.Permanent, Effect: classify.Open}, want: reclaim},
		{name: "cancelled", seen: Result{Kind: classify.Cancelled, Class: classify.Permanent, Cancelled: true, Effect: classify.Open}, want: fail},
		{name: "too often", seen: Result{Kind: classify.Unavailable, Class: classify.Transient, deferrals: maxDeferrals}, want: fail},
		{name: "too often for one chunk", seen: Result{Kind: classify.Network, Class: classify.Transient, Effect: classify.Open, Item: Item{Tries: maxDeferrals}}, want: fail},
		{name: "late errors, for good", seen: Result{Kind: classify.BadRequest, Class: classify.Permanent, Item: Item{Step: LateErrorsStep}}, want: forward},
		{name: "late errors, later", seen: Result{Kind: classify.Unavailable, Class: classify.Transient, Item: Item{Step: LateErrorsStep}}, want: pause, step: LateErrorsStep},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := decide(c.seen)
			require.Equal(t, c.want, got.action)
			require.Equal(t, c.then, got.item.Then)
			require.Equal(t, c.wait, got.wait)
			if c.want != fail && c.want != halve {
				require.Equal(t, c.step, got.item.Step)
			}
		})
	}
}

// Nothing is halved, rejected or sent again while an effect is open and has not
// been asked for, whatever the kind.
func TestDecideNeverWhileOpen(t *testing.T) {
	for _, kind := range classify.Kinds() {
		for _, ended := range []bool{true, false} {
			for _, step := range []Step{SendStep, AskStep} {
				d := decide(Result{Kind: kind, Class: kind.Class(), Effect: classify.Open, Ended: ended, Item: Item{Step: step}, Vouchers: 9, run: conditions{spent: true}, Unanswered: true})
				require.NotContains(t, []action{halve, hold, suspect, shrink, leave}, d.action, kind)
				if d.action == again {
					require.Equal(t, AskStep, d.item.Step, kind)
				}
			}
		}
	}
}

// Items that wait come first once they are due; when only they are left, the run
// sleeps until the first of them is.
func TestTake(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	p := &Progress{Next: 1, Plan: Plan{Chunks: 2, LateErrors: true}, Queue: []Item{{Chunk: 9}}, Aside: []Item{{Chunk: 5, Until: now.Add(time.Minute)}, {Chunk: 6, Until: now}}}
	require.Equal(t, 5, p.Left())
	for _, want := range []int{6, 9, 1, 2} {
		item, ok, _ := p.Take(now)
		require.True(t, ok)
		require.Equal(t, want, item.Chunk)
		require.Zero(t, item.Until)
	}
	_, ok, sleep := p.Take(now)
	require.False(t, ok)
	require.Equal(t, time.Minute, sleep)
	item, ok, _ := p.Take(now.Add(time.Minute))
	require.True(t, ok)
	require.Equal(t, 5, item.Chunk)
	item, ok, _ = p.Take(now)
	require.True(t, ok)
	require.Equal(t, LateErrorsStep, item.Step)
}
