package odata

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/entra"
	"github.com/ledgerline/ledgerline/classify"
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
		r, err := Parse(body, 100)
		if err != nil {
			return
		}
		_ = r.Summary()
		for _, part := range append(r.Requests, r) {
			if part.Batch() {
				continue
			}
			u := resolve(base, part.Path)
			if u.Host != base.Host || u.Scheme != "https" || !strings.HasPrefix(u.Path, "/api/data/v9.2/") || strings.Contains(u.Path+"/", "/../") {
				t.Errorf("%q leads to %s", part.Path, u)
			}
		}
	})
}

// FuzzRecords: a list that passes is a whole one. Without a credential, following
// a link is what fails.
func FuzzRecords(f *testing.F) {
	for _, s := range []string{
		`{"value":[{"id":"1"}]}`, `{"value":[],"@odata.nextLink":"x"}`, `{"value":[],"@odata.nextLink":"https://evil.example/x"}`, `{"value":null}`,
		`{"value":[null]}`, `{"value":[{}],"@odata.count":1}`, `{"value":[{}],"@odata.count":2}`, `{"value":[],"@odata.count":"0"}`, `[]`, ``,
	} {
		f.Add([]byte(s))
	}
	base, _ := url.Parse("https://org.crm4.dynamics.com/api/data/v9.2/")
	send := Sender{Tokens: entra.NewTokens(), Scope: func(*url.URL) string { return "s" }}
	f.Fuzz(func(t *testing.T, body []byte) {
		lists, v := send.Records(t.Context(), &adapters.Conn{BaseURL: base}, nil, [][]byte{body})
		if v.Class != classify.Success {
			if lists != nil || v.Kind != classify.Untrusted && v.Kind != classify.Credentials {
				t.Errorf("%s, and %d lists", v.Kind, len(lists))
			}
			return
		}
		var p struct {
			Next  string       `json:"@odata.nextLink"`
			Count *json.Number `json:"@odata.count"`
		}
		_ = json.Unmarshal(adapters.JSON(body), &p)
		if p.Next != "" || p.Count != nil && string(*p.Count) != strconv.Itoa(len(lists[0])) {
			t.Errorf("%q passes for all of it", body)
		}
		for _, r := range lists[0] {
			_, _ = r.Text("id"), r.Amount("amount")
		}
	})
}

// FuzzNext: no link that is followed leads to another host, or takes another way
// to it.
func FuzzNext(f *testing.F) {
	for _, s := range []string{
		"https://org.crm4.dynamics.com/api/data/v9.2/rows?$skiptoken=1", "https://ORG.crm4.dynamics.com:443/x", "rows?$skiptoken=1", "/x", "?a=b", "",
		"//evil.example/x", "https://evil.example/", "http://org.crm4.dynamics.com/", "https://u:p@org.crm4.dynamics.com/", "https://org.crm4.dynamics.com:8443/",
		"https:rows", "mailto:a@b", "../../x", "x#y", "\\\\evil.example\\x", "https://org.crm4.dynamics.com.evil.example/",
	} {
		f.Add(s)
	}
	base, _ := url.Parse("https://org.crm4.dynamics.com/api/data/v9.2/")
	f.Fuzz(func(t *testing.T, link string) {
		u, err := nextPage(base, link)
		if err == nil && (u.Scheme != "https" || u.Host != base.Host || u.User != nil || u.Opaque != "") {
			t.Errorf("%q leads to %s", link, u)
		}
	})
}

// FuzzLookUps: no value of a filter leaves its quotes, and every request passes
// the check of raw requests.
func FuzzLookUps(f *testing.F) {
	f.Add("a", "b'c")
	f.Add("' or 1 eq 1 or x eq '", "&$top=1#")
	f.Add("100%+1", "æ\x00")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, r := range LookupRequests("rows", "k", "k", [][]string{{a, b}}) {
			u, err := url.Parse(r.Path)
			if err != nil {
				t.Fatal(err)
			}
			quote := func(s string) string { return "k eq '" + strings.ReplaceAll(s, "'", "''") + "'" }
			if got := u.Query().Get("$filter"); got != quote(a)+" or "+quote(b) || len(u.Query()) != 3 || u.Fragment != "" {
				t.Errorf("%q asks %q", r.Path, got)
			}
		}
	})
}
