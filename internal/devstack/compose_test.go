package devstack

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// Where Docker is not there to bring the compose file up, its settings are held to the
// programs of its images: the schema is made by its own command, also a second time as in
// each later start, and the server that its variables describe takes work.
func TestComposeRunsTemporal(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "docker-compose.temporal.yml"))
	require.NoError(t, err)
	var file struct {
		Services map[string]struct {
			Command     any
			Environment map[string]string
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	programs, err := buildTemporal(t.Context(), os.Stderr)
	require.NoError(t, err)
	server, err := StartPostgres(t.Context(), PostgresOptions{})
	require.NoError(t, err)
	defer server.Close()
	admin, err := pgx.Connect(t.Context(), server.URL("postgres", "postgres"))
	require.NoError(t, err)
	defer admin.Close(t.Context())
	owner := file.Services["temporal-postgres"].Environment["POSTGRES_USER"] // the image makes a superuser of it, and a database of that name
	for _, statement := range []string{"CREATE ROLE " + owner + " LOGIN SUPERUSER", "CREATE DATABASE " + owner + " OWNER " + owner} {
		_, err = admin.Exec(t.Context(), statement)
		require.NoError(t, err)
	}

	// environment is that of a service, with what only its network has replaced.
	environment := func(service string, here map[string]string) (env []string) {
		for key, value := range file.Services[service].Environment {
			if _, replaced := here[key]; !replaced {
				env = append(env, key+"="+value)
			}
		}
		for key, value := range here {
			env = append(env, key+"="+value)
		}
		return append(env, "HOME="+t.TempDir())
	}
	port := strconv.Itoa(server.Port())
	path := t.TempDir()
	require.NoError(t, os.Symlink(programs.sql, filepath.Join(path, "temporal-sql-tool")))
	command, ok := file.Services["temporal-schema"].Command.([]any)
	require.True(t, ok && len(command) == 3, command)
	for range 2 {
		c := exec.CommandContext(t.Context(), command[0].(string), command[1].(string), strings.ReplaceAll(command[2].(string), "$$", "$"))
		c.Env = environment("temporal-schema", map[string]string{"SQL_HOST": "127.0.0.1", "SQL_PORT": port, "SQL_PASSWORD": "x", "PATH": path + ":" + os.Getenv("PATH")})
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}

	const dynamic = "DYNAMIC_CONFIG_FILE_PATH"
	settings := filepath.Join(root, "deploy", "temporal", filepath.Base(file.Services["temporal"].Environment[dynamic]))
	out, err := exec.CommandContext(t.Context(), programs.server, "validate-dynamic-config", settings).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NotContains(t, string(out), "warning", "a setting that the server does not know")
	here := map[string]string{"POSTGRES_SEEDS": "127.0.0.1", "DB_PORT": port, "POSTGRES_PWD": "x", dynamic: settings, "BIND_ON_IP": "127.0.0.1"}
	for _, one := range []string{"FRONTEND_GRPC", "FRONTEND_HTTP", "FRONTEND_MEMBERSHIP", "MATCHING_GRPC", "MATCHING_MEMBERSHIP", "HISTORY_GRPC", "HISTORY_MEMBERSHIP", "WORKER_GRPC", "WORKER_MEMBERSHIP"} {
		here[one+"_PORT"] = strconv.Itoa(lowPort())
	}
	p, err := StartProcess(t.Context(), programs.server, []string{"start"}, environment("temporal", here), nil)
	require.NoError(t, err)
	defer p.Kill()
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()
	temporal := &Temporal{Namespace: ownNamespace, options: TemporalOptions{Address: "127.0.0.1:" + here["FRONTEND_GRPC_PORT"]}}
	require.NoError(t, until(t.Context(), func() error {
		select {
		case err := <-ended:
			t.Fatalf("the server ended: %v: %s", err, p.Output())
		default:
		}
		return temporal.ready(t.Context())
	}))
}
