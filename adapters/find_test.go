package adapters_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/businesscentral"
	"github.com/ledgerline/ledgerline/adapters/dataverse"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/limits"
)

// everyLookUp runs a test for each vendor, with entries that are there and take
// several pages: as many as the Dynamics vendors are asked for in one request, and
// as many as take a batch.
func everyLookUp(t *testing.T, test func(t *testing.T, b books, entries []adapters.Entry)) {
	for _, vendor := range vendors.Names() {
		for name, n := range map[string]int{"one request": 20, "a batch": 60} {
			t.Run(vendor+" "+name, func(t *testing.T) {
				b := newBooks(t, vendor, sandbox.Options{PageSize: 7})
				entries := vouchers("A", n, "3000")
				b.sent(t, entries)
				b.sent(t, vouchers("B", 20, "3000")) // which nobody asks for
				test(t, b, entries)
			})
		}
	}
}

// Every page is read, and what comes back is what was sent, with its amounts.
func TestFindReadsEveryPage(t *testing.T) {
	everyLookUp(t, func(t *testing.T, b books, entries []adapters.Entry) {
		missing := vouchers("C", 10, "3000")
		before := b.asked(b.name)
		purposes := make(map[limits.Purpose]int)
		c := b.conn()
		c.Count = func(p limits.Purpose) { purposes[p]++ }
		c.For(limits.Readback)
		found, v := b.Find(t.Context(), c, soughtOf(slices.Concat(missing, entries)))
		require.Equal(t, classify.Success, v.Class, v.Message)
		require.Empty(t, v.Effect)
		require.Len(t, found, len(entries))
		references := make(map[string]bool)
		for _, e := range entries {
			f := found[e.Key]
			require.Equal(t, 1, f.Count)
			require.Equal(t, e.Amount, f.Amount)
			require.Empty(t, f.Elsewhere)
			references[f.Reference] = true
		}
		require.Len(t, references, len(entries))
		require.NotContains(t, references, "")
		asked := b.asked(b.name) - before
		require.Greater(t, asked, len(entries)/20, "there were more pages than first ones")
		require.Equal(t, asked, purposes[limits.Readback], "each may be billed")
	})
}

// A page that does not come leaves everything open, whatever the first one says.
func TestFindWithoutItsSecondPage(t *testing.T) {
	failures := map[string]struct {
		rule sandbox.Rule
		kind classify.Kind
	}{
		"an error":      {sandbox.Rule{Status: 500, Body: `{"error":{"code":"Internal_ServerError","message":"no"}}`}, classify.ServerError},
		"throttled":     {sandbox.Rule{Status: 429, Headers: map[string]string{"Retry-After": "7"}}, classify.RateLimited},
		"refused":       {sandbox.Rule{Status: 403}, classify.Forbidden},
		"cut off":       {sandbox.Rule{TruncateAt: 40}, classify.Network},
		"not JSON":      {sandbox.Rule{Status: 200, Body: `<html>`}, classify.IncompleteResponse},
		"not an object": {sandbox.Rule{Status: 200, Body: `[]`}, classify.Untrusted},
		"not a page":    {sandbox.Rule{Status: 200, Body: `{"value":{}}`}, classify.Untrusted},
		"another page":  {sandbox.Rule{Status: 200, Body: `{"value":[{"acme_key":"x"}],"data":{"glImportItems":{"edges":[{"node":{"extIdentifier":"x"}}],"pageInfo":{"hasNextPage":false}}}}`}, classify.Untrusted},
	}
	everyLookUp(t, func(t *testing.T, b books, entries []adapters.Entry) {
		b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: b.name}, Lookup: sandbox.SecondPageMissing, Times: 2})
		_, v := b.ask(t, entries)
		require.Equal(t, classify.ServerError, v.Kind, v.Message)
		for name, f := range failures {
			f.rule.Match, f.rule.Times = sandbox.Match{Vendor: b.name, BodyContains: "$skiptoken"}, 1
			if b.name == xledger.Name {
				f.rule.Match.BodyContains = `after:\"`
			}
			at := b.Script(f.rule)
			_, v := b.ask(t, entries)
			require.Equal(t, f.kind, v.Kind, "%s: %s", name, v.Message)
			require.Equal(t, 1, b.Fired(at), name)
			if name == "throttled" {
				require.EqualValues(t, 7, v.RetryAfter.Seconds())
			}
		}
		require.Len(t, b.find(t, entries), len(entries), "and the next one finds them all")
	})
}

