package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/devstack"
)

// All that is wrong is said at once, and nothing of a secret; it exits 2 before anything is asked.
func TestWrongSettings(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	access := write("access.yaml", "groups:\n  - {group: g, role: king, organizations: [eksempel]}\n", 0o644)
	good := write("good.yaml", "groups:\n  - {group: g, role: finance, organizations: [eksempel]}\n", 0o644)
	open := write("open", "somebody-can-read-this", 0o644)
	short := write("short", "c2hvcnQ=", 0o600)
	secret := write("secret", "the-client-secret", 0o600)
	for name, c := range map[string]struct {
		args []string
		env  map[string]string
		says []string
	}{
		"nothing is set": {nil, nil, []string{"DATABASE_URL is not set", "--oidc-issuer is missing", "--oidc-client-id is missing", "--oidc-client-secret-file is missing", "--access is missing", "--public-url is missing"}},
		"everything is wrong": {
			[]string{"--log-format", "xml", "--startup-timeout", "0s", "--tls-key", secret, "--session", "9h", "--public-url", "http://console.example.com/path", "--access", access,
				"--oidc-issuer", "https://login.microsoftonline.com/common/v2.0", "--oidc-client-secret-file", open, "--cookie-key-file", short, "rest"},
			map[string]string{"LEDGERLINE_PAYLOAD_KEYS": "relative", "LEDGERLINE_CONSOLE_DEVELOPMENT": "perhaps"},
			[]string{`unexpected argument "rest"`, "DATABASE_URL", "--log-format", "--startup-timeout", "--tls-certificate and --tls-key belong together", "--session 9h0m0s: want 1m to 8h",
				"the public URL is", access + ":2:", "any tenant", "--oidc-client-id is missing", "--oidc-client-secret-file: " + open, "--cookie-key-file: want 32 bytes", "LEDGERLINE_PAYLOAD_KEYS", "LEDGERLINE_CONSOLE_DEVELOPMENT"},
		},
		"secrets in place of files": {
			[]string{"--oidc-client-secret-file", "somebody-can-read-this", "--cookie-key-file", "the-client-secret", "--access", good}, nil,
			[]string{"--oidc-client-secret-file: want the absolute path", "--cookie-key-file: want the absolute path"},
		},
		"a certificate that is none":      {[]string{"--tls-certificate", good, "--tls-key", secret}, nil, []string{"--tls-certificate, --tls-key: they cannot be used"}},
		"development beyond loopback":     {[]string{"--development", "--listen", ":8090"}, nil, []string{"want an address on loopback"}},
		"development and an issuer":       {[]string{"--development", "--oidc-issuer", "https://issuer.example.com"}, nil, []string{"--development takes neither"}},
		"a flag that there is not":        {[]string{"--no-such"}, nil, []string{"see console --help"}},
		"a plain address beyond loopback": {[]string{"--public-url", "http://console.example.com"}, nil, []string{"want https"}},
	} {
		t.Run(name, func(t *testing.T) {
			var words bytes.Buffer
			err := run(t.Context(), c.args, func(name string) string { return c.env[name] }, io.Discard, &words)
			require.Error(t, err)
			for _, part := range c.says {
				require.ErrorContains(t, err, part)
			}
			for _, hidden := range []string{"somebody-can-read-this", "the-client-secret", "c2hvcnQ"} {
				require.NotContains(t, err.Error()+words.String(), hidden)
			}
			require.Equal(t, 2, code(err))
		})
	}
}

