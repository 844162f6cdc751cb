package dial

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
)

func TestAddressError(t *testing.T) {
	for address, want := range map[string]string{
		"": "", ":7233": "", "localhost:7233": "", "[::1]:7233": "", "dns:///temporal:7233": "", "foo.a2dd6.tmprl.cloud:7233": "",
		"nowhere": `the address "nowhere" has no port`, "http://x:7233": "is a URL", "::1": "is not host:port", "x:": "is not host:port",
	} {
		err := addressError(address)
		if want == "" {
			require.NoError(t, err, address)
			continue
		}
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "set TEMPORAL_ADDRESS")
	}
}

func TestRefused(t *testing.T) {
	require.Contains(t, Refused(fmt.Errorf("start: %w", serviceerror.NewNamespaceNotFound("nons"))), "temporal operator namespace create --retention 720h --namespace nons")
	require.Contains(t, Refused(serviceerror.NewPermissionDenied("no", "")), "TEMPORAL_API_KEY")
	require.Empty(t, Refused(errors.New("other")))
}
