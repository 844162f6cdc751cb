package dial

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ledgerline/ledgerline/internal/environ"
)

// Error is why Temporal could not be reached, and what to do.
type Error struct{ What, Remedy string }

// Error says what failed and what to do.
func (e *Error) Error() string { return "cannot reach Temporal: " + e.What + "; " + e.Remedy }

// explain returns why a connection failed. A server that refuses a client certificate says
// so after the handshake, when the client has begun to write: gRPC then has "broken pipe"
// or "EOF". So the connection is tried once more without gRPC, to see why.
func explain(ctx context.Context, options client.Options, err error) *Error {
	if remedy := Refused(err); remedy != "" {
		return &Error{environ.Cause(err), remedy}
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), handshakeWithin)
	defer cancel()
	remedy, seen := handshake(within, cmp.Or(options.HostPort, client.DefaultHostPort), options.ConnectionOptions.TLS)
	return &Error{environ.Cause(cmp.Or(seen, err)), remedy}
}

const (
	handshakeWithin = 3 * time.Second
	alertWithin     = time.Second // of the handshake's end
)

const (
	remedyPort    = "set TEMPORAL_ADDRESS (or address in the profile file) to host:port, such as localhost:7233"
	remedyAddress = "check TEMPORAL_ADDRESS and that the server is up"
	remedyCA      = "check TEMPORAL_ADDRESS, and set TEMPORAL_TLS_SERVER_CA_CERT_PATH to the authority of the server's certificate"
	remedyName    = "check TEMPORAL_ADDRESS, or set TEMPORAL_TLS_SERVER_NAME to a name in the server's certificate"
	remedyExpired = "renew the server's certificate, or correct this machine's clock"
	remedyClient  = "set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH to a valid certificate of an authority that the server trusts"
	remedyNoTLS   = "the server does not speak TLS: take TEMPORAL_TLS… and TEMPORAL_API_KEY away, or turn TLS on there"
	remedyTLS     = "the server speaks TLS: set TEMPORAL_TLS=true, or what it needs of TEMPORAL_TLS_… (docs/operations.md#temporal-cloud-and-tls)"
)

// handshake looks at how far a connection comes, and returns what to do. What it has seen
// is nil where gRPC's error says as much.
func handshake(ctx context.Context, address string, config *tls.Config) (remedy string, seen error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return remedyAddress, err // gRPC says the same in more words
	}
	defer conn.Close()
	plain := config == nil
	if plain {
		config = &tls.Config{InsecureSkipVerify: true} // nothing is sent, and nothing that comes is believed
	}
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	if host, _, err := net.SplitHostPort(address); err == nil && config.ServerName == "" {
		config.ServerName = host
	}
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	session := tls.Client(conn, config)
	err = session.HandshakeContext(ctx)
	if err == nil { // TLS 1.3: the server may still refuse the client's certificate
		_ = conn.SetReadDeadline(time.Now().Add(alertWithin))
		if _, err = session.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil
		}
	}
	if plain {
		if err == nil || isAlert(err) {
			return remedyTLS, nil
		}
		return remedyAddress, nil
	}
	return remedyOf(err), err
}

// remedyOf is what to do after a handshake.
func remedyOf(err error) string {
	var (
		record    tls.RecordHeaderError
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &authority):
		return remedyCA
	case errors.As(err, &name):
		return remedyName
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return remedyExpired
	case errors.As(err, &invalid):
		return remedyCA
	case errors.As(err, &record), errors.Is(err, io.EOF):
		return remedyNoTLS
	case isAlert(err):
		return remedyClient
	}
	return remedyAddress
}

// isAlert reports whether the other side has refused a handshake. crypto/tls gives the
// alert no type.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// Refused is what to do if Temporal was reached and refuses the caller; otherwise "".
func Refused(err error) string {
	var denied *serviceerror.PermissionDenied
	if errors.As(err, &denied) || status.Code(err) == codes.Unauthenticated {
		return "check TEMPORAL_API_KEY (whole, not expired) or the client certificate, and its rights on TEMPORAL_NAMESPACE: write for workers and starter, admin for starter migrate"
	}
	var absent *serviceerror.NamespaceNotFound
	if errors.As(err, &absent) {
		return "set TEMPORAL_NAMESPACE, or make it: temporal operator namespace create --retention 720h --namespace " + absent.Namespace
	}
	return ""
}
