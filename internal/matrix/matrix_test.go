package matrix

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

var (
	whole = flag.Bool("whole", os.Getenv("MATRIX") == "whole", "every cell, not a pairwise selection")
	which = flag.String("cell", os.Getenv("CELL"), "only cells whose name matches")
)

// TestMatrix runs the cells, as many at a time as there are cores.
func TestMatrix(t *testing.T) {
	cells := every()
	total := len(cells)
	if !*whole {
		cells = pairwise(cells)
	}
	if *which != "" {
		want := regexp.MustCompile(*which)
		cells = slices.DeleteFunc(every(), func(c cell) bool { return !want.MatchString(c.String()) })
	}
	require.NotEmpty(t, cells)
	p := newParts(t)
	began := time.Now()
	var next, failed, doubled, unknown atomic.Int64
	var worst sync.Map
	var wg sync.WaitGroup
	for range max(2, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			s := p.server(t)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(cells) || failed.Load() > 400 {
					return
				}
				if i > 0 && i%5000 == 0 {
					t.Logf("%d cells after %v", i, time.Since(began).Round(time.Second))
				}
				c := cells[i]
				r := s.run(c)
				if r.doubled {
					doubled.Add(1)
				}
				unknown.Add(int64(r.unknown))
				for what, n := range map[string]int64{"requests": int64(r.requests), "time": int64(r.took)} {
					if old, ok := worst.Load(what); !ok || old.(int64) < n {
						worst.Store(what, n)
					}
				}
				if r.fault != "" {
					failed.Add(1)
					t.Errorf("%s\n    %s", c, r.fault)
				}
			}
		})
	}
	wg.Wait()
	requests, _ := worst.Load("requests")
	took, _ := worst.Load("time")
	t.Logf("%d of %d cells in %v; %d with a named limit, in which the entry is there twice; %d entries left to a person; at most %v requests and %v",
		min(len(cells), int(next.Load())), total, time.Since(began).Round(time.Second), doubled.Load(), unknown.Load(), requests, time.Duration(took.(int64)))
}

// silent drops what the SDK says.
var silent = log.NewStructuredLogger(slog.New(slog.DiscardHandler))

// vouchers of each cell; the last of a halved chunk is one that every vendor
// refuses.
const vouchers = 4

// trial is a cell that runs.
type trial struct {
	*server
	cell
	clock   *clock
	vendor  *sandbox.Sandbox
	monitor *monitor
	org     uuid.UUID
	spec    integrations.Integration
	options activities.Options
	run     uuid.UUID // the current run's
	armed   atomic.Bool
	fired   atomic.Int64 // the seq of the send that got the answer
	lies    atomic.Int64
	stale   time.Time
	failed  []string
	// script decides instead of the cell, for those who need more than one answer.
	script func(sandbox.LogEntry) *sandbox.Rule
}

// outcome is what a cell came to.
type outcome struct {
	fault    string
	doubled  bool
	unknown  int
	requests int
	took     time.Duration
}

func (s *server) trial(c cell) *trial {
	x := &trial{server: s, cell: c, clock: &clock{at: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}, org: uuid.New()}
	x.monitor = newMonitor(x.clock.now, c.vendor, c.attempt())
	x.vendor = sandbox.New(sandbox.Options{Now: x.clock.now, PageSize: 7, Choose: x.choose, Answered: x.answered})
	s.vendor.Store(x.vendor)
	return x
}

func (s *server) run(c cell) (o outcome) {
	x := s.trial(c)
	defer func() {
		if r := recover(); r != nil {
			o.fault = fmt.Sprintf("panic: %v", r)
		}
	}()
	return x.make()
}

