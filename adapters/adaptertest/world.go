package adaptertest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http/httptest"
	"net/url"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

// patience is how long a check waits for what must happen, on a slow machine too.
const patience = 10 * time.Second

// world is one adapter with one vendor and the wire between them.
type world struct {
	*checker
	adapter  adapters.Adapter
	vendor   Vendor
	wire     *wire
	client   *adapters.Client
	base     *url.URL
	settings map[string]string
	learned  map[string]string // by Verify
	label    string            // of the goroutines that the adapter starts
}

var labels atomic.Int64

// world starts a vendor and connects an adapter to it.
func (c *checker) world(pageSize int) *world {
	w := c.started(pageSize, (*httptest.Server).Start)
	w.client = adapters.NewClient(adapters.ClientOptions{DevHosts: []string{w.base.Host}})
	return w
}

// started is a world without a client.
func (c *checker) started(pageSize int, start func(*httptest.Server)) *world {
	w := &world{checker: c, adapter: c.s.New(), vendor: c.s.Start(pageSize), label: fmt.Sprint(labels.Add(1))}
	w.wire = newWire(w.vendor.Handler)
	start(w.wire.Server)
	c.worlds = append(c.worlds, w)
	base, settings := c.s.Connect(w.wire.URL)
	u, err := url.Parse(base)
	if err != nil {
		c.fatalf("Subject.Connect: %v", err)
	}
	w.base, w.settings, w.wire.base = u, settings, strings.TrimRight(u.Path, "/")
	return w
}

// warm is a world in which the adapter has been used, so that whatever it fetches
// on the way is there.
func (c *checker) warm(pageSize int) *world {
	w := c.world(pageSize)
	if _, v := w.do(adapters.Ping, nil); v.Class != classify.Success {
		c.fatalf("a ping is not accepted: %s", said(v))
	}
	w.wire.lie(nil)
	return w
}

func (w *world) close() {
	if w.client != nil {
		w.client.CloseIdle()
	}
	w.wire.close()
}

// conn is a connection for one attempt.
func (w *world) conn() *adapters.Conn {
	base := *w.base
	return &adapters.Conn{
		Client: w.client, Adapter: w.adapter.Vendor().Name, BaseURL: &base, CorrelationID: uuid.NewString(),
		Settings: maps.Clone(w.settings), Credentials: maps.Clone(w.s.Credentials),
	}
}

// limited runs f with a deadline that a working vendor does not need.
func (w *world) limited(f func(ctx context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w.labelled(ctx, f)
}

// labelled runs f so that the goroutines which it starts can be recognized.
func (w *world) labelled(ctx context.Context, f func(ctx context.Context)) {
	pprof.Do(ctx, pprof.Labels("adaptertest", w.label), f)
}

func (w *world) do(op adapters.Operation, body []byte) (r adapters.Response, v classify.Verdict) {
	w.limited(func(ctx context.Context) { r, v = w.adapter.Do(ctx, w.conn(), op, body) })
	return r, v
}

func (w *world) exporter() adapters.Exporter { return w.adapter.(adapters.Exporter) }

func (w *world) form() adapters.Form { return adapters.Form{Settings: w.settings, Learned: w.learned} }

// body is what sends entries, with the plan of it.
func (w *world) body(list []adapters.Entry) ([]byte, adapters.Description) {
	body, err := w.exporter().ExportBody(w.form(), list)
	if err != nil {
		w.fatalf("ExportBody refuses %d entries: %v", len(list), err)
	}
	p, err := w.adapter.Describe(adapters.Call, body)
	if err != nil {
		w.fatalf("Describe refuses what ExportBody made: %v", err)
	}
	return body, p
}

// store sends entries that the vendor must accept.
func (w *world) store(list []adapters.Entry) adapters.Response {
	body, _ := w.body(list)
	r, v := w.do(adapters.Call, body)
	if v.Class != classify.Success {
		w.fatalf("%d entries are not accepted: %s", len(list), said(v))
	}
	return r
}

// ask asks for records, and checks what holds of every answer.
func (w *world) ask(sought []adapters.LookupKey) (found map[string]adapters.LookupResult, v classify.Verdict) {
	w.limited(func(ctx context.Context) { found, v = w.exporter().Find(ctx, w.conn(), sought) })
	return found, v
}

// find asks for records when nothing keeps the answer away.
func (w *world) find(sought []adapters.LookupKey) map[string]adapters.LookupResult {
	found, v := w.ask(sought)
	if v.Class != classify.Success {
		w.fatalf("Find gets no answer from a vendor that works: %s", said(v))
	}
	return found
}

// attempt is one way of using an adapter.
type attempt struct {
	name  string
	write bool
	run   func(ctx context.Context, c *adapters.Conn) (classify.Verdict, any)
}

// attempts are the ways of using the adapter: a ping, a read, a write, a look-up
// and, where there are some, late errors. Each write is of new entries if it can be.
func (w *world) attempts(prefix string) []attempt {
	do := func(name string, write bool, op adapters.Operation, body []byte) attempt {
		return attempt{name, write, func(ctx context.Context, c *adapters.Conn) (classify.Verdict, any) {
			r, v := w.adapter.Do(ctx, c, op, body)
			if r.Body == nil && r.Omitted == nil {
				return v, nil
			}
			return v, r
		}}
	}
	list := []attempt{do("ping", false, adapters.Ping, nil), do("read", false, adapters.Call, []byte(w.read().Body))}
	if body := w.write(prefix); body != nil {
		list = append(list, do("write", true, adapters.Call, body))
	}
	x, ok := w.adapter.(adapters.Exporter)
	if !ok {
		return list
	}
	sought := soughtOf(w.entries(prefix, 2))
	list = append(list, attempt{"look-up", false, func(ctx context.Context, c *adapters.Conn) (classify.Verdict, any) {
		found, v := x.Find(ctx, c, sought)
		if len(found) == 0 {
			return v, nil
		}
		return v, found
	}})
	if x.Vendor().Export.LateErrors {
		list = append(list, attempt{"late errors", false, func(ctx context.Context, c *adapters.Conn) (classify.Verdict, any) {
			late, v := x.LateErrors(ctx, c, time.Now().Add(-time.Hour))
			if len(late) == 0 {
				return v, nil
			}
			return v, late
		}})
	}
	return list
}

// write is the body of a write: of two new entries, or a sample call. It is nil if
// the adapter only reads.
func (w *world) write(prefix string) []byte {
	if _, ok := w.adapter.(adapters.Exporter); ok {
		body, _ := w.body(w.entries(prefix, 2))
		return body
	}
	for _, call := range w.callsWith(func(g adapters.Guard) bool { return g != adapters.ReadOnly }) {
		return []byte(call.Body)
	}
	return nil
}

// run makes an attempt.
func (w *world) run(a attempt) (v classify.Verdict, result any) {
	w.limited(func(ctx context.Context) { v, result = a.run(ctx, w.conn()) })
	return v, result
}

// keyOf is an entry's key.
func keyOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:16])
}