// A token can be refused between two pages: the page is asked for again.
func TestFindWithATokenThatEnds(t *testing.T) {
	everyLookUp(t, func(t *testing.T, b books, entries []adapters.Entry) {
		if b.name == xledger.Name { // whose token is not fetched
			return
		}
		at := b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: b.name, BodyContains: "$skiptoken"}, Times: 1, Status: 401})
		require.Len(t, b.find(t, entries), len(entries))
		require.Equal(t, 1, b.Fired(at))
	})
}

// A vendor that passes over the filter shows entries that nobody asked for, and
// then those that it does not show prove nothing.
func TestFindWithoutItsFilter(t *testing.T) {
	everyLookUp(t, func(t *testing.T, b books, entries []adapters.Entry) {
		b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: b.name}, Lookup: sandbox.FilterIgnored})
		for _, sought := range [][]adapters.Entry{entries, vouchers("C", 2, "3000"), vouchers("C", 60, "3000")} {
			_, v := b.ask(t, sought)
			require.Equal(t, classify.Untrusted, v.Kind, v.Message)
			require.Contains(t, v.Message, "not asked for")
		}
	})
}

var countOf = regexp.MustCompile(`"@odata.count":(\d)`)

// An answer that says that there are more records than it has, or fewer, is not
// whole.
func TestFindWithAnotherCount(t *testing.T) {
	everyLookUp(t, func(t *testing.T, b books, entries []adapters.Entry) {
		if b.name == xledger.Name { // which does not count
			return
		}
		for _, sought := range [][]adapters.Entry{entries, vouchers("C", 2, "3000")} {
			counted := false
			b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: b.name}, Rewrite: func(body []byte) []byte {
				counted = counted || countOf.Match(body)
				return countOf.ReplaceAllFunc(body, func(m []byte) []byte { // of the same length, as a part of a batch must be
					m[len(m)-1] = '0' + (m[len(m)-1]-'0'+1)%10
					return m
				})
			}, Times: 9})
			_, v := b.ask(t, sought)
			require.True(t, counted)
			require.Equal(t, classify.Untrusted, v.Kind, v.Message)
			require.Regexp(t, `has \d+ records and says that there are \d+`, v.Message)
			b.Reset()
			b.sent(t, entries)
		}
	})
}

// The link to the next page is followed to the host that was asked, and nowhere
// else: whoever is asked gets the token.
func TestFindFollowsItsOwnHostOnly(t *testing.T) {
	var hits atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer other.Close()
	elsewhere := strings.TrimPrefix(other.URL, "http://")
	for _, name := range []string{businesscentral.Name, dataverse.Name} {
		for how, rewrite := range map[string]struct {
			link func(host, rest string) string
			ok   bool
		}{
			"as it is":              {func(host, rest string) string { return "http://" + host + rest }, true},
			"relative to the host":  {func(_, rest string) string { return rest }, true},
			"relative to the root":  {func(_, rest string) string { return rest[strings.LastIndex(rest[:strings.Index(rest, "?")], "/v")+6:] }, true},
			"another host":          {func(_, rest string) string { return "http://" + elsewhere + rest }, false},
			"another name":          {func(host, rest string) string { return "http://localhost" + host[strings.Index(host, ":"):] + rest }, false},
			"no scheme":             {func(_, rest string) string { return "//" + elsewhere + rest }, false},
			"another scheme":        {func(host, rest string) string { return "https://" + host + rest }, false},
			"a password":            {func(host, rest string) string { return "http://u:p@" + host + rest }, false},
			"a host as a user":      {func(host, rest string) string { return "http://" + host + "@" + elsewhere + rest }, false},
			"another port":          {func(host, rest string) string { return "http://" + host[:strings.Index(host, ":")] + ":1" + rest }, false},
			"a fragment":            {func(host, rest string) string { return "http://" + host + rest + "#x" }, false},
			"no address":            {func(string, string) string { return "http://[::1" }, false},
			"an address of no host": {func(string, string) string { return "mailto:kari@example.com" }, false},
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				b := newBooks(t, name, sandbox.Options{PageSize: 7})
				entries := vouchers("A", 20, "3000")
				b.sent(t, entries)
				host := strings.TrimPrefix(b.base["admin"], "http://")
				link := regexp.MustCompile(`"@odata.nextLink":"http://` + regexp.QuoteMeta(host) + `([^"]*)"`)
				at := b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: name, Method: http.MethodGet}, Rewrite: func(body []byte) []byte {
					return link.ReplaceAllFunc(body, func(m []byte) []byte {
						rest := string(link.FindSubmatch(m)[1])
						return []byte(`"@odata.nextLink":"` + rewrite.link(host, rest) + `"`)
					})
				}})
				found, v := b.ask(t, entries)
				if rewrite.ok {
					require.Equal(t, classify.Success, v.Class, v.Message)
					require.Len(t, found, len(entries))
					require.Equal(t, 3, b.Fired(at))
					return
				}
				require.Equal(t, classify.Untrusted, v.Kind, v.Message)
				require.Equal(t, 1, b.Fired(at), "nothing more is asked")
				require.Zero(t, hits.Load())
			})
		}
	}
}

