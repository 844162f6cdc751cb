package adaptertest

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

// tooMany is how many requests a look-up may take before it counts as endless.
const tooMany = 1000

// pageSize is that of a vendor which is to answer in several pages.
const pageSize = 7

func pages(c *checker) {
	most := c.s.New().Vendor().Export.Entries / 2 * 2
	for _, n := range slices.Compact([]int{min(20, most), min(60, most)}) { // as many as take one request, and a batch, at vendors that have those
		w := c.warm(pageSize)
		list := c.entries(fmt.Sprint("p", n), n)
		w.store(list)
		sought := soughtOf(append(slices.Clone(list), c.entries("absent", 4)...))
		w.wire.lie(nil)
		found := w.find(sought)
		asked := w.wire.asked()
		w.sameAsBooks(found, list)
		if asked == 1 && len(found) == n {
			c.fatalf("Subject.Start: a page has more than %d records, so nothing is proved", pageSize)
		}
		for _, at := range slices.Compact([]int{1, asked - 1}) {
			if at > 0 {
				c.lostPage(w, sought, at)
			}
		}
		c.endless(w, sought)
	}
}

// lostPage keeps a page of an answer away.
func (c *checker) lostPage(w *world, sought []adapters.LookupKey, at int) {
	d := w.adapter.Vendor().Codes.Dialect
	for _, l := range []struct {
		name string
		lie  lie
		kind classify.Kind
	}{
		{"HTTP 500", lie{answer: &Answer{Status: 500, Body: failure(d, "Unlisted", "no")}}, classify.ServerError},
		{"HTTP 429", lie{answer: &Answer{Status: 429, Body: failure(d, "Unlisted", "no")}}, classify.RateLimited},
		{"HTTP 403", lie{answer: &Answer{Status: 403}}, classify.Forbidden},
		{"HTTP 404", lie{answer: &Answer{Status: 404}}, classify.NotFound},
		{"HTML", lie{answer: &Answer{Status: 200, Body: "<html></html>"}}, classify.IncompleteResponse},
		{"no body", lie{answer: &Answer{Status: 200}}, classify.IncompleteResponse},
		{"no page", lie{answer: &Answer{Status: 200, Body: `{"fault":"policy"}`}}, ""},
		{"an array", lie{answer: &Answer{Status: 200, Body: "[]"}}, ""},
		{"an answer that is cut off", lie{how: cutBody, after: 20, rewrite: same}, classify.Network},
	} {
		w.wire.lie(func(s arrival) *lie {
			if s.n == at {
				return &l.lie
			}
			return nil
		})
		found, v := w.ask(sought)
		if v.Class == classify.Success || len(found) > 0 || v.Effect != "" {
			c.errorf("page %d of an answer is %s; Find returns %d records and the verdict %s", at+1, l.name, len(found), said(v))
		} else if l.kind != "" && v.Kind != l.kind {
			c.errorf("page %d of an answer is %s, and the verdict is %s; want that of what kept the page away, kind %s", at+1, l.name, said(v), l.kind)
		}
	}
}

// endless answers each question for a further page with the first page.
func (c *checker) endless(w *world, sought []adapters.LookupKey) {
	var first *Answer
	w.wire.lie(func(s arrival) *lie {
		return &lie{rewrite: func(a Answer) Answer {
			if first == nil {
				first = &a
			}
			return *first
		}}
	})
	found, v := w.ask(sought)
	asked := w.wire.asked()
	if asked == 1 {
		return // nothing led further
	}
	if v.Class == classify.Success || len(found) > 0 {
		c.errorf("the same page comes again and again; Find returns %d records and the verdict %s", len(found), said(v))
	}
	if asked > tooMany || v.Class == classify.Timeout {
		c.errorf("the same page comes again and again, and Find asks %d times: %s", asked, said(v))
	}
}

// record keeps the answers to a question.
func (w *world) record(sought []adapters.LookupKey) (answers []Answer) {
	w.wire.lie(func(s arrival) *lie {
		return &lie{rewrite: func(a Answer) Answer {
			answers = append(answers, a)
			return a
		}}
	})
	w.find(sought)
	return answers
}

// replay answers a question with the answers to another one.
func (w *world) replay(answers []Answer) {
	w.wire.lie(func(s arrival) *lie {
		if len(answers) == 0 {
			return nil
		}
		return &lie{unheard: true, answer: &answers[min(s.n, len(answers)-1)]}
	})
}

