package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/classify"
)

// MailServer sends e-mail by SMTP. It belongs to the deployment, like the
// database: if an organization's file named it, whoever writes files could have
// any secret of the worker sent to a server of their own.
type MailServer struct {
	Host     string // name or address, without the port
	Port     string
	Implicit bool   // TLS from the start (smtps); else STARTTLS
	Plain    bool   // no TLS at all, and so no credentials
	Username string // "" if the server asks for none
	From     string // an address
	// Password reads the password; it is called for each attempt, so that a
	// new one is used at once.
	Password func(context.Context) (string, error)
	// TLS replaces the TLS settings, for tests with their own authority.
	TLS *tls.Config
}

// errNoStartTLS is a server without the STARTTLS that is required.
var errNoStartTLS = errors.New("the mail server offers no STARTTLS, so nothing is sent; use a server that does, or starttls=none for one that is reached without a network")

// CheckAddress says why an e-mail address cannot be used, or nil: one plain
// ASCII address, without a name.
func CheckAddress(s string) error {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > 254 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"<>,;:`, r) }) {
		return errors.New("not a plain e-mail address; want name@example.com")
	}
	return nil
}

// Send makes one attempt to hand a message to the mail server, for all
// recipients together. If the server defers one of them, nothing is sent and
// all are tried again; those whom it refuses for good are left out, and the
// result says so.
func (s *MailServer) Send(ctx context.Context, to []string, m Message) (r Result) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	if s == nil {
		// Not permanent: the next attempt may be made by a worker that has one.
		return Result{Kind: classify.Configuration, Err: errors.New("the worker has no mail server; set LEDGERLINE_SMTP_URL where it runs")}
	}
	var secrets []string
	s = s.noting(&secrets)
	defer func() {
		if r.Err != nil {
			r.Secrets = secrets
		}
	}()
	for _, address := range append([]string{s.From}, to...) {
		if err := CheckAddress(address); err != nil {
			return Result{Kind: classify.Configuration, Permanent: true, Err: err}
		}
	}
	c, err := s.connect(ctx)
	if err != nil {
		return mailFailed(err)
	}
	defer c.Close()
	if err := c.Mail(s.From); err != nil {
		return mailFailed(err)
	}
	var refused error
	accepted := 0
	for _, address := range to {
		err := c.Rcpt(address)
		var reply *textproto.Error
		switch {
		case err == nil:
			accepted++
		case errors.As(err, &reply) && reply.Code/100 == 5:
			refused = err
		default:
			return mailFailed(err)
		}
	}
	if accepted == 0 {
		return mailFailed(refused)
	}
	w, err := c.Data()
	if err != nil {
		return mailFailed(err)
	}
	if _, err := io.WriteString(w, s.compose(to, m)); err != nil {
		return mailFailed(err)
	}
	if err := w.Close(); err != nil { // the server takes it with its answer to the end
		return mailFailed(err)
	}
	_ = c.Quit()
	if refused != nil {
		r := mailFailed(refused)
		return Result{Kind: RecipientRefused, Status: r.Status}
	}
	return Result{Kind: classify.OK, Status: 250}
}

// noting returns a server that notes the password it reads.
func (s *MailServer) noting(secrets *[]string) *MailServer {
	noted := *s
	noted.Password = func(ctx context.Context) (string, error) {
		password, err := s.Password(ctx)
		*secrets = append(*secrets, password)
		return password, err
	}
	return &noted
}

// connect returns a connection that is encrypted unless it must not be, and
// authenticated if there is a user. Nothing but EHLO is sent on a plain one.
func (s *MailServer) connect(ctx context.Context) (*smtp.Client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(s.Host, s.Port))
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	config := &tls.Config{}
	if s.TLS != nil {
		config = s.TLS.Clone()
	}
	config.ServerName, config.MinVersion = s.Host, tls.VersionTLS12
	if s.Implicit {
		conn = tls.Client(conn, config)
	}
	c, err := smtp.NewClient(conn, s.Host)
	if err != nil {
		conn.Close()
		return nil, err
	}
	if err := s.introduce(ctx, c, config); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// introduce brings a connection to where mail can be sent.
func (s *MailServer) introduce(ctx context.Context, c *smtp.Client, config *tls.Config) error {
	if err := c.Hello("ledgerline"); err != nil {
		return err
	}
	if !s.Implicit && !s.Plain {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return errNoStartTLS
		}
		if err := c.StartTLS(config); err != nil {
			return err
		}
	}
	if s.Username == "" {
		return nil
	}
	// PlainAuth would send a password to localhost without TLS.
	if _, encrypted := c.TLSConnectionState(); !encrypted {
		return errNoStartTLS
	}
	password, err := s.Password(ctx)
	if err != nil {
		return credentialsError{err}
	}
	if err := c.Auth(smtp.PlainAuth("", s.Username, password, s.Host)); err != nil {
		return credentialsError{err}
	}
	return nil
}

// credentialsError is a password that cannot be read, or is refused.
type credentialsError struct{ error }

func (e credentialsError) Unwrap() error { return e.error }

// mailFailed decides by the reply code alone. The server's words are not kept:
// they repeat addresses.
func mailFailed(err error) Result {
	var reply *textproto.Error
	var credentials credentialsError
	hasReply := errors.As(err, &reply)
	r := Result{Kind: MailDeferred}
	if hasReply {
		r.Status = reply.Code
	}
	switch {
	case errors.As(err, &credentials):
		// Someone can fix it within a day, so it is tried again.
		r.Kind = classify.Credentials
		if !hasReply {
			r.Err = err
		}
	case errors.Is(err, errNoStartTLS):
		r.Kind, r.Err = NoStartTLS, err
	case hasReply && reply.Code/100 == 5:
		r.Kind, r.Permanent = MailRefused, true
	case !hasReply:
		r.Kind, r.Err = classify.Err(err).Kind, err
	}
	return r
}

// compose writes the message. The Message-ID is the notification's and the date
// the day it happened, so that a repeat can be recognised as one. The headers
// hold addresses that were checked and words of our own; a line break could come
// from nowhere, and is dropped all the same.
func (s *MailServer) compose(to []string, m Message) string {
	_, domain, _ := strings.Cut(s.From, "@")
	var b strings.Builder
	header := func(name, value string) {
		value = strings.Map(func(r rune) rune {
			if r < ' ' || r >= 0x7f {
				return -1
			}
			return r
		}, value)
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	header("From", "Ledgerline <"+s.From+">")
	header("To", strings.Join(to, ", "))
	header("Subject", m.Subject())
	header("Date", m.Notification.OccurredAt.UTC().Format(time.RFC1123Z))
	header("Message-ID", "<"+m.ID.String()+"@"+domain+">")
	header("Auto-Submitted", "auto-generated")
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	body := quotedprintable.NewWriter(&b)
	_, _ = io.WriteString(body, strings.ReplaceAll(m.Text(), "\n", "\r\n")) // to memory
	_ = body.Close()
	return b.String()
}
