package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"strings"
	"time"
)

// Rule is a scripted answer or fault. Rules are tried in order; the first that
// matches and has times left decides. A rule with a status answers by itself
// and nothing is stored; one without lets the vendor act, and then delays, cuts
// or drops the answer.
type Rule struct {
	Match Match `json:"match"`
	Times int   `json:"times"` // how often it applies; 0 is for ever
	// Alternate lets every second matching request pass: fail, succeed, fail …
	Alternate bool `json:"alternate,omitempty"`

	Status   int               `json:"status,omitempty"`
	Headers  map[string]string `json:"headers,omitempty"`
	Body     string            `json:"body,omitempty"`
	Bytes    []byte            `json:"bodyBase64,omitempty"`
	BodySize int               `json:"bodySize,omitempty"` // a JSON body of about this many bytes

	DelayMS    int    `json:"delayMs,omitempty"`    // before anything happens
	Hang       bool   `json:"hang,omitempty"`       // no answer until the client has gone
	Drop       string `json:"drop,omitempty"`       // "before-effect" or "after-effect": close without an answer
	Reset      string `json:"reset,omitempty"`      // the same with a TCP reset
	TruncateAt int    `json:"truncateAt,omitempty"` // send this many bytes of the body and close
	DripMS     int    `json:"dripMs,omitempty"`     // send the body a byte at a time, this far apart

	seen, used int
}

// Match selects requests; every field that is set must fit. A request without
// a body has its query in the body's place.
type Match struct {
	Vendor        string `json:"vendor,omitempty"`
	Method        string `json:"method,omitempty"`
	PathContains  string `json:"pathContains,omitempty"`
	BodyContains  string `json:"bodyContains,omitempty"`
	CorrelationID string `json:"correlationId,omitempty"`
	Operation     string `json:"operation,omitempty"`
}

// Points at which a connection can be dropped or reset.
const (
	BeforeEffect = "before-effect"
	AfterEffect  = "after-effect"
)

func (m Match) fits(e *Entry, said []byte) bool {
	return (m.Vendor == "" || m.Vendor == e.Vendor) &&
		(m.Method == "" || m.Method == e.Method) &&
		strings.Contains(e.Path, m.PathContains) &&
		bytes.Contains(said, []byte(m.BodyContains)) &&
		(m.CorrelationID == "" || m.CorrelationID == e.CorrelationID) &&
		(m.Operation == "" || m.Operation == e.Operation)
}

// Script adds rules and returns the number of the first one, as [Entry.Rule]
// has it; the others follow.
func (s *Sandbox) Script(rules ...Rule) (first int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first = len(s.rules) + 1
	for _, r := range rules {
		s.rules = append(s.rules, &r)
	}
	return first
}

// Fired returns how often a rule has decided, by its number.
func (s *Sandbox) Fired(number int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if number < 1 || number > len(s.rules) {
		return 0
	}
	return s.rules[number-1].used
}

func (s *Sandbox) handleScript(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var many struct{ Rules []Rule }
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if d.Decode(&many) != nil {
		var one Rule
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&one); err != nil {
			http.Error(w, fmt.Sprintf(`%v; want a rule or {"rules": [rule, …]}`, err), http.StatusBadRequest)
			return
		}
		many.Rules = []Rule{one}
	}
	s.Script(many.Rules...)
	w.WriteHeader(http.StatusNoContent)
}

// pick returns the rule for a request, and its number.
func (s *Sandbox) pick(e *Entry, said []byte) (Rule, int) {
	for i, r := range s.rules {
		if r.Times > 0 && r.used >= r.Times || !r.Match.fits(e, said) {
			continue
		}
		r.seen++
		if r.Alternate && r.seen%2 == 0 {
			return Rule{}, 0
		}
		r.used++
		return *r, i + 1
	}
	return Rule{}, 0
}

// maxBody is the largest request that is read, in bytes.
const maxBody = 32 << 20

