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
	"github.com/ledgerline/ledgerline/adapters/vendors"
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
	for _, name := range vendors.Names() {
		t.Run(name, func(t *testing.T) { test(t, newBooks(t, name)) })
	}
}

func newBooks(t *testing.T, name string, options ...sandbox.Options) books {
	t.Helper()
	b := books{bench: newBench(t, options...), name: name, kind: map[string]string{
		xledger.Name: "gl_import_item", dataverse.Name: "upsert", businesscentral.Name: "journal_line",
	}[name]}
	for _, a := range vendors.New() {
		if a.Vendor().Name == name {
			b.Exporter = a.(adapters.Exporter)
		}
	}
	require.NotNil(t, b.Exporter, "no vendor has the name %s", name)
	return b
}

// conn is [bench.conn] with what exports need.
func (b books) conn() *adapters.Conn {
	c := b.bench.conn(b.name)
	maps.Copy(c.Settings, settings[b.name])
	return c
}

func (b books) call(t *testing.T, body string) (adapters.Response, classify.Verdict) {
	t.Helper()
	return b.Do(t.Context(), b.conn(), adapters.Call, []byte(body))
}

// send exports entries as an attempt does.
func (b books) send(t *testing.T, entries []adapters.Entry) (adapters.Response, classify.Verdict) {
	t.Helper()
	body, err := b.ExportBody(adapters.Form{Settings: settings[b.name]}, entries)
	require.NoError(t, err)
	p, err := b.Describe(adapters.Call, body)
	require.NoError(t, err)
	require.Contains(t, []adapters.Guard{adapters.Readback, adapters.Idempotent}, p.Guard)
	return b.call(t, string(body))
}

func (b books) sent(t *testing.T, entries []adapters.Entry) adapters.Response {
	t.Helper()
	r, v := b.send(t, entries)
	require.Equal(t, classify.Success, v.Class, v.Message)
	return r
}

// ask asks for entries, and checks what holds of every answer.
func (b books) ask(t *testing.T, entries []adapters.Entry) (map[string]adapters.LookupResult, classify.Verdict) {
	t.Helper()
	found, v := b.Find(t.Context(), b.conn(), soughtOf(entries))
	require.Empty(t, v.Effect, "asking has none")
	if v.Class != classify.Success {
		require.Empty(t, found, "what cannot be trusted must not be used")
	}
	return found, v
}

func (b books) find(t *testing.T, entries []adapters.Entry) map[string]adapters.LookupResult {
	t.Helper()
	found, v := b.ask(t, entries)
	require.Equal(t, classify.Success, v.Class, v.Message)
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
	found := b.find(t, entries)
	require.Len(t, found, len(entries))
	for key, f := range found {
		require.Equal(t, 1, f.Count, key)
	}
}

func keyOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

// soughtOf is what an attempt asks for to find entries.
func soughtOf(entries []adapters.Entry) (list []adapters.LookupKey) {
	for _, e := range entries {
		list = append(list, adapters.LookupKey{Key: e.Key, Voucher: e.Voucher})
	}
	return list
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
		l := b.Vendor().Export
		require.True(t, 2 <= l.Default && l.Default <= l.Entries && l.Entries <= adapters.MaxKeys, "%+v", l)
		entries := vouchers("A", l.Entries, "3000")
		require.Empty(t, b.find(t, entries))
		first, err := b.ExportBody(adapters.Form{Settings: settings[b.name]}, entries)
		require.NoError(t, err)
		second, err := b.ExportBody(adapters.Form{Settings: settings[b.name]}, entries)
		require.NoError(t, err)
		require.Equal(t, string(first), string(second), "the same entries make the same request")

		r := b.sent(t, entries)
		b.requireOnce(t, entries)
		references, found := b.References(entries, r), b.find(t, entries)
		require.Len(t, references, len(entries))
		distinct := make(map[string]bool)
		for key, reference := range references {
			require.Equal(t, reference, found[key].Reference)
			distinct[reference] = true
		}
		require.Len(t, distinct, len(entries))

		b.Forget(entries[0].Key)
		require.Len(t, b.find(t, entries), len(entries)-1)

		_, err = b.ExportBody(adapters.Form{Settings: settings[b.name]}, vouchers("A", l.Entries+2, "3000"))
		require.ErrorContains(t, err, fmt.Sprintf("want 1 to %d", l.Entries))
		_, err = b.ExportBody(adapters.Form{Settings: settings[b.name]}, nil)
		require.ErrorContains(t, err, "0 entries")
		require.Empty(t, b.References(entries, adapters.Response{Body: json.RawMessage(`"nonsense"`)}))
	})
}

