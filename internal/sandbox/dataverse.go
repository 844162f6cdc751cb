package sandbox

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const dataverseRoot = "/dataverse/api/data/v9.2/"

// row is a Dataverse record. What it was before stays, for those who see it late.
type row struct {
	life
	older   *row
	place   int    // among all, in the order in which they were made
	id      string // its GUID
	key     string // the value of the alternate key under which it was made
	version int
	content json.RawMessage
}

func (r *row) etag() string { return fmt.Sprintf(`W/"%d"`, r.version) }

// as returns the row as it can be seen, nil if it cannot.
func (r *row) as(v view) *row {
	for r != nil && r.born > int(v) {
		r = r.older
	}
	if r == nil || !r.seen(v) {
		return nil
	}
	return r
}

// primary is the name of a set's primary key.
func primary(set string) string { return strings.TrimSuffix(set, "s") + "id" }

// record is a row as it is answered: its ETag and primary key come whatever is
// selected.
func (r *row) record(set, columns string) record {
	out := parseRecord(r.content).pick(columns)
	out.set("@odata.etag", r.etag())
	out.set(primary(set), r.id)
	return out
}

// duplicateMarker in a record's name makes duplicate detection find one, if the
// request asks for detection.
const duplicateMarker = "DUPLICATE"

// alternateKey is a key of one text column.
var alternateKey = regexp.MustCompile(`^(\w+)='((?:[^']|'')*)'$`)

// rowID is how a row is addressed.
func rowID(set, column, value string) string {
	return set + "(" + column + "='" + strings.ReplaceAll(value, "'", "''") + "')"
}

// dataverse serves the Web API (docs/vendors.md#dataverse-api).
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
	a := s.dataverseOne(c, c.Method, relative, c.URL.Query(), c.Header, c.body)
	for k, v := range a.header {
		c.answer.header[k] = v
	}
	c.answer.status, c.answer.body = a.status, a.body
}

// dataverseOne serves one request, alone or as a part of a batch.
func (s *Sandbox) dataverseOne(c *call, method, relative string, query url.Values, h http.Header, body []byte) answer {
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
	if a, ok := s.definitions(method, relative, query, done, fail); ok {
		return a
	}
	set, key, keyed := strings.Cut(strings.TrimSuffix(relative, ")"), "(")
	var fields record
	if len(body) > 0 && json.Unmarshal(body, &fields) != nil {
		return fail(http.StatusBadRequest, "0x80048d19", "Error identified in Payload provided by the user.")
	}
	detect := strings.EqualFold(h.Get("MSCRM.SuppressDuplicateDetection"), "false")
	if detect && strings.Contains(string(fields["name"]), duplicateMarker) {
		// Documented as a 500, and permanent all the same.
		return fail(http.StatusInternalServerError, "0x80040333", "A record was not created or updated because a duplicate of the current record already exists.")
	}
	id := set + "(" + key + ")"
	r := s.rows[id].as(current)
	if method == http.MethodGet {
		if r = s.rows[id].as(c.view); c.lookUp == Empty {
			r = nil
		}
	}
	if right := s.options.Dataverse.lacks(method, s.rows[id].as(current) != nil); right != "" {
		name := privilegeName(right, set)
		return fail(http.StatusForbidden, "0x80040220", fmt.Sprintf(
			"Principal user (Id=b0000000-0000-4000-8000-000000000002, type=8, roleCount=1, privilegeCount=8) is missing %s privilege (Id=%s) for entity '%s'",
			name, metadataID(name), strings.TrimSuffix(set, "s")))
	}
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
		a := done(http.StatusOK, r.record(set, query.Get("$select")))
		a.header["Etag"] = []string{r.etag()}
		return a
	case method == http.MethodGet && keyed, method == http.MethodDelete && r == nil:
		return fail(http.StatusNotFound, "0x80060891", id+" Does Not Exist")
	case method == http.MethodGet:
		found, ok := s.filter(c, set, query.Get("$filter"))
		if !ok {
			return fail(http.StatusBadRequest, "0x80060888", "The query parameter $filter cannot be read.")
		}
		page, err := c.listed(dataverseRoot+relative, query, h, slices.Sorted(maps.Keys(found)), func(place int) record {
			return found[place].record(set, query.Get("$select"))
		})
		if errors.Is(err, errLost) {
			return fail(http.StatusInternalServerError, "0x80040216", "An unexpected error occurred.")
		}
		if err != nil {
			return fail(http.StatusBadRequest, "0x80060888", "The query parameter "+err.Error()+".")
		}
		return done(http.StatusOK, page)
	case method == http.MethodPatch && keyed:
		if r != nil && h.Get("If-None-Match") == "*" {
			return fail(http.StatusPreconditionFailed, "0x80060892", "A record with matching key values already exists.")
		}
		if account := unknownAccount(fields); account != "" {
			return fail(http.StatusBadRequest, "0x80040203", "Account "+account+" does not exist.")
		}
		r = s.upsert(c, id, key, fields)
		return answer{http.StatusNoContent, location(r), nil}
	case method == http.MethodPost && !keyed && set != "":
		r = s.create(c, set, fields)
		c.effect("create", set)
		return answer{http.StatusNoContent, location(r), nil}
	case method == http.MethodDelete && keyed:
		r.gone = s.change()
		c.undo(func() { r.gone = 0 })
		c.effect("delete", id)
		return answer{http.StatusNoContent, http.Header{}, nil}
	}
	return fail(http.StatusMethodNotAllowed, "0x80060888", "The requested method is not supported.")
}

