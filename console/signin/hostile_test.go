package signin_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/console/signin"
)

const (
	clientID = "console"
	secret   = "a secret of the application"
	audience = "api://ledgerline"
	group    = "6c1f2f7e-8d0f-4b1e-9a55-2f6a3f1f0b11"
)

var eksempel = uuid.MustParse("7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10")

const accessFile = `groups:
  - {group: 6C1F2F7E-8D0F-4B1E-9A55-2F6A3F1F0B11, role: finance, organizations: [eksempel]}
  - {group: Auditors, role: viewer, organizations: [eksempel, other]}
  - {group: Auditors, role: administrator, organizations: [third]}
`

// find knows three organizations.
func find(_ context.Context, which string) (uuid.UUID, error) {
	switch which {
	case "eksempel":
		return eksempel, nil
	case "other", "third":
		return uuid.NewSHA1(eksempel, []byte(which)), nil
	}
	return uuid.Nil, fmt.Errorf("no organization %s in this database", which)
}

// clock is a time that tests move.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time       { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) move(d time.Duration) { c.ahead.Add(int64(d)) }

// issuer is one that says whatever a test wants. It checks what the console sends as a good one does.
type issuer struct {
	*httptest.Server
	t   *testing.T
	key *ecdsa.PrivateKey

	mu     sync.Mutex
	given  int
	codes  map[string]url.Values // of authorization requests, by code
	claims func(map[string]any)  // changes those of the next ID tokens
	sign   func(claims string) string
	answer func(q url.Values)               // changes the answer that a browser carries
	token  func(w http.ResponseWriter) bool // answers in the token endpoint's place
	extra  map[string]any                   // of the document
	down   bool                             // everything is 503
	fetch  map[string]int                   // requests by path
}

func newIssuer(t *testing.T) *issuer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	i := &issuer{t: t, key: key, codes: make(map[string]url.Values), fetch: make(map[string]int), extra: make(map[string]any)}
	i.sign = func(c string) string { return oidctest.SignIDToken(i.key, "key", "ES256", c) }
	i.Server = httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(i.Close)
	return i
}

