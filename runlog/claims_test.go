package runlog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/runlog"
)

// The attempts of a later run have numbers of their own, also after attempts that
// only asked and after one that was lost with its worker.
func TestClaimNumbers(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	c := runlog.WriteClaim{OrganizationID: b.org, CorrelationID: uuid.New(), IntegrationID: b.spec.ID, Operation: "call",
		BodySHA256: fmt.Sprintf("%064x", 1), Actor: "kari@host", RunID: uuid.New()}
	number := func(run uuid.UUID, attempt int, again bool) int {
		t.Helper()
		c.RunID, c.Attempt = run, attempt
		got, err := runlog.ClaimWrite(t.Context(), b.worker, c, 0, time.Hour, again)
		require.NoError(t, err)
		return got.Attempt
	}
	none, err := runlog.LoadWriteState(t.Context(), b.operator, b.org, c.CorrelationID)
	require.NoError(t, err)
	require.Nil(t, none)
	first, second := c.RunID, uuid.New()
	require.Equal(t, 1, number(first, 1, false))
	require.Equal(t, 2, number(first, 2, false), "it asks")
	require.Equal(t, 3, number(first, 3, false))
	require.Equal(t, 4, number(second, 1, false))
	require.Equal(t, 4, number(second, 1, true), "and the same attempt sends")
	require.Equal(t, 5, number(second, 2, false))
	state, err := runlog.LoadWriteState(t.Context(), b.operator, b.org, c.CorrelationID)
	require.NoError(t, err)
	require.Equal(t, []any{classify.Open, "kari@host", true}, []any{state.Effect, state.Actor, state.OpenUntil != nil})
	require.NoError(t, runlog.SettleWrite(t.Context(), b.worker, b.org, c.CorrelationID, 4, classify.Done, true, 200))
	require.Equal(t, 6, number(second, 3, false))
	state, err = runlog.LoadWriteState(t.Context(), b.operator, b.org, c.CorrelationID)
	require.NoError(t, err)
	require.Equal(t, classify.Done, state.Effect)
	require.Nil(t, state.OpenUntil)
}

// A repeat of a write whose earlier sending is open settles that one only by being
// done: that nothing was done by the repeat says nothing of it.
func TestClaimRepeats(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	c := runlog.WriteClaim{OrganizationID: b.org, CorrelationID: uuid.New(), IntegrationID: b.spec.ID, Operation: "call",
		BodySHA256: fmt.Sprintf("%064x", 1), RunID: uuid.New(), Attempt: 1}
	take := func() runlog.WriteClaimResult {
		t.Helper()
		got, err := runlog.ClaimWrite(t.Context(), b.worker, c, 0, 0, true)
		require.NoError(t, err)
		require.True(t, got.MaySend)
		return got
	}
	settle := func(attempt int, effect classify.Effect) classify.Effect {
		t.Helper()
		require.NoError(t, runlog.SettleWrite(t.Context(), b.worker, b.org, c.CorrelationID, attempt, effect, false, 0))
		state, err := runlog.LoadWriteState(t.Context(), b.operator, b.org, c.CorrelationID)
		require.NoError(t, err)
		return state.Effect
	}
	require.False(t, take().Repeats)
	require.Equal(t, classify.None, settle(1, classify.None))
	c.Attempt = 2
	require.False(t, take().Repeats, "the first one had no effect")
	c.Attempt = 3
	require.True(t, take().Repeats)
	require.Equal(t, classify.Open, settle(3, classify.None), "also when its time is over")
	require.NoError(t, runlog.SettleWrite(t.Context(), b.worker, b.org, c.CorrelationID, 3, classify.None, true, 0))
	state, err := runlog.LoadWriteState(t.Context(), b.operator, b.org, c.CorrelationID)
	require.NoError(t, err)
	require.Equal(t, classify.None, state.Effect, "asking has shown it")
	c.Attempt = 4
	require.False(t, take().Repeats)
	require.Equal(t, classify.Done, settle(2, classify.Done))
}

