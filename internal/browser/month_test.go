package browser

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/console/words"
	"github.com/ledgerline/ledgerline/integrations"
)

// club is an organization of a test.
type club struct {
	id          uuid.UUID
	name, short string
}

// found makes an organization.
func found(t *testing.T, name, short string) club {
	t.Helper()
	id, err := theatre.Found(t.Context(), name, short)
	require.NoError(t, err)
	return club{id, name, short}
}

// Last and this month, as periods.
func months() (last, this string) {
	now := time.Now().In(integrations.Integration{}.Zone())
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	return first.AddDate(0, -1, 0).Format("2006-01"), first.Format("2006-01")
}

// file is a file of the page on the end of a month, with dates of last and this month, and with
// vouchers and texts by which an organization of a test is told from the others.
func file(t *testing.T, name string, c club) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/month-end/" + name)
	require.NoError(t, err)
	last, this := months()
	for old, is := range map[string]string{".10.2026": "." + last[5:] + "." + last[:4], ".11.2026": "." + this[5:] + "." + this[:4], ";30.": ";28.", ";04.": ";01.", "20261-": c.short + "-",
		";Kontingent": ";" + c.short + " Kontingent", ";Kj": ";" + c.short + " Kj", ";M": ";" + c.short + " M", ";Po": ";" + c.short + " Po"} {
		b = bytes.ReplaceAll(b, []byte(old), []byte(is))
	}
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return path
}

// month is how somebody calls a period.
func (p *person) month(period string) string {
	return words.For(words.Language(p.lang), integrations.Integration{}.Zone()).Period(period)
}

// enter opens the console, of which somebody knows the address, and chooses the organization.
func (p *person) enter(c club) {
	p.t.Helper()
	p.open(theatre.URL)
	if strings.Contains(p.text(), p.say("Organizations", "Organisasjoner")) { // there are several
		p.follow("link", c.name)
	}
	p.sees(c.name)
}

// upload uploads a file, sees what it has, and returns before it is imported.
func (p *person) upload(path string, sees ...string) {
	p.t.Helper()
	p.follow("link", p.say("Upload", "Last opp"))
	p.file(p.say("File", "Fil"), path)
	p.follow("button", p.say("See what it has", "Se hva den har"))
	p.sees(sees...)
}

// exportLast exports last month from the overview, with the dry run first.
func (p *person) exportNow(period string) {
	p.t.Helper()
	p.follow("link", p.say("Overview", "Oversikt"))
	p.follow("link", p.say("not exported ", "ikke eksportert ")+p.month(period))
	p.follow("link", p.say("Export now …", "Eksporter nå …"))
}

// books is what the vendor's books have of an organization: how many lines, and how many of
// these more than once.
func books(c club) (lines, twice int) {
	seen := make(map[string]bool)
	for _, e := range theatre.Sandbox.Effects() {
		if seen[e.Key] {
			continue
		}
		seen[e.Key] = true
		records := theatre.Sandbox.Records(e.Key)
		if len(records) > 0 && bytes.Contains(records[0].Content, []byte(`"`+c.short+" ")) {
			lines++
			twice += len(records) - 1
		}
	}
	return lines, twice
}

// arrived wants so many lines of an organization in the vendor's books, each once.
func arrived(t *testing.T, c club, want int) {
	t.Helper()
	lines, twice := books(c)
	require.Equal(t, want, lines, "lines in the vendor's books")
	require.Zero(t, twice, "lines that are there more than once")
}

// The ten questions of docs/month-end.md, in the order of the page, by clicking.
func TestMonthEnd(t *testing.T) {
	for _, lang := range []string{"en", "nb"} {
		t.Run(lang, func(t *testing.T) { monthEnd(t, lang) })
	}
}