// vendor registers a vendor's handler behind the log and the script.
func (s *Sandbox) vendor(name, pattern string, handle func(*call)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
		if err != nil {
			return // the client has gone
		}
		e := &Entry{
			At: time.Now(), Vendor: name, Method: r.Method, Path: r.URL.Path, Operation: operation(name, r, body),
			CorrelationID: r.Header.Get("X-Ms-Client-Request-Id"), Credential: "none",
		}
		if e.CorrelationID == "" {
			e.CorrelationID = r.Header.Get("X-Correlation-ID")
		}
		s.mu.Lock()
		if e.CorrelationID != "" {
			s.attempts[name+e.CorrelationID]++
			e.Attempt = s.attempts[name+e.CorrelationID]
		}
		said := body
		if len(said) == 0 {
			said = []byte(r.URL.RawQuery)
		}
		rule, number := s.pick(e, said)
		e.Rule, e.Seq = number, len(s.log)+1
		s.log = append(s.log, *e) // it has reached us, whatever becomes of it
		s.mu.Unlock()

		if rule.DelayMS > 0 {
			select {
			case <-time.After(time.Duration(rule.DelayMS) * time.Millisecond):
			case <-r.Context().Done():
			}
		}
		c := &call{Request: r, body: body, entry: e, vendor: name, sb: s, answer: answer{status: http.StatusOK, header: http.Header{}}}
		if rule.Drop != BeforeEffect && rule.Reset != BeforeEffect {
			s.mu.Lock()
			handleOrScript(c, rule, handle)
			s.mu.Unlock()
		}
		e.Status = c.answer.status
		if name != "entra" { // its answer is a credential
			e.Answer = string(c.answer.body[:min(len(c.answer.body), 200)])
		}
		if rule.Drop != "" || rule.Reset != "" || rule.Hang {
			e.Status, e.Answer = 0, ""
		}
		e.Done = time.Now()
		s.mu.Lock()
		if e.Seq <= len(s.log) { // unless it was reset meanwhile
			s.log[e.Seq-1] = *e
		}
		s.mu.Unlock()
		send(w, r, c.answer, rule)
	})
}

// handleOrScript lets the vendor act, or the rule answer in its place.
func handleOrScript(c *call, rule Rule, handle func(*call)) {
	if rule.Status == 0 {
		if !rule.Hang {
			handle(c)
		}
	} else {
		c.answer.status = rule.Status
		switch {
		case rule.BodySize > 0:
			c.json(rule.Status, map[string]any{"data": map[string]string{"filler": strings.Repeat("x", rule.BodySize)}, "value": []int{}})
		case rule.Bytes != nil:
			c.answer.body = rule.Bytes
		default:
			c.answer.body = []byte(rule.Body)
		}
		if c.answer.header.Get("Content-Type") == "" {
			c.answer.header.Set("Content-Type", "application/json")
		}
	}
	for k, v := range rule.Headers {
		c.answer.header.Set(k, v)
	}
}

// send writes the answer, with what the rule does to it on the way.
func send(w http.ResponseWriter, r *http.Request, a answer, rule Rule) {
	switch {
	case rule.Hang:
		<-r.Context().Done()
		return
	case rule.Drop != "" || rule.Reset != "":
		hangUp(w, rule.Reset != "")
		return
	}
	for k, v := range a.header {
		w.Header()[k] = v
	}
	body := a.body
	if rule.TruncateAt > 0 {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		body = body[:min(rule.TruncateAt, len(body))]
	}
	w.WriteHeader(a.status)
	if rule.DripMS == 0 {
		_, _ = w.Write(body)
		return
	}
	for i := range body {
		if _, err := w.Write(body[i : i+1]); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-time.After(time.Duration(rule.DripMS) * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
}

// hangUp closes the connection without an answer, with a reset if asked.
func hangUp(w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: the stream is reset
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// operation names what is asked: the GraphQL field, or the path's last segment.
func operation(vendor string, r *http.Request, body []byte) string {
	if vendor == "xledger" {
		return fieldOf(body)
	}
	return path.Base(r.URL.Path)
}
