package signin_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/console/signin"
)

// ask makes a request with Authorization headers.
func (w *world) ask(s *signin.SignIn, values ...string) (signin.Identity, error) {
	r := httptest.NewRequest(http.MethodGet, w.console.URL+"/api/v1", nil)
	for _, v := range values {
		r.Header.Add("Authorization", v)
	}
	return s.Who(r)
}

func TestAccessTokens(t *testing.T) {
	w := newWorld(t, nil)
	who, err := w.ask(w.signin, "Bearer "+w.issuer.access(map[string]any{"aud": audience, "groups": "Auditors"}))
	require.NoError(t, err)
	role, ok := who.Role(eksempel)
	require.True(t, ok)
	require.Equal(t, signin.Viewer, role)
	require.Len(t, who.Organizations(), 3)
	who, err = w.ask(w.signin, "bearer "+w.issuer.access(map[string]any{"aud": []string{"x", audience}, "groups": nil, "name": nil, "preferred_username": nil}))
	require.NoError(t, err, "somebody without a role is somebody")
	require.Empty(t, who.Organizations())
	require.Equal(t, "kari's subject", who.Actor())

	foreign := newIssuer(t)
	for name, c := range map[string]struct {
		values []string
		reason signin.Reason
	}{
		"empty":             {[]string{""}, signin.BadToken},
		"no token":          {[]string{"Bearer "}, signin.BadToken},
		"basic":             {[]string{"Basic a2FyaTprYXJp"}, signin.BadToken},
		"two":               {[]string{"Bearer " + w.issuer.access(map[string]any{"aud": audience}), "Bearer x"}, signin.BadToken},
		"huge":              {[]string{"Bearer " + strings.Repeat("x", 1<<20)}, signin.BadToken},
		"another audience":  {[]string{"Bearer " + w.issuer.access(map[string]any{"aud": clientID})}, signin.BadToken},
		"expired":           {[]string{"Bearer " + w.issuer.access(map[string]any{"aud": audience, "exp": time.Now().Add(-time.Second).Unix()})}, signin.BadToken},
		"another issuer":    {[]string{"Bearer " + w.issuer.access(map[string]any{"aud": audience, "iss": "https://sts.windows.net/tenant/"})}, signin.BadToken},
		"another's":         {[]string{"Bearer " + foreign.access(map[string]any{"aud": audience})}, signin.BadToken},
		"another's, posing": {[]string{"Bearer " + foreign.access(map[string]any{"aud": audience, "iss": w.issuer.URL})}, signin.BadToken},
		"an ID token":       {[]string{"Bearer " + w.issuer.access(map[string]any{"aud": audience, "nonce": "n"})}, signin.BadToken},
		"a logout token":    {[]string{"Bearer " + w.issuer.access(map[string]any{"aud": audience, "events": map[string]any{}})}, signin.BadToken},
		"alg none":          {[]string{"Bearer " + byHand(`{"alg":"none"}`, jsonOf(w.issuer.person(map[string]any{"aud": audience})), func(string) []byte { return nil })}, signin.BadToken},
		"HS256":             {[]string{"Bearer " + byHand(`{"alg":"HS256","kid":"key"}`, jsonOf(w.issuer.person(map[string]any{"aud": audience})), hmacBy(secret))}, signin.BadToken},
		"a key of its own": {[]string{"Bearer " + byHand(`{"alg":"ES256","kid":"key","jku":"`+foreign.URL+`/keys"}`, jsonOf(w.issuer.person(map[string]any{"aud": audience})),
			func(string) []byte { return make([]byte, 64) })}, signin.BadToken},
		"groups left out": {[]string{"Bearer " + w.issuer.access(map[string]any{"aud": audience, "groups": nil,
			"_claim_names": map[string]string{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]string{"endpoint": foreign.URL + "/groups"}}})}, signin.TooManyGroups},
		"a session's token": {[]string{"Bearer " + strings.Repeat("A", 43)}, signin.BadToken},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.ask(w.signin, c.values...)
			require.Error(t, err)
			require.Equal(t, c.reason, err.(*signin.Error).Reason, err)
			require.Less(t, len(err.Error()), 1000)
		})
	}
	require.Zero(t, foreign.fetched("/keys")+foreign.fetched("/groups"), "a token leads nowhere")

	w.move(2 * time.Hour)
	_, err = w.ask(w.signin, "Bearer "+w.issuer.access(map[string]any{"aud": audience}))
	require.ErrorIs(t, err, signin.ErrNobody)

	none := w.another(func(o *signin.Options) { o.Audience = "" })
	_, err = w.ask(none, "Bearer "+w.issuer.access(map[string]any{"aud": ""}))
	require.ErrorIs(t, err, signin.ErrNobody)
	require.ErrorContains(t, err, "no access tokens")
}

