package model

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/internal/answers"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// proof is what an answer to a write proves, read from docs/vendors.md#effects
// and not by package classify.
type proof string

const (
	nothing proof = "none"  // was done and nothing will be
	ended   proof = "ended" // the vendor's work has; whether it was done must be asked
	open    proof = "open"  // nothing
	done    proof = "done"  // it was done
)

// fault is what a vendor, or the network before it, does to one request.
type fault struct {
	name   string
	rules  []sandbox.Rule // without what they match
	proves proof          // to the sender
	acts   bool           // the vendor does what it is asked, all of it or a part, then or later
	lies   bool           // a look-up's answer that nothing but the control contradicts

	needsTwo bool // and of that two lines
}

func (f *fault) GoString() string { return f.name }

func (f *fault) with(change func(*sandbox.Rule)) *fault {
	g := *f
	g.rules = slices.Clone(f.rules)
	for i := range g.rules {
		change(&g.rules[i])
	}
	return &g
}

var none = &fault{name: "none"}

// secondPage marks the rule of a look-up's second page.
const secondPage = "skiptoken"

// cuts are the four places at which an exchange can break off.
var cuts = []*fault{
	{name: "cut before the effect", rules: []sandbox.Rule{{Drop: sandbox.BeforeEffect}}, proves: open},
	{name: "reset before the effect", rules: []sandbox.Rule{{Reset: sandbox.BeforeEffect}}, proves: open},
	{name: "cut after the effect", rules: []sandbox.Rule{{Drop: sandbox.AfterEffect}}, proves: open, acts: true},
	{name: "reset after the effect", rules: []sandbox.Rule{{Reset: sandbox.AfterEffect}}, proves: open, acts: true},
	{name: "cut in the headers", rules: []sandbox.Rule{{CutHeaders: 30}}, proves: open, acts: true},
	{name: "cut in the body", rules: []sandbox.Rule{{TruncateAt: 20}}, proves: open, acts: true},
}

// statuses are the rows of classify's map and one or more of each hundred.
var statuses = []int{
	200, 201, 202, 204, 206, 301, 302, 304, 307, 400, 401, 402, 403, 404, 405, 408, 409, 410, 412, 413, 415, 418, 422, 423, 424, 425, 429, 431, 451,
	500, 501, 502, 503, 504, 505, 507, 511, 520, 529,
}

// words are bodies of answers.
func (v vendor) words() (all []string) {
	all = []string{"bare", "HTML", "foreign", "shaped", "gave up"}
	if v.adapter == "xledger" {
		all = append(all, "data and errors", "two errors")
	}
	for code := range v.codes {
		all = append(all, code)
	}
	slices.Sort(all[5:])
	return all
}

