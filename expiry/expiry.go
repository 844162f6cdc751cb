// Package expiry says when a secret expires, and when people are notified of it.
//
// Two sources know that before the vendor refuses the secret. An integration file
// can say it, where the vendor does not let a program ask: [Date] reads such a
// setting. And a secret that is a JSON Web Token (RFC 7519) says it itself: [JWT]
// reads the token's exp. It does not verify the signature, because only the vendor
// has the key, and nothing depends on the answer but a warning.
//
// [Secret.Due] is the one rule of when people are notified, and [Secret.When] the
// one wording. A [Secret] has a name and times, and no field that could hold the
// value.
//
// The package is pure: no I/O, no state, no clock, standard library only.
package expiry

import (
	"errors"
	"fmt"
	"time"
)

// Source is who says when a secret ends. It is stored and public.
type Source string

// The sources.
const (
	File  Source = "file" // a setting in the integration file
	Token Source = "jwt"  // the secret is a token that has its end in it; its signature is not verified
)

// Secret is a secret whose end is known.
type Secret struct {
	Credential string    `json:"credential"` // its name in the integration file, such as clientSecret
	Source     Source    `json:"source"`
	IssuedAt   time.Time `json:"issuedAt,omitzero"` // of a token that says it
	ExpiresAt  time.Time `json:"expiresAt"`         // from then on it is refused
}

const day = 24 * time.Hour

// thresholds are how many days ahead people are notified, the last first. 0 is
// the end itself.
var thresholds = []int{0, 1, 7, 30}

// Due returns the threshold that the secret has reached, in days before its end:
// 30, 7, 1, or 0 once it has expired. False: none.
//
// A threshold that is not shorter than the token's own life does not count. A
// token that lives for a week is renewed every week, and 7 days before its end is
// no news.
func (s Secret) Due(now time.Time) (days int, due bool) {
	left := s.ExpiresAt.Sub(now)
	for _, days := range thresholds {
		ahead := time.Duration(days) * day
		if left <= ahead && (ahead == 0 || s.IssuedAt.IsZero() || ahead < s.ExpiresAt.Sub(s.IssuedAt)) {
			return days, true
		}
	}
	return 0, false
}

// ShortLived reports whether a token lives for a day or less. A program renews
// such a token, so its end is not worth keeping.
func (s Secret) ShortLived() bool {
	return !s.IssuedAt.IsZero() && s.ExpiresAt.Sub(s.IssuedAt) <= day
}

// When says when the secret ends, in calendar days of UTC:
// "expires in 12 days (2026-12-08)".
func (s Secret) When(now time.Time) string {
	end := s.ExpiresAt.UTC()
	on := " (" + end.Format(time.DateOnly) + ")"
	days := s.DaysLeft(now)
	switch expired := !now.Before(end); {
	case expired && days == 0:
		return "expired today" + on
	case expired && days == -1:
		return "expired yesterday" + on
	case expired:
		return fmt.Sprintf("expired %d days ago", -days) + on
	case days == 0:
		return "expires today" + on
	case days == 1:
		return "expires tomorrow" + on
	}
	return fmt.Sprintf("expires in %d days", days) + on
}

// DaysLeft is how many calendar days of UTC are left, negative after the end.
func (s Secret) DaysLeft(now time.Time) int {
	return int(s.ExpiresAt.UTC().Truncate(day).Sub(now.UTC().Truncate(day)) / day)
}

// earliest and latest bound an end. What lies outside is a mistake, such as
// milliseconds where seconds are meant, and not an end.
var (
	earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

func sane(t time.Time) bool { return !t.Before(earliest) && t.Before(latest) }

// Date reads the day on which a secret ends, such as 2027-01-31. The end is the
// beginning of that day in UTC: a date does not say at which hour, and the
// warning must not come after it.
func Date(s string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || !sane(t) {
		return time.Time{}, errors.New("not a date from 2000-01-01 to 2099-12-31")
	}
	return t, nil
}
