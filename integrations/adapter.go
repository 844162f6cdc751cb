package integrations

import (
	"fmt"
	"strings"

	"github.com/ledgerline/ledgerline/adapters/vendors"
)

// CheckAdapter says why a name is not that of an adapter, or nil. The error does not
// repeat the name, which may be anything.
func CheckAdapter(name string) error {
	if _, ok := vendors.Lookup(name); !ok {
		return fmt.Errorf("adapterName: want one of %s", strings.Join(vendors.Names(), ", "))
	}
	return nil
}

// VendorTitle is what people call the vendor of an adapter, or the adapter's name if
// there is no such vendor.
func VendorTitle(adapter string) string {
	if v, ok := vendors.Lookup(adapter); ok {
		return v.Title
	}
	return adapter
}
