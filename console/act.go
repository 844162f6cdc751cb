package console

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/runlog"
)

// maxBody is how many bytes a form or a JSON value may have.
const maxBody = 1 << 20

// done is what an operation came to.
type done struct {
	Status int    // of the API; 0 is 200
	Result any    // what a program gets
	Target string // the page that comes next, below the organization's
	Before any    // what there was, for the record
	After  any    // what there is, for the record
}

// nothing is the input of an operation that takes none.
type nothing struct{}

// with reads an operation's input from a form or from JSON.
func with[In any](do func(*request, In) (*done, error)) func(*request) (*done, error) {
	return func(r *request) (*done, error) {
		var in In
		if err := r.read(&in); err != nil {
			return nil, err
		}
		return do(r, in)
	}
}

// keyForm is what an idempotency key may be.
var keyForm = regexp.MustCompile(`^[A-Za-z0-9_.:-]{8,200}$`)

// act does an operation once, however often it is sent with one key, and puts on record who
// did it before it is done.
func (r *request) act(o operation) error {
	most := o.size
	if most == 0 {
		most = maxBody
	}
	if !r.c.limits.allow(r.who.Subject+" "+r.org.ID.String(), r.now) { // before a large file is read
		r.w.Header().Set("Retry-After", "60")
		return refuse(http.StatusTooManyRequests, "too_many")
	}
	r.Body = http.MaxBytesReader(r.w, r.Body, most)
	if err := r.readable(o); err != nil {
		return err
	}
	if r.MultipartForm != nil {
		defer func() { _ = r.MultipartForm.RemoveAll() }() // what was too large for memory
	}
	key := r.Header.Get("Idempotency-Key")
	if !r.api {
		key = r.PostFormValue("key")
	}
	if !keyForm.MatchString(key) {
		return refuse(http.StatusBadRequest, "no_key")
	}
	asked, err := r.hash(o)
	if err != nil {
		return refuse(http.StatusBadRequest, "not_readable").because(err)
	}
	action := runlog.ConsoleAction{ID: uuid.New(), Subject: r.who.Subject, Actor: r.who.Actor(), Action: o.name, Target: r.target(), Key: key, Request: asked}
	earlier, err := r.begin(&action)
	if err != nil {
		return err
	}
	if earlier != nil {
		return r.replay(o, action, *earlier)
	}
	result, err := r.doing(o, action)
	p := (*problem)(nil)
	if err != nil {
		p = problemOf(err)
	}
	r.record(o, action, result, p)
	if p != nil {
		return p
	}
	return r.finish(o, result.status(), result.Target, asJSON(whole(result.Result)))
}

// mostTries is how often a request is taken again after something was not there.
const mostTries = 50

// begin puts an action on record. One whose key was used is the earlier one, unless that came
// to nothing because something was not there for the moment: a request that was asked to come
// again is a try of its own, under the same key with its number.
func (r *request) begin(a *runlog.ConsoleAction) (earlier *runlog.ConsoleAction, err error) {
	key := a.Key
	for try := 2; ; try++ {
		earlier, err = runlog.BeginConsoleAction(r.Context(), r.db(), r.org.ID, *a)
		again := err == nil && earlier != nil && earlier.EndedAt != nil && earlier.Status == http.StatusServiceUnavailable && string(earlier.Request) == string(a.Request)
		if !again || try > mostTries {
			return earlier, err
		}
		a.Key = fmt.Sprintf("%s~%d", key, try) // no key that somebody sends has a tilde
	}
}

// doing does an operation. If it panics, that is on record too.
func (r *request) doing(o operation, a runlog.ConsoleAction) (*done, error) {
	ended := false
	defer func() {
		if !ended {
			r.record(o, a, nil, refuse(http.StatusInternalServerError, "unexpected"))
		}
	}()
	d, err := r.traced(o)
	ended = true
	return d, err
}

func (d *done) status() int {
	if d.Status == 0 {
		return http.StatusOK
	}
	return d.Status
}

// recordWithin is how long the end of an operation is tried to be recorded after the reader
// has gone.
const recordWithin = 10 * time.Second

