package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/proof"
	"github.com/ledgerline/ledgerline/statement"
)

// The table lists some of the differences and JSON all; what does not agree is an
// error.
func TestPrintProof(t *testing.T) {
	until := time.Date(2026, 11, 23, 12, 34, 56, 0, time.UTC)
	found := proof.Proof{
		Agrees: new(false), More: 3,
		Findings: []proof.Check{{What: "vendor", Agrees: proof.Disagrees, Evidence: "1 of 1 are there"}, {What: "open", Agrees: proof.Undecided, Evidence: "0 of 1 are there"}},
		Differences: []proof.Difference{
			{VoucherID: "v1", EntryID: "e1", State: statement.StateOf(exports.Exported), Agrees: proof.Disagrees, Says: "it is there with amount 1.50, but 1.00 on record", Found: &adapters.LookupResult{Count: 1, Amount: "1.50"}},
			{VoucherID: "v2", EntryID: "e2", State: statement.StateOf(exports.Sent), Agrees: proof.Undecided, Says: "it is not there, and can still take effect until " + localTime(until.Local())},
		},
	}
	var out bytes.Buffer
	err := (&app{output: outputTable}).printProof(&out, found)
	require.EqualError(t, err, "something does not agree")
	require.Contains(t, out.String(), "v1       e1     exported   there with amount 1.50, but 1.00 on record")
	require.Contains(t, out.String(), "not there, and can still take effect until "+localTime(until.Local()))
	require.Contains(t, out.String(), "and 3 more; -o json lists all")

	out.Reset()
	require.Error(t, (&app{output: outputJSON}).printProof(&out, found))
	var got struct {
		ExportID    string
		Agrees      bool
		Findings    []map[string]any
		Differences []map[string]any
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &got))
	require.False(t, got.Agrees)
	require.Len(t, got.Findings, 2)
	require.Equal(t, map[string]any{"voucherId": "v1", "entryId": "e1", "state": "exported", "agrees": false,
		"says": "it is there with amount 1.50, but 1.00 on record", "found": map[string]any{"count": 1.0, "amount": "1.50"}}, got.Differences[0])
	require.Nil(t, got.Differences[1]["agrees"])
}