// The program on real parts: what it is ready for, and how it ends.
func TestConsoleOnRealParts(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	stack, err := devstack.StartStack(ctx, devstack.StackOptions{Log: io.Discard})
	require.NoError(t, err)
	defer stack.Close()
	organization := uuid.New()
	_, err = stack.Apply(ctx, organization, "")
	require.NoError(t, err)
	bin, err := devstack.Build(ctx, "./cmd/console", false)
	require.NoError(t, err)
	defer os.RemoveAll(filepath.Dir(bin))

	c, err := devstack.StartConsole(ctx, bin, stack.Env(devstack.Console))
	require.NoError(t, err)
	defer c.Kill()
	waitReady := func(want int, says string) {
		t.Helper()
		require.Eventually(t, func() bool {
			status, body := get(ctx, c.Ops+"/readyz", "")
			return status == want && strings.Contains(body, says)
		}, time.Minute, 50*time.Millisecond, "/readyz does not answer %d with %q; it is %s", want, says, func() string { _, b := get(ctx, c.Ops+"/readyz", ""); return b }())
	}
	waitReady(http.StatusOK, "temporal: ok\npostgresql: ok\n")
	status, body := get(ctx, c.URL+"/o/"+organization.String(), "")
	require.Equal(t, http.StatusOK, status, body)
	status, body = get(ctx, c.Ops+"/metrics", "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `ledgerline_console_request_duration_seconds_count{route="overview",status="2xx"} 1`)
	status, _ = get(ctx, c.URL+"/metrics", "")
	require.Equal(t, http.StatusNotFound, status, "they are the operator's")

	require.NoError(t, stack.Temporal.Stop())
	waitReady(http.StatusServiceUnavailable, "temporal: unavailable\npostgresql: ok\n")
	status, body = get(ctx, c.URL+"/o/"+organization.String(), "")
	require.Equal(t, http.StatusOK, status, "what is on record is shown while Temporal is away: %s", body)
	require.NoError(t, stack.Postgres.Stop(ctx, "immediate"))
	waitReady(http.StatusServiceUnavailable, "postgresql: unavailable")
	status, _ = get(ctx, c.Ops+"/livez", "")
	require.Equal(t, http.StatusOK, status, "another start would not help")
	status, body = get(ctx, c.URL+"/o/"+organization.String(), "")
	require.Equal(t, http.StatusServiceUnavailable, status, body)
	require.NoError(t, stack.Postgres.Start(ctx))
	require.NoError(t, stack.Temporal.Start(ctx))
	waitReady(http.StatusOK, "postgresql: ok")

	// With a page open that waits for changes, SIGTERM ends it without cutting anything off.
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+"/o/"+organization.String(), nil)
	require.NoError(t, err)
	request.Header.Set("Accept", "text/event-stream")
	stream, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer stream.Body.Close()
	events := bufio.NewReader(stream.Body)
	line, err := events.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "event: ready\n", line)
	require.NoError(t, c.Signal(syscall.SIGTERM))
	require.NoError(t, c.Wait(), c.Output())
	_, err = io.ReadAll(events)
	require.NoError(t, err, "the stream has an end")
	require.Contains(t, c.Output(), "stopping")
	require.NotContains(t, c.Output(), "cut off")
	require.NotContains(t, c.Output(), devstack.Password)

	// With sign-in: it starts while the issuer is away, and nothing of its secrets is in its log.
	file := func(name, text string) string {
		path, err := stack.File(name, text)
		require.NoError(t, err)
		require.NoError(t, os.Chmod(path, 0o600))
		return path
	}
	const clientSecret, cookieKey = "canary-of-the-client", "Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LWNhbmE="
	env := append(stack.Env(devstack.Console), "LEDGERLINE_OIDC_ISSUER=http://127.0.0.1:1", "LEDGERLINE_OIDC_CLIENT_ID=console", "LEDGERLINE_CONSOLE_URL=https://console.example.com",
		"LEDGERLINE_OIDC_CLIENT_SECRET_FILE="+file("client-secret", clientSecret), "LEDGERLINE_CONSOLE_COOKIE_KEY_FILE="+file("cookie-key", cookieKey),
		"LEDGERLINE_CONSOLE_ACCESS="+file("access.yaml", "groups:\n  - {group: g, role: viewer, organizations: ["+organization.String()+"]}\n"))
	ready := func(line string) bool { return strings.Contains(line, "console ready") }
	args := []string{"--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--log-level", "DEBUG"}
	p, err := devstack.StartProcess(ctx, bin, args, env, ready)
	require.NoError(t, err)
	defer p.Kill()
	url := "http://" + listens.FindStringSubmatch(p.Output())[1]
	status, body = get(ctx, url+"/signin", "")
	require.Equal(t, http.StatusServiceUnavailable, status, body)
	status, _ = get(ctx, url+"/api/v1/organizations", "not.a.token")
	require.Equal(t, http.StatusUnauthorized, status)
	require.NoError(t, p.Signal(syscall.SIGTERM))
	require.NoError(t, p.Wait(), p.Output())
	for _, secret := range []string{clientSecret, cookieKey, devstack.Password, "not.a.token"} {
		require.NotContains(t, p.Output(), secret)
	}

	// An organization that there is not is an error of the access file, and exits 2.
	env = append(env, "LEDGERLINE_CONSOLE_ACCESS="+file("access.yaml", "groups:\n  - {group: g, role: viewer, organizations: [nobody]}\n"))
	_, err = devstack.StartProcess(ctx, bin, args, env, ready)
	require.ErrorContains(t, err, "access.yaml:2:")
	require.ErrorContains(t, err, "exit status 2")
}

var listens = regexp.MustCompile(`"listen":"([^"]+)"`)

// get asks an address, with a token if there is one. 0 is no answer.
func get(ctx context.Context, url, token string) (status int, body string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err.Error()
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(b)
}
