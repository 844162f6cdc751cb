package words_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/console/words"
)

// onRecord are reasons as they are on record. That PostgreSQL writes its own like this is
// tested where it does, in package runlog.
var onRecord = []string{
	"line c2: account 9999 is not mapped; add it to export.accounts of the integration file",
	`line d2: dimension team is not mapped; add it to export.dimensions of the integration file, with "" to leave it out`,
	"line e1: currency EUR is not taken; export.currencies of the integration file has NOK, SEK",
	"line e1: currency (none) is not taken; export.currencies of the integration file has NOK",
	"line 2026: 7: has no account", "line x: has no amount", "line x: amount -1234.005 has more than two decimals",
	"line x: a name in it has the invisible character U+200B; correct it in the source",
	"the voucher has more than one currency", "the voucher does not sum to zero: difference -12345.10", "the voucher has 1200 lines; at most 500 fit in one request",
	"withdrawn before it was sent", "corrected before it was sent; planned again from its source", "resolved by Kari Nordmann: found as document 20045: posted on Monday",
	"not in the journal, and document 20045 has entries in the general ledger; if it is this voucher: starter exports resolve --there",
	"not in the journal, and the line is not in the journal, and without a documentNumber nobody can tell whether it was posted; if it is this voucher: starter exports resolve --there",
	"1 of 2 lines of a request that is all or nothing are at the vendor; see starter exports resolve",
	"too large: the request would be 4200000 bytes and at most 4194304 are sent; send fewer entries, or shorter texts",
	"entries[0].amount: want a decimal with at most 18 digits and 2 places, such as -100.50", "entries[1]: want an account, a voucher and a date",
	"entries[1].account: 25 characters; Business Central takes 20", "entries[1].dimensions: Business Central takes 20 characters for a dimension's code and for its value",
	"entries[0].account.code: is not a number, and Xledger takes nothing else there",
	"it is there", "it is there 2 times", "it is there with amount 5.00, but 7.00 on record", "it is not there", "it is not there, and can still take effect until 2026-10-31 08:00:05 CET",
	"it is not there under its key, but document 20045 has entries in the general ledger",
	"it is not there under its key, but the line is not in the journal, and without a documentNumber nobody can tell whether it was posted",
	"other lines of this voucher are at the vendor: the voucher has more than one currency",
}

func TestReasons(t *testing.T) {
	golden(t, "reasons", func(p *words.Printer) (lines []string) {
		for _, text := range onRecord {
			require.True(t, words.Ours(text), text)
			r := p.Reason("businesscentral", text, false)
			require.NotContains(t, r.Text, "starter", "the command line is no use to them")
			lines = append(lines, text, "    "+r.String())
		}
		for _, text := range words.Templates() {
			require.True(t, covered(text), "no example has %q", text)
		}
		return lines
	})
}

// covered reports whether an example is made of a template.
func covered(template string) bool {
	for _, text := range onRecord {
		if words.MadeOf(text, template) {
			return true
		}
	}
	return false
}

// What a vendor said stays as it is, also if it is like something of ours.
func TestQuotes(t *testing.T) {
	const refusal, torn = "BAD_REQUEST: Account 9999 is closed", "other lines of this voucher are at the vendor: "
	require.Equal(t, words.Reason{Text: "Xledger avviste det:", Quote: refusal}, nb.Reason("xledger", refusal, true))
	require.Equal(t, words.Reason{Text: "Xledger refused it:", Quote: "has no account"}, en.Reason("xledger", "has no account", true))
	require.Equal(t, words.Reason{Text: "The receiving system refused it:", Quote: "it is there"}, en.Reason("", "it is there", true))
	require.Equal(t, words.Reason{Text: "Andre linjer av dette bilaget ligger allerede i Xledger. Xledger avviste det:", Quote: refusal}, nb.Reason("xledger", torn+refusal, true))
	require.Equal(t, nb.Reason("xledger", torn+refusal, true), nb.Reason("xledger", torn+refusal, false))
	require.Equal(t, words.Reason{Text: "Det er registrert slik:", Quote: refusal}, nb.Reason("xledger", refusal, false))
	require.Equal(t, words.Reason{Text: "Avklart av Kari:", Quote: "ligger der"}, nb.Reason("xledger", "resolved by Kari: ligger der", false))
	require.Equal(t, words.Reason{}, nb.Reason("xledger", "", true))
	for _, text := range []string{refusal, torn + refusal, "line 3: Account is closed", "line 3", "has no account", "", "line : : ", strings.Repeat("line a: ", 1000), "the voucher does not sum to zero: difference "} {
		require.False(t, words.Ours(text), text)
	}
	r := nb.Reason("xledger", "line {n}<b>: account {vendor} is not mapped; add it to export.accounts of the integration file", false)
	require.Equal(t, "Linje {n}<b>: konto {vendor} har ingen motpart i Xledger; be administratoren legge den inn i integrasjonen.", r.Text, "arguments are no texts")
}

// FuzzReason: whatever is on record, it is said, and what is quoted was there.
func FuzzReason(f *testing.F) {
	for _, text := range onRecord {
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, byVendor bool) {
		for _, p := range []*words.Printer{nb, en} {
			r := p.Reason("xledger", text, byVendor)
			require.Equal(t, text == "", r.Text == "")
			require.Contains(t, text, r.Quote)
			require.False(t, !byVendor && !words.Ours(text) && r.Quote == "" && text != "" && text != "other lines of this voucher are at the vendor: ")
		}
	})
}
