package model

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
)

// checks is how many cases an ordinary test run takes, steps how many steps a case
// has on average, and seed where the cases of an ordinary run begin: they are always
// the same. -rapid.seed 0 draws others.
const checks, steps, seed = "25", "60", "20261126"

// parts are what all cases share: a database whose time is the case's, a way to
// the vendors' server that each case has of its own, and a client.
type parts struct {
	database *devstack.SimulatedDatabase
	address  string
	secrets  *secrets.Store
	world    atomic.Pointer[world]
	client   *adapters.Client
}

func newParts(t *testing.T) *parts {
	t.Helper()
	p := &parts{}
	var err error
	p.database, err = devstack.StartSimulatedDatabase(t.Context(), 4, os.Stderr)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.database.Close()) })

	vendor := httptest.NewServer(http.HandlerFunc(p.serve))
	vendor.Config.ErrorLog = log.New(io.Discard, "", 0) // connections are cut all the time
	t.Cleanup(vendor.Close)
	t.Cleanup(vendor.CloseClientConnections)
	p.address = vendor.URL
	p.secrets = &secrets.Store{Dir: t.TempDir()}
	p.client = adapters.NewClient(adapters.ClientOptions{DevHosts: []string{strings.TrimPrefix(vendor.URL, "http://")}})
	t.Cleanup(p.client.CloseIdle)
	return p
}

// vendor is what the model has to know of an adapter, from docs/vendors.md and
// not from its code.
type vendor struct {
	adapter    string
	settings   map[string]string
	inFlight   time.Duration    // how long a request can take effect after its deadline
	atomic     bool             // a request is stored as a whole or not at all
	send, look sandbox.Match    // a chunk that is sent, and one that is looked up
	codes      map[string]proof // of the answers in which they stand alone, at the statuses below
	coded      []int

	throttled, refused         sandbox.Rule
	whenThrottled, whenRefused proof
}

// GoString is how rapid shows what it drew.
func (v vendor) GoString() string { return v.adapter }

var vendors = []vendor{{
	adapter: "xledger", inFlight: 2 * time.Minute, atomic: true,
	send: sandbox.Match{Operation: "addGLImportItems"},
	look: sandbox.Match{Operation: "glImportItems"},
	codes: map[string]proof{
		"BAD_REQUEST.BURST_RATE_LIMIT_REACHED": nothing, "BAD_REQUEST.CONCURRENCY_LIMIT_REACHED": nothing, "BAD_REQUEST.INSUFFICIENT_CREDITS": nothing,
		"ARGUMENTS_OF_CORRECT_TYPE": nothing, "INVALID_VALUE": nothing,
	},
	coded:         []int{200, 400},
	throttled:     sandbox.Rule{Status: 200, Body: `{"errors":[{"message":"slow down","code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"}]}`},
	refused:       sandbox.Rule{Status: 200, Body: `{"errors":[{"message":"no"}]}`},
	whenThrottled: nothing, whenRefused: ended,
}, {
	adapter: "businesscentral", inFlight: 17 * time.Minute,
	settings: map[string]string{"companyId": sandbox.DemoCompanyID, "journalId": sandbox.DemoJournalID},
	send:     sandbox.Match{BodyContains: `"externalDocumentNumber":"`},
	look:     sandbox.Match{BodyContains: "externalDocumentNumber%20eq"},
	codes: map[string]proof{
		"Application_TooManyRequests": nothing, "BadRequest_ResourceNotFound": nothing, "Internal_CompanyNotFound": nothing,
		"Internal_ServerError": ended, "Internal_TenantUnavailable": ended, "Internal_DataNotFoundFilter": ended, "Internal_RecordNotFound": ended,
		"Internal_InvalidTableRelation": ended, "Internal_EntityWithSameKeyExists": ended, "Request_EntityChanged": ended,
	},
	coded:         []int{400, 404, 429},
	throttled:     sandbox.Rule{Status: 200, Body: `{"responses":[{"id":"0","status":429,"body":{"error":{"code":"Application_TooManyRequests","message":"slow down"}}}]}`},
	refused:       sandbox.Rule{Status: 200, Body: `{"responses":[{"id":"0","status":400,"body":{"error":{"code":"Application_DialogException","message":"no"}}}]}`},
	whenThrottled: ended, whenRefused: ended,
}, {
	adapter: "dataverse", atomic: true,
	settings: map[string]string{"table": "led_entries", "prefix": "led_"},
	send:     sandbox.Match{BodyContains: "led_key='"},
	look:     sandbox.Match{BodyContains: "led_key%20eq"},
	codes: map[string]proof{
		"0x80072322": nothing, "0x80072321": nothing, "0x80072326": nothing, "0x8006088a": nothing,
		"0x8005f103": ended, "0x80060308": ended, "0x80040333": ended, "0x80060892": ended, "0x80040237": ended, "0x80044150": ended,
		"0x80044151": open,
	},
	coded:         []int{400, 404, 429},
	throttled:     sandbox.Rule{Status: 429, Body: `{"error":{"code":"0x80072322","message":"slow down"}}`},
	refused:       sandbox.Rule{Status: 400, Body: `{"error":{"code":"0x80040203","message":"no"}}`},
	whenThrottled: nothing, whenRefused: ended,
}}

