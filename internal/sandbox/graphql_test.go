package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// two is a mutation of two root fields, each with a node that balances.
func two(document, first, second string) string {
	node := func(key, account string) string {
		return fmt.Sprintf(`[{"clientId":"1","node":{"extIdentifier":%q,"trRegNumber":"1","amount":"0","account":{"code":%q}}}]`, key, account)
	}
	query, _ := json.Marshal(document)
	return fmt.Sprintf(`{"query":%s,"variables":{"a":%s,"b":%s}}`, query, node("a", first), node("b", second))
}

const aliased = `mutation($a:[AddGLImportItemsInput!]!,$b:[AddGLImportItemsInput!]!){
	one: addGLImportItems(inputs: $a) { edges { clientId node { dbId } } }
	two: addGLImportItems(inputs: $b) { edges { clientId node { dbId } } }
}`

// Root fields are carried out one after the other, and nothing is taken back.
func TestSeveralRootFields(t *testing.T) {
	for name, c := range map[string]struct {
		document, first, second string
		rule                    *sandbox.Rule
		want                    string
		stored                  []int
	}{
		"both": {aliased, "1", "1", nil,
			`{"data":{"one":{"edges":[{"clientId":"1","node":{"dbId":"1"}}]},"two":{"edges":[{"clientId":"1","node":{"dbId":"2"}}]}}}`, []int{1, 1}},
		"the second is refused": {aliased, "1", "X1", nil,
			`{"data":{"one":{"edges":[{"clientId":"1","node":{"dbId":"1"}}]},"two":null},"errors":[{"message":"account.code: No value matching owner 42365431, code 'X1'.","path":["two"],"locations":[{"line":3,"column":2}]}]}`, []int{1, 0}},
		"the first is refused": {aliased, "X1", "1", nil,
			`{"data":{"one":null,"two":{"edges":[{"clientId":"1","node":{"dbId":"1"}}]}},"errors":[{"message":"account.code: No value matching owner 42365431, code 'X1'.","path":["one"],"locations":[{"line":2,"column":2}]}]}`, []int{0, 1}},
		"the vendor fails in between": {aliased, "1", "1", &sandbox.Rule{ActFirst: 1},
			`{"data":{"one":{"edges":[{"clientId":"1","node":{"dbId":"1"}}]},"two":null},"errors":[{"message":"Internal error","path":["two"],"locations":[{"line":3,"column":2}]}]}`, []int{1, 0}},
		"the second is throttled": {aliased, "1", "1", &sandbox.Rule{ActFirst: 1, Status: 200, Body: `{"errors":[{"code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"}]}`},
			`{"errors":[{"code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"}]}`, []int{1, 0}},
		"the only one is refused": {`mutation($a:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$a){edges{clientId}}}`, "X1", "1", nil,
			`{"data":{"addGLImportItems":null},"errors":[{"message":"account.code: No value matching owner 42365431, code 'X1'.","path":["addGLImportItems"],"locations":[{"line":1,"column":40}]}]}`, []int{0, 0}},
		"one of them twice": {`mutation($a:[AddGLImportItemsInput!]!,$b:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$a){edges{clientId}} addGLImportItems(inputs:$b){edges{clientId}}}`, "1", "1", nil,
			"{\"errors\":[{\"message\":\"Fields `addGLImportItems` conflict because they have differing arguments. Use different aliases on the fields to fetch both if this was intentional\",\"locations\":[{\"line\":1,\"column\":114}],\"extensions\":{\"code\":\"ARGUMENTS_OF_CORRECT_TYPE\"}}]}", []int{0, 0}},
		"one is unknown": {`mutation($a:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$a){edges{clientId}} addProjects{edges{clientId}}}`, "1", "1", nil,
			"{\"errors\":[{\"message\":\"Cannot query field `addProjects` on type `Mutation`\",\"locations\":[{\"line\":1,\"column\":85}],\"extensions\":{\"code\":\"ARGUMENTS_OF_CORRECT_TYPE\"}}]}", []int{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			if c.rule != nil {
				s.Script(*c.rule)
			}
			_, body := s.graphQL(two(c.document, c.first, c.second))
			require.JSONEq(t, c.want, body)
			require.Equal(t, c.stored, []int{len(s.Records("a")), len(s.Records("b"))})
			keys := []string{"a", "b"}
			if !strings.Contains(c.document, "two:") { // what conflicts with it is not read
				keys = keys[:1]
			}
			require.Equal(t, keys, s.Log()[0].Keys, "also of what is refused")
		})
	}
}