// A list that never ends is given up.
func TestFindEnds(t *testing.T) {
	for name, body := range map[string]string{
		businesscentral.Name: `{"value":[],"@odata.nextLink":"companies"}`, dataverse.Name: `{"value":[],"@odata.nextLink":"WhoAmI"}`,
	} {
		b := newBooks(t, name)
		b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: name}, Status: 200, Body: body})
		_, v := b.ask(t, vouchers("A", 2, "3000"))
		require.Equal(t, classify.Untrusted, v.Kind, v.Message)
		require.Equal(t, 100, b.asked(name))
	}
	b := newBooks(t, xledger.Name, sandbox.Options{PageSize: 1})
	entries := vouchers("A", 102, "3000")
	b.sent(t, entries)
	require.Len(t, b.find(t, entries[:100]), 100)
	_, v := b.ask(t, entries[:101])
	require.Equal(t, classify.Untrusted, v.Kind, v.Message)
	require.Contains(t, v.Message, "more than 100 pages")
}

// An empty question is answered without asking anybody.
func TestFindNothing(t *testing.T) {
	everyExporter(t, func(t *testing.T, b books) {
		require.Empty(t, b.find(t, nil))
		require.Empty(t, b.Log())
	})
}

// Cursors are passed back as they came, be they texts or numbers.
func TestXledgerCursors(t *testing.T) {
	entries := vouchers("A", 20, "3000")
	cursor := regexp.MustCompile(`"cursor":"(\d+)"`)
	for name, as := range map[string]string{"texts": `"cursor":"$1"`, "numbers": `"cursor":$1`} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, xledger.Name, sandbox.Options{PageSize: 7})
			b.sent(t, entries)
			before := len(b.received(b.name))
			b.Script(sandbox.Rule{Match: sandbox.Match{Operation: "glImportItems"}, Rewrite: func(body []byte) []byte { return cursor.ReplaceAll(body, []byte(as)) }})
			require.Len(t, b.find(t, entries), len(entries))
			pages := b.received(b.name)[before:]
			require.Len(t, pages, 3)
			require.NotContains(t, pages[0].body, `after:`)
			require.Contains(t, pages[1].body, `after:\"7\"`)
			require.Contains(t, pages[2].body, `after:\"14\"`)
		})
	}
}

// The entries of a whole mutation and one that is known to be there fit in one
// question: in another one, the last would prove nothing of the others.
func TestXledgerAsksOnce(t *testing.T) {
	b := newBooks(t, xledger.Name, sandbox.Options{PageSize: 10000})
	known, entries := vouchers("K", 2, "3000"), vouchers("A", 500, "3000")
	b.sent(t, known)
	b.sent(t, entries)
	before := b.asked(b.name)
	require.Len(t, b.find(t, slices.Concat(entries, known[:1])), 501)
	require.Equal(t, 1, b.asked(b.name)-before)
	require.Len(t, b.find(t, slices.Concat(entries, known, vouchers("B", 498, "3000"))), 502, "%d keys take two", adapters.MaxKeys)
	require.Equal(t, 3, b.asked(b.name)-before)
}

