package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// book is an organization whose entries are exported.
type book struct {
	tenant
	text string // stands in every entry, so that faults hit this book only
}

func newBook(t *testing.T) book {
	return book{newTenant(t, "{baseDelay: 50ms, attemptTimeout: 2s}"), "book " + uuid.NewString()}
}

// vouchers imports vouchers of two lines each. An account that begins with X is
// unknown to the vendor; a difference keeps the voucher from summing to zero.
func (b book) vouchers(t *testing.T, prefix string, n int, date, account, difference string) {
	t.Helper()
	day, err := time.Parse(time.DateOnly, date)
	require.NoError(t, err)
	var entries []runlog.AccountingEntry
	for i := range n {
		voucher := fmt.Sprintf("%s%05d", prefix, i)
		entries = append(entries,
			runlog.AccountingEntry{EntryID: voucher + "-1", VoucherID: voucher, Date: day, Account: "1920", Amount: "100.10", Currency: "NOK", Text: b.text},
			runlog.AccountingEntry{EntryID: voucher + "-2", VoucherID: voucher, Date: day, Account: account, Amount: "-100.1" + difference, Currency: "NOK", Text: b.text})
	}
	pool, err := runlog.Open(t.Context(), stack.URL(devstack.Operator), 1)
	require.NoError(t, err)
	defer pool.Close()
	for _, added := range []int{len(entries), 0} { // a second time adds nothing
		done, err := runlog.ImportEntries(t.Context(), pool, b.id, func(yield func(runlog.AccountingEntry, error) bool) {
			for _, e := range entries {
				if !yield(e, nil) {
					return
				}
			}
		}, runlog.ImportOptions{})
		require.NoError(t, err)
		require.EqualValues(t, added, done.Added)
	}
}

func (b book) input(t *testing.T, period string) workflows.SyncInput {
	t.Helper()
	in := b.integrations["xledger-main"]
	start, end, err := exports.ParsePeriod(period)
	require.NoError(t, err)
	return workflows.SyncInput{
		OrganizationID: b.id, IntegrationID: in.ID, AdapterName: in.Adapter, Policy: in.Policy, Period: period,
		PeriodStart: start, PeriodEnd: end, Trigger: exports.ByHand, TriggeredBy: "test", DeferBase: 500 * time.Millisecond,
	}
}

// verified has the contract with the vendor checked, so that runs need not.
func (b book) verified(t *testing.T, integration string) {
	t.Helper()
	out, words, code := starter(t, "", "integrations", "verify", "--org", b.id.String(), "--integration", integration)
	require.Zero(t, code, out+words)
}

func (b book) start(t *testing.T, in workflows.SyncInput) client.WorkflowRun {
	t.Helper()
	run, err := temporal.ExecuteWorkflow(t.Context(), engine.SyncOptions(in), workflows.SyncName, in)
	require.NoError(t, err)
	return run
}

func result(t *testing.T, run client.WorkflowRun) workflows.SyncResult {
	t.Helper()
	var r workflows.SyncResult
	require.NoError(t, run.Get(bounded(t, longest), &r))
	return r
}

// requireOnce asserts that the vendor has n entries of the book, each once, and
// that none was sent while an earlier request with it was still under way there.
// The sandbox's own lists are the oracle.
func (b book) requireOnce(t *testing.T, n int) {
	t.Helper()
	mine := make(map[string]bool)
	for _, k := range queryStrings(t, "SELECT vendor_key FROM ledgerline.export_entries WHERE organization_id = $1", b.id) {
		mine[strings.ToLower(k)] = true
	}
	var keys []string
	for _, e := range stack.Sandbox.Effects() {
		if key := strings.ToLower(e.Key); mine[key] && e.Kind != "upsert_again" { // a repeat that changed nothing
			keys = append(keys, key)
		}
	}
	require.Equal(t, n, len(keys))
	slices.Sort(keys)
	require.Equal(t, n, len(slices.Compact(keys)), "an entry is at the vendor twice")

	before := make(map[string]sandbox.LogEntry) // the last request with a key
	for _, e := range stack.Sandbox.Log() {
		if e.Vendor == "dataverse" {
			continue // a repeated upsert of the same content is harmless
		}
		for _, key := range e.Keys {
			key = strings.ToLower(key)
			if last, ok := before[key]; ok && mine[key] {
				require.False(t, last.Ended.IsZero() || last.Ended.After(e.At), "request %d was sent while the vendor was at work on request %d", e.Seq, last.Seq)
			}
			before[key] = e
		}
	}
}