// An operation is known by its first root field, however it is written.
func TestOperation(t *testing.T) {
	s := start(t)
	for document, want := range map[string]string{
		"{__typename}": "__typename", "query Q { a b }": "a", "query($f: F = {x: {y: 1}}) @d(a: {b: 1}) { x: real(filter: {a: {b: \"}{\"}}) { c } }": "real",
		"# { no }\n{ yes }": "yes", `{ a(t: """ " } """) }`: "a", "mutation { one: two { three } }": "two", "": "", "{": "", "}{": "",
	} {
		query, _ := json.Marshal(document)
		s.graphQL(`{"query":` + string(query) + `}`)
		log := s.Log()
		require.Equal(t, want, log[len(log)-1].Operation, document)
	}
}

// asGraphQL is a request with a document and, as JSON, variables.
func asGraphQL(document, variables string) string {
	query, _ := json.Marshal(document)
	if variables == "" {
		variables = "null"
	}
	return `{"query":` + string(query) + `,"variables":` + variables + `}`
}

// inline is a mutation of one node, whose fields are in the document.
func inline(node string) string {
	return `mutation{addGLImportItems(inputs:[{clientId:"1",node:{` + node + `}}]){edges{clientId node{dbId}}}}`
}

const goodNode = `extIdentifier:"k",trRegNumber:"1",postedDate:"2026-10-31",amount:"0.00",account:{code:"3000"}`

