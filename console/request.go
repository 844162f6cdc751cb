package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/console/signin"
	"github.com/ledgerline/ledgerline/console/words"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/redact"
	"github.com/ledgerline/ledgerline/runlog"
)

// request is a request, whose it is, and of which organization.
type request struct {
	*http.Request
	w    http.ResponseWriter
	c    *Console
	name string // of the route
	api  bool   // a program asks
	body []byte // of a JSON request

	who  signin.Identity
	org  integrations.Organization
	role signin.Role     // in the organization
	both bool            // the period has an export, and was adopted too
	snap runlog.Beginner // what is read of one moment; nil: whatever is there
	said *words.Printer
	now  time.Time

	lasts bool // for as long as a page is open
}

// db is the record.
func (r *request) db() runlog.Beginner {
	if r.snap != nil {
		return r.snap
	}
	return r.c.DB
}

// snapshot runs fn so that all that it reads is of one moment.
func (r *request) snapshot(fn func() error) error {
	defer func() { r.snap = nil }()
	return runlog.Snapshot(r.Context(), r.c.DB, func(db runlog.Beginner) error {
		r.snap = db
		return fn()
	})
}

// public serves somebody who need not be signed in.
func (c *Console) public(name string, api bool, serve func(*request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		r := &request{Request: hr, w: w, c: c, name: name, api: api, now: c.Now(), said: c.printers[languageOf(hr)]}
		began := time.Now()
		seen := &statusWriter{ResponseWriter: w}
		r.w = seen
		err := serve(r)
		if err != nil {
			r.fail(problemOf(err), seen.wrote)
		}
		if !r.lasts {
			c.measures.served(name, seen.status, time.Since(began))
		}
	})
}

// signedIn serves somebody who is signed in.
func (c *Console) signedIn(name string, api bool, serve func(*request) error) http.Handler {
	return c.public(name, api, func(r *request) error {
		if err := r.signIn(); err != nil {
			return err
		}
		return serve(r)
	})
}

// signIn finds out who asks.
func (r *request) signIn() (err error) {
	if r.who, err = r.c.SignIn.Who(r.Request); err != nil {
		return err
	}
	if r.c.Development {
		r.who.Roles, err = r.everywhere()
	}
	return err
}

// inOrganization serves somebody who has a role in the organization of the path. Of one in
// which somebody has none, it is not said that it exists.
func (c *Console) inOrganization(name string, role signin.Role, api bool, serve func(*request) error) http.Handler {
	return c.signedIn(name, api, func(r *request) (err error) {
		if r.org, err = r.findOrganization(r.PathValue("organization")); err != nil {
			return err
		}
		if err := r.permit(role); err != nil {
			return err
		}
		return serve(r)
	})
}

// permit finds out what somebody may do in the organization, and refuses what takes more.
func (r *request) permit(role signin.Role) error {
	granted, ok := r.who.Role(r.org.ID)
	if !ok {
		return notFound()
	}
	r.role = granted
	if !granted.Allows(role) {
		return refuse(http.StatusForbidden, "not_allowed", "role", r.said.T("role."+string(role)))
	}
	return nil
}

// everywhere is the role of everybody in development mode.
func (r *request) everywhere() (map[uuid.UUID]signin.Role, error) {
	list, err := runlog.ListNamedOrganizations(r.Context(), r.db())
	roles := make(map[uuid.UUID]signin.Role, len(list))
	for _, o := range list {
		roles[o.ID] = administrator
	}
	return roles, err
}

// findOrganization finds an organization by its ID or its short name.
func (r *request) findOrganization(which string) (o integrations.Organization, err error) {
	id, err := uuid.Parse(which)
	if err == nil && !slices.Contains(r.who.Organizations(), id) || err != nil && !integrations.IsShortName(which) {
		return o, notFound()
	}
	return runlog.FindOrganization(r.Context(), r.db(), which)
}

