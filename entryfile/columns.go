package entryfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/plain"
)

// field is a column of ours.
type field int

const (
	fEntryID field = iota
	fVoucherID
	fDate
	fAccount
	fAmount
	fCurrency
	fText
	fDimensions
	fDebit
	fCredit
	fieldCount
)

// fieldNames are our names of the columns. A file has either amount, or debit and credit.
var fieldNames = [fieldCount]string(integrations.EntryColumns)

// Columns are our names of a file's columns, the ones first that it must have.
var Columns = fieldNames[:fDimensions+1]

// required are the columns that must be there.
const required = fAmount

// dimensionPrefix is before the name of a dimension that has a column of its own.
const dimensionPrefix = integrations.DimensionColumn

func fieldOf(name string) field { return field(slices.Index(fieldNames[:], name)) }

// synonyms are headings as accounting systems write them, folded: see fold.
var synonyms = map[field][]string{
	fEntryID:    {"entryid", "id", "entryno", "entrynr", "entrynumber", "ledgerentryno", "lineid", "linjeid", "transactionid", "transactionno", "transaksjonsid", "transaksjonsnr", "transaksjonsnummer", "postingid", "posteringsid", "posteringsnr", "posteringsnummer"},
	fVoucherID:  {"voucherid", "voucher", "voucherno", "vouchernr", "vouchernumber", "bilag", "bilagsid", "bilagsnr", "bilagnr", "bilagsnummer", "bilagnummer", "documentno", "documentnumber"},
	fDate:       {"entrydate", "date", "dato", "voucherdate", "bilagsdato", "bilagdato", "postingdate", "posteringsdato", "transactiondate", "transaksjonsdato", "accountingdate", "regnskapsdato", "bokforingsdato", "bokfortdato"},
	fAccount:    {"account", "accountno", "accountnr", "accountnumber", "accountcode", "konto", "kontonr", "kontonummer", "kontokode", "glaccount", "glaccountno", "ledgeraccount", "hovedbokskonto"},
	fAmount:     {"amount", "belop"},
	fCurrency:   {"currency", "currencycode", "valuta", "valutakode"},
	fText:       {"text", "tekst", "description", "beskrivelse", "bilagstekst", "vouchertext", "posteringstekst", "forklaring"},
	fDimensions: {"dimensions", "dimensjoner"},
	fDebit:      {"debit", "debet", "debitamount", "debetbelop", "belopdebet"},
	fCredit:     {"credit", "kredit", "creditamount", "kreditbelop", "belopkredit"},
}

// dimensionSynonyms are headings of dimensions, by our name of the dimension.
var dimensionSynonyms = map[string][]string{
	"department": {"department", "departmentno", "departmentcode", "dept", "avdeling", "avdelingsnr", "avdelingnr", "avdelingsnummer", "avdelingskode", "avd", "avdnr"},
	"project":    {"project", "projectno", "projectnumber", "projectcode", "prosjekt", "prosjektnr", "prosjektnummer", "prosjektkode"},
	"product":    {"product", "productno", "productnumber", "produkt", "produktnr", "produktnummer"},
	"employee":   {"employee", "employeeno", "employeenumber", "ansatt", "ansattnr", "ansattnummer"},
}

// meanings are our names by folded heading.
var meanings = func() map[string]string {
	out := make(map[string]string)
	for f, list := range synonyms {
		for _, heading := range list {
			out[heading] = fieldNames[f]
		}
	}
	for name, list := range dimensionSynonyms {
		for _, heading := range list {
			out[heading] = dimensionPrefix + name
		}
	}
	return out
}()

// Synonyms are the headings, without blanks, dots, dashes and accents, that stand for our names.
func Synonyms() map[string][]string {
	out := make(map[string][]string)
	for heading, name := range meanings {
		out[name] = append(out[name], heading)
	}
	for name := range out {
		slices.Sort(out[name])
	}
	return out
}

var foldLetters = strings.NewReplacer("ø", "o", "æ", "ae", "ß", "ss", "đ", "d", "ð", "d")

// fold makes headings equal that differ in case, blanks, dots, dashes, underscores and accents.
func fold(heading string) string {
	var b strings.Builder
	for _, c := range norm.NFD.String(strings.ToLower(heading)) {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			b.WriteRune(c)
		}
	}
	return foldLetters.Replace(b.String())
}

// layout says which column is what.
type layout struct {
	line       int // of the heading
	headings   []string
	at         []int
	column     [fieldCount]int // -1 if there is none
	dimensions []dimensionColumn
	idFrom     []idPart
	used       []bool
	decimal    byte // '.' or ','
	openAmount bool // the decimal sign is not known: amounts are not looked at
	dates      *dates
	openDate   bool
}

