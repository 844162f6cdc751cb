package adapters_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/businesscentral"
	"github.com/ledgerline/ledgerline/adapters/dataverse"
	"github.com/ledgerline/ledgerline/adapters/entra"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// journalLines is where lines go at the sandbox's Business Central.
const journalLines = "companies(" + sandbox.DemoCompanyID + ")/journals(" + sandbox.DemoJournalID + ")/journalLines"

// account is an upsert at Dataverse, line a journal line at Business Central.
const (
	account = `{"method":"PATCH","path":"accounts(accountnumber='A-1')","body":{"name":"Kari"}}`
	line    = `{"method":"POST","path":"` + journalLines + `","body":{"externalDocumentNumber":"D-1","documentNumber":"1","accountNumber":"3000","amount":10,"postingDate":"2026-10-15"}}`
)

// with adds members to an object, behind those that it has.
func with(object string, members string) string {
	return strings.TrimSuffix(object, "}") + "," + members + "}"
}

var rawRequests = []struct {
	name, body string
	dv, bc     adapters.Guard
}{
	{"GET", `{"method":"GET","path":"accounts"}`, adapters.ReadOnly, adapters.ReadOnly},
	{"GET of a function", `{"method":"GET","path":"WhoAmI()"}`, adapters.ReadOnly, adapters.ReadOnly},
	{"GET of an action", `{"method":"GET","path":"` + strings.TrimSuffix(journalLines, "/journalLines") + `/Microsoft.NAV.post"}`, adapters.ReadOnly, adapters.ReadOnly},
	{"GET that would answer later", `{"method":"GET","path":"accounts","headers":{"Prefer":"respond-async"}}`, adapters.ReadOnly, adapters.ReadOnly},
	{"GET with conditions", `{"method":"GET","path":"accounts","headers":{"If-Match":"*","If-None-Match":"x"}}`, adapters.ReadOnly, adapters.ReadOnly},
	{"a batch of reads", `{"requests":[{"method":"GET","path":"accounts"},{"method":"GET","path":"contacts"}]}`, adapters.ReadOnly, adapters.ReadOnly},
	{"a header's name with a line break in a batch of reads", `{"requests":[{"method":"GET","path":"accounts","headers":{"Mscrm.a\r\nX-HTTP-Method-Override: DELETE\r\nb":"1"}}]}`, refused, refused},
	{"a header's name with a blank", `{"method":"GET","path":"accounts","headers":{"Mscrm.a b":"1"}}`, refused, refused},
	{"a header that changes the method", `{"method":"GET","path":"accounts","headers":{"X-HTTP-Method-Override":"DELETE"}}`, refused, refused},
	{"another", `{"method":"GET","path":"accounts","headers":{"x-http-method":"DELETE"}}`, refused, refused},
	{"another in a batch", `{"requests":[{"method":"GET","path":"accounts","headers":{"X-Method-Override":"DELETE"}}]}`, refused, refused},
	{"an option that changes the method", `{"method":"GET","path":"accounts?_method=DELETE"}`, refused, refused},
	{"one behind a semicolon", `{"method":"GET","path":"accounts?a=1;_method=DELETE"}`, refused, refused},
	{"another option", `{"method":"GET","path":"accounts?x-http-method-override=DELETE"}`, refused, refused},
	{"an option in code", `{"method":"GET","path":"accounts?%5Fmethod=DELETE"}`, refused, refused},
	{"a header twice in two cases", `{"method":"PATCH","path":"accounts(1)","headers":{"If-Match":"*","if-match":"x"},"body":{}}`, refused, refused},
	{"GET with a body", `{"method":"GET","path":"accounts","body":{"name":"x"}}`, refused, refused},
	{"GET in another case", `{"method":"get","path":"accounts"}`, refused, refused},
	{"GET and a blank", `{"method":"GET ","path":"accounts"}`, refused, refused},
	{"GET and more", `{"method":"GET /x HTTP/1.1\r\nDELETE","path":"accounts"}`, refused, refused},
	{"two methods", `{"method":"DELETE","path":"accounts(1)","method":"GET"}`, refused, refused},
	{"two methods in two cases", `{"method":"GET","path":"accounts(1)","Method":"DELETE"}`, refused, refused},
	{"a batch by hand", `{"method":"POST","path":"$batch","body":{"requests":[{"id":"1","method":"DELETE","url":"accounts(1)"}]}}`, refused, refused},
	{"a batch by hand, in code", `{"method":"PATCH","path":"%24batch","body":{}}`, refused, refused},
	{"a batch by hand, read", `{"method":"GET","path":"$batch"}`, refused, refused},
	{"a batch in a batch", `{"requests":[{"requests":[` + account + `]}]}`, refused, refused},
	{"a batch by hand in a batch", `{"requests":[{"method":"POST","path":"$batch","body":{}}]}`, refused, refused},
	{"a batch and a method", `{"method":"GET","path":"accounts","requests":[` + account + `]}`, refused, refused},
	{"out of the base URL", `{"method":"GET","path":"accounts/..%2f..%2fx"}`, refused, refused},
	{"a line break in a path", `{"requests":[{"method":"GET","path":"a HTTP/1.1\r\n\r\n--x"}]}`, refused, refused},

	{"a write in a batch of reads", `{"requests":[{"method":"GET","path":"accounts"},` + account + `]}`, adapters.Idempotent, adapters.Unsafe},
	{"a write first", `{"requests":[` + account + `,{"method":"GET","path":"accounts"}]}`, adapters.Idempotent, adapters.Unsafe},
	{"an upsert", account, adapters.Idempotent, adapters.Unsafe},
	{"an upsert under an ETag", with(account, `"headers":{"If-Match":"W/\"1\""}`), adapters.Unsafe, adapters.Unsafe},
	{"an upsert under *", with(account, `"headers":{"If-Match":"*"}`), adapters.Idempotent, adapters.Idempotent},
	{"an upsert under * and blanks", with(account, `"headers":{"If-Match":" * "}`), adapters.Unsafe, adapters.Unsafe},
	{"a create", `{"method":"POST","path":"accounts","body":{"name":"x"}}`, adapters.Unsafe, adapters.Unsafe},
	{"a line", line, adapters.Unsafe, adapters.Readback},
	{"a line whose number has another case", strings.Replace(line, "external", "External", 1), adapters.Unsafe, adapters.Unsafe},
	{"a line without a number", strings.Replace(line, "D-1", " ", 1), adapters.Unsafe, adapters.Unsafe},
	{"a line with half a character", strings.Replace(line, "D-1", `D\ud800`, 1), adapters.Unsafe, adapters.Unsafe},
	{"a line that is a list", `{"method":"POST","path":"` + journalLines + `","body":[{"externalDocumentNumber":"D-1"}]}`, adapters.Unsafe, adapters.Unsafe},
	{"a deletion", `{"method":"DELETE","path":"accounts(accountnumber='A-1')"}`, adapters.Idempotent, adapters.Unsafe},
}

