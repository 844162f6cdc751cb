package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

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
	found := map[match]adapters.LookupResult{
		matchNone: {}, matchExact: {Count: 1, Amount: "1.0", Reference: "4711"}, matchDuplicate: {Count: 2, Amount: "1.0"}, matchOtherAmount: {Count: 1, Amount: "2"}, matchElsewhere: {Elsewhere: "document 7 has entries in the general ledger"},
	}
	for _, c := range []struct {
		states      []exports.EntryState
		s           match
		lax, strict string
		doubt       bool // what is adopted is taken as unknown
	}{
		{[]exports.EntryState{exports.Exported}, matchNone, no, no, false},
		{[]exports.EntryState{exports.Exported}, matchExact, unlisted, unlisted, false},
		{[]exports.EntryState{exports.Exported}, matchDuplicate, no, no, false},
		{[]exports.EntryState{exports.Exported}, matchOtherAmount, no, no, false},
		{[]exports.EntryState{exports.Exported}, matchElsewhere, unlisted, unlisted, false},
		{[]exports.EntryState{exports.Planned, exports.Rejected, ""}, matchNone, unlisted, unlisted, false},
		{[]exports.EntryState{exports.Planned, exports.Rejected, ""}, matchExact, no, no, false},
		{[]exports.EntryState{exports.Planned, exports.Rejected, ""}, matchDuplicate, no, no, false},
		{[]exports.EntryState{exports.Planned, exports.Rejected, ""}, matchOtherAmount, no, no, true},
		{[]exports.EntryState{exports.Planned, exports.Rejected, ""}, matchElsewhere, no, no, true},
		{[]exports.EntryState{exports.Sent, exports.Unknown}, matchNone, unsaid, unsaid, false},
		{[]exports.EntryState{exports.Sent, exports.Unknown}, matchExact, unsaid, no, false},
		{[]exports.EntryState{exports.Sent, exports.Unknown}, matchDuplicate, no, no, false},
		{[]exports.EntryState{exports.Sent, exports.Unknown}, matchOtherAmount, no, no, true},
		{[]exports.EntryState{exports.Sent, exports.Unknown}, matchElsewhere, unsaid, no, true},
	} {
		for _, state := range c.states {
			r := runlog.EntryRecord{EntryID: "e", VoucherID: "v", Amount: "1.00", State: state}
			f := found[c.s]
			require.Equal(t, c.s, matchOf(r, f))
			listed := func(strict, adopts bool) (string, vendorComparison) {
				got := vendorComparison{strict: strict, adopts: adopts}
				got.add(r, f)
				switch {
				case len(got.differences) == 0:
					return unlisted, got
				case got.differences[0].Agrees == undecided:
					return unsaid, got
				case got.differences[0].Agrees == agrees:
					return yes, got
				}
				return no, got
			}
			lax, _ := listed(false, false)
			strict, _ := listed(true, false)
			require.Equal(t, [2]string{c.lax, c.strict}, [2]string{lax, strict}, "%q %q", state, c.s)
			adopting, got := listed(true, true)
			if state == exports.Exported || c.s == matchNone {
				require.Empty(t, got.adoptions)
				require.Equal(t, c.strict, adopting)
				continue
			}
			require.Len(t, got.adoptions, 1, "%q %q", state, c.s)
			require.Equal(t, c.doubt, got.adoptions[0].Doubt != "", "%q %q", state, c.s)
			require.Equal(t, c.s == matchExact, adopting == unlisted, "%q %q: what was taken into the record is no difference", state, c.s)
		}
	}
}

// What a finding says is what the differences say.
func TestFindings(t *testing.T) {
	fill := func(strict, adopts bool, keep int) *vendorComparison {
		c := &vendorComparison{strict: strict, adopts: adopts, keep: keep}
		for i, r := range []runlog.EntryRecord{
			{State: exports.Exported}, {State: exports.Exported}, {State: exports.Exported}, {State: exports.Planned}, {State: ""}, {State: exports.Unknown}, {State: exports.Sent},
		} {
			r.EntryID, r.VoucherID, r.Amount = string(rune('a'+i)), "v", "1.00"
			c.add(r, []adapters.LookupResult{{Count: 1}, {}, {Elsewhere: "posted"}, {}, {Count: 1}, {Count: 1}, {}}[i])
		}
		return c
	}
	agree := func(list []proofCheck) (out []string) {
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
	require.Equal(t, []string{"yes vendor"}, agree((&vendorComparison{}).checks()), "nothing to ask for")

	short := fill(false, false, 2)
	require.Len(t, short.differences, 2)
	require.Equal(t, 2, short.more)
}

// The table lists some of the differences and JSON all; what does not agree is an
// error.
func TestPrintProof(t *testing.T) {
	until := time.Date(2026, 11, 23, 12, 34, 56, 0, time.UTC)
	c := vendorComparison{}
	c.add(runlog.EntryRecord{EntryID: "e1", VoucherID: "v1", State: exports.Exported, Amount: "1.00"}, adapters.LookupResult{Count: 1, Amount: "1.50"})
	c.add(runlog.EntryRecord{EntryID: "e2", VoucherID: "v2", State: exports.Sent, Amount: "1.00", OpenUntil: &until}, adapters.LookupResult{})
	c.more = 3
	var out bytes.Buffer
	err := (&app{output: outputTable}).printProof(&out, proof{}, c.checks(), c)
	require.EqualError(t, err, "something does not agree")
	require.Contains(t, out.String(), "v1       e1     exported   there with amount 1.50, but 1.00 on record")
	require.Contains(t, out.String(), "not there, and can still take effect until "+localTime(until.Local()))
	require.Contains(t, out.String(), "and 3 more; -o json lists all")

	out.Reset()
	require.Error(t, (&app{output: outputJSON}).printProof(&out, proof{}, c.checks(), c))
	var got struct {
		ExportID    string
		Agrees      bool
		Findings    []map[string]any
		Differences []map[string]any
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &got))
	require.False(t, got.Agrees)
	require.Len(t, got.Findings, 2)
	require.Equal(t, map[string]any{"voucherId": "v1", "entryId": "e1", "state": "exported", "agrees": false,
		"says": "it is there with amount 1.50, but 1.00 on record", "found": map[string]any{"count": 1.0, "amount": "1.50"}}, got.Differences[0])
	require.Nil(t, got.Differences[1]["agrees"])

	out.Reset()
	require.NoError(t, (&app{output: outputJSON}).printProof(&out, proof{}, nil, vendorComparison{}))
	require.Contains(t, out.String(), `"differences": []`)
}

// The control is asked for once, with its voucher.
func TestKeysOf(t *testing.T) {
	some := []runlog.EntryRecord{{VendorKey: "k1", VoucherID: "v1"}, {VendorKey: "k2", VoucherID: "v2"}}
	k := keysOf(some, &runlog.Control{VendorKeys: []string{"k2", "k3"}, VoucherID: "v3"})
	require.Equal(t, adapters.LookupRequest{Keys: []string{"k1", "k2", "k3"}, Vouchers: []string{"v1", "v2", "v3"}, Known: []string{"k2", "k3"}}, k)
	require.Len(t, keysOf(some, nil).Keys, 2)
	require.LessOrEqual(t, lookUpAtOnce+2, adapters.MaxKeys)
}
