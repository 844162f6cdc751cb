package dataverse

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"

	"github.com/ledgerline/ledgerline/adapters/odata"
)

// render writes a batch as multipart/mixed. Content IDs number the parts of a
// change set, as the protocol demands.
func render(r odata.Request) (body []byte, contentType string) {
	var b bytes.Buffer
	outer := multipart.NewWriter(&b)
	if !r.Atomic {
		writeParts(outer, r.Requests)
	} else {
		var set bytes.Buffer
		inner := multipart.NewWriter(&set)
		writeParts(inner, r.Requests)
		inner.Close()
		w, _ := outer.CreatePart(textproto.MIMEHeader{"Content-Type": {"multipart/mixed; boundary=" + inner.Boundary()}})
		w.Write(set.Bytes())
	}
	outer.Close()
	return b.Bytes(), "multipart/mixed; boundary=" + outer.Boundary()
}

// writeParts writes to a buffer, which cannot fail.
func writeParts(m *multipart.Writer, requests []odata.Request) {
	for i, r := range requests {
		w, _ := m.CreatePart(textproto.MIMEHeader{
			"Content-Type":              {"application/http"},
			"Content-Transfer-Encoding": {"binary"},
			"Content-Id":                {fmt.Sprint(i + 1)},
		})
		h := r.Header()
		h.Set("Accept", "application/json")
		if len(r.Body) > 0 {
			h.Set("Content-Type", "application/json")
		}
		fmt.Fprintf(w, "%s %s HTTP/1.1\r\n", r.Method, r.Path)
		h.Write(w)
		fmt.Fprintf(w, "\r\n%s\r\n", r.Body)
	}
}

// errParts is said of an answer that is no batch's.
var errParts = errors.New("the answer to a batch is not multipart/mixed with HTTP answers")

// bodies returns the bodies of a batch's answer in order, those of reads: they
// stand in no change set.
func bodies(answer []byte, contentType string) ([][]byte, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return nil, errParts
	}
	var out [][]byte
	for r := multipart.NewReader(bytes.NewReader(answer), params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, errParts
		}
		resp, err := http.ReadResponse(bufio.NewReader(p), nil)
		if err != nil {
			return nil, errParts
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return nil, errParts
		}
		out = append(out, body)
	}
}
