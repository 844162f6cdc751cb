package signin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/console/signin"
)

func TestSignIn(t *testing.T) {
	w := newWorld(t, nil)
	c := w.browser(nil)
	_, text := w.get(c, signin.BeginPath+"?return="+url.QueryEscape("/o/eksempel?state=refused"))
	require.Equal(t, "Kari Nordmann <kari@example.com>", text)
	who, err := w.who(w.signin, w.cookies(c))
	require.NoError(t, err)
	role, ok := who.Role(eksempel)
	require.True(t, ok)
	require.Equal(t, signin.Finance, role)
	require.Len(t, who.Organizations(), 1)
	require.Equal(t, "kari's subject", who.Subject)
	require.Equal(t, []string{group}, w.sessions.last.Load().Groups, "of the groups only those that have access are kept")
	require.Equal(t, w.issuer.URL+"/end", w.signin.IssuerSignOut())

	w.move(signin.DefaultSession - time.Minute)
	_, err = w.who(w.signin, w.cookies(c))
	require.NoError(t, err)
	w.move(2 * time.Minute)
	_, err = w.who(w.signin, map[string]string{"__Host-ledgerline": w.cookies(c)["__Host-ledgerline"]})
	require.ErrorIs(t, err, signin.ErrNobody, "the session is over")
}

// Cookies are for this host and https only, no script sees them, and answers that set them are not kept.
func TestCookies(t *testing.T) {
	w := newWorld(t, nil)
	c := w.browser(func(*http.Request) bool { return true })
	resp, _ := w.get(c, signin.BeginPath)
	answers := []*http.Response{resp}
	to, err := resp.Location()
	require.NoError(t, err)
	resp, _ = w.get(c, to.String())
	back, err := resp.Location()
	require.NoError(t, err)
	resp, _ = w.get(c, back.String())
	answers = append(answers, resp)
	names := make(map[string]bool)
	for _, resp := range answers {
		require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
		require.Equal(t, "no-referrer", resp.Header.Get("Referrer-Policy"))
		for _, one := range resp.Cookies() {
			names[one.Name] = true
			require.True(t, strings.HasPrefix(one.Name, "__Host-") && one.Secure && one.HttpOnly && one.Path == "/" && one.Domain == "" && one.SameSite == http.SameSiteLaxMode, one.Raw)
			require.Less(t, len(one.Raw), 4096)
			require.LessOrEqual(t, one.MaxAge, int(signin.DefaultSession.Seconds()))
		}
	}
	require.Len(t, names, 2)
	require.NotContains(t, answers[0].Header.Get("Set-Cookie"), to.Query().Get("state"), "what the browser keeps is sealed")
}

// attack is something that is wrong with a sign-in.
type attack struct {
	claims func(map[string]any)
	sign   func(i *issuer) func(string) string
	answer func(url.Values)
	token  func(http.ResponseWriter) bool
	before func(w *world, c *http.Client, back *url.URL) // between the issuer's answer and its way back
	reason signin.Reason
	says   string
}

func foreignKey(*issuer) func(string) string {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return func(c string) string { return oidctest.SignIDToken(key, "key", "ES256", c) }
}