// Every kind of request error, the status that each media type has for it, and
// its code. None has data, and none stores anything.
func TestRequestErrors(t *testing.T) {
	const in = `mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){edges{clientId}}}`
	node := func(n string) string { return `{"in":[{"node":{` + n + `}}]}` }
	for name, c := range map[string]struct {
		body, code, says string
		malformed        bool
	}{
		"no JSON":                    {`{"query":`, "", "Invalid JSON", true},
		"a list":                     {`[]`, "", "Invalid JSON", true},
		"something after it":         {`{"query":"{__typename}"} {}`, "", "something follows", true},
		"no query":                   {`{"qeury":"{__typename}"}`, "", "query is missing", true},
		"query is null":              {`{"query":null}`, "", "query is missing", true},
		"query is no text":           {`{"query":1}`, "", "Invalid JSON", true},
		"variables are a list":       {`{"query":"{__typename}","variables":[7]}`, "", "Invalid JSON", true},
		"operationName is a number":  {`{"query":"{__typename}","operationName":7}`, "", "Invalid JSON", true},
		"empty":                      {asGraphQL("", ""), "", "The document has no operation", false},
		"cut off":                    {asGraphQL("{", ""), "", "Expected", false},
		"no text":                    {asGraphQL(inline(`text:"`), ""), "", "Unexpected <Invalid>", false},
		"only a fragment":            {asGraphQL("fragment F on Query {__typename}", ""), "ARGUMENTS_OF_CORRECT_TYPE", "Fragment `F` is never used", false},
		"unknown field":              {asGraphQL("{ foo }", ""), "ARGUMENTS_OF_CORRECT_TYPE", "Cannot query field `foo` on type `Query`", false},
		"unknown field of a node":    {asGraphQL("{glImportItems{edges{node{foo}}}}", ""), "ARGUMENTS_OF_CORRECT_TYPE", "Cannot query field `foo` on type `GLImportItem`", false},
		"no fields of an object":     {asGraphQL("{glImportItems}", ""), "ARGUMENTS_OF_CORRECT_TYPE", "must have a selection of subfields", false},
		"unknown argument":           {asGraphQL("{glImportItems(last:1){edges{cursor}}}", ""), "ARGUMENTS_OF_CORRECT_TYPE", "Unknown argument `last`", false},
		"unknown filter":             {asGraphQL(`{glImportItems(filter:{x_in:["a"]}){edges{cursor}}}`, ""), "ARGUMENTS_OF_CORRECT_TYPE", "Field `x_in` is not defined", false},
		"a type that was guessed":    {asGraphQL(strings.ReplaceAll(in, "Items", "Item"), node("")), "ARGUMENTS_OF_CORRECT_TYPE", "Unknown type `AddGLImportItemInput`", false},
		"unknown directive":          {asGraphQL("{__typename @x}", ""), "ARGUMENTS_OF_CORRECT_TYPE", "Unknown directive `@x`", false},
		"unknown fragment":           {asGraphQL("{...F}", ""), "ARGUMENTS_OF_CORRECT_TYPE", "Unknown fragment `F`", false},
		"a fragment in itself":       {asGraphQL("{...F} fragment F on Query{...F}", ""), "ARGUMENTS_OF_CORRECT_TYPE", "Cannot spread fragment `F` within itself", false},
		"no inputs":                  {asGraphQL("mutation{addGLImportItems{edges{clientId}}}", ""), "ARGUMENTS_OF_CORRECT_TYPE", "`inputs`", false},
		"a variable of another type": {asGraphQL("query($n:String){glImportItems(first:$n){edges{cursor}}}", `{"n":"1"}`), "ARGUMENTS_OF_CORRECT_TYPE", "Variable `$n` of type `String`", false},
		"a subscription":             {asGraphQL("subscription{x}", ""), "ARGUMENTS_OF_CORRECT_TYPE", "subscription", false},

		"inline, unknown field":        {asGraphQL(inline(goodNode+`,voucher:"1"`), ""), "ARGUMENTS_OF_CORRECT_TYPE", "Field `voucher` is not defined by type `AddGLImportItemsInputNode`", false},
		"inline, a text for an object": {asGraphQL(inline(`amount:"0",account:"1920"`), ""), "ARGUMENTS_OF_CORRECT_TYPE", "found `1920`", false},
		"inline, no amount":            {asGraphQL(inline(`account:{code:"1920"}`), ""), "ARGUMENTS_OF_CORRECT_TYPE", "`AddGLImportItemsInputNode.amount` of required type `DecimalString!` was not provided", false},
		"inline, amount null":          {asGraphQL(inline(`amount:null`), ""), "ARGUMENTS_OF_CORRECT_TYPE", "found null", false},
		"inline, no amount of money":   {asGraphQL(inline(`amount:"1,50"`), ""), "ARGUMENTS_OF_CORRECT_TYPE", "Expected value of type `DecimalString!`, found `1,50`", false},
		"inline, an amount too large":  {asGraphQL(inline(`amount:1e400`), ""), "ARGUMENTS_OF_CORRECT_TYPE", "found {amount:1e400}", false},
		"inline, an amount too small":  {asGraphQL(inline(`amount:1e-9999999`), ""), "ARGUMENTS_OF_CORRECT_TYPE", "Expected value of type `DecimalString!`", false},
		"inline, no date":              {asGraphQL(inline(`amount:"0",postedDate:"2026-02-30"`), ""), "ARGUMENTS_OF_CORRECT_TYPE", "Expected value of type `DateString`", false},
		"inline, a number too large":   {asGraphQL(`{glImportItems(first:3000000000){edges{cursor}}}`, ""), "ARGUMENTS_OF_CORRECT_TYPE", "Expected value of type `Int`", false},
		"inline, no time":              {asGraphQL(`{glImportItemErrors(filter:{createdAt_gte:"yesterday"}){edges{cursor}}}`, ""), "ARGUMENTS_OF_CORRECT_TYPE", "Expected value of type `LocalDateTime`", false},

		"variable missing":          {asGraphQL(in, ""), "INVALID_VALUE", "Variable `$in` of type `[AddGLImportItemsInput!]!` has no value", false},
		"variable null":             {asGraphQL(in, `{"in":null}`), "INVALID_VALUE", "in: a value of type", false},
		"variable, unknown field":   {asGraphQL(in, node(`"amount":"0","voucher":"1"`)), "INVALID_VALUE", "in[0].node: type `AddGLImportItemsInputNode` has no field `voucher`", false},
		"variable, no amount":       {asGraphQL(in, node(`"account":{"code":"1"}`)), "INVALID_VALUE", "in[0].node.amount: a value of type `DecimalString!` is required", false},
		"variable, amount of words": {asGraphQL(in, node(`"amount":"ten"`)), "INVALID_VALUE", "in[0].node.amount: no value of type `DecimalString`", false},
		"variable, a truth":         {asGraphQL(in, node(`"amount":"0","text":true`)), "INVALID_VALUE", "in[0].node.text", false},

		"two operations":   {`{"query":"query A{__typename} query B{__typename}"}`, "", "operationName must say which", false},
		"another one":      {`{"query":"query A{__typename}","operationName":"C"}`, "", "There is no operation named `C`", false},
		"two without name": {`{"query":"{__typename} {__typename}"}`, "ARGUMENTS_OF_CORRECT_TYPE", "anonymous operation", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			for accept, want := range map[string]int{
				"": 200, "application/json": 200, "*/*": 200, "application/graphql-response+json": 400,
				"application/graphql-response+json;q=0.5, application/json": 200, "application/graphql-response+json, application/json;q=0.9": 400,
			} {
				if c.malformed {
					want = 400
				}
				status, body, h := s.do("POST", xledgerPath, xledgerAuth, c.body, "Accept", accept, "Content-Type", "application/json")
				require.Equal(t, want, status, accept)
				var a map[string]any
				require.NoError(t, json.Unmarshal([]byte(body), &a))
				require.NotContains(t, a, "data")
				first := a["errors"].([]any)[0].(map[string]any)
				require.Contains(t, first["message"], c.says)
				if c.code == "" {
					require.NotContains(t, first, "extensions")
				} else {
					require.Equal(t, map[string]any{"code": c.code}, first["extensions"])
				}
				require.Equal(t, strings.Contains(accept, "graphql") && !strings.Contains(accept, "q=0.5"), strings.HasPrefix(h.Get("Content-Type"), "application/graphql-response+json"))
			}
			require.Empty(t, s.Effects())
		})
	}
}

