package entryfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// now is the clock of these tests.
var now = time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)

// lines are entries in short: ID, voucher, date, account, amount, currency, text, dimensions.
func lines(t *testing.T, f *File) string {
	t.Helper()
	entries, err := all(f)
	require.NoError(t, err)
	var out []string
	for _, e := range entries {
		line := strings.Join([]string{e.EntryID, e.VoucherID, e.Date.Format(time.DateOnly), e.Account, e.Amount, e.Currency}, " ")
		if e.Text != "" {
			line += " " + e.Text
		}
		if len(e.Dimensions) > 0 {
			line += " " + fmt.Sprint(e.Dimensions)
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

func utf16(order unicode.Endianness, text string) string {
	out, err := unicode.UTF16(order, unicode.UseBOM).NewEncoder().String(text)
	if err != nil {
		panic(err)
	}
	return out
}

func ansi(text string) string {
	out, err := charmap.Windows1252.NewEncoder().String(text)
	if err != nil {
		panic(err)
	}
	return out
}

const nordic = "ID;Bilagsnr;Dato;Konto;Beløp;Tekst\n"

// Files that are read, and how.
func TestKindsThatAreRead(t *testing.T) {
	const one, two = "1 V 2026-10-31 1920 -1234.50 NOK Kjøp", "2 V 2026-10-31 3000 1234.50 NOK Salg"
	both := one + "\n" + two
	norwegian := nordic + "1;V;31.10.2026;1920;-1 234,50;Kjøp\n2;V;31.10.2026;3000;1 234,50;Salg\n"
	for name, c := range map[string]struct {
		text string
		o    Options
		want string
		is   Reading // members that are not empty count
	}{
		"Nordic Excel":                     {norwegian, Options{}, both, Reading{Encoding: "UTF-8", Separator: "semicolon", DecimalSign: ",", Grouping: "blank", DateOrder: "dmy", HeadingLine: 1}},
		"Excel CSV UTF-8":                  {"\ufeff" + norwegian, Options{}, both, Reading{Encoding: "UTF-8 with byte order mark"}},
		"Excel ANSI":                       {ansi(norwegian), Options{}, both, Reading{Encoding: "Windows-1252"}},
		"Excel Unicode text":               {utf16(unicode.LittleEndian, strings.ReplaceAll(norwegian, ";", "\t")), Options{}, both, Reading{Encoding: "UTF-16 LE with byte order mark", Separator: "tab"}},
		"UTF-16 of another machine":        {utf16(unicode.BigEndian, norwegian), Options{}, both, Reading{Encoding: "UTF-16 BE with byte order mark"}},
		"UTF-16 without mark":              {utf16(unicode.LittleEndian, norwegian)[2:], Options{}, both, Reading{Encoding: "UTF-16 LE"}},
		"old Macintosh lines":              {strings.ReplaceAll(norwegian, "\n", "\r"), Options{}, both, Reading{}},
		"Windows lines":                    {strings.ReplaceAll(norwegian, "\n", "\r\n"), Options{}, both, Reading{}},
		"end of file of DOS":               {norwegian + "\x1a", Options{}, both, Reading{}},
		"sep line":                         {"sep=;\r\n" + norwegian, Options{}, both, Reading{HeadingLine: 2}},
		"sep line in quotes, UTF-16":       {utf16(unicode.LittleEndian, "\"sep=;\"\n"+norwegian), Options{}, both, Reading{HeadingLine: 2}},
		"bars":                             {strings.ReplaceAll(norwegian, ";", "|"), Options{}, both, Reading{Separator: "bar"}},
		"title lines above":                {"Hovedbok AS Eksempel;;;;;\nPeriode: 01.10.2026 - 31.10.2026;;;;;\n\n;;;;;\n" + norwegian, Options{}, both, Reading{HeadingLine: 5}},
		"trailing empty columns":           {strings.ReplaceAll(norwegian, "\n", ";;;\n"), Options{}, both, Reading{}},
		"empty lines between":              {strings.ReplaceAll(norwegian, "\n", "\n;;;;;\n  \n"), Options{}, both, Reading{}},
		"heading again on each page":       {norwegian[:len(norwegian)-len("2;V;31.10.2026;3000;1 234,50;Salg\n")] + nordic + "2;V;31.10.2026;3000;1 234,50;Salg\n", Options{}, both, Reading{}},
		"two files one after another":      {"\ufeff" + nordic + "1;V;31.10.2026;1920;-1 234,50;Kjøp\n\ufeff" + nordic + "2;V;31.10.2026;3000;1 234,50;Salg\n", Options{}, both, Reading{}},
		"unknown but empty column":         {strings.NewReplacer("Tekst", "Tekst;Godkjent av", "Kjøp", "Kjøp;", "Salg", "Salg; ").Replace(norwegian), Options{}, both, Reading{}},
		"column left out":                  {strings.NewReplacer("Tekst", "Tekst;Godkjent av", "Kjøp", "Kjøp;Kari", "Salg", "Salg;Ola").Replace(norwegian), Options{IgnoreColumns: true}, both, Reading{LeftOut: []string{"Godkjent av"}}},
		"headings with blanks and lines":   {strings.NewReplacer("Bilagsnr", "\" BILAGS-\nNR. \"", "Beløp", "\u00a0BELØP\u00a0", "Konto", "Konto nr").Replace(norwegian), Options{}, both, Reading{}},
		"headings without accents":         {strings.ReplaceAll(norwegian, "Beløp", "belop"), Options{}, both, Reading{}},
		"headings with apart accents":      {strings.NewReplacer("Bilagsnr", "Vou\u0301cher no.").Replace(norwegian), Options{}, both, Reading{}},
		"English":                          {"Entry No.,Document No.,Posting Date,G/L Account No.,Amount,Description\n1,V,2026-10-31,1920,\"-1,234.50\",Kjøp\n2,V,2026-10-31,3000,\"1,234.50\",Salg\n", Options{}, both, Reading{DecimalSign: ".", Grouping: "comma"}},
		"month first":                      {"id,voucher,date,account,amount,text\n1,V,10/31/2026,1920,-1234.50,Kjøp\n2,V,10/31/2026,3000,1234.50,Salg\n", Options{}, both, Reading{DateOrder: "mdy"}},
		"year first with slashes":          {strings.ReplaceAll(norwegian, "31.10.2026", "2026/10/31"), Options{}, both, Reading{DateOrder: "iso"}},
		"dates of digits":                  {strings.ReplaceAll(norwegian, "31.10.2026", "20261031"), Options{}, both, Reading{DateOrder: "iso"}},
		"midnight":                         {strings.ReplaceAll(norwegian, "31.10.2026", "31.10.2026 00:00:00"), Options{}, both, Reading{}},
		"midnight of a database":           {strings.ReplaceAll(norwegian, "31.10.2026", "2026-10-31T00:00:00.000"), Options{}, both, Reading{}},
		"minus behind":                     {strings.ReplaceAll(norwegian, "-1 234,50", "1 234,50-"), Options{}, both, Reading{}},
		"minus of typographers":            {strings.ReplaceAll(norwegian, "-1 234,50", "\u22121\u202f234,50"), Options{}, both, Reading{}},
		"parentheses":                      {strings.ReplaceAll(norwegian, "-1 234,50", "(1.234,50)"), Options{}, both, Reading{}},
		"Swiss groups":                     {strings.ReplaceAll(strings.ReplaceAll(norwegian, "1 234,50", "1’234.50"), "Salg", "Salg"), Options{}, both, Reading{Grouping: "apostrophe"}},
		"thin blanks":                      {strings.ReplaceAll(norwegian, "1 234,50", "1\u2009234,50"), Options{}, both, Reading{}},
		"comma in quotes":                  {"id,bilag,dato,konto,beløp,tekst\n1,V,2026-10-31,1920,\"-1.234,50\",Kjøp\n2,V,2026-10-31,3000,\"1.234,50\",Salg\n", Options{}, both, Reading{DecimalSign: ",", Grouping: "point"}},
		"an amount that the others decide": {nordic + "1;V;31.10.2026;1920;-1.234;x\n2;V;31.10.2026;1920;1.234.000,50;y\n", Options{}, "1 V 2026-10-31 1920 -1234 NOK x\n2 V 2026-10-31 1920 1234000.50 NOK y", Reading{DecimalSign: ",", Grouping: "point"}},
		"an amount that an option decides": {nordic + "1;V;31.10.2026;1920;-1.234;x\n", Options{DecimalSign: ","}, "1 V 2026-10-31 1920 -1234 NOK x", Reading{}},
		"debit and credit": {"ID;Bilag;Dato;Konto;Debet;Kredit;Tekst\n1;V;31.10.2026;1920;;1 234,50;Kjøp\n2;V;31.10.2026;3000;1 234,50;0,00;Salg\n3;V;31.10.2026;3000;-5,00;;\n4;V;31.10.2026;3000;;-5,00;\n5;V;31.10.2026;3000;0,00;0,00;\n",
			Options{}, both + "\n3 V 2026-10-31 3000 -5.00 NOK\n4 V 2026-10-31 3000 5.00 NOK\n5 V 2026-10-31 3000 0.00 NOK", Reading{}},
		"dimensions with columns":    {"ID;Bilag;Dato;Konto;Beløp;Avdeling;Prosjektnr;dimensions.Region;Bærer\n1;V;31.10.2026;1920;5,00;10;;Nord;B\n", Options{Columns: map[string]string{"dimensions.carrier": "Bærer"}}, "1 V 2026-10-31 1920 5.00 NOK map[Region:Nord carrier:B department:10]", Reading{}},
		"columns that are named":     {strings.NewReplacer("ID", "Linje", "Beløp", "Sum NOK", "Bilagsnr", "bilag;dokument").Replace(strings.ReplaceAll(norwegian, ";V;", ";W;V;")), Options{Columns: map[string]string{"entry_id": "linje", "amount": "SUM NOK", "voucher_id": "Dokument"}, IgnoreColumns: true}, both, Reading{LeftOut: []string{"bilag"}}},
		"IDs made of columns":        {"Linje;Bilagsnr;Dato;Konto;Beløp\n1;a/b;31.10.2026;1920;-5,00\n2;a/b;31.10.2026;3000;5,00\n", Options{IDFrom: []string{"voucher_id", "linje"}}, "a%2Fb/1 a/b 2026-10-31 1920 -5.00 NOK\na%2Fb/2 a/b 2026-10-31 3000 5.00 NOK", Reading{IDFrom: []string{"voucher_id", "Linje"}}},
		"IDs made of values":         {"Bilagsnr;Dato;Konto;Beløp\nV;31.10.2026;1920;-5,0\n", Options{IDFrom: []string{"entry_date", "account", "amount"}}, "2026-10-31/1920/-5.00 V 2026-10-31 1920 -5.0 NOK", Reading{}},
		"IDs made of headings":       {"Bilagsnr;Dato;Konto;Beløp\nV;31.10.2026;1920;-1 000,5\n", Options{IDFrom: []string{"Dato", "Konto", "Beløp"}}, "2026-10-31/1920/-1000.50 V 2026-10-31 1920 -1000.5 NOK", Reading{IDFrom: []string{"Dato", "Konto", "Beløp"}}},
		"IDs made of debit, credit":  {"Bilagsnr;Dato;Konto;Debet;Kredit\nV;31.10.2026;1920;;7\n", Options{IDFrom: []string{"Bilagsnr", "Kredit"}}, "V/-7.00 V 2026-10-31 1920 -7 NOK", Reading{}},
		"text marks":                 {nordic + "'1;=\"V\";31.10.2026;'0920;'-5,00;'tis\n", Options{}, "1 V 2026-10-31 0920 -5.00 NOK 'tis", Reading{}},
		"lower-case currency":        {"ID;Bilag;Dato;Konto;Beløp;Valuta\n1;V;31.10.2026;1920;5,00;eur\n", Options{}, "1 V 2026-10-31 1920 5.00 EUR", Reading{}},
		"quotes inside a cell":       {strings.ReplaceAll(norwegian, "Kjøp", "24\" skjerm"), Options{}, strings.ReplaceAll(both, "Kjøp", "24\" skjerm"), Reading{}},
		"lines inside a text":        {strings.ReplaceAll(norwegian, "Kjøp", "\"Kjøp\r\nav\tbil\""), Options{}, strings.ReplaceAll(both, "Kjøp", "Kjøp av bil"), Reading{}},
		"a name that lies":           {norwegian, Options{}, both, Reading{Format: FormatCSV}},
		"DOS letters, named":         {strings.NewReplacer("Beløp", "Bel\x9bp", "Kjøp", "Kj\x9bp").Replace(norwegian), Options{Encoding: "cp865"}, both, Reading{Encoding: "CP865"}},
		"dates that are allowed":     {nordic + "1;V;01.01.1900;1920;5,00;\n", Options{AllowDates: true}, "1 V 1900-01-01 1920 5.00 NOK", Reading{}},
		"places beyond two are zero": {nordic + "1;V;31.10.2026;1920;5,5000;\n2;V;31.10.2026;1920;,5;\n", Options{}, "1 V 2026-10-31 1920 5.50 NOK\n2 V 2026-10-31 1920 0.5 NOK", Reading{}},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Now = now
			f := open(t, "x.xlsx", c.text, c.o)
			require.Equal(t, c.want, lines(t, f))
			require.Equal(t, c.want, lines(t, f), "it can be read again")
			got := f.Reading()
			for _, pair := range [][2]any{{c.is.Encoding, got.Encoding}, {c.is.Separator, got.Separator}, {c.is.DecimalSign, got.DecimalSign}, {c.is.Grouping, got.Grouping}, {c.is.DateOrder, got.DateOrder}} {
				if pair[0] != "" {
					require.Equal(t, pair[0], pair[1])
				}
			}
			if c.is.HeadingLine > 0 {
				require.Equal(t, c.is.HeadingLine, got.HeadingLine)
			}
			if c.is.LeftOut != nil {
				require.Equal(t, c.is.LeftOut, got.LeftOut)
			}
			if c.is.IDFrom != nil {
				require.Equal(t, c.is.IDFrom, got.IDFrom)
			}
		})
	}
}

// Files that are refused, with where and what to do.
func TestKindsThatAreRefused(t *testing.T) {
	line := func(change ...string) string {
		return nordic + strings.NewReplacer(change...).Replace("E1;V1;31.10.2026;1920;-5,00;x\n")
	}
	for name, c := range map[string]struct {
		text string
		o    Options
		says string
	}{
		"open amount":                 {line("-5,00", "1.234"), Options{}, `e.csv:2:23: amount "1.234" can be 1234 or 1.234, and no amount of the file decides it: add --decimal-sign ,`},
		"open amount, comma":          {line("-5,00", "1,234"), Options{}, "add --decimal-sign . if its comma groups"},
		"two decimal signs":           {nordic + "1;V;31.10.2026;1920;5,50;\n2;V;31.10.2026;1920;-5.50;\n", Options{}, `e.csv:3:21: amount "-5.50" has another decimal sign than "5,50" on line 2`},
		"the other decimal sign":      {nordic + "1;V;31.10.2026;1920;5,50;\n2;V;31.10.2026;1920;-5.50;\n", Options{DecimalSign: ","}, `e.csv:3:21: amount "-5.50" has groups`},
		"three places":                {line("-5,00", "0,125"), Options{}, "has more than two decimal places"},
		"uneven groups":               {line("-5,00", "1 23 456,00"), Options{}, "has groups that are not of three digits"},
		"currency in the amount":      {line("-5,00", "kr 5,00"), Options{}, "write the currency in a column of its own"},
		"currency behind the amount":  {line("-5,00", "5,00 NOK"), Options{}, "write the currency in a column of its own"},
		"kroner with a dash":          {line("-5,00", "5,-"), Options{}, `amount "5,-"`},
		"two signs":                   {line("-5,00", "(-5,00)"), Options{}, `amount "(-5,00)": want a decimal number`},
		"short form of an amount":     {line("-5,00", "1,2E+05"), Options{}, "spreadsheet's short form"},
		"error of a formula":          {line("-5,00", "#REF!"), Options{}, "is a spreadsheet's error"},
		"error of a lookup":           {line("1920", "#N/A"), Options{}, `account "#N/A" is a spreadsheet's error`},
		"narrow column":               {line("31.10.2026", "########"), Options{}, "is a spreadsheet's error"},
		"open date":                   {line("31.10.2026", "03/04/2026"), Options{}, `date "03/04/2026" can have the day or the month first, and no date of the file decides it: add --date-order dmy or --date-order mdy`},
		"two orders":                  {nordic + "1;V;31/10/2026;1920;5,50;\n2;V;10/31/2026;1920;-5,50;\n", Options{}, "e.csv:3:5: the date has another order of day and month than the one on line 2"},
		"year of two digits":          {line("31.10.2026", "31.10.26"), Options{}, "has a year of two digits"},
		"no such day":                 {line("31.10.2026", "31.11.2026"), Options{}, "is no day of the calendar"},
		"time of day":                 {line("31.10.2026", "31.10.2026 14:05"), Options{}, "has a time of day"},
		"a spreadsheet's number":      {line("31.10.2026", "46326"), Options{}, "is a spreadsheet's number of a date: format the column as a date"},
		"date that means none":        {line("31.10.2026", "0001-01-01"), Options{}, "is in the year 1, and dates before 1990 and after 2027 mostly mean none: correct it, or add --allow-dates"},
		"date of SQL Server":          {line("31.10.2026", "1753-01-01"), Options{}, "--allow-dates"},
		"date of Excel":               {line("31.10.2026", "00.01.1900"), Options{}, "is no day"},
		"date too late":               {line("31.10.2026", "31.10.2028"), Options{}, "is in the year 2028"},
		"ID that Excel has cut":       {line("E1", "1,23457E+11"), Options{}, "its digits are lost: format the column as text"},
		"account that Excel has cut":  {line("1920", "1.92E+11"), Options{}, "its digits are lost"},
		"account of pandas":           {line("1920", "1920.0"), Options{}, `account "1920.0" is what a program makes of the number 1920`},
		"no value in words":           {line("1920", "NULL"), Options{}, `account "NULL" stands for no value`},
		"currency as a word":          {"ID;Bilag;Dato;Konto;Beløp;Valuta\n1;V;31.10.2026;1920;5,00;kr\n", Options{}, `currency "kr": want three letters such as NOK`},
		"a total at the end":          {line() + ";;;Sum;-5,00;\n", Options{}, `e.csv:3:8: amount "-5,00" without an entry ID and a voucher: if the line is a total, delete it`},
		"a word at the end":           {line() + "Skrevet ut av Kari;;;;;\n", Options{}, "e.csv:3:1: the line is no entry, it has only \"Skrevet ut av Kari\": delete it"},
		"a value without a column":    {line("x", "x;;y"), Options{}, "e.csv:2:32: 8 values for 6 columns; quote a value that has a semicolon inside"},
		"unknown column":              {strings.Replace(line("x", "x;Kari"), "Tekst", "Tekst;Godkjent av", 1), Options{}, `e.csv:1:36: unknown column "Godkjent av" (1 values): add --columns NAME=Godkjent av`},
		"column without a heading":    {strings.Replace(line("x", "x;Kari"), "Tekst", "Tekst;", 1), Options{}, "column 7 has values (1) and no heading"},
		"two columns mean the same":   {strings.Replace(line("V1", "V1;2"), "Bilagsnr", "Bilagsnr;Bilag", 1), Options{}, `columns "Bilagsnr" and "Bilag" are both voucher_id: say which one with --columns voucher_id=HEADING`},
		"amount, debit and credit":    {"ID;Bilag;Dato;Konto;Beløp;Debet;Kredit\n1;V;31.10.2026;1920;5,00;5,00;\n", Options{}, "want either amount, or debit and credit"},
		"debit alone":                 {"ID;Bilag;Dato;Konto;Debet\n1;V;31.10.2026;1920;5,00\n", Options{}, "debit and credit go together"},
		"debit and credit at once":    {"ID;Bilag;Dato;Konto;Debet;Kredit\n1;V;31.10.2026;1920;5,00;5,00\n", Options{}, "debit 5.00 and credit 5.00: want one of them"},
		"neither debit nor credit":    {"ID;Bilag;Dato;Konto;Debet;Kredit\n1;V;31.10.2026;1920;;\n", Options{}, "debit and credit are both empty"},
		"no ID":                       {strings.Replace(line("E1;", ""), "ID;", "", 1), Options{}, "column entry_id is missing: the columns are Bilagsnr, Dato, Konto, Beløp, Tekst; if a column numbers the lines of each voucher, add --id-from voucher_id,HEADING"},
		"no ID, and lines":            {"Linjenr;Bilagsnr;Dato;Konto;Beløp\n1;V;31.10.2026;1920;5,00\n", Options{}, "column entry_id is missing: the columns are Linjenr, Bilagsnr, Dato, Konto, Beløp; add --id-from voucher_id,Linjenr"},
		"lines taken for IDs":         {"Linjenr;Bilagsnr;Dato;Konto;Beløp\n1;V;31.10.2026;1920;5,00\n1;W;31.10.2026;1920;5,00\n", Options{Columns: map[string]string{"entry_id": "Linjenr"}}, "if the column numbers the lines of each voucher, take --id-from voucher_id,Linjenr"},
		"IDs that are not unique":     {"Bilagsnr;Dato;Konto;Beløp\nV;31.10.2026;1920;-5,00\nV;31.10.2026;1920;5,00\n", Options{IDFrom: []string{"voucher_id", "account"}}, `e.csv:3:1: the entry ID of voucher_id, account is the one of line 2 too, "V/1920": add to --id-from a column`},
		"IDs of what is not there":    {"Bilagsnr;Dato;Konto;Beløp\nV;31.10.2026;1920;-5,00\n", Options{IDFrom: []string{"Linje"}}, "--id-from Linje: no such column; want one of Bilagsnr, Dato, Konto, Beløp"},
		"IDs that are there":          {line(), Options{IDFrom: []string{"account"}}, `column "ID" is the entry ID: leave --id-from out`},
		"a heading that is not there": {line(), Options{Columns: map[string]string{"account": "Kto"}}, `no column "Kto", which is to be account: want one of ID, Bilagsnr`},
		"no heading":                  {"1;V;31.10.2026;1920;5,00\n2;V;31.10.2026;1920;5,00\n", Options{}, "e.csv:1:1: no line of the first 50 names the columns"},
		"only a heading":              {nordic, Options{}, "e.csv:1:1: no entries"},
		"only blanks":                 {" \n\n;;\n", Options{}, "nothing but blanks"},
		"empty":                       {"", Options{}, "the file is empty"},
		"two encodings":               {ansi(line("x", "Kjøp")) + "2;V;31.10.2026;1920;5,00;Kjøp\n", Options{}, "is not UTF-8, and other characters of the file are: save it as CSV UTF-8, or add --encoding"},
		"DOS letters":                 {"ID;Bilag;Dato;Konto;Amount;Tekst\n1;V;31.10.2026;1920;5,00;Kj\x9bp\n", Options{}, "add --encoding cp865"},
		"text after a quote":          {line("x", `"Kaffe" og te`), Options{}, "e.csv:2:37: text after a closing quote"},
		"UTF-32":                      {"\xff\xfe\x00\x00I\x00\x00\x00", Options{}, "UTF-32"},
		"a PDF":                       {"%PDF-1.7\n", Options{}, "the file is a PDF: export the entries"},
		"an old workbook":             {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 600), Options{}, "an old Excel file (.xls): open it in Excel"},
		"a workbook with a password":  {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 70000) + utf16(unicode.LittleEndian, "EncryptedPackage")[2:], Options{}, "a workbook with a password: take the password off"},
		"a page":                      {"\n<HTML><table>", Options{}, "an HTML page, which some systems name .xls"},
		"XML":                         {`<?xml version="1.0"?><AuditFile/>`, Options{}, "XML, not CSV"},
		"compressed":                  {"\x1f\x8b\x08", Options{}, "compressed (gzip): unpack it first"},
		"bytes":                       {strings.Repeat("\x00\x01\x02", 1000), Options{}, "not a text file"},
		"a zip that is cut":           {"PK\x03\x04xx", Options{}, "damaged or not complete"},
		"a sheet of CSV":              {line(), Options{Sheet: "Ark1"}, "--sheet is for workbooks"},
		"CSV as a workbook":           {line(), Options{Format: FormatXLSX}, "not a workbook"},
		"JSON with columns":           {`{"entry_id":"1"}`, Options{Columns: map[string]string{"account": "Kto"}, Format: FormatJSONLines}, "--columns is for CSV and workbooks"},
		"JSON with a file's columns":  {`{"entry_id":"1"}`, Options{Columns: map[string]string{"account": "Kto"}, ColumnsOf: "export.columns of x", Format: FormatJSONLines}, "export.columns of x is for CSV and workbooks"},
		"a heading of a file":         {line(), Options{Columns: map[string]string{"account": "Kto"}, ColumnsOf: "export.columns of x"}, `no column "Kto", which is to be account by export.columns of x: want one of ID`},
		"dimension with nothing":      {"ID;Bilag;Dato;Konto;Beløp;Avd\n1;V;31.10.2026;1920;5,00;#N/A\n", Options{}, `dimensions.department "#N/A" is a spreadsheet's error`},
		"JSON date":                   {`{"entry_id":"1","voucher_id":"V","entry_date":"31.10.2026","account":"3000","amount":7}`, Options{Format: FormatJSONLines}, `entry_date "31.10.2026": want a date such as 2026-10-31`},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Now = now
			_, err := all(open(t, "e.csv", c.text, c.o))
			require.ErrorContains(t, err, c.says)
			var wrong *Error
			require.ErrorAs(t, err, &wrong)
			for _, p := range wrong.Problems {
				require.Positive(t, p.Line)
				require.Positive(t, p.Column)
			}
		})
	}
}