// policy leaves an attempt time enough to be held, and its clock is the machine's.
var policy = classify.Policy{BaseDelay: time.Second, Coefficient: 2, MaxRetries: 3, Jitter: 0.2, AttemptTimeout: 12 * time.Second, Budget: time.Minute}

// holdFor is how long an attempt can be held before it sends; longer, and its
// time is up. An effect is late by at most as much as the vendor may take after
// the deadline, and lateFor: together they stay below an attempt's time.
const (
	holdFor = 2 * time.Second
	lateFor = 4 * time.Second
)

// clock is the time of everybody: of the sandbox, the database, the server and,
// but for their skew, the workers.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// world is one case: an organization with two integrations that export the same
// entries, each for itself and to a vendor that is drawn, and what the model
// knows of it.
type world struct {
	*parts
	t        *rapid.T
	clock    *clock
	org      uuid.UUID
	specs    []integrations.Integration
	vendors  []vendor // of each
	adapters map[string]adapters.Adapter
	vendor   *sandbox.Sandbox
	ids      int  // that were made
	loose    bool // somebody works at the vendor
	running  atomic.Pointer[task]

	vouchers []*voucher
	runs     []*run
	loners   []*task               // that are held, and that nobody waits for
	claimed  map[string]uuid.UUID  // exports by idempotency key
	planned  map[uuid.UUID]bool    // exports that were planned, if perhaps in vain
	rows     map[entry]entryRow    // at the last look
	closed   map[uuid.UUID]summary // what a closed row said first
	deleted  map[string]int        // keys, by somebody at the vendor
	posted   map[string]bool       // vouchers, likewise

	mu         sync.Mutex // of what follows, which the vendors' server writes
	scripted   map[int]*fault
	requests   map[int]*request      // by their numbers
	sends      map[string][]*request // by key
	asked      map[string][]*request
	unknowable map[string]bool // keys of which only a person may be able to tell what became of them
	violations []string
	slow       bool
}