func answerWith(status int, body string) func(http.ResponseWriter) bool {
	return func(w http.ResponseWriter) bool {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}

func claim(name string, value any) func(map[string]any) {
	return func(c map[string]any) {
		if value == nil {
			delete(c, name)
		} else {
			c[name] = value
		}
	}
}

var attacks = map[string]attack{
	"another nonce":        {claims: claim("nonce", "another"), reason: signin.Untrusted},
	"no nonce":             {claims: claim("nonce", nil), reason: signin.Untrusted},
	"another audience":     {claims: claim("aud", "another"), reason: signin.Untrusted},
	"the API's audience":   {claims: claim("aud", audience), reason: signin.Untrusted},
	"no audience":          {claims: claim("aud", nil), reason: signin.Untrusted},
	"two audiences":        {claims: claim("aud", []string{clientID, "another"}), reason: signin.Untrusted},
	"for another party":    {claims: claim("azp", "another"), reason: signin.Untrusted},
	"another issuer":       {claims: claim("iss", "https://evil.example"), reason: signin.Untrusted},
	"expired":              {claims: claim("exp", time.Now().Add(-time.Second).Unix()), reason: signin.Untrusted},
	"never expires":        {claims: claim("exp", nil), reason: signin.Untrusted},
	"not valid yet":        {claims: claim("nbf", time.Now().Add(time.Hour).Unix()), reason: signin.Untrusted},
	"no subject":           {claims: claim("sub", nil), reason: signin.Untrusted},
	"an empty subject":     {claims: claim("sub", ""), reason: signin.Untrusted},
	"a long subject":       {claims: claim("sub", strings.Repeat("x", 256)), reason: signin.Untrusted},
	"a subject with a NUL": {claims: claim("sub", "a\x00b"), reason: signin.Untrusted},
	"groups of numbers":    {claims: claim("groups", []int{1}), reason: signin.Untrusted},
	"groups as an object":  {claims: claim("groups", map[string]any{group: true}), reason: signin.Untrusted},
	"groups left out": {claims: func(c map[string]any) {
		delete(c, "groups")
		c["_claim_names"] = map[string]any{"groups": "src1"}
		c["_claim_sources"] = map[string]any{"src1": map[string]any{"endpoint": "http://127.0.0.1:1/getMemberObjects"}}
	}, reason: signin.TooManyGroups, says: "Groups assigned to the application"},
	"groups left out in short": {claims: func(c map[string]any) { delete(c, "groups"); c["hasgroups"] = true }, reason: signin.TooManyGroups},

	"signed by nobody": {sign: func(*issuer) func(string) string {
		return func(c string) string { return byHand(`{"alg":"none"}`, c, func(string) []byte { return nil }) }
	}, reason: signin.Untrusted},
	"signed by the client secret": {sign: func(*issuer) func(string) string {
		return func(c string) string { return byHand(`{"alg":"HS256","kid":"key"}`, c, hmacBy(secret)) }
	}, reason: signin.Untrusted},
	"signed by another's key":  {sign: foreignKey, reason: signin.Untrusted},
	"no token at all":          {sign: func(*issuer) func(string) string { return func(string) string { return "" } }, reason: signin.Untrusted},
	"a token that is no token": {sign: func(*issuer) func(string) string { return func(string) string { return "a.b.c" } }, reason: signin.Untrusted},
	"claims that are no object": {sign: func(i *issuer) func(string) string {
		return func(string) string { return oidctest.SignIDToken(i.key, "key", "ES256", `[1]`) }
	}, reason: signin.Untrusted},

	"another state":        {answer: func(q url.Values) { q.Set("state", "another") }, reason: signin.NotBegun},
	"no state":             {answer: func(q url.Values) { q.Del("state") }, reason: signin.NotBegun},
	"two states":           {answer: func(q url.Values) { q.Add("state", q.Get("state")) }, reason: signin.NotBegun},
	"no code":              {answer: func(q url.Values) { q.Del("code") }, reason: signin.NotBegun},
	"an invented code":     {answer: func(q url.Values) { q.Set("code", "invented") }, reason: signin.NotBegun},
	"another one's answer": {answer: func(q url.Values) { q.Set("iss", "https://evil.example") }, reason: signin.Untrusted},
	"refused": {answer: func(q url.Values) {
		q.Del("code")
		q.Set("error", "access_denied")
		q.Set("error_description", "no\x1b[31m")
	}, reason: signin.Refused, says: `access_denied (no\u001b[31m)`},
	"an error of nobody's": {answer: func(q url.Values) { q.Set("error", "call 22334455"); q.Set("state", "x") }, reason: signin.NotBegun},

	"too late":  {before: func(w *world, _ *http.Client, _ *url.URL) { w.move(11 * time.Minute) }, reason: signin.NotBegun},
	"no cookie": {before: func(w *world, c *http.Client, _ *url.URL) { c.Jar = w.browser(nil).Jar }, reason: signin.NotBegun},
	"other's code": {before: func(w *world, c *http.Client, back *url.URL) { // login CSRF: the code of another sign-in, in this browser
		q := w.begin(w.browser(nil), "/").Query()
		q.Set("state", back.Query().Get("state"))
		back.RawQuery = q.Encode()
	}, reason: signin.NotBegun},
	"other's answer": {before: func(w *world, c *http.Client, back *url.URL) { *back = *w.begin(w.browser(nil), "/") }, reason: signin.NotBegun},

	"the secret has expired":  {token: answerWith(401, `{"error":"invalid_client","error_description":"AADSTS7000222"}`), reason: signin.Unavailable, says: "client secret"},
	"the issuer is throttled": {token: answerWith(429, `{}`), reason: signin.Unavailable},
	"the issuer fails":        {token: answerWith(502, `<html>`), reason: signin.Unavailable},
	"a page in place of JSON": {token: answerWith(200, `<html>`), reason: signin.Unavailable},
	"no ID token":             {token: answerWith(200, `{"access_token":"x","token_type":"Bearer"}`), reason: signin.Untrusted},
	"another error":           {token: answerWith(400, `{"error":"invalid_scope"}`), reason: signin.Untrusted},
}

func TestAnswersThatAreRefused(t *testing.T) {
	for name, a := range attacks {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			c := w.browser(nil)
			w.issuer.set(func() {
				w.issuer.claims, w.issuer.answer, w.issuer.token = a.claims, a.answer, a.token
				if a.sign != nil {
					w.issuer.sign = a.sign(w.issuer)
				}
			})
			back := w.begin(c, "/")
			if a.before != nil {
				a.before(w, c, back)
			}
			resp, text := w.get(c, back.String())
			failed := w.last.Load()
			require.NotNil(t, failed, text)
			require.Equal(t, a.reason, failed.Reason, "%s: %v", text, failed.Cause)
			require.Equal(t, failed.Status(), resp.StatusCode)
			require.Contains(t, text, a.says)
			require.NotContains(t, text, secret)
			require.Zero(t, w.sessions.begun.Load())
			require.NotContains(t, w.cookies(c), "__Host-ledgerline")
			require.Zero(t, w.issuer.fetched("/getMemberObjects"))
		})
	}
}

