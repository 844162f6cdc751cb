package runlog_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// Once a correction has committed, no plan copies what was there before: of the default source, and of a view of it
// that was read before.
func TestPlansAndCorrectionsAtOnce(t *testing.T) {
	t.Parallel()
	base := newBooks(t)
	_, err := base.admin.Exec(t.Context(), `CREATE SCHEMA books; GRANT USAGE ON SCHEMA books TO s;
		CREATE VIEW books.same AS SELECT * FROM ledgerline.accounting_entries; GRANT SELECT ON books.same TO s`)
	require.NoError(t, err)
	outcomes := make(map[string]int)
	for round := range 20 {
		b, _ := base.fresh(t)
		settings := integrations.ExportSettings{}
		if round%2 == 1 {
			settings.Source = "books.same"
		}
		_, err := b.importing(pair("v", "10.00", "1920", october), runlog.ImportOptions{})
		require.NoError(t, err)
		e := b.claim("2026-10", nil)
		var together sync.WaitGroup
		var planned, replaced error
		start := make(chan struct{})
		together.Go(func() {
			<-start
			_, planned = runlog.PlanExport(t.Context(), b.worker, b.sources, e, settings, 500, 500)
		})
		together.Go(func() {
			<-start
			time.Sleep(time.Duration(round%10) * time.Millisecond)
			_, replaced = b.importing(pair("v", "20.00", "1920", october), runlog.ImportOptions{Replace: true})
		})
		close(start)
		together.Wait()
		require.NoError(t, planned)
		var stored, copied string
		require.NoError(t, b.admin.QueryRow(t.Context(), `SELECT stored.amount::text, copied.amount::text FROM ledgerline.accounting_entries AS stored
			JOIN ledgerline.export_entries AS copied USING (organization_id, entry_id) WHERE organization_id = $1 AND entry_id = 'e1'`, b.org).Scan(&stored, &copied))
		require.Equal(t, stored, copied)
		require.Equal(t, replaced == nil, stored == "20.00")
		outcomes[settings.Source+stored]++
	}
	t.Log(outcomes)
}

// A view that was read before a correction is read again for the plan that comes after it.
func TestPlanReadsCorrectedSourceAgain(t *testing.T) {
	t.Parallel()
	b, _ := newBooks(t).fresh(t)
	_, err := b.admin.Exec(t.Context(), `CREATE SCHEMA books; GRANT USAGE ON SCHEMA books TO s;
		CREATE VIEW books.same AS SELECT * FROM ledgerline.accounting_entries; GRANT SELECT ON books.same TO s`)
	require.NoError(t, err)
	b.imported("1920")
	e := b.claim("2026-10", nil)
	tx, err := b.admin.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock(hashtextextended('ledgerline.plan/' || $1, 0))`, b.spec.ID.String())
	require.NoError(t, err)
	planned := make(chan error, 1)
	go func() {
		_, err := runlog.PlanExport(t.Context(), b.worker, b.sources, e, integrations.ExportSettings{Source: "books.same"}, 500, 500)
		planned <- err
	}()
	require.Eventually(t, func() bool {
		var waits bool
		err := b.admin.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database WHERE locktype = 'advisory' AND NOT granted AND datname = $1)`, b.name).Scan(&waits)
		return err == nil && waits
	}, time.Minute, 10*time.Millisecond, "the plan has read its source, and waits")
	_, err = tx.Exec(t.Context(), `UPDATE ledgerline.accounting_entries SET amount = amount * 2 WHERE organization_id = $1`, b.org)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-planned)
	require.Equal(t, []string{"e1 planned 1920 20.00 2026-10-20", "e2 planned 3000 -20.00 2026-10-20"}, b.copies(e))
}

