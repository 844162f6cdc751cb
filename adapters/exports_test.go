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

// Amounts and texts arrive digit for digit and letter for letter.
func TestWhatArrives(t *testing.T) {
	read := map[string]func(e adapters.Entry) []byte{
		"xledger": func(e adapters.Entry) []byte {
			return fmt.Appendf(nil, `{"query":"query($ids:[String!]){glImportItems(filter:{extIdentifier_in:$ids}){edges{node{amount}}}}","variables":{"ids":[%q]}}`, e.Key)
		},
		"businesscentral": func(e adapters.Entry) []byte {
			return fmt.Appendf(nil, `{"method":"GET","path":"companies(%s)/journals(%s)/journalLines?$filter=externalDocumentNumber%%20eq%%20'%s'"}`, sandbox.DemoCompanyID, sandbox.DemoJournalID, e.Key)
		},
		"dataverse": func(e adapters.Entry) []byte {
			return fmt.Appendf(nil, `{"method":"GET","path":"acme_ledgerlines(acme_key='%s')"}`, e.Key)
		},
	}
	says := map[string][]string{
		"xledger":         {`"amount":"%s"`, `"text":"Kaffe & kaker, Åse \"x\""`, `"postedDate":"2026-10-15"`, `"glObject1":{"code":"P-1"}`, `"taxRule":{"code":"3"}`, `"invoiceNumber":"F/17"`, `"account":{"code":"1920"}`},
		"businesscentral": {`"amount":%s,`, `"description":"Kaffe & kaker, Åse \"x\""`, `"postingDate":"2026-10-15"`, `"dimensionSetLines":[{"code":"AVD","valueCode":"17"},{"code":"PROJECT","valueCode":"P-1"}]`, `"documentNumber":"A0"`},
		"dataverse":       {`"acme_amount":%s,`, `"acme_text":"Kaffe & kaker, Åse \"x\""`, `"acme_date":"2026-10-15"`, `"acme_project":"P-1"`, `"acme_voucher":"A0"`, `"acme_currency":"NOK"`},
	}
	dimensions := map[string]map[string]string{
		"xledger":         {"glObject1": "P-1", "taxRule": "3", "invoiceNumber": "F/17", "glObject2": ""},
		"businesscentral": {"PROJECT": "P-1", "AVD": "17"},
		"dataverse":       {"project": "P-1"},
	}
	everyExporter(t, func(t *testing.T, b books) {
		for i, amount := range []string{"0.10", "-1234567890123456.78", "0", "-0.01", "100", "999999999999999999.99"} {
			opposite, negative := strings.CutPrefix(amount, "-")
			if !negative {
				opposite = "-" + amount
			}
			entries := vouchers("A", 2, "3000")
			entries[0].Amount, entries[1].Amount = amount, opposite
			entries[0].Key, entries[1].Key = keyOf(fmt.Sprint("x", i)), keyOf(fmt.Sprint("y", i))
			entries[0].Text, entries[0].Dimensions = `Kaffe & kaker, Åse "x"`, dimensions[b.name]
			b.sent(t, entries)
			r, v := b.do(t, false, adapters.Call, read[b.name](entries[0]))
			require.Equal(t, classify.Success, v.Class, v.Message)
			for _, want := range says[b.name] {
				if strings.Contains(want, "%s") {
					want = fmt.Sprintf(want, amount)
				}
				require.Contains(t, unescaped(r.Body), want)
			}
		}
	})
}

// unescaped undoes what JSON writers do to &.
func unescaped(body []byte) string { return strings.ReplaceAll(string(body), `\u0026`, "&") }

// A refusal is one that a run answers with halving, and leaves nothing behind
// where the exporter says so.
func TestRefused(t *testing.T) {
	kinds := []classify.Kind{classify.Business, classify.BadRequest, classify.Unprocessable, classify.Duplicate, classify.Transformation}
	everyExporter(t, func(t *testing.T, b books) {
		entries := vouchers("A", 10, "3000")
		entries[7].Account = "X999"
		_, v := b.send(t, false, entries)
		require.Contains(t, kinds, v.Kind, v.Message)
		require.Contains(t, v.Message, "X999")
		require.Empty(t, b.Effects())
		require.Empty(t, b.lookUp(t, entries))
		if b.Limits().Atomic {
			return
		}
		entries[2].Account = "C100" // code of the company commits here
		_, v = b.send(t, false, entries)
		require.Contains(t, kinds, v.Kind, v.Message)
		require.Len(t, b.lookUp(t, entries), 3, "so a refused batch may be there in part")
		entries[7].Account = "3000"
		_, v = b.send(t, true, entries)
		require.Equal(t, classify.Success, v.Class, v.Message)
		b.requireOnce(t, entries)
	})
}

