package adaptertest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

func calls(c *checker) {
	for _, call := range c.s.Calls {
		w := c.warm(0)
		p, err := w.adapter.Describe(adapters.Call, []byte(call.Body))
		if err != nil {
			c.errorf("Describe refuses a request: %v: %s", err, short([]byte(call.Body)))
			continue
		}
		if p.Guard != call.Guard {
			c.errorf("guard %s, want %s: %s", p.Guard, call.Guard, short([]byte(call.Body)))
			continue
		}
		before := w.vendor.Changes()
		_, v := w.do(adapters.Call, []byte(call.Body))
		want := classify.Done
		if call.Guard == adapters.ReadOnly {
			want = ""
		}
		if v.Class != classify.Success || v.Effect != want {
			c.errorf("a vendor that works answered, and the verdict is %s: %s", said(v), short([]byte(call.Body)))
			continue
		}
		if wrote := w.vendor.Changes() != before; wrote != (call.Guard != adapters.ReadOnly) {
			c.errorf("guard %s, and the vendor's books changed: %v: %s", call.Guard, wrote, short([]byte(call.Body)))
		}
		if call.Key != "" && w.vendor.Count(call.Key) != 1 {
			c.errorf("the vendor's books have %q %d times: %s", call.Key, w.vendor.Count(call.Key), short([]byte(call.Body)))
		}
		if call.Guard == adapters.Readback {
			c.readback(w, call, p.Lookup)
		}
	}
}

// readback checks that what a call made is found with what its plan says.
func (c *checker) readback(w *world, call Call, sought []adapters.LookupKey) {
	f, ok := w.adapter.(adapters.Finder)
	if !ok || len(sought) == 0 || len(sought) > adapters.MaxKeys {
		c.errorf("guard %s, with %d records to ask for, and Find: %v: %s", adapters.Readback, len(sought), ok, short([]byte(call.Body)))
		return
	}
	w.limited(func(ctx context.Context) {
		found, v := f.Find(ctx, w.conn(), sought)
		if v.Class != classify.Success {
			c.errorf("Find: %s", said(v))
		}
		for _, s := range sought {
			if n := w.vendor.Count(s.Key); n != 1 || found[s.Key].Count != n {
				c.errorf("the vendor's books have a record of the call %d times, and Find finds it %d times: %s", n, found[s.Key].Count, short([]byte(call.Body)))
			}
		}
	})
}

func entries(c *checker) {
	w := c.world(0)
	x, terms := w.exporter(), w.adapter.Vendor().Export
	fields := terms.Dimensions
	if fields == nil {
		fields = []string{"alpha", "bravo", "charlie", "delta", "echo", "foxtrot"}
	}
	var first string
	for range 20 { // maps are walked in another order each time
		list := c.entries("e", min(20, terms.Entries/2*2))
		for i := range list {
			list[i].Dimensions = make(map[string]string)
			for _, f := range fields {
				list[i].Dimensions[f] = "1"
			}
		}
		body, err := x.ExportBody(w.form(), list)
		if err != nil {
			c.fatalf("ExportBody refuses entries with dimensions: %v", err)
		}
		if first == "" {
			first = string(body)
		} else if string(body) != first {
			c.errorf("the same entries make another body")
			break
		}
	}

	body, p := w.body(c.entries("e", terms.Entries))
	if len(body) > adapters.MaxRequest {
		c.errorf("the body of %d entries has %d bytes; at most %d are sent", terms.Entries, len(body), adapters.MaxRequest)
	}
	if p.Guard != adapters.Readback && p.Guard != adapters.Idempotent {
		c.errorf("an export's request has the guard %s; entries are found again by their keys: want %s or %s", p.Guard, adapters.Readback, adapters.Idempotent)
	}
	c.soughtFits(p, c.entries("e", terms.Entries))

	for _, n := range []int{0, terms.Entries + 2} {
		if _, err := x.ExportBody(w.form(), c.entries("e", n)); err == nil {
			c.errorf("ExportBody takes %d entries; its terms say 1 to %d", n, terms.Entries)
		}
	}
	long := c.entries("e", terms.Entries)
	for i := range long {
		long[i].Text = strings.Repeat("x", 2*adapters.MaxRequest/terms.Entries)
	}
	if body, err := x.ExportBody(w.form(), long); err == nil && len(body) > adapters.MaxRequest {
		c.errorf("ExportBody makes a body of %d bytes; at most %d are sent", len(body), adapters.MaxRequest)
	}
	c.unsendable(w)
}