// One answer begins one session: a second time it is of no use, to whoever has it.
func TestReplay(t *testing.T) {
	w := newWorld(t, nil)
	c := w.browser(nil)
	back := w.begin(c, "/")
	kept := w.cookies(c)
	resp, _ := w.get(c, back.String())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.EqualValues(t, 1, w.sessions.begun.Load())

	other := w.browser(nil)
	resp, _ = w.get(other, back.String())
	require.Equal(t, http.StatusBadRequest, resp.StatusCode, "without the cookie")
	for name, value := range kept {
		other.Jar.SetCookies(w.url, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: true}})
	}
	resp, _ = w.get(other, back.String())
	require.Equal(t, http.StatusBadRequest, resp.StatusCode, "with the cookie, the issuer knows the code as used")
	require.EqualValues(t, 1, w.sessions.begun.Load())

	resp, text := w.get(c, back.String()) // by whom it is: the page is loaded again
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "Kari Nordmann <kari@example.com>", text)
	require.EqualValues(t, 1, w.sessions.begun.Load())
}

// A session that somebody has planted is not taken over, and ends with the sign-in.
func TestFixation(t *testing.T) {
	w := newWorld(t, nil)
	mallory := w.browser(nil)
	w.get(mallory, signin.BeginPath)
	planted := w.cookies(mallory)

	kari := w.browser(nil)
	kari.Jar.SetCookies(w.url, []*http.Cookie{{Name: "__Host-ledgerline", Value: planted["__Host-ledgerline"], Path: "/", Secure: true}})
	w.get(kari, signin.BeginPath)
	got := w.cookies(kari)
	require.NotEqual(t, planted["__Host-ledgerline"], got["__Host-ledgerline"])
	_, err := w.who(w.signin, got)
	require.NoError(t, err)
	_, err = w.who(w.signin, planted)
	require.ErrorIs(t, err, signin.ErrNobody)

	r := httptest.NewRequest(http.MethodGet, w.console.URL, nil)
	r.AddCookie(&http.Cookie{Name: "__Host-ledgerline", Value: got["__Host-ledgerline"]})
	r.AddCookie(&http.Cookie{Name: "__Host-ledgerline", Value: got["__Host-ledgerline"]})
	_, err = w.signin.Who(r)
	require.ErrorIs(t, err, signin.ErrNobody, "which of two cookies is the right one nobody knows")
	_, err = w.who(w.signin, map[string]string{"ledgerline": got["__Host-ledgerline"]})
	require.ErrorIs(t, err, signin.ErrNobody, "a cookie without the prefix can come from anywhere")
	before := w.sessions.loaded.Load()
	for _, value := range []string{"", "x", got["__Host-ledgerline"] + "=", strings.Repeat("x", 100_000)} {
		_, err = w.who(w.signin, map[string]string{"__Host-ledgerline": value})
		require.ErrorIs(t, err, signin.ErrNobody)
	}
	require.Equal(t, before, w.sessions.loaded.Load(), "what cannot be a token is not looked up")
	_, err = w.who(w.signin, map[string]string{"__Host-ledgerline": strings.Repeat("A", 43)})
	require.ErrorIs(t, err, signin.ErrNobody)
}

