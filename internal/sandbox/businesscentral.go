package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

const businessCentralRoot = "/businesscentral/v2.0/sandbox/api/v2.0/"

// journal is a general journal with its lines. Posting empties it.
type journal struct {
	code  string
	lines []map[string]any
}

var (
	journalsPath = regexp.MustCompile(`^companies\(([^)]*)\)/journals$`)
	linesPath    = regexp.MustCompile(`^companies\(([^)]*)\)/journals\(([^)]*)\)/journalLines$`)
	postPath     = regexp.MustCompile(`^companies\(([^)]*)\)/journals\(([^)]*)\)/Microsoft\.NAV\.post$`)
	documentEq   = regexp.MustCompile(`externalDocumentNumber eq '((?:[^']|'')*)'`)
)

// businessCentral serves the API v2.0 (vendors.md C).
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
		return bcDone(http.StatusOK, map[string]any{"value": []any{map[string]string{"id": s.companyID, "name": "Sandbox"}}})
	}
	var in map[string]any
	if len(body) > 0 && json.Unmarshal(body, &in) != nil {
		return bcError(http.StatusBadRequest, "BadRequest", "The request body cannot be read.")
	}
	if m := journalsPath.FindStringSubmatch(relative); m != nil && method == http.MethodPost {
		id := uuid.NewString()
		code, _ := in["code"].(string)
		s.journals[id] = &journal{code: code}
		c.effect("journal", id)
		return bcDone(http.StatusCreated, map[string]any{"id": id, "code": code})
	}
	if m := linesPath.FindStringSubmatch(relative); m != nil {
		j := s.journals[m[2]]
		switch {
		case j == nil:
			return bcError(http.StatusNotFound, "Internal_RecordNotFound", "The journal does not exist.")
		case method == http.MethodPost:
			return s.journalLine(c, j, m[2], in)
		case method == http.MethodGet:
			return bcDone(http.StatusOK, map[string]any{"value": selectLines(j, query.Get("$filter"))})
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
		j.lines = nil
		c.effect("journal_post", m[2])
		return answer{http.StatusNoContent, http.Header{}, nil}
	}
	return bcError(http.StatusNotFound, "BadRequest_NotFound", "No HTTP resource was found that matches the request.")
}

// journalLine adds a line. The same document number twice is two lines.
func (s *Sandbox) journalLine(c *call, j *journal, id string, in map[string]any) answer {
	if account, _ := in["accountNumber"].(string); strings.HasPrefix(account, "X") {
		return bcError(http.StatusBadRequest, "Internal_InvalidTableRelation",
			"The field Account No. of table Gen. Journal Line contains a value (%s) that cannot be found in the related table (G/L Account).", account)
	}
	line := map[string]any{"id": uuid.NewString(), "journalId": id, "lineNumber": 10000 * (len(j.lines) + 1)}
	maps.Copy(line, in)
	j.lines = append(j.lines, line)
	number, _ := in["externalDocumentNumber"].(string)
	c.effect("journal_line", number)
	return bcDone(http.StatusCreated, line)
}

// selectLines knows one filter: externalDocumentNumber eq '…', joined by or.
func selectLines(j *journal, filter string) []any {
	wanted := make(map[string]bool)
	for _, m := range documentEq.FindAllStringSubmatch(filter, -1) {
		wanted[strings.ReplaceAll(m[1], "''", "'")] = true
	}
	out := []any{}
	for _, l := range j.lines {
		number, _ := l["externalDocumentNumber"].(string)
		if filter == "" || wanted[number] {
			out = append(out, l)
		}
	}
	return out
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
	snapshot := strings.EqualFold(c.Header.Get("Isolation"), "snapshot")
	lines := make(map[string][]map[string]any)
	for id, j := range s.journals {
		lines[id] = j.lines[:len(j.lines):len(j.lines)]
	}
	effects, noted := len(s.effects), c.entry.Effects
	var out []map[string]any
	failed := false
	for _, r := range in.Requests {
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
	if failed && snapshot {
		for id, j := range s.journals {
			j.lines = lines[id]
		}
		s.effects, c.entry.Effects = s.effects[:effects], noted
	}
	c.json(http.StatusOK, map[string]any{"responses": out})
	c.answer.header.Set("Request-Id", rand.Text())
}
