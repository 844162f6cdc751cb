package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
)

const head = "entry_id,voucher_id,entry_date,account,amount,currency,text,dimensions\n"

// Blanks of every kind around a value are dropped, and entries check shows what
// was read, without a database.
func TestEntriesCheck(t *testing.T) {
	check := func(in string, args ...string) (int, string, string) {
		var out, words bytes.Buffer
		code := run(t.Context(), append([]string{"entries", "check", "-f", "-"}, args...), strings.NewReader(in), &out, &words)
		return code, out.String(), words.String()
	}
	file := head + "\u00a0E1,V1\u3000,2026-10-31\u202f,1920\u00a0,-5.00\u00a0,NOK\ufeff,Kaffe og \u202fte,\"{\"\"a\u00a0\"\": \"\" b\"\"}\"\n"
	code, out, words := check(file, "-o", "json")
	require.Equal(t, exitOK, code, words)
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.EqualValues(t, 1, got["count"])
	require.EqualValues(t, 1, got["vouchers"])
	require.Equal(t, []any{map[string]any{"entryId": "E1", "voucherId": "V1", "date": "2026-10-31", "account": "1920", "amount": "-5.00", "currency": "NOK",
		"text": "Kaffe og \u202fte", "dimensions": map[string]any{"a": "b"}}}, got["sample"])
	require.Equal(t, []any{map[string]any{"voucherId": "V1", "difference": "-5.00"}}, got["unbalanced"])
	require.Equal(t, []any{}, got["errors"])
	code, out, _ = check(file)
	require.Equal(t, exitOK, code)
	require.Regexp(t, `read as CSV, UTF-8, separator comma, decimal point, dates iso\n`, out)
	require.Regexp(t, `E1 +V1 +2026-10-31 +1920 +-5.00 +NOK +Kaffe og .te +a=b\n`, out)
	require.Contains(t, out, "warning: an export would refuse vouchers that do not sum to zero: V1 by -5.00\n1 entry in 1 voucher\n")

	code, out, _ = check("entry_id,voucher_id,entry_date,account,amount,currency\n1,V1,2026-10-31,1920,5,NOK\n2,V1,2026-10-31,1920,-5,EUR\n")
	require.Equal(t, exitOK, code)
	require.Contains(t, out, "warning: an export would refuse vouchers that have more than one currency: V1 (EUR, NOK)\n2 entries in 1 voucher\n")

	file = head + "E1,V1,31.10.26,1920,x\n" + strings.Repeat("E2,V1,2026-10-31,1920,y\n", 30)
	code, out, words = check(file, "-o", "json")
	require.Equal(t, exitUsage, code)
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Len(t, got["errors"], 2+30+29)
	require.Equal(t, 2.0, got["errors"].([]any)[0].(map[string]any)["line"])
	require.Contains(t, words, "61 errors")
	code, _, words = check(file)
	require.Equal(t, exitUsage, code)
	require.Contains(t, words, "-:2:7: entry_date")
	require.Contains(t, words, "-:2:21: amount")
	require.Contains(t, words, "-: and 41 more")

	for _, args := range [][]string{{"--decimal-sign", ";"}, {"--date-order", "ymd"}, {"--columns", "konto=Konto"}, {"--encoding", "latin1"}, {"--format", "xls"}} {
		code, _, words = check(file, args...)
		require.Equal(t, exitUsage, code)
		require.Contains(t, words, args[0]+" ")
		require.Contains(t, words, "want ")
	}
}

// An integration's file names the columns, and --columns names them instead.
func TestColumnsOfAnIntegration(t *testing.T) {
	in := integrations.Integration{Name: "main", Export: integrations.ExportSettings{Columns: map[string]string{"account": "Kto", "dimensions.region": "Region"}}}
	read := func(in integrations.Integration, file string, args ...string) (columns map[string]string, err error) {
		t.Helper()
		var flags readFlags
		c := &cobra.Command{Use: "import", SilenceUsage: true, SilenceErrors: true, RunE: func(c *cobra.Command, _ []string) error {
			flags.options.ColumnsFrom(in)
			f, err := flags.open(c)
			if err != nil {
				return err
			}
			defer f.Close()
			for _, err := range f.Entries(nil) {
				if err != nil {
					return err
				}
			}
			columns = f.Reading().Columns
			return nil
		}}
		flags.add(c)
		c.SetIn(strings.NewReader(file))
		c.SetErr(&bytes.Buffer{})
		c.SetArgs(append([]string{"-f", "-"}, args...))
		return columns, c.Execute()
	}
	const file = "ID;Bilag;Dato;Kto;Motkonto;Beløp;Region\n1;V;31.10.2026;3000;1920;5,00;Nord\n"
	columns, err := read(in, file, "--ignore-columns")
	require.NoError(t, err)
	require.Equal(t, []string{"Kto", "Region"}, []string{columns["account"], columns["dimensions.region"]})
	columns, err = read(in, file, "--ignore-columns", "--columns", "account=Motkonto")
	require.NoError(t, err)
	require.Equal(t, []string{"Motkonto", ""}, []string{columns["account"], columns["dimensions.region"]})
	_, err = read(in, strings.Replace(file, "Kto", "Nr", 1), "--ignore-columns")
	require.ErrorContains(t, err, `no column "Kto", which is to be account by export.columns of main`)
	_, err = read(integrations.Integration{Name: "main"}, file, "--ignore-columns")
	require.ErrorContains(t, err, "column account is missing")
}
