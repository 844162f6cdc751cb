package adapters_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/businesscentral"
	"github.com/ledgerline/ledgerline/adapters/dataverse"
	"github.com/ledgerline/ledgerline/adapters/entra"
	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// books is an exporter with the sandbox as its vendor.
type books struct {
	*bench
	adapters.Exporter
	name string
	kind string // of the effect that is an entry's first
}

// settings are what exports need beyond what [bench.conn] has.
var settings = map[string]map[string]string{
	"businesscentral": {"companyId": sandbox.DemoCompanyID, "journalId": sandbox.DemoJournalID},
	"dataverse":       {"table": "acme_ledgerlines", "prefix": "acme_"},
}

// everyExporter runs a test for each vendor.
func everyExporter(t *testing.T, test func(t *testing.T, b books)) {
	for _, name := range adapters.Names {
		t.Run(name, func(t *testing.T) { test(t, newBooks(t, name)) })
	}
}

func newBooks(t *testing.T, name string) books {
	b := books{bench: newBench(t), name: name}
	switch name {
	case xledger.Name:
		b.Exporter, b.kind = xledger.Adapter{}, "gl_import_item"
	case dataverse.Name:
		b.Exporter, b.kind = dataverse.New(entra.NewTokens()), "upsert"
	case businesscentral.Name:
		b.Exporter, b.kind = businesscentral.New(entra.NewTokens()), "journal_line"
	}
	return b
}

func (b books) do(t *testing.T, uncertain bool, op adapters.Operation, body any) (adapters.Response, classify.Verdict) {
	t.Helper()
	raw, ok := body.([]byte)
	if !ok {
		var err error
		raw, err = json.Marshal(body)
		require.NoError(t, err)
	}
	c := b.conn(b.name)
	c.Uncertain = uncertain
	maps.Copy(c.Settings, settings[b.name])
	return b.Do(t.Context(), c, op, raw)
}

// send exports entries as an attempt does.
func (b books) send(t *testing.T, uncertain bool, entries []adapters.Entry) (adapters.Response, classify.Verdict) {
	t.Helper()
	body, err := b.ExportBody(settings[b.name], entries)
	require.NoError(t, err)
	p, err := b.Plan(adapters.Call, body)
	require.NoError(t, err)
	require.NotEqual(t, adapters.Unsafe, p.Guard)
	return b.do(t, uncertain, adapters.Call, body)
}

func (b books) sent(t *testing.T, entries []adapters.Entry) adapters.Response {
	t.Helper()
	r, v := b.send(t, false, entries)
	require.Equal(t, classify.Success, v.Class, v.Message)
	return r
}

func (b books) lookUp(t *testing.T, entries []adapters.Entry) map[string]adapters.Found {
	t.Helper()
	r, v := b.do(t, false, adapters.LookUp, adapters.Keys{Keys: keysOf(entries)})
	require.Equal(t, classify.Success, v.Class, v.Message)
	var found map[string]adapters.Found
	require.NoError(t, json.Unmarshal(r.Body, &found))
	return found
}

// times counts the effects of a kind for each key.
func (b books) times(kind string) map[string]int {
	out := make(map[string]int)
	for _, e := range b.Effects() {
		if e.Kind == kind {
			out[e.Key]++
		}
	}
	return out
}

// requireOnce asserts that the vendor has each entry and has it once.
func (b books) requireOnce(t *testing.T, entries []adapters.Entry) {
	t.Helper()
	want := make(map[string]int)
	for _, e := range entries {
		want[e.Key] = 1
	}
	require.Equal(t, want, b.times(b.kind))
	found := b.lookUp(t, entries)
	require.Len(t, found, len(entries))
	for key, f := range found {
		require.Equal(t, 1, f.Count, key)
	}
}

func keyOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

func keysOf(entries []adapters.Entry) (keys []string) {
	for _, e := range entries {
		keys = append(keys, e.Key)
	}
	return keys
}

