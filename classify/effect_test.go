package classify_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
)

// An effect as the tests write it.
const (
	done  = "done"
	none  = "none"
	open  = "open"  // the vendor may still be at work
	ended = "ended" // open, and the vendor's work has ended
)

func effectOf(v classify.Verdict) string {
	if v.Ended {
		return ended
	}
	return string(v.Effect)
}

// seen is an answer to a write.
func seen(status int, body string) classify.HTTPResponse {
	return classify.HTTPResponse{Op: classify.Write, Status: status, Header: http.Header{}, Body: []byte(body), Received: time.Unix(1e9, 0)}
}

func cut(s classify.HTTPResponse) classify.HTTPResponse { s.Truncated = true; return s }

type effectCase struct {
	name   string
	seen   classify.HTTPResponse
	effect string
}

// anywhere holds for each vendor: what decides is the status, or that there is
// nothing to read.
func anywhere() []effectCase {
	var cases []effectCase
	add := func(effect, name string, s classify.HTTPResponse) { cases = append(cases, effectCase{name, s, effect}) }
	const html = "<html><body>setTimeout(f, 1)</body></html>"
	for status, effect := range map[int]string{
		401: none, 429: none, 503: ended, 202: open, 203: open, 206: open, 302: open, 304: open, 307: open, 400: open, 403: open, 404: open, 405: open,
		408: open, 409: open, 412: open, 413: open, 422: open, 424: open, 425: open, 500: open, 501: open, 502: open, 504: open, 511: open, 599: open,
		0: open, 101: open, 999: open,
	} {
		add(effect, fmt.Sprintf("%d without a body", status), seen(status, ""))
		add(effect, fmt.Sprintf("%d with a page", status), seen(status, html))
		add(effect, fmt.Sprintf("%d with a gateway's JSON", status), seen(status, `{"statusCode":1,"message":"refused"}`))
		if effect == none {
			effect = open // what is missing cannot be shown to be harmless
		}
		add(effect, fmt.Sprintf("%d, cut off", status), cut(seen(status, `{"errors":[{"mess`)))
		add(effect, fmt.Sprintf("%d, cut off without saying so", status), seen(status, `{"errors":[{"mess`))
		add(effect, fmt.Sprintf("%d with a list", status), seen(status, `[{"data":{}}]`))
	}
	add(open, "200 without a body", seen(200, ""))
	add(open, "200 with a page", seen(200, html))
	add(open, "200 with text", seen(200, "OK"))
	add(open, "200 with a list", seen(200, `[]`))
	add(open, "200, cut off", cut(seen(200, `{"data":{"a":{"edges":[]}},"id":1}`)))
	add(open, "204, cut off", cut(seen(204, "")))
	return cases
}

