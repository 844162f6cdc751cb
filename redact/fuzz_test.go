package redact_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/redact"
)

func FuzzText(f *testing.F) {
	f.Add("Authorization: Bearer abc123\r\nAccept: */*")
	f.Add(strings.Repeat("ola@example.no ", 90))
	f.Add("password=\xff\xfe ")
	f.Fuzz(func(t *testing.T, s string) {
		got := redact.Text(s)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > redact.MaxLen || strings.ContainsAny(got, "\x00\n\r\x1b\u202e\u200b") {
			t.Fatalf("not fit to be stored: %q", got)
		}
		if again := redact.Text(got); again != got {
			t.Fatalf("not idempotent: %q, then %q", got, again)
		}
	})
}

// The exact secret of a call is masked in every form in which it could come back.
func TestExactForms(t *testing.T) {
	secret := strings.Join([]string{"pæss w/ord", `"&<x>`, "42"}, "+")
	r := redact.New(secret)
	for name, form := range map[string]string{
		"raw": secret, "query": url.QueryEscape(secret), "path": url.PathEscape(secret),
		"base64": base64.StdEncoding.EncodeToString([]byte(secret)), "basic": base64.StdEncoding.EncodeToString([]byte("user:" + secret)),
	} {
		if got := r.Text("before " + form + " after"); !strings.Contains(got, "[REDACTED]") || strings.Contains(got, form) || !strings.HasPrefix(got, "before ") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func BenchmarkText1KB(b *testing.B) {
	s := strings.Repeat("The customer posting group must have a value for no. C00690. ", 17)[:1024]
	for b.Loop() {
		redact.Text(s)
	}
}

func BenchmarkText1KBSecrets(b *testing.B) {
	secret := strings.Join([]string{"s3cr", "et-va", "lue"}, "")
	s := strings.Repeat(`{"Authorization":"token `+secret+`","mail":"kari.nordmann@example.no","tlf":"+47 22 33 44 55","text":"Faktura 10023"} `, 12)[:1024]
	r := redact.New(secret)
	for b.Loop() {
		r.Text(s)
	}
}
