package console

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/console/signin"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
)

var (
	admin, worker, operator, login *pgxpool.Pool // login is the console's
	sources                        *runlog.Sources
)

func TestMain(m *testing.M) {
	os.Exit(devstack.WithPostgres(func(server *devstack.Postgres) int {
		if err := setUp(context.Background(), server); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}))
}

func setUp(ctx context.Context, server *devstack.Postgres) (err error) {
	if admin, err = runlog.Open(ctx, server.URL("postgres", "postgres"), 4); err != nil {
		return err
	}
	if _, _, err = runlog.Migrate(ctx, admin); err != nil {
		return err
	}
	for user, pool := range map[string]**pgxpool.Pool{"worker": &worker, "operator": &operator, "console": &login} {
		if _, err = admin.Exec(ctx, "CREATE ROLE "+user+" LOGIN IN ROLE ledgerline_"+user); err != nil {
			return err
		}
		if *pool, err = runlog.Open(ctx, server.URL("postgres", user), 8); err != nil {
			return err
		}
	}
	sources, err = runlog.NewSources("", server.URL("postgres", "worker"))
	return err
}

// house is an organization with one integration, and what the console serves of it.
type house struct {
	t     *testing.T
	org   uuid.UUID
	short string
	spec  integrations.Integration
}

var houses atomic.Int64

// newHouse makes an organization whose every name has its secret in it.
func newHouse(t *testing.T, secret string) *house {
	t.Helper()
	h := &house{t: t, org: uuid.New(), short: fmt.Sprintf("%s-%d", secret, houses.Add(1))}
	h.spec = integrations.Integration{
		OrganizationID: h.org, ID: uuid.New(), Name: secret + "-main", Adapter: "xledger", BaseURL: "https://www.xledger.net/graphql",
		Credentials: map[string]integrations.Ref{"token": "env:X"}, Policy: classify.DefaultPolicy(),
		Schedule: &integrations.Schedule{Every: integrations.Monthly, Day: 3, Hour: 6, Minute: 30, TimeZone: "Europe/Oslo"},
	}
	_, err := runlog.ApplyIntegrations(t.Context(), operator, []integrations.Integration{h.spec}, runlog.ApplyOptions{By: "test", Organizations: []integrations.Organization{{ID: h.org, Name: "House " + secret, Short: h.short}}})
	require.NoError(t, err)
	return h
}

// store stores entries: "entry voucher date account amount text".
func (h *house) store(lines ...string) {
	h.t.Helper()
	var list []runlog.AccountingEntry
	for _, l := range lines {
		f := strings.SplitN(l, " ", 6)
		day, err := time.Parse(time.DateOnly, f[2])
		require.NoError(h.t, err)
		list = append(list, runlog.AccountingEntry{EntryID: f[0], VoucherID: f[1], Date: day, Account: f[3], Amount: f[4], Currency: "NOK", Text: f[5]})
	}
	_, err := runlog.ImportEntries(h.t.Context(), operator, h.org, each(list), runlog.ImportOptions{Actor: "test", AllowRepeated: true})
	require.NoError(h.t, err)
}

// export exports a period: vouchers whose ID begins with one of refused are refused with a reason,
// the others arrive.
func (h *house) export(period string, refused map[string]string) exports.Export {
	h.t.Helper()
	ctx := h.t.Context()
	start, end, err := exports.ParsePeriod(period)
	require.NoError(h.t, err)
	e := exports.Export{
		OrganizationID: h.org, ID: uuid.New(), IntegrationID: h.spec.ID, AdapterName: "xledger", Period: period, PeriodStart: start, PeriodEnd: end,
		Trigger: exports.BySchedule, TriggeredBy: "test", StartedAt: time.Now(), WorkflowID: "w/" + uuid.NewString(), RunID: uuid.New(),
	}
	e, _, err = runlog.ClaimExport(ctx, worker, e)
	require.NoError(h.t, err)
	_, err = runlog.PlanExport(ctx, worker, sources, e, integrations.ExportSettings{}, 100, 100)
	require.NoError(h.t, err)
	_, err = admin.Exec(ctx, `UPDATE ledgerline.export_entries SET state = 'exported', effect = 'done', settled_at = now(), sent_in = gen_random_uuid(), sent_attempt = 1,
		open_until = now(), late_until = now(), ended = true WHERE export_id = $1 AND state = 'planned' AND NOT voucher_id = ANY($2)`, e.ID, keys(refused))
	require.NoError(h.t, err)
	for voucher, reason := range refused {
		_, err = admin.Exec(ctx, `UPDATE ledgerline.export_entries SET state = 'rejected', reason = $3 WHERE export_id = $1 AND voucher_id = $2`, e.ID, voucher, reason)
		require.NoError(h.t, err)
	}
	e, err = runlog.CloseExport(ctx, worker, e)
	require.NoError(h.t, err)
	return e
}

