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
// says otherwise: as its public clients write them (docs/vendors.md#xledger-api).
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
	for name, as := range f.Learned {
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
func (Adapter) Verify(ctx context.Context, c *adapters.Conn, w adapters.Requirements) (adapters.Contract, classify.Verdict) {
	defer c.For(limits.Lookup)()
	var contract adapters.Contract
	body, err := request("query{__typename}")
	if err != nil {
		return contract, classify.NewVerdict(classify.Internal, "verify:request", err.Error())
	}
	_, v := post(ctx, c, classify.Read, body)
	switch {
	case v.Class == classify.Success:
		contract.Add("token", adapters.Checked, "", "")
	case refused(v):
		contract.Refuse(v, "token", v.Message, "make a new API token in Xledger and put it where the integration's credentials.token points")
		return contract, success("verify:token")
	case v.Class == classify.Permanent && !v.Kind.Passes():
		contract.Refuse(v, "token or address", v.Message,
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
		case look.no == adapters.Assumed && (v.Class == classify.Permanent && !v.Kind.Passes() || onlyThis(v)):
			contract.Add(look.what, look.no, v.Message, look.remedy)
		case v.Class == classify.Permanent && !v.Kind.Passes():
			contract.Refuse(v, look.what, v.Message, look.remedy)
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
	contract.Learned = make(map[string]string)
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
	contract.Learned[of] = how
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
