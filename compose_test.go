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
	Volumes     []string
	Restart     string
	Grace       string `yaml:"stop_grace_period"`
	NetworkMode string `yaml:"network_mode"`
	Privileged  bool
	User        string
}

// compose reads the compose file.
func compose(t *testing.T) (raw string, services map[string]service, volumes map[string]any) {
	t.Helper()
	text, err := os.ReadFile("docker-compose.temporal.yml")
	require.NoError(t, err)
	var file struct {
		Services map[string]service
		Volumes  map[string]any
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	require.NotEmpty(t, file.Services)
	return string(text), file.Services, file.Volumes
}

// The compose file trusts nobody on the network, publishes nothing beyond the
// machine, says which versions it runs, and holds no secret.
func TestCompose(t *testing.T) {
	raw, services, _ := compose(t)
	pinned := regexp.MustCompile(`^[a-z/-]+:[0-9]+\.[0-9]+(\.[0-9]+)?$`)
	given := regexp.MustCompile(`^\$\{[A-Z_]+(:\?[^}]+|:-)\}$`)
	required := regexp.MustCompile(`^\$\{[A-Z_]+:\?[^}]+\}$`)
	for _, name := range slices.Sorted(maps.Keys(services)) {
		s := services[name]
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
			case strings.Contains(key, "PASSWORD") || strings.Contains(key, "PWD"):
				require.Regexp(t, required, value, "%s: %s comes from outside, and nothing starts without it", name, key)
			case regexp.MustCompile(`SECRET|TOKEN|KEY`).MatchString(key) && !strings.HasPrefix(value, "/"):
				require.Regexp(t, given, value, "%s: %s", name, key)
			}
			require.NotRegexp(t, `://[^/@]*:[^/@]*@`, value, "%s: %s has a password", name, key)
		}
	}
	require.NotContains(t, raw, "latest")

	tools, err := os.ReadFile("tools/go.mod")
	require.NoError(t, err)
	for module, images := range map[string]map[string]string{
		"go.temporal.io/server":              {"temporal": "server", "temporal-schema": "admin-tools", "temporal-namespace": "admin-tools"},
		"github.com/temporalio/ui-server/v2": {"temporal-ui": "ui"},
	} {
		version := regexp.MustCompile(regexp.QuoteMeta(module) + ` v([0-9.]+)\b`).FindSubmatch(tools)
		require.NotNil(t, version, module)
		for name, image := range images {
			require.Equal(t, "temporalio/"+image+":"+string(version[1]), services[name].Image, "%s: what the tests run on", name)
		}
	}
}

// What must not be lost outlives its container, and what runs for good is started again
// after a failure and after the machine was.
func TestComposeKeepsAndRestarts(t *testing.T) {
	_, services, volumes := compose(t)
	kept := make(map[string]string)
	for _, name := range []string{"postgres", "temporal-postgres"} {
		s := services[name]
		require.Equal(t, "scram-sha-256", s.Environment["POSTGRES_HOST_AUTH_METHOD"], name)
		require.Len(t, s.Volumes, 1, name)
		volume, folder, _ := strings.Cut(s.Volumes[0], ":")
		require.Equal(t, "/var/lib/postgresql/data", folder, name)
		require.Contains(t, volumes, volume, "%s: a volume with a name", name)
		require.Empty(t, kept[volume], "%s: a volume of its own", name)
		kept[volume] = name
	}
	for _, name := range []string{"postgres", "temporal-postgres", "temporal", "temporal-ui", "worker", "console"} {
		require.Equal(t, "unless-stopped", services[name].Restart, name)
	}
	for name, s := range services {
		require.NotEqual(t, "always", s.Restart, "%s: what somebody has stopped stays so", name)
	}
	// The file that the server reads is there, and it is the one of this repository.
	server := services["temporal"]
	folder, inside, _ := strings.Cut(strings.TrimSuffix(server.Volumes[0], ":ro"), ":")
	file, ok := strings.CutPrefix(server.Environment["DYNAMIC_CONFIG_FILE_PATH"], inside)
	require.True(t, ok)
	text, err := os.ReadFile(folder + file)
	require.NoError(t, err)
	var settings map[string][]struct{ Value any }
	require.NoError(t, yaml.Unmarshal(text, &settings))
	require.Equal(t, true, settings["matching.enableFairness"][0].Value)
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
