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
		require.True(t, got.Mine)
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
