package xledger

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/graphql-go/graphql/language/ast"
	goparser "github.com/graphql-go/graphql/language/parser"
	"github.com/graphql-go/graphql/language/source"
	"github.com/stretchr/testify/require"
	vektah "github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// FuzzLiteral: whatever a text holds, two parsers that share no code with the
// writer read it back as it was, and nothing of it leaves its literal.
func FuzzLiteral(f *testing.F) {
	for _, s := range []string{
		"", "plain", `"`, `\`, `\"`, `\\"`, `"""`, `"}){x}}mutation{y(z:"`, "a\nb\rc\td\x00\x1f\x7f", "Å\u00a0ø – 5 €", "\u2028\u2029\ufeff", "\xff\xfe", "😀", `\u0022`, "#", "$x", "{", "]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var b strings.Builder
		b.WriteString("query{f(a:")
		literal(&b, []object{{{"x", s}, {"y", number("-1.50")}}})
		b.WriteString("){g}}")
		want := string([]rune(s)) // without what is not UTF-8

		own, err := parser.ParseQuery(&vektah.Source{Input: b.String()})
		require.NoError(t, err)
		field := own.Operations[0].SelectionSet[0].(*vektah.Field)
		require.Len(t, field.Arguments, 1)
		require.Equal(t, want, field.Arguments[0].Value.Children[0].Value.Children[0].Value.Raw)
		require.Equal(t, "-1.50", field.Arguments[0].Value.Children[0].Value.Children[1].Value.Raw)

		other, err := goparser.Parse(goparser.ParseParams{Source: source.NewSource(&source.Source{Body: []byte(b.String())})})
		require.NoError(t, err)
		arguments := other.Definitions[0].(*ast.OperationDefinition).SelectionSet.Selections[0].(*ast.Field).Arguments
		require.Len(t, arguments, 1)
		read := arguments[0].Value.(*ast.ListValue).Values[0].(*ast.ObjectValue).Fields
		require.Equal(t, want, read[0].Value.GetValue())

		body, err := request(b.String())
		require.NoError(t, err)
		var back query
		require.NoError(t, json.Unmarshal(body, &back))
		require.Equal(t, b.String(), back.Query)
		require.True(t, utf8.ValidString(b.String()))
	})
}

// An amount is a number literal or it is none.
func TestNumbers(t *testing.T) {
	for value, ok := range map[string]bool{"0": true, "-12.50": true, "1000000.01": true, "": false, "1,5": false, "01": false, "1.": false, "1e3": false, "1}){x": false, "NaN": false} {
		_, got := written(asNumber, value)
		require.Equal(t, ok, got, value)
	}
	for value, ok := range map[string]bool{"3000": true, "-1": true, "2147483647": true, "2147483648": false, "99999999999": false, "12.5": false, "+1": false, "007": false, "": false} {
		_, got := written(asInteger, value)
		require.Equal(t, ok, got, value)
	}
}
