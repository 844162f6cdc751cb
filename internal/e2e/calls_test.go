package e2e

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/calls"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

// rowsIn are the rows that logs -o json prints, and the line that says that there are more.
func rowsIn(t *testing.T, out string) (rows []calls.Row, more string) {
	t.Helper()
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, `{"more":true`) {
			more = fromJSON[struct{ Until string }](t, line).Until
			continue
		}
		rows = append(rows, fromJSON[calls.Row](t, line))
	}
	return rows, more
}

// Nobody types a whole ID: the first characters name a call wherever one is named, those of
// several list them, and the last one needs none.
func TestCallsByTheBeginningOfTheirID(t *testing.T) {
	startWorker(t)
	o := newTenant(t, quick)
	org := o.id.String()
	first, second := o.ping("xledger-main"), o.ping("xledger-main")
	copy(second.CorrelationID[:4], first.CorrelationID[:4])
	other := o.ping("crm")
	script(first, sandbox.Rule{Times: 1, Status: 503})
	script(second, sandbox.Rule{Times: 1, Status: 502})
	script(other, sandbox.Rule{Times: 1, Status: 503})
	execute(t, first)
	finish(t, first)
	execute(t, second)
	finish(t, second)
	execute(t, other)
	finish(t, other)

	prefix := first.CorrelationID.String()[:8]
	var words string
	require.Eventually(t, func() bool { // Temporal lists a call about a second after its start
		var code int
		_, words, code = starter(t, "", "show", prefix, "--org", org)
		require.Equal(t, 1, code, words)
		return strings.Contains(words, "2 calls begin with "+prefix)
	}, 20*time.Second, 100*time.Millisecond)
	require.Contains(t, words, first.CorrelationID.String())
	require.Contains(t, words, second.CorrelationID.String())
	require.Contains(t, words, "xledger-main")
	out, words, code := starter(t, "", "show", second.CorrelationID.String()[:16], "--org", org, "-o", "json")
	require.Zero(t, code, words)
	r := fromJSON[calls.Report](t, out)
	require.Equal(t, []any{second.CorrelationID, "xledger-main", classify.Kind("bad_gateway"), 2}, []any{r.CorrelationID, r.IntegrationName, r.Attempts[0].Kind, len(r.Attempts)})
	require.True(t, r.Attempts[1].OK)
	last := func(args ...string) uuid.UUID {
		out, words, code := starter(t, "", append([]string{"show", "--last", "--org", org, "-o", "json"}, args...)...)
		require.Zero(t, code, words)
		return fromJSON[calls.Report](t, out).CorrelationID
	}
	require.Eventually(t, func() bool { return last() == other.CorrelationID }, 20*time.Second, 100*time.Millisecond)
	require.Equal(t, second.CorrelationID, last("--integration", "xledger-main"))
	stranger := newTenant(t, quick)
	_, words, code = starter(t, "", "show", prefix, "--org", stranger.id.String())
	require.Equal(t, 1, code)
	require.Contains(t, words, "no call begins with "+prefix, "another organization's")

	logs := func(args ...string) (rows []calls.Row, more string) {
		out, words, code := starter(t, "", append([]string{"logs", "--org", org, "-o", "json"}, args...)...)
		require.Zero(t, code, words)
		return rowsIn(t, out)
	}
	all, more := logs()
	require.Len(t, all, 6)
	require.Empty(t, more)
	for i := 1; i < len(all); i++ {
		require.False(t, all[i].OccurredAt.After(*all[i-1].OccurredAt), "the newest first")
	}
	require.Equal(t, []any{other.CorrelationID, "crm", 2, true}, []any{all[0].CorrelationID, all[0].IntegrationName, all[0].Number, all[0].OK})
	rows, _ := logs("--integration", "xledger-main")
	require.Len(t, rows, 4)
	rows, _ = logs("--correlation-id", second.CorrelationID.String()[:16])
	require.Len(t, rows, 2)
	rows, _ = logs("--last", "--integration", "xledger-main")
	require.Equal(t, second.CorrelationID, rows[0].CorrelationID)
	rows, _ = logs("--since", "1d", "--class", "success")
	require.Len(t, rows, 3)
	rows, _ = logs("--until", "1d")
	require.Empty(t, rows)
	var read []calls.Row
	for rows, more = logs("-n", "4"); more != ""; rows, more = logs("-n", "4", "--until", more) {
		read = append(read, rows...)
	}
	require.Equal(t, all, append(read, rows...), "what is left out says how it is seen")
	out, words, code = starter(t, "", "logs", "--org", org, "-n", "4")
	require.Zero(t, code)
	require.Contains(t, words, "there are older rows: add -n 40")
	require.Contains(t, out, "INTEGRATION")
	require.Equal(t, 5, strings.Count(out, "\n"), out)
}

