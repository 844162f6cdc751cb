package entryfile

import (
	"archive/zip"
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
)

// rewritten is a workbook whose sheet was changed as a text.
func rewritten(t *testing.T, text string, change func(string) string) string {
	t.Helper()
	in, err := zip.NewReader(strings.NewReader(text), int64(len(text)))
	require.NoError(t, err)
	var b bytes.Buffer
	out := zip.NewWriter(&b)
	for _, f := range in.File {
		r, err := f.Open()
		require.NoError(t, err)
		part, err := io.ReadAll(r)
		require.NoError(t, err)
		if strings.HasPrefix(f.Name, "xl/worksheets/") {
			part = []byte(change(string(part)))
		}
		w, err := out.Create(f.Name)
		require.NoError(t, err)
		_, err = w.Write(part)
		require.NoError(t, err)
	}
	require.NoError(t, out.Close())
	return b.String()
}

// What looks the same is a number in one cell and a text in another, however the workbook stores
// it; only the number says by itself what it means.
func TestTextsOfAWorkbookAreNoNumbers(t *testing.T) {
	row := func(id string, amount any) []any { return []any{id, "V", 46326, "1920", amount} }
	kinds := map[string]func(string) string{ // how a text is stored
		"shared": func(sheet string) string { return sheet },
		"inline": func(sheet string) string {
			return strings.ReplaceAll(sheet, `<c r="E3" t="s"><v>`, `<c r="E3" t="inlineStr"><is><t>12.500</t></is><v>`)
		},
		"of a formula": func(sheet string) string {
			return regexp.MustCompile(`<c r="E3" t="s"><v>\d+</v>`).ReplaceAllString(sheet, `<c r="E3" t="str"><f>"12."&amp;"500"</f><v>12.500</v>`)
		},
		"of cells without places": func(sheet string) string { return regexp.MustCompile(` r="[A-Z]*[0-9]+"`).ReplaceAllString(sheet, "") },
	}
	for name, change := range kinds {
		t.Run(name, func(t *testing.T) {
			mixed := rewritten(t, book(t, [][]any{bookHead, row("1", 12.5), row("2", "12.500")}, nil), change)
			_, err := all(open(t, "e.xlsx", mixed, Options{Now: now}))
			require.ErrorContains(t, err, `E3: amount "12.500" can be 12500 or 12.500, and no amount of the file decides it: add --decimal-sign ,`)
			require.Equal(t, "1 V 2026-10-31 1920 12.50 NOK\n2 V 2026-10-31 1920 12500 NOK", lines(t, open(t, "e", mixed, Options{Now: now, DecimalSign: ","})))
			require.Equal(t, "1 V 2026-10-31 1920 12.50 NOK\n2 V 2026-10-31 1920 12.50 NOK", lines(t, open(t, "e", mixed, Options{Now: now, DecimalSign: "."})))

			decided := rewritten(t, book(t, [][]any{bookHead, row("1", 1.25), row("2", "12.500"), row("3", "-1.234,50")}, nil), change)
			f := open(t, "e", decided, Options{Now: now})
			require.Equal(t, "1 V 2026-10-31 1920 1.25 NOK\n2 V 2026-10-31 1920 12500 NOK\n3 V 2026-10-31 1920 -1234.50 NOK", lines(t, f))
			require.Equal(t, ",", f.Reading().DecimalSign)
			require.Equal(t, "point", f.Reading().Grouping)
		})
	}
}

func TestTypesOfAWorkbook(t *testing.T) {
	sides := book(t, [][]any{{"ID", "Bilagsnr", "Dato", "Konto", "Debet", "Kredit"},
		{"1", "V", 46326, "1920", "1.000", nil}, {"2", "V", 46326, "1920", nil, "1.000"}, {"3", "V", 46326, "1920", 0.5, 0}}, nil)
	_, err := all(open(t, "e.xlsx", sides, Options{Now: now}))
	require.ErrorContains(t, err, `E2: amount "1.000" can be 1000 or 1.000`)
	require.Equal(t, "1 V 2026-10-31 1920 1000 NOK\n2 V 2026-10-31 1920 -1000 NOK\n3 V 2026-10-31 1920 0.50 NOK", lines(t, open(t, "e", sides, Options{Now: now, DecimalSign: ","})))

	one := func(cells ...any) string { return book(t, [][]any{bookHead, cells}, nil) }
	for text, says := range map[string]string{
		one("1", "V", "46326", "1920", 5):  `C2: entry_date "46326" is a spreadsheet's number of a date`,
		one("1", "V", 46326, "1920", true): "E2: amount is a boolean",
		one("1", "V", true, "1920", 5):     "C2: entry_date is a boolean",
	} {
		_, err := all(open(t, "e.xlsx", text, Options{Now: now}))
		require.ErrorContains(t, err, says)
	}
	calculated := rewritten(t, one("1", "V", 46326, "1920", 5), func(sheet string) string {
		return strings.Replace(sheet, `<c r="E2"><v>5</v>`, `<c r="E2" t="n"><f>1+1.234</f><v>1.23</v>`, 1)
	})
	require.Equal(t, "1 V 2026-10-31 1920 1.23 NOK", lines(t, open(t, "e", calculated, Options{Now: now, DecimalSign: ","})), "a formula's number")

	other := book(t, [][]any{{"Forside"}, {"", "", "x", "", "x"}}, func(f *excelize.File) {
		_, err := f.NewSheet("Data")
		require.NoError(t, err)
		for at, row := range map[string][]any{"A1": bookHead, "A2": {"1", "V", 46326, "1920", 1.234e3}, "A900": {"2", "V", 46326, "1920", "1.234"}} {
			require.NoError(t, f.SetSheetRow("Data", at, &row))
		}
	})
	require.Equal(t, "1 V 2026-10-31 1920 1234.00 NOK\n2 V 2026-10-31 1920 1234 NOK", lines(t, open(t, "e", other, Options{Now: now, Sheet: "data", DecimalSign: ","})), "of the sheet that is read")
}