// vouchers makes n entries in vouchers of two; the second has the account.
func vouchers(prefix string, n int, account string) (entries []adapters.Entry) {
	for i := range n {
		e := adapters.Entry{
			Key: keyOf(fmt.Sprint(prefix, i)), Voucher: fmt.Sprint(prefix, i/2), Account: "1920", Amount: "100.10", Currency: "NOK",
			Text: "Kaffe & kaker, Åse", Date: time.Date(2026, 10, 15, 0, 0, 0, 0, time.UTC),
		}
		if i%2 == 1 {
			e.Account, e.Amount = account, "-100.10"
		}
		entries = append(entries, e)
	}
	return entries
}

// What every exporter has in common, at the limit of what it says it takes.
func TestExporters(t *testing.T) {
	everyExporter(t, func(t *testing.T, b books) {
		l := b.Limits()
		require.True(t, 2 <= l.Default && l.Default <= l.Entries && l.Entries <= adapters.MaxKeys, "%+v", l)
		entries := vouchers("A", l.Entries, "3000")
		require.Empty(t, b.lookUp(t, entries))
		first, err := b.ExportBody(settings[b.name], entries)
		require.NoError(t, err)
		second, err := b.ExportBody(settings[b.name], entries)
		require.NoError(t, err)
		require.Equal(t, string(first), string(second), "the same entries make the same request")

		r := b.sent(t, entries)
		b.requireOnce(t, entries)
		references, found := b.References(entries, r), b.lookUp(t, entries)
		require.Len(t, references, len(entries))
		distinct := make(map[string]bool)
		for key, reference := range references {
			require.Equal(t, reference, found[key].Reference)
			distinct[reference] = true
		}
		require.Len(t, distinct, len(entries))

		b.Forget(entries[0].Key)
		require.Len(t, b.lookUp(t, entries), len(entries)-1)

		_, err = b.ExportBody(settings[b.name], vouchers("A", l.Entries+2, "3000"))
		require.ErrorContains(t, err, fmt.Sprintf("want 1 to %d", l.Entries))
		_, err = b.ExportBody(settings[b.name], nil)
		require.ErrorContains(t, err, "0 entries")
		require.Empty(t, b.References(entries, adapters.Response{Body: json.RawMessage(`"nonsense"`)}))
	})
}

// All faults of entries come at once, and none repeats what stands in them.
func TestFaultyEntries(t *testing.T) {
	everyExporter(t, func(t *testing.T, b books) {
		entries := vouchers("A", 12, "3000")
		for i, amount := range []string{"", "1,5", "1.234", "1e3", "+1", ".5", "NaN", "007", "1234567890123456789"} {
			entries[i].Amount = amount
		}
		entries[9].Key, entries[10].Key, entries[11].Voucher = "k'); --", entries[0].Key, ""
		entries[9].Account = "secret account"
		_, err := b.ExportBody(settings[b.name], entries)
		require.Error(t, err)
		require.Len(t, strings.Split(err.Error(), "\n"), 12, err.Error())
		require.NotContains(t, err.Error(), "secret account")
		require.NotContains(t, err.Error(), "--")

		entries = vouchers("A", b.Limits().Entries, "3000")
		for i := range entries {
			entries[i].Text = strings.Repeat("lang tekst ", 1000)
		}
		if _, err = b.ExportBody(settings[b.name], entries); b.name != businesscentral.Name { // it cuts texts
			require.ErrorContains(t, err, "send fewer entries", "too large is a fault of the chunk, which is halved then")
		}
	})
}

// Our operations check their bodies before they call anybody.
func TestOperationsCheckTheirBodies(t *testing.T) {
	everyExporter(t, func(t *testing.T, b books) {
		many, err := json.Marshal(adapters.Keys{Keys: slices.Repeat([]string{keyOf("a")}, adapters.MaxKeys+1)})
		require.NoError(t, err)
		for op, bodies := range map[adapters.Operation][]string{
			adapters.LookUp:     {``, `{}`, `{"keys":[]}`, `{"keys":["k"]}`, `{"keys":["' or 1 eq 1"]}`, `{"kyes":[]}`, string(many), `{"keys":["` + keyOf("a") + `"]} {}`},
			adapters.LateFaults: {``, `{}`, `{"since":"yesterday"}`, `{"sinc":1}`},
		} {
			for _, body := range bodies {
				_, err := b.Plan(op, []byte(body))
				require.Error(t, err, body)
				_, v := b.do(t, false, op, []byte(body))
				require.Equal(t, classify.Transformation, v.Kind, body)
			}
		}
		require.Empty(t, b.Log())
		for op, body := range map[adapters.Operation]any{adapters.LookUp: adapters.Keys{Keys: []string{keyOf("a")}}, adapters.LateFaults: adapters.FaultsSince{Since: time.Now()}} {
			raw, err := json.Marshal(body)
			require.NoError(t, err)
			p, err := b.Plan(op, raw)
			require.NoError(t, err)
			require.Equal(t, adapters.ReadOnly, p.Guard)
			_, v := b.do(t, false, op, raw)
			require.Equal(t, classify.Success, v.Class, v.Message)
		}
	})
}