func graphQLCases() []effectCase {
	const (
		stored   = `"data":{"addGLImportItems":{"edges":[{"node":{"dbId":"7"}}]}}`
		refusal  = `"errors":[{"message":"subledger.code: No value matching owner 42365431"}]`
		throttle = `"errors":[{"message":"Too many requests","code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"}]`
	)
	cases := []effectCase{
		{"accepted", seen(200, `{`+stored+`}`), done},
		{"accepted, in part", seen(200, `{"data":{"removeBankAccounts":{"numAffected":1,"skippedDbIds":["1"]}}}`), done},
		{"accepted, with a status that is documented nowhere", seen(201, `{`+stored+`}`), open},
		{"accepted and not yet done", seen(202, `{`+stored+`}`), open},
		{"no body", seen(204, ""), open},
		{"data null", seen(200, `{"data":null}`), open},
		{"data null inside", seen(200, `{"data":{"addGLImportItems":null}}`), open},
		{"data empty", seen(200, `{"data":{}}`), open},
		{"neither data nor errors", seen(200, `{"extensions":{}}`), open},
		{"errors empty", seen(200, `{"errors":[]}`), open},

		{"401, errors", seen(401, `{`+refusal+`}`), none},
		{"401, errors and data", seen(401, `{`+refusal+`,`+stored+`}`), ended},
		{"401, data", seen(401, `{`+stored+`}`), open},
		{"429, errors", seen(429, `{`+refusal+`}`), none},
		{"429, errors and data null", seen(429, `{`+refusal+`,"data":null}`), ended},

		{"throttled with data null", seen(200, `{`+throttle+`,"data":null}`), ended},
		{"throttled with data", seen(200, `{"data":{"a":{"edges":[]},"b":null},`+throttle+`}`), ended},
		{"throttled at 500", seen(500, `{`+throttle+`}`), ended},
		{"throttled at 502", seen(502, `{`+throttle+`}`), open},
		{"throttled beside another error", seen(200, `{"errors":[{"message":"x","code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"},{"message":"y"}]}`), ended},
		{"throttled beside another list of errors", seen(200, `{`+throttle+`,`+refusal+`}`), ended},
		{"throttled, not in a list", seen(200, `{"errors":{"message":"x","code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"}}`), open},
		{"throttled after it timed out", seen(200, `{"errors":[{"message":"x","code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"},{"message":"Your query timed out."}]}`), open},

		{"errors only", seen(200, `{`+refusal+`}`), ended},
		{"errors and data", seen(200, `{`+refusal+`,`+stored+`}`), ended},
		{"errors and data null", seen(200, `{`+refusal+`,"data":null}`), ended},
		{"errors without a list", seen(200, `{"errors":{"message":"broken"}}`), open},
		{"errors without a message", seen(200, `{"errors":[{"code":"X"}]}`), open},
		{"errors of text", seen(500, `{"errors":["broken"]}`), open},
		{"errors, and more of another shape", seen(500, `{`+refusal+`,"errors":"broken"}`), open},
		{"errors of OData", seen(500, `{"error":{"code":"X","message":"broken"}}`), open},
		{"timed out", seen(200, `{"errors":[{"message":"Your query timed out."}]}`), open},
		{"timed out, in the second error", seen(200, `{"errors":[{"message":"x"},{"message":"Your query TIMED OUT."}]}`), open},
		{"timed out, at 500", seen(500, `{"errors":[{"message":"Execution Timeout Expired."}]}`), open},
		{"timed out, in what is data", seen(200, `{"data":{"a":{"text":"the parking timed out"}}}`), done},
		{"unavailable, after it timed out", seen(503, `{"errors":[{"message":"Your query timed out."}]}`), open},
	}
	for _, code := range []string{"BAD_REQUEST.BURST_RATE_LIMIT_REACHED", "BAD_REQUEST.CONCURRENCY_LIMIT_REACHED", "BAD_REQUEST.INSUFFICIENT_CREDITS"} {
		for _, status := range []int{200, 400} {
			cases = append(cases, effectCase{fmt.Sprint(code, " at ", status), seen(status, `{"errors":[{"message":"no","code":"`+code+`"}]}`), none})
		}
	}
	for _, code := range []string{"ARGUMENTS_OF_CORRECT_TYPE", "INVALID_VALUE"} {
		for _, status := range []int{200, 400} {
			cases = append(cases,
				effectCase{fmt.Sprint(code, " at ", status), seen(status, `{"errors":[{"message":"no","extensions":{"code":"`+code+`"}}]}`), none},
				effectCase{fmt.Sprint(code, " with data at ", status), seen(status, `{"errors":[{"message":"no","extensions":{"code":"`+code+`"}}],"data":null}`), ended})
		}
	}
	for _, status := range []int{400, 403, 404, 409, 412, 413, 422, 500, 501} {
		cases = append(cases, effectCase{fmt.Sprint("errors at ", status), seen(status, `{`+refusal+`}`), ended})
	}
	for _, status := range []int{202, 302, 408, 502, 504} {
		cases = append(cases, effectCase{fmt.Sprint("errors at ", status), seen(status, `{`+refusal+`}`), open})
	}
	return cases
}

// odata returns an error in the shape of the protocol.
func odata(code string) string {
	return `{"error":{"code":"` + code + `","message":"No.  CorrelationId:  x."}}`
}

