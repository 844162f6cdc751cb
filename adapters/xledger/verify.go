package xledger

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/limits"
)

var _ adapters.Verifier = Adapter{}

// How a value is written.
const (
	asText    = "text"
	asNumber  = "number"
	asInteger = "integer" // of 32 bits: GraphQL's Int
)

// numbered are the fields that are written as numbers unless the vendor's schema
// says otherwise: as its public clients write them (docs/vendors.md#sources).
var numbered = []string{"trRegNumber"}

// hows says of each field how it is written, "" for text: as the schema says, else
// as the setting says, else as public clients do.
func hows(f adapters.Form) map[string]string {
	how := make(map[string]string)
	for _, name := range numbered {
		how[name] = asNumber
	}
	if set := f.Settings["amounts"]; set != "" {
		how["amount"] = set
	}
	for name, as := range f.Learnt {
		if name != "amount" || f.Settings["amounts"] == "" { // a person has the last word
			how[name] = as
		}
	}
	return how
}

// Verify implements [adapters.Verifier]. The schema is read through introspection
// (GraphQL, October 2021, §4), and both look-ups are made, for something that is not
// there. A server without introspection answers these at least, and what the
// mutation needs is assumed.
func (Adapter) Verify(ctx context.Context, c *adapters.Conn, w adapters.Wanted) (adapters.Contract, classify.Verdict) {
	defer c.For(limits.Lookup)()
	var contract adapters.Contract
	body, err := request("query{__typename}")
	if err != nil {
		return contract, adapters.Fault(classify.Internal, "verify:request", err.Error())
	}
	_, v := post(ctx, c, classify.Read, body)
	switch {
	case v.Class == classify.Success:
		contract.Add("token", adapters.Checked, "", "")
	case refused(v):
		contract.Add("token", adapters.Differs, v.Message, "make a new API token in Xledger and put it where the integration's credentials.token points")
		return contract, success("verify:token")
	case v.Class == classify.Permanent && !v.Kind.Passes():
		contract.Add("token or address", adapters.Differs, v.Message,
			"make a new API token in Xledger, or correct baseURL: it is to be the address of Xledger's GraphQL, which answers query{__typename}")
		return contract, success("verify:address")
	default:
		return contract, v
	}
	s := schema{ctx: ctx, conn: c, types: make(map[string]*typeInfo)}
	if v := s.load(wanted(w.Dimensions)); v != nil {
		return contract, *v
	}
	if s.hidden != "" {
		contract.Add("schema", adapters.Assumed, s.hidden, "nothing, if the first export arrives; if it is refused for its amounts, set settings.amounts to "+other(c.Settings["amounts"]))
	} else {
		s.judge(&contract, w.Dimensions, c.Settings["amounts"])
	}
	for _, look := range []struct {
		what   string
		q      connection
		no     adapters.CheckState // if the vendor refuses it
		remedy string
	}{
		{"look-up of import items by extIdentifier", items([]string{notThere(c)}), adapters.Differs,
			"Ledgerline finds what it has sent by this look-up, and cannot export without it: give the token's user the right to read general ledger import items"},
		{"look-up of import errors", errorsSince(time.Now()), adapters.Assumed, withoutErrors},
	} {
		n := 0
		_, v := pages(ctx, c, look.q, func(json.RawMessage) error { n++; return nil })
		switch {
		case v.Class == classify.Success && n > 0 && look.q.field == "glImportItems":
			contract.Add(look.what, adapters.Differs, fmt.Sprintf("an identifier that nobody has used finds %d items: the filter is passed over", n), look.remedy)
		case v.Class == classify.Success:
			contract.Add(look.what, adapters.Checked, "", "")
		case v.Class == classify.Permanent && !v.Kind.Passes(), look.no == adapters.Assumed && onlyThis(v):
			contract.Add(look.what, look.no, v.Message, look.remedy)
		default:
			return contract, v
		}
	}
	return contract, success("verify:asked")
}

// onlyThis reports whether a verdict is trouble with one request, of a vendor that has
// just answered another: what exports can do without is not waited for.
func onlyThis(v classify.Verdict) bool {
	switch v.Kind {
	case classify.ServerError, classify.BadGateway, classify.GatewayTimeout, classify.IncompleteResponse, classify.InvalidResponse, classify.Untrusted:
		return true
	}
	return false
}

// refused reports whether a verdict is a no to the token.
func refused(v classify.Verdict) bool {
	return v.Kind == classify.Unauthorized || v.Kind == classify.Forbidden || v.Kind == classify.Credentials
}

func success(rule string) classify.Verdict {
	return classify.Verdict{Class: classify.Success, Kind: classify.OK, Rule: rule}
}

