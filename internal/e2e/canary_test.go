package e2e

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/proto"

	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/graphqlserver"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// What the tests leave behind is kept here, by file name: what starters printed,
// what receivers of notifications got, what workers measured.
var (
	keeping sync.Mutex
	kept    = make(map[string]*strings.Builder)
)

func keep(name, text string) {
	keeping.Lock()
	defer keeping.Unlock()
	if kept[name] == nil {
		kept[name] = new(strings.Builder)
	}
	kept[name].WriteString(text + "\n")
}

// keepMetrics keeps what a worker has measured, and reports false of one that no
// longer runs.
func keepMetrics(p *devstack.Process) bool {
	address := listening.FindStringSubmatch(p.Output())
	if address == nil {
		return false
	}
	client := http.Client{Timeout: 2 * time.Second}
	answer, err := client.Get("http://" + address[1] + "/metrics")
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	keep("metrics.txt", string(text))
	return err == nil
}

var listening = regexp.MustCompile(`"listen":"([^"]+)"`)

// canaries are the secrets of these tests: those that integrations name, the one
// that signs notifications, the database's password.
func canaries() []string {
	list := []string{hookSecret, strings.TrimPrefix(hookSecret, "whsec_"), devstack.Password, graphqlserver.Token}
	return slices.AppendSeq(list, maps.Values(stack.Secrets()))
}

// accessToken is a token of the sandbox's Entra.
var accessToken = regexp.MustCompile(`sandbox\.[A-Z2-7]{26}`)

// echoes lets vendors repeat the credential, in errors and in answers, so that
// there is something to be masked.
func echoes(t *testing.T, o tenant) {
	t.Helper()
	secret := sandbox.DemoXledgerToken
	refused := o.ping("xledger-main")
	script(refused, sandbox.Rule{Status: 400, Body: `{"errors":[{"message":"token ` + secret + ` is bad"}]}`})
	execute(t, refused)
	finish(t, refused)
	kind := o.ping("xledger-main")
	script(kind, sandbox.Rule{Status: 200, Body: `{"data":{"youSent":"` + secret + `"}}`})
	require.True(t, execute(t, kind).OK)
	require.True(t, execute(t, o.ping("crm")).OK)
	write, _ := o.voucher()
	script(write, sandbox.Rule{Status: 200, Body: `{"errors":[{"message":"` + secret + `"}]}`})
	execute(t, write)
	finish(t, write)
	finish(t, kind)
}

// TestCanariesComeNear lets vendors echo the credentials, and commands show what
// there is; the search at the end of the suite would prove nothing otherwise.
func TestCanariesComeNear(t *testing.T) {
	w := startWorker(t)
	o := newTenant(t, quick)
	echoes(t, o)
	file := stack.Integrations(o.id, quick)
	for _, c := range []struct {
		stdin string
		args  []string
	}{
		{"", []string{"logs"}}, {"", []string{"exports", "list"}}, {"", []string{"ticks", "list"}}, {"", []string{"quota"}}, {"", []string{"health"}},
		{"", []string{"health", "history", "--integration", "xledger-main"}}, {"", []string{"schedules", "list"}}, {"", []string{"integrations", "list"}},
		{"", []string{"integrations", "verify"}}, {"", []string{"notifications", "list"}}, {"", []string{"notifications", "channels"}},
		{file, []string{"integrations", "check", "-f", "-"}}, {file, []string{"integrations", "apply", "-f", "-", "--dry-run"}},
		{"Authorization: token " + sandbox.DemoXledgerToken, []string{"redact"}},
	} {
		for _, form := range []string{"table", "json"} {
			args := append(c.args, "-o", form)
			if c.stdin == "" {
				args = append(args, "--org", o.id.String())
			}
			out, words, code := starter(t, c.stdin, args...)
			if !slices.Contains(args, "verify") { // the old token is refused
				require.Zero(t, code, "%v: %s", args, words)
			}
			require.NotEmpty(t, out+words, "%v", args)
		}
	}
	require.True(t, keepMetrics(w))
	masked := queryStrings(t, "SELECT error_message FROM ledgerline.integration_run_logs WHERE organization_id = $1", o.id)
	require.Contains(t, strings.Join(masked, "\n"), "[REDACTED]")
	require.Eventually(t, func() bool {
		runs, err := histories(t.Context())
		return err == nil && strings.Contains(strings.Join(runs, ""), "[REDACTED]")
	}, 30*time.Second, time.Second)
}

