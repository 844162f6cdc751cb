package sandbox

import (
	"crypto/rand"
	"encoding/json"
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
	code  string
	lines []json.RawMessage // nil where one was forgotten
	by    map[string][]int  // places of lines by externalDocumentNumber, in capitals
}

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

// equals is the one filter that is known: column eq 'value', joined by or.
var equals = regexp.MustCompile(`^(\w+) eq '((?:[^']|'')*)'(?: or |$)`)

// valuesOf returns the column and the values of a filter. ok is false if it is
// of another kind.
func valuesOf(filter string) (column string, values []string, ok bool) {
	for filter != "" {
		m := equals.FindStringSubmatch(filter)
		if m == nil || column != "" && column != m[1] {
			return "", nil, false
		}
		column, values = m[1], append(values, strings.ReplaceAll(m[2], "''", "'"))
		filter = filter[len(m[0]):]
	}
	return column, values, column != ""
}

// businessCentral serves the API v2.0 (docs/vendors.md#sources).
func (s *Sandbox) businessCentral(c *call) {
	if !s.bearer(c) {
		return
	}
	relative := strings.TrimPrefix(c.URL.Path, businessCentralRoot)
	if relative == "$batch" && c.Method == http.MethodPost {
		s.businessCentralBatch(c)
		return
	}
	c.answer = s.businessCentralOne(c, c.Method, relative, c.URL.Query(), c.body)
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
func (s *Sandbox) businessCentralOne(c *call, method, relative string, query url.Values, body []byte) answer {
	if relative == "companies" && method == http.MethodGet {
		return bcDone(http.StatusOK, map[string]any{"value": []any{map[string]string{"id": DemoCompanyID, "name": "Sandbox"}}})
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
			return j.selectLines(query)
		}
	}
	if m := postPath.FindStringSubmatch(relative); m != nil && method == http.MethodPost {
		j := s.journals[m[2]]
		if j == nil {
			return bcError(http.StatusNotFound, "Internal_RecordNotFound", "The journal does not exist.")
		}
		if len(j.lines) == 0 {
			return bcError(http.StatusBadRequest, "Application_DialogException", "There is nothing to post.")
		}
		before := *j
		c.undo(func() { *j = before })
		j.lines, j.by = nil, map[string][]int{}
		c.effect("journal_post", m[2])
		return answer{http.StatusNoContent, http.Header{}, nil}
	}
	return bcError(http.StatusNotFound, "BadRequest_NotFound", "No HTTP resource was found that matches the request.")
}

func newJournal(code string) *journal { return &journal{code: code, by: map[string][]int{}} }

// lengths of a line's texts, in characters.
var lengths = map[string]int{"accountNumber": 20, "documentNumber": 20, "externalDocumentNumber": 35, "description": 100}

// codes are fields that hold capitals, whatever is written to them.
var codes = []string{"accountNumber", "documentNumber", "externalDocumentNumber"}

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
			in.set(field, strings.ToUpper(in.text(field)))
		}
	}
	in.set("id", c.guid())
	in.set("journalId", id)
	in.set("lineNumber", 10000*(len(j.lines)+1))
	folded, place := strings.ToUpper(number), len(j.lines)
	content, _ := json.Marshal(in)
	j.lines = append(j.lines, content)
	j.by[folded] = append(j.by[folded], place)
	c.undo(func() {
		j.lines = j.lines[:place]
		j.by[folded] = j.by[folded][:len(j.by[folded])-1]
	})
	c.effect("journal_line", number)
	if strings.HasPrefix(in.text("accountNumber"), "C") {
		c.begin() // somebody's code has committed: what came before stays
	}
	return answer{http.StatusCreated, http.Header{"Content-Type": {"application/json"}}, content}
}

// selectLines answers a query for lines, by externalDocumentNumber in any case.
func (j *journal) selectLines(query url.Values) answer {
	wanted := j.lines
	if filter := query.Get("$filter"); filter != "" {
		column, numbers, ok := valuesOf(filter)
		if !ok || column != "externalDocumentNumber" {
			return bcError(http.StatusBadRequest, "BadRequest", "The filter cannot be read.")
		}
		var places []int
		for _, n := range numbers {
			places = append(places, j.by[strings.ToUpper(n)]...)
		}
		slices.Sort(places)
		wanted = nil
		for _, i := range slices.Compact(places) {
			wanted = append(wanted, j.lines[i])
		}
	}
	out := []record{}
	for _, l := range wanted {
		if l != nil {
			out = append(out, parseRecord(l).pick(query.Get("$select")))
		}
	}
	return bcDone(http.StatusOK, map[string]any{"value": out})
}

// forget removes the lines with a number.
func (j *journal) forget(number string) {
	for _, i := range j.by[strings.ToUpper(number)] {
		j.lines[i] = nil
	}
	delete(j.by, strings.ToUpper(number))
}

// businessCentralBatch serves a JSON $batch of at most 100 operations. With
// Isolation: snapshot a failing part undoes all.
func (s *Sandbox) businessCentralBatch(c *call) {
	var in struct {
		Requests []struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
			URL    string          `json:"url"`
			Body   json.RawMessage `json:"body"`
		} `json:"requests"`
	}
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
			a = s.businessCentralOne(c, r.Method, strings.TrimPrefix(u.Path, "/"), u.Query(), r.Body)
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
