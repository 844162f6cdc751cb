package graphql

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
)

// Resolve returns the value of the n-th root field, counted from 0: nil, a leaf,
// a []any, or a map[string]any of an object's fields. A member of such a map can
// be a func(arguments map[string]any) any, which is called for the value.
type Resolve func(n int, f Field) (any, *Error)

// Response is an answer with data.
type Response struct {
	Errors []*Error `json:"errors,omitempty"`
	Data   any      `json:"data"`
}

// Execute carries out an operation that has no errors: the root fields one after
// the other, in order (§6.2.2 asks for that of mutations).
func (o *Operation) Execute(resolve Resolve) Response {
	x := execution{Operation: o, resolve: resolve}
	data, failed := x.object(o.root(), []*ast.Field{{SelectionSet: o.definition.SelectionSet}}, nil, nil)
	if failed {
		return Response{Errors: x.errors}
	}
	return Response{Errors: x.errors, Data: data}
}

type execution struct {
	*Operation
	resolve Resolve
	errors  []*Error
}

// group are the fields that make one member of an answer.
type group struct {
	key    string
	fields []*ast.Field
}

// collect is CollectFields of §6.3.2, for the sets of fields that have merged.
func (o *Operation) collect(t *ast.Definition, sets ...ast.SelectionSet) (groups []group) {
	visited := make(map[string]bool)
	places := make(map[string]int)
	var walk func(ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, selection := range set {
			switch one := selection.(type) {
			case *ast.Field:
				if !o.included(one.Directives) {
					continue
				}
				i, ok := places[one.Alias]
				if !ok {
					i = len(groups)
					places[one.Alias], groups = i, append(groups, group{key: one.Alias})
				}
				groups[i].fields = append(groups[i].fields, one)
			case *ast.InlineFragment:
				if o.included(one.Directives) && o.applies(one.TypeCondition, t) {
					walk(one.SelectionSet)
				}
			case *ast.FragmentSpread:
				if !o.included(one.Directives) || visited[one.Name] {
					continue
				}
				visited[one.Name] = true
				if f := o.document.Fragments.ForName(one.Name); f != nil && o.applies(f.TypeCondition, t) {
					walk(f.SelectionSet)
				}
			}
		}
	}
	for _, set := range sets {
		walk(set)
	}
	return groups
}

// included is what @skip and @include say.
func (o *Operation) included(directives ast.DirectiveList) bool {
	says := func(name string) any {
		d := directives.ForName(name)
		if d == nil || d.Arguments.ForName("if") == nil {
			return nil
		}
		v, _ := literal(d.Arguments.ForName("if").Value, o.variables)
		return v
	}
	return says("skip") != true && says("include") != false
}

// applies is DoesFragmentTypeApply of §6.3.2.
func (o *Operation) applies(condition string, t *ast.Definition) bool {
	if condition == "" || t == nil || condition == t.Name {
		return true
	}
	d := o.schema.schema.Types[condition]
	return d != nil && slices.Contains(o.schema.schema.GetPossibleTypes(d), t)
}

// object is ExecuteSelectionSet of §6.3. failed is true if a field that cannot be
// null is: then the object is null (§6.4.4). Without a value it is the root.
func (x *execution) object(t *ast.Definition, parents []*ast.Field, value map[string]any, path []any) (out object, failed bool) {
	sets := make([]ast.SelectionSet, len(parents))
	for i, f := range parents {
		sets[i] = f.SelectionSet
	}
	for n, g := range x.collect(t, sets...) {
		at := append(slices.Clip(path), g.key)
		if v, null := x.field(n, t, g, value, at); null {
			failed = true
		} else {
			out = append(out, member{g.key, v})
		}
	}
	return out, failed
}

// field is ExecuteField of §6.4.
func (x *execution) field(n int, t *ast.Definition, g group, parent map[string]any, path []any) (value any, failed bool) {
	f := g.fields[0]
	if f.Name == "__typename" {
		return t.Name, false
	}
	arguments, err := x.arguments(f)
	if err == nil {
		switch {
		case parent != nil:
			value = parent[f.Name]
			if get, ok := value.(func(map[string]any) any); ok {
				value = get(arguments)
			}
		case f.Name == "__schema":
			value = x.schema.introspect()
		case f.Name == "__type":
			value = x.schema.typeNamed(arguments["name"].(string))
		default:
			value, err = x.resolve(n, Field{g.key, f.Name, arguments})
		}
	}
	if err != nil {
		x.fail(err, f, path)
		return nil, f.Definition.Type.NonNull
	}
	return x.complete(f.Definition.Type, g.fields, value, path)
}

func (x *execution) fail(e *Error, f *ast.Field, path []any) {
	e.Path, e.Locations, e.Stage = path, []Location{{f.Position.Line, f.Position.Column}}, Execution
	x.errors = append(x.errors, e)
}

// complete is CompleteValue of §6.4.3. failed is true if the value is null and
// its type has no null.
func (x *execution) complete(t *ast.Type, fields []*ast.Field, value any, path []any) (out any, failed bool) {
	object, isObject := value.(map[string]any)
	list, isList := value.([]any)
	switch {
	case value == nil || isObject && object == nil || isList && list == nil:
		if t.NonNull {
			x.fail(errorf(Execution, nil, "Cannot return null for non-null type `%s`", t), fields[0], path)
		}
		return nil, t.NonNull
	case t.Elem != nil:
		all := make([]any, len(list))
		for i := range list {
			var null bool
			if all[i], null = x.complete(t.Elem, fields, list[i], append(slices.Clip(path), i)); null {
				return nil, t.NonNull
			}
		}
		return all, false
	case isObject:
		out, null := x.object(x.schema.schema.Types[t.NamedType], fields, object, path)
		if null {
			return nil, t.NonNull
		}
		return out, false
	}
	return value, false
}

// object is an object of an answer: its members come in the order of the
// document.
type object []member

type member struct {
	key   string
	value any
}

// MarshalJSON implements [json.Marshaler].
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.WriteString(`"` + m.key + `":`) // a name, which has nothing to escape
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
