// Package graphql answers GraphQL requests by the specification of October
// 2021, for the vendors of package sandbox that speak it.
//
// A request is prepared first: parsed, validated, its operation chosen, its
// variables coerced. What fails there is a request error: nothing is executed,
// and the answer has no data. A prepared operation is executed field by field.
// What fails there is a field error: the field is null, the others are not, and
// the answer has data and errors (§7.1).
//
// The parser and the validator are gqlparser's. Execution and introspection are
// here: values are plain Go values, and nothing runs in parallel.
package graphql

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// Scalar reports whether a value is one of a scalar type. The value is a string,
// a [json.Number], a bool, a list or a map, as JSON or a literal gave it.
type Scalar func(value any) bool

// Schema is what a server can be asked.
type Schema struct {
	schema  *ast.Schema
	scalars map[string]Scalar
	rules   *rules.Rules // those of the specification
	values  *rules.Rules // that literals are values of their scalars: gqlparser knows its own only
}

// New returns the schema of a document in the schema definition language.
// scalars has each scalar that the document defines. Without introspection
// __schema and __type are no fields. It panics on a document that is wrong.
func New(document string, scalars map[string]Scalar, introspection bool) *Schema {
	s := &Schema{schema: gqlparser.MustLoadSchema(&ast.Source{Name: "schema", Input: document}), scalars: builtIn()}
	delete(s.schema.Directives, "defer") // of no specification yet
	for name, is := range scalars {
		s.scalars[name] = is
	}
	for name, t := range s.schema.Types {
		if t.Kind == ast.Scalar && s.scalars[name] == nil {
			panic("graphql: nothing is known of scalar " + name)
		}
	}
	if !introspection {
		var fields ast.FieldList
		for _, f := range s.schema.Query.Fields {
			if !strings.HasPrefix(f.Name, "__") {
				fields = append(fields, f)
			}
		}
		s.schema.Query.Fields = fields
	}
	s.rules = rules.NewDefaultRules()
	s.rules.RemoveRule(rules.FieldsOnCorrectTypeRule.Name)
	s.rules.AddRule(rules.FieldsOnCorrectTypeRuleWithoutSuggestions.Name, rules.FieldsOnCorrectTypeRuleWithoutSuggestions.RuleFunc)
	s.values = rules.NewRules(core.Rule{Name: "ScalarValues", RuleFunc: s.scalarValues})
	return s
}

// scalarValues is the part of §5.6.1, values of correct type, that is about the
// values of scalars.
func (s *Schema) scalarValues(observers *core.Events, add core.AddErrFunc) {
	observers.OnValue(func(_ *core.Walker, v *ast.Value) {
		if v.Definition == nil || v.ExpectedType == nil || v.ExpectedType.Elem != nil || v.Kind == ast.Variable || v.Kind == ast.NullValue {
			return
		}
		if is := s.scalars[v.Definition.Name]; is == nil {
			return
		} else if plain, _ := literal(v, nil); !is(plain) {
			add(core.Message(`Expected value of type "%s", found %s.`, v.ExpectedType.String(), v.String()), core.At(v.Position))
		}
	})
}

// Stage is where a request failed.
type Stage string

// The stages, in order.
const (
	Syntax     Stage = "syntax"
	Validation Stage = "validation"
	Choice     Stage = "choice"    // of the operation
	Variables  Stage = "variables" // that they are of their types
	Execution  Stage = "execution"
)

// Location is a place in a document, counted from 1.
type Location struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// Error is an entry of an answer's errors (§7.1.2).
type Error struct {
	Message    string         `json:"message"`
	Locations  []Location     `json:"locations,omitempty"`
	Path       []any          `json:"path,omitempty"`
	Extensions map[string]any `json:"extensions,omitempty"`
	Stage      Stage          `json:"-"`
}

func errorf(stage Stage, at *ast.Position, format string, args ...any) *Error {
	e := &Error{Stage: stage, Message: fmt.Sprintf(format, args...)}
	if at != nil {
		e.Locations = []Location{{at.Line, at.Column}}
	}
	return e
}

