package vendors_test

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/expiry"
)

var (
	validName = regexp.MustCompile(`^[a-z]+$`)
	validHost = regexp.MustCompile(`^\.?[a-z0-9-]+(\.[a-z0-9-]+)+$`)
	validKey  = regexp.MustCompile(`^[a-z][A-Za-z]*$`) // of a setting or a credential
)

// What everybody relies on holds of each vendor.
func TestDescriptors(t *testing.T) {
	names := make(map[string]bool)
	for i, a := range vendors.New() {
		v := a.Vendor()
		t.Run(v.Name, func(t *testing.T) {
			require.Regexp(t, validName, v.Name)
			require.False(t, names[v.Name], "another vendor has the same name")
			names[v.Name] = true
			require.True(t, strings.HasSuffix(reflect.TypeOf(a).PkgPath(), "/adapters/"+v.Name), "its folder has another name: %s", reflect.TypeOf(a).PkgPath())
			require.NotEmpty(t, v.Title)
			require.Equal(t, v, a.Vendor(), "the same every time")
			require.Equal(t, v, vendors.All[i])
			found, ok := vendors.Lookup(v.Name)
			require.True(t, ok)
			require.Equal(t, v, found)

			require.NotEmpty(t, v.Hosts)
			for _, host := range v.Hosts {
				require.Regexp(t, validHost, host)
				u := &url.URL{Scheme: "https", Host: "a" + host, Path: "/x"}
				if !strings.HasPrefix(host, ".") {
					require.Error(t, adapters.CheckURL(v.Name, v.Hosts, u, nil), "another name must not pass")
					u.Host = host
				}
				require.NoError(t, adapters.CheckURL(v.Name, v.Hosts, u, nil))
			}
			require.NotEmpty(t, v.Credentials, "who may be called without a secret?")
			for _, name := range v.Credentials {
				require.Regexp(t, validKey, name)
			}
			require.Len(t, slices.Compact(slices.Sorted(slices.Values(v.Credentials))), len(v.Credentials))
			settings(t, v)
			codes(t, v)

			x := v.Export
			_, exporter := a.(adapters.Exporter)
			require.Equal(t, exporter, x.Entries > 0, "an exporter says how many entries a request takes, and only an exporter does")
			if exporter {
				require.GreaterOrEqual(t, x.Default, 2, "a voucher has two lines at least")
				require.LessOrEqual(t, x.Default, x.Entries)
				require.Less(t, x.Entries, adapters.MaxKeys, "all of a request and one that is known to be there are asked for at once")
				require.Len(t, slices.Compact(slices.Sorted(slices.Values(x.Dimensions))), len(x.Dimensions))
			} else {
				require.Zero(t, x)
			}

			require.GreaterOrEqual(t, v.InFlight, time.Duration(0))
			require.GreaterOrEqual(t, v.InFlightChanged, time.Duration(0))
			same, changed := v.InFlightOf(nil)
			require.Equal(t, v.InFlight, same)
			require.Equal(t, max(v.InFlight, v.InFlightChanged), changed)
			for _, override := range []time.Duration{0, time.Second, time.Hour} {
				same, changed = v.InFlightOf(&override)
				require.Equal(t, []time.Duration{override, override}, []time.Duration{same, changed})
			}
		})
	}
	require.Equal(t, len(names), len(vendors.All))
	_, ok := vendors.Lookup("")
	require.False(t, ok)
}

// settings checks a vendor's settings, and what is said of those that exports need.
func settings(t *testing.T, v adapters.Vendor) {
	seen, forExport := make(map[string]bool), 0
	for _, s := range v.Settings {
		require.Regexp(t, validKey, s.Name)
		require.False(t, seen[s.Name], "%s is there twice", s.Name)
		seen[s.Name] = true
		require.False(t, s.Required && s.ForExport, "%s: what is always required is there for exports too", s.Name)
		if s.Pattern != nil || s.ForExport {
			require.NotEmpty(t, s.Want, "%s: nobody learns what it should look like", s.Name)
		}
		if s.Pattern != nil {
			require.EqualError(t, s.Check("not a value"), s.Want)
		}
		if s.ForExport {
			forExport++
			err := v.NeedSettings(nil)
			require.ErrorContains(t, err, fmt.Sprintf("settings.%s: missing; exports need it: add %s", s.Name, s.Want))
		}
	}
	if forExport == 0 {
		require.NoError(t, v.NeedSettings(nil))
	} else {
		require.Len(t, strings.Split(v.NeedSettings(nil).Error(), "\n"), forExport, "all at once")
	}
}