// What counts as a read leaves as GET, or as a batch of nothing else, without
// anything that would change the method, and has no effect.
func TestRawRequests(t *testing.T) {
	b := newBench(t)
	dv, bc := dataverse.New(entra.NewTokens()), businesscentral.New(entra.NewTokens())
	inParts := regexp.MustCompile(`"method":"([A-Z]+)"|(?m)^([A-Z]+) \S+ HTTP/1\.1\r$`)
	done := 0
	for _, r := range rawRequests {
		for _, a := range []struct {
			adapters.Adapter
			want adapters.Guard
		}{{dv, r.dv}, {bc, r.bc}} {
			vendor := a.Vendor().Name
			p, err := a.Describe(adapters.Call, []byte(r.body))
			got := p.Guard
			if err != nil {
				got = refused
			}
			require.Equal(t, a.want, got, "%s, %s: %v", vendor, r.name, err)
			effects, before := len(b.Effects()), len(b.received(vendor))
			a.Do(t.Context(), b.conn(vendor), adapters.Call, []byte(r.body))
			sent, n := b.received(vendor)[before:], len(b.Effects())-effects
			switch done += n; got {
			case refused:
				require.Empty(t, sent, r.name)
			case adapters.ReadOnly:
				require.Zero(t, n, "%s, %s", vendor, r.name)
				require.Len(t, sent, 1, r.name)
				for name := range sent[0].Header {
					require.NotContains(t, strings.ToLower(name), "method", r.name)
				}
				if sent[0].Method == http.MethodGet {
					require.Empty(t, sent[0].body)
					continue
				}
				require.True(t, strings.HasSuffix(sent[0].URL.Path, "/$batch"), r.name)
				methods := inParts.FindAllStringSubmatch(sent[0].body, -1)
				require.NotEmpty(t, methods, sent[0].body)
				for _, m := range methods {
					require.Equal(t, http.MethodGet, m[1]+m[2], sent[0].body)
				}
			}
		}
	}
	require.NotZero(t, done, "requests that do nothing prove nothing")
}
