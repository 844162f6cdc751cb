package runlog_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/runlog"
)

// family is a call and its repeats.
type family struct {
	books
	first, second, third uuid.UUID
}

func (b books) family() family { return family{b, uuid.New(), uuid.New(), uuid.New()} }

func (f family) claim(id uuid.UUID) (runlog.WriteClaimResult, error) {
	return runlog.ClaimWrite(context.WithoutCancel(f.t.Context()), f.worker, runlog.WriteClaim{OrganizationID: f.org, CorrelationID: id, IntegrationID: f.spec.ID, Operation: "call",
		BodySHA256: fmt.Sprintf("%064x", 1), RunID: uuid.New(), Attempt: 1}, 0, time.Hour, false)
}

// sends claims a call and settles it.
func (f family) sends(id uuid.UUID, effect classify.Effect) {
	f.t.Helper()
	got, err := f.claim(id)
	require.NoError(f.t, err)
	require.True(f.t, got.MaySend)
	require.NoError(f.t, runlog.SettleWrite(f.t.Context(), f.worker, f.org, id, got.Sent, effect, false, 200))
}

// isNotSent requires that a call is refused, with the one that was made instead.
func (f family) isNotSent(id, later uuid.UUID) {
	f.t.Helper()
	_, err := f.claim(id)
	var again *runlog.MadeAgainError
	require.ErrorAs(f.t, err, &again)
	require.EqualError(f.t, err, fmt.Sprintf("call %s was made again as call %s, and is not sent under its old ID: see starter show %s", id, later, later))
}

func (f family) repeat(number int, id uuid.UUID) *runlog.InTheWay {
	f.t.Helper()
	way, err := runlog.RecordRepeat(f.t.Context(), f.console, f.org, runlog.Repeat{First: f.first, Number: number, ID: id})
	require.NoError(f.t, err)
	return way
}

// Of a call and its repeats only the last one is sent, whatever Temporal still knows of them:
// the record alone says so.
func TestOnlyTheLastOfAFamilyIsSent(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	for name, before := range map[string]func(family){
		"nothing was sent":     func(family) {},
		"nothing was done":     func(f family) { f.sends(f.first, classify.None) },
		"nothing, after twice": func(f family) { f.sends(f.first, classify.None); f.sends(f.first, classify.None) },
	} {
		t.Run(name, func(t *testing.T) {
			f := b.family()
			f.t = t
			before(f)
			require.Nil(t, f.repeat(1, f.second))
			require.Nil(t, f.repeat(1, f.second), "somebody else asks for the same")
			f.isNotSent(f.first, f.second)
			f.sends(f.second, classify.None)
			require.Nil(t, f.repeat(2, f.third))
			f.isNotSent(f.first, f.third)
			f.isNotSent(f.second, f.third)
			require.Equal(t, &runlog.InTheWay{ID: f.third}, f.repeat(1, f.second), "there is a later one")
			f.sends(f.third, classify.Done)
			f.isNotSent(f.first, f.third)
			f.isNotSent(f.second, f.third)
			got, err := f.claim(f.third)
			require.NoError(t, err)
			require.Equal(t, []any{false, classify.Done}, []any{got.MaySend, got.Effect}, "it is answered from the record")
			require.Equal(t, &runlog.InTheWay{ID: f.third, Effect: classify.Done}, f.repeat(3, uuid.New()))
			last, err := runlog.LastRepeat(t.Context(), b.operator, b.org, f.first)
			require.NoError(t, err)
			require.Equal(t, 2, last)
		})
	}
}

// What has taken effect, or may have, is not made again; it is asked about under its own ID.
func TestWhatMayHaveActedIsNotRepeated(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	for _, effect := range []classify.Effect{classify.Done, classify.Open} {
		f := b.family()
		f.sends(f.first, effect)
		require.Equal(t, &runlog.InTheWay{ID: f.first, Effect: effect}, f.repeat(1, f.second))
		last, err := runlog.LastRepeat(t.Context(), b.operator, b.org, f.first)
		require.NoError(t, err)
		require.Zero(t, last)
		got, err := f.claim(f.first)
		require.NoError(t, err)
		require.Equal(t, effect, got.Effect)
	}
}

// A call that runs again under its own ID, and somebody who makes it again as a new one: the
// first one wins, and the other one sends nothing.
func TestRepeatAndClaimAtOnce(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	won := make(map[string]int)
	for i := range 40 {
		f := b.family()
		if i%2 == 1 {
			f.sends(f.first, classify.None)
		}
		var race sync.WaitGroup
		var sent, made bool
		var errs [2]error
		start := make(chan struct{})
		race.Go(func() {
			<-start
			got, err := f.claim(f.first)
			var again *runlog.MadeAgainError
			if !errors.As(err, &again) {
				errs[0] = err
			}
			sent = err == nil && got.MaySend
		})
		race.Go(func() {
			<-start
			way, err := runlog.RecordRepeat(context.WithoutCancel(t.Context()), b.operator, b.org, runlog.Repeat{First: f.first, Number: 1, ID: f.second})
			made, errs[1] = err == nil && way == nil, err
		})
		close(start)
		race.Wait()
		require.NoError(t, errors.Join(errs[:]...))
		require.NotEqual(t, sent, made, "one of them")
		won[fmt.Sprint(sent)]++
	}
	t.Log(won)
}

// Repeats are of one organization, and are recorded by who may make a call again.
func TestRepeatsAreOfTheOrganization(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	f := b.family()
	other := uuid.New()
	way, err := runlog.RecordRepeat(t.Context(), b.operator, other, runlog.Repeat{First: f.first, Number: 1, ID: f.second})
	require.NoError(t, err)
	require.Nil(t, way)
	f.sends(f.first, classify.None)
	last, err := runlog.LastRepeat(t.Context(), b.reader, b.org, f.first)
	require.NoError(t, err)
	require.Zero(t, last)
	_, err = runlog.RecordRepeat(t.Context(), b.worker, b.org, runlog.Repeat{First: f.first, Number: 1, ID: f.second})
	require.ErrorContains(t, err, "permission denied")
	_, err = b.console.Exec(t.Context(), `DELETE FROM ledgerline.write_repeats`)
	require.ErrorContains(t, err, "permission denied")
	require.Nil(t, f.repeat(1, f.second))
	_, err = runlog.RecordRepeat(t.Context(), b.console, b.org, runlog.Repeat{First: uuid.New(), Number: 1, ID: f.second})
	require.ErrorContains(t, err, "call_repeats_one_call", "it is the repeat of another call")
}
