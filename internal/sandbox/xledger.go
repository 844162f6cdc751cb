package sandbox

import (
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/internal/sandbox/graphql"
)

// glItem is a stored general ledger import item: its node as it was sent, nil
// if it is not stored. Its dbId is its place in the list, counted from 1.
type glItem struct {
	life
	node map[string]any
}

// itemFault is what the import found later.
type itemFault struct {
	life
	at      time.Time
	item    int // its dbId
	level   string
	message string
}

// vendorClock is Xledger's: times have no zone and are in CET (docs/vendors.md#xledger-api).
var vendorClock = time.FixedZone("CET", 60*60)

const vendorTime = "2006-01-02T15:04:05"

// fault is an error of a field. Xledger gives most of them a message only.
func fault(format string, args ...any) *graphql.Error {
	return &graphql.Error{Message: fmt.Sprintf(format, args...)}
}

// invalid is the error of an argument's value, whose code is in the extensions.
func invalid(format string, args ...any) *graphql.Error {
	return &graphql.Error{Message: fmt.Sprintf(format, args...), Extensions: map[string]any{"code": "INVALID_VALUE"}}
}

// xledger serves the GraphQL API (docs/vendors.md#xledger-api).
func (s *Sandbox) xledger(c *call) {
	token, ok := strings.CutPrefix(c.Header.Get("Authorization"), "token ")
	switch {
	case !ok:
		c.entry.Credential = "bad"
		c.json(http.StatusOK, errorBody(`Bad format for API Token. Expected header: "Authorization: token <your-token>"`))
		return
	case token != s.options.XledgerToken:
		c.entry.Credential = "bad"
		c.json(http.StatusUnauthorized, errorBody("Unauthorized"))
		return
	}
	c.entry.Credential = "ok"
	lost := false
	c.graphQL(func(n int, f graphql.Field) (any, *graphql.Error) {
		switch f.Name {
		case "addGLImportItems": // of several, what one has stored stays, whatever becomes of the next
			if c.cut(n) {
				return nil, fault("Internal error")
			}
			return s.storeItems(c, glInputs(f.Arguments))
		case "glImportItems":
			return s.connection(c, f.Arguments, s.glImportItems(c, f.Arguments), s.item, &lost)
		}
		return s.connection(c, f.Arguments, s.glImportItemErrors(c, f.Arguments), s.itemError, &lost)
	})
	if lost {
		c.json(http.StatusInternalServerError, errorBody("Internal error"))
	}
}

// errorBody is an answer that says no more than a message.
func errorBody(message string) any {
	return map[string]any{"errors": []*graphql.Error{{Message: message}}}
}

// glInput is what one node of a mutation gives.
type glInput struct {
	clientID                        any
	extIdentifier, voucher, account string
	amount                          *big.Rat
	node                            map[string]any
}

func glInputs(args map[string]any) []glInput {
	list := args["inputs"].([]any)
	inputs := make([]glInput, len(list))
	for i, v := range list {
		in := v.(map[string]any)
		node := in["node"].(map[string]any)
		amount, _ := new(big.Rat).SetString(textOf(node["amount"]))
		account, _ := node["account"].(map[string]any)
		inputs[i] = glInput{in["clientId"], textOf(node["extIdentifier"]), textOf(node["trRegNumber"]), textOf(account["code"]), amount, node}
	}
	return inputs
}

// storeItems stores all items or none. An extIdentifier that is there already
// is stored again: the vendor documents no check.
func (s *Sandbox) storeItems(c *call, inputs []glInput) (any, *graphql.Error) {
	if len(inputs) == 0 || len(inputs) > 500 {
		return nil, fault("inputs: between 1 and 500 nodes expected, got %d", len(inputs))
	}
	sums := make(map[string]*big.Rat)
	for _, in := range inputs {
		if in.account == "" || strings.HasPrefix(in.account, "X") {
			return nil, fault("account.code: No value matching owner 42365431, code '%s'.", in.account)
		}
		if sums[in.voucher] == nil {
			sums[in.voucher] = new(big.Rat)
		}
		sums[in.voucher].Add(sums[in.voucher], in.amount)
	}
	for _, voucher := range slices.Sorted(maps.Keys(sums)) {
		if sum := sums[voucher]; sum.Sign() != 0 {
			return nil, fault("Voucher %s does not balance: difference %s", voucher, sum.FloatString(2))
		}
	}
	faults := len(s.faults)
	c.undo(func() { s.faults = s.faults[:faults] })
	edges := make([]any, len(inputs))
	for i, in := range inputs {
		id := c.numbers.next(func() int {
			s.items = append(s.items, glItem{})
			return len(s.items)
		})
		before := s.itemsBy[in.extIdentifier]
		s.items[id-1] = glItem{life{born: s.change()}, in.node}
		s.itemsBy[in.extIdentifier] = append(before, id)
		c.undo(func() { s.items[id-1], s.itemsBy[in.extIdentifier] = glItem{}, before })
		s.importFaults(id, in.account)
		c.effect("gl_import_item", in.extIdentifier)
		edges[i] = map[string]any{"clientId": in.clientID, "node": s.item(id)}
	}
	return map[string]any{"edges": edges}, nil
}

