// Package sandbox serves the vendors that Ledgerline calls, for the demo and
// the tests: Xledger, Dataverse, Business Central and Entra's token endpoint,
// each as far as package adapters uses it and true to what is known of the
// vendor. It is not a mock: it keeps state, and what took effect can be asked.
//
// All share one listener, each under a path of its own:
//
//	/xledger/graphql                        Xledger GraphQL
//	/dataverse/api/data/v9.2/               Dataverse Web API
//	/businesscentral/v2.0/sandbox/api/v2.0/ Business Central API
//	/entra/{tenant}/oauth2/v2.0/token       Entra token endpoint
//
// It keeps two append-only lists. [LogEntry]: every request that reached it, with
// the answer. [Effect]: everything that was stored. Together they are the
// oracle for "called once" and "took effect once". Neither holds a credential.
//
// Faults are scripted with rules, see [Rule], by POST /_script. GET /_log and
// GET /_effects show the lists, POST /_reset forgets everything.
//
// A vendor does not notice that a client has gone: whatever has arrived is
// carried out. Nothing runs in the background for that. Each time somebody looks
// or asks, everything that is due by the clock happens first, in order, and is
// dated when it was due. So time can be skipped, see [Options].
//
// Xledger's side has a schema, xledger.graphql: documents are parsed, validated
// and executed by it, and it can be introspected. See [graphql].
//
// Look-ups page, Business Central's requests queue and its posted lines move to
// a general ledger that does not show the external document number.
//
// The first letter of an account decides what a vendor makes of an entry:
//
//	X  unknown: every vendor refuses it
//	L  Xledger accepts it and its import finds an error: glImportItemErrors
//	W  the same with a warning
//	C  Business Central: code of the company commits with the line, so that a
//	   snapshot batch that fails later keeps it and all that came before
//	K  Business Central: somebody else changes the journal at that moment: 409,
//	   the first time
//
// An effect's key is that of the entry: extIdentifier, externalDocumentNumber,
// or the value of the alternate key. Dataverse's upserts are distinguished: upsert
// is the first, upsert_again changed nothing, update changed something.
package sandbox

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ledgerline/ledgerline/internal/sandbox/graphql"
)

// Options configure a Sandbox. Zero values take the demo's.
type Options struct {
	XledgerToken string
	TenantID     string
	ClientID     string
	ClientSecret string

	// Now is the clock by which everything is dated and waited for, [time.Now]
	// if it is nil. It must not go backwards nor call the sandbox. A clock that
	// is given is looked at every 2 ms while a client waits.
	Now func() time.Time

	// PageSize is how much a page of a look-up holds at most, 200 if it is 0: far
	// less than the vendors' pages do, so that there is a second one to ask for.
	PageSize int

	// Business Central's limits for a user, those of the vendor if they are 0:
	// how many requests are carried out at a time (5), how many wait (95; what
	// comes then is answered 429), and for how long (8 minutes, then 503).
	Concurrent, QueueLength int
	QueueWait               time.Duration

	// Dataverse says in what its tables differ from what exports need.
	Dataverse Definition

	// Dimensions are the codes of Business Central's dimensions, in capitals; nil is
	// every code.
	Dimensions []string

	// BalancingAccount is that of Business Central's journals; they have none if it
	// is empty.
	BalancingAccount string

	// Observe is called with a request that has arrived, before anything else
	// happens to it, and Answered when its answer is known, before it is sent.
	// Both may call the sandbox.
	Observe, Answered func(LogEntry)

	// Choose is asked, after Observe, for the rule of a request; nil leaves it to
	// the script. It is for those who decide by what a request carries.
	Choose func(LogEntry) *Rule

	// NoIntrospection takes __schema and __type from the GraphQL API, as vendors may.
	NoIntrospection bool
}

// The demo's credentials: made up, and put together so that no scanner takes
// them for real ones.
var (
	DemoXledgerToken = strings.Join([]string{"demo", "xledger", "token", "0123456789"}, "-")
	DemoClientSecret = strings.Join([]string{"demo", "client", "secret", "9876543210"}, "-")
)

// The demo's public identifiers.
const (
	DemoTenantID = "11111111-2222-4333-8444-555555555555"
	DemoClientID = "66666666-7777-4888-8999-aaaaaaaaaaaa"

	// The company, with a journal that is there from the start.
	DemoCompanyID = "0a0a0a0a-1b1b-4c2c-8d3d-4e4e4e4e4e4e"
	DemoJournalID = "5f5f5f5f-6a6a-4b7b-8c8c-9d9d9d9d9d9d"
)