// codes checks a vendor's table of error codes.
func codes(t *testing.T, v adapters.Vendor) {
	require.Equal(t, v.Name, v.Codes.Name)
	require.NotEmpty(t, v.Codes.Dialect)
	require.NotEmpty(t, v.Codes.Codes)
	for code, rule := range v.Codes.Codes {
		require.Equal(t, classify.CanonicalCode(code), code, "it would never be found")
		require.Contains(t, classify.Kinds(), rule.Kind, code)
		require.NotEqual(t, classify.Success, rule.Kind.Class(), code)
		require.Contains(t, []classify.Effect{"", classify.None}, rule.Effect, "%s: an error is no confirmation", code)
	}
	require.Equal(t, v.Codes, vendors.Tables()[v.Name])
}

// Each folder that describes a vendor is in the list.
func TestEveryFolderIsListed(t *testing.T) {
	var described []string
	files, err := filepath.Glob("../*/*.go")
	require.NoError(t, err)
	for _, file := range files {
		src, err := os.ReadFile(file)
		require.NoError(t, err)
		if regexp.MustCompile(`(?m)^var Vendor = adapters\.Vendor\{`).Match(src) {
			described = append(described, filepath.Base(filepath.Dir(file)))
		}
	}
	require.Equal(t, slices.Sorted(slices.Values(vendors.Names())), slices.Sorted(slices.Values(described)))
}

// A setting that says when a credential ends is of a credential that the vendor
// takes, and says nothing of where requests go: a new date must not make what was
// sent before look as if it had gone elsewhere.
func TestEnds(t *testing.T) {
	for _, v := range vendors.All {
		settings := map[string]string{"tenantId": "t"}
		before := []string{v.Address("https://x/y", settings), v.Place("https://x/y", settings)}
		require.Empty(t, v.Ends(settings))
		var want []expiry.Secret
		for _, s := range v.Settings {
			if s.Ends == "" {
				continue
			}
			require.Contains(t, v.Credentials, s.Ends, v.Name)
			require.False(t, s.Required || s.Locates || s.ForExport, v.Name)
			settings[s.Name] = "2027-01-31"
			want = append(want, expiry.Secret{Credential: s.Ends, Source: expiry.File, ExpiresAt: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)})
		}
		require.Equal(t, want, v.Ends(settings), v.Name)
		require.Equal(t, slices.Contains(v.Credentials, "clientSecret"), len(want) == 1, "%s: Entra's client secrets have an end", v.Name)
		require.Equal(t, before, []string{v.Address("https://x/y", settings), v.Place("https://x/y", settings)}, v.Name)
		for name := range settings {
			settings[name] = "soon"
		}
		require.Empty(t, v.Ends(settings), v.Name)
	}
}

