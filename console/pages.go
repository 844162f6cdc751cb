package console

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/console/signin"
	"github.com/ledgerline/ledgerline/console/words"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/plain"
)

//go:embed templates/*.html
var templates embed.FS

// page is what every template gets.
type page struct {
	Name     string // of the template
	Data     any
	Org      integrations.Organization
	Who      signin.Identity
	Role     signin.Role
	SignedIn bool
	Now      time.Time
	Here     string // its own address, to come back to
	Back     string // of an operation that was refused, the page with its form
	Did      string // the operation that led here
	Key      string // makes a form's operation happen once
	Lang     words.Language
	Live     bool // it looks for changes while it is open
	Dev      bool // development mode: everybody is one person
}

// Base is the address of the organization.
func (p page) Base() string { return "/o/" + p.Org.String() }

// May reports whether a role is enough for something.
func (p page) May(role string) bool { return p.Role.Allows(signin.Role(role)) }

// live are the views that change while they are open.
var live = []string{"overview", "period", "check", "attention", "call", "integration"}

// render shows a template.
func (r *request) render(status int, name string, data any) error {
	p := page{Name: name, Data: data, Org: r.org, Who: r.who, Role: r.role, SignedIn: r.who.Subject != "", Now: r.now, Here: r.URL.RequestURI(), Key: rand.Text(), Lang: r.said.Language(),
		Live: status == http.StatusOK && slices.Contains(live, name), Dev: r.c.Development}
	if did := r.URL.Query().Get("did"); words.Known("did." + did) {
		p.Did = did
	}
	if r.Method != http.MethodGet {
		p.Here = "/"
		if r.org.ID != [16]byte{} {
			p.Here = r.formOf()
		}
		p.Back = p.Here
	}
	var b bytes.Buffer
	if err := r.c.templates[r.said.Language()].ExecuteTemplate(&b, name+".html", p); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	h := r.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", string(r.said.Language()))
	h.Add("Vary", "Accept-Language, Cookie, Accept")
	r.w.WriteHeader(status)
	_, _ = b.WriteTo(r.w)
	return nil
}

// formOf is the page with the form of an operation: it is one step above, but for those that are
// on another page.
func (r *request) formOf() string {
	here := r.URL.EscapedPath()
	switch r.name {
	case "store":
		return r.page("/upload")
	case "resolve":
		here, _, _ = strings.Cut(here, "/vouchers/")
		return here
	}
	return path.Dir(here)
}

// parseTemplates reads the templates for a language.
func parseTemplates(p *words.Printer) (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{
		"t":         p.T,
		"known":     words.Known,
		"n":         p.Number,
		"money":     p.Money,
		"amount":    p.Amount,
		"day":       p.DayOf,
		"time":      func(t any, now time.Time) string { return p.Time(momentOf(t), now) },
		"exact":     func(t any) string { return p.Exact(momentOf(t)) },
		"iso":       func(t any) string { return momentOf(t).UTC().Format(time.RFC3339) },
		"period":    p.Period,
		"days":      p.PeriodDays,
		"outcome":   func(o any) words.Mark { return p.Outcome(exports.Outcome(fmt.Sprint(o))) },
		"chain":     p.ChainState,
		"cap":       words.Capital,
		"trigger":   p.Trigger,
		"status":    p.Status,
		"cell":      func(s cellState) words.Mark { return cellMark(p, s) },
		"healthy":   func(s health.State) words.Mark { return healthMark(p, s) },
		"path":      func(parts ...any) string { return pathOf(parts...) },
		"plain":     plain.Line,
		"asks":      func(s string) bool { return strings.HasSuffix(s, ":") }, // it says nothing without what follows
		"outcomes":  func() []exports.Outcome { return exports.Outcomes },
		"languages": func() []words.Language { return words.Languages },
		"query":     withQuery,
		"pretty":    pretty,
		"dict":      dict,
		"zero":      func(amount string) bool { return strings.Trim(amount, "-0.") == "" },
		"lasts": func(s string) string {
			d, err := time.ParseDuration(s)
			if err != nil {
				return s
			}
			return p.Duration(d)
		},
		"deref":       func(b *bool) bool { return b != nil && *b },
		"add":         func(a, b int) int { return a + b },
		"sum":         p.Sum,
		"n64":         func(n int64) string { return p.Number(int(n)) },
		"pathsegment": func(s string) template.URL { return template.URL(url.PathEscape(s)) }, // nothing of it is markup or a scheme
		"keypart":     func(s string) string { return fmt.Sprintf("-%x", sha256.Sum256([]byte(s)))[:17] },
		"plainlines":  plainLines,
	}).ParseFS(templates, "templates/*.html")
}