func oDataCases() []effectCase {
	cases := []effectCase{
		{"made", seen(201, `{"id":"1"}`), done},
		{"changed", seen(200, `{"id":"1"}`), done},
		{"no body", seen(204, ""), done},
		{"201 without a body", seen(201, ""), open},
		{"accepted and not yet done", seen(202, `{"id":"1"}`), open},
		{"error null", seen(200, `{"error":null,"id":"1"}`), done},
		{"error inside 200", seen(200, odata("X")), ended},
		{"401 with an answer to a batch", seen(401, `{"responses":[{"status":204}]}`), open},
		{"429 with an error and an answer to a batch", seen(429, `{"error":{"code":"X","message":"x"},"responses":[{"status":204}]}`), ended},
		{"error without a code", seen(500, `{"error":{"message":"x"}}`), open},
		{"error without a message", seen(500, `{"error":{"code":"X"}}`), open},
		{"error of text", seen(500, `{"error":"broken"}`), open},
		{"two errors, one of them of text", seen(500, `{"error":{"code":"X","message":"x"},"error":"broken"}`), open},
		{"error of OData v3", seen(500, `{"error":{"code":"","message":{"lang":"en-US","value":"x"}}}`), ended},
		{"errors of GraphQL", seen(500, `{"errors":[{"message":"x"}]}`), open},
		{"timed out", seen(500, `{"error":{"code":"Unknown","message":"The plug-in execution failed because the operation has timed-out"}}`), open},
		{"timed out, inside", seen(400, `{"error":{"code":"","message":"x","innererror":{"message":"System.TimeoutException"}}}`), open},
		{"out of time", seen(400, `{"error":{"code":"Unknown","message":"The operation was canceled because it exceeded the time limit."}}`), open},
		{"nested too deeply", seen(200, `{"a":`+strings.Repeat("[", 80)+strings.Repeat("]", 80)+`}`), open},
	}
	for _, status := range []int{400, 403, 404, 405, 409, 412, 413, 422, 500, 501} {
		cases = append(cases, effectCase{fmt.Sprint("error at ", status), seen(status, odata("")), ended})
	}
	for _, status := range []int{202, 302, 304, 408, 502, 504} {
		cases = append(cases, effectCase{fmt.Sprint("error at ", status), seen(status, odata("X")), open})
	}
	return cases
}

// batch returns the answer to a JSON batch.
func batch(parts ...string) classify.HTTPResponse {
	return seen(200, `{"responses":[`+strings.Join(parts, ",")+`]}`)
}

func part(status int, body string) string {
	if body == "" {
		return fmt.Sprintf(`{"id":null,"status":%d,"headers":{}}`, status)
	}
	return fmt.Sprintf(`{"id":null,"status":%d,"headers":{},"body":%s}`, status, body)
}

func batchCases(unrouted string) []effectCase {
	const stored = `{"id":"1"}`
	return []effectCase{
		{"batch: all made", batch(part(201, stored), part(204, ""), part(200, "")), done},
		{"batch: one refused", batch(part(201, stored), part(400, odata("X"))), ended},
		{"batch: one refused and the rest not tried", batch(part(400, odata("X")), part(424, ""), part(424, "")), ended},
		{"batch: one refused by a gateway", batch(part(201, stored), part(400, `{"message":"x"}`)), open},
		{"batch: one refused bare", batch(part(201, stored), part(500, "")), open},
		{"batch: 401, 403 and 429 in parts", batch(part(401, ""), part(403, ""), part(429, "")), ended},
		{"batch: 503 in a part", batch(part(201, stored), part(503, "")), ended},
		{"batch: 504 in a part", batch(part(201, stored), part(504, odata("X"))), open},
		{"batch: timed out in a part", batch(part(400, odata("X")), part(500, `{"error":{"code":"X","message":"it timed out"}}`)), open},
		{"batch: 202 in a part", batch(part(201, stored), part(202, "")), open},
		{"batch: a part with a batch in it", batch(part(201, stored), part(200, `{"responses":[{"status":204}]}`)), open},
		{"batch: a part without a status", batch(part(201, stored), `{}`), open},
		{"batch: all unrouted", batch(part(404, odata(unrouted)), part(400, odata(unrouted))), none},
		{"batch: one unrouted", batch(part(204, ""), part(404, odata(unrouted))), ended},
		{"batch: one unrouted, the other timed out", batch(part(404, odata(unrouted)), part(408, odata("X"))), open},
		{"batch: without parts", batch(), open},
		{"batch: parts null", seen(200, `{"responses":null}`), open},
		{"batch: cut off", cut(batch(part(201, stored))), open},
		{"batch: accepted and not yet done", func() classify.HTTPResponse { s := batch(part(204, "")); s.Status = 202; return s }(), open},
	}
}

// multi returns an answer in Dataverse's format of a batch. The last part may be
// cut.
func multi(status int, parts ...string) classify.HTTPResponse {
	s := seen(status, "")
	s.Header.Set("Content-Type", "multipart/mixed; boundary=b")
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 " + p + "\r\n")
	}
	b.WriteString("--b--\r\n")
	s.Body = []byte(b.String())
	return s
}