// sends are the requests at the vendors that carry entries of the book.
func (b book) sends(t *testing.T) (list []sandbox.LogEntry) {
	t.Helper()
	mine := make(map[string]bool)
	for _, k := range queryStrings(t, "SELECT vendor_key FROM ledgerline.export_entries WHERE organization_id = $1", b.id) {
		mine[strings.ToLower(k)] = true
	}
	for _, e := range stack.Sandbox.Log() {
		if slices.ContainsFunc(e.Keys, func(k string) bool { return mine[strings.ToLower(k)] }) {
			list = append(list, e)
		}
	}
	return list
}

// fault scripts a fault for the book's mutations.
func (b book) fault(r sandbox.Rule) {
	r.Match.BodyContains = b.text
	stack.Sandbox.Script(r)
}

// Why an export waits is shown while it does.
func TestExportShowsItsCall(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 1, "2026-10-15", "3000", "0")
	b.fault(sandbox.Rule{Times: 2, Status: 429})
	in := b.input(t, "2026-10")
	in.Policy = classify.DefaultPolicy()
	run := b.start(t, in)
	show := func() string {
		ids := queryStrings(t, "SELECT export_id::text FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1", b.id)
		if len(ids) == 0 {
			return ""
		}
		out, words, code := starter(t, "", "exports", "show", ids[0], "--org", b.id.String())
		require.Zero(t, code, words)
		return out
	}
	var shown string
	require.Eventually(t, func() bool {
		shown = show()
		return strings.Contains(shown, "the next one is at")
	}, 30*time.Second, 50*time.Millisecond)
	require.Regexp(t, `call .*attempt \d failed \(transient rate_limited\), the next one is at .*: the vendor throttles`, shown)
	require.Equal(t, exports.Complete, result(t, run).Export.Status)
	require.NotContains(t, show(), "the next one is at")
}

// So is until when it waits for what the vendor may still be doing, and for whom.
func TestExportShowsItsWait(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 1, "2026-10-15", "3000", "0")
	b.fault(sandbox.Rule{Times: 1, Reset: sandbox.BeforeEffect})
	run := b.start(t, b.input(t, "2026-10"))
	b.atVendor(t, 1)
	id := queryStrings(t, "SELECT export_id::text FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1", b.id)[0]
	require.Eventually(t, func() bool {
		out, words, code := starter(t, "", "exports", "show", id, "--org", b.id.String())
		require.Zero(t, code, words)
		return regexp.MustCompile(`what was sent to Xledger may still take effect until \d\d:\d\d \S+, and nothing is sent again before that`).MatchString(out)
	}, 10*time.Second, 20*time.Millisecond)
	require.Equal(t, exports.Complete, result(t, run).Export.Status)
	b.requireOnce(t, 2)
}

// A token that Xledger refuses inside HTTP 200, without a code: no voucher is to
// blame and none is rejected. Such an answer does not prove that nothing was
// stored, and who is refused cannot ask either, so the entries stay open; with
// the token renewed they are asked about and sent.
func TestExportRefusedAltogether(t *testing.T) {
	b := newBook(t)
	vendor, args := watchClosely(t, b.tenant, "xledger-main")
	startWorker(t, "--dev-vendor-hosts", args[len(args)-1])
	b.vouchers(t, "A", 20, "2026-10-15", "3000", "0")
	b.verified(t, "xledger-main")
	before := len(vendor.Log())
	vendor.Script(sandbox.Rule{Status: 200, Body: `{"errors":[{"message":"no such token"}]}`})
	e := result(t, b.start(t, b.input(t, "2026-10"))).Export
	require.Equal(t, exports.Failed, e.Status)
	require.Equal(t, classify.Business, e.ErrorCode)
	require.Contains(t, e.ErrorMessage, "perhaps because of its token")
	require.Zero(t, e.Rejected)
	require.Len(t, vendor.Log()[before:], 2, "the warm-up and one chunk")
	require.Equal(t, []string{"sent open"}, queryStrings(t, "SELECT DISTINCT state || ' ' || effect FROM ledgerline.export_entries WHERE organization_id = $1", b.id))

	vendor.Reset()
	out, words, code := starter(t, "", "exports", "retry", e.ID.String(), "--org", b.id.String(), "-o", "json")
	require.Zero(t, code, words)
	require.Equal(t, 40, fromJSON[synced](t, out).Export.Exported)
	asked := 0
	for _, e := range vendor.Log() {
		if len(e.Keys) > 0 {
			require.Positive(t, asked, "sent again and not asked about")
		}
		asked += len(e.LookupKeys)
	}
	require.GreaterOrEqual(t, asked, 40)
}

