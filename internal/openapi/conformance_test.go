package openapi

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/console/signin"
)

// program is a program that calls the API, and holds what it sends and gets against the
// document that is served.
type program struct {
	t      *testing.T
	base   string // of the organization
	router routers.Router
	doc    *openapi3.T
	seen   map[string]map[int]bool // by operation: statuses of answers
}

func newProgram(t *testing.T, server string) *program {
	t.Helper()
	res, err := http.Get(server + "/api/v1/openapi.json")
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(b)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	router, err := gorillamux.NewRouter(doc)
	require.NoError(t, err)
	return &program{t, server + "/api/v1/organizations/eksempel", router, doc, make(map[string]map[int]bool)}
}

func init() {
	whole := func(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
		b, err := io.ReadAll(body)
		return string(b), err
	}
	openapi3filter.RegisterBodyDecoder("text/csv", whole)
	openapi3filter.RegisterBodyDecoder("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", whole)
}

// ask sends a request, wants a status, and returns the answer. wrong is that the request is not
// what the document says, and only the answer has to be.
func (p *program) ask(status int, wrong bool, method, path string, body []byte, headers ...string) string {
	p.t.Helper()
	make := func() *http.Request {
		address := p.base + path
		if strings.HasPrefix(path, "//") {
			address = strings.TrimSuffix(p.base, "/organizations/eksempel") + path[1:]
		}
		req, err := http.NewRequestWithContext(p.t.Context(), method, address, bytes.NewReader(body))
		require.NoError(p.t, err)
		for i := 0; i+1 < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		return req
	}
	req := make()
	relative := make()
	relative.URL.Scheme, relative.URL.Host = "", ""
	route, of, err := p.router.FindRoute(relative)
	require.NoError(p.t, err, "%s %s is not described", method, path)
	in := &openapi3filter.RequestValidationInput{Request: make(), PathParams: of, Route: route, Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}}
	if !wrong {
		require.NoError(p.t, openapi3filter.ValidateRequest(p.t.Context(), in), "%s %s", method, path)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(p.t, err)
	require.Equal(p.t, status, res.StatusCode, "%s %s: %s", method, path, b)
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: res.StatusCode, Header: res.Header, Options: in.Options}
	out.SetBodyBytes(b)
	require.NoError(p.t, openapi3filter.ValidateResponse(p.t.Context(), out), "%s %s: %s", method, path, b)
	if res.StatusCode >= 400 {
		require.Equal(p.t, "application/problem+json", res.Header.Get("Content-Type"))
	} else if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") && !strings.HasSuffix(path, "openapi.json") {
		// What may be null: whether a proof agrees, and a pause that is over.
		require.NotRegexp(p.t, `"[a-zA-Z]+":null`, regexp.MustCompile(`"(agrees|paused)":null`).ReplaceAllString(string(b), ""), "%s %s", method, path)
	}
	name := route.Operation.OperationID
	if p.seen[name] == nil {
		p.seen[name] = map[int]bool{}
	}
	p.seen[name][res.StatusCode] = true
	return string(b)
}

func (p *program) get(status int, path string) string {
	p.t.Helper()
	return p.ask(status, false, http.MethodGet, path, nil)
}

func (p *program) post(status int, path, body string) string {
	p.t.Helper()
	return p.ask(status, false, http.MethodPost, path, []byte(body), "Content-Type", "application/json", "Idempotency-Key", uuid.NewString())
}

// upload stores a file and returns its ID.
func (p *program) upload(status int, content string) string {
	p.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	f, err := w.CreateFormFile("file", "entries.csv")
	require.NoError(p.t, err)
	_, _ = io.WriteString(f, content)
	require.NoError(p.t, w.Close())
	return id(p.ask(status, false, http.MethodPost, "/uploads", b.Bytes(), "Content-Type", w.FormDataContentType(), "Idempotency-Key", uuid.NewString()))
}

var uuidForm = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

func id(text string) string { return uuidForm.FindString(text) }

// withoutTemporal are operations that need Temporal, which is down here; their answers when they
// are done are pinned by the types of the table of routes alone.
var withoutTemporal = map[string]bool{"retry": true, "export": true, "prove": true, "again": true, "resume": true, "check": true}

