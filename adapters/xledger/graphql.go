package xledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/scanner"

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
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return q, fmt.Errorf(`body: %w; want {"query": "…", "variables": {…}}`, err)
	}
	if _, err := d.Token(); err != io.EOF { // More would pass over a } or ]
		return q, errors.New("body: something follows the JSON object")
	}
	if strings.TrimSpace(q.Query) == "" {
		return q, errors.New(`body: "query" is empty; want a GraphQL document`)
	}
	return q, nil
}

// shape is what the guard needs to know of a GraphQL document.
type shape struct {
	mutation bool     // any operation in it changes something
	fields   []string // names of the top-level fields, aliases resolved
}

// inspect scans a GraphQL document for its operations and their top-level
// fields. It does not validate: the vendor does. Whatever it cannot read
// counts as a mutation, the careful side; so does a block string, whose quotes can
// hide what follows.
func inspect(document string) shape {
	if strings.Contains(document, `"""`) {
		return shape{mutation: true}
	}
	var s scanner.Scanner
	s.Init(strings.NewReader(comments(document)))
	s.Mode = scanner.ScanIdents | scanner.ScanStrings | scanner.ScanInts | scanner.ScanFloats
	s.Error = func(*scanner.Scanner, string) {}

	var out shape
	braces, parens := 0, 0
	kind, last := "", ""
	for tok := s.Scan(); tok != scanner.EOF; tok = s.Scan() {
		text := s.TokenText()
		switch {
		case tok == '(':
			parens++
		case tok == ')':
			parens--
		case parens > 0: // arguments and variable definitions
		case tok == '{':
			if braces == 0 && kind == "" {
				kind = "query"
			}
			braces++
		case tok == '}':
			braces--
			if braces == 0 {
				kind = ""
			}
		case braces == 0 && tok == scanner.Ident && kind == "":
			kind = text
			out.mutation = out.mutation || text != "query" && text != "fragment"
		case braces == 1 && tok == ':' && len(out.fields) > 0 && kind != "fragment":
			out.fields = out.fields[:len(out.fields)-1] // what stood before was an alias
		case braces == 1 && tok == scanner.Ident && kind != "fragment" && last != "@":
			out.fields = append(out.fields, text)
		}
		last = text
	}
	out.mutation = out.mutation || braces != 0 || parens != 0 || len(out.fields) == 0
	return out
}

// comments removes GraphQL comments, which begin with # outside a string.
func comments(document string) string {
	var b strings.Builder
	inString := false
	for i := 0; i < len(document); i++ {
		c := document[i]
		switch {
		case inString && c == '\\' && i+1 < len(document):
			b.WriteByte(c)
			i++
			c = document[i]
		case c == '"':
			inString = !inString
		case c == '#' && !inString:
			for i < len(document) && document[i] != '\n' && document[i] != '\r' { // either ends a line (GraphQL, October 2021, §2.1.2)
				i++
			}
			c = '\n'
		}
		b.WriteByte(c)
	}
	return b.String()
}

// identifiers returns the extIdentifier of each node that the variables of an
// addGLImportItems mutation hold, with its amount. ok is false unless every node has one and no
// two are the same: without that, a look-up could not tell what is missing.
func identifiers(variables json.RawMessage) (ids []adapters.Sought, ok bool) {
	var vars map[string]json.RawMessage
	if json.Unmarshal(variables, &vars) != nil || len(vars) != 1 {
		return nil, false
	}
	seen := make(map[string]bool)
	for _, raw := range vars {
		var inputs []struct {
			Node struct {
				ExtIdentifier string          `json:"extIdentifier"`
				Amount        json.RawMessage `json:"amount"`
			} `json:"node"`
		}
		if json.Unmarshal(raw, &inputs) != nil {
			return nil, false
		}
		for _, in := range inputs {
			id := in.Node.ExtIdentifier
			if strings.TrimSpace(id) != id || id == "" || seen[id] { // blanks around it may not be kept
				return nil, false
			}
			seen[id] = true
			ids = append(ids, adapters.Sought{Key: id, Amount: strings.Trim(string(in.Node.Amount), `"`)})
		}
	}
	return ids, len(ids) > 0
}
