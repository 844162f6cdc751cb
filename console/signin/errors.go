package signin

import (
	"errors"
	"net/http"

	"github.com/ledgerline/ledgerline/plain"
)

// Reason is why somebody is not who they say, or cannot be known. The console has words for
// each in the reader's language.
type Reason string

// The reasons.
const (
	SignedOut     Reason = "signed_out"      // nobody is signed in, or the session has ended
	BadToken      Reason = "bad_token"       // the access token of a request is not accepted
	NotBegun      Reason = "not_begun"       // the answer of the issuer belongs to no sign-in of this browser, or came too late
	Refused       Reason = "refused"         // the issuer refused to sign somebody in
	Untrusted     Reason = "untrusted"       // the issuer's answer does not stand up to the checks
	TooManyGroups Reason = "too_many_groups" // the issuer left out the groups
	Unavailable   Reason = "unavailable"     // the issuer or the sessions cannot be asked; later it may be possible
	NotLoopback   Reason = "not_loopback"    // development mode was asked from elsewhere
	WrongMethod   Reason = "wrong_method"    // signing out is a POST
)

// statuses are the HTTP statuses of reasons.
var statuses = map[Reason]int{
	SignedOut: http.StatusUnauthorized, BadToken: http.StatusUnauthorized, NotBegun: http.StatusBadRequest, Refused: http.StatusForbidden,
	Untrusted: http.StatusBadGateway, TooManyGroups: http.StatusForbidden, Unavailable: http.StatusServiceUnavailable,
	NotLoopback: http.StatusForbidden, WrongMethod: http.StatusMethodNotAllowed,
}

// ErrNobody is what [SignIn.Who] returns, wrapped, if the request is nobody's: a browser is sent to
// [BeginPath], a program gets status 401.
var ErrNobody = errors.New("nobody is signed in")

// Error is why a request is not answered. Its text holds no token and no secret, and may be shown.
type Error struct {
	Reason Reason
	Text   string // what happened and what to do, in English
	Cause  error  // for the log; it may be nil
}

// Error is the text.
func (e *Error) Error() string { return e.Text }

// Unwrap returns the cause, for the log.
func (e *Error) Unwrap() error { return e.Cause }

// Is makes a request that is nobody's [ErrNobody].
func (e *Error) Is(target error) bool {
	return target == ErrNobody && (e.Reason == SignedOut || e.Reason == BadToken)
}

// Status is the HTTP status that the error is answered with.
func (e *Error) Status() int { return statuses[e.Reason] }

// fail answers in plain text.
func fail(w http.ResponseWriter, _ *http.Request, err *Error) {
	http.Error(w, err.Text, err.Status())
}

// short is a text of others in an error.
func short(s string) string { return plain.Line(plain.Clip(s, maxText)) }
