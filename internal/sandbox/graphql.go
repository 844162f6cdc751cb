package sandbox

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/scanner"
)

type gqlRequest struct {
	Query     string
	Variables map[string]json.RawMessage
}

// gqlField is a root field of an operation.
type gqlField struct {
	key    string // its alias, or its name
	name   string
	inputs string // the variable that its argument inputs takes
}

var (
	gqlComment = regexp.MustCompile(`#[^\n]*`)
	argument   = regexp.MustCompile(`\b(first|after|createdAt_gte)\s*:\s*(?:\$(\w+)|(\d+)|"([^"]*)")`)
)

// fields returns the root fields of the first operation. The sandbox reads no
// more of the grammar than that, the variable of inputs, and three arguments.
func (q gqlRequest) fields() (fields []gqlField) {
	var s scanner.Scanner
	s.Init(strings.NewReader(strings.ReplaceAll(gqlComment.ReplaceAllString(q.Query, ""), `"""`, `"`)))
	s.Mode = scanner.ScanIdents | scanner.ScanStrings | scanner.ScanInts | scanner.ScanFloats
	s.Error = func(*scanner.Scanner, string) {}
	braces, parens := 0, 0
	var args []string
	for tok := s.Scan(); tok != scanner.EOF; tok = s.Scan() {
		last := len(fields) - 1
		switch {
		case tok == '(':
			parens++
			args = nil
		case tok == ')':
			if parens--; parens == 0 && braces == 1 && last >= 0 {
				fields[last].inputs = inputsOf(args)
			}
		case parens > 0:
			args = append(args, s.TokenText())
		case tok == '{':
			braces++
		case tok == '}':
			if braces--; braces == 0 {
				return fields
			}
		case braces == 1 && tok == ':' && last >= 0:
			fields[last].name = "" // what stood before was an alias
		case braces == 1 && tok == scanner.Ident && last >= 0 && fields[last].name == "":
			fields[last].name = s.TokenText()
		case braces == 1 && tok == scanner.Ident:
			fields = append(fields, gqlField{key: s.TokenText(), name: s.TokenText()})
		}
	}
	return fields
}

// inputsOf returns the variable in "inputs: $variable".
func inputsOf(args []string) string {
	if i := slices.Index(args, "inputs"); i >= 0 && i+3 < len(args) && args[i+1] == ":" && args[i+2] == "$" {
		return args[i+3]
	}
	return ""
}

// fieldOf returns the first root field of a GraphQL request.
func fieldOf(body []byte) string {
	var q gqlRequest
	if json.Unmarshal(body, &q) != nil {
		return ""
	}
	if fields := q.fields(); len(fields) > 0 {
		return fields[0].name
	}
	return ""
}

// arguments returns the arguments that the sandbox knows, as text.
func (q gqlRequest) arguments() map[string]string {
	out := make(map[string]string)
	for _, m := range argument.FindAllStringSubmatch(q.Query, -1) {
		out[m[1]] = m[3] + m[4]
		if raw := q.Variables[m[2]]; m[2] != "" && string(raw) != "null" {
			out[m[1]] = unquoted(raw)
		}
	}
	return out
}

// identifiers returns the string lists among the variables. ok is false if there
// is none.
func (q gqlRequest) identifiers() (ids []string, ok bool) {
	for _, name := range slices.Sorted(maps.Keys(q.Variables)) {
		var some []string
		if json.Unmarshal(q.Variables[name], &some) == nil && some != nil {
			ids, ok = append(ids, some...), true
		}
	}
	return ids, ok
}

// unquoted returns a JSON string's text, or a number as written.
func unquoted(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}
