package graphql

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
)

// builtIn are the scalars of every schema (§3.5).
func builtIn() map[string]Scalar {
	text := func(v any) bool { _, ok := v.(string); return ok }
	return map[string]Scalar{
		"String":  text,
		"Boolean": func(v any) bool { _, ok := v.(bool); return ok },
		"Int": func(v any) bool {
			n, ok := v.(json.Number)
			_, err := strconv.ParseInt(n.String(), 10, 32)
			return ok && err == nil
		},
		"Float": func(v any) bool {
			n, ok := v.(json.Number)
			_, err := n.Float64()
			return ok && err == nil
		},
		"ID": func(v any) bool {
			n, ok := v.(json.Number)
			_, err := n.Int64()
			return text(v) || ok && err == nil
		},
	}
}

// literal returns the plain value of a literal: nil, a string, a [json.Number], a
// bool, a list or a map. ok is false if it is a variable that has no value.
func literal(v *ast.Value, variables map[string]any) (value any, ok bool) {
	switch v.Kind {
	case ast.Variable:
		value, ok = variables[v.Raw]
		return value, ok
	case ast.IntValue, ast.FloatValue:
		return json.Number(v.Raw), true
	case ast.BooleanValue:
		return v.Raw == "true", true
	case ast.NullValue:
		return nil, true
	case ast.ListValue:
		list := make([]any, len(v.Children))
		for i, c := range v.Children {
			list[i], _ = literal(c.Value, variables)
		}
		return list, true
	case ast.ObjectValue:
		object := make(map[string]any, len(v.Children))
		for _, c := range v.Children {
			if value, ok := literal(c.Value, variables); ok {
				object[c.Name] = value
			}
		}
		return object, true
	}
	return v.Raw, true // a text, or the name of an enum's value
}

// coerceVariables is CoerceVariableValues of §6.1.2.
func (o *Operation) coerceVariables() (all []*Error) {
	coerced := make(map[string]any)
	for _, d := range o.definition.VariableDefinitions {
		v, ok := o.variables[d.Variable]
		switch {
		case !ok && d.DefaultValue != nil:
			v, ok = literal(d.DefaultValue, nil)
		case !ok && d.Type.NonNull:
			all = append(all, errorf(Variables, d.Position, "Variable `$%s` of type `%s` has no value", d.Variable, d.Type))
		}
		if !ok {
			continue
		}
		v, err := o.schema.coerce(d.Type, v, d.Variable)
		if err != nil {
			all = append(all, errorf(Variables, d.Position, "Variable `$%s` is invalid: %v", d.Variable, err))
		}
		coerced[d.Variable] = v
	}
	o.variables = coerced
	return all
}

// coerce returns a value as one of an input type, by the rules for input of each
// kind of type (§3.5 to §3.12). at names the value in an error.
func (s *Schema) coerce(t *ast.Type, v any, at string) (any, error) {
	if v == nil {
		if t.NonNull {
			return nil, fmt.Errorf("%s: a value of type `%s` is required", at, t)
		}
		return nil, nil
	}
	if t.Elem != nil {
		list, ok := v.([]any)
		if !ok {
			one, err := s.coerce(t.Elem, v, at)
			return []any{one}, err
		}
		out := make([]any, len(list))
		for i := range list {
			var err error
			if out[i], err = s.coerce(t.Elem, list[i], fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	d := s.schema.Types[t.NamedType]
	object, isObject := v.(map[string]any)
	text, isText := v.(string)
	switch {
	case d.Kind == ast.Scalar && s.scalars[d.Name](v):
		return v, nil
	case d.Kind == ast.Enum && isText && d.EnumValues.ForName(text) != nil:
		return v, nil
	case d.Kind == ast.InputObject && isObject:
		return s.coerceObject(d, object, at)
	}
	return nil, fmt.Errorf("%s: no value of type `%s`", at, d.Name)
}

func (s *Schema) coerceObject(d *ast.Definition, object map[string]any, at string) (map[string]any, error) {
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if d.Fields.ForName(name) == nil {
			return nil, fmt.Errorf("%s: type `%s` has no field `%s`", at, d.Name, name)
		}
	}
	out := make(map[string]any, len(object))
	for _, f := range d.Fields {
		v, ok := object[f.Name]
		if !ok && f.DefaultValue != nil {
			v, ok = literal(f.DefaultValue, nil)
		}
		if !ok && !f.Type.NonNull {
			continue
		}
		var err error
		if out[f.Name], err = s.coerce(f.Type, v, at+"."+f.Name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// arguments is CoerceArgumentValues of §6.4.1.
func (o *Operation) arguments(f *ast.Field) (map[string]any, *Error) {
	out := make(map[string]any)
	for _, d := range f.Definition.Arguments {
		var v any
		ok := false
		if a := f.Arguments.ForName(d.Name); a != nil {
			v, ok = literal(a.Value, o.variables)
		}
		if !ok && d.DefaultValue != nil {
			v, ok = literal(d.DefaultValue, nil)
		}
		if !ok && !d.Type.NonNull {
			continue
		}
		v, err := o.schema.coerce(d.Type, v, d.Name)
		if err != nil {
			return nil, errorf(Execution, f.Position, "Argument `%s` is invalid: %v", d.Name, err)
		}
		out[d.Name] = v
	}
	return out, nil
}
