package proof

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

func TestSameAmount(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"100.00", "100", true}, {"-0.10", "-0.1", true}, {"100.00", "1E2", true}, {"0", "-0.00", true}, {"1.00", "+1", true},
		{"100.00", "100.01", false}, {"100.00", "-100", false}, {"1", "", false}, {"1", "one", false}, {"1", "1,00", false},
		{"1", "1e999999999", false}, {"0.1", "0.10000000000000001", false}, {"12345678901234567890.12", "12345678901234567890.120", true},
	} {
		require.Equal(t, c.want, adapters.SameAmount(c.a, c.b), "%s %s", c.a, c.b)
	}
}

// Each state on record against each thing that a vendor may have.
func TestCompare(t *testing.T) {
	const yes, no, unsaid, unlisted = "agrees", "NO", "-", ""
	found := map[Match]adapters.LookupResult{
		NotThere: {}, Exact: {Count: 1, Amount: "1.0", Reference: "4711"}, Duplicate: {Count: 2, Amount: "1.0"}, OtherAmount: {Count: 1, Amount: "2"}, Elsewhere: {Elsewhere: "document 7 has entries in the general ledger"},
	}
	for _, c := range []struct {
		states      []exports.EntryState
		s           Match
		lax, strict string
		doubt       bool // what is adopted is taken as unknown
	}{
		{[]exports.EntryState{exports.Exported}, NotThere, no, no, false},
		{[]exports.EntryState{exports.Exported}, Exact, unlisted, unlisted, false},
		{[]exports.EntryState{exports.Exported}, Duplicate, no, no, false},
		{[]exports.EntryState{exports.Exported}, OtherAmount, no, no, false},
		{[]exports.EntryState{exports.Exported}, Elsewhere, unlisted, unlisted, false},
		{[]exports.EntryState{exports.Planned, exports.Rejected, ""}, NotThere, unlisted, unlisted, false},
		{[]exports.EntryState{exports.Planned, exports.Rejected, ""}, Exact, no, no, false},
		{[]exports.EntryState{exports.Planned, exports.Rejected, ""}, Duplicate, no, no, false},
		{[]exports.EntryState{exports.Planned, exports.Rejected, ""}, OtherAmount, no, no, true},
		{[]exports.EntryState{exports.Planned, exports.Rejected, ""}, Elsewhere, no, no, true},
		{[]exports.EntryState{exports.Sent, exports.Unknown}, NotThere, unsaid, unsaid, false},
		{[]exports.EntryState{exports.Sent, exports.Unknown}, Exact, unsaid, no, false},
		{[]exports.EntryState{exports.Sent, exports.Unknown}, Duplicate, no, no, false},
		{[]exports.EntryState{exports.Sent, exports.Unknown}, OtherAmount, no, no, true},
		{[]exports.EntryState{exports.Sent, exports.Unknown}, Elsewhere, unsaid, no, true},
	} {
		for _, state := range c.states {
			r := runlog.EntryRecord{EntryID: "e", VoucherID: "v", Amount: "1.00", State: state}
			f := found[c.s]
			require.Equal(t, c.s, matchOf(r, f))
			listed := func(strict, adopts bool) (string, comparison) {
				got := comparison{strict: strict, adopts: adopts}
				got.add(r, f)
				switch {
				case len(got.differences) == 0:
					return unlisted, got
				case got.differences[0].Agrees == Undecided:
					return unsaid, got
				case got.differences[0].Agrees == Agrees:
					return yes, got
				}
				return no, got
			}
			lax, _ := listed(false, false)
			strict, _ := listed(true, false)
			require.Equal(t, [2]string{c.lax, c.strict}, [2]string{lax, strict}, "%q %q", state, c.s)
			adopting, got := listed(true, true)
			if state == exports.Exported || c.s == NotThere {
				require.Empty(t, got.adoptions)
				require.Equal(t, c.strict, adopting)
				continue
			}
			require.Len(t, got.adoptions, 1, "%q %q", state, c.s)
			require.Equal(t, c.doubt, got.adoptions[0].Doubt != "", "%q %q", state, c.s)
			require.Equal(t, c.s == Exact, adopting == unlisted, "%q %q: what was taken into the record is no difference", state, c.s)
		}
	}
}

// What a finding says is what the differences say.
func TestFindings(t *testing.T) {
	fill := func(strict, adopts bool, keep int) *comparison {
		c := &comparison{strict: strict, adopts: adopts, keep: keep}
		for i, r := range []runlog.EntryRecord{
			{State: exports.Exported}, {State: exports.Exported}, {State: exports.Exported}, {State: exports.Planned}, {State: ""}, {State: exports.Unknown}, {State: exports.Sent},
		} {
			r.EntryID, r.VoucherID, r.Amount = string(rune('a'+i)), "v", "1.00"
			c.add(r, []adapters.LookupResult{{Count: 1}, {}, {Elsewhere: "posted"}, {}, {Count: 1}, {Count: 1}, {}}[i])
		}
		return c
	}
	agree := func(list []Check) (out []string) {
		for _, f := range list {
			out = append(out, string(f.Agrees)+" "+f.What)
		}
		return out
	}
	list := fill(false, false, 0).checks()
	require.Equal(t, []string{"NO vendor", "NO not exported", "- open"}, agree(list))
	require.Contains(t, list[0].Evidence, "1 of 3 are there, 1 missing, 0 more than once, 0 with another amount, 1 perhaps elsewhere")
	require.Contains(t, list[1].Evidence, "1 of 2 are there, 1 not there")
	require.Equal(t, []string{"NO vendor", "NO not exported", "NO open"}, agree(fill(true, false, 0).checks()))
	require.Equal(t, []string{"NO vendor", "yes not exported", "- open"}, agree(fill(true, true, 0).checks()))
	require.Equal(t, []string{"yes vendor"}, agree((&comparison{}).checks()), "nothing to ask for")

	short := fill(false, false, 2)
	require.Len(t, short.differences, 2)
	require.Equal(t, 2, short.more)
}

// The control is asked for once, with its voucher.
func TestKeysOf(t *testing.T) {
	some := []runlog.EntryRecord{{VendorKey: "k1", VoucherID: "v1"}, {VendorKey: "k2", VoucherID: "v2"}}
	k := keysOf(some, &runlog.Control{VendorKeys: []string{"k2", "k3"}, VoucherID: "v3"})
	require.Equal(t, adapters.LookupRequest{Keys: []string{"k1", "k2", "k3"}, Vouchers: []string{"v1", "v2", "v3"}, Known: []string{"k2", "k3"}}, k)
	require.Len(t, keysOf(some, nil).Keys, 2)
	require.LessOrEqual(t, lookUpAtOnce+2, adapters.MaxKeys)
}
