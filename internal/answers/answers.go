// Package answers is the table of what a vendor, or something before it, can
// answer to a write, and of what each answer proves.
//
// It is written down by hand, from the vendors' documentation as docs/vendors.md
// has it, and not taken from the program: the matrix, the model and the soak hold
// the program against it.
package answers

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// Proof is what an answer to a write proves.
type Proof string

// The proofs.
const (
	NothingDone Proof = "nothing was done" // and nothing will be
	WorkEnded   Proof = "the work has ended"
	NoProof     Proof = "nothing"
)

// Answer is one of the table.
type Answer struct {
	Name  string
	Proof Proof
	Rule  sandbox.Rule // without its effect
	Hangs bool
}

// Of are the answers of a vendor, by its adapter's name.
func Of(adapter string) []Answer { return table[adapter] }

var table = map[string][]Answer{
	"xledger": concat(
		common(gql("no", "")),
		list(WorkEnded, 200, map[string]string{
			"errors without a code": gql("account.code: No value matching owner 42365431, code '3000'.", ""),
			"an unknown code":       gql("no", "BAD_REQUEST.SOMETHING"),
		}),
		list(NothingDone, 200, map[string]string{
			"burst limit":       gql("slow down", "BAD_REQUEST.BURST_RATE_LIMIT_REACHED"),
			"concurrency limit": gql("slow down", "BAD_REQUEST.CONCURRENCY_LIMIT_REACHED"),
			"credits":           gql("buy more", "BAD_REQUEST.INSUFFICIENT_CREDITS"),
			"invalid argument":  `{"errors":[{"message":"no","extensions":{"code":"ARGUMENTS_OF_CORRECT_TYPE"}}]}`,
			"invalid value":     `{"errors":[{"message":"no","extensions":{"code":"INVALID_VALUE"}}]}`,
		}),
		list(NothingDone, 400, map[string]string{
			"burst limit":      gql("slow down", "BAD_REQUEST.BURST_RATE_LIMIT_REACHED"),
			"invalid argument": `{"errors":[{"message":"no","extensions":{"code":"ARGUMENTS_OF_CORRECT_TYPE"}}]}`,
		}),
		list(NoProof, 200, map[string]string{
			"timed out": gql("Your query timed out.", ""), "data null": `{"data":null}`, "neither data nor errors": `{}`,
			"mutation null": `{"data":{"addGLImportItems":null}}`, "edges null": `{"data":{"addGLImportItems":{"edges":null}}}`,
			"fewer edges":   `{"data":{"addGLImportItems":{"edges":[{"clientId":"1","node":{"dbId":"7"}}]}}}`,
			"another field": `{"data":{"__typename":"Mutation"}}`,
		}),
		[]Answer{
			{Name: "200 data and errors", Proof: WorkEnded, Rule: sandbox.Rule{Rewrite: withErrors(`[{"message":"Cannot read dbId"}]`)}},
			{Name: "200 data and throttling", Proof: WorkEnded, Rule: sandbox.Rule{Rewrite: withErrors(`[{"message":"slow down","code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"}]`)}},
		},
	),
	"businesscentral": concat(
		common(ODataError("Unlisted", "no")),
		list(WorkEnded, 500, map[string]string{"Internal_ServerError": ODataError("Internal_ServerError", "locked by another user"), "Unknown": ODataError("Unknown", "Internal server error")}),
		list(WorkEnded, 409, map[string]string{"deadlock": ODataError("Internal_ServerError", "Your activity was deadlocked with another user"), "Request_EntityChanged": ODataError("Request_EntityChanged", "no")}),
		list(WorkEnded, 503, map[string]string{"Internal_TenantUnavailable": ODataError("Internal_TenantUnavailable", "no")}),
		list(NothingDone, 429, map[string]string{"Application_TooManyRequests": ODataError("Application_TooManyRequests", "Too many requests reached.")}),
		list(NothingDone, 404, map[string]string{
			"Internal_CompanyNotFound":    ODataError("Internal_CompanyNotFound", "no such company"),
			"BadRequest_ResourceNotFound": ODataError("BadRequest_ResourceNotFound", "no such resource"),
		}),
		list(WorkEnded, 400, map[string]string{
			"Internal_DataNotFoundFilter": ODataError("Internal_DataNotFoundFilter", "no"), "Internal_RecordNotFound": ODataError("Internal_RecordNotFound", "no"),
			"Internal_InvalidTableRelation": ODataError("Internal_InvalidTableRelation", "no"), "Internal_EntityWithSameKeyExists": ODataError("Internal_EntityWithSameKeyExists", "no"),
		}),
		list(WorkEnded, 200, map[string]string{
			"part 400": inPart(400, ODataError("Application_DialogException", "no")), "part 401": inPart(401, ODataError("Authentication_InvalidCredentials", "no")),
			"part 403": inPart(403, ODataError("Authorization_Denied", "no")), "part 404": inPart(404, ODataError("Internal_RecordNotFound", "no")),
			"part 409": inPart(409, ODataError("Request_EntityChanged", "no")), "part 429": inPart(429, ODataError("Application_TooManyRequests", "slow down")),
			"part 500": inPart(500, ODataError("Internal_ServerError", "no")), "part 503": inPart(503, ODataError("Unlisted", "no")), "error": ODataError("Application_DialogException", "no"),
		}),
		list(NoProof, 200, map[string]string{
			"part 408": inPart(408, ODataError("Unlisted", "no")), "part 504": inPart(504, ODataError("Unlisted", "no")), "part 500 timed out": inPart(500, ODataError("Unlisted", "The operation timed out.")),
			"fewer parts": `{"responses":[{"id":"0","status":201,"body":{"id":"x"}}]}`, "part 200 empty": inPart(200, "null"), "no parts": `{"responses":[]}`, "no batch": `{"value":[]}`,
		}),
	),
	"dataverse": concat(
		common(ODataError("0x80040265", "no")),
		list(WorkEnded, 500, map[string]string{
			"0x80040333": ODataError("0x80040333", "a duplicate exists"), "0x80044150": ODataError("0x80044150", "Generic SQL error."), "0x80040216": ODataError("0x80040216", "An unexpected error occurred."),
		}),
		list(WorkEnded, 400, map[string]string{"0x8005f103": ODataError("0x8005f103", "busy"), "0x80060308": ODataError("0x80060308", "busy")}),
		list(WorkEnded, 412, map[string]string{"0x80060892": ODataError("0x80060892", "exists"), "0x80040237": ODataError("0x80040237", "exists")}),
		list(NoProof, 500, map[string]string{"0x80044151": ODataError("0x80044151", "SQL timeout expired.")}),
		list(NothingDone, 429, map[string]string{
			"0x80072322": ODataError("0x80072322", "requests"), "0x80072321": ODataError("0x80072321", "time"), "0x80072326": ODataError("0x80072326", "concurrency"),
		}),
		list(NothingDone, 404, map[string]string{"0x8006088a": ODataError("0x8006088a", "Resource not found for the segment 'led_entries'.")}),
		[]Answer{{Name: "200 refused change set", Proof: NothingDone, Rule: sandbox.Rule{Status: 200, Headers: map[string]string{"Content-Type": "multipart/mixed; boundary=b"},
			Body: multipart(400, ODataError("0x80040203", "no"))}}},
	),
}

