package answers

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters/businesscentral"
	"github.com/ledgerline/ledgerline/adapters/dataverse"
	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/classify"
)

// The table has every code that the program knows, and every status of which it
// knows more than the hundred.
func TestTableIsComplete(t *testing.T) {
	for _, codes := range []classify.Table{xledger.Codes, businesscentral.Codes, dataverse.Codes} {
		all := Of(codes.Name)
		require.NotEmpty(t, all, codes.Name)
		for code := range codes.Codes {
			found := false
			for _, a := range all {
				found = found || strings.Contains(a.Rule.Body, code)
			}
			require.True(t, found, "%s: %s", codes.Name, code)
		}
		for _, status := range classify.Statuses() {
			found := false
			for _, a := range all {
				found = found || a.Rule.Status == status
			}
			require.True(t, found, "%s: %d", codes.Name, status)
		}
	}
}