// soughtFits checks that a plan asks for what its request makes.
func (c *checker) soughtFits(p adapters.Description, list []adapters.Entry) {
	if p.Guard != adapters.Readback {
		return
	}
	amounts := make(map[string]string)
	for _, s := range p.Lookup {
		amounts[s.Key] = s.Amount
	}
	for _, e := range list {
		switch amount, ok := amounts[e.Key]; {
		case !ok || len(p.Lookup) != len(list):
			c.errorf("the plan of a request of %d entries asks for %d records, and for that of each entry: %v", len(list), len(p.Lookup), ok)
			return
		case amount != "" && !adapters.SameAmount(amount, e.Amount):
			c.errorf("the plan asks for an entry of %s with the amount %s", e.Amount, amount)
			return
		}
	}
}

// unsendable checks that entries which cannot be sent are refused, in words that do not
// repeat them.
func (c *checker) unsendable(w *world) {
	const marker = "zq7-marker"
	for what, spoil := range map[string]func(*adapters.Entry){
		"a key":                func(e *adapters.Entry) { e.Key = marker + "'); --" },
		"an amount":            func(e *adapters.Entry) { e.Amount = "1," + marker },
		"an amount's exponent": func(e *adapters.Entry) { e.Amount, e.Text = "1e3", marker },
		"an amount's places":   func(e *adapters.Entry) { e.Amount, e.Text = "1.234", marker },
		"no account":           func(e *adapters.Entry) { e.Account, e.Text = "", marker },
		"no voucher":           func(e *adapters.Entry) { e.Voucher, e.Text = "", marker },
		"no date":              func(e *adapters.Entry) { e.Date, e.Text = time.Time{}, marker },
		"a key that is there twice": func(e *adapters.Entry) {
			e.Key, e.Text = c.entries("f", 2)[0].Key, marker
		},
	} {
		list := c.entries("f", 2)
		spoil(&list[1])
		_, err := w.exporter().ExportBody(w.form(), list)
		if err == nil {
			c.errorf("ExportBody takes an entry that cannot be sent: %s", what)
		} else if text := err.Error(); strings.Contains(text, marker) || strings.Contains(text, secretText) || strings.Contains(text, secretVoucher) {
			c.errorf("the error of %s repeats the values of the entry: %s", what, short([]byte(text)))
		}
	}
}

func export(c *checker) {
	w := c.warm(0)
	n := w.adapter.Vendor().Export.Entries
	list, others := c.entries("a", n), c.entries("b", 2)
	if found := w.find(soughtOf(list)); len(found) > 0 {
		c.errorf("Find finds %d records in empty books", len(found))
	}
	body, _ := w.body(list)
	r, v := w.do(adapters.Call, body)
	if v.Class != classify.Success || v.Effect != classify.Done {
		c.fatalf("a vendor that works took %d entries, and the verdict is %s", n, said(v))
	}
	w.booked(list, 1)
	found := make(map[string]adapters.LookupResult)
	for some := range slices.Chunk(soughtOf(append(slices.Clone(list), others...)), adapters.MaxKeys) {
		for key, f := range w.find(some) {
			found[key] = f
		}
	}
	w.sameAsBooks(found, append(slices.Clone(list), others...))
	w.references(list, r, found)

	odd := w.amounts()
	w.store(odd)
	w.sameAsBooks(w.find(soughtOf(odd)), odd)
	w.store(odd[:2]) // twice, if the vendor lets them be
	w.sameAsBooks(w.find(soughtOf(odd)), odd)
}

// amounts are entries whose amounts are easily spoilt.
func (c *checker) amounts() []adapters.Entry {
	amounts := []string{"0.10", "1234567890123456.78", "0", "0.01", "999999999999999999.99"}
	list := c.entries("amounts", 2*len(amounts))
	for i, amount := range amounts {
		list[2*i].Amount, list[2*i+1].Amount = amount, "-"+amount
	}
	return list[:min(len(list), c.s.New().Vendor().Export.Entries/2*2)]
}

// sameAsBooks compares what Find found of entries with the vendor's books.
func (w *world) sameAsBooks(found map[string]adapters.LookupResult, list []adapters.Entry) {
	known := make(map[string]bool)
	for _, e := range list {
		known[e.Key] = true
		f := found[e.Key]
		if n := w.vendor.Count(e.Key); f.Count != n {
			w.errorf("the vendor's books have an entry %d times, and Find finds it %d times", n, f.Count)
			return
		}
		if f.Count > 0 && f.Amount != "" && !adapters.SameAmount(f.Amount, e.Amount) {
			w.errorf("an entry of %s is found with the amount %s", e.Amount, f.Amount)
			return
		}
		if _, there := found[e.Key]; there && f.Count == 0 && f.Elsewhere == "" {
			w.errorf("an entry that is not there is in what Find found")
			return
		}
	}
	for key := range found {
		if !known[key] {
			w.errorf("Find found a key that was not asked for")
			return
		}
	}
}

