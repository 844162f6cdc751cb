package adapters_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/businesscentral"
	"github.com/ledgerline/ledgerline/adapters/dataverse"
	"github.com/ledgerline/ledgerline/adapters/entra"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// bench is a sandbox with a client, and a fresh connection for each attempt.
type bench struct {
	*sandbox.Sandbox
	client *adapters.Client
	base   map[string]string

	mu       sync.Mutex
	requests []request
}

// request is one that reached the sandbox, as it was received.
type request struct {
	*http.Request
	body string
}

func newBench(t *testing.T, options ...sandbox.Options) *bench {
	t.Helper()
	b := &bench{Sandbox: sandbox.New(append(options, sandbox.Options{})[0])}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if err == nil {
			b.mu.Lock()
			b.requests = append(b.requests, request{r.Clone(context.Background()), string(body)})
			b.mu.Unlock()
		}
		b.ServeHTTP(w, r)
	}))
	b.base = sandbox.Addresses(s.URL)
	b.client = adapters.NewClient(adapters.ClientOptions{DevHosts: []string{strings.TrimPrefix(s.URL, "http://")}})
	t.Cleanup(func() {
		b.client.CloseIdle()
		s.Close()
	})
	return b
}

func (b *bench) conn(adapter string) *adapters.Conn {
	u, _ := url.Parse(b.base[adapter])
	return &adapters.Conn{
		Client: b.client, Adapter: adapter, BaseURL: u, CorrelationID: uuid.NewString(),
		Settings:    map[string]string{"tenantId": sandbox.DemoTenantID, "clientId": sandbox.DemoClientID, "authority": b.base["entra"]},
		Credentials: map[string]string{"token": sandbox.DemoXledgerToken, "clientSecret": sandbox.DemoClientSecret},
	}
}

// received returns the requests to a vendor, in order.
func (b *bench) received(vendor string) (list []request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.requests {
		if strings.HasPrefix(r.URL.Path, "/"+vendor+"/") {
			list = append(list, r)
		}
	}
	return list
}

// asked counts the requests that reached a vendor.
func (b *bench) asked(vendor string) (n int) {
	for _, e := range b.Log() {
		if e.Vendor == vendor {
			n++
		}
	}
	return n
}

