package integrations_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
)

// When the client secret ends is a date, and nothing else.
func TestClientSecretExpires(t *testing.T) {
	parse := func(value string) ([]integrations.Integration, error) {
		src := strings.Replace(good, "clientId: c", "clientId: c, clientSecretExpires: "+value, 1)
		return integrations.Parse("x.yaml", []byte(src), integrations.Options{})
	}
	for _, value := range []string{"2027-01-31", `"2027-01-31"`, "2028-02-29"} {
		list, err := parse(value)
		require.NoError(t, err, value)
		require.Equal(t, strings.Trim(value, `"`), list[1].Settings["clientSecretExpires"])
	}
	for _, value := range []string{"2027-02-29", "2027-1-31", "0227-01-31", "31.01.2027", "2027-01-31T00:00:00Z", "2100-01-01", "soon"} {
		_, err := parse(value)
		require.EqualError(t, err, `x.yaml:12:63: integrations[1].settings.clientSecretExpires: "`+value+`"; want a date such as 2027-01-31`)
	}
	for value, says := range map[string]string{
		`""`:           "x.yaml:12:63: integrations[1].settings.clientSecretExpires: want a text of 1 to 256 characters",
		"[2027-01-31]": "a list; want a text",
		"~":            "nothing; want a text",
		"2027-01-31, clientSecretExpires: 2028-01-31": "duplicate field (first on line",
		"2027-01-31, clientSecretExpire: 2028-01-31":  "did you mean clientSecretExpires?",
	} {
		_, err := parse(value)
		require.ErrorContains(t, err, says, value)
	}
	src := strings.Replace(good, "/graphql\n", "/graphql\n    settings: {clientSecretExpires: 2027-01-31}\n", 1)
	_, err := integrations.Parse("x.yaml", []byte(src), integrations.Options{})
	require.ErrorContains(t, err, "unknown field; known are amounts")
}

// What exports need can be left out, and is checked where it stands.
func TestExportSettings(t *testing.T) {
	parse := func(adapter, baseURL, settings string) ([]integrations.Integration, error) {
		src := strings.NewReplacer("adapter: dataverse", "adapter: "+adapter, "https://org.crm4.dynamics.com/api/data/v9.2/", baseURL,
			"clientId: c", "clientId: c"+settings).Replace(good)
		return integrations.Parse("x.yaml", []byte(src), integrations.Options{})
	}
	crm, erp := "https://org.crm4.dynamics.com/api/data/v9.2/", "https://api.businesscentral.dynamics.com/v2.0/production/api/v2.0/"
	list, err := parse("dataverse", crm, ", table: acme_ledgerlines, prefix: acme_")
	require.NoError(t, err)
	require.Equal(t, "acme_", list[1].Settings["prefix"])
	_, err = parse("businesscentral", erp, ", companyId: 0a0a0a0a-1b1b-4c2c-8d3d-4e4e4e4e4e4e, journalId: 5f5f5f5f-6a6a-4b7b-8c8c-9d9d9d9d9d9d")
	require.NoError(t, err)
	_, err = parse("businesscentral", erp, "")
	require.NoError(t, err)

	for settings, says := range map[string]string{
		", table: a/b":           `x.yaml:12:49: integrations[1].settings.table: "a/b"; want an entity set name`,
		", prefix: acme":         "want a publisher's prefix",
		", prefix: Acme_":        "want a publisher's prefix",
		", journalId: x":         "unknown field",
		`, prefix: ""`:           "want a text of 1 to 256 characters",
		", table: {a: b}":        "want a text",
		", tabel: acme_accounts": "did you mean table?",
	} {
		_, err = parse("dataverse", crm, settings)
		require.ErrorContains(t, err, says)
	}
	_, err = parse("businesscentral", erp, ", companyId: CRONUS")
	require.ErrorContains(t, err, `"CRONUS"; want the company's GUID`)
}

// What of a file a contract with a vendor depends on, and what not.
func TestContractFile(t *testing.T) {
	in := func() integrations.Integration {
		return integrations.Integration{
			Adapter: "dataverse", BaseURL: "https://x.crm4.dynamics.com", Settings: map[string]string{"table": "a", "clientSecretExpires": "2027-01-31"},
			Credentials: map[string]integrations.Ref{"clientSecret": "env:S"}, Export: integrations.ExportSettings{Dimensions: map[string]string{"d": "dep"}},
		}
	}
	base := in().ContractFile()
	for name, change := range map[string]func(i *integrations.Integration){
		"address": func(i *integrations.Integration) { i.BaseURL += "/x" }, "setting": func(i *integrations.Integration) { i.Settings["table"] = "b" },
		"reference": func(i *integrations.Integration) { i.Credentials["clientSecret"] = "env:T" },
		"dimension": func(i *integrations.Integration) { i.Export.Dimensions["e"] = "x" },
	} {
		i := in()
		change(&i)
		require.NotEqual(t, base, i.ContractFile(), name)
	}
	i := in()
	i.Settings["clientSecretExpires"], i.Export.ChunkSize, i.Name = "2028-01-31", 7, "other"
	require.Equal(t, base, i.ContractFile())
}

// Amounts are a text or a number.
func TestAmounts(t *testing.T) {
	for value, ok := range map[string]bool{"text": true, "number": true, "both": false} {
		_, err := integrations.Parse("x.yaml", []byte(strings.Replace(good, "/graphql\n", "/graphql\n    settings: {amounts: "+value+"}\n", 1)), integrations.Options{})
		require.Equal(t, ok, err == nil, "%v", err)
	}
}