// Business Central may answer a read from a copy that lags behind. A look-up asks
// for the original, in each request and in each part of a batch.
func TestBusinessCentralIsAskedForTheOriginal(t *testing.T) {
	for _, n := range []int{2, 60} {
		b := newBooks(t, businesscentral.Name, sandbox.Options{PageSize: 7})
		entries := vouchers("A", n, "3000")
		b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: b.name, Method: http.MethodGet}, Stale: true})
		b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: b.name, BodyContains: "$filter"}, Stale: true})
		b.sent(t, entries)
		before := len(b.received(b.name))
		require.Len(t, b.find(t, entries), n, "what the copy does not have yet")
		require.Empty(t, b.find(t, vouchers("C", n, "3000")), "neither in the journal nor in the ledger")
		parts := 0
		for _, r := range b.received(b.name)[before:] {
			require.Equal(t, "ReadWrite", r.Header.Get("Data-Access-Intent"), r.URL)
			asks := strings.Count(r.body, `"method":"GET"`)
			require.Equal(t, asks, strings.Count(r.body, `"Data-Access-Intent":"ReadWrite"`), r.body)
			parts += asks
		}
		require.Equal(t, n == 60, parts > 0)
	}
}

// Lines that have been posted have left the journal and are found by the document
// numbers of their vouchers: it may be them, and a person must look.
func TestBusinessCentralPosted(t *testing.T) {
	for _, n := range []int{4, 60} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			b := newBooks(t, businesscentral.Name, sandbox.Options{PageSize: 7})
			posted, left, never := vouchers("A", n, "3000"), vouchers("B", n, "3000"), vouchers("C", n, "3000")
			for i := range posted {
				posted[i].Voucher = fmt.Sprintf("2026-10/bilag/Ærfugl/%d", i/4) // longer than a document number
			}
			b.sent(t, posted)
			require.Equal(t, n, b.Post(sandbox.DemoJournalID))
			b.sent(t, left)
			all := slices.Concat(posted, left, never)
			before := b.asked(b.name)
			found := b.find(t, all)
			require.Greater(t, b.asked(b.name), before)
			require.Len(t, found, 2*n)
			for _, e := range posted {
				require.Zero(t, found[e.Key].Count)
				require.Regexp(t, `^document 2026-10-[A-Z2-7]{12} has entries in the general ledger$`, found[e.Key].Elsewhere)
			}
			for _, e := range left {
				require.Equal(t, 1, found[e.Key].Count)
				require.Empty(t, found[e.Key].Elsewhere)
			}
			sought := soughtOf(posted)
			for i := range sought {
				sought[i].Voucher = ""
			}
			found, v := b.Find(t.Context(), b.conn(), sought)
			require.Equal(t, classify.Success, v.Class, v.Message)
			require.Empty(t, found, "without a document number nobody can be asked")

			b.Post(sandbox.DemoJournalID)
			b.sent(t, left[:2]) // somebody sent them again
			found = b.find(t, left)
			require.Equal(t, 1, found[left[0].Key].Count, "what is in the journal is not asked for in the ledger")
			require.Empty(t, found[left[0].Key].Elsewhere)
			require.NotEmpty(t, found[left[2].Key].Elsewhere)

			b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: b.name, PathContains: "generalLedgerEntries"}, Lookup: sandbox.FilterIgnored})
			b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: b.name, BodyContains: "generalLedgerEntries"}, Lookup: sandbox.FilterIgnored})
			_, v = b.ask(t, vouchers("D", n, "3000"))
			require.Equal(t, classify.Untrusted, v.Kind, v.Message)
			require.Contains(t, v.Message, "not asked for")
		})
	}
}

