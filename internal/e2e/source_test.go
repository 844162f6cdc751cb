package e2e

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
)

// Entries come from a view in another database, through the login of the sources:
// previewed, exported and proved. Nobody reads it as a superuser.
func TestExportFromAnotherDatabase(t *testing.T) {
	asAdmin(t, "CREATE DATABASE erp")
	erp, err := pgx.Connect(t.Context(), stack.Postgres.URL("erp", devstack.Admin))
	require.NoError(t, err)
	defer erp.Close(t.Context())
	_, err = erp.Exec(t.Context(), `CREATE SCHEMA books; GRANT USAGE ON SCHEMA books TO app_source;
		CREATE TABLE books.lines (organization_id uuid, entry_id text, voucher_id text, entry_date date, account varchar(10), amount numeric(12, 2), note text);
		CREATE VIEW books.ledger AS SELECT organization_id, entry_id, voucher_id, entry_date, account, amount, 'NOK'::text AS currency, note AS text, NULL::jsonb AS dimensions, now() AS created_at FROM books.lines`)
	require.NoError(t, err)
	b := newBook(t)
	for i := range 3 {
		_, err := erp.Exec(t.Context(), `INSERT INTO books.lines SELECT $1, format('A0000%s-%s', $2::int, n), format('A0000%s', $2::int), '2026-10-15', CASE n WHEN 1 THEN '1920' ELSE '3000' END, 100.1 * (3 - 2 * n), $3 FROM generate_series(1, 2) n`,
			b.id, i, b.text)
		require.NoError(t, err)
	}
	source := runlog.SourceVariable + "=" + stack.Postgres.URL("erp", devstack.Source)
	startWorkerEnv(t, []string{source})
	b.exportAs(t, integrations.ExportSettings{Source: "books.ledger"})
	run := func(user string, args ...string) (string, string, int) {
		t.Helper()
		return starterEnv(t, append(stack.Env(user), source), "", append(args, "--org", b.id.String(), "--integration", "xledger-main", "--period", "2026-10")...)
	}

	_, words, code := run(devstack.Operator, "sync", "--dry-run")
	require.Equal(t, 1, code)
	require.Contains(t, words, `GRANT SELECT ON books.ledger TO "app_source"`)
	_, err = erp.Exec(t.Context(), "GRANT SELECT ON books.ledger TO app_source")
	require.NoError(t, err)
	for _, args := range [][]string{{"sync", "--dry-run"}, {"exports", "prove"}} {
		_, words, code = run(devstack.Admin, args...)
		require.Equal(t, 1, code, words)
		require.Contains(t, words, "use a login with the role ledgerline_operator", args)
	}

	out, words, code := run(devstack.Operator, "sync", "--dry-run")
	require.Zero(t, code, words)
	require.Contains(t, out, "6 entries in 3 vouchers and 1 chunk,")
	out, words, code = run(devstack.Operator, "sync", "-o", "json")
	require.Zero(t, code, words)
	e := fromJSON[synced](t, out).Export
	require.Equal(t, []any{exports.Complete, 6}, []any{e.Status, e.Exported}, "%+v", e)
	b.requireOnce(t, 6)
	out, words, code = run(devstack.Operator, "exports", "prove")
	require.Zero(t, code, fmt.Sprint(out, words))
}
