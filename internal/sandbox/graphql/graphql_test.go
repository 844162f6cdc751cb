package graphql

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

const document = `"A test." schema { query: Query }
scalar Even @specifiedBy(url: "https://example.org/even")
enum Colour { RED GREEN @deprecated(reason: "grass") }
interface Named { name: String! }
union Any = A | B
type A implements Named { name: String! next: A must: A! list: [A!] all: [A]! }
type B { b: Int }
input In { e: Even! = 2, list: [Int!], c: Colour, in: In }
type Query {
  a: A
  must: A!
  echo(in: In, n: Int = 7, id: ID, f: Float, b: Boolean): String
  old: Int @deprecated
}`

func schema() *Schema {
	return New(document, map[string]Scalar{"Even": func(v any) bool {
		n, ok := v.(json.Number)
		i, err := n.Int64()
		return ok && err == nil && i%2 == 0
	}}, true)
}

// run answers a request; root gives the value of every field but echo, which is
// the text of its arguments.
func run(t *testing.T, query, variables string, root any) string {
	t.Helper()
	r := Request{Query: query}
	if variables != "" {
		d := json.NewDecoder(strings.NewReader(variables))
		d.UseNumber()
		require.NoError(t, d.Decode(&r.Variables))
	}
	o := schema().Prepare(r)
	var answer any = map[string]any{"errors": o.Errors}
	if len(o.Errors) == 0 {
		answer = o.Execute(func(_ int, f Field) (any, *Error) {
			if f.Name != "echo" {
				return root, nil
			}
			text, err := json.Marshal(f.Arguments)
			require.NoError(t, err)
			return string(text), nil
		})
	}
	out, err := json.Marshal(answer)
	require.NoError(t, err)
	return string(out)
}

// A field that is null and cannot be makes its parent null, up to one that can
// (§6.4.4).
func TestNulls(t *testing.T) {
	bad, good := map[string]any{}, map[string]any{"name": "x"}
	for query, want := range map[string]string{
		`{a{name}}`:          `{"errors":[{"message":"Cannot return null for non-null type ` + "`String!`" + `","locations":[{"line":1,"column":4}],"path":["a","name"]}],"data":{"a":null}}`,
		`{x:must{name}}`:     `"data":null`,
		`{a{next{name}}}`:    `"data":{"a":{"next":null}}`,
		`{a{must{name}}}`:    `"data":{"a":null}`,
		`{a{list{name}}}`:    `"path":["a","list",1,"name"]}],"data":{"a":{"list":null}}`,
		`{a{all{name}}}`:     `"data":{"a":{"all":[{"name":"x"},null]}}`,
		`{must{__typename}}`: `{"data":{"must":{"__typename":"A"}}}`,
	} {
		root := map[string]any{"next": bad, "must": bad, "list": []any{good, bad}, "all": []any{good, bad}}
		require.Contains(t, run(t, query, "", root), want, query)
	}
}

// Fields with one name merge, fragments apply by type, directives leave out, and
// the answer has the order of the document.
func TestCollect(t *testing.T) {
	a := map[string]any{"name": "x", "next": map[string]any{"name": "y"}}
	for query, want := range map[string]string{
		`{a{name} z:a{n:name} a{next{name}}}`:                                       `{"a":{"name":"x","next":{"name":"y"}},"z":{"n":"x"}}`,
		`{a{...N ...N next{...N}}} fragment N on Named{name}`:                       `{"a":{"name":"x","next":{"name":"y"}}}`,
		`query($t:Boolean!){a{name @skip(if:$t) next @include(if:$t){__typename}}}`: `{"a":{"next":{"__typename":"A"}}}`,
		`query($t:Boolean!){__typename @skip(if:$t)}`:                               `{}`,
		`{a{... on A @skip(if:true){name} ... @include(if:true){n:name}}}`:          `{"a":{"n":"x"}}`,
	} {
		require.Equal(t, `{"data":`+want+`}`, run(t, query, `{"t":true}`, a), query)
	}
}

// Literals, variables and defaults are coerced in one way.
func TestInput(t *testing.T) {
	for query, want := range map[string]string{
		`{echo}`:                        `{"n":7}`,
		`{echo(n:null)}`:                `{"n":null}`,
		`{echo(in:{})}`:                 `{"in":{"e":2},"n":7}`,
		`{echo(in:{e:4,list:1,c:RED})}`: `{"in":{"c":"RED","e":4,"list":[1]},"n":7}`,
		`query($e:Even!){echo(in:{e:$e,in:{list:[]}})}`:      `{"in":{"e":6,"in":{"e":2,"list":[]}},"n":7}`,
		`query($in:In){echo(in:$in)}`:                        `{"in":{"c":"GREEN","e":2,"list":[1,2]},"n":7}`,
		`query($none:Int){echo(n:$none)}`:                    `{"n":7}`,
		`query($none:Int=3){echo(n:$none)}`:                  `{"n":3}`,
		`{echo(id:12,f:3,b:true)}`:                           `{"b":true,"f":3,"id":12,"n":7}`,
		`{echo(id:"""` + "\n  a\n    b\n  " + `""",f:1.50)}`: `{"f":1.50,"id":"a\n  b","n":7}`,
	} {
		text, _ := json.Marshal(want)
		require.Equal(t, `{"data":{"echo":`+string(text)+`}}`, run(t, query, `{"e":6,"in":{"c":"GREEN","list":[1,2]},"more":1}`, nil), query)
	}
	for query, says := range map[string]string{
		`{echo(in:{e:3})}`:                            `Expected value of type \"Even!\", found 3`,
		`{echo(in:{list:[1,null]})}`:                  `found null`,
		`{echo(in:{e:null})}`:                         `found null`,
		`{echo(n:"1")}`:                               `Int cannot represent`,
		`{echo(n:1.5)}`:                               `Int cannot represent`,
		`{echo(n:{})}`:                                `Expected value of type \"Int\"`,
		`query($odd:Even){echo(in:{e:$odd})}`:         "odd: no value of type `Even`",
		`query($n:Int){echo(n:$n)}`:                   "n: no value of type `Int`",
		`query($nothing:Int!){echo(n:$nothing)}`:      "Variable `$nothing` of type `Int!` has no value",
		`query($nothing:Int=1){echo(n:$nothing)} {x}`: `anonymous`,
		`query($blue:In){echo(in:$blue)}`:             "blue.c: no value of type `Colour`",
		`query($few:In){echo(in:$few)}`:               "few.list[1]: a value of type `Int!` is required",
	} {
		got := run(t, query, `{"odd":3,"n":1.5,"blue":{"c":"BLUE"},"few":{"list":[1,null]}}`, nil)
		require.Contains(t, got, says, query)
		require.NotContains(t, got, `"data"`)
	}
	got := run(t, `query($e:Even=4){echo(in:{e:$e})}`, `{"e":null}`, nil)
	require.Contains(t, got, `"data":{"echo":null}`, "null in place of a default is an error of the field (§6.4.1)")
}

