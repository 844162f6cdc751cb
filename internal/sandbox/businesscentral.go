package sandbox

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
)

const businessCentralRoot = "/businesscentral/v2.0/sandbox/api/v2.0/"

// journal is a general journal with its lines. Posting empties it.
type journal struct {
	code string
	table
}

// lineTexts are the columns of a line that can be looked for.
var lineTexts = []string{"externalDocumentNumber", "documentNumber", "accountNumber", "description", "comment"}

// record is a record of an OData vendor while it is worked on. It is kept as
// JSON, which takes a fraction of the memory.
type record map[string]json.RawMessage

func parseRecord(raw []byte) record {
	r := record{}
	_ = json.Unmarshal(raw, &r) // written by us
	return r
}

func (r record) text(column string) string { return unquoted(r[column]) }

func (r record) set(column string, v any) { r[column], _ = json.Marshal(v) }

// pick returns a record with only the columns of a $select.
func (r record) pick(columns string) record {
	if columns == "" {
		return r
	}
	out := record{}
	for _, c := range strings.Split(columns, ",") {
		if v, ok := r[c]; ok {
			out[c] = v
		}
	}
	return out
}

var (
	journalsPath = regexp.MustCompile(`^companies\(([^)]*)\)/journals$`)
	linesPath    = regexp.MustCompile(`^companies\(([^)]*)\)/journals\(([^)]*)\)/journalLines$`)
	postPath     = regexp.MustCompile(`^companies\(([^)]*)\)/journals\(([^)]*)\)/Microsoft\.NAV\.post$`)
)

// businessCentral serves the API v2.0 (docs/vendors.md#businesscentral-api).
func (s *Sandbox) businessCentral(c *call) {
	if !s.bearer(c) {
		return
	}
	relative := strings.TrimPrefix(c.URL.Path, businessCentralRoot)
	if relative == "$batch" && c.Method == http.MethodPost {
		s.businessCentralBatch(c)
		return
	}
	c.answer = s.businessCentralOne(c, c.Method, relative, c.URL.Query(), c.Header, c.body)
}

// bcError is an error answer. The message ends with the vendor's own
// correlation ID, as documented.
func bcError(status int, code, format string, args ...any) answer {
	body, _ := json.Marshal(odataError(code, fmt.Sprintf(format, args...)+"  CorrelationId:  "+uuid.NewString()+"."))
	return answer{status, http.Header{"Content-Type": {"application/json"}}, body}
}

func bcDone(status int, v any) answer {
	body, _ := json.Marshal(v)
	return answer{status, http.Header{"Content-Type": {"application/json"}}, body}
}

