package integrations_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/notify"
)

// No file overrules another one: what two of them say of the same is the same, or an error
// that names both.
func TestJoin(t *testing.T) {
	acme := integrations.Organization{ID: uuid.MustParse("7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10"), Name: "Acme AS", Short: "acme"}
	renamed, other := acme, integrations.Organization{ID: uuid.MustParse("7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f11"), Name: "Other", Short: "acme"}
	renamed.Name = "Acme Norge AS"
	main := integrations.Integration{ID: uuid.MustParse("0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001"), OrganizationID: acme.ID, Name: "main"}
	crm := main
	crm.Name = "crm"
	file := func(name string, organization integrations.Organization, list ...integrations.Integration) integrations.NamedFile {
		return integrations.NamedFile{Name: name, File: integrations.File{Integrations: list, Organizations: []integrations.Organization{organization}}}
	}
	channels := func(name string) integrations.NamedFile {
		f := file(name, acme)
		f.Channels = map[uuid.UUID][]integrations.Channel{acme.ID: {}}
		return f
	}
	all, err := integrations.Join([]integrations.NamedFile{file("a.yaml", acme, main), channels("b.yaml")})
	require.NoError(t, err)
	require.Equal(t, integrations.File{
		Integrations: []integrations.Integration{main}, Organizations: []integrations.Organization{acme}, Channels: map[uuid.UUID][]integrations.Channel{acme.ID: {}},
	}, all)
	for says, second := range map[string]integrations.NamedFile{
		"organization 7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10 is acme (Acme AS) in a.yaml and acme (Acme Norge AS) in b.yaml; write the same names in both, or in one of them only its UUID":   file("b.yaml", renamed),
		"organizations 7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10 in a.yaml and 7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f11 in b.yaml have the same short name \"acme\"; choose another for one of them": file("b.yaml", other),
		"integrations main in a.yaml and crm in b.yaml have the same ID 0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001; give one of them another":                                                     file("b.yaml", acme, crm),
		"organization 7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10 has a notifications section in a.yaml and in b.yaml; put all of its channels in one":                                             channels("b.yaml"),
	} {
		first := channels("a.yaml")
		first.Integrations = []integrations.Integration{main}
		_, err := integrations.Join([]integrations.NamedFile{first, second})
		require.EqualError(t, err, says)
	}
}

// What differs in a channel or in names is said as of an integration.
func TestDiffOfChannelsAndNames(t *testing.T) {
	hook := integrations.Channel{Name: "ops", Webhook: &integrations.Webhook{URL: "https://hooks.example.com/x", Secret: "env:X"}}
	mail := integrations.Channel{Name: "ops", Email: &integrations.Email{To: []string{"a@example.com", "b@example.com"}}, Causes: []notify.Cause{notify.Missed}}
	require.Empty(t, integrations.DiffChannels(hook, hook))
	require.Equal(t, []integrations.FieldChange{
		{Field: "email.to", New: "a@example.com, b@example.com"}, {Field: "causes", New: "missed"},
		{Field: "webhook.url", Old: "https://hooks.example.com/x"}, {Field: "webhook.secret", Old: "env:X"},
	}, integrations.DiffChannels(hook, mail))
	was, is := integrations.Organization{Name: "Acme AS"}, integrations.Organization{Name: "Acme Norge AS", Short: "acme"}
	require.Empty(t, integrations.DiffOrganizations(was, was))
	require.Equal(t, []integrations.FieldChange{{Field: "name", Old: "Acme AS", New: "Acme Norge AS"}, {Field: "short", New: "acme"}}, integrations.DiffOrganizations(was, is))
}
