package classify

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// oDataBatch judges a JSON $batch answer: {"responses": [{"id", "status",
// "headers", "body"}]}. IDs may be null, so parts go by their position; a part
// with status 204 has no body (docs/vendors.md#businesscentral-api).
func oDataBatch(s HTTPResponse, responses json.RawMessage, codes Table, outer Verdict) Verdict {
	if !isArray(responses) {
		return invalid("body:batch", "the answer to a batch has no parts: nothing proves success")
	}
	var parts []Verdict
	for entry := range elements(responses) {
		if len(parts) == maxParts {
			return invalid("body:batch", "the answer to a batch has more parts than a batch can have")
		}
		parts = append(parts, judge(part(s, entry), codes, true))
	}
	if len(parts) == 0 {
		return invalid("body:batch", "the answer to a batch has no parts: nothing proves success")
	}
	return ofParts(parts, outer)
}

// part reads one entry of a JSON batch. What it does not find stays zero, and
// status 0 is not an answer.
func part(s HTTPResponse, entry json.RawMessage) HTTPResponse {
	p := HTTPResponse{Op: s.Op, Header: http.Header{}, Received: s.Received}
	if !isObject(entry) {
		return p
	}
	for name, value := range members(entry) {
		switch {
		case string(name) == "status":
			p.Status, _ = strconv.Atoi(text(value))
		case string(name) == "headers" && isObject(value):
			for k, v := range members(value) {
				p.Header.Add(string(k), text(v))
			}
		case string(name) == "body" && !isNull(value):
			p.Body = value
			if value[0] == '"' { // a body may come as encoded text
				p.Body = []byte(unquote(value))
			}
		}
	}
	return p
}

// ofParts judges a batch. Any permanent part makes the whole permanent, since
// the whole cannot be sent again; a 424 is only the consequence of another
// part's failure and leaves the decision to that one.
func ofParts(parts []Verdict, outer Verdict) Verdict {
	causes := slices.DeleteFunc(slices.Clone(parts), func(v Verdict) bool { return v.HTTPStatus == http.StatusFailedDependency })
	if len(causes) == 0 || worstOf(causes).Class == Success {
		causes = parts
	}
	worst := worstOf(causes)
	v := worst
	v.Parts = parts
	if worst.Class == Success {
		if outer.Class != Success { // the envelope failed although no part says why
			outer.Parts = parts
			return outer
		}
		v.Rule = outer.Rule
		return v
	}
	at := slices.IndexFunc(parts, func(p Verdict) bool { return p.Rule == worst.Rule && p.Message == worst.Message })
	v.Message = fmt.Sprintf("part %d of %d: %s", at+1, len(parts), worst.Message)
	return v
}

// isMultipart reports whether an answer says that it has parts.
func isMultipart(h http.Header) bool {
	v := values(h, "Content-Type")
	return len(v) > 0 && strings.HasPrefix(strings.ToLower(v[0]), "multipart/")
}

// multiparts judges the parts of a multipart/mixed answer, Dataverse's $batch:
// each part is an HTTP response, or a change set of them. There are none if the
// answer failed as a whole. Without Prefer: odata.continue-on-error the outer
// status is the failing part's and the body is multipart all the same
// (docs/vendors.md#dataverse-api).
func multiparts(s HTTPResponse, body []byte, codes Table) []Verdict {
	parts, err := readParts(s, body, values(s.Header, "Content-Type")[0], codes, 2)
	if err == nil && !s.Truncated && len(parts) > 0 {
		return parts
	}
	if byStatusOf(s.Status).Class != Success {
		return nil
	}
	cut := incomplete("body:truncated", "the multipart answer is cut off")
	cut.HTTPStatus = s.Status
	if s.Op == Write {
		cut = cut.WithEffect(Open, false)
	}
	return append(parts, cut)
}

// maxParts is more than any vendor allows in a batch (docs/vendors.md#dataverse-api: 1,000).
const maxParts = 1100

var errParts = errors.New("more parts than a batch can have")

func readParts(s HTTPResponse, body []byte, contentType string, codes Table, depth int) ([]Verdict, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" || depth == 0 {
		return nil, fmt.Errorf("no boundary in %q", contentType)
	}
	var out []Verdict
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		if len(out) >= maxParts {
			return out, errParts
		}
		inner, err := io.ReadAll(p)
		if err != nil {
			return out, err
		}
		if ct := p.Header.Get("Content-Type"); strings.HasPrefix(strings.ToLower(ct), "multipart/") {
			nested, err := readParts(s, inner, ct, codes, depth-1)
			out = append(out, nested...)
			if err != nil {
				return out, err
			}
			continue
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(inner)), nil)
		if err != nil {
			return out, err
		}
		content, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		seen := HTTPResponse{Op: s.Op, Status: resp.StatusCode, Header: resp.Header, Body: content, Truncated: err != nil, Received: s.Received}
		out = append(out, judge(seen, codes, true))
	}
}
