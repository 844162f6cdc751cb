package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// ParseMailServer reads the address of a mail server:
//
//	smtp://user@mail.example.com:587?from=ledgerline@example.com&password=file:/run/secrets/smtp
//
// The scheme is smtp, with STARTTLS and port 587, or smtps, with TLS from the
// start and port 465. password is a reference; secret checks it and returns
// what reads it. starttls=none is for a relay that is reached without a
// network, and goes with no user. The error names all that is wrong and
// repeats no value.
func ParseMailServer(raw string, secret func(ref string) (read func(context.Context) (string, error), err error)) (*MailServer, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("the mail server's address (LEDGERLINE_SMTP_URL) cannot be read: want smtp://user@host:587?from=name@example.com&password=env:NAME")
	}
	q := u.Query()
	s := &MailServer{
		Host: u.Hostname(), Port: cmp.Or(u.Port(), map[string]string{"smtp": "587", "smtps": "465"}[u.Scheme]),
		Implicit: u.Scheme == "smtps", Plain: q.Get("starttls") == "none", Username: u.User.Username(), From: q.Get("from"),
	}
	var wrong []error
	check := func(ok bool, text string) {
		if !ok {
			wrong = append(wrong, fmt.Errorf("LEDGERLINE_SMTP_URL: %s", text))
		}
	}
	_, inside := u.User.Password()
	check(!inside, "the address must not contain a password; want password=env:NAME or password=file:/path")
	check(u.Scheme == "smtp" || u.Scheme == "smtps", "want the scheme smtp or smtps")
	check(strings.Trim(u.Path, "/") == "", "has a path; want smtp://host:port?…")
	for name := range q {
		check(slices.Contains([]string{"from", "password", "starttls"}, name), "unknown parameter; known are from, password, starttls")
	}
	check(CheckAddress(s.From) == nil, "from: want an e-mail address such as ledgerline@example.com")
	check(slices.Contains([]string{"", "required", "none"}, q.Get("starttls")), "starttls: want required or none")
	check(!s.Plain || !s.Implicit, "starttls=none goes with smtp only")
	check(!s.Plain || s.Username == "", "starttls=none goes with no user: credentials are never sent without TLS")
	ref := q.Get("password")
	check((s.Username == "") == (ref == ""), "user and password go together")
	if ref != "" {
		var err error
		if s.Password, err = secret(ref); err != nil {
			check(false, "password: "+err.Error())
		}
	}
	return s, errors.Join(wrong...)
}