func monthEnd(t *testing.T, lang string) {
	c := found(t, "Idrettslaget "+lang, "idrett-"+lang)
	p := meet(t, lang, look{})
	last, this := months()
	p.enter(c)

	// The file has no column of IDs; the page finds what tells its lines apart.
	p.upload(file(t, "oktober.csv", c), p.say("3 vouchers, 6 entries", "3 bilag, 6 posteringer"), p.say("Lines are told apart by Bilagsnr, Linje", "Linjene skilles med Bilagsnr, Linje"))
	p.follow("button", p.say("Import", "Importer"))
	p.sees(p.say("The entries are stored.", "Posteringene er lagret."))
	p.exportNow(last)
	p.sees(p.say("3 vouchers would be sent to Xledger: NOK 16,545.50", "3 bilag ville blitt sendt til Xledger: NOK 16 545,50"))
	p.follow("button", p.say("Export now", "Eksporter nå"))

	// 1. Did the month arrive?
	p.sees(p.say("2 of 3 vouchers arrived, NOK 13,345.50; 1 refused, NOK 3,200.00", "2 av 3 bilag kom frem, NOK 13 345,50; 1 avvist, NOK 3 200,00"))
	p.follow("link", p.say("Overview", "Oversikt"))
	p.sees(p.say("1 thing needs you", "1 sak må følges opp"))
	// 3. How many kroner are missing?
	p.sees(p.say("1 refused NOK 3,200.00", "1 avvist NOK 3 200,00"))

	// 2. Which vouchers were refused, and why?
	p.follow("link", p.say("1 thing needs you", "1 sak må følges opp"))
	p.sees(p.say("1 voucher, NOK 3,200.00", "1 bilag, NOK 3 200,00"))
	p.follow("link", words.Capital(p.month(last))+", xledger-main")
	p.follow("link", p.say("refused", "avvist"))
	p.find("link", c.short+"-2", "code 'X192'")

	// 4. How do I correct one? 5. How do I send it again?
	p.follow("link", c.short+"-2")
	p.write(p.say("Account 2", "Konto 2"), "1920")
	p.write(p.say("Reason, for the record", "Begrunnelse, for historikken"), "wrong account")
	p.follow("button", p.say("Save the correction", "Lagre rettingen"))
	p.sees(p.say("The voucher is corrected.", "Bilaget er rettet."), "X192 → 1920")
	p.follow("button", p.say("Send this voucher again", "Send dette bilaget på nytt"))

	// 6. Is the month finished now? The page is open and says so by itself.
	p.sees(p.say("all 3 vouchers arrived, NOK 16,545.50", "Alle 3 bilag kom frem, NOK 16 545,50"))

	// 7. Are they really at the vendor, once?
	p.follow("button", p.say("Check at Xledger", "Kontroller hos Xledger"))
	p.sees(p.say("Ledgerline and the receiving system agree", "Ledgerline og mottakersystemet stemmer overens"))
	arrived(t, c, 6)

	// 8. Why is this month waiting, and until when?
	p.upload(file(t, "november.csv", c))
	p.follow("button", p.say("Import", "Importer"))
	p.follow("link", "xledger-main")
	p.write(p.say("Reason, for the record", "Begrunnelse, for historikken"), "the vendor is being upgraded")
	p.follow("button", p.say("Pause", "Sett på pause"))
	p.exportNow(this)
	p.sees(p.say("the export would wait until it is resumed", "eksporten ville ventet til den fortsetter"))
	p.click("checkbox", p.say("Export it all the same", "Eksporter den likevel"))
	p.follow("button", p.say("Export now", "Eksporter nå"))
	p.sees(p.say("1 waiting, NOK 9,000.00", "1 venter, NOK 9 000,00"), "the vendor is being upgraded",
		p.say("It continues by itself once an administrator has resumed the integration.", "Det fortsetter automatisk når en administrator har startet integrasjonen igjen."))
	p.follow("link", "xledger-main")
	p.follow("button", p.say("Resume", "Start igjen"))
	p.follow("link", words.Capital(p.month(this)))
	p.sees(p.say("the only voucher arrived", "Det ene bilaget kom frem"))

	// 9. When is the next run?
	p.follow("link", p.say("Overview", "Oversikt"))
	p.sees(p.say("next run ", "neste kjøring "), p.say("06:30", "06.30"))

	// 10. I imported late: where will those entries go?
	p.upload(file(t, "for-sent.csv", c))
	p.follow("button", p.say("Import", "Importer"))
	p.sees(p.say("2 entries of "+p.month(last)+" came late: they go to xledger-main with the export of ", "2 posteringer fra "+p.month(last)+" kom sent: de går til xledger-main med eksporten av "))
}
