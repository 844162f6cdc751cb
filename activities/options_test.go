package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/activities"
)

// What is missing is named, and defaults do not change what the caller has.
func TestOptions(t *testing.T) {
	_, err := activities.New(activities.Options{})
	require.EqualError(t, err, "activities.Options.DB: want the worker's database")

	var o activities.Options
	complete := o.WithDefaults()
	require.Nil(t, o.Client)
	require.NotNil(t, complete.Client)
	require.NotNil(t, complete.Store)
	require.Len(t, complete.Adapters, len(activities.Adapters()))
	require.Nil(t, complete.Gate, "nothing is counted")
}
