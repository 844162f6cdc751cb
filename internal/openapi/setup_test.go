package openapi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/console"
	"github.com/ledgerline/ledgerline/console/signin"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
)

var (
	server               *devstack.Postgres
	admin, worker, login *pgxpool.Pool // login is the console's
)

func TestMain(m *testing.M) {
	os.Exit(devstack.WithPostgres(func(s *devstack.Postgres) int {
		server = s
		if err := prepare(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}))
}

func prepare(ctx context.Context) (err error) {
	if admin, err = runlog.Open(ctx, server.URL("postgres", "postgres"), 2); err != nil {
		return err
	}
	if _, _, err = runlog.Migrate(ctx, admin); err != nil {
		return err
	}
	if _, err = admin.Exec(ctx, "CREATE ROLE worker LOGIN IN ROLE ledgerline_worker; CREATE ROLE console LOGIN IN ROLE ledgerline_console"); err != nil {
		return err
	}
	var other error
	worker, err = runlog.Open(ctx, server.URL("postgres", "worker"), 4)
	login, other = runlog.Open(ctx, server.URL("postgres", "console"), 4)
	return errors.Join(err, other)
}

// organization makes one that has exported October, with a voucher that arrived, one that was
// refused and one of which nobody knows.
func organization(t *testing.T) integrations.Organization {
	t.Helper()
	ctx := t.Context()
	o := integrations.Organization{ID: uuid.New(), Name: "Eksempel", Short: "eksempel"}
	in := integrations.Integration{
		OrganizationID: o.ID, ID: uuid.New(), Name: "main", Adapter: "xledger", BaseURL: "https://www.xledger.net/graphql", Credentials: map[string]integrations.Ref{"token": "env:X"},
		Policy: classify.DefaultPolicy(), Schedule: &integrations.Schedule{Every: integrations.Monthly, Day: 3, Hour: 6, Minute: 30, TimeZone: "Europe/Oslo"},
	}
	_, err := runlog.ApplyIntegrations(ctx, admin, []integrations.Integration{in}, runlog.ApplyOptions{By: "test", Organizations: []integrations.Organization{o}})
	require.NoError(t, err)
	var list []runlog.AccountingEntry
	for _, v := range []string{"arrived", "refused", "unknown"} {
		for i, amount := range []string{"100.00", "-100.00"} {
			list = append(list, runlog.AccountingEntry{EntryID: fmt.Sprint(v, i), VoucherID: v, Date: time.Date(2026, 10, 5, 0, 0, 0, 0, time.UTC), Account: "1920", Amount: amount, Currency: "NOK", Text: "Kontingent"})
		}
	}
	_, err = runlog.ImportEntries(ctx, login, o.ID, each(list), runlog.ImportOptions{Actor: "test", AllowRepeated: true})
	require.NoError(t, err)
	start, end, err := exports.ParsePeriod("2026-10")
	require.NoError(t, err)
	e, _, err := runlog.ClaimExport(ctx, worker, exports.Export{
		OrganizationID: o.ID, ID: uuid.New(), IntegrationID: in.ID, AdapterName: "xledger", Period: "2026-10", PeriodStart: start, PeriodEnd: end,
		Trigger: exports.BySchedule, TriggeredBy: "test", StartedAt: time.Now(), WorkflowID: "w", RunID: uuid.New(),
	})
	require.NoError(t, err)
	_, err = runlog.PlanExport(ctx, worker, nil, e, integrations.ExportSettings{}, 100, 100)
	require.NoError(t, err)
	for _, statement := range []string{
		`UPDATE ledgerline.export_entries SET state = 'exported', effect = 'done', settled_at = now() WHERE voucher_id = 'arrived'`,
		`UPDATE ledgerline.export_entries SET state = 'rejected', reason = 'account.code: No value matching X999' WHERE voucher_id = 'refused'`,
		`UPDATE ledgerline.export_entries SET state = 'unknown', effect = 'open', sent_in = gen_random_uuid(), sent_attempt = 1, open_until = now() - interval '1 hour', late_until = now() - interval '1 hour' WHERE voucher_id = 'unknown'`,
	} {
		_, err = admin.Exec(ctx, statement)
		require.NoError(t, err)
	}
	_, err = runlog.CloseExport(ctx, worker, e)
	require.NoError(t, err)
	_, err = admin.Exec(ctx, `INSERT INTO ledgerline.integration_run_logs (organization_id, integration_id, requested_integration_id, correlation_id, adapter_name, operation, attempt_number, error_class, error_kind, rule,
		http_status, error_message, is_retryable, occurred_at, workflow_id, run_id, run_started_at)
		VALUES ($1, $2, $2, $3, 'xledger', 'voucher.get', 1, 'permanent', 'business', 'code:1', 400, 'No such voucher', false, now(), 'call', gen_random_uuid(), now())`, o.ID, in.ID, call)
	require.NoError(t, err)
	return o
}

// call is a call on record.
var call = uuid.New()

func each(list []runlog.AccountingEntry) iter.Seq2[runlog.AccountingEntry, error] {
	return func(yield func(runlog.AccountingEntry, error) bool) {
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// serve starts a console for somebody with a role; Temporal is down.
func serve(t *testing.T, o integrations.Organization, role signin.Role) string {
	t.Helper()
	var c *console.Console
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.ServeHTTP(w, r) }))
	t.Cleanup(web.Close)
	public, err := url.Parse(web.URL)
	require.NoError(t, err)
	who, err := signin.New(t.Context(), signin.Options{PublicURL: public, Listen: public.Host, Development: &signin.Identity{Subject: "kari " + string(role), Name: "Kari", Roles: map[uuid.UUID]signin.Role{o.ID: role}}})
	require.NoError(t, err)
	c, err = console.New(console.Options{DB: login, SignIn: who, PublicURL: public, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return web.URL
}
