package signin

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// exchangeTime is how long the exchange of a code may take, keys included.
const exchangeTime = 20 * time.Second

// Begin sends a browser to the issuer. The query's return is the path to come back to; with
// account=choose the issuer asks which account is meant, as after signing out.
func (s *SignIn) Begin(w http.ResponseWriter, r *http.Request) {
	private(w)
	back := LocalPath(r.URL.Query().Get("return"))
	if s.o.Development != nil {
		if _, err := s.developer(r); err != nil {
			s.o.Fail(w, r, err)
			return
		}
		http.Redirect(w, r, back, http.StatusSeeOther)
		return
	}
	e, failed := s.issuer.get(r.Context())
	if failed != nil {
		s.o.Fail(w, r, failed)
		return
	}
	f := flow{State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier(), Return: back, Until: s.o.Now().Add(signInTime)}
	sealed, err := s.sealFlow(f)
	if err != nil {
		s.o.Fail(w, r, &Error{Unavailable, "a sign-in cannot begin", err})
		return
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)}
	if r.URL.Query().Get("account") == "choose" {
		options = append(options, oauth2.SetAuthURLParam("prompt", "select_account"))
	}
	http.SetCookie(w, s.cookie(flowCookie, sealed, signInTime))
	http.Redirect(w, r, e.oauth.AuthCodeURL(f.State, options...), http.StatusSeeOther)
}

// Callback takes the issuer's answer, and begins a session with a new token.
func (s *SignIn) Callback(w http.ResponseWriter, r *http.Request) {
	private(w)
	if s.o.Development != nil {
		s.o.Fail(w, r, &Error{NotBegun, "in development mode nobody signs in; open the console's first page", nil})
		return
	}
	f, failed := s.begun(r)
	if failed != nil {
		if _, err := s.Who(r); err == nil { // another tab was faster
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
		s.o.Fail(w, r, failed)
		return
	}
	http.SetCookie(w, s.cookie(flowCookie, "", -1)) // it serves one answer
	select {
	case s.exchange <- struct{}{}:
		defer func() { <-s.exchange }()
	default:
		s.o.Fail(w, r, &Error{Unavailable, "too many people sign in at this moment; try again", nil})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), exchangeTime)
	defer cancel()
	person, failed := s.answered(ctx, f, r.URL.Query())
	if failed == nil {
		failed = s.begin(ctx, w, r, person)
	}
	if failed != nil {
		s.o.Fail(w, r, failed)
		return
	}
	http.Redirect(w, r, f.Return, http.StatusSeeOther)
}

// begun is the sign-in of this browser to which an answer belongs.
func (s *SignIn) begun(r *http.Request) (flow, *Error) {
	none := func(cause error) *Error {
		return &Error{NotBegun, "this answer belongs to no sign-in that this browser has begun in the last ten minutes; sign in again", cause}
	}
	f, err := s.openFlow(s.cookieOf(r, flowCookie))
	if err != nil {
		return flow{}, none(err)
	}
	if !same(r.URL.Query()["state"], f.State) {
		return flow{}, none(errors.New("the state is another"))
	}
	return f, nil
}

// same reports whether there is one value, which is the wanted one.
func same(got []string, want string) bool {
	return len(got) == 1 && want != "" && subtle.ConstantTimeCompare([]byte(got[0]), []byte(want)) == 1
}

