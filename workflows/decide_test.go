package workflows

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
)

// What follows from an invocation of a chunk.
func TestDecide(t *testing.T) {
	send, ask := activities.SendStep, activities.AskStep
	for _, c := range []struct {
		name string
		seen seen
		want next
		step string        // of the item
		then next          // of the item
		wait time.Duration // of aside
	}{
		{name: "done", seen: seen{ok: true}, want: forward},
		{name: "asked, and all of it is there", seen: seen{ok: true, item: Item{Step: ask, Then: halve}}, want: forward},
		{name: "asked after a refusal, and some is not there", seen: seen{ok: true, left: 2, item: Item{Step: ask, Then: halve}}, want: halve, step: ask, then: halve},
		{name: "asked after another permanent failure", seen: seen{ok: true, left: 2, item: Item{Step: ask, Then: fail}}, want: fail, step: ask, then: fail},
		{name: "asked, and it can be sent", seen: seen{ok: true, left: 2, item: Item{Step: ask}}, want: again, step: send},
		{name: "asked too early", seen: seen{kind: classify.Unsettled, class: classify.Transient, asking: true, retryIn: 3 * time.Second, item: Item{Step: ask, Then: halve}},
			want: aside, step: ask, then: halve, wait: 3 * time.Second},
		{name: "only a person can tell", seen: seen{kind: classify.UnknownOutcome, class: classify.Permanent, asking: true}, want: forward},

		{name: "refused, and nothing was sent", seen: seen{kind: classify.Transformation, class: classify.Permanent}, want: halve},
		{name: "refused, and proved to have had no effect", seen: seen{kind: classify.BadRequest, class: classify.Permanent, effect: classify.None}, want: halve},
		{name: "refused, and the work has ended", seen: seen{kind: classify.Business, class: classify.Permanent, effect: classify.Open, ended: true}, want: again, step: ask, then: halve},
		{name: "refused by who knows whom", seen: seen{kind: classify.BadRequest, class: classify.Permanent, effect: classify.Open, openFor: time.Minute},
			want: aside, step: ask, then: halve, wait: time.Minute},
		{name: "not what was asked for", seen: seen{kind: classify.InvalidResponse, class: classify.Permanent, effect: classify.Open, openFor: time.Minute},
			want: aside, step: ask, then: fail, wait: time.Minute},
		{name: "too large", seen: seen{kind: classify.PayloadTooLarge, class: classify.Permanent, effect: classify.Open, ended: true}, want: again, step: ask, then: fail},
		{name: "refused token", seen: seen{kind: classify.Unauthorized, class: classify.Permanent, effect: classify.None}, want: fail},
		{name: "refused token in a part", seen: seen{kind: classify.Unauthorized, class: classify.Permanent, effect: classify.Open, ended: true}, want: fail},
		{name: "refuses everything", seen: seen{kind: classify.Business, class: classify.Permanent, effect: classify.Open, ended: true, unwelcome: true}, want: fail},

		{name: "no answer", seen: seen{kind: classify.AttemptTimeout, class: classify.Timeout, effect: classify.Open, openFor: time.Minute}, want: aside, step: send, wait: time.Minute},
		{name: "no answer, asked early within the invocation", seen: seen{kind: classify.Network, class: classify.Transient, effect: classify.Open, ended: false}, want: aside, step: send},
		{name: "unavailable", seen: seen{kind: classify.Unavailable, class: classify.Transient, effect: classify.Open, ended: true}, want: pause, step: send},
		{name: "throttled", seen: seen{kind: classify.RateLimited, class: classify.Transient, effect: classify.None}, want: pause, step: send},
		{name: "credits are used up", seen: seen{kind: classify.QuotaExhausted, class: classify.Permanent, effect: classify.None}, want: pause, step: send},
		{name: "paused", seen: seen{kind: classify.Paused, class: classify.Permanent, deferrals: 1000}, want: pause, step: send},

		{name: "the question was throttled", seen: seen{kind: classify.RateLimited, class: classify.Transient, asking: true, effect: classify.Open, item: Item{Step: ask, Then: halve}}, want: pause, step: ask, then: halve},
		{name: "the question was refused", seen: seen{kind: classify.Unauthorized, class: classify.Permanent, asking: true, effect: classify.Open}, want: fail},
		{name: "a refused question is no refusal of content", seen: seen{kind: classify.BadRequest, class: classify.Permanent, asking: true, effect: classify.Open}, want: fail},
		{name: "the answer proves nothing", seen: seen{kind: classify.Untrusted, class: classify.Transient, asking: true}, want: aside, step: send, wait: time.Minute},

		{name: "refused before anything was accepted, several", seen: seen{kind: classify.Business, class: classify.Permanent, effect: classify.None, vouchers: 9, run: isolation{alike: true}}, want: keep, step: send},
		{name: "refused before anything was accepted, one", seen: seen{kind: classify.Business, class: classify.Permanent, effect: classify.None, vouchers: 1, run: isolation{alike: true}}, want: suspect, step: send},
		{name: "refused, and something was accepted", seen: seen{kind: classify.Business, class: classify.Permanent, effect: classify.None, vouchers: 9, run: isolation{alike: true, trusted: true}}, want: halve},
		{name: "refused, and a part of it is there", seen: seen{ok: true, left: 2, vouchers: 1, accepted: true, item: Item{Step: ask, Then: halve}, run: isolation{alike: true}}, want: halve, step: ask, then: halve},
		{name: "refused, and it has cost enough", seen: seen{kind: classify.Business, class: classify.Permanent, effect: classify.None, vouchers: 9, run: isolation{alike: true, trusted: true, spent: true}}, want: leave, step: send},
		{name: "one refused, and it has cost enough", seen: seen{kind: classify.Business, class: classify.Permanent, effect: classify.None, vouchers: 1, run: isolation{alike: true, trusted: true, spent: true}}, want: halve},
		{name: "asked after a refusal before anything was accepted", seen: seen{ok: true, left: 18, vouchers: 9, item: Item{Step: ask, Then: halve}, run: isolation{alike: true}}, want: keep, step: ask, then: halve},
		{name: "a document that cannot be read", seen: seen{kind: classify.RequestDocument, class: classify.Permanent, effect: classify.None, vouchers: 9, run: isolation{alike: true}}, want: keep, step: send},
		{name: "a document that cannot be read, of a run that has had others accepted", seen: seen{kind: classify.RequestDocument, class: classify.Permanent, effect: classify.None, vouchers: 1, run: isolation{alike: true, trusted: true, accepted: true}}, want: halve},
		{name: "a document that cannot be read, and nothing was accepted, whatever was tried", seen: seen{kind: classify.RequestDocument, class: classify.Permanent, effect: classify.None, vouchers: 1, run: isolation{alike: true, trusted: true}}, want: leave, step: send},
		{name: "one refused, which may be for the token", seen: seen{kind: classify.Business, class: classify.Permanent, effect: classify.None, vouchers: 1, run: isolation{alike: true, trusted: true, accepted: true, quiet: true}}, want: suspect, step: send},
		{name: "no such table or company", seen: seen{kind: classify.NotFound, class: classify.Permanent, effect: classify.None, vouchers: 9, run: isolation{alike: true}}, want: fail},
		{name: "the vendor takes no request at all", seen: seen{kind: classify.Business, class: classify.Permanent, item: Item{Step: activities.PingStep}}, want: fail},
		{name: "the contract differs", seen: seen{kind: classify.Configuration, class: classify.Permanent, item: Item{Step: activities.VerifyStep}}, want: fail},
		{name: "the contract cannot be asked for", seen: seen{kind: classify.Unavailable, class: classify.Transient, item: Item{Step: activities.VerifyStep}}, want: pause, step: activities.VerifyStep},
		{name: "an answer about the contract that proves nothing", seen: seen{kind: classify.Untrusted, class: classify.Transient, item: Item{Step: activities.VerifyStep}}, want: pause, step: activities.VerifyStep},
		{name: "the contract is refused in the vendor's words", seen: seen{kind: classify.Business, class: classify.Permanent, item: Item{Step: activities.VerifyStep}}, want: fail},

		{name: "too large, proved", seen: seen{kind: classify.PayloadTooLarge, class: classify.Permanent, effect: classify.None, vouchers: 9, run: isolation{fits: true}}, want: shrink, step: send},
		{name: "too large, and the work has ended", seen: seen{kind: classify.PayloadTooLarge, class: classify.Permanent, effect: classify.Open, ended: true, vouchers: 9, run: isolation{fits: true}}, want: again, step: ask, then: shrink},
		{name: "too large for one voucher, and nothing was accepted", seen: seen{kind: classify.PayloadTooLarge, class: classify.Permanent, effect: classify.None, vouchers: 1, run: isolation{fits: true, alike: true}}, want: suspect, step: send},
		{name: "too large for one voucher", seen: seen{kind: classify.PayloadTooLarge, class: classify.Permanent, effect: classify.None, vouchers: 1, run: isolation{fits: true}}, want: leave, step: send},
		{name: "gave up", seen: seen{kind: classify.GatewayTimeout, class: classify.Transient, effect: classify.Open, openFor: time.Minute, unanswered: true, vouchers: 9, entries: 18, run: isolation{fits: true, proved: true}}, want: aside, step: ask, then: shrink, wait: time.Minute},
		{name: "gave up, and a question came too early", seen: seen{kind: classify.Unsettled, class: classify.Transient, asking: true, effect: classify.Open, retryIn: time.Second, unanswered: true, vouchers: 9, entries: 18, run: isolation{fits: true, proved: true}}, want: aside, step: ask, then: shrink, wait: time.Second},
		{name: "gave up at a size of which nothing was accepted", seen: seen{kind: classify.GatewayTimeout, class: classify.Transient, effect: classify.Open, openFor: time.Minute, unanswered: true, vouchers: 9, entries: 18, run: isolation{fits: true}}, want: pause, step: send, wait: time.Minute},
		{name: "gave up there for the third time", seen: seen{kind: classify.GatewayTimeout, class: classify.Transient, effect: classify.Open, openFor: time.Minute, unanswered: true, vouchers: 9, entries: 18, run: isolation{fits: true}, item: Item{Tries: 2}}, want: aside, step: ask, then: shrink, wait: time.Minute},
		{name: "gave up with few entries", seen: seen{kind: classify.GatewayTimeout, class: classify.Transient, effect: classify.Open, openFor: time.Minute, unanswered: true, vouchers: 9, entries: 18, run: isolation{fits: true, proved: true, floor: 31}}, want: aside, step: send, wait: time.Minute},
		{name: "gave up with one voucher", seen: seen{kind: classify.GatewayTimeout, class: classify.Transient, effect: classify.Open, openFor: time.Minute, unanswered: true, vouchers: 1, run: isolation{fits: true, proved: true}}, want: aside, step: send, wait: time.Minute},
		{name: "gave up, asked, and nothing is there", seen: seen{ok: true, left: 18, vouchers: 9, item: Item{Step: ask, Then: shrink, Code: classify.GatewayTimeout}, run: isolation{fits: true}}, want: shrink, step: ask, then: shrink},
		{name: "gave up, asked, and one is left", seen: seen{ok: true, left: 2, vouchers: 1, item: Item{Step: ask, Then: shrink, Code: classify.GatewayTimeout}, run: isolation{fits: true}}, want: again, step: send},
		{name: "too large, asked, and one is left", seen: seen{ok: true, left: 2, vouchers: 1, item: Item{Step: ask, Then: shrink, Code: classify.PayloadTooLarge}, run: isolation{fits: true}}, want: leave, step: ask, then: shrink},

		{name: "not the owner", seen: seen{kind: classify.NotOwner, class: classify.Permanent, effect: classify.Open}, want: reclaim},
		{name: "cancelled", seen: seen{kind: classify.Cancelled, class: classify.Permanent, cancelled: true, effect: classify.Open}, want: fail},
		{name: "too often", seen: seen{kind: classify.Unavailable, class: classify.Transient, deferrals: maxDeferrals}, want: fail},
		{name: "too often for one chunk", seen: seen{kind: classify.Network, class: classify.Transient, effect: classify.Open, item: Item{Tries: maxDeferrals}}, want: fail},
		{name: "late errors, for good", seen: seen{kind: classify.BadRequest, class: classify.Permanent, item: Item{Step: activities.LateErrorsStep}}, want: forward},
		{name: "late errors, later", seen: seen{kind: classify.Unavailable, class: classify.Transient, item: Item{Step: activities.LateErrorsStep}}, want: pause, step: activities.LateErrorsStep},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := decide(c.seen)
			require.Equal(t, c.want, got.next)
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
			for _, step := range []string{activities.SendStep, activities.AskStep} {
				d := decide(seen{kind: kind, class: kind.Class(), effect: classify.Open, ended: ended, item: Item{Step: step}, vouchers: 9, run: isolation{alike: true, fits: true, spent: true}, unanswered: true})
				require.NotContains(t, []next{halve, keep, suspect, shrink, leave}, d.next, kind)
				if d.next == again {
					require.Equal(t, activities.AskStep, d.item.Step, kind)
				}
			}
		}
	}
}

// Items that wait come first once they are due; when only they are left, the run
// sleeps until the first of them is.
func TestTake(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	p := &Progress{Next: 1, Plan: activities.PlanResult{Chunks: 2}, Queue: []Item{{Chunk: 9}}, Aside: []Item{{Chunk: 5, Until: now.Add(time.Minute)}, {Chunk: 6, Until: now}}}
	require.Equal(t, 5, p.Left())
	for _, want := range []int{6, 9, 1, 2} {
		item, ok, _ := p.take(now)
		require.True(t, ok)
		require.Equal(t, want, item.Chunk)
		require.Zero(t, item.Until)
	}
	_, ok, sleep := p.take(now)
	require.False(t, ok)
	require.Equal(t, time.Minute, sleep)
	item, ok, _ := p.take(now.Add(time.Minute))
	require.True(t, ok)
	require.Equal(t, 5, item.Chunk)
	item, ok, _ = p.take(now)
	require.True(t, ok)
	require.Equal(t, activities.LateErrorsStep, item.Step)
}