// A period is exported once, whatever the vendor does on the way, however
// often and by whomever it is started.
func TestExportOnce(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 600, "2026-10-15", "3000", "0") // 1,200 entries, three chunks
	b.vouchers(t, "B", 3, "2026-10-16", "X999", "0")   // refused by the vendor
	b.vouchers(t, "C", 2, "2026-10-17", "3000", "1")   // refused by us
	b.vouchers(t, "D", 5, "2026-11-01", "3000", "0")   // of the next period
	b.fault(sandbox.Rule{Times: 1, Status: 503})
	b.fault(sandbox.Rule{Times: 1, Reset: sandbox.AfterEffect})
	b.fault(sandbox.Rule{Times: 1, Drop: sandbox.BeforeEffect})
	out, words, code := starter(t, "", "sync", "--org", b.id.String(), "--integration", "xledger-main", "--period", "2026-10", "--dry-run")
	require.Zero(t, code, words)
	require.Contains(t, out, "1206 entries in 603 vouchers and 3 chunks, 0 of them late: NOK 60,360.30")
	require.Equal(t, 2, strings.Count(out, "does not sum to zero"))
	require.Empty(t, queryStrings(t, "SELECT entry_id FROM ledgerline.export_entries WHERE organization_id = $1", b.id))
	before := len(stack.Sandbox.Log())
	in := b.input(t, "2026-10")
	first, second := b.start(t, in), b.start(t, in)
	require.Equal(t, first.GetRunID(), second.GetRunID(), "the second joins the first")
	r := result(t, first)
	e := r.Export
	require.Equal(t, exports.Complete, e.Status, "%+v", e)
	require.Equal(t, []int{1210, 1200, 10, 0}, []int{e.Total, e.Exported, e.Rejected, e.Unknown})
	require.Equal(t, map[string]string{"NOK": "60060.00"}, e.Amounts)
	require.Len(t, e.SHA256, 64)
	require.True(t, e.ColdStart)
	require.Positive(t, e.WarmUpMS["connect"])
	require.Positive(t, e.WarmUpMS["worker_uptime"])
	b.requireOnce(t, 1200)
	sent := 0
	for _, e := range stack.Sandbox.Log()[before:] {
		if e.Operation == "addGLImportItems" {
			sent++
		}
	}
	require.Less(t, sent, 40, "three chunks, faults, and halving to find three vouchers")

	out, words, code = starter(t, "", "exports", "prove", e.ID.String(), "--org", b.id.String())
	require.Zero(t, code, words)
	require.Contains(t, out, "1200 of 1200 are there, 0 missing, 0 more than once")
	asked := len(stack.Sandbox.Log())
	again := result(t, b.start(t, in))
	require.True(t, again.AlreadyExported)
	require.Equal(t, e.ID, again.Export.ID)
	require.Len(t, stack.Sandbox.Log(), asked, "nobody is called")

	b.vouchers(t, "E", 1, "2026-10-31", "3000", "0") // late
	next := result(t, b.start(t, b.input(t, "2026-11"))).Export
	require.Equal(t, 12, next.Exported, "the next period takes the late ones too")
	require.Equal(t, []string{"E00000-1", "E00000-2"}, queryStrings(t, "SELECT entry_id FROM ledgerline.export_entries WHERE organization_id = $1 AND late ORDER BY 1", b.id))

	out, _, code = starter(t, "", "exports", "show", "2026-10", "--integration", "xledger-main", "--org", b.id.String(), "--details")
	require.Zero(t, code)
	require.Regexp(t, `warm-up .*, a cold start, connect \d+ ms, .*worker up for`, out)
	require.Contains(t, out, "X999")
	require.Contains(t, out, "does not sum to zero: difference -0.01")
	out, words, code = starter(t, "", "exports", "retry", e.ID.String(), "--org", b.id.String(), "-o", "json")
	require.Equal(t, 3, code, words)
	retry := fromJSON[synced](t, out).Export
	require.Equal(t, []int{10, 0, 10}, []int{retry.Total, retry.Exported, retry.Refused})
	require.Equal(t, e.ID, *retry.ParentID)
	b.requireOnce(t, 1212)

	// Somebody sends an entry past us: the proof must notice.
	stack.Sandbox.Forget(queryStrings(t, "SELECT vendor_key FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2 AND state = 'exported' LIMIT 1", b.id, e.ID)[0])
	out, _, code = starter(t, "", "exports", "prove", e.ID.String(), "--org", b.id.String(), "-o", "json")
	require.Equal(t, 1, code)
	require.Contains(t, out, "1199 of 1200 are there")
}

