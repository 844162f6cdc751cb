package notify_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/notify"
)

// mailbox is a real SMTP server that keeps what it gets.
type mailbox struct {
	server notify.MailServer // how to reach it

	mu        sync.Mutex
	messages  [][]byte
	passwords []string
	encrypted []bool // of each session that sent something
	refuse    map[string]*smtp.SMTPError
	atData    *smtp.SMTPError
}

var password = strings.Join([]string{"mail", "pass", "word"}, "-")

func newMailbox(t *testing.T, offer, implicit bool) *mailbox {
	t.Helper()
	b := &mailbox{refuse: make(map[string]*smtp.SMTPError)}
	certificate, roots := authority(t)
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{b, c}, nil }))
	s.Domain, s.AllowInsecureAuth = "localhost", true // whether a password comes in the clear is what the tests ask
	s.ErrorLog = silent{}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	if offer {
		s.TLSConfig = config
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	if implicit {
		l = tls.NewListener(l, config)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	b.server = notify.MailServer{
		Host: "localhost", Port: port, Implicit: implicit, Username: "ledgerline", From: "ledgerline@example.com",
		Password: func(context.Context) (string, error) { return password, nil }, TLS: &tls.Config{RootCAs: roots},
	}
	return b
}

type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// authority makes a certificate for localhost that is its own authority.
func authority(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

type session struct {
	box  *mailbox
	conn *smtp.Conn
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, got string) error {
		s.box.mu.Lock()
		defer s.box.mu.Unlock()
		s.box.passwords = append(s.box.passwords, got)
		if got != password {
			return errors.New("no")
		}
		return nil
	}), nil
}

func (s *session) Mail(string, *smtp.MailOptions) error { return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if e := s.box.refuse[to]; e != nil {
		return e
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if s.box.atData != nil {
		return s.box.atData
	}
	_, encrypted := s.conn.TLSConnectionState()
	s.box.messages, s.box.encrypted = append(s.box.messages, body), append(s.box.encrypted, encrypted)
	return nil
}
func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

func TestMail(t *testing.T) {
	for name, implicit := range map[string]bool{"STARTTLS": false, "TLS from the start": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newMailbox(t, true, implicit)
			m := message()
			for range 2 {
				require.Equal(t, notify.Result{Kind: classify.OK, Status: 250}, b.server.Send(t.Context(), []string{"a@example.com", "b@example.com"}, m))
			}
			require.Equal(t, []bool{true, true}, b.encrypted)
			require.Equal(t, b.messages[0], b.messages[1], "a repeat is the same message")
			got, err := mail.ReadMessage(bytes.NewReader(b.messages[0]))
			require.NoError(t, err)
			require.Equal(t, "<"+m.ID.String()+"@example.com>", got.Header.Get("Message-ID"))
			require.Equal(t, "[Ledgerline] xledger-main has refused entries (and 1 more)", got.Header.Get("Subject"))
			require.Equal(t, "a@example.com, b@example.com", got.Header.Get("To"))
			require.Contains(t, string(b.messages[0]), "10: 7 exported, 3 refused")
			require.NotContains(t, string(b.messages[0]), password)
		})
	}
}

// A password never travels in the clear, and neither does a message unless the
// deployment says so.
func TestMailWithoutTLS(t *testing.T) {
	t.Parallel()
	b := newMailbox(t, false, false)
	to := []string{"a@example.com"}
	got := b.server.Send(t.Context(), to, message())
	require.Equal(t, notify.NoStartTLS, got.Kind)
	require.False(t, got.Permanent)
	b.server.Plain = true
	require.Equal(t, notify.NoStartTLS, b.server.Send(t.Context(), to, message()).Kind, "a user on a plain connection")
	require.Empty(t, b.passwords)
	require.Empty(t, b.messages)
	b.server.Username = ""
	require.True(t, b.server.Send(t.Context(), to, message()).Delivered())

	unknown := newMailbox(t, true, false)
	unknown.server.TLS = nil
	require.Equal(t, classify.TLS, unknown.server.Send(t.Context(), to, message()).Kind, "an authority that is not known")
	require.Empty(t, unknown.passwords)
}

