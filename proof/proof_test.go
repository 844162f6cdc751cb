package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
)

// URLs of the tests' database, in which each has an organization of its own, by user.
var admin, operator, reader string

func TestMain(m *testing.M) {
	os.Exit(devstack.WithPostgres(func(p *devstack.Postgres) int {
		if err := prepare(context.Background(), p); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}))
}

// prepare makes the database.
func prepare(ctx context.Context, p *devstack.Postgres) error {
	const name = "proof"
	admin, operator, reader = p.URL(name, "postgres"), p.URL(name, "o"), p.URL(name, "r")
	do := func(user, database, sql string) error {
		pool, err := runlog.Open(ctx, p.URL(database, user), 2)
		if err != nil {
			return err
		}
		defer pool.Close()
		if sql == "" {
			_, _, err = runlog.Migrate(ctx, pool)
		} else {
			_, err = pool.Exec(ctx, sql)
		}
		return err
	}
	return errors.Join(
		do("postgres", "postgres", "CREATE ROLE dba LOGIN CREATEROLE"), do("postgres", "postgres", "CREATE DATABASE "+name+" OWNER dba"), do("dba", name, ""),
		do("postgres", name, "CREATE ROLE o LOGIN IN ROLE ledgerline_operator"), do("postgres", name, "CREATE ROLE r LOGIN IN ROLE ledgerline_reader"),
	)
}

// forgetful is a Temporal that has no workflow any more. A proof by real parts is in
// internal/e2e.
type forgetful struct{ client.Client }

func (forgetful) DescribeWorkflow(context.Context, string, string) (*client.WorkflowExecutionDescription, error) {
	return nil, serviceerror.NewNotFound("gone")
}

// fixture is an organization with a vendor, whose books are a map.
type fixture struct {
	t                       *testing.T
	admin, operator, reader *pgxpool.Pool
	in                      integrations.Integration

	mu       sync.Mutex
	books    map[string]adapters.LookupResult // by vendor key
	requests int
	before   func(ctx context.Context, request int) // called before a look-up is answered
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, books: make(map[string]adapters.LookupResult), before: func(context.Context, int) {}}
	open := func(url string) *pgxpool.Pool {
		t.Helper()
		pool, err := runlog.Open(t.Context(), url, 4)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		return pool
	}
	f.admin, f.operator, f.reader = open(admin), open(operator), open(reader)
	f.in = integrations.Integration{
		OrganizationID: uuid.New(), ID: uuid.New(), Name: "main", Adapter: "xledger", BaseURL: "https://www.xledger.net/graphql",
		Credentials: map[string]integrations.Ref{"token": "env:X"}, Policy: classify.DefaultPolicy(),
	}
	_, err := runlog.ApplyIntegrations(t.Context(), f.operator, []integrations.Integration{f.in}, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	return f
}

// prover proves with the rights of one who may only read.
func (f *fixture) prover() Prover {
	return Prover{DB: f.reader, Temporal: forgetful{}, Integration: f.in, Actor: "kari@example", Zone: time.UTC, ask: f.ask}
}