func (x *trial) check(ok bool, format string, args ...any) {
	if !ok {
		x.failed = append(x.failed, fmt.Sprintf(format, args...))
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (x *trial) make() (o outcome) {
	x.prepare()
	// An earlier export, so that something is known to be there.
	x.line("z000", "2026-09-05", "3000")
	first := x.sync("2026-09", nil)
	x.check(first.Export.Status == exports.Complete, "the export before is %s: %s", first.Export.Status, first.Export.ErrorMessage)
	x.stale = x.clock.now().Add(-time.Hour)
	for i := range vouchers {
		account := "3000"
		if i == vouchers-1 && x.moment == halvedChunk {
			account = "X999"
		}
		x.line(fmt.Sprintf("v%03d", i), "2026-10-05", account)
	}
	began, before := x.clock.now(), x.monitor.seen
	x.armed.Store(true)
	r := x.scenario()
	retries := 0
	for r.Export.Status != exports.Complete && retries < 3 && x.open() > 0 {
		retries++
		id := r.Export.ID
		r = x.sync("2026-10", &id)
	}
	o.took, o.requests = x.clock.now().Sub(began), x.monitor.seen-before
	x.check(x.fired.Load() > 0, "the answer was never given")
	x.vendor.Settle(x.clock.now().Add(24 * time.Hour))
	o.doubled, o.unknown = x.judge()
	x.bounds(o, retries)
	if os.Getenv("SHOW") != "" {
		for _, e := range x.vendor.Log() {
			fmt.Println(e.At.Format("15:04:05.000"), e.Operation, e.Wrote, len(e.Keys), len(e.LookupKeys), e.Status, "rule", e.Rule, "effects", e.Effects, e.Done.Format("15:04:05.000"), e.Ended.Format("15:04:05.000"), e.Answer)
		}
		fmt.Println(len(x.vendor.Effects()), x.clock.now(), x.vendor.NextDue())
	}
	o.fault = strings.Join(append(x.failed, x.monitor.violations...), "\n    ")
	return o
}

// scenario brings about the moment and lets the product go on from there.
func (x *trial) scenario() workflows.SyncResult {
	switch x.moment {
	case takenOver, laterRetry:
		x.run = uuid.New()
		e := x.firstAttempt()
		if x.moment == takenOver { // whose run is dead
			return x.sync("2026-10", nil)
		}
		e.ErrorClass, e.ErrorCode = classify.Permanent, classify.Cancelled
		closed := must(runlog.CloseExport(context.Background(), x.options.DB, e))
		return x.sync("2026-10", &closed.ID)
	}
	return x.sync("2026-10", nil)
}

// firstAttempt claims, plans and makes one attempt at the first chunk, and dies.
func (x *trial) firstAttempt() exports.Export {
	ctx := context.Background()
	from, to, _ := exports.ParsePeriod("2026-10")
	e, _, err := runlog.ClaimExport(ctx, x.options.DB, exports.Export{
		OrganizationID: x.org, ID: uuid.New(), IntegrationID: x.spec.ID, AdapterName: x.spec.Adapter, Period: "2026-10", PeriodStart: from, PeriodEnd: to,
		Trigger: exports.ByHand, TriggeredBy: "matrix", StartedAt: x.clock.now(), WorkflowID: "before", RunID: x.run,
	})
	must(e, err)
	size := x.options.Adapters[x.spec.Adapter].Vendor().Export.ChunkSize(x.spec.Export.ChunkSize)
	must(runlog.PlanExport(ctx, x.options.DB, nil, e, x.spec.Export, size, size))
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silent)
	env := suite.NewTestActivityEnvironment()
	acts := x.activities()
	env.RegisterActivity(acts.Call)
	_, _ = env.ExecuteActivity(acts.Call, activities.Invocation{
		OrganizationID: x.org, IntegrationID: x.spec.ID, AdapterName: x.spec.Adapter, CorrelationID: uuid.New(), Operation: adapters.Export,
		Body: activities.Chunk{ExportID: e.ID, Chunk: 1, Fence: e.Fence}.Body(), Policy: x.spec.Policy,
	})
	return e
}

// prepare makes the organization with its integration.
func (x *trial) prepare() {
	at := sandbox.Addresses(x.address)
	settings := map[string]string{"tenantId": sandbox.DemoTenantID, "clientId": sandbox.DemoClientID, "authority": at["entra"]}
	maps.Copy(settings, x.cell.vendor.settings)
	policy := classify.DefaultPolicy()
	policy.AttemptTimeout = x.attempt()
	x.spec = integrations.Integration{
		OrganizationID: x.org, ID: uuid.New(), Name: "one", Adapter: x.cell.vendor.adapter, BaseURL: at[x.cell.vendor.adapter], Policy: policy, Settings: settings,
		Credentials: map[string]integrations.Ref{
			"token":        devstack.WriteSecret(x.secrets.Dir, x.org, "token", sandbox.DemoXledgerToken),
			"clientSecret": devstack.WriteSecret(x.secrets.Dir, x.org, "secret", sandbox.DemoClientSecret),
		},
	}
	if !x.cell.vendor.upserts {
		wait := x.cell.vendor.inFlight
		x.spec.InFlight = &wait
	}
	if x.moment == singleVoucher {
		x.spec.Export.ChunkSize = 2
	}
	must(runlog.ApplyIntegrations(context.Background(), x.database.Operator, []integrations.Integration{x.spec}, runlog.ApplyOptions{By: "matrix"}))
	db := timed{x.database.Worker, x.clock.now}
	x.options = activities.Options{
		DB: db, Store: claims{activities.NewStore(db, slog.New(slog.DiscardHandler), nil), x}, Client: x.client, Adapters: activities.Adapters(), Secrets: x.secrets, Now: x.clock.now,
		RunID: func(context.Context) uuid.UUID { return x.run },
		Alive: func(context.Context, string, uuid.UUID) (bool, error) { return false, nil },
	}
}

// activities are a worker's.
func (x *trial) activities() *activities.Activities { return must(activities.New(x.options)) }

// claims are what calls keep in the database: the claims of writes. What the
// integration is, the trial knows; nobody monitors it, and the audit record is not of
// interest.
type claims struct {
	activities.Store
	x *trial
}

func (c claims) Integration(context.Context, uuid.UUID, uuid.UUID) (integrations.Integration, error) {
	return c.x.spec, nil
}

func (claims) Pause(context.Context, uuid.UUID, uuid.UUID) (*runlog.Pause, error) { return nil, nil }

func (claims) InsertAttempts(context.Context, uuid.UUID, []runlog.AttemptRow) error { return nil }

func (claims) MonitorTarget(context.Context, uuid.UUID, uuid.UUID) (runlog.MonitorTarget, error) {
	return runlog.MonitorTarget{Paused: true}, nil
}

// line is a voucher of two lines.
func (x *trial) line(voucher, day, account string) {
	for i, amount := range []string{"10.10", "-10.10"} {
		_, err := x.database.Admin.Exec(context.Background(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount)
			VALUES ($1, $2, $3, $4::text::date, $5, $6::text::numeric)`, x.org, fmt.Sprintf("%s-%d", voucher, i), voucher, day, account, amount)
		must(0, err)
	}
}

// sync runs the workflow to its end.
func (x *trial) sync(period string, parent *uuid.UUID) (r workflows.SyncResult) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silent)
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	x.clock.follow(env)
	defer x.clock.follow(nil)
	x.run = uuid.New()
	workflows.Register(env, x.activities())
	from, to, _ := exports.ParsePeriod(period)
	in := workflows.SyncInput{
		OrganizationID: x.org, IntegrationID: x.spec.ID, AdapterName: x.spec.Adapter, Period: period, PeriodStart: from, PeriodEnd: to,
		Trigger: exports.ByHand, TriggeredBy: "matrix", ParentID: parent, Policy: x.spec.Policy,
	}
	if parent != nil {
		in.Trigger = exports.ByRetry
	}
	env.ExecuteWorkflow(workflows.SyncName, in)
	must(0, env.GetWorkflowError())
	must(0, env.GetWorkflowResult(&r))
	x.check(r.Refused == "" && !r.AlreadyExported, "the run did nothing: %+v", r)
	return r
}

// open counts the entries that are not settled.
func (x *trial) open() (n int) {
	must(0, x.database.Admin.QueryRow(context.Background(), `SELECT count(*) FROM ledgerline.export_entries
		WHERE organization_id = $1 AND state IN ('planned', 'sent')`, x.org).Scan(&n))
	return n
}
