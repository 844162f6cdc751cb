package adaptertest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

// soon is how long an attempt may take that gets its answer at once.
const soon = patience / 2

func once(c *checker) {
	w := c.warm(0)
	common := len(failures(w.adapter.Vendor().Codes.Dialect))
	for i, r := range c.failures() {
		for _, a := range w.attempts(fmt.Sprint("o", i)) {
			if i >= common && !a.write {
				continue // they answer a write
			}
			lost := r.lie.answer == nil
			if lost && !a.write { // net/http may repeat what it knows to be harmless
				continue
			}
			if i%5 > 0 && !a.write && a.name != "look-up" { // some of these are enough
				continue
			}
			l := r.lie
			if l.answer != nil && l.answer.Status == http.StatusTooManyRequests {
				l.answer = &Answer{l.answer.Status, http.Header{"Retry-After": {"30"}}, l.answer.Body}
			}
			w.wire.say(l)
			began := time.Now()
			w.run(a)
			if took := time.Since(began); took > soon {
				c.errorf("%s: a %s takes %s; waiting is for the caller", r.name, a.name, took.Round(time.Millisecond))
			}
			most := 1
			if l.answer != nil && l.answer.Status == http.StatusUnauthorized && w.renewed() {
				most = 2
			}
			if n := w.wire.asked(); n > most {
				c.errorf("%s: a %s is sent %d times", r.name, a.name, n)
			}
		}
	}
}

// renewed reports whether a token was asked for between two requests.
func (w *world) renewed() bool {
	list := w.wire.all()
	return len(list) > 2 && list[0].vendor && !list[1].vendor
}

func lostAnswer(c *checker) {
	list := losses()
	list = append(list,
		reply{name: "the answer is empty", lie: lie{answer: &Answer{Status: 200}}},
		reply{name: "HTTP 202", lie: lie{answer: &Answer{Status: 202, Body: "{}"}}},
		reply{name: "a gateway answers 502", lie: lie{answer: &Answer{Status: 502, Body: "<html></html>"}}},
	)
	w := c.warm(0)
	for i, r := range list {
		for _, acts := range []bool{true, false} {
			r.lie.unheard = !acts
			if !acts && r.lie.rewrite != nil {
				continue // there is no answer to cut
			}
			entries := c.entries(fmt.Sprint("l", i, acts), 4)
			body, _ := w.body(entries)
			w.wire.say(r.lie)
			_, v := w.do(adapters.Call, body)
			w.wire.lie(nil)
			if v.Effect != classify.Open || v.Ended {
				c.errorf("%s, and the verdict is %s; want open, and nothing that says that the work has ended", r.name, said(v))
			}
			w.sameAsBooks(w.find(soughtOf(entries)), entries)
			if acts && w.vendor.Count(entries[0].Key) == 0 {
				c.fatalf("the vendor got a request, and its books have nothing of it")
			}
		}
	}
}

// sendLate sends a request that arrives after its sender has given up, and checks
// what is said of it. It returns what makes it arrive.
func (w *world) sendLate(body []byte) (arrive func()) {
	late, done := make(chan struct{}), make(chan struct{})
	w.wire.say(lie{late: late, done: done})
	v, arrived := w.untilDeadline(func(ctx context.Context, c *adapters.Conn) classify.Verdict {
		_, v := w.adapter.Do(ctx, c, adapters.Call, body)
		return v
	})
	if !arrived {
		w.fatalf("a write did not leave within %s", patience)
	}
	if v.Effect != classify.Open || v.Ended || v.Class != classify.Timeout {
		w.errorf("the deadline passed without an answer, and the verdict is %s; want class timeout, effect open", said(v))
	}
	return func() {
		close(late)
		select {
		case <-done:
		case <-time.After(patience):
			w.fatalf("the vendor did not act in %s", patience)
		}
	}
}

// untilDeadline makes an attempt whose deadline passes. It reports whether the
// vendor was asked before; on a slow machine it takes a later deadline for that.
func (w *world) untilDeadline(attempt func(context.Context, *adapters.Conn) classify.Verdict) (v classify.Verdict, arrived bool) {
	for limit := 100 * time.Millisecond; limit <= patience; limit *= 3 {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		w.labelled(ctx, func(ctx context.Context) { v = attempt(ctx, w.conn()) })
		cancel()
		asked := func() bool { return w.wire.asked() > 0 }
		if asked() || v.Effect == classify.Open && eventually(asked) { // what has left arrives
			return v, true
		}
	}
	return v, false
}