// LogEntry is a request that reached the sandbox.
type LogEntry struct {
	Seq           int       `json:"seq"`
	At            time.Time `json:"at"`
	Vendor        string    `json:"vendor"`
	Method        string    `json:"method"`
	Path          string    `json:"path"`
	Operation     string    `json:"operation"` // GraphQL field, or the path's last segment
	CorrelationID string    `json:"correlationId,omitempty"`
	Wrote         bool      `json:"wrote,omitempty"`      // it, or a part of it, asks for a change
	Keys          []string  `json:"keys,omitempty"`       // of the entries that it asks to store, as the sender wrote them
	LookupKeys    []string  `json:"lookupKeys,omitempty"` // the keys and document numbers that it looks for
	Attempt       int       `json:"attempt,omitempty"`    // ordinal of the correlation at this vendor
	Credential    string    `json:"credential"`           // ok, bad or none; never the value
	Status        int       `json:"status"`               // 0 if the connection was dropped
	Answer        string    `json:"answer,omitempty"`     // its beginning
	Rule          int       `json:"rule"`                 // which rule answered, counted from 1; 0 none
	Effects       int       `json:"effects"`              // how much of it was stored
	Started       time.Time `json:"started,omitzero"`     // when the vendor began with it; zero while it waits in a queue
	Done          time.Time `json:"done,omitzero"`        // when the answer was ready; zero while it is under way
	Ended         time.Time `json:"ended,omitzero"`       // when the vendor's work on it ended, after which it stores nothing; zero until then
}

// Effect is something that a vendor stored.
type Effect struct {
	Seq           int       `json:"seq"`
	At            time.Time `json:"at"`
	Vendor        string    `json:"vendor"`
	Kind          string    `json:"kind"` // gl_import_item, upsert, upsert_again, update, create, delete, journal, journal_line, journal_post
	Key           string    `json:"key"`
	CorrelationID string    `json:"correlationId,omitempty"`
}

// Sandbox is the vendors' server. It is safe for concurrent use.
type Sandbox struct {
	options Options
	mux     *http.ServeMux
	schema  *graphql.Schema // Xledger's

	real bool // the clock is that of the machine

	mu       sync.Mutex
	moment   time.Time     // of what is just happening, if it is made up for
	epoch    chan struct{} // closed by the next Reset
	agenda   []*event      // what vendors still have to do, in order
	queue    queue         // Business Central's
	unheard  []LogEntry    // answers that became known with nobody waiting
	rules    []*Rule
	log      []LogEntry
	effects  []Effect
	attempts map[string]int
	state
}

// state is what the vendors hold.
type state struct {
	tokens   map[string]time.Time // issued access tokens and their ends
	items    []glItem
	itemsBy  map[string][]int  // dbIds by extIdentifier, whatever has gone
	faults   []itemFault       // in the order of time
	rows     map[string]*row   // Dataverse, by set and key, whatever has gone
	rowCount int               // how many were ever made
	created  map[string][]*row // those that were made by POST, by set and each text column's value
	journals map[string]*journal
	ledger   table           // Business Central's general ledger: the lines that were posted
	changes  []time.Time     // of what vendors hold, when each happened
	clashed  map[string]bool // by externalDocumentNumber
}

// New returns a sandbox with nothing in it.
func New(o Options) *Sandbox {
	for value, demo := range map[*string]string{
		&o.XledgerToken: DemoXledgerToken, &o.TenantID: DemoTenantID, &o.ClientID: DemoClientID, &o.ClientSecret: DemoClientSecret,
	} {
		if *value == "" {
			*value = demo
		}
	}
	s := &Sandbox{
		options: o, mux: http.NewServeMux(), real: o.Now == nil, epoch: make(chan struct{}),
		schema: graphql.New(xledgerSchema, xledgerScalars, !o.NoIntrospection),
	}
	if s.real {
		s.options.Now = time.Now
	}
	s.options.PageSize = cmp.Or(o.PageSize, 200)
	s.options.Concurrent, s.options.QueueLength = cmp.Or(o.Concurrent, 5), cmp.Or(o.QueueLength, 95)
	s.options.QueueWait = cmp.Or(o.QueueWait, 8*time.Minute)
	s.Reset()
	s.mux.HandleFunc("POST /_script", s.handleScript)
	s.mux.HandleFunc("GET /_log", s.handleLog)
	s.mux.HandleFunc("GET /_effects", s.handleEffects)
	s.mux.HandleFunc("POST /_reset", func(w http.ResponseWriter, _ *http.Request) { s.Reset() })
	s.mux.HandleFunc("GET /_health", func(http.ResponseWriter, *http.Request) {})
	s.vendor("xledger", "POST /xledger/graphql", s.xledger)
	s.vendor("dataverse", dataverseRoot, s.dataverse)
	s.vendor("businesscentral", businessCentralRoot, s.businessCentral)
	s.vendor("entra", "POST /entra/{tenant}/oauth2/v2.0/token", s.entra)
	return s
}

