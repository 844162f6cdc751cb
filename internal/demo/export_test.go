package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// What is printed to be pasted has each variable once.
func TestEnvironmentHasEachVariableOnce(t *testing.T) {
	env := []string{"A=1", "HOSTS=x", "HOSTS_B=3"}
	require.Equal(t, []string{"A=1", "HOSTS_B=3", "HOSTS=x,y"}, withVariable(env, "HOSTS", "x,y"))
}

// At whatever time of the day the demo is started, what its schedule exports has ended by
// then, or it waits for midnight.
func TestDemoExportsWhatHasEnded(t *testing.T) {
	in := integrations.Integration{Schedule: &integrations.Schedule{Every: integrations.Daily, TimeZone: integrations.DefaultTimeZone}}
	waited := 0
	for now := time.Date(2026, 11, 27, 0, 0, 0, 0, in.Zone()); now.Day() < 29; now = now.Add(7 * time.Second) {
		fires, sameDay := nextFiring(now)
		require.GreaterOrEqual(t, fires.Sub(now), 10*time.Second, now)
		period, err := in.Schedule.Period(fires)
		require.NoError(t, err)
		start, end, err := exports.ParsePeriod(period)
		require.NoError(t, err)
		require.Equal(t, sameDay, exports.Due(period, start, end, in.Today(now), false) == nil, now)
		if !sameDay {
			waited++
		}
	}
	require.Positive(t, waited)
}
