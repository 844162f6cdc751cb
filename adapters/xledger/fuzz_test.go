package xledger

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
)

// FuzzInspect: whatever a document is, one that holds the word mutation outside
// strings and comments must never be taken for a query.
func FuzzInspect(f *testing.F) {
	for _, s := range []string{
		"{ a }", "query Q($a: Int = 1) @d { a: b(x: {y: 1}) { c } }", "mutation { a }", "subscription { a }",
		"fragment F on T { a } query { ...F }", `{ a(x: "}{ mutation") }`, `{ a(x: """ " } """) }`, "# mutation\n{ a }", "{", "}", "", "mutation",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := inspect(s)
		if rest, ok := strings.CutPrefix(strings.TrimSpace(s), "mutation "); ok && strings.HasPrefix(rest, "{") && !out.mutation {
			t.Errorf("%q is taken for a query", s)
		}
		if !out.mutation && len(out.fields) == 0 {
			t.Errorf("%q: a query without a field", s)
		}
	})
}

// FuzzPage: a page either is an error, or says how to go on if more follows.
func FuzzPage(f *testing.F) {
	for _, s := range []string{
		`{"data":{"glImportItems":{"edges":[{"cursor":"1","node":{"dbId":"1"}}],"pageInfo":{"hasNextPage":true}}}}`,
		`{"data":{"glImportItems":{"edges":[],"pageInfo":{"hasNextPage":true}}}}`, `{"data":{"glImportItems":{"edges":null}}}`,
		`{"data":{"glImportItems":{"edges":[{"cursor":7,"node":null},{"cursor":null}]}}}`, `{"data":null}`, "\ufeff{}", ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := parsePage(body, "glImportItems")
		if err == nil && p.more && (p.cursor == "" || len(p.nodes) == 0) {
			t.Errorf("%q would be asked for again without end", body)
		}
	})
}

// FuzzLateError: whatever level an error has, only a known harmless one hides it.
func FuzzLateError(f *testing.F) {
	for _, s := range []string{
		`{"createdAt":"2026-11-23T14:00:00","message":"m","errorLevel":{"code":"ERROR","name":"Feil"},"transactionDbId":7}`,
		`{"createdAt":null,"message":null,"errorLevel":null,"transactionDbId":null}`, `{"errorLevel":{"code":2,"name":"Warning"}}`, `[]`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, isError, err := parseLateError(raw)
		if err != nil {
			return
		}
		lower := strings.ToLower(string(raw))
		if !isError && !strings.Contains(lower, "warn") && !strings.Contains(lower, "info") && !strings.Contains(lower, "advarsel") && !strings.Contains(lower, `\u`) {
			t.Errorf("%q is hidden", raw)
		}
	})
}

