package runlog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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

// mapped takes account 1920 and 3000, and no other.
var mapped = integrations.ExportSettings{Accounts: map[string]string{"1920": "1920", "3000": "3000"}}

// fresh is another organization of the same database, with two integrations.
func (b books) fresh(t *testing.T) (one, two books) {
	t.Helper()
	b.t, b.org = t, uuid.New()
	one, two = b, b
	one.spec.OrganizationID, one.spec.ID, one.spec.Name = b.org, uuid.New(), "one"
	two.spec.OrganizationID, two.spec.ID, two.spec.Name = b.org, uuid.New(), "two"
	_, err := runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{one.spec, two.spec}, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	return one, two
}

// pair is a voucher of two lines.
func pair(voucher, amount, account string, date time.Time) []runlog.AccountingEntry {
	return []runlog.AccountingEntry{
		{EntryID: "e1", VoucherID: voucher, Date: date, Account: account, Amount: amount, Currency: "NOK"},
		{EntryID: "e2", VoucherID: voucher, Date: date, Account: "3000", Amount: "-" + amount, Currency: "NOK"},
	}
}

func (b books) importing(list []runlog.AccountingEntry, options runlog.ImportOptions) (runlog.ImportResult, error) {
	return b.importingAs(b.operator, list, options)
}

func (b books) importingAs(db runlog.Beginner, list []runlog.AccountingEntry, options runlog.ImportOptions) (runlog.ImportResult, error) {
	options.Actor = "kari"
	return runlog.ImportEntries(b.t.Context(), db, b.org, func(yield func(runlog.AccountingEntry, error) bool) {
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
	}, options)
}

// imported stores voucher v of 20 October, 10 kroner from an account to 3000.
func (b books) imported(account string) {
	b.t.Helper()
	_, err := b.importing(pair("v", "10.00", account, october), runlog.ImportOptions{})
	require.NoError(b.t, err)
}

