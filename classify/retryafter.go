package classify

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter is the longest wait that is believed. A vendor that names a
// longer one has made a mistake or is gone; a day later someone should look.
const maxRetryAfter = 24 * time.Hour

// retryAfterHeaders are looked at in this order, the finer unit first. The
// first two are Microsoft's (docs/vendors.md#retry).
var retryAfterHeaders = []struct {
	name  string
	unit  time.Duration
	dates bool
}{
	{"Retry-After-Ms", time.Millisecond, false},
	{"X-Ms-Retry-After-Ms", time.Millisecond, false},
	{"Retry-After", time.Second, true},
}

// RetryAfter returns how long the vendor asks to wait, at most
// [maxRetryAfter]. ok is false if it does not ask, or asks for something that
// is not a wait: a negative or fractional number, a date that has passed.
//
// A date counts from the response's own Date header, so that clocks need not
// agree, or else from received; with neither, dates are ignored.
func RetryAfter(h http.Header, received time.Time) (d time.Duration, ok bool) {
	for _, header := range retryAfterHeaders {
		for _, value := range values(h, header.name) {
			value = strings.Trim(value, " \t")
			if d, ok := count(value, header.unit); ok {
				return d, true
			}
			if !header.dates {
				continue
			}
			if d, ok := until(value, h, received); ok {
				return d, true
			}
		}
	}
	return 0, false
}

// values finds a header however its name is written: corpora and scripts hold
// names that net/http would have made canonical.
func values(h http.Header, canonical string) []string {
	if v, ok := h[canonical]; ok {
		return v
	}
	for name, v := range h {
		if strings.EqualFold(name, canonical) {
			return v
		}
	}
	return nil
}

// count reads a non-negative whole number of units. A number too large to
// hold is still a number, and means the maximum.
func count(value string, unit time.Duration) (time.Duration, bool) {
	if value == "" {
		return 0, false
	}
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n > int64(maxRetryAfter/unit) {
		return maxRetryAfter, true
	}
	return time.Duration(n) * unit, true
}

// until reads an HTTP date in any of its three forms.
func until(value string, h http.Header, received time.Time) (time.Duration, bool) {
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	now := received
	if dates := values(h, "Date"); len(dates) > 0 {
		if t, err := http.ParseTime(dates[0]); err == nil {
			now = t
		}
	}
	if now.IsZero() || !at.After(now) {
		return 0, false
	}
	// Sub saturates instead of overflowing.
	return min(at.Sub(now), maxRetryAfter), true
}
