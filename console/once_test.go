package console

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/console/signin"
	"github.com/ledgerline/ledgerline/runlog"
)

// atOnce asks several times at the same time.
func atOnce(n int, ask func(int) answer) []answer {
	list := make([]answer, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { list[i] = ask(i) })
	}
	all.Wait()
	return list
}

func (h *house) actions() []runlog.ConsoleAction {
	h.t.Helper()
	list, _, err := runlog.ListConsoleActions(h.t.Context(), login, h.org, nil, 500)
	require.NoError(h.t, err)
	return list
}

// A key makes an operation happen once, however often and however fast it is sent; another
// request under it is refused, and another person's keys are their own.
func TestKeys(t *testing.T) {
	h := newHouse(t, "keys")
	s := newSite(t, nil, h)
	of := furnish(h, s)
	kari, per := s.signedIn("kari", groupOf(h, signin.Administrator)), s.signedIn("per", groupOf(h, signin.Administrator))
	base := "/api/v1/organizations/" + h.short
	path, body, key := base+"/integrations/"+of["integration"]+"/pause", `{"reason":"they upgrade"}`, uuid.NewString()
	before := len(h.actions())
	ok := 0
	for _, res := range atOnce(12, func(int) answer { return kari.send(path, body, key) }) {
		require.Contains(t, []int{http.StatusOK, http.StatusConflict}, res.StatusCode, res.body)
		if res.StatusCode == http.StatusOK {
			ok++
		} else {
			require.Contains(t, res.body, "under_way")
		}
	}
	require.Positive(t, ok)
	require.Len(t, h.actions(), before+1, "it happened once")
	again := kari.send(path, body, key)
	require.Equal(t, http.StatusOK, again.StatusCode)
	require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
	s.free()
	for name, res := range map[string]answer{
		"another body": kari.send(path, `{"reason":"another"}`, key), "another operation": kari.send(base+"/attention/acknowledge", body, key),
		"another thing": kari.send(base+"/integrations/"+h.spec.ID.String()+"/pause", body, key), "a form": kari.post("/o/"+h.short+"/integrations/"+of["integration"]+"/pause", url.Values{"reason": {"they upgrade"}, "key": {key}}),
	} {
		require.Equal(t, http.StatusUnprocessableEntity, res.StatusCode, "%s: %s", name, res.body)
	}
	require.Len(t, h.actions(), before+1)
	s.free()
	theirs := per.send(path, body, key)
	require.Equal(t, http.StatusConflict, theirs.StatusCode, "another person's key is another: the integration is paused already")
	require.Contains(t, theirs.body, "paused")
	require.NotContains(t, theirs.Header, "Idempotent-Replayed")
	require.Len(t, h.actions(), before+2)
	// What was refused is refused again, in the words of then, and not done.
	refused := per.send(path, body, key)
	require.Equal(t, theirs.body, refused.body)
	require.Len(t, h.actions(), before+2)

	// What came to nothing because something was not there is tried again.
	s.free()
	key = uuid.NewString()
	for range 2 {
		require.Equal(t, http.StatusServiceUnavailable, kari.send(base+"/integrations/"+of["integration"]+"/resume", body, key).StatusCode)
	}
	require.Len(t, h.actions(), before+4, "each try is on record")
	require.Equal(t, http.StatusUnprocessableEntity, kari.send(base+"/integrations/"+of["integration"]+"/resume", `{"reason":"x"}`, key).StatusCode)
	for _, wrong := range []string{"", "short", strings.Repeat("x", 201), "with blank", key + "~2", "æøåæøåæøå"} {
		require.Equal(t, http.StatusBadRequest, kari.send(path, body, wrong).StatusCode, wrong)
	}
}

// A file of the same name and size under the same key is another file.
func TestKeyOfAFile(t *testing.T) {
	h := newHouse(t, "samefile")
	s := newSite(t, nil, h)
	kari := s.signedIn("kari", groupOf(h, signin.Finance))
	send := func(content string) answer {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		_ = w.WriteField("key", "the-same-key")
		f, err := w.CreateFormFile("file", "a.csv")
		require.NoError(t, err)
		_, _ = io.WriteString(f, content)
		require.NoError(t, w.Close())
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.server.URL+"/o/"+h.short+"/uploads", &b)
		require.NoError(t, err)
		req.Header.Set("Content-Type", w.FormDataContentType())
		return kari.do(req)
	}
	first, same, another := send("a,b\n1,2\n"), send("a,b\n1,2\n"), send("a,b\n1,3\n")
	require.Equal(t, http.StatusSeeOther, first.StatusCode)
	require.Equal(t, first.Header.Get("Location"), same.Header.Get("Location"))
	require.Equal(t, http.StatusUnprocessableEntity, another.StatusCode)
}