// What was executed is answered with 200, whatever its fields say.
func TestFieldErrorStatus(t *testing.T) {
	s := start(t)
	refused := asGraphQL(inline(strings.ReplaceAll(goodNode, "3000", "X")), "")
	for _, accept := range []string{"application/json", "application/graphql-response+json"} {
		status, body, _ := s.do("POST", xledgerPath, xledgerAuth, refused, "Accept", accept)
		require.Equal(t, 200, status)
		require.Contains(t, body, `"data":{"addGLImportItems":null}`)
	}
	for headers, want := range map[[2]string]int{
		{"Accept", "text/html"}: http.StatusNotAcceptable, {"Accept", "application/json;q=0"}: http.StatusNotAcceptable,
		{"Content-Type", "text/plain"}: http.StatusUnsupportedMediaType, {"Content-Type", "application/json; charset=utf-8"}: 200,
	} {
		status, body, _ := s.do("POST", xledgerPath, xledgerAuth, asGraphQL("{__typename}", ""), headers[0], headers[1])
		require.Equal(t, want, status, body)
	}
}

// Variables and literals are two ways to write the same.
func TestInline(t *testing.T) {
	s := start(t)
	_, body := s.graphQL(`{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){edges{clientId node{dbId}}}}","variables":{"in":[
		{"clientId":"1","node":{"extIdentifier":"v","trRegNumber":"7","postedDate":"2026-10-31","amount":"12.50","text":"Kaffe \"A\" & æ\\","account":{"code":"3000"},"glObject1":{"code":"P"}}},
		{"clientId":"2","node":{"extIdentifier":"w","trRegNumber":7,"amount":-12.50,"account":{"code":"1920"}}}]}}`)
	require.JSONEq(t, `{"data":{"addGLImportItems":{"edges":[{"clientId":"1","node":{"dbId":"1"}},{"clientId":"2","node":{"dbId":"2"}}]}}}`, body)
	_, body = s.graphQL(asGraphQL(`mutation{addGLImportItems(inputs:[
		{clientId:"1",node:{extIdentifier:"i",trRegNumber:"7",postedDate:"2026-10-31",amount:"12.50",text:"Kaffe \"A\" & \u00e6\\",account:{code:"3000"},glObject1:{code:"P"}}}
		{clientId:"2",node:{extIdentifier:"j",trRegNumber:7,amount:-12.50,account:{code:"1920"}}}
	]){edges{clientId node{dbId}}}}`, ""))
	require.JSONEq(t, `{"data":{"addGLImportItems":{"edges":[{"clientId":"1","node":{"dbId":"3"}},{"clientId":"2","node":{"dbId":"4"}}]}}}`, body)
	content := func(key string) string {
		return strings.Replace(string(s.Records(key)[0].Content), `"`+key+`"`, `"?"`, 1)
	}
	require.Equal(t, content("v"), content("i"))
	require.Equal(t, content("w"), content("j"))
	require.Contains(t, content("w"), `"amount":-12.50`, "digit for digit")
	log := s.Log()
	require.Equal(t, []string{"v", "w"}, log[0].Keys)
	require.Equal(t, []string{"i", "j"}, log[1].Keys)
	require.True(t, log[1].Wrote)

	_, body = s.graphQL(asGraphQL(`query{glImportItems(first:1,filter:{extIdentifier_in:["i","j","x"]}){edges{cursor node{dbId extIdentifier amount text account{code}}} pageInfo{hasNextPage}}}`, ""))
	require.JSONEq(t, `{"data":{"glImportItems":{"edges":[{"cursor":"3","node":{"dbId":"3","extIdentifier":"i","amount":"12.50","text":"Kaffe \"A\" & æ\\","account":{"code":"3000"}}}],"pageInfo":{"hasNextPage":true}}}}`, body)
	_, body = s.graphQL(asGraphQL(`query{glImportItems(first:4,after:"3",filter:{extIdentifier_in:["i","j"]}){edges{cursor node{amount text}} pageInfo{hasNextPage}}}`, ""))
	require.JSONEq(t, `{"data":{"glImportItems":{"edges":[{"cursor":"4","node":{"amount":-12.50,"text":null}}],"pageInfo":{"hasNextPage":false}}}}`, body)
	log = s.Log()
	require.Equal(t, []string{"i", "j", "x"}, log[2].LookupKeys)
	require.False(t, log[2].Wrote)
	_, body = s.graphQL(asGraphQL(`{glImportItemErrors(first:500,filter:{createdAt_gte:"2026-11-25T12:00:00"}){edges{cursor} pageInfo{hasNextPage}}}`, ""))
	require.JSONEq(t, `{"data":{"glImportItemErrors":{"edges":[],"pageInfo":{"hasNextPage":false}}}}`, body)
	for _, bad := range []string{"first:-1", "first:10001", `after:"x"`} {
		_, body = s.graphQL(asGraphQL(`{glImportItems(`+bad+`){edges{cursor}}}`, ""))
		require.Contains(t, body, `"data":{"glImportItems":null}`)
		require.Contains(t, body, "INVALID_VALUE")
	}
}

