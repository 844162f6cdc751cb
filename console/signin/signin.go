// Package signin knows who asks the console, and in which organizations they may do what.
//
// People sign in at an issuer of OpenID Connect, by the code flow with PKCE, and have a
// session from then on; programs bring an access token of the same issuer with each request.
// Both are an [Identity]: its groups are the issuer's word, and what a group may do in which
// organization is that of a file of the operator's ([Access]). So nobody has a role by a name,
// an address of mail or anything else that they can choose themselves, and no request names an
// organization that is not looked up among the identity's own.
//
// What a browser keeps is a random token; the session is at the server, under the token's
// hash, and ends there when somebody signs out. While somebody is at the issuer, a sealed
// cookie keeps what the answer must match, so that a sign-in outlives a restart of the console.
//
// A development mode takes everybody for one identity. It answers on loopback only.
//
// The package keeps no session itself ([Sessions]), knows no database and makes no page.
package signin

import (
	"cmp"
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
)

// How long things last.
const (
	LongestSession = 8 * time.Hour    // no session is longer
	DefaultSession = 4 * time.Hour    // half a working day
	signInTime     = 10 * time.Minute // from Begin to Callback
)

// The paths at which a program serves the handlers. The callback's is a part of the redirect
// URI that is registered at the issuer.
const (
	BeginPath     = "/signin"
	CallbackPath  = "/signin/callback"
	SignOutPath   = "/signout"
	SignedOutPath = "/signed-out" // a page of the console's, which needs no sign-in
)

// Options are what [New] needs.
type Options struct {
	// Issuer, ClientID and ClientSecret are those of the application at the issuer.
	Issuer, ClientID, ClientSecret string
	// PublicURL is how browsers reach the console, such as https://console.example.com. It has
	// no path. Plain http is allowed on loopback only.
	PublicURL *url.URL
	Scopes    []string // asked for beside openid; the default is profile and email
	// GroupsClaim is the claim that names somebody's groups; the default is groups. For app
	// roles of Entra ID it is roles.
	GroupsClaim string
	// Audience is that of access tokens for the API. If it is empty, no token is accepted.
	Audience string
	// Access is who may do what.
	Access Access
	// Find resolves the organizations that Access names, by short name or UUID.
	Find func(ctx context.Context, which string) (uuid.UUID, error)
	// Sessions keeps the sessions of people.
	Sessions Sessions
	// SessionFor is how long a session lasts; the default is [DefaultSession].
	SessionFor time.Duration
	// Key seals what a browser keeps during a sign-in: 32 bytes, the same in all processes that
	// serve the console. If there is none, it is random, and a sign-in that a restart
	// interrupts begins again.
	Key []byte
	// Client reaches the issuer; nil is one with bounds.
	Client *http.Client
	// Fail answers a request that failed. It sets the status of the error; nil is plain text.
	Fail func(w http.ResponseWriter, r *http.Request, err *Error)
	Now  func() time.Time

	// Development takes everybody for this identity. It excludes an issuer. Listen is then the address
	// on which the console listens, which must be loopback.
	Development *Identity
	Listen      string
}

// SignIn signs people in, and knows who makes a request. It is safe for concurrent use.
type SignIn struct {
	o        Options
	secure   bool // cookies are for https
	grants   map[string]map[uuid.UUID]Role
	seal     cipher.AEAD
	issuer   *issuer
	exchange chan struct{} // a place for each exchange at the issuer
}

// New checks the options and resolves the organizations of the access file. It does not ask
// the issuer: [SignIn.Check] does.
func New(ctx context.Context, o Options) (*SignIn, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Fail == nil {
		o.Fail = fail
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Development != nil {
		return &SignIn{o: o}, nil
	}
	if o.Sessions == nil || o.Find == nil {
		return nil, errors.New("sessions and a way to find organizations are missing")
	}
	o.GroupsClaim = cmp.Or(o.GroupsClaim, "groups")
	o.SessionFor = cmp.Or(o.SessionFor, DefaultSession)
	if o.Scopes == nil {
		o.Scopes = []string{"profile", "email"}
	}
	s := &SignIn{o: o, secure: o.PublicURL.Scheme == "https", exchange: make(chan struct{}, 16)}
	var err error
	if s.seal, err = newSeal(o.Key); err != nil {
		return nil, err
	}
	if s.grants, err = o.Access.resolve(ctx, o.Find); err != nil {
		return nil, err
	}
	s.issuer = newIssuer(o)
	return s, nil
}

// Validate joins all errors of what a person sets. It needs no database.
func (o Options) Validate() error {
	if o.Development != nil {
		return checkDevelopment(o)
	}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := checkIssuer(o.Issuer); err != nil {
		errs = append(errs, err)
	}
	if o.ClientID == "" {
		wrong("the client ID is missing; want that of the application at the issuer")
	}
	if o.ClientSecret == "" {
		wrong("the client secret is missing; create one for the application at the issuer")
	}
	switch u := o.PublicURL; {
	case u == nil:
		wrong("the public URL is missing; want the address that browsers open, such as https://console.example.com")
	case u.Host == "" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
		wrong("the public URL is %q; want scheme and host only, such as https://console.example.com", u.Redacted())
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		wrong("the public URL is %q; want https, since cookies and answers of the issuer must not be read on the way", u)
	}
	if o.SessionFor != 0 && (o.SessionFor < time.Minute || o.SessionFor > LongestSession) {
		wrong("a session lasts %s; want 1m to %s", o.SessionFor, LongestSession)
	}
	if len(o.Access.Groups) == 0 {
		wrong("no group has access; want an access file with groups")
	}
	return errors.Join(errs...)
}

// checkIssuer refuses an issuer that could not be trusted.
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case issuer == "":
		return errors.New("the issuer is missing; want its URL, such as https://login.microsoftonline.com/TENANT/v2.0")
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("the issuer is not a URL; want one such as https://login.microsoftonline.com/TENANT/v2.0")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fmt.Errorf("the issuer is %q; want https, since whoever answers in its place could sign in as anybody", issuer)
	}
	if first, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/"); strings.HasPrefix(u.Host, "login.microsoftonline.") && manyTenants[first] {
		return fmt.Errorf("the issuer is %q, which signs in people of any tenant; want that of your own: https://login.microsoftonline.com/TENANT/v2.0", issuer)
	}
	return nil
}

// manyTenants are the places of Entra ID that are no tenant.
var manyTenants = map[string]bool{"common": true, "organizations": true, "consumers": true}

// isLoopback reports whether a host name or address is this machine, whatever a resolver says.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}
