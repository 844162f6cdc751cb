package ledgerline_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/ledgerline/ledgerline/workflows"
)

// drain is within which a worker ends, as docs/operations.md promises.
const drain = 20 * time.Second

// consoleDrain is within which a console ends, as docs/console.md promises.
const consoleDrain = 10 * time.Second

// started is one of our programs as a file of deploy, or the compose file, starts it.
type started struct {
	where     string
	program   string
	args      []string
	variables []string
	grace     time.Duration // before it is killed
}

// deployed are all of them.
func deployed(t *testing.T) (all []started) {
	t.Helper()
	for _, path := range glob(t, "deploy/systemd/*.service") {
		u := readUnit(t, path)
		words := strings.Fields(u.one(t, "Service", "ExecStart"))
		s := started{where: path, program: filepath.Base(words[0]), args: words[1:]}
		for _, file := range u["Service"]["EnvironmentFile"] {
			s.variables = append(s.variables, envFile(t, filepath.Join("deploy/systemd", filepath.Base(file)))...)
		}
		for _, pair := range u["Service"]["Environment"] {
			name, _, _ := strings.Cut(pair, "=")
			s.variables = append(s.variables, name)
		}
		if stop := u["Service"]["TimeoutStopSec"]; stop != nil {
			s.grace = seconds(t, stop[0])
		}
		all = append(all, s)
	}
	_, services, _ := compose(t)
	for name, service := range services {
		if service.Image != "" { // not ours
			continue
		}
		words := strings.Fields(service.Command.(string))
		s := started{where: "docker-compose.temporal.yml: " + name, program: words[0], args: words[1:]}
		for variable := range service.Environment {
			s.variables = append(s.variables, variable)
		}
		if service.Grace != "" {
			s.grace = seconds(t, service.Grace)
		}
		all = append(all, s)
	}
	var settings struct {
		ConfigMapGenerator []struct{ Literals []string } `yaml:"configMapGenerator"`
	}
	readYAML(t, "deploy/kubernetes/kustomization.yaml", &settings)
	for _, path := range []string{"deploy/kubernetes/worker.yaml", "deploy/kubernetes/console.yaml", "deploy/kubernetes/migrate.yaml"} {
		var object struct {
			Spec struct {
				Template struct {
					Spec struct {
						Grace      int `yaml:"terminationGracePeriodSeconds"`
						Containers []struct {
							Command, Args []string
							Env           []struct{ Name string }
						}
					}
				}
			}
		}
		readYAML(t, path, &object)
		pod := object.Spec.Template.Spec
		words := append(pod.Containers[0].Command, pod.Containers[0].Args...)
		s := started{where: path, program: words[0], args: words[1:], grace: time.Duration(pod.Grace) * time.Second}
		for _, e := range pod.Containers[0].Env {
			s.variables = append(s.variables, e.Name)
		}
		for _, literal := range settings.ConfigMapGenerator[0].Literals {
			name, _, _ := strings.Cut(literal, "=")
			s.variables = append(s.variables, name)
		}
		all = append(all, s)
	}
	return all
}

// What is deployed is started with flags that it has and variables that it reads, and has
// the time that it takes to end.
func TestDeployedProgramsExist(t *testing.T) {
	known := variables(t)
	bin := t.TempDir()
	goIn(t, ".", "build", "-o", bin+"/", "./cmd/worker", "./cmd/starter", "./cmd/console")
	count := make(map[string]int)
	for _, s := range deployed(t) {
		count[s.program]++
		switch s.program {
		case "worker", "starter", "console":
			out, err := exec.Command(filepath.Join(bin, s.program), append(slices.Clone(s.args), "--help")...).CombinedOutput()
			require.NoError(t, err, "%s: %s %v: %s", s.where, s.program, s.args, out)
			require.Contains(t, s.variables, "DATABASE_URL", s.where)
			require.Contains(t, s.variables, "TEMPORAL_ADDRESS", s.where)
		case "psql", "sandbox":
		default:
			t.Errorf("%s starts %q, which is none of ours", s.where, s.program)
		}
		if s.program == "worker" {
			out, err := exec.Command(filepath.Join(bin, s.program), append(slices.Clone(s.args), "--version")...).CombinedOutput()
			require.NoError(t, err, "%s: %v: %s", s.where, s.args, out)
			require.Contains(t, s.variables, "LEDGERLINE_SECRETS", s.where)
			require.Greater(t, s.grace, drain, "%s: a worker that is killed while it drains cuts attempts off", s.where)
		}
		if s.program == "console" {
			out, err := exec.Command(filepath.Join(bin, s.program), append(slices.Clone(s.args), "--version")...).CombinedOutput()
			require.NoError(t, err, "%s: %v: %s", s.where, s.args, out)
			for _, want := range []string{"LEDGERLINE_OIDC_ISSUER", "LEDGERLINE_OIDC_CLIENT_SECRET_FILE", "LEDGERLINE_CONSOLE_ACCESS", "LEDGERLINE_CONSOLE_COOKIE_KEY_FILE"} {
				require.Contains(t, s.variables, want, s.where)
			}
			require.NotContains(t, s.variables, "LEDGERLINE_CONSOLE_DEVELOPMENT", s.where)
			require.NotContains(t, s.args, "--development", s.where)
			require.Greater(t, s.grace, consoleDrain, "%s: a console that is killed while it ends cuts requests off", s.where)
		}
		for _, name := range s.variables {
			require.Contains(t, known, name, "%s sets a variable that no program reads", s.where)
			require.NotContains(t, name, "DEV_SHARED", s.where)
			require.NotContains(t, name, "RELAX", s.where)
		}
	}
	require.Equal(t, map[string]int{"worker": 3, "starter": 3, "console": 3, "psql": 1, "sandbox": 1}, count)

	page, err := os.ReadFile("docs/operations.md")
	require.NoError(t, err)
	require.Contains(t, string(page), "Give it "+strconv.Itoa(int(drain.Seconds()))+" s before SIGKILL")
	require.Greater(t, drain, workflows.WorkerOptions().WorkerStopTimeout)
	page, err = os.ReadFile("docs/console.md")
	require.NoError(t, err)
	require.Contains(t, string(page), "Give it "+strconv.Itoa(2*int(consoleDrain.Seconds()))+" s before SIGKILL")
}

