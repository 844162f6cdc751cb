package xledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
)

var _ adapters.Exporter = Adapter{}

// texts are the dimension fields that take a text; the others are objects with
// a code.
var texts = map[string]bool{"invoiceNumber": true, "paymentReference": true}

// code is how Xledger names most things.
type code struct {
	Code string `json:"code"`
}

// ExportBody implements [adapters.Exporter] with addGLImportItems: all entries
// in one mutation, which Xledger takes as a whole or not at all. Lines of one
// voucher share a trRegNumber, amounts are strings, and extIdentifier is the
// key by which an entry is found again (docs/vendors.md#sources). clientId is an entry's
// position, counted from 1, by which the answer names it. Nothing of the node
// takes a currency: amounts are in that of the entity.
func (Adapter) ExportBody(_ adapters.Form, entries []adapters.Entry) ([]byte, error) {
	if err := Vendor.Export.Check(entries); err != nil {
		return nil, err
	}
	type input struct {
		ClientID string         `json:"clientId"`
		Node     map[string]any `json:"node"`
	}
	known := Vendor.Export.Dimensions
	numbers := make(map[string]int)
	inputs := make([]input, len(entries))
	var faults []error
	for i, e := range entries {
		if numbers[e.Voucher] == 0 {
			numbers[e.Voucher] = len(numbers) + 1
		}
		node := map[string]any{
			"extIdentifier": e.Key, "trRegNumber": strconv.Itoa(numbers[e.Voucher]), "postedDate": e.Date.Format(time.DateOnly),
			"amount": e.Amount, "account": code{e.Account},
		}
		if e.Text != "" {
			node["text"] = e.Text
		}
		for field, value := range e.Dimensions {
			switch {
			case !slices.Contains(known, field):
				faults = append(faults, fmt.Errorf("entries[%d].dimensions: Xledger's import has no field %q; it has %s", i, field, strings.Join(known, ", ")))
			case value == "":
			case texts[field]:
				node[field] = value
			default:
				node[field] = code{value}
			}
		}
		inputs[i] = input{strconv.Itoa(i + 1), node}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	body, err := request("mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){edges{clientId node{dbId}}}}", map[string]any{"in": inputs})
	if err != nil {
		return nil, err
	}
	return body, adapters.CheckSize(len(body))
}

// References implements [adapters.Exporter] with the dbId of each import item.
func (Adapter) References(entries []adapters.Entry, answer adapters.Response) map[string]string {
	out := make(map[string]string, len(entries))
	var a struct {
		Data struct {
			AddGLImportItems struct {
				Edges []struct {
					ClientID scalar `json:"clientId"`
					Node     struct {
						DBID scalar `json:"dbId"`
					} `json:"node"`
				} `json:"edges"`
			} `json:"addGLImportItems"`
		} `json:"data"`
	}
	if json.Unmarshal(answer.Body, &a) != nil {
		return out
	}
	for _, e := range a.Data.AddGLImportItems.Edges {
		if n, err := strconv.Atoi(string(e.ClientID)); err == nil && n >= 1 && n <= len(entries) && e.Node.DBID != "" {
			out[entries[n-1].Key] = string(e.Node.DBID)
		}
	}
	return out
}

// request is the body of a GraphQL request.
func request(document string, variables map[string]any) ([]byte, error) {
	vars, err := json.Marshal(variables)
	if err != nil {
		return nil, err
	}
	return json.Marshal(query{Query: document, Variables: vars})
}
