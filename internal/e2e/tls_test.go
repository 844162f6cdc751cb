package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authority is a certificate authority of a test. Its files are in dir.
type authority struct {
	t    *testing.T
	dir  string
	name string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) authority {
	a := authority{t: t, dir: t.TempDir(), name: name}
	var err error
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	require.NoError(t, err)
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func (a authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a authority) write(name, kind string, der []byte) {
	require.NoError(a.t, os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

// issue writes a certificate for a server or a client, NAME.pem, and its key, NAME.key.
// One that has expired is valid until an hour ago.
func (a authority) issue(name string, expired bool, hosts ...string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	until := time.Now().Add(time.Hour)
	if expired {
		until = until.Add(-2 * time.Hour)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: until.Add(-4 * time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	require.NoError(a.t, err)
	a.write(name+".pem", "CERTIFICATE", der)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	a.write(name+".key", "PRIVATE KEY", private)
}

// client is how this program reaches a server of the authority; without a name it has no
// certificate.
func (a authority) client(name string) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	c := &tls.Config{RootCAs: pool}
	if name != "" {
		pair, err := tls.LoadX509KeyPair(a.file(name+".pem"), a.file(name+".key"))
		require.NoError(a.t, err)
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}

// issuer signs API keys as Temporal's own authorizer takes them: JWTs that name
// permissions.
type issuer struct {
	t   *testing.T
	key *rsa.PrivateKey
}

func newIssuer(t *testing.T) issuer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return issuer{t, key}
}

func raw(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// keys writes the public key where the server reads it, and returns its address.
func (i issuer) keys() string {
	set := map[string]any{"keys": []map[string]any{{
		"kty": "RSA", "kid": "test", "alg": "RS256", "use": "sig", "n": raw(i.key.N.Bytes()), "e": raw(big.NewInt(int64(i.key.E)).Bytes()),
	}}}
	text, err := json.Marshal(set)
	require.NoError(i.t, err)
	path := filepath.Join(i.t.TempDir(), "jwks.json")
	require.NoError(i.t, os.WriteFile(path, text, 0o600))
	return "file://" + path
}

// sign returns a key that is valid for as long, with permissions such as "space:write".
func (i issuer) sign(valid time.Duration, permissions ...string) string {
	part := func(v any) string {
		text, err := json.Marshal(v)
		require.NoError(i.t, err)
		return raw(text)
	}
	signed := part(map[string]any{"alg": "RS256", "typ": "JWT", "kid": "test"}) + "." +
		part(map[string]any{"sub": "test", "exp": time.Now().Add(valid).Unix(), "permissions": permissions})
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	require.NoError(i.t, err)
	return signed + "." + raw(signature)
}
