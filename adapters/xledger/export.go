package xledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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

// ExportBody implements [adapters.Exporter] with addGLImportItems: all entries
// in one mutation, which Xledger takes as a whole or not at all. Lines of one
// voucher share a trRegNumber, and extIdentifier is the key by which an entry is
// found again (docs/vendors.md#xledger-api). clientId is an entry's position, counted
// from 1, by which the answer names it. Nothing of the node takes a currency:
// amounts are in that of the entity.
func (Adapter) ExportBody(form adapters.Form, entries []adapters.Entry) ([]byte, error) {
	if err := Vendor.Export.Check(entries); err != nil {
		return nil, err
	}
	w := writer{how: hows(form)}
	numbers := make(map[string]int)
	inputs := make([]object, len(entries))
	for i, e := range entries {
		if numbers[e.Voucher] == 0 {
			numbers[e.Voucher] = len(numbers) + 1
		}
		w.entry = i
		node := object{
			w.field("extIdentifier", e.Key), w.field("trRegNumber", strconv.Itoa(numbers[e.Voucher])),
			w.field("postedDate", e.Date.Format(time.DateOnly)), w.field("amount", e.Amount), w.coded("account", e.Account),
		}
		if e.Text != "" {
			node = append(node, w.field("text", e.Text))
		}
		for _, name := range slices.Sorted(maps.Keys(e.Dimensions)) {
			switch value := e.Dimensions[name]; {
			case !slices.Contains(Vendor.Export.Dimensions, name):
				w.errorf("dimensions", fmt.Sprintf("Xledger's import has no field %q; it has %s", name, strings.Join(Vendor.Export.Dimensions, ", ")))
			case value == "":
			case texts[name]:
				node = append(node, w.field(name, value))
			default:
				node = append(node, w.coded(name, value))
			}
		}
		inputs[i] = object{w.field("clientId", strconv.Itoa(i+1)), {"node", node}}
	}
	if len(w.errs) > 0 {
		return nil, errors.Join(w.errs...)
	}
	var b strings.Builder
	b.WriteString("mutation{addGLImportItems(inputs:")
	literal(&b, inputs)
	b.WriteString("){edges{clientId node{dbId}}}}")
	body, err := request(b.String())
	if err != nil {
		return nil, err
	}
	return body, adapters.CheckSize(len(body))
}

// writer writes the fields of entries as the vendor takes them.
type writer struct {
	how   map[string]string
	entry int
	errs  []error
}

func (w *writer) errorf(of, message string) {
	w.errs = append(w.errs, fmt.Errorf("entries[%d].%s: %s", w.entry, of, message))
}

// field writes a value by the name of its field.
func (w *writer) field(name, value string) field { return field{name, w.value(name, value)} }

// coded writes an object that names something by its code.
func (w *writer) coded(name, value string) field {
	return field{name, object{{"code", w.value(name+".code", value)}}}
}

func (w *writer) value(of, value string) any {
	v, ok := written(w.how[of], value)
	if !ok {
		w.errorf(of, "is not a number, and Xledger takes nothing else there")
	}
	return v
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

// request is the body of a GraphQL request without variables. It keeps <, > and &
// as they are: six bytes for one would count towards the size of a request.
func request(document string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(query{Query: document}); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
