package signin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/console/signin"
)

func TestRoles(t *testing.T) {
	for i, has := range signin.Roles {
		for j, wanted := range signin.Roles {
			require.Equal(t, i >= j, has.Allows(wanted), "%s allows %s", has, wanted)
		}
		require.False(t, has.Allows(""))
		require.False(t, signin.Role("").Allows(has))
		require.False(t, signin.Role("owner").Allows(has))
		require.False(t, has.Allows("owner"))
	}
	who := signin.Identity{Roles: map[uuid.UUID]signin.Role{eksempel: ""}}
	_, ok := who.Role(eksempel)
	require.False(t, ok)
	_, ok = who.Role(uuid.Nil)
	require.False(t, ok)
}

func TestActor(t *testing.T) {
	for want, i := range map[string]signin.Identity{
		"Kari Nordmann <kari@example.com>": {Subject: "s", Name: "Kari Nordmann", Email: "kari@example.com"},
		"Kari <s>":                         {Subject: "s", Name: "Kari"},
		"kari@example.com":                 {Subject: "s", Email: "kari@example.com"},
		"s":                                {Subject: "s"},
		"Ola ola@example.com <k>":          {Subject: "s", Name: "Ola <ola@example.com>", Email: "k"},
	} {
		require.Equal(t, want, i.Actor())
	}
}

func TestAccessErrors(t *testing.T) {
	for src, want := range map[string]string{
		"":                  "access.yaml:1:1: the file is empty; want groups",
		"groups: [":         "access.yaml: this is not YAML",
		"- x":               "access.yaml:1:1: want a mapping with groups",
		"people: []":        "access.yaml:1:1: people: unknown field; known are groups",
		"groups: []":        "access.yaml:1:9: groups: want a list with at least one group",
		"groups: [x]":       "access.yaml:1:10: groups[0]: want a mapping",
		"groups: [{}]":      "access.yaml:1:10: groups[0].group: missing; add it",
		"groups: []\n---\n": "want one",
		"groups: [{group: x, role: owner, organizations: [a]}]":                                                       "access.yaml:1:27: groups[0].role: \"owner\" is not a role; want viewer, finance or administrator",
		"groups: [{group: x, role: Finance, organizations: [a]}]":                                                     "is not a role",
		"groups: [{group: x, role: viewer}]":                                                                          "groups[0].organizations: want a list with at least one short name or UUID",
		"groups: [{group: x, role: viewer, organizations: []}]":                                                       "want a list with at least one",
		"groups: [{group: x, role: viewer, organizations: ['*']}]":                                                    `"*" is neither a short name nor a UUID; name each organization`,
		"groups: [{group: x, role: viewer, organizations: [00000000-0000-0000-0000-000000000000]}]":                   "neither a short name nor a UUID",
		"groups: [{group: x, role: viewer, organizations: [a, A]}]":                                                   "neither a short name",
		"groups: [{group: x, group: y, role: viewer, organizations: [a]}]":                                            "duplicate field (first on line 1)",
		"groups: [{group: '', role: viewer, organizations: [a]}]":                                                     "groups[0].group: want a text",
		"groups: [{group: ' x', role: viewer, organizations: [a]}]":                                                   "blanks at its beginning or end",
		"groups: [{group: \"x\\u200b\", role: viewer, organizations: [a]}]":                                           "groups[0].group",
		"groups: [{group: &a x, role: viewer, organizations: [a]}]":                                                   "anchors and aliases",
		"groups: [{group: ~, role: viewer, organizations: [a]}]":                                                      "want a text",
		"groups: [{group: [x], role: viewer, organizations: [a]}]":                                                    "want a text",
		"groups:\n- {group: x, role: viewer, organizations: [a]}\n- {group: x, role: finance, organizations: [b, a]}": `access.yaml:3:3: groups[1]: group "x" has a role in a already (line 2)`,
		"groups: [{group: x, role: viewer, organizations: [a], members: [kari]}]":                                     "groups[0].members: unknown field",
		"groups: [{group: " + strings.Repeat("x", 201) + ", role: viewer, organizations: [a]}]":                       "201 bytes; want at most 200",
		"groups: [" + strings.Repeat("{},", 100) + "]":                                                                "and 250 more",
		"#" + strings.Repeat("x", 1<<20):                                                                              "more than 1048576 bytes",
		"a: &a [x,x]\nb: &b [*a,*a]\ngroups: *b":                                                                      "want a list",
		"groups: " + strings.Repeat("[", 100_000):                                                                     "not YAML",
	} {
		_, err := signin.ParseAccess("access.yaml", []byte(src))
		require.ErrorContains(t, err, want, src[:min(len(src), 100)])
		require.Less(t, len(err.Error()), 60*500)
	}
}

// The example of the documentation is one that can be used.
func TestExampleOfDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/console.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(text), "```yaml\ngroups:")
	require.True(t, ok)
	src, _, _ := strings.Cut(rest, "```")
	path := filepath.Join(t.TempDir(), "access.yaml")
	require.NoError(t, os.WriteFile(path, []byte("groups:"+src), 0o600))
	access, err := signin.ReadAccess(path)
	require.NoError(t, err)
	require.Greater(t, len(access.Groups), 2)
	_, err = signin.ReadAccess(path + "x")
	require.Error(t, err)
}

// No file makes more of somebody than its roles, and what is read can be used.
func FuzzAccess(f *testing.F) {
	f.Add([]byte(accessFile))
	f.Add([]byte("groups: [{group: x, role: viewer, organizations: [a]}]"))
	f.Add([]byte("groups: &a [*a]"))
	f.Fuzz(func(t *testing.T, src []byte) {
		a, err := signin.ParseAccess("access.yaml", src)
		if err != nil {
			return
		}
		require.NotEmpty(t, a.Groups)
		for _, g := range a.Groups {
			require.NotEmpty(t, g.Group)
			require.NotEmpty(t, g.Organizations)
			require.Contains(t, signin.Roles, g.Role)
		}
	})
}
