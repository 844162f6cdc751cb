package dial

import (
	"testing"

	"github.com/stretchr/testify/require"
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