// copies are what exports have of an organization's entries: integration, state and content.
func (b books) copies(export exports.Export) []string {
	b.t.Helper()
	rows, err := b.admin.Query(b.t.Context(), `SELECT entry_id || ' ' || state || ' ' || account || ' ' || amount || ' ' || entry_date FROM ledgerline.export_entries
		WHERE export_id = $1 ORDER BY 1`, export.ID)
	require.NoError(b.t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(b.t, err)
	return list
}

var october = time.Date(2026, 10, 20, 0, 0, 0, 0, time.UTC)

// arrive brings the voucher to a state at an integration; the account is what the voucher has then.
var states = []struct {
	name    string
	account string
	allowed bool
	taken   bool // it has a row of an export
	arrive  func(b books, e exports.Export)
}{
	{"none", "1920", true, false, nil},
	{"planned, under way", "1920", false, true, func(b books, e exports.Export) { b.plan(e, mapped, 500) }},
	{"planned, ended", "1920", true, true, func(b books, e exports.Export) { b.plan(e, mapped, 500); b.close(e) }},
	{"sent", "1920", false, true, func(b books, e exports.Export) {
		b.plan(e, mapped, 500)
		_, err := runlog.MarkChunk(b.t.Context(), b.worker, e.Owner(), []string{"e1", "e2"}, sending(1), 0, runlog.InFlight{})
		require.NoError(b.t, err)
	}},
	{"unknown", "1920", false, true, func(b books, e exports.Export) {
		b.plan(e, mapped, 500)
		b.settle(e, 1, exports.Unknown, nil)
		b.close(e)
	}},
	{"exported", "1920", false, true, func(b books, e exports.Export) {
		b.plan(e, mapped, 500)
		b.settle(e, 1, exports.Exported, nil)
		b.close(e)
	}},
	{"refused here", "X999", true, true, func(b books, e exports.Export) { b.plan(e, mapped, 500); b.close(e) }},
	{"refused by the vendor", "1920", true, true, func(b books, e exports.Export) {
		b.plan(e, mapped, 500)
		b.settle(e, 1, exports.Rejected, nil)
		b.close(e)
	}},
	{"refused by the vendor, under way", "1920", true, true, func(b books, e exports.Export) { b.plan(e, mapped, 500); b.settle(e, 1, exports.Rejected, nil) }},
}

// What can be corrected, and who sends it then: each state of an entry at one of two integrations, each correction,
// and both that can send it.
func TestCorrections(t *testing.T) {
	t.Parallel()
	base := newBooks(t)
	november := time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC)
	corrections := map[string][]runlog.AccountingEntry{
		"amount":   pair("v", "25.00", "1920", october),
		"date":     pair("v", "10.00", "1920", october.AddDate(0, -1, 0)),
		"later":    pair("v", "10.00", "1920", november),
		"voucher":  pair("w", "10.00", "1920", october),
		"withdraw": nil,
	}
	for _, s := range states {
		for how, content := range corrections {
			allowed := s.allowed && (how != "voucher" || !s.taken)
			for _, sends := range []string{"retry", "next"} {
				if sends == "next" && (!allowed || !s.taken) {
					continue
				}
				t.Run(strings.Join([]string{s.name, how, sends}, "/"), func(t *testing.T) {
					one, two := base.fresh(t)
					_, err := one.importing(pair("v", "10.00", s.account, october), runlog.ImportOptions{})
					require.NoError(t, err)
					e := two.claim("2026-10", nil)
					if s.arrive != nil {
						s.arrive(two, e)
					}
					before := two.copies(e)
					if how == "withdraw" {
						_, err = runlog.WithdrawVoucher(t.Context(), one.operator, one.org, "v", "kari", "twice")
					} else {
						var done runlog.ImportResult
						dry, dryErr := one.importing(content, runlog.ImportOptions{Replace: true, DryRun: true})
						read, readErr := one.importingAs(one.reader, content, runlog.ImportOptions{Replace: true, DryRun: true})
						require.Equal(t, []any{dry, fmt.Sprint(dryErr)}, []any{read, fmt.Sprint(readErr)}, "a dry run only reads")
						done, err = one.importing(content, runlog.ImportOptions{Replace: true, Reason: "wrong"})
						dry.Import = done.Import // each transaction has a number of its own
						require.Equal(t, done, dry, "a dry run says what the run does")
						require.Equal(t, fmt.Sprint(err), fmt.Sprint(dryErr))
					}
					changes, listErr := runlog.ListEntryChanges(t.Context(), one.reader, one.org, "v")
					require.NoError(t, listErr)
					if !allowed {
						var refused *runlog.RefusedError
						require.ErrorAs(t, err, &refused)
						require.Equal(t, 2, refused.Total)
						require.Equal(t, before, two.copies(e))
						require.Empty(t, changes)
						return
					}
					require.NoError(t, err)
					require.Len(t, changes, 2)
					require.Equal(t, []any{"kari", "10.00", how == "withdraw"}, []any{changes[0].Actor, changes[0].Before.Amount, changes[0].After == nil})
					for _, c := range two.copies(e) {
						require.Contains(t, c, " rejected ", "no retry takes the copy of what was there")
					}
					if s.name == "refused by the vendor, under way" {
						require.NotContains(t, two.plan(two.claim("2026-11", nil), mapped, 500), "e1:1:planned", "its own export has not ended")
						two.close(e)
					}
					var sender exports.Export
					switch {
					case !s.taken:
						two.close(e)
						sender = two.claim("2026-11", nil) // takes it as if it had always been so
					case sends == "retry":
						sender = two.claim("2026-10", &e.ID)
					default:
						sender = two.claim("2026-12", nil)
					}
					want := []string{}
					for _, c := range content {
						want = append(want, fmt.Sprintf("%s planned %s %s %s", c.EntryID, c.Account, c.Amount, c.Date.Format(time.DateOnly)))
					}
					two.plan(sender, mapped, 500)
					require.Equal(t, want, two.copies(sender))
					if sends == "retry" {
						require.Empty(t, two.plan(two.claim("2026-12", nil), mapped, 500), "it goes once")
					} else if s.taken {
						require.Empty(t, two.plan(two.claim("2026-10", &e.ID), mapped, 500), "it goes once")
					}
					two.settle2(sender)
					if how == "withdraw" {
						_, err = one.importing(pair("v", "10.00", "1920", october), runlog.ImportOptions{})
						require.NoError(t, err, "it can be imported again")
						again := two.claim("2027-01", nil)
						two.plan(again, mapped, 500)
						require.Equal(t, []string{"e1 planned 1920 10.00 2026-10-20", "e2 planned 3000 -10.00 2026-10-20"}, two.copies(again))
					}
				})
			}
		}
	}
}

