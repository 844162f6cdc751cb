package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/ledgerline/ledgerline/codec"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
)

// line is a line of starter doctor.
type line struct{ Check, State, Found, Remedy string }

// ward is a stack of its own, in which things can be broken.
type ward struct {
	*devstack.Stack
	t   *testing.T
	org uuid.UUID
}

// examine runs starter doctor and returns the lines that are not ok.
func (w ward) examine(env []string, args ...string) (bad []line, code int) {
	w.t.Helper()
	out, words, code := starterEnv(w.t, append(w.Env(devstack.Operator), env...), "", append([]string{"doctor", "-o", "json"}, args...)...)
	require.NotEmpty(w.t, out, words)
	failed := false
	for _, l := range fromJSON[[]line](w.t, out) {
		require.NotEmpty(w.t, l.Found)
		if l.State != "ok" {
			require.True(w.t, l.Remedy != "" || strings.HasPrefix(l.Found, "and "), "%v has no remedy", l)
			bad = append(bad, l)
		}
		failed = failed || l.State == "FAIL"
	}
	require.Equal(w.t, map[bool]int{false: 0, true: 1}[failed], code, "%s %s", out, words)
	require.NotContains(w.t, out+words, devstack.Password)
	return bad, code
}

// finds examines until a check is in a state, and requires what the line says and that
// no other check fails.
func (w ward) finds(check, state, found, remedy string, env ...string) {
	w.t.Helper()
	var last []line
	require.Eventually(w.t, func() bool {
		last, _ = w.examine(env)
		hit := false
		for _, l := range last {
			if l.Check == check && l.State == state && strings.Contains(l.Found, found) && strings.Contains(l.Remedy, remedy) {
				hit = true
			} else if l.State == "FAIL" && l.Check != check {
				return false
			}
		}
		return hit
	}, 2*time.Minute, time.Second, "%s is not %s, %q, %q: %v", check, state, found, remedy, &last)
}

// healthy requires that there is nothing to do.
func (w ward) healthy() {
	w.t.Helper()
	var last []line
	require.Eventually(w.t, func() bool {
		last, _ = w.examine(nil)
		return w.t.Context().Err() == nil && len(last) == 1 && last[0].Check == "fairness" && last[0].State == "assumed"
	}, 2*time.Minute, time.Second, "%v", &last)
}

func (w ward) worker(env ...string) *devstack.Process {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	p, err := devstack.StartWorker(ctx, workerBin, []string{"--monitors=false"}, append(w.Env(devstack.Worker), env...))
	require.NoError(w.t, err)
	mu.Lock()
	output = append(output, p)
	mu.Unlock()
	w.t.Cleanup(func() { p.Kill(); require.NotContains(w.t, p.Output(), "DATA RACE") })
	return p
}

func (w ward) exec(sql string, args ...any) {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.URL(devstack.Admin))
	require.NoError(w.t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(w.t.Context(), sql, args...)
	require.NoError(w.t, err, sql)
}

