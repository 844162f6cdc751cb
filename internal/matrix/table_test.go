package matrix

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// proof is what an answer to a write proves. It is written down here by hand,
// from the vendors' documentation, and not taken from the program.
type proof string

const (
	nothingDone proof = "nothing was done" // and nothing will be
	workEnded   proof = "the work has ended"
	noProof     proof = "nothing"
)

// answer is what a vendor, or something before it, can answer to a write.
type answer struct {
	name  string
	proof proof
	rule  sandbox.Rule // without its effect
	hangs bool
}

// effect is what became of the write.
type effect struct {
	name  string
	apply func(*sandbox.Rule)
	late  time.Duration // when it is stored, after the answer
	none  bool
	part  bool
}

// How late effects are: by less than an attempt takes, by more, and by more than
// the time for which the program waits.
const (
	attemptTime = 2 * time.Second
	hangTime    = 300 * time.Millisecond // an attempt that gets no answer, in real time
	inFlight    = time.Minute
	// refusedFlight is for how long an upsert that was refused is waited for before
	// its entries are rejected: as long as for other content.
	refusedFlight = 2 * time.Minute
	soon, later   = time.Second, 30 * time.Second
	afterAll      = 10 * time.Minute
	maxDeferWait  = 20 * time.Minute
)

var effects = []effect{
	{name: "none", none: true, apply: func(r *sandbox.Rule) {
		if r.Status == 0 && !r.Hang {
			r.Drop = orElse(r.Drop, sandbox.BeforeEffect)
		}
	}},
	{name: "all", apply: func(r *sandbox.Rule) { r.Act = true }},
	{name: "part", part: true, apply: func(r *sandbox.Rule) { r.ActFirst = 1 }},
	{name: "late, soon", late: soon, apply: delayed(soon)},
	{name: "late, within its time", late: later, apply: delayed(later)},
	{name: "late, after its time", late: afterAll, apply: delayed(afterAll)},
}

func delayed(d time.Duration) func(*sandbox.Rule) {
	return func(r *sandbox.Rule) { r.EffectDelayMS = int(d.Milliseconds()) }
}

