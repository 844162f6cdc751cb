package classify_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/classify"
)

// FuzzResponse holds the classifier to being total: any body has one of the
// four classes, and only transient ones and timeouts are tried again. Writes have
// an effect and nothing else has one; text in an error never proves anything.
func FuzzResponse(f *testing.F) {
	add := func(vendor, op string, status int, contentType, body string) {
		f.Add(vendor, op, status, contentType, []byte(body), " timed out")
	}
	add("xledger", "write", 200, "application/json", `{"errors":[{"code":"x"}],"data":null}`)
	add("xledger", "write", 200, "application/json", `{"errors":[{"code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED","message":"no"}]}`)
	add("xledger", "write", 400, "application/json", `{"errors":[{"message":"no","extensions":{"code":"INVALID_VALUE"}}],"data":{"a":1}}`)
	add("xledger", "write", 401, "application/json", `{"data":{}}`)
	add("dataverse", "write", 200, "multipart/mixed; boundary=b", "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\r\n--b--")
	add("dataverse", "write", 404, "application/json", `{"error":{"code":"0x8006088a","message":"no"}}`)
	add("businesscentral", "read", 200, "application/json", `{"responses":[{"status":429}]}`)
	add("businesscentral", "write", 200, "application/json", `{"responses":[{"status":404,"body":{"error":{"code":"Internal_CompanyNotFound","message":"no"}}},{"status":204}]}`)
	add("entra", "token", 400, "text/plain", `{"error":"temporarily_unavailable"}`)
	f.Fuzz(func(t *testing.T, vendor, op string, status int, contentType string, body []byte, text string) {
		s := classify.HTTPResponse{
			Op: classify.Op(op), Status: status, Header: http.Header{"Content-Type": {contentType}}, Body: body, Received: time.Unix(1e9, 0),
		}
		v := classify.Response(s, tables[vendor])
		check(t, s.Op, v)
		if v.Effect == classify.None && tables[vendor].Dialect == classify.GraphQL {
			var object map[string]json.RawMessage
			_ = json.Unmarshal(bytes.TrimPrefix(bytes.TrimSpace(body), []byte("\ufeff")), &object)
			if _, ok := object["data"]; ok {
				t.Fatal("nothing was done, and there is data")
			}
		}
		quoted, _ := json.Marshal(text)
		const message = `"message":"`
		s.Body = bytes.ReplaceAll(body, []byte(message), append([]byte(message), quoted[1:len(quoted)-1]...))
		said := classify.Response(s, tables[vendor])
		check(t, s.Op, said)
		if v.Effect == classify.Open && said.Effect != classify.Open {
			t.Fatalf("a text made an open effect %s", said.Effect)
		}
	})
}

// check asserts what holds for the verdict on any answer, and on each of its
// parts.
func check(t *testing.T, op classify.Op, v classify.Verdict) {
	t.Helper()
	if v.Class != v.Kind.Class() {
		t.Fatalf("class %s of kind %s", v.Class, v.Kind)
	}
	if v.Class != classify.Success && v.Rule == "" {
		t.Fatal("no rule decided")
	}
	if (v.Effect == "") != (op != classify.Write) {
		t.Fatalf("effect %q of op %q", v.Effect, op)
	}
	if v.Ended && v.Effect != classify.Open {
		t.Fatalf("effect %q, ended %v", v.Effect, v.Ended)
	}
	if v.Effect == classify.Done && v.Class != classify.Success {
		t.Fatalf("done with class %s", v.Class)
	}
	for _, p := range v.Parts {
		check(t, op, p)
		if v.Effect == classify.Done && p.Effect != classify.Done || v.Effect == classify.None && p.Effect != classify.None {
			t.Fatalf("the whole is %s and a part %s", v.Effect, p.Effect)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"5", "-1", "NaN", "1e309", "99999999999", "Wed, 21 Oct 2065 07:28:00 GMT", " 5", "1_000", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		d, ok := classify.RetryAfter(http.Header{"Retry-After": {value}}, time.Unix(1e9, 0))
		if d < 0 || d > 24*time.Hour || !ok && d != 0 {
			t.Fatalf("%q: %v, %v", value, d, ok)
		}
	})
}
