package xledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/ledgerline/ledgerline/adapters"
)

// query is the body of a GraphQL request.
type query struct {
	Query         string          `json:"query"`
	Variables     json.RawMessage `json:"variables,omitempty"`
	OperationName string          `json:"operationName,omitempty"`
}

func parse(body []byte) (query, error) {
	var q query
	if err := adapters.Strict(body, &q, "query", "variables", "operationName"); err != nil {
		return q, fmt.Errorf(`body: %w; want {"query": "…", "variables": {…}}`, err)
	}
	if strings.TrimSpace(q.Query) == "" {
		return q, errors.New(`body: "query" is empty; want a GraphQL document`)
	}
	return q, nil
}

// shape is what the guard needs to know of a GraphQL document.
type shape struct {
	mutation bool     // it may change something
	fields   []string // names of the root fields, aliases resolved
	only     *ast.Field
	declared ast.VariableDefinitionList // of the operation of only
}

// maxTokens bounds what is parsed. An import of [MaxNodes] nodes with all their
// fields has about 60,000.
const maxTokens = 200_000

// inspect reads a document's operations and their root fields. It does not
// validate: the vendor does. The parser decides what the document is, and only
// where no other reader can see another one: whatever the parser refuses counts as
// a mutation, and so does a document with several operations, of which a member of
// the request picks one, with a block string, whose quotes can hide what follows,
// or with a disputed character. only is the root field of a document that has one
// operation, a mutation, with that field alone, and nothing that could leave it out.
func inspect(document string) shape {
	careful := shape{mutation: true}
	if strings.Contains(document, `"""`) || strings.ContainsFunc(document, func(r rune) bool { return disputed(r) && !strings.ContainsRune("\t\n\r", r) }) {
		return careful
	}
	parsed, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: document}, maxTokens)
	if err != nil || len(parsed.Operations) == 0 {
		return careful
	}
	s := shape{mutation: len(parsed.Operations) != 1}
	plain := len(parsed.Operations) == 1 && len(parsed.Fragments) == 0 && parsed.Operations[0].Operation == ast.Mutation
	for _, o := range parsed.Operations {
		s.mutation = s.mutation || o.Operation != ast.Query
		plain = plain && len(o.Directives) == 0 && len(o.SelectionSet) == 1
		for _, selection := range o.SelectionSet {
			f, ok := selection.(*ast.Field)
			if !ok {
				s.fields, plain = append(s.fields, "fragment"), false
				continue
			}
			s.fields = append(s.fields, f.Name)
			if plain = plain && len(f.Directives) == 0; plain {
				s.only, s.declared = f, o.VariableDefinitions
			}
		}
	}
	if !plain {
		s.only = nil
	}
	return s
}

// disputed is true of a character that some readers take for the end of a line, or
// for nothing, and others do not (GraphQL of July 2015, §2.1.3, against October 2021,
// §2.1), and of U+FFFD, which stands for bytes that are no UTF-8.
func disputed(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == utf8.RuneError
}

// identifiers returns the extIdentifier of each node that an addGLImportItems
// sends, with its amount. They come as literals or as its one variable. ok is
// false unless every node has one and no two are the same: without that, a look-up
// could not tell what is missing.
func identifiers(s shape, variables json.RawMessage) (ids []adapters.LookupKey, ok bool) {
	f := s.only
	if f == nil || len(f.Arguments) != 1 || f.Arguments[0].Name != "inputs" {
		return nil, false
	}
	inputs := f.Arguments[0].Value
	switch inputs.Kind {
	case ast.Variable:
		if len(s.declared) != 1 || s.declared[0].Variable != inputs.Raw || s.declared[0].DefaultValue != nil {
			return nil, false
		}
		ids, ok = identifiersOf(variables, inputs.Raw)
	case ast.ListValue:
		ids, ok = identifiersIn(inputs)
	}
	seen := make(map[string]bool, len(ids))
	for _, one := range ids {
		// Blanks around it may not be kept, and half a surrogate pair is read in more than one way.
		if strings.TrimSpace(one.Key) != one.Key || one.Key == "" || seen[one.Key] || strings.ContainsRune(one.Key, utf8.RuneError) {
			return nil, false
		}
		seen[one.Key] = true
	}
	return ids, ok && len(ids) > 0
}

// identifiersOf reads the inputs of a variable, which is the only one. Maps know the
// case of their keys, as a vendor does and structs do not.
func identifiersOf(variables json.RawMessage, name string) (ids []adapters.LookupKey, ok bool) {
	var all map[string][]map[string]json.RawMessage
	if json.Unmarshal(variables, &all) != nil || len(all) != 1 {
		return nil, false
	}
	for _, in := range all[name] {
		var node map[string]json.RawMessage
		var id string
		if json.Unmarshal(in["node"], &node) != nil || json.Unmarshal(node["extIdentifier"], &id) != nil {
			return nil, false
		}
		ids = append(ids, adapters.LookupKey{Key: id, Amount: strings.Trim(string(node["amount"]), `"`)})
	}
	return ids, true
}

// identifiersIn reads a list of literals.
func identifiersIn(inputs *ast.Value) (ids []adapters.LookupKey, ok bool) {
	for _, in := range inputs.Children {
		node, one := child(in.Value, "node")
		id, two := child(node, "extIdentifier")
		if !one || !two || id.Kind != ast.StringValue {
			return nil, false
		}
		sought := adapters.LookupKey{Key: id.Raw}
		if amount, ok := child(node, "amount"); ok && amount.Kind != ast.Variable {
			sought.Amount = amount.Raw
		}
		ids = append(ids, sought)
	}
	return ids, true
}

// child returns a field of an input object. ok is false unless it has exactly one
// of that name.
func child(v *ast.Value, name string) (value *ast.Value, ok bool) {
	if v == nil || v.Kind != ast.ObjectValue {
		return nil, false
	}
	for _, c := range v.Children {
		if c.Name == name {
			if value != nil {
				return nil, false
			}
			value = c.Value
		}
	}
	return value, value != nil
}

// selects reports whether a field's selection asks for another one under its own
// name.
func selects(f *ast.Field, name string) bool {
	for _, selection := range f.SelectionSet {
		if s, ok := selection.(*ast.Field); ok && s.Name == name && s.Alias == name {
			return true
		}
	}
	return false
}