// searchLeavings looks for secrets in all that the suite left behind: every table,
// every run's history, and what programs printed, sent and measured. It looks for
// the canaries itself and lets another project's scanner judge the rest.
func searchLeavings(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "ledgerline-leavings-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files, err := leavings(ctx)
	if err != nil {
		return err
	}
	var found []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(files[name]), 0o600); err != nil {
			return err
		}
		for i, c := range canaries() {
			if form := holds(files[name], c); form != "" {
				found = append(found, fmt.Errorf("canary %d (%s…) stands in %s, %s", i, c[:4], name, form))
			}
		}
		if at := accessToken.FindStringIndex(files[name]); at != nil {
			found = append(found, fmt.Errorf("an access token stands in %s, after %q", name, files[name][max(0, at[0]-80):at[0]]))
		}
	}
	return errors.Join(append(found, scan(ctx, dir))...)
}

// leavings returns texts by file name.
func leavings(ctx context.Context) (map[string]string, error) {
	files := make(map[string]string)
	conn, err := pgx.Connect(ctx, stack.URL(devstack.Admin))
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(ctx, `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('ledgerline', 'public') ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	for _, table := range tables {
		var all string
		if err := conn.QueryRow(ctx, "SELECT coalesce(string_agg(to_jsonb(t)::text, E'\n'), '') FROM "+table+" t").Scan(&all); err != nil {
			return nil, err
		}
		files[table+".jsonl"] = all
	}
	runs, err := histories(ctx)
	if err != nil {
		return nil, err
	}
	files["histories.txt"] = strings.Join(runs, "\n")
	mu.Lock()
	for i, p := range output {
		files[fmt.Sprintf("worker-%d.log", i)] = p.Output()
	}
	mu.Unlock()
	keeping.Lock()
	defer keeping.Unlock()
	for name, text := range kept {
		files[name] = text.String()
	}
	return files, nil
}

// histories returns the history of every run as text. Payloads are JSON inside the
// encoded events, so they are texts there as they are.
func histories(ctx context.Context) (all []string, err error) {
	var page []byte
	for {
		list, err := temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{NextPageToken: page})
		if err != nil {
			return nil, err
		}
		for _, e := range list.GetExecutions() {
			text, err := historyOf(ctx, e.GetExecution())
			if err != nil {
				return nil, err
			}
			all = append(all, text)
		}
		if page = list.GetNextPageToken(); len(page) == 0 {
			return all, nil
		}
	}
}

func historyOf(ctx context.Context, run *common.WorkflowExecution) (string, error) {
	var b strings.Builder
	for it := temporal.GetWorkflowHistory(ctx, run.GetWorkflowId(), run.GetRunId(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); {
		e, err := it.Next()
		if err != nil {
			return "", err
		}
		raw, err := proto.Marshal(e)
		if err != nil {
			return "", err
		}
		b.WriteString(strings.ToValidUTF8(string(raw), "\n"))
	}
	return b.String(), nil
}

// holds names the form in which a text holds a secret, "" if it does not.
func holds(text, secret string) string {
	lower := strings.ToLower(text)
	if strings.Contains(lower, strings.ToLower(secret)) {
		return "as it is"
	}
	if strings.Contains(lower, hex.EncodeToString([]byte(secret))) {
		return "in hex"
	}
	for shift := range 3 { // of a longer text, such as user:secret
		coded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
		if strings.Contains(text, coded[(shift*8+5)/6:(shift+len(secret))*8/6]) {
			return "in base64"
		}
	}
	return ""
}

// scan lets gitleaks judge a folder, with its own rules. A planted key shows that
// it looks.
func scan(ctx context.Context, dir string) error {
	bin, config, err := devstack.Gitleaks(ctx, os.Stderr)
	if err != nil {
		return err
	}
	const planted = "planted.txt"
	key := strings.Join([]string{"gh", "p_", "R7fQ2mX9", "kL4vT8bN", "1cZ6wY3s", "D5hJ0gPa", "EuMo"}, "")
	if err := os.WriteFile(filepath.Join(dir, planted), []byte("token = "+key+"\n"), 0o600); err != nil {
		return err
	}
	report := filepath.Join(dir, "report.json")
	c := exec.CommandContext(ctx, bin, "dir", dir, "--config", config, "--no-banner", "--log-level", "error", "--redact=80",
		"--report-format", "json", "--report-path", report, "--exit-code", "0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("gitleaks: %w: %s", err, out)
	}
	raw, err := os.ReadFile(report)
	if err != nil {
		return err
	}
	var list []struct{ RuleID, File, Match string }
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	var found []error
	seen := false
	for _, f := range list {
		if filepath.Base(f.File) == planted {
			seen = true
			continue
		}
		found = append(found, fmt.Errorf("gitleaks: %s in %s: %q", f.RuleID, filepath.Base(f.File), f.Match))
	}
	if !seen {
		found = append(found, errors.New("gitleaks did not find the planted key, so it proves nothing"))
	}
	return errors.Join(found...)
}
