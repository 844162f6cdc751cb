package model

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
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
	address, token          string
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
	p.token = filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(p.token, []byte(sandbox.DemoXledgerToken), 0o600))
	p.client = adapters.NewClient(adapters.ClientOptions{DevHosts: []string{strings.TrimPrefix(vendor.URL, "http://")}})
	t.Cleanup(p.client.CloseIdle)
	return p
}

// world is one case: an organization with two integrations that export the same
// entries, each for itself, and what the model knows of it.
type world struct {
	*parts
	t     *rapid.T
	org   uuid.UUID
	specs []integrations.Integration
	acts  *activities.Activities
	store *flaky

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
	for _, name := range []string{"one", "two"} {
		w.specs = append(w.specs, integrations.Integration{
			OrganizationID: w.org, ID: uuid.New(), Name: name, Adapter: "xledger", BaseURL: p.address + "/xledger/graphql", Policy: classify.DefaultPolicy(),
			Credentials: map[string]integrations.Ref{"token": integrations.Ref("file:" + p.token)},
		})
	}
	_, err := runlog.ApplyIntegrations(context.Background(), p.operator, w.specs, "test", false)
	require.NoError(t, err)
	w.acts = &activities.Activities{
		Resolve: func(_ context.Context, _, id uuid.UUID) (integrations.Integration, error) {
			return w.specs[slices.IndexFunc(w.specs, func(s integrations.Integration) bool { return s.ID == id })], nil
		},
		Adapters: activities.Adapters(), Client: p.client, DB: w.store, Log: slog.New(slog.DiscardHandler),
		Audit: func(context.Context, uuid.UUID, []runlog.Row) error { return nil },
	}
	return w
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
	account := "3000"
	if v.refused {
		account = "X999"
	}
	v.lines = []line{{v.id + "-1", account, "10.10", days(t)}}
	other := line{v.id + "-2", "1920", "-10.10", v.lines[0].day}
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
