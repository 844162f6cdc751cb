package xledger

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
)

var _ adapters.Exporter = Adapter{}

// Limits implements [adapters.Exporter]. A mutation is stored as a whole or not
// at all.
func (Adapter) Limits() adapters.Limits {
	return adapters.Limits{Entries: MaxNodes, Default: MaxNodes, Atomic: true, Faults: true}
}

// References implements [adapters.Exporter].
func (Adapter) References([]adapters.Entry, adapters.Response) map[string]string { return nil }

// ExportBody implements [adapters.Exporter] with addGLImportItems: all entries
// in one mutation, which Xledger takes as a whole or not at all. Lines of one
// voucher share a trRegNumber, amounts are strings, and extIdentifier is the
// key by which a lost answer is looked up (vendors.md A).
func (Adapter) ExportBody(_ map[string]string, entries []adapters.Entry) ([]byte, error) {
	if len(entries) > MaxNodes {
		return nil, fmt.Errorf("%d entries; Xledger takes at most %d in one mutation", len(entries), MaxNodes)
	}
	type account struct {
		Code string `json:"code"`
	}
	type node struct {
		ExtIdentifier string  `json:"extIdentifier"`
		TrRegNumber   string  `json:"trRegNumber"`
		PostedDate    string  `json:"postedDate"`
		Amount        string  `json:"amount"`
		Text          string  `json:"text,omitempty"`
		Account       account `json:"account"`
	}
	type input struct {
		ClientID string `json:"clientId"`
		Node     node   `json:"node"`
	}
	numbers := make(map[string]int)
	inputs := make([]input, len(entries))
	for i, e := range entries {
		if numbers[e.Voucher] == 0 {
			numbers[e.Voucher] = len(numbers) + 1
		}
		inputs[i] = input{fmt.Sprint(i + 1), node{
			e.Key, fmt.Sprint(numbers[e.Voucher]), e.Date.Format(time.DateOnly), e.Amount, e.Text, account{e.Account},
		}}
	}
	vars, err := json.Marshal(map[string]any{"in": inputs})
	if err != nil {
		return nil, err
	}
	return json.Marshal(query{
		Query:     "mutation($in:[AddGLImportItemInput!]!){addGLImportItems(inputs:$in){edges{clientId node{dbId}}}}",
		Variables: vars,
	})
}