func keys(m map[string]string) []string {
	list := []string{}
	for k := range m {
		list = append(list, k)
	}
	return list
}

// site is a console that is served, with an issuer that nobody asks: sessions are given.
type site struct {
	t        *testing.T
	console  *Console
	server   *httptest.Server
	sessions signin.Sessions
	access   signin.Access
	issuer   string
}

// groupOf is the group that has a role in a house.
func groupOf(h *house, role signin.Role) string { return h.short + "/" + string(role) }

// newSite serves the houses; change may change the options.
func newSite(t *testing.T, change func(*Options), list ...*house) *site {
	t.Helper()
	s := &site{t: t, sessions: Sessions(login)}
	var issuer *httptest.Server
	issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer.URL, "authorization_endpoint": issuer.URL + "/auth", "token_endpoint": issuer.URL + "/token", "jwks_uri": issuer.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"}})
	}))
	t.Cleanup(issuer.Close)
	s.issuer = issuer.URL
	file := "groups:\n"
	for _, h := range list {
		for _, role := range signin.Roles {
			file += fmt.Sprintf("  - {group: %s, role: %s, organizations: [%s]}\n", groupOf(h, role), role, h.short)
		}
	}
	var err error
	s.access, err = signin.ParseAccess("access.yaml", []byte(file))
	require.NoError(t, err)
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.console.ServeHTTP(w, r) }))
	t.Cleanup(s.server.Close)
	public, err := url.Parse(s.server.URL)
	require.NoError(t, err)
	who, err := signin.New(t.Context(), signin.Options{
		Issuer: issuer.URL, ClientID: "console", ClientSecret: "x", PublicURL: public, Access: s.access, Sessions: s.sessions,
		Find: func(ctx context.Context, which string) (uuid.UUID, error) {
			o, err := runlog.FindOrganization(ctx, login, which)
			return o.ID, err
		},
	})
	require.NoError(t, err)
	o := Options{DB: login, Sources: sources, SignIn: who, PublicURL: public, Log: slog.New(slog.NewTextHandler(testWriter{t}, nil)), Every: 50 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	s.console, err = New(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.console.Close(context.Background()) })
	return s
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// person is somebody with a browser, or nobody.
type person struct {
	*site
	cookie string
}

// signedIn is somebody of groups.
func (s *site) signedIn(name string, groups ...string) *person {
	s.t.Helper()
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	token := base64.RawURLEncoding.EncodeToString(raw)
	h := sha256.New() // as package signin keeps a session of this issuer and application
	for _, part := range []string{"ledgerline session", s.issuer, "console", token} {
		h.Write(append([]byte(part), 0))
	}
	hash := h.Sum(nil)
	require.NoError(s.t, s.sessions.Begin(s.t.Context(), hash, signin.Session{Subject: name, Name: name, Groups: groups, StartedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}))
	return &person{s, token}
}

// answer is what came back.
type answer struct {
	*http.Response
	body string
}

func (p *person) do(req *http.Request) answer {
	p.t.Helper()
	if p.cookie != "" {
		req.AddCookie(&http.Cookie{Name: "ledgerline", Value: p.cookie})
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(req)
	require.NoError(p.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(p.t, err)
	return answer{res, string(body)}
}

func (p *person) get(path string, headers ...string) answer {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.server.URL+path, nil)
	require.NoError(p.t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return p.do(req)
}

// post sends a form, with a new key unless it has one.
func (p *person) post(path string, form url.Values, headers ...string) answer {
	p.t.Helper()
	if form == nil {
		form = url.Values{}
	}
	if !form.Has("key") {
		form.Set("key", rand.Text())
	}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.server.URL+path, strings.NewReader(form.Encode()))
	require.NoError(p.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return p.do(req)
}

// send sends JSON.
func (p *person) send(path, body, key string) answer {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.server.URL+path, strings.NewReader(body))
	require.NoError(p.t, err)
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	return p.do(req)
}

// drop uploads a file and returns the answer.
func (p *person) drop(path, name, content string) answer {
	p.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	require.NoError(p.t, w.WriteField("key", rand.Text()))
	f, err := w.CreateFormFile("file", name)
	require.NoError(p.t, err)
	_, _ = io.WriteString(f, content)
	require.NoError(p.t, w.Close())
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.server.URL+path, &b)
	require.NoError(p.t, err)
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.Header.Set("Idempotency-Key", rand.Text())
	return p.do(req)
}
