package runlog_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// A person's word ends what nobody could find out, and stays on record. It is not
// taken while the voucher can still take effect, or a run may still send it.
func TestResolve(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ctx, e := t.Context(), b.vouchers(3)
	sent := sending(1)
	_, err := runlog.MarkChunk(ctx, b.worker, e.Owner(), []string{"e0-1", "e0-2", "e1-1", "e1-2"}, sent, 0, runlog.InFlight{Same: time.Hour})
	require.NoError(t, err)
	resolve := func(voucher string, there bool) (int, error) {
		return runlog.ResolveVoucher(ctx, b.operator, b.org, runlog.Resolution{ExportID: e.ID, VoucherID: voucher, AtVendor: there, Reason: "seen in the ledger", Actor: "kari@example"})
	}

	_, err = resolve("v0", false)
	require.ErrorContains(t, err, "is pending")
	var unsettled *runlog.UnsettledError
	require.ErrorAs(t, err, &unsettled)
	closed := b.close(e)
	require.Equal(t, exports.Failed, closed.Status)
	require.Equal(t, 4, closed.Unknown)
	_, err = resolve("v0", false)
	require.EqualError(t, err, "voucher v0 can still take effect")
	require.ErrorAs(t, err, &unsettled)
	require.WithinDuration(t, time.Now().Add(time.Hour), *unsettled.Until, time.Minute)
	sent0, err := runlog.ListSentVoucher(ctx, b.reader, b.org, "v0")
	require.NoError(t, err)
	require.WithinDuration(t, *unsettled.Until, *sent0[0].OpenUntil, 0)
	_, err = resolve("v2", true)
	require.ErrorContains(t, err, "no voucher v2 whose outcome is open", "it was never sent")
	_, err = resolve("nowhere", true)
	require.ErrorContains(t, err, "no voucher nowhere")

	n, err := resolve("v0", true) // what is there is there, whatever the time
	require.NoError(t, err)
	require.Equal(t, 2, n)
	_, err = resolve("v0", true)
	var settled *runlog.SettledError
	require.ErrorAs(t, err, &settled)
	require.NoError(t, runlog.RecordSend(ctx, b.worker, e.Owner(), []string{"e1-1", "e1-2"}, sent, classify.Open, true, nil))
	sent1, err := runlog.ListSentVoucher(ctx, b.reader, b.org, "v1")
	require.NoError(t, err)
	require.Nil(t, sent1[0].OpenUntil, "the vendor's work has ended")
	n, err = resolve("v1", false)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, []string{
		"e0-1:1:exported:resolved by kari@example: seen in the ledger", "e0-2:1:exported:resolved by kari@example: seen in the ledger",
		"e1-1:1:planned:resolved by kari@example: seen in the ledger", "e1-2:1:planned:resolved by kari@example: seen in the ledger",
		"e2-1:1:planned", "e2-2:1:planned",
	}, b.entries(e))

	list, err := runlog.ListResolutions(ctx, b.operator, b.org, e.ID)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, []any{"v0", true, 2, "seen in the ledger", "kari@example"}, []any{list[0].VoucherID, list[0].AtVendor, list[0].Entries, list[0].Reason, list[0].Actor})
	require.WithinDuration(t, time.Now(), list[1].ResolvedAt, time.Minute)
	other := uuid.New()
	list, err = runlog.ListResolutions(ctx, b.operator, other, e.ID)
	require.NoError(t, err)
	require.Empty(t, list, "of another organization")
	_, err = runlog.ResolveVoucher(ctx, b.operator, other, runlog.Resolution{ExportID: e.ID, VoucherID: "v1", AtVendor: true, Reason: "x", Actor: "x"})
	require.Error(t, err)
	_, err = runlog.ResolveVoucher(ctx, b.worker, b.org, runlog.Resolution{ExportID: e.ID, VoucherID: "v1", AtVendor: true, Reason: "x", Actor: "x"})
	require.ErrorContains(t, err, "permission denied", "it is a person's word")

	// The audit row says what was known when the export ended; the rest is counted apart.
	then, err := runlog.RecountUntil(ctx, b.operator, closed, closed.FinishedAt)
	require.NoError(t, err)
	require.Equal(t, []any{closed.Exported, closed.SHA256, closed.Amounts}, []any{then.Exported, then.SHA256, then.Amounts})
	now, err := runlog.Recount(ctx, b.operator, closed)
	require.NoError(t, err)
	require.Equal(t, 2, now.Exported)
	require.Equal(t, map[string]string{"NOK": "1.00"}, now.Amounts)

	// A retry sends what is not there, and only that.
	retry := b.claim("2026-10", &e.ID)
	require.Equal(t, []string{"e1-1:1:planned", "e1-2:1:planned", "e2-1:1:planned", "e2-2:1:planned"}, b.plan(retry, integrations.ExportSettings{}, 500))
}

