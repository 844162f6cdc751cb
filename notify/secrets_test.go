package notify_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/redact"
)

// noSecret checks that an error of an attempt has no part of a secret once those of
// the result are masked.
func noSecret(t *testing.T, r notify.Result, secret string) {
	t.Helper()
	require.Error(t, r.Err)
	require.Contains(t, r.Err.Error(), secret[len(secret)-8:], "it quotes the receiver, or this test proves nothing")
	said := redact.New(r.Secrets...).Text(r.Err.Error())
	for i := 0; i+8 <= len(secret); i++ {
		require.NotContains(t, said, secret[i:i+8])
	}
}

// A receiver's address is a secret where its path is one, and Go quotes a Location
// that is no address.
func TestReceiverRepeatsItsAddress(t *testing.T) {
	path := "hq7" + strings.Repeat("k2Zx9", 6)
	for _, padding := range []string{"", strings.Repeat("x", 480), strings.Repeat("x", 990)} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://a b/%zz"+padding+" "+path)
			w.WriteHeader(http.StatusFound)
		}))
		host := strings.TrimPrefix(server.URL, "http://")
		options := adapters.ClientOptions{DevHosts: []string{host}}
		w := notify.Webhook{HTTP: adapters.Guarded(options), DevHosts: []string{host}}
		for _, address := range []string{"/services/" + path, "/hook?key=" + path, "/hook?" + path, "/hook?v=1;key=" + path, "/hook?v=1;" + path} {
			noSecret(t, w.Send(t.Context(), server.URL+address, secretOf("a"), message()), path)
		}
		server.Close()
	}
}

// A mail server may repeat the password in a line that is no reply, plainly or as it
// was sent.
func TestMailServerRepeatsThePassword(t *testing.T) {
	const password = "fq81xKvv02LmPzw7TTe4" // of nobody
	web := httptest.NewTLSServer(http.NotFoundHandler())
	defer web.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(web.Certificate())
	for _, padding := range []string{"", strings.Repeat("x", 485), strings.Repeat("x", 990)} {
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: web.TLS.Certificates})
		require.NoError(t, err)
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			r := bufio.NewReader(c)
			fmt.Fprint(c, "220 ready\r\n")
			_, _ = r.ReadString('\n')
			fmt.Fprint(c, "250-x\r\n250 AUTH PLAIN\r\n")
			line, _ := r.ReadString('\n')
			plain, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(strings.TrimPrefix(line, "AUTH PLAIN ")))
			fmt.Fprintf(c, "no reply %s %s %s\r\n", padding, strings.TrimSpace(line), strings.ReplaceAll(string(plain), "\x00", " "))
		}()
		host, port, err := net.SplitHostPort(l.Addr().String())
		require.NoError(t, err)
		s := &notify.MailServer{Host: host, Port: port, Implicit: true, Username: "u", From: "a@example.com",
			Password: func(context.Context) (string, error) { return password, nil }, TLS: &tls.Config{RootCAs: trusted}}
		noSecret(t, s.Send(t.Context(), []string{"b@example.com"}, message()), password)
		l.Close()
	}
}