// Everything is well; then one thing at a time is broken, and the doctor finds that, says
// what to do, and finds nothing else.
func TestDoctor(t *testing.T) {
	s, err := devstack.StartStack(t.Context(), devstack.StackOptions{Log: os.Stderr})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	w := ward{s, t, uuid.New()}
	_, err = s.Apply(t.Context(), w.org, "")
	require.NoError(t, err)

	w.finds("workers", "FAIL", "none runs: none has in the last week", "start a worker")
	process := w.worker()
	w.healthy()
	out, words, code := starterEnv(t, w.Env(devstack.Operator), "", "doctor")
	require.Equal(t, 0, code, "%s%s", out, words)
	require.Regexp(t, `(?m)^CHECK +STATE +FOUND +REMEDY$`, out)
	require.Regexp(t, `(?m)^workers +ok +1 worker: `, out)

	c, err := client.Dial(s.Temporal.ClientOptions())
	require.NoError(t, err)
	defer c.Close()
	for namespace, attributes := range map[string]map[string]enums.IndexedValueType{
		"bare": nil, "mistyped": {"AdapterName": enums.INDEXED_VALUE_TYPE_INT},
	} {
		_, err = c.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour)})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			_, err = c.OperatorService().AddSearchAttributes(t.Context(), &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: attributes})
			return attributes == nil || err == nil
		}, time.Minute, 100*time.Millisecond, "%v", &err)
	}
	// The worker is in another namespace, so that there is none in these.
	for name, c := range map[string]struct {
		env  string
		want line
	}{
		"no such namespace":     {"TEMPORAL_NAMESPACE=nowhere", line{"namespace", "FAIL", "does not exist", "temporal operator namespace create"}},
		"no search attributes":  {"TEMPORAL_NAMESPACE=bare", line{"search attributes", "FAIL", "missing: ", "starter migrate"}},
		"of another type":       {"TEMPORAL_NAMESPACE=mistyped", line{"search attributes", "FAIL", "AdapterName (there as Int, needed as Keyword)", "search-attribute remove"}},
		"no Temporal":           {"TEMPORAL_ADDRESS=127.0.0.1:1", line{"Temporal", "FAIL", "cannot be reached", "TEMPORAL_ADDRESS"}},
		"bad Temporal settings": {"TEMPORAL_TLS_CLIENT_CERT_PATH=/nowhere", line{"Temporal", "FAIL", "settings", "correct the variable"}},
		"no PostgreSQL":         {"DATABASE_URL=postgres://u:x@127.0.0.1:1/x", line{"PostgreSQL", "FAIL", "cannot be reached", "DATABASE_URL"}},
		"bad database address":  {"DATABASE_URL=mysql://u:x@127.0.0.1:1/x", line{"PostgreSQL", "FAIL", "another scheme", "DATABASE_URL"}},
		"no folder of keys":     {codec.FolderVariable + "=/nowhere", line{"payload keys", "FAIL", codec.FolderVariable, "encrypted-payloads"}},
		"no schema":             {"DATABASE_URL=" + s.Postgres.URL("postgres", devstack.Operator), line{"schema", "FAIL", "has version 0", "starter migrate"}},
		"no role":               {"DATABASE_URL=" + s.URL(devstack.Source), line{"schema", "FAIL", "needs one of the roles", ""}},
		"superuser's login":     {"DATABASE_URL=" + s.URL(devstack.Admin), line{"login", "warn", "is a superuser", "use a user with the role"}},
	} {
		t.Run(name, func(t *testing.T) {
			found, _ := ward{s, t, w.org}.examine([]string{c.env})
			for _, l := range found {
				if l.Check == c.want.Check && l.State == c.want.State && strings.Contains(l.Found, c.want.Found) && strings.Contains(l.Remedy, c.want.Remedy) {
					return
				}
			}
			require.Fail(t, "it does not find it", "%v: %v", c.want, found)
		})
	}

	for name, c := range map[string]struct {
		weaken, restore      string
		check, state, remedy string
	}{
		"older schema":    {"UPDATE ledgerline.goose_db_version SET version_id = -version_id WHERE version_id = " + fmt.Sprint(runlog.SchemaVersion()), "UPDATE ledgerline.goose_db_version SET version_id = -version_id WHERE version_id < 0", "schema", "FAIL", "starter migrate"},
		"a right":         {"GRANT DELETE ON ledgerline.integrations TO ledgerline_worker", "REVOKE DELETE ON ledgerline.integrations FROM ledgerline_worker", "rules", "FAIL", "starter migrate"},
		"no right":        {"REVOKE SELECT ON ledgerline.workers FROM ledgerline_operator", "GRANT SELECT ON ledgerline.workers TO ledgerline_operator", "rules", "FAIL", "starter migrate"},
		"revoked role":    {"REVOKE ledgerline_operator FROM " + devstack.Operator, "GRANT ledgerline_operator TO " + devstack.Operator, "schema", "FAIL", ""},
		"lost commits":    {"ALTER ROLE " + devstack.Operator + " SET synchronous_commit = off", "ALTER ROLE " + devstack.Operator + " RESET synchronous_commit", "commits", "FAIL", "to on"},
		"another's org":   {"ALTER ROLE " + devstack.Operator + " SET app.organization_id = '" + uuid.NewString() + "'", "ALTER ROLE " + devstack.Operator + " RESET app.organization_id", "login", "FAIL", "RESET"},
		"another's build": {"UPDATE ledgerline.workers SET version = 'v0.1.0'", "", "worker builds", "warn", "replaced"},
	} {
		t.Run(name, func(t *testing.T) {
			at := ward{s, t, w.org}
			at.exec(c.weaken)
			found, _ := at.examine(nil)
			if c.restore != "" {
				at.exec(c.restore)
			}
			for _, l := range found {
				if l.Check == c.check {
					require.Equal(t, c.state, l.State)
					require.Contains(t, l.Remedy, c.remedy)
					return
				}
			}
			require.Fail(t, "it does not find it", "%v", found)
		})
	}

	// A worker that stops says so; one that was killed is found out.
	require.NoError(t, process.Stop(30*time.Second))
	w.finds("workers", "FAIL", "is stopped, and was seen", "start a worker")
	process = w.worker()
	w.healthy()
	process.Kill()
	w.exec("UPDATE ledgerline.workers SET seen_at = seen_at - CASE WHEN stopped_at IS NULL THEN interval '1 minute' ELSE interval '1 hour' END")
	w.finds("workers", "FAIL", "is lost, and was seen", "start a worker")

	// What the worker cannot read, it says: the names, and never a value.
	secret := filepath.Join(s.Dir, "secrets", w.org.String(), "xledger-token")
	value, err := os.ReadFile(secret)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		damage, repair func() error
		says           string
	}{
		"no file":          {func() error { return os.Remove(secret) }, func() error { return os.WriteFile(secret, value, 0o600) }, "xledger-main: token: file:xledger-token: there is no file"},
		"open to everyone": {func() error { return os.Chmod(secret, 0o644) }, func() error { return os.Chmod(secret, 0o600) }, "chmod o="},
		"empty":            {func() error { return os.Truncate(secret, 0) }, func() error { return os.WriteFile(secret, value, 0o600) }, "missing or empty"},
	} {
		require.NoError(t, c.damage(), name)
		process = w.worker()
		w.finds("secrets", "FAIL", c.says, "docs/operations.md#secrets")
		require.NoError(t, process.Stop(30*time.Second))
		require.NoError(t, c.repair(), name)
	}
	w.exec(`INSERT INTO ledgerline.notification_channels (organization_id, name, kind, settings, applied_by) VALUES ($1, 'mail', 'email', '{"to": ["a@example.com"]}', 'test')`, w.org)
	process = w.worker()
	w.finds("secrets", "FAIL", "LEDGERLINE_SMTP_URL is not set", "")
	w.exec(`UPDATE ledgerline.notification_channels SET removed_at = now()`)
	require.NoError(t, process.Stop(30*time.Second))
	process = w.worker()
	w.healthy()

	// The worker does not mind that its database is away, and is there again by itself.
	require.NoError(t, s.Postgres.Stop(t.Context(), "immediate"))
	w.finds("PostgreSQL", "FAIL", "cannot be reached", "DATABASE_URL")
	bad, _ := w.examine(nil)
	require.Contains(t, fmt.Sprint(bad), "workers assumed ")
	require.Eventually(t, func() bool { return strings.Contains(process.Output(), "could not say that it is there") }, time.Minute, 100*time.Millisecond)
	require.NoError(t, s.Postgres.Start(t.Context()))
	w.healthy()

	require.NoError(t, s.Temporal.Stop())
	w.finds("Temporal", "FAIL", "cannot be reached", "TEMPORAL_ADDRESS")
}

// A server that takes connections and answers nothing costs the time that a check may
// take, and no more.
func TestDoctorEnds(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	began := time.Now()
	out, _, code := starterEnv(t, []string{"DATABASE_URL=postgres://u@" + silent.Addr().String() + "/x?sslmode=disable", "TEMPORAL_ADDRESS=" + silent.Addr().String()}, "",
		"doctor", "-o", "json", "--timeout", "2s")
	require.Equal(t, 1, code)
	lines := fromJSON[[]line](t, out)
	require.Len(t, lines, 2)
	for _, l := range lines {
		require.Equal(t, "FAIL", l.State)
		require.Contains(t, l.Found, "cannot be reached")
	}
	require.Less(t, time.Since(began), 30*time.Second, "a bound, and no measurement")
	_, words, code := starter(t, "", "doctor", "--timeout", "0s")
	require.Equal(t, 2, code)
	require.Contains(t, words, "--timeout")
}