func lateEffect(c *checker) {
	w := c.warm(0)
	list := c.entries("late", 4)
	body, _ := w.body(list)
	arrive := w.sendLate(body)
	w.wire.lie(nil)
	w.sameAsBooks(w.find(soughtOf(list)), list)
	arrive()
	if w.vendor.Count(list[0].Key) == 0 {
		c.fatalf("the vendor got a request, and its books have nothing of it")
	}
	w.sameAsBooks(w.find(soughtOf(list)), list)
}

func unsent(c *checker) {
	// Nobody listens.
	w := c.warm(0)
	u := *w.base
	u.Host = "127.0.0.1:1" // a port that was free a moment ago can be somebody's now
	w.base, w.client = &u, adapters.NewClient(adapters.ClientOptions{DevHosts: []string{u.Host, w.wire.Listener.Addr().String()}})
	for _, a := range w.attempts("u") {
		v, result := w.run(a)
		c.none("nobody listens", a, v, result)
		if !v.Retry() {
			c.errorf("nobody listens, and trying a %s again cannot help: %s", a.name, said(v))
		}
	}

	// The connection's client calls nobody.
	w = c.warm(0)
	w.client = adapters.NewClient(adapters.ClientOptions{})
	for _, a := range w.attempts("u1") {
		v, result := w.run(a)
		c.none("the connection's client calls nobody", a, v, result)
	}

	// It is too large.
	w = c.warm(0)
	large := []byte(strings.Repeat(" ", adapters.MaxRequest) + string(w.write("u2")))
	if w.write("u2") != nil {
		if _, v := w.do(adapters.Call, large); w.wire.asked() == 0 && (v.Effect == classify.Open || v.Effect == classify.Done || v.Class == classify.Success) {
			c.errorf("a request that is too large to be sent ends with %s", said(v))
		}
	}

	// There is no token to send it with.
	w = c.world(0)
	for _, a := range w.attempts("t") {
		w.run(a)
		break
	}
	if !slices.ContainsFunc(w.wire.all(), func(s arrival) bool { return !s.vendor }) {
		return // it fetches none
	}
	for i, r := range failures(classify.OAuth) {
		if i%4 != 0 && r.lie.answer != nil {
			continue
		}
		fresh := c.world(0)
		for _, a := range fresh.attempts(fmt.Sprint("t", i)) {
			if !a.write {
				continue
			}
			fresh.wire.lieOfAll(func(s arrival) *lie {
				if s.vendor {
					return nil
				}
				return &r.lie
			})
			v, result := fresh.run(a)
			c.none("the token's request: "+r.name, a, v, result)
			if n := fresh.wire.asked(); n > 0 {
				c.errorf("the token's request: %s: the vendor is asked all the same", r.name)
			}
			if wrong := r.classed(v); wrong != "" && (r.lie.answer == nil || r.lie.answer.Status != 200) {
				c.errorf("the token's request: %s, and the verdict is %s; %s", r.name, said(v), wrong)
			}
		}
	}
}

// none checks the verdict on an attempt of which nothing was sent.
func (c *checker) none(why string, a attempt, v classify.Verdict, result any) {
	want := classify.Effect("")
	if a.write {
		want = classify.None
	}
	if v.Class == classify.Success || v.Effect != want || result != nil {
		c.errorf("%s, and a %s ends with %s; want effect %q and no result", why, a.name, said(v), want)
	}
}

func effect(c *checker) {
	w := c.warm(0)
	for i, r := range c.failures() {
		body := w.write(fmt.Sprint("e", i))
		if body == nil {
			return
		}
		w.wire.say(r.lie)
		_, v := w.do(adapters.Call, body)
		if wrong := r.judged(v); wrong != "" {
			c.errorf("%s, and the verdict is %s; %s", r.name, said(v), wrong)
		}
	}
	w.wire.say(lie{answer: &Answer{Status: 202, Body: "{}"}})
	if _, v := w.do(adapters.Call, w.write("202")); v.Effect != classify.Open || v.Ended {
		c.errorf("HTTP 202, and the verdict is %s; it has only been taken in: want open", said(v))
	}
	w.wire.lie(nil)
	if _, v := w.do(adapters.Call, w.write("done")); v.Class != classify.Success || v.Effect != classify.Done {
		c.errorf("a vendor that works accepted a write, and the verdict is %s", said(v))
	}
}

