package runlog_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// One voucher gets a chunk of its own, whole, whoever repeats it; what is open or
// alone stays where it is.
func TestDrawVoucher(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ctx, e := t.Context(), b.vouchers(4)
	for range 2 {
		d, err := runlog.DrawVoucher(ctx, b.worker, e.Owner(), 1, 9, 0.5)
		require.NoError(t, err)
		require.Equal(t, exports.DrawResult{Moved: true}, d)
	}
	require.Equal(t, []string{"e0-1:1:planned", "e0-2:1:planned", "e1-1:1:planned", "e1-2:1:planned", "e2-1:9:planned", "e2-2:9:planned", "e3-1:1:planned", "e3-2:1:planned"}, b.entries(e))
	d, err := runlog.DrawVoucher(ctx, b.worker, e.Owner(), 9, 10, 0)
	require.NoError(t, err)
	require.Equal(t, exports.DrawResult{Alone: true}, d)
	d, err = runlog.DrawVoucher(ctx, b.worker, e.Owner(), 7, 10, 0)
	require.NoError(t, err)
	require.Zero(t, d, "there is no such chunk")
	_, err = runlog.MarkChunk(ctx, b.worker, e.Owner(), []string{"e0-1", "e0-2", "e1-1", "e1-2", "e3-1", "e3-2"}, sending(1), 0, runlog.InFlight{})
	require.NoError(t, err)
	d, err = runlog.DrawVoucher(ctx, b.worker, e.Owner(), 1, 11, 0)
	require.NoError(t, err)
	require.Zero(t, d, "they are open")
	b.settle(e, 9, exports.Exported, nil)
	d, err = runlog.DrawVoucher(ctx, b.worker, e.Owner(), 1, 9, 0)
	require.NoError(t, err)
	require.True(t, d.Moved, "it was moved before, and is settled by now: no other one takes its place")
	require.Contains(t, b.entries(e), "e0-1:1:sent")
	other := e
	other.Fence++
	_, err = runlog.DrawVoucher(ctx, b.worker, other.Owner(), 1, 12, 0)
	require.ErrorIs(t, err, runlog.ErrNotOwner)
}

// A chunk is halved and those after it become smaller, with whole vouchers; nobody is
// rejected, and what is open or left alone keeps its chunk.
func TestFitChunks(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ctx := t.Context()
	var rows []string
	for _, v := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		rows = append(rows, v+"1 "+v+" 2026-10-05 3000 10", v+"2 "+v+" 2026-10-05 1920 -10")
	}
	b.lines(rows...)
	e := b.claim("2026-10", nil)
	require.Contains(t, b.plan(e, integrations.ExportSettings{}, 5), "h2:4:planned", "four chunks of two vouchers")
	s := sending(1)
	_, err := runlog.MarkChunk(ctx, b.worker, e.Owner(), []string{"e1", "e2"}, s, 0, runlog.InFlight{})
	require.NoError(t, err)
	f := exports.Fit{Size: 2, Chunk: 1, Into: 5, From: 2, To: 4}
	for range 2 {
		out, err := runlog.FitChunks(ctx, b.worker, e.Owner(), f)
		require.NoError(t, err)
		require.Equal(t, exports.FitResult{Halved: true, Last: 9, Kept: []int{3}}, out)
	}
	require.Equal(t, []string{"a1:1:planned", "a2:1:planned", "b1:5:planned", "b2:5:planned", "c1:6:planned", "c2:6:planned", "d1:7:planned", "d2:7:planned",
		"e1:3:sent", "e2:3:sent", "f1:3:planned", "f2:3:planned", "g1:8:planned", "g2:8:planned", "h1:9:planned", "h2:9:planned"}, b.entries(e))
	_, err = runlog.FitChunks(ctx, b.worker, e.Owner(), exports.Fit{Size: 1, Chunk: 3, Into: 10, From: 11, To: 10})
	require.ErrorIs(t, err, runlog.ErrNotOwner, "something of it is open")
	out, err := runlog.FitChunks(ctx, b.worker, e.Owner(), exports.Fit{Size: 1, Chunk: 1, Into: 10, From: 6, To: 9, Except: []int{7}})
	require.NoError(t, err)
	require.Equal(t, exports.FitResult{Last: 13, Kept: []int{}}, out, "one voucher is not halved, nor rejected")
	require.Contains(t, b.entries(e), "d1:7:planned", "it was left alone")
}

