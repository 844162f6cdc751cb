package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
)

// planning measures what it takes to plan 1,000 new entries of an organization that
// has exported five million, against one that has exported none, in a database without
// any. Half of the new entries are late, as of a month that was exported.
func planning(ctx context.Context, _ *servers) (err error) {
	const n, history, rounds = 1000, 5_000_000, 9
	server, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{
		Log: os.Stderr, Settings: map[string]string{"max_wal_size": "8GB", "autovacuum": "off"}, // nothing else is at work while a plan is timed
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	empty, err := newLedgers(ctx, server, "empty")
	if err != nil {
		return err
	}
	defer empty.close()
	full, err := newLedgers(ctx, server, "history")
	if err != nil {
		return err
	}
	defer full.close()
	in, err := full.exported(ctx, history)
	if err != nil {
		return err
	}

	var alone, behind []float64
	month := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for range rounds {
		other, err := empty.integration(ctx)
		if err != nil {
			return err
		}
		took, err := empty.plan(ctx, other, month, n)
		if err != nil {
			return err
		}
		alone = append(alone, took)
		if took, err = full.plan(ctx, in, month, n); err != nil {
			return err
		}
		behind = append(behind, took)
		month = month.AddDate(0, 1, 0)
	}
	report("plan_1000_new", median(alone)*1000, "ms", atMost(200))
	report("plan_1000_new_at_5000000", median(behind)/median(alone), "x_empty", atMost(1.5))
	return nil
}

// ledgers are a database of its own.
type ledgers struct{ admin, worker *pgxpool.Pool }

func newLedgers(ctx context.Context, server *devstack.Postgres, name string) (l ledgers, err error) {
	first, err := pgxpool.New(ctx, server.URL("postgres", devstack.Admin))
	if err != nil {
		return l, err
	}
	defer first.Close()
	if _, err := first.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return l, err
	}
	if l.admin, err = runlog.Open(ctx, server.URL(name, devstack.Admin), 1); err != nil {
		return l, err
	}
	if _, _, err := runlog.Migrate(ctx, l.admin); err != nil {
		return l, err
	}
	if _, err := l.admin.Exec(ctx, "SET statement_timeout = 0"); err != nil { // storing the history takes minutes
		return l, err
	}
	const login = `DO $$ BEGIN CREATE ROLE ` + devstack.Worker + ` LOGIN IN ROLE ledgerline_worker; EXCEPTION WHEN duplicate_object THEN NULL; END $$`
	if _, err := l.admin.Exec(ctx, login); err != nil {
		return l, err
	}
	l.worker, err = runlog.Open(ctx, server.URL(name, devstack.Worker), 1)
	return l, err
}

func (l ledgers) close() {
	l.admin.Close()
	l.worker.Close()
}

func (l ledgers) integration(ctx context.Context) (integrations.Integration, error) {
	in := integrations.Integration{
		OrganizationID: uuid.New(), ID: uuid.New(), Name: "x", Adapter: "xledger", BaseURL: "https://www.xledger.net/graphql", Policy: classify.DefaultPolicy(),
	}
	_, err := runlog.ApplyIntegrations(ctx, l.admin, []integrations.Integration{in}, runlog.ApplyOptions{By: "bench"})
	return in, err
}

// insertEntries stores entries from number $2 to $3, two to a voucher, the odd vouchers dated in
// October and the others on $4.
const insertEntries = `
	INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, text)
	SELECT $1, 'E' || i, 'V' || lpad((i / 2)::text, 8, '0'), CASE i / 2 % 2 WHEN 0 THEN $4::date ELSE '2026-10-15' END,
	    CASE i % 2 WHEN 0 THEN '1920' ELSE '3000' END, CASE i % 2 WHEN 0 THEN 100.10 ELSE -100.10 END, 'Faktura ' || i
	FROM generate_series($2::int, $3::int - 1) AS i`

// exported makes an organization that has exported n entries by one export, planned one entry by a
// second, and so has a mark.
func (l ledgers) exported(ctx context.Context, n int) (in integrations.Integration, err error) {
	if in, err = l.integration(ctx); err != nil {
		return in, err
	}
	october := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	if _, err := l.admin.Exec(ctx, insertEntries, in.OrganizationID, 0, n, october); err != nil {
		return in, err
	}
	e, err := l.claim(ctx, in, october)
	if err != nil {
		return in, err
	}
	if _, err := l.admin.Exec(ctx, `
		INSERT INTO ledgerline.export_entries (organization_id, integration_id, entry_id, export_id, voucher_id, chunk, vendor_key, entry_date, late, account, amount,
		    currency, text, state, effect, settled_at)
		SELECT organization_id, $2, entry_id, $3, voucher_id, substr(voucher_id, 2)::int / 250 + 1, left(encode(sha256(entry_id::bytea), 'hex'), 32), entry_date, false,
		    account, amount, currency, text, 'exported', 'done', now()
		FROM ledgerline.accounting_entries WHERE organization_id = $1`, in.OrganizationID, in.ID, e.ID); err != nil {
		return in, err
	}
	if _, err := l.admin.Exec(ctx, "VACUUM (ANALYZE) ledgerline.accounting_entries, ledgerline.export_entries"); err != nil {
		return in, err
	}
	_, err = runlog.PlanExport(ctx, l.worker, nil, e, integrations.ExportSettings{}, xledger.MaxNodes, xledger.MaxNodes)
	return in, err
}

func (l ledgers) claim(ctx context.Context, in integrations.Integration, month time.Time) (exports.Export, error) {
	e, _, err := runlog.ClaimExport(ctx, l.worker, exports.Export{
		OrganizationID: in.OrganizationID, ID: uuid.New(), IntegrationID: in.ID, AdapterName: in.Adapter, Period: month.Format("2006-01"),
		PeriodStart: month, PeriodEnd: month.AddDate(0, 1, 0), Trigger: exports.ByHand, TriggeredBy: "bench", StartedAt: time.Now(), WorkflowID: "bench", RunID: uuid.New(),
	})
	return e, err
}

// plan stores n entries, and returns the seconds that it takes to plan them.
func (l ledgers) plan(ctx context.Context, in integrations.Integration, month time.Time, n int) (float64, error) {
	first := (month.Year()*12 + int(month.Month())) * 10_000_000 / 1000 // beyond the history, and different for each month
	if _, err := l.admin.Exec(ctx, insertEntries, in.OrganizationID, first, first+n, month); err != nil {
		return 0, err
	}
	e, err := l.claim(ctx, in, month)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := runlog.PlanExport(ctx, l.worker, nil, e, integrations.ExportSettings{}, xledger.MaxNodes, xledger.MaxNodes); err != nil {
		return 0, err
	}
	took := time.Since(began).Seconds()
	counts, err := runlog.CountEntries(ctx, l.worker, in.OrganizationID, e.ID)
	if err == nil && counts.Planned != n {
		err = fmt.Errorf("%d of %d entries were planned", counts.Planned, n)
	}
	return took, err
}
