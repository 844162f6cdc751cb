package xledger

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

// typeRef is a type as a field or an argument names it.
type typeRef struct {
	Kind   string   `json:"kind"`
	Name   string   `json:"name"`
	OfType *typeRef `json:"ofType"`
}

// named is the type without what wraps it.
func (t typeRef) named() typeRef {
	for t.OfType != nil {
		t = *t.OfType
	}
	return t
}

func (t typeRef) required() bool { return t.Kind == "NON_NULL" }

func (t typeRef) list() bool {
	return t.Kind == "LIST" || t.Kind == "NON_NULL" && t.OfType != nil && t.OfType.Kind == "LIST"
}

// member is a field, an input field or an argument.
type member struct {
	Name         string   `json:"name"`
	Type         typeRef  `json:"type"`
	Args         []member `json:"args"`
	DefaultValue *string  `json:"defaultValue"`
}

// typeInfo is a type.
type typeInfo struct {
	Kind        string   `json:"kind"`
	Name        string   `json:"name"`
	Fields      []member `json:"fields"`
	InputFields []member `json:"inputFields"`
}

// member returns a member of a type by its name.
func (t *typeInfo) member(name string) *member {
	if t == nil {
		return nil
	}
	return named(slices.Concat(t.Fields, t.InputFields), name)
}

func named(list []member, name string) *member {
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}

// schema is what has been read of the vendor's types.
type schema struct {
	ctx             context.Context
	conn            *adapters.Conn
	query, mutation string // names of the root types
	types           map[string]*typeInfo
	hidden          string // why it cannot be read; "" if it can
}

// path leads from a root type to one whose fields are needed.
type path struct {
	root  string // query or mutation
	field string
	args  bool // into the field's arguments, not into what it answers
	steps []string
}

// wanted are the paths whose types have to be read.
func wanted(dimensions []string) []path {
	list := []path{
		{"mutation", "addGLImportItems", true, []string{"inputs", "node", "account"}},
		{"mutation", "addGLImportItems", false, []string{"edges", "node"}},
		{"query", "glImportItems", true, []string{"filter"}},
		{"query", "glImportItems", false, []string{"edges", "node"}},
		{"query", "glImportItems", false, []string{"pageInfo"}},
		{"query", "glImportItemErrors", true, []string{"filter"}},
		{"query", "glImportItemErrors", false, []string{"edges", "node", "errorLevel"}},
		{"query", "glImportItemErrors", false, []string{"pageInfo"}},
	}
	for _, d := range dimensions {
		if !texts[d] {
			list = append(list, path{"mutation", "addGLImportItems", true, []string{"inputs", "node", d}})
		}
	}
	return list
}

// follow walks a path as far as types are known. missing is the name of the type
// that has to be read next; "" if the path ends or cannot be followed.
func (s *schema) follow(p path) (missing string) {
	root := map[string]string{"query": s.query, "mutation": s.mutation}[p.root]
	if root == "" {
		return ""
	}
	at, ok := s.types[root]
	if !ok {
		return root
	}
	field := at.member(p.field)
	if field == nil {
		return ""
	}
	next, rest := field, p.steps
	if p.args {
		next, rest = named(field.Args, rest[0]), rest[1:]
	}
	for next != nil {
		name := next.Type.named().Name
		at, ok := s.types[name]
		if !ok {
			return name
		}
		if len(rest) == 0 {
			break
		}
		next, rest = at.member(rest[0]), rest[1:]
	}
	return ""
}

// ref is how a type is asked for: three wrappers are as many as a list of
// non-null elements that is itself non-null has.
const ref = "{kind name ofType{kind name ofType{kind name ofType{kind name}}}}"

const typeFields = "{kind name fields(includeDeprecated:true){name args{name defaultValue type" + ref + "} type" + ref + "} inputFields{name defaultValue type" + ref + "}}"

// rounds bounds how often types are asked for: the longest path has six.
const rounds = 10

// load reads the types on some paths, all those that are missing with each request.
func (s *schema) load(paths []path) *classify.Verdict {
	var roots struct {
		Schema *struct {
			QueryType, MutationType *struct{ Name string }
		} `json:"__schema"`
	}
	if v := s.ask("query{__schema{queryType{name} mutationType{name}}}", &roots); v != nil || s.hidden != "" {
		return v
	}
	if roots.Schema == nil || roots.Schema.QueryType == nil {
		s.hidden = "the vendor does not say what its schema is"
		return nil
	}
	s.query = roots.Schema.QueryType.Name
	if roots.Schema.MutationType != nil {
		s.mutation = roots.Schema.MutationType.Name
	}
	for range rounds {
		var missing []string
		for _, p := range paths {
			if name := s.follow(p); name != "" && !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
		if len(missing) == 0 {
			return nil
		}
		var b strings.Builder
		b.WriteString("query{")
		for i, name := range missing {
			fmt.Fprintf(&b, "t%d:__type(name:", i)
			literal(&b, name)
			b.WriteString(")" + typeFields + " ")
		}
		b.WriteString("}")
		var types map[string]*typeInfo
		if v := s.ask(b.String(), &types); v != nil || s.hidden != "" {
			return v
		}
		for i, name := range missing {
			s.types[name] = types[fmt.Sprintf("t%d", i)] // nil if there is none
		}
	}
	return nil
}

// ask makes an introspection query. A vendor that refuses it hides its schema,
// which is no error.
func (s *schema) ask(document string, into any) *classify.Verdict {
	body, err := request(document)
	if err != nil {
		v := classify.NewVerdict(classify.Internal, "verify:request", err.Error())
		return &v
	}
	a, v := post(s.ctx, s.conn, classify.Read, body)
	switch {
	case v.Class == classify.Permanent && !v.Kind.Passes(), onlyThis(v):
		s.hidden = "the vendor does not show its schema: " + v.Message
		return nil
	case v.Class != classify.Success:
		return &v
	}
	var answer struct{ Data json.RawMessage }
	if json.Unmarshal(adapters.JSON(a.Body), &answer) != nil || json.Unmarshal(answer.Data, into) != nil {
		s.hidden = "the vendor's answer about its schema cannot be read"
	}
	return nil
}
