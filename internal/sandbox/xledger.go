package sandbox

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"regexp"
	"strings"
)

// glItem is a stored general ledger import item.
type glItem struct{ extIdentifier, trRegNumber, amount string }

type gqlRequest struct {
	Query     string
	Variables map[string]json.RawMessage
}

var firstField = regexp.MustCompile(`(?s)\{\s*(?:[A-Za-z_]\w*\s*:\s*)?([A-Za-z_]\w*)`)

// fieldOf returns the first field of a GraphQL request's selection set. The
// sandbox reads no more of the grammar than that.
func fieldOf(body []byte) string {
	var q gqlRequest
	if json.Unmarshal(body, &q) != nil {
		return ""
	}
	if m := firstField.FindStringSubmatch(q.Query); m != nil {
		return m[1]
	}
	return ""
}

// gqlError answers with an error inside HTTP 200, as Xledger does: the code, if
// there is one, stands beside the message.
func (c *call) gqlError(code, format string, args ...any) {
	e := map[string]any{"message": fmt.Sprintf(format, args...)}
	if code != "" {
		e["code"] = code
	}
	c.json(http.StatusOK, map[string]any{"errors": []any{e}})
}

// xledger serves the GraphQL API (vendors.md A).
func (s *Sandbox) xledger(c *call) {
	token, ok := strings.CutPrefix(c.Header.Get("Authorization"), "token ")
	switch {
	case !ok:
		c.entry.Credential = "bad"
		c.gqlError("", `Bad format for API Token. Expected header: "Authorization: token <your-token>"`)
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
		c.json(http.StatusOK, map[string]any{"data": map[string]any{"glImportItemErrors": page(nil)}})
	default:
		c.json(http.StatusOK, map[string]any{"errors": []any{map[string]any{
			"message":    fmt.Sprintf("Cannot query field `%s` on type `Query`", field),
			"extensions": map[string]string{"code": "ARGUMENTS_OF_CORRECT_TYPE"},
		}}})
	}
}

type glInput struct {
	ClientID string `json:"clientId"`
	Node     struct {
		ExtIdentifier string                `json:"extIdentifier"`
		TrRegNumber   json.RawMessage       `json:"trRegNumber"`
		Amount        json.RawMessage       `json:"amount"`
		Account       struct{ Code string } `json:"account"`
	} `json:"node"`
}

// addGLImportItems stores all items or none. An extIdentifier that is there
// already is stored again: the vendor documents no check.
func (s *Sandbox) addGLImportItems(c *call, q gqlRequest) {
	var inputs []glInput
	for _, raw := range q.Variables {
		_ = json.Unmarshal(raw, &inputs)
	}
	if len(inputs) == 0 || len(inputs) > 500 {
		c.gqlError("", "inputs: between 1 and 500 nodes expected, got %d", len(inputs))
		return
	}
	sums := make(map[string]*big.Rat)
	for i, in := range inputs {
		amount, ok := new(big.Rat).SetString(unquoted(in.Node.Amount))
		if !ok || len(in.Node.Amount) == 0 || in.Node.Amount[0] != '"' {
			c.json(http.StatusOK, map[string]any{"errors": []any{map[string]any{
				"message": fmt.Sprintf("inputs[%d].node.amount: invalid value", i), "extensions": map[string]string{"code": "INVALID_VALUE"},
			}}})
			return
		}
		if code := in.Node.Account.Code; code == "" || strings.HasPrefix(code, "X") {
			c.gqlError("", "account.code: No value matching owner 42365431, code '%s'.", code)
			return
		}
		voucher := unquoted(in.Node.TrRegNumber)
		if sums[voucher] == nil {
			sums[voucher] = new(big.Rat)
		}
		sums[voucher].Add(sums[voucher], amount)
	}
	for voucher, sum := range sums {
		if sum.Sign() != 0 {
			c.gqlError("", "Voucher %s does not balance: difference %s", voucher, sum.FloatString(2))
			return
		}
	}
	var edges []any
	for _, in := range inputs {
		s.items = append(s.items, glItem{in.Node.ExtIdentifier, unquoted(in.Node.TrRegNumber), unquoted(in.Node.Amount)})
		id := len(s.items)
		s.itemsBy[in.Node.ExtIdentifier] = append(s.itemsBy[in.Node.ExtIdentifier], id-1)
		c.effect("gl_import_item", in.Node.ExtIdentifier)
		edges = append(edges, map[string]any{"clientId": in.ClientID, "node": map[string]string{"dbId": fmt.Sprint(id)}})
	}
	c.json(http.StatusOK, map[string]any{"data": map[string]any{"addGLImportItems": map[string]any{"edges": edges}}})
}

// glImportItems finds items by any string list among the variables, which it
// takes for extIdentifiers; without one it returns the first items.
func (s *Sandbox) glImportItems(c *call, q gqlRequest) {
	var ids []string
	for _, raw := range q.Variables {
		var some []string
		if json.Unmarshal(raw, &some) == nil {
			ids = append(ids, some...)
		}
	}
	var found []int
	for _, id := range ids {
		found = append(found, s.itemsBy[id]...)
	}
	if ids == nil {
		for i := range min(len(s.items), 1000) {
			found = append(found, i)
		}
	}
	var edges []any
	for _, i := range found {
		it := s.items[i]
		edges = append(edges, map[string]any{"cursor": fmt.Sprint(i + 1), "node": map[string]string{
			"dbId": fmt.Sprint(i + 1), "extIdentifier": it.extIdentifier, "trRegNumber": it.trRegNumber, "amount": it.amount,
		}})
	}
	c.json(http.StatusOK, map[string]any{"data": map[string]any{"glImportItems": page(edges)}})
}

// Forget removes an item, as somebody at the vendor could.
func (s *Sandbox) Forget(extIdentifier string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.itemsBy, extIdentifier)
}

func page(edges []any) map[string]any {
	if edges == nil {
		edges = []any{}
	}
	return map[string]any{"edges": edges, "pageInfo": map[string]bool{"hasNextPage": false}}
}

// unquoted returns a JSON string's text, or a number as written.
func unquoted(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}