func multipartCases() []effectCase {
	const made = "204 No Content\r\n\r\n"
	refused := "400 Bad Request\r\nContent-Type: application/json\r\n\r\n" + odata("0x80040265")
	timedOut := "500 Error\r\nContent-Type: application/json\r\n\r\n" + odata("0x80044151")
	set := seen(200, "")
	set.Header.Set("Content-Type", "multipart/mixed; boundary=o")
	set.Body = []byte("--o\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + string(multi(200, made, made).Body) + "\r\n--o--\r\n")
	unfinished := multi(200, made, made)
	unfinished.Body = unfinished.Body[:len(unfinished.Body)-8]
	refusedAndCut := multi(400, made, refused)
	refusedAndCut.Body = refusedAndCut.Body[:len(refusedAndCut.Body)-8]
	nested := multi(200, made, "200 OK\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n--c--")
	return []effectCase{
		{"multipart: all made", multi(200, made, made), done},
		{"multipart: change set made", set, done},
		{"multipart: one refused, the rest not run", multi(400, made, refused), ended},
		{"multipart: one refused, the rest run", multi(200, made, refused, made), ended},
		{"multipart: one refused", multi(400, refused), ended},
		{"multipart: the vendor gave up", multi(500, timedOut), open},
		{"multipart: 401 of a part, and of the whole", multi(401, made, "401 Unauthorized\r\n\r\n"), ended},
		{"multipart: 401 of the whole that cannot be read", func() classify.HTTPResponse { s := multi(401); s.Body = []byte("--"); return s }(), open},
		{"multipart: failed as a whole, and no part says so", multi(500, made, made), open},
		{"multipart: cut off", unfinished, open},
		{"multipart: refused and cut off", refusedAndCut, open},
		{"multipart: a batch in a part", nested, open},
	}
}

// TestEffects is the table of what is known of a write after each answer.
func TestEffects(t *testing.T) {
	codes := func(effect string, byStatus map[int][]string) (cases []effectCase) {
		for status, codes := range byStatus {
			for _, code := range codes {
				cases = append(cases, effectCase{fmt.Sprint(code, " at ", status), seen(status, odata(code)), effect})
			}
		}
		return cases
	}
	join := func(lists ...[]effectCase) (all []effectCase) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	for vendor, cases := range map[string][]effectCase{
		"xledger": join(anywhere(), graphQLCases()),
		"dataverse": join(anywhere(), oDataCases(), batchCases("0x8006088a"), multipartCases(),
			codes(none, map[int][]string{429: {"0x80072322", "0x80072321", "0x80072326", "-2147015902"}, 400: {"0x80072322"}, 404: {"0x8006088a", "0x8006088A"}}),
			codes(ended, map[int][]string{
				500: {"0x80040333", "0x80044150", "0x80040216", "0x80072322"}, 412: {"0x80060892", "0x80040237"},
				400: {"0x8005f103", "0x80060308"}, 503: {"0x80072322"},
			}),
			codes(open, map[int][]string{500: {"0x80044151", "-2147204783"}, 400: {"0x80044151"}, 503: {"0x80044151"}})),
		"businesscentral": join(anywhere(), oDataCases(), batchCases("Internal_CompanyNotFound"), batchCases("BadRequest_ResourceNotFound"),
			codes(none, map[int][]string{429: {"Application_TooManyRequests"}, 404: {"Internal_CompanyNotFound", "BadRequest_ResourceNotFound"}}),
			codes(ended, map[int][]string{
				500: {"Internal_ServerError", "Unknown", "Internal_TenantUnavailable"}, 409: {"Internal_ServerError", "Request_EntityChanged"},
				400: {"Internal_EntityWithSameKeyExists", "Internal_InvalidTableRelation"}, 404: {"Internal_RecordNotFound"},
			})),
		"financeoperations": join(anywhere(), oDataCases()),
	} {
		for _, c := range cases {
			t.Run(vendor+"/"+c.name, func(t *testing.T) {
				v := classify.Response(c.seen, tables[vendor])
				require.Equal(t, c.effect, effectOf(v), "%+v", v)
				for _, op := range []classify.Op{classify.Read, classify.Token} {
					s := c.seen
					s.Op = op
					r := classify.Response(s, tables[vendor])
					require.Empty(t, r.Effect)
					require.False(t, r.Ended)
				}
			})
		}
	}
}

// What other systems were seen to do wrong: a listed code is no proof that
// nothing was done, and an error beside data is none either.
func TestReportedAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		vendor string
		op     classify.Op
		status int
		body   string
		class  classify.Class
		effect string
	}{
		"a create that met a lock, and was stored": {"businesscentral", classify.Write, 500,
			`{"error":{"code":"Internal_ServerError","message":"The record was locked by another user. Please retry the activity."}}`, classify.Transient, ended},
		"a generic SQL error on a create": {"dataverse", classify.Write, 500,
			`{"error":{"code":"0x80044150","message":"Generic SQL error. Sql Number: 1205"}}`, classify.Transient, ended},
		"a deadlock while reading": {"businesscentral", classify.Read, 409,
			`{"error":{"code":"Internal_ServerError","message":"Your activity was deadlocked. Please retry."}}`, classify.Transient, ""},
		"500 after the row was committed": {"businesscentral", classify.Write, 500,
			`{"error":{"code":"Unknown","message":"Internal server error"}}`, classify.Transient, ended},
		"the first of two mutations stored, the second throttled": {"xledger", classify.Write, 200,
			`{"data":{"a":{"edges":[{"node":{"dbId":"77"}}]},"b":null},"errors":[{"message":"Too many requests","code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED","path":["b"]}]}`,
			classify.Transient, ended},
		"500 in text for a change set that can never work": {"businesscentral", classify.Write, 500,
			"500 Multiple requests within the same change set are not supported", classify.Transient, open},
	} {
		t.Run(name, func(t *testing.T) {
			s := seen(c.status, c.body)
			s.Op = c.op
			v := classify.Response(s, tables[c.vendor])
			require.Equal(t, c.class, v.Class, "%+v", v)
			require.True(t, v.Retry())
			require.Equal(t, c.effect, effectOf(v), "%+v", v)
		})
	}
}