func jsonOf(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// A token in the Authorization header is all that counts: a cookie beside it adds nothing.
func TestOneIdentity(t *testing.T) {
	w := newWorld(t, nil)
	c := w.browser(nil)
	w.get(c, signin.BeginPath)
	r := httptest.NewRequest(http.MethodGet, w.console.URL, nil)
	require.True(t, signin.FromCookie(r))
	for name, value := range w.cookies(c) {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	r.Header.Set("Authorization", "")
	require.False(t, signin.FromCookie(r))
	_, err := w.signin.Who(r)
	require.ErrorIs(t, err, signin.ErrNobody)
}

// Whoever invents keys makes the console ask for them no more than once in ten seconds.
func TestKeysAreFetchedSparingly(t *testing.T) {
	w := newWorld(t, nil)
	for range 100 {
		_, err := w.ask(w.signin, "Bearer "+byHand(`{"alg":"ES256","kid":"x"}`, `{"iss":"https://evil.example"}`, func(string) []byte { return make([]byte, 64) }))
		require.ErrorIs(t, err, signin.ErrNobody)
	}
	require.Zero(t, w.issuer.fetched("/keys"), "they are of another issuer")
	for range 100 {
		_, err := w.ask(w.signin, "Bearer "+oidctest.SignIDToken(w.issuer.key, uuid.NewString(), "ES256", jsonOf(w.issuer.person(map[string]any{"aud": audience}))))
		require.ErrorIs(t, err, signin.ErrNobody)
	}
	require.LessOrEqual(t, w.issuer.fetched("/keys"), 2)
	// A key that is new at the issuer is known soon after, and an issuer that is down is no bad token.
	next := newIssuer(t)
	w.issuer.set(func() { w.issuer.key = next.key })
	token := w.issuer.access(map[string]any{"aud": audience})
	w.move(11 * time.Second)
	// The key set shares the end of the fetch before, so a request right after it may still see the old keys.
	soon := func(token string, as func(error) bool) {
		t.Helper()
		require.Eventually(t, func() bool {
			_, err := w.ask(w.signin, "Bearer "+token)
			return as(err)
		}, 10*time.Second, time.Millisecond)
	}
	soon(token, func(err error) bool { return err == nil })
	w.issuer.set(func() { w.issuer.down = true })
	_, err := w.ask(w.signin, "Bearer "+token)
	require.NoError(t, err, "keys that are known serve on")
	w.move(11 * time.Second)
	soon(oidctest.SignIDToken(w.issuer.key, "newer", "ES256", jsonOf(w.issuer.person(map[string]any{"aud": audience}))), func(err error) bool {
		return err.(*signin.Error).Reason == signin.Unavailable
	})
}

func TestDevelopment(t *testing.T) {
	kari := signin.Identity{Subject: "developer", Name: "Kari", Roles: map[uuid.UUID]signin.Role{eksempel: signin.Administrator}}
	for listen, ok := range map[string]bool{
		"127.0.0.1:8088": true, "[::1]:8088": true, "localhost:0": true, "127.9.9.9:1": true,
		":8088": false, "0.0.0.0:8088": false, "[::]:8088": false, "10.0.0.1:8088": false, "console.example.com:80": false, "": false, "localhost": false,
		"localhost.example.com:1": false, "127.0.0.1.example.com:1": false,
	} {
		_, err := signin.New(t.Context(), signin.Options{Development: &kari, Listen: listen})
		require.Equal(t, ok, err == nil, "%q: %v", listen, err)
	}
	_, err := signin.New(t.Context(), signin.Options{Development: &kari, Listen: "127.0.0.1:1", Issuer: "https://login.example.com"})
	require.ErrorContains(t, err, "want one of the two")
	_, err = signin.New(t.Context(), signin.Options{Development: &signin.Identity{}, Listen: "127.0.0.1:1"})
	require.ErrorContains(t, err, "no subject")

	s, err := signin.New(t.Context(), signin.Options{Development: &kari, Listen: "127.0.0.1:8088"})
	require.NoError(t, err)
	require.NoError(t, s.Check(t.Context()))
	require.Empty(t, s.IssuerSignOut())
	for name, c := range map[string]struct {
		host, from string
		header     string
		ok         bool
	}{
		"by address":           {"127.0.0.1:8088", "127.0.0.1:5", "", true},
		"by name":              {"localhost:8088", "127.0.0.1:5", "", true},
		"by IPv6":              {"[::1]:8088", "[::1]:5", "", true},
		"on the usual port":    {"localhost", "127.0.0.1:5", "", true},
		"DNS rebinding":        {"evil.example:8088", "127.0.0.1:5", "", false},
		"a name like it":       {"localhost.evil.example", "127.0.0.1:5", "", false},
		"an address like it":   {"127.0.0.1.evil.example:8088", "127.0.0.1:5", "", false},
		"another address":      {"10.0.0.1:8088", "127.0.0.1:5", "", false},
		"no host":              {"", "127.0.0.1:5", "", false},
		"from another machine": {"localhost:8088", "10.0.0.7:5", "", false},
		"through a proxy":      {"localhost:8088", "127.0.0.1:5", "X-Forwarded-For", false},
		"through another":      {"localhost:8088", "127.0.0.1:5", "Forwarded", false},
		"by name of a proxy":   {"localhost:8088", "127.0.0.1:5", "Via", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Host, r.RemoteAddr = c.host, c.from
			if c.header != "" {
				r.Header.Set(c.header, "")
			}
			who, err := s.Who(r)
			if !c.ok {
				require.Equal(t, signin.NotLoopback, err.(*signin.Error).Reason)
				require.NotErrorIs(t, err, signin.ErrNobody)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "Kari <developer>", who.Actor())
		})
	}
	for _, serve := range []http.HandlerFunc{s.Begin, s.SignOut, s.Callback} {
		r := httptest.NewRequest(http.MethodPost, "/?return=/o/eksempel", nil)
		r.Host, r.RemoteAddr = "localhost:8088", "127.0.0.1:5"
		w := httptest.NewRecorder()
		serve(w, r)
		require.Empty(t, w.Result().Cookies())
	}
}

// The path to come back to never leads to another host.
func TestReturn(t *testing.T) {
	w := newWorld(t, nil)
	for path, want := range map[string]string{
		"/o/eksempel?search=a%20b&after=x": "/o/eksempel?search=a%20b&after=x",
		"/":                                "/",
		"":                                 "/", "o": "/", "//evil.example": "/", "///evil.example": "/", "https://evil.example/": "/", "javascript:alert(1)": "/",
		`/\evil.example`: "/", `\\evil.example`: "/", "/\t/evil.example": "/", "/\n/evil.example": "/", " //evil.example": "/", "/%5cevil.example": "/", "/%2f/evil.example": "/",
		"/%2f%2fevil.example": "/", "https:evil.example": "/", "/o/\x00": "/", "/o/æ": "/", "/" + strings.Repeat("x", 1000): "/", "/%zz": "/",
		"/signin": "/", "/signin/callback?code=x": "/", "/signout": "/", "/signed-out/": "/", "/signinfo": "/signinfo",
	} {
		c := w.browser(nil)
		back := w.begin(c, path)
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		resp, _ := w.get(c, back.String())
		require.Equal(t, http.StatusSeeOther, resp.StatusCode)
		require.Equal(t, want, resp.Header.Get("Location"), "%q", path)
	}
	r := httptest.NewRequest(http.MethodGet, "https://console.example.com/o/x?a=b&c=d", nil)
	require.Equal(t, "/signin?return="+url.QueryEscape("/o/x?a=b&c=d"), signin.BeginURL(r))
	require.Equal(t, "/signin?return=%2F", signin.BeginURL(httptest.NewRequest(http.MethodPost, "/o/x", nil)))
}

// Whatever is asked for, a browser stays at the console.
func FuzzReturn(f *testing.F) {
	for _, s := range []string{"/o/x", "//x", `/\x`, "/%2f/x", "/.//x", "/a/..//x", "/;//x", "/?//x", "/#//x"} {
		f.Add(s)
	}
	base, _ := url.Parse("https://console.example.com/signin/callback")
	s, err := signin.New(f.Context(), signin.Options{Development: &signin.Identity{Subject: "developer"}, Listen: "127.0.0.1:1"})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, path string) {
		r := httptest.NewRequest(http.MethodGet, "http://localhost/?return="+url.QueryEscape(path), nil)
		r.RemoteAddr = "127.0.0.1:5"
		w := httptest.NewRecorder()
		s.Begin(w, r)
		to := w.Header().Get("Location")
		u, err := base.Parse(to)
		require.NoError(t, err)
		require.Equal(t, base.Host, u.Host)
		require.True(t, strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//") && !strings.HasPrefix(to, `/\`), to)
	})
}