// streams reports whether a page asks for word of changes, and not for itself.
func (r *request) streams() bool {
	return !r.api && strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// show serves a view: as JSON, as a page, or as word that the page has changed.
func (r *request) show(v view) error {
	if r.streams() && slices.Contains(live, v.name) {
		return r.stream(v)
	}
	data, err := v.load(r)
	if err != nil {
		return err
	}
	if r.api {
		return r.json(http.StatusOK, data)
	}
	return r.render(http.StatusOK, v.name, data)
}

// json writes a value.
func (r *request) json(status int, v any) error {
	body, err := json.Marshal(whole(v))
	if err != nil {
		return err
	}
	r.w.Header().Set("Content-Type", "application/json")
	r.w.WriteHeader(status)
	_, _ = r.w.Write(append(body, '\n'))
	return nil
}

// fail answers with a problem, unless something was answered.
func (r *request) fail(p *problem, wrote bool) {
	if p.Status >= 500 {
		r.c.Log.Error("request failed", "route", r.name, "organization_id", r.org.ID, "problem", p.name, "error", redact.Text(p.logged()))
	}
	if wrote {
		return
	}
	said := p.said(r.said)
	h := r.w.Header()
	switch {
	case p.Status == http.StatusUnauthorized && r.api:
		h.Set("WWW-Authenticate", "Bearer")
	case p.Status == http.StatusUnauthorized && r.Method == http.MethodGet && !r.streams():
		http.Redirect(r.w, r.Request, signin.BeginURL(r.Request), http.StatusSeeOther)
		return
	case p.Status == http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	}
	if r.api {
		writeProblem(r.w, said)
		return
	}
	if err := r.render(p.Status, "problem", said); err != nil {
		http.Error(r.w, said.Title, p.Status)
	}
}

// home is the list of organizations; with one only, its page.
func (r *request) home() error {
	list := organizations{List: []organization{}}
	for _, id := range r.who.Organizations() {
		o, err := runlog.FindOrganization(r.Context(), r.db(), id.String())
		var unknown *runlog.UnknownOrganizationError
		if errors.As(err, &unknown) {
			continue // the access file names it before its integrations are applied
		} else if err != nil {
			return err
		}
		role, _ := r.who.Role(id)
		list.List = append(list.List, organization{ID: o.ID, Name: o.Name, Short: o.Short, Role: role})
	}
	switch {
	case r.api:
		return r.json(http.StatusOK, list)
	case len(list.List) == 1:
		o := list.List[0]
		http.Redirect(r.w, r.Request, "/o/"+integrations.Organization{ID: o.ID, Short: o.Short}.String(), http.StatusSeeOther)
		return nil
	}
	return r.render(http.StatusOK, "home", list)
}

// organizations are those in which somebody has a role.
type organizations struct {
	List []organization `json:"organizations"`
}

type organization struct {
	ID    uuid.UUID   `json:"organizationId"`
	Name  string      `json:"name,omitempty"`
	Short string      `json:"short,omitempty"`
	Role  signin.Role `json:"role"`
}

func (o organization) Path() string {
	return integrations.Organization{ID: o.ID, Short: o.Short}.String()
}

// findIntegration is the integration of the path, by its name or ID.
func (r *request) findIntegration() (integrations.Integration, error) {
	which := r.PathValue("integration")
	list, err := r.integrations()
	for _, in := range list {
		if in.Name == which || in.ID.String() == which {
			return in, nil
		}
	}
	if err != nil {
		return integrations.Integration{}, err
	}
	return integrations.Integration{}, notFound()
}

// integrations are the organization's, without those that cannot be read.
func (r *request) integrations() ([]integrations.Integration, error) {
	list, err := runlog.ListIntegrations(r.Context(), r.db(), r.org.ID)
	if some := (*runlog.UnreadableError)(nil); errors.As(err, &some) {
		err = nil
	}
	return list, err
}

// statusWriter notes what was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (w *statusWriter) WriteHeader(status int) {
	if !w.wrote {
		w.status, w.wrote = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if !w.wrote {
		w.status, w.wrote = http.StatusOK, true
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