func codes(c *checker) {
	w := c.warm(0)
	table := w.adapter.Vendor().Codes
	for i, code := range slices.Sorted(maps.Keys(table.Codes)) {
		rule := table.Codes[code]
		body := w.write(fmt.Sprint("c", i))
		if body == nil {
			return
		}
		a := Answer{Status: stating(table.Dialect), Body: failure(table.Dialect, code, "no")}
		w.wire.say(lie{unheard: true, answer: &a})
		_, v := w.do(adapters.Call, body)
		want := classify.Open
		if rule.Effect == classify.None {
			want = classify.None
		}
		if v.Kind != rule.Kind || v.Effect != want || v.Ended && rule.GaveUp {
			c.errorf("%s means kind %s, effect %s, and the verdict is %s", code, rule.Kind, want, said(v))
		}
		if v.Retry() && v.RetryAfter < rule.Wait {
			c.errorf("%s asks for a wait of %s, and the verdict has %s", code, rule.Wait, v.RetryAfter)
		}
		// The vendor did it, and says so beside the error.
		w.wire.say(lie{rewrite: func(done Answer) Answer { return beside(done, a) }})
		if _, v = w.do(adapters.Call, w.write(fmt.Sprint("b", i))); v.Effect == classify.None {
			c.errorf("%s is beside what was done, and the verdict is %s", code, said(v))
		}
	}
}

// beside adds what is in an error to the answer that confirms a write. One that is
// no object is left as it is.
func beside(done, err Answer) Answer {
	var all, more map[string]json.RawMessage
	if json.Unmarshal([]byte(done.Body), &all) != nil || json.Unmarshal([]byte(err.Body), &more) != nil {
		return done
	}
	maps.Copy(all, more)
	body, _ := json.Marshal(all)
	return Answer{done.Status, done.Header, string(body)}
}

func throttling(c *checker) {
	w := c.warm(0)
	table := w.adapter.Vendor().Codes
	for i, answer := range c.s.Throttled {
		for _, a := range w.attempts(fmt.Sprint("t", i)) {
			w.wire.say(lie{unheard: true, answer: &answer})
			v, result := w.run(a)
			if v.Kind != classify.RateLimited || !v.Retry() || result != nil {
				c.errorf("HTTP %d, throttled: a %s ends with %s; want kind %s", answer.Status, a.name, said(v), classify.RateLimited)
			}
			want := classify.Effect("")
			if a.write {
				if want = classify.Open; documented(answer, table) {
					want = classify.None
				}
			}
			if v.Effect != want {
				c.errorf("HTTP %d, throttled: a %s ends with %s; want effect %q, by the table of codes", answer.Status, a.name, said(v), want)
			}
		}
	}
}

func largeAnswer(c *checker) {
	w := c.warm(0)
	pad := func(n int) lie {
		return lie{rewrite: func(a Answer) Answer {
			a.Body += strings.Repeat(" ", n)
			return a
		}}
	}
	const kept, read = adapters.MaxBody, adapters.MaxAnswer
	for i, n := range []int{kept, read + 1} {
		for _, a := range w.attempts(fmt.Sprint("large", i)) {
			if a.name == "ping" || n > read && a.name == "late errors" {
				continue // these are reads like others
			}
			w.wire.say(pad(n))
			v, result := w.run(a)
			w.wire.lie(nil)
			if r, ok := result.(adapters.Response); ok {
				if len(r.Body) > kept || len(r.Body) > 0 && r.Omitted != nil {
					c.errorf("a %s gets an answer of %d bytes more, and passes on %d", a.name, n, len(r.Body))
				}
			}
			switch {
			case !a.write && v.Class != classify.Success && (n < read || v.Kind != classify.PayloadTooLarge):
				c.errorf("a %s gets an answer of %d bytes more, and the verdict is %s; want a success or kind %s", a.name, n, said(v), classify.PayloadTooLarge)
			case a.write && v.Effect != classify.Done && v.Effect != classify.Open:
				c.errorf("a write is accepted with an answer of %d bytes more, and the verdict is %s; want effect done or open", n, said(v))
			case a.write && n < read && v.Class != classify.Success:
				c.errorf("a write is accepted with an answer of %d bytes more, and the verdict is %s; its size is no failure", n, said(v))
			case a.write && v.Class != classify.Success && !v.Retry():
				c.errorf("a write is accepted with an answer of %d bytes more, and the verdict is %s: nobody would ask what became of it", n, said(v))
			}
		}
	}
}

// elsewhere is another server, at which nothing may arrive.
func elsewhere() (at *wire, address string) {
	w := newWire(http.NotFoundHandler())
	w.Start()
	u, _ := url.Parse(w.URL)
	return w, "http://localhost:" + u.Port() + "/"
}