// unit is a unit of systemd: section, key, values.
type unit map[string]map[string][]string

func readUnit(t *testing.T, path string) unit {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	u, section := make(unit), ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			u[section] = make(map[string][]string)
		} else if line != "" && line[0] != '#' {
			key, value, ok := strings.Cut(line, "=")
			require.True(t, ok && section != "", "%s: %q", path, line)
			u[section][key] = append(u[section][key], value)
		}
	}
	return u
}

func (u unit) one(t *testing.T, section, key string) string {
	t.Helper()
	require.Len(t, u[section][key], 1, "%s %s", section, key)
	return u[section][key][0]
}

// Units close what the programs do not need, the same for all, and run as a user who is
// not root; passwords reach them as credentials.
func TestUnits(t *testing.T) {
	hardening := map[string]string{
		"NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes",
		"CapabilityBoundingSet": "", "AmbientCapabilities": "", "RestrictNamespaces": "yes", "MemoryDenyWriteExecute": "yes",
		"SystemCallArchitectures": "native", "User": "ledgerline",
	}
	paths := glob(t, "deploy/systemd/*.service")
	first := readUnit(t, "deploy/systemd/ledgerline-worker.service")
	for _, path := range paths {
		u := readUnit(t, path)
		for key, want := range hardening {
			require.Equal(t, want, u.one(t, "Service", key), "%s: %s", path, key)
		}
		for _, key := range []string{"SystemCallFilter", "RestrictAddressFamilies", "ProtectKernelTunables", "ProtectControlGroups", "LockPersonality"} {
			require.Equal(t, first["Service"][key], u["Service"][key], "%s: %s is as the worker has it", path, key)
			require.NotEmpty(t, u["Service"][key], path)
		}
		named := strings.Join(u["Service"]["Environment"], "\n")
		for _, credential := range u["Service"]["LoadCredential"] {
			name, _, ok := strings.Cut(credential, ":")
			require.True(t, ok)
			require.Contains(t, named+"\n", "=%d/"+name+"\n", path)
		}
		require.Contains(t, named, "PGPASSFILE=%d/pgpass", path)
		require.Contains(t, u["Unit"]["After"][0], "network-online.target", path)
	}
	require.Equal(t, "notify", first.one(t, "Service", "Type"))
	require.Equal(t, "2", first.one(t, "Service", "RestartPreventExitStatus"), "a wrong flag or variable")
	require.Equal(t, "2", readUnit(t, "deploy/systemd/ledgerline-console.service").one(t, "Service", "RestartPreventExitStatus"))
	require.Contains(t, readUnit(t, "deploy/systemd/ledgerline-console.service").one(t, "Service", "InaccessiblePaths"), "/etc/ledgerline/secrets", "those of vendors are for the worker alone")
	for _, path := range glob(t, "deploy/systemd/*.timer") {
		require.FileExists(t, strings.TrimSuffix(path, ".timer")+".service")
	}
	users, err := os.ReadFile("deploy/systemd/ledgerline.sysusers")
	require.NoError(t, err)
	require.Contains(t, string(users), "\nu "+first.one(t, "Service", "User")+" ")
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return strings.Split(string(text), "\n")
}

// envFile returns the names that a file of variables sets. A password stands in none.
func envFile(t *testing.T, path string) (names []string) {
	t.Helper()
	for _, line := range lines(t, path) {
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		require.True(t, ok, "%s: %q", path, line)
		require.NotRegexp(t, `://[^/@]*:[^/@]*@`, value, "%s: %s has a password", path, name)
		names = append(names, name)
	}
	return names
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, paths, pattern)
	return paths
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, into), path)
}

// seconds reads "30", "30s" and "1m".
func seconds(t *testing.T, text string) time.Duration {
	t.Helper()
	if regexp.MustCompile(`^\d+$`).MatchString(text) {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err)
	return d
}
