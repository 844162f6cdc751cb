package sandbox_test

import (
	"encoding/json"
	"fmt"
	"testing"

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

const aliased = `mutation($a:[X!]!,$b:[X!]!){
	one: addGLImportItems(inputs: $a) { edges { node { dbId } } }
	two: addGLImportItems(inputs: $b) { edges { node { dbId } } }
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
			`{"data":{"one":{"edges":[{"clientId":"1","node":{"dbId":"1"}}]},"two":null},"errors":[{"message":"account.code: No value matching owner 42365431, code 'X1'.","path":["two"]}]}`, []int{1, 0}},
		"the first is refused": {aliased, "X1", "1", nil,
			`{"data":{"one":null,"two":{"edges":[{"clientId":"1","node":{"dbId":"1"}}]}},"errors":[{"message":"account.code: No value matching owner 42365431, code 'X1'.","path":["one"]}]}`, []int{0, 1}},
		"the vendor fails in between": {aliased, "1", "1", &sandbox.Rule{ActFirst: 1},
			`{"data":{"one":{"edges":[{"clientId":"1","node":{"dbId":"1"}}]},"two":null},"errors":[{"message":"Internal error","path":["two"]}]}`, []int{1, 0}},
		"the second is throttled": {aliased, "1", "1", &sandbox.Rule{ActFirst: 1, Status: 200, Body: `{"errors":[{"code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"}]}`},
			`{"errors":[{"code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"}]}`, []int{1, 0}},
		"one of them twice": {`mutation($a:[X!]!,$b:[X!]!){addGLImportItems(inputs:$a){edges{clientId}} addGLImportItems(inputs:$b){edges{clientId}}}`, "1", "1", nil,
			"{\"errors\":[{\"message\":\"Fields `addGLImportItems` conflict; give them aliases\",\"extensions\":{\"code\":\"ARGUMENTS_OF_CORRECT_TYPE\"}}]}", []int{0, 0}},
		"one is unknown": {`mutation($a:[X!]!){addGLImportItems(inputs:$a){edges{clientId}} addProjects(inputs:$b){edges{clientId}}}`, "1", "1", nil,
			"{\"errors\":[{\"message\":\"Cannot query field `addProjects` on type `Query`\",\"extensions\":{\"code\":\"ARGUMENTS_OF_CORRECT_TYPE\"}}]}", []int{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			if c.rule != nil {
				s.Script(*c.rule)
			}
			_, body := s.graphQL(two(c.document, c.first, c.second))
			require.JSONEq(t, c.want, body)
			require.Equal(t, c.stored, []int{len(s.Records("a")), len(s.Records("b"))})
			require.Equal(t, []string{"a", "b"}, s.Log()[0].Keys)
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