// A withdrawal from the default source is none for an integration that reads another one: it has the voucher all the
// time, and sends it.
func TestWithdrawalIsOfTheDefaultSource(t *testing.T) {
	t.Parallel()
	for name, arrive := range map[string]func(b books, e exports.Export){
		"planned": func(books, exports.Export) {},
		"refused": func(b books, e exports.Export) { b.settle(e, 1, exports.Rejected, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, two := newBooks(t).fresh(t)
			own := integrations.ExportSettings{Source: "books.own"}
			two.spec.Export = own
			_, err := runlog.ApplyIntegrations(t.Context(), two.operator, []integrations.Integration{two.spec}, runlog.ApplyOptions{By: "test"})
			require.NoError(t, err)
			_, err = one.importing(pair("v", "10.00", "1920", october), runlog.ImportOptions{})
			require.NoError(t, err)
			one.exec(`CREATE SCHEMA books; CREATE TABLE books.own AS SELECT * FROM ledgerline.accounting_entries; GRANT USAGE ON SCHEMA books TO s; GRANT SELECT ON books.own TO s`)
			e := two.claim("2026-10", nil)
			two.plan(e, own, 500)
			arrive(two, e)
			two.close(e)
			_, err = runlog.WithdrawVoucher(t.Context(), one.operator, one.org, "v", "kari", "twice")
			require.NoError(t, err)
			var withdrawn int
			require.NoError(t, one.admin.QueryRow(t.Context(), `SELECT count(*) FROM ledgerline.export_entries WHERE correction = 'withdrawn'`).Scan(&withdrawn))
			require.Zero(t, withdrawn)
			next := two.claim("2026-11", nil)
			require.Equal(t, []string{"e1:1:planned", "e2:1:planned"}, withoutLate(two.plan(next, own, 500)))
			two.settle2(next)
			_, err = one.importing(pair("v", "10.00", "1920", october), runlog.ImportOptions{})
			require.NoError(t, err, "the other integration has it from its own source")
		})
	}
}

func withoutLate(list []string) []string {
	for i := range list {
		list[i] = strings.TrimSuffix(list[i], " (late)")
	}
	return list
}

// What can still arrive, and what is open, keeps its whole voucher as it is, whichever exports have its lines.
func TestCorrectionWaitsForTheVoucher(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, sibling, says string }{
		{"itself can arrive", `UPDATE ledgerline.export_entries SET earlier_until = ledgerline.clock() + interval '1 minute'`, "of a voucher that can still arrive (one, 2026-10)"},
		{"a line can arrive", `UPDATE ledgerline.export_entries SET earlier_until = ledgerline.clock() + interval '1 minute' WHERE entry_id = 'e1'`, "of a voucher that can still arrive (one, 2026-10)"},
		{"a line of another export is open", `WITH later AS (SELECT export_id FROM ledgerline.bufdir_export_audit_log WHERE period = '2026-11')
			UPDATE ledgerline.export_entries SET state = 'unknown', effect = 'open', open_until = now(), sent_in = gen_random_uuid(), sent_attempt = 1,
			    export_id = (SELECT export_id FROM later) WHERE entry_id = 'e1'`, "of a voucher whose outcome is open"},
		{"it no longer can", `UPDATE ledgerline.export_entries SET earlier_until = ledgerline.clock() - interval '1 minute'`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, _ := newBooks(t).fresh(t)
			_, err := b.importing(pair("v", "10.00", "1920", october), runlog.ImportOptions{})
			require.NoError(t, err)
			e := b.claim("2026-10", nil)
			b.plan(e, mapped, 500)
			b.close(e)
			b.close(b.claim("2026-11", nil))
			b.exec(c.sibling)
			// e2 alone, by the commands and by a statement of their login.
			changed := pair("v", "10.00", "1920", october)
			changed[1].Text = "changed"
			statement := func() error {
				return runlog.InOrganization(t.Context(), b.operator, b.org, func(tx pgx.Tx) error {
					if _, err := tx.Exec(t.Context(), `SET LOCAL ledgerline.actor = 'kari'`); err != nil {
						return err
					}
					_, err := tx.Exec(t.Context(), `UPDATE ledgerline.accounting_entries SET text = 'changed' WHERE entry_id = 'e2'`)
					return err
				})
			}
			if c.says == "" {
				_, err = b.importing(changed, runlog.ImportOptions{Replace: true})
				require.NoError(t, err)
				require.NoError(t, statement())
				return
			}
			_, err = b.importing(changed, runlog.ImportOptions{Replace: true})
			require.ErrorContains(t, err, c.says)
			if strings.Contains(c.name, "open") {
				const at = "starter exports resolve 2026-11 --integration one --voucher v --there|--not-there --reason TEXT"
				require.ErrorContains(t, err, "starter exports retry 2026-11 --integration one, or "+at, "the export that has the open line")
			}
			_, err = runlog.WithdrawVoucher(t.Context(), b.operator, b.org, "v", "kari", "twice")
			require.ErrorContains(t, err, c.says)
			var pg *pgconn.PgError
			require.ErrorAs(t, statement(), &pg)
			require.Equal(t, "corrected_is_not_under_way", pg.ConstraintName)
		})
	}
}

