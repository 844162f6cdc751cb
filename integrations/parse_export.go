package integrations

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/internal/lazy"
	"github.com/ledgerline/ledgerline/plain"
)

// DefaultSource is where entries come from if an integration names no source.
const DefaultSource = "ledgerline.accounting_entries"

var (
	validSource   = lazy.Regexp(`^[a-z_][a-z0-9_]{0,62}\.[a-z_][a-z0-9_]{0,62}$`)
	validCurrency = lazy.Regexp(`^[A-Z]{3}$`)
)

// export reads which entries an integration exports and how.
func (p *parser) export(n *yaml.Node, at string, v adapters.Vendor) (e ExportSettings) {
	m := p.fields(n, at, "source", "chunkSize", "accounts", "dimensions", "currencies", "isolateRequests", "equalRefusals", "columns")
	if value, node := p.text(n, m, at, "source", false); node != nil {
		if !validSource().MatchString(value) {
			p.errorf(node, at+".source", "%q; want a table or view as schema.name, in lower-case letters, digits and _", clip(value))
		} else if value != DefaultSource {
			e.Source = value
		}
	}
	if value, node := p.text(n, m, at, "chunkSize", false); node != nil {
		most := v.Export.Entries
		size, err := strconv.Atoi(value)
		if err != nil || size < 1 || size > most {
			p.errorf(node, at+".chunkSize", "%q; want 1 to %d, the most entries that adapter %s sends in a request", clip(value), most, v.Name)
		}
		e.ChunkSize = size
	}
	if value, node := p.text(n, m, at, "isolateRequests", false); node != nil {
		most, err := strconv.Atoi(value)
		if err != nil || most < 0 || most > 10000 {
			p.errorf(node, at+".isolateRequests", "%q; want 0 to 10000, the most requests that a run spends on finding refused vouchers", clip(value))
		}
		e.IsolateRequests = &most
	}
	if value, node := p.text(n, m, at, "equalRefusals", false); node != nil {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > 100 {
			p.errorf(node, at+".equalRefusals", "%q; want 1 to 100, the number of vouchers refused for one reason that end a run", clip(value))
		}
		e.EqualRefusals = n
	}
	if node, ok := m["accounts"]; ok {
		e.Accounts = p.names(node, at+".accounts", "accounts, ours to the vendor's", nil)
	}
	if node, ok := m["dimensions"]; ok {
		var check func(string) string
		if fields := v.Export.Dimensions; fields != nil {
			check = func(field string) string {
				if field == "" || slices.Contains(fields, field) {
					return ""
				}
				return fmt.Sprintf("%q%s is not a field of adapter %s; want %s, or \"\" to leave it out",
					clip(field), didYouMean(field, fields), v.Name, strings.Join(fields, ", "))
			}
		} else {
			check = func(string) string { return "" }
		}
		e.Dimensions = p.names(node, at+".dimensions", "dimensions, ours to the vendor's field", check)
	}
	if node, ok := m["currencies"]; ok {
		e.Currencies = p.currencies(node, at+".currencies")
		if len(e.Currencies) > 1 && !v.Export.Currencies {
			p.errorf(node, at+".currencies", "adapter %s takes no currency: amounts are in the company's own; want that one", v.Name)
		}
	}
	if node, ok := m["columns"]; ok {
		e.Columns = p.columns(node, at+".columns")
	}
	return e
}

// names reads a mapping of names to names. A value may be empty only if check
// is given, and then what check says of it is an error unless it is "".
func (p *parser) names(n *yaml.Node, at, what string, check func(string) string) map[string]string {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		p.errorf(n, at, "%s; want a mapping of %s", emptyOr(n), what)
		return nil
	}
	out := make(map[string]string)
	lines := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field := at + "." + clip(key.Value)
		if wrong := badName(key); wrong != "" {
			p.errorf(key, at, "%s", wrong)
			continue
		}
		if first, twice := lines[key.Value]; twice {
			p.errorf(key, field, "duplicate field (first on line %d); write it once", first)
			continue
		}
		lines[key.Value] = key.Line
		switch {
		case value.Kind == yaml.AliasNode || value.Anchor != "":
			p.errorf(value, field, "anchors and aliases are not supported; write the value out")
		case value.Kind != yaml.ScalarNode || value.Tag == "!!null":
			p.errorf(value, field, "%s; want a text%s", kindOf(value), map[bool]string{true: `, "" to leave it out`}[check != nil])
		case !(check != nil && value.Value == "") && badName(value) != "":
			p.errorf(value, field, "%s", badName(value))
		default:
			if check != nil {
				if wrong := check(value.Value); wrong != "" {
					p.errorf(value, field, "%s", wrong)
				}
			}
			out[key.Value] = value.Value
		}
	}
	return out
}

// badName says what is wrong with a name of ours or the vendor's, or "".
func badName(n *yaml.Node) string {
	const want = "want a name of 1 to 100 characters, without control and invisible characters, and blanks around it"
	if err := plain.Seen(n.Value); err != nil {
		return err.Error() + "; " + want
	}
	if name := n.Value; n.Kind != yaml.ScalarNode || name == "" || plain.Trim(name) != name || utf8.RuneCountInString(name) > 100 {
		return want
	}
	return ""
}

func (p *parser) currencies(n *yaml.Node, at string) []string {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		p.errorf(n, at, "%s; want a list such as [NOK, EUR]", kindOf(n))
		return nil
	}
	var out []string
	for i, c := range n.Content {
		switch field := fmt.Sprintf("%s[%d]", at, i); {
		case c.Kind != yaml.ScalarNode || !validCurrency().MatchString(c.Value):
			p.errorf(c, field, "%q; want three capital letters such as NOK", clip(c.Value))
		case slices.Contains(out, c.Value):
			p.errorf(c, field, "duplicate currency %s; write it once", c.Value)
		default:
			out = append(out, c.Value)
		}
	}
	return out
}

// emptyOr is [kindOf] for a node that must be a mapping with something in it.
func emptyOr(n *yaml.Node) string {
	if n.Kind == yaml.MappingNode {
		return "an empty mapping"
	}
	return kindOf(n)
}