// A code may change the kind, and the effect only where its rule says so.
func TestCodesKeepTheirKind(t *testing.T) {
	for _, c := range []struct {
		vendor string
		body   string
		kind   classify.Kind
	}{
		{"xledger", `{"errors":[{"message":"x","extensions":{"code":"INVALID_VALUE"}}]}`, classify.Business},
		{"xledger", `{"errors":[{"message":"x","extensions":{"code":"ARGUMENTS_OF_CORRECT_TYPE"}}]}`, classify.RequestDocument},
		{"dataverse", odata("0x80044151"), classify.RequestTimeout},
		{"dataverse", odata("0x8006088a"), classify.NotFound},
		{"businesscentral", odata("BadRequest_ResourceNotFound"), classify.NotFound},
	} {
		require.Equal(t, c.kind, classify.Response(seen(400, c.body), tables[c.vendor]).Kind, c.body)
	}
}

// Every code that proves something stands in the docs with its source.
func TestProofsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/vendors.md")
	require.NoError(t, err)
	for _, table := range tables {
		for code, rule := range table.Codes {
			require.Contains(t, []classify.Effect{"", classify.None}, rule.Effect, code)
			require.False(t, rule.Unrouted && rule.Effect != classify.None, code)
			if rule.Effect != "" || rule.GaveUp {
				require.True(t, strings.Contains(string(page), "`"+code+"`"), "docs/vendors.md lacks %s of %s", code, table.Name)
			}
		}
	}
}

