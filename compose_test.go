package ledgerline_test

import (
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// service is what the rules look at of a service. Another form of a member, such as
// a map for ports, is an error, so that no rule passes over it.
type service struct {
	Image       string
	Command     any
	Environment map[string]string
	Ports       []string
	NetworkMode string `yaml:"network_mode"`
	Privileged  bool
	User        string
}

// The compose file trusts nobody on the network, publishes nothing beyond the
// machine, says which versions it runs, and holds no secret.
func TestCompose(t *testing.T) {
	raw, err := os.ReadFile("docker-compose.temporal.yml")
	require.NoError(t, err)
	var file struct{ Services map[string]service }
	require.NoError(t, yaml.Unmarshal(raw, &file))
	require.NotEmpty(t, file.Services)
	pinned := regexp.MustCompile(`^[a-z/-]+:[0-9]+\.[0-9]+(\.[0-9]+)?$`)
	given := regexp.MustCompile(`^\$\{[A-Z_]+(:\?[^}]+|:-)\}$`)
	required := regexp.MustCompile(`^\$\{[A-Z_]+:\?[^}]+\}$`)
	for _, name := range slices.Sorted(maps.Keys(file.Services)) {
		s := file.Services[name]
		if s.Image != "" {
			require.Regexp(t, pinned, s.Image, "%s: an image has its version", name)
		}
		require.False(t, s.Privileged || s.NetworkMode != "" || s.User == "root" || s.User == "0", name)
		for _, port := range s.Ports {
			address, _, _ := strings.Cut(port, ":")
			ip, err := netip.ParseAddr(address)
			require.True(t, err == nil && ip.IsLoopback(), "%s: port %q is published beyond the machine", name, port)
		}
		for key, value := range s.Environment {
			require.NotEqual(t, "trust", value, key)
			switch {
			case strings.Contains(key, "PASSWORD"):
				require.Regexp(t, required, value, "%s: %s comes from outside, and nothing starts without it", name, key)
			case regexp.MustCompile(`SECRET|TOKEN|KEY`).MatchString(key) && !strings.HasPrefix(value, "/"):
				require.Regexp(t, given, value, "%s: %s", name, key)
			}
			require.NotRegexp(t, `://[^/@]*:[^/@]*@`, value, "%s: %s has a password", name, key)
		}
	}
	require.Equal(t, "scram-sha-256", file.Services["postgres"].Environment["POSTGRES_HOST_AUTH_METHOD"])
	require.NotContains(t, string(raw), "latest")

	tools, err := os.ReadFile("tools/go.mod")
	require.NoError(t, err)
	cli := regexp.MustCompile(`github\.com/temporalio/cli v([0-9.]+)`).FindSubmatch(tools)
	require.NotNil(t, cli)
	require.Equal(t, "temporalio/temporal:"+string(cli[1]), file.Services["temporal"].Image, "what the tests run on")
}

// The image runs as a user that is not root.
func TestDockerfile(t *testing.T) {
	raw, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	user := ""
	for line := range strings.Lines(string(raw)) {
		words := strings.Fields(line)
		switch {
		case len(words) < 2:
		case words[0] == "FROM":
			user = ""
			require.Regexp(t, `:[0-9]+`, words[1], "an image has its version")
		case words[0] == "USER":
			user = words[1]
		case words[0] == "ADD":
			t.Error("ADD fetches and unpacks; want COPY")
		}
	}
	require.Regexp(t, `^[1-9][0-9]*(:[1-9][0-9]*)?$`, user, "a number, which Kubernetes can check with runAsNonRoot")
}

// The image's programs know which commit they are of: .git is there when they are built,
// and not in the image.
func TestImageKnowsItsVersion(t *testing.T) {
	ignored, err := os.ReadFile(".dockerignore")
	require.NoError(t, err)
	require.NotContains(t, strings.Fields(string(ignored)), ".git")
	raw, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	require.NotContains(t, string(raw), "-buildvcs=false")
	require.Regexp(t, `(?s)COPY \. \.\n.*go build.*\nFROM [^\n]*slim\n.*COPY --from=build /out/ `, string(raw))
}