// So are those of a call, in the ledger of the company that it names.
func TestBusinessCentralPostedCalls(t *testing.T) {
	b := newBooks(t, businesscentral.Name)
	call := `{"method":"POST","path":"companies(` + sandbox.DemoCompanyID + `)/journals(` + sandbox.DemoJournalID + `)/journalLines",
		"body":{"externalDocumentNumber":"d-1","documentNumber":"bilag 7","amount":1.50}}`
	_, v := b.call(t, call)
	require.Equal(t, classify.Success, v.Class, v.Message)
	p, err := b.Describe(adapters.Call, []byte(call))
	require.NoError(t, err)
	c := b.bench.conn(b.name) // without the settings of exports
	found, v := b.Find(t.Context(), c, p.Lookup)
	require.Equal(t, classify.Success, v.Class, v.Message)
	require.Equal(t, 1, found["d-1"].Count)
	b.Post(sandbox.DemoJournalID)
	found, v = b.Find(t.Context(), c, p.Lookup)
	require.Equal(t, classify.Success, v.Class, v.Message)
	require.Equal(t, map[string]adapters.LookupResult{"d-1": {Elsewhere: "document BILAG 7 has entries in the general ledger"}}, found)

	// Blanks around a number are not kept, and a line without a document number may
	// have been posted under any.
	for _, c := range [][2]string{{" d-2", " bilag 8 "}, {"d-3 ", ""}, {"d-4", "  "}} {
		call := fmt.Sprintf(`{"method":"POST","path":"companies(`+sandbox.DemoCompanyID+`)/journals(`+sandbox.DemoJournalID+`)/journalLines",
			"body":{"externalDocumentNumber":"%s","documentNumber":"%s","amount":1.50}}`, c[0], c[1])
		p, err := b.Describe(adapters.Call, []byte(call))
		require.NoError(t, err)
		require.Equal(t, adapters.Readback, p.Guard)
		_, v := b.call(t, call)
		require.Equal(t, classify.Success, v.Class, v.Message)
		found, v := b.Find(t.Context(), b.bench.conn(b.name), p.Lookup)
		require.Equal(t, []any{classify.Success, 1}, []any{v.Class, found[c[0]].Count}, v.Message)
		b.Post(sandbox.DemoJournalID)
		found, v = b.Find(t.Context(), b.bench.conn(b.name), p.Lookup)
		require.Equal(t, classify.Success, v.Class, v.Message)
		require.NotEmpty(t, found[c[0]].Elsewhere, "%q", c)
	}
	p, err = b.Describe(adapters.Call, []byte(strings.Replace(call, "d-1", " ", 1)))
	require.NoError(t, err)
	require.Equal(t, adapters.Unsafe, p.Guard)
}

// Answers to a look-up that must not be taken for "it is not there": an entry
// would be sent twice.
func TestLookUpsThatProveNothing(t *testing.T) {
	one, many := vouchers("A", 2, "3000"), vouchers("A", 60, "3000")
	item := `{"cursor":"1","node":{"dbId":"1","extIdentifier":"` + one[0].Key + `"}}`
	list := `{"value":[]}`
	cases := []struct {
		adapter, name string
		entries       []adapters.Entry
		body          string
		kind          classify.Kind
	}{
		{"xledger", "no connection", one, `{"data":{"glImportItems":null}}`, classify.Untrusted},
		{"xledger", "no edges", one, `{"data":{"glImportItems":{"pageInfo":{"hasNextPage":false}}}}`, classify.Untrusted},
		{"xledger", "another field", one, `{"data":{"x":{"edges":[],"pageInfo":{"hasNextPage":false}}}}`, classify.Untrusted},
		{"xledger", "no word of a next page", one, `{"data":{"glImportItems":{"edges":[]}}}`, classify.Untrusted},
		{"xledger", "what was not asked for", one, `{"data":{"glImportItems":{"edges":[{"node":{"dbId":1,"extIdentifier":"other"}}],"pageInfo":{"hasNextPage":false}}}}`, classify.Untrusted},
		{"xledger", "no identifier", one, `{"data":{"glImportItems":{"edges":[{"node":{"dbId":1}}],"pageInfo":{"hasNextPage":false}}}}`, classify.Untrusted},
		{"xledger", "a cursor that repeats", one, `{"data":{"glImportItems":{"edges":[` + item + `],"pageInfo":{"hasNextPage":true}}}}`, classify.Untrusted},
		{"xledger", "no cursor", one, `{"data":{"glImportItems":{"edges":[],"pageInfo":{"hasNextPage":true}}}}`, classify.Untrusted},
		{"xledger", "an error beside it", one, `{"data":{"glImportItems":{"edges":[],"pageInfo":{"hasNextPage":false}}},"errors":[{"message":"no"}]}`, classify.Business},
		{"businesscentral", "no list", one, `{"id":"1"}`, classify.Untrusted},
		{"businesscentral", "what was not asked for", one, `{"value":[{"id":"1","externalDocumentNumber":"D"}]}`, classify.Untrusted},
		{"businesscentral", "no number", one, `{"value":[{"id":"1"}]}`, classify.Untrusted},
		{"businesscentral", "an error beside it", one, `{"value":[],"error":{"code":"x","message":"no"}}`, classify.Business},
		{"businesscentral", "a short batch", many, `{"responses":[{"id":"0","status":200,"body":` + list + `}]}`, classify.IncompleteResponse},
		{"businesscentral", "a part twice", many, `{"responses":[{"id":"0","status":200,"body":` + list + `},{"id":"0","status":200,"body":` + list + `},{"id":"1","status":200,"body":` + list + `}]}`, classify.Untrusted},
		{"businesscentral", "a part of another request", many, `{"responses":[{"id":"0","status":200,"body":` + list + `},{"id":"7","status":200,"body":` + list + `},{"id":"1","status":200,"body":` + list + `}]}`, classify.Untrusted},
		{"businesscentral", "a part without a body", many, `{"responses":[{"id":"0","status":200,"body":` + list + `},{"id":"1","status":204},{"id":"2","status":200,"body":` + list + `}]}`, classify.Untrusted},
		{"businesscentral", "a part that failed", many, `{"responses":[{"id":"0","status":200,"body":` + list + `},{"id":"1","status":404,"body":{"error":{"code":"x","message":"no"}}},{"id":"2","status":200,"body":` + list + `}]}`, classify.NotFound},
		{"dataverse", "no list", one, `{"id":"1"}`, classify.Untrusted},
		{"dataverse", "what was not asked for", one, `{"value":[{"acme_key":"D"}]}`, classify.Untrusted},
		{"dataverse", "no key", one, `{"value":[{"acme_amount":1}]}`, classify.Untrusted},
		{"dataverse", "a batch that is none", many, `{"value":[]}`, classify.IncompleteResponse},
	}
	for _, c := range cases {
		t.Run(c.adapter+" "+c.name, func(t *testing.T) {
			b := newBooks(t, c.adapter)
			b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: c.adapter}, Status: 200, Body: c.body})
			_, v := b.ask(t, c.entries)
			require.Equal(t, c.kind, v.Kind, v.Message)
			require.LessOrEqual(t, b.asked(b.name), 2, "it is given up as soon as it shows")
			require.Empty(t, b.Effects())
		})
	}
}

