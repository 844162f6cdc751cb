package classify_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/classify"
)

// FuzzResponse holds the classifier to being total: any body has one of the
// four classes, and only transient ones and timeouts are tried again.
func FuzzResponse(f *testing.F) {
	f.Add("xledger", "write", 200, "application/json", []byte(`{"errors":[{"code":"x"}],"data":null}`))
	f.Add("dataverse", "write", 200, "multipart/mixed; boundary=b", []byte("--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\r\n--b--"))
	f.Add("businesscentral", "read", 200, "application/json", []byte(`{"responses":[{"status":429}]}`))
	f.Add("entra", "token", 400, "text/plain", []byte(`{"error":"temporarily_unavailable"}`))
	f.Fuzz(func(t *testing.T, vendor, op string, status int, contentType string, body []byte) {
		v := classify.Response(classify.Seen{
			Op: classify.Op(op), Status: status, Header: http.Header{"Content-Type": {contentType}}, Body: body, Received: time.Unix(1e9, 0),
		}, tables[vendor])
		if v.Class != v.Kind.Class() {
			t.Fatalf("class %s of kind %s", v.Class, v.Kind)
		}
		if v.Class != classify.Success && v.Rule == "" {
			t.Fatal("no rule decided")
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"5", "-1", "NaN", "1e309", "99999999999", "Wed, 21 Oct 2065 07:28:00 GMT", " 5", "1_000", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		d, ok := classify.RetryAfter(http.Header{"Retry-After": {value}}, time.Unix(1e9, 0))
		if d < 0 || d > classify.MaxRetryAfter || !ok && d != 0 {
			t.Fatalf("%q: %v, %v", value, d, ok)
		}
	})
}
