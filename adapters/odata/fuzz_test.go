package odata_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/adapters/odata"
)

// FuzzParse: no request that passes leads away from its base URL.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"method":"GET","path":"accounts(accountnumber='A/1')?$select=name"}`, `{"method":"GET","path":"a%2fb"}`,
		`{"method":"GET","path":"a/%2e%2e/b"}`, `{"method":"GET","path":"a:b"}`, `{"method":"GET","path":"./a"}`,
		`{"requests":[{"method":"PATCH","path":"a(1)","body":{}}]}`, `{}`, `null`,
	} {
		f.Add([]byte(s))
	}
	base, _ := url.Parse("https://org.crm4.dynamics.com/api/data/v9.2/")
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := odata.Parse(body, 100)
		if err != nil {
			return
		}
		_ = r.Summary()
		for _, part := range append(r.Requests, r) {
			if part.Batch() {
				continue
			}
			u := odata.URL(base, part.Path)
			if u.Host != base.Host || u.Scheme != "https" || !strings.HasPrefix(u.Path, "/api/data/v9.2/") || strings.Contains(u.Path+"/", "/../") {
				t.Errorf("%q leads to %s", part.Path, u)
			}
		}
	})
}
