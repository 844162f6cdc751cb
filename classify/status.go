package classify

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// byStatus holds the exceptions; anything else is decided by its hundred.
var byStatus = map[int]Kind{
	http.StatusNotModified: OK, // a conditional GET: nothing changed

	http.StatusBadRequest:            BadRequest,
	http.StatusUnauthorized:          Unauthorized,
	http.StatusForbidden:             Forbidden,
	http.StatusNotFound:              NotFound,
	http.StatusRequestTimeout:        RequestTimeout,
	http.StatusConflict:              Conflict,
	http.StatusPreconditionFailed:    Conflict,
	http.StatusRequestEntityTooLarge: PayloadTooLarge,
	http.StatusUnprocessableEntity:   Unprocessable,
	http.StatusTooEarly:              TooEarly,
	http.StatusTooManyRequests:       RateLimited,

	http.StatusNotImplemented:                Unsupported,
	http.StatusBadGateway:                    BadGateway,
	http.StatusServiceUnavailable:            Unavailable,
	http.StatusGatewayTimeout:                GatewayTimeout,
	http.StatusHTTPVersionNotSupported:       Unsupported,
	http.StatusNetworkAuthenticationRequired: Unsupported,
}

// Statuses are those that mean something else than their hundred.
func Statuses() []int { return slices.Sorted(maps.Keys(byStatus)) }

// byHundred decides for the statuses that have no entry of their own. 1xx and
// what is no status at all is not an answer.
var byHundred = map[int]struct {
	kind Kind
	rule string
}{
	2: {OK, "status:2xx"},
	3: {Redirect, "status:3xx"},
	4: {ClientError, "status:4xx"},
	5: {ServerError, "status:5xx"},
}

// byStatusOf returns the verdict that a status gives when nothing in the body
// decides.
func byStatusOf(status int) Verdict {
	kind, ok := byStatus[status]
	rule := ""
	if ok {
		rule = statusRule(status)
	} else if h, known := byHundred[status/100]; known && status > 0 {
		kind, rule = h.kind, h.rule
	} else {
		kind, rule = InvalidResponse, "status:invalid"
	}
	return Verdict{Class: kind.Class(), Kind: kind, Rule: rule, HTTPStatus: status}
}

// statusRules are the rule names of the exceptions, built once: a successful
// or a throttled call should not pay for a string.
var statusRules = func() map[int]string {
	m := make(map[int]string, len(byStatus))
	for s := range byStatus {
		m[s] = "status:" + strconv.Itoa(s)
	}
	return m
}()

func statusRule(status int) string { return statusRules[status] }

// statusMessage is said of an answer whose body says nothing.
func statusMessage(status int) string {
	if text := http.StatusText(status); text != "" {
		return "HTTP " + strconv.Itoa(status) + " " + text
	}
	return "HTTP " + strconv.Itoa(status)
}
