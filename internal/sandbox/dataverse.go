package sandbox

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
)

const dataverseRoot = "/dataverse/api/data/v9.2/"

// row is a Dataverse record.
type row struct {
	id      string
	version int
	fields  map[string]json.RawMessage
}

func (r *row) etag() string { return fmt.Sprintf(`W/"%d"`, r.version) }

// duplicateMarker in a record's name makes duplicate detection find one, if the
// request asks for detection.
const duplicateMarker = "DUPLICATE"

// dataverse serves the Web API (vendors.md B).
func (s *Sandbox) dataverse(c *call) {
	c.answer.header.Set("OData-Version", "4.0")
	c.answer.header.Set("X-Ms-Service-Request-Id", rand.Text())
	if !s.bearer(c) {
		return
	}
	relative := strings.TrimPrefix(c.URL.Path, dataverseRoot)
	if relative == "$batch" && c.Method == http.MethodPost {
		s.dataverseBatch(c)
		return
	}
	a := s.dataverseOne(c, c.Method, relative, c.Header, c.body)
	for k, v := range a.header {
		c.answer.header[k] = v
	}
	c.answer.status, c.answer.body = a.status, a.body
}

// dataverseOne serves one request, alone or as a part of a batch.
func (s *Sandbox) dataverseOne(c *call, method, relative string, h http.Header, body []byte) answer {
	fail := func(status int, code, message string) answer {
		text, _ := json.Marshal(odataError(code, message))
		return answer{status, http.Header{"Content-Type": {"application/json; odata.metadata=minimal"}}, text}
	}
	done := func(status int, v any) answer {
		text, _ := json.Marshal(v)
		return answer{status, http.Header{"Content-Type": {"application/json; odata.metadata=minimal"}}, text}
	}
	if relative == "WhoAmI" && method == http.MethodGet {
		return done(http.StatusOK, map[string]string{
			"@odata.context": "$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse",
			"BusinessUnitId": "b0000000-0000-4000-8000-000000000001", "UserId": "b0000000-0000-4000-8000-000000000002",
			"OrganizationId": "b0000000-0000-4000-8000-000000000003",
		})
	}
	set, key, keyed := strings.Cut(strings.TrimSuffix(relative, ")"), "(")
	var fields map[string]json.RawMessage
	if len(body) > 0 && json.Unmarshal(body, &fields) != nil {
		return fail(http.StatusBadRequest, "0x80048d19", "Error identified in Payload provided by the user.")
	}
	detect := strings.EqualFold(h.Get("MSCRM.SuppressDuplicateDetection"), "false")
	if detect && strings.Contains(string(fields["name"]), duplicateMarker) {
		// Documented as a 500, and permanent all the same.
		return fail(http.StatusInternalServerError, "0x80040333", "A record was not created or updated because a duplicate of the current record already exists.")
	}
	id := set + "(" + key + ")"
	r := s.rows[id]
	location := func(r *row) http.Header {
		return http.Header{"Odata-Entityid": {"http://" + c.Host + dataverseRoot + set + "(" + r.id + ")"}, "Etag": {r.etag()}}
	}
	if match := h.Get("If-Match"); match != "" && keyed {
		if r == nil {
			return fail(http.StatusNotFound, "0x80060891", id+" Does Not Exist")
		}
		if match != "*" && match != r.etag() {
			return fail(http.StatusPreconditionFailed, "0x80060882", "The version of the existing record doesn't match the RowVersion property provided.")
		}
	}
	switch {
	case method == http.MethodGet && keyed && r != nil && h.Get("If-None-Match") == r.etag():
		return answer{http.StatusNotModified, http.Header{"Etag": {r.etag()}}, nil}
	case method == http.MethodGet && keyed && r != nil:
		a := done(http.StatusOK, r.fields)
		a.header["Etag"] = []string{r.etag()}
		return a
	case method == http.MethodGet && keyed, method == http.MethodDelete && r == nil:
		return fail(http.StatusNotFound, "0x80060891", id+" Does Not Exist")
	case method == http.MethodGet:
		return done(http.StatusOK, map[string]any{"value": []any{}})
	case method == http.MethodPatch && keyed:
		if r != nil && h.Get("If-None-Match") == "*" {
			return fail(http.StatusPreconditionFailed, "0x80060892", "A record with matching key values already exists.")
		}
		if r == nil {
			r = &row{id: rand.Text(), fields: map[string]json.RawMessage{}}
			s.rows[id] = r
		}
		for k, v := range fields {
			r.fields[k] = v
		}
		r.version++
		c.effect("upsert", id)
		return answer{http.StatusNoContent, location(r), nil}
	case method == http.MethodPost && !keyed && set != "":
		r = &row{id: rand.Text(), version: 1, fields: fields}
		s.rows[set+"("+r.id+")"] = r
		c.effect("create", set)
		return answer{http.StatusNoContent, location(r), nil}
	case method == http.MethodDelete && keyed:
		delete(s.rows, id)
		c.effect("delete", id)
		return answer{http.StatusNoContent, http.Header{}, nil}
	}
	return fail(http.StatusMethodNotAllowed, "0x80060888", "The requested method is not supported.")
}

