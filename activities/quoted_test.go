package activities

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"github.com/ledgerline/ledgerline/adapters"
)

// certificate is one for names, signed by itself; localhost if there are none.
func certificate(t *testing.T, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: names, IsCA: true, BasicConstraintsValid: true}
	if len(names) == 0 {
		template.DNSNames = []string{"localhost"}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// encrypted makes a careless vendor speak TLS, with a certificate and a way to answer.
func (c *careless) encrypted(t *testing.T, protocol string, serve func(net.Conn), names ...string) {
	t.Helper()
	own, trusted := certificate(t, names...)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{own}, NextProtos: []string{protocol}})
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	host := "localhost:" + port
	c.spec.BaseURL = "https://" + host + "/api"
	c.acts.options.Client = adapters.NewClient(adapters.ClientOptions{DevHosts: []string{host}, TLS: &tls.Config{RootCAs: trusted}})
	t.Cleanup(c.acts.options.Client.CloseIdle)
}

// Go quotes what stands below HTTP too: the names of a certificate, and the reason for
// which a server goes away.
func TestNoPartOfASecretIsKeptOfConnections(t *testing.T) {
	for padding, before := range map[string]string{"none": "", "325 of three bytes": strings.Repeat("€", 325), "480 letters": strings.Repeat("x", 479) + " ", "980 letters": strings.Repeat("x", 979) + " "} {
		t.Run(padding, func(t *testing.T) {
			c := newCareless(t, "xledger", random(26), "")
			handshake := func(conn net.Conn) { _ = conn.(*tls.Conn).HandshakeContext(t.Context()) }
			names := []string{strings.Repeat("x", 1+len(before)) + ".example", c.secret + ".example"}
			c.encrypted(t, "http/1.1", handshake, names...)
			for _, write := range []bool{false, true} {
				kept, _, failed := c.call(t, write, nil, nil)
				require.Equal(t, "tls", failed.Type())
				require.Empty(t, leaks(kept, c.secret))
				if padding == "none" {
					require.Contains(t, failed.Message(), "[REDACTED]", "it is quoted, or this test proves nothing")
				}
			}

			c.encrypted(t, "h2", func(conn net.Conn) {
				preface := make([]byte, len(http2.ClientPreface))
				if _, err := io.ReadFull(conn, preface); err != nil {
					return
				}
				f := http2.NewFramer(conn, conn)
				_ = f.WriteSettings()
				for {
					frame, err := f.ReadFrame()
					if err != nil {
						return
					}
					if data, ok := frame.(*http2.DataFrame); ok && data.StreamEnded() {
						_ = f.WriteGoAway(data.StreamID, http2.ErrCodeEnhanceYourCalm, []byte(before+c.secret))
						return
					}
				}
			})
			kept, _, failed := c.call(t, false, nil, nil)
			require.Equal(t, "network", failed.Type())
			require.Contains(t, failed.Message(), "GOAWAY")
			if padding == "none" {
				require.Contains(t, failed.Message(), "[REDACTED]")
			}
			require.Empty(t, leaks(kept, c.secret))
		})
	}
}
