package console

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/ledgerline/ledgerline/console/signin"
	"github.com/ledgerline/ledgerline/runlog"
)

// view is something that is shown.
type view struct {
	name  string      // of its template, its title and its operation
	path  string      // of its page, below the organization's
	api   string      // of its JSON, below the organization's; "" if there is none
	role  signin.Role // that it takes at least
	load  func(*request) (any, error)
	shape any      // the zero value of what load returns
	query []string // parameters
}

// operation is something that can be done.
type operation struct {
	name  string
	path  string // of the form, below the organization's
	api   string // of the same with JSON; "" if there is none
	role  signin.Role
	input any // the zero value of what it takes
	do    func(*request) (*done, error)
	size  int64 // most bytes of a request; 0 is maxBody

	status int // of the API, when it is done; 0 is 200
	result any // the zero value of what a program gets then
}

// Roles, for short.
const (
	viewer        = signin.Viewer
	finance       = signin.Finance
	administrator = signin.Administrator
)

// views are all that is shown of an organization.
var views = []view{
	{name: "overview", path: "", api: "/overview", role: viewer, load: (*request).overview, shape: overview{}, query: []string{"search", "import", "after"}},
	{name: "period", path: "/periods/{integration}/{period}", api: "/periods/{integration}/{period}", role: viewer, load: (*request).period, shape: period{}, query: voucherQuery},
	{name: "preview", path: "/periods/{integration}/{period}/export", api: "/periods/{integration}/{period}/preview", role: viewer, load: (*request).preview, shape: preview{}},
	{name: "voucher", path: "/vouchers/{voucher}", api: "/vouchers/{voucher}", role: viewer, load: (*request).voucher, shape: voucher{}},
	{name: "check", path: "/checks/{job}", api: "/checks/{job}", role: viewer, load: (*request).check, shape: check{}},
	{name: "uploads", path: "/upload", role: finance, load: (*request).uploads, shape: uploads{}},
	{name: "upload", path: "/uploads/{upload}", api: "/uploads/{upload}", role: finance, load: (*request).upload, shape: upload{}, query: readingQuery},
	{name: "attention", path: "/attention", api: "/attention", role: viewer, load: (*request).attention, shape: attentionList{}},
	{name: "calls", path: "/calls", api: "/calls", role: viewer, load: (*request).calls, shape: callList{}, query: []string{"search", "integration", "class", "from", "to", "after"}},
	{name: "call", path: "/calls/{call}", api: "/calls/{call}", role: viewer, load: (*request).call, shape: call{}},
	{name: "history", path: "/history", api: "/history", role: viewer, load: (*request).history, shape: history{}, query: []string{"after"}},
	{name: "integration", path: "/integrations/{integration}", api: "/integrations/{integration}", role: viewer, load: (*request).integration, shape: integration{}},
}