func (b *bench) stored(kind string) (n int) {
	for _, e := range b.Effects() {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func TestPingIsLight(t *testing.T) {
	b := newBench(t)
	for _, a := range vendors.New() {
		name := a.Vendor().Name
		_, v := a.Do(t.Context(), b.conn(name), adapters.Ping, nil)
		require.Equal(t, classify.Success, v.Class, "%s: %s", name, v.Message)
		require.Equal(t, 1, b.asked(name))
		p, err := a.Describe(adapters.Ping, nil)
		require.NoError(t, err)
		require.Equal(t, adapters.ReadOnly, p.Guard)
	}
	require.Empty(t, b.Effects())
}

func TestGuards(t *testing.T) {
	dv, bc := dataverse.New(nil), businesscentral.New(nil)
	line := func(n string) string {
		return fmt.Sprintf(`{"method":"POST","path":"companies(c)/journals(j)/journalLines","body":{"externalDocumentNumber":%q}}`, n)
	}
	cases := []struct {
		adapter adapters.Adapter
		body    string
		guard   adapters.Guard
	}{
		{dv, `{"method":"GET","path":"accounts"}`, adapters.ReadOnly},
		{dv, `{"method":"PATCH","path":"accounts(accountnumber='A')","body":{}}`, adapters.Idempotent},
		{dv, `{"method":"PATCH","path":"accounts(accountnumber='A')","headers":{"If-Match":"*"},"body":{}}`, adapters.Idempotent},
		{dv, `{"method":"PATCH","path":"accounts(accountnumber='A')","headers":{"if-match":"W/\"1\""},"body":{}}`, adapters.Unsafe},
		{dv, `{"method":"PATCH","path":"accounts(accountnumber='A')","headers":{"If-None-Match":"*"},"body":{}}`, adapters.Unsafe},
		{dv, `{"method":"POST","path":"accounts","body":{}}`, adapters.Unsafe},
		{dv, `{"method":"DELETE","path":"accounts(1)"}`, adapters.Idempotent},
		{dv, `{"requests":[{"method":"GET","path":"a"},{"method":"PATCH","path":"a(1)","body":{}}]}`, adapters.Idempotent},
		{dv, `{"requests":[{"method":"GET","path":"a"},{"method":"POST","path":"a","body":{}}]}`, adapters.Unsafe},
		{bc, line("D-1"), adapters.Readback},
		{bc, line(""), adapters.Unsafe},
		{bc, strings.Replace(line("D-1"), "companies(c)/", "", 1), adapters.Unsafe},
		{bc, strings.Replace(line("D-1"), "/journals(j)", "", 1), adapters.Unsafe},
		{bc, strings.Replace(line("D-1"), "companies(c)/journals(j)", "Company('c')", 1), adapters.Unsafe},
		{bc, `{"method":"POST","path":"companies(c)/journals(j)/Microsoft.NAV.post"}`, adapters.Unsafe},
		{bc, `{"requests":[` + line("D-1") + `,` + line("D-2") + `]}`, adapters.Readback},
		{bc, `{"requests":[` + line("D-1") + `,` + line("D-1") + `]}`, adapters.Unsafe},
		{bc, `{"requests":[` + line("D-1") + `,` + line("d-1") + `]}`, adapters.Unsafe},
		{bc, `{"requests":[` + line("D-1") + `,` + strings.Replace(line("D-1"), "(j)", "(k)", 1) + `]}`, adapters.Unsafe},
		{bc, `{"requests":[` + line("D-1") + `,{"method":"GET","path":"companies"}]}`, adapters.Readback},
		{bc, `{"requests":[` + line("D-1") + `,{"method":"PATCH","path":"a(1)","headers":{"If-Match":"*"},"body":{}}]}`, adapters.Unsafe},
		{xledger.Adapter{}, `{"query":"{ viewer { email } }"}`, adapters.ReadOnly},
		{xledger.Adapter{}, `{"query":"# mutation\nquery Q($a:Int){ a: viewer { x } }"}`, adapters.ReadOnly},
		{xledger.Adapter{}, `{"query":"mutation { addProjects(inputs: []) { x } }"}`, adapters.Unsafe},
		{xledger.Adapter{}, `{"query":"query { a } mutation { b }"}`, adapters.Unsafe},
		{xledger.Adapter{}, `{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){x}}","variables":{"in":[{"node":{"extIdentifier":"1"}}]}}`, adapters.Readback},
		{xledger.Adapter{}, `{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){x}}","variables":{"in":[{"node":{"extIdentifier":"1"}},{"node":{}}]}}`, adapters.Unsafe},
		{xledger.Adapter{}, `{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){x}}","variables":{"in":[{"node":{"extIdentifier":"1"}},{"node":{"extIdentifier":"1"}}]}}`, adapters.Unsafe},
		{xledger.Adapter{}, `{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){x} addProjects{x}}","variables":{"in":[{"node":{"extIdentifier":"1"}}]}}`, adapters.Unsafe},
	}
	for _, c := range cases {
		p, err := c.adapter.Describe(adapters.Call, []byte(c.body))
		require.NoError(t, err, c.body)
		require.Equal(t, c.guard, p.Guard, c.body)
		require.NotEmpty(t, p.Summary)
	}
}

func TestMalformedRequests(t *testing.T) {
	dv, bc, xl := dataverse.New(nil), businesscentral.New(nil), xledger.Adapter{}
	cases := []struct {
		adapter adapters.Adapter
		body    string
		says    string
	}{
		{dv, ``, "body"}, {dv, `[]`, "body"}, {dv, `{"method":"GET","path":"a"} {}`, "follows"},
		{dv, `{"method":"TRACE","path":"a"}`, "method"}, {dv, `{"method":"GET","path":""}`, "path"},
		{dv, `{"method":"GET","path":"/etc"}`, "absolute"}, {dv, `{"method":"GET","path":"//evil/x"}`, "absolute"},
		{dv, `{"method":"GET","path":"https://evil/x"}`, "absolute"}, {dv, `{"method":"GET","path":"a/../../x"}`, ".."},
		{dv, `{"method":"GET","path":"a/%2e%2e/x"}`, ".."}, {dv, `{"method":"GET","path":"a\\b"}`, "absolute"},
		{dv, `{"method":"GET","path":"a","headers":{"Authorization":"x"}}`, "Authorization"},
		{dv, `{"method":"GET","path":"a","headers":{"Host":"x"}}`, "Host"},
		{dv, `{"method":"GET","path":"a","headers":{"Prefer":"a\r\nX: y"}}`, "line break"},
		{dv, `{"method":"GET","path":"a","body":{}}`, "GET has none"}, {dv, `{"requests":[]}`, "want 1 to"},
		{dv, `{"requests":[{"requests":[]}]}`, "batch in a batch"}, {dv, `{"mehtod":"GET"}`, "mehtod"},
		{bc, `{"requests":[` + strings.Repeat(`{"method":"GET","path":"a"},`, 100) + `{"method":"GET","path":"a"}]}`, "want 1 to 100"},
		{dv, `{"method":"GET","path":"a"}}`, "follows"}, {bc, `{"method":"GET","path":"a"}] {"method":"POST","path":"a"}`, "follows"},
		{xl, `{"query":"{a}"}}`, "follows"}, {xl, `{"query":"{a}"}} {"query":"mutation{b}"}`, "follows"},
		{xl, `{"query":" "}`, "empty"}, {xl, `{"quer":""}`, "quer"}, {xl, `nonsense`, "body"},
	}
	for _, c := range cases {
		_, err := c.adapter.Describe(adapters.Call, []byte(c.body))
		require.ErrorContains(t, err, c.says, c.body)
		_, v := c.adapter.Do(t.Context(), &adapters.Conn{}, adapters.Call, []byte(c.body))
		require.Equal(t, classify.Transformation, v.Kind)
	}
}

// A token is fetched once for all who wait, kept, and refreshed once when the
// vendor refuses it before its time.
func TestTokens(t *testing.T) {
	b := newBench(t)
	a := dataverse.New(entra.NewTokens())
	b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: "entra"}, DelayMS: 50, Times: 1})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, v := a.Do(t.Context(), b.conn("dataverse"), adapters.Ping, nil)
			if v.Class != classify.Success {
				t.Error(v.Message)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, b.asked("entra"), "one request for all who wait")

	b.RevokeTokens()
	c := b.conn("dataverse")
	_, v := a.Do(t.Context(), c, adapters.Ping, nil)
	require.Equal(t, classify.Success, v.Class, v.Message)
	require.Equal(t, 2, b.asked("entra"))
	require.Len(t, c.Secrets(), 2+2+2, "both tokens and the secret each time, and the integration's own credentials, must be masked")

	b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: "dataverse"}, Status: 401, Body: `{"error":{"code":"x","message":"no"}}`})
	before := b.asked("dataverse")
	_, v = a.Do(t.Context(), b.conn("dataverse"), adapters.Ping, nil)
	require.Equal(t, classify.Unauthorized, v.Kind)
	require.Equal(t, 3, b.asked("entra"), "refreshed once")
	require.Equal(t, before+2, b.asked("dataverse"), "and not again")
}

