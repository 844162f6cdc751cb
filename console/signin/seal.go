package signin

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// KeySize is the number of bytes of [Options.Key].
const KeySize = 32

// flow is what a browser keeps while somebody is at the issuer. It is sealed: the verifier
// is worth as much as the code that comes back, and nobody may lengthen the time.
type flow struct {
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"` // of PKCE
	Return   string    `json:"r"`
	Until    time.Time `json:"u"`
}

// sealedFor keeps what is sealed for another purpose from being taken for a flow.
var sealedFor = []byte("ledgerline sign-in 1")

// newSeal makes the AEAD with a random nonce in front.
func newSeal(key []byte) (cipher.AEAD, error) {
	if len(key) == 0 {
		key = make([]byte, KeySize)
		_, _ = rand.Read(key) // it does not return without
	}
	if len(key) != KeySize {
		return nil, fmt.Errorf("the key for cookies has %d bytes; want %d: make one with openssl rand -base64 32", len(key), KeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// sealFlow returns a cookie's value.
func (s *SignIn) sealFlow(f flow) (string, error) {
	clear, err := json.Marshal(f)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.seal.Seal(nil, nil, clear, sealedFor)), nil
}

// openFlow reads a cookie's value.
func (s *SignIn) openFlow(value string) (f flow, err error) {
	sealed, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return flow{}, err
	}
	clear, err := s.seal.Open(nil, nil, sealed, sealedFor)
	if err != nil {
		return flow{}, err
	}
	if err := json.Unmarshal(clear, &f); err != nil {
		return flow{}, err
	}
	if !s.o.Now().Before(f.Until) {
		return flow{}, errors.New("it has expired")
	}
	return f, nil
}

// random is 32 random bytes as text.
func random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // it does not return without
	return base64.RawURLEncoding.EncodeToString(b)
}

// tokenLength is the length of what [random] returns.
var tokenLength = base64.RawURLEncoding.EncodedLen(32)

// The cookies' names, without the prefix that binds them to this host and to https.
const (
	sessionCookie = "ledgerline"
	flowCookie    = "ledgerline-signin"
)

// cookie is one that scripts do not see, and that comes with no request of another site but a link.
// An age below zero takes it away.
func (s *SignIn) cookie(name, value string, age time.Duration) *http.Cookie {
	c := &http.Cookie{Name: s.cookieName(name), Value: value, Path: "/", MaxAge: int(age.Seconds()), Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if age < 0 {
		c.MaxAge = -1
	}
	return c
}

// cookieName has the prefix with which browsers take a cookie from this host only, over https. On
// loopback without https no browser would take it.
func (s *SignIn) cookieName(name string) string {
	if s.secure {
		return "__Host-" + name
	}
	return name
}

// cookieOf is the value of a request's cookie. One that is there twice was planted, and is none.
func (s *SignIn) cookieOf(r *http.Request, name string) string {
	all := r.CookiesNamed(s.cookieName(name))
	if len(all) != 1 {
		return ""
	}
	return all[0].Value
}