func TestOptionsThatAreRefused(t *testing.T) {
	public := func(s string) func(*signin.Options) {
		return func(o *signin.Options) { o.PublicURL, _ = url.Parse(s) }
	}
	for name, c := range map[string]struct {
		change func(*signin.Options)
		says   string
	}{
		"no issuer":              {func(o *signin.Options) { o.Issuer = "" }, "the issuer is missing"},
		"an issuer in clear":     {func(o *signin.Options) { o.Issuer = "http://login.example.com" }, "want https"},
		"an issuer with a query": {func(o *signin.Options) { o.Issuer = "https://login.example.com/?x" }, "not a URL"},
		"any tenant":             {func(o *signin.Options) { o.Issuer = "https://login.microsoftonline.com/common/v2.0" }, "any tenant"},
		"any organization":       {func(o *signin.Options) { o.Issuer = "https://login.microsoftonline.com/organizations/v2.0" }, "any tenant"},
		"no client ID":           {func(o *signin.Options) { o.ClientID = "" }, "client ID"},
		"no secret":              {func(o *signin.Options) { o.ClientSecret = "" }, "client secret"},
		"no public URL":          {func(o *signin.Options) { o.PublicURL = nil }, "public URL is missing"},
		"in clear":               {public("http://console.example.com"), "want https"},
		"a path":                 {public("https://console.example.com/console"), "scheme and host only"},
		"a user":                 {public("https://kari:hush@console.example.com"), "scheme and host only"},
		"a long session":         {func(o *signin.Options) { o.SessionFor = 9 * time.Hour }, "want 1m to 8h"},
		"nobody has access":      {func(o *signin.Options) { o.Access = signin.Access{} }, "access file"},
		"no sessions":            {func(o *signin.Options) { o.Sessions = nil }, "sessions"},
		"a short key":            {func(o *signin.Options) { o.Key = []byte("hush") }, "has 4 bytes; want 32"},
		"an organization unknown": {func(o *signin.Options) {
			o.Access, _ = signin.ParseAccess("access.yaml", []byte("groups:\n  - group: x\n    role: viewer\n    organizations: [eksempel, nowhere]"))
		}, "access.yaml:4:31: organization nowhere: no organization nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			access, err := signin.ParseAccess("access.yaml", []byte(accessFile))
			require.NoError(t, err)
			o := signin.Options{Issuer: w.issuer.URL, ClientID: clientID, ClientSecret: secret, PublicURL: w.url, Access: access, Sessions: w.sessions, Find: find}
			c.change(&o)
			_, err = signin.New(t.Context(), o)
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "hush")
			require.NotContains(t, err.Error(), secret)
		})
	}
}