// All errors of entries come at once, and none repeats what stands in them.
func TestEntriesThatCannotBeSent(t *testing.T) {
	everyExporter(t, func(t *testing.T, b books) {
		entries := vouchers("A", 12, "3000")
		for i, amount := range []string{"", "1,5", "1.234", "1e3", "+1", ".5", "NaN", "007", "1234567890123456789"} {
			entries[i].Amount = amount
		}
		entries[9].Key, entries[10].Key, entries[11].Voucher = "k'); --", entries[0].Key, ""
		entries[9].Account = "secret account"
		_, err := b.ExportBody(adapters.Form{Settings: settings[b.name]}, entries)
		require.Error(t, err)
		require.Len(t, strings.Split(err.Error(), "\n"), 12, err.Error())
		require.NotContains(t, err.Error(), "secret account")
		require.NotContains(t, err.Error(), "--")

		entries = vouchers("A", b.Vendor().Export.Entries, "3000")
		for i := range entries {
			entries[i].Text = strings.Repeat("lang tekst ", 1000)
		}
		if _, err = b.ExportBody(adapters.Form{Settings: settings[b.name]}, entries); b.name != businesscentral.Name { // it cuts texts
			require.ErrorContains(t, err, "send fewer entries", "too large is an error of the chunk, which is halved then")
		}
	})
}

// The body of a look-up is checked before anybody is called, and a look-up is not
// something that an adapter sends.
func TestLookUpBodies(t *testing.T) {
	many, err := json.Marshal(adapters.LookupRequest{Keys: slices.Repeat([]string{keyOf("a")}, adapters.MaxKeys+1)})
	require.NoError(t, err)
	good, err := json.Marshal(adapters.LookupRequest{Keys: []string{keyOf("a"), keyOf("b")}, Vouchers: []string{"A", ""}, Known: []string{keyOf("b")}})
	require.NoError(t, err)
	sought, err := adapters.ParseLookup(good)
	require.NoError(t, err)
	require.Equal(t, []adapters.LookupKey{{Key: keyOf("a"), Voucher: "A"}, {Key: keyOf("b"), Known: true}}, sought)
	everyExporter(t, func(t *testing.T, b books) {
		for _, body := range []string{
			``, `{}`, `{"keys":[]}`, `{"keys":["k"]}`, `{"keys":["' or 1 eq 1"]}`, `{"kyes":[]}`, string(many), `{"keys":["` + keyOf("a") + `"]} {}`, `{"keys":["` + keyOf("a") + `"]}}`,
			`{"keys":["` + keyOf("a") + `"],"vouchers":["A","B"]}`, `{"keys":["` + keyOf("a") + `"],"known":["` + keyOf("b") + `"]}`,
		} {
			_, err := b.Describe(adapters.Lookup, []byte(body))
			require.Error(t, err, body)
		}
		p, err := b.Describe(adapters.Lookup, good)
		require.NoError(t, err)
		require.Equal(t, adapters.ReadOnly, p.Guard)
		for _, op := range []adapters.Operation{adapters.Lookup, adapters.Export} {
			_, v := b.Do(t.Context(), b.conn(), op, good)
			require.Equal(t, classify.Transformation, v.Kind, "%s: %s", op, v.Message)
		}
		require.Empty(t, b.Log())
	})
}

// An answer is lost after the vendor has stored everything, or before it stored
// anything: nothing is known, and a look-up shows it.
func TestLostAnswer(t *testing.T) {
	for _, when := range []string{sandbox.AfterEffect, sandbox.BeforeEffect} {
		t.Run(when, func(t *testing.T) {
			everyExporter(t, func(t *testing.T, b books) {
				entries := vouchers("A", 100, "3000")
				_, v := b.Do(t.Context(), b.conn(), adapters.Ping, nil) // the token is there
				require.Equal(t, classify.Success, v.Class, v.Message)
				b.Script(sandbox.Rule{Reset: when, Times: 1})
				asked := b.asked(b.name)
				r, v := b.send(t, entries)
				require.Equal(t, classify.Open, v.Effect)
				require.False(t, v.Ended)
				require.True(t, v.Retry())
				require.Empty(t, b.References(entries, r))
				require.Equal(t, 1, b.asked(b.name)-asked, "it is sent once, and nobody is asked")

				found := b.find(t, entries)
				if when == sandbox.BeforeEffect {
					require.Empty(t, found)
					b.sent(t, entries)
				}
				b.requireOnce(t, entries)
			})
		})
	}
}

// A look-up distinguishes those that are there from the others.
func TestPartlyThere(t *testing.T) {
	everyExporter(t, func(t *testing.T, b books) {
		entries := vouchers("A", 60, "3000")
		references := b.References(entries[:30], b.sent(t, entries[:30]))
		found := b.find(t, entries)
		require.Len(t, found, 30)
		for _, e := range entries[:30] {
			require.Equal(t, adapters.LookupResult{Count: 1, Reference: references[e.Key], Amount: e.Amount}, found[e.Key])
		}
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
				_, v := b.call(t, fmt.Sprintf(`{"method":"POST","path":"acme_ledgerlines","body":{"acme_key":%q}}`, e.Key))
				require.Equal(t, classify.Success, v.Class, v.Message)
			}
		default:
			want = 6 // more than the look-up makes room for in one page
			for range 5 {
				b.sent(t, entries[:2])
			}
		}
		found := b.find(t, entries)
		require.Len(t, found, len(entries))
		for i, e := range entries {
			require.Equal(t, map[bool]int{true: want, false: 1}[i < 2], found[e.Key].Count)
		}
		if b.name == xledger.Name {
			found = b.find(t, entries[:2]) // room for 4 in a page, and 12 are there
			require.Equal(t, 6, found[entries[1].Key].Count)
		}
	})
}
