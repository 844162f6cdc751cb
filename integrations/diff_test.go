package integrations_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
)

func TestDiff(t *testing.T) {
	minute, none := time.Minute, 0
	was := integrations.Default()
	was.Name, was.Adapter, was.BaseURL = "main", "xledger", "https://www.xledger.net/graphql"
	was.Credentials = map[string]integrations.Ref{"token": "env:OLD"}
	was.Export = integrations.ExportSettings{Dimensions: map[string]string{"internal": "", "department": "glObject1"}, Currencies: []string{"NOK"}}
	is := was
	is.Name, is.InFlight = "renamed", &minute
	is.Credentials = map[string]integrations.Ref{"token": "file:new"}
	is.Policy.BaseDelay = 2 * time.Second
	is.Schedule = &integrations.Schedule{Every: integrations.Monthly, Day: 3, Hour: 6, TimeZone: "Europe/Oslo"}
	is.Export = integrations.ExportSettings{Dimensions: map[string]string{"department": "glObject2"}, Currencies: []string{"NOK", "EUR"}, IsolateRequests: &none,
		Columns: map[string]string{"account": "Konto"}}
	is.Health = health.Policy{NoProbes: true}
	require.Empty(t, integrations.Diff(was, was))
	require.Equal(t, []integrations.FieldChange{
		{Field: "name", Old: "main", New: "renamed"},
		{Field: "inFlight", New: "1m0s"},
		{Field: "credentials.token", Old: "env:OLD", New: "file:new"},
		{Field: "retry.baseDelay", Old: "1s", New: "2s"},
		{Field: "schedule", New: "monthly on day 3 at 06:00 Europe/Oslo"},
		{Field: "export.dimensions.department", Old: "glObject1", New: "glObject2"},
		{Field: "export.currencies", Old: "NOK", New: "NOK, EUR"},
		{Field: "export.columns.account", New: "Konto"},
		{Field: "export.isolateRequests", New: "0"},
		{Field: "export.dimensions.internal", Old: `""`},
		{Field: "health.probes", New: "false"},
	}, integrations.Diff(was, is))
}
