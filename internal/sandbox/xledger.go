package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// glItem is a stored general ledger import item: its node as it was sent, nil
// if it is not stored. Its dbId is its place in the list, counted from 1.
type glItem struct {
	life
	extIdentifier string
	node          json.RawMessage
}

// itemFault is what the import found later.
type itemFault struct {
	life
	at      time.Time
	item    int // its dbId
	level   string
	message string
}

// vendorClock is Xledger's: times have no zone and are in CET (docs/vendors.md#sources).
var vendorClock = time.FixedZone("CET", 60*60)

const vendorTime = "2006-01-02T15:04:05"

// gqlFault is an error as Xledger gives it inside HTTP 200: the code, if there is
// one, stands beside the message, that of a validation in the extensions.
type gqlFault struct{ message, code, validation string }

func (f gqlFault) json() map[string]any {
	e := map[string]any{"message": f.message}
	if f.code != "" {
		e["code"] = f.code
	}
	if f.validation != "" {
		e["extensions"] = map[string]string{"code": f.validation}
	}
	return e
}

func fault(format string, args ...any) *gqlFault {
	return &gqlFault{message: fmt.Sprintf(format, args...)}
}

func invalid(code, format string, args ...any) *gqlFault {
	return &gqlFault{message: fmt.Sprintf(format, args...), validation: code}
}

// refuse answers with an error of the whole request, which has no data.
func (c *call) refuse(f *gqlFault) {
	c.json(http.StatusOK, map[string]any{"errors": []any{f.json()}})
}

// xledger serves the GraphQL API (docs/vendors.md#sources).
func (s *Sandbox) xledger(c *call) {
	token, ok := strings.CutPrefix(c.Header.Get("Authorization"), "token ")
	switch {
	case !ok:
		c.entry.Credential = "bad"
		c.refuse(fault(`Bad format for API Token. Expected header: "Authorization: token <your-token>"`))
		return
	case token != s.options.XledgerToken:
		c.entry.Credential = "bad"
		c.json(http.StatusUnauthorized, map[string]any{"errors": []any{map[string]string{"message": "Unauthorized"}}})
		return
	}
	c.entry.Credential = "ok"
	var q gqlRequest
	if err := json.Unmarshal(c.body, &q); err != nil {
		c.json(http.StatusBadRequest, map[string]any{"errors": []any{map[string]string{"message": "Invalid JSON"}}})
		return
	}
	switch field := c.entry.Operation; field {
	case "__typename":
		c.json(http.StatusOK, map[string]any{"data": map[string]string{"__typename": "Query"}})
	case "addGLImportItems":
		s.addGLImportItems(c, q)
	case "glImportItems":
		s.glImportItems(c, q)
	case "glImportItemErrors":
		s.glImportItemErrors(c, q)
	default:
		c.refuse(noField(field))
	}
}

type codeInput struct{ Code string }

// glNode is what an import item can hold (docs/vendors.md#sources).
type glNode struct {
	ExtIdentifier string          `json:"extIdentifier"`
	TrRegNumber   json.RawMessage `json:"trRegNumber"`
	Amount        json.RawMessage `json:"amount"`
	InvoiceAmount json.RawMessage `json:"invoiceAmount"`
	Account       codeInput       `json:"account"`

	PostedDate, InvoiceDate, DueDate, Text, InvoiceNumber, PaymentReference string

	TransactionSource, GLObject1, GLObject2, GLObject3, GLObject4, GLObject5, Project, TaxRule, Company *codeInput

	JobLevel *struct {
		DBSubID json.RawMessage `json:"dbSubId"`
	}
}

// glInput is what one node of a mutation gives.
type glInput struct {
	ClientID string          `json:"clientId"`
	Node     json.RawMessage `json:"node"`

	node   glNode
	amount *big.Rat
}

func noField(name string) *gqlFault {
	return invalid("ARGUMENTS_OF_CORRECT_TYPE", "Cannot query field `%s` on type `Query`", name)
}