// A worker that is killed after the vendor has acted, and one that is killed
// before, leave every entry there once.
func TestExportWorkerKilled(t *testing.T) {
	w := startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 300, "2026-10-15", "3000", "0")
	b.fault(sandbox.Rule{Times: 1, DripMS: 1000}) // it has acted, and answers very slowly
	b.fault(sandbox.Rule{Times: 1, Hang: true})   // it has not acted and never answers
	run := b.start(t, b.input(t, "2026-10"))
	// mutations reports whether so many chunks have been taken.
	mutations := func(n int) func() bool {
		return func() bool {
			found := queryStrings(t, "SELECT DISTINCT chunk::text FROM ledgerline.export_entries WHERE organization_id = $1 AND state IN ('sent', 'exported')", b.id)
			return len(found) >= n
		}
	}
	reached := func(n int) {
		t.Helper()
		require.Eventually(t, mutations(n), 30*time.Second, 20*time.Millisecond)
		time.Sleep(300 * time.Millisecond) // and is with the vendor
	}
	reached(1)
	w.Kill()
	w = startWorker(t)
	reached(2)
	w.Kill()
	startWorker(t)
	e := result(t, run).Export
	require.Equal(t, exports.Complete, e.Status, "%+v", e)
	require.Equal(t, 600, e.Exported)
	b.requireOnce(t, 600)
}

// An outage that outlasts an invocation defers the run; credentials that are
// refused end it, and a retry continues from there.
func TestExportDeferredAndFailed(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 3, "2026-10-15", "3000", "0")
	b.fault(sandbox.Rule{Times: 6, Status: 503})
	e := result(t, b.start(t, b.input(t, "2026-10"))).Export
	require.Equal(t, exports.Complete, e.Status)
	require.NotNil(t, e.DeferredUntil, "that it was deferred stays on record")
	b.requireOnce(t, 6)
	require.Len(t, queryStrings(t, "SELECT error_kind FROM ledgerline.integration_run_logs WHERE organization_id = $1 AND error_class IS NOT NULL", b.id), 6,
		"every failed attempt has its row")

	b.vouchers(t, "B", 3, "2026-11-15", "3000", "0")
	b.fault(sandbox.Rule{Times: 1, Status: 401})
	e = result(t, b.start(t, b.input(t, "2026-11"))).Export
	require.Equal(t, exports.Failed, e.Status)
	require.Equal(t, classify.Unauthorized, e.ErrorCode)
	b.requireOnce(t, 6)
	in := b.input(t, "2026-11")
	in.ParentID, in.Trigger = &e.ID, exports.ByRetry
	e = result(t, b.start(t, in)).Export
	require.Equal(t, exports.Complete, e.Status, "%+v", e)
	b.requireOnce(t, 12)
}

