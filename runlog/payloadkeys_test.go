package runlog_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/runlog"
)

// A key comes into use only when each worker has it, and a worker that lacks a key in use
// is none.
func TestPayloadKeys(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	const first, second = "2026-10/0a1b2c3d", "2026-11/4e5f6071"
	old, young := uuid.New(), uuid.New()
	reads := func(process uuid.UUID, want []string, has ...string) {
		t.Helper()
		if has == nil {
			has = []string{}
		}
		lacks, err := runlog.ReadPayloads(t.Context(), b.worker, process, process.String(), has)
		require.NoError(t, err)
		require.ElementsMatch(t, want, lacks)
	}
	uses := func(key string, lacking ...uuid.UUID) {
		t.Helper()
		for _, pool := range []runlog.Beginner{b.worker, b.operator} {
			list, err := runlog.UsePayloadKey(t.Context(), pool, key)
			require.NoError(t, err)
			var got, want []string
			for _, r := range list {
				got = append(got, r.Label)
			}
			for _, id := range lacking {
				want = append(want, id.String())
			}
			require.ElementsMatch(t, want, got)
		}
	}
	inUse := func(want ...string) {
		t.Helper()
		list, err := runlog.ListPayloadKeys(t.Context(), b.operator)
		require.NoError(t, err)
		var got []string
		for _, k := range list {
			got = append(got, k.Name)
		}
		require.Equal(t, want, got)
	}

	held := func(key string, have, lack []uuid.UUID) {
		t.Helper()
		h, l, err := runlog.PayloadReaders(t.Context(), b.operator, key)
		require.NoError(t, err)
		for _, c := range []struct {
			want []uuid.UUID
			got  []runlog.PayloadReader
		}{{have, h}, {lack, l}} {
			var want, got []string
			for _, id := range c.want {
				want = append(want, id.String())
			}
			for _, r := range c.got {
				got = append(got, r.Label)
			}
			require.ElementsMatch(t, want, got)
		}
	}
	held(first, nil, nil)
	inUse() // by asking nothing comes into use
	reads(old, nil)
	reads(young, nil, first)
	held(first, []uuid.UUID{young}, []uuid.UUID{old})
	held(second, nil, []uuid.UUID{old, young})
	uses(first, old)
	inUse()
	require.NoError(t, runlog.StopReadingPayloads(t.Context(), b.worker, old))
	held(first, []uuid.UUID{young}, nil)
	inUse()
	uses(first)
	inUse(first)
	held(first, []uuid.UUID{young}, nil)
	held(second, nil, []uuid.UUID{young})
	reads(old, []string{first})         // it may not begin
	reads(old, []string{first}, second) // nor with another key
	uses(second, young)                 // and it holds nobody back
	reads(young, nil, first, second)
	uses(second)
	inUse(first, second)
	reads(young, []string{second}, first) // a worker that was out of sight

	lacks, err := runlog.LackedPayloadKeys(t.Context(), b.operator, []string{second})
	require.NoError(t, err)
	require.Equal(t, []string{first}, lacks)
	listed, err := runlog.ListPayloadKeys(t.Context(), b.operator)
	require.NoError(t, err)
	require.Equal(t, first, listed[0].Name)
	before := listed[0]
	before.LastUse = before.LastUse.Add(-time.Microsecond) // it was used after it was listed
	for _, c := range []struct {
		key  runlog.PayloadKey
		want bool
	}{{before, false}, {listed[0], true}, {listed[0], false}} {
		done, err := runlog.RetirePayloadKey(t.Context(), b.operator, c.key)
		require.NoError(t, err)
		require.Equal(t, c.want, done)
	}
	reads(young, nil, second)

	// One that crashed counts for ten minutes.
	reads(old, nil, second)
	uses(first, old, young)
	_, err = b.admin.Exec(t.Context(), `UPDATE ledgerline.payload_readers SET seen_at = now() - interval '11 min' WHERE worker_id = $1`, old)
	require.NoError(t, err)
	uses(first, young)
	_, err = b.admin.Exec(t.Context(), `UPDATE ledgerline.payload_readers SET seen_at = now() - interval '11 min'`)
	require.NoError(t, err)
	reads(old, nil, second)
	var rows int
	require.NoError(t, b.admin.QueryRow(t.Context(), `SELECT count(*) FROM ledgerline.payload_readers`).Scan(&rows))
	require.Equal(t, 1, rows, "those that have ended are dropped")
	require.NoError(t, runlog.StopReadingPayloads(t.Context(), b.worker, old))

	for _, name := range []string{"", "x", "/0a1b2c3d", "x/0A1B2C3D", "a b/0a1b2c3d"} {
		_, err := runlog.UsePayloadKey(t.Context(), b.operator, name)
		require.ErrorContains(t, err, "name_is_of_a_key", name)
	}
}

// Whichever comes first, no worker begins without a key that comes into use meanwhile.
func TestPayloadKeysRace(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	for range 50 {
		process, key := uuid.New(), "k"+uuid.NewString()[:8]+"/0a1b2c3d"
		inUse, err := runlog.ListPayloadKeys(t.Context(), b.operator)
		require.NoError(t, err)
		has := []string{}
		for _, k := range inUse {
			has = append(has, k.Name)
		}
		var both sync.WaitGroup
		var lacks []string
		var lacking []runlog.PayloadReader
		errs := make([]error, 2)
		both.Go(func() { lacks, errs[0] = runlog.ReadPayloads(t.Context(), b.worker, process, "w", has) })
		both.Go(func() { lacking, errs[1] = runlog.UsePayloadKey(t.Context(), b.operator, key) })
		both.Wait()
		require.NoError(t, errs[0])
		require.NoError(t, errs[1])
		require.NotEqual(t, len(lacks) == 0, len(lacking) == 0, "exactly one of them has to wait")
		require.NoError(t, runlog.StopReadingPayloads(t.Context(), b.worker, process))
	}
}