func TestSignOut(t *testing.T) {
	w := newWorld(t, nil)
	c := w.browser(func(r *http.Request) bool { return r.URL.Path == signin.SignedOutPath })
	w.get(c, signin.BeginPath)
	kept := w.cookies(c)

	resp, _ := w.get(c, signin.SignOutPath)
	require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode, "a link or a picture signs nobody out")
	w.sessions.broken.Store(true)
	resp, err := c.PostForm(w.console.URL+signin.SignOutPath, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Equal(t, kept, w.cookies(c), "nothing has ended, so the cookie stays")
	w.sessions.broken.Store(false)

	resp, err = c.PostForm(w.console.URL+signin.SignOutPath, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSeeOther, resp.StatusCode)
	require.Equal(t, signin.SignedOutPath, resp.Header.Get("Location"))
	require.Equal(t, `"cache"`, resp.Header.Get("Clear-Site-Data"))
	require.Empty(t, w.cookies(c))
	_, err = w.who(w.signin, kept)
	require.ErrorIs(t, err, signin.ErrNobody, "whoever has kept the cookie has nothing")

	many := httptest.NewRequest(http.MethodPost, w.console.URL+signin.SignOutPath, nil)
	for range 1000 {
		many.AddCookie(&http.Cookie{Name: "__Host-ledgerline", Value: strings.Repeat("A", 43)})
	}
	before := w.sessions.ended.Load()
	w.signin.SignOut(httptest.NewRecorder(), many)
	require.LessOrEqual(t, w.sessions.ended.Load()-before, int32(4), "one request does not make a thousand")

	resp, _ = w.get(w.browser(func(*http.Request) bool { return true }), signin.BeginPath+"?account=choose")
	require.Contains(t, resp.Header.Get("Location"), "prompt=select_account")
}

// A sign-in goes on in another process of the console, and a session too; not without the same key,
// application and issuer.
func TestRestart(t *testing.T) {
	w := newWorld(t, nil)
	c := w.browser(nil)
	back := w.begin(c, "/")
	w.signin = w.another(func(o *signin.Options) { o.Key = nil })
	resp, _ := w.get(c, back.String())
	require.Equal(t, http.StatusBadRequest, resp.StatusCode, "another key")
	w.signin = w.another(nil)
	resp, _ = w.get(c, back.String())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	w.signin = w.another(func(o *signin.Options) { o.Key = nil })
	_, err := w.who(w.signin, w.cookies(c))
	require.NoError(t, err)

	for name, change := range map[string]func(*signin.Options){
		"application": func(o *signin.Options) { o.ClientID = "another" },
		"issuer":      func(o *signin.Options) { o.Issuer = "https://login.example.com" },
	} {
		_, err = w.who(w.another(change), w.cookies(c))
		require.ErrorIs(t, err, signin.ErrNobody, "a session of another %s", name)
	}
	_, err = w.who(w.another(func(o *signin.Options) {
		o.Access, err = signin.ParseAccess("access.yaml", []byte("groups: [{group: others, role: viewer, organizations: [eksempel]}]"))
		require.NoError(t, err)
	}), w.cookies(c))
	require.NoError(t, err)
}

// A role that is taken from a group is gone with the next start, for sessions too.
func TestAccessIsReadAgain(t *testing.T) {
	w := newWorld(t, nil)
	c := w.browser(nil)
	w.get(c, signin.BeginPath)
	changed, err := signin.ParseAccess("access.yaml", []byte("groups: [{group: "+group+", role: viewer, organizations: [other]}]"))
	require.NoError(t, err)
	who, err := w.who(w.another(func(o *signin.Options) { o.Access = changed }), w.cookies(c))
	require.NoError(t, err)
	_, ok := who.Role(eksempel)
	require.False(t, ok)
}

// The issuer need not be there for the console to start and for people who have sessions.
func TestIssuerIsDown(t *testing.T) {
	w := newWorld(t, nil)
	w.issuer.set(func() { w.issuer.down = true })
	require.Equal(t, signin.Unavailable, w.signin.Check(t.Context()).(*signin.Error).Reason)
	c := w.browser(nil)
	resp, _ := w.get(c, signin.BeginPath)
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Equal(t, 1, w.issuer.fetched("/.well-known/openid-configuration"), "it is not asked at each request")
	w.issuer.set(func() { w.issuer.down = false })
	w.move(3 * time.Second)
	require.NoError(t, w.signin.Check(t.Context()))
	resp, _ = w.get(c, signin.BeginPath)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	w.issuer.set(func() { w.issuer.down = true })
	_, err := w.who(w.signin, w.cookies(c))
	require.NoError(t, err)
}