// One large voucher gets a chunk of its own, and the others still share theirs.
func TestFitWithALargeVoucher(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	var rows []string
	for _, v := range []string{"a", "b", "c", "d", "e", "f"} {
		rows = append(rows, v+"1 "+v+" 2026-10-05 3000 10", v+"2 "+v+" 2026-10-05 1920 -10")
	}
	for i := range 8 {
		rows = append(rows, fmt.Sprintf("c9%d cc 2026-10-05 3000 %d", i, 1-2*(i%2)))
	}
	b.lines(rows...)
	e := b.claim("2026-10", nil)
	b.plan(e, integrations.ExportSettings{}, 20)
	out, err := runlog.FitChunks(t.Context(), b.worker, e.Owner(), exports.Fit{Size: 4, Into: 3, From: 1, To: 2})
	require.NoError(t, err)
	require.Equal(t, exports.FitResult{Last: 8, Kept: []int{}}, out)
	chunks := make(map[string]int)
	for _, entry := range b.entries(e) {
		chunks[strings.Split(entry, ":")[1]]++
	}
	require.Equal(t, map[string]int{"4": 2, "5": 4, "6": 2, "7": 4, "8": 8}, chunks)
}

// What a vendor says of itself is kept with the integration, for its file as it was;
// so is the size of a request that works, and neither touches the other.
func TestContracts(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ctx := t.Context()
	c, err := runlog.LoadContract(ctx, b.worker, b.org, b.spec.ID)
	require.NoError(t, err)
	require.False(t, c.Holds(b.spec.ContractFile()))
	require.Nil(t, c.CheckedAt)

	e := b.vouchers(1)
	b.settle(e, 1, exports.Exported, nil)
	e.ChunkSize, e.ChunkFull, e.Requests, e.LookUps, e.Isolating = 40, 500, 9, 4, 2
	closed := b.close(e)
	require.Equal(t, []int{9, 4, 2}, []int{closed.Requests, closed.LookUps, closed.Isolating})

	said := adapters.Contract{Checks: []adapters.Check{{What: "mutation", State: adapters.Checked}}, Learned: map[string]string{"amount": "number"}}
	require.NoError(t, runlog.RecordContract(ctx, b.worker, b.org, b.spec.ID, b.spec.ContractFile(), said))
	c, err = runlog.LoadContract(ctx, b.worker, b.org, b.spec.ID)
	require.NoError(t, err)
	require.Equal(t, said, c.Contract)
	require.Equal(t, []int{40, 300, 500}, []int{c.SizeFor(500), c.SizeFor(300), runlog.Contract{}.SizeFor(500)}, "another size in the file makes it void")
	require.WithinDuration(t, time.Now(), *c.CheckedAt, time.Minute)
	require.True(t, c.Holds(b.spec.ContractFile()))
	changed := b.spec
	changed.Settings = map[string]string{"amounts": "number"}
	require.False(t, c.Holds(changed.ContractFile()))
	changed = b.spec
	changed.Export.ChunkSize = 7 // says nothing of the vendor
	require.True(t, c.Holds(changed.ContractFile()))

	said.Refuse(classify.NewVerdict(classify.Forbidden, "status:403", "no"), "field amount", "there is none", "")
	require.NoError(t, runlog.RecordContract(ctx, b.worker, b.org, b.spec.ID, b.spec.ContractFile(), said))
	c, err = runlog.LoadContract(ctx, b.operator, b.org, b.spec.ID)
	require.NoError(t, err)
	require.False(t, c.Holds(b.spec.ContractFile()), "what differs is checked again")
	require.Zero(t, c.Refusal, "it is not kept")
	require.Error(t, runlog.RecordContract(ctx, b.operator, b.org, b.spec.ID, "", said), "only workers say so")
}

// A run that leaves entries as they were planned leads to a notification, unless
// somebody cancelled it or the credentials are refused, which has one of its own.
func TestUnsentIsNotified(t *testing.T) {
	t.Parallel()
	for kind, want := range map[classify.Kind][]string{
		classify.Business: {"unsent"}, classify.Configuration: {"unsent"}, classify.Cancelled: nil, classify.Unauthorized: {"credentials"},
	} {
		b := newBooks(t)
		e := b.vouchers(1)
		e.ErrorClass, e.ErrorCode, e.ErrorMessage = classify.Permanent, kind, "no"
		closed := b.close(e)
		require.Equal(t, 2, closed.Unsent(), kind)
		require.ElementsMatch(t, want, b.notifiedOf(), kind)
	}
}