func newWorld(t *rapid.T, p *parts) *world {
	w := &world{
		parts: p, t: t, clock: &clock{now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}, adapters: activities.Adapters(),
		claimed: map[string]uuid.UUID{}, planned: map[uuid.UUID]bool{}, rows: map[entry]entryRow{}, closed: map[uuid.UUID]summary{}, deleted: map[string]int{},
		scripted: map[int]*fault{}, requests: map[int]*request{}, sends: map[string][]*request{}, asked: map[string][]*request{}, unknowable: map[string]bool{},
	}
	w.org = w.newID()
	// A case that fails must fail again the same way, so that every ID is the same
	// and nothing is left of other cases.
	_, err := p.database.Admin.Exec(context.Background(), emptied)
	require.NoError(t, err)
	// Pages are so small that the look-up of a chunk has several.
	w.vendor = sandbox.New(sandbox.Options{Now: w.clock.Now, PageSize: 3, Observe: w.observe, Answered: w.answered})
	p.world.Store(w)
	t.Cleanup(w.end)
	w.loose = rapid.SampledFrom([]bool{false, false, true}).Draw(t, "somebody works at the vendor")
	at := sandbox.Addresses(p.address)
	for _, name := range []string{"one", "two"} {
		v := rapid.SampledFrom(vendors).Draw(t, "vendor "+name)
		settings := map[string]string{"tenantId": sandbox.DemoTenantID, "clientId": sandbox.DemoClientID, "authority": at["entra"]}
		maps.Copy(settings, v.settings)
		spec := integrations.Integration{
			OrganizationID: w.org, ID: w.newID(), Name: name, Adapter: v.adapter, BaseURL: at[v.adapter], Policy: policy, Settings: settings,
			Export: integrations.ExportSettings{ChunkSize: chunkSize},
			Credentials: map[string]integrations.Ref{
				"token":        devstack.WriteSecret(p.secrets.Dir, w.org, "token", sandbox.DemoXledgerToken),
				"clientSecret": devstack.WriteSecret(p.secrets.Dir, w.org, "secret", sandbox.DemoClientSecret),
			},
		}
		if d := rapid.SampledFrom([]time.Duration{-1, -1, 3 * time.Second, 40 * time.Second}).Draw(t, "in flight"); d >= 0 {
			spec.InFlight, v.inFlight = &d, d
		}
		w.specs, w.vendors = append(w.specs, spec), append(w.vendors, v)
	}
	_, err = runlog.ApplyIntegrations(context.Background(), p.database.Operator, w.specs, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	return w
}

// emptied forgets all that was there.
const emptied = `DO $$ BEGIN EXECUTE (SELECT 'TRUNCATE ' || string_agg(format('%I.%I', schemaname, tablename), ', ') || ' CASCADE'
	FROM pg_tables WHERE schemaname = 'ledgerline' AND tablename NOT LIKE '%version%'); END $$`

// newID is a version 4 UUID, the n-th of its case.
func (w *world) newID() uuid.UUID {
	w.ids++
	id := uuid.NewSHA1(uuid.Nil, fmt.Append(nil, w.ids))
	id[6] = id[6]&0x0f | 0x40
	return id
}

// end lets go of what is still held.
func (w *world) end() {
	for _, t := range w.heldTasks() {
		t.lose()
	}
}

// heldTasks are those at which a run waits, and the others.
func (w *world) heldTasks() (all []*task) {
	for _, r := range w.runs {
		if r.task != nil {
			all = append(all, r.task)
		}
	}
	return append(all, w.loners...)
}

// begin starts a transaction at the clock's time.
func (w *world) begin(ctx context.Context, db runlog.Beginner) (pgx.Tx, error) {
	return devstack.BeginAt(ctx, db, w.clock.Now())
}

// people are the operator's transactions.
type people struct{ w *world }

func (p people) Begin(ctx context.Context) (pgx.Tx, error) {
	return p.w.begin(ctx, p.w.database.Operator)
}

// place is where an integration stands in the lists.
func (w *world) place(id uuid.UUID) int {
	return slices.IndexFunc(w.specs, func(s integrations.Integration) bool { return s.ID == id })
}

func (w *world) inFlight(t *task) time.Duration { return w.vendors[w.place(t.integration)].inFlight }

// script has something happen to the next request that a match fits.
func (w *world) script(f *fault, v vendor, m sandbox.Match, correlation uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, rule := range f.rules {
		rule.Times = 1
		if rule.Match.BodyContains == secondPage {
			rule.Match = sandbox.Match{BodyContains: secondPage}
			if v.adapter == "xledger" {
				rule.Match = m
			}
		} else {
			rule.Match = m
		}
		rule.Match.Vendor, rule.Match.CorrelationID = v.adapter, correlation.String()
		w.scripted[w.vendor.Script(rule)] = f
	}
}

// pass lets time pass. Whoever is held meanwhile for longer than an attempt may
// be cannot send any more; a request that the vendor has not begun with is begun
// with before.
func (w *world) pass(d time.Duration) {
	if d <= 0 {
		return
	}
	until := w.clock.Now().Add(d)
	for _, r := range w.runs {
		if r.task != nil && r.task.held == arrived && d > time.Second && r.task.resume(trouble{what: hold}) {
			r.taskOver()
		}
	}
	for _, t := range slices.Clone(w.loners) {
		if t.held == arrived && d > time.Second && t.resume(trouble{what: hold}) {
			w.loners = slices.DeleteFunc(w.loners, func(other *task) bool { return other == t })
		}
	}
	for _, t := range w.heldTasks() {
		if t.held != arrived && until.Sub(t.began) > holdFor {
			t.doom()
		}
	}
	w.clock.mu.Lock()
	w.clock.now = until
	w.clock.mu.Unlock()
	w.vendor.Settle(until)
}

// timePasses lets it, for a while, or until something is due.
func (w *world) timePasses(t *rapid.T) {
	d := rapid.SampledFrom([]time.Duration{10 * time.Millisecond, time.Second, 10 * time.Second, time.Minute, 10 * time.Minute, time.Hour}).Draw(t, "for")
	if next := w.vendor.NextDue(); !next.IsZero() && rapid.Bool().Draw(t, "until the vendor acts") {
		d = next.Sub(w.clock.Now())
	}
	w.pass(d)
}

func TestExports(t *testing.T) {
	defaults(t)
	p := newParts(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, p)
		rt.Repeat(map[string]func(*rapid.T){
			"":                    w.check,
			"entries arrive":      w.arrive,
			"a line is added":     w.complete,
			"it is corrected":     w.correct,
			"a run starts":        w.start,
			"a run goes on":       w.goOn,
			"a run goes on again": w.goOn, // most steps are that
			"a run goes on still": w.goOn,
			"a run goes on more":  w.goOn,
			"a run goes on, yes":  w.goOn,
			"somebody wakes":      w.wake,
			"nobody is heard":     w.timeOut,
			"a run is ended":      w.terminate,
			"a run is reset":      w.reset,
			"a run continues":     w.continueAsNew,
			"a run is cancelled":  w.cancelRun,
			"a retry":             w.retry,
			"time passes":         w.timePasses,
			"somebody deletes":    w.somebodyDeletes,
			"somebody posts":      w.somebodyPosts,
		})
		w.settle()
	})
}

