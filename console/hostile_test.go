package console

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/console/signin"
	"github.com/ledgerline/ledgerline/runlog"
)

// developing serves in development mode, where everybody is one person and there is no cookie
// that another site would lack.
func developing(t *testing.T, h *house) *person {
	s := newSite(t, nil, h)
	public, err := url.Parse(s.server.URL)
	require.NoError(t, err)
	who, err := signin.New(t.Context(), signin.Options{PublicURL: public, Development: &signin.Identity{Subject: "developer", Name: "Developer"}, Listen: strings.TrimPrefix(s.server.URL, "http://")})
	require.NoError(t, err)
	s.console, err = New(Options{DB: login, Sources: sources, SignIn: who, PublicURL: public, Log: slog.New(slog.NewTextHandler(testWriter{t}, nil)), Development: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.console.Close(context.Background()) })
	return &person{s, ""}
}

// What another site makes a browser send is refused, for every operation, as a form and as
// JSON, with a session and in development mode, and does nothing.
func TestCrossOrigin(t *testing.T) {
	h := newHouse(t, "cross")
	s := newSite(t, nil, h)
	of := furnish(h, s)
	kari := s.signedIn("kari", groupOf(h, signin.Administrator))
	for mode, p := range map[string]*person{"session": kari, "development": developing(t, h)} {
		for _, a := range everything() {
			if a.method != http.MethodPost {
				continue
			}
			own := strings.TrimPrefix(p.server.URL, "http://")
			for _, headers := range [][]string{
				{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Origin", "http://" + own + ".evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
				{"Sec-Fetch-Site", "cross-site", "Origin", p.server.URL}, {"Sec-Fetch-Site", "odd"}, {"Origin", "https://evil.example", "Content-Type", "text/plain"}, {"Origin", "https://evil.example", "Content-Type", "application/json", "Idempotency-Key", uuid.NewString()},
				{"Origin", "https://evil.example", "X-HTTP-Method-Override", "GET"},
			} {
				s.free()
				res := p.post(a.fill(h.short, of), nil, headers...)
				require.Equal(t, http.StatusForbidden, res.StatusCode, "%s %s %v", mode, a.path, headers)
				require.Empty(t, res.Header.Get("Access-Control-Allow-Origin"))
				if a.api {
					require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
				}
			}
		}
		for _, path := range []string{signin.SignOutPath, "/language"} {
			require.Equal(t, http.StatusForbidden, p.post(path, url.Values{"language": {"nb"}}, "Origin", "https://evil.example").StatusCode, path)
		}
		require.NotEqual(t, http.StatusForbidden, p.post("/language", url.Values{"language": {"nb"}}, "Origin", p.server.URL, "Sec-Fetch-Site", "same-origin").StatusCode)
	}
	list, _, err := runlog.ListConsoleActions(t.Context(), login, h.org, nil, 100)
	require.NoError(t, err)
	require.Len(t, list, 1, "only the upload with which the house was furnished")

	// A page that gives its own name to our address.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, developing(t, h).server.URL+"/o/"+h.short, nil)
	require.NoError(t, err)
	req.Host = "evil.example"
	res := (&person{site: s}).do(req)
	require.NotEqual(t, http.StatusOK, res.StatusCode)
	require.NotContains(t, res.body, "cross-main")
}

// Nobody is signed in by a token that the server did not give, and nobody stays so with one
// that has ended.
func TestSessionsOfNobody(t *testing.T) {
	h := newHouse(t, "sessions")
	s := newSite(t, nil, h)
	kari := s.signedIn("kari", groupOf(h, signin.Viewer))
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	for name, token := range map[string]string{
		"chosen by somebody else": base64.RawURLEncoding.EncodeToString(raw), "nothing": "", "long": strings.Repeat("a", 4000), "one more": kari.cookie + "a", "one less": kari.cookie[1:], "SQL": "' OR 1=1 --", "two": kari.cookie + "; ledgerline=x",
	} {
		res := (&person{s, token}).get("/o/" + h.short)
		require.Equal(t, http.StatusSeeOther, res.StatusCode, name)
		require.Contains(t, res.Header.Get("Location"), signin.BeginPath)
		for _, c := range res.Cookies() {
			require.NotEqual(t, token, c.Value, "what came is never made a session")
		}
	}
	require.Equal(t, http.StatusOK, kari.get("/o/"+h.short).StatusCode)
	out := kari.post(signin.SignOutPath, nil, "Origin", s.server.URL)
	require.Equal(t, http.StatusSeeOther, out.StatusCode)
	require.Contains(t, out.Header.Get("Clear-Site-Data"), "cache")
	require.Equal(t, http.StatusSeeOther, kari.get("/o/"+h.short).StatusCode, "the session has ended at the server, whoever has its token")
	require.Equal(t, http.StatusUnauthorized, kari.get("/api/v1/organizations/"+h.short+"/overview").StatusCode)
	require.Equal(t, http.StatusUnauthorized, kari.get("/o/"+h.short, "Accept", "text/event-stream").StatusCode)
	for _, token := range []string{"x", "", "Bearer", "Bearer a.b.c", "Basic a2FyaTp4", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJrYXJpIn0."} {
		require.Equal(t, http.StatusUnauthorized, kari.get("/api/v1/organizations", "Authorization", token).StatusCode, token)
	}
}

// Nobody is led away: not by the language form, not by signing in.
func TestRedirects(t *testing.T) {
	h := newHouse(t, "redirects")
	s := newSite(t, nil, h)
	p := s.signedIn("kari", groupOf(h, signin.Viewer))
	for _, to := range []string{
		"https://evil.example", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "/\n/evil.example", " //evil.example", "javascript:alert(1)", "/..//evil.example", "/.//evil.example", "/%09/evil.example",
		"//evil.example/%2f..", "/o/x/..//..//evil.example", "http:evil.example", "///\\;@evil.example", "/;//evil.example", "?//evil.example", "//", "/\u2028/evil.example", "\u3000//evil.example", "/\x00/evil.example", "//[::1", "/o\r\nSet-Cookie: a=b",
	} {
		res := p.post("/language", url.Values{"language": {"nb"}, "to": {to}})
		begin := p.get(signin.BeginPath + "?return=" + url.QueryEscape(to))
		for _, location := range []string{res.Header.Get("Location"), begin.Header.Get("Location")} {
			u, err := url.Parse(location)
			require.NoError(t, err)
			local := u.Host == "" && u.Scheme == "" && strings.HasPrefix(location, "/") && !strings.HasPrefix(location, "//") && !strings.HasPrefix(location, `/\`)
			require.True(t, local || strings.HasPrefix(location, s.issuer+"/auth?"), "%q: %s", to, location)
		}
		require.Empty(t, res.Header.Get("A"))
	}
	require.Equal(t, "/o/x/vouchers/a%2Fb?after=c", p.post("/language", url.Values{"language": {"nb"}, "to": {"/o/x/vouchers/a%2Fb?after=c"}}).Header.Get("Location"))
	require.Equal(t, http.StatusBadRequest, p.post("/language", url.Values{"language": {"xx\r\nA: b"}}).StatusCode)
}

// Every answer says what a browser may do with it, and that nobody keeps it: pages, errors,
// files, redirects, and what is not there.
func TestHeaders(t *testing.T) {
	h := newHouse(t, "headers")
	s := newSite(t, nil, h)
	of := furnish(h, s)
	kari := s.signedIn("kari", groupOf(h, signin.Administrator))
	answers := map[string]answer{
		"nobody": (&person{s, ""}).get("/o/" + h.short), "nothing": kari.get("/nothing"), "no API": kari.get("/api/nothing"), "static": kari.get("/static/console.css"), "no static": kari.get("/static/x"), "folder": kari.get("/static/"),
		"home": kari.get("/"), "no key": kari.send("/api/v1/organizations/"+h.short+"/attention/acknowledge", "{}", ""), "cross": kari.post("/language", nil, "Origin", "null"), "OpenAPI": kari.get("/api/v1/openapi.json"), "signed out": kari.get(signin.SignedOutPath),
		"large": kari.post("/o/"+h.short+"/attention/acknowledge", url.Values{"x": {strings.Repeat("x", maxBody)}}), "method": kari.post("/o/"+h.short+"/history", nil), "callback": kari.get(signin.CallbackPath + "?code=x&state=y"), "cleaned": kari.get("//x"),
	}
	for _, a := range everything() {
		s.free()
		if a.method == http.MethodGet {
			answers[a.path] = kari.get(a.fill(h.short, of))
		} else {
			answers[a.path+" as a form"] = kari.post(a.fill(h.short, of), nil)
		}
	}
	for name, res := range answers {
		header := res.Header
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), name)
		require.Equal(t, "DENY", header.Get("X-Frame-Options"), name)
		require.Equal(t, "no-referrer", header.Get("Referrer-Policy"), name)
		require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'", name)
		for _, loose := range []string{"unsafe", "*", "data:", "http:"} {
			require.NotContains(t, header.Get("Content-Security-Policy"), loose, name)
		}
		switch name {
		case "static":
			require.Equal(t, "no-cache", header.Get("Cache-Control"), name)
		case "no static", "folder": // nothing of anybody
		default:
			require.Equal(t, "no-store", header.Get("Cache-Control"), name)
		}
		if res.body != "" {
			require.NotEmpty(t, header.Get("Content-Type"), name)
		}
		require.Empty(t, header.Get("Server")+header.Get("X-Powered-By"), name)
	}
}

// failing is a database that answers so many transactions.
type failing struct {
	runlog.Beginner
	left int
}

func (f *failing) BeginTx(ctx context.Context, o pgx.TxOptions) (pgx.Tx, error) {
	if f.left--; f.left < 0 {
		return nil, errors.New("it broke")
	}
	tx, err := f.Beginner.(interface {
		BeginTx(context.Context, pgx.TxOptions) (pgx.Tx, error)
	}).BeginTx(ctx, o)
	return failingTx{tx, f}, err
}

// failingTx is a transaction in which others are counted too.
type failingTx struct {
	pgx.Tx
	of *failing
}

func (f failingTx) Begin(ctx context.Context) (pgx.Tx, error) {
	if f.of.left--; f.of.left < 0 {
		return nil, errors.New("it broke")
	}
	tx, err := f.Tx.Begin(ctx)
	return failingTx{tx, f.of}, err
}

func (f *failing) Begin(ctx context.Context) (pgx.Tx, error) {
	return f.BeginTx(ctx, pgx.TxOptions{})
}

// A file of which a part was sent when something broke does not look whole: the connection ends.
func TestBrokenDownload(t *testing.T) {
	h := newHouse(t, "broken")
	s := newSite(t, nil, h)
	of := furnish(h, s)
	kari := s.signedIn("kari", groupOf(h, signin.Viewer))
	path := "/o/" + h.short + "/periods/" + of["integration"] + "/2026-10/vouchers/vouchers.csv"
	whole := kari.get(path)
	require.Equal(t, http.StatusOK, whole.StatusCode)
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(whole.body, "\ufeff"))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 3)
	cut := false
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // which would ask again
	for left := range 40 {
		s.console.DB = &failing{Beginner: login, left: left}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.server.URL+path, nil)
		require.NoError(t, err)
		req.AddCookie(&http.Cookie{Name: "ledgerline", Value: kari.cookie})
		res, err := client.Do(req)
		if err != nil {
			cut = true
			continue
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		cut = cut || err != nil
		if err == nil && res.StatusCode == http.StatusOK {
			require.Equal(t, whole.body, string(body), "a file that ends well is whole")
		}
	}
	require.True(t, cut, "none of the downloads broke in the middle")
	s.console.DB = login
}

// A page that is open is no longer notified of changes when its reader may not see it any more, and
// only pages that change are watched.
func TestStreamEnds(t *testing.T) {
	h := newHouse(t, "stream")
	s := newSite(t, nil, h)
	of := furnish(h, s)
	kari := s.signedIn("kari", groupOf(h, signin.Finance))
	for _, v := range views {
		a := asked{path: pagePath + v.path}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.server.URL+a.fill(h.short, of), nil)
		require.NoError(t, err)
		req.Header.Set("Accept", "text/event-stream")
		req.AddCookie(&http.Cookie{Name: "ledgerline", Value: kari.cookie})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		res, err := http.DefaultClient.Do(req.WithContext(ctx))
		require.NoError(t, err)
		isLive := false
		for _, name := range live {
			isLive = isLive || name == v.name
		}
		if v.name == "call" {
			require.Equal(t, http.StatusNotFound, res.StatusCode, "there is none")
		} else {
			require.Equal(t, isLive, res.Header.Get("Content-Type") == "text/event-stream", v.name)
		}
		cancel()
		res.Body.Close()
	}

	// The role is withdrawn: the stream ends at the next check.
	r := &request{c: s.console, now: time.Now(), said: s.console.printers["en"], name: "overview"}
	r.Request = httptest.NewRequest(http.MethodGet, s.server.URL+"/o/"+h.short, nil)
	r.AddCookie(&http.Cookie{Name: "ledgerline", Value: kari.cookie})
	require.NoError(t, r.signIn())
	var err error
	r.org, err = runlog.FindOrganization(t.Context(), login, h.short)
	require.NoError(t, err)
	require.NoError(t, r.permit(signin.Finance))
	require.Error(t, r.permit(signin.Administrator))
	r.who.Roles = nil
	require.Error(t, r.permit(signin.Viewer))
}