// An answer is lost after the vendor has stored everything, or before it stored
// anything: the resend leaves each entry there once.
func TestLostAnswer(t *testing.T) {
	for _, when := range []string{sandbox.AfterEffect, sandbox.BeforeEffect} {
		t.Run(when, func(t *testing.T) {
			everyExporter(t, func(t *testing.T, b books) {
				entries := vouchers("A", 100, "3000")
				_, v := b.do(t, false, adapters.Ping, nil) // the token is there
				require.Equal(t, classify.Success, v.Class, v.Message)
				b.Script(sandbox.Rule{Reset: when, Times: 1})
				_, v = b.send(t, false, entries)
				require.True(t, v.Unknown)
				require.True(t, v.Retry())

				asked := b.asked(b.name)
				r, v := b.send(t, true, entries)
				require.Equal(t, classify.Success, v.Class, v.Message)
				stored := when == sandbox.AfterEffect
				switch {
				case b.name == dataverse.Name:
					require.False(t, r.ReadBack, "an upsert is its own read-back")
					require.Equal(t, 1, b.asked(b.name)-asked)
				case stored:
					require.True(t, r.ReadBack)
					require.Equal(t, 1, b.asked(b.name)-asked, "one look-up, nothing else")
				default:
					require.False(t, r.ReadBack)
					require.Equal(t, 2, b.asked(b.name)-asked, "one look-up and the resend")
				}
				require.Len(t, b.References(entries, r), len(entries))
				b.requireOnce(t, entries)
				if b.name == dataverse.Name && stored {
					require.Len(t, b.times("upsert_again"), len(entries))
				}
			})
		})
	}
}

// Half of a chunk is at the vendor, which can be only where a chunk is not
// atomic, or where somebody else was at work.
func TestPartlyThere(t *testing.T) {
	everyExporter(t, func(t *testing.T, b books) {
		entries := vouchers("A", 60, "3000")
		b.sent(t, entries[:30])
		r, v := b.send(t, true, entries)
		if b.name == xledger.Name {
			require.Equal(t, classify.UnknownOutcome, v.Kind, "a mutation is whole or not at all: not ours to mend")
			require.False(t, v.Retry())
			b.requireOnce(t, entries[:30])
			return
		}
		require.Equal(t, classify.Success, v.Class, v.Message)
		require.False(t, r.ReadBack)
		require.Len(t, b.References(entries, r), len(entries), "of those that were there too")
		b.requireOnce(t, entries)
	})
}

// A vendor that has an entry twice is found out, however often it has it.
func TestDuplicates(t *testing.T) {
	everyExporter(t, func(t *testing.T, b books) {
		entries := vouchers("A", 40, "3000")
		b.sent(t, entries)
		want := 2
		switch b.name {
		case dataverse.Name: // the alternate key is not active
			for _, e := range entries[:2] {
				_, v := b.do(t, false, adapters.Call, fmt.Appendf(nil, `{"method":"POST","path":"acme_ledgerlines","body":{"acme_key":%q}}`, e.Key))
				require.Equal(t, classify.Success, v.Class, v.Message)
			}
		default:
			want = 6 // more than the look-up makes room for in one page
			for range 5 {
				b.sent(t, entries[:2])
			}
		}
		found := b.lookUp(t, entries)
		require.Len(t, found, len(entries))
		for i, e := range entries {
			require.Equal(t, map[bool]int{true: want, false: 1}[i < 2], found[e.Key].Count)
		}
		if b.name == xledger.Name {
			found = b.lookUp(t, entries[:2]) // room for 4 in a page, and 12 are there
			require.Equal(t, 6, found[entries[1].Key].Count)
		}
	})
}
