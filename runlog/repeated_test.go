package runlog_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/runlog"
)

// A line that is stored under another ID is not stored again under a new one: each ID is
// exported once, and both would be.
func TestRepeatedLines(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	first := pair("v", "700.00", "1920", october)
	_, err := b.importing(first, runlog.ImportOptions{})
	require.NoError(t, err, "nothing is there to be repeated")

	named := func(ids ...string) []runlog.AccountingEntry {
		list := pair("v", "700", "1920", october) // written in another way
		for i := range list {
			list[i].EntryID, list[i].Text = ids[i], "another text"
		}
		return list
	}
	later := named("v/3", "v/4")
	for i := range later {
		later[i].Date = october.AddDate(0, 0, 1)
	}
	elsewhere := named("w/1", "w/2")
	for i := range elsewhere {
		elsewhere[i].VoucherID = "w"
	}
	shifted := named("e1", "e2") // the voucher was above another, whose lines have the numbers that were its own
	stored := append(pair("u", "5.00", "1920", october), named("e3", "e4")...)
	const both = "2 lines are stored under other entry IDs, and would be exported twice:\n" +
		"  voucher v of 2026-10-20, account 1920, NOK 700.00: stored as e1\n" +
		"  voucher v of 2026-10-20, account 3000, NOK -700.00: stored as e2\n" +
		"import the file with the IDs that it had before, with the same --id-from, or first take out what no vendor has: starter entries withdraw VOUCHER; if they are further lines that are alike, add --allow-repeated"
	for _, c := range []struct {
		name    string
		file    []runlog.AccountingEntry
		options runlog.ImportOptions
		err     string
	}{
		{"under other IDs", named("v/1", "v/2"), runlog.ImportOptions{}, both},
		{"with replacement", named("v/1", "v/2"), runlog.ImportOptions{Replace: true}, both},
		{"one of them", append(named("e1", "v/2")[1:], elsewhere...), runlog.ImportOptions{}, "1 line is stored under another entry ID, and would be exported twice:\n" +
			"  voucher v of 2026-10-20, account 3000, NOK -700.00: stored as e2\n" +
			"import the file with the IDs that it had before, with the same --id-from, or first take out what no vendor has: starter entries withdraw VOUCHER; if they are further lines that are alike, add --allow-repeated"},
		{"of another day", later, runlog.ImportOptions{}, ""},
		{"of another voucher", elsewhere, runlog.ImportOptions{}, ""},
		{"of another voucher's number, by line numbers", shifted, runlog.ImportOptions{Replace: true}, strings.NewReplacer("e1", "e3", "e2", "e4").Replace(both)},
		{"in a file that has the stored ones too", append(pair("v", "700.00", "1920", october), named("v/1", "v/2")...), runlog.ImportOptions{}, ""},
		{"on purpose", named("v/1", "v/2"), runlog.ImportOptions{AllowRepeated: true}, ""},
	} {
		for _, dry := range []bool{true, false} {
			c.options.DryRun = dry
			b, _ := b.fresh(t)
			before := first
			if strings.Contains(c.name, "line numbers") {
				before = stored
			}
			_, err := b.importing(before, runlog.ImportOptions{})
			require.NoError(t, err)
			result, err := b.importing(c.file, c.options)
			if c.err != "" {
				var repeated *runlog.RepeatedError
				require.ErrorAs(t, err, &repeated, c.name)
				require.EqualError(t, err, c.err, c.name)
			} else {
				require.NoError(t, err, c.name)
				require.EqualValues(t, 2, result.Added, c.name)
			}
		}
	}
}

// Of two imports of a file at once, under IDs that are made in two ways, the second one sees
// what the first one has stored.
func TestRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	second := make(chan error, 1)
	_, err := b.importingSlowly(pair("v", "700.00", "1920", october), runlog.ImportOptions{}, func() {
		go func() {
			list := pair("v", "700.00", "1920", october)
			list[0].EntryID, list[1].EntryID = "v/1", "v/2"
			_, err := b.importing(list, runlog.ImportOptions{})
			second <- err
		}()
		require.Eventually(t, func() bool {
			var waiting bool
			require.NoError(t, b.admin.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
				AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`).Scan(&waiting))
			return waiting
		}, time.Minute, 10*time.Millisecond)
	})
	require.NoError(t, err)
	var repeated *runlog.RepeatedError
	require.ErrorAs(t, <-second, &repeated)
	require.EqualValues(t, 2, repeated.Count)
}
