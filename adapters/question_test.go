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
	a, b, c, k := adapters.Sought{Key: "a"}, adapters.Sought{Key: "b"}, adapters.Sought{Key: "c"}, adapters.Sought{Key: "k", Known: true}
	require.Empty(t, adapters.Groups(nil, 3))
	require.Equal(t, [][]adapters.Sought{{a, b}, {c}}, adapters.Groups([]adapters.Sought{a, b, c}, 2))
	groups := adapters.Groups([]adapters.Sought{a, k, b, c}, 3)
	require.Equal(t, [][]adapters.Sought{{a, b, k}, {c, k}}, groups)
	require.Equal(t, [][]adapters.Sought{{k}}, adapters.Groups([]adapters.Sought{k}, 3))
	require.Equal(t, [][]adapters.Sought{{a, k}, {b, k}}, adapters.Groups([]adapters.Sought{a, b, k}, 1), "one at a time at the least")

	one, two := adapters.Found{Count: 1}, adapters.Found{Count: 2}
	type answers = []map[string]adapters.Found
	found, _, ok := adapters.Proved(groups, answers{{"k": one, "a": two}, {"k": one}})
	require.True(t, ok)
	require.Equal(t, map[string]adapters.Found{"k": one, "a": two}, found, "what is asked for in each request is not there as often")
	found, _, ok = adapters.Proved(groups, answers{{"k": one}, {"k": two}})
	require.True(t, ok)
	require.Equal(t, map[string]adapters.Found{"k": two}, found)
	_, v, ok := adapters.Proved(groups, answers{{"k": one}, {"c": one}})
	require.False(t, ok)
	require.Equal(t, classify.Untrusted, v.Kind)
	_, _, ok = adapters.Proved(groups, answers{{}, {}})
	require.True(t, ok, "that it is nowhere is for the caller to judge: it may have been posted")
}

// What is included costs nothing.
func TestEstimate(t *testing.T) {
	p := adapters.Price{Included: 5000, Pence: 1}
	for requests, want := range map[int64]string{0: "GBP 0.00", 5000: "GBP 0.00", 5001: "GBP 0.01", 6234: "GBP 12.34"} {
		require.Equal(t, want, p.Estimate(requests))
	}
}
