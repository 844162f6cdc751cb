package entryfile

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
)

// book makes a workbook of rows.
func book(t testing.TB, rows [][]any, change func(*excelize.File)) string {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	for i, row := range rows {
		at, err := excelize.CoordinatesToCellName(1, i+1)
		require.NoError(t, err)
		require.NoError(t, f.SetSheetRow("Sheet1", at, &row))
	}
	if change != nil {
		change(f)
	}
	b, err := f.WriteToBuffer()
	require.NoError(t, err)
	return b.String()
}

var bookHead = []any{"ID", "Bilagsnr", "Dato", "Konto", "Beløp", "Tekst"}

func TestWorkbook(t *testing.T) {
	text := book(t, [][]any{
		{"Hovedbok"}, {}, bookHead,
		{1001, "V1", 46326, 1920, -1234.5600000000001, "Kjøp"},
		{},
		{"1002", "V1", "31.10.2026", "3000", "1 234,56", "Salg", nil, nil},
		{1003, 7, 20261031, 3000, 0.1 + 0.2, nil},
		{"1004", "V1", "2026-10-31T00:00:00", "0300", 5, nil},
	}, func(f *excelize.File) {
		require.NoError(t, f.SetRowVisible("Sheet1", 7, false))
		_, err := f.NewSheet("Notater")
		require.NoError(t, err)
		require.NoError(t, f.SetCellFormula("Sheet1", "F8", `"a"&"b"`)) // without a cached value: an empty text
	})
	f := open(t, "liste.csv", text, Options{Now: now})
	require.Equal(t, "1001 V1 2026-10-31 1920 -1234.56 NOK Kjøp\n1002 V1 2026-10-31 3000 1234.56 NOK Salg\n1003 7 2026-10-31 3000 0.30 NOK\n1004 V1 2026-10-31 0300 5.00 NOK", lines(t, f))
	require.Equal(t, Reading{Format: FormatXLSX, Sheet: "Sheet1", HeadingLine: 3, DecimalSign: ",", Grouping: "blank", DateOrder: "iso+serial+dmy", Columns: f.reading.Columns}, f.Reading())
	require.Len(t, f.Warnings(), 2)
	require.Contains(t, f.Warnings()[0], "1 hidden rows of sheet Sheet1")
	require.Contains(t, f.Warnings()[1], "the others were not: Notater")
}

func TestWorkbookDates(t *testing.T) {
	from1904 := book(t, [][]any{bookHead, {"1", "V", 46326 - 1462, "1920", 5}}, func(f *excelize.File) {
		yes := true
		require.NoError(t, f.SetWorkbookProps(&excelize.WorkbookPropsOptions{Date1904: &yes}))
	})
	require.Equal(t, "1 V 2026-10-31 1920 5.00 NOK", lines(t, open(t, "x", from1904, Options{Now: now})))
	d := dates{allow: true, now: now}
	for serial, want := range map[string]string{"1": "1900-01-01", "59": "1900-02-28", "61": "1900-03-01", "46326": "2026-10-31", "46326.0000000001": "2026-10-31"} {
		got, err := d.serial(serial)
		require.NoError(t, err)
		require.Equal(t, want, got.Format("2006-01-02"), serial)
	}
}

