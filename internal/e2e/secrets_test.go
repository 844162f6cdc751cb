package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// An organization's references reach its own secrets on a real worker, and nobody
// else's, also if they were stored past the program; and a file that is a pipe
// costs no slot.
func TestSecretsStayApart(t *testing.T) {
	a, b := newTenant(t, quick), newTenant(t, quick)
	prefix := "A" + strings.ToUpper(strings.ReplaceAll(uuid.NewString(), "-", "")) + "_"
	folder := func(o tenant, name string) string { return filepath.Join(stack.SecretStore().Dir, o.id.String(), name) }
	require.NoError(t, syscall.Mkfifo(folder(b, "pipe"), 0o600))
	require.NoError(t, os.Symlink(folder(a, "xledger-token"), folder(b, "link")))
	require.NoError(t, os.Symlink("../"+a.id.String()+"/xledger-token", folder(b, "link-up")))
	stack.Secret(b.id, "open", sandbox.DemoXledgerToken)
	require.NoError(t, os.Chmod(folder(b, "open"), 0o644))
	w := startWorkerEnv(t, []string{"LEDGERLINE_ENV_SECRETS=" + a.id.String() + "=" + prefix, prefix + "TOKEN=" + sandbox.DemoXledgerToken}, "--concurrency", "4")
	name := func(o tenant, ref string) {
		t.Helper()
		require.Len(t, queryStrings(t, `UPDATE ledgerline.integrations SET credential_refs = jsonb_build_object('token', $2::text)
			WHERE organization_id = $1 AND name = 'xledger-main' RETURNING name`, o.id, ref), 1)
	}
	name(a, "env:"+prefix+"TOKEN")
	require.True(t, execute(t, a.ping("xledger-main")).OK)

	for _, ref := range []string{
		"file:pipe", "file:/dev/ptmx", "file:/etc/hostname", "file:../" + a.id.String() + "/xledger-token", "file:" + folder(a, "xledger-token"),
		"file:link", "file:link-up", "file:open", "env:" + prefix + "TOKEN", "env:DATABASE_URL", "env:LEDGERLINE_SECRETS", "env:HOME",
	} {
		// A worker knows an integration for a while: each reference has one of its own.
		id := uuid.New()
		queryStrings(t, `INSERT INTO ledgerline.integrations (organization_id, integration_id, name, adapter, base_url, settings, credential_refs, policy, applied_by)
			SELECT organization_id, $2::uuid, 'x' || left($2::uuid::text, 8), adapter, base_url, settings, jsonb_build_object('token', $3::text), policy, 'test'
			FROM ledgerline.integrations WHERE organization_id = $1 AND name = 'xledger-main' RETURNING name`, b.id, id, ref)
		in := b.ping("xledger-main")
		in.IntegrationID = id
		out := execute(t, in)
		require.False(t, out.OK, ref)
		require.Equal(t, []any{1, classify.Permanent, false}, []any{out.TotalAttempts, out.Failure.ErrorClass, out.Failure.IsRetryable}, "%s: %s", ref, out.Failure.Message)
		require.Empty(t, reached(in), "%s: nothing is sent", ref)
		finish(t, in)
		require.Equal(t, string(classify.Credentials), rowsOf(t, in)[0].Kind, ref)
	}
	require.True(t, execute(t, b.ping("xledger-main")).OK)
	require.True(t, execute(t, a.ping("crm")).OK)

	_, body := asking(t, w)("/metrics")
	require.Regexp(t, `(?m)^ledgerline_secret_reads_stuck(\{[^}]*\})? 0$`, body)
	require.NotContains(t, w.Output(), sandbox.DemoXledgerToken)
}

// A webhook whose secret is a pipe is not sent, and says why.
func TestWebhookSecretIsAPipe(t *testing.T) {
	o := newTenant(t, quick)
	h := newHooks(t, func(http.ResponseWriter, string, int) {})
	notifyWorker(t, h)
	applyHooks(t, o, h)
	path := filepath.Join(stack.SecretStore().Dir, o.id.String(), "hook-secret")
	require.NoError(t, os.Remove(path))
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	_, words, code := starter(t, "", "notifications", "test", "--org", o.id.String(), "--channel", "ops")
	require.Equal(t, 1, code, words)
	require.Regexp(t, `ops: credentials.*; it is retried`, words)
	h.mu.Lock()
	defer h.mu.Unlock()
	require.Empty(t, h.attempts)
}