// statuses are the rows of the map from statuses to failures, and one beyond them
// for each hundred.
var statuses = []int{302, 304, 400, 401, 403, 404, 408, 409, 412, 413, 418, 422, 425, 429, 500, 501, 502, 503, 504, 505, 507, 511}

// byStatus is what a status proves: first what it does whatever its body is, then
// what it does in the vendor's own shape.
func byStatus(status int, own bool) Proof {
	switch status {
	case 401, 429:
		return NothingDone
	case 503:
		return WorkEnded
	case 302, 304, 408, 502, 504:
		return NoProof
	}
	if own {
		return WorkEnded
	}
	return NoProof
}

// shapes are what a failure's body can look like.
var shapes = []struct{ name, body string }{
	{"bare", ""},
	{"foreign", `{"fault":"policy","id":7}`},
	{"HTML", "<html><head><title>Bad gateway</title></head></html>"},
}

// common are the answers that do not depend on the vendor's language.
func common(own string) []Answer {
	var all []Answer
	for _, status := range statuses {
		for _, s := range shapes {
			all = append(all, Answer{Name: fmt.Sprintf("%d %s", status, s.name), Proof: byStatus(status, false), Rule: sandbox.Rule{Status: status, Body: s.body}})
		}
		all = append(all, Answer{Name: fmt.Sprintf("%d own", status), Proof: byStatus(status, true), Rule: sandbox.Rule{Status: status, Body: own}})
	}
	for _, a := range []Answer{
		{Name: "202", Rule: sandbox.Rule{Status: 202, Body: `{}`}},
		{Name: "200 empty", Rule: sandbox.Rule{Status: 200}},
		{Name: "200 HTML", Rule: sandbox.Rule{Status: 200, Body: "<!DOCTYPE html><html></html>"}},
		{Name: "200 array", Rule: sandbox.Rule{Status: 200, Body: "[]"}},
		{Name: "200 cut off", Rule: sandbox.Rule{TruncateAt: 20}},
		{Name: "cut within the headers", Rule: sandbox.Rule{CutHeaders: 12}},
		{Name: "closed without an answer", Rule: sandbox.Rule{Drop: sandbox.AfterEffect}},
		{Name: "reset without an answer", Rule: sandbox.Rule{Reset: sandbox.AfterEffect}},
		{Name: "no answer", Rule: sandbox.Rule{Hang: true}, Hangs: true},
	} {
		a.Proof = NoProof
		all = append(all, a)
	}
	return all
}

func list(p Proof, status int, named map[string]string) (all []Answer) {
	for _, name := range slices.Sorted(maps.Keys(named)) {
		all = append(all, Answer{Name: fmt.Sprintf("%d %s", status, name), Proof: p, Rule: sandbox.Rule{Status: status, Body: named[name]}})
	}
	return all
}

func gql(message, code string) string {
	e := map[string]any{"message": message}
	if code != "" {
		e["code"] = code
	}
	b, _ := json.Marshal(map[string]any{"errors": []any{e}})
	return string(b)
}

// ODataError is a failure in OData's shape.
func ODataError(code, message string) string {
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

// multipart is the answer to a change set of which a part failed.
func multipart(status int, body string) string {
	return strings.ReplaceAll(fmt.Sprintf("--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\nContent-Type: application/http\nContent-Transfer-Encoding: binary\nContent-ID: 1\n\n"+
		"HTTP/1.1 %d Bad Request\nContent-Type: application/json\nContent-Length: %d\n\n%s\n--c--\n--b--\n", status, len(body), body), "\n", "\r\n")
}

func concat(lists ...[]Answer) (all []Answer) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}