// addGLImportItems carries out a mutation. One of several root fields carries
// them out one after the other: what one has stored stays, whatever becomes of
// the next, and the answer has data and errors. What cannot be read of any of
// them refuses the whole.
func (s *Sandbox) addGLImportItems(c *call, q gqlRequest) {
	fields := q.fields()
	data, inputs := make(map[string]any), make([][]glInput, len(fields))
	for i, f := range fields {
		if f.name != "addGLImportItems" {
			c.refuse(noField(f.name))
			return
		}
		if _, twice := data[f.key]; twice {
			c.refuse(invalid("ARGUMENTS_OF_CORRECT_TYPE", "Fields `%s` conflict; give them aliases", f.key))
			return
		}
		data[f.key] = nil
		var wrong *gqlFault
		if inputs[i], wrong = glInputs(q, f); wrong != nil {
			c.refuse(wrong)
			return
		}
	}
	var errors []any
	for i, f := range fields {
		edges, wrong := []any(nil), fault("Internal error")
		if !c.cut(i) {
			edges, wrong = s.storeItems(c, inputs[i])
		}
		switch {
		case wrong == nil:
			data[f.key] = map[string]any{"edges": edges}
		case len(fields) == 1:
			c.refuse(wrong)
			return
		default:
			e := wrong.json()
			e["path"] = []string{f.key}
			errors = append(errors, e)
		}
	}
	out := map[string]any{"data": data}
	if errors != nil {
		out["errors"] = errors
	}
	c.json(http.StatusOK, out)
}

// glInputs reads the inputs of a root field: its variable, or whichever is of
// that shape.
func glInputs(q gqlRequest, f gqlField) (inputs []glInput, wrong *gqlFault) {
	if raw, ok := q.Variables[f.inputs]; ok {
		_ = json.Unmarshal(raw, &inputs)
	} else {
		for _, raw := range q.Variables {
			_ = json.Unmarshal(raw, &inputs)
		}
	}
	for i := range inputs {
		in := &inputs[i]
		d := json.NewDecoder(bytes.NewReader(in.Node))
		d.DisallowUnknownFields()
		if err := d.Decode(&in.node); err != nil {
			return nil, invalid("ARGUMENTS_OF_CORRECT_TYPE", "Argument `inputs` got invalid value in inputs[%d].node: %v", i, err)
		}
		amount, ok := new(big.Rat).SetString(unquoted(in.node.Amount))
		if !ok || len(in.node.Amount) == 0 || in.node.Amount[0] != '"' {
			return nil, invalid("INVALID_VALUE", "inputs[%d].node.amount: invalid value", i)
		}
		in.amount = amount
	}
	return inputs, nil
}

// storeItems stores all items or none. An extIdentifier that is there already
// is stored again: the vendor documents no check.
func (s *Sandbox) storeItems(c *call, inputs []glInput) (edges []any, wrong *gqlFault) {
	if len(inputs) == 0 || len(inputs) > 500 {
		return nil, fault("inputs: between 1 and 500 nodes expected, got %d", len(inputs))
	}
	sums := make(map[string]*big.Rat)
	for _, in := range inputs {
		if code := in.node.Account.Code; code == "" || strings.HasPrefix(code, "X") {
			return nil, fault("account.code: No value matching owner 42365431, code '%s'.", code)
		}
		voucher := unquoted(in.node.TrRegNumber)
		if sums[voucher] == nil {
			sums[voucher] = new(big.Rat)
		}
		sums[voucher].Add(sums[voucher], in.amount)
	}
	for voucher, sum := range sums {
		if sum.Sign() != 0 {
			return nil, fault("Voucher %s does not balance: difference %s", voucher, sum.FloatString(2))
		}
	}
	faults := len(s.faults)
	c.undo(func() { s.faults = s.faults[:faults] })
	for _, in := range inputs {
		n := in.node
		id := c.numbers.next(func() int {
			s.items = append(s.items, glItem{})
			return len(s.items)
		})
		before := s.itemsBy[n.ExtIdentifier]
		s.items[id-1] = glItem{life{born: s.change()}, n.ExtIdentifier, in.Node}
		s.itemsBy[n.ExtIdentifier] = append(before, id)
		c.undo(func() { s.items[id-1], s.itemsBy[n.ExtIdentifier] = glItem{}, before })
		s.importFaults(id, n)
		c.effect("gl_import_item", n.ExtIdentifier)
		edges = append(edges, map[string]any{"clientId": in.ClientID, "node": map[string]string{"dbId": strconv.Itoa(id)}})
	}
	return edges, nil
}