// answered is who the issuer's answer is about.
func (s *SignIn) answered(ctx context.Context, f flow, q url.Values) (Session, *Error) {
	e, failed := s.issuer.get(ctx)
	if failed != nil {
		return Session{}, failed
	}
	if iss, ok := q["iss"]; (ok || e.namesItself) && !same(iss, s.o.Issuer) {
		return Session{}, &Error{Untrusted, "the answer comes from another issuer; sign in again", nil}
	}
	if code := q.Get("error"); code != "" {
		return Session{}, &Error{Refused, fmt.Sprintf("the issuer did not sign you in: %s (%s)", short(code), short(q.Get("error_description"))), nil}
	}
	token, err := e.oauth.Exchange(context.WithValue(ctx, oauth2.HTTPClient, s.issuer.client), q.Get("code"), oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return Session{}, s.notExchanged(err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return Session{}, &Error{Untrusted, "the issuer's answer has no ID token; the application must be one of OpenID Connect", nil}
	}
	id, wrong, unreachable := verify(oidc.ClientContext(ctx, s.issuer.client), e.ids, raw)
	switch {
	case unreachable != nil:
		return Session{}, s.issuer.unreachable(unreachable)
	case wrong != nil:
		return Session{}, &Error{Untrusted, "the issuer's ID token is not valid here; sign in again, and check issuer, client ID and clock if that does not help", wrong}
	case !same([]string{id.Nonce}, f.Nonce):
		return Session{}, &Error{Untrusted, "the issuer's ID token is of another sign-in; sign in again", errors.New("the nonce is another")}
	}
	c, err := claimsOf(id)
	if err != nil || c["azp"] != nil && c.text("azp") != s.o.ClientID || len(id.Audience) > 1 && c["azp"] == nil {
		return Session{}, &Error{Untrusted, "the issuer's ID token is for another application; sign in again", err}
	}
	return s.person(id)
}

// notExchanged says why the issuer gave no token. What it said is for the log, without what was sent.
func (s *SignIn) notExchanged(err error) *Error {
	var said *oauth2.RetrieveError
	if !errors.As(err, &said) {
		return s.issuer.unreachable(err)
	}
	cause := fmt.Errorf("the token endpoint answered %d %s: %s", said.Response.StatusCode, short(said.ErrorCode), short(said.ErrorDescription))
	switch {
	case said.ErrorCode == "invalid_client" || said.ErrorCode == "unauthorized_client" || said.Response.StatusCode == http.StatusUnauthorized:
		return &Error{Unavailable, "the issuer does not accept the console's own client secret, which may have expired; an administrator creates a new one and starts the console with it", cause}
	case said.ErrorCode == "invalid_grant":
		return &Error{NotBegun, "the issuer's answer was used already or came too late; sign in again", cause}
	case said.Response.StatusCode >= 500 || said.Response.StatusCode == http.StatusTooManyRequests:
		return s.issuer.unreachable(cause)
	}
	return &Error{Untrusted, "the issuer's token endpoint gave no token; sign in again, and look at the console's log if that does not help", cause}
}

// begin makes a session. One that the browser had before ends, so that no token outlives a sign-in.
func (s *SignIn) begin(ctx context.Context, w http.ResponseWriter, r *http.Request, p Session) *Error {
	if failed := s.end(ctx, r); failed != nil {
		return failed
	}
	token := random()
	p.StartedAt = s.o.Now()
	p.ExpiresAt = p.StartedAt.Add(s.o.SessionFor)
	if err := s.o.Sessions.Begin(ctx, s.hashOf(token), p); err != nil {
		return storeFailed(err)
	}
	http.SetCookie(w, s.cookie(sessionCookie, token, s.o.SessionFor))
	return nil
}

// maxEnded is how many sessions of a browser are ended; it has more than one only if they were planted.
const maxEnded = 4

// end ends the sessions of a request's cookies.
func (s *SignIn) end(ctx context.Context, r *http.Request) *Error {
	for i, c := range r.CookiesNamed(s.cookieName(sessionCookie)) {
		if i == maxEnded {
			break
		}
		if len(c.Value) != tokenLength {
			continue
		}
		if err := s.o.Sessions.End(ctx, s.hashOf(c.Value)); err != nil {
			return storeFailed(err)
		}
	}
	return nil
}

func storeFailed(err error) *Error {
	return &Error{Unavailable, "sessions cannot be read or written at this moment; try again", err}
}

// SignOut ends the session at the server and sends the browser to [SignedOutPath]. It takes a
// POST. The issuer's own session stays: see [SignIn.IssuerSignOut].
func (s *SignIn) SignOut(w http.ResponseWriter, r *http.Request) {
	private(w)
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		s.o.Fail(w, r, &Error{WrongMethod, "signing out is a POST; use the button", nil})
		return
	}
	if s.o.Development == nil {
		if failed := s.end(r.Context(), r); failed != nil {
			s.o.Fail(w, r, failed) // the cookie stays, so that it can be tried again
			return
		}
		http.SetCookie(w, s.cookie(sessionCookie, "", -1))
		w.Header().Set("Clear-Site-Data", `"cache"`)
	}
	http.Redirect(w, r, SignedOutPath, http.StatusSeeOther)
}

// IssuerSignOut is where somebody ends their session at the issuer, for a link on the page at
// [SignedOutPath]. It is empty if the issuer has no such place, or has not been asked yet.
func (s *SignIn) IssuerSignOut() string {
	if s.issuer == nil {
		return ""
	}
	if e, _ := s.issuer.last(); e != nil {
		return e.endSession
	}
	return ""
}

// Check asks the issuer for its document, if nobody has yet: at the start of a program, where
// [Unavailable] may pass and any other error is a setting that is wrong, and for a readiness check.
func (s *SignIn) Check(ctx context.Context) error {
	if s.issuer == nil {
		return nil
	}
	if _, err := s.issuer.get(ctx); err != nil {
		return err
	}
	return nil
}

// BeginURL is where a browser signs in and then comes back to the page that it asked for.
func BeginURL(r *http.Request) string {
	back := "/"
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		back = LocalPath(r.URL.RequestURI())
	}
	return BeginPath + "?return=" + url.QueryEscape(back)
}

// maxPath is the longest path to come back to, in bytes; a cookie holds it.
const maxPath = 1000

// LocalPath is a path of the console's, or its first page: never another host's, whatever a browser
// makes of it, and none of those by which one signs in.
func LocalPath(path string) string {
	const first = "/"
	odd := func(c rune) bool { return c <= ' ' || c == '\\' || c > '~' }
	if len(path) > maxPath || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsFunc(path, odd) {
		return first
	}
	u, err := url.Parse(path)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || strings.HasPrefix(u.Path, "//") || strings.Contains(u.Path, `\`) {
		return first
	}
	if slices.Contains([]string{BeginPath, CallbackPath, SignOutPath, SignedOutPath}, strings.TrimSuffix(u.Path, "/")) {
		return first
	}
	return path
}

// private keeps an answer out of caches, and its address, which may have a code, out of others' logs.
func private(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
}
