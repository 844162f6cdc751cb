package adaptertest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

var (
	validName = regexp.MustCompile(`^[a-z]+$`)
	validHost = regexp.MustCompile(`^\.?[a-z0-9-]+(\.[a-z0-9-]+)+$`)
	validKey  = regexp.MustCompile(`^[a-z][A-Za-z]*$`) // of a setting or a credential
)

func descriptor(c *checker) {
	a := c.s.New()
	v := a.Vendor()
	must := func(ok bool, format string, args ...any) {
		if !ok {
			c.errorf(format, args...)
		}
	}
	must(reflect.DeepEqual(v, a.Vendor()), "Vendor is another one each time")
	must(validName.MatchString(v.Name), "Name %q: want lower-case letters", v.Name)
	must(v.Title != "", "Title: missing")
	must(len(v.Hosts) > 0, "Hosts: missing")
	for _, host := range v.Hosts {
		name := host
		if strings.HasPrefix(host, ".") {
			name = "a" + host
		}
		u := &url.URL{Scheme: "https", Host: name, Path: "/x"}
		must(validHost.MatchString(host) && adapters.CheckURL(v.Name, v.Hosts, u, nil) == nil, "Hosts: %q is no name that can be called", host)
	}
	must(len(v.Credentials) > 0, "Credentials: missing; who may be called without a secret?")
	must(distinct(v.Credentials), "Credentials: a duplicate")
	for _, name := range v.Credentials {
		must(validKey.MatchString(name), "Credentials: %q: want a name such as clientSecret", name)
		must(c.s.Credentials[name] != "", "Credentials: Subject has none with the name %q", name)
	}
	names := make([]string, len(v.Settings))
	for i, s := range v.Settings {
		names[i] = s.Name
		must(validKey.MatchString(s.Name), "Settings: %q: want a name such as tenantId", s.Name)
		must(!s.Required || !s.ForExport, "Settings: %s is required always and for exports", s.Name)
		must(s.Want != "" || s.Pattern == nil && !s.ForExport, "Settings: %s does not say what it should look like", s.Name)
	}
	must(distinct(names), "Settings: a duplicate")
	must(v.Codes.Name == v.Name, "Codes: the table's name is %q, and the vendor's %q", v.Codes.Name, v.Name)
	must(slices.Contains([]classify.Dialect{classify.GraphQL, classify.OData, classify.OAuth}, v.Codes.Dialect), "Codes: dialect %q is not known", v.Codes.Dialect)
	for code, rule := range v.Codes.Codes {
		must(classify.CanonicalCode(code) == code, "Codes: %q would never be found; it should be %q", code, classify.CanonicalCode(code))
		must(slices.Contains(classify.Kinds(), rule.Kind) && rule.Kind.Class() != classify.Success, "Codes: %s has the kind %q, which is no failure", code, rule.Kind)
		must(rule.Effect == "" || rule.Effect == classify.None, "Codes: %s has the effect %q; an error can only prove none", code, rule.Effect)
		must(rule.Effect == "" || !rule.GaveUp, "Codes: %s says both that nothing was done and that the work may go on", code)
	}
	must(v.InFlight >= 0 && v.InFlightChanged >= 0, "InFlight: less than 0")
	c.terms(v, a, must)
	c.withoutSettings(v)
}

// terms checks what the descriptor says of exports.
func (c *checker) terms(v adapters.Vendor, a adapters.Adapter, must func(bool, string, ...any)) {
	x := v.Export
	exporter, ok := a.(adapters.Exporter)
	if !ok {
		must(reflect.ValueOf(x).IsZero(), "Export: it has terms, and the adapter is no Exporter")
		return
	}
	must(2 <= x.Default && x.Default <= x.Entries, "Export: Default is %d; want 2 (a voucher has two lines) to Entries, which is %d", x.Default, x.Entries)
	must(x.Entries < adapters.MaxKeys, "Export: Entries is %d; all of a request and one that is known to be there are asked for at once: want less than %d", x.Entries, adapters.MaxKeys)
	must(distinct(x.Dimensions), "Export: a duplicate dimension")
	_, settings := c.s.Connect("http://127.0.0.1:1")
	body, err := exporter.ExportBody(adapters.Form{Settings: settings}, c.entries("d", 2))
	if err != nil {
		c.errorf("ExportBody refuses two entries: %v", err)
		return
	}
	if p, err := a.Describe(adapters.Call, body); err == nil && p.Guard != adapters.Idempotent {
		must(v.InFlight > 0, "InFlight is 0, and an export's request has the guard %s: only a repeat that changes nothing can arrive at any time", p.Guard)
	}
}

// withoutSettings checks that what the descriptor calls required is.
func (c *checker) withoutSettings(v adapters.Vendor) {
	w := c.world(0)
	try := func(what string, change func(*adapters.Conn), good func(classify.Verdict) bool) {
		w.wire.lie(nil)
		for _, a := range w.attempts("d") {
			conn := w.conn()
			change(conn)
			w.limited(func(ctx context.Context) {
				if verdict, _ := a.run(ctx, conn); !good(verdict) || len(w.wire.all()) > 0 {
					w.errorf("%s: a %s asks %d times and ends with %s", what, a.name, len(w.wire.all()), said(verdict))
				}
			})
		}
	}
	for _, name := range v.Credentials {
		try("without the credential "+name, func(c *adapters.Conn) { delete(c.Credentials, name) }, func(v classify.Verdict) bool { return v.Kind == classify.Credentials })
	}
	for _, s := range v.Settings {
		if s.Required {
			try("without the setting "+s.Name, func(c *adapters.Conn) { delete(c.Settings, s.Name) }, func(v classify.Verdict) bool { return v.Kind == classify.Configuration })
		}
		x, ok := w.adapter.(adapters.Exporter)
		if !ok || !s.ForExport {
			continue
		}
		settings := maps.Clone(w.settings)
		delete(settings, s.Name)
		if _, err := x.ExportBody(adapters.Form{Settings: settings}, c.entries("d", 2)); err == nil || !strings.Contains(err.Error(), s.Name) {
			c.errorf("ExportBody without the setting %s: %v; want an error that names it", s.Name, err)
		}
	}
}