// The parts of an entry that no message may repeat.
const (
	secretText    = "Kaffe & kaker, Åse"
	secretVoucher = "bilag"
)

// entries makes n entries in vouchers of two lines that sum to zero.
func (c *checker) entries(prefix string, n int) (list []adapters.Entry) {
	amounts := []string{"100.10", "-1234567890123.45", "0.10", "-7"}
	for i := range n {
		amount := amounts[i/2%len(amounts)]
		if i%2 == 1 {
			if amount = "-" + amount; amount[1] == '-' {
				amount = amount[2:]
			}
		}
		e := adapters.Entry{
			Key: keyOf(fmt.Sprint(prefix, " ", i)), Voucher: fmt.Sprint(secretVoucher, " ", prefix, i/2), Account: "1920", Amount: amount, Currency: "NOK",
			Text: secretText, Date: time.Date(2026, 10, 15, 0, 0, 0, 0, time.UTC),
		}
		if c.s.Entry != nil {
			c.s.Entry(&e)
		}
		list = append(list, e)
	}
	return list
}

// soughtOf is what is asked for to find entries.
func soughtOf(list []adapters.Entry) (sought []adapters.LookupKey) {
	for _, e := range list {
		sought = append(sought, adapters.LookupKey{Key: e.Key, Voucher: e.Voucher, Amount: e.Amount})
	}
	return sought
}

// booked compares the vendor's books with what there must be of each entry.
func (w *world) booked(list []adapters.Entry, want int) {
	for i, e := range list {
		if n := w.vendor.Count(e.Key); n != want {
			w.errorf("the vendor's books have entry %d of %d %d times, want %d", i+1, len(list), n, want)
			return
		}
	}
}

// said is a verdict in a message.
func said(v classify.Verdict) string {
	s := fmt.Sprintf("class %s, kind %s, effect %s", v.Class, v.Kind, cmp.Or(string(v.Effect), `""`))
	if v.Effect == classify.Open && v.Ended {
		s += " and ended"
	}
	if v.Message != "" {
		s += ": " + short([]byte(v.Message))
	}
	return s
}

// eventually waits for what must happen.
func eventually(happened func() bool) bool {
	for end := time.Now().Add(patience / 2); ; time.Sleep(5 * time.Millisecond) {
		if happened() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// running returns the goroutines that the adapter has started and that have not
// ended, each group with its stack.
func (w *world) running() string {
	var all bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&all, 1)
	var list []string
	for group := range strings.SplitSeq(all.String(), "\n\n") {
		if strings.Contains(group, `"adaptertest":"`+w.label+`"`) {
			list = append(list, group)
		}
	}
	return strings.Join(list, "\n\n")
}