// ServeHTTP implements [http.Handler].
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Reset forgets rules, lists and state, and what vendors still had to do. Whoever
// waits for an answer loses the connection.
func (s *Sandbox) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.epoch)
	s.epoch, s.agenda, s.queue = make(chan struct{}), nil, queue{}
	s.rules, s.log, s.effects, s.attempts = nil, nil, nil, make(map[string]int)
	s.state = state{
		tokens: make(map[string]time.Time), itemsBy: make(map[string][]int), rows: make(map[string]*row), created: make(map[string][]*row),
		journals: map[string]*journal{DemoJournalID: newJournal("LEDGER")}, ledger: newTable(), clashed: make(map[string]bool),
	}
}

// Log returns the requests that reached the sandbox, in order.
func (s *Sandbox) Log() []LogEntry {
	s.lock()
	defer s.unlock()
	return append([]LogEntry(nil), s.log...)
}

// Effects returns what was stored, in order.
func (s *Sandbox) Effects() []Effect {
	s.lock()
	defer s.unlock()
	return append([]Effect(nil), s.effects...)
}

// Record is what a vendor holds of an entry: its own name for it, and the
// content as it keeps it. What Business Central has posted keeps the name of the
// journal line that it was.
type Record struct {
	Reference string
	Content   json.RawMessage
	Posted    bool
}

// Records returns what the vendors hold now under an entry's key: in their books,
// which are journals and general ledger.
func (s *Sandbox) Records(key string) (list []Record) {
	s.lock()
	defer s.unlock()
	for _, id := range s.itemsBy[key] {
		if i := s.items[id-1]; i.seen(current) {
			content, _ := json.Marshal(i.node)
			list = append(list, Record{Reference: strconv.Itoa(id), Content: content})
		}
	}
	add := func(t *table, posted bool) {
		for _, i := range t.find(current, "externalDocumentNumber", []string{key}) {
			content := t.rows[i].content
			list = append(list, Record{parseRecord(content).text("id"), content, posted})
		}
	}
	for _, j := range s.journals {
		add(&j.table, false)
	}
	add(&s.ledger, true)
	for _, r := range s.rows {
		if r.key == key && r.seen(current) {
			list = append(list, Record{Reference: r.id, Content: r.content})
		}
	}
	return list
}

// Forget removes what the vendors hold under an entry's key, as somebody there
// could. What has been posted stays.
func (s *Sandbox) Forget(key string) {
	s.lock()
	defer s.unlock()
	for _, id := range s.itemsBy[key] {
		if i := &s.items[id-1]; i.seen(current) {
			i.gone = s.change()
		}
	}
	for _, j := range s.journals {
		for _, i := range j.find(current, "externalDocumentNumber", []string{key}) {
			j.remove(s.somebody("businesscentral"), i)
		}
	}
	for _, r := range s.rows {
		if r.key == key && r.seen(current) {
			r.gone = s.change()
		}
	}
}

func (s *Sandbox) handleLog(w http.ResponseWriter, r *http.Request) {
	out := []LogEntry{}
	for _, e := range s.Log() {
		q := r.URL.Query()
		if (q.Get("correlation") == "" || q.Get("correlation") == e.CorrelationID) && (q.Get("vendor") == "" || q.Get("vendor") == e.Vendor) {
			out = append(out, e)
		}
	}
	writeJSON(w, http.StatusOK, out)
}

func (s *Sandbox) handleEffects(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, append([]Effect{}, s.Effects()...))
}

// Addresses returns the base URL of each vendor, and of the admin, for a
// sandbox that is served at base.
func Addresses(base string) map[string]string {
	return map[string]string{
		"admin":           base,
		"xledger":         base + "/xledger/graphql",
		"dataverse":       base + dataverseRoot,
		"businesscentral": base + businessCentralRoot,
		"entra":           base + "/entra",
	}
}
