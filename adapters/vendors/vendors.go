// Package vendors lists the vendors. A vendor is one folder beside this one, with
// an [adapters.Vendor] that describes it, and one line here. What an integration
// file may hold, what programs know of a vendor, and what the tests hold each
// vendor to follow from this list.
package vendors

import (
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/businesscentral"
	"github.com/ledgerline/ledgerline/adapters/dataverse"
	"github.com/ledgerline/ledgerline/adapters/entra"
	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/classify"
)

// New returns every adapter, in the order in which people are shown them. They
// share one cache of tokens.
func New() []adapters.Adapter {
	tokens := entra.NewTokens()
	return []adapters.Adapter{xledger.Adapter{}, dataverse.New(tokens), businesscentral.New(tokens)}
}

// All are the vendors, in the same order.
var All = func() (all []adapters.Vendor) {
	for _, a := range New() {
		all = append(all, a.Vendor())
	}
	return all
}()

// Names are the adapters that an integration can name.
func Names() (names []string) {
	for _, v := range All {
		names = append(names, v.Name)
	}
	return names
}

// Tables are the code tables by name: each vendor's own, that of the token
// endpoint, and that of a vendor which no adapter calls yet.
func Tables() map[string]classify.Table {
	tables := make(map[string]classify.Table)
	for _, t := range []classify.Table{entra.Codes, dataverse.FinanceOperations} {
		tables[t.Name] = t
	}
	for _, v := range All {
		tables[v.Name] = v.Codes
	}
	return tables
}

// Lookup finds a vendor by its name.
func Lookup(name string) (adapters.Vendor, bool) {
	for _, v := range All {
		if v.Name == name {
			return v, true
		}
	}
	return adapters.Vendor{}, false
}
