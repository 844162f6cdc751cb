package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

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
	for i := 0; ; i++ {
		p, err := in.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			refuse("The batch cannot be read.")
			return
		}
		if c.cut(i) {
			text, _ := json.Marshal(odataError("0x80040216", "An unexpected error occurred."))
			outer = http.StatusInternalServerError
			writePart(w, answer{outer, http.Header{"Content-Type": {"application/json"}}, text}, p.Header.Get("Content-Id"))
			break
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
	c.begin()
	var answers []answer
	var ids []string
	for in := multipart.NewReader(p, params["boundary"]); ; {
		part, err := in.NextRawPart()
		if err != nil {
			break
		}
		a := s.batchPart(c, part)
		if a.status >= 400 {
			c.rollBack()
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

func (s *Sandbox) batchPart(c *call, p io.Reader) answer {
	req, err := readPart(p)
	if err != nil {
		text, _ := json.Marshal(odataError("0x80048d19", "A part of the batch cannot be read."))
		return answer{http.StatusBadRequest, http.Header{"Content-Type": {"application/json"}}, text}
	}
	body, _ := io.ReadAll(req.Body)
	return s.dataverseOne(c, req.Method, dataversePath(req.URL), req.URL.Query(), req.Header, bytes.TrimSpace(body))
}

func readPart(p io.Reader) (*http.Request, error) {
	return http.ReadRequest(bufio.NewReader(fixRequestLine(p)))
}

// dataversePath is the path of a part, relative to the root.
func dataversePath(u *url.URL) string {
	return strings.TrimPrefix(strings.TrimPrefix(u.Path, dataverseRoot), "/")
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