func filter(c *checker) {
	most := c.s.New().Vendor().Export.Entries / 2 * 2
	for _, n := range []int{2, min(60, most)} {
		w := c.warm(0)
		here, others, absent := c.entries(fmt.Sprint("f", n), n), c.entries(fmt.Sprint("g", n), n), c.entries(fmt.Sprint("h", n), n)
		w.store(here)
		w.store(others)
		untrusted := func(how string, ask []adapters.Entry) {
			found, v := w.ask(soughtOf(ask))
			if v.Class == classify.Success || len(found) > 0 {
				c.errorf("%s, and Find returns %d of %d records and the verdict %s", how, len(found), n, said(v))
			} else if v.Kind != classify.Untrusted {
				c.errorf("%s, and the verdict is %s; want kind %s: asking again can help", how, said(v), classify.Untrusted)
			}
		}
		answers := w.record(soughtOf(others))
		w.replay(answers)
		untrusted("the vendor answers with records that were not asked for", here)
		w.replay(answers)
		untrusted("the vendor answers a question for absent records with others", absent)
		w.wire.lie(nil)
		if w.vendor.IgnoreFilters != nil {
			w.vendor.IgnoreFilters()
			untrusted("the vendor ignores the filter", here)
			untrusted("the vendor ignores the filter", absent)
		}
	}
}

func known(c *checker) {
	w := c.warm(0)
	there := c.entries("k", 4)
	w.store(there)
	control := soughtOf(there)[0]
	control.Known = true

	// It is asked for in each request that the question takes, and counted once.
	var sought []adapters.LookupKey
	for _, e := range c.entries("absent", adapters.MaxKeys-len(there)) {
		sought = append(sought, adapters.LookupKey{Key: e.Key})
	}
	sought = append(append([]adapters.LookupKey{control}, sought...), soughtOf(there)[1:]...)
	w.wire.lie(nil)
	w.sameAsBooks(w.find(sought), there)
	asked := w.wire.asked()

	// One of the requests is answered as if nothing were there.
	var empty []adapters.LookupKey
	for _, e := range c.entries("empty", adapters.MaxKeys) {
		empty = append(empty, adapters.LookupKey{Key: e.Key})
	}
	nothing := w.record(empty)
	for at := range asked {
		w.wire.lie(func(s arrival) *lie {
			if s.n != at {
				return nil
			}
			return &lie{unheard: true, answer: &nothing[min(at, len(nothing)-1)]}
		})
		found, v := w.ask(sought)
		if v.Class != classify.Success {
			if len(found) > 0 {
				c.errorf("Find returns %d records with the verdict %s", len(found), said(v))
			}
			continue
		}
		if found[control.Key].Count > 0 && len(found) < len(there) {
			c.errorf("a part of the answer shows nothing, also not the record that is known to be there; Find returns that record and not %d others", len(there)-len(found))
		}
	}

	// It is not there any more, or never was.
	w.wire.lie(nil)
	absent := adapters.LookupKey{Key: c.entries("never", 1)[0].Key, Known: true}
	if found, v := w.ask([]adapters.LookupKey{absent, soughtOf(there)[1]}); v.Class == classify.Success && found[absent.Key].Count > 0 {
		c.errorf("a record that is said to be there and is not is in what Find found")
	}
	if found, v := w.ask(nil); v.Class != classify.Success || len(found) > 0 || v.Effect != "" {
		c.errorf("asked for nothing, Find returns %d records and the verdict %s", len(found), said(v))
	}
}

func reads(c *checker) {
	w := c.warm(0)
	list := append(failures(w.adapter.Vendor().Codes.Dialect), reply{name: "HTTP 202", lie: lie{answer: &Answer{Status: http.StatusAccepted, Body: "{}"}}})
	for _, r := range list {
		for _, a := range w.attempts("r") {
			if a.write || a.name != "look-up" && r.lie.answer != nil && r.lie.answer.Status == http.StatusAccepted {
				continue
			}
			w.wire.say(r.lie)
			v, result := w.run(a)
			wrong := ""
			switch {
			case v.Class == classify.Success:
				wrong = "it is taken for a success"
			case v.Effect != "":
				wrong = "a read has no effect"
			case result != nil:
				wrong = "there is a result all the same"
			default:
				wrong = r.classed(v)
			}
			if wrong != "" {
				c.errorf("%s: a %s ends with %s; %s", r.name, a.name, said(v), wrong)
			}
		}
	}
}