// What introspection says of the schema makes the same schema again.
func TestIntrospect(t *testing.T) {
	const query = `{__schema{description queryType{name} mutationType{name} directives{name isRepeatable locations args{...V}}
		types{kind name description specifiedByURL isOneOf fields(includeDeprecated:true){name args{...V} type{...T} isDeprecated deprecationReason}
		inputFields{...V} interfaces{name} possibleTypes{name} enumValues(includeDeprecated:true){name isDeprecated deprecationReason}}}}
		fragment V on __InputValue{name defaultValue type{...T}}
		fragment T on __Type{kind name ofType{kind name ofType{kind name ofType{kind name}}}}`
	type typ struct {
		Kind, Name string
		OfType     *typ
	}
	var text func(typ) string
	text = func(t typ) string {
		switch t.Kind {
		case "NON_NULL":
			return text(*t.OfType) + "!"
		case "LIST":
			return "[" + text(*t.OfType) + "]"
		}
		return t.Name
	}
	type value struct {
		Name         string
		DefaultValue *string
		Type         typ
	}
	var a struct {
		Errors []*Error
		Data   struct {
			Schema struct {
				Description  string
				QueryType    struct{ Name string }
				MutationType *struct{ Name string }
				Directives   []struct{ Name string }
				Types        []struct {
					Kind, Name, SpecifiedByURL string
					Fields                     []struct {
						Name              string
						Args              []value
						Type              typ
						IsDeprecated      bool
						DeprecationReason string
					}
					InputFields               []value
					Interfaces, PossibleTypes []struct{ Name string }
					EnumValues                []struct {
						Name              string
						IsDeprecated      bool
						DeprecationReason string
					}
				}
			} `json:"__schema"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(run(t, query, "", nil)), &a))
	require.Empty(t, a.Errors)
	said := a.Data.Schema
	require.Equal(t, []string{"A test.", "Query"}, []string{said.Description, said.QueryType.Name})
	require.Nil(t, said.MutationType)
	want := gqlparser.MustLoadSchema(&ast.Source{Input: document})
	require.Len(t, said.Types, len(want.Types))
	require.Len(t, said.Directives, len(want.Directives)-1, "all but @defer")
	for _, got := range said.Types {
		d := want.Types[got.Name]
		require.Equal(t, string(d.Kind), got.Kind)
		inputs := got.InputFields
		for _, f := range got.Fields {
			inputs = append(inputs, value{Name: f.Name, Type: f.Type})
			require.Equal(t, f.IsDeprecated, d.Fields.ForName(f.Name).Directives.ForName("deprecated") != nil)
			for _, v := range f.Args {
				arg := d.Fields.ForName(f.Name).Arguments.ForName(v.Name)
				require.Equal(t, arg.Type.String(), text(v.Type))
				if arg.DefaultValue != nil {
					require.Equal(t, arg.DefaultValue.String(), *v.DefaultValue)
				}
			}
		}
		for _, f := range inputs {
			require.Equal(t, d.Fields.ForName(f.Name).Type.String(), text(f.Type))
		}
		shown := slices.DeleteFunc(slices.Clone(d.Fields), func(f *ast.FieldDefinition) bool { return strings.HasPrefix(f.Name, "__") })
		require.Len(t, inputs, len(shown), got.Name)
		require.Len(t, got.EnumValues, len(d.EnumValues))
		require.Len(t, got.Interfaces, len(d.Interfaces))
		if d.IsAbstractType() {
			require.Len(t, got.PossibleTypes, len(want.PossibleTypes[d.Name]))
		}
		if got.Name == "Even" {
			require.Equal(t, "https://example.org/even", got.SpecifiedByURL)
		}
	}
	require.Equal(t, `{"data":{"__type":null}}`, run(t, `{__type(name:"None"){name}}`, "", nil))
	require.NotContains(t, run(t, `{__type(name:"Query"){fields{name}}}`, "", nil), "old", "deprecated")
	require.Contains(t, run(t, `{__type(name:"Colour"){enumValues{name}}}`, "", nil), "RED")
	require.NotContains(t, run(t, `{__type(name:"Colour"){enumValues{name}}}`, "", nil), "GREEN")
}