// Root fields come from fragments too, and are left out by directives.
func TestComposedDocuments(t *testing.T) {
	s := start(t)
	s.Script(sandbox.Rule{Times: 1, ActFirst: 2})
	document := `query Other{__typename}
		mutation Import($on: Boolean!) {
			...F
			none: addGLImportItems(inputs: [{node: {extIdentifier: "n", ` + goodNode[18:] + `}}]) @include(if: $on) { ...Named }
			... on Mutation { c: addGLImportItems(inputs: {node: {extIdentifier: "c", ` + goodNode[18:] + `}}) { ...Named } }
		}
		fragment F on Mutation { a: addGLImportItems(inputs: [{clientId: "x", node: {` + goodNode + `}}]) { ...Named } name: __typename }
		fragment Named on AddGLImportItemsPayload { edges { clientId id: node { dbId } } }`
	body, _ := json.Marshal(map[string]any{"query": document, "operationName": "Import", "variables": map[string]any{"on": false}})
	_, answer := s.graphQL(string(body))
	require.Contains(t, answer, `"data":{"a":{"edges":[{"clientId":"x","id":{"dbId":"1"}}]},"name":"Mutation","c":null}`, "in the order of the document")
	require.Contains(t, answer, `"path":["c"]`)
	e := s.Log()[0]
	require.Equal(t, []string{"k", "c"}, e.Keys)
	require.Equal(t, "addGLImportItems", e.Operation)
	require.True(t, e.Wrote)
	require.Len(t, s.Effects(), 1)

	body, _ = json.Marshal(map[string]any{"query": document, "operationName": "Other"})
	_, answer = s.graphQL(string(body))
	require.JSONEq(t, `{"data":{"__typename":"Query"}}`, answer)
	require.False(t, s.Log()[1].Wrote)
	require.Len(t, s.Effects(), 1)
}

