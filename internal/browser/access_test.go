package browser

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// closed makes an organization that has exported last month, of which a voucher was refused, and
// uploads a file of this month that is not imported. It returns the addresses of its pages by name.
func closed(t *testing.T, name, short string) (club, map[string]string) {
	t.Helper()
	c := found(t, name, short)
	last, this := months()
	_, err := theatre.Starter(t.Context(), short, "entries", "import", "-f", file(t, "oktober.csv", c), "--id-from", "Bilagsnr,Linje")
	require.NoError(t, err)
	require.NoError(t, theatre.Export(t.Context(), short, last))
	p := meet(t, "en", look{})
	p.enter(c)
	p.upload(file(t, "november.csv", c), "1 voucher, 2 entries")
	o := theatre.URL + "/o/" + short
	pages := map[string]string{
		"home": theatre.URL + "/", "overview": o, "period": o + "/periods/xledger-main/" + last, "period-to-come": o + "/periods/xledger-main/" + this,
		"preview": o + "/periods/xledger-main/" + this + "/export", "voucher": o + "/vouchers/" + short + "-2", "voucher-arrived": o + "/vouchers/" + short + "-1",
		"uploads": o + "/upload", "upload": strings.Split(p.address(), "?")[0], "attention": o + "/attention", "calls": o + "/calls", "history": o + "/history",
		"integration": o + "/integrations/xledger-main", "problem": o + "/nothing", "signed-out": theatre.URL + "/signedout",
	}
	p.follow("link", "Calls")
	for _, one := range p.links() {
		if strings.Contains(one, "/calls/") {
			pages["call"] = one
		}
	}
	p.open(pages["period"])
	p.follow("button", "Check at Xledger")
	p.sees("Ledgerline and the receiving system")
	pages["check"] = strings.Split(p.address(), "?")[0]
	return c, pages
}

// links are the addresses that a page leads to.
func (p *person) links() (list []string) {
	p.t.Helper()
	p.do(chromedp.Evaluate("[...document.links].map((a) => a.href)", &list))
	return list
}

// TestKeyboard: a voucher is found, corrected and sent again without a mouse.
func TestKeyboard(t *testing.T) {
	c, _ := closed(t, "Tastaturklubben", "tastatur")
	last, _ := months()
	p := meet(t, "en", look{})
	p.enter(c)
	enter := func(role, name string) {
		t.Helper()
		p.tab(role, name)
		p.arrive(func() { p.press(kb.Enter) })
	}
	p.press(kb.Tab)
	require.Equal(t, "Skip to the content", p.focused().name)
	p.press(kb.Enter)
	enter("link", "refused "+p.month(last))
	enter("link", c.short+"-2")
	p.tab("textbox", "Account 2")
	p.press("1920") // a field that the Tab key enters is selected
	p.tab("textbox", "Reason, for the record")
	p.press("wrong account")
	p.arrive(func() { p.press(kb.Enter) })
	p.sees("The voucher is corrected.")
	enter("button", "Send this voucher again")
	p.sees("all 3 vouchers arrived, NOK 16,545.50")
	arrived(t, c, 6)
}

// TestWithoutScript: pages are read, and a voucher is corrected and sent again, by a browser that
// runs no script.
func TestWithoutScript(t *testing.T) {
	c, pages := closed(t, "Skriptløs", "skriptlos")
	p := meet(t, "nb", look{noScript: true})
	for name, address := range pages {
		p.open(address)
		list, _, err := p.things()
		require.NoError(t, err)
		headings := 0
		for _, one := range list {
			if one.role == "heading" && one.name != "" {
				headings++
			}
		}
		require.NotZero(t, headings, name)
	}
	p.open(pages["voucher"])
	p.write("Konto 2", "1920")
	p.write("Begrunnelse, for historikken", "feil konto")
	p.follow("button", "Lagre rettingen")
	p.sees("X192 → 1920")
	p.follow("button", "Send dette bilaget på nytt")
	p.sees("Det blir sendt på nytt.")
	p.until("the period is complete", func() bool {
		p.open(pages["period"])
		return strings.Contains(p.text(), "Alle 3 bilag kom frem")
	})
	arrived(t, c, 6)
}