func momentOf(t any) time.Time {
	switch t := t.(type) {
	case time.Time:
		return t
	case *time.Time:
		if t != nil {
			return *t
		}
	}
	return time.Time{}
}

// pathOf joins the parts of an address, each escaped but the first.
func pathOf(parts ...any) string {
	var b strings.Builder
	for i, part := range parts {
		if i == 0 {
			b.WriteString(fmt.Sprint(part))
			continue
		}
		b.WriteString("/" + url.PathEscape(fmt.Sprint(part)))
	}
	return b.String()
}

// withQuery is an address with parameters changed: query .Here "after" "x"; "" takes one out.
func withQuery(address string, pairs ...string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Del("did")
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		} else {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// pretty is a value of the record, indented.
func pretty(raw json.RawMessage) string {
	var b bytes.Buffer
	if len(raw) == 0 || json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return clip(b.String(), 20_000)
}

// plainLines is a text of several lines without what steers a terminal or hides.
func plainLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = plain.Line(lines[i])
	}
	return strings.Join(lines, "\n")
}

// dict makes what a template hands to another.
func dict(pairs ...any) map[string]any {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return m
}

// cellMark is how a period looks in a table.
func cellMark(p *words.Printer, s cellState) words.Mark {
	switch s {
	case cellMissed:
		return p.Missed()
	case cellFailed:
		return p.ChainState(exports.ChainFailed)
	case cellUnknown:
		return p.Outcome(exports.IsUnknown)
	case cellRefused:
		return p.Outcome(exports.WasRefused)
	case cellWaiting:
		return p.Outcome(exports.IsWaiting)
	case cellArrived:
		return p.Outcome(exports.WasExported)
	case cellEmpty:
		return words.Mark{Sign: "–", Word: p.T("cell.empty"), Tone: "quiet"}
	}
	return p.NotExported()
}

// healthMark is how an integration is.
func healthMark(p *words.Printer, s health.State) words.Mark {
	m := map[health.State]words.Mark{
		health.Healthy: {Sign: "✓", Tone: "good"}, health.Degraded: {Sign: "!", Tone: "waiting"}, health.Unreachable: {Sign: "✗", Tone: "bad"},
	}[s]
	if s == "" {
		s = health.Unknown
	}
	if m.Sign == "" {
		m = words.Mark{Sign: "–", Tone: "quiet"}
	}
	m.Word = p.T("health." + string(s))
	return m
}

// language chooses a language and goes back.
func (r *request) language() error {
	l := words.Language(r.FormValue("language"))
	if !slices.Contains(words.Languages, l) {
		return refuse(http.StatusBadRequest, "parameter", "name", "language")
	}
	http.SetCookie(r.w, &http.Cookie{Name: languageCookie, Value: string(l), Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.c.PublicURL.Scheme == "https"})
	http.Redirect(r.w, r.Request, localPath(r.FormValue("to")), http.StatusSeeOther)
	return nil
}

// localPath is where the language form goes back to. Who has signed out is not sent to sign in.
func localPath(to string) string {
	if to == signin.SignedOutPath {
		return to
	}
	return signin.LocalPath(to)
}

// signedOut says that somebody is signed out here, and where they are signed in still.
func (r *request) signedOut() error {
	return r.render(http.StatusOK, "signedout", map[string]string{"Issuer": r.c.SignIn.IssuerSignOut()})
}

// ready reports why Temporal cannot be asked; nil if it can.
func (c *Console) ready(ctx context.Context) error {
	if c.Temporal == nil {
		return errors.New("no connection to Temporal is configured")
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	_, err := c.Temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
	return err
}

//go:embed openapi.json
var openAPIDocument []byte

// openAPI serves the description of the API.
func (r *request) openAPI() error {
	r.w.Header().Set("Content-Type", "application/json")
	r.w.WriteHeader(http.StatusOK)
	_, err := io.Copy(r.w, bytes.NewReader(openAPIDocument))
	return err
}