func TestTimes(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-23T14:00:00": "2026-11-23T13:00:00Z", "2026-11-23 14:00:00": "2026-11-23T13:00:00Z", "2026-11-23T14:00:00.25": "2026-11-23T13:00:00Z",
		"2026-11-23T14:00:00Z": "2026-11-23T14:00:00Z", "2026-07-01T14:00:00+02:00": "2026-07-01T12:00:00Z", "2026-07-01T14:00:00": "2026-07-01T13:00:00Z",
		"23.11.2026": "0001-01-01T00:00:00Z", "": "0001-01-01T00:00:00Z",
	} {
		if got := parseTime(text).UTC().Format("2006-01-02T15:04:05Z"); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

// A carriage return ends a comment as a line feed does: what stands after it is not
// hidden from us and shown to the vendor.
func TestCarriageReturnEndsComments(t *testing.T) {
	for _, end := range []string{"\r", "\n", "\r\n"} {
		s := inspect("query Q{__typename} # x" + end + "mutation M{addProjects(inputs:[]){x}}")
		require.True(t, s.mutation, "%q", end)
		s = inspect("mutation($in:[X!]!){addGLImportItems(inputs:$in){x} # a" + end + " addProjects(inputs:[]){y}\n}")
		require.Equal(t, []string{"addGLImportItems", "addProjects"}, s.fields, "%q", end)
	}
}

// A block string can hide a mutation behind its quotes.
func TestBlockStrings(t *testing.T) {
	for _, document := range []string{
		`query Q{f(x:"""a"b""")} mutation M{g(y:"c")} query R{h(z:"d)}")}`,
		`{ a(x: """ " } """) }`,
	} {
		require.Equal(t, shape{mutation: true}, inspect(document), document)
	}
}

// What two readers of JSON or GraphQL can read in two ways is refused, or unsafe: the
// guard must be about what the vendor reads.
func TestBodiesThatCanBeReadInTwoWays(t *testing.T) {
	write := `mutation{addProjects(inputs:[{node:{code:\"1\"}}]){edges{node{dbId}}}}`
	for _, body := range []string{
		`{"query":"` + write + `","Query":"query{__typename}"}`, `{"query":"` + write + `","query":"query{__typename}"}`, `{"Query":"query{__typename}"}`,
		`{"query":"{a}","variables":{},"Variables":{}}`, `{"query":"{a}"}} {"query":"` + write + `"}`, `{"query":"{a}"}{}`, `[]`, `null`,
		`{"query":"mutation($in:[X!]!){addGLImportItems(inputs:$in){x}}","variables":{"in":[{"node":{"extIdentifier":"A"},"node":{"amount":2}}]}}`,
		`{"query":"mutation($in:[X!]!){addGLImportItems(inputs:$in){x}}","variables":{"in":[{"node":{"extIdentifier":"A","EXTIDENTIFIER":"B"}}]}}`,
	} {
		_, err := Adapter{}.Describe(adapters.Call, []byte(body))
		require.Error(t, err, body)
	}
	const one = `[{"node":{"extIdentifier":"A"}}]`
	for _, body := range []string{
		`{"query":"mutation($in:[X!]=[{node:{extIdentifier:\"STORED\"}}]){addGLImportItems(inputs:$in){x}}","variables":{"other":` + one + `}}`,
		`{"query":"mutation($in:[X!]=[{node:{extIdentifier:\"STORED\"}}]){addGLImportItems(inputs:$in){x}}","variables":{"in":` + one + `}}`,
		`{"query":"mutation($in:[X!],$b:Y){addGLImportItems(inputs:$in){x(b:$b)}}","variables":{"in":` + one + `}}`,
		`{"query":"mutation($in:[X!]!){addGLImportItems(inputs:$in){x}}","variables":{"In":` + one + `}}`,
		`{"query":"mutation($in:[X!]!){addGLImportItems(inputs:$in){x}}","variables":{"in":[{"Node":{"extIdentifier":"A"}}]}}`,
		`{"query":"mutation($in:[X!]!){addGLImportItems(inputs:$in){x}}","variables":{"in":[{"node":{"ExtIdentifier":"A"}}]}}`,
		`{"query":"mutation($in:[X!]!){addGLImportItems(inputs:$in){x}}","variables":{"in":[{"node":{"extIdentifier":"\ud83dx"}}]}}`,
		`{"query":"mutation{addGLImportItems(inputs:[{node:{extIdentifier:\"\\ud83dx\"}}]){x}}"}`,
		`{"query":"mutation{addGLImportItems(inputs:[{node:{extIdentifier:\"A\",extIdentifier:\"B\"}}]){x}}"}`,
		`{"query":"mutation{addGLImportItems(inputs:{node:{extIdentifier:\"A\"}}){x}}"}`,
		`{"query":"mutation{addGLImportItems(inputs:[{node:{extIdentifier:\"A\"}}]) @skip(if:true){x}}"}`,
		`{"query":"mutation($n:X){addGLImportItems(inputs:[{node:{extIdentifier:\"A\"}},$n]){x}}","variables":{"n":{"node":{"extIdentifier":"B"}}}}`,
	} {
		p, err := Adapter{}.Describe(adapters.Call, []byte(body))
		require.True(t, err != nil || p.Guard == adapters.Unsafe, "%s is %s", body, p.Guard)
	}
	for _, body := range []string{
		`{"query":"mutation($in:[X!]!){addGLImportItems(inputs:$in){x}}","variables":{"in":` + one + `}}`,
		`{"query":"mutation{a: addGLImportItems(inputs:[{clientId:\"1\",node:{extIdentifier:\"A\",amount:-12.5}}]){x}}"}`,
	} {
		p, err := Adapter{}.Describe(adapters.Call, []byte(body))
		require.NoError(t, err)
		require.Equal(t, adapters.Readback, p.Guard, body)
		require.Equal(t, "A", p.Lookup[0].Key)
	}
}