// That sessions cannot be read does not sign anybody out.
func TestSessionsAreDown(t *testing.T) {
	w := newWorld(t, nil)
	c := w.browser(nil)
	w.get(c, signin.BeginPath)
	w.sessions.broken.Store(true)
	_, err := w.who(w.signin, w.cookies(c))
	require.Error(t, err)
	require.NotErrorIs(t, err, signin.ErrNobody)
	require.ErrorIs(t, err, errBroken)
	require.NotContains(t, err.Error(), errBroken.Error())
	back := w.begin(c, "/")
	resp, _ := w.get(c, back.String())
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
}

// A document of the issuer cannot lead anywhere that is less safe, nor elsewhere with the secret.
func TestDocumentsThatAreRefused(t *testing.T) {
	for name, extra := range map[string]map[string]any{
		"another issuer":          {"issuer": "https://evil.example"},
		"a tenant to fill in":     {"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"},
		"sign-in in clear":        {"authorization_endpoint": "http://login.example.com/"},
		"tokens in clear":         {"token_endpoint": "http://login.example.com/"},
		"keys in clear":           {"jwks_uri": "http://login.example.com/"},
		"keys from a file":        {"jwks_uri": "file:///etc/passwd"},
		"a script as the sign-in": {"authorization_endpoint": "javascript:alert(1)"},
		"no token endpoint":       {"token_endpoint": ""},
		"a number as an endpoint": {"end_session_endpoint": 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.issuer.set(func() { w.issuer.extra = extra })
			require.Equal(t, signin.Untrusted, w.signin.Check(t.Context()).(*signin.Error).Reason)
		})
	}
	t.Run("sign-out in clear", func(t *testing.T) {
		w := newWorld(t, nil)
		w.issuer.set(func() { w.issuer.extra["end_session_endpoint"] = "javascript:alert(1)" })
		require.NoError(t, w.signin.Check(t.Context()))
		require.Empty(t, w.signin.IssuerSignOut())
	})
	t.Run("an answer must name its issuer", func(t *testing.T) {
		w := newWorld(t, nil)
		w.issuer.set(func() { w.issuer.extra["authorization_response_iss_parameter_supported"] = true })
		resp, _ := w.get(w.browser(nil), signin.BeginPath)
		require.Equal(t, http.StatusBadGateway, resp.StatusCode)
		w.issuer.set(func() { w.issuer.answer = func(q url.Values) { q.Set("iss", w.issuer.URL) } })
		resp, _ = w.get(w.browser(nil), signin.BeginPath)
		require.Equal(t, http.StatusOK, resp.StatusCode)
	})
	t.Run("a redirect from the token endpoint", func(t *testing.T) {
		w := newWorld(t, nil)
		elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the secret is carried elsewhere") }))
		defer elsewhere.Close()
		w.issuer.set(func() {
			w.issuer.token = func(rw http.ResponseWriter) bool {
				rw.Header().Set("Location", elsewhere.URL)
				rw.WriteHeader(http.StatusTemporaryRedirect)
				return true
			}
		})
		resp, _ := w.get(w.browser(nil), signin.BeginPath)
		require.Equal(t, http.StatusBadGateway, resp.StatusCode)
	})
	t.Run("an endless document", func(t *testing.T) {
		w := newWorld(t, nil)
		w.issuer.set(func() { w.issuer.extra["x"] = strings.Repeat("x", 2<<20) })
		require.Error(t, w.signin.Check(t.Context()))
	})
}

// What the issuer says of somebody is kept as text on one line.
func TestNamesAreText(t *testing.T) {
	w := newWorld(t, nil)
	w.issuer.set(func() {
		w.issuer.claims = func(c map[string]any) {
			c["name"], c["preferred_username"] = "Ola <ola@example.com>\r\n\x00\u202e"+strings.Repeat("x", 5000), "kari@example.com\x1b"
			c["email"], c["email_verified"] = "ola@example.com", false
		}
	})
	c := w.browser(nil)
	w.get(c, signin.BeginPath)
	who, err := w.who(w.signin, w.cookies(c))
	require.NoError(t, err)
	require.LessOrEqual(t, len(who.Actor()), 500)
	require.True(t, strings.HasSuffix(who.Actor(), ` <kari@example.com\u001b>`), who.Actor())
	require.Equal(t, 1, strings.Count(who.Actor(), "<"))
	b, err := json.Marshal(who.Name)
	require.NoError(t, err)
	require.NotContains(t, string(b), `\u202e"`)
}
