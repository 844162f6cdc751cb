// Package dial is how the module's programs reach Temporal: each client of worker and starter
// is made here, so that all read what the others encrypt.
package dial

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"

	"github.com/ledgerline/ledgerline/codec"
	"github.com/ledgerline/ledgerline/internal/environ"
)

// Options are how a program reaches Temporal.
type Options struct {
	Within    time.Duration         // how long it tries
	Configure func(*client.Options) // what the environment does not say; nil is nothing
	Keys      *codec.Keys           // encrypt and decrypt payloads; nil are none
	Gate      *codec.Gate           // of a worker; nil otherwise
}

// Temporal connects as Temporal's own variables and profile file say, and returns the
// namespace too. If the server cannot be reached the error is an [*Error].
func Temporal(ctx context.Context, o Options) (client.Client, string, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return nil, "", fmt.Errorf("the Temporal settings (TEMPORAL_… or the profile file): %s", environ.Cause(err))
	}
	options.Namespace = cmp.Or(options.Namespace, client.DefaultNamespace)
	if o.Configure != nil {
		o.Configure(&options)
	}
	if wrong := addressError(options.HostPort); wrong != nil {
		return nil, "", wrong
	}
	if err := o.Keys.Secure(&options, o.Gate); err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Within)
	defer cancel()
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, "", explain(ctx, options, err)
	}
	return c, options.Namespace, nil
}

// addressError is why an address cannot be one of Temporal's: gRPC finds no server at one
// without a port, and does not say why. One with a scheme of gRPC's own, such as
// dns:///host:port, is gRPC's to read.
func addressError(address string) error {
	if address == "" || strings.Contains(address, ":///") {
		return nil
	}
	_, port, err := net.SplitHostPort(address)
	shown := environ.Hide(address)
	switch {
	case strings.Contains(address, "://"):
		return &Error{fmt.Sprintf("%q is a URL and not an address", shown), remedyPort}
	case err != nil && !strings.Contains(address, ":"):
		return &Error{fmt.Sprintf("the address %q has no port", shown), remedyPort}
	case err != nil || port == "":
		return &Error{fmt.Sprintf("the address %q is not host:port", shown), remedyPort}
	}
	return nil
}