// body is a body in the vendor's words. The message of one that gave up says so.
func (v vendor) body(words string) (body, contentType string) {
	graphQL := func(errors string) string { return `{"errors":[` + errors + `]}` }
	switch words {
	case "bare":
		return "", "application/json"
	case "HTML":
		return "<html><body>maintenance</body></html>", "text/html"
	case "foreign":
		return `{"detail":"no"}`, "application/json"
	case "data and errors":
		return `{"data":{"addGLImportItems":null},"errors":[{"message":"no","code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"}]}`, "application/json"
	case "two errors":
		return graphQL(`{"message":"no","code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"},{"message":"no"}`), "application/json"
	}
	code, message := words, "no"
	if words == "shaped" || words == "gave up" {
		code = "Some_Code"
	}
	if words == "gave up" {
		message = "The operation timed out."
	}
	switch {
	case v.adapter != "xledger":
		return fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`, code, message), "application/json"
	case code == "Some_Code":
		return graphQL(fmt.Sprintf(`{"message":%q}`, message)), "application/json"
	}
	return graphQL(fmt.Sprintf(`{"message":%q,"code":%q}`, message, code)), "application/json"
}

// reads is what docs/vendors.md#effects says of an answer.
func (v vendor) reads(status int, words string) proof {
	shaped := words != "bare" && words != "HTML" && words != "foreign"
	switch {
	case slices.Contains([]int{202, 408, 502, 504}, status) || status/100 == 3 || words == "gave up" || v.codes[words] == open:
		return open
	case status == 503:
		return ended
	case (status == 401 || status == 429) && words != "data and errors":
		return nothing
	case v.codes[words] == nothing && slices.Contains(v.coded, status):
		return nothing
	case shaped:
		return ended
	}
	return open
}

// answered is an answer in the vendor's place.
func (v vendor) answered(status int, words string) *fault {
	body, contentType := v.body(words)
	f := &fault{name: strconv.Itoa(status) + " " + words, proves: v.reads(status, words),
		rules: []sandbox.Rule{{Status: status, Body: body, Headers: map[string]string{"Content-Type": contentType}}}}
	if status == http.StatusNoContent || status == http.StatusNotModified {
		f.rules[0].Body = ""
		f.proves = v.reads(status, "bare")
	}
	return f
}

// spoilt are answers to a batch of which the vendor's own is changed: it did all
// of it, and says of one part that it did not.
func (v vendor) spoilt() (all []*fault) {
	for _, status := range []int{400, 401, 403, 404, 408, 409, 412, 424, 429, 500, 503, 504} {
		p := open
		switch status {
		case 401, 403, 424, 429, 503:
			p = ended
		}
		rewrite := func(body []byte) []byte {
			switch v.adapter {
			case "dataverse":
				return []byte(strings.Replace(string(body), "HTTP/1.1 204 No Content", fmt.Sprintf("HTTP/1.1 %d No", status), 1))
			case "businesscentral":
				return []byte(strings.Replace(string(body), `"status":201`, fmt.Sprintf(`"status":%d`, status), 1))
			}
			return body
		}
		if v.adapter != "xledger" {
			all = append(all, &fault{name: fmt.Sprintf("done, and one part says %d", status), proves: p, acts: true, rules: []sandbox.Rule{{Rewrite: rewrite}}})
		}
	}
	return all
}

// drawSend draws what becomes of a request that sends. Nothing takes effect later
// than within, and nothing does that was refused: these are the two limits that
// the documentation names.
func (v vendor) drawSend(t *rapid.T, within time.Duration) *fault {
	kinds := []string{"none", "none", "none", "cut", "cut", "answer", "answer", "table", "table", "common", "throttled", "refused"}
	if v.adapter != "xledger" {
		kinds = append(kinds, "spoilt")
	}
	if v.adapter == "businesscentral" {
		kinds = append(kinds, "part")
	}
	var f *fault
	switch rapid.SampledFrom(kinds).Draw(t, "fault of sending") {
	case "none":
		return none
	case "cut":
		f = rapid.SampledFrom(cuts).Draw(t, "cut")
		if f.acts {
			f = late(t, f, within)
		}
		return f
	case "answer":
		f = v.answered(rapid.SampledFrom(statuses).Draw(t, "status"), rapid.SampledFrom(v.words()).Draw(t, "body"))
	case "table":
		f = v.listed(rapid.SampledFrom(v.table()).Draw(t, "answer"))
		if f.rules[0].Rewrite != nil {
			f.acts = true
			return f
		}
	case "common": // that do not end a run
		f = v.answered(rapid.SampledFrom([]int{503, 500, 502, 504, 429, 408}).Draw(t, "status"), rapid.SampledFrom([]string{"bare", "shaped", "HTML"}).Draw(t, "body"))
	case "throttled":
		return &fault{name: "throttled", rules: []sandbox.Rule{v.throttled}, proves: v.whenThrottled}
	case "refused":
		f = &fault{name: "refused", rules: []sandbox.Rule{v.refused}, proves: v.whenRefused}
	case "spoilt":
		return rapid.SampledFrom(v.spoilt()).Draw(t, "part")
	case "part":
		n := rapid.IntRange(1, 3).Draw(t, "parts")
		f := cuts[2].with(func(r *sandbox.Rule) { r.ActFirst = n })
		f.name = "a part is done and its answer is cut"
		if rapid.Bool().Draw(t, "answered") {
			f.rules[0].Drop = ""
			f.name, f.proves = "a part is done, and so it says", ended
		}
		return f
	}
	if f.proves == nothing || !rapid.Bool().Draw(t, "acts") {
		return f
	}
	f = f.with(func(r *sandbox.Rule) { r.Act = true })
	f.name, f.acts = f.name+", and it is done", true
	if f.proves == open {
		f = late(t, f, within)
	}
	return f
}

// table are the answers that the matrix and the soak draw from too. What they let
// the network do is among the cuts here.
func (v vendor) table() (names []string) {
	for _, a := range answers.Of(v.adapter) {
		if !a.Hangs && a.Rule.Drop+a.Rule.Reset == "" && a.Rule.CutHeaders+a.Rule.TruncateAt == 0 {
			names = append(names, a.Name)
		}
	}
	return names
}

func (v vendor) listed(name string) *fault {
	proofs := map[answers.Proof]proof{answers.NothingDone: nothing, answers.WorkEnded: ended, answers.NoProof: open}
	all := answers.Of(v.adapter)
	a := all[slices.IndexFunc(all, func(a answers.Answer) bool { return a.Name == name })]
	return &fault{name: a.Name, proves: proofs[a.Proof], rules: []sandbox.Rule{a.Rule}}
}

// late lets the effect come later.
func late(t *rapid.T, f *fault, within time.Duration) *fault {
	ms := rapid.SampledFrom([]time.Duration{0, 0, 300 * time.Millisecond, 5 * time.Second, within / 2, within}).Draw(t, "late")
	if ms = min(ms, within); ms > 0 {
		f = f.with(func(r *sandbox.Rule) { r.EffectDelayMS = int(ms.Milliseconds()) })
		f.name += fmt.Sprintf(", %v later", ms)
	}
	return f
}

// asks are what becomes of a look-up.
func (v vendor) asks() []*fault {
	all := slices.Clone(cuts)
	for _, status := range []int{401, 403, 408, 429, 500, 502, 503, 504} {
		all = append(all, v.answered(status, "bare"), v.answered(status, "shaped"))
	}
	all = append(all, v.answered(200, "HTML"), v.answered(200, "foreign"), v.answered(200, "shaped"),
		&fault{name: "200 []", rules: []sandbox.Rule{{Status: 200, Body: `[]`}}},
		&fault{name: "200 {}", rules: []sandbox.Rule{{Status: 200, Body: `{}`}}},
		&fault{name: "its second page is missing", rules: []sandbox.Rule{{Lookup: sandbox.SecondPageMissing}, {Match: sandbox.Match{BodyContains: secondPage}, Lookup: sandbox.SecondPageMissing}}},
		&fault{name: "its second page is lost", rules: []sandbox.Rule{{Match: sandbox.Match{BodyContains: secondPage}, Drop: sandbox.AfterEffect}}},
		&fault{name: "its filter is ignored", rules: []sandbox.Rule{{Lookup: sandbox.FilterIgnored}}},
		&fault{name: "it is empty", rules: []sandbox.Rule{{Lookup: sandbox.Empty}}, lies: true},
		&fault{name: "it is stale", rules: []sandbox.Rule{{Stale: true}}, lies: true},
		&fault{name: "it is partial", rules: []sandbox.Rule{{Lookup: sandbox.Partial}}, lies: true, needsTwo: true},
	)
	return all
}

func (v vendor) drawAsk(t *rapid.T) *fault {
	if rapid.SampledFrom([]bool{false, false, true}).Draw(t, "the look-up fails") {
		return rapid.SampledFrom(v.asks()).Draw(t, "fault of the look-up")
	}
	return none
}