func TestFoldEffects(t *testing.T) {
	d, n, r := classify.Verdict{Effect: classify.Done}, classify.Verdict{Effect: classify.None}, classify.Verdict{}
	o, e := classify.Verdict{Effect: classify.Open}, classify.Verdict{Effect: classify.Open, Ended: true}
	for _, c := range []struct {
		parts  []classify.Verdict
		effect string
	}{
		{nil, ""},
		{[]classify.Verdict{r}, ""},
		{[]classify.Verdict{d, r, d}, done},
		{[]classify.Verdict{n, n}, none},
		{[]classify.Verdict{d, n}, ended},
		{[]classify.Verdict{n, d, n}, ended},
		{[]classify.Verdict{d, e}, ended},
		{[]classify.Verdict{e, n}, ended},
		{[]classify.Verdict{d, o}, open},
		{[]classify.Verdict{e, o, e}, open},
	} {
		effect, over := classify.FoldEffects(c.parts)
		require.Equal(t, c.effect, effectOf(classify.Verdict{Effect: effect, Ended: over}), "%+v", c.parts)
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		seen    classify.HTTPResponse
		refused bool
	}{
		{seen(400, odata("X")), true},
		{seen(500, odata("0x80044151")), false},
		{seen(503, ""), false},
		{seen(503, odata("X")), false},
		{seen(408, odata("X")), false},
		{seen(504, odata("X")), false},
		{seen(400, ""), false},
		{seen(204, ""), false},
		{multi(400, "400 Bad Request\r\n\r\n"+odata("X")), true},
		{multi(200, "400 Bad Request\r\n\r\n"+odata("X")), true},
		{multi(400, "504 Gateway Timeout\r\n\r\n"+odata("X")), false},
		{multi(400, "503 Service Unavailable\r\n\r\n"+odata("X")), false},
		{multi(504, "400 Bad Request\r\n\r\n"+odata("X")), false},
		{multi(400, "400 Bad Request\r\n\r\n"), false},
		{multi(400, "401 Unauthorized\r\n\r\n"), false},
		{multi(400, "204 No Content\r\n\r\n", "400 Bad Request\r\n\r\n"+odata("X")), false},
	} {
		require.Equal(t, c.refused, classify.Response(c.seen, tables["dataverse"]).Refused(), "%s", c.seen.Body)
	}
}

// What is nested costs no more than what is flat: a megabyte of batches within
// batches once took half a minute.
func TestDeepAnswersAreRefusedAtOnce(t *testing.T) {
	fill := func(before, inside, after string, depth int) []byte {
		room := 1<<20 - depth*(len(before)+len(after)) - len(inside)
		return []byte(strings.Repeat(before, depth) + fmt.Sprintf(inside, strings.Repeat("x", max(room, 0))) + strings.Repeat(after, depth))
	}
	const before, after = `{"responses":[{"status":200,"body":`, `}]}`
	deep := func(depth int) []byte { return fill(before, `{"a":"%s"}`, after, depth) }
	for name, c := range map[string]struct {
		body []byte
		rule string
	}{
		"responses 500 deep":   {deep(500), "body:too-deep"},
		"responses 3300 deep":  {deep(3300), "body:too-deep"},
		"responses 25000 deep": {deep(25000), "body:too-deep"},
		"responses 20 deep":    {deep(20), "body:batch-in-batch"},
		"brackets":             {[]byte(strings.Repeat("[", 1<<20)), "body:too-deep"},
		"too many parts":       {[]byte(`{"responses":[` + strings.Repeat(`{},`, 300000) + `{}]}`), "body:batch"},
		"batches in a text":    {fill(`{"responses":[{"status":200,"body":"{\"responses\":[{\"status\":200,\"body\":`, `{\"a\":\"%s\"}`, `}]}"}]}`, 1), "body:batch-in-batch"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, op := range []classify.Op{classify.Read, classify.Write} {
				start := time.Now()
				v := classify.Response(classify.HTTPResponse{Op: op, Status: 200, Body: c.body}, tables["dataverse"])
				require.Less(t, time.Since(start), time.Second, "of a megabyte; a few milliseconds are usual")
				require.Equal(t, classify.InvalidResponse, v.Kind)
				require.Equal(t, c.rule, v.Rule)
				require.Equal(t, op == classify.Write, v.Effect == classify.Open && !v.Ended)
			}
		})
	}
	require.Equal(t, classify.Success, classify.Response(classify.HTTPResponse{
		Op: classify.Read, Status: 200, Body: []byte(`{"a":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`),
	}, tables["dataverse"]).Class, "64 levels are read")
}

// A cut here could leave part of a secret that no mask finds.
func TestMessagesAreNeverCut(t *testing.T) {
	for name, text := range map[string]string{
		"no UTF-8 at all": strings.Repeat("\x80", 1200), "letters": strings.Repeat("x", 1<<20), "four bytes each": strings.Repeat("𝄞", 400),
	} {
		v := classify.Response(classify.HTTPResponse{Op: classify.Read, Status: 503, Body: []byte(`{"errors":[{"message":"` + text + `"}]}`)}, tables["xledger"])
		require.True(t, text == v.Message, name)
		v = classify.Err(errors.New(text))
		require.True(t, text == v.Message, name)
	}
}