// references checks the vendor's names of entries that were accepted.
func (w *world) references(list []adapters.Entry, r adapters.Response, found map[string]adapters.LookupResult) {
	keys := make(map[string]bool)
	for _, e := range list {
		keys[e.Key] = true
	}
	refs := w.exporter().References(list, r)
	names := make(map[string]bool)
	for key, ref := range refs {
		switch f := found[key]; {
		case !keys[key]:
			w.errorf("References names what was not sent")
			return
		case ref == "" || names[ref]:
			w.errorf("References gives an entry no name, or that of another: %q", ref)
			return
		case f.Reference != "" && f.Reference != ref:
			w.errorf("References says %q of an entry, and Find %q", ref, f.Reference)
			return
		}
		names[ref] = true
	}
	if w.adapter.Vendor().Export.LateErrors && len(refs) != len(list) {
		w.errorf("References names %d of %d entries: a late error of the others belongs to nobody", len(refs), len(list))
	}
	for _, body := range append([]string{`"--x\r\nContent-ID: 1\r\n"`, `{"data":null}`, `{"responses":[null]}`}, garbage...) {
		if !json.Valid([]byte(body)) {
			continue
		}
		if refs := w.exporter().References(list, adapters.Response{Status: 200, Body: json.RawMessage(body)}); len(refs) > 0 {
			w.errorf("References finds %d names in %s", len(refs), short([]byte(body)))
		}
	}
}

func idempotent(c *checker) {
	for _, call := range c.callsWith(func(g adapters.Guard) bool { return g == adapters.Idempotent }) {
		w := c.warm(0)
		for range 2 {
			if _, v := w.do(adapters.Call, []byte(call.Body)); v.Class != classify.Success {
				c.errorf("a repeat must be accepted, and the verdict is %s: %s", said(v), short([]byte(call.Body)))
			}
		}
		if call.Key != "" && w.vendor.Count(call.Key) != 1 {
			c.errorf("sent twice, the vendor's books have it %d times: %s", w.vendor.Count(call.Key), short([]byte(call.Body)))
		}
	}
	w := c.warm(0)
	if _, ok := w.adapter.(adapters.Exporter); !ok {
		return
	}
	list := c.entries("i", 4)
	body, p := w.body(list)
	if p.Guard != adapters.Idempotent {
		return
	}
	// Once more after the first was done, and once more before it arrives.
	for range 2 {
		if _, v := w.do(adapters.Call, body); v.Class != classify.Success || v.Effect != classify.Done {
			c.errorf("a repeat must be accepted, and the verdict is %s", said(v))
		}
	}
	w.booked(list, 1)
	late := c.entries("j", 4)
	body, _ = w.body(late)
	arrive := w.sendLate(body)
	w.wire.lie(nil)
	if _, v := w.do(adapters.Call, body); v.Class != classify.Success {
		c.errorf("a repeat of what is under way must be accepted, and the verdict is %s", said(v))
	}
	arrive()
	w.booked(late, 1)
}

func lateErrors(c *checker) {
	w := c.warm(0)
	w.store(c.entries("l", 2))
	terms := w.adapter.Vendor().Export
	ask := func(since time.Time) (late []adapters.LateError, v classify.Verdict) {
		w.limited(func(ctx context.Context) { late, v = w.exporter().LateErrors(ctx, w.conn(), since) })
		return late, v
	}
	before := w.vendor.Changes()
	w.wire.lie(nil)
	late, v := ask(time.Now().Add(-time.Hour))
	if v.Class != classify.Success || v.Effect != "" {
		c.errorf("a vendor that works was asked for late errors, and the verdict is %s", said(v))
	}
	if n := len(w.wire.all()); !terms.LateErrors && (n > 0 || len(late) > 0) {
		c.errorf("the terms say that there are no late errors, and LateErrors asks %d times and finds %d", n, len(late))
	}
	for _, e := range late {
		if e.Reference == "" && e.Message == "" {
			c.errorf("a late error says nothing")
		}
	}
	if n := w.vendor.Changes(); n != before {
		c.errorf("asking for late errors changed the vendor's books %d times", n-before)
	}
	if n := w.find(soughtOf(c.entries("l", 2))); len(n) != 2 {
		c.errorf("after asking for late errors, Find finds %s of 2 entries", fmt.Sprint(len(n)))
	}
}