func other(amounts string) string {
	if amounts == asNumber {
		return asText
	}
	return asNumber
}

// notThere is an identifier that nothing at the vendor has.
func notThere(c *adapters.Conn) string { return "ledgerline-verify-" + cmp.Or(c.CorrelationID, "0") }

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
		v := adapters.Fault(classify.Internal, "verify:request", err.Error())
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

// scalars are words in the names of scalars of a vendor's own, and how a value of
// one is written. They are looked for where numbers are due, and nowhere else: an
// AccountNumber is no number.
var scalars = []struct {
	how   string
	words []string
}{
	{asText, []string{"string", "text"}},
	{asNumber, []string{"decimal", "money", "amount", "float", "double", "number", "numeric", "int", "long", "short", "byte"}},
}

// writtenAs says how a value of a type is written. sure is false if the type is one
// of the vendor's own, and its name does not say.
func writtenAs(of string, t typeRef) (how string, sure bool) {
	switch t.Name {
	case "Int":
		return asInteger, true
	case "Float":
		return asNumber, true
	case "String", "ID":
		return asText, true
	}
	if of != "amount" && of != "trRegNumber" {
		return asText, true
	}
	name := strings.ToLower(t.Name)
	for _, s := range scalars {
		if slices.ContainsFunc(s.words, func(w string) bool { return strings.Contains(name, w) }) {
			return s.how, true
		}
	}
	return asText, false
}

// judge compares the schema with what exports need of it.
func (s *schema) judge(contract *adapters.Contract, dimensions []string, amounts string) {
	contract.Learnt = make(map[string]string)
	add := s.input(contract, dimensions, amounts)
	if add != nil {
		s.output(contract, "answer of addGLImportItems", add, map[string][]string{"edges": {"clientId", "node"}, "edges node": {"dbId"}})
	}
	query := s.types[s.query]
	if f := s.connection(contract, query, "glImportItems", "extIdentifier_in", true); f != nil {
		s.output(contract, "answer of glImportItems", f, map[string][]string{
			"edges": {"cursor", "node"}, "edges node": {"dbId", "extIdentifier", "amount"}, "pageInfo": {"hasNextPage"}})
	}
	var late adapters.Contract // what exports work without
	if f := s.connection(&late, query, "glImportItemErrors", "createdAt_gte", false); f != nil {
		s.output(&late, "answer of glImportItemErrors", f, map[string][]string{
			"edges": {"cursor", "node"}, "edges node": {"dbId", "createdAt", "message", "errorLevel", "transactionDbId"},
			"edges node errorLevel": {"code", "name"}, "pageInfo": {"hasNextPage"}})
	}
	for _, c := range late.Checks {
		if c.State == adapters.Differs {
			c.State, c.Remedy = adapters.Assumed, withoutErrors
		}
		contract.Checks = append(contract.Checks, c)
	}
}

const withoutErrors = "without it errors that the import finds later are not seen: give the token's user the right to read the import's errors"

const askXledger = "this version of Ledgerline cannot export to this Xledger; its makers need this line"

// input checks the mutation and what is sent with it, and learns how values are
// written. It returns the mutation; nil if there is none.
func (s *schema) input(contract *adapters.Contract, dimensions []string, amounts string) *member {
	const mutation = "mutation addGLImportItems"
	add := s.types[s.mutation].member("addGLImportItems")
	if add == nil {
		contract.Add(mutation, adapters.Differs, "there is none", "give the token's user the right to import general ledger items, or correct baseURL")
		return nil
	}
	contract.Add(mutation, adapters.Checked, "", "")
	inputs := named(add.Args, "inputs")
	if inputs == nil || !inputs.Type.list() {
		contract.Add(mutation+", inputs", adapters.Differs, "it does not take a list of inputs", askXledger)
		return add
	}
	input := s.types[inputs.Type.named().Name]
	s.others(contract, mutation, "inputs", add.Args)
	s.leaf(contract, input, "input", "clientId", "clientId", "")
	nodeOf := input.member("node")
	if nodeOf == nil {
		contract.Add("input node", adapters.Differs, "there is none", askXledger)
		return add
	}
	if input != nil {
		s.others(contract, "input", "clientId node", input.InputFields)
	}
	node := s.types[nodeOf.Type.named().Name]
	sent := slices.Concat([]string{"extIdentifier", "trRegNumber", "postedDate", "amount", "account", "text"}, dimensions)
	for _, name := range sent {
		if name != "account" && (!slices.Contains(dimensions, name) || texts[name]) {
			s.leaf(contract, node, "field", name, name, amounts)
			continue
		}
		m := node.member(name)
		if m == nil {
			contract.Add("field "+name, adapters.Differs, "there is none", remedyFor(name, dimensions))
			continue
		}
		s.leaf(contract, s.types[m.Type.named().Name], "field "+name, "code", name+".code", "")
	}
	if node != nil {
		s.others(contract, "field", strings.Join(sent, " "), node.InputFields)
	}
	return add
}

