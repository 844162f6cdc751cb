package runlog_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

// notRefused are the vouchers, of those that are named, to which no retry can be limited.
func (b books) notRefused(c exports.Chain, named ...string) []string {
	b.t.Helper()
	err := runlog.CheckRefused(b.t.Context(), b.reader, b.org, c, named)
	var wrong *runlog.NotRefusedError
	if errors.As(err, &wrong) {
		return wrong.Vouchers
	}
	require.NoError(b.t, err)
	return nil
}

// A retry is limited to vouchers that the chain has as refused, and to no others: each outcome
// before and after a retry, names that nothing has, those of another organization, and what no
// voucher's ID can be. TestVouchersThatCameAgain compares with the list of vouchers.
func TestCheckRefused(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	e := b.vouchers(5)
	chain := func(b books, e exports.Export) exports.Chain {
		t.Helper()
		c, err := runlog.LoadChain(t.Context(), b.reader, b.org, e.ID)
		require.NoError(t, err)
		return c
	}
	all := []string{"v4", "v0", "v1", "v2", "v3", "v0"}
	require.Equal(t, all, b.notRefused(chain(b, e), all...), "it is planned")
	acts["some of each"](b, e)
	b.close(e)
	require.Equal(t, []string{"v4", "v0", "v2", "v3", "v0"}, b.notRefused(chain(b, e), all...), "in their order, as often as they are named")
	require.Nil(t, b.notRefused(chain(b, e), "v1", "v1"))
	require.Nil(t, b.notRefused(chain(b, e)))
	strange := []string{"nowhere", "v1 ", "V1", "v1\x00", "v1\xff", "%", strings.Repeat("v", 600)}
	require.Equal(t, strange, b.notRefused(chain(b, e), append(strange, "v1")...))

	retry := b.claim("2026-10", &e.ID)
	b.plan(retry, mapped, 500)
	b.become(retry, exports.Exported, "v1")
	b.become(retry, exports.Rejected, "v2", "v4")
	b.close(retry)
	for _, of := range []exports.Export{e, retry} {
		require.Equal(t, []string{"v0", "v1", "v3"}, b.notRefused(chain(b, of), "v0", "v1", "v2", "v3", "v4"))
	}
	other := b.elsewhere()
	require.Equal(t, []string{"v2"}, other.notRefused(chain(b, e), "v2"), "another organization has none of them")

	check := func(named ...string) error {
		return runlog.CheckRefused(t.Context(), b.reader, b.org, chain(b, e), named)
	}
	require.EqualError(t, check("v0", "v2"), "October 2026 has no refused voucher v0; those that are refused: starter exports show 2026-10 --integration "+b.spec.Name)
	var wrong *runlog.NamingError
	require.ErrorAs(t, check("v2", ""), &wrong)
	require.True(t, wrong.Empty)
	require.ErrorAs(t, check(make([]string, runlog.MaxNamed+1)...), &wrong)
	require.Equal(t, runlog.NamingError{Named: runlog.MaxNamed + 1}, *wrong)
}