func TestLateFaults(t *testing.T) {
	everyExporter(t, func(t *testing.T, b books) {
		began := time.Now().Add(-time.Second)
		faulty := slices.Concat(vouchers("A", 2, "3000"), vouchers("L", 2, "L300"), vouchers("W", 2, "W300"))
		r := b.sent(t, faulty)
		ask := func(since time.Time) (faults []adapters.LateFault) {
			r, v := b.do(t, false, adapters.LateFaults, adapters.FaultsSince{Since: since})
			require.Equal(t, classify.Success, v.Class, v.Message)
			require.NoError(t, json.Unmarshal(r.Body, &faults))
			return faults
		}
		if b.name != xledger.Name {
			asked := b.asked(b.name)
			require.Empty(t, ask(began))
			require.Equal(t, asked, b.asked(b.name), "nobody is called")
			return
		}
		faults := ask(began)
		require.Len(t, faults, 1, "a warning is no fault")
		require.Equal(t, b.References(faulty, r)[faulty[3].Key], faults[0].Reference)
		require.Contains(t, faults[0].Message, "locked")
		require.WithinDuration(t, time.Now(), faults[0].At, time.Minute, "the vendor's clock is an hour ahead")
		require.Empty(t, ask(time.Now().Add(time.Minute)), "what is older is left out, although the vendor is asked from a day earlier")

		for i := range 3 { // more than one page of 500
			b.sent(t, vouchers(fmt.Sprint("M", i, "-"), 500, "L1"))
		}
		asked := b.asked(b.name)
		require.Len(t, ask(began), 751)
		require.Equal(t, 2, b.asked(b.name)-asked)
	})
}

func TestBadSettings(t *testing.T) {
	entries := vouchers("A", 2, "3000")
	cases := []struct {
		adapter, name, value, says string
	}{
		{"businesscentral", "companyId", "", "settings.companyId: missing"},
		{"businesscentral", "journalId", "", "settings.journalId: missing"},
		{"businesscentral", "journalId", "x)/journals(y", "GUID"},
		{"dataverse", "table", "", "settings.table: missing"}, {"dataverse", "table", "a(b)", "entity set"}, {"dataverse", "table", "../x", "entity set"},
		{"dataverse", "prefix", "", "settings.prefix: missing"}, {"dataverse", "prefix", "acme", "underscore"}, {"dataverse", "prefix", "a'eq_", "underscore"},
	}
	for _, c := range cases {
		t.Run(c.adapter+" "+c.name+" "+c.value, func(t *testing.T) {
			b := newBooks(t, c.adapter)
			bad := maps.Clone(settings[c.adapter])
			bad[c.name] = c.value
			_, err := b.ExportBody(bad, entries)
			require.ErrorContains(t, err, c.says)
			_, err = b.ExportBody(nil, nil)
			require.Len(t, strings.Split(err.Error(), "\n"), 3, "all at once")
			conn := b.conn(c.adapter)
			maps.Copy(conn.Settings, bad)
			body, err := json.Marshal(adapters.Keys{Keys: keysOf(entries)})
			require.NoError(t, err)
			_, v := b.Do(t.Context(), conn, adapters.LookUp, body)
			require.Equal(t, classify.Configuration, v.Kind)
			require.Empty(t, b.Log())
		})
	}
}

func TestDimensionFields(t *testing.T) {
	require.Contains(t, adapters.DimensionFields("xledger"), "glObject5")
	require.Nil(t, adapters.DimensionFields("businesscentral"))
	for name, c := range map[string]struct{ field, value, says string }{
		"xledger":         {"department", "1", `no field "department"; it has glObject1`},
		"businesscentral": {"AVD", strings.Repeat("1", 21), "20 characters"},
		"dataverse":       {"amount", "1", `"amount" cannot be a column`},
	} {
		entries := vouchers("A", 2, "3000")
		entries[1].Dimensions = map[string]string{c.field: c.value}
		_, err := newBooks(t, name).ExportBody(settings[name], entries)
		require.ErrorContains(t, err, "entries[1].dimensions")
		require.ErrorContains(t, err, c.says)
	}
}

