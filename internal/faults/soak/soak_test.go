package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSoak is the short soak: every fault once, a seed that is always the same.
func TestSoak(t *testing.T) {
	r := run(t.Context(), config{seed: 20261124, length: time.Second, bound: 3 * time.Minute}, os.Stderr)
	t.Log(r.line())
	fmt.Println(r.line())
	require.Empty(t, r.violations)
	want := 0
	for _, f := range faults {
		want += inCycle(f)
	}
	require.Equal(t, want, r.fired+r.overtaken, "%d met a run, %d were too late for theirs", r.fired, r.overtaken)
}

// inCycle is how often a fault is planned in a cycle.
func inCycle(f fault) (n int) {
	if f.lane != vendorLane && f.lane != peopleLane {
		return 1
	}
	for _, v := range vendors {
		if f.only == nil || f.only(v) {
			n++
		}
	}
	return n
}

// The same seed makes the same plan, another one another.
func TestPlan(t *testing.T) {
	flat := func(p *plan) (s string) {
		for _, l := range p.lanes {
			for _, r := range l {
				s += fmt.Sprintln(r.number, r.book.name, r.book.id, r.period, r.start, r.fault.name, r.moment, r.entries)
			}
		}
		return s
	}
	require.Equal(t, flat(newPlan(1, 5*cycle, faults)), flat(newPlan(1, 5*cycle, faults)))
	require.NotEqual(t, flat(newPlan(1, cycle, faults)), flat(newPlan(2, cycle, faults)))
	p := newPlan(1, 5*cycle, faults)
	planned := make(map[string]int)
	imported := make(map[string]int)
	struck := make(map[string]map[string]bool) // vendors by fault
	for _, l := range append(p.lanes, lane{p.clock}) {
		for _, r := range l {
			planned[r.fault.name]++
			if struck[r.fault.name] == nil {
				struck[r.fault.name] = make(map[string]bool)
			}
			struck[r.fault.name][r.book.vendor.adapter] = true
			require.Equal(t, exported, r.entries[0].fate, "the marker's")
			for _, e := range r.entries {
				require.False(t, r.fault.whole && strings.ContainsAny(e.account[:1], "XK"), "%s %v", r.fault.name, e)
				imported[r.book.id.String()+e.id]++
				require.Equal(t, e, r.book.entries[e.id])
			}
		}
	}
	for _, f := range faults {
		require.Equal(t, 5*inCycle(f), planned[f.name], f.name)
		require.True(t, f.only != nil || len(struck[f.name]) == len(vendors), "%s strikes each vendor", f.name)
	}
	total := 0
	for _, b := range p.books {
		total += len(b.entries)
	}
	require.Equal(t, total, len(imported), "each entry is imported, once")
}

// Where a vendor acts and says that it refused, its own refusal would be hidden behind the
// fault's: what it did not store would be rejected for that. So these rounds are whole.
func TestWhatHidesARefusal(t *testing.T) {
	for _, f := range faults {
		if f.lane != vendorLane || f.whole {
			continue
		}
		for _, v := range vendors {
			for n := range 200 {
				for _, r := range f.rules(v, fmt.Sprint(n)) {
					acts := r.Act || r.EffectDelayMS > 0
					require.False(t, acts && (r.Status == 400 || r.Status == 422 || r.Status == 200), "%s of %s: %+v", f.name, v.adapter, r)
				}
			}
		}
	}
}