// settle2 exports an export's first chunk, if it has one, and ends it.
func (b books) settle2(e exports.Export) {
	if slices.ContainsFunc(b.entries(e), func(s string) bool { return strings.Contains(s, ":1:planned") }) {
		b.settle(e, 1, exports.Exported, nil)
	}
	b.close(e)
}

// A correction that the vendor refuses again waits for the next correction, and does not come back with each export.
func TestCorrectionIsTakenOnce(t *testing.T) {
	t.Parallel()
	b, _ := newBooks(t).fresh(t)
	b.imported("X999")
	e := b.claim("2026-10", nil)
	b.plan(e, mapped, 500)
	b.close(e)
	_, err := b.importing(pair("v", "10.00", "X998", october), runlog.ImportOptions{Replace: true})
	require.NoError(t, err)
	require.Empty(t, b.plan(b.claim("2026-09", nil), mapped, 500), "it is not due")
	next := b.claim("2026-11", nil)
	require.Len(t, b.plan(next, mapped, 500), 2)
	b.close(next)
	require.Empty(t, b.plan(b.claim("2026-12", nil), mapped, 500))
}

// What differs is said of each entry, with what to do; all or none.
func TestImportSaysWhatDiffers(t *testing.T) {
	t.Parallel()
	b, _ := newBooks(t).fresh(t)
	b.imported("X999")
	other := pair("v", "10", "1920", october)
	done, err := b.importing(other, runlog.ImportOptions{})
	require.EqualError(t, err, "entry e1 already exists with account X999 (file: 1920); to replace it before it is exported, add --replace")
	require.Equal(t, []runlog.EntryDifference{{EntryID: "e1", VoucherID: "v", Field: "account", Old: "X999", New: "1920"}}, done.Changes)
	e := b.claim("2026-10", nil)
	b.plan(e, mapped, 500)
	done, err = b.importing(other, runlog.ImportOptions{Replace: true})
	require.NoError(t, err, "what was refused can be corrected while its export goes on")
	require.Equal(t, []runlog.NextSending{{VoucherID: "v", Integration: "one", Period: "2026-10", ExportID: e.ID, Pending: true}}, done.Sendings)
	require.EqualValues(t, 1, done.Replaced)
	b.close(e)
	retry := b.claim("2026-10", &e.ID)
	require.Equal(t, []string{"e1:1:planned", "e2:1:planned"}, b.plan(retry, mapped, 500))
	b.settle(retry, 1, exports.Exported, nil)
	_, err = b.importing(append(pair("v", "11.00", "1920", october), runlog.AccountingEntry{EntryID: "new", VoucherID: "n", Date: october, Account: "1920", Amount: "1", Currency: "NOK"}), runlog.ImportOptions{Replace: true})
	require.ErrorContains(t, err, "entry e1 is exported (one, 2026-10); what the vendor has is corrected there, or by a counter-entry")
	require.ErrorContains(t, err, "\nentry e2 is exported")
	var n int
	require.NoError(t, b.admin.QueryRow(t.Context(), `SELECT count(*) FROM ledgerline.accounting_entries WHERE entry_id = 'new'`).Scan(&n))
	require.Zero(t, n, "all or none")
	_, err = runlog.WithdrawVoucher(t.Context(), b.operator, b.org, "v", "kari", "x")
	var refused *runlog.RefusedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, []string{"-10.00", "10.00"}, []string{refused.Counter[0].Amount, refused.Counter[1].Amount})
	_, err = runlog.WithdrawVoucher(t.Context(), b.operator, b.org, "nowhere", "kari", "x")
	require.ErrorContains(t, err, "no voucher nowhere was imported; those that were, with their IDs: starter entries list --integration one")
	_, err = runlog.VoucherHistory(t.Context(), b.reader, b.org, "nowhere")
	require.ErrorContains(t, err, "no voucher nowhere was imported")
	list, err := runlog.VoucherHistory(t.Context(), b.reader, b.org, "v")
	require.NoError(t, err)
	require.Len(t, list, 1, "e1 was replaced")
}

