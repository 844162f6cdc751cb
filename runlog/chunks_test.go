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
	"github.com/ledgerline/ledgerline/runlog"
)

// vouchers makes n vouchers of two lines and a planned export of them, in one
// chunk.
func (b books) vouchers(n int) exports.Export {
	b.t.Helper()
	for i := range n {
		b.lines(fmt.Sprintf("e%d-1 v%d 2026-10-01 1920 1", i, i), fmt.Sprintf("e%d-2 v%d 2026-10-01 3000 -1", i, i))
	}
	e := b.claim("2026-10", nil)
	require.Len(b.t, b.plan(e, integrations.ExportSettings{}, 500), 2*n)
	return e
}

func sending(attempt int) runlog.Sending {
	return runlog.Sending{CorrelationID: uuid.New(), Attempt: attempt}
}

// An entry is open from before its first byte until it is settled, and nobody
// marks it a second time meanwhile.
func TestMarkAndSettle(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ctx, e := t.Context(), b.vouchers(1)
	ids := []string{"e0-1", "e0-2"}
	open := func() (entries []runlog.ChunkEntry) {
		t.Helper()
		opened, err := runlog.LoadChunk(ctx, b.worker, e.Owner(), 1)
		entries = opened.Entries
		require.NoError(t, err)
		return entries
	}
	require.False(t, open()[0].Open)

	s := sending(1)
	_, err := runlog.MarkChunk(ctx, b.worker, e.Owner(), ids, s, -time.Nanosecond, runlog.InFlight{Same: time.Minute})
	require.ErrorContains(t, err, "over", "it cannot send them any more")
	require.False(t, open()[0].Open)
	until, err := runlog.MarkChunk(ctx, b.worker, e.Owner(), ids, s, time.Second, runlog.InFlight{Same: time.Minute})
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(61*time.Second), until, 5*time.Second)
	got := open()
	require.True(t, got[0].Open)
	require.InDelta(t, 61, got[0].Wait.Seconds(), 5)
	require.Equal(t, s, got[0].SentIn)
	_, err = runlog.MarkChunk(ctx, b.worker, e.Owner(), ids, sending(1), time.Second, runlog.InFlight{})
	require.ErrorIs(t, err, runlog.ErrNotOwner, "it is open already")

	none := runlog.LookupAnswer{Absent: ids}
	require.NoError(t, runlog.RecordAnswer(ctx, b.worker, e.Owner(), none, []runlog.Sending{s}))
	require.True(t, open()[0].Open, "its time has not come: only PostgreSQL's clock says so")
	require.NoError(t, runlog.RecordSend(ctx, b.worker, e.Owner(), ids, s, classify.Open, true, nil))
	require.Zero(t, open()[0].Wait, "an answer proves that the vendor's work has ended")
	require.NoError(t, runlog.RecordAnswer(ctx, b.worker, e.Owner(), none, []runlog.Sending{sending(1)}))
	require.True(t, open()[0].Open, "the question was about another sending")
	require.NoError(t, runlog.RecordAnswer(ctx, b.worker, e.Owner(), none, []runlog.Sending{s}))
	require.False(t, open()[0].Open)

	// A later attempt's mark refuses an earlier one, and open_until never decreases.
	later := runlog.Sending{CorrelationID: s.CorrelationID, Attempt: 3}
	again, err := runlog.MarkChunk(ctx, b.worker, e.Owner(), ids, later, 0, runlog.InFlight{})
	require.NoError(t, err)
	require.False(t, again.Before(until))
	require.NoError(t, runlog.RecordSend(ctx, b.worker, e.Owner(), ids, s, classify.None, false, nil))
	require.True(t, open()[0].Open, "what an earlier attempt knows is about its own sending")
	require.NoError(t, runlog.RecordSend(ctx, b.worker, e.Owner(), ids, later, classify.None, false, nil))
	_, err = runlog.MarkChunk(ctx, b.worker, e.Owner(), ids, runlog.Sending{CorrelationID: s.CorrelationID, Attempt: 2}, 0, runlog.InFlight{})
	require.ErrorIs(t, err, runlog.ErrNotOwner)
}

