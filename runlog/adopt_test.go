package runlog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/outlook"
	"github.com/ledgerline/ledgerline/runlog"
)

// period reads what prove --period compares, as "entry:state".
func (b books) period(e exports.Export, x integrations.ExportSettings) (list []runlog.EntryRecord, short []string) {
	b.t.Helper()
	for r, err := range runlog.EntriesOfPeriod(b.t.Context(), b.operator, b.sources, e, x) {
		require.NoError(b.t, err)
		list, short = append(list, r), append(short, r.EntryID+":"+string(r.State))
	}
	return list, short
}

func (b books) adopting(period string) exports.Export {
	b.t.Helper()
	start, end, err := exports.ParsePeriod(period)
	require.NoError(b.t, err)
	id := uuid.New()
	return exports.Export{OrganizationID: b.org, ID: id, IntegrationID: b.spec.ID, AdapterName: "xledger", Period: period, PeriodStart: start, PeriodEnd: end,
		TriggeredBy: "kari", StartedAt: time.Now(), WorkflowID: "adopt/" + id.String(), RunID: id}
}

// A database that has lost an export takes into the record what the vendor has,
// and then sends only what is missing.
func TestAdopt(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ctx := t.Context()
	for i := range 4 {
		b.lines(fmt.Sprintf("e%d-1 v%d 2026-10-01 1920 1", i, i), fmt.Sprintf("e%d-2 v%d 2026-10-01 3000 -1", i, i))
	}
	b.lines("f1 w 2026-09-30 1920 5", "f2 w 2026-09-30 3000 -5", "g1 x 2026-11-01 1920 5", "g2 x 2026-11-01 3000 -5")
	x := integrations.ExportSettings{Accounts: map[string]string{"1920": "V1920", "3000": "V3000"}}
	a := b.adopting("2026-10")
	list, short := b.period(a, x)
	require.Equal(t, []string{"e0-1:", "e0-2:", "e1-1:", "e1-2:", "e2-1:", "e2-2:", "e3-1:", "e3-2:", "f1:", "f2:"}, short,
		"what a sync of the period would take, with what is late")
	require.Equal(t, []any{"V1920", "1.00", "NOK", "v0"}, []any{list[0].Account, list[0].Amount, list[0].Currency, list[0].VoucherID})

	_, _, err := runlog.AdoptEntries(ctx, b.operator, a, "here", nil)
	require.ErrorIs(t, err, runlog.ErrNotAdopting, "it has not begun")
	begun, err := runlog.BeginAdoption(ctx, b.operator, a)
	require.NoError(t, err)
	require.Equal(t, exports.ByAdopting, begun.Trigger)
	again, err := runlog.BeginAdoption(ctx, b.operator, b.adopting("2026-10"))
	require.NoError(t, err)
	require.Equal(t, begun.ID, again.ID, "one that was not ended goes on")
	found := []runlog.Adoption{{EntryRecord: list[0], Reference: "4711"}, {EntryRecord: list[1]}, {EntryRecord: list[2], Doubt: "posted"}, {EntryRecord: list[3], Doubt: "posted"}, {EntryRecord: list[8]}, {EntryRecord: list[9]}}
	for n := range 2 {
		adopted, doubtful, err := runlog.AdoptEntries(ctx, b.operator, begun, "here", found)
		require.NoError(t, err)
		require.Equal(t, [2]int{4 * (1 - n), 2 * (1 - n)}, [2]int{adopted, doubtful}, "a second time changes nothing")
	}
	_, _, err = runlog.AdoptEntries(ctx, b.worker, begun, "here", found)
	require.ErrorContains(t, err, "permission denied")
	facts, err := runlog.ListWaitFacts(ctx, b.operator, b.org, []exports.Export{begun})
	require.NoError(t, err)
	require.Empty(t, facts, "no run of it waits, for a worker or anything else")
	listing, err := outlook.List(ctx, b.operator, b.sources, b.spec, runlog.EntryFilter{}, nil, time.Now())
	require.NoError(t, err)
	require.Empty(t, listing.Holds)
	closed, err := runlog.CloseExport(ctx, b.operator, begun)
	require.NoError(t, err)
	require.Equal(t, []any{exports.Failed, 6, 4, 2, map[string]string{"NOK": "6.00"}}, []any{closed.Status, closed.Total, closed.Exported, closed.Unknown, closed.Amounts})
	require.Empty(t, b.notifiedOf(), "it says nothing of the vendor")
	require.Equal(t, []string{"e0-1:1:exported", "e0-2:1:exported", "e1-1:2:unknown:posted", "e1-2:2:unknown:posted", "f1:1:exported (late)", "f2:1:exported (late)"}, b.entries(begun))
	ev, err := runlog.Recount(ctx, b.operator, closed)
	require.NoError(t, err)
	require.Equal(t, closed.SHA256, ev.SHA256)
	control, err := runlog.LoadControl(ctx, b.operator, b.org, b.spec.ID, "here")
	require.NoError(t, err)
	require.NotNil(t, control, "what is known to be there is the control of later look-ups")

	// The period is free, also for a hand; what is missing is sent, and what is in
	// doubt is not.
	e := b.claim("2026-10", nil)
	require.Equal(t, []string{"e2-1:1:planned", "e2-2:1:planned", "e3-1:1:planned", "e3-2:1:planned"}, b.plan(e, x, 500))
	_, short = b.period(a, x)
	require.Equal(t, []string{"e0-1:exported", "e0-2:exported", "e1-1:unknown", "e1-2:unknown", "e2-1:planned", "e2-2:planned", "e3-1:planned", "e3-2:planned"}, short)

	// A person decides about the doubtful ones.
	n, err := runlog.ResolveVoucher(ctx, b.operator, b.org, runlog.Resolution{ExportID: begun.ID, VoucherID: "v1", AtVendor: true, Reason: "posted", Actor: "kari"})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	late, err := runlog.RecountUntil(ctx, b.operator, closed, closed.FinishedAt)
	require.NoError(t, err)
	require.Equal(t, closed.SHA256, late.SHA256, "the row stands as it was closed")
}

