package integrations

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// EntryColumns are our names of the columns of a file of entries; see package entryfile,
// which reads them and needs them in this order.
var EntryColumns = []string{"entry_id", "voucher_id", "entry_date", "account", "amount", "currency", "text", "dimensions", "debit", "credit"}

// DimensionColumn is before the name of a dimension that has a column of its own.
const DimensionColumn = "dimensions."

// IsEntryColumn reports whether a name is ours: one of [EntryColumns], or that of a dimension.
func IsEntryColumn(name string) bool {
	dimension, is := strings.CutPrefix(name, DimensionColumn)
	return slices.Contains(EntryColumns, name) || is && dimension != ""
}

// columns reads how the columns of a file of entries are named.
func (p *parser) columns(n *yaml.Node, at string) map[string]string {
	columns := p.names(n, at, "columns, ours to the heading in the file of entries", nil)
	names := make(map[string]string) // by heading
	for i := 0; columns != nil && i+1 < len(n.Content); i += 2 {
		name, heading := n.Content[i].Value, n.Content[i+1].Value
		if _, ok := columns[name]; !ok {
			continue // an error already
		}
		if !IsEntryColumn(name) {
			p.errorf(n.Content[i], at+"."+clip(name), "not a column of ours%s; want one of %s, dimensions.NAME", didYouMean(name, EntryColumns), strings.Join(EntryColumns, ", "))
		} else if first, twice := names[heading]; twice && first != name {
			p.errorf(n.Content[i+1], at+"."+clip(name), "column %q is %s already; want another heading", clip(heading), first)
		}
		names[heading] = name
	}
	return columns
}
