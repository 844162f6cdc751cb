package integrations_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
)

func TestHealthInFile(t *testing.T) {
	with := func(section string) (health.Policy, error) {
		list, err := integrations.Parse("x.yaml", []byte(strings.Replace(good, "    credentials: {token", "    health: "+section+"\n    credentials: {token", 1)), integrations.Options{})
		if err != nil {
			return health.Policy{}, err
		}
		return list[0].Health, nil
	}
	for section, want := range map[string]health.Policy{
		"{}":                               {},
		"{interval: 15m, maxInterval: 4h}": {Interval: 15 * time.Minute, MaxInterval: 4 * time.Hour},
		"{interval: 6h, probes: true}":     {Interval: 6 * time.Hour},
		"{probes: false}":                  {NoProbes: true},
		"{maxInterval: 168h, interval: \"0.5h\"}": {Interval: 30 * time.Minute, MaxInterval: 168 * time.Hour},
	} {
		got, err := with(section)
		require.NoError(t, err, section)
		require.Equal(t, want, got, section)
	}
	for section, says := range map[string]string{
		"{interval: 5m}":                   "health.interval: 5m0s; want 15m0s to",
		"{interval: 14m59s}":               "vendors limit and bill probes",
		"{interval: 15}":                   "is not a duration",
		"{interval: 0s}":                   "is not a duration",
		"{interval: 1h, maxInterval: 30m}": "health.maxInterval: 30m0s; want the interval, 1h0m0s",
		"{maxInterval: 169h}":              "health.maxInterval",
		"{probes: sometimes}":              "want true or false",
		"{probe: false}":                   "did you mean probes?",
		"on":                               "want a mapping",
	} {
		_, err := with(section)
		require.ErrorContains(t, err, says, section)
	}
}
