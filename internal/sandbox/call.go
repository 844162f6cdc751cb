package sandbox

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/google/uuid"
)

// call is a request on its way through a vendor. Handlers run with the mutex
// held.
type call struct {
	*http.Request
	body   []byte
	entry  *LogEntry
	vendor string
	answer answer
	sb     *Sandbox
	asked  *graphQLCall // by a GraphQL request
	first  int          // how many parts of the request are carried out; 0 is all

	view   view   // what a look-up sees
	lookUp string // how its answer is false
	passed int    // rows that the answer had so far

	admitted   bool // its access token was good when it came
	rehearsing bool
	guids      names[string]
	numbers    names[int]

	undos                []func() // how to take back what was done
	mark, effects, noted int      // how much there was when the transaction began
}

// begin starts a transaction, or a new one in place of that which is open.
func (c *call) begin() {
	c.mark, c.effects, c.noted = len(c.undos), len(c.sb.effects), c.entry.Effects
}

// undo notes how to take back what was just done.
func (c *call) undo(f func()) { c.undos = append(c.undos, f) }

func (c *call) takeBack(mark int) {
	for _, f := range slices.Backward(c.undos[mark:]) {
		f()
	}
	c.undos = c.undos[:mark]
}

// rollBack takes back everything since begin, its effects included.
func (c *call) rollBack() {
	c.takeBack(c.mark)
	c.sb.effects, c.entry.Effects = c.sb.effects[:c.effects], c.noted
}

// cut is true if a request is carried out up to its n-th part only.
func (c *call) cut(n int) bool { return c.first > 0 && n >= c.first }

// guid names something new.
func (c *call) guid() string { return c.guids.next(uuid.NewString) }

// answer is what a vendor says.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func newAnswer() answer { return answer{status: http.StatusOK, header: http.Header{}} }

// effect notes that something was stored.
func (c *call) effect(kind, key string) {
	c.entry.Effects++
	c.sb.effects = append(c.sb.effects, Effect{
		Seq: len(c.sb.effects) + 1, At: c.sb.now(), Vendor: c.vendor, Kind: kind, Key: key, CorrelationID: c.entry.CorrelationID,
	})
}

// json answers with a JSON body.
func (c *call) json(status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // values of our own
	}
	c.answer.status, c.answer.body = status, body
	c.answer.header.Set("Content-Type", "application/json")
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