// A call that waits for its retry is cancelled by whoever asks for that, and ends with its
// outcome. What has ended is refused.
func TestCancelCall(t *testing.T) {
	startWorker(t)
	o := newTenant(t, patient)
	org := o.id.String()
	in := o.ping("xledger-main")
	script(in, sandbox.Rule{Times: 1, Status: 503}, sandbox.Rule{Status: 502})
	run := begin(t, in)
	due := waiting(t, run.GetID(), 3).GetNextAttemptScheduleTime().AsTime()
	out, words, code := starter(t, "", "cancel", in.CorrelationID.String(), "--org", org, "-o", "json")
	require.Zero(t, code, words)
	outcome := fromJSON[workflows.Outcome](t, out)
	require.Equal(t, []any{in.CorrelationID, 2, "cancelled by the caller"}, []any{outcome.CorrelationID, outcome.TotalAttempts, outcome.Failure.Message})
	list := events(t, in)
	require.True(t, list[len(list)-1].GetEventTime().AsTime().Before(due), "the wait is not waited out")
	for _, which := range [][]string{{in.CorrelationID.String()[:8]}, {"--last"}} {
		_, words, code = starter(t, "", append([]string{"cancel", "--org", org}, which...)...)
		require.Equal(t, 1, code)
		require.Contains(t, words, "call "+in.CorrelationID.String()+" has ended; there is nothing to cancel")
	}
	_, words, code = starter(t, "", "cancel", uuid.NewString(), "--org", org)
	require.Equal(t, 1, code)
	require.Contains(t, words, "no call")
	_, words, code = starter(t, "", "cancel", "2026-10", "--org", org)
	require.Equal(t, 2, code)
	require.Contains(t, words, "--integration is missing")
}

// An export is cancelled by its period; its attempts are shown with it.
func TestCancelExport(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	org := b.id.String()
	b.vouchers(t, "A", 3, "2026-10-15", "3000", "0")
	b.verified(t, "xledger-main")
	b.fault(sandbox.Rule{Times: 2, Status: 503})
	in := b.input(t, "2026-10")
	in.Policy.BaseDelay, in.Policy.Coefficient, in.Policy.MaxRetries = 1500*time.Millisecond, 10, 2
	run := b.start(t, in)
	waiting(t, run.GetID(), 3)
	sentIn := queryStrings(t, "SELECT DISTINCT sent_in::text FROM ledgerline.export_entries WHERE organization_id = $1", b.id)[0]
	show := func() calls.Report {
		out, words, code := starter(t, "", "show", sentIn, "--org", org, "-o", "json")
		require.Zero(t, code, words)
		return fromJSON[calls.Report](t, out)
	}
	live := show()
	require.Equal(t, []any{engine.Waiting, "2026-10", 2}, []any{live.State, live.Export.Period, len(live.Attempts)})
	_, words, code := starter(t, "", "cancel", sentIn, "--org", org)
	require.Equal(t, 1, code)
	require.Contains(t, words, "is an attempt of the export of October 2026; to cancel the export: starter cancel 2026-10 --integration xledger-main --org "+org)

	out, words, code := starter(t, "", "cancel", "2026-10", "--integration", "xledger-main", "--org", org)
	require.Zero(t, code, words)
	require.Contains(t, out, "the export of October 2026 is cancelled: 0 of 6 entries exported, 6 unknown")
	require.Contains(t, out, "starter exports retry 2026-10 --integration xledger-main sends the rest")
	e := result(t, run).Export
	require.Equal(t, []any{exports.Failed, classify.Cancelled}, []any{e.Status, e.ErrorCode})
	_, words, code = starter(t, "", "cancel", e.ID.String()[:8], "--org", org)
	require.Equal(t, 1, code)
	require.Contains(t, words, "the export of October 2026 has ended as failed; there is nothing to cancel")

	ended := show()
	require.Equal(t, []any{engine.Completed, e.ID, "2026-10", exports.Failed, 1, 3, "A00000", 6},
		[]any{ended.State, ended.Export.ExportID, ended.Export.Period, ended.Export.Status, ended.Export.Chunk, ended.Export.Vouchers, ended.Export.Voucher, ended.Export.Entries})
	out, _, code = starter(t, "", "show", sentIn, "--org", org)
	require.Zero(t, code)
	require.Contains(t, out, e.ID.String()+", period 2026-10, failed")
	require.Contains(t, out, "A00000 and 2 more (6 entries)")
}

