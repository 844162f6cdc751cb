package adaptertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/classify"
)

// reply is one thing that a vendor, or something before it, can say to a request,
// and what may be concluded from it. It is written down from docs/vendors.md#effects
// and not taken from package classify.
type reply struct {
	name  string
	lie   lie
	none  bool  // it may prove that nothing was done
	ended bool  // it may prove that the work has ended
	retry *bool // whether trying again can help; nil leaves it open
}

var (
	yes, no = new(true), new(false)
	// again are the statuses outside 2xx after which trying again can help.
	again = []int{408, 425, 429, 500, 502, 503, 504, 507}
	// statuses are those that are tried.
	statuses = []int{302, 400, 401, 403, 404, 408, 409, 412, 413, 422, 425, 429, 500, 501, 502, 503, 504, 505, 507}
	// waiting are the statuses by which somebody says that they stopped waiting.
	waiting = []int{302, 408, 502, 504}
)

// failure is an error in the shape that a dialect documents.
func failure(d classify.Dialect, code, message string) string {
	var v any
	switch d {
	case classify.GraphQL:
		e := map[string]any{"message": message}
		if code != "" {
			e["code"], e["extensions"] = code, map[string]string{"code": code}
		}
		v = map[string]any{"errors": []any{e}}
	case classify.OAuth:
		v = map[string]string{"error": code, "error_description": message}
	default:
		v = map[string]any{"error": map[string]string{"code": code, "message": message}}
	}
	body, _ := json.Marshal(v)
	return string(body)
}

// failures are the replies to a request that fail it.
func failures(d classify.Dialect) (list []reply) {
	say := func(status int, shape, body string, r reply) {
		r.name = fmt.Sprintf("HTTP %d, %s", status, shape)
		r.lie.answer = &Answer{Status: status, Body: body}
		r.lie.unheard = r.none
		list = append(list, r)
	}
	const unlisted = "Unlisted.Code"
	for _, status := range statuses {
		r := reply{none: status == 401 || status == 429, ended: status == 503, retry: no}
		if slices.Contains(again, status) {
			r.retry = yes
		}
		say(status, "no body", "", r)
		say(status, "HTML", "<html><head><title>gateway</title></head></html>", r)
		say(status, "another system's error", `{"fault":"policy","id":7}`, r)
		r.ended = r.ended || !r.none && !slices.Contains(waiting, status)
		say(status, "an error of the vendor's", failure(d, unlisted, "no"), r)
		r.ended, r.none = false, false
		if !slices.Contains([]int{401, 429}, status) {
			say(status, "an error that says timed out", failure(d, unlisted, "The query timed out."), r)
		}
	}
	say(200, "an error of the vendor's", failure(d, unlisted, "no"), reply{ended: true, retry: no})
	say(200, "an error that says timed out", failure(d, unlisted, "The query timed out."), reply{retry: no})
	say(202, "an error of the vendor's", failure(d, unlisted, "no"), reply{})
	say(200, "no body", "", reply{retry: yes})
	say(200, "HTML", "<!DOCTYPE html><html></html>", reply{retry: yes})
	say(200, "an array where an object is due", "[]", reply{})
	say(200, "a text where an object is due", `"ok"`, reply{})
	say(200, "JSON that is cut off", `{"data":{"x`, reply{retry: yes})
	return append(list, losses()...)
}

// losses are the ways in which an answer does not come.
func losses() []reply {
	return []reply{
		{name: "the connection is closed without an answer", retry: yes},
		{name: "the connection is reset", lie: lie{how: reset}, retry: yes},
		{name: "the answer is cut within its headers", lie: lie{how: cutHeaders}, retry: yes},
		{name: "the answer is cut within its body", lie: lie{how: cutBody, after: 5, rewrite: same}, retry: yes},
	}
}

func same(a Answer) Answer { return a }

// judged says what is wrong with the verdict on a write that got a reply.
func (r reply) judged(v classify.Verdict) string {
	switch {
	case v.Class == classify.Success:
		return "it is taken for a success"
	case v.Effect == classify.Done:
		return "it confirms nothing"
	case v.Effect == classify.None && !r.none:
		return "it does not prove that nothing was done; the vendor had done it"
	case v.Effect == "":
		return "a write that was sent has an effect, open if nothing is known"
	case v.Effect == classify.Open && v.Ended && !r.ended:
		return "it does not prove that the vendor's work has ended"
	}
	return r.classed(v)
}

// classed says what is wrong with the class of a verdict.
func (r reply) classed(v classify.Verdict) string {
	switch {
	case r.retry == nil || v.Retry() == *r.retry:
		return ""
	case *r.retry:
		return "trying again can help"
	}
	return "trying again cannot help"
}

// stating is the status at which a dialect's codes come.
func stating(d classify.Dialect) int {
	if d == classify.GraphQL {
		return http.StatusOK
	}
	return http.StatusBadRequest
}

// documented reports whether an answer proves that nothing was done: it has a
// status that says so, or a code of which the table says so.
func documented(a Answer, t classify.Table) bool {
	if a.Status == http.StatusTooManyRequests {
		return true
	}
	for code, rule := range t.Codes {
		if rule.Effect == classify.None && strings.Contains(a.Body, code) {
			return true
		}
	}
	return false
}
