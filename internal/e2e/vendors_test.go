package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// Each vendor takes an export once, through lost answers, resets and vouchers
// that it refuses, and the proof finds every entry there.
func TestExportToEveryVendor(t *testing.T) {
	startWorker(t)
	for _, v := range []struct {
		integration string
		chunk       int // entries in a request
	}{{"xledger-main", 500}, {"crm", 100}, {"erp", 100}} {
		t.Run(v.integration, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			b.vouchers(t, "A", 2*v.chunk, "2026-10-15", "3000", "0") // four chunks
			b.vouchers(t, "B", 2, "2026-10-16", "X999", "0")         // refused by the vendor
			b.vouchers(t, "C", 1, "2026-10-17", "3000", "1")         // refused by us
			b.fault(sandbox.Rule{Times: 1, Reset: sandbox.AfterEffect})
			b.fault(sandbox.Rule{Times: 1, Status: 503})
			b.fault(sandbox.Rule{Times: 1, Drop: sandbox.BeforeEffect})
			b.fault(sandbox.Rule{Times: 1, Drop: sandbox.AfterEffect})
			in := b.input(t, "2026-10")
			spec := b.integrations[v.integration]
			in.IntegrationID, in.AdapterName = spec.ID, spec.Adapter
			e := result(t, b.start(t, in)).Export
			require.Equal(t, exports.Complete, e.Status, "%+v", e)
			require.Equal(t, []int{4*v.chunk + 6, 4 * v.chunk, 6, 0}, []int{e.Total, e.Exported, e.Rejected, e.Unknown})
			b.requireOnce(t, 4*v.chunk)
			require.Equal(t, 5, e.Chunks)
			require.Less(t, e.Attempts, e.Chunks+4+1+4*8, "four faults, one question for late errors, and halving to find two vouchers among %d", v.chunk/2)

			out, words, code := starter(t, "", "exports", "prove", e.ID.String(), "--org", b.id.String())
			require.Zero(t, code, "%s%s", words, out)
			key := queryStrings(t, "SELECT vendor_key FROM ledgerline.export_entries WHERE organization_id = $1 AND state = 'exported' LIMIT 1", b.id)[0]
			stack.Sandbox.Forget(key)
			out, _, code = starter(t, "", "exports", "prove", e.ID.String(), "--org", b.id.String())
			require.Equal(t, 1, code)
			require.Contains(t, out, "1 missing")
		})
	}
}

// What Xledger accepts and finds errors in later is recorded against its entries
// before the run closes; it stays exported, for it is there.
func TestExportLateErrors(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 3, "2026-10-15", "3000", "0")
	b.vouchers(t, "L", 2, "2026-10-16", "L100", "0")
	e := result(t, b.start(t, b.input(t, "2026-10"))).Export
	require.Equal(t, exports.Complete, e.Status, "%+v", e)
	require.Equal(t, []int{10, 10, 2}, []int{e.Total, e.Exported, e.LateErrors})
	require.Equal(t, []string{"L00000-2", "L00001-2"}, queryStrings(t, "SELECT entry_id FROM ledgerline.export_entries WHERE organization_id = $1 AND late_error IS NOT NULL ORDER BY 1", b.id))
	out, _, code := starter(t, "", "exports", "show", e.ID.String(), "--org", b.id.String())
	require.Zero(t, code)
	require.Contains(t, out, "with an error at the vendor")
	b.requireOnce(t, 10)
}

// A run that ends before it could ask for late errors leaves that to its retry,
// also to one that has nothing to send.
func TestLateErrorsOfARetry(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.vouchers(t, "L", 2, "2026-10-16", "L100", "0")
	b.verified(t, "xledger-main")
	number := stack.Sandbox.Script(sandbox.Rule{Times: 1, Status: 503, Headers: map[string]string{"Retry-After": "20"}, Match: sandbox.Match{Operation: "glImportItemErrors"}})
	run := b.start(t, b.input(t, "2026-10"))
	require.Eventually(t, func() bool { return stack.Sandbox.Fired(number) == 1 }, 30*time.Second, 20*time.Millisecond)
	require.NoError(t, temporal.CancelWorkflow(t.Context(), run.GetID(), run.GetRunID()))
	e := result(t, run).Export
	require.Equal(t, []string{"failed", "cancelled"}, []string{string(e.Status), string(e.ErrorCode)})
	require.Equal(t, []int{4, 4, 0}, []int{e.Total, e.Exported, e.LateErrors})

	in := b.input(t, "2026-10")
	in.ParentID, in.Trigger = &e.ID, exports.ByRetry
	require.Equal(t, exports.Complete, result(t, b.start(t, in)).Export.Status)
	require.Len(t, queryStrings(t, "SELECT entry_id FROM ledgerline.export_entries WHERE organization_id = $1 AND late_error IS NOT NULL", b.id), 2)
	b.requireOnce(t, 4)
}

// A period that cannot be exported is refused with the reason, and nothing is
// claimed; a source that cannot be read fails the export, and its retry does
// the whole.
func TestExportRefusedAndMended(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 2, "2026-10-15", "3000", "0")
	args := []string{"sync", "--org", b.id.String(), "--integration", "xledger-main", "--period"}
	_, words, code := starter(t, "", append(args, "2099-01")...)
	require.Equal(t, 2, code)
	require.Contains(t, words, "has not begun")
	require.Empty(t, queryStrings(t, "SELECT period FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1", b.id))

	set := func(source string) {
		t.Helper()
		queryStrings(t, "UPDATE ledgerline.integrations SET export = jsonb_build_object('source', $2::text) WHERE organization_id = $1 AND name = 'xledger-main' RETURNING name", b.id, source)
	}
	set("reporting.gone")
	out, _, code := starter(t, "", append(args, "2026-10", "-o", "json")...)
	require.Equal(t, 3, code, "the period is not complete")
	e := fromJSON[synced](t, out).Export
	require.Equal(t, []string{"failed", "permanent", "configuration"}, []string{string(e.Status), string(e.ErrorClass), string(e.ErrorKind)})
	require.Contains(t, e.Message, "no such table or view")
	require.Zero(t, e.Total)

	_, words, code = starter(t, "", append(args, "2026-10-15")...)
	require.NotZero(t, code)
	require.Contains(t, words, "overlaps 2026-10")

	set(integrations.DefaultSource)
	out, words, code = starter(t, "", "exports", "retry", e.ID.String(), "--org", b.id.String(), "-o", "json")
	require.Zero(t, code, words)
	retry := fromJSON[synced](t, out).Export
	require.Equal(t, exports.Complete, retry.Status, "%+v", retry)
	require.Equal(t, 4, retry.Exported)
	b.requireOnce(t, 4)
}

// An integration that lacks a setting for exports does not learn so from a million
// rejected entries.
func TestExportNeedsSettings(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 1, "2026-10-15", "3000", "0")
	queryStrings(t, "UPDATE ledgerline.integrations SET settings = settings - 'table' WHERE organization_id = $1 AND name = 'crm' RETURNING name", b.id)
	in := b.input(t, "2026-10")
	in.IntegrationID, in.AdapterName = b.integrations["crm"].ID, "dataverse"
	e := result(t, b.start(t, in)).Export
	require.Equal(t, []string{"failed", "configuration"}, []string{string(e.Status), string(e.ErrorCode)})
	require.Contains(t, e.ErrorMessage, "settings.table: missing")
	require.Zero(t, e.Total)
}
