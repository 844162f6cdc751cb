package graphql

import (
	"maps"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// later is a value that is made when it is asked for: types name each other.
func later(make func() any) func(map[string]any) any {
	return func(map[string]any) any { return make() }
}

// introspect returns the value of __schema (§4.2).
func (s *Schema) introspect() map[string]any {
	root := func(d *ast.Definition) any {
		return later(func() any {
			if d == nil {
				return nil
			}
			return s.describe(d)
		})
	}
	return map[string]any{
		"description": text(s.schema.Description),
		"types": later(func() any {
			return list(slices.Sorted(maps.Keys(s.schema.Types)), func(name string) any { return s.typeNamed(name) })
		}),
		"queryType":        root(s.schema.Query),
		"mutationType":     root(s.schema.Mutation),
		"subscriptionType": root(s.schema.Subscription),
		"directives": later(func() any {
			return list(slices.Sorted(maps.Keys(s.schema.Directives)), func(name string) any {
				d := s.schema.Directives[name]
				return map[string]any{
					"name": d.Name, "description": text(d.Description), "isRepeatable": d.IsRepeatable,
					"locations": list(d.Locations, func(l ast.DirectiveLocation) any { return string(l) }),
					"args":      s.arguments(d.Arguments),
				}
			})
		}),
	}
}

// typeNamed returns the value of __type, nil if there is no such type.
func (s *Schema) typeNamed(name string) any {
	if d := s.schema.Types[name]; d != nil {
		return s.describe(d)
	}
	return nil
}

// describe returns a named type.
func (s *Schema) describe(d *ast.Definition) map[string]any {
	t := map[string]any{"kind": string(d.Kind), "name": d.Name, "description": text(d.Description)}
	possible := later(func() any {
		return list(s.schema.GetPossibleTypes(d), func(d *ast.Definition) any { return s.describe(d) })
	})
	switch d.Kind {
	case ast.Object, ast.Interface:
		t["fields"] = func(arguments map[string]any) any {
			var public ast.FieldList
			for _, f := range d.Fields {
				if !strings.HasPrefix(f.Name, "__") {
					public = append(public, f)
				}
			}
			return shown(arguments, list(public, s.field))
		}
		t["interfaces"] = later(func() any { return list(d.Interfaces, s.typeNamed) })
		if d.Kind == ast.Interface {
			t["possibleTypes"] = possible
		}
	case ast.Union:
		t["possibleTypes"] = possible
	case ast.Enum:
		t["enumValues"] = func(arguments map[string]any) any {
			return shown(arguments, list(d.EnumValues, func(v *ast.EnumValueDefinition) any {
				return deprecable(map[string]any{"name": v.Name, "description": text(v.Description)}, v.Directives)
			}))
		}
	case ast.InputObject:
		t["isOneOf"] = d.Directives.ForName("oneOf") != nil
		t["inputFields"] = func(arguments map[string]any) any {
			return shown(arguments, list(d.Fields, func(f *ast.FieldDefinition) any {
				return s.input(f.Name, f.Description, f.Type, f.DefaultValue, f.Directives)
			}))
		}
	case ast.Scalar:
		if by := d.Directives.ForName("specifiedBy"); by != nil {
			t["specifiedByURL"] = by.Arguments.ForName("url").Value.Raw
		}
	}
	return t
}

// reference returns the type of a field or an argument.
func (s *Schema) reference(t *ast.Type) any {
	wrap := func(kind string, of ast.Type) any {
		return map[string]any{"kind": kind, "ofType": later(func() any { return s.reference(&of) })}
	}
	switch {
	case t.NonNull:
		return wrap("NON_NULL", ast.Type{NamedType: t.NamedType, Elem: t.Elem})
	case t.Elem != nil:
		return wrap("LIST", *t.Elem)
	}
	return s.typeNamed(t.NamedType)
}

func (s *Schema) field(f *ast.FieldDefinition) any {
	return deprecable(map[string]any{
		"name": f.Name, "description": text(f.Description), "args": s.arguments(f.Arguments), "type": s.reference(f.Type),
	}, f.Directives)
}

func (s *Schema) arguments(all ast.ArgumentDefinitionList) any {
	return func(arguments map[string]any) any {
		return shown(arguments, list(all, func(a *ast.ArgumentDefinition) any {
			return s.input(a.Name, a.Description, a.Type, a.DefaultValue, a.Directives)
		}))
	}
}

// shown leaves out what is deprecated, unless it is asked for.
func shown(arguments map[string]any, all []any) []any {
	return slices.DeleteFunc(all, func(v any) bool {
		return v.(map[string]any)["isDeprecated"] == true && arguments["includeDeprecated"] != true
	})
}

func (s *Schema) input(name, description string, t *ast.Type, value *ast.Value, directives ast.DirectiveList) any {
	v := map[string]any{"name": name, "description": text(description), "type": s.reference(t)}
	if value != nil {
		v["defaultValue"] = value.String()
	}
	return deprecable(v, directives)
}

// deprecable notes what @deprecated says.
func deprecable(v map[string]any, directives ast.DirectiveList) map[string]any {
	d := directives.ForName("deprecated")
	if v["isDeprecated"] = d != nil; d == nil {
		return v
	}
	v["deprecationReason"] = "No longer supported"
	if a := d.Arguments.ForName("reason"); a != nil {
		v["deprecationReason"] = a.Value.Raw
	}
	return v
}

// list is a list of what is made of each of some things.
func list[T any](all []T, each func(T) any) []any {
	out := make([]any, len(all))
	for i, one := range all {
		out[i] = each(one)
	}
	return out
}

// text is a text, or null without one.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}
