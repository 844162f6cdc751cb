package model

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
)

// entry names a source entry at an integration.
type entry struct {
	integration uuid.UUID
	id          string
}

// entryRow is what the entry table says of it.
type entryRow struct {
	Integration                    uuid.UUID
	ID                             string
	Export                         uuid.UUID
	Chunk                          int
	Key, State                     string
	Late                           bool
	Effect                         string
	SentIn                         uuid.UUID
	SentAttempt                    int
	OpenUntil                      int64 // in µs; 0 if it was never sent
	Ended, PartlyExported, Changed bool
	Corrected                      bool // its source was replaced since it was rejected, and the next export takes it
}

// summary is what of a closed row must never change.
type summary struct {
	status                             exports.Status
	total, exported, rejected, unknown int
	sha256                             string
}

// read reads the entry table as a superuser, who sees everything.
func (w *world) read() map[entry]entryRow {
	rows, err := w.database.Admin.Query(context.Background(), `SELECT integration_id, entry_id, export_id, chunk, vendor_key, state, late, coalesce(effect, ''),
		    coalesce(sent_in, '00000000-0000-0000-0000-000000000000'), coalesce(sent_attempt, 0), coalesce((extract(epoch FROM open_until) * 1e6)::bigint, 0), ended, partly_exported, changed,
		    correction IS NOT DISTINCT FROM 'replaced' AND (chunk = 0 OR EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log AS export
		        WHERE export.export_id = export_entries.export_id AND export.status <> 'pending'))
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

// control are the entries of an integration that are known to be there, and when
// the first of them came there; none if there are none.
func (w *world) control(integration uuid.UUID) (keys []string, at time.Time) {
	err := w.database.Admin.QueryRow(context.Background(), `SELECT vendor_keys FROM ledgerline.vendor_controls WHERE integration_id = $1`, integration).Scan(&keys)
	if err == pgx.ErrNoRows {
		return nil, at
	}
	require.NoError(w.t, err)
	for _, e := range w.vendor.Effects() {
		if slices.Contains(keys, e.Key) {
			return keys, e.At
		}
	}
	return nil, at // somebody deleted them
}

// exports are the organization's.
func (w *world) exports() []exports.Export {
	list, err := runlog.ListExports(context.Background(), w.database.Worker, w.org, 1000)
	require.NoError(w.t, err)
	return list
}

// mayBecome is every state in which an entry may be found a step later. An
// entry goes from planned to exported and back to nothing else.
var mayBecome = map[string][]string{
	"":         {"", "planned", "sent", "exported", "rejected"},
	"planned":  {"planned", "sent", "exported", "rejected", "unknown"},
	"sent":     {"sent", "planned", "exported", "rejected", "unknown"},
	"unknown":  {"unknown", "sent", "exported", "planned"},
	"rejected": {"rejected", "planned", "exported"},
	"exported": {"exported"},
}

// books are what the vendors have of an integration's entries, and what they may
// still get.
type books struct {
	there   map[string]int // records by key
	ever    map[string]int // effects by key; an upsert that changes nothing is none
	pending map[string]int // the number of a request that may still take effect
}

func (w *world) books(rows map[entry]entryRow) books {
	b := books{map[string]int{}, map[string]int{}, map[string]int{}}
	for _, r := range rows {
		b.there[r.Key] = len(w.vendor.Records(r.Key))
	}
	for _, e := range w.vendor.Effects() {
		if e.Kind != "upsert_again" && e.Kind != "journal_post" && e.Kind != "delete" {
			b.ever[e.Key]++
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.vendor.Log() {
		if f := w.scripted[e.Rule]; !e.Ended.IsZero() || f != nil && !f.acts {
			continue
		}
		for _, key := range e.Keys {
			b.pending[key] = e.Seq
		}
	}
	return b
}

// check is what holds after every step.
func (w *world) check(t *rapid.T) {
	w.mu.Lock()
	slow, violations := w.slow, w.violations
	w.mu.Unlock()
	if slow && len(violations) == 0 {
		t.Skip("the machine is too slow for what was drawn to be late")
	}
	require.Empty(t, violations)
	source := make(map[string]*voucher)
	for _, v := range w.vouchers {
		for _, l := range v.lines {
			source[l.id] = v
		}
	}
	rows := w.read()
	b := w.books(rows)
	for key, n := range b.ever {
		if n > 1+w.deleted[key] || b.there[key] > 1 {
			require.Fail(t, "an entry is at the vendor twice", "%d effects, %d records: %s", n, b.there[key], w.story(key))
		}
	}
	vouchers := make(map[entry]entryRow)
	for k, r := range rows {
		require.Contains(t, source, k.id, "is not in the source")
		was := w.rows[k]
		require.Contains(t, mayBecome[was.State], r.State, "%s was %q", k.id, was.State)
		require.GreaterOrEqual(t, r.OpenUntil, was.OpenUntil, "open_until of %s has decreased", k.id)
		story := func() string { return w.story(r.Key) }
		switch r.State {
		case "exported":
			if b.there[r.Key] != 1 && w.deleted[r.Key] == 0 {
				require.Fail(t, "an entry is exported and not at the vendor", "%s: %s", k.id, story())
			}
		case "planned", "rejected":
			if b.there[r.Key] != 0 {
				require.Fail(t, "an entry is at the vendor and the record says that it is not", "%s is %+v: %s", k.id, r, story())
			}
			if n := b.pending[r.Key]; n != 0 {
				require.Fail(t, "an entry may still come to the vendor and the record says that it will not", "%s is %+v, request %d is not over: %s", k.id, r, n, story())
			}
		case "unknown":
			w.mu.Lock()
			may := w.unknowable[r.Key] || w.posted[k.id[:4]]
			w.mu.Unlock()
			if !may {
				require.Fail(t, "an entry is unknown, and the vendor could be asked", "%s: %s", k.id, story())
			}
		}
		require.Equal(t, r.Chunk == 0, r.Chunk == 0 && r.State == "rejected", "chunk 0 is of the refused ones only: %s", k.id)
		v := entry{k.integration, k.id[:4]}
		if other, ok := vouchers[v]; ok && !w.mayBeTorn(k, r, other) {
			require.Equal(t, []any{other.Export, other.Chunk, other.State}, []any{r.Export, r.Chunk, r.State}, "voucher %s is torn", v.id)
		}
		vouchers[v] = r
	}
	for k := range w.rows {
		require.Contains(t, rows, k, "a row is gone")
	}
	w.rows = rows
	w.checkExports(t)
}

// mayBeTorn holds for vouchers of which a line can be at the vendor without the
// others: where a request is not stored as a whole, or somebody was at work; and for
// those of which an answer that proves nothing else has shown a part.
func (w *world) mayBeTorn(k entry, r, other entryRow) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := map[string]bool{r.State: true, other.State: true}
	return found["sent"] && found["exported"] || !w.vendors[w.place(k.integration)].atomic || w.unknowable[r.Key] || w.unknowable[other.Key]
}

// checkExports is that there is one row for each period and retry, and that what
// is closed stays as it was.
func (w *world) checkExports(t *rapid.T) {
	keys := make(map[string]bool)
	for _, e := range w.exports() {
		key := e.IdempotencyKey()
		require.False(t, keys[key], "%s is there twice", key)
		keys[key] = true
		if first, known := w.claimed[key]; known {
			require.Equal(t, first, e.ID)
		}
		w.claimed[key] = e.ID
		if e.Status == exports.Pending {
			continue
		}
		is := summary{e.Status, e.Total, e.Exported, e.Rejected, e.Unknown, e.SHA256}
		if was, ok := w.closed[e.ID]; ok {
			require.Equal(t, was, is, "a closed export has changed")
		}
		w.closed[e.ID] = is
	}
	for key := range w.claimed {
		require.True(t, keys[key], "the row of %s is gone", key)
	}
}

// somebodyDeletes lets somebody delete an entry at the vendor.
func (w *world) somebodyDeletes(t *rapid.T) {
	if !w.loose {
		t.Skip()
	}
	controls := make(map[string]bool)
	for _, spec := range w.specs {
		keys, _ := w.control(spec.ID)
		for _, key := range keys {
			controls[key] = true
		}
	}
	rows := w.read()
	keys := make([]string, 0, len(rows))
	for _, r := range rows {
		if list := w.vendor.Records(r.Key); len(list) == 1 && !list[0].Posted && !controls[r.Key] {
			keys = append(keys, r.Key)
		}
	}
	slices.Sort(keys)
	key := pick(t, keys, func(string) bool { return true })
	w.vendor.Forget(key)
	w.deleted[key]++
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mayBeUnknown(key)
}

// somebodyPosts lets somebody post the journal of Business Central. A line that
// is posted cannot be found by its key, only by its document; so of everything
// that has the document of a posted line a person must say what it is.
func (w *world) somebodyPosts(t *rapid.T) {
	if !w.loose || w.vendor.Post(sandbox.DemoJournalID) == 0 {
		t.Skip()
	}
	posted := make(map[string]bool) // vouchers
	rows := w.read()
	for k, r := range rows {
		for _, record := range w.vendor.Records(r.Key) {
			posted[k.id[:4]] = posted[k.id[:4]] || record.Posted
		}
	}
	w.posted = posted
}

// settle ends everything in good weather: what is held goes on, all runs close, a
// last period takes what has come, people say what became of what only they can
// tell, and retries go on until nothing is open. Then what the vendor has is what
// is exported, and only what it refuses, or what is not whole, is not.
func (w *world) settle() {
	w.vendor.Unscript()
	for _, k := range w.heldTasks() {
		for !k.resume(trouble{}) {
		}
		w.freed(k)
		w.check(w.t)
	}
	// A new entry is sent without a question, and is known to be there then.
	fresh := &voucher{id: "last"}
	for i, amount := range []string{"1.00", "-1.00"} {
		fresh.lines = append(fresh.lines, line{fresh.id + "-" + string(rune('1'+i)), "3000", amount, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)})
	}
	w.vouchers = append(w.vouchers, fresh)
	w.add(fresh.lines...)
	for _, spec := range w.specs {
		w.finish(w.begins(w.input(spec, "2026-11", nil), ""))
	}
	began := w.clock.Now()
	for round := 0; ; round++ {
		if round == 60 {
			require.Fail(w.t, "it does not come to rest", w.restless())
		}
		r := w.unfinished()
		if r == nil {
			break
		}
		w.finish(r)
	}
	require.Less(w.t, w.clock.Now().Sub(began), 48*time.Hour, "it took long to come to rest")
	w.checkRest()
}

// unfinished is a run that is to be finished: one that is under way, one that
// takes over an export whose run has ended, or a retry that can help.
func (w *world) unfinished() *run {
	for _, r := range w.runs {
		if !r.over {
			return r
		}
	}
	list := w.exports()
	for _, e := range list {
		if e.Status == exports.Pending {
			return w.begins(w.input(w.specs[w.place(e.IntegrationID)], e.Period, e.ParentID), "")
		}
	}
	w.resolveUnknown()
	refused := w.refused()
	open := make(map[uuid.UUID]bool)
	for k, r := range w.read() {
		if r.State != "exported" && r.State != "unknown" && !(r.State == "rejected" && refused[k.id[:4]]) {
			open[r.Export] = true
		}
	}
	for _, e := range list {
		if open[e.ID] && !slices.ContainsFunc(list, func(other exports.Export) bool { return other.ParentID != nil && *other.ParentID == e.ID }) {
			return w.begins(w.input(w.specs[w.place(e.IntegrationID)], e.Period, &e.ID), "")
		}
	}
	require.Empty(w.t, open, "nothing can be done any more")
	return nil
}

// restless is what keeps a case from its end.
func (w *world) restless() (s string) {
	refused := w.refused()
	for k, r := range w.read() {
		if len(s) < 8000 && r.State != "exported" && !(r.State == "rejected" && refused[k.id[:4]]) {
			s += fmt.Sprintf("%s %+v: %s\n", k.id, r, w.story(r.Key))
		}
	}
	list := w.exports()
	for _, e := range list[:min(10, len(list))] {
		s += fmt.Sprintf("%s %s of %v: %s %s\n", e.Period, e.ID, e.ParentID, e.Status, e.ErrorMessage)
	}
	return s
}

// refused are the vouchers that must not be at the vendor.
func (w *world) refused() map[string]bool {
	all := make(map[string]bool)
	for _, v := range w.vouchers {
		all[v.id] = v.refused || v.missing != nil
	}
	return all
}

// resolveUnknown lets a person look at the vendor and say of unknown vouchers
// whether they are there. Of one that is there in part a person has more to do.
func (w *world) resolveUnknown() {
	type one struct {
		export  uuid.UUID
		voucher string
	}
	there, all := make(map[one]int), make(map[one]int)
	torn := make(map[entry]bool) // something of the voucher is there for good
	rows := w.read()
	for k, r := range rows {
		if r.State == "exported" {
			torn[entry{k.integration, k.id[:4]}] = true
		}
	}
	for k, r := range rows {
		if r.State == "unknown" && !(torn[entry{k.integration, k.id[:4]}] && len(w.vendor.Records(r.Key)) == 0) {
			all[one{r.Export, k.id[:4]}]++
			there[one{r.Export, k.id[:4]}] += len(w.vendor.Records(r.Key))
		}
	}
	for _, v := range slices.SortedFunc(maps.Keys(all), func(a, b one) int {
		return cmp.Or(cmp.Compare(a.voucher, b.voucher), cmp.Compare(a.export.String(), b.export.String()))
	}) {
		n := all[v]
		if there[v] != 0 && there[v] != n {
			continue
		}
		err := runlog.InOrganization(context.Background(), people{w}, w.org, func(tx pgx.Tx) error {
			_, err := tx.Exec(context.Background(), `SELECT ledgerline.resolve_voucher($1, $2, $3, 'looked', 'model')`, v.export, v.voucher, there[v] == n)
			return err
		})
		require.NoError(w.t, err)
		w.check(w.t)
	}
}

// finish drives a run to its end.
func (w *world) finish(r *run) {
	require.NotNil(w.t, r)
	for steps := 0; !r.over; steps++ {
		if steps == 300 {
			require.Fail(w.t, "a run does not end", "%s; %s", r, w.restless())
		}
		w.pass(r.wait())
		r.wakes = time.Time{}
		r.goOn(nil)
		w.check(w.t)
	}
}

func (w *world) checkRest() {
	rows := w.read()
	b := w.books(rows)
	refused := w.refused()
	for _, spec := range w.specs {
		for _, v := range w.vouchers {
			for _, l := range v.lines {
				r := rows[entry{spec.ID, l.id}]
				want := "exported"
				if refused[v.id] {
					want = "rejected"
				}
				if r.State == "unknown" { // and may be; there in part
					continue
				}
				if r.State != want || w.deleted[r.Key] == 0 && b.there[r.Key] != strings.Count(want, "exported") {
					require.Fail(w.t, "an entry has not come to its end", "%s is %s and %d times there; want %s: %s", l.id, r.State, b.there[r.Key], want, w.story(r.Key))
				}
			}
		}
	}
}