// What a mutation names can be learned, unless that is switched off.
func TestIntrospection(t *testing.T) {
	const document = `{__type(name:"AddGLImportItemsInputNode"){kind inputFields{name type{kind name ofType{name}}}}
		__schema{mutationType{fields{name args{name type{kind ofType{kind ofType{kind ofType{name}}}}}}}}}`
	_, body := start(t).graphQL(asGraphQL(document, ""))
	require.NotContains(t, body, "errors")
	require.Contains(t, body, `{"name":"amount","type":{"kind":"NON_NULL","name":null,"ofType":{"name":"DecimalString"}}}`)
	require.Contains(t, body, `{"name":"inputs","type":{"kind":"NON_NULL","ofType":{"kind":"LIST","ofType":{"kind":"NON_NULL","ofType":{"name":"AddGLImportItemsInput"}}}}}`)

	s := startWith(t, sandbox.Options{NoIntrospection: true})
	status, body := s.graphQL(asGraphQL(document, ""))
	require.Equal(t, 200, status)
	require.NotContains(t, body, `"data"`)
	require.Contains(t, body, "Cannot query field `__schema` on type `Query`")
	require.Contains(t, body, "Cannot query field `__type` on type `Query`")
	_, body = s.graphQL(asGraphQL("{__typename}", ""))
	require.JSONEq(t, `{"data":{"__typename":"Query"}}`, body)
}

// A whole export in one document is read in no time.
func TestLargeDocument(t *testing.T) {
	s := start(t)
	began := time.Now()
	_, body := s.graphQL(asGraphQL(large(500), ""))
	require.NotContains(t, body, "errors")
	require.Len(t, s.Effects(), 500)
	require.Less(t, time.Since(began), 5*time.Second)
}

func large(nodes int) string {
	var b strings.Builder
	b.WriteString("mutation{addGLImportItems(inputs:[")
	for i := range nodes {
		fmt.Fprintf(&b, `{clientId:"%d",node:{extIdentifier:"%032d",trRegNumber:"%d",postedDate:"2026-10-31",amount:"%s12.50",text:%q,account:{code:"3000"},glObject1:{code:"P-1"},project:{code:"100"},invoiceNumber:"F/17"}},`,
			i, i, i/2+1, []string{"", "-"}[i%2], strings.Repeat("Kaffe ", 60))
	}
	b.WriteString("]){edges{clientId node{dbId}}}}")
	return b.String()
}

func BenchmarkLargeDocument(b *testing.B) {
	body := asGraphQL(large(500), "")
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		r, _ := http.NewRequest("POST", xledgerPath, strings.NewReader(body))
		r.Header.Set("Authorization", xledgerAuth)
		sandbox.New(sandbox.Options{}).ServeHTTP(httptest.NewRecorder(), r)
	}
}

// FuzzDocuments: whatever is sent, there is an answer in JSON, it has data or
// errors, and only an answer with data stores anything.
func FuzzDocuments(f *testing.F) {
	for _, document := range []string{
		"", "{", "}{", "{__typename}", inline(goodNode), aliased, "query Q($a:[Int!]=[1 2]){glImportItems(first:$a){edges{cursor}}}", `{a(t:""" \""" """)}`, "{...F} fragment F on Query{...F}",
		"mutation{addGLImportItems(inputs:[{node:{amount:$x}}]){edges{clientId}}}", "mutation{addGLImportItems(inputs:{node:{amount:1e400}}){edges{clientId}}}", `{__type(name:"Query"){fields{type{ofType{name}}}}}`,
		strings.Repeat("{a", 2000), "{a(b:" + strings.Repeat("[", 5000), "\x00", "\ufeff{__typename}", `{a(b:"\ud800")}`, "query($a:X={b:$a}){a @skip(if:$a)}", "mutation M{addGLImportItems(inputs:null){edges{node{dbId}}}}",
	} {
		f.Add(document, `{"a":[{"node":{"amount":"0","account":{"code":"1"}}}],"b":null}`)
	}
	s := sandbox.New(sandbox.Options{})
	f.Fuzz(func(t *testing.T, document, variables string) {
		s.Reset()
		r, _ := http.NewRequest("POST", xledgerPath, strings.NewReader(asGraphQL(document, variables)))
		r.Header.Set("Authorization", xledgerAuth)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		var a map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a), "%s", w.Body)
		require.True(t, a["data"] != nil || a["errors"] != nil, "%s", w.Body)
		require.True(t, a["data"] != nil || len(s.Effects()) == 0, "%s", w.Body)
	})
}
