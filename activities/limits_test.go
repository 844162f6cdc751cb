package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
)

// A file is checked with numbers that stand beside the adapters' names, since
// it cannot know the adapters. They must be the adapters' own.
func TestMaxChunkIsTheAdapters(t *testing.T) {
	found := 0
	for name, a := range activities.Adapters() {
		if x, ok := a.(adapters.Exporter); ok {
			require.Equal(t, x.Limits().Entries, adapters.MaxChunk(name), name)
			require.LessOrEqual(t, x.Limits().Default, adapters.MaxChunk(name), name)
			found++
		}
	}
	require.Positive(t, found)
	for _, name := range adapters.Names {
		require.Positive(t, adapters.MaxChunk(name), name)
	}
}