// A claim is open for one attempt at a time, and what is found out about one says nothing of a later one.
func TestClaimWrite(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ctx := t.Context()
	c := runlog.WriteClaim{OrganizationID: b.org, CorrelationID: uuid.New(), IntegrationID: b.spec.ID, Operation: "call",
		BodySHA256: fmt.Sprintf("%064x", 1), Actor: "kari@host", RunID: uuid.New(), Attempt: 1}
	take := func(c runlog.WriteClaim, again bool) runlog.WriteClaimResult {
		t.Helper()
		got, err := runlog.ClaimWrite(ctx, b.worker, c, 0, time.Hour, again)
		require.NoError(t, err)
		return got
	}
	settle := func(attempt int, effect classify.Effect, ended bool) {
		t.Helper()
		require.NoError(t, runlog.SettleWrite(ctx, b.worker, b.org, c.CorrelationID, attempt, effect, ended, 200))
	}
	first := take(c, false)
	require.True(t, first.MaySend)
	require.WithinDuration(t, time.Now().Add(time.Hour), first.OpenUntil, 5*time.Second)

	for what, change := range map[string]func(*runlog.WriteClaim){
		"operation": func(c *runlog.WriteClaim) { c.Operation = "ping" }, "request body": func(c *runlog.WriteClaim) { c.BodySHA256 = fmt.Sprintf("%064x", 2) },
		"integration": func(c *runlog.WriteClaim) { c.IntegrationID = uuid.New() },
	} {
		other := c
		change(&other)
		_, err := runlog.ClaimWrite(ctx, b.worker, other, 0, 0, true)
		var conflict *runlog.ConflictError
		require.ErrorAs(t, err, &conflict, what)
		require.Equal(t, what, conflict.What)
	}

	c.Attempt = 2
	open := take(c, false)
	require.Equal(t, []any{false, classify.Open, false}, []any{open.MaySend, open.Effect, open.Due})
	require.InDelta(t, 3600, open.Wait.Seconds(), 60)
	settle(1, classify.Open, true)
	require.True(t, take(c, false).Due)
	settle(1, classify.None, true)
	second := take(c, false)
	require.Equal(t, []any{true, 2}, []any{second.MaySend, second.Attempt})
	settle(1, classify.None, true)
	require.Equal(t, classify.Open, take(c, false).Effect, "what was asked before it was sent says nothing of it")
	settle(1, classify.None, true)
	require.False(t, take(c, false).MaySend, "the attempt before knows about its own sending only")

	// Another run of the same workflow, after a reset, counts on.
	reset := c
	reset.RunID, reset.Attempt = uuid.New(), 1
	require.Equal(t, 3, take(reset, false).Attempt, "one that only asks has a number too")
	reset.Attempt = 2
	require.Equal(t, 4, take(reset, true).Attempt)
	settle(2, classify.None, false)
	require.Equal(t, classify.Open, take(reset, false).Effect, "the attempt before knows about its own sending only")
	settle(4, classify.Open, true)
	settle(4, classify.None, false)
	require.Equal(t, []any{classify.Open, false}, []any{take(reset, false).Effect, take(reset, false).Due}, "the repeat knows about itself only")
	_, err := b.admin.Exec(ctx, "ALTER TABLE ledgerline.write_claims DISABLE TRIGGER final")
	require.NoError(t, err)
	_, err = b.admin.Exec(ctx, "UPDATE ledgerline.write_claims SET open_until = now()")
	require.NoError(t, err)
	_, err = b.admin.Exec(ctx, "ALTER TABLE ledgerline.write_claims ENABLE TRIGGER final")
	require.NoError(t, err)
	settle(4, classify.None, true) // asked, after its time
	reset.Attempt = 1
	_, err = runlog.ClaimWrite(ctx, b.worker, reset, 0, 0, false)
	require.ErrorContains(t, err, "attempt 3 has been overtaken by attempt 4")
	reset.Attempt = 3
	require.Equal(t, 5, take(reset, false).Attempt)
	settle(5, classify.Done, false)
	again := reset
	again.RunID, again.Attempt = uuid.New(), 1
	require.Equal(t, 6, take(again, false).Attempt)
	done := take(c, true)
	require.Equal(t, []any{false, classify.Done, 200}, []any{done.MaySend, done.Effect, done.HTTPStatus})
	settle(5, classify.None, true)
	require.Equal(t, classify.Done, take(c, false).Effect, "done is final")
	_, err = b.admin.Exec(ctx, "UPDATE ledgerline.write_claims SET effect = 'none'")
	require.ErrorContains(t, err, "is final")
}