func TestTokenFailures(t *testing.T) {
	cases := map[string]struct {
		rule  sandbox.Rule
		kind  classify.Kind
		retry bool
	}{
		"throttled":     {sandbox.Rule{Status: 429, Headers: map[string]string{"Retry-After": "7"}}, classify.RateLimited, true},
		"unavailable":   {sandbox.Rule{Status: 503}, classify.Unavailable, true},
		"wrong secret":  {sandbox.Rule{Status: 401, Body: `{"error":"invalid_client","error_description":"AADSTS7000215"}`}, classify.Unauthorized, false},
		"temporarily":   {sandbox.Rule{Status: 400, Body: `{"error":"temporarily_unavailable"}`}, classify.Unavailable, true},
		"no token":      {sandbox.Rule{Status: 200, Body: `{"token_type":"Bearer"}`}, classify.InvalidResponse, false},
		"not JSON":      {sandbox.Rule{Status: 200, Body: `<html>`}, classify.IncompleteResponse, true},
		"cut off":       {sandbox.Rule{TruncateAt: 5}, classify.Network, true},
		"dropped":       {sandbox.Rule{Drop: sandbox.BeforeEffect}, classify.Network, true},
		"a MAC address": {sandbox.Rule{Status: 302, Headers: map[string]string{"Location": "http://127.0.0.1/"}}, classify.Redirect, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			c.rule.Match.Vendor = "entra"
			b.Script(c.rule)
			_, v := dataverse.New(entra.NewTokens()).Do(t.Context(), b.conn("dataverse"), adapters.Call, []byte(`{"method":"POST","path":"accounts","body":{}}`))
			require.Equal(t, c.kind, v.Kind, v.Message)
			require.Equal(t, c.retry, v.Retry())
			require.Equal(t, classify.None, v.Effect, "nothing has been sent to the vendor")
			require.Zero(t, b.asked("dataverse"))
			if name == "throttled" {
				require.EqualValues(t, 7, v.RetryAfter.Seconds())
			}
		})
	}
}

