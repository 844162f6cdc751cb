package browser

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTwoAtOnce: two people send again what is missing at the same moment. It is sent once, and
// neither is left without an answer.
func TestTwoAtOnce(t *testing.T) {
	c, pages := closed(t, "Toklubben", "to")
	_, err := theatre.Starter(t.Context(), c.short, "entries", "import", "-f", file(t, "oktober-rettet.csv", c), "--id-from", "Bilagsnr,Linje", "--replace", "--reason", "wrong account")
	require.NoError(t, err)
	kari, ola := meet(t, "nb", look{}), meet(t, "en", look{})
	for _, p := range []*person{kari, ola} {
		p.open(pages["period"])
		p.find("button", p.say("Send again all that has not arrived", "Send på nytt alt som ikke er kommet frem"), "")
	}
	var both sync.WaitGroup
	for _, p := range []*person{kari, ola} {
		both.Go(func() {
			p.follow("button", p.say("Send again all that has not arrived", "Send på nytt alt som ikke er kommet frem"))
		})
	}
	both.Wait()
	for _, p := range []*person{kari, ola} {
		t.Log(p.text())
		p.follow("link", p.say("Overview", "Oversikt"))
		p.sees(p.say("Nothing needs you", "Ingenting å følge opp"))
	}
	arrived(t, c, 6)
}

// TestTrouble: the worker, PostgreSQL and the console are killed in turn while a page is open. It
// says so, and is right again by itself, without being loaded again.
func TestTrouble(t *testing.T) {
	c, pages := closed(t, "Uheldige", "uhell")
	ctx := context.WithoutCancel(t.Context())
	_, err := theatre.Starter(ctx, c.short, "entries", "import", "-f", file(t, "november.csv", c), "--id-from", "Bilagsnr,Linje")
	require.NoError(t, err)
	p := meet(t, "en", look{})
	p.open(pages["preview"])
	p.sees("1 voucher would be sent")

	theatre.Worker.Kill()
	_ = theatre.Worker.Wait()
	p.click("checkbox", "Export it all the same")
	p.follow("button", "Export now")
	p.open(pages["period-to-come"])
	document := p.document()
	quiet := func() bool { return !p.has(lost) }
	p.until("no trouble yet", quiet)

	t.Log("PostgreSQL is killed")
	require.NoError(t, theatre.Postgres.Stop(ctx, "immediate"))
	p.sees(lost)
	require.NoError(t, theatre.Postgres.Start(ctx))
	p.until("the page is well again", quiet)
	p.sees("The program that sends is not running.")

	t.Log("the console is killed")
	theatre.Console.Kill()
	_ = theatre.Console.Wait()
	p.sees(lost)
	require.NoError(t, theatre.StartConsole(ctx))
	p.until("the page is well again", quiet)

	t.Log("the worker starts again")
	require.NoError(t, theatre.StartWorker(ctx))
	p.sees("the only voucher arrived, NOK 9,000.00")
	require.Equal(t, document, p.document(), "the page was loaded again")
	arrived(t, c, 6) // two vouchers of last month, and one of this
}

const lost = "The connection is lost: what you see may be out of date. Trying again …"

// has reports whether a page says a text.
func (p *person) has(text string) bool {
	list, _, err := p.things()
	if err != nil {
		return true
	}
	for _, one := range list {
		if one.role == "StaticText" && one.name == text {
			return true
		}
	}
	return false
}