// Entries may be at the vendor, and asking for them fails: they are not sent
// again before somebody has asked, neither by a later attempt nor by a later
// invocation nor by a retry.
func TestExportLookUpFails(t *testing.T) {
	startWorker(t)
	for name, c := range map[string]struct {
		look   sandbox.Rule
		status exports.Status
		code   classify.Kind
	}{
		"outage that outlasts the invocation": {sandbox.Rule{Times: 5, Status: 503}, exports.Complete, ""},
		"unauthorized":                        {sandbox.Rule{Times: 1, Status: 401}, exports.Failed, "unauthorized"},
		"refused":                             {sandbox.Rule{Times: 1, Status: 200, Body: `{"errors":[{"message":"not now"}]}`}, exports.Failed, "business"},
		"unauthorized in a later invocation":  {sandbox.Rule{Times: 4, Status: 503}, exports.Failed, "unauthorized"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			b.vouchers(t, "A", 3, "2026-10-15", "3000", "0")
			sum := sha256.Sum256([]byte(b.integrations["xledger-main"].ID.String() + "/A00000-1"))
			look := sandbox.Match{Operation: "glImportItems", BodyContains: hex.EncodeToString(sum[:16])}
			b.fault(sandbox.Rule{Times: 1, Reset: sandbox.AfterEffect})
			c.look.Match = look
			stack.Sandbox.Script(c.look)
			if c.code != "" && c.look.Times > 1 {
				stack.Sandbox.Script(sandbox.Rule{Match: look, Times: 1, Status: 401})
			}
			in := b.input(t, "2026-10")
			in.Policy.MaxRetries = 2
			e := result(t, b.start(t, in)).Export
			require.Equal(t, c.status, e.Status, "%+v", e)
			require.Equal(t, c.code, e.ErrorCode)
			b.requireOnce(t, 6)
			if e.Status == exports.Complete {
				return
			}
			require.Equal(t, 6, e.Unknown)
			in.ParentID, in.Trigger = &e.ID, exports.ByRetry
			e = result(t, b.start(t, in)).Export
			require.Equal(t, exports.Complete, e.Status, "%+v", e)
			b.requireOnce(t, 6)
		})
	}
}

// A run that was terminated leaves its row pending; the next one, under any
// workflow ID, resumes it.
func TestExportTakenOver(t *testing.T) {
	w := startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 3, "2026-10-15", "3000", "0")
	b.fault(sandbox.Rule{Times: 1, Status: 503})
	in := b.input(t, "2026-10")
	in.DeferBase = time.Hour
	in.Policy.MaxRetries = 0
	run := b.start(t, in)
	b.deferred(t)
	require.NoError(t, temporal.TerminateWorkflow(t.Context(), run.GetID(), "", "by hand"))
	options := engine.SyncOptions(in)
	options.ID += "/another"
	next, err := temporal.ExecuteWorkflow(t.Context(), options, workflows.SyncName, in)
	require.NoError(t, err)
	e := result(t, next).Export
	require.Equal(t, exports.Complete, e.Status, "%+v", e)
	b.requireOnce(t, 6)
	_ = w
}

// A period whose source cannot be read fails with the remedy; when that is
// fixed, its retry exports what it would have.
func TestExportSourceMended(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 3, "2026-10-15", "3000", "0")
	b.exportAs(t, integrations.ExportSettings{Source: "reporting.missing"})
	e := result(t, b.start(t, b.input(t, "2026-10"))).Export
	require.Equal(t, []any{exports.Failed, classify.Configuration, 0}, []any{e.Status, e.ErrorCode, e.Total}, "%+v", e)
	require.Contains(t, e.ErrorMessage, "no such table or view")
	require.True(t, result(t, b.start(t, b.input(t, "2026-10"))).AlreadyExported)

	b.exportAs(t, integrations.ExportSettings{})
	out, words, code := starter(t, "", "exports", "retry", e.ID.String(), "--org", b.id.String(), "-o", "json")
	require.Zero(t, code, words)
	retry := fromJSON[synced](t, out).Export
	require.Equal(t, []any{exports.Complete, 6}, []any{retry.Status, retry.Exported})
	b.requireOnce(t, 6)
}
