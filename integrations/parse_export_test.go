package integrations_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
)

func parseExport(export string) (integrations.ExportSettings, error) {
	src := strings.Replace(good, "    credentials: {token", "    export: "+export+"\n    credentials: {token", 1)
	list, err := integrations.Parse("x.yaml", []byte(src), integrations.Options{})
	if err != nil {
		return integrations.ExportSettings{}, err
	}
	return list[0].Export, nil
}

func TestExportInFile(t *testing.T) {
	e, err := parseExport(`{source: books.ledger, chunkSize: 200, accounts: {"1920": "1920", 03000: 3000}, dimensions: {internal: ""}, currencies: [EUR],
      columns: {entry_id: Linje, debit: "Beløp D", dimensions.region: Region}}`)
	require.NoError(t, err)
	require.Equal(t, integrations.ExportSettings{
		Source: "books.ledger", ChunkSize: 200, Accounts: map[string]string{"1920": "1920", "03000": "3000"},
		Dimensions: map[string]string{"internal": ""}, Currencies: []string{"EUR"},
		Columns: map[string]string{"entry_id": "Linje", "debit": "Beløp D", "dimensions.region": "Region"},
	}, e)
	require.Equal(t, []int{500, 0}, []int{e.Isolating(), e.EqualRefusals})
	e, err = parseExport(`{isolateRequests: 0, equalRefusals: 3}`)
	require.NoError(t, err)
	require.Equal(t, []int{0, 3}, []int{e.Isolating(), e.EqualRefusals})
	e, err = parseExport(`{source: ledgerline.accounting_entries}`)
	require.NoError(t, err)
	require.Zero(t, e)
	without, err := json.Marshal(integrations.Integration{Export: e})
	require.NoError(t, err)
	require.NotContains(t, string(without), "export", "what was stored before reads and compares the same")

	for text, says := range map[string]string{
		`{source: ledger}`:                     `x.yaml:7:22: integrations[0].export.source: "ledger"; want a table or view as schema.name`,
		`{source: "a.b; DROP TABLE x"}`:        "export.source",
		`{source: Books.Ledger}`:               "lower-case",
		`{chunkSize: 0}`:                       `"0"; want 1 to 500`,
		`{chunkSize: 501}`:                     `"501"; want 1 to 500, the most entries that adapter xledger sends`,
		`{chunkSize: many}`:                    "export.chunkSize",
		`{isolateRequests: -1}`:                `"-1"; want 0 to 10000`,
		`{isolateRequests: 10001}`:             "export.isolateRequests",
		`{isolateRequests: all}`:               "export.isolateRequests",
		`{equalRefusals: 0}`:                   `"0"; want 1 to 100`,
		`{equalRefusals: 101}`:                 "export.equalRefusals",
		`{chunks: 3}`:                          "export.chunks: unknown field",
		`{accounts: {}}`:                       "an empty mapping",
		`{accounts: {"1": ""}}`:                "x.yaml:7:30: integrations[0].export.accounts.1: want a name",
		`{accounts: {"1": }}`:                  "export.accounts.1: nothing; want a text",
		`{accounts: {"1": [2]}}`:               "export.accounts.1: a list; want a text",
		`{accounts: {"1": "2", 1: "3"}}`:       "export.accounts.1: duplicate field (first on line 7)",
		`{accounts: {"1": &a "2"}}`:            "anchors",
		`{accounts: {" 1": "2"}}`:              "blanks around it",
		"{accounts: {\"1\": \"2\\e\"}}":        "control character U+001B at its character 2",
		`{dimensions: {department: }}`:         `nothing; want a text, "" to leave it out`,
		`{dimensions: [department]}`:           "a list; want a mapping of dimensions",
		`{currencies: []}`:                     "an empty list",
		`{currencies: NOK}`:                    "a single value; want a list",
		`{currencies: [nok]}`:                  `export.currencies[0]: "nok"; want three capital letters`,
		`{currencies: [NOK, NOK]}`:             "export.currencies[1]: duplicate currency NOK",
		`{columns: {}}`:                        "an empty mapping; want a mapping of columns",
		`{columns: [account]}`:                 "a list; want a mapping of columns, ours to the heading",
		`{columns: {account: ""}}`:             "x.yaml:7:33: integrations[0].export.columns.account: want a name",
		`{columns: {acount: Konto}}`:           "x.yaml:7:24: integrations[0].export.columns.acount: not a column of ours (did you mean account?); want one of entry_id, voucher_id",
		`{columns: {dimensions.: Avd}}`:        "export.columns.dimensions.: not a column of ours",
		`{columns: {account: K, amount: K}}`:   `x.yaml:7:44: integrations[0].export.columns.amount: column "K" is account already`,
		`{columns: {account: K, account: L}}`:  "export.columns.account: duplicate field (first on line 7)",
		`{chunkSize: 0, currencies: [kroner]}`: "export.currencies[0]",
	} {
		_, err := parseExport(text)
		require.ErrorContains(t, err, says, text)
	}
}