// table is what docs/vendors.md says that each vendor takes.
func table() string {
	code := func(list []string) string {
		out := make([]string, len(list))
		for i, s := range list {
			out[i] = "`" + s + "`"
		}
		return strings.Join(out, ", ")
	}
	number := func(n int) string {
		if n == 0 {
			return "none"
		}
		return fmt.Sprint(n)
	}
	duration := func(d time.Duration) string {
		s := d.String()
		for _, zero := range []string{"m0s", "h0m"} {
			if rest, ok := strings.CutSuffix(s, zero); ok {
				s = rest + zero[:1]
			}
		}
		return "`" + s + "`"
	}
	yes := func(b bool, yes, no string) string { return map[bool]string{true: yes, false: no}[b] }
	named := func(v adapters.Vendor, which func(adapters.Setting) bool) string {
		var list []string
		for _, s := range v.Settings {
			if which(s) {
				list = append(list, strings.TrimSpace("`"+s.Name+"` "+yes(s.ForExport, "("+s.Want+")", "")))
			}
		}
		return cmp.Or(strings.Join(list, ", "), "none")
	}
	rows := []struct {
		of   string
		cell func(adapters.Vendor) string
	}{
		{"", func(v adapters.Vendor) string { return v.Title }},
		{"---", func(adapters.Vendor) string { return "---" }},
		{"`adapter`", func(v adapters.Vendor) string { return "`" + v.Name + "`" }},
		{"hosts", func(v adapters.Vendor) string {
			var list []string
			for _, h := range v.Hosts {
				below, any := strings.CutPrefix(h, ".")
				list = append(list, yes(any, "all below ", "")+"`"+below+"`")
			}
			return strings.Join(list, ", ")
		}},
		{"credentials", func(v adapters.Vendor) string { return code(v.Credentials) }},
		{"settings, required", func(v adapters.Vendor) string { return named(v, func(s adapters.Setting) bool { return s.Required }) }},
		{"settings for exports", func(v adapters.Vendor) string { return named(v, func(s adapters.Setting) bool { return s.ForExport }) }},
		{"settings, optional", func(v adapters.Vendor) string {
			return named(v, func(s adapters.Setting) bool { return !s.Required && !s.ForExport })
		}},
		{"entries in a request, at most", func(v adapters.Vendor) string { return number(v.Export.Entries) }},
		{"without a `chunkSize`", func(v adapters.Vendor) string { return number(v.Export.Default) }},
		{"a request is all or nothing", func(v adapters.Vendor) string { return yes(v.Export.Atomic, "yes", "no") }},
		{"errors that come later", func(v adapters.Vendor) string { return yes(v.Export.LateErrors, "asked for", "none") }},
		{"currencies", func(v adapters.Vendor) string {
			return yes(v.Export.Currencies, "several", "one: the company's own")
		}},
		{"dimensions go to", func(v adapters.Vendor) string { return cmp.Or(code(v.Export.Dimensions), "any name") }},
		{"`inFlight`, sent again as it was", func(v adapters.Vendor) string {
			same, _ := v.InFlightOf(nil)
			return duration(same)
		}},
		{"`inFlight`, with other content", func(v adapters.Vendor) string {
			_, changed := v.InFlightOf(nil)
			return duration(changed)
		}},
	}
	var b strings.Builder
	for _, r := range rows {
		b.WriteString("| " + r.of)
		for _, v := range vendors.All {
			b.WriteString(" | " + r.cell(v))
		}
		b.WriteString(" |\n")
	}
	return strings.Replace(b.String(), "|  |", "| |", 1)
}

// The pages say what the descriptors do.
func TestDocs(t *testing.T) {
	read := func(name string) string {
		page, err := os.ReadFile("../../docs/" + name)
		require.NoError(t, err)
		return string(page)
	}
	page := read("vendors.md")
	const heading = "\n## What each vendor takes\n"
	_, section, found := strings.Cut(page, heading)
	require.True(t, found, "docs/vendors.md has no section %q", heading)
	section, _, _ = strings.Cut(section, "\n## ")
	require.True(t, strings.Contains(section, "\n\n"+table()+"\n"), "docs/vendors.md is not what the vendors say; its table should be\n\n%s", table())
	require.Contains(t, page, "\n## In flight\n", "code cites docs/vendors.md#in-flight")

	var names, defaults []string
	for _, v := range vendors.All {
		names = append(names, "`"+v.Name+"`")
		defaults = append(defaults, fmt.Sprintf("%s %d", v.Name, v.Export.Default))
	}
	last := len(names) - 1
	for _, row := range []string{
		"| `adapter` | required | " + strings.Join(names[:last], ", ") + " or " + names[last] + " |",
		"| `chunkSize` | " + strings.Join(defaults, ", ") + " |",
		"| `inFlight` | ",
	} {
		require.Contains(t, read("integration-file.md"), row)
	}
}