// operations are all that can be done in an organization.
var operations = []operation{
	{name: "retry", path: "/periods/{integration}/{period}/retry", api: "/periods/{integration}/{period}/retry", role: finance, input: retryInput{}, do: with((*request).retry), result: started{}, status: http.StatusAccepted},
	{name: "export", path: "/periods/{integration}/{period}/export", api: "/periods/{integration}/{period}/export", role: finance, input: exportInput{}, do: with((*request).export), result: started{}, status: http.StatusAccepted},
	{name: "prove", path: "/periods/{integration}/{period}/check", api: "/periods/{integration}/{period}/check", role: finance, input: nothing{}, do: with((*request).prove), result: checkStarted{}, status: http.StatusAccepted},
	{name: "resolve", path: "/periods/{integration}/{period}/vouchers/{voucher}/resolve", api: "/periods/{integration}/{period}/vouchers/{voucher}/resolve", role: finance, input: resolveInput{}, do: with((*request).resolve), result: resolved{}},
	{name: "store", path: "/uploads", api: "/uploads", role: finance, input: storeInput{}, do: (*request).store, size: maxUpload + 1<<20, result: stored{}, status: http.StatusCreated},
	{name: "import", path: "/uploads/{upload}/import", api: "/uploads/{upload}/import", role: finance, input: importInput{}, do: with((*request).importUpload), result: importResult{}},
	{name: "correct", path: "/vouchers/{voucher}/correct", api: "/vouchers/{voucher}/correct", role: finance, input: correctInput{}, do: with((*request).correct), result: importResult{}},
	{name: "withdraw", path: "/vouchers/{voucher}/withdraw", api: "/vouchers/{voucher}/withdraw", role: finance, input: reasonInput{}, do: with((*request).withdraw), result: runlog.Withdrawal{}},
	{name: "acknowledge", path: "/attention/acknowledge", api: "/attention/acknowledge", role: finance, input: acknowledgeInput{}, do: with((*request).acknowledge), result: acknowledged{}},
	{name: "again", path: "/calls/{call}/again", api: "/calls/{call}/again", role: finance, input: nothing{}, do: with((*request).callAgain), result: calledAgain{}, status: http.StatusAccepted},
	{name: "pause", path: "/integrations/{integration}/pause", api: "/integrations/{integration}/pause", role: administrator, input: reasonInput{}, do: with((*request).pause), result: pauseResult{}},
	{name: "resume", path: "/integrations/{integration}/resume", api: "/integrations/{integration}/resume", role: administrator, input: reasonInput{}, do: with((*request).resume), result: pauseResult{}},
}

const (
	pagePath = "/o/{organization}"
	apiPath  = "/api/v1/organizations/{organization}"
)

//go:embed static
var static embed.FS

// routes is everything that is served.
func (c *Console) routes() (http.Handler, error) {
	mux := http.NewServeMux()
	for _, v := range views {
		mux.Handle("GET "+pagePath+v.path, c.inOrganization(v.name, v.role, false, func(r *request) error { return r.show(v) }))
		if v.api != "" {
			mux.Handle("GET "+apiPath+v.api, c.inOrganization(v.name, v.role, true, func(r *request) error { return r.show(v) }))
		}
	}
	for _, o := range operations {
		mux.Handle("POST "+pagePath+o.path, c.inOrganization(o.name, o.role, false, func(r *request) error { return r.act(o) }))
		if o.api != "" {
			mux.Handle("POST "+apiPath+o.api, c.inOrganization(o.name, o.role, true, func(r *request) error { return r.act(o) }))
		}
	}
	mux.Handle("GET "+pagePath+"/periods/{integration}/{period}/vouchers/{file}", c.inOrganization("download", viewer, false, (*request).download))
	mux.Handle("GET "+apiPath+"/periods/{integration}/{period}/vouchers/{file}", c.inOrganization("download", viewer, true, (*request).download))

	mux.Handle("GET /{$}", c.signedIn("home", false, (*request).home))
	mux.Handle("GET /api/v1/organizations", c.signedIn("organizations", true, (*request).home))
	mux.Handle("GET /api/v1/openapi.json", c.public("openapi", true, (*request).openAPI))
	mux.Handle("GET "+signin.BeginPath, c.public("sign_in", false, from(c.SignIn.Begin)))
	mux.Handle("GET "+signin.CallbackPath, c.public("sign_in_callback", false, from(c.SignIn.Callback)))
	mux.Handle("POST "+signin.SignOutPath, c.public("sign_out", false, from(c.SignIn.SignOut)))
	mux.Handle("GET "+signin.SignedOutPath, c.public("signed_out", false, (*request).signedOut))
	mux.Handle("POST /language", c.public("language", false, (*request).language))
	files, err := fs.Sub(static, "static")
	if err != nil {
		return nil, err
	}
	mux.Handle("GET /static/", http.StripPrefix("/static/", cached(http.FileServerFS(files))))
	mux.Handle("/api/", c.public("unknown", true, func(*request) error { return notFound() }))
	mux.Handle("/", c.public("unknown", false, func(*request) error { return notFound() }))
	return c.protected(mux), nil
}

// from serves what package signin serves.
func from(serve http.HandlerFunc) func(*request) error {
	return func(r *request) error {
		serve(r.w, r.Request)
		return nil
	}
}