type dimensionColumn struct {
	name   string
	column int
}

// idPart is a value that an entry ID is made of: of a field, or of a column that has no name of ours.
type idPart struct {
	field  field // -1 if there is none
	column int
}

// headingText is a heading on one line, without blanks around it.
func headingText(cell string) string { return strings.Join(strings.Fields(plain.Trim(cell)), " ") }

// meaning is our name of a heading, or "".
func (o Options) meaning(heading string) string {
	folded := fold(heading)
	if folded == "" {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(o.Columns)) {
		if fold(o.Columns[name]) == folded {
			return name
		}
	}
	var name string
	if before, dimension, ok := strings.Cut(heading, "."); ok && fold(before) == "dimensions" && fold(dimension) != "" {
		name = dimensionPrefix + plain.Trim(dimension)
	} else {
		name = meanings[folded]
	}
	if _, given := o.Columns[name]; given {
		return "" // another column is that
	}
	return name
}

// score is how many of our names a row has. One that may be the heading has at least two.
func (o Options) score(r *row) int {
	names := make(map[string]bool)
	for _, cell := range r.cells {
		if len(cell) > 200 {
			continue
		}
		if name := o.meaning(headingText(cell)); name != "" {
			names[name] = true
		}
	}
	return len(names)
}

// headingRows is how many rows may stand above the heading.
const headingRows = 50

// heading is the row of the first ones that names the most columns.
func (o Options) heading(in rows) (best row, most int, err error) {
	var r row
	for seen := 0; seen < headingRows; {
		if err := in.next(&r); err != nil {
			if most > 0 || isEnd(err) {
				return best, most, nil
			}
			return best, most, err
		}
		if blankRow(&r) {
			continue
		}
		seen++
		if n := o.score(&r); n > most || best.line == 0 {
			best, most = row{r.line, slices.Clone(r.cells), slices.Clone(r.at)}, max(n, most)
		}
	}
	return best, most, nil
}

// columnsOf finds out which column is what.
func (f *File) columnsOf(heading row) {
	l := &f.layout
	*l = layout{line: heading.line, at: heading.at, used: make([]bool, len(heading.cells))}
	for i := range l.column {
		l.column[i] = -1
	}
	names := make(map[string]int)
	for i, cell := range heading.cells {
		text := headingText(cell)
		l.headings = append(l.headings, text)
		name := f.o.meaning(text)
		if name == "" {
			continue
		}
		if first, twice := names[name]; twice {
			remedy := fmt.Sprintf("say which one with --columns %s=HEADING", name)
			if fold(l.headings[first]) == fold(text) {
				remedy = "rename one"
			}
			f.beforef(l.line, l.at[i], "columns %q and %q are both %s: %s", l.headings[first], text, name, remedy)
			continue
		}
		names[name], l.used[i] = i, true
		if dimension, ok := strings.CutPrefix(name, dimensionPrefix); ok {
			l.dimensions = append(l.dimensions, dimensionColumn{dimension, i})
		} else {
			l.column[fieldOf(name)] = i
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.o.Columns)) {
		if _, there := names[name]; !there {
			says := ""
			if f.o.ColumnsOf != "" {
				says = " by " + f.o.ColumnsOf
			}
			f.beforef(l.line, 1, "no column %q, which is to be %s%s: want one of %s", f.o.Columns[name], name, says, f.list(l.headings))
		}
	}
	f.missing()
	f.makeIDs()
	f.reading.HeadingLine, f.reading.Columns = l.line, make(map[string]string)
	if l.column[fEntryID] < 0 {
		f.reading.Headings = l.headings
	}
	for name, i := range names {
		f.reading.Columns[name] = l.headings[i]
	}
}

// missing looks for columns that must be there.
func (f *File) missing() {
	l := &f.layout
	at := func(c field) bool { return l.column[c] >= 0 }
	for c := range required + 1 {
		var what string
		switch {
		case at(c), c == fEntryID && len(f.o.IDFrom) > 0, c == fAmount && at(fDebit) && at(fCredit):
			continue
		case c == fEntryID:
			what = "; " + f.idRemedy()
			f.reading.NoID, f.reading.Suggested = true, f.suggestedID()
		case c == fAmount && at(fDebit) != at(fCredit):
			what = "; debit and credit go together"
		default:
			what = fmt.Sprintf("; add --columns %s=HEADING", fieldNames[c])
		}
		f.beforef(l.line, 1, "column %s is missing: the columns are %s%s", fieldNames[c], f.list(l.headings), what)
	}
	if at(fAmount) && (at(fDebit) || at(fCredit)) {
		i := max(l.column[fDebit], l.column[fCredit])
		f.beforef(l.line, l.at[i], "columns %q and %q: want either amount, or debit and credit; say which with --columns amount=HEADING and --ignore-columns", l.headings[l.column[fAmount]], l.headings[i])
	}
	for c := range fieldCount {
		_, given := f.o.Columns["amount"]
		if given && (c == fDebit || c == fCredit) && l.column[c] >= 0 {
			l.used[l.column[c]], l.column[c] = false, -1
		}
	}
}

