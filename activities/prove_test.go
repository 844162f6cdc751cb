package activities

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/runlog"
)

func TestProve(t *testing.T) {
	one, two := runlog.Sending{CorrelationID: uuid.New(), Attempt: 1}, runlog.Sending{CorrelationID: uuid.New(), Attempt: 1}
	entry := func(id string, in runlog.Sending, wait time.Duration) runlog.ChunkEntry {
		return runlog.ChunkEntry{EntryID: id, VendorKey: "k" + id, SentIn: in, Open: true, Wait: wait}
	}
	there := func(ids ...string) map[string]adapters.LookupResult {
		found := map[string]adapters.LookupResult{}
		for _, id := range ids {
			found["k"+id] = adapters.LookupResult{Count: 1, Reference: "r" + id}
		}
		return found
	}
	for _, c := range []struct {
		name                 string
		open                 []runlog.ChunkEntry
		found                map[string]adapters.LookupResult
		atomic               bool
		there, none, unknown []string
		stay                 int
	}{
		{"all there, at any time", []runlog.ChunkEntry{entry("a", one, time.Hour), entry("b", one, time.Hour)}, there("a", "b"), true, []string{"a", "b"}, nil, nil, 0},
		{"fewer proves nothing before its time", []runlog.ChunkEntry{entry("a", one, time.Hour), entry("b", one, time.Hour)}, there("a"), true, []string{"a"}, nil, nil, 1},
		{"none there, in time", []runlog.ChunkEntry{entry("a", one, 0), entry("b", one, 0)}, there(), true, nil, []string{"a", "b"}, nil, 0},
		{"some of what is all or nothing", []runlog.ChunkEntry{entry("a", one, 0), entry("b", one, 0)}, there("a"), true, []string{"a"}, nil, []string{"b"}, 0},
		{"some of what may roll back", []runlog.ChunkEntry{entry("a", one, 0), entry("b", one, 0)}, there("a"), false, []string{"a"}, []string{"b"}, nil, 0},
		{"sendings are judged apart", []runlog.ChunkEntry{entry("a", one, 0), entry("b", two, 0)}, there("a"), true, []string{"a"}, []string{"b"}, nil, 0},
		{"the rest of one that was found before", []runlog.ChunkEntry{{EntryID: "b", VendorKey: "kb", SentIn: one, Open: true, PartlyExported: true}}, there(), true, nil, nil, []string{"b"}, 0},
		{"elsewhere", []runlog.ChunkEntry{entry("a", one, 0)}, map[string]adapters.LookupResult{"ka": {Elsewhere: "posted"}}, false, nil, nil, []string{"a"}, 0},
		{"elsewhere, before its time", []runlog.ChunkEntry{entry("a", one, time.Minute)}, map[string]adapters.LookupResult{"ka": {Elsewhere: "posted"}}, false, nil, nil, nil, 1},
		{"twice is there", []runlog.ChunkEntry{entry("a", one, 0)}, map[string]adapters.LookupResult{"ka": {Count: 2}}, true, []string{"a"}, nil, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := prove(c.open, c.found, c.atomic)
			require.Len(t, p.Exported, len(c.there))
			for _, id := range c.there {
				require.Contains(t, p.Exported, id)
			}
			require.Equal(t, c.none, p.Absent)
			require.Len(t, p.Unknown, len(c.unknown))
			for _, id := range c.unknown {
				require.NotEmpty(t, p.Unknown[id])
			}
			require.Equal(t, c.stay, p.open)
			if c.stay > 0 {
				require.Positive(t, p.wait)
			}
		})
	}
}

// What is known of an invocation's writes, folded over its attempts.
func TestTrailEffect(t *testing.T) {
	until := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	done, none, open := Attempt{Effect: classify.Done}, Attempt{Effect: classify.None}, Attempt{Effect: classify.Open, OpenUntil: until}
	ended := Attempt{Effect: classify.Open, Ended: true, OpenUntil: until.Add(-time.Second)}
	asked := Attempt{Asking: true}
	for i, c := range []struct {
		trail  Trail
		effect classify.Effect
		ended  bool
	}{
		{nil, "", false},
		{Trail{asked}, "", false},
		{Trail{none, done}, classify.Done, false},
		{Trail{open, none}, classify.Open, false},
		{Trail{ended, none}, classify.Open, true},
		{Trail{ended, open}, classify.Open, false},
		{Trail{open, asked}, classify.Open, false},
		{Trail{open, {Found: classify.None, Effect: classify.None}}, classify.None, false},
		{Trail{open, {Found: classify.None}}, classify.None, false},
		{Trail{open, {Found: classify.Done}}, classify.Done, false},
		{Trail{open, {Found: classify.None, Effect: classify.Open, Ended: true}}, classify.Open, true},
		{Trail{done, open}, classify.Open, false},
		{Trail{open, {Found: classify.Done, Effect: classify.Open, Ended: true}}, classify.Open, true}, // a part was there, and the rest is refused
		{Trail{open, {Found: classify.Done, Effect: classify.None}}, classify.Done, false},
		{Trail{none, none}, classify.None, false},
		{Trail{}.Lost(2, until, until), classify.Open, false},
	} {
		effect, over, at := c.trail.Effect()
		require.Equal(t, []any{c.effect, c.ended}, []any{effect, over}, fmt.Sprint(i))
		if effect == classify.Open && i == 3 {
			require.Equal(t, until, at)
		}
	}
}

// An attempt's numbers go on after those of an earlier run.
func TestTrailFrom(t *testing.T) {
	now := time.Now()
	trail := Trail{}.Begin(1, now, now).From(4)
	require.Equal(t, 4, trail.Last().Number)
	trail[0].Class, trail[0].Kind, trail[0].EndedAt = classify.Transient, classify.Unavailable, now
	trail = trail.Begin(2, now, now)
	require.Equal(t, 5, trail.Last().Number)
	require.Equal(t, 8, trail.Lost(5, now, now).Last().Number)
	require.Equal(t, 8, trail.Begin(5, now, now).Last().Number, "a gap is filled")
}

// Other content is waited for only where it could replace what is sent now.
func TestInFlightOf(t *testing.T) {
	none, minute := time.Duration(0), time.Minute
	for name, c := range map[string]struct{ vendors, none, minute runlog.InFlight }{
		"xledger":         {runlog.InFlight{Same: 2 * time.Minute}, runlog.InFlight{}, runlog.InFlight{Same: minute}},
		"businesscentral": {runlog.InFlight{Same: 17 * time.Minute}, runlog.InFlight{}, runlog.InFlight{Same: minute}},
		"dataverse":       {runlog.InFlight{Changed: 2 * time.Minute}, runlog.InFlight{}, runlog.InFlight{Same: minute, Changed: minute}},
	} {
		v, ok := vendors.Lookup(name)
		require.True(t, ok)
		require.Equal(t, c.vendors, inFlightOf(v, nil), name)
		require.Equal(t, c.none, inFlightOf(v, &none), name)
		require.Equal(t, c.minute, inFlightOf(v, &minute), name)
	}
}