func orElse(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// asks are the ways in which a vendor answers when it is asked what it has. All
// but the first hold for the first two questions, then it is honest.
var asks = []struct {
	name string
	rule *sandbox.Rule
}{
	{"honest", nil},
	{"stale", &sandbox.Rule{Stale: true}}, // as of before what is known to be there
	{"partial", &sandbox.Rule{LookUp: sandbox.Partial}},
	{"empty", &sandbox.Rule{LookUp: sandbox.Empty}},
	{"second page missing", &sandbox.Rule{LookUp: sandbox.SecondPageMissing}},
	{"filter ignored", &sandbox.Rule{LookUp: sandbox.FilterIgnored}},
	{"429", &sandbox.Rule{Status: http.StatusTooManyRequests}},
	{"401", &sandbox.Rule{Status: http.StatusUnauthorized, Body: `{}`}},
}

// moments are the points of an export at which the answer comes.
const (
	firstChunk    = "first chunk"
	halvedChunk   = "halved chunk"
	singleVoucher = "single voucher"
	takenOver     = "re-cut chunk after a take-over"
	laterRetry    = "retry in a later run"
)

var moments = []string{firstChunk, halvedChunk, singleVoucher, takenOver, laterRetry}

// statuses are the rows of the map from statuses to failures, and one beyond them
// for each hundred.
var statuses = []int{302, 400, 401, 403, 404, 408, 409, 412, 413, 418, 422, 425, 429, 500, 501, 502, 503, 504, 505, 507, 511}

// byStatus is what a status proves: first what it does whatever its body is, then
// what it does in the vendor's own shape.
func byStatus(status int, own bool) proof {
	switch status {
	case 401, 429:
		return nothingDone
	case 503:
		return workEnded
	case 302, 408, 502, 504:
		return noProof
	}
	if own {
		return workEnded
	}
	return noProof
}

// shapes are what a failure's body can look like.
var shapes = []struct{ name, body string }{
	{"bare", ""},
	{"foreign", `{"fault":"policy","id":7}`},
	{"HTML", "<html><head><title>Bad gateway</title></head></html>"},
}

// common are the answers that do not depend on the vendor's language.
func common(own string) []answer {
	var all []answer
	for _, status := range statuses {
		for _, s := range shapes {
			all = append(all, answer{name: fmt.Sprintf("%d %s", status, s.name), proof: byStatus(status, false), rule: sandbox.Rule{Status: status, Body: s.body}})
		}
		all = append(all, answer{name: fmt.Sprintf("%d own", status), proof: byStatus(status, true), rule: sandbox.Rule{Status: status, Body: own}})
	}
	for _, a := range []answer{
		{name: "202", rule: sandbox.Rule{Status: 202, Body: `{}`}},
		{name: "200 empty", rule: sandbox.Rule{Status: 200}},
		{name: "200 HTML", rule: sandbox.Rule{Status: 200, Body: "<!DOCTYPE html><html></html>"}},
		{name: "200 array", rule: sandbox.Rule{Status: 200, Body: "[]"}},
		{name: "200 cut off", rule: sandbox.Rule{TruncateAt: 20}},
		{name: "cut within the headers", rule: sandbox.Rule{CutHeaders: 12}},
		{name: "closed without an answer", rule: sandbox.Rule{Drop: sandbox.AfterEffect}},
		{name: "reset without an answer", rule: sandbox.Rule{Reset: sandbox.AfterEffect}},
		{name: "no answer", rule: sandbox.Rule{Hang: true}, hangs: true},
	} {
		a.proof = noProof
		all = append(all, a)
	}
	return all
}

func list(p proof, status int, named map[string]string) (all []answer) {
	for _, name := range slices.Sorted(maps.Keys(named)) {
		all = append(all, answer{name: fmt.Sprintf("%d %s", status, name), proof: p, rule: sandbox.Rule{Status: status, Body: named[name]}})
	}
	return all
}

// vendor is what the matrix has to know of one.
type vendor struct {
	adapter  string
	settings map[string]string
	atomic   bool // a request is all or nothing
	upserts  bool // a repeat has no further effect
	inFlight time.Duration
	answers  []answer
}

func gql(message, code string) string {
	e := map[string]any{"message": message}
	if code != "" {
		e["code"] = code
	}
	b, _ := json.Marshal(map[string]any{"errors": []any{e}})
	return string(b)
}

func odata(code, message string) string {
	b, _ := json.Marshal(map[string]any{"error": map[string]string{"code": code, "message": message}})
	return string(b)
}

// withErrors adds errors to what Xledger would answer.
func withErrors(errors string) func([]byte) []byte {
	return func(body []byte) []byte {
		var m map[string]json.RawMessage
		if json.Unmarshal(body, &m) != nil {
			m = map[string]json.RawMessage{}
		}
		if m["data"] == nil {
			m["data"] = json.RawMessage(`{"addGLImportItems":{"edges":[]}}`)
		}
		m["errors"] = json.RawMessage(errors)
		out, _ := json.Marshal(m)
		return out
	}
}

// inPart is an answer to a $batch of which a part failed.
func inPart(status int, body string) string {
	return fmt.Sprintf(`{"responses":[{"id":"0","status":%d,"headers":{"content-type":"application/json"},"body":%s}]}`, status, body)
}

var vendors = []vendor{{
	adapter: "xledger", atomic: true, inFlight: inFlight,
	answers: concat(
		common(gql("no", "")),
		list(workEnded, 200, map[string]string{
			"errors without a code": gql("account.code: No value matching owner 42365431, code '3000'.", ""),
			"an unknown code":       gql("no", "BAD_REQUEST.SOMETHING"),
		}),
		list(nothingDone, 200, map[string]string{
			"burst limit":       gql("slow down", "BAD_REQUEST.BURST_RATE_LIMIT_REACHED"),
			"concurrency limit": gql("slow down", "BAD_REQUEST.CONCURRENCY_LIMIT_REACHED"),
			"credits":           gql("buy more", "BAD_REQUEST.INSUFFICIENT_CREDITS"),
			"invalid argument":  `{"errors":[{"message":"no","extensions":{"code":"ARGUMENTS_OF_CORRECT_TYPE"}}]}`,
			"invalid value":     `{"errors":[{"message":"no","extensions":{"code":"INVALID_VALUE"}}]}`,
		}),
		list(nothingDone, 400, map[string]string{
			"burst limit":      gql("slow down", "BAD_REQUEST.BURST_RATE_LIMIT_REACHED"),
			"invalid argument": `{"errors":[{"message":"no","extensions":{"code":"ARGUMENTS_OF_CORRECT_TYPE"}}]}`,
		}),
		list(noProof, 200, map[string]string{
			"timed out": gql("Your query timed out.", ""), "data null": `{"data":null}`, "neither data nor errors": `{}`,
			"mutation null": `{"data":{"addGLImportItems":null}}`, "edges null": `{"data":{"addGLImportItems":{"edges":null}}}`,
			"fewer edges":   `{"data":{"addGLImportItems":{"edges":[{"clientId":"1","node":{"dbId":"7"}}]}}}`,
			"another field": `{"data":{"__typename":"Mutation"}}`,
		}),
		[]answer{
			{name: "200 data and errors", proof: workEnded, rule: sandbox.Rule{Rewrite: withErrors(`[{"message":"Cannot read dbId"}]`)}},
			{name: "200 data and throttling", proof: workEnded, rule: sandbox.Rule{Rewrite: withErrors(`[{"message":"slow down","code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"}]`)}},
		},
	),
}, {
	adapter: "businesscentral", inFlight: inFlight,
	settings: map[string]string{"companyId": sandbox.DemoCompanyID, "journalId": sandbox.DemoJournalID},
	answers: concat(
		common(odata("Unlisted", "no")),
		list(workEnded, 500, map[string]string{"Internal_ServerError": odata("Internal_ServerError", "locked by another user"), "Unknown": odata("Unknown", "Internal server error")}),
		list(workEnded, 409, map[string]string{"deadlock": odata("Internal_ServerError", "Your activity was deadlocked with another user"), "Request_EntityChanged": odata("Request_EntityChanged", "no")}),
		list(workEnded, 503, map[string]string{"Internal_TenantUnavailable": odata("Internal_TenantUnavailable", "no")}),
		list(nothingDone, 429, map[string]string{"Application_TooManyRequests": odata("Application_TooManyRequests", "Too many requests reached.")}),
		list(nothingDone, 404, map[string]string{"Internal_CompanyNotFound": odata("Internal_CompanyNotFound", "no such company")}),
		list(workEnded, 400, map[string]string{
			"Internal_DataNotFoundFilter": odata("Internal_DataNotFoundFilter", "no"), "Internal_RecordNotFound": odata("Internal_RecordNotFound", "no"),
			"Internal_InvalidTableRelation": odata("Internal_InvalidTableRelation", "no"), "Internal_EntityWithSameKeyExists": odata("Internal_EntityWithSameKeyExists", "no"),
		}),
		list(workEnded, 200, map[string]string{
			"part 400": inPart(400, odata("Application_DialogException", "no")), "part 401": inPart(401, odata("Authentication_InvalidCredentials", "no")),
			"part 403": inPart(403, odata("Authorization_Denied", "no")), "part 404": inPart(404, odata("Internal_RecordNotFound", "no")),
			"part 409": inPart(409, odata("Request_EntityChanged", "no")), "part 429": inPart(429, odata("Application_TooManyRequests", "slow down")),
			"part 500": inPart(500, odata("Internal_ServerError", "no")), "part 503": inPart(503, odata("Unlisted", "no")), "error": odata("Application_DialogException", "no"),
		}),
		list(noProof, 200, map[string]string{
			"part 408": inPart(408, odata("Unlisted", "no")), "part 504": inPart(504, odata("Unlisted", "no")), "part 500 timed out": inPart(500, odata("Unlisted", "The operation timed out.")),
			"fewer parts": `{"responses":[{"id":"0","status":201,"body":{"id":"x"}}]}`, "part 200 empty": inPart(200, "null"), "no parts": `{"responses":[]}`, "no batch": `{"value":[]}`,
		}),
	),
}, {
	adapter: "dataverse", atomic: true, upserts: true,
	settings: map[string]string{"table": "led_entries", "prefix": "led_"},
	answers: concat(
		common(odata("0x80040265", "no")),
		list(workEnded, 500, map[string]string{
			"0x80040333": odata("0x80040333", "a duplicate exists"), "0x80044150": odata("0x80044150", "Generic SQL error."), "0x80040216": odata("0x80040216", "An unexpected error occurred."),
		}),
		list(workEnded, 412, map[string]string{"0x80060892": odata("0x80060892", "exists"), "0x80040237": odata("0x80040237", "exists")}),
		list(noProof, 500, map[string]string{"0x80044151": odata("0x80044151", "SQL timeout expired.")}),
		list(nothingDone, 429, map[string]string{
			"0x80072322": odata("0x80072322", "requests"), "0x80072321": odata("0x80072321", "time"), "0x80072326": odata("0x80072326", "concurrency"),
		}),
		list(nothingDone, 404, map[string]string{"0x8006088a": odata("0x8006088a", "Resource not found for the segment 'led_entries'.")}),
		[]answer{{name: "200 refused change set", proof: nothingDone, rule: sandbox.Rule{Status: 200, Headers: map[string]string{"Content-Type": "multipart/mixed; boundary=b"},
			Body: multipart(400, odata("0x80040203", "no"))}}},
	),
}}

// multipart is the answer to a change set of which a part failed.
func multipart(status int, body string) string {
	return strings.ReplaceAll(fmt.Sprintf("--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\nContent-Type: application/http\nContent-Transfer-Encoding: binary\nContent-ID: 1\n\n"+
		"HTTP/1.1 %d Bad Request\nContent-Type: application/json\nContent-Length: %d\n\n%s\n--c--\n--b--\n", status, len(body), body), "\n", "\r\n")
}

func concat(lists ...[]answer) (all []answer) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}
