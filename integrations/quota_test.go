package integrations_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/limits"
)

func TestParseLimits(t *testing.T) {
	parse := func(section string) (integrations.RequestLimits, error) {
		src := strings.Replace(good, "    retry: {maxRetries: 1, baseDelay: 500ms, budget: 30s}\n", "    limits: "+section+"\n", 1)
		list, err := integrations.Parse("x.yaml", []byte(src), integrations.Options{})
		if err != nil {
			return integrations.RequestLimits{}, err
		}
		require.Zero(t, list[0].Limits, "no section bounds nothing")
		return list[1].Limits, nil
	}
	l, err := parse("{requestsPerMinute: 60, concurrentRequests: 5, monthlyRequests: 5000, warnAt: 90, refuseAt100: true}")
	require.NoError(t, err)
	require.Equal(t, integrations.RequestLimits{RequestsPerMinute: 60, ConcurrentRequests: 5, MonthlyRequests: 5000, WarnAt: 90, RefuseAt100: true}, l)
	require.Equal(t, limits.Quota{Monthly: 5000, WarnAt: 90, Refuse: true}, l.Quota())
	l, err = parse("{monthlyRequests: 5000}")
	require.NoError(t, err)
	require.Equal(t, limits.Quota{Monthly: 5000, WarnAt: 80}, l.Quota())

	for section, says := range map[string]string{
		"{requestsPerMinute: 0}":                     `x.yaml:14:33: integrations[1].limits.requestsPerMinute: "0"; want a whole number from 1 to 60000`,
		"{requestsPerMinute: 1.5}":                   `"1.5"; want a whole number`,
		"{concurrentRequests: 1001}":                 "from 1 to 1000",
		"{monthlyRequests: -1}":                      "from 1 to 1000000000",
		"{monthlyRequests: 10, warnAt: 101}":         "from 1 to 100",
		"{monthlyRequests: 10, refuseAt100: maybe}":  "want true or false",
		"{monthlyRequests: 10, refuseAt100: 'true'}": "want true or false",
		"{warnAt: 80}":                               "add monthlyRequests",
		"{refuseAt100: true}":                        "add monthlyRequests",
		"{concurrent: 2}":                            "unknown field",
		"60":                                         "want a mapping",
	} {
		_, err := parse(section)
		require.ErrorContains(t, err, says, section)
	}
}
