package integrations_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/integrations"
)

// section is one of a vendor's integration: names and values.
type section map[string]string

// fileOf is an integration of a vendor with what it must have. edit may change
// that; more are further lines.
func fileOf(t *testing.T, v adapters.Vendor, edit func(settings, credentials section), more string) []byte {
	settings, credentials := section{}, section{}
	for _, s := range v.Settings {
		if s.Required {
			settings[s.Name] = "x"
		}
	}
	for _, name := range v.Credentials {
		credentials[name] = "env:SECRET"
	}
	edit(settings, credentials)
	first, err := json.Marshal(settings)
	require.NoError(t, err)
	second, err := json.Marshal(credentials)
	require.NoError(t, err)
	return fmt.Appendf(nil, `organization: 7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10
integrations:
  - id: 0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001
    name: x
    adapter: %s
    baseURL: %s
    settings: %s
    credentials: %s
%s`, v.Name, v.Base, first, second, more)
}

// What a file may hold follows from the list of vendors alone.
func TestFilesOfEveryVendor(t *testing.T) {
	for _, v := range vendors.All {
		t.Run(v.Name, func(t *testing.T) {
			with := func(edit func(settings, credentials section), more string) error {
				_, err := integrations.Parse("x.yaml", fileOf(t, v, edit, more), integrations.Options{})
				return err
			}
			parse := func(more string) error { return with(func(section, section) {}, more) }
			set := func(name, value string) error { return with(func(s, _ section) { s[name] = value }, "") }
			export := func(key string, value any) error { return parse(fmt.Sprintf("    export: {%s: %v}\n", key, value)) }
			require.NoError(t, parse(""))
			require.NoError(t, parse("    inFlight: 1m\n"))
			base := func(is string) error {
				src := strings.Replace(string(fileOf(t, v, func(section, section) {}, "")), v.Base, is, 1)
				_, err := integrations.Parse("x.yaml", []byte(src), integrations.Options{})
				return err
			}
			require.NoError(t, base(v.Base+"/"))
			address, err := url.Parse(v.Base)
			require.NoError(t, err)
			for _, wrong := range []string{"", "/", "/x", address.Path + "/companies", "/x" + address.Path, strings.ToUpper(address.Path), address.Path + "x", strings.Replace(address.Path, "v", "w", 1) + "/?"} {
				require.ErrorContains(t, base("https://"+address.Host+wrong), "baseURL", "%q", wrong)
			}
			require.ErrorContains(t, base("https://"+address.Host), "want that of the API, as in "+v.Base)
			require.Error(t, set("never", "x"))
			for _, name := range v.Credentials {
				require.ErrorContains(t, with(func(_, c section) { delete(c, name) }, ""), "credentials."+name+": missing")
			}
			for _, s := range v.Settings {
				if s.Required {
					require.ErrorContains(t, with(func(m, _ section) { delete(m, s.Name) }, ""), "settings."+s.Name+": missing")
				}
				if s.Pattern != nil {
					require.ErrorContains(t, set(s.Name, "!"), "want "+s.Want)
				}
				if s.Hosts != nil {
					require.ErrorContains(t, set(s.Name, "https://evil.example"), "want "+s.Hosts[0])
				}
			}

			require.NoError(t, export("chunkSize", v.Export.Entries))
			require.ErrorContains(t, export("chunkSize", v.Export.Entries+1), fmt.Sprintf("want 1 to %d", v.Export.Entries))
			require.Equal(t, v.Export.Currencies, export("currencies", "[NOK, EUR]") == nil)
			require.Equal(t, v.Export.Dimensions == nil, export("dimensions", "{department: whatever}") == nil)
			for _, field := range v.Export.Dimensions {
				require.NoError(t, export("dimensions", "{department: "+field+"}"))
			}
		})
	}
	src := strings.Replace(good, "adapter: xledger", "adapter: sap", 1)
	_, err := integrations.Parse("x.yaml", []byte(src), integrations.Options{})
	require.ErrorContains(t, err, "want "+strings.Join(vendors.Names(), ", "))
}
