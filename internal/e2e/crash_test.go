package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

// mutations counts the requests to store entries that reached the sandbox.
func mutations() (n int) {
	for _, e := range stack.Sandbox.Log() {
		if e.Operation == "addGLImportItems" {
			n++
		}
	}
	return n
}

// arrived waits until one more has reached it than before; then the entries
// are marked as sent, and the worker waits for the answer.
func (b book) arrived(t *testing.T, before int) {
	t.Helper()
	require.Eventually(t, func() bool { return mutations() > before }, time.Minute, 5*time.Millisecond)
	require.Equal(t, []string{"sent"}, queryStrings(t, "SELECT DISTINCT state FROM ledgerline.export_entries WHERE organization_id = $1", b.id))
}

// effects counts what the vendor has of the book.
func (b book) effects(t *testing.T) (n int) {
	t.Helper()
	mine := make(map[string]bool)
	for _, k := range queryStrings(t, "SELECT vendor_key FROM ledgerline.export_entries WHERE organization_id = $1", b.id) {
		mine[k] = true
	}
	for _, e := range stack.Sandbox.Effects() {
		if mine[e.Key] {
			n++
		}
	}
	return n
}

// retryOf starts the retry of an export.
func (b book) retryOf(t *testing.T, e exports.Export) client.WorkflowRun {
	t.Helper()
	in := b.input(t, e.Period)
	in.ParentID, in.Trigger = &e.ID, exports.ByRetry
	return b.start(t, in)
}

// A worker that dies after it has marked entries and before the vendor has
// acted leaves nothing there: they are sent once, by the next one.
func TestExportCrashBeforeEffect(t *testing.T) {
	w := startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 20, "2026-10-15", "3000", "0")
	b.fault(sandbox.Rule{Times: 1, Hang: true})
	before := mutations()
	run := b.start(t, b.input(t, "2026-10"))
	b.arrived(t, before)
	w.Kill()
	require.Zero(t, b.effects(t))
	startWorker(t)
	e := result(t, run).Export
	require.Equal(t, []any{exports.Complete, 40}, []any{e.Status, e.Exported}, "%+v", e)
	b.requireOnce(t, 40)
}

// A worker that dies after entries were marked and before a byte of them was sent
// leaves them open. They are sent once, when they can no longer arrive.
func TestExportCrashBeforeSending(t *testing.T) {
	b := newBook(t)
	b.vouchers(t, "A", 20, "2026-10-15", "3000", "0")
	w, held := b.marked(t)
	run := b.start(t, b.input(t, "2026-10"))
	held.caught(t)
	until := b.openUntil(t)
	require.WithinDuration(t, time.Now().Add(2*time.Second+inFlight), until, 500*time.Millisecond)
	w.Kill()
	require.Empty(t, b.sends(t))
	startWorker(t)
	e := result(t, run).Export
	require.Equal(t, []any{exports.Complete, 40}, []any{e.Status, e.Exported}, "%+v", e)
	require.Len(t, b.sends(t), 1)
	require.False(t, b.sends(t)[0].At.Before(until), "it was not waited for what may have been sent")
	b.requireOnce(t, 40)
}

// A worker that stands still between the mark and the first byte, for longer than
// its attempt may take, sends nothing when it goes on: others may have asked and
// sent meanwhile.
func TestExportStoppedBeforeSending(t *testing.T) {
	for name, another := range map[string]bool{"it goes on alone": false, "another one has sent": true} {
		t.Run(name, func(t *testing.T) {
			b := newBook(t)
			b.vouchers(t, "A", 20, "2026-10-15", "3000", "0")
			w, held := b.marked(t)
			run := b.start(t, b.input(t, "2026-10"))
			held.caught(t)
			require.NoError(t, w.Signal(syscall.SIGSTOP))
			requireStopped(t, w)
			held.release()
			if another {
				startWorker(t)
				require.Equal(t, exports.Complete, result(t, run).Export.Status)
			} else {
				time.Sleep(2500 * time.Millisecond)
				require.Empty(t, b.sends(t))
			}
			require.NoError(t, w.Signal(syscall.SIGCONT))
			e := result(t, run).Export
			require.Equal(t, []any{exports.Complete, 40}, []any{e.Status, e.Exported}, "%+v", e)
			time.Sleep(500 * time.Millisecond) // so that it has gone on
			require.Len(t, b.sends(t), 1)
			b.requireOnce(t, 40)
		})
	}
}

// requireStopped waits until all threads of a program that got SIGSTOP stand still: on a
// busy machine one of them may run on until another one has seen the signal.
func requireStopped(t *testing.T, p *devstack.Process) {
	t.Helper()
	require.Eventually(t, func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.PID()))
		require.NoError(t, err)
		return len(threads) > 0 && !slices.ContainsFunc(threads, func(path string) bool {
			stat, err := os.ReadFile(path)
			state := stat[strings.LastIndex(string(stat), ")")+1:] // its name may hold anything
			return err == nil && !strings.HasPrefix(string(state), " T")
		})
	}, 20*time.Second, 5*time.Millisecond)
}

// marked starts a worker that is held when it has marked entries of the book and
// does not know it yet.
func (b book) marked(t *testing.T) (*devstack.Process, *wire) {
	t.Helper()
	held := afterCommit(t, "SET state = 'sent', effect = 'open'")
	return startWorkerEnv(t, []string{held.env()}), held
}

// openUntil is until when the book's entries can take effect.
func (b book) openUntil(t *testing.T) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, queryStrings(t, `SELECT to_char(max(open_until) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
		FROM ledgerline.export_entries WHERE organization_id = $1`, b.id)[0])
	require.NoError(t, err)
	return at
}