// Of a request that is all or nothing, a part that a person has seen speaks for
// the rest.
func TestResolveMarksTheRest(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ctx, e := t.Context(), b.vouchers(2)
	b.settle(e, 1, exports.Unknown, nil)
	n, err := runlog.ResolveVoucher(ctx, b.operator, b.org, runlog.Resolution{ExportID: e.ID, VoucherID: "v0", AtVendor: true, Reason: "seen", Actor: "kari"})
	require.NoError(t, err, "of a pending export too: it is a fact")
	require.Equal(t, 2, n)
	b.close(e)
	retry := b.claim("2026-10", &e.ID)
	b.plan(retry, integrations.ExportSettings{}, 500)
	opened, err := runlog.LoadChunk(ctx, b.worker, retry.Owner(), 1)
	open := opened.Entries
	require.NoError(t, err)
	require.Len(t, open, 2)
	require.True(t, open[0].Open && open[0].PartlyExported)
}

// A voucher of a chain is resolved in each of its exports that has something of it that is open;
// what was recorded before an error is returned with it, and what is not open names what is.
func TestResolveInChain(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ctx, e := t.Context(), b.vouchers(2)
	b.settle(e, 1, exports.Unknown, nil)
	b.close(e)
	retry := b.claim("2026-10", &e.ID)
	b.plan(retry, integrations.ExportSettings{}, 500)
	_, err := b.admin.Exec(ctx, `UPDATE ledgerline.export_entries SET export_id = $1 WHERE entry_id = 'e0-2'`, e.ID) // so that both have some of it
	require.NoError(t, err)
	_, err = b.admin.Exec(ctx, `UPDATE ledgerline.export_entries SET state = 'unknown', effect = 'open', ended = true WHERE voucher_id = 'v0'`)
	require.NoError(t, err)
	c, err := runlog.LoadChain(ctx, b.reader, b.org, e.ID)
	require.NoError(t, err)
	open, err := runlog.OpenVoucherExports(ctx, b.reader, b.org, c, "v0")
	require.NoError(t, err)
	require.ElementsMatch(t, []uuid.UUID{e.ID, retry.ID}, open)
	resolve := func(voucher string, there bool) ([]runlog.Resolution, error) {
		return runlog.ResolveInChain(ctx, b.operator, b.org, c, runlog.Resolution{VoucherID: voucher, AtVendor: there, Reason: "seen", Actor: "kari"})
	}
	done, err := resolve("v0", false)
	require.ErrorContains(t, err, "is pending", "the retry may still send it")
	require.LessOrEqual(t, len(done), 1, "that of the export before it, if it was the first")
	first := len(done)
	done, err = resolve("v0", true)
	require.NoError(t, err)
	require.Len(t, done, 2-first)
	for _, r := range done {
		require.Equal(t, []any{"v0", true, 1, "kari"}, []any{r.VoucherID, r.AtVendor, r.Entries, r.Actor})
	}
	for _, voucher := range []string{"v0", "nowhere"} {
		_, err = resolve(voucher, true)
		var none *runlog.NotOpenError
		require.ErrorAs(t, err, &none)
		require.EqualError(t, err, "October 2026 has no voucher "+voucher+" whose outcome is open; what is waiting or unknown: starter exports show 2026-10 --integration "+b.spec.Name)
	}
}
