package adaptertest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/redact"
)

func redirect(c *checker) {
	other, away := elsewhere()
	defer other.close()
	w := c.warm(0)
	for i, status := range []int{301, 302, 303, 307, 308} {
		for where, to := range map[string]string{"another host": away, "another path": w.wire.URL + "/elsewhere"} {
			for _, a := range w.attempts(fmt.Sprint("r", i, where)) {
				w.wire.say(lie{unheard: true, answer: &Answer{Status: status, Header: http.Header{"Location": {to}}}})
				v, result := w.run(a)
				if len(other.all()) > 0 || len(w.wire.after()) > 0 {
					c.errorf("HTTP %d to %s: a %s follows it", status, where, a.name)
				}
				other.lie(nil)
				if v.Class == classify.Success || v.Retry() || result != nil {
					c.errorf("HTTP %d to %s: a %s ends with %s; want a permanent failure", status, where, a.name, said(v))
				}
			}
		}
	}
	// So is that of a token's request, which carries the secret in its body.
	for _, a := range c.world(0).attempts("t") {
		fresh := c.world(0)
		fresh.wire.lieOfAll(func(s arrival) *lie {
			if s.vendor {
				return nil
			}
			return &lie{unheard: true, answer: &Answer{Status: 307, Header: http.Header{"Location": {away}}}}
		})
		fresh.run(a)
	}
	for _, s := range other.all() {
		c.errorf("%s arrived at another host", s)
	}
}

func client(c *checker) {
	w := c.world(0)
	w.client = adapters.NewClient(adapters.ClientOptions{}) // which calls nobody here
	for _, a := range w.attempts("c") {
		v, result := w.run(a)
		if v.Class == classify.Success || result != nil {
			c.errorf("the connection's client calls nobody, and a %s ends with %s", a.name, said(v))
		}
	}
	for _, s := range w.wire.all() {
		c.errorf("%s was sent by another client", s)
	}

	// It alone knows the authority of the vendor's certificate.
	w = c.started(0, (*httptest.Server).StartTLS)
	trusted := w.wire.Client().Transport.(*http.Transport).TLSClientConfig
	w.client = adapters.NewClient(adapters.ClientOptions{DevHosts: []string{w.base.Host}, TLS: trusted})
	for _, a := range w.attempts("tls") {
		if v, _ := w.run(a); v.Class != classify.Success {
			c.errorf("the connection's client alone trusts the vendor's certificate, and a %s ends with %s", a.name, said(v))
		}
	}
}

func secrets(c *checker) {
	d := c.s.New().Vendor().Codes.Dialect
	echoes := []struct {
		name  string
		token bool // it is said to a request for a token
		lie   func(arrival) lie
	}{
		{"an error inside HTTP 200", false, func(s arrival) lie { return say(200, failure(d, "Unlisted", echo(s))) }},
		{"HTTP 400", false, func(s arrival) lie { return say(400, failure(d, "Unlisted", echo(s))) }},
		{"HTTP 401", false, func(s arrival) lie { return say(401, failure(d, "Unlisted", echo(s))) }},
		{"HTTP 500", false, func(s arrival) lie { return say(500, failure(d, "Unlisted", echo(s))) }},
		{"a code that is the secret", false, func(s arrival) lie { return say(400, failure(d, strings.Join(s.secrets(), " "), "no")) }},
		{"a long error", false, func(s arrival) lie { return say(400, failure(d, "Unlisted", longError)) }},
		{"a gateway's text", false, func(s arrival) lie { return say(502, "<html>"+echo(s)+"</html>") }},
		{"a reset", false, func(arrival) lie { return lie{how: reset} }},
		{"nothing", false, func(arrival) lie { return lie{rewrite: same} }},
		{"an error of the token's request", true, func(s arrival) lie { return say(400, failure(classify.OAuth, "invalid_client", echo(s))) }},
		{"a token's answer without a token", true, func(s arrival) lie { return say(200, failure(classify.OAuth, "", echo(s))) }},
	}
	for _, e := range echoes {
		for i := range c.world(0).attempts("s") {
			w := c.world(0)
			a := w.attempts("s")[i]
			w.wire.lieOfAll(func(s arrival) *lie {
				if s.vendor == e.token {
					return nil
				}
				l := e.lie(s)
				return &l
			})
			for range 2 { // the second time with what was kept of the first
				w.echoed(e.name, a)
			}
		}
		if _, ok := c.s.New().(adapters.Verifier); ok && !e.token {
			c.verifiedEcho(e.name, e.lie)
		}
	}
}

