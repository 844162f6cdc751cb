package activities

import (
	"cmp"
	"context"
	"regexp"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/redact"
)

// What a vendor says passes this file, and nothing else sees it: an adapter is asked
// here, or by do of call.go, which hands its verdict here at once; see words_test.go
// beside go.mod. Adapters and package classify pass its words on whole, because a cut
// could leave part of a secret that no mask finds; what leaves has passed
// [redact.Redactor.Text], which masks first and then cuts.

// maskVerdict returns a verdict with its words masked. Those of parts are dropped,
// because nothing reads them.
func maskVerdict(conn *adapters.Conn, v classify.Verdict) classify.Verdict {
	v.Message, v.Parts = conn.Masker().Text(v.Message), nil
	return v
}

// masked masks the secrets of an attempt in its answer. Where that cannot be done,
// or not before ctx is done, the body is left out: what the vendor has accepted does
// not become a failure by masking.
func (a *Activities) masked(ctx context.Context, r *redact.Redactor, answer Answer) Answer {
	body := answer.Body
	if len(body) == 0 {
		return answer
	}
	done := make(chan []byte, 1)
	go func() { // it stops soon after ctx, and that may be too late to report
		defer func() {
			if recover() != nil {
				a.options.Log.Error("an answer could not be masked; this is a defect of Ledgerline", "at", panicSite())
				done <- nil
			}
		}()
		masked, _ := r.JSON(ctx, body)
		done <- masked
	}()
	select {
	case answer.Body = <-done:
	case <-ctx.Done():
		answer.Body = nil
	}
	if answer.Body == nil {
		answer.Omitted = adapters.Omit(body, adapters.NotMasked)
	}
	return answer
}

// maskBy returns a context that is done when an answer must have been masked: at the
// end of ctx, so that all of the [margin] behind it is left to report in. The vendor may
// take until then for its answer; one that comes so late has a quarter of the margin.
func (a *Activities) maskBy(ctx context.Context, p classify.Policy) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if ctx = context.WithoutCancel(ctx); !ok {
		return context.WithCancel(ctx)
	}
	m := margin(p.AttemptTimeout)
	late := min(max(m/4-time.Until(end), 0), m/2)
	return context.WithDeadline(ctx, end.Add(cmp.Or(a.maskFor, late)))
}

// sendEntries sends the body of an export. references are the vendor's names of
// entries by their keys, see [keptReference].
func sendEntries(ctx context.Context, x adapters.Exporter, conn *adapters.Conn, body []byte, lines []adapters.Entry) (status int, references map[string]string, v classify.Verdict) {
	resp, v := x.Do(ctx, conn, adapters.Call, body)
	if v.Effect == classify.Done {
		references = x.References(lines, resp)
		r := conn.Masker()
		for key, name := range references {
			references[key], _ = keptReference(r, name)
		}
	}
	return resp.Status, references, maskVerdict(conn, v)
}

// changedMark follows a reference that is not as the vendor wrote it, so that nobody
// looks for it there and it is never taken for that of something else.
const changedMark = " (changed)"

// keptReference returns a vendor's own name of an entry as it is kept. Numbers, GUIDs
// and the like stay as they are; own is false if it had to be changed.
func keptReference(r *redact.Redactor, name string) (kept string, own bool) {
	kept = r.Text(name)
	if kept == name {
		return kept, true
	}
	return kept + changedMark, false
}

// decimal is an amount that is compared as the vendor wrote it. It leaves an attempt
// only in its message or answer, which are masked then.
var decimal = regexp.MustCompile(`^-?[0-9]{1,30}(\.[0-9]{1,10})?$`)

// find asks which records the vendor has, see [adapters.Finder].
func find(ctx context.Context, finder adapters.Finder, conn *adapters.Conn, sought []adapters.LookupKey) (map[string]adapters.LookupResult, classify.Verdict) {
	found, v := finder.Find(ctx, conn, sought)
	r := conn.Masker()
	for key, f := range found {
		f.Reference, _ = keptReference(r, f.Reference)
		f.Elsewhere = r.Text(f.Elsewhere)
		if !decimal.MatchString(f.Amount) {
			f.Amount = r.Text(f.Amount)
		}
		found[key] = f
	}
	return found, maskVerdict(conn, v)
}

// findLateErrors asks what the vendor found wrong later, see [adapters.Exporter]. Errors under
// a name that is not kept as it came can be matched with no entry; unnamed is how
// many these are.
func findLateErrors(ctx context.Context, x adapters.Exporter, conn *adapters.Conn, since time.Time) (list []adapters.LateError, unnamed int, v classify.Verdict) {
	all, v := x.LateErrors(ctx, conn, since)
	if v.Class != classify.Success {
		return nil, 0, maskVerdict(conn, v)
	}
	r := conn.Masker()
	for _, e := range all {
		if ctx.Err() != nil { // a vendor may say a lot
			return nil, 0, classify.Err(ctx.Err())
		}
		own := false
		if e.Reference, own = keptReference(r, e.Reference); !own {
			unnamed++
			continue
		}
		e.Message = r.Text(e.Message)
		list = append(list, e)
	}
	return list, unnamed, maskVerdict(conn, v)
}

// verifyVendor asks whether the vendor is as exports need it, see [adapters.Verifier].
func verifyVendor(ctx context.Context, verifier adapters.Verifier, conn *adapters.Conn, w adapters.Requirements) (adapters.Contract, classify.Verdict) {
	contract, v := verifier.Verify(ctx, conn, w)
	r := conn.Masker()
	for i := range contract.Checks {
		c := &contract.Checks[i]
		c.What, c.Found, c.Remedy = r.Text(c.What), r.Text(c.Found), r.Text(c.Remedy)
	}
	contract.Refusal = maskVerdict(conn, contract.Refusal)
	return contract, maskVerdict(conn, v)
}