func TestWorkbooksThatAreRefused(t *testing.T) {
	one := func(cells ...any) string { return book(t, [][]any{bookHead, cells}, nil) }
	zipped := func(names ...string) string {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, name := range names {
			w, err := z.Create(name)
			require.NoError(t, err)
			_, err = w.Write([]byte("x"))
			require.NoError(t, err)
		}
		require.NoError(t, z.Close())
		return b.String()
	}
	// shortened is a workbook whose sheet was cut, with everything else as it should be.
	shortened := func() string {
		return rewritten(t, one("1", "V", 46326, "1920", 5), func(sheet string) string {
			before, _, _ := strings.Cut(sheet, `<row r="2"`)
			return before
		})
	}
	var bomb bytes.Buffer
	z := zip.NewWriter(&bomb)
	_, err := z.CreateRaw(&zip.FileHeader{Name: "xl/workbook.xml", UncompressedSize64: 3 << 30, CompressedSize64: 0})
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for name, c := range map[string]struct {
		text string
		o    Options
		says string
	}{
		"more than noise":           {one("1", "V", 46326, "1920", 1234.567), Options{}, `e.xlsx: E2: amount "1234.567" has more than two decimal places`},
		"time of day":               {one("1", "V", 46326.5, "1920", 5), Options{}, "C2: entry_date \"46326.5\" has a time of day"},
		"a date that means none":    {one("1", "V", 0, "1920", 5), Options{}, "is in the year 1899"},
		"a formula's error":         {one("1", "V", 46326, "#N/A", 5), Options{}, `D2: account "#N/A" is a spreadsheet's error`},
		"digits that are lost":      {one("1", "V", 46326, "1.23456789E+20", 5), Options{}, "its digits are lost"},
		"merged cells":              {one("1", "", 46326, 1920, 5), Options{}, "B2: voucher_id is missing: want a name of at most 200 characters; if the cell is merged with the one above, unmerge them"},
		"a total":                   {book(t, [][]any{bookHead, {"1", "V", 46326, "1920", 5}, {nil, nil, nil, "Sum", 5}}, nil), Options{}, "E3: amount \"5\" without an entry ID and a voucher: if the line is a total, delete it"},
		"a sheet that is not there": {one("1"), Options{Sheet: "Ark2"}, `no sheet "Ark2": want one of Sheet1`},
		"an empty sheet":            {book(t, nil, func(f *excelize.File) { _, _ = f.NewSheet("Data") }), Options{}, "for another one add --sheet, one of Data"},
		"the encoding of a book":    {one("1"), Options{Encoding: "utf-8"}, "--encoding is for CSV"},
		"as CSV":                    {one("1"), Options{Format: FormatCSV}, "leave --format out"},
		"OpenDocument":              {zipped("mimetype", "content.xml"), Options{}, "an OpenDocument file (.ods)"},
		"binary":                    {zipped("xl/workbook.bin"), Options{}, "a binary workbook (.xlsb)"},
		"a zip file":                {zipped("entries.csv"), Options{}, "a zip file and not a workbook: unpack it first"},
		"no workbook":               {zipped("xl/workbook.xml"), Options{}, "e.xlsx:1:1: "},
		"too large":                 {bomb.String(), Options{}, "a workbook of more than 1024 MiB when unpacked"},
		"cut":                       {one("1")[:2000], Options{}, "damaged or not complete"},
		"an open amount":            {one("1", "V", 46326, "1920", "1,234"), Options{}, "E2: amount \"1,234\" can be 1234 or 1.234"},
		"a sheet that is cut":       {shortened(), Options{}, "has no end): save it again"},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Now = now
			_, err := all(open(t, "e.xlsx", c.text, c.o))
			require.ErrorContains(t, err, c.says)
			require.ErrorAs(t, err, new(*Error))
		})
	}
}

func TestSheetByName(t *testing.T) {
	text := book(t, [][]any{{"Forside"}}, func(f *excelize.File) {
		_, err := f.NewSheet("Data")
		require.NoError(t, err)
		for at, row := range map[string][]any{"A1": bookHead, "A2": {"1", "V", 46326, "1920", 5}} {
			require.NoError(t, f.SetSheetRow("Data", at, &row))
		}
	})
	require.Equal(t, "1 V 2026-10-31 1920 5.00 NOK", lines(t, open(t, "x", text, Options{Now: now, Sheet: "data"})))
	hidden := book(t, [][]any{{"Skjult"}}, func(f *excelize.File) {
		_, err := f.NewSheet("Data")
		require.NoError(t, err)
		for at, row := range map[string][]any{"A1": bookHead, "A2": {"1", "V", 46326, "1920", 5}} {
			require.NoError(t, f.SetSheetRow("Data", at, &row))
		}
		f.SetActiveSheet(1)
		require.NoError(t, f.SetSheetVisible("Sheet1", false))
	})
	require.Equal(t, "1 V 2026-10-31 1920 5.00 NOK", lines(t, open(t, "x", hidden, Options{Now: now})))
}