func (f *fixture) ask(ctx context.Context, keys adapters.LookupRequest) (map[string]adapters.LookupResult, string, error) {
	f.mu.Lock()
	f.requests++
	request := f.requests
	f.mu.Unlock()
	f.before(ctx, request)
	if ctx.Err() != nil {
		return nil, "", ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	found := make(map[string]adapters.LookupResult)
	for _, k := range keys.Keys {
		if r := f.books[k]; r.Count > 0 {
			found[k] = r
		}
	}
	return found, "", nil
}

// source puts vouchers of two lines into the source.
func (f *fixture) source(vouchers int) {
	f.t.Helper()
	_, err := f.admin.Exec(f.t.Context(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, currency, text)
		SELECT $1, format('%s-%s', to_char(v, 'FM0000'), side), to_char(v, 'FM0000'), '2026-10-15', '1920', side, 'NOK', '' FROM generate_series(1, $2) AS v, unnest(ARRAY[-7, 7]) AS side`,
		f.in.OrganizationID, vouchers)
	require.NoError(f.t, err)
}

// export makes an export of October, or a retry of one. what brings its entries to their states
// before it is closed.
func (f *fixture) export(parent *exports.Export, what string) exports.Export {
	f.t.Helper()
	ctx := f.t.Context()
	start, end, err := exports.ParsePeriod("2026-10")
	require.NoError(f.t, err)
	e := exports.Export{OrganizationID: f.in.OrganizationID, ID: uuid.New(), IntegrationID: f.in.ID, AdapterName: "xledger", Period: "2026-10", PeriodStart: start, PeriodEnd: end,
		Trigger: exports.ByHand, TriggeredBy: "test", StartedAt: time.Now(), WorkflowID: "w", RunID: uuid.New()}
	if parent != nil {
		e.ParentID, e.Trigger = &parent.ID, exports.ByRetry
	}
	e, _, err = runlog.ClaimExport(ctx, f.admin, e)
	require.NoError(f.t, err)
	_, err = runlog.PlanExport(ctx, f.admin, nil, e, integrations.ExportSettings{}, 100, 100)
	require.NoError(f.t, err)
	_, err = f.admin.Exec(ctx, `UPDATE ledgerline.export_entries SET sent_in = gen_random_uuid(), sent_attempt = 1, open_until = now(), `+what+` WHERE export_id = $1`, e.ID)
	require.NoError(f.t, err)
	e, err = runlog.CloseExport(ctx, f.admin, e)
	require.NoError(f.t, err)
	return e
}

const (
	allExported = `state = 'exported', effect = 'done', settled_at = now()`
	oddRefused  = `state = CASE WHEN voucher_id::int % 2 = 1 THEN 'rejected' ELSE 'exported' END, effect = CASE WHEN voucher_id::int % 2 = 1 THEN 'none' ELSE 'done' END,
		reason = CASE WHEN voucher_id::int % 2 = 1 THEN 'no such account' END, settled_at = CASE WHEN voucher_id::int % 2 = 0 THEN now() END`
)

// has fills the vendor's books with what is on record as exported.
func (f *fixture) has(list ...exports.Export) {
	f.t.Helper()
	for _, e := range list {
		for r, err := range runlog.EntryRecords(f.t.Context(), f.reader, f.in.OrganizationID, e.ID) {
			require.NoError(f.t, err)
			if r.State == exports.Exported {
				f.books[r.VendorKey] = adapters.LookupResult{Count: 1, Amount: r.Amount}
			}
		}
	}
}

func (f *fixture) chain(e exports.Export) exports.Chain {
	f.t.Helper()
	c, err := runlog.LoadChain(f.t.Context(), f.reader, f.in.OrganizationID, e.ID)
	require.NoError(f.t, err)
	return c
}

// exported is how many entries are on record as exported.
func (f *fixture) exported() (n int) {
	f.t.Helper()
	require.NoError(f.t, f.admin.QueryRow(f.t.Context(), `SELECT count(*) FROM ledgerline.export_entries WHERE organization_id = $1 AND state = 'exported'`, f.in.OrganizationID).Scan(&n))
	return n
}

// lose takes from the database what it has of exports, as if it had been restored to a state before.
func (f *fixture) lose() {
	f.t.Helper()
	for _, table := range []string{"export_entries", "bufdir_export_audit_log"} {
		_, err := f.admin.Exec(f.t.Context(), "DELETE FROM ledgerline."+table+" WHERE organization_id = $1", f.in.OrganizationID)
		require.NoError(f.t, err)
	}
}

// results are the checks of a proof as "result what".
func results(p Proof) (list []string) {
	for _, c := range p.Findings {
		list = append(list, string(c.Agrees)+" "+c.What)
	}
	return list
}

// An export with its retry is proved as one, or one of them alone; progress is over all that is
// asked for; a difference is found whatever else agrees, and no more of them are listed than
// are wanted.
func TestChain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.source(600)
	first := f.export(nil, oddRefused)
	retry := f.export(&first, allExported)
	f.has(first, retry)
	c := f.chain(first)
	p := f.prover()
	var seen [][2]int
	p.Progress = func(done, total int) { seen = append(seen, [2]int{done, total}) }
	proved, err := p.Chain(t.Context(), c, nil)
	require.NoError(t, err)
	require.Equal(t, []any{true, true, 0, "October 2026: the vendor has 1200 entries, NOK 4,200.00, each once"}, []any{*proved.Agrees, *proved.Ended, proved.More, proved.Summary})
	require.Equal(t, [][2]int{{0, 1200}, {500, 1200}, {600, 1200}, {1100, 1200}, {1200, 1200}}, seen)
	one, two := exports.Short(first.ID), exports.Short(retry.ID)
	require.Equal(t, []string{
		"yes export " + one + ": the export has ended", "yes export " + one + ": entries add up", "yes export " + one + ": exported entries", "yes export " + one + ": amounts",
		"yes export " + one + ": SHA-256", "- export " + one + ": workflow", "yes export " + one + ": run logs", "yes export " + one + ": vendor",
		"yes export " + two + ": the export has ended", "yes export " + two + ": entries add up", "yes export " + two + ": exported entries", "yes export " + two + ": amounts",
		"yes export " + two + ": SHA-256", "- export " + two + ": workflow", "yes export " + two + ": run logs", "yes export " + two + ": vendor",
	}, results(proved))
	require.Equal(t, []any{AtVendor, &retry.ID, map[Match]int{Exact: 600}}, []any{proved.Findings[15].Kind, proved.Findings[15].ExportID, proved.Findings[15].Found})
	text, err := json.Marshal(proved)
	require.NoError(t, err)
	require.Contains(t, string(text), `"differences":[]`)
	require.NotContains(t, string(text), "moreDifferences")

	alone, err := p.Chain(t.Context(), c, &retry.ID)
	require.NoError(t, err)
	require.True(t, *alone.Agrees)
	require.Empty(t, alone.Summary, "it is not of all of them")
	require.Equal(t, &retry.ID, alone.ExportID)
	require.Equal(t, "yes vendor", results(alone)[7])
	nobody := uuid.New()
	_, err = p.Chain(t.Context(), c, &nobody)
	require.EqualError(t, err, "export "+nobody.String()+" is none of October 2026")

	clear(f.books)
	f.has(first)
	p.Keep = 20
	proved, err = p.Chain(t.Context(), c, nil)
	require.NoError(t, err)
	require.True(t, proved.Disagrees())
	require.Empty(t, proved.Summary)
	require.Len(t, proved.Differences, 20)
	require.Equal(t, 580, proved.More)
	d := proved.Differences[0]
	require.Equal(t, []any{"0001", Disagrees, NotThere, "NOK"}, []any{d.VoucherID, d.Agrees, d.Match, d.Currency})
	require.Equal(t, map[Match]int{NotThere: 600}, proved.Findings[15].Found)
}

// Who stops a proof in the middle gets an error and no half of one, and the vendor is not asked
// any further. What was adopted stays on record, and the next proof completes it.
func TestStoppedInTheMiddle(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.source(600)
	first := f.export(nil, allExported)
	f.has(first)
	stopping := func() context.Context {
		ctx, stop := context.WithCancel(t.Context())
		t.Cleanup(stop)
		f.requests = 0
		f.before = func(_ context.Context, request int) {
			if request == 2 {
				stop()
			}
		}
		return ctx
	}
	proved, err := f.prover().Chain(stopping(), f.chain(first), nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, proved)
	require.Equal(t, 2, f.requests)

	f.lose()
	p := f.prover()
	p.DB = f.operator
	proved, err = p.Period(stopping(), "2026-10", true)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, proved)
	require.Equal(t, 500, f.exported(), "what an answer said is on record")
	list, _, err := runlog.ListChains(t.Context(), f.reader, f.in.OrganizationID, runlog.ChainFilter{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, []any{exports.Failed, "the period was not proved to its end: prove it again"}, []any{list[0].Last().Status, list[0].Last().ErrorMessage})

	f.before = func(context.Context, int) {}
	proved, err = p.Period(t.Context(), "2026-10", true)
	require.NoError(t, err)
	require.True(t, *proved.Agrees)
	require.Equal(t, 700, proved.Export.Exported)
	require.Equal(t, 1200, f.exported())
	proved, err = f.prover().Period(t.Context(), "2026-10", false)
	require.NoError(t, err)
	require.True(t, *proved.Agrees)
	require.Nil(t, proved.Export)
	_, err = p.Period(t.Context(), "October", true)
	require.Error(t, err)
}

// Two proofs at once, with one Prover, are what each would be alone; two that adopt take each
// entry into the record once.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.source(600)
	first := f.export(nil, oddRefused)
	f.has(first)
	c := f.chain(first)
	alone, err := f.prover().Chain(t.Context(), c, nil)
	require.NoError(t, err)
	require.True(t, *alone.Agrees)
	atOnce := func(do func() (Proof, error)) (proofs [2]Proof, errs [2]error) {
		var both, all sync.WaitGroup
		f.requests = 0
		both.Add(2)
		f.before = func(_ context.Context, request int) { // nobody is answered before both have asked
			if request <= 2 {
				both.Done()
				both.Wait()
			}
		}
		for i := range proofs {
			all.Go(func() { proofs[i], errs[i] = do() })
		}
		all.Wait()
		return proofs, errs
	}
	p := f.prover()
	proofs, errs := atOnce(func() (Proof, error) { return p.Chain(t.Context(), c, nil) })
	require.Equal(t, [2]error{}, errs)
	require.Equal(t, [2]Proof{alone, alone}, proofs)

	f.lose()
	p.DB = f.operator
	proofs, errs = atOnce(func() (Proof, error) { return p.Period(t.Context(), "2026-10", true) })
	require.Equal(t, [2]error{}, errs)
	for _, found := range proofs {
		require.True(t, *found.Agrees, results(found))
	}
	require.Equal(t, 600, f.exported())
	after, err := f.prover().Period(t.Context(), "2026-10", false)
	require.NoError(t, err)
	require.True(t, *after.Agrees)
}