// Dataverse's batches of look-ups come as multipart/mixed, in the order of their
// requests.
func TestDataverseBatchesThatProveNothing(t *testing.T) {
	part := "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n%s\r\n"
	list := fmt.Sprintf(part, `{"value":[]}`)
	for name, c := range map[string]struct {
		body string
		kind classify.Kind
	}{
		"two of three":           {list + list + "--b--", classify.IncompleteResponse},
		"four of three":          {list + list + list + list + "--b--", classify.IncompleteResponse},
		"cut off":                {list + list + list[:90], classify.IncompleteResponse},
		"no list":                {list + fmt.Sprintf(part, `{"value":null}`) + list + "--b--", classify.Untrusted},
		"what nobody asked for":  {list + fmt.Sprintf(part, `{"value":[{"acme_key":"x"}]}`) + list + "--b--", classify.Untrusted},
		"a link to another host": {list + fmt.Sprintf(part, `{"value":[],"@odata.nextLink":"https://evil.example/x"}`) + list + "--b--", classify.Untrusted},
		"another count":          {list + fmt.Sprintf(part, `{"value":[],"@odata.count":1}`) + list + "--b--", classify.Untrusted},
		"a part that failed":     {list + strings.Replace(fmt.Sprintf(part, `{"error":{"code":"x","message":"no"}}`), "200 OK", "404 Not Found", 1) + list + "--b--", classify.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, dataverse.Name)
			b.Script(sandbox.Rule{
				Match: sandbox.Match{Vendor: b.name}, Status: 200, Body: c.body, Headers: map[string]string{"Content-Type": "multipart/mixed; boundary=b"},
			})
			_, v := b.ask(t, vouchers("A", 60, "3000"))
			require.Equal(t, c.kind, v.Kind, v.Message)
		})
	}
}

// Reads have no effect: whatever comes of them, nothing of a vendor changes.
func TestFindChangesNothing(t *testing.T) {
	everyLookUp(t, func(t *testing.T, b books, entries []adapters.Entry) {
		before := b.Effects()
		for _, how := range []string{sandbox.Partial, sandbox.Empty, sandbox.FilterIgnored, sandbox.SecondPageMissing} {
			b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: b.name}, Lookup: how, Times: 1})
			b.ask(t, entries)
		}
		require.Equal(t, before, b.Effects())
		for _, r := range b.Log()[len(b.Log())-4:] {
			require.False(t, r.Wrote)
		}
	})
}
