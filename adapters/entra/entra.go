// Package entra fetches access tokens from Microsoft Entra ID with the OAuth
// 2.0 client credentials grant.
//
// A token is fetched once and kept until shortly before it expires; all who
// wait for the same token wait for one request, because Entra throttles an
// application that asks too often (docs/vendors.md#entra-errors) and every caller would
// pay for it. A token that the vendor refused can be dropped with
// [Tokens.Forget], after which the next caller fetches a fresh one.
//
// The package never decides by AADSTS numbers or by texts: see codes.go.
package entra

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/sync/singleflight"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/redact"
)

// defaultAuthority is where tokens come from unless an integration's setting
// "authority" says otherwise.
const defaultAuthority = "https://login.microsoftonline.com"

// expiryMargin is how long before its end a token is no longer used, so that
// it cannot expire under way or because the clocks differ a little.
const expiryMargin = 2 * time.Minute

// fetchTimeout bounds one token request. It is independent of the caller, so
// that one caller who gives up does not take the token from the others.
const fetchTimeout = 8 * time.Second

// Tokens is a cache of access tokens. It is safe for concurrent use.
type Tokens struct {
	mu     sync.Mutex
	held   map[string]*oauth2.Token
	flight singleflight.Group
}

// NewTokens returns an empty cache.
func NewTokens() *Tokens { return &Tokens{held: make(map[string]*oauth2.Token)} }

// Token returns an access token for an integration, and whether it came from
// the cache. scope is the resource's, such as
// "https://org.crm4.dynamics.com/.default". It reads the settings tenantId,
// clientId and authority and the credential clientSecret.
func (t *Tokens) Token(ctx context.Context, c *adapters.Conn, scope string) (token string, cached bool, v classify.Verdict) {
	cfg, missing := config(c, scope)
	if missing != nil {
		return "", false, *missing
	}
	key := cacheKey(cfg)
	t.mu.Lock()
	held := t.held[key]
	t.mu.Unlock()
	if held != nil && time.Until(held.Expiry) > expiryMargin {
		c.AddSecret(held.AccessToken)
		return held.AccessToken, true, success
	}

	count := tokenCounter(c) // of whoever asks first: it is one request for all who wait
	done := t.flight.DoChan(key, func() (any, error) {
		// Detached from the caller: whoever else waits still gets the token.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		got, err := fetch(ctx, c.Client, cfg, count)
		if err == nil {
			t.mu.Lock()
			t.held[key] = got
			t.mu.Unlock()
		}
		return got, err
	})
	select {
	case <-ctx.Done():
		return "", false, classify.Err(ctx.Err())
	case r := <-done:
		if r.Err != nil {
			return "", false, verdictOf(r.Err)
		}
		got := r.Val.(*oauth2.Token)
		c.AddSecret(got.AccessToken)
		return got.AccessToken, false, success
	}
}

func tokenCounter(c *adapters.Conn) func() {
	defer c.For(limits.Token)()
	return c.Counter()
}

// Forget drops a token that the vendor refused. A token that has been renewed
// in the meantime stays.
func (t *Tokens) Forget(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, held := range t.held {
		if held.AccessToken == token {
			delete(t.held, key)
		}
	}
}

var success = classify.Verdict{Class: classify.Success, Kind: classify.OK}

func config(c *adapters.Conn, scope string) (*clientcredentials.Config, *classify.Verdict) {
	secret, missing := c.Credential("clientSecret")
	if missing != nil {
		return nil, missing
	}
	for _, name := range []string{"tenantId", "clientId"} {
		if c.Settings[name] == "" {
			v := classify.NewVerdict(classify.Configuration, "settings."+name, "the integration has no setting "+name)
			return nil, &v
		}
	}
	authority := c.Settings["authority"]
	if authority == "" {
		authority = defaultAuthority
	}
	return &clientcredentials.Config{
		ClientID:     c.Settings["clientId"],
		ClientSecret: secret,
		TokenURL:     strings.TrimRight(authority, "/") + "/" + url.PathEscape(c.Settings["tenantId"]) + "/oauth2/v2.0/token",
		Scopes:       []string{scope},
		AuthStyle:    oauth2.AuthStyleInParams, // detecting it would send every request twice
	}, nil
}

// cacheKey tells tokens apart; a rotated secret gets a token of its own. It is
// a hash so that the map holds no secret.
func cacheKey(c *clientcredentials.Config) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", c.TokenURL, c.ClientID, c.ClientSecret, c.Scopes))
	return string(sum[:])
}

// fetch asks for a token once, through the guarded client.
func fetch(ctx context.Context, client *adapters.Client, cfg *clientcredentials.Config, sent func()) (*oauth2.Token, error) {
	seen := &exchange{client: client, sent: sent}
	token, err := cfg.Token(context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: seen}))
	switch {
	case seen.verdict.Class != classify.Success && seen.verdict.Class != "":
		return nil, refusedError{seen.verdict}
	case err != nil:
		return nil, err
	case len(token.AccessToken) > redact.MaxSecret:
		return nil, refusedError{classify.NewVerdict(classify.InvalidResponse, "token:size",
			fmt.Sprintf("the access token has %d bytes; at most %d are masked wherever they come back, so a longer one is not used", len(token.AccessToken), redact.MaxSecret))}
	case token.Expiry.IsZero():
		token.Expiry = time.Now().Add(expiryMargin + time.Minute) // no expires_in: use it briefly
	}
	return token, nil
}

// exchange lets the oauth2 package send its request through
// [adapters.Client.Do], and keeps the verdict on the answer.
type exchange struct {
	client  *adapters.Client
	sent    func()
	verdict classify.Verdict
}

// RoundTrip implements [http.RoundTripper].
func (e *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	defer r.Body.Close()
	form, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var a adapters.Answer
	a, e.verdict = e.client.Do(r.Context(), adapters.Request{
		Adapter: "entra", Hosts: adapters.EntraHosts, Method: r.Method, URL: r.URL, Header: r.Header, Body: form, Op: classify.Token, Codes: Codes, Sent: e.sent,
	})
	if e.verdict.Class != classify.Success {
		return nil, refusedError{e.verdict}
	}
	return &http.Response{
		StatusCode: a.Status, Header: a.Header, Request: r, ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader(string(a.Body))), ContentLength: int64(len(a.Body)),
	}, nil
}

// refusedError carries a verdict through the oauth2 package as an error.
type refusedError struct{ verdict classify.Verdict }

// Error implements error.
func (r refusedError) Error() string { return r.verdict.Message }

func verdictOf(err error) classify.Verdict {
	var r refusedError
	if errors.As(err, &r) {
		v := r.verdict
		v.Message = "token endpoint: " + v.Message
		return v
	}
	return classify.NewVerdict(classify.InvalidResponse, "token:response", "token endpoint: the answer holds no usable token")
}