// A voucher that the vendor refuses is beside the row of the request that it was refused in.
func TestLogsNameTheRefusedVoucher(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 3, "2026-10-15", "3000", "0")
	b.vouchers(t, "X", 1, "2026-10-16", "X999", "0")
	e := result(t, b.start(t, b.input(t, "2026-10"))).Export
	require.Equal(t, 2, e.Rejected, "%+v", e)
	out, words, code := starter(t, "", "logs", "--org", b.id.String(), "--class", "permanent", "-o", "json")
	require.Zero(t, code, words)
	rows, _ := rowsIn(t, out)
	var vouchers []string
	for _, r := range rows {
		require.Equal(t, []any{e.ID, "2026-10"}, []any{r.Export.ExportID, r.Export.Period})
		if r.Export.Vouchers > 0 {
			vouchers = append(vouchers, r.Export.Voucher)
		}
	}
	require.Equal(t, []string{"X00000"}, vouchers, out)
	out, _, _ = starter(t, "", "logs", "--org", b.id.String(), "--class", "permanent")
	require.Regexp(t, `xledger-main +export +2026-10 +X00000 `, out)
}

// Without a worker a call says so while it waits. Whoever stops waiting learns how to see
// its outcome, in words and not in those of a protocol.
func TestCallWithoutWorker(t *testing.T) {
	o := newTenant(t, quick)
	args := []string{"call", "--org", o.id.String(), "--integration", "xledger-main", "--operation", "ping"}
	_, words, code := starter(t, "", append(args, "--timeout", "1ms")...)
	require.Equal(t, 1, code)
	require.Contains(t, words, "--timeout 1ms was too short to connect to PostgreSQL and Temporal: nothing was sent")
	_, words, code = starter(t, "", append(args, "--timeout", "3s")...)
	require.Equal(t, 1, code)
	require.Contains(t, words, "no outcome within 3s")
	require.Contains(t, words, "starter show ")
	require.NotContains(t, words, "RST_STREAM")

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	id, written := uuid.NewString(), new(said)
	c := exec.CommandContext(ctx, starterBin, append(args, "--correlation-id", id, "--timeout", "2m")...)
	c.Env, c.Stderr = append(os.Environ(), stack.Env(devstack.Operator)...), written
	require.NoError(t, c.Start())
	require.Eventually(t, func() bool { // a worker of another test that was killed counts as running for 35 s
		return strings.Contains(written.String(), "note: no worker is running on task queue ledgerline")
	}, 90*time.Second, 100*time.Millisecond)
	require.Contains(t, written.String(), "starter doctor")
	require.NoError(t, c.Process.Signal(syscall.SIGINT))
	require.Error(t, c.Wait())
	require.Equal(t, 1, c.ProcessState.ExitCode())
	require.Contains(t, written.String(), "no longer waiting; the call continues")
	require.Contains(t, written.String(), "starter show "+id[:8]+" --org "+o.id.String())
	startWorker(t)
	require.True(t, finish(t, activitiesWith(o, uuid.MustParse(id))).OK, "it continues")
}

// logs --follow prints the last rows in the order of time, and what comes once.
func TestLogsFollow(t *testing.T) {
	startWorker(t)
	o := newTenant(t, quick)
	fail := func() uuid.UUID {
		in := o.ping("xledger-main")
		script(in, sandbox.Rule{Times: 1, Status: 503})
		execute(t, in)
		finish(t, in)
		return in.CorrelationID
	}
	fail()
	before := fail()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	written := new(said)
	c := exec.CommandContext(ctx, starterBin, "logs", "--org", o.id.String(), "-f", "-n", "1", "-o", "json")
	c.Env, c.Stdout = append(os.Environ(), stack.Env(devstack.Operator)...), written
	require.NoError(t, c.Start())
	lines := func(n int) []calls.Row {
		require.Eventually(t, func() bool { return strings.Count(written.String(), "\n") >= n }, 30*time.Second, 50*time.Millisecond, "%s", written)
		rows, _ := rowsIn(t, written.String())
		return rows
	}
	require.Equal(t, before, lines(1)[0].CorrelationID)
	after := fail()
	rows := lines(3)
	require.Equal(t, []any{3, after, 1, after, 2}, []any{len(rows), rows[1].CorrelationID, rows[1].Number, rows[2].CorrelationID, rows[2].Number})
	require.NoError(t, c.Process.Signal(syscall.SIGINT))
	require.NoError(t, c.Wait(), "whoever stops following has seen what there was")
}
