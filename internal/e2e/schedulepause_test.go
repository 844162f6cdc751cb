package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/devstack"
)

// What waits for a schedule that somebody has paused by itself is promised no time. Without
// Temporal, and with a login that may only read, the list is there all the same.
func TestScheduleThatIsPausedPromisesNoTime(t *testing.T) {
	b := newBook(t)
	apply(t, b.file("    schedule: {every: monthly, day: 3, at: \"06:30\"}\n"))
	b.vouchers(t, "A", 1, "2026-10-15", "3000", "0")
	list := func(login string, env ...string) string {
		t.Helper()
		out, words, code := starterEnv(t, append(stack.Env(login), env...), "", "entries", "list", "--state", "waiting", "--org", b.id.String(), "--integration", "xledger-main")
		require.Zero(t, code, words)
		require.Empty(t, words)
		return out
	}
	promised := `2 entries wait for the export of \w+ \d{4}, by the schedule on 3 \w+ \d{4} 06:30 CES?T`
	require.Regexp(t, promised, list(devstack.Operator))

	_, words, code := b.onMain(t, "pause", "--reason", "ferie")
	require.Zero(t, code, words)
	for _, login := range []string{devstack.Operator, devstack.Reader} {
		out := list(login)
		require.Regexp(t, `2 entries wait for the export of \w+ \d{4}, whose schedule is paused`, out)
		require.Regexp(t, `the schedule of xledger-main is paused \(\S+: ferie\) and starts no export, until starter schedules resume xledger-main\n$`, out)
		require.NotContains(t, out, "by the schedule on")
	}
	require.Regexp(t, promised, list(devstack.Reader, "TEMPORAL_ADDRESS=127.0.0.1:1"), "nobody could be asked")

	_, words, code = b.onMain(t, "resume")
	require.Zero(t, code, words)
	require.Regexp(t, promised, list(devstack.Operator))
}
