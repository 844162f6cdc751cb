package model

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
)

// checks is how many cases an ordinary test run takes: about 20 seconds.
const checks = "80"

// parts are what all cases share: a database, a vendor's server whose sandbox
// is each case's own, and a client.
type parts struct {
	admin, worker, operator *pgxpool.Pool
	address, token, secret  string // the last two are files
	vendor                  atomic.Pointer[sandbox.Sandbox]
	client                  *adapters.Client
}

func newParts(t *testing.T) *parts {
	t.Helper()
	p := &parts{}
	server, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{
		Log: os.Stderr, Settings: map[string]string{"fsync": "off", "synchronous_commit": "off"}, // nobody pulls the plug here
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	open := func(user string) *pgxpool.Pool {
		pool, err := runlog.Open(t.Context(), server.URL("postgres", user), 4)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		return pool
	}
	p.admin = open("postgres")
	_, _, err = runlog.Migrate(t.Context(), p.admin)
	require.NoError(t, err)
	for user, role := range map[string]string{"w": "worker", "o": "operator"} {
		_, err := p.admin.Exec(t.Context(), fmt.Sprintf("CREATE ROLE %s LOGIN IN ROLE ledgerline_%s", user, role))
		require.NoError(t, err)
	}
	p.worker, p.operator = open("w"), open("o")

	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.vendor.Load().ServeHTTP(w, r) }))
	t.Cleanup(vendor.Close)
	t.Cleanup(vendor.CloseClientConnections)
	p.address = vendor.URL
	for path, secret := range map[*string]string{&p.token: sandbox.DemoXledgerToken, &p.secret: sandbox.DemoClientSecret} {
		*path = filepath.Join(t.TempDir(), "secret")
		require.NoError(t, os.WriteFile(*path, []byte(secret), 0o600))
	}
	p.client = adapters.NewClient(adapters.ClientOptions{DevHosts: []string{strings.TrimPrefix(vendor.URL, "http://")}})
	t.Cleanup(p.client.CloseIdle)
	return p
}

// vendor is what the model has to know of an adapter.
type vendor struct {
	adapter            string
	settings           map[string]string
	send, look         sandbox.Match // a chunk that is sent, and one that is looked up
	throttled, refused sandbox.Rule
}

// GoString is how rapid shows what it drew.
func (v vendor) GoString() string { return v.adapter }

var vendors = []vendor{{
	adapter:   "xledger",
	send:      sandbox.Match{Operation: "addGLImportItems"},
	look:      sandbox.Match{Operation: "glImportItems"},
	throttled: sandbox.Rule{Status: 200, Body: `{"errors":[{"message":"slow down","code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"}]}`},
	refused:   sandbox.Rule{Status: 200, Body: `{"errors":[{"message":"no"}]}`},
}, {
	adapter:   "businesscentral",
	settings:  map[string]string{"companyId": sandbox.DemoCompanyID, "journalId": sandbox.DemoJournalID},
	send:      sandbox.Match{BodyContains: `"externalDocumentNumber":"`},
	look:      sandbox.Match{BodyContains: "externalDocumentNumber%20eq"},
	throttled: sandbox.Rule{Status: 200, Body: `{"responses":[{"id":"0","status":429,"body":{"error":{"code":"Application_TooManyRequests","message":"slow down"}}}]}`},
	refused:   sandbox.Rule{Status: 200, Body: `{"responses":[{"id":"0","status":400,"body":{"error":{"code":"Application_DialogException","message":"no"}}}]}`},
}, {
	adapter:   "dataverse",
	settings:  map[string]string{"table": "led_entries", "prefix": "led_"},
	send:      sandbox.Match{BodyContains: "led_key='"},
	look:      sandbox.Match{BodyContains: "led_key%20eq"},
	throttled: sandbox.Rule{Status: 429, Body: `{"error":{"code":"0x80072322","message":"slow down"}}`},
	refused:   sandbox.Rule{Status: 400, Body: `{"error":{"code":"0x80040203","message":"no"}}`},
}}

// world is one case: an organization with two integrations that export the same
// entries, each for itself and to a vendor that is drawn, and what the model
// knows of it.
type world struct {
	*parts
	t       *rapid.T
	org     uuid.UUID
	specs   []integrations.Integration
	vendors []vendor // of each
	acts    *activities.Activities
	store   *flaky

	vouchers []*voucher
	runs     []*run
	late     []func() error        // what workers that count as lost have still to say
	claimed  map[string]uuid.UUID  // by idempotency key
	states   map[entry]string      // at the last look
	closed   map[uuid.UUID]summary // what a closed row said first
}

func newWorld(t *rapid.T, p *parts) *world {
	w := &world{
		parts: p, t: t, org: uuid.New(), store: &flaky{Beginner: p.worker},
		claimed: map[string]uuid.UUID{}, states: map[entry]string{}, closed: map[uuid.UUID]summary{},
	}
	p.vendor.Store(sandbox.New(sandbox.Options{}))
	at := sandbox.Addresses(p.address)
	for _, name := range []string{"one", "two"} {
		v := rapid.SampledFrom(vendors).Draw(t, "vendor "+name)
		settings := map[string]string{"tenantId": sandbox.DemoTenantID, "clientId": sandbox.DemoClientID, "authority": at["entra"]}
		maps.Copy(settings, v.settings)
		w.vendors = append(w.vendors, v)
		w.specs = append(w.specs, integrations.Integration{
			OrganizationID: w.org, ID: uuid.New(), Name: name, Adapter: v.adapter, BaseURL: at[v.adapter], Policy: classify.DefaultPolicy(), Settings: settings,
			Credentials: map[string]integrations.Ref{"token": integrations.Ref("file:" + p.token), "clientSecret": integrations.Ref("file:" + p.secret)},
		})
	}
	_, err := runlog.ApplyIntegrations(context.Background(), p.operator, w.specs, "test", false)
	require.NoError(t, err)
	w.acts = &activities.Activities{
		Resolve: func(_ context.Context, _, id uuid.UUID) (integrations.Integration, error) {
			return w.specs[w.place(id)], nil
		},
		Adapters: activities.Adapters(), Client: p.client, DB: w.store, Log: slog.New(slog.DiscardHandler),
		Audit: func(context.Context, uuid.UUID, []runlog.Row) error { return nil },
	}
	return w
}

// place is where an integration stands in the lists.
func (w *world) place(id uuid.UUID) int {
	return slices.IndexFunc(w.specs, func(s integrations.Integration) bool { return s.ID == id })
}

func TestExports(t *testing.T) {
	if !set("rapid.checks") {
		require.NoError(t, flag.Set("rapid.checks", checks))
	}
	p := newParts(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, p)
		rt.Repeat(map[string]func(*rapid.T){
			"":                w.check,
			"entries arrive":  w.arrive,
			"a line is added": w.complete,
			"a run starts":    w.start,
			"plan":            w.plan,
			"attempt":         w.attempt,
			"attempt more":    w.attempt, // most steps are attempts
			"attempt again":   w.attempt,
			"a run dies":      w.die,
			"a late word":     w.lateWord,
			"give up":         w.giveUp,
			"retry":           w.retry,
		})
		w.settle()
	})
}

func set(name string) (is bool) {
	flag.Visit(func(f *flag.Flag) { is = is || f.Name == name })
	return is
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

func (w *world) add(lines ...line) {
	for _, l := range lines {
		_, err := w.admin.Exec(context.Background(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount)
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