// No login goes around the rules by a statement of its own.
func TestNobodyGoesAroundCorrections(t *testing.T) {
	t.Parallel()
	b, _ := newBooks(t).fresh(t)
	b.imported("1920")
	const update, withdraw = `UPDATE ledgerline.accounting_entries SET amount = amount * 2`, `DELETE FROM ledgerline.accounting_entries`
	const actor = `SET LOCAL ledgerline.actor = 'kari'`
	try := func(db runlog.Beginner, level pgx.TxIsoLevel, statements ...string) (code, constraint string) {
		t.Helper()
		err := runlog.InOrganization(t.Context(), begins{db, level}, b.org, func(tx pgx.Tx) error {
			for _, s := range statements {
				if _, err := tx.Exec(t.Context(), s); err != nil {
					return err
				}
			}
			return errors.New("was let through")
		})
		var pg *pgconn.PgError
		if !errors.As(err, &pg) {
			return err.Error(), ""
		}
		return pg.Code, pg.ConstraintName
	}
	for _, c := range []struct {
		db         runlog.Beginner
		level      pgx.TxIsoLevel
		statements []string
		want       string
	}{
		{b.operator, "", []string{update}, "23514 correction_has_an_actor"},
		{b.operator, "", []string{withdraw}, "23514 correction_has_an_actor"},
		{b.operator, "", []string{actor, update}, "was let through "},
		{b.operator, "", []string{actor, `INSERT INTO ledgerline.accounting_entries SELECT * FROM ledgerline.accounting_entries ON CONFLICT (organization_id, entry_id) DO UPDATE SET amount = 1`}, "was let through "},
		{b.operator, pgx.RepeatableRead, []string{actor, update}, "23514 correction_is_read_committed"},
		{b.operator, "", []string{actor, `UPDATE ledgerline.accounting_entries SET entry_id = entry_id || 'x'`}, "42501 "},
		{b.operator, "", []string{actor, `UPDATE ledgerline.accounting_entries SET organization_id = gen_random_uuid()`}, "42501 "},
		{b.operator, "", []string{actor, `UPDATE ledgerline.accounting_entries SET imported_in = '1'`}, "42501 "},
		{b.operator, "", []string{`DELETE FROM ledgerline.entry_changes`}, "42501 "},
		{b.operator, "", []string{`UPDATE ledgerline.entry_changes SET actor = 'ola'`}, "42501 "},
		{b.operator, "", []string{`INSERT INTO ledgerline.entry_changes (organization_id, entry_id, voucher_id, kind, actor, reason, before) VALUES (ledgerline.current_organization(), 'e1', 'v', 'withdrawn', 'x', 'x', '{}')`}, "42501 "},
		{b.operator, "", []string{`UPDATE ledgerline.export_entries SET correction = NULL`}, "42501 "},
		{b.worker, "", []string{actor, update}, "42501 "},
		{b.worker, "", []string{actor, withdraw}, "42501 "},
		{b.reader, "", []string{actor, update}, "42501 "},
		{b.reader, "", []string{actor, withdraw}, "42501 "},
		{b.admin, "", []string{update, `DELETE FROM ledgerline.entry_changes`}, "23514 changes_stand"},
	} {
		code, constraint := try(c.db, c.level, c.statements...)
		require.Equal(t, c.want, code+" "+constraint, c.statements)
	}
	e := b.claim("2026-10", nil)
	b.plan(e, mapped, 500)
	for _, statement := range []string{update, withdraw} {
		_, constraint := try(b.operator, "", actor, statement)
		require.Equal(t, "corrected_is_not_under_way", constraint)
	}
	b.settle(e, 1, exports.Exported, nil)
	for _, statement := range []string{update, withdraw} {
		_, constraint := try(b.operator, "", actor, statement)
		require.Equal(t, "corrected_is_not_exported", constraint)
	}
	_, err := b.admin.Exec(t.Context(), `UPDATE ledgerline.accounting_entries SET text = 'by a superuser' WHERE organization_id = $1`, b.org)
	require.NoError(t, err)
	list, err := runlog.ListEntryChanges(t.Context(), b.reader, b.org, "v")
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "postgres", list[0].Actor)
	list, err = runlog.ListEntryChanges(t.Context(), b.reader, uuid.New(), "v")
	require.NoError(t, err)
	require.Empty(t, list, "of another organization")
}