func TestMailResults(t *testing.T) {
	full := &smtp.SMTPError{Code: 452, Message: "mailbox full"}
	nobody := &smtp.SMTPError{Code: 550, Message: "no such user"}
	for name, c := range map[string]struct {
		refuse    map[string]*smtp.SMTPError
		atData    *smtp.SMTPError
		want      notify.Result
		delivered int
	}{
		"one deferred: all again":    {map[string]*smtp.SMTPError{"b@example.com": full}, nil, notify.Result{Kind: notify.MailDeferred, Status: 452}, 0},
		"one refused: the other has": {map[string]*smtp.SMTPError{"a@example.com": nobody}, nil, notify.Result{Kind: notify.RecipientRefused, Status: 550}, 1},
		"all refused": {map[string]*smtp.SMTPError{"a@example.com": nobody, "b@example.com": nobody}, nil,
			notify.Result{Kind: notify.MailRefused, Status: 550, Permanent: true}, 0},
		"content deferred": {nil, &smtp.SMTPError{Code: 451, Message: "later"}, notify.Result{Kind: notify.MailDeferred, Status: 451}, 0},
		"content refused":  {nil, &smtp.SMTPError{Code: 554, Message: "spam"}, notify.Result{Kind: notify.MailRefused, Status: 554, Permanent: true}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newMailbox(t, true, false)
			b.refuse, b.atData = c.refuse, c.atData
			require.Equal(t, c.want, b.server.Send(t.Context(), []string{"a@example.com", "b@example.com"}, message()))
			require.Len(t, b.messages, c.delivered)
		})
	}
	t.Run("password refused", func(t *testing.T) {
		t.Parallel()
		b := newMailbox(t, true, false)
		b.server.Password = func(context.Context) (string, error) { return "other", nil }
		got := b.server.Send(t.Context(), []string{"a@example.com"}, message())
		require.Equal(t, classify.Credentials, got.Kind)
		require.False(t, got.Permanent, "someone can fix it")
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		got := (&notify.MailServer{Host: "localhost", Port: "1", From: "a@example.com"}).Send(t.Context(), []string{"a@example.com"}, message())
		require.Equal(t, classify.Network, got.Kind)
		require.False(t, got.Permanent)
	})
	t.Run("no server", func(t *testing.T) {
		t.Parallel()
		got := (*notify.MailServer)(nil).Send(t.Context(), []string{"a@example.com"}, message())
		require.Equal(t, classify.Configuration, got.Kind)
		require.False(t, got.Permanent)
	})
}

// A line break cannot become a header, wherever it is put.
func TestHeaderInjection(t *testing.T) {
	t.Parallel()
	b := newMailbox(t, true, false)
	for _, address := range []string{"a@example.com\r\nBcc: c@example.com", "a@example.com>", "A <a@example.com>", "a@example.com, b@example.com", "å@example.com", "", "a"} {
		require.Error(t, notify.CheckAddress(address))
		require.True(t, b.server.Send(t.Context(), []string{address}, message()).Permanent)
	}
	require.Empty(t, b.messages)
	m := message()
	m.Integration = "x\r\nBcc: c@example.com\r\n\r\nbody"
	require.True(t, b.server.Send(t.Context(), []string{"a@example.com"}, m).Delivered())
	got, err := mail.ReadMessage(bytes.NewReader(b.messages[0]))
	require.NoError(t, err)
	require.Empty(t, got.Header.Get("Bcc"))
}

func TestParseMailServer(t *testing.T) {
	secret := func(ref string) (func(context.Context) (string, error), error) {
		if !strings.HasPrefix(ref, "env:") {
			return nil, errors.New("want env:NAME")
		}
		return func(context.Context) (string, error) { return ref, nil }, nil
	}
	s, err := notify.ParseMailServer("smtp://u@mail.example.com?from=l@example.com&password=env:X", secret)
	require.NoError(t, err)
	require.Equal(t, []string{"mail.example.com", "587", "u", "l@example.com"}, []string{s.Host, s.Port, s.Username, s.From})
	got, err := s.Password(t.Context())
	require.NoError(t, err)
	require.Equal(t, "env:X", got)
	s, err = notify.ParseMailServer("smtps://mail.example.com?from=l@example.com", secret)
	require.NoError(t, err)
	require.True(t, s.Implicit)
	require.Equal(t, "465", s.Port)
	s, err = notify.ParseMailServer("smtp://localhost:25?from=l@example.com&starttls=none", secret)
	require.NoError(t, err)
	require.True(t, s.Plain)
	hidden := "hid" + "den"
	for raw, says := range map[string]string{
		"smtp://":  "cannot be read",
		"mail:587": "cannot be read",
		"smtp://u:" + hidden + "@h?from=l@example.com&password=env:X": "must not contain a password",
		"http://h?from=l@example.com":                                 "smtp or smtps",
		"smtp://h":                                                    "from:",
		"smtp://u@h?from=l@example.com":                               "go together",
		"smtp://u@h?from=l@example.com&password=" + hidden:            "env:NAME",
		"smtp://u@h?from=l@example.com&password=env:X&starttls=none":  "never sent without TLS",
		"smtps://h?from=l@example.com&starttls=none":                  "smtp only",
		"smtp://h?from=l@example.com&starttls=no":                     "required or none",
		"smtp://h?from=l@example.com&" + hidden + "=1":                "unknown parameter",
	} {
		_, err := notify.ParseMailServer(raw, secret)
		require.ErrorContains(t, err, says, raw)
		require.NotContains(t, err.Error(), hidden)
	}
}