// A retry takes a corrected voucher whole, also a line that another export refused; of the vouchers that it is to take.
func TestRetryTakesCorrectedVoucherWhole(t *testing.T) {
	t.Parallel()
	for name, only := range map[string][]string{"all": nil, "it": {"v"}, "another": {"w"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := newBooks(t).fresh(t)
			_, err := b.importing(pair("v", "100.00", "1920", october), runlog.ImportOptions{})
			require.NoError(t, err)
			e := b.claim("2026-10", nil)
			b.plan(e, mapped, 500)
			b.settle(e, 1, exports.Rejected, nil)
			b.close(e)
			third := runlog.AccountingEntry{EntryID: "e3", VoucherID: "v", Date: october.AddDate(0, 1, 0), Account: "1920", Amount: "20.00", Currency: "NOK"}
			_, err = b.importing([]runlog.AccountingEntry{third}, runlog.ImportOptions{})
			require.NoError(t, err)
			next := b.claim("2026-11", nil)
			require.Len(t, b.plan(next, mapped, 500), 1)
			b.close(next)
			corrected := pair("v", "100.00", "1920", october)[:1]
			corrected[0].Amount = "80.00"
			_, err = b.importing(corrected, runlog.ImportOptions{Replace: true})
			require.NoError(t, err)
			retry := b.claim("2026-10", &e.ID)
			_, err = runlog.PlanRetry(t.Context(), b.worker, b.sources, retry, mapped, 500, 500, only)
			require.NoError(t, err)
			want := []string{"e1:1:planned", "e2:1:planned", "e3:1:planned"}
			if name == "another" {
				want = []string{}
			}
			require.Equal(t, want, b.entries(retry))
		})
	}
}

