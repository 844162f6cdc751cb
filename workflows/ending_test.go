package workflows_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/workflows"
)

func TestEndings(t *testing.T) {
	failed := &workflows.Failure{ErrorClass: classify.Permanent}
	for name, c := range map[string]struct {
		is   interface{ Ending() workflows.Ending }
		want workflows.Ending
	}{
		"call":                  {workflows.Outcome{OK: true, Effect: classify.Done}, workflows.Succeeded},
		"call failed":           {workflows.Outcome{Failure: failed, Kind: classify.Unauthorized}, workflows.EndedFailed},
		"call cancelled":        {workflows.Outcome{Failure: failed, Kind: classify.Cancelled, Effect: classify.None}, workflows.EndedCancelled},
		"call open":             {workflows.Outcome{Failure: failed, Kind: classify.Cancelled, Effect: classify.Open}, workflows.EndedOpen},
		"export":                {workflows.SyncResult{Export: exports.Export{Status: exports.Complete, Exported: 2}}, workflows.Succeeded},
		"export there before":   {workflows.SyncResult{AlreadyExported: true, Export: exports.Export{Status: exports.Failed}}, workflows.Succeeded},
		"export refused":        {workflows.SyncResult{Refused: "no"}, workflows.EndedRefused},
		"export failed":         {workflows.SyncResult{Export: exports.Export{Status: exports.Failed, Rejected: 1}}, workflows.EndedFailed},
		"export cancelled":      {workflows.SyncResult{Export: exports.Export{Status: exports.Failed, ErrorCode: classify.Cancelled}}, workflows.EndedCancelled},
		"export open":           {workflows.SyncResult{Export: exports.Export{Status: exports.Failed, ErrorCode: classify.Cancelled, Unknown: 1}}, workflows.EndedOpen},
		"export partly":         {workflows.SyncResult{Export: exports.Export{Status: exports.Complete, Rejected: 1}}, workflows.EndedPartly},
		"backfill":              {workflows.BackfillResult{Exported: 2}, workflows.Succeeded},
		"backfill with refused": {workflows.BackfillResult{Refused: []string{"2026-10: no"}}, workflows.EndedPartly},
	} {
		require.Equal(t, c.want, c.is.Ending(), name)
	}
}

// Temporal refuses to start a workflow whose summary is longer than 400 bytes.
func TestLineFits(t *testing.T) {
	require.Equal(t, "short", workflows.Line("short"))
	for _, s := range []string{strings.Repeat("x", 500), strings.Repeat("ø", 500), "x" + strings.Repeat("€", 500)} {
		cut := workflows.Line(s)
		require.LessOrEqual(t, len(cut), 400)
		require.True(t, utf8.ValidString(cut))
		require.True(t, strings.HasSuffix(cut, "…"))
	}
}