// What is on record becomes exported where it is, whatever the record took it
// for, and nothing plans or sends it again.
func TestAdoptWhatIsOnRecord(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ctx := t.Context()
	b.lines("r1 r 2026-10-01 1920 1") // does not sum to zero: refused here
	for i := range 4 {
		b.lines(fmt.Sprintf("e%d-1 v%d 2026-10-01 1920 1", i, i), fmt.Sprintf("e%d-2 v%d 2026-10-01 3000 -1", i, i))
	}
	e := b.claim("2026-10", nil)
	require.Len(t, b.plan(e, integrations.ExportSettings{}, 500), 9)
	sent := sending(1)
	_, err := runlog.MarkChunk(ctx, b.worker, e.Owner(), []string{"e0-1", "e0-2", "e1-1", "e1-2"}, sent, 0, runlog.InFlight{Same: time.Hour})
	require.NoError(t, err)
	a := b.adopting("2026-10")
	list, _ := b.period(a, integrations.ExportSettings{})
	byID := make(map[string]runlog.EntryRecord)
	for _, r := range list {
		byID[r.EntryID] = r
	}
	require.NotNil(t, byID["e0-1"].OpenUntil)
	begun, err := runlog.BeginAdoption(ctx, b.operator, a)
	require.NoError(t, err)
	adopted, doubtful, err := runlog.AdoptEntries(ctx, b.operator, begun, "here", []runlog.Adoption{
		{EntryRecord: byID["r1"]}, {EntryRecord: byID["e0-1"]}, {EntryRecord: byID["e0-2"]}, {EntryRecord: byID["e1-1"], Doubt: "another amount"},
		{EntryRecord: byID["e2-1"]}, {EntryRecord: byID["e2-2"]}, {EntryRecord: byID["e3-1"], Doubt: "posted"}, {EntryRecord: byID["e3-2"], Doubt: "posted"},
	})
	require.NoError(t, err)
	require.Equal(t, [2]int{5, 2}, [2]int{adopted, doubtful})
	require.Equal(t, []string{"e0-1:1:exported", "e0-2:1:exported", "e1-1:1:sent", "e1-2:1:sent", "e2-1:1:exported", "e2-2:1:exported", "r1:1:exported"}, b.entries(e),
		"what was sent is asked about by its own run")
	require.Equal(t, []string{"e3-1:3:unknown:posted", "e3-2:3:unknown:posted"}, b.entries(begun))
	opened, err := runlog.LoadChunk(ctx, b.worker, e.Owner(), 1)
	open := opened.Entries
	require.NoError(t, err)
	require.Len(t, open, 2)
	require.True(t, open[0].PartlyExported, "something of the same sending is there")
	_, err = runlog.MarkChunk(ctx, b.worker, e.Owner(), []string{"e3-1", "e3-2"}, sending(1), 0, runlog.InFlight{})
	require.ErrorIs(t, err, runlog.ErrNotOwner, "a run that has read it before does not send it")

	// A voucher that was refused here gets the line that it lacked.
	require.NoError(t, runlog.RecordSend(ctx, b.worker, e.Owner(), []string{"e1-1", "e1-2"}, sent, classify.Done, false, nil))
	b.close(e)
	b.lines("r2 r 2026-10-02 3000 -1")
	next := b.claim("2026-11", nil)
	require.Equal(t, []string{"r2:0:rejected:the voucher does not sum to zero: difference -1.00 (late)"}, b.plan(next, integrations.ExportSettings{}, 500), "r1 is not planned again")
}

