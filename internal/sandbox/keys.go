package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
)

// contents is what a request carries, read from it before anything is done: the
// keys of the entries that it would store, and the values that it asks for.
type contents struct {
	keys, lookupKeys []string
	writes           bool
}

// contentsOf reads what a request carries.
func contentsOf(c *call) (k contents) {
	r, body := c.Request, c.body
	switch c.vendor {
	case "xledger":
		k.graphQL(c.asked)
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

func (k *contents) graphQL(a *graphQLCall) {
	k.writes = a.malformed == nil && a.operation.Mutates()
	for _, f := range a.fields {
		switch f.Name {
		case "addGLImportItems":
			for _, v := range listOf(f.Arguments["inputs"]) {
				in, _ := v.(map[string]any)
				node, _ := in["node"].(map[string]any)
				if key, _ := node["extIdentifier"].(string); key != "" {
					k.keys = append(k.keys, key)
				}
			}
		case "glImportItems":
			filter, _ := f.Arguments["filter"].(map[string]any)
			for _, v := range listOf(filter["extIdentifier_in"]) {
				if key, ok := v.(string); ok {
					k.lookupKeys = append(k.lookupKeys, key)
				}
			}
		}
	}
}

// listOf returns a list, or a single value as one: both are a list to GraphQL
// (October 2021, §3.11).
func listOf(v any) []any {
	if list, ok := v.([]any); ok || v == nil {
		return list
	}
	return []any{v}
}

// read notes a request that asks. It returns false for one that changes
// something.
func (k *contents) read(method string, query url.Values) bool {
	if method != http.MethodGet && method != http.MethodHead {
		k.writes = true
		return false
	}
	_, values, _ := valuesOf(query.Get("$filter"))
	k.lookupKeys = append(k.lookupKeys, values...)
	return true
}

func (k *contents) journal(method, relative string, query url.Values, body []byte) {
	if k.read(method, query) || !linesPath.MatchString(relative) {
		return
	}
	var line struct{ ExternalDocumentNumber string }
	if json.Unmarshal(body, &line) == nil && line.ExternalDocumentNumber != "" {
		k.keys = append(k.keys, line.ExternalDocumentNumber)
	}
}

func (k *contents) row(method, relative string, query url.Values) {
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
		k.lookupKeys = append(k.lookupKeys, value)
	} else {
		k.keys = append(k.keys, value)
	}
}

// multipart reads a batch, or a change set in it.
func (k *contents) multipart(r io.Reader, contentType string) {
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