// importFaults notes what the import will say of an item, by its account.
func (s *Sandbox) importFaults(id int, n glNode) {
	switch {
	case strings.HasPrefix(n.Account.Code, "L"):
		s.faults = append(s.faults, itemFault{life{born: s.change()}, s.now(), id, "ERROR", "Account " + n.Account.Code + " is locked for the period"})
	case strings.HasPrefix(n.Account.Code, "W"):
		s.faults = append(s.faults, itemFault{life{born: s.change()}, s.now(), id, "WARNING", "Account " + n.Account.Code + " is about to be closed"})
	}
}

// glImportItems finds items by any string list among the variables, which it
// takes for extIdentifiers; without one it goes through all of them.
func (s *Sandbox) glImportItems(c *call, q gqlRequest) {
	args := q.arguments()
	ids, filtered := q.identifiers()
	after, _ := strconv.Atoi(args["after"])
	var found []int
	seen := func(id int) bool { return s.items[id-1].node != nil && s.items[id-1].seen(c.view) }
	if filtered && c.lookUp != FilterIgnored {
		for _, id := range ids {
			for _, i := range s.itemsBy[id] {
				if seen(i) {
					found = append(found, i)
				}
			}
		}
		slices.Sort(found)
		found = slices.Compact(found)
	} else { // a page, and one more
		for id := after + 1; id <= len(s.items) && (len(found) <= s.options.PageSize || c.lookUp != ""); id++ {
			if seen(id) {
				found = append(found, id)
			}
		}
	}
	s.connection(c, "glImportItems", args, found, func(id int) any {
		node := map[string]json.RawMessage{}
		_ = json.Unmarshal(s.items[id-1].node, &node)
		node["dbId"], _ = json.Marshal(strconv.Itoa(id))
		return node
	})
}

// glImportItemErrors is what the import found, in the order of time.
func (s *Sandbox) glImportItemErrors(c *call, q gqlRequest) {
	args := q.arguments()
	since, err := time.ParseInLocation(vendorTime, args["createdAt_gte"], vendorClock)
	if args["createdAt_gte"] != "" && err != nil {
		c.refuse(invalid("INVALID_VALUE", "createdAt_gte: invalid value"))
		return
	}
	var found []int
	for i, f := range s.faults {
		if f.seen(c.view) && (!f.at.Before(since) || c.lookUp == FilterIgnored) {
			found = append(found, i+1)
		}
	}
	s.connection(c, "glImportItemErrors", args, found, func(id int) any {
		f := s.faults[id-1]
		return map[string]any{
			"dbId": strconv.Itoa(id), "createdAt": f.at.In(vendorClock).Format(vendorTime), "message": f.message,
			"errorLevel": map[string]string{"code": f.level, "name": f.level}, "transactionDbId": strconv.Itoa(f.item),
		}
	})
}

// connection answers with a page of a connection whose cursors are IDs, which
// are sorted: the first ones after a cursor.
func (s *Sandbox) connection(c *call, field string, args map[string]string, ids []int, node func(id int) any) {
	first, err := strconv.Atoi(args["first"])
	if err != nil {
		first = 100
	}
	if first > 10000 {
		c.refuse(invalid("INVALID_VALUE", "first: at most 10000"))
		return
	}
	first = min(first, s.options.PageSize)
	ids = c.falsify(ids)
	if c.lookUp == SecondPageMissing {
		if args["after"] != "" {
			c.json(http.StatusInternalServerError, map[string]any{"errors": []any{map[string]string{"message": "Internal error"}}})
			return
		}
		first = half(first, len(ids))
	}
	after, _ := strconv.Atoi(args["after"])
	from, found := slices.BinarySearch(ids, after)
	if found {
		from++
	}
	ids = ids[from:]
	edges := []any{}
	for _, id := range ids[:min(first, len(ids))] {
		edges = append(edges, map[string]any{"cursor": strconv.Itoa(id), "node": node(id)})
	}
	c.json(http.StatusOK, map[string]any{"data": map[string]any{field: map[string]any{
		"edges": edges, "pageInfo": map[string]bool{"hasNextPage": len(ids) > first},
	}}})
}
