package runlog_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// takenByDefinition are the entries that a plan takes, asked of everything that there is,
// without marks: those that no export has taken, and those of the same vouchers that were
// refused before; of a retry, those that its parent refused, and what came to their vouchers.
//
//	$1 organization  $2 integration  $3 end of the period  $4 parent
const takenByDefinition = `
WITH fresh AS (
    SELECT entry_id, voucher_id FROM ledgerline.accounting_entries AS e
    WHERE e.organization_id = $1 AND e.entry_date < $3
      AND NOT EXISTS (SELECT FROM ledgerline.export_entries AS x WHERE x.organization_id = $1 AND x.integration_id = $2 AND x.entry_id = e.entry_id)
), held AS (
    SELECT e.entry_id, e.voucher_id FROM ledgerline.accounting_entries AS e JOIN ledgerline.export_entries AS x USING (organization_id, entry_id)
    WHERE e.organization_id = $1 AND x.integration_id = $2
      AND CASE WHEN $4::uuid IS NULL THEN x.chunk = 0 AND x.voucher_id IN (SELECT voucher_id FROM fresh) ELSE x.export_id = $4 AND x.state = 'rejected' END
) SELECT entry_id FROM fresh WHERE $4::uuid IS NULL OR voucher_id IN (SELECT voucher_id FROM held) UNION SELECT entry_id FROM held`

// inOneLine is concat_ws of PostgreSQL, to which an empty text is NULL.
func inOneLine(values ...any) string {
	return strings.TrimSpace(fmt.Sprintln(values...))
}

// A journal is an integration of the organization, and its exports that have ended.
type journal struct {
	books
	settings integrations.ExportSettings
	periods  []string
	ended    []exports.Export
}

