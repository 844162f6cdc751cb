package main

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

func changed(name string, action runlog.ApplyAction, changes ...integrations.FieldChange) applyResult {
	return applyResult{IntegrationChange: runlog.IntegrationChange{Name: name, Action: action, Changes: changes}}
}

func TestDifferencesAreSaidFieldByField(t *testing.T) {
	removed := changed("old", runlog.ActionRemoved)
	removed.Schedule = &scheduleResult{}
	removed.Pending = []runlog.PendingPeriod{{ExportID: uuid.Nil, Period: "2026-10", Planned: 84}}
	var words strings.Builder
	sayDifferences(&words, []applyResult{
		changed("main", runlog.ActionUpdated, integrations.FieldChange{Field: "retry.maxRetries", Old: "3", New: "1"},
			integrations.FieldChange{Field: "inFlight", New: "2m0s"}, integrations.FieldChange{Field: "export.source", Old: "a.b"}),
		changed("new", runlog.ActionCreated, integrations.FieldChange{Field: "credentials.token", New: "env:TOKEN"}),
		changed("same", runlog.ActionUnchanged), changed("same-too", runlog.ActionUnchanged), changed("foreign", runlog.ActionNotInFile), removed,
	})
	require.Equal(t, `~ main
    ~ retry.maxRetries: 3 → 1
    + inFlight: 2m0s
    - export.source: a.b
+ new
    + credentials.token: env:TOKEN
- old: it is no longer called; its records are kept, and it comes back when it is applied again
    its schedule ends
    its export of 2026-10 (00000000-0000-0000-0000-000000000000) ends as failed, with 84 entries not sent
unchanged: same, same-too
`, words.String())
}

// Nothing is removed that nobody has agreed to.
func TestPruneIsConfirmed(t *testing.T) {
	c := new(cobra.Command)
	var words strings.Builder
	c.SetIn(strings.NewReader("yes\n"))
	c.SetErr(&words)
	require.NoError(t, confirmPrune(c, []applyResult{changed("a", runlog.ActionUpdated), changed("b", runlog.ActionNotInFile)}, false), "it removes nothing")
	removes := []applyResult{changed("a", runlog.ActionRemoved), changed("b", runlog.ActionRemoved)}
	require.NoError(t, confirmPrune(c, removes, true))
	err := confirmPrune(c, removes, false)
	require.ErrorContains(t, err, "--prune removes 2 integrations: a, b; nothing was applied. To remove what is listed above, add --yes")
	var exit exitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, exitUsage, exit.code)

	for answer, agrees := range map[string]bool{"yes\n": true, " yes ": true, "y\n": false, "\n": false, "": false, "no\n": false, "yes please\n": false} {
		words.Reset()
		require.Equal(t, agrees, askPrune(strings.NewReader(answer), &words, []string{"a", "b"}) == nil, "%q", answer)
		require.Contains(t, words.String(), "Remove a, b? Type yes")
	}
}
