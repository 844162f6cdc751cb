package adaptertest_test

import (
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/adaptertest"
	"github.com/ledgerline/ledgerline/adapters/businesscentral"
	"github.com/ledgerline/ledgerline/adapters/dataverse"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/internal/answers"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// The vendors keep what they promise, with the sandbox as the vendor.
func TestVendors(t *testing.T) {
	for i, v := range vendors.All {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			s, ok := subjects[v.Name]
			if !ok {
				t.Fatalf("%s has no subject here; docs/adding-a-vendor.md says what belongs in it", v.Name)
			}
			s.New = func() adapters.Adapter { return vendors.New()[i] }
			s.Start = serve
			s.Connect = connect(v.Name, s.settings)
			s.Answers = matrix(v.Name)
			adaptertest.Test(t, s.Subject)
		})
	}
}

// matrix are the answers of the matrix that stand for themselves.
func matrix(vendor string) (list []adaptertest.Failure) {
	for _, a := range answers.Of(vendor) {
		if a.Rule.Status == 0 || a.Rule.Status == http.StatusNotModified { // the latter is a success, of a read
			continue
		}
		header := make(http.Header)
		for name, value := range a.Rule.Headers {
			header.Set(name, value)
		}
		list = append(list, adaptertest.Failure{
			Name: a.Name, Answer: adaptertest.Answer{Status: a.Rule.Status, Header: header, Body: a.Rule.Body},
			None: a.Proof == answers.NothingDone, Ended: a.Proof == answers.WorkEnded,
		})
	}
	return list
}

// subject is a subject before it is connected to the sandbox.
type subject struct {
	adaptertest.Subject
	settings map[string]string // for exports
}

const line = `{"method":"POST","path":"companies(` + sandbox.DemoCompanyID + `)/journals(` + sandbox.DemoJournalID + `)/journalLines",
	"body":{"externalDocumentNumber":"call-1","documentNumber":"7","accountNumber":"1920","postingDate":"2026-10-15","amount":1.50}}`

var subjects = map[string]subject{
	xledger.Name: {Subject: adaptertest.Subject{
		Credentials: map[string]string{"token": sandbox.DemoXledgerToken},
		Calls: []adaptertest.Call{
			{Body: `{"query":"query { __typename }"}`, Guard: adapters.ReadOnly},
			{Body: zeroLine(xledger.Adapter{}), Guard: adapters.Readback, Key: callKey},
		},
		Throttled: []adaptertest.Answer{
			{Status: 200, Body: `{"errors":[{"message":"Too many requests in a short time.","code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"}]}`},
			{Status: 200, Body: `{"errors":[{"message":"Too many requests at a time.","code":"BAD_REQUEST.CONCURRENCY_LIMIT_REACHED"}]}`},
		},
	}},
	dataverse.Name: {Subject: adaptertest.Subject{
		Credentials: map[string]string{"clientSecret": sandbox.DemoClientSecret},
		Calls: []adaptertest.Call{
			{Body: `{"method":"GET","path":"WhoAmI"}`, Guard: adapters.ReadOnly},
			{Body: `{"method":"PATCH","path":"accounts(accountnumber='call-1')","body":{"name":"Kari"}}`, Guard: adapters.Idempotent, Key: "call-1"},
			{Body: `{"method":"POST","path":"accounts","body":{"name":"Kari"}}`, Guard: adapters.Unsafe},
		},
		Throttled: []adaptertest.Answer{
			{Status: 429, Header: http.Header{"Retry-After": {"5"}}, Body: `{"error":{"code":"0x80072322","message":"Number of requests exceeded the limit."}}`},
			{Status: 400, Body: `{"error":{"code":"0x80072321","message":"Combined execution time exceeded the limit."}}`},
			{Status: 400, Body: `{"error":{"code":"0x80060308","message":"Busy."}}`},
		},
	}, settings: map[string]string{"table": "acme_ledgerlines", "prefix": "acme_"}},
	businesscentral.Name: {Subject: adaptertest.Subject{
		Credentials: map[string]string{"clientSecret": sandbox.DemoClientSecret},
		Calls: []adaptertest.Call{
			{Body: `{"method":"GET","path":"companies?$top=1"}`, Guard: adapters.ReadOnly},
			{Body: line, Guard: adapters.Readback, Key: "call-1"},
		},
		Throttled: []adaptertest.Answer{
			{Status: 429, Body: `{"error":{"code":"Application_TooManyRequests","message":"Too many requests reached."}}`},
			{Status: 429},
		},
	}, settings: map[string]string{"companyId": sandbox.DemoCompanyID, "journalId": sandbox.DemoJournalID}},
}

// callKey is the key of the record that a sample call makes.
const callKey = "00000000000000000000000000000001"

// zeroLine is a call that an exporter could have written itself: a line of nothing.
func zeroLine(x adapters.Exporter) string {
	body, err := x.ExportBody(adapters.Form{}, []adapters.Entry{{
		Key: callKey, Voucher: "1", Account: "1920", Amount: "0", Currency: "NOK", Date: time.Date(2026, 10, 15, 0, 0, 0, 0, time.UTC),
	}})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// serve starts a sandbox with empty books.
func serve(pageSize int) adaptertest.Vendor {
	sb := sandbox.New(sandbox.Options{PageSize: pageSize})
	return adaptertest.Vendor{
		Handler:       sb,
		Count:         func(key string) int { return len(sb.Records(key)) },
		Changes:       func() int { return len(sb.Effects()) },
		IgnoreFilters: func() { sb.Script(sandbox.Rule{Lookup: sandbox.FilterIgnored}) },
	}
}

func connect(vendor string, settings map[string]string) func(string) (string, map[string]string) {
	return func(origin string) (string, map[string]string) {
		at := sandbox.Addresses(origin)
		all := map[string]string{"tenantId": sandbox.DemoTenantID, "clientId": sandbox.DemoClientID, "authority": at["entra"]}
		maps.Copy(all, settings)
		return at[vendor], all
	}
}
