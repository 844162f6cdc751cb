package expiry_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/expiry"
)

const day = 24 * time.Hour

var end = time.Date(2026, 12, 8, 0, 0, 0, 0, time.UTC)

// Each threshold begins to the second, and the nearest one counts.
func TestDue(t *testing.T) {
	for name, c := range map[string]struct {
		life, left time.Duration // life 0: the token does not say
		days       int
		due        bool
	}{
		"far away":                       {0, 30*day + time.Second, 0, false},
		"30 days":                        {0, 30 * day, 30, true},
		"still 30":                       {0, 7*day + time.Second, 30, true},
		"7 days":                         {0, 7 * day, 7, true},
		"1 day":                          {0, day, 1, true},
		"a second before":                {0, time.Second, 1, true},
		"at its end":                     {0, 0, 0, true},
		"long after":                     {0, -400 * day, 0, true},
		"of a long life":                 {365 * day, 30 * day, 30, true},
		"new, of 30 days":                {30 * day, 30 * day, 0, false},
		"of 30 days, a week before":      {30 * day, 7 * day, 7, true},
		"new, of a week":                 {7 * day, 7*day - time.Second, 0, false},
		"of a week, a day before":        {7 * day, day, 1, true},
		"of an hour, new":                {time.Hour, time.Hour, 0, false},
		"of an hour, expired":            {time.Hour, 0, 0, true},
		"of a week, expired":             {7 * day, -time.Second, 0, true},
		"of 31 days, on its second day":  {31 * day, 30 * day, 30, true},
		"of 31 days, on the first of it": {31 * day, 31 * day, 0, false},
	} {
		s := expiry.Secret{ExpiresAt: end}
		if c.life > 0 {
			s.IssuedAt = end.Add(-c.life)
		}
		days, due := s.Due(end.Add(-c.left))
		require.Equal(t, []any{c.days, c.due}, []any{days, due}, name)
	}
}

func TestShortLived(t *testing.T) {
	require.False(t, expiry.Secret{ExpiresAt: end}.ShortLived(), "it does not say")
	require.True(t, expiry.Secret{IssuedAt: end.Add(-day), ExpiresAt: end}.ShortLived())
	require.False(t, expiry.Secret{IssuedAt: end.Add(-day - time.Second), ExpiresAt: end}.ShortLived())
}

// Days are those of the calendar in UTC, whatever the zone of the times.
func TestWhen(t *testing.T) {
	oslo := time.FixedZone("Oslo", 3600)
	noon := time.Date(2026, 12, 8, 12, 0, 0, 0, time.UTC)
	for now, want := range map[string]string{
		"2026-11-26T19:56:00Z": "expires in 12 days (2026-12-08)",
		"2026-12-06T23:59:59Z": "expires in 2 days (2026-12-08)",
		"2026-12-07T00:00:00Z": "expires tomorrow (2026-12-08)",
		"2026-12-08T00:00:00Z": "expires today (2026-12-08)",
		"2026-12-08T11:59:59Z": "expires today (2026-12-08)",
		"2026-12-08T12:00:00Z": "expired today (2026-12-08)",
		"2026-12-09T01:00:00Z": "expired yesterday (2026-12-08)",
		"2026-12-10T00:00:00Z": "expired 2 days ago (2026-12-08)",
	} {
		at, err := time.Parse(time.RFC3339, now)
		require.NoError(t, err)
		require.Equal(t, want, expiry.Secret{ExpiresAt: noon.In(oslo)}.When(at.In(oslo)), now)
	}
	require.Equal(t, "expired today (2026-12-08)", expiry.Secret{ExpiresAt: end}.When(end), "a date ends as it begins")
}

func TestDate(t *testing.T) {
	got, err := expiry.Date("2027-01-31")
	require.NoError(t, err)
	require.Equal(t, time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC), got)
	for _, bad := range []string{"", "2027-02-29", "2027-1-31", "2027-01-31T00:00:00Z", " 2027-01-31", "31.01.2027", "0227-01-31", "2100-01-01", "1999-12-31", "2027-01-32"} {
		_, err := expiry.Date(bad)
		require.Error(t, err, bad)
	}
}

// token makes a JSON Web Token. Its signature is one of nothing.
func token(header, payload string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(header)) + "." + part([]byte(payload)) + "." + part([]byte("no signature"))
}

