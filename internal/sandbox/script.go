package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Rule is a scripted answer or fault. Rules are tried in order; the first that
// matches and has times left decides. A rule with a status answers by itself
// and nothing is stored, unless it says that the vendor acts all the same. One
// without lets the vendor act and answer, and then delays, cuts or drops the
// answer. What a vendor has begun it ends, also when its client has gone.
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
	// Rewrite makes another body of what would be answered.
	Rewrite func(body []byte) []byte `json:"-"`

	// Act lets the vendor act in full, whatever the answer is: that of Status, or
	// none with Hang.
	Act bool `json:"act,omitempty"`
	// ActFirst does the same with the first parts of the request only, and fails
	// what follows: so many operations of a $batch, a change set being one, or
	// root fields of a mutation. Parts that succeeded stay, as they do when a
	// company's own code commits in the middle of a snapshot batch.
	ActFirst int `json:"actFirst,omitempty"`
	// EffectDelayMS lets the vendor act, but only so long after its answer, or
	// after the moment at which the connection was dropped or began to hang. An
	// answer that Status does not give is what the vendor would say if it acted
	// at once.
	EffectDelayMS int `json:"effectDelayMs,omitempty"`

	// Stale answers a look-up with what there was at AsOf, or when the rule was
	// scripted, as a replica does that lags behind. Business Central's are asked
	// with "Data-Access-Intent: ReadWrite" for what there is, and never lag then.
	Stale bool      `json:"stale,omitempty"`
	AsOf  time.Time `json:"asOf,omitzero"`
	// Lookup makes a look-up's answer a false one: see [Partial].
	Lookup string `json:"lookup,omitempty"`

	DelayMS    int    `json:"delayMs,omitempty"`    // before anything happens
	Hang       bool   `json:"hang,omitempty"`       // no answer until the client has gone
	Drop       string `json:"drop,omitempty"`       // "before-effect", and none follows, or "after-effect": close without an answer
	Reset      string `json:"reset,omitempty"`      // the same with a TCP reset
	CutHeaders int    `json:"cutHeaders,omitempty"` // send this many bytes of the status line and the headers and close
	TruncateAt int    `json:"truncateAt,omitempty"` // send this many bytes of the body and close
	DripMS     int    `json:"dripMs,omitempty"`     // send the body a byte at a time, this far apart

	seen, used int
	over       bool // it decides no more
	scripted   view // what there was when it was scripted
}

// acts is true if the vendor does what it is asked.
func (r Rule) acts() bool {
	switch {
	case r.Drop == BeforeEffect || r.Reset == BeforeEffect:
		return false
	case r.Act || r.ActFirst > 0 || r.EffectDelayMS > 0:
		return true
	}
	return r.Status == 0 && !r.Hang
}

// answer is what the rule says in the vendor's place.
func (r Rule) answer() answer {
	a := answer{r.Status, http.Header{"Content-Type": {"application/json"}}, []byte(r.Body)}
	switch {
	case r.BodySize > 0:
		a.body, _ = json.Marshal(map[string]any{"data": map[string]string{"filler": strings.Repeat("x", r.BodySize)}, "value": []int{}})
	case r.Bytes != nil:
		a.body = r.Bytes
	}
	return a
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
	Keys          int    `json:"keys,omitempty"` // it asks to store at least so many entries
}

// How the answer to a look-up can be false.
const (
	Partial           = "partial"             // every second row is missing
	SecondPageMissing = "second-page-missing" // the first page holds half of the rows, the next one answers 500
	FilterIgnored     = "filter-ignored"      // all rows there are
	Empty             = "empty"               // none
)

// Points at which a connection can be dropped or reset.
const (
	BeforeEffect = "before-effect"
	AfterEffect  = "after-effect"
)

func (m Match) fits(e *LogEntry, said []byte) bool {
	return (m.Vendor == "" || m.Vendor == e.Vendor) &&
		(m.Method == "" || m.Method == e.Method) &&
		strings.Contains(e.Path, m.PathContains) &&
		bytes.Contains(said, []byte(m.BodyContains)) &&
		(m.CorrelationID == "" || m.CorrelationID == e.CorrelationID) &&
		(m.Operation == "" || m.Operation == e.Operation) &&
		len(e.Keys) >= m.Keys
}

// Script adds rules and returns the number of the first one, as [LogEntry.Rule]
// has it; the others follow.
func (s *Sandbox) Script(rules ...Rule) (first int) {
	s.lock()
	defer s.unlock()
	first = len(s.rules) + 1
	for _, r := range rules {
		r.scripted = view(len(s.changes))
		s.rules = append(s.rules, &r)
	}
	return first
}

// Unscript ends all rules. The next ones are numbered on.
func (s *Sandbox) Unscript() {
	s.lock()
	defer s.unlock()
	for _, r := range s.rules {
		r.over = true
	}
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
func (s *Sandbox) pick(e *LogEntry, said []byte) (Rule, int) {
	for i, r := range s.rules {
		if r.over || r.Times > 0 && r.used >= r.Times || !r.Match.fits(e, said) {
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