func TestMissingSettings(t *testing.T) {
	b := newBench(t)
	c := b.conn("dataverse")
	delete(c.Settings, "tenantId")
	_, v := dataverse.New(entra.NewTokens()).Do(t.Context(), c, adapters.Ping, nil)
	require.Equal(t, classify.Configuration, v.Kind)
	c = b.conn("xledger")
	c.Credentials = nil
	_, v = xledger.Adapter{}.Do(t.Context(), c, adapters.Ping, nil)
	require.Equal(t, classify.Credentials, v.Kind)
	require.Contains(t, v.Message, `"token"`)
	require.Empty(t, b.Log())
}

// $batch both ways: part by part, where what is done stays done, and as a
// change set, where nothing is.
func TestDataverseBatch(t *testing.T) {
	good := func(key string) string {
		return fmt.Sprintf(`{"method":"PATCH","path":"accounts(accountnumber='%s')","body":{"name":"Åse"}}`, key)
	}
	bad := `{"method":"GET","path":"accounts(accountnumber='none')"}`
	cases := map[string]struct {
		body   string
		class  classify.Class
		stored int
		parts  int
	}{
		"all good":                   {`{"requests":[` + good("1") + `,` + good("2") + `]}`, classify.Success, 2, 2},
		"change set, all good":       {`{"atomic":true,"requests":[` + good("1") + `,` + good("2") + `]}`, classify.Success, 2, 2},
		"the second fails":           {`{"requests":[` + good("1") + `,` + bad + `,` + good("2") + `]}`, classify.Permanent, 1, 2},
		"the second fails, go on":    {`{"continueOnError":true,"requests":[` + good("1") + `,` + bad + `,` + good("2") + `]}`, classify.Permanent, 2, 3},
		"change set, the last fails": {`{"atomic":true,"requests":[` + good("1") + `,` + strings.Replace(good("2"), `"body"`, `"headers":{"If-Match":"*"},"body"`, 1) + `]}`, classify.Permanent, 0, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			_, v := dataverse.New(entra.NewTokens()).Do(t.Context(), b.conn("dataverse"), adapters.Call, []byte(c.body))
			require.Equal(t, c.class, v.Class, v.Message)
			require.Equal(t, c.stored, b.stored("upsert"))
			require.Len(t, v.Parts, c.parts)
		})
	}
}