func remedyFor(name string, dimensions []string) string {
	if slices.Contains(dimensions, name) {
		return "map the dimension to another field in export.dimensions, or leave it out"
	}
	return askXledger
}

// leaf checks a value that is sent and learns how it is written.
func (s *schema) leaf(contract *adapters.Contract, in *typeInfo, what, name, of, set string) {
	what += " " + name
	m := in.member(name)
	if m == nil {
		contract.Add(what, adapters.Differs, "there is none", askXledger)
		return
	}
	t := m.Type.named()
	if m.Type.list() || t.Kind != "SCALAR" {
		contract.Add(what, adapters.Differs, "its type is "+t.Name+", which is not a single value", askXledger)
		return
	}
	how, sure := writtenAs(of, t)
	contract.Learnt[of] = how
	found := "type " + t.Name + ", written as a " + how
	switch {
	case of == "amount" && set != "":
		contract.Add(what, adapters.Checked, "type "+t.Name+", written as a "+set+" by settings.amounts", "")
	case of == "amount" && t.Name == "Int":
		contract.Add(what, adapters.Differs, "type Int, which has no decimals", askXledger)
	case how != asText && (of == "extIdentifier" || of == "postedDate" || of == "text" || texts[of]):
		contract.Add(what, adapters.Differs, "type "+t.Name+", which does not take a text", askXledger)
	case !sure && of == "amount":
		contract.Add(what, adapters.Assumed, found, "nothing, if the first export arrives; if it is refused for its amounts, set settings.amounts to number")
	case !sure:
		contract.Add(what, adapters.Assumed, found, "nothing, if the first export arrives")
	default:
		contract.Add(what, adapters.Checked, found, "")
	}
}

// others finds members that the vendor requires and that are not sent.
func (s *schema) others(contract *adapters.Contract, what, sent string, list []member) {
	for _, m := range list {
		if m.Type.required() && m.DefaultValue == nil && !slices.Contains(strings.Fields(sent), m.Name) {
			remedy := askXledger
			if slices.Contains(Vendor.Export.Dimensions, m.Name) {
				remedy = "map one of your dimensions to it in export.dimensions"
			}
			contract.Add(what+" "+m.Name, adapters.Differs, "it is required, and Ledgerline does not send it", remedy)
		}
	}
}

// connection checks a connection's arguments; it returns nil if there is none.
func (s *schema) connection(contract *adapters.Contract, query *typeInfo, name, filter string, list bool) *member {
	what := "query " + name
	f := query.member(name)
	if f == nil {
		contract.Add(what, adapters.Differs, "there is none", "give the token's user the right to read it, or correct baseURL")
		return nil
	}
	for _, arg := range []string{"first", "after", "filter"} {
		if named(f.Args, arg) == nil {
			contract.Add(what+", "+arg, adapters.Differs, "it does not take it", askXledger)
		}
	}
	s.others(contract, what, "first after filter", f.Args)
	if arg := named(f.Args, "filter"); arg != nil {
		switch m := s.types[arg.Type.named().Name].member(filter); {
		case m == nil:
			contract.Add(what+", filter "+filter, adapters.Differs, "there is none", askXledger)
		case list && !m.Type.list():
			contract.Add(what+", filter "+filter, adapters.Differs, "it does not take a list", askXledger)
		default:
			contract.Add(what+", filter "+filter, adapters.Checked, "type "+m.Type.named().Name, "")
		}
	}
	return f
}

// output checks that a field's answer has what is read of it.
func (s *schema) output(contract *adapters.Contract, what string, of *member, want map[string][]string) {
	var missing []string
	for at, names := range want {
		t := s.types[of.Type.named().Name]
		for _, step := range strings.Fields(at) {
			m := t.member(step)
			if m == nil {
				t = nil
				break
			}
			t = s.types[m.Type.named().Name]
		}
		for _, name := range names {
			if t.member(name) == nil {
				missing = append(missing, strings.ReplaceAll(strings.TrimSpace(at+" "+name), " ", "."))
			}
		}
	}
	if slices.Sort(missing); len(missing) > 0 {
		contract.Add(what, adapters.Differs, "it has no "+strings.Join(missing, ", "), askXledger)
		return
	}
	contract.Add(what, adapters.Checked, "", "")
}