// A plan from a mark takes what it would take if it looked at everything: whatever commits
// late, is dated later, was changed before it was taken, is imported again or comes with a
// transaction ID that a restored database gives a second time; for each integration of the
// same entries, of the default source and of views; whatever periods come, in whatever order,
// and whatever is retried, planned by a program that knows no marks, or lost from the record.
func TestMarksMissNothing(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	_, err := b.admin.Exec(t.Context(), `CREATE SCHEMA books; GRANT USAGE ON SCHEMA books TO s;
		CREATE VIEW books.marked AS SELECT *, imported_in AS changed_in FROM ledgerline.accounting_entries; GRANT SELECT ON books.marked TO s;
		CREATE VIEW books.same AS SELECT * FROM ledgerline.accounting_entries; GRANT SELECT ON books.same TO s`)
	require.NoError(t, err)
	used := make(map[string]int) // plans by the way in which they found their entries, so that each is known to be tested
	check := func(rt *rapid.T) {
		b := b
		b.org = uuid.New()
		b.spec.OrganizationID = b.org
		var journals []*journal
		var specs []integrations.Integration
		for i, source := range []string{"", "", "books.marked", "books.same"} {
			j := &journal{books: b, settings: integrations.ExportSettings{Source: source}}
			j.spec.ID, j.spec.Name = uuid.New(), fmt.Sprintf("j%d", i)
			j.periods = rapid.Permutation([]string{"2026-07", "2026-08", "2026-09", "2026-10", "2026-11"}).Draw(rt, "periods")
			if rapid.Bool().Draw(rt, "in order") {
				slices.Sort(j.periods)
			}
			journals, specs = append(journals, j), append(specs, j.spec)
		}
		_, err := runlog.ApplyIntegrations(t.Context(), b.operator, specs, runlog.ApplyOptions{By: "test"})
		require.NoError(t, err)

		n := 0
		var late []pgx.Tx
		defer func() {
			for _, tx := range late {
				_ = tx.Rollback(context.Background())
			}
		}()
		store := func(tx pgx.Tx) {
			if rapid.IntRange(0, 4).Draw(rt, "used before") == 0 { // the transaction ID, by a server that the database was restored from
				_, err := tx.Exec(t.Context(), `INSERT INTO ledgerline.entry_imports (organization_id, imported_in, position) VALUES ($1, pg_current_xact_id(), 1)`, b.org)
				require.NoError(t, err)
			}
			for range rapid.IntRange(1, 4).Draw(rt, "vouchers") {
				voucher, month := rapid.IntRange(1, 8).Draw(rt, "voucher"), rapid.IntRange(6, 12).Draw(rt, "month")
				amounts := rapid.SampledFrom([][]string{{"1.10", "-1.10"}, {"1.10", "-1.10"}, {"1.10"}, {"-1.10"}}).Draw(rt, "amounts")
				for _, amount := range amounts {
					n++
					_, err := tx.Exec(t.Context(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, imported_in)
						VALUES ($1, $2, $3, $4, '1920', $5, '1')`, b.org, fmt.Sprintf("e%03d", n), fmt.Sprintf("v%d", voucher), fmt.Sprintf("2026-%02d-15", month), amount)
					require.NoError(t, err)
				}
			}
		}
		begin := func() pgx.Tx {
			conn, err := pgx.Connect(t.Context(), server.URL(b.name, "postgres"))
			require.NoError(t, err)
			t.Cleanup(func() { _ = conn.Close(context.Background()) })
			tx, err := conn.Begin(t.Context())
			require.NoError(t, err)
			return tx
		}
		inOne := func(do func(pgx.Tx)) {
			require.NoError(t, pgx.BeginFunc(t.Context(), b.admin, func(tx pgx.Tx) error { do(tx); return nil }))
		}
		texts := func(sql string, args ...any) []string {
			rows, err := b.admin.Query(t.Context(), sql, args...)
			require.NoError(t, err)
			list, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.NoError(t, err)
			slices.Sort(list)
			return list
		}
		// plan compares what an export takes with the definition, and what a preview said.
		plan := func(j *journal, e exports.Export, parent *uuid.UUID) {
			want := []string{}
			if parent != nil {
				want = texts(`SELECT entry_id FROM ledgerline.export_entries WHERE export_id = $1 AND state NOT IN ('exported', 'rejected') AND chunk > 0`, parent)
				if len(texts(`SELECT entry_id FROM ledgerline.export_entries WHERE export_id = $1`, parent)) == 0 {
					parent = nil // it plans what its parent would have
				}
			}
			want = append(want, texts(takenByDefinition, j.org, j.spec.ID, e.PeriodEnd, parent)...)
			slices.Sort(want)
			how := j.settings.Source + " whole"
			if len(texts(`SELECT source FROM ledgerline.plan_marks WHERE integration_id = $1`, j.spec.ID)) > 0 {
				how = j.settings.Source + " from its mark"
			}
			used[how]++
			preview, err := runlog.PreviewExport(t.Context(), b.operator, b.sources, e, j.settings, 4)
			require.NoError(t, err)
			j.plan(e, j.settings, 4)
			require.Equal(rt, want, texts(`SELECT entry_id FROM ledgerline.export_entries WHERE export_id = $1`, e.ID), "%s, %s", how, e.Period)
			require.Equal(rt, texts(`SELECT concat_ws(' ', count(*), count(DISTINCT voucher_id), count(DISTINCT chunk), count(*) FILTER (WHERE entry_date < $2), sum(amount) FILTER (WHERE amount > 0))
				FROM ledgerline.export_entries WHERE export_id = $1 AND state IN ('planned', 'sent')`, e.ID, e.PeriodStart),
				[]string{inOneLine(preview.Entries, preview.Vouchers, preview.Chunks, preview.Late, preview.Amounts["NOK"])}, "%s, a retry: %v", how, e.ParentID != nil)
			refused := []string{}
			for _, p := range preview.Rejected {
				refused = append(refused, p.VoucherID+" "+p.Reason)
			}
			require.Equal(rt, texts(`SELECT DISTINCT voucher_id || ' ' || reason FROM ledgerline.export_entries WHERE export_id = $1 AND state = 'rejected'`, e.ID), refused, how)
		}
		next := func(j *journal) {
			if len(j.periods) == 0 {
				return
			}
			e := j.claim(j.periods[0], nil)
			j.periods = j.periods[1:]
			plan(j, e, nil)
			for chunk := 1; ; chunk++ {
				if left := texts(`SELECT entry_id FROM ledgerline.export_entries WHERE export_id = $1 AND chunk = $2`, e.ID, chunk); len(left) == 0 {
					break
				}
				if state := rapid.SampledFrom([]exports.EntryState{exports.Exported, exports.Rejected, exports.Unknown, exports.Planned}).Draw(rt, "state"); state != exports.Planned {
					j.settle(e, chunk, state, nil)
				}
			}
			if rapid.Bool().Draw(rt, "ends") {
				j.close(e)
				j.ended = append(j.ended, e)
			}
		}
		for range rapid.IntRange(5, 25).Draw(rt, "steps") {
			j := journals[rapid.IntRange(0, len(journals)-1).Draw(rt, "journal")]
			switch rapid.SampledFrom([]string{"store", "store", "begin", "commit", "roll back", "change", "import again", "plan", "plan", "plan", "retry", "plan without marks", "lose"}).Draw(rt, "step") {
			case "store":
				inOne(store)
			case "begin":
				if len(late) < 2 {
					tx := begin()
					store(tx)
					late = append(late, tx)
				}
			case "commit":
				if len(late) > 0 {
					require.NoError(t, late[0].Commit(t.Context()))
					late = late[1:]
				}
			case "roll back":
				if len(late) > 0 {
					require.NoError(t, late[0].Rollback(t.Context()))
					late = late[1:]
				}
			case "change":
				_, err := b.admin.Exec(t.Context(), `UPDATE ledgerline.accounting_entries AS e SET entry_date = entry_date - interval '2 months' WHERE organization_id = $1 AND entry_id = (
					SELECT max(entry_id) FROM ledgerline.accounting_entries AS e WHERE organization_id = $1 AND NOT EXISTS (
					    SELECT FROM ledgerline.export_entries AS x WHERE x.organization_id = $1 AND x.entry_id = e.entry_id))`, b.org)
				require.NoError(t, err)
			case "import again":
				_, err := b.admin.Exec(t.Context(), `INSERT INTO ledgerline.accounting_entries SELECT * FROM ledgerline.accounting_entries WHERE organization_id = $1 ON CONFLICT DO NOTHING`, b.org)
				require.NoError(t, err)
			case "plan":
				next(j)
			case "retry":
				if len(j.ended) > 0 {
					parent := j.ended[0].ID
					e := j.claim(j.ended[0].Period, &parent)
					j.ended = j.ended[1:]
					plan(j, e, &parent)
				}
			case "plan without marks": // and leave the marks as they were, as an earlier program does
				inOne(func(tx pgx.Tx) {
					_, err := tx.Exec(t.Context(), `CREATE TABLE public.kept AS SELECT * FROM ledgerline.plan_marks WHERE integration_id = $1`, j.spec.ID)
					require.NoError(t, err)
					_, err = tx.Exec(t.Context(), `DELETE FROM ledgerline.plan_marks WHERE integration_id = $1`, j.spec.ID)
					require.NoError(t, err)
				})
				next(j)
				inOne(func(tx pgx.Tx) {
					_, err := tx.Exec(t.Context(), `DELETE FROM ledgerline.plan_marks WHERE integration_id = $1`, j.spec.ID)
					require.NoError(t, err)
					_, err = tx.Exec(t.Context(), `INSERT INTO ledgerline.plan_marks SELECT * FROM public.kept`)
					require.NoError(t, err)
					_, err = tx.Exec(t.Context(), `DROP TABLE public.kept`)
					require.NoError(t, err)
				})
			case "lose":
				_, err := b.admin.Exec(t.Context(), `DELETE FROM ledgerline.export_entries WHERE integration_id = $1 AND voucher_id = 'v1'`, j.spec.ID)
				require.NoError(t, err)
				j.ended = nil
			}
		}
	}
	ways := []string{" whole", " from its mark", "books.marked whole", "books.marked from its mark", "books.same whole"}
	for tries := 0; tries == 0 || tries < 20 && slices.ContainsFunc(ways, func(how string) bool { return used[how] == 0 }); tries++ {
		rapid.Check(t, check)
	}
	for _, how := range ways {
		require.Positive(t, used[how], how)
	}
	require.Zero(t, used["books.same from its mark"])
}

// An import that began before a plan and commits after it is not passed over, whatever
// commits meanwhile.
func TestLateCommitIsPlanned(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"", "books.marked"} {
		b := newBooks(t)
		_, err := b.admin.Exec(t.Context(), `CREATE SCHEMA books; GRANT USAGE ON SCHEMA books TO s;
			CREATE VIEW books.marked AS SELECT *, imported_in AS changed_in FROM ledgerline.accounting_entries; GRANT SELECT ON books.marked TO s`)
		require.NoError(t, err)
		x := integrations.ExportSettings{Source: source}
		require.Empty(t, b.plan(b.claim("2026-09", nil), x, 500))
		older, err := b.admin.Begin(t.Context())
		require.NoError(t, err)
		_, err = older.Exec(t.Context(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount)
			VALUES ($1, 'a1', 'a', '2026-08-01', '1920', 1), ($1, 'a2', 'a', '2026-08-01', '3000', -1)`, b.org)
		require.NoError(t, err)
		b.lines("b1 b 2026-08-01 1920 1", "b2 b 2026-08-01 3000 -1")
		require.Equal(t, []string{"b1:1:planned (late)", "b2:1:planned (late)"}, b.plan(b.claim("2026-10", nil), x, 500))
		require.NoError(t, older.Commit(t.Context()))
		require.Equal(t, []string{"a1:1:planned (late)", "a2:1:planned (late)"}, b.plan(b.claim("2026-11", nil), x, 500))
	}
}

// After a large plan the server knows what is in the table, whatever autovacuum does, so
// that a chunk's statements find its entries by their IDs. Large is a tenth of the table, or
// 20,000 entries.
func TestLargePlanIsAnalyzed(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	_, err := b.admin.Exec(t.Context(), `ALTER TABLE ledgerline.export_entries SET (autovacuum_enabled = false)`)
	require.NoError(t, err)
	known := func() (entries int) {
		require.NoError(t, b.admin.QueryRow(t.Context(), `SELECT reltuples FROM pg_class WHERE oid = 'ledgerline.export_entries'::regclass`).Scan(&entries))
		return entries
	}
	total := 0
	for _, c := range []struct {
		period           string
		entries, besides int // so many are in the table for all that the server knows; 0: as it knows
		analyzed         bool
	}{{"2026-08", 6000, 0, true}, {"2026-09", 6000, 5_000_000, false}, {"2026-10", 20_000, 5_000_000, true}} {
		if c.besides > 0 {
			_, err := b.admin.Exec(t.Context(), `UPDATE pg_class SET reltuples = $1 WHERE oid = 'ledgerline.export_entries'::regclass`, c.besides)
			require.NoError(t, err)
		}
		_, err = b.admin.Exec(t.Context(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount)
			SELECT $1, $2::text || i, $2 || i / 2, ($2 || '-01')::date, '1920', CASE i % 2 WHEN 0 THEN 1 ELSE -1 END FROM generate_series(0, $3::int - 1) AS i`, b.org, c.period, c.entries)
		require.NoError(t, err)
		require.Len(t, b.plan(b.claim(c.period, nil), integrations.ExportSettings{}, 500), c.entries)
		total += c.entries
		want := c.besides
		if c.analyzed {
			want = total
		}
		require.Equal(t, want, known(), c.period)
	}
}

// The mark of a view counts on the server that was read, for a week.
func TestSourceMarkEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change string // of the mark
		want   int
	}{
		"it holds":                            {"position = position", 0},
		"it is of another server":             {"server = '1/1/1'", 2},
		"the server was started since":        {`server = regexp_replace(server, '[0-9.]+$', '1')`, 2},
		"everything was read in the future":   {"whole_at = now() + interval '1 day'", 2},
		"it is ahead of the server":           {"position = position + 1000000", 2},
		"everything was read a week ago":      {"whole_at = now() - interval '7 days'", 2},
		"everything was read six days ago":    {"whole_at = now() - interval '6 days'", 0},
		"it ends before the entries are made": {"before = '2026-01-01'", 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t)
			_, err := b.admin.Exec(t.Context(), `CREATE SCHEMA books; GRANT USAGE ON SCHEMA books TO s; CREATE TABLE books.hidden (x int); GRANT SELECT ON books.hidden TO s;
				CREATE VIEW books.marked AS SELECT *, '3'::xid8 AS changed_in FROM ledgerline.accounting_entries WHERE NOT EXISTS (SELECT FROM books.hidden);
				GRANT SELECT ON books.marked TO s; INSERT INTO books.hidden VALUES (1)`)
			require.NoError(t, err)
			b.lines("a1 a 2026-08-01 1920 1", "a2 a 2026-08-01 3000 -1")
			x := integrations.ExportSettings{Source: "books.marked"}
			require.Empty(t, b.plan(b.claim("2026-09", nil), x, 500))
			// What comes into the view now has an old transaction ID: a reading from the mark does not see it.
			_, err = b.admin.Exec(t.Context(), "DELETE FROM books.hidden; UPDATE ledgerline.plan_marks SET "+c.change)
			require.NoError(t, err)
			require.Len(t, b.plan(b.claim("2026-10", nil), x, 500), c.want)
		})
	}
}

// Where rows come long after their transaction, or with one of another server, a source has
// no mark: what a materialized view gets later would be passed over.
func TestForeignRowsHaveNoMark(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	_, err := b.admin.Exec(t.Context(), `CREATE SCHEMA books; GRANT USAGE ON SCHEMA books TO s;
		CREATE MATERIALIZED VIEW books.copy AS SELECT *, imported_in AS changed_in FROM ledgerline.accounting_entries;
		CREATE VIEW books.over AS SELECT * FROM (SELECT * FROM books.copy) AS copy;
		GRANT SELECT ON ALL TABLES IN SCHEMA books TO s`)
	require.NoError(t, err)
	for _, source := range []string{"books.copy", "books.over"} {
		j := b
		j.spec.ID, j.spec.Name = uuid.New(), source[len("books."):]
		_, err := runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{j.spec}, runlog.ApplyOptions{By: "test"})
		require.NoError(t, err)
		x := integrations.ExportSettings{Source: source}
		j.lines(source+"1 "+source+" 2026-08-01 1920 1", source+"2 "+source+" 2026-08-01 3000 -1")
		require.NotContains(t, fmt.Sprint(j.plan(j.claim("2026-09", nil), x, 500)), source+"1")
		_, err = b.admin.Exec(t.Context(), "REFRESH MATERIALIZED VIEW books.copy")
		require.NoError(t, err)
		require.Contains(t, fmt.Sprint(j.plan(j.claim("2026-10", nil), x, 500)), source+"1")
	}
	var marks int
	require.NoError(t, b.admin.QueryRow(t.Context(), "SELECT count(*) FROM ledgerline.plan_marks").Scan(&marks))
	require.Zero(t, marks)

	_, err = b.admin.Exec(t.Context(), `CREATE TABLE books.plain (x int); CREATE VIEW books.view AS SELECT * FROM books.plain;
		CREATE TABLE books.parent (x int); CREATE VIEW books.of_parent AS SELECT x FROM books.plain UNION SELECT x FROM books.parent;
		CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing; CREATE FOREIGN TABLE books.there () INHERITS (books.parent) SERVER elsewhere`)
	require.NoError(t, err)
	for name, want := range map[string]bool{"plain": false, "view": false, "there": true, "parent": true, "of_parent": true, "copy": true, "over": true} {
		var oid uint32
		require.NoError(t, b.admin.QueryRow(t.Context(), "SELECT $1::text::regclass::oid", "books."+name).Scan(&oid))
		var foreign bool
		require.NoError(t, b.admin.QueryRow(t.Context(), runlog.SelectForeign, oid).Scan(&foreign), name)
		require.Equal(t, want, foreign, name)
	}
}

// A plan of an earlier period does not move a mark back or too far.
func TestMarkOfAnEarlierPeriod(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	mark := func() (position int, before time.Time) {
		require.NoError(t, b.admin.QueryRow(t.Context(), "SELECT position, before FROM ledgerline.plan_marks").Scan(&position, &before))
		return position, before
	}
	b.lines("a1 a 2026-08-01 1920 1", "a2 a 2026-08-01 3000 -1")
	b.plan(b.claim("2026-10", nil), integrations.ExportSettings{}, 500)
	position, before := mark()
	b.lines("b1 b 2026-08-01 1920 1", "b2 b 2026-08-01 3000 -1", "c1 c 2026-09-15 1920 1", "c2 c 2026-09-15 3000 -1")
	require.Len(t, b.plan(b.claim("2026-08", nil), integrations.ExportSettings{}, 500), 2)
	samePosition, sameBefore := mark()
	require.Equal(t, []any{position, before}, []any{samePosition, sameBefore})
	require.Len(t, b.plan(b.claim("2026-11", nil), integrations.ExportSettings{}, 500), 2)
	later, _ := mark()
	require.Greater(t, later, position)
}

// A retry takes what belongs to its parent and leaves the rest, so it moves no mark; and a
// preview sees what no plan has seen.
func TestRetryMovesNoMark(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.lines("a1 a 2026-10-01 1920 1")
	october := b.claim("2026-10", nil)
	require.Len(t, b.plan(october, integrations.ExportSettings{}, 500), 1)
	b.close(october)
	b.lines("a2 a 2026-10-01 3000 -1", "b1 b 2026-10-01 1920 1", "b2 b 2026-10-01 3000 -1")
	retry := b.claim("2026-10", &october.ID)
	require.Equal(t, []string{"a1:1:planned", "a2:1:planned"}, b.plan(retry, integrations.ExportSettings{}, 500))
	b.close(retry)
	b.lines("c1 c 2026-10-01 1920 1", "c2 c 2026-10-01 3000 -1")
	november := b.claim("2026-11", nil)
	preview, err := runlog.PreviewExport(t.Context(), b.operator, b.sources, november, integrations.ExportSettings{}, 500)
	require.NoError(t, err)
	require.Equal(t, 4, preview.Entries)
	require.Len(t, b.plan(november, integrations.ExportSettings{}, 500), 4)
}

// Whatever brings an entry before the mark makes the next plan look at it.
func TestBeforeTheMark(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.lines("a1 a 2026-08-01 1920 1", "a2 a 2026-08-01 3000 -1", "z1 z 2027-12-01 1920 1", "z2 z 2027-12-01 3000 -1")
	require.NoError(t, pgx.BeginFunc(t.Context(), b.admin, func(tx pgx.Tx) error { // as if they had come before the migration
		_, err := tx.Exec(t.Context(), `SET LOCAL session_replication_role = replica; UPDATE ledgerline.accounting_entries SET imported_in = '0' WHERE voucher_id = 'z'`)
		return err
	}))
	require.Len(t, b.plan(b.claim("2026-09", nil), integrations.ExportSettings{}, 500), 2)
	months := []string{"2026-10", "2026-11", "2026-12", "2027-01", "2027-02"}
	for i, c := range []struct{ name, sql string }{
		{"it is late", `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount)
			VALUES ($1, 'b1', 'b', '2026-08-01', '1920', 1), ($1, 'b2', 'b', '2026-08-01', '3000', -1)`},
		{"it names an import that was planned", `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, imported_in)
			SELECT $1, v.id, 'c', '2026-08-01', '1920', v.amount, imported_in FROM ledgerline.accounting_entries, (VALUES ('c1', 1), ('c2', -1)) AS v (id, amount) WHERE entry_id = 'a1'`},
		{"its date is changed", `UPDATE ledgerline.accounting_entries SET entry_date = '2026-08-01' WHERE organization_id = $1 AND voucher_id = 'z'`},
		{"what was exported is lost", `DELETE FROM ledgerline.export_entries WHERE organization_id = $1 AND voucher_id = 'a'`},
		{"it is deleted and stored again", `WITH gone AS (DELETE FROM ledgerline.export_entries WHERE organization_id = $1 AND voucher_id = 'b' RETURNING entry_id)
			UPDATE ledgerline.accounting_entries SET text = 'again' WHERE organization_id = $1 AND entry_id IN (SELECT entry_id FROM gone)`},
	} {
		e := b.claim(months[i], nil)
		_, err := b.admin.Exec(t.Context(), c.sql, b.org)
		require.NoError(t, err, c.name)
		require.Len(t, b.plan(e, integrations.ExportSettings{}, 500), 2, c.name)
	}
	require.Empty(t, b.plan(b.claim("2027-03", nil), integrations.ExportSettings{}, 500))
}