// A batch that was done in part is not sent again as a whole.
func TestPartialBatchIsNotRetried(t *testing.T) {
	b := newBench(t)
	b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: "businesscentral"}, Status: 200, Body: `{"responses":[
		{"id":"0","status":204},{"id":"1","status":429,"headers":{"Retry-After":"3"},"body":{"error":{"code":"Application_TooManyRequests"}}}]}`})
	body := `{"requests":[{"method":"PATCH","path":"a(1)","headers":{"If-Match":"*"},"body":{}},{"method":"PATCH","path":"a(2)","headers":{"If-Match":"*"},"body":{}}]}`
	_, v := businesscentral.New(entra.NewTokens()).Do(t.Context(), b.conn("businesscentral"), adapters.Call, []byte(body))
	require.Equal(t, classify.Partial, v.Kind)
	require.False(t, v.Retry())
	require.Contains(t, v.Message, "parts 0 took effect; parts 1 may have taken effect: look before you send them again")
	_, v = businesscentral.New(entra.NewTokens()).Do(t.Context(), b.conn("businesscentral"), adapters.Call, []byte(strings.Replace(body, "{", `{"atomic":true,`, 1)))
	require.True(t, v.Retry(), "an atomic batch is all or nothing")
	require.EqualValues(t, 3, v.RetryAfter.Seconds())
}

// What a request that was sent before did is found by its own keys.
func TestLookupKeys(t *testing.T) {
	line := func(journal, n string) string {
		return fmt.Sprintf(`{"method":"POST","path":"companies(c)/journals(%s)/journalLines","body":{"externalDocumentNumber":%q,"documentNumber":"7","amount":1.50}}`, journal, n)
	}
	items := func(ids ...string) string {
		var nodes []string
		for i, id := range ids {
			amount := []string{"1.50", "-1.50"}[i%2]
			nodes = append(nodes, fmt.Sprintf(`{"clientId":"%d","node":{"extIdentifier":%q,"trRegNumber":"1","amount":%q,"account":{"code":"1920"}}}`, i, id, amount))
		}
		return `{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){edges{clientId}}}","variables":{"in":[` + strings.Join(nodes, ",") + `]}}`
	}
	var lines []string
	for i := range 45 { // more than one look-up holds
		lines = append(lines, line(sandbox.DemoJournalID, fmt.Sprintf("d'%d", i)))
	}
	batch := func(lines []string) string { return `{"requests":[` + strings.Join(lines, ",") + `]}` }
	for _, c := range []struct {
		vendor, name, sent, sought string
		want                       int // of the sought records that are there
		keys                       []string
	}{
		{"businesscentral", "all", batch(lines), batch(lines), 45, []string{"d'0", "d'44"}},
		{"businesscentral", "some", batch(lines[:30]), batch(lines), 30, []string{"d'29"}},
		{"businesscentral", "none", batch(lines[:30]), batch(lines[30:]), 0, nil},
		{"businesscentral", "one", lines[3], lines[3], 1, []string{"d'3"}},
		{"xledger", "all", items("a", "b"), items("a", "b"), 2, []string{"a", "b"}},
		{"xledger", "some", items("a", "b"), items("b", "c"), 1, []string{"b"}},
		{"xledger", "in another case", items("a", "b"), items("A", "B"), 0, nil},
	} {
		t.Run(c.vendor+" "+c.name, func(t *testing.T) {
			b := newBooks(t, c.vendor)
			_, v := b.call(t, c.sent)
			require.Equal(t, classify.Success, v.Class, v.Message)
			p, err := b.Describe(adapters.Call, []byte(c.sought))
			require.NoError(t, err)
			require.Equal(t, adapters.Readback, p.Guard)
			found, v := b.Find(t.Context(), b.conn(), p.Lookup)
			require.Equal(t, classify.Success, v.Class, v.Message)
			require.Len(t, found, c.want)
			for _, key := range c.keys {
				require.Equal(t, 1, found[key].Count, "%s: %+v", key, found)
				require.Equal(t, "1.50", strings.TrimPrefix(found[key].Amount, "-"))
			}
		})
	}
}
