package businesscentral

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/odata"
	"github.com/ledgerline/ledgerline/classify"
)

// line names a journal line that can be found again: its collection and its
// externalDocumentNumber.
type line struct{ path, number string }

// folded is what lines are compared by. Business Central keeps such a number in
// capitals, whatever was sent, so two that differ in case only are the same.
func (l line) folded() line { return line{l.path, strings.ToUpper(l.number)} }

// find asks the journals which of the lines they have, and returns those by what
// they are compared by. Up to twenty lines take
// one GET, more take one $batch of GETs. The answer is the last one.
//
// Only what is in the journal can be found: a line that has been posted is no
// longer there.
func (b Adapter) find(ctx context.Context, c *adapters.Conn, lines []line) (map[line]adapters.Found, adapters.Answer, classify.Verdict) {
	asked := make(map[line]bool, len(lines))
	var paths []string // in their order, so that the same question makes the same request
	numbers := make(map[string][]string)
	for _, l := range lines {
		if asked[l.folded()] {
			continue
		}
		asked[l.folded()] = true
		if numbers[l.path] == nil {
			paths = append(paths, l.path)
		}
		numbers[l.path] = append(numbers[l.path], l.number)
	}
	var gets []odata.Request
	var of []string // the path of each
	for _, path := range paths {
		some := odata.LookUps(path, "externalDocumentNumber", "id,externalDocumentNumber", numbers[path])
		gets, of = append(gets, some...), append(of, slices.Repeat([]string{path}, len(some))...)
	}
	found := make(map[line]adapters.Found)
	var a adapters.Answer
	var v classify.Verdict
	for i, some := range slices.Collect(slices.Chunk(gets, MaxBatch)) {
		var bodies [][]byte
		if bodies, a, v = b.ask(ctx, c, some); v.Class != classify.Success {
			return nil, a, v
		}
		for j, body := range bodies {
			if err := collect(found, asked, of[i*MaxBatch+j], body); err != nil {
				return nil, a, adapters.Fault(classify.InvalidResponse, "readback:shape", err.Error())
			}
		}
	}
	return found, a, v
}

// ask makes GET requests, as a batch if there are several.
func (b Adapter) ask(ctx context.Context, c *adapters.Conn, gets []odata.Request) ([][]byte, adapters.Answer, classify.Verdict) {
	if len(gets) == 1 {
		a, v := b.send.Send(ctx, c, classify.Read, http.MethodGet, gets[0].Path, nil, nil)
		return [][]byte{a.Body}, a, v
	}
	a, v := b.send.Send(ctx, c, classify.Read, http.MethodPost, "$batch", nil, render(odata.Request{Requests: gets}))
	if v = odata.Whole(v, classify.Read, len(gets)); v.Class != classify.Success {
		return nil, a, v
	}
	found, err := parts(a.Body, len(gets))
	if err != nil {
		return nil, a, adapters.Fault(classify.InvalidResponse, "readback:shape", err.Error())
	}
	bodies := make([][]byte, len(found))
	for i, body := range found {
		bodies[i] = body
	}
	return bodies, a, v
}

// collect counts the lines in an answer. One that was not asked for means that
// the filter was passed over, and then nothing of the answer can be trusted.
func collect(found map[line]adapters.Found, asked map[line]bool, path string, body []byte) error {
	records, err := odata.Records(body)
	if err != nil {
		return err
	}
	for _, r := range records {
		id := line{path, r.Text("externalDocumentNumber")}.folded()
		if !asked[id] {
			return errors.New("the look-up answered with a line that was not asked for; its filter was passed over")
		}
		f := found[id]
		if f.Count++; f.Reference == "" {
			f.Reference = r.Text("id")
		}
		found[id] = f
	}
	return nil
}

// missing asks the journal which lines of r it has. It returns what is left to
// send, nil when nothing is, and by their numbers the lines that are there.
func (b Adapter) missing(ctx context.Context, c *adapters.Conn, r odata.Request) (*odata.Request, map[string]adapters.Found, adapters.Answer, classify.Verdict) {
	defer c.ReadBack()()
	requests := r.Requests
	if !r.Batch() {
		requests = []odata.Request{r}
	}
	var wanted []line
	for _, p := range requests {
		if n := documentNumber(p); n != "" {
			wanted = append(wanted, line{p.Path, n})
		}
	}
	there, a, v := b.find(ctx, c, wanted)
	if v.Class != classify.Success {
		return nil, nil, a, v
	}
	byNumber := make(map[string]adapters.Found)
	var left []odata.Request
	for _, p := range requests {
		n := documentNumber(p)
		if f, ok := there[line{p.Path, n}.folded()]; ok && n != "" {
			byNumber[n] = f
			continue
		}
		left = append(left, p)
	}
	switch {
	case len(left) == 0:
		return nil, byNumber, a, v
	case r.Batch():
		r.Requests = left
		return &r, byNumber, a, v
	}
	return &left[0], byNumber, a, v
}

// lookUp answers [adapters.LookUp] for the journal of the settings.
func (b Adapter) lookUp(ctx context.Context, c *adapters.Conn, keys []string) (adapters.Response, classify.Verdict) {
	if err := adapters.NeedSettings(c.Settings, limits.Settings...); err != nil {
		return adapters.Response{}, adapters.Fault(classify.Configuration, "settings", err.Error())
	}
	path := linesPath(c.Settings)
	lines := make([]line, len(keys))
	for i, k := range keys {
		lines[i] = line{path, k}
	}
	there, a, v := b.find(ctx, c, lines)
	if v.Class != classify.Success {
		return adapters.Response{}, v
	}
	found := make(map[string]adapters.Found, len(there))
	for i, k := range keys {
		if f, ok := there[lines[i].folded()]; ok {
			found[k] = f
		}
	}
	return odata.Answered(a.Status, found)
}
