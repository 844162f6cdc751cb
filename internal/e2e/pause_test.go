package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// forgetWorkers leaves out of account the workers of other tests, which were killed.
func forgetWorkers(t *testing.T) {
	t.Helper()
	queryStrings(t, "UPDATE ledgerline.workers SET seen_at = now() - interval '1 hour' RETURNING host")
}

// Whoever pauses or resumes is told which workers know of it: of none, of one that runs
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
