package adapters_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

// What is known to be there is asked for in each request of a question, and one
// that does not show it proves nothing.
func TestGroups(t *testing.T) {
	a, b, c, k := adapters.LookupKey{Key: "a"}, adapters.LookupKey{Key: "b"}, adapters.LookupKey{Key: "c"}, adapters.LookupKey{Key: "k", Known: true}
	require.Empty(t, adapters.SplitLookup(nil, 3))
	require.Equal(t, [][]adapters.LookupKey{{a, b}, {c}}, adapters.SplitLookup([]adapters.LookupKey{a, b, c}, 2))
	groups := adapters.SplitLookup([]adapters.LookupKey{a, k, b, c}, 3)
	require.Equal(t, [][]adapters.LookupKey{{a, b, k}, {c, k}}, groups)
	require.Equal(t, [][]adapters.LookupKey{{k}}, adapters.SplitLookup([]adapters.LookupKey{k}, 3))
	require.Equal(t, [][]adapters.LookupKey{{a, k}, {b, k}}, adapters.SplitLookup([]adapters.LookupKey{a, b, k}, 1), "one at a time at the least")

	one, two := adapters.LookupResult{Count: 1}, adapters.LookupResult{Count: 2}
	type answers = []map[string]adapters.LookupResult
	found, _, ok := adapters.MergeLookup(groups, answers{{"k": one, "a": two}, {"k": one}})
	require.True(t, ok)
	require.Equal(t, map[string]adapters.LookupResult{"k": one, "a": two}, found, "what is asked for in each request is not there as often")
	found, _, ok = adapters.MergeLookup(groups, answers{{"k": one}, {"k": two}})
	require.True(t, ok)
	require.Equal(t, map[string]adapters.LookupResult{"k": two}, found)
	_, v, ok := adapters.MergeLookup(groups, answers{{"k": one}, {"c": one}})
	require.False(t, ok)
	require.Equal(t, classify.Untrusted, v.Kind)
	_, _, ok = adapters.MergeLookup(groups, answers{{}, {}})
	require.True(t, ok, "that it is nowhere is for the caller to judge: it may have been posted")
}

// What is included costs nothing.
func TestEstimate(t *testing.T) {
	p := adapters.Price{Included: 5000, Pence: 1}
	for requests, want := range map[int64]string{0: "GBP 0.00", 5000: "GBP 0.00", 5001: "GBP 0.01", 6234: "GBP 12.34"} {
		require.Equal(t, want, p.Estimate(requests))
	}
}