// verifiedEcho looks for secrets in what a verification says.
func (c *checker) verifiedEcho(why string, echo func(arrival) lie) {
	w := c.world(0)
	w.wire.lie(func(s arrival) *lie {
		l := echo(s)
		return &l
	})
	conn := w.conn()
	w.limited(func(ctx context.Context) {
		contract, v := w.adapter.(adapters.Verifier).Verify(ctx, conn, adapters.Requirements{})
		texts := []string{v.Message}
		for _, check := range contract.Checks {
			texts = append(texts, check.What, check.Found, check.Remedy)
		}
		w.masked(why, "verification", conn, w.wire.all(), texts)
	})
}

// echoed makes an attempt and looks for secrets in what it says.
func (w *world) echoed(why string, a attempt) {
	conn := w.conn()
	var v classify.Verdict
	before := len(w.wire.all())
	w.limited(func(ctx context.Context) { v, _ = a.run(ctx, conn) })
	var texts []string
	for _, part := range append([]classify.Verdict{v}, v.Parts...) {
		texts = append(texts, part.Message)
		for _, secret := range w.s.Credentials {
			if strings.Contains(string(part.Kind)+part.Rule, secret) {
				w.errorf("%s: the rule or the kind of a %s has a secret", why, a.name)
			}
		}
	}
	w.masked(why, a.name, conn, w.wire.all()[before:], texts)
}

// masked checks that a connection knows every secret that was sent over it, so
// that masking them leaves none in texts.
func (w *world) masked(why, name string, conn *adapters.Conn, sent []arrival, texts []string) {
	travelled := slices.Collect(maps.Values(w.s.Credentials))
	for _, s := range sent {
		for _, secret := range s.secrets() {
			if !slices.Contains(conn.Secrets(), secret) {
				w.errorf("a %s sends a token that is not among Conn.Secrets; note it with Conn.Used", name)
			}
			travelled = append(travelled, secret)
		}
	}
	mask := redact.New(conn.Secrets()...)
	for _, text := range texts {
		if strings.Contains(text, longError[:40]) && !strings.Contains(text, longError) {
			w.errorf("%s: a %s cuts what the vendor says, which can leave a part of a secret that nothing masks", why, name)
		}
		for _, secret := range travelled {
			if strings.Contains(mask.Exact(text), secret) {
				w.errorf("%s: what a %s says still has a secret when those of Conn.Secrets are masked", why, name)
			}
		}
	}
}

func say(status int, body string) lie {
	return lie{unheard: true, answer: &Answer{Status: status, Body: body}}
}

// longError is a vendor's message, of which an adapter says all or nothing.
var longError = "The vendor has much to say of a request:" + strings.Repeat(" one thing and another,", 1000) + " and that is all"

// echo repeats the secrets of a request, as a careless vendor does.
func echo(s arrival) string {
	text := "Refused " + strings.Join(s.secrets(), " ")
	for _, name := range secretHeaders {
		text += " " + strings.Join(s.Header.Values(name), " ")
	}
	if !s.vendor {
		text += " " + string(s.body)
	}
	return text
}

