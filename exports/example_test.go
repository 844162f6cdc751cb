package exports_test

import (
	"fmt"
	"time"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
)

// A run of two chunks, whose vendor is unavailable for a moment.
func ExampleProgress() {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	answers := []exports.Result{
		{OK: true},
		{Kind: classify.Unavailable, Class: classify.Transient, Effect: classify.None},
		{OK: true},
	}
	run := exports.Progress{Plan: exports.Plan{Chunks: 2}}
	run.Begin()
	for !run.Over() && !run.Failed() {
		item, ok, sleep := run.Take(now)
		if !ok { // all that is left waits for what the vendor may still be doing
			now = now.Add(sleep)
			continue
		}
		result := answers[0] // in place of a request
		answers, result.Item = answers[1:], item
		followUp := run.Follow(result, now, 0)
		fmt.Printf("chunk %d: done %v, wait %v\n", item.Chunk, result.OK, followUp.Sleep)
		now = now.Add(followUp.Sleep)
	}
	run.Finish()
	// Output:
	// chunk 1: done true, wait 0s
	// chunk 2: done false, wait 1m0s
	// chunk 2: done true, wait 0s
}