// begins begins transactions of a level.
type begins struct {
	db    runlog.Beginner
	level pgx.TxIsoLevel
}

func (b begins) Begin(ctx context.Context) (pgx.Tx, error) {
	tx, err := b.db.Begin(ctx)
	if err == nil && b.level != "" {
		_, err = tx.Exec(ctx, "SET TRANSACTION ISOLATION LEVEL "+string(b.level))
	}
	return tx, err
}

// withdrawn are books whose voucher v was refused by an export and then withdrawn.
func withdrawn(t *testing.T) (books, exports.Export) {
	t.Helper()
	b, _ := newBooks(t).fresh(t)
	b.imported("X999")
	e := b.claim("2026-10", nil)
	b.plan(e, mapped, 500)
	b.close(e)
	_, err := runlog.WithdrawVoucher(t.Context(), b.operator, b.org, "v", "kari", "twice")
	require.NoError(t, err)
	return b, e
}

// A voucher that was withdrawn keeps the ID by which an export knows its entries.
func TestWithdrawnComeAgain(t *testing.T) {
	t.Parallel()
	b, e := withdrawn(t)
	require.Empty(t, b.plan(b.claim("2026-10", &e.ID), mapped, 500), "nothing is left for a retry")
	_, err := runlog.WithdrawVoucher(t.Context(), b.operator, b.org, "v", "kari", "again")
	require.ErrorContains(t, err, "by kari: twice")
	for _, dry := range []bool{true, false} {
		_, err = b.importing(pair("w", "10.00", "1920", october), runlog.ImportOptions{DryRun: dry})
		require.EqualError(t, err, "entry e1 belongs to voucher v, with which an export has taken it; give it another ID")
	}
	again, err := b.importing(pair("v", "12.00", "1920", october), runlog.ImportOptions{})
	require.NoError(t, err)
	require.Equal(t, []runlog.NextSending{{VoucherID: "v", Integration: "one", Period: "2026-10", ExportID: e.ID}}, again.Sendings, "where it goes")
	next := b.claim("2026-11", nil)
	b.plan(next, mapped, 500)
	require.Equal(t, []string{"e1 planned 1920 12.00 2026-10-20", "e2 planned 3000 -12.00 2026-10-20"}, b.copies(next))
}

// An entry that was withdrawn, and is exported all the same, as where somebody has restored a
// part of the database, does not come again.
func TestWithdrawnAndExported(t *testing.T) {
	t.Parallel()
	b, _ := withdrawn(t)
	_, err := b.admin.Exec(t.Context(), `UPDATE ledgerline.export_entries SET state = $2, correction = NULL, effect = 'done'
		WHERE organization_id = $1 AND entry_id = 'e1'`, b.org, exports.Exported)
	require.NoError(t, err)
	for _, dry := range []bool{true, false} {
		_, err = b.importing(pair("v", "12.00", "1920", october), runlog.ImportOptions{DryRun: dry})
		require.EqualError(t, err, "entry e1 was withdrawn, and is exported all the same; correct it at the vendor, or with a counter-entry")
	}
}