// A worker that dies between the vendor's answer and its record leaves entries
// there that the database does not know of: they are found and not sent again.
func TestExportCrashBeforeRecord(t *testing.T) {
	w := startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 20, "2026-10-15", "3000", "0")
	b.fault(sandbox.Rule{Times: 1, DelayMS: 1000})
	in := b.input(t, "2026-10")
	in.Policy.AttemptTimeout = 10 * time.Second
	before := mutations()
	run := b.start(t, in)
	b.arrived(t, before)

	// While the vendor takes its time, somebody holds the rows, so that the
	// worker has the answer and cannot record it.
	admin, err := pgx.Connect(t.Context(), stack.URL(devstack.Admin))
	require.NoError(t, err)
	defer admin.Close(context.Background())
	held, err := admin.Begin(t.Context())
	require.NoError(t, err)
	_, err = held.Exec(t.Context(), "SELECT FROM ledgerline.export_entries WHERE organization_id = $1 FOR UPDATE", b.id)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return len(queryStrings(t, "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%UPDATE ledgerline.export_entries%'")) > 0
	}, 30*time.Second, 10*time.Millisecond)
	w.Kill()
	require.NoError(t, held.Rollback(t.Context()))
	require.Equal(t, 40, b.effects(t), "the vendor has acted")

	startWorker(t)
	e := result(t, run).Export
	require.Equal(t, []any{exports.Complete, 40}, []any{e.Status, e.Exported}, "%+v", e)
	b.requireOnce(t, 40)
}

// An outcome that is unknown stays so until the vendor has said what it has,
// over any number of invocations that cannot even ask.
func TestExportDoubtStays(t *testing.T) {
	startWorker(t)
	for name, c := range map[string]struct {
		retries int          // of an invocation
		ask     sandbox.Rule // what becomes of the question in the invocation after the one that is in doubt
		status  exports.Status
	}{
		"unavailable":  {1, sandbox.Rule{Times: 2, Status: 503}, exports.Complete},
		"throttled":    {1, sandbox.Rule{Times: 2, Status: 429}, exports.Complete},
		"unauthorized": {0, sandbox.Rule{Times: 1, Status: 401}, exports.Failed},
		"refused":      {0, sandbox.Rule{Times: 1, Status: 200, Body: `{"errors":[{"message":"no"}]}`}, exports.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook(t)
			b.vouchers(t, "A", 1, "2026-10-15", "3000", "0")
			b.verified(t, "xledger-main")
			b.fault(sandbox.Rule{Times: 1, Reset: sandbox.AfterEffect})
			c.ask.Match.Operation = "glImportItems"
			stack.Sandbox.Script(c.ask)
			in := b.input(t, "2026-10")
			in.Policy.MaxRetries = c.retries
			e := result(t, b.start(t, in)).Export
			require.Equal(t, c.status, e.Status, "%+v", e)
			if e.Status == exports.Failed {
				require.Equal(t, []int{0, 0, 2}, []int{e.Exported, e.Rejected, e.Unknown}, "%+v", e)
				e = result(t, b.retryOf(t, e)).Export
			}
			require.Equal(t, []any{exports.Complete, 2}, []any{e.Status, e.Exported}, "%+v", e)
			b.requireOnce(t, 2)
		})
	}
}

// A run that is cancelled closes its row; what may be at the vendor is open,
// and a retry resolves it.
func TestExportCancelled(t *testing.T) {
	startWorker(t)
	for name, c := range map[string]struct {
		fault   sandbox.Rule
		effects int
	}{
		"before the vendor acts": {sandbox.Rule{Times: 1, Hang: true}, 0},
		"after the vendor acted": {sandbox.Rule{Times: 1, DripMS: 1000}, 6},
		"while it is deferred":   {sandbox.Rule{Times: 1, Status: 503}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook(t)
			b.vouchers(t, "A", 3, "2026-10-15", "3000", "0")
			b.fault(c.fault)
			in := b.input(t, "2026-10")
			in.Policy.MaxRetries, in.DeferBase = 0, time.Hour
			before := mutations()
			run := b.start(t, in)
			if c.fault.Status == 0 {
				b.arrived(t, before)
			} else {
				b.deferred(t)
			}
			require.NoError(t, temporal.CancelWorkflow(t.Context(), run.GetID(), run.GetRunID()))
			e := result(t, run).Export
			require.Equal(t, []any{exports.Failed, classify.Cancelled, 6}, []any{e.Status, e.ErrorCode, e.Unknown}, "%+v", e)
			require.Equal(t, c.fault.Status == 0, e.DeferredUntil == nil, "that it was deferred stays on record")
			require.Equal(t, c.effects, b.effects(t))
			retry := result(t, b.retryOf(t, e)).Export
			require.Equal(t, []any{exports.Complete, 6}, []any{retry.Status, retry.Exported}, "%+v", retry)
			b.requireOnce(t, 6)
		})
	}
}

// A run that is cancelled as soon as it has started leaves no row that waits
// for ever.
func TestExportCancelledAtOnce(t *testing.T) {
	startWorker(t)
	for range 5 {
		b := newBook(t)
		b.vouchers(t, "A", 1, "2026-10-15", "3000", "0")
		run := b.start(t, b.input(t, "2026-10"))
		require.NoError(t, temporal.CancelWorkflow(t.Context(), run.GetID(), run.GetRunID()))
		var r workflows.SyncResult
		require.NoError(t, run.Get(bounded(t, longest), &r))
		require.Contains(t, []exports.Status{exports.Complete, exports.Failed}, r.Export.Status)
		if r.Export.Status == exports.Failed {
			require.Equal(t, classify.Cancelled, r.Export.ErrorCode)
			require.Equal(t, exports.Complete, result(t, b.retryOf(t, r.Export)).Export.Status)
		}
		b.requireOnce(t, 2)
	}
}