// ended is what is kept of an operation, for who sends it again.
type ended struct {
	Target string          `json:"target,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Name   string          `json:"problem,omitempty"`
	Pairs  []any           `json:"pairs,omitempty"`
	Detail string          `json:"detail,omitempty"`
	Lines  []line          `json:"lines,omitempty"`
}

// pairs are the arguments of the problem's text. Numbers in texts are whole.
func (e ended) pairs() []any {
	for i, v := range e.Pairs {
		if n, ok := v.(float64); ok {
			e.Pairs[i] = int(n)
		}
	}
	return e.Pairs
}

// record puts the end of an operation on record.
func (r *request) record(o operation, a runlog.ConsoleAction, d *done, p *problem) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), recordWithin)
	defer cancel()
	result, status := "done", 0
	var before, after json.RawMessage
	var e ended
	if p != nil {
		status, result = p.Status, "refused"
		if p.Status >= 500 {
			result = "failed"
		}
		e = ended{Name: p.name, Pairs: p.pairs, Detail: p.Detail, Lines: p.Lines}
	} else {
		status, before, after = d.status(), asJSON(d.Before), asJSON(d.After)
		e = ended{Target: d.Target, Result: asJSON(whole(d.Result))}
	}
	r.c.measures.operations.WithLabelValues(o.name, result).Inc()
	r.c.Log.Info("operation", "operation", o.name, "result", result, "organization_id", r.org.ID, "actor", a.Actor, "target", a.Target, "action_id", a.ID)
	if err := runlog.EndConsoleAction(ctx, r.db(), r.org.ID, a.ID, status, before, after, asJSON(e)); err != nil {
		r.c.Log.Error("the end of an operation could not be recorded", "operation", o.name, "action_id", a.ID, "error", problemOf(err).logged())
	}
}

// replay answers as the first request with a key was answered.
func (r *request) replay(o operation, a, earlier runlog.ConsoleAction) error {
	switch {
	case string(earlier.Request) != string(a.Request):
		return refuse(http.StatusUnprocessableEntity, "key_used")
	case earlier.EndedAt == nil:
		return refuse(http.StatusConflict, "under_way")
	}
	var e ended
	if err := json.Unmarshal(earlier.Response, &e); err != nil {
		return err
	}
	if e.Name != "" {
		p := refuse(earlier.Status, e.Name, e.pairs()...)
		p.Detail, p.Lines = e.Detail, e.Lines
		return p
	}
	r.w.Header().Set("Idempotent-Replayed", "true")
	return r.finish(o, earlier.Status, e.Target, e.Result)
}

// finish answers that an operation is done.
func (r *request) finish(o operation, status int, target string, result json.RawMessage) error {
	page := r.page(target)
	if r.api {
		if status == http.StatusCreated || status == http.StatusAccepted {
			r.w.Header().Set("Location", strings.Replace(page, "/o/", "/api/v1/organizations/", 1))
		}
		if result == nil {
			result = json.RawMessage("{}")
		}
		return r.json(status, result)
	}
	u, err := url.Parse(page)
	if err != nil {
		return err
	}
	q := u.Query()
	q.Set("did", o.name)
	u.RawQuery = q.Encode()
	http.Redirect(r.w, r.Request, u.String(), http.StatusSeeOther)
	return nil
}

// page is the address of a page of the organization.
func (r *request) page(below string) string { return "/o/" + r.org.String() + below }

// target is what an operation is about, as the record names it.
func (r *request) target() string {
	_, below, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api/v1/organizations/"), "/o/"), "/")
	return clip("/"+below, 500)
}

// readable reads a form, or refuses what is neither a form nor JSON.
func (r *request) readable(o operation) error {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var err error
	switch {
	case kind == "multipart/form-data" && o.size > 0:
		err = r.ParseMultipartForm(4 << 20)
	case r.api && kind == "application/json" && o.size == 0:
		var body []byte
		if body, err = io.ReadAll(r.Body); err == nil {
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			r.body = body
		}
	case !r.api && kind == "application/x-www-form-urlencoded":
		err = r.ParseForm()
	default:
		return refuse(http.StatusUnsupportedMediaType, "media_type")
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return refuse(http.StatusRequestEntityTooLarge, "too_large", "n", int(min(large.Limit, maxUpload)>>20))
	case err != nil:
		return refuse(http.StatusBadRequest, "not_readable")
	}
	return nil
}

// hash identifies what is asked for, contents of files included, without the key.
func (r *request) hash(o operation) ([]byte, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s\n", o.name, r.URL.EscapedPath())
	if r.api && r.body != nil {
		h.Write(r.body)
	} else {
		form := url.Values{}
		for name, values := range r.PostForm {
			if name != "key" {
				form[name] = values
			}
		}
		io.WriteString(h, form.Encode())
		if r.MultipartForm != nil {
			for _, files := range r.MultipartForm.File {
				for _, header := range files {
					fmt.Fprintf(h, "\n%q %d\n", header.Filename, header.Size)
					f, err := header.Open()
					if err != nil {
						return nil, err
					}
					_, err = io.Copy(h, f)
					if err = errors.Join(err, f.Close()); err != nil {
						return nil, err
					}
				}
			}
		}
	}
	return h.Sum(nil), nil
}

// read reads an input: JSON of a program, strictly, or the fields of a form.
func (r *request) read(in any) error {
	if r.api {
		if len(r.body) == 0 {
			return nil
		}
		d := json.NewDecoder(strings.NewReader(string(r.body)))
		d.DisallowUnknownFields()
		err := d.Decode(in)
		if err == nil {
			if _, more := d.Token(); more != io.EOF {
				err = errors.New("there is something after the value")
			}
		}
		if err != nil {
			return refuse(http.StatusBadRequest, "not_readable").detailed(clip(fmt.Sprint(err), 200))
		}
		return nil
	}
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		switch f := v.Field(i); f.Interface().(type) {
		case string:
			f.SetString(strings.TrimSpace(r.PostFormValue(name)))
		case bool:
			f.SetBool(r.PostFormValue(name) == "true")
		case []string:
			f.Set(reflect.ValueOf(r.PostForm[name]))
		case []correctedLine:
			f.Set(reflect.ValueOf(r.correctedLines()))
		default:
			return fmt.Errorf("console: a form cannot have %s", name)
		}
	}
	return nil
}

// asJSON is a value as the record keeps it; nil of nothing.
func asJSON(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	if raw, ok := v.(json.RawMessage); ok {
		return raw
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}

// clip cuts a text to n characters.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}