// So many operations a minute, of each person and each organization; also those that are refused.
func TestRateLimit(t *testing.T) {
	h, others := newHouse(t, "rate"), newHouse(t, "rates")
	s := newSite(t, nil, h, others)
	kari, per := s.signedIn("kari", groupOf(h, signin.Finance), groupOf(others, signin.Finance)), s.signedIn("per", groupOf(h, signin.Finance))
	last := 0
	for range operationsAtOnce + 5 {
		res := kari.send("/api/v1/organizations/"+h.short+"/attention/acknowledge", "{}", uuid.NewString())
		if last = res.StatusCode; last == http.StatusTooManyRequests {
			require.NotEmpty(t, res.Header.Get("Retry-After"))
		}
	}
	require.Equal(t, http.StatusTooManyRequests, last)
	require.Equal(t, http.StatusBadRequest, kari.send("/api/v1/organizations/"+others.short+"/attention/acknowledge", "{}", uuid.NewString()).StatusCode)
	require.Equal(t, http.StatusBadRequest, per.send("/api/v1/organizations/"+h.short+"/attention/acknowledge", "{}", uuid.NewString()).StatusCode)
	require.Equal(t, http.StatusOK, kari.get("/o/"+h.short).StatusCode, "reading goes on")
}

// Every operation is on record with who and what came of it, also one that was refused, and
// one that broke.
func TestRecord(t *testing.T) {
	h := newHouse(t, "record")
	s := newSite(t, nil, h)
	of := furnish(h, s)
	kari := s.signedIn("kari", groupOf(h, signin.Administrator))
	for _, o := range operations {
		if o.name == "store" {
			continue
		}
		a := asked{method: http.MethodPost, path: apiPath + o.api}
		s.free()
		res := kari.send(a.fill(h.short, of), "{}", uuid.NewString())
		done := h.actions()[0]
		require.Equal(t, []any{o.name, "kari", "kari", res.StatusCode}, []any{done.Action, done.Subject, done.Actor, done.Status}, res.body)
		require.NotNil(t, done.EndedAt, o.name)
	}
	s.free()
	pause := kari.send("/api/v1/organizations/"+h.short+"/integrations/"+of["integration"]+"/pause", `{"reason":"they upgrade"}`, uuid.NewString())
	require.Equal(t, http.StatusOK, pause.StatusCode, pause.body)
	done := h.actions()[0]
	require.JSONEq(t, `{"paused":null}`, string(done.Before))
	require.Contains(t, string(done.After), "they upgrade")

	r := &request{c: s.console, now: s.console.Now(), said: s.console.printers["en"], w: discard{}}
	r.Request, _ = http.NewRequestWithContext(t.Context(), http.MethodPost, "/o/x/y", strings.NewReader("key=12345678"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.org.ID, r.who.Subject, r.who.Name = h.org, "kari", "kari"
	require.Panics(t, func() {
		_ = r.act(operation{name: "breaks", do: func(*request) (*result, error) { panic("it broke") }})
	})
	require.Equal(t, []any{"breaks", 500}, []any{h.actions()[0].Action, h.actions()[0].Status})
}

type result = done

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// formOf are the fields that a page's form with an action has.
func formOf(t *testing.T, page answer, action string) url.Values {
	t.Helper()
	fields := url.Values{}
	for _, f := range elements(t, page.body, "form") {
		if !strings.HasSuffix(attribute(f, "action"), action) {
			continue
		}
		for _, in := range within(f, "input") {
			fields.Add(attribute(in, "name"), attribute(in, "value"))
		}
	}
	require.NotEmpty(t, fields, "there is no form %s", action)
	return fields
}

// Two people who correct the same voucher: the second learns that it has changed, and takes
// back nothing of the first; also if both press at once.
func TestTwoCorrect(t *testing.T) {
	h := newHouse(t, "two")
	s := newSite(t, nil, h)
	furnish(h, s)
	kari, per := s.signedIn("kari", groupOf(h, signin.Finance)), s.signedIn("per", groupOf(h, signin.Finance))
	path := "/o/" + h.short + "/vouchers/" + h.short + "-v2"
	mine, theirs := formOf(t, kari.get(path), "/correct"), formOf(t, per.get(path), "/correct")
	mine.Set("account.1", "3900")
	mine.Set("reason", "account")
	theirs.Set("text.1", "Gift")
	theirs.Set("reason", "text")
	res := kari.post(path+"/correct", mine)
	require.Equal(t, http.StatusSeeOther, res.StatusCode, res.body)
	res = per.post(path+"/correct", theirs)
	require.Equal(t, http.StatusConflict, res.StatusCode)
	require.Contains(t, res.body, "Somebody else has changed this voucher")
	stored, err := runlog.ListVoucherEntries(t.Context(), login, h.org, h.short+"-v2")
	require.NoError(t, err)
	require.Equal(t, "3900", stored[1].Account)

	var forms []url.Values
	for _, account := range []string{"3901", "3902", "3903", "3904"} {
		f := formOf(t, kari.get(path), "/correct")
		f.Set("account.1", account)
		f.Set("reason", "at once")
		forms = append(forms, f)
	}
	won := 0
	for _, res := range atOnce(len(forms), func(i int) answer { return per.post(path+"/correct", forms[i]) }) {
		require.Contains(t, []int{http.StatusSeeOther, http.StatusConflict}, res.StatusCode, res.body)
		if res.StatusCode == http.StatusSeeOther {
			won++
		}
	}
	require.Equal(t, 1, won)

	// One withdraws what another corrects: it does not come back.
	f := formOf(t, kari.get(path), "/correct")
	f.Set("account.1", "3999")
	f.Set("reason", "late")
	s.free()
	require.Equal(t, http.StatusSeeOther, per.post(path+"/withdraw", url.Values{"reason": {"twice"}}).StatusCode)
	require.Equal(t, http.StatusConflict, kari.post(path+"/correct", f).StatusCode)
	require.Equal(t, http.StatusConflict, per.post(path+"/withdraw", url.Values{"reason": {"again"}}).StatusCode)
	stored, err = runlog.ListVoucherEntries(t.Context(), login, h.org, h.short+"-v2")
	require.NoError(t, err)
	require.Empty(t, stored)
}

// Two people who import the same file store it once.
func TestTwoImport(t *testing.T) {
	h := newHouse(t, "twofiles")
	s := newSite(t, nil, h)
	file := "entry_id,voucher_id,entry_date,account,amount,currency,text\nu1,uv,2026-11-02,1920,1.00,NOK,x\nu2,uv,2026-11-02,3000,-1.00,NOK,x\n"
	var people []*person
	var uploads []string
	for _, name := range []string{"kari", "per", "ola"} {
		p := s.signedIn(name, groupOf(h, signin.Finance))
		to, err := url.Parse(p.drop("/o/"+h.short+"/uploads", "a.csv", file).Header.Get("Location"))
		require.NoError(t, err)
		people, uploads = append(people, p), append(uploads, strings.Replace(to.Path, "/o/", "/api/v1/organizations/", 1))
	}
	uploads[2] = uploads[0] // of the same upload
	added := int64(0)
	for _, res := range atOnce(3, func(i int) answer { return people[i].send(uploads[i]+"/import", "{}", uuid.NewString()) }) {
		require.Contains(t, []int{http.StatusOK, http.StatusNotFound}, res.StatusCode, res.body)
		var is importResult
		_ = json.Unmarshal([]byte(res.body), &is)
		added += is.Added
	}
	require.EqualValues(t, 2, added)
	stored, err := runlog.ListVoucherEntries(t.Context(), login, h.org, "uv")
	require.NoError(t, err)
	require.Len(t, stored, 2)
}

// Two people who acknowledge the same thing: one is shown, and what both did is on record.
func TestTwoAcknowledge(t *testing.T) {
	h := newHouse(t, "twosee")
	s := newSite(t, nil, h)
	furnish(h, s)
	kari, per := s.signedIn("kari", groupOf(h, signin.Finance)), s.signedIn("per", groupOf(h, signin.Finance))
	path := "/api/v1/organizations/" + h.short + "/attention"
	var list attentionList
	require.NoError(t, json.Unmarshal([]byte(kari.get(path).body), &list))
	require.NotEmpty(t, list.Open)
	body := string(asJSON(map[string]string{"item": list.Open[0].Key, "note": "I see to it"}))
	done := 0
	for _, res := range atOnce(6, func(i int) answer { return []*person{kari, per}[i%2].send(path+"/acknowledge", body, rand.Text()) }) {
		require.Contains(t, []int{http.StatusOK, http.StatusConflict}, res.StatusCode, res.body)
		if res.StatusCode == http.StatusOK {
			done++
		}
	}
	require.Equal(t, 1, done)
	require.Equal(t, http.StatusConflict, per.send(path+"/acknowledge", body, rand.Text()).StatusCode)
}

// Vouchers that nobody has marked are not all vouchers.
func TestNoneMarked(t *testing.T) {
	h := newHouse(t, "marked")
	s := newSite(t, nil, h)
	of := furnish(h, s)
	kari := s.signedIn("kari", groupOf(h, signin.Finance))
	path := "/o/" + h.short + "/periods/" + of["integration"] + "/2026-10"
	var marked url.Values
	page := kari.get(path)
	for _, f := range elements(t, page.body, "form") {
		if attribute(f, "id") == "marked" {
			marked = url.Values{}
			for _, in := range within(f, "input") {
				marked.Set(attribute(in, "name"), attribute(in, "value"))
			}
		}
	}
	require.NotNil(t, marked)
	require.Equal(t, http.StatusBadRequest, kari.post(path+"/retry", marked).StatusCode)
	for _, names := range [][]string{{"nobody's"}, {h.short + "-v1"}, {h.short + "-v2", "x"}} {
		require.Equal(t, http.StatusConflict, kari.post(path+"/retry", url.Values{"vouchers": names}).StatusCode, names)
	}
	require.Equal(t, http.StatusServiceUnavailable, kari.post(path+"/retry", url.Values{"vouchers": {h.short + "-v2", h.short + "-v2"}}).StatusCode, "it would start, were Temporal there")
}
