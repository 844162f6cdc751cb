package adapters_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/internal/graphqlserver"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// Operations from which the documents are made.
const (
	reads  = `glImportItems{edges{node{dbId}}}`
	lines  = `[{node:{extIdentifier:"E-1",trRegNumber:"1",account:{code:"3000"},amount:"10"}},{node:{extIdentifier:"E-2",trRegNumber:"1",account:{code:"3000"},amount:"-10"}}]`
	writes = `addGLImportItems(inputs:` + lines + `){edges{node{dbId}}}`
	evil   = `mutation M{` + writes + `}`
	find   = `query Q($x:[String!]){glImportItems(filter:{extIdentifier_in:$x}){edges{node{dbId}}}}`
)

// body is a request with a document; member pairs follow it, as JSON.
func body(document string, members ...string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(document) // a string
	out := `{"query":` + strings.TrimSpace(b.String())
	for i := 0; i < len(members); i += 2 {
		out += `,"` + members[i] + `":` + members[i+1]
	}
	return out + "}"
}

const refused adapters.Guard = "refused" // nothing is sent

var documents = []struct {
	name, body string
	guard      adapters.Guard
	effect     bool // the sandbox does it if it is asked to, operationName included
}{
	// Reads.
	{"short form", body("{" + reads + "}"), adapters.ReadOnly, false},
	{"query", body("query{" + reads + "}"), adapters.ReadOnly, false},
	{"named query", body("query Q{" + reads + "}"), adapters.ReadOnly, false},
	{"named and chosen", body("query Q{"+reads+"}", "operationName", `"Q"`), adapters.ReadOnly, false},
	{"chosen with null", body("query Q{"+reads+"}", "operationName", `null`), adapters.ReadOnly, false},
	{"chosen with nothing", body("query Q{"+reads+"}", "operationName", `""`), adapters.ReadOnly, false},
	{"a name that is missing", body("query Q{"+reads+"}", "operationName", `"M"`), adapters.ReadOnly, false},
	{"variables", body(find, "variables", `{"x":["E-1"]}`), adapters.ReadOnly, false},
	{"variables of other types", body(find, "variables", `{"x":{"mutation":[{"query":"mutation"}]}}`), adapters.ReadOnly, false},
	{"variables that are no object", body(find, "variables", `"mutation M { a }"`), adapters.ReadOnly, false},
	{"aliases", body("{mutation:" + reads + " addGLImportItems:" + reads + "}"), adapters.ReadOnly, false},
	{"a query named mutation", body("query mutation{" + reads + "}"), adapters.ReadOnly, false},
	{"mutation in a comment", body("# " + evil + "\n{" + reads + "}"), adapters.ReadOnly, false},
	{"mutation after a comment's CR", body("{" + reads + "} # \r\n # " + evil), adapters.ReadOnly, false},
	{"mutation in a string", body(`{glImportItems(after:"} mutation M { a }"){edges{cursor}}}`), adapters.ReadOnly, false},
	{"an escaped quote in a string", body(`{glImportItems(after:"\" } mutation M { a } # \""){edges{cursor}}}`), adapters.ReadOnly, false},
	{"a quote by its code in a string", body(`{glImportItems(after:"\u0022 } mutation M { a }"){edges{cursor}}}`), adapters.ReadOnly, false},
	{"a string of letters", body(`{glImportItems(after:"Ås 😀"){edges{cursor}}}`), adapters.ReadOnly, false},
	{"skip on everything", body("query Q{...F @skip(if:true) a:" + strings.Replace(reads, "{", "@skip(if:true){", 1) + "} fragment F on Query{b:" + reads + "}"), adapters.ReadOnly, false},
	{"include by a variable", body("query Q($b:Boolean!){a:"+strings.Replace(reads, "{", "@include(if:$b){", 1)+"}", "variables", `{"b":false}`), adapters.ReadOnly, false},
	{"a directive on the operation", body("query Q @live{" + reads + "}"), adapters.ReadOnly, false},
	{"a fragment", body("query Q{...F} fragment F on Query{" + reads + "}"), adapters.ReadOnly, false},
	{"a fragment on the other root", body("query Q{...F} fragment F on Mutation{" + writes + "}"), adapters.ReadOnly, false},
	{"a fragment within on the other root", body("query Q{...on Mutation{" + writes + "}}"), adapters.ReadOnly, false},
	{"a fragment of itself", body("query Q{...F} fragment F on Query{...F}"), adapters.ReadOnly, false},
	{"a write's field in a query", body("query Q{" + writes + "}"), adapters.ReadOnly, false},
	{"introspection", body("{__schema{mutationType{name}}}"), adapters.ReadOnly, false},
	{"one root field, many times", body("{" + strings.Repeat("a:__typename ", 100) + "}"), adapters.ReadOnly, false},

	// Writes that can be looked up.
	{"a literal import", body(evil), adapters.Readback, true},
	{"a literal import, chosen", body(evil, "operationName", `"M"`), adapters.Readback, true},
	{"an import by its variable", body("mutation M($i:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$i){edges{node{dbId}}}}", "variables",
		`{"i":[{"node":{"extIdentifier":"E-1","trRegNumber":1,"account":{"code":"3000"},"amount":"0"}}]}`), adapters.Readback, true},
	{"an import under another name", body("mutation M{glImportItems:" + writes + "}"), adapters.Readback, true},
	{"an import after a comment", body("#{" + reads + "}\n" + evil), adapters.Readback, true},

	// Writes that are never sent twice.
	{"skip that is a variable", body("mutation M($b:Boolean!){"+strings.Replace(writes, "{edges", "@skip(if:$b){edges", 1)+"}", "variables", `{"b":false}`), adapters.Unsafe, true},
	{"an import in a fragment", body("mutation M{...F} fragment F on Mutation{" + writes + "}"), adapters.Unsafe, true},
	{"an import in an inline fragment", body("mutation M{...{" + writes + "}}"), adapters.Unsafe, true},
	{"an import twice", body("mutation M{a:" + writes + " b:" + writes + "}"), adapters.Unsafe, true},
	{"an import without its key", body(strings.ReplaceAll(evil, "extIdentifier", "text")), adapters.Unsafe, true},
	{"an import with one key twice", body(strings.ReplaceAll(evil, "E-2", "E-1")), adapters.Unsafe, true},
	{"an import by a variable with a default", body("mutation M($i:[AddGLImportItemsInput!]!=" + lines + "){addGLImportItems(inputs:$i){edges{node{dbId}}}}"), adapters.Unsafe, true},
	{"an import whose variable has another case", body("mutation M($i:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$i){edges{node{dbId}}}}", "variables",
		`{"i":[{"NODE":{"extIdentifier":"E-1","account":{"code":"3000"},"amount":"0"}}]}`), adapters.Unsafe, false},
	{"a subscription", body("subscription S{" + reads + "}"), adapters.Unsafe, false},
	{"a subscription of a write", body("subscription S{" + writes + "}"), adapters.Unsafe, false},
	{"another mutation", body("mutation M{removeEverything}"), adapters.Unsafe, false},

	// Several operations: a member picks.
	{"query and mutation, the mutation", body("query Q{"+reads+"} "+evil, "operationName", `"M"`), adapters.Unsafe, true},
	{"query and mutation, the query", body("query Q{"+reads+"} "+evil, "operationName", `"Q"`), adapters.Unsafe, false},
	{"query and mutation, none", body("query Q{" + reads + "} " + evil), adapters.Unsafe, false},
	{"mutation and query", body(evil+" query Q{"+reads+"}", "operationName", `"M"`), adapters.Unsafe, true},
	{"two queries", body("query Q{"+reads+"} query R{"+reads+"}", "operationName", `"R"`), adapters.Unsafe, false},
	{"two with one name", body("query M{"+reads+"} "+evil, "operationName", `"M"`), adapters.Unsafe, false},
	{"without a name and with one", body("{"+reads+"} "+evil, "operationName", `"M"`), adapters.Unsafe, false},
	{"a query and a subscription", body("query Q{" + reads + "} subscription S{" + reads + "}"), adapters.Unsafe, false},
	{"many operations", body(strings.Repeat("query{a}", 100)), adapters.Unsafe, false},

	// What hides an operation from some reader.
	{"a block string with a quote", body(`query Q{glImportItems(after:""" " """){edges{cursor}}} `+evil+` # " )`, "operationName", `"M"`), adapters.Unsafe, true},
	{"a block string alone", body(`query Q{glImportItems(after:"""x"""){edges{cursor}}}`), adapters.Unsafe, false},
	{"a block string with an escaped one", body(`query Q{glImportItems(after:""" \""" } `+evil+` """){edges{cursor}}}`, "operationName", `"M"`), adapters.Unsafe, false},
	{"three quotes in a comment", body("{" + reads + "} # \"\"\"\n"), adapters.Unsafe, false},
	{"U+2028 in a comment", body("query Q{"+reads+"} # \u2028"+evil, "operationName", `"M"`), adapters.Unsafe, false},
	{"U+2029 in a comment", body("query Q{"+reads+"} # \u2029"+evil, "operationName", `"M"`), adapters.Unsafe, false},
	{"U+0085 in a comment", body("query Q{"+reads+"} # \u0085"+evil, "operationName", `"M"`), adapters.Unsafe, false},
	{"a form feed in a comment", body("query Q{"+reads+"} # \f"+evil, "operationName", `"M"`), adapters.Unsafe, false},
	{"U+2028 in an import's comment", body(evil + " # \u2028 mutation N{a}"), adapters.Unsafe, true},
	{"CR in a comment", body("query Q{"+reads+"} # \r"+evil, "operationName", `"M"`), adapters.Unsafe, true},
	{"LF in a comment", body("query Q{"+reads+"} # \n"+evil, "operationName", `"M"`), adapters.Unsafe, true},
	{"a byte order mark in the document", body("\ufeff{" + reads + "}"), adapters.Unsafe, false},
	{"a byte order mark within", body("query Q{" + reads + "}\ufeff" + evil), adapters.Unsafe, false},
	{"NUL at the end", body("{" + reads + "}\x00" + evil), adapters.Unsafe, false},
	{"NUL in a comment", body("{" + reads + "} # \x00"), adapters.Unsafe, false},
	{"bytes that are no UTF-8", "{\"query\":\"{" + reads + "} # \xc0\x8a mutation M{a}\"}", adapters.Unsafe, false},
	{"half a surrogate pair", `{"query":"{` + reads + `} # \ud800"}`, adapters.Unsafe, false},
	{"DEL in a comment", body("{" + reads + "} # \x7f"), adapters.Unsafe, false},
	{"a name with a code", body(`{gl\u0049mportItems{edges{cursor}}}`), adapters.Unsafe, false},
	{"a name with a letter from elsewhere", body("{glImportІtems{edges{cursor}}}"), adapters.Unsafe, false},
	{"a keyword with a letter from elsewhere", body("quеry Q{" + reads + "}"), adapters.Unsafe, false},
	{"a keyword in capitals", body("MUTATION M{" + writes + "}"), adapters.Unsafe, false},
	{"a keyword in code", body(`\u006dutation M{` + writes + "}"), adapters.Unsafe, false},

	// What is no executable document.
	{"a brace too many", body("{" + reads + "}}" + evil), adapters.Unsafe, false},
	{"a brace too few", body("{" + reads), adapters.Unsafe, false},
	{"a type", body("type Query{a:Int} query Q{" + reads + "}"), adapters.Unsafe, false},
	{"an extension", body("{" + reads + "} extend type Query{a:Int}"), adapters.Unsafe, false},
	{"a fragment alone", body("fragment F on Mutation{" + writes + "}"), adapters.Unsafe, false},
	{"a comment alone", body("# nothing"), adapters.Unsafe, false},
	{"nested deep", body(strings.Repeat("{a", 100_000) + strings.Repeat("}", 100_000)), adapters.Unsafe, false},
	{"lists nested deep", body("{a(b:" + strings.Repeat("[", 200_000)), adapters.Unsafe, false},
	{"too many tokens", body("{a" + strings.Repeat("@b", 150_000) + "}"), adapters.Unsafe, false},

	// What is no request with a document, or with two.
	{"a batch", "[" + body("{"+reads+"}") + "," + body(evil) + "]", refused, false},
	{"a batch of one", "[" + body(evil) + "]", refused, false},
	{"two documents", `{"query":"{` + reads + `}","query":` + strings.TrimPrefix(body(evil), `{"query":`), refused, true},
	{"two documents, the read last", strings.TrimSuffix(body(evil), "}") + `,"query":"{` + reads + `}"}`, refused, false},
	{"two documents in two cases", `{"query":"{` + reads + `}","Query":` + strings.TrimPrefix(body(evil), `{"query":`), refused, true},
	{"a document in another case", strings.Replace(body(evil), "query", "QUERY", 1), refused, true},
	{"a long s in a member", body("{"+reads+"}", "variableſ", "{}"), refused, false},
	{"a member written in code", strings.Replace(body(evil), "query", `qu\u0065ry`, 1), adapters.Readback, true},
	{"two documents, one in code", `{"query":"{` + reads + `}","qu\u0065ry":` + strings.TrimPrefix(body(evil), `{"query":`), refused, true},
	{"two names", body("query Q{"+reads+"}", "operationName", `"Q"`, "operationName", `"M"`), refused, false},
	{"two variables of one name", body(find, "variables", `{"x":["E-1"],"x":["E-2"]}`), refused, false},
	{"a persisted query", body("{"+reads+"}", "extensions", `{"persistedQuery":{"version":1,"sha256Hash":"00"}}`), refused, false},
	{"a persisted query alone", `{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}`, refused, false},
	{"a stored document", body("{"+reads+"}", "documentId", `"1"`), refused, false},
	{"a stored document by id", `{"id":"1"}`, refused, false},
	{"a byte order mark", "\ufeff" + body("{"+reads+"}"), refused, false},
	{"something after it", body("{"+reads+"}") + body(evil), refused, false},
	{"the form of GET", "query={" + reads + "}", refused, false},
	{"a document that is a list", `{"query":["{` + reads + `}"]}`, refused, false},
	{"a document that is null", `{"query":null}`, refused, false},
	{"variables nested deep", body("{"+reads+"}", "variables", `{"a":`+strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)+"}"), refused, false},
}

