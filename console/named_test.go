package console

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/runlog"
)

// Marked vouchers, and the one of a voucher's page, are sent again with the console's login.
func TestNamedVouchersAreSentAgain(t *testing.T) {
	h := newHouse(t, "named")
	h.store("1/1 V1 2026-10-05 1920 10.00 a", "1/2 V1 2026-10-05 3000 -10.00 a", "2/1 V2 2026-10-05 1920 10.00 b", "2/2 V2 2026-10-05 X -10.00 b")
	h.export("2026-10", map[string]string{"V2": "no account X"})
	list, _, err := runlog.ListChains(t.Context(), login, h.org, runlog.ChainFilter{Integration: h.spec.ID, Period: "2026-10"})
	require.NoError(t, err)
	_, err = engine.NewRetry(h.spec, list[0], []string{"V2"}, "kari")
	require.NoError(t, err)
	require.NoError(t, runlog.CheckRefused(t.Context(), login, h.org, list[0], []string{"V2"}))
}