func contexts(c *checker) {
	w := c.warm(0)
	for _, a := range w.attempts("cancelled") {
		w.wire.lie(nil)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		w.labelled(ctx, func(ctx context.Context) {
			v, result := a.run(ctx, w.conn())
			c.none("the context had ended before", a, v, result)
		})
		if n := w.wire.asked(); n > 0 {
			c.errorf("the context had ended before, and a %s is sent all the same", a.name)
		}
	}
	hangs := map[string]lie{"no answer comes": {how: hang}, "the rest of the answer does not come": {how: hang, after: 5, rewrite: same}}
	for why, l := range hangs {
		for _, a := range w.attempts("deadline " + why) {
			w.wire.say(l)
			v, _ := w.untilDeadline(func(ctx context.Context, c *adapters.Conn) classify.Verdict {
				v, _ := a.run(ctx, c)
				return v
			})
			c.ended("the deadline passed and "+why, a, v, classify.Timeout, "")
		}
		for _, a := range w.attempts("cancel " + why) {
			w.wire.say(l)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan classify.Verdict, 1)
			go w.labelled(ctx, func(ctx context.Context) {
				v, _ := a.run(ctx, w.conn())
				done <- v
			})
			if !eventually(func() bool { return w.wire.asked() > 0 }) {
				c.errorf("a %s is not sent within %s", a.name, patience)
			}
			cancel()
			select {
			case v := <-done:
				c.ended("it was cancelled while "+why, a, v, classify.Permanent, classify.Cancelled)
			case <-time.After(patience):
				c.fatalf("a %s does not end when its context does", a.name)
			}
		}
	}
	w.client.CloseIdle()
	if !eventually(func() bool { return w.running() == "" }) {
		c.errorf("goroutines are left behind:\n%s", w.running())
	}
	if !eventually(func() bool { return w.wire.connections() == 0 }) {
		c.errorf("%d connections are left behind", w.wire.connections())
	}
}

// ended checks the verdict on an attempt whose context ended on the way.
func (c *checker) ended(why string, a attempt, v classify.Verdict, class classify.Class, kind classify.Kind) {
	want := classify.Effect("")
	if a.write {
		want = classify.Open
	}
	if v.Class != class || kind != "" && v.Kind != kind || v.Effect != want || v.Ended {
		c.errorf("%s: a %s ends with %s; want class %s, effect %q", why, a.name, said(v), class, want)
	}
}

func concurrent(c *checker) {
	w := c.world(0)
	const n = 8
	_, exporter := w.adapter.(adapters.Exporter)
	type use struct {
		list []adapters.Entry
		body []byte
	}
	uses := make([]use, n)
	for i := range uses {
		if exporter {
			uses[i].list = c.entries(fmt.Sprint("x", i), 4)
			uses[i].body, _ = w.body(uses[i].list)
		}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	check := func(what string, v classify.Verdict) {
		mu.Lock()
		defer mu.Unlock()
		if v.Class != classify.Success {
			c.errorf("%s beside others: %s", what, said(v))
		}
	}
	for _, u := range uses {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
			defer cancel()
			_, v := w.adapter.Do(ctx, w.conn(), adapters.Call, []byte(c.read().Body))
			check("a read", v)
			if !exporter {
				return
			}
			_, _ = w.adapter.Describe(adapters.Call, u.body)
			_, v = w.adapter.Do(ctx, w.conn(), adapters.Call, u.body)
			check("a write", v)
			found, v := w.exporter().Find(ctx, w.conn(), soughtOf(u.list))
			check("a look-up", v)
			mu.Lock()
			defer mu.Unlock()
			w.sameAsBooks(found, u.list)
		})
	}
	wg.Wait()
	for _, u := range uses {
		w.booked(u.list, 1)
	}
}