// upsert makes or changes the row of an address. An alternate key's value is
// taken from there.
func (s *Sandbox) upsert(c *call, id, key string, fields record) *row {
	r := s.rows[id].as(current)
	name, kind := key, "upsert"
	if r == nil {
		gone := s.rows[id]
		r = &row{life: life{born: s.change()}, older: gone, place: s.nextPlace(), id: c.guid()}
		if m := alternateKey.FindStringSubmatch(key); m != nil {
			name = strings.ReplaceAll(m[2], "''", "'")
			r.key = name
			if fields == nil {
				fields = record{}
			}
			fields.set(m[1], name)
		}
		r.content, _ = json.Marshal(fields)
		s.rows[id] = r
		c.undo(func() {
			if s.rows[id] = gone; gone == nil {
				delete(s.rows, id)
			}
		})
	} else {
		before := *r
		all := parseRecord(r.content)
		for k, v := range fields {
			all[k] = v
		}
		content, _ := json.Marshal(all)
		if name, kind = r.key, "update"; name == "" {
			name = key
		}
		if bytes.Equal(before.content, content) {
			kind = "upsert_again"
		} else {
			r.content, r.older, r.born = content, &before, s.change()
		}
		c.undo(func() { *r = before })
	}
	r.version++
	c.effect(kind, name)
	return r
}

// create makes a row that can be found by each of its texts.
func (s *Sandbox) create(c *call, set string, fields record) *row {
	r := &row{life: life{born: s.change()}, place: s.nextPlace(), id: c.guid(), version: 1}
	r.content, _ = json.Marshal(fields)
	id := set + "(" + r.id + ")"
	s.rows[id] = r
	for column, v := range fields {
		if len(v) > 0 && v[0] == '"' {
			at := rowID(set, column, unquoted(v))
			s.created[at] = append(s.created[at], r)
			c.undo(func() { s.created[at] = s.created[at][:len(s.created[at])-1] })
		}
	}
	c.undo(func() { delete(s.rows, id) })
	return r
}

func (s *Sandbox) nextPlace() int {
	s.rowCount++
	return s.rowCount
}

// filter finds rows by the alternate key under which they were made, or by a
// text with which they were created, and without a filter all of a set. It
// returns them by their places.
func (s *Sandbox) filter(c *call, set, filter string) (found map[int]*row, ok bool) {
	found = make(map[int]*row)
	column, values, ok := valuesOf(filter)
	if filter == "" || ok && c.lookUp == FilterIgnored {
		for id, r := range s.rows {
			if r = r.as(c.view); r != nil && strings.HasPrefix(id, set+"(") {
				found[r.place] = r
			}
		}
		return found, true
	}
	for _, v := range values {
		id := rowID(set, column, v)
		for _, r := range slices.Concat(s.created[id], []*row{s.rows[id]}) {
			if r = r.as(c.view); r != nil {
				found[r.place] = r
			}
		}
	}
	return found, ok
}

// unknownAccount returns the account of a row if nobody knows it.
func unknownAccount(fields record) string {
	for column, v := range fields {
		if account := unquoted(v); strings.HasSuffix(column, "_account") && strings.HasPrefix(account, "X") {
			return account
		}
	}
	return ""
}