// What the guard calls a read has no effect, whoever carries it out: the executor of
// the sandbox and one of others. The set is not tame: the sandbox does what the last
// column says.
func TestDocuments(t *testing.T) {
	ours := newBench(t)
	others, count := somebodyElse(t)
	before := 0
	for _, d := range documents {
		p, err := xledger.Adapter{}.Describe(adapters.Call, []byte(d.body))
		got := p.Guard
		if err != nil {
			got = refused
		}
		require.Equal(t, d.guard, got, "%s: %v", d.name, err)
		require.Less(t, len(p.Summary), 130, d.name)

		if len(d.body) > 50_000 {
			continue // no validator bounds its work
		}
		post(t, ours.base["xledger"], sandbox.DemoXledgerToken, d.body)
		n := len(ours.Effects())
		require.Equal(t, d.effect, n > before, "%s: at the sandbox", d.name)
		before = n

		if d.name == "a fragment of itself" {
			continue // the validator of graphql-go/graphql recurses until its process ends
		}
		n = count()
		post(t, others, graphqlserver.Token, d.body)
		require.False(t, d.guard == adapters.ReadOnly && count() > n, "%s: at a server of others", d.name)
	}
	require.Greater(t, len(documents), 60)
	require.NotZero(t, count(), "a server of others that does nothing proves nothing")
}

// somebodyElse is a server of others whose types take the documents of the table,
// and how many items it has.
func somebodyElse(t *testing.T) (address string, items func() int) {
	for seed := range uint64(200) {
		s := graphqlserver.New(seed)
		server := httptest.NewServer(s)
		t.Cleanup(server.Close)
		if post(t, server.URL, graphqlserver.Token, body(evil)); len(s.Items()) == 2 {
			return server.URL, func() int { return len(s.Items()) }
		}
	}
	t.Fatal("no server takes the import of the table")
	return "", nil
}

// post sends a body as it is.
func post(t *testing.T, address, token, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", "token "+token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err, "the server ends the connection")
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	http.DefaultClient.CloseIdleConnections()
}