// Orders come from the owner; that an entry is exported is a fact, whoever says
// so and when.
func TestOwner(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ctx, e := t.Context(), b.vouchers(2)
	s := sending(1)
	ids := []string{"e0-1", "e0-2", "e1-1", "e1-2"}
	_, err := runlog.MarkChunk(ctx, b.worker, e.Owner(), ids, s, 0, runlog.InFlight{})
	require.NoError(t, err)

	reset := e
	reset.RunID = uuid.New() // the same number, another run: a reset
	taken, ok, err := runlog.TakeOverExport(ctx, b.worker, e, "w2", uuid.New())
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, e.Fence+1, taken.Fence)
	_, ok, err = runlog.TakeOverExport(ctx, b.worker, e, "w3", uuid.New())
	require.NoError(t, err)
	require.False(t, ok, "somebody else was quicker")

	for name, who := range map[string]exports.Export{"the run before": e, "a reset": reset} {
		o := who.Owner()
		_, err := runlog.LoadChunk(ctx, b.worker, o, 1)
		require.ErrorIs(t, err, runlog.ErrNotOwner, name)
		_, err = runlog.MarkChunk(ctx, b.worker, o, ids, sending(1), 0, runlog.InFlight{})
		require.ErrorIs(t, err, runlog.ErrNotOwner, name)
		require.ErrorIs(t, runlog.RecordAnswer(ctx, b.worker, o, runlog.LookupAnswer{Absent: ids}, []runlog.Sending{s}), runlog.ErrNotOwner, name)
		_, err = runlog.SplitChunk(ctx, b.worker, o, 1, 2, "no", true)
		require.ErrorIs(t, err, runlog.ErrNotOwner, name)
		require.ErrorIs(t, runlog.DeferExport(ctx, b.worker, o, time.Now(), classify.Unavailable), runlog.ErrNotOwner, name)
		_, err = runlog.PlanExport(ctx, b.worker, nil, who, integrations.ExportSettings{}, 500, 500)
		require.ErrorIs(t, err, runlog.ErrNotOwner, name)
		_, err = runlog.CloseExport(ctx, b.worker, who)
		require.ErrorIs(t, err, runlog.ErrNotOwner, name)
	}
	require.NoError(t, runlog.RecordSend(ctx, b.worker, e.Owner(), ids[:2], s, classify.Done, false, map[string]string{"e0-1": "77"}))
	_, err = runlog.SplitChunk(ctx, b.worker, taken.Owner(), 1, 2, "no", true)
	require.ErrorContains(t, err, "open", "nothing is halved before its effect is known")
	require.ErrorIs(t, err, runlog.ErrNotOwner, "or it would be tried for ever: nobody else asks")
	closed := b.close(taken)
	require.Equal(t, []int{4, 2, 2}, []int{closed.Total, closed.Exported, closed.Unknown})
	b.sumsAreTheChains("closed")
	require.NoError(t, runlog.RecordSend(ctx, b.worker, e.Owner(), ids[2:3], s, classify.Done, false, nil))
	b.sumsAreTheChains("a line came late")
	require.NoError(t, runlog.RecordSend(ctx, b.worker, e.Owner(), ids[3:], s, classify.Done, false, nil))
	b.sumsAreTheChains("all came late")
	require.Equal(t, []string{"e0-1:1:exported", "e0-2:1:exported", "e1-1:1:exported", "e1-2:1:exported"}, b.entries(e), "also after closing")
	_, err = runlog.CloseExport(ctx, b.worker, taken)
	require.NoError(t, err, "closing again is harmless")
}

// Entries of one sending are judged together, also when some of them were found
// by an earlier question.
func TestPartlyThere(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ctx, e := t.Context(), b.vouchers(2)
	s := sending(1)
	_, err := runlog.MarkChunk(ctx, b.worker, e.Owner(), []string{"e0-1", "e0-2", "e1-1", "e1-2"}, s, 0, runlog.InFlight{Same: time.Hour})
	require.NoError(t, err)
	require.NoError(t, runlog.RecordAnswer(ctx, b.worker, e.Owner(), runlog.LookupAnswer{Exported: map[string]string{"e0-1": "1", "e0-2": "2"}}, []runlog.Sending{s}))
	opened, err := runlog.LoadChunk(ctx, b.worker, e.Owner(), 1)
	entries, control := opened.Entries, opened.Control
	require.NoError(t, err)
	require.Len(t, entries, 2)
	for _, x := range entries {
		require.True(t, x.PartlyExported, x.EntryID)
	}
	require.NotNil(t, control, "what was found can prove later look-ups")
}

// A voucher that was refused and has other content now waits until the old
// content can no longer arrive.
func TestChangedContent(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ctx, e := t.Context(), b.vouchers(1)
	b.settle(e, 1, exports.Rejected, nil)
	b.close(e)
	_, err := b.admin.Exec(ctx, "UPDATE ledgerline.accounting_entries SET account = '1921' WHERE entry_id = 'e0-1'")
	require.NoError(t, err)
	retry := b.claim("2026-10", &e.ID)
	require.Len(t, b.plan(retry, integrations.ExportSettings{}, 500), 2)
	ids := []string{"e0-1", "e0-2"}
	_, err = runlog.MarkChunk(ctx, b.worker, retry.Owner(), ids, sending(1), 0, runlog.InFlight{Changed: time.Hour})
	var soon *runlog.TooSoonError
	require.ErrorAs(t, err, &soon)
	require.InDelta(t, 3600, soon.Wait.Seconds(), 60)
	_, err = runlog.MarkChunk(ctx, b.worker, retry.Owner(), ids, sending(1), 0, runlog.InFlight{Same: 20 * time.Minute, Changed: time.Hour})
	require.ErrorAs(t, err, &soon)
	require.InDelta(t, 2400, soon.Wait.Seconds(), 60, "the time until which it was open has the other 20 minutes in it")
	_, err = runlog.MarkChunk(ctx, b.worker, retry.Owner(), ids, sending(1), 0, runlog.InFlight{Same: time.Hour})
	require.NoError(t, err, "nothing is replaced")
}