// importFaults notes what the import will say of an item, by its account.
func (s *Sandbox) importFaults(id int, account string) {
	switch {
	case strings.HasPrefix(account, "L"):
		s.faults = append(s.faults, itemFault{life{born: s.change()}, s.now(), id, "ERROR", "Account " + account + " is locked for the period"})
	case strings.HasPrefix(account, "W"):
		s.faults = append(s.faults, itemFault{life{born: s.change()}, s.now(), id, "WARNING", "Account " + account + " is about to be closed"})
	}
}

// glImportItems finds items by their extIdentifiers; without such a filter it
// goes through all of them.
func (s *Sandbox) glImportItems(c *call, args map[string]any) (found []int) {
	filter, _ := args["filter"].(map[string]any)
	ids, filtered := filter["extIdentifier_in"].([]any)
	seen := func(id int) bool { return s.items[id-1].node != nil && s.items[id-1].seen(c.view) }
	if filtered && c.lookUp != FilterIgnored {
		for _, id := range ids {
			for _, i := range s.itemsBy[id.(string)] {
				if seen(i) {
					found = append(found, i)
				}
			}
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
	after, _ := strconv.Atoi(textOf(args["after"]))
	for id := max(after, 0) + 1; id <= len(s.items) && (len(found) <= s.options.PageSize || c.lookUp != ""); id++ { // a page, and one more
		if seen(id) {
			found = append(found, id)
		}
	}
	return found
}

// item is an item as it is shown: its node, and its name.
func (s *Sandbox) item(id int) any {
	node := maps.Clone(s.items[id-1].node)
	node["dbId"] = strconv.Itoa(id)
	return node
}

// glImportItemErrors finds what the import found since a time.
func (s *Sandbox) glImportItemErrors(c *call, args map[string]any) (found []int) {
	filter, _ := args["filter"].(map[string]any)
	since, _ := time.ParseInLocation(vendorTime, textOf(filter["createdAt_gte"]), vendorClock)
	for i, f := range s.faults {
		if f.seen(c.view) && (!f.at.Before(since) || c.lookUp == FilterIgnored) {
			found = append(found, i+1)
		}
	}
	return found
}

func (s *Sandbox) itemError(id int) any {
	f := s.faults[id-1]
	return map[string]any{
		"dbId": strconv.Itoa(id), "createdAt": f.at.In(vendorClock).Format(vendorTime), "message": f.message,
		"errorLevel": map[string]any{"code": f.level, "name": f.level}, "transactionDbId": strconv.Itoa(f.item),
	}
}

// connection returns a page of a connection whose cursors are IDs, which are
// sorted: the first ones after a cursor. lost is set if the page does not come.
func (s *Sandbox) connection(c *call, args map[string]any, ids []int, node func(id int) any, lost *bool) (any, *graphql.Error) {
	first, err := strconv.Atoi(textOf(args["first"]))
	if args["first"] == nil {
		first, err = 100, nil
	}
	if err != nil || first < 0 || first > 10000 {
		return nil, invalid("first: between 0 and 10000 expected")
	}
	after := 0
	if args["after"] != nil {
		if after, err = strconv.Atoi(textOf(args["after"])); err != nil {
			return nil, invalid("after: invalid value")
		}
	}
	first = min(first, s.options.PageSize)
	ids = c.falsify(ids)
	if c.lookUp == SecondPageMissing {
		if *lost = *lost || args["after"] != nil; *lost {
			return nil, fault("Internal error")
		}
		first = half(first, len(ids))
	}
	from, found := slices.BinarySearch(ids, after)
	if found {
		from++
	}
	ids = ids[from:]
	edges := []any{}
	for _, id := range ids[:min(first, len(ids))] {
		edges = append(edges, map[string]any{"cursor": strconv.Itoa(id), "node": node(id)})
	}
	return map[string]any{"edges": edges, "pageInfo": map[string]any{"hasNextPage": len(ids) > first}}, nil
}