// A file that is open in one thing has its other errors shown too.
func TestOpenFilesShowTheirOtherErrors(t *testing.T) {
	_, err := all(open(t, "e.csv", nordic+"1;V;03/04/2026;1920;1.234;\n2;;03/04/2026;1920;1.234;\n", Options{Now: now}))
	require.ErrorContains(t, err, "--decimal-sign")
	require.ErrorContains(t, err, "--date-order")
	require.ErrorContains(t, err, "e.csv:3:3: voucher_id is missing")
	require.Equal(t, 2, strings.Count(err.Error(), "\n"))
}

// IDs that are made are the same in any order of the lines.
func TestMadeIDsDoNotDependOnTheOrder(t *testing.T) {
	o := Options{Now: now, IDFrom: []string{"voucher_id", "account"}}
	first := lines(t, open(t, "e", "Bilag;Dato;Konto;Beløp\nV;31.10.2026;1;-5,00\nV;31.10.2026;2;5,00\n", o))
	second := lines(t, open(t, "e", "Konto,Bilag,Dato,Beløp\n2,V,2026-10-31,5.00\n1,V,2026-10-31,-5.00\n", o))
	require.ElementsMatch(t, strings.Split(first, "\n"), strings.Split(second, "\n"))
	long := lines(t, open(t, "e", "Bilag;Dato;Konto;Beløp\n"+strings.Repeat("V", 190)+";31.10.2026;"+strings.Repeat("1", 190)+";-5,00\n", o))
	require.Regexp(t, `^sha256:[0-9a-f]{64} `, long)
}