// Every route answers as the document says: what it shows, what it does, and what it refuses.
func TestAnswersAreAsDescribed(t *testing.T) {
	o := organization(t)
	p := newProgram(t, serve(t, o, signin.Administrator))
	as := func(role signin.Role) { // a new console, since one may ask it for fifteen things at once
		p.base = serve(t, o, role) + "/api/v1/organizations/eksempel"
	}
	p.get(200, "//organizations")
	p.get(200, "//openapi.json")
	for _, path := range []string{"/overview", "/overview?search=main", "/periods/main/2026-10", "/periods/main/2026-10?state=refused&state=unknown&limit=1", "/periods/main/2026-10?search=kontingent", "/periods/main/2026-11/preview",
		"/vouchers/refused", "/vouchers/unknown", "/attention", "/calls", "/calls?class=permanent&integration=main&from=2026-01-01&to=2100-01-01", "/calls/" + call.String(), "/history", "/integrations/main",
		"/periods/main/2026-10/vouchers/vouchers.csv", "/periods/main/2026-10/vouchers/vouchers.xlsx"} {
		p.get(200, path)
	}
	// Uploads, and what comes of them.
	const heading = "entry_id,voucher_id,entry_date,account,amount,currency,text\n"
	file := p.upload(201, heading+"n1,new,2026-11-02,1920,1.00,NOK,Gave\nn2,new,2026-11-02,3000,-1.00,NOK,Gave\n")
	p.get(200, "/uploads/"+file)
	p.post(200, "/uploads/"+file+"/import", `{}`)
	wrong := p.upload(201, heading+"n3,other,31.02.2026,1920,x,NOK,Gave\n")
	p.get(200, "/uploads/"+wrong)
	p.post(422, "/uploads/"+wrong+"/import", `{}`)
	replaces := p.upload(201, heading+"n1,new,2026-11-02,1921,1.00,NOK,Gave\n")
	p.get(200, "/uploads/"+replaces)
	p.get(200, "/uploads/"+replaces+"?replace=true")
	p.get(400, "/uploads/"+replaces+"?columnsOf=nobody")
	p.post(409, "/uploads/"+replaces+"/import", `{}`)
	p.upload(400, "")
	// Operations.
	line := func(account string) string {
		return fmt.Sprintf(`{"lines":[{"entryId":"refused0","date":"2026-10-05","account":%q,"amount":"100.00","currency":"NOK","text":"Kontingent"}],"reason":"wrong account"}`, account)
	}
	p.post(200, "/vouchers/refused/correct", line("1921"))
	p.post(400, "/vouchers/refused/correct", line("1921"))
	p.get(200, "/vouchers/refused")
	p.post(200, "/periods/main/2026-10/vouchers/unknown/resolve", `{"atVendor":"no","reason":"seen there"}`)
	p.post(409, "/periods/main/2026-10/vouchers/unknown/resolve", `{"atVendor":"no","reason":"seen there"}`)
	p.post(200, "/vouchers/new/withdraw", `{"reason":"a mistake"}`)
	p.get(200, "/vouchers/new")
	p.post(409, "/vouchers/arrived/withdraw", `{"reason":"a mistake"}`)
	key := regexp.MustCompile(`"key":"([^"]+)"`).FindStringSubmatch(p.get(200, "/attention"))
	require.NotNil(t, key)
	p.post(200, "/attention/acknowledge", fmt.Sprintf(`{"item":%q,"note":"asked the vendor"}`, key[1]))
	p.post(409, "/attention/acknowledge", fmt.Sprintf(`{"item":%q,"note":"asked the vendor"}`, key[1]))
	p.get(200, "/attention")
	as(signin.Administrator)
	again := uuid.NewString()
	for range 2 { // done once, answered twice
		p.ask(200, false, http.MethodPost, "/integrations/main/pause", []byte(`{"reason":"the vendor is down"}`), "Content-Type", "application/json", "Idempotency-Key", again)
	}
	p.ask(422, false, http.MethodPost, "/integrations/main/pause", []byte(`{"reason":"another"}`), "Content-Type", "application/json", "Idempotency-Key", again)
	p.get(200, "/overview")
	p.get(200, "/integrations/main")
	p.get(200, "/history")

	as(signin.Administrator)
	p.post(503, "/integrations/main/resume", `{"reason":"it is back"}`)
	p.post(503, "/periods/main/2026-10/retry", `{"vouchers":[]}`)
	p.post(503, "/periods/main/2026-11/export", `{"unfinished":true}`)
	p.post(503, "/periods/main/2026-10/check", `{}`)
	p.post(503, "/calls/"+call.String()+"/again", `{}`)
	as(signin.Administrator)
	// Refused requests: the request is wrong, the answer is as described.
	post := func(status int, path, body string, headers ...string) {
		t.Helper()
		p.ask(status, true, http.MethodPost, path, []byte(body), headers...)
	}
	post(400, "/integrations/main/pause", `{"reason":"x"}`, "Content-Type", "application/json")
	post(400, "/integrations/main/pause", `{"Reason":"x","other":1}`, "Content-Type", "application/json", "Idempotency-Key", uuid.NewString())
	post(415, "/integrations/main/pause", `reason=x`, "Content-Type", "text/plain", "Idempotency-Key", uuid.NewString())
	post(413, "/integrations/main/pause", `"`+strings.Repeat("x", 2<<20)+`"`, "Content-Type", "application/json", "Idempotency-Key", uuid.NewString())
	for _, path := range []string{"/periods/main/2026-10?state=nothing", "/periods/main/2026-10?limit=100000", "/calls?class=nothing", "/calls?from=yesterday", "/history?after=x"} {
		p.ask(400, true, http.MethodGet, path, nil)
	}
	p.get(200, "/periods/main/2020-01") // it has no export
	for _, path := range []string{"/periods/nobody/2026-10", "/periods/main/nothing", "/vouchers/nobody", "/checks/" + uuid.NewString(), "/uploads/" + uuid.NewString(), "/calls/" + uuid.NewString(), "/integrations/nobody",
		"/periods/nobody/2026-10/preview", "/periods/main/2020-01/vouchers/vouchers.csv"} {
		p.get(404, path)
	}
	// Who may not is refused.
	as(signin.Viewer)
	p.post(403, "/integrations/main/pause", `{"reason":"x"}`)
	p.post(403, "/vouchers/refused/withdraw", `{"reason":"x"}`)
	p.base = strings.Replace(p.base, "/eksempel", "/others", 1)
	p.get(404, "/overview")

	for path, item := range p.doc.Paths.Map() {
		for method, one := range item.Operations() {
			done := p.seen[one.OperationID][200] || p.seen[one.OperationID][201] || p.seen[one.OperationID][202]
			require.NotEmpty(t, p.seen[one.OperationID], "%s %s was not asked", method, path)
			require.Equal(t, !withoutTemporal[one.OperationID], done, "%s %s: it was never done", method, path)
		}
	}
}