func counted(c *checker) {
	for i := range c.world(0).attempts("n") {
		w := c.world(0)
		a := w.attempts("n")[i]
		conn := w.conn()
		counts := make(map[limits.Purpose]int)
		conn.Count = func(p limits.Purpose) { counts[p]++ }
		conn.Purpose = limits.Readback
		w.wire.lie(nil)
		w.limited(func(ctx context.Context) { a.run(ctx, conn) })
		vendor, tokens := 0, 0
		for _, s := range w.wire.all() {
			if !s.vendor {
				tokens++
				continue
			}
			vendor++
			if id, _ := json.Marshal(s.Header); !strings.Contains(string(id), conn.CorrelationID) {
				c.errorf("a %s sends %s without the correlation ID in a header", a.name, s)
			}
		}
		if counts[limits.Readback] != vendor || counts[limits.Token] != tokens || len(counts) > 2 {
			c.errorf("a %s asks the vendor %d times and for a token %d times, and counts %v", a.name, vendor, tokens, counts)
		}
	}
}

func verify(c *checker) {
	w := c.warm(0)
	if _, ok := w.adapter.(adapters.Exporter); ok {
		w.store(c.entries("v", 2))
	}
	ask := func() (contract adapters.Contract, v classify.Verdict) {
		w.limited(func(ctx context.Context) {
			contract, v = w.adapter.(adapters.Verifier).Verify(ctx, w.conn(), adapters.Requirements{})
		})
		return contract, v
	}
	before := w.vendor.Changes()
	w.wire.lie(nil)
	contract, v := ask()
	if v.Class != classify.Success || v.Effect != "" || len(contract.Checks) == 0 || len(contract.Differing()) > 0 {
		c.errorf("a vendor that works is verified with %s, %d checks, of which %v differ", said(v), len(contract.Checks), contract.Differing())
	}
	for _, check := range contract.Checks {
		if check.What == "" || !slices.Contains([]adapters.CheckState{adapters.Checked, adapters.Differs, adapters.Assumed}, check.State) {
			c.errorf("a check of %q has the state %q", check.What, check.State)
		}
	}
	if n := w.vendor.Changes(); n != before {
		c.errorf("Verify changed the vendor's books %d times", n-before)
	}
	if _, ok := w.adapter.(adapters.Exporter); ok {
		w.learned = contract.Learned
		w.store(c.entries("w", 2))
	}
	before = w.vendor.Changes()

	d := w.adapter.Vendor().Codes.Dialect
	w.wire.say(lie{unheard: true, answer: &Answer{Status: 401, Body: failure(d, "Unlisted", "no")}})
	if contract, v = ask(); v.Class != classify.Success || len(contract.Differing()) == 0 {
		c.errorf("the token is refused, and Verify ends with %s and %d checks that differ; want a success and one", said(v), len(contract.Differing()))
	}
	if contract.Refusal.Class == "" || contract.Refusal.Class == classify.Success {
		c.errorf("the token is refused, and Verify does not say so of the vendor: add what differs with Contract.Refuse")
	}
	for _, check := range contract.Differing() {
		if check.Remedy == "" {
			c.errorf("%q differs, and Verify names no remedy", check.What)
		}
	}
	for _, r := range []reply{
		{name: "HTTP 503", lie: lie{answer: &Answer{Status: 503}}}, {name: "HTTP 429", lie: lie{answer: &Answer{Status: 429}}},
		{name: "a reset", lie: lie{how: reset}}, {name: "HTML", lie: lie{answer: &Answer{Status: 200, Body: "<html></html>"}}},
	} {
		r.lie.unheard = true
		w.wire.say(r.lie)
		if contract, v = ask(); !v.Retry() || v.Effect != "" {
			c.errorf("%s to each request, and Verify ends with %s; a later try may be able to ask", r.name, said(v))
		}
		if list := contract.Differing(); len(list) > 0 {
			c.errorf("%s to each request, and Verify says that %q differs: nobody was asked", r.name, list[0].What)
		}
	}
	if n := w.vendor.Changes(); n != before {
		c.errorf("Verify changed the vendor's books %d times", n-before)
	}
}
