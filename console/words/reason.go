package words

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Reason is why something is as it is: Text in the reader's language, and Quote as somebody
// else has written it, which is shown as a quotation and never translated; "" if there is none.
type Reason struct {
	Text  string
	Quote string
}

// String is both on one line.
func (r Reason) String() string {
	if r.Quote == "" {
		return r.Text
	}
	return strings.TrimSpace(r.Text + " " + r.Quote)
}

// ofLine are the reasons that the plan of an export gives for a line (runlog/plan.go), after
// "line ID: ". What is in braces is an argument; the texts are those of the keys.
var ofLine = []template{
	{"a name in it has the invisible character {char}; correct it in the source", "reason.invisible"},
	{"has no amount", "reason.noAmount"},
	{"amount {amount} has more than two decimals", "reason.decimals"},
	{"currency (none) is not taken; export.currencies of the integration file has {currencies}", "reason.noCurrency"},
	{"currency {currency} is not taken; export.currencies of the integration file has {currencies}", "reason.currency"},
	{"has no account", "reason.noAccount"},
	{"account {account} is not mapped; add it to export.accounts of the integration file", "reason.account"},
	{`dimension {dimension} is not mapped; add it to export.dimensions of the integration file, with "" to leave it out`, "reason.dimension"},
}

// ours are the other reasons that are not a vendor's: of the plan, of the migrations
// 00005_resolutions.sql and 00014_corrections.sql, of package activities about what was looked
// up, of adapters about what cannot be sent, and of a comparison with the vendor. A quote is
// what somebody else wrote.
var ours = []template{
	{"the voucher has more than one currency", "reason.currencies"},
	{"the voucher does not sum to zero: difference {amount}", "reason.balance"},
	{"the voucher has {n} lines; at most {most} fit in one request", "reason.lines"},

	{"withdrawn before it was sent", "reason.withdrawn"},
	{"corrected before it was sent; planned again from its source", "reason.corrected"},
	{"resolved by {who}: {quote}", "reason.resolved"},

	{"not in the journal, and document {document} has entries in the general ledger; if it is this voucher: starter exports resolve --there", "reason.posted"},
	{"not in the journal, and the line is not in the journal, and without a documentNumber nobody can tell whether it was posted; if it is this voucher: starter exports resolve --there", "reason.noDocument"},
	{"{n} of {most} lines of a request that is all or nothing are at the vendor; see starter exports resolve", "reason.someOfAll"},

	{"too large: the request would be {n} bytes and at most {most} are sent; send fewer entries, or shorter texts", "reason.tooLarge"},
	{"entries[{n}].amount: want a decimal with at most 18 digits and 2 places, such as -100.50", "reason.amountForm"},
	{"entries[{n}]: want an account, a voucher and a date", "reason.notComplete"},
	{"entries[{entry}].account: {n} characters; Business Central takes {most}", "reason.accountLength"},
	{"entries[{entry}].dimensions: Business Central takes {n} characters for a dimension's code and for its value", "reason.dimensionLength"},
	{"entries[{entry}].{field}: is not a number, and Xledger takes nothing else there", "reason.notANumber"},

	{"it is there", "reason.found"},
	{"it is there {n} times", "reason.foundTimes"},
	{"it is there with amount {amount}, but {recorded} on record", "reason.otherAmount"},
	{"it is not there under its key, but document {document} has entries in the general ledger", "reason.postedUnder"},
	{"it is not there under its key, but the line is not in the journal, and without a documentNumber nobody can tell whether it was posted", "reason.noDocument"},
	{"it is not there", "reason.notFound"},
	{"it is not there, and can still take effect until {time}", "reason.notFoundYet"},
}

// otherLines comes before the reason of lines whose voucher is at the vendor in part.
const otherLines = "other lines of this voucher are at the vendor: "

// Ours reports whether a text on record is one that Ledgerline writes itself.
func Ours(text string) bool {
	_, ok := For(English, nil).ours("", strings.TrimPrefix(text, otherLines))
	return ok
}

// Reason says a reason that is on record for a voucher or an entry. Our own are said in the
// reader's language. Anything else is quoted: with byVendor as what the vendor of the adapter
// said when it refused it, otherwise as what is on record. Whoever does not know who wrote it
// asks [Ours].
func (p *Printer) Reason(adapter, text string, byVendor bool) Reason {
	if text == "" {
		return Reason{}
	}
	rest, torn := strings.CutPrefix(text, otherLines)
	r, ok := Reason{}, false
	if !byVendor {
		r, ok = p.ours(adapter, rest)
	}
	if !ok {
		key := "reason.onRecord"
		if byVendor || torn {
			key = "reason.vendorRefused"
		}
		r = Reason{Text: Capital(p.T(key, "vendor", p.Vendor(adapter))), Quote: rest}
	}
	if torn {
		r.Text = p.T("reason.otherLines", "vendor", p.Vendor(adapter), "rest", r.Text)
	}
	return r
}

// ours says one of our own reasons; ok is false if it is none.
func (p *Printer) ours(adapter, text string) (r Reason, ok bool) {
	if rest, isLine := strings.CutPrefix(text, "line "); isLine {
		for at := 0; ; { // an entry's ID can have a colon in it
			i := strings.Index(rest[at:], ": ")
			if i < 0 {
				return r, false
			}
			at += i
			if problem, ok := p.say(ofLine, adapter, rest[at+2:]); ok {
				return Reason{Text: p.T("reason.line", "line", rest[:at], "problem", problem.Text)}, true
			}
			at += 2
		}
	}
	if r, ok = p.say(ours, adapter, text); ok {
		r.Text = Capital(r.Text)
	}
	return r, ok
}

// template is a text that Ledgerline writes, and the key of what is said in its place.
type template struct{ written, key string }

// said are the templates as expressions.
var said = sync.OnceValue(func() map[string]*regexp.Regexp {
	all := make(map[string]*regexp.Regexp)
	for _, list := range [][]template{ofLine, ours} {
		for _, t := range list {
			pattern := argument.ReplaceAllStringFunc(t.written, func(at string) string { return "\x00" + strings.Trim(at, "{}") + "\x01" })
			pattern = strings.NewReplacer("\x00", "(?P<", "\x01", ">.+?)").Replace(regexp.QuoteMeta(pattern))
			all[t.written] = regexp.MustCompile("(?s)^" + pattern + "$")
		}
	}
	return all
})

// say says a text by the first template that it is made of.
func (p *Printer) say(list []template, adapter, text string) (r Reason, ok bool) {
	for _, t := range list {
		expression := said()[t.written]
		m := expression.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		pairs := []any{"vendor", p.Vendor(adapter)}
		for i, name := range expression.SubexpNames() {
			switch {
			case i == 0:
			case name == "quote":
				r.Quote = m[i]
			default:
				pairs = append(pairs, name, p.argument(name, m[i]))
			}
		}
		r.Text = p.T(t.key, pairs...)
		return r, true
	}
	return r, false
}

// argument is an argument as the reader's language writes it, by its name.
func (p *Printer) argument(name, value string) any {
	switch name {
	case "amount", "recorded":
		return p.Amount(value)
	case "n", "most":
		if n, err := strconv.Atoi(value); err == nil {
			return n
		}
	}
	return value
}
