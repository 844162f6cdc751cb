package signin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Bounds of what is asked of the issuer.
const (
	issuerTimeout = 10 * time.Second
	maxAnswer     = 1 << 20
	askAgain      = 2 * time.Second  // after an error
	keysAgain     = 10 * time.Second // after keys: whoever invents key IDs makes no more requests than this
)

// algorithms are those by which tokens may be signed: none by a secret that the console has too.
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// issuer is what is known of the issuer. It is asked when it is first needed, so that the
// console starts, and people with sessions work, while it is down.
type issuer struct {
	o      Options
	client *http.Client

	asking chan struct{} // one asks at a time
	mu     sync.Mutex
	known  *endpoints
	failed *Error
	at     time.Time // of the failure
}

// endpoints are what the issuer's document says.
type endpoints struct {
	oauth       oauth2.Config
	ids         *oidc.IDTokenVerifier // of the application
	access      *oidc.IDTokenVerifier // of the API; nil if it takes no tokens
	endSession  string
	namesItself bool // its answers say who it is
}

func newIssuer(o Options) *issuer {
	client := o.Client
	if client == nil {
		client = &http.Client{Timeout: issuerTimeout}
	}
	bounded := *client
	bounded.Transport = &limited{next: client.Transport}
	bounded.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // a secret is not carried elsewhere
	return &issuer{o: o, client: &bounded, asking: make(chan struct{}, 1)}
}

// get returns the endpoints.
func (i *issuer) get(ctx context.Context) (*endpoints, *Error) {
	if e, err := i.last(); e != nil || err != nil {
		return e, err
	}
	select {
	case i.asking <- struct{}{}:
		defer func() { <-i.asking }()
	case <-ctx.Done():
		return nil, i.unreachable(ctx.Err())
	}
	if e, err := i.last(); e != nil || err != nil {
		return e, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), issuerTimeout) // others wait for the answer too
	defer cancel()
	e, err := i.discover(ctx)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.known, i.failed, i.at = e, err, i.o.Now()
	return e, err
}

func (i *issuer) last() (*endpoints, *Error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.failed != nil && i.o.Now().Sub(i.at) < askAgain {
		return nil, i.failed
	}
	return i.known, nil
}

func (i *issuer) unreachable(err error) *Error {
	return &Error{Unavailable, fmt.Sprintf("the issuer %s cannot be reached; try again, and look at its status if that does not help", i.o.Issuer), err}
}

// discover reads the issuer's document.
func (i *issuer) discover(ctx context.Context) (*endpoints, *Error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, i.client), i.o.Issuer)
	if other := new(oidc.IssuerMismatchError); errors.As(err, &other) {
		return nil, &Error{Untrusted, fmt.Sprintf("the issuer %s calls itself %s; if that is right, configure it in this form", i.o.Issuer, short(other.Discovered)), err}
	}
	if err != nil {
		return nil, i.unreachable(errors.New(short(err.Error())))
	}
	var d struct {
		Authorization string   `json:"authorization_endpoint"`
		Token         string   `json:"token_endpoint"`
		Keys          string   `json:"jwks_uri"`
		EndSession    string   `json:"end_session_endpoint"`
		Auth          []string `json:"token_endpoint_auth_methods_supported"`
		NamesItself   bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := provider.Claims(&d); err != nil {
		return nil, &Error{Untrusted, fmt.Sprintf("the document of the issuer %s cannot be read", i.o.Issuer), err}
	}
	for name, address := range map[string]string{"authorization_endpoint": d.Authorization, "token_endpoint": d.Token, "jwks_uri": d.Keys} {
		if !i.trusts(address) {
			return nil, &Error{Untrusted, fmt.Sprintf("the issuer %s names %q as its %s; want https", i.o.Issuer, short(address), name), nil}
		}
	}
	e := &endpoints{namesItself: d.NamesItself, oauth: oauth2.Config{
		ClientID: i.o.ClientID, ClientSecret: i.o.ClientSecret, Scopes: append([]string{oidc.ScopeOpenID}, i.o.Scopes...),
		RedirectURL: i.o.PublicURL.JoinPath(CallbackPath).String(),
		Endpoint:    oauth2.Endpoint{AuthURL: d.Authorization, TokenURL: d.Token, AuthStyle: oauth2.AuthStyleInHeader},
	}}
	if slices.Contains(d.Auth, "client_secret_post") && !slices.Contains(d.Auth, "client_secret_basic") {
		e.oauth.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	if i.trusts(d.EndSession) {
		e.endSession = d.EndSession
	}
	sparing := *i.client
	sparing.Transport = &spared{next: i.client.Transport, now: i.o.Now}
	keys := watched{oidc.NewRemoteKeySet(oidc.ClientContext(context.WithoutCancel(ctx), &sparing), d.Keys)}
	e.ids = oidc.NewVerifier(i.o.Issuer, keys, &oidc.Config{ClientID: i.o.ClientID, SupportedSigningAlgs: algorithms, Now: i.o.Now})
	if i.o.Audience != "" {
		e.access = oidc.NewVerifier(i.o.Issuer, keys, &oidc.Config{ClientID: i.o.Audience, SupportedSigningAlgs: algorithms, Now: i.o.Now})
	}
	return e, nil
}

// trusts reports whether an address of the issuer's document is as safe as the issuer's own.
func (i *issuer) trusts(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()) && strings.HasPrefix(i.o.Issuer, "http:"))
}

// watched notes that keys could not be fetched, which the verifier's error does not tell from a token
// that is wrong.
type watched struct{ oidc.KeySet }

type watchKey struct{}

// VerifySignature implements [oidc.KeySet].
func (k watched) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, jwt)
	if cause := errors.Unwrap(err); cause != nil { // the key set wraps only what the fetch said
		if at, ok := ctx.Value(watchKey{}).(*error); ok {
			*at = cause
		}
	}
	return payload, err
}

// verify checks a token. The first error is that of the token, the second that of keys which could not be
// fetched.
func verify(ctx context.Context, v *oidc.IDTokenVerifier, raw string) (token *oidc.IDToken, wrong, unreachable error) {
	token, wrong = v.Verify(context.WithValue(ctx, watchKey{}, &unreachable), raw)
	if unreachable != nil {
		return nil, nil, unreachable
	}
	return token, wrong, nil
}

// limited bounds the size of answers.
type limited struct{ next http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	next := l.next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

// spared repeats the last answer for a while.
type spared struct {
	next http.RoundTripper
	now  func() time.Time

	mu   sync.Mutex
	at   time.Time
	resp *http.Response
	body []byte
	err  error
}

// RoundTrip implements [http.RoundTripper]. One request is made at a time.
func (s *spared) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := keysAgain
	if s.err != nil || s.resp != nil && s.resp.StatusCode != http.StatusOK {
		wait = askAgain
	}
	if s.resp == nil && s.err == nil || s.now().Sub(s.at) >= wait {
		s.resp, s.err = s.next.RoundTrip(r)
		s.body = nil
		if s.err == nil {
			s.body, s.err = io.ReadAll(s.resp.Body)
			_ = s.resp.Body.Close()
		}
		s.at = s.now()
	}
	if s.err != nil {
		return nil, s.err
	}
	again := *s.resp
	again.Body = io.NopCloser(bytes.NewReader(s.body))
	again.Request = r
	return &again, nil
}
