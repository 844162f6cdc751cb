package ledgerline_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// modules are the folders of the Go modules that hold our code. The tests here read
// the packages of all of them.
var modules = []string{".", "internal/faults", "internal/manifests", "internal/oidcserver", "internal/openapi", "internal/browser"}

// goIn runs the go command in a module's folder and returns what it prints.
func goIn(t *testing.T, folder string, args ...string) string {
	t.Helper()
	c := exec.Command("go", args...)
	c.Dir = folder
	var words strings.Builder
	c.Stderr = &words
	out, err := c.Output()
	require.NoError(t, err, "go %v in %s: %s", args, folder, &words)
	return string(out)
}

// TestModulesAgree: the soak tests the versions of libraries that the worker is built
// with, the tests of sign-in and of the pages those of the console; the root module does not carry what only
// the tests there need.
func TestModulesAgree(t *testing.T) {
	versions := make(map[string]map[string]string) // by module's folder and library
	for _, folder := range modules {
		versions[folder] = make(map[string]string)
		for line := range strings.Lines(goIn(t, folder, "list", "-deps", "-test", "-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}", "./...")) {
			if path, version, ok := strings.Cut(strings.TrimSpace(line), " "); ok && version != "" && !strings.HasPrefix(path+"/", module) {
				versions[folder][path] = version
			}
		}
	}
	for _, folder := range []string{"internal/faults", "internal/oidcserver", "internal/openapi", "internal/browser"} {
		shared := 0
		for path, version := range versions[folder] {
			if root, ok := versions["."][path]; ok {
				require.Equal(t, root, version, "%s: run go mod tidy in %s", path, folder)
				shared++
			}
		}
		require.Greater(t, shared, 10, "go list found too few libraries to prove anything")
	}
	require.NotEmpty(t, versions["internal/oidcserver"]["github.com/zitadel/oidc/v3"])
	require.NotContains(t, goIn(t, ".", "mod", "graph"), "github.com/zitadel/oidc", "it is for the tests there")
	require.NotEmpty(t, versions["internal/openapi"]["github.com/getkin/kin-openapi"])
	require.NotContains(t, goIn(t, ".", "mod", "graph"), "github.com/getkin/kin-openapi", "it is for the tests there")
	require.NotEmpty(t, versions["internal/browser"]["github.com/chromedp/chromedp"])
	require.NotContains(t, goIn(t, ".", "mod", "graph"), "github.com/chromedp", "it is for the tests there")
	for _, path := range []string{"github.com/Shopify/toxiproxy/v2", "github.com/rs/zerolog", "go.opentelemetry.io/collector/receiver/otlpreceiver"} {
		require.NotEmpty(t, versions["internal/faults"][path], path)
		require.NotContains(t, goIn(t, ".", "mod", "graph"), path, "it is for the tests there")
	}
}