func TestOpenFile(t *testing.T) {
	folder := t.TempDir()
	_, err := OpenFile(folder, nil, Options{})
	require.ErrorContains(t, err, "is a folder: want a file")
	_, err = OpenFile(filepath.Join(folder, "none"), nil, Options{})
	require.ErrorAs(t, err, new(*OptionError))

	text := nordic + "1;V;31.10.2026;1920;5,00;\n"
	pipe := filepath.Join(folder, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	go func() {
		out, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		if err == nil {
			_, _ = out.WriteString(text)
			_ = out.Close()
		}
	}()
	f, err := OpenFile(pipe, nil, Options{Now: now})
	require.NoError(t, err)
	require.Equal(t, "1 V 2026-10-31 1920 5.00 NOK", lines(t, f))
	stored := f.src.file.Name()
	require.FileExists(t, stored)
	require.NoError(t, f.Close())
	require.NoFileExists(t, stored)

	growing := filepath.Join(folder, "growing.csv")
	require.NoError(t, os.WriteFile(growing, []byte(text), 0o600))
	f, err = OpenFile(growing, nil, Options{Now: now})
	require.NoError(t, err)
	more, err := os.OpenFile(growing, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = more.WriteString("2;V;31.10")
	require.NoError(t, err)
	require.NoError(t, more.Close())
	_, err = all(f)
	require.ErrorContains(t, err, "was changed while it was read")
	require.NoError(t, f.Close())
	require.FileExists(t, growing, "only what was stored here is removed")
}

func TestCheck(t *testing.T) {
	text := nordic
	for i, amount := range []string{"-0,10", "-0,20", "0,30", "999999999999999999,99", "999999999999999999,99", "-1999999999999999999,98", "1", "1"} {
		text += fmt.Sprintf("%d;%s;31.10.2026;1920;%s;\n", i, []string{"A", "A", "A", "B", "B", "C", "D", "E"}[i], amount)
	}
	text = strings.Replace(text, "-1999999999999999999,98", "-1,5", 1)
	s, err := Check(open(t, "e", text, Options{Now: now}), 3, nil)
	require.NoError(t, err)
	require.Equal(t, 8, s.Count)
	require.Equal(t, 5, s.Vouchers)
	require.Len(t, s.Sample, 3)
	require.Equal(t, []Imbalance{{"B", "1999999999999999999.98"}, {"C", "-1.50"}, {"D", "1.00"}, {"E", "1.00"}}, s.Unbalanced)
}

// Amounts of two currencies have no sum: such a voucher is named, whatever it sums to.
func TestCheckOfCurrencies(t *testing.T) {
	text := "ID;Bilagsnr;Dato;Konto;Beløp;Valuta\n"
	for i, line := range []string{"A;100;NOK", "A;-100;eur", "B;100;NOK", "B;-100;NOK", "C;1;NOK", "D;5;USD", "D;5;EUR", "D;5;NOK"} {
		parts := strings.Split(line, ";")
		text += fmt.Sprintf("%d;%s;31.10.2026;1920;%s;%s\n", i, parts[0], parts[1], parts[2])
	}
	s, err := Check(open(t, "e", text, Options{Now: now}), 0, nil)
	require.NoError(t, err)
	require.Equal(t, 2, s.MixedCount)
	require.Equal(t, []Mixed{{"A", [2]string{"EUR", "NOK"}}, {"D", [2]string{"EUR", "USD"}}}, s.Mixed)
	require.Equal(t, 1, s.UnbalancedCount)
	require.Equal(t, []Imbalance{{"C", "1.00"}}, s.Unbalanced)
}