// makeIDs finds the columns of --id-from.
func (f *File) makeIDs() {
	l := &f.layout
	if len(f.o.IDFrom) > 0 && l.column[fEntryID] >= 0 {
		f.beforef(l.line, l.at[l.column[fEntryID]], "column %q is the entry ID: leave --id-from out", l.headings[l.column[fEntryID]])
		return
	}
	for _, name := range f.o.IDFrom {
		part := idPart{idField(fieldOf(name)), -1}
		if part.field >= 0 && (l.column[part.field] >= 0 || part.field == fAmount) {
			f.reading.IDFrom = append(f.reading.IDFrom, name)
			l.idFrom = append(l.idFrom, part)
			continue
		}
		part = idPart{-1, slices.IndexFunc(l.headings, func(h string) bool { return fold(h) == fold(name) && fold(name) != "" })}
		if part.column < 0 {
			f.beforef(l.line, 1, "--id-from %s: no such column; want one of %s", name, f.list(l.headings))
			continue
		}
		l.used[part.column] = true
		f.reading.IDFrom = append(f.reading.IDFrom, l.headings[part.column])
		// The value as it was understood, by whichever name: 1 000,00 and 1000.00 are one.
		if c := idField(field(slices.Index(l.column[:], part.column))); c >= 0 {
			part = idPart{c, -1}
		}
		l.idFrom = append(l.idFrom, part)
	}
}

// idField is the field whose value is a part of an ID, or -1 if a column is taken as it is written.
func idField(c field) field {
	switch c {
	case fVoucherID, fDate, fAccount, fAmount, fCurrency, fText:
		return c
	case fDebit, fCredit:
		return fAmount
	}
	return -1
}

// lineNumbers are headings, folded, of a column that numbers the lines of a voucher.
var lineNumbers = []string{"linje", "linjenr", "linjenummer", "linjeno", "bilagslinje", "line", "lineno", "linenumber", "rad", "radnr", "radnummer", "lopenr", "lopenummer", "postnr"}

// suggestedID are the columns of the voucher and of its lines' numbers; none if the file lacks
// one of them.
func (f *File) suggestedID() []string {
	voucher := f.layout.column[fVoucherID]
	line := slices.IndexFunc(f.layout.headings, func(h string) bool { return slices.Contains(lineNumbers, fold(h)) })
	if voucher < 0 || line < 0 {
		return nil
	}
	return []string{f.layout.headings[voucher], f.layout.headings[line]}
}

// idRemedy says how a file gets the entry IDs that it lacks. Accounts and amounts are what
// people correct, and are no part of an ID.
func (f *File) idRemedy() string {
	for _, h := range f.layout.headings {
		if slices.Contains(lineNumbers, fold(h)) {
			return "add --id-from voucher_id," + plain.Clip(h, 30)
		}
	}
	return "if a column numbers the lines of each voucher, add --id-from voucher_id,HEADING, and if it numbers all lines, --columns entry_id=HEADING; without one, add such a column to the file"
}

// list are headings in a message.
func (f *File) list(headings []string) string {
	var out []string
	for _, h := range headings {
		if h != "" {
			out = append(out, plain.Clip(h, 30))
		}
	}
	return plain.Clip(strings.Join(out, ", "), 200)
}

func (f *File) beforef(line, column int, format string, args ...any) {
	f.before = append(f.before, problemf(f.place(line, column), format, args...))
}

func blankRow(r *row) bool {
	for _, cell := range r.cells {
		if trimBlanks(cell) != "" && cell != "\x1a" { // the end of a file of DOS
			return false
		}
	}
	return true
}

// trimBlanks is [plain.Trim], fast.
func trimBlanks(s string) string {
	if s == "" {
		return s
	}
	if a, z := s[0], s[len(s)-1]; a > ' ' && a < 0x7f && z > ' ' && z < 0x7f {
		return s
	}
	return plain.Trim(s)
}
