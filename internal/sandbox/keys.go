package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// carried is what a request carries, read from it before anything is done: the
// keys of the entries that it would store, and the values that it asks for.
type carried struct {
	keys, asked []string
	wrote       bool
}

func carries(vendor string, r *http.Request, body []byte) (k carried) {
	switch vendor {
	case "xledger":
		k.graphQL(body)
	case "businesscentral":
		relative := strings.TrimPrefix(r.URL.Path, businessCentralRoot)
		if relative != "$batch" {
			k.journal(r.Method, relative, r.URL.Query(), body)
			break
		}
		var batch jsonBatch
		_ = json.Unmarshal(body, &batch)
		for _, p := range batch.Requests {
			if u, err := url.Parse(p.URL); err == nil {
				k.journal(p.Method, businessCentralPath(u), u.Query(), p.Body)
			}
		}
	case "dataverse":
		relative := strings.TrimPrefix(r.URL.Path, dataverseRoot)
		if relative != "$batch" {
			k.row(r.Method, relative, r.URL.Query())
			break
		}
		k.multipart(bytes.NewReader(body), r.Header.Get("Content-Type"))
	}
	return k
}

// mutates finds an operation that changes something.
var mutates = regexp.MustCompile(`(?:^|\})\s*mutation\b`)

func (k *carried) graphQL(body []byte) {
	var q gqlRequest
	if json.Unmarshal(body, &q) != nil {
		return
	}
	if k.wrote = mutates.MatchString(q.Query); !k.wrote {
		k.asked, _ = q.identifiers()
		return
	}
	for _, name := range slices.Sorted(maps.Keys(q.Variables)) {
		var inputs []struct {
			Node struct{ ExtIdentifier string }
		}
		_ = json.Unmarshal(q.Variables[name], &inputs)
		for _, in := range inputs {
			if in.Node.ExtIdentifier != "" {
				k.keys = append(k.keys, in.Node.ExtIdentifier)
			}
		}
	}
}

// read notes a request that asks. It returns false for one that changes
// something.
func (k *carried) read(method string, query url.Values) bool {
	if method != http.MethodGet && method != http.MethodHead {
		k.wrote = true
		return false
	}
	_, values, _ := valuesOf(query.Get("$filter"))
	k.asked = append(k.asked, values...)
	return true
}

func (k *carried) journal(method, relative string, query url.Values, body []byte) {
	if k.read(method, query) || !linesPath.MatchString(relative) {
		return
	}
	var line struct{ ExternalDocumentNumber string }
	if json.Unmarshal(body, &line) == nil && line.ExternalDocumentNumber != "" {
		k.keys = append(k.keys, line.ExternalDocumentNumber)
	}
}

func (k *carried) row(method, relative string, query url.Values) {
	if method == http.MethodGet && strings.HasPrefix(relative, "EntityDefinitions") {
		return // it asks for no row
	}
	read := k.read(method, query)
	_, key, _ := strings.Cut(strings.TrimSuffix(relative, ")"), "(")
	m := alternateKey.FindStringSubmatch(key)
	if m == nil {
		return
	}
	if value := strings.ReplaceAll(m[2], "''", "'"); read {
		k.asked = append(k.asked, value)
	} else {
		k.keys = append(k.keys, value)
	}
}

// multipart reads a batch, or a change set in it.
func (k *carried) multipart(r io.Reader, contentType string) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return
	}
	for in := multipart.NewReader(r, params["boundary"]); ; {
		p, err := in.NextRawPart()
		if err != nil {
			return
		}
		if ct := p.Header.Get("Content-Type"); strings.HasPrefix(ct, "multipart/") {
			k.multipart(p, ct)
		} else if req, err := readPart(p); err == nil {
			k.row(req.Method, dataversePath(req.URL), req.URL.Query())
		}
	}
}