func TestJWT(t *testing.T) {
	const header = `{"alg":"RS256","typ":"JWT"}`
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
	for name, c := range map[string]struct {
		value           string
		issued, expires time.Time
	}{
		"exp and iat":            {token(header, `{"iss":"x","iat":1764000000,"exp":1796688000}`), at(1764000000), at(1796688000)},
		"exp alone":              {token(header, `{"exp":1796688000}`), time.Time{}, at(1796688000)},
		"a fraction":             {token(header, `{"exp":1796688000.9}`), time.Time{}, at(1796688000)},
		"an exponent":            {token(header, `{"exp":1.796688e9}`), time.Time{}, at(1796688000)},
		"iat after exp":          {token(header, `{"iat":1796688001,"exp":1796688000}`), time.Time{}, at(1796688000)},
		"iat of another type":    {token(header, `{"iat":"x","exp":1796688000}`), time.Time{}, at(1796688000)},
		"the last exp of two":    {token(header, `{"exp":1,"exp":1796688000}`), time.Time{}, at(1796688000)},
		"expired long ago":       {token(header, `{"exp":1000000000}`), time.Time{}, at(1000000000)},
		"no exp":                 {token(header, `{"iat":1764000000}`), time.Time{}, time.Time{}},
		"exp in capitals":        {token(header, `{"EXP":1796688000}`), time.Time{}, time.Time{}},
		"exp in quotes":          {token(header, `{"exp":"1796688000"}`), time.Time{}, time.Time{}},
		"exp null":               {token(header, `{"exp":null}`), time.Time{}, time.Time{}},
		"exp of milliseconds":    {token(header, `{"exp":1796688000000}`), time.Time{}, time.Time{}},
		"exp 0":                  {token(header, `{"exp":0}`), time.Time{}, time.Time{}},
		"exp negative":           {token(header, `{"exp":-1796688000}`), time.Time{}, time.Time{}},
		"exp beyond all numbers": {token(header, `{"exp":1e999}`), time.Time{}, time.Time{}},
		"exp beyond integers":    {token(header, `{"exp":1e300}`), time.Time{}, time.Time{}},
		"a list":                 {token(header, `[1796688000]`), time.Time{}, time.Time{}},
		"null":                   {token(header, `null`), time.Time{}, time.Time{}},
		"a header of text":       {token(`"RS256"`, `{"exp":1796688000}`), time.Time{}, time.Time{}},
		"two objects":            {token(header, `{"exp":1796688000}{}`), time.Time{}, time.Time{}},
		"no signature":           {strings.TrimRight(token(header, `{"exp":1796688000}`), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), time.Time{}, time.Time{}},
		"padding":                {token(header, `{"exp":1796688000}`) + "=", time.Time{}, time.Time{}},
		"four parts":             {token(header, `{"exp":1796688000}`) + ".x", time.Time{}, time.Time{}},
		"two dots":               {"..", time.Time{}, time.Time{}},
		"nothing":                {"", time.Time{}, time.Time{}},
		"an ordinary secret":     {"8Q~not.a.token~", time.Time{}, time.Time{}},
		"too long":               {token(header, fmt.Sprintf(`{"exp":1796688000,"x":%q}`, strings.Repeat("x", 16<<10))), time.Time{}, time.Time{}},
	} {
		issued, expires, ok := expiry.JWT(c.value)
		require.Equal(t, []any{c.issued, c.expires, !c.expires.IsZero()}, []any{issued, expires, ok}, name)
	}
}

// FuzzJWT: no value makes the reader fail, and what it returns can be stored.
func FuzzJWT(f *testing.F) {
	f.Add(token(`{}`, `{"exp":1796688000,"iat":1764000000}`))
	f.Add("a.b.c")
	f.Add("..")
	f.Add(token(`{}`, `{"exp":1e308,"iat":-1e308}`))
	f.Fuzz(func(t *testing.T, value string) {
		for _, value := range []string{value, token(`{}`, value), token(`{}`, `{"iat":1764000000,"exp":`+value+`}`)} {
			issued, expires, ok := expiry.JWT(value)
			switch {
			case !ok && (!issued.IsZero() || !expires.IsZero()):
				t.Error("an end that is none")
			case ok && (expires.Year() < 2000 || expires.Year() > 2099 || expires.Nanosecond() != 0 || !issued.Before(expires)):
				t.Errorf("issued %v, expires %v", issued, expires)
			}
		}
	})
}