func distinct(list []string) bool {
	return len(slices.Compact(slices.Sorted(slices.Values(list)))) == len(list)
}

// garbage is what nobody can read as a request.
var garbage = []string{
	"", " ", "null", "true", "7", `"x"`, "[]", "[{}]", "{}", "{", "}", "nonsense", "\x00", "\xff\xfe", "<html></html>", `{"nobody":"knows"}`, `{"":""}`,
	`{"query":7}`, `{"method":7}`, strings.Repeat("[", 5000), strings.Repeat(`{"a":`, 5000),
}

func describe(c *checker) {
	w := c.world(0)
	try := func(op adapters.Operation, body []byte) (adapters.Description, error) {
		p, err := w.adapter.Describe(op, body)
		q, err2 := w.adapter.Describe(op, body)
		if !reflect.DeepEqual(p, q) || fmt.Sprint(err) != fmt.Sprint(err2) {
			c.errorf("Describe of a %s says another thing the second time: %s", op, short(body))
		}
		return p, err
	}
	if p, err := try(adapters.Ping, nil); err != nil || p.Guard != adapters.ReadOnly {
		c.errorf("Describe of a ping: guard %q, error %v; want %s", p.Guard, err, adapters.ReadOnly)
	}
	bodies := make([][]byte, 0, len(c.s.Calls)+1)
	for _, call := range c.s.Calls {
		bodies = append(bodies, []byte(call.Body))
	}
	if _, ok := w.adapter.(adapters.Exporter); ok {
		c.lookUpPlan(try)
		body, p := w.body(c.entries("p", 2))
		bodies = append(bodies, body)
		for _, e := range c.entries("p", 2) {
			for _, data := range []string{e.Key, e.Text, e.Voucher, e.Amount} {
				if strings.Contains(p.Summary, data) {
					c.errorf("Summary repeats the values of an entry: %q", p.Summary)
				}
			}
		}
	}
	for _, body := range bodies {
		switch p, err := try(adapters.Call, body); {
		case err != nil:
			c.errorf("Describe refuses a request: %v: %s", err, short(body))
		case p.Summary == "" || strings.Contains(p.Summary, "\n"):
			c.errorf("Summary is %q; want one line: %s", p.Summary, short(body))
		}
		for n := range 100 { // cut off anywhere, or with something behind it
			c.unsure(w, try, body[:len(body)*n/100])
		}
		c.unsure(w, try, append(slices.Clone(body), '}'))
		c.unsure(w, try, append(slices.Clone(body), body...))
	}
	for _, body := range garbage {
		c.unsure(w, try, []byte(body))
	}
	for _, op := range []adapters.Operation{adapters.Lookup, adapters.Export} {
		if _, v := w.do(op, bodies[0]); v.Class != classify.Permanent {
			c.errorf("Do of a %s, which is not something to send, ends with %s", op, said(v))
		}
	}
	if n := len(w.wire.all()); n > 0 {
		c.errorf("what cannot be read was sent all the same, %d times", n)
	}
}

// unsure holds a body that is no request to what a description of it may say. What Describe
// refuses, Do refuses too.
func (c *checker) unsure(w *world, try func(adapters.Operation, []byte) (adapters.Description, error), body []byte) {
	p, err := try(adapters.Call, body)
	if err == nil {
		if p.Guard != adapters.Unsafe {
			c.errorf("Describe of what is no request: guard %s, want an error or %s: %s", cmp.Or(p.Guard, `""`), adapters.Unsafe, short(body))
		}
		return
	}
	if _, v := w.do(adapters.Call, body); v.Class != classify.Permanent || v.Effect == classify.Done || v.Effect == classify.Open {
		c.errorf("Do of what Describe refuses ends with %s: %s", said(v), short(body))
	}
}

// lookUpPlan checks the plan of a look-up.
func (c *checker) lookUpPlan(try func(adapters.Operation, []byte) (adapters.Description, error)) {
	p, err := try(adapters.Lookup, fmt.Appendf(nil, `{"keys":[%q]}`, keyOf("p")))
	if err != nil || p.Guard != adapters.ReadOnly {
		c.errorf("Describe of a look-up: guard %q, error %v; want %s", p.Guard, err, adapters.ReadOnly)
	}
	for _, body := range append([]string{`{"keys":[]}`, `{"keys":["' or 1 eq 1"]}`, `{"keys":["` + keyOf("p") + `"],"known":["` + keyOf("q") + `"]}`}, garbage...) {
		if _, err := try(adapters.Lookup, []byte(body)); err == nil {
			c.errorf("Describe takes a look-up that asks for nothing: %s", short([]byte(body)))
		}
	}
}
