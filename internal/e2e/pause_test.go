package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/devstack"
)

// forgetWorkers leaves out of account the workers of other tests, which were killed.
func forgetWorkers(t *testing.T) {
	t.Helper()
	queryStrings(t, "UPDATE ledgerline.workers SET seen_at = now() - interval '1 hour' RETURNING host")
}

// A pause, and its end, say which workers know of it: of none, of one that runs
// and of one that was killed. Health says first that nobody keeps it up to date.
func TestPauseSaysWhoKnowsOfIt(t *testing.T) {
	forgetWorkers(t)
	o := newTenant(t, quick)
	say := func(action string) string {
		t.Helper()
		_, words, code := starter(t, "", "integrations", action, "xledger-main", "--org", o.id.String(), "--reason", "month end")
		require.Zero(t, code, words)
		return words
	}
	require.Contains(t, say("pause"), "no worker is running; one that starts will see it")
	_, words, code := starter(t, "", "health", "--org", o.id.String())
	require.Zero(t, code, words)
	require.True(t, strings.HasPrefix(words, "no worker is running, so nothing is probed"), words)

	w := startWorker(t)
	out := execute(t, o.ping("xledger-main"))
	require.Contains(t, out.Failure.Message, "was paused by", "it sees the pause when it starts")
	require.Regexp(t, `worker \d+@.* \(seen \d+s ago\): knows of it`, say("resume"))
	require.True(t, execute(t, o.ping("xledger-main")).OK, "as soon as the command has ended")
	require.Regexp(t, `: knows of it`, say("pause"))
	require.False(t, execute(t, o.ping("xledger-main")).OK)
	_, words, _ = starter(t, "", "health", "--org", o.id.String())
	require.Empty(t, words)

	w.Kill()
	require.Regexp(t, `worker \d+@.*: says nothing; it was killed`, say("resume"))

	// The integration is the argument, or --integration, or both if they agree.
	for _, args := range [][]string{
		{"integrations", "pause", "xledger-main", "--integration", "crm", "--reason", "x"},
		{"integrations", "pause", "xledger-main", "crm", "--reason", "x"},
		{"schedules", "describe"},
	} {
		_, words, code := starter(t, "", append(args, "--org", o.id.String())...)
		require.Equal(t, 2, code, "%v: %s", args, words)
		require.Contains(t, words, "integration")
	}
}

// A period that has not begun has one remedy, with and without --unfinished.
func TestSyncOfTheFuture(t *testing.T) {
	o := newTenant(t, quick)
	for _, more := range []string{"--unfinished", "--dry-run"} {
		_, words, code := starter(t, "", "sync", "--org", o.id.String(), "--integration", "xledger-main", "--period", "2099-01", more)
		require.Equal(t, 2, code, words)
		require.Contains(t, words, "period 2099-01 has not begun, and nothing can be exported for it before 1 January 2099: give a period that has ended")
		require.NotContains(t, words, "--unfinished")
	}
}

// A run of a paused integration says why it waits, once, and what to do; it ends after the
// integration was resumed.
func TestSyncSaysWhyItWaits(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 2, "2026-10-15", "3000", "0")
	b.verified(t, "xledger-main")
	_, words, code := starter(t, "", "integrations", "pause", "xledger-main", "--org", b.id.String(), "--reason", "month end")
	require.Zero(t, code, words)

	c := exec.CommandContext(bounded(t, 3*time.Minute), starterBin, "sync", "--org", b.id.String(), "--integration", "xledger-main", "--period", "2026-10")
	c.Env = append(os.Environ(), stack.Env(devstack.Operator)...)
	var out, progress said
	c.Stdout, c.Stderr = &out, &progress
	require.NoError(t, c.Start())
	require.Eventually(t, func() bool {
		return strings.Contains(progress.String(), ": month end; starter integrations resume --org "+b.id.String()+" --integration xledger-main resumes it")
	}, 90*time.Second, 100*time.Millisecond, "%s", &progress)
	_, words, code = starter(t, "", "integrations", "resume", "xledger-main", "--org", b.id.String())
	require.Zero(t, code, words)
	require.NoError(t, c.Wait(), "%s", &progress)
	require.Contains(t, out.String(), "October 2026 is complete: 4 entries in 2 vouchers")
	require.Equal(t, 1, strings.Count(progress.String(), "is paused by"), "%s", &progress)
	b.requireOnce(t, 4)
}
