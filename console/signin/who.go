package signin

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// maxToken is the longest access token, in bytes. One of Entra ID has about 2 KB.
const maxToken = 16 << 10

// FromCookie reports whether the browser itself says who makes a request, so that another site can
// make it say so: the request has no Authorization header. In development mode that is every
// request's identity.
func FromCookie(r *http.Request) bool { return len(r.Header.Values("Authorization")) == 0 }

// Who is who makes a request: that of its Authorization header if it has one, and otherwise that of its session
// cookie. The error is an [*Error]. It is [ErrNobody] if nobody is signed in; one of another reason says that it
// cannot be known, or may not be. An identity may have no role anywhere.
func (s *SignIn) Who(r *http.Request) (Identity, error) {
	who := s.session
	switch {
	case s.o.Development != nil:
		who = s.developer
	case !FromCookie(r):
		who = s.bearer
	}
	i, err := who(r)
	if err != nil {
		return Identity{}, err
	}
	return i, nil
}

// session is the identity of a session cookie.
func (s *SignIn) session(r *http.Request) (Identity, *Error) {
	none := &Error{SignedOut, "nobody is signed in, or the session has ended; sign in", nil}
	token := s.cookieOf(r, sessionCookie)
	if len(token) != tokenLength {
		return Identity{}, none
	}
	p, err := s.o.Sessions.Load(r.Context(), s.hashOf(token))
	if err != nil {
		return Identity{}, storeFailed(err)
	}
	if p == nil {
		return Identity{}, none
	}
	return s.identity(*p), nil
}

// bearer is the identity of an access token.
func (s *SignIn) bearer(r *http.Request) (Identity, *Error) {
	bad := func(cause error, format string, args ...any) (Identity, *Error) {
		return Identity{}, &Error{BadToken, fmt.Sprintf(format, args...), cause}
	}
	if s.o.Audience == "" {
		return bad(nil, "this console accepts no access tokens; an administrator sets an audience for them")
	}
	all := r.Header.Values("Authorization")
	scheme, raw, ok := strings.Cut(all[0], " ")
	if len(all) != 1 || !ok || !strings.EqualFold(scheme, "Bearer") || raw == "" || len(raw) > maxToken {
		return bad(nil, "the Authorization header has no access token; want Authorization: Bearer TOKEN")
	}
	// Tokens of others cost no request for keys.
	if iss := claimedIssuer(raw); iss != s.o.Issuer {
		return bad(nil, "the access token is not of %s but of %q; of Entra ID, the API's tokens must be of version 2 (docs/console.md#entra-id)", s.o.Issuer, short(iss))
	}
	e, failed := s.issuer.get(r.Context())
	if failed != nil {
		return Identity{}, failed
	}
	token, wrong, unreachable := verify(r.Context(), e.access, raw)
	switch {
	case unreachable != nil:
		return Identity{}, s.issuer.unreachable(unreachable)
	case wrong != nil:
		return bad(wrong, "the access token is not valid: it has expired, is for another audience than %s, or is not signed by its issuer", s.o.Audience)
	}
	c, err := claimsOf(token)
	if err != nil {
		return bad(err, "the access token has no claims that can be read")
	}
	if c["nonce"] != nil || c["at_hash"] != nil || c["c_hash"] != nil || c["events"] != nil {
		return bad(errors.New("it has claims of another kind of token"), "this is an ID token or a logout token; want an access token")
	}
	p, failed := s.person(token)
	if failed != nil {
		return Identity{}, failed
	}
	if p.Name == "" { // a program: the application that asks
		p.Name = shown(c.text("app_displayname"))
	}
	return s.identity(p), nil
}

// claimedIssuer is who a token says it is of, which nothing shows yet.
func claimedIssuer(raw string) string {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var c claims
	if json.Unmarshal(payload, &c) != nil {
		return ""
	}
	return c.text("iss")
}