// An operator adopts, and touches no other export.
func TestOperatorsExports(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ctx, e := t.Context(), b.vouchers(1)
	_, err := runlog.CloseExport(ctx, b.operator, e)
	require.ErrorIs(t, err, runlog.ErrNotOwner)
	manual := e
	manual.ID, manual.Period, manual.Trigger = uuid.New(), "2026-11", exports.ByBackfill
	_, _, err = runlog.ClaimExport(ctx, b.operator, manual)
	require.ErrorContains(t, err, "row-level security")
	begun, err := runlog.BeginAdoption(ctx, b.operator, b.adopting("2026-10"))
	require.NoError(t, err)
	pending, err := runlog.ListPendingExports(ctx, b.worker, b.org, time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Len(t, pending, 1, "one that adopts has no run that could be gone")
	list, err := runlog.ListPendingExportsOf(ctx, b.operator, b.org, b.spec.ID)
	require.NoError(t, err)
	require.Equal(t, e.ID, list[0].ID)
	closed, err := runlog.CloseExport(ctx, b.operator, begun)
	require.NoError(t, err)
	require.Equal(t, exports.Complete, closed.Status)
}

// An export's entries come whatever their state, with what is to be compared.
func TestEntriesOf(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	e := b.vouchers(2)
	b.settle(e, 1, exports.Unknown, nil)
	var got []string
	for r, err := range runlog.EntryRecords(t.Context(), b.operator, b.org, e.ID) {
		require.NoError(t, err)
		require.Len(t, r.VendorKey, 32)
		got = append(got, fmt.Sprintf("%s %s %s %s", r.VoucherID, r.EntryID, r.Amount, r.State))
	}
	require.Equal(t, []string{"v0 e0-1 1.00 unknown", "v0 e0-2 -1.00 unknown", "v1 e1-1 1.00 unknown", "v1 e1-2 -1.00 unknown"}, got)
	n, err := runlog.CountEntries(t.Context(), b.operator, b.org, e.ID)
	require.NoError(t, err)
	require.Equal(t, runlog.Counts{Total: 4, Unknown: 4, Open: 4}, n)
	problems, err := runlog.ListProblems(t.Context(), b.operator, b.org, e.ID, 1)
	require.NoError(t, err)
	require.Equal(t, classify.Open, problems[0].Effect)
}