// ofList translates gqlparser's errors.
func ofList(stage Stage, list gqlerror.List) (all []*Error) {
	for _, one := range list {
		e := &Error{Stage: stage, Message: one.Message}
		for _, l := range one.Locations {
			e.Locations = append(e.Locations, Location{l.Line, l.Column})
		}
		all = append(all, e)
	}
	return all
}

// Request is what a GraphQL-over-HTTP request asks.
type Request struct {
	Query         string
	OperationName string
	Variables     map[string]any
}

// Parse reads the body of a request. An error says that it is none: no JSON, or
// a parameter that is missing or has another type (GraphQL over HTTP, "Request
// Parameters"; null counts as missing).
func Parse(body []byte) (Request, error) {
	var r struct {
		Query         *string
		OperationName string
		Variables     map[string]any
		Extensions    map[string]any
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&r); err != nil {
		return Request{}, err
	}
	switch _, err := d.Token(); {
	case !errors.Is(err, io.EOF):
		return Request{}, errors.New("something follows the JSON object")
	case r.Query == nil:
		return Request{}, errors.New("query is missing")
	}
	return Request{*r.Query, r.OperationName, r.Variables}, nil
}

// Operation is a request that was prepared. It is not changed by its execution
// and can be executed more than once.
type Operation struct {
	Errors []*Error // why it is not executed; none if it is

	schema     *Schema
	document   *ast.QueryDocument
	definition *ast.OperationDefinition // nil if there is none, or no saying which
	variables  map[string]any           // as sent, until they are coerced
}

// Prepare parses and validates a request, chooses its operation and coerces its
// variables.
func (s *Schema) Prepare(r Request) *Operation {
	o := &Operation{schema: s, variables: r.Variables}
	document, err := parser.ParseQuery(&ast.Source{Input: r.Query})
	if err != nil {
		var e *gqlerror.Error
		if !errors.As(err, &e) {
			e = gqlerror.Wrap(err)
		}
		o.Errors = ofList(Syntax, gqlerror.List{e})
		return o
	}
	o.document = document
	choice := o.choose(r.OperationName)
	list := validator.ValidateWithRules(s.schema, document, s.rules)
	if len(list) == 0 {
		list = validator.ValidateWithRules(s.schema, document, s.values)
	}
	switch {
	case len(list) > 0:
		o.Errors = ofList(Validation, list)
	case choice != nil:
		o.Errors = []*Error{choice}
	default:
		o.Errors = o.coerceVariables()
	}
	return o
}

// choose is GetOperation of §6.1.
func (o *Operation) choose(name string) *Error {
	all := o.document.Operations
	switch {
	case name != "":
		if o.definition = all.ForName(name); o.definition == nil {
			return errorf(Choice, nil, "There is no operation named `%s`", name)
		}
	case len(all) == 0:
		return errorf(Choice, nil, "The document has no operation")
	case len(all) > 1:
		return errorf(Choice, nil, "The document has %d operations; operationName must say which", len(all))
	default:
		o.definition = all[0]
	}
	return nil
}

// Mutates is true if the operation asks for a change.
func (o *Operation) Mutates() bool {
	return o.definition != nil && o.definition.Operation == ast.Mutation
}

// Field is a root field.
type Field struct {
	Key, Name string         // Key is the alias, or the name
	Arguments map[string]any // by name
}

// Fields returns the root fields, in order, with the arguments as they were
// sent. It does what it can with an operation that is not valid.
func (o *Operation) Fields() (fields []Field) {
	if o.definition == nil {
		return nil
	}
	for _, g := range o.collect(o.root(), o.definition.SelectionSet) {
		f := Field{Key: g.key, Name: g.fields[0].Name, Arguments: make(map[string]any)}
		for _, a := range g.fields[0].Arguments {
			if v, ok := literal(a.Value, o.variables); ok {
				f.Arguments[a.Name] = v
			}
		}
		fields = append(fields, f)
	}
	return fields
}

// root is the type of the root fields; nil if the schema has none.
func (o *Operation) root() *ast.Definition {
	switch o.definition.Operation {
	case ast.Query:
		return o.schema.schema.Query
	case ast.Mutation:
		return o.schema.schema.Mutation
	}
	return o.schema.schema.Subscription
}