// set changes the issuer under its lock.
func (i *issuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

func (i *issuer) fetched(path string) (n int) {
	i.set(func() { n = i.fetch[path] })
	return n
}

func (i *issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fetch[r.URL.Path]++
	if i.down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		d := map[string]any{"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys", "end_session_endpoint": i.URL + "/end"}
		maps.Copy(d, i.extra)
		_ = json.NewEncoder(w).Encode(d)
	case "/keys":
		(&oidctest.Server{PublicKeys: []oidctest.PublicKey{{PublicKey: crypto.PublicKey(&i.key.PublicKey), KeyID: "key", Algorithm: "ES256"}}}).ServeHTTP(w, r)
	case "/authorize":
		i.authorize(w, r)
	case "/token":
		i.exchange(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (i *issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("response_type") != "code" || q.Get("client_id") != clientID || q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 ||
		len(q.Get("state")) < 22 || len(q.Get("nonce")) < 22 || !strings.Contains(" "+q.Get("scope")+" ", " openid ") {
		i.t.Errorf("an authorization request that is not one: %v", q)
	}
	i.given++
	code := fmt.Sprint("code", i.given)
	i.codes[code] = q
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil {
		i.t.Error(err)
		return
	}
	answer := url.Values{"code": {code}, "state": {q.Get("state")}}
	if i.answer != nil {
		i.answer(answer)
	}
	back.RawQuery = answer.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (i *issuer) exchange(w http.ResponseWriter, r *http.Request) {
	refuse := func(code string) {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": code})
	}
	id, password, _ := r.BasicAuth()
	password, _ = url.QueryUnescape(password)
	code := r.FormValue("code")
	q, ok := i.codes[code]
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	switch {
	case i.token != nil && i.token(w):
		return
	case id != clientID || password != secret:
		refuse("invalid_client")
		return
	case !ok || q.Get("redirect_uri") != r.FormValue("redirect_uri") || base64.RawURLEncoding.EncodeToString(sum[:]) != q.Get("code_challenge"):
		refuse("invalid_grant")
		return
	}
	delete(i.codes, code)
	c := i.person(map[string]any{"aud": clientID, "nonce": q.Get("nonce")})
	if i.claims != nil {
		i.claims(c)
	}
	raw, err := json.Marshal(c)
	if err != nil {
		i.t.Error(err)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "opaque", "token_type": "Bearer", "id_token": i.sign(string(raw))})
}

// person are the claims of Kari.
func (i *issuer) person(more map[string]any) map[string]any {
	c := map[string]any{"iss": i.URL, "sub": "kari's subject", "name": "Kari Nordmann", "preferred_username": "kari@example.com",
		"groups": []string{group, "no business here"}, "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()}
	maps.Copy(c, more)
	return c
}

// access signs an access token.
func (i *issuer) access(more map[string]any) string {
	raw, err := json.Marshal(i.person(more))
	require.NoError(i.t, err)
	return i.sign(string(raw))
}

// byHand makes a token with a header and a signature of one's own.
func byHand(header, claims string, sign func(string) []byte) string {
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	return text + "." + b64(sign(text))
}

func hmacBy(key string) func(string) []byte {
	return func(text string) []byte {
		m := hmac.New(sha256.New, []byte(key))
		m.Write([]byte(text))
		return m.Sum(nil)
	}
}

// counted are sessions that a test can count and break.
type counted struct {
	signin.Sessions
	begun, ended, loaded atomic.Int32
	broken               atomic.Bool
	last                 atomic.Pointer[signin.Session] // that has begun
}

var errBroken = fmt.Errorf("no connection")

func (c *counted) Begin(ctx context.Context, hash []byte, s signin.Session) error {
	if c.broken.Load() {
		return errBroken
	}
	c.begun.Add(1)
	c.last.Store(&s)
	return c.Sessions.Begin(ctx, hash, s)
}

func (c *counted) Load(ctx context.Context, hash []byte) (*signin.Session, error) {
	c.loaded.Add(1)
	if c.broken.Load() {
		return nil, errBroken
	}
	return c.Sessions.Load(ctx, hash)
}

func (c *counted) End(ctx context.Context, hash []byte) error {
	if c.broken.Load() {
		return errBroken
	}
	c.ended.Add(1)
	return c.Sessions.End(ctx, hash)
}

// world is a console, its issuer and their clock.
type world struct {
	*clock
	t        *testing.T
	issuer   *issuer
	sessions *counted
	signin   *signin.SignIn
	console  *httptest.Server
	url      *url.URL
	last     atomic.Pointer[signin.Error] // that a request failed with
}

// newWorld starts a console that serves the handlers, and /who. change changes its options.
func newWorld(t *testing.T, change func(*signin.Options)) *world {
	w := &world{clock: new(clock), t: t, issuer: newIssuer(t)}
	w.sessions = &counted{Sessions: signin.InMemory(w.now)}
	mux := http.NewServeMux()
	w.console = httptest.NewTLSServer(mux)
	t.Cleanup(w.console.Close)
	var err error
	w.url, err = url.Parse(w.console.URL)
	require.NoError(t, err)
	w.signin = w.another(change)
	mux.HandleFunc(signin.BeginPath, func(rw http.ResponseWriter, r *http.Request) { w.signin.Begin(rw, r) })
	mux.HandleFunc(signin.CallbackPath, func(rw http.ResponseWriter, r *http.Request) { w.signin.Callback(rw, r) })
	mux.HandleFunc(signin.SignOutPath, func(rw http.ResponseWriter, r *http.Request) { w.signin.SignOut(rw, r) })
	mux.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) {
		who, err := w.signin.Who(r)
		if err != nil {
			http.Error(rw, err.Error(), err.(*signin.Error).Status())
			return
		}
		fmt.Fprint(rw, who.Actor())
	})
	return w
}

// another is a second process of the same console.
func (w *world) another(change func(*signin.Options)) *signin.SignIn {
	access, err := signin.ParseAccess("access.yaml", []byte(accessFile))
	require.NoError(w.t, err)
	o := signin.Options{Issuer: w.issuer.URL, ClientID: clientID, ClientSecret: secret, PublicURL: w.url, Audience: audience, Access: access, Sessions: w.sessions,
		Find: find, Key: []byte(strings.Repeat("k", signin.KeySize)), Now: w.now,
		Fail: func(rw http.ResponseWriter, _ *http.Request, err *signin.Error) {
			w.last.Store(err)
			http.Error(rw, err.Error(), err.Status())
		}}
	if change != nil {
		change(&o)
	}
	s, err := signin.New(w.t.Context(), o)
	require.NoError(w.t, err)
	return s
}

// browser is one that keeps cookies and follows redirects, until stop says so.
func (w *world) browser(stop func(*http.Request) bool) *http.Client {
	jar, err := cookiejar.New(nil)
	require.NoError(w.t, err)
	c := *w.console.Client()
	c.Jar = jar
	c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if stop != nil && stop(r) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return &c
}

// get asks the console, and returns the answer with its text.
func (w *world) get(c *http.Client, address string) (*http.Response, string) {
	if strings.HasPrefix(address, "/") {
		address = w.console.URL + address
	}
	resp, err := c.Get(address)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return resp, strings.TrimSpace(string(body))
}

// begin goes to the issuer and stops before the answer is taken, which it returns.
func (w *world) begin(c *http.Client, path string) *url.URL {
	stop := c.CheckRedirect
	defer func() { c.CheckRedirect = stop }()
	c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == signin.CallbackPath {
			return http.ErrUseLastResponse
		}
		return nil
	}
	resp, _ := w.get(c, signin.BeginPath+"?return="+url.QueryEscape(path))
	back, err := resp.Location()
	require.NoError(w.t, err)
	return back
}

// cookies are those that a browser has for the console, by name.
func (w *world) cookies(c *http.Client) map[string]string {
	all := make(map[string]string)
	for _, one := range c.Jar.Cookies(w.url) {
		all[one.Name] = one.Value
	}
	return all
}

// who asks as somebody with cookies.
func (w *world) who(s *signin.SignIn, cookies map[string]string) (signin.Identity, error) {
	r := httptest.NewRequest(http.MethodGet, w.console.URL+"/who", nil)
	for name, value := range cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return s.Who(r)
}