// dataverseBatch serves a multipart $batch. A change set is atomic. Without
// Prefer: odata.continue-on-error the first failing part ends the batch and
// its status is the outer one; with it the outer status is 200.
func (s *Sandbox) dataverseBatch(c *call) {
	refuse := func(message string) { c.json(http.StatusBadRequest, odataError("0x80048d19", message)) }
	_, params, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		refuse("The batch has no boundary.")
		return
	}
	goOn := strings.Contains(c.Header.Get("Prefer"), "odata.continue-on-error")
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	outer := http.StatusOK
	in := multipart.NewReader(bytes.NewReader(c.body), params["boundary"])
	for {
		p, err := in.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			refuse("The batch cannot be read.")
			return
		}
		var failed int
		if ct := p.Header.Get("Content-Type"); strings.HasPrefix(ct, "multipart/mixed") {
			failed = s.changeSet(c, p, ct, w)
		} else {
			a := s.batchPart(c, p)
			writePart(w, a, p.Header.Get("Content-Id"))
			if a.status >= 400 {
				failed = a.status
			}
		}
		if failed != 0 && !goOn {
			outer = failed
			break
		}
	}
	w.Close()
	c.answer.status, c.answer.body = outer, out.Bytes()
	c.answer.header.Set("Content-Type", "multipart/mixed; boundary="+w.Boundary())
}

// changeSet runs a change set. If a part fails, nothing of it is kept and the
// answer holds only that part. It returns the failing status, or 0.
func (s *Sandbox) changeSet(c *call, p io.Reader, contentType string, w *multipart.Writer) int {
	_, params, _ := mime.ParseMediaType(contentType)
	rows, effects, noted := cloneRows(s.rows), len(s.effects), c.entry.Effects
	var answers []answer
	var ids []string
	for in := multipart.NewReader(p, params["boundary"]); ; {
		part, err := in.NextRawPart()
		if err != nil {
			break
		}
		a := s.batchPart(c, part)
		if a.status >= 400 {
			s.rows, s.effects, c.entry.Effects = rows, s.effects[:effects], noted
			writePart(w, a, part.Header.Get("Content-Id"))
			return a.status
		}
		answers, ids = append(answers, a), append(ids, part.Header.Get("Content-Id"))
	}
	var set bytes.Buffer
	inner := multipart.NewWriter(&set)
	for i, a := range answers {
		writePart(inner, a, ids[i])
	}
	inner.Close()
	pw, _ := w.CreatePart(textproto.MIMEHeader{"Content-Type": {"multipart/mixed; boundary=" + inner.Boundary()}})
	_, _ = pw.Write(set.Bytes())
	return 0
}

func cloneRows(rows map[string]*row) map[string]*row {
	out := make(map[string]*row, len(rows))
	for k, r := range rows {
		copied := *r
		copied.fields = map[string]json.RawMessage{}
		for f, v := range r.fields {
			copied.fields[f] = v
		}
		out[k] = &copied
	}
	return out
}

func (s *Sandbox) batchPart(c *call, p io.Reader) answer {
	req, err := http.ReadRequest(bufio.NewReader(fixRequestLine(p)))
	if err != nil {
		text, _ := json.Marshal(odataError("0x80048d19", "A part of the batch cannot be read."))
		return answer{http.StatusBadRequest, http.Header{"Content-Type": {"application/json"}}, text}
	}
	body, _ := io.ReadAll(req.Body)
	relative := strings.TrimPrefix(strings.TrimPrefix(req.URL.Path, dataverseRoot), "/")
	return s.dataverseOne(c, req.Method, relative, req.Header, bytes.TrimSpace(body))
}

// fixRequestLine makes a part's relative URL absolute and gives its body a
// length, which net/http's reader asks for and a batch leaves out.
func fixRequestLine(p io.Reader) io.Reader {
	raw, _ := io.ReadAll(p)
	method, rest, _ := bytes.Cut(raw, []byte(" "))
	if !bytes.HasPrefix(rest, []byte("/")) && !bytes.HasPrefix(rest, []byte("http")) {
		rest = append([]byte("/"), rest...)
	}
	head, body, _ := bytes.Cut(rest, []byte("\r\n\r\n"))
	return strings.NewReader(fmt.Sprintf("%s %s\r\nHost: sandbox\r\nContent-Length: %d\r\n\r\n%s", method, head, len(body), body))
}

func writePart(w *multipart.Writer, a answer, contentID string) {
	h := textproto.MIMEHeader{"Content-Type": {"application/http"}, "Content-Transfer-Encoding": {"binary"}}
	if contentID != "" {
		h.Set("Content-Id", contentID)
	}
	p, _ := w.CreatePart(h)
	fmt.Fprintf(p, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
	_ = a.header.Write(p)
	if len(a.body) > 0 {
		fmt.Fprintf(p, "Content-Length: %d\r\n", len(a.body))
	}
	fmt.Fprintf(p, "\r\n%s", a.body)
}
