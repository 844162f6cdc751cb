package model

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/runlog"
)

// entry names a source entry at an integration.
type entry struct {
	integration uuid.UUID
	id          string
}

// entryRow is what the entry table says of it.
type entryRow struct {
	Integration uuid.UUID
	ID          string
	Export      uuid.UUID
	Chunk       int
	Key, State  string
	Late        bool
}

// summary is what of a closed row must never change.
type summary struct {
	status                             string
	total, exported, rejected, unknown int
	sha256                             string
}

// read reads the entry table as a superuser, who sees everything.
func (w *world) read() map[entry]entryRow {
	rows, err := w.admin.Query(context.Background(), `SELECT integration_id, entry_id, export_id, chunk, vendor_key, state, late
		FROM ledgerline.export_entries WHERE organization_id = $1`, w.org)
	require.NoError(w.t, err)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[entryRow])
	require.NoError(w.t, err)
	all := make(map[entry]entryRow, len(list))
	for _, r := range list {
		all[entry{r.Integration, r.ID}] = r
	}
	require.Len(w.t, all, len(list), "an entry has two rows")
	return all
}

// mayBecome is every state in which an entry may be found a step later. An
// entry goes from planned to exported and back to nothing else.
var mayBecome = map[string][]string{
	"":         {"", "planned", "rejected"},
	"planned":  {"planned", "sent", "exported", "rejected", "unknown"},
	"sent":     {"sent", "planned", "exported", "rejected", "unknown"},
	"unknown":  {"unknown", "sent"},
	"rejected": {"rejected", "planned"},
	"exported": {"exported"},
}

// check is what holds after every step.
func (w *world) check(t *rapid.T) {
	at := make(map[string]int)
	for _, e := range w.vendor.Load().Effects() {
		if e.Kind != "upsert_again" { // which changes nothing
			at[e.Key]++
		}
		require.LessOrEqual(t, at[e.Key], 1, "an entry is at the vendor twice")
	}
	source := make(map[string]bool)
	for _, v := range w.vouchers {
		for _, l := range v.lines {
			source[l.id] = true
		}
	}
	rows := w.read()
	vouchers := make(map[entry]entryRow)
	for k, r := range rows {
		require.True(t, source[k.id], "%s is not in the source", k.id)
		require.Contains(t, mayBecome[w.states[k]], r.State, "%s was %q", k.id, w.states[k])
		switch r.State {
		case "exported":
			require.Equal(t, 1, at[r.Key], "%s is exported and not at the vendor", k.id)
		case "planned", "rejected":
			require.Zero(t, at[r.Key], "%s is %s and at the vendor", k.id, r.State)
		}
		require.Equal(t, r.Chunk == 0, r.Chunk == 0 && r.State == "rejected", "chunk 0 is of the refused ones only: %s", k.id)
		v := entry{k.integration, k.id[:4]}
		if other, ok := vouchers[v]; ok {
			require.Equal(t, []any{other.Export, other.Chunk, other.State}, []any{r.Export, r.Chunk, r.State}, "voucher %s is torn", v.id)
		}
		vouchers[v] = r
		w.states[k] = r.State
	}
	for k := range w.states {
		require.Contains(t, rows, k, "a row is gone")
	}
	w.checkExports(t)
}

// checkExports is that there is a row for each claim, and that what is closed
// stays as it was.
func (w *world) checkExports(t *rapid.T) {
	list, err := runlog.Exports(context.Background(), w.worker, w.org, 1000)
	require.NoError(t, err)
	require.Len(t, list, len(w.claimed), "one row for each claim")
	for _, e := range list {
		require.Equal(t, w.claimed[e.IdempotencyKey()], e.ID)
		if e.Status == "pending" {
			continue
		}
		is := summary{e.Status, e.Total, e.Exported, e.Rejected, e.Unknown, e.SHA256}
		if was, ok := w.closed[e.ID]; ok {
			require.Equal(t, was, is, "a closed export has changed")
		}
		w.closed[e.ID] = is
	}
}

// settle ends everything in good weather: all runs close, a last period takes
// what has come, and retries go on until nothing is open. Then what the vendor
// has is what is exported, and only what it refuses, or what is not whole, is
// not.
func (w *world) settle() {
	for _, spec := range w.specs {
		w.claim(spec, "2026-11", nil)
	}
	for round := 0; ; round++ {
		require.Less(w.t, round, 200, "it does not come to rest")
		var todo *run
		for _, r := range w.runs {
			if !r.closed {
				todo = r
				break
			}
		}
		if todo == nil {
			if todo = w.open(); todo == nil {
				break
			}
		}
		w.finish(todo)
		w.check(w.t)
	}
	at := make(map[string]bool)
	for _, e := range w.vendor.Load().Effects() {
		at[e.Key] = true
	}
	exported, rows := 0, w.read()
	for k, r := range rows {
		require.NotContains(w.t, []string{"sent", "unknown", "planned"}, r.State, k.id)
		if r.State == "exported" {
			exported++
		}
	}
	require.Equal(w.t, len(at), exported, "exported = at the vendor")
	for _, spec := range w.specs {
		for _, v := range w.vouchers {
			for _, l := range v.lines {
				want := "exported"
				if v.refused || v.missing != nil {
					want = "rejected"
				}
				require.Equal(w.t, want, rows[entry{spec.ID, l.id}].State, l.id)
			}
		}
	}
}

// open starts a retry where one can help.
func (w *world) open() *run {
	refused := make(map[string]bool)
	for _, v := range w.vouchers {
		if v.refused || v.missing != nil {
			refused[v.id] = true
		}
	}
	for k, r := range w.read() {
		if r.State == "exported" || r.State == "rejected" && refused[k.id[:4]] {
			continue
		}
		for _, of := range w.runs {
			if of.export.ID == r.Export && !of.retried {
				return w.retryRun(of)
			}
		}
		require.Fail(w.t, "nothing can be done any more", "%s is %s", k.id, r.State)
	}
	return nil
}

// finish drives a run to its end.
func (w *world) finish(r *run) {
	if !r.planned && r.done == "" {
		w.planRun(r)
		w.check(w.t)
	}
	for steps := 0; r.left(); steps++ {
		require.Less(w.t, steps, 500, "the run does not end")
		w.attemptOf(r, "none", "none", survives)
		w.check(w.t)
	}
	w.close(r)
}