// businessCentralOne serves one request, alone or as a part of a batch.
func (s *Sandbox) businessCentralOne(c *call, method, relative string, query url.Values, h http.Header, body []byte) answer {
	if relative == "companies" && method == http.MethodGet {
		return bcDone(http.StatusOK, map[string]any{"value": []any{map[string]string{"id": DemoCompanyID, "name": "Sandbox"}}})
	}
	if a, ok := s.described(method, relative, query); ok {
		return a
	}
	in := record{}
	if len(body) > 0 && json.Unmarshal(body, &in) != nil {
		return bcError(http.StatusBadRequest, "BadRequest", "The request body cannot be read.")
	}
	if m := journalsPath.FindStringSubmatch(relative); m != nil && method == http.MethodPost {
		id := c.guid()
		s.journals[id] = newJournal(in.text("code"))
		c.undo(func() { delete(s.journals, id) })
		c.effect("journal", id)
		return bcDone(http.StatusCreated, map[string]any{"id": id, "code": in.text("code")})
	}
	if m := linesPath.FindStringSubmatch(relative); m != nil {
		j := s.journals[m[2]]
		switch {
		case j == nil:
			return bcError(http.StatusNotFound, "Internal_RecordNotFound", "The journal does not exist.")
		case method == http.MethodPost:
			return s.journalLine(c, j, m[2], in)
		case method == http.MethodGet:
			return c.rows(&j.table, relative, query, h, "journalLine", lineTexts, func(i int) record { return parseRecord(j.rows[i].content) })
		}
	}
	if m := postPath.FindStringSubmatch(relative); m != nil && method == http.MethodPost {
		j := s.journals[m[2]]
		if j == nil {
			return bcError(http.StatusNotFound, "Internal_RecordNotFound", "The journal does not exist.")
		}
		if s.post(c, m[2]) == 0 {
			return bcError(http.StatusBadRequest, "Application_DialogException", "There is nothing to post.")
		}
		return answer{http.StatusNoContent, http.Header{}, nil}
	}
	if ledgerPath.MatchString(relative) {
		if method != http.MethodGet {
			return bcError(http.StatusMethodNotAllowed, "BadRequest_MethodNotAllowed", "'%s' requests for 'generalLedgerEntries' of EdmType 'Entity' are not allowed.", method)
		}
		if name := unknownColumn(query.Get("$select")); name != "" {
			return noColumn(name, "generalLedgerEntry")
		}
		return c.rows(&s.ledger, relative, query, h, "generalLedgerEntry", ledgerTexts, s.ledgerEntry)
	}
	return bcError(http.StatusNotFound, "BadRequest_NotFound", "No HTTP resource was found that matches the request.")
}

func newJournal(code string) *journal { return &journal{code: code, table: newTable()} }

func noColumn(name, kind string) answer {
	return bcError(http.StatusBadRequest, "BadRequest", "Could not find a property named '%s' on type 'Microsoft.NAV.%s'.", name, kind)
}

// lengths of a line's texts, in characters.
var lengths = map[string]int{"accountNumber": 20, "documentNumber": 20, "externalDocumentNumber": 35, "description": 100}

// journalLine adds a line. The same document number twice is two lines.
func (s *Sandbox) journalLine(c *call, j *journal, id string, in record) answer {
	for field, most := range lengths {
		if n := len([]rune(in.text(field))); n > most {
			return bcError(http.StatusBadRequest, "Application_StringExceededLength",
				"The length of the string is %d, but it must be less than or equal to %d characters: %s.", n, most, field)
		}
	}
	if amount, ok := in["amount"]; ok && (len(amount) == 0 || amount[0] == '"') {
		return bcError(http.StatusBadRequest, "BadRequest", "Cannot convert a text to the primitive type 'Edm.Decimal'.")
	}
	if account := in.text("accountNumber"); strings.HasPrefix(account, "X") {
		return bcError(http.StatusBadRequest, "Internal_InvalidTableRelation",
			"The field Account No. of table Gen. Journal Line contains a value (%s) that cannot be found in the related table (G/L Account).", account)
	}
	number := in.text("externalDocumentNumber")
	if strings.HasPrefix(in.text("accountNumber"), "K") && !s.clashed[number] {
		s.clashed[number] = true
		if c.rehearsing {
			c.undo(func() { delete(s.clashed, number) })
		}
		return bcError(http.StatusConflict, "Request_EntityChanged", "The changes to the Gen. Journal Line record cannot be saved because some information on the page is not up-to-date.")
	}
	for _, field := range codes {
		if in[field] != nil {
			in.set(field, strings.ToUpper(strings.Trim(in.text(field), " ")))
		}
	}
	in.set("id", c.guid())
	in.set("journalId", id)
	in.set("lineNumber", 10000*(len(j.rows)+1))
	j.add(c, in)
	c.effect("journal_line", number)
	if strings.HasPrefix(in.text("accountNumber"), "C") {
		c.begin() // somebody's code has committed: what came before stays
	}
	return answer{http.StatusCreated, http.Header{"Content-Type": {"application/json"}}, j.rows[len(j.rows)-1].content}
}