// defaults sets what the command line does not.
func defaults(t *testing.T) {
	t.Helper()
	given := make(map[string]bool)
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range map[string]string{"rapid.checks": checks, "rapid.steps": steps, "rapid.seed": seed} {
		if !given[name] {
			require.NoError(t, flag.Set(name, value))
		}
	}
}

// voucher is what the model knows of a voucher.
type voucher struct {
	id      string
	lines   []line
	refused bool // by the vendor: its account is unknown there
	missing *line
}

type line struct {
	id, account, amount string
	day                 time.Time
}

var months = []string{"2026-08", "2026-09", "2026-10"}

func days(t *rapid.T) time.Time {
	return time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 91).Draw(t, "day"))
}

// arrive adds a voucher of two lines, of which one may be missing.
func (w *world) arrive(t *rapid.T) {
	v := &voucher{id: fmt.Sprintf("v%03d", len(w.vouchers)), refused: rapid.IntRange(0, 7).Draw(t, "refused") == 0}
	account, contra := "3000", "1920"
	switch kind := rapid.IntRange(0, 7).Draw(t, "accounts"); { // of which Business Central makes something else, see package sandbox
	case v.refused:
		account = "X999"
	case kind == 0:
		account, contra = "C300", "K192"
	case kind == 1:
		account = "C300"
	case kind == 2:
		contra = "K192"
	}
	v.lines = []line{{v.id + "-1", account, "10.10", days(t)}}
	other := line{v.id + "-2", contra, "-10.10", v.lines[0].day}
	if rapid.IntRange(0, 3).Draw(t, "incomplete") == 0 {
		v.missing = &other
	} else {
		v.lines = append(v.lines, other)
	}
	w.vouchers = append(w.vouchers, v)
	w.add(v.lines...)
}

// complete brings the missing line of a voucher, which may have been refused
// for it, perhaps dated in another month.
func (w *world) complete(t *rapid.T) {
	v := pick(t, w.vouchers, func(v *voucher) bool { return v.missing != nil })
	v.missing.day = days(t)
	v.lines, v.missing = append(v.lines, *v.missing), nil
	w.add(v.lines[len(v.lines)-1])
}

// correct replaces the account that the vendors refuse, where that is allowed.
func (w *world) correct(t *rapid.T) {
	v := pick(t, w.vouchers, func(v *voucher) bool { return v.refused })
	l := v.lines[0]
	entry := runlog.AccountingEntry{EntryID: l.id, VoucherID: v.id, Date: l.day, Account: "3000", Amount: l.amount, Currency: "NOK"}
	_, err := runlog.ImportEntries(context.Background(), people{w}, w.org, func(yield func(runlog.AccountingEntry, error) bool) { yield(entry, nil) },
		runlog.ImportOptions{Replace: true, Actor: "model"})
	var refused *runlog.RefusedError
	if errors.As(err, &refused) {
		return
	}
	require.NoError(w.t, err)
	v.refused, v.lines[0].account = false, entry.Account
}

func (w *world) add(lines ...line) {
	for _, l := range lines {
		_, err := w.database.Admin.Exec(context.Background(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount)
			VALUES ($1, $2, $3, $4, $5, $6::text::numeric)`, w.org, l.id, l.id[:4], l.day, l.account, l.amount)
		require.NoError(w.t, err)
	}
}

// pick draws one that fits; the action is skipped if there is none.
func pick[T any](t *rapid.T, all []T, fits func(T) bool) T {
	var some []T
	for _, x := range all {
		if fits(x) {
			some = append(some, x)
		}
	}
	if len(some) == 0 {
		t.Skip()
	}
	return some[rapid.IntRange(0, len(some)-1).Draw(t, "which")]
}
