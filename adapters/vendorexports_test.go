package adapters_test

import (
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
	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// Amounts and texts arrive digit for digit and letter for letter.
func TestWhatArrives(t *testing.T) {
	read := map[string]func(e adapters.Entry) string{
		"xledger": func(e adapters.Entry) string {
			return fmt.Sprintf(`{"query":"query($ids:[String!]){glImportItems(filter:{extIdentifier_in:$ids}){edges{node{amount text postedDate glObject1{code} taxRule{code} invoiceNumber account{code}}}}}","variables":{"ids":[%q]}}`, e.Key)
		},
		"businesscentral": func(e adapters.Entry) string {
			return fmt.Sprintf(`{"method":"GET","path":"companies(%s)/journals(%s)/journalLines?$filter=externalDocumentNumber%%20eq%%20'%s'"}`, sandbox.DemoCompanyID, sandbox.DemoJournalID, e.Key)
		},
		"dataverse": func(e adapters.Entry) string {
			return fmt.Sprintf(`{"method":"GET","path":"acme_ledgerlines(acme_key='%s')"}`, e.Key)
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
			r, v := b.call(t, read[b.name](entries[0]))
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

// A batch that fails for another reason than what was sent may be there in part
// too, where a failure does not undo everything. Whoever sends the rest must
// know, also if the failure is permanent.
func TestFailedInPart(t *testing.T) {
	everyExporter(t, func(t *testing.T, b books) {
		if b.Vendor().Export.Atomic {
			return
		}
		entries := vouchers("A", 4, "3000")
		entries[2].Account, entries[3].Account = "C100", "K100"
		_, v := b.send(t, entries)
		require.Equal(t, classify.Conflict, v.Kind, v.Message)
		require.Equal(t, classify.Open, v.Effect)
		require.True(t, v.Ended, "asking can tell at once")
		found := b.find(t, entries)
		require.Len(t, found, 3)
		require.Empty(t, found[entries[3].Key])
		b.sent(t, entries[3:])
		b.requireOnce(t, entries)
	})
}

// A refusal is one that a run answers with halving, and leaves nothing behind
// where the exporter says so.
func TestRefused(t *testing.T) {
	kinds := []classify.Kind{classify.Business, classify.BadRequest, classify.Unprocessable, classify.Duplicate, classify.Transformation}
	everyExporter(t, func(t *testing.T, b books) {
		entries := vouchers("A", 10, "3000")
		entries[7].Account = "X999"
		_, v := b.send(t, entries)
		require.Contains(t, kinds, v.Kind, v.Message)
		require.Contains(t, v.Message, "X999")
		require.Empty(t, b.Effects())
		require.Empty(t, b.find(t, entries))
		if b.Vendor().Export.Atomic {
			return
		}
		entries[2].Account = "C100" // code of the company commits here
		_, v = b.send(t, entries)
		require.Contains(t, kinds, v.Kind, v.Message)
		require.Equal(t, classify.Open, v.Effect)
		require.Len(t, b.find(t, entries), 3, "so a refused batch may be there in part")
		entries[7].Account = "3000"
		b.sent(t, entries[3:])
		b.requireOnce(t, entries)
	})
}

func TestLateErrors(t *testing.T) {
	everyExporter(t, func(t *testing.T, b books) {
		began := time.Now().Add(-time.Second)
		faulty := slices.Concat(vouchers("A", 2, "3000"), vouchers("L", 2, "L300"), vouchers("W", 2, "W300"))
		r := b.sent(t, faulty)
		ask := func(since time.Time) []adapters.LateError {
			late, v := b.LateErrors(t.Context(), b.conn(), since)
			require.Equal(t, classify.Success, v.Class, v.Message)
			require.Empty(t, v.Effect)
			return late
		}
		if !b.Vendor().Export.LateErrors {
			asked := b.asked(b.name)
			require.Empty(t, ask(began))
			require.Equal(t, asked, b.asked(b.name), "nobody is called")
			return
		}
		late := ask(began)
		require.Len(t, late, 1, "a warning is no error")
		require.Equal(t, b.References(faulty, r)[faulty[3].Key], late[0].Reference)
		require.Contains(t, late[0].Message, "locked")
		require.WithinDuration(t, time.Now(), late[0].At, time.Minute, "the vendor's clock is an hour ahead")
		require.Len(t, ask(time.Now().Add(time.Minute)), 1, "the vendor's clock may differ: it is asked from a day earlier, and references say whose an error is")
		require.Empty(t, ask(time.Now().Add(25*time.Hour)))

		for i := range 3 { // 752 errors: the sandbox gives 200 a page, whatever is asked for
			b.sent(t, vouchers(fmt.Sprint("M", i, "-"), 500, "L1"))
		}
		asked := b.asked(b.name)
		require.Len(t, ask(began), 751)
		require.Equal(t, 4, b.asked(b.name)-asked)
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
			_, err := b.ExportBody(adapters.Form{Settings: bad}, entries)
			require.ErrorContains(t, err, c.says)
			_, err = b.ExportBody(adapters.Form{}, nil)
			require.Len(t, strings.Split(err.Error(), "\n"), 3, "all at once")
			conn := b.conn()
			maps.Copy(conn.Settings, bad)
			_, v := b.Find(t.Context(), conn, soughtOf(entries))
			require.Equal(t, classify.Configuration, v.Kind)
			require.Empty(t, b.Log())
		})
	}
}

func TestDimensionFields(t *testing.T) {
	require.Contains(t, xledger.Vendor.Export.Dimensions, "glObject5")
	require.Nil(t, businesscentral.Vendor.Export.Dimensions)
	for name, c := range map[string]struct{ field, value, says string }{
		"xledger":         {"department", "1", `no field "department"; it has glObject1`},
		"businesscentral": {"AVD", strings.Repeat("1", 21), "20 characters"},
		"dataverse":       {"amount", "1", `"amount" cannot be a column`},
	} {
		entries := vouchers("A", 2, "3000")
		entries[1].Dimensions = map[string]string{c.field: c.value}
		_, err := newBooks(t, name).ExportBody(adapters.Form{Settings: settings[name]}, entries)
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
	body, err := b.ExportBody(adapters.Form{Settings: settings[b.name]}, entries)
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

// An answer that confirms some of what was sent says nothing of the rest.
func TestShortAnswerToAnExport(t *testing.T) {
	short := map[string][]string{
		businesscentral.Name: {`{"responses":[{"id":"0","status":201,"body":{}}]}`},
		xledger.Name: {
			`{"data":{"addGLImportItems":{"edges":[{"clientId":"1","node":{"dbId":"7"}}]}}}`, `{"data":{"addGLImportItems":{"edges":[]}}}`,
			`{"data":{"addGLImportItems":{"edges":null}}}`, `{"data":{"addGLImportItems":{"edges":{}}}}`,
		},
	}
	for name, answers := range short {
		for _, body := range answers {
			b := newBooks(t, name)
			b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: name}, Times: 1, Status: 200, Body: body})
			_, v := b.send(t, vouchers("A", 4, "3000"))
			require.Equal(t, classify.IncompleteResponse, v.Kind, body)
			require.True(t, v.Effect == classify.Open && !v.Ended, "%+v", v)
			require.True(t, v.Retry(), "it is asked first, then sent")
		}
	}
}

// A caller who does not ask for the edges gets none, and that is no error.
func TestAnswerWithoutEdges(t *testing.T) {
	b := newBooks(t, xledger.Name)
	b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: b.name}, Times: 1, Status: 200, Body: `{"data":{"addGLImportItems":{"__typename":"X"}}}`})
	_, v := b.call(t, `{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){__typename}}","variables":{"in":[{"node":{"extIdentifier":"a"}}]}}`)
	require.Equal(t, classify.Done, v.Effect, "%+v", v)
}