// accessIntent says whether a read may be answered by a replica.
const accessIntent = "Data-Access-Intent"

// rows answers a query for rows of a table.
func (c *call) rows(t *table, relative string, query url.Values, h http.Header, kind string, texts []string, show func(place int) record) answer {
	found := t.all
	if filter := query.Get("$filter"); filter != "" {
		name, values, ok := valuesOf(filter)
		switch {
		case !ok:
			return bcError(http.StatusBadRequest, "BadRequest", "The filter cannot be read.")
		case !slices.Contains(texts, name):
			return noColumn(name, kind)
		}
		if c.lookUp != FilterIgnored {
			found = func(v view) []int { return t.find(v, name, values) }
		}
	}
	seen := c.view
	if strings.EqualFold(cmp.Or(h.Get(accessIntent), c.Header.Get(accessIntent)), "ReadWrite") {
		seen = current
	}
	page, err := c.listed(businessCentralRoot+relative, query, h, found(seen), func(i int) record { return show(i).pick(query.Get("$select")) })
	if errors.Is(err, errLost) {
		return bcError(http.StatusInternalServerError, "Internal_ServerError", "An internal server error occurred.")
	}
	if err != nil {
		return bcError(http.StatusBadRequest, "BadRequest", "The query parameter %v.", err)
	}
	return bcDone(http.StatusOK, page)
}

// jsonBatch is a batch of requests as Business Central takes it.
type jsonBatch struct {
	Requests []struct {
		ID      json.RawMessage   `json:"id"`
		Method  string            `json:"method"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers"`
		Body    json.RawMessage   `json:"body"`
	} `json:"requests"`
}

// businessCentralPath is the path of a part, relative to the root.
func businessCentralPath(u *url.URL) string {
	return strings.TrimPrefix(strings.TrimPrefix(u.Path, businessCentralRoot), "/")
}

// businessCentralBatch serves a JSON $batch of at most 100 operations. With
// Isolation: snapshot a failing part undoes all.
func (s *Sandbox) businessCentralBatch(c *call) {
	var in jsonBatch
	if json.Unmarshal(c.body, &in) != nil || len(in.Requests) == 0 {
		c.answer = bcError(http.StatusBadRequest, "BadRequest", "The batch cannot be read.")
		return
	}
	if len(in.Requests) > 100 {
		c.answer = bcError(http.StatusBadRequest, "BadRequest", "A batch holds at most 100 operations.")
		return
	}
	c.begin()
	var out []map[string]any
	failed := false
	for i, r := range in.Requests {
		if c.cut(i) {
			a := bcError(http.StatusInternalServerError, "Internal_ServerError", "An internal server error occurred.")
			out = append(out, map[string]any{"id": r.ID, "status": a.status, "headers": map[string]string{"content-type": "application/json"}, "body": json.RawMessage(a.body)})
			failed = false // what came before stays
			break
		}
		u, err := url.Parse(r.URL)
		a := bcError(http.StatusBadRequest, "BadRequest", "The part's URL cannot be read.")
		if err == nil {
			h := http.Header{}
			for k, v := range r.Headers {
				h.Set(k, v)
			}
			a = s.businessCentralOne(c, r.Method, businessCentralPath(u), u.Query(), h, r.Body)
		}
		part := map[string]any{"id": r.ID, "status": a.status, "headers": map[string]string{"content-type": "application/json"}}
		if len(a.body) > 0 {
			part["body"] = json.RawMessage(a.body)
		}
		failed = failed || a.status >= 400
		out = append(out, part)
		if failed && !strings.Contains(c.Header.Get("Prefer"), "odata.continue-on-error") {
			break
		}
	}
	if failed && strings.EqualFold(c.Header.Get("Isolation"), "snapshot") {
		c.rollBack()
	}
	c.json(http.StatusOK, map[string]any{"responses": out})
	c.answer.header.Set("Request-Id", rand.Text())
}
