package integrations_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
)

const (
	plainOrganization = "organization: 7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10\n"
	namedOrganization = `organization:
  id: 7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10
  name: Norsk Eksempel AS
  short: eksempel
`
)

// An organization is a UUID, or a UUID with names: the integrations are the same.
func TestOrganizationHasNames(t *testing.T) {
	before, err := integrations.ParseFile("x.yaml", []byte(good), integrations.Options{})
	require.NoError(t, err)
	require.Empty(t, before.Organizations)
	named := strings.Replace(good, plainOrganization, namedOrganization, 1)
	after, err := integrations.ParseFile("x.yaml", []byte(named+"---\n"+good[:len(plainOrganization)]+`integrations:
  - {id: 0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f003, name: other, adapter: xledger, baseURL: https://www.xledger.net/graphql, credentials: {token: env:T}}
`), integrations.Options{})
	require.NoError(t, err)
	require.Equal(t, before.Integrations, after.Integrations[:2])
	require.Equal(t, []integrations.Organization{{ID: before.Integrations[0].OrganizationID, Name: "Norsk Eksempel AS", Short: "eksempel"}}, after.Organizations)
	require.Equal(t, "eksempel", after.Organizations[0].String())
	require.Equal(t, uuid.Nil.String(), integrations.Organization{}.String())
}

// Every error names its line and column, and what would be right.
func TestOrganizationErrors(t *testing.T) {
	for name, c := range map[string]struct{ old, new, says string }{
		"unknown field":    {"short:", "shrot:", "x.yaml:4:3: organization.shrot: unknown field (did you mean short?)"},
		"no ID":            {"  id: 7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10\n", "", "x.yaml:2:3: organization.id: missing"},
		"no name":          {"  name: Norsk Eksempel AS\n", "", "x.yaml:2:3: organization.name: missing"},
		"no short name":    {"  short: eksempel\n", "", "x.yaml:2:3: organization.short: missing"},
		"bad ID":           {"7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10", "17", `x.yaml:2:7: organization.id: "17" is not a UUID`},
		"upper case":       {"eksempel", "Eksempel", `x.yaml:4:10: organization.short: "Eksempel"; want 1 to 63 lower-case letters, digits and dashes, and no UUID`},
		"too long":         {"eksempel", strings.Repeat("a", 64), "want 1 to 63"},
		"a UUID":           {"eksempel", "7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10", "and no UUID"},
		"a UUID, unspaced": {"eksempel", "7b0b9f3e0a514d0c9c530c4f6a3a1f10", "and no UUID"},
		"invisible":        {"Norsk Eksempel AS", "\"Norsk\\u200bEksempel\"", "x.yaml:3:9: organization.name: has the invisible character U+200B"},
		"no characters":    {"Norsk Eksempel AS", `" "`, "x.yaml:3:9: organization.name: 0 characters; want 1 to 200"},
		"very long":        {"Norsk Eksempel AS", strings.Repeat("å", 201), "organization.name: 201 characters; want 1 to 200"},
	} {
		_, err := integrations.ParseFile("x.yaml", []byte(strings.Replace(strings.Replace(good, plainOrganization, namedOrganization, 1), c.old, c.new, 1)), integrations.Options{})
		require.ErrorContains(t, err, c.says, name)
	}
	one := strings.Replace(good, plainOrganization, namedOrganization, 1)
	for name, c := range map[string]struct{ old, new, says string }{
		"other names":          {"Norsk Eksempel AS", "Other", "organization 7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10 has other names above; write them once"},
		"another's short name": {"7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10", "7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f11", `duplicate short name "eksempel"; organization 7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10 has it`},
	} {
		two := strings.ReplaceAll(strings.ReplaceAll(one, "8f002", "8f004"), "8f001", "8f003")
		_, err := integrations.ParseFile("x.yaml", []byte(one+"---\n"+strings.Replace(two, c.old, c.new, 1)), integrations.Options{})
		require.ErrorContains(t, err, c.says, name)
	}
}