// A superuser who has not said whose entries they are corrects them all the same: no retry sends what was there.
func TestSuperuserCorrects(t *testing.T) {
	t.Parallel()
	b, _ := newBooks(t).fresh(t)
	b.imported("1920")
	e := b.claim("2026-10", nil)
	b.plan(e, mapped, 500)
	b.close(e)
	b.exec(`UPDATE ledgerline.accounting_entries SET amount = amount * 2`)
	retry := b.claim("2026-10", &e.ID)
	b.plan(retry, mapped, 500)
	require.Equal(t, []string{"e1 planned 1920 20.00 2026-10-20", "e2 planned 3000 -20.00 2026-10-20"}, b.copies(retry))
	b.close(retry)
	b.exec(`DELETE FROM ledgerline.accounting_entries`)
	require.Empty(t, b.plan(b.claim("2026-12", nil), mapped, 500))
	b.lines("e1 v 2026-10-20 1920 30.00", "e2 v 2026-10-20 3000 -30.00")
	again := b.claim("2027-01", nil)
	b.plan(again, mapped, 500)
	require.Equal(t, []string{"e1 planned 1920 30.00 2026-10-20", "e2 planned 3000 -30.00 2026-10-20"}, b.copies(again))
	_, err := b.admin.Exec(t.Context(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, currency) VALUES ($1, 'x', 'x', '2026-10-01', '1920', 1, 'NOK')`, uuid.New())
	require.NoError(t, err)
	_, err = b.admin.Exec(t.Context(), `UPDATE ledgerline.accounting_entries SET text = 'of two organizations'`)
	require.ErrorContains(t, err, "one organization at a time")
}

// importingSlowly imports a list, then 5,000 entries more, which is more than one statement's,
// and calls meanwhile before the last of them.
func (b books) importingSlowly(list []runlog.AccountingEntry, options runlog.ImportOptions, meanwhile func()) (runlog.ImportResult, error) {
	return runlog.ImportEntries(b.t.Context(), b.operator, b.org, func(yield func(runlog.AccountingEntry, error) bool) {
		for i := range 5000 {
			list = append(list, runlog.AccountingEntry{EntryID: fmt.Sprint("n", i), VoucherID: "n", Date: october, Account: "1920", Amount: "0", Currency: "NOK"})
		}
		for i, e := range list {
			if i == len(list)-1 {
				meanwhile()
			}
			if !yield(e, nil) {
				return
			}
		}
	}, options)
}

// An import that replaces an entry that is withdrawn while the file is read says so, and stores nothing.
func TestReplaceOfWhatIsWithdrawnMeanwhile(t *testing.T) {
	t.Parallel()
	b, _ := newBooks(t).fresh(t)
	b.imported("1920")
	list := pair("v", "20.00", "1920", october)
	_, err := b.importingSlowly(list, runlog.ImportOptions{Replace: true, Actor: "kari"}, func() {
		_, err := runlog.WithdrawVoucher(t.Context(), b.operator, b.org, "v", "kari", "twice")
		require.NoError(t, err)
	})
	require.ErrorContains(t, err, "import it again")
	var n int
	require.NoError(t, b.admin.QueryRow(t.Context(), `SELECT count(*) FROM ledgerline.accounting_entries`).Scan(&n))
	require.Zero(t, n)
}

// A correction that has not ended keeps a new integration of its organization out, and nothing else of integrations:
// no pause, no change, and nothing of another organization. An import has what was withdrawn before last.
func TestCorrectionsLockLittle(t *testing.T) {
	t.Parallel()
	b, other := newBooks(t).fresh(t)
	elsewhere, _ := b.fresh(t)
	b.imported("1920")
	_, err := runlog.WithdrawVoucher(t.Context(), b.operator, b.org, "v", "kari", "twice")
	require.NoError(t, err)
	apply := func(spec integrations.Integration) error {
		_, err := runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{spec}, runlog.ApplyOptions{By: "test"})
		return err
	}
	tx, err := b.operator.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = tx.Exec(t.Context(), `SELECT set_config('app.organization_id', $1, true), ledgerline.lock_corrections()`, b.org.String())
	require.NoError(t, err)
	other.spec.BaseURL += "?changed"
	require.NoError(t, apply(other.spec))
	created := elsewhere.spec
	created.ID, created.Name = uuid.New(), "three"
	require.NoError(t, apply(created))
	created.ID, created.OrganizationID = uuid.New(), b.org
	var pg *pgconn.PgError
	require.ErrorAs(t, apply(created), &pg)
	require.Equal(t, "55P03", pg.Code, "it would plan without the lock")
	require.NoError(t, tx.Rollback(t.Context()))

	list := pair("v", "10.00", "1920", october)
	done, err := b.importingSlowly(list, runlog.ImportOptions{Actor: "kari"}, func() {
		b.plan(b.claim("2026-10", nil), mapped, 500) // while the file is read
	})
	require.NoError(t, err)
	require.EqualValues(t, 5002, done.Added)
}
