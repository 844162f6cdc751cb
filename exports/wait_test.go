package exports

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
)

var oslo = time.FixedZone("CET", 3600)

func waitFacts() WaitFacts {
	return WaitFacts{Organization: "acme", Integration: "xledger-main", Vendor: "Xledger", Period: "2026-10"}
}

// Each reason for which an export can wait has a sentence of its own, with until when and
// what to do.
func TestWaitReasons(t *testing.T) {
	now := time.Date(2026, 11, 27, 15, 0, 0, 0, oslo)
	for _, c := range []struct {
		name   string
		change func(*WaitFacts)
		says   string
	}{
		{"paused", func(f *WaitFacts) {
			f.Paused, f.PausedBy, f.PausedAt, f.PauseReason = true, "kari", now.Add(-time.Hour), "month end"
			f.DeferredFor, f.DeferredUntil = classify.Paused, now.Add(time.Hour)
		}, "integration xledger-main is paused by kari since 14:00 CET: month end; starter integrations resume --org acme --integration xledger-main resumes it"},
		{"paused before today", func(f *WaitFacts) {
			f.Paused, f.PausedBy, f.PausedAt, f.PauseReason = true, "kari", now.AddDate(0, 0, -3), "month end"
		}, "integration xledger-main is paused by kari since 24 November 2026 15:00 CET: month end; starter integrations resume --org acme --integration xledger-main resumes it"},
		{"paused, by whom is not known", func(f *WaitFacts) { f.Paused = true },
			"integration xledger-main is paused; starter integrations resume --org acme --integration xledger-main resumes it"},
		{"resumed", func(f *WaitFacts) { f.DeferredFor, f.DeferredUntil = classify.Paused, now.Add(time.Hour).UTC() },
			"integration xledger-main was paused and is resumed; its run looks again soon, and at the latest at 16:00 CET; nothing is to be done"},
		{"run gone", func(f *WaitFacts) { f.RunGone, f.Paused = true, true },
			"its run no longer exists, and its entries belong to it; starter sync --org acme --integration xledger-main --period 2026-10 resumes it"},
		{"no worker", func(f *WaitFacts) {
			f.NoWorker, f.DeferredFor, f.DeferredUntil = true, classify.Network, now.Add(time.Hour)
		},
			"no worker is running; start one; the export then continues by itself"},
		{"open writes", func(f *WaitFacts) { f.OpenUntil = now.Add(90 * time.Minute) },
			"what was sent to Xledger may still take effect until 16:30 CET, and nothing is sent again before that; nothing is to be done: Xledger is then asked what it has"},
		{"throttled until another day", func(f *WaitFacts) { f.DeferredFor, f.DeferredUntil = classify.RateLimited, now.Add(10*time.Hour) },
			"Xledger throttles the requests; the next try is at 28 November 2026 01:00 CET; nothing is to be done: it tries again by itself; if it happens often, lower limits.requestsPerMinute in the integration file"},
		{"a try that is over", func(f *WaitFacts) { f.DeferredFor, f.DeferredUntil = classify.RateLimited, now.Add(-time.Hour) },
			"nothing holds it up: it is under way; if it stays so, starter doctor says whether a worker takes its tasks"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := waitFacts()
			c.change(&f)
			require.Equal(t, c.says, f.Reason(now).String())
		})
	}
	require.NotContains(t, WaitFacts{Paused: true}.Reason(now).String(), "{", "also where little is known")
	for reason := range waits {
		require.Equal(t, reason == WaitForProgress, briefs[reason] == "", "a table says in a few words that it waits: %s", reason)
	}
}

// Every kind for which a run can wait has a row, and no kind has a row for nothing. Which
// can, [decide] says.
func TestEveryDeferralIsExplained(t *testing.T) {
	can := make(map[classify.Kind]bool)
	for _, kind := range classify.Kinds() {
		for _, step := range []Step{SendStep, AskStep, VerifyStep, PingStep, LateErrorsStep} {
			for _, effect := range []classify.Effect{classify.None, classify.Open, classify.Done} {
				for _, ended := range []bool{false, true} {
					d := decide(Result{Item: Item{Step: step}, OK: kind == classify.OK, Kind: kind, Class: kind.Class(), Effect: effect, Ended: ended, Asking: step != SendStep, Unanswered: !ended})
					can[kind] = can[kind] || d.action == pause
				}
			}
		}
	}
	require.True(t, can[classify.Paused])
	now := time.Date(2026, 11, 27, 15, 0, 0, 0, oslo)
	for _, kind := range classify.Kinds() {
		f := waitFacts()
		f.DeferredFor, f.DeferredUntil = kind, now.Add(time.Hour)
		r := f.Reason(now)
		require.NotContains(t, r.String()+r.Brief, "{", kind)
		require.Contains(t, r.Says, "16:00 CET", kind)
		if kind == classify.Paused {
			require.Equal(t, WaitForLook, r.For)
			continue
		}
		_, known := deferrals[kind]
		aside := kind == classify.Unsettled || kind == classify.Untrusted // also set aside
		require.Equal(t, can[kind] || aside, known, "%s: a run can wait for it: %t", kind, can[kind])
		require.False(t, known && strings.Contains(r.Says, "("+string(kind)+")"), kind)
		require.Equal(t, []any{WaitForVendor, kind}, []any{r.For, r.Kind})
	}
}