// A voucher's number that Business Central has no room for is shortened so that
// it stays one of its own, and the same for ever.
func TestLongVoucherNumbers(t *testing.T) {
	b := newBooks(t, businesscentral.Name)
	entries := vouchers("A", 6, "3000")
	for i := range entries {
		entries[i].Voucher = fmt.Sprintf("2026-10/bilag/Ærfugl/%d", i/2)
	}
	entries[4].Voucher, entries[5].Voucher = "12345678901234567890", "12345678901234567890"
	body, err := b.ExportBody(settings[b.name], entries)
	require.NoError(t, err)
	var r struct {
		Requests []struct {
			Body struct{ DocumentNumber, ExternalDocumentNumber string }
		}
	}
	require.NoError(t, json.Unmarshal(body, &r))
	var documents []string
	for i, q := range r.Requests {
		require.LessOrEqual(t, len([]rune(q.Body.DocumentNumber)), 20)
		require.Equal(t, entries[i].Key, q.Body.ExternalDocumentNumber)
		documents = append(documents, q.Body.DocumentNumber)
	}
	require.Equal(t, []string{"2026-10-TTKO54FA3Z5O", "2026-10-TTKO54FA3Z5O"}, documents[:2])
	require.NotEqual(t, documents[1], documents[2])
	require.Equal(t, "12345678901234567890", documents[4])
	b.sent(t, entries)
	b.requireOnce(t, entries)
}

// Answers to a look-up that must not be taken for "it is not there": an entry
// would be sent twice.
func TestLookUpsThatProveNothing(t *testing.T) {
	one, many := vouchers("A", 2, "3000"), vouchers("A", 60, "3000")
	item := `{"cursor":"1","node":{"dbId":"1","extIdentifier":"` + one[0].Key + `"}}`
	cases := []struct {
		adapter, name string
		entries       []adapters.Entry
		body          string
		kind          classify.Kind
	}{
		{"xledger", "no connection", one, `{"data":{"glImportItems":null}}`, classify.InvalidResponse},
		{"xledger", "no edges", one, `{"data":{"glImportItems":{}}}`, classify.InvalidResponse},
		{"xledger", "another field", one, `{"data":{"x":{"edges":[]}}}`, classify.InvalidResponse},
		{"xledger", "what was not asked for", one, `{"data":{"glImportItems":{"edges":[{"node":{"dbId":1,"extIdentifier":"other"}}]}}}`, classify.InvalidResponse},
		{"xledger", "a cursor that repeats", one, `{"data":{"glImportItems":{"edges":[` + item + `],"pageInfo":{"hasNextPage":true}}}}`, classify.InvalidResponse},
		{"xledger", "no cursor", one, `{"data":{"glImportItems":{"edges":[],"pageInfo":{"hasNextPage":true}}}}`, classify.InvalidResponse},
		{"businesscentral", "no list", one, `{"id":"1"}`, classify.InvalidResponse},
		{"businesscentral", "a next page", one, `{"value":[],"@odata.nextLink":"x"}`, classify.InvalidResponse},
		{"businesscentral", "what was not asked for", one, `{"value":[{"id":"1","externalDocumentNumber":"D"}]}`, classify.InvalidResponse},
		{"businesscentral", "a short batch", many, `{"responses":[{"id":"0","status":200,"body":{"value":[]}}]}`, classify.IncompleteResponse},
		{"businesscentral", "a part twice", many, `{"responses":[{"id":"0","status":200,"body":{"value":[]}},{"id":"0","status":200,"body":{"value":[]}},{"id":"1","status":200,"body":{"value":[]}}]}`, classify.InvalidResponse},
		{"dataverse", "no list", one, `{"id":"1"}`, classify.InvalidResponse},
		{"dataverse", "what was not asked for", one, `{"value":[{"acme_key":"D"}]}`, classify.InvalidResponse},
		{"dataverse", "a batch that is none", many, `{"value":[]}`, classify.IncompleteResponse},
	}
	for _, c := range cases {
		t.Run(c.adapter+" "+c.name, func(t *testing.T) {
			b := newBooks(t, c.adapter)
			b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: c.adapter}, Status: 200, Body: c.body})
			r, v := b.do(t, false, adapters.LookUp, adapters.Keys{Keys: keysOf(c.entries)})
			require.Equal(t, c.kind, v.Kind, "%s %s", v.Message, r.Body)
			require.Empty(t, b.Effects())
			if c.adapter != dataverse.Name { // which needs no read-back
				_, v = b.send(t, true, c.entries)
				require.NotEqual(t, classify.Success, v.Class)
				require.False(t, v.Unknown, "nothing was sent")
			}
		})
	}
}

// A batch that answers for some of its parts has not told of the rest.
func TestShortAnswerToAnExport(t *testing.T) {
	b := newBooks(t, businesscentral.Name)
	b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: b.name}, Times: 1, Status: 200, Body: `{"responses":[{"id":"0","status":201,"body":{}}]}`})
	_, v := b.send(t, false, vouchers("A", 4, "3000"))
	require.Equal(t, classify.IncompleteResponse, v.Kind)
	require.True(t, v.Unknown && v.Retry(), "it is asked first, then sent")
}
