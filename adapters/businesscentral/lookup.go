package businesscentral

import (
	"cmp"
	"context"
	"fmt"
	"maps"
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

// folded is what lines are compared by.
func (l line) folded() line { return line{l.path, folded(l.number)} }

// folded is a number as Business Central keeps it, whatever was sent: in capitals and
// without blanks around it (docs/vendors.md#business-central).
func folded(number string) string { return strings.ToUpper(strings.Trim(number, " ")) }

// primary are the headers of a look-up: without them a read may be answered by a
// replica that lags behind (docs/vendors.md#businesscentral-copies).
var primary = http.Header{"Data-Access-Intent": {"ReadWrite"}}

// Find implements [adapters.Finder]. Lines are asked for in the journal, and those
// that are not there in the general ledger by their document number: a line that
// has been posted is no longer in the journal.
func (b Adapter) Find(ctx context.Context, c *adapters.Conn, sought []adapters.LookupKey) (map[string]adapters.LookupResult, classify.Verdict) {
	own := ""
	if err := Vendor.NeedSettings(c.Settings); err == nil {
		own = linesPath(c.Settings)
	} else if slices.ContainsFunc(sought, func(s adapters.LookupKey) bool { return s.In == "" }) {
		return nil, classify.NewVerdict(classify.Configuration, "settings", err.Error())
	}
	keys := make(map[line]string, len(sought)) // as they were sought
	var paths []string                         // in their order, so that the same question makes the same request
	of := make(map[string][]adapters.LookupKey)
	for _, s := range sought {
		l := line{cmp.Or(s.In, own), s.Key}
		if _, twice := keys[l.folded()]; twice {
			continue
		}
		keys[l.folded()] = s.Key
		if of[l.path] == nil {
			paths = append(paths, l.path)
		}
		of[l.path] = append(of[l.path], s)
	}
	found := make(map[string]adapters.LookupResult)
	for _, path := range paths {
		groups := odata.SplitLookup(of[path])
		numbers := make([][]string, len(groups))
		for i, group := range groups {
			for _, s := range group {
				numbers[i] = append(numbers[i], strings.Trim(s.Key, " "))
			}
		}
		lists, v := b.ask(ctx, c, odata.LookupRequests(path, "externalDocumentNumber", "id,externalDocumentNumber,amount", numbers))
		if v.Class != classify.Success {
			return nil, v
		}
		answers := make([]map[string]adapters.LookupResult, len(lists))
		for i, list := range lists {
			answers[i] = make(map[string]adapters.LookupResult)
			for _, r := range list {
				key, asked := keys[line{path, r.Text("externalDocumentNumber")}.folded()]
				if !asked {
					return nil, odata.UnrequestedRecord()
				}
				f := answers[i][key]
				if f.Count++; f.Reference == "" {
					f.Reference, f.Amount = r.Text("id"), r.Amount("amount")
				}
				answers[i][key] = f
			}
		}
		there, w, ok := adapters.MergeLookup(groups, answers)
		if !ok {
			return nil, w
		}
		maps.Copy(found, there)
	}
	return b.posted(ctx, c, own, sought, found)
}

// ledger is the general ledger to which the lines of a journal are posted; it is
// empty for what is no journal.
func ledger(lines string) string {
	company, _, ok := strings.Cut(lines, "/journals(")
	if !ok {
		return ""
	}
	return company + "/generalLedgerEntries"
}

// posted asks the general ledger for the document numbers of lines that are not in
// the journal. own are the lines of the settings' journal.
func (b Adapter) posted(ctx context.Context, c *adapters.Conn, own string, sought []adapters.LookupKey, found map[string]adapters.LookupResult) (map[string]adapters.LookupResult, classify.Verdict) {
	type posting struct{ ledger, document string }
	keys := make(map[posting][]string) // of the lines of a document
	documents := make(map[string][]string)
	var ledgers []string
	for _, s := range sought {
		at := ledger(cmp.Or(s.In, own))
		_, there := found[s.Key]
		switch {
		case there || at == "":
			continue
		case folded(s.Voucher) == "" && s.In != "": // a request that gave it none
			found[s.Key] = adapters.LookupResult{Elsewhere: "the line is not in the journal, and without a documentNumber nobody can tell whether it was posted"}
			continue
		case s.Voucher == "": // of which it is not known
			continue
		}
		p := posting{at, folded(document(s.Voucher))}
		if documents[at] == nil {
			ledgers = append(ledgers, at)
		}
		if keys[p] == nil {
			documents[at] = append(documents[at], p.document)
		}
		keys[p] = append(keys[p], s.Key)
	}
	for _, at := range ledgers {
		lists, v := b.ask(ctx, c, odata.LookupRequests(at, "documentNumber", "documentNumber", slices.Collect(slices.Chunk(documents[at], odata.PerLookup))))
		if v.Class != classify.Success {
			return nil, v
		}
		for _, r := range slices.Concat(lists...) {
			of := keys[posting{at, folded(r.Text("documentNumber"))}]
			if of == nil {
				return nil, odata.UnrequestedRecord()
			}
			for _, key := range of {
				found[key] = adapters.LookupResult{Elsewhere: fmt.Sprintf("document %s has entries in the general ledger", r.Text("documentNumber"))}
			}
		}
	}
	return found, classify.Verdict{Class: classify.Success, Kind: classify.OK, Rule: "status:2xx", HTTPStatus: http.StatusOK}
}

// ask makes GET requests, as batches if there are several, and returns the records
// that each found.
func (b Adapter) ask(ctx context.Context, c *adapters.Conn, gets []odata.Request) ([][]odata.Record, classify.Verdict) {
	var out [][]odata.Record
	var v classify.Verdict
	for some := range slices.Chunk(gets, maxBatch) {
		var bodies [][]byte
		if bodies, v = b.answers(ctx, c, some); v.Class != classify.Success {
			return nil, v
		}
		lists, w := b.send.Records(ctx, c, primary, bodies)
		if w.Class != classify.Success {
			return nil, w
		}
		out = append(out, lists...)
	}
	return out, v
}

func (b Adapter) answers(ctx context.Context, c *adapters.Conn, gets []odata.Request) ([][]byte, classify.Verdict) {
	if len(gets) == 1 {
		a, v := b.send.Send(ctx, c, classify.Read, http.MethodGet, gets[0].Path, primary, nil)
		return [][]byte{a.Body}, adapters.LookupVerdict(v)
	}
	batch := odata.Request{Requests: slices.Clone(gets)}
	for i := range batch.Requests {
		batch.Requests[i].Headers = map[string]string{"Data-Access-Intent": "ReadWrite"}
	}
	a, v := b.send.Send(ctx, c, classify.Read, http.MethodPost, "$batch", primary, render(batch))
	if v = odata.WholeBatch(v, classify.Read, len(gets)); v.Class != classify.Success {
		return nil, adapters.LookupVerdict(v)
	}
	found, err := parts(a.Body, len(gets))
	if err != nil {
		return nil, classify.NewVerdict(classify.Untrusted, "lookup:answer", err.Error())
	}
	bodies := make([][]byte, len(found))
	for i, body := range found {
		bodies[i] = body
	}
	return bodies, v
}
