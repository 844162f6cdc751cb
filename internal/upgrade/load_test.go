package upgrade

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"go.temporal.io/api/enums/v1"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

// kind is what is asked of the vendor, and what becomes of it.
type kind struct {
	name      string
	write     bool           // of two items; else it is a ping
	credit    string         // of the second item; it is refused if the two do not sum to zero
	rules     []sandbox.Rule // of this invocation
	cancelled bool           // while it waits for its second attempt

	ok       bool
	attempts int // 0 if that depends on the moment
}

var (
	sends = sandbox.Match{Operation: "addGLImportItems"}
	looks = sandbox.Match{Operation: "glImportItems"}
)

// waits fails and asks to be left alone for longer than a busy machine takes to cancel.
var waits = []sandbox.Rule{{Status: 503, Headers: map[string]string{"Retry-After": "5"}}}

// kinds are what the load asks for, in turn.
var kinds = []kind{
	{name: "ping", ok: true, attempts: 1},
	{name: "ping that waits", rules: []sandbox.Rule{{Times: 2, Status: 503}}, ok: true, attempts: 3},
	{name: "write", write: true, credit: "-100.00", ok: true, attempts: 1},
	{name: "open write", write: true, credit: "-100.00", rules: []sandbox.Rule{
		{Match: sends, Times: 1, Reset: sandbox.AfterEffect}, {Match: looks, Times: 1, Status: 503},
	}, ok: true, attempts: 3},
	{name: "refused write", write: true, credit: "-99.00", attempts: 1},
	{name: "cancelled", rules: waits, cancelled: true},
}

// call is an invocation that a starter has been asked for.
type call struct {
	kind         kind
	by           string // whose starter
	organization organization
	correlation  uuid.UUID
	keys         []string // of its items at the vendor
	out          workflows.Outcome
	err          error
	done         chan struct{}
}

const items = `{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){edges{clientId node{dbId}}}}","variables":{"in":[
 {"clientId":"1","node":{"extIdentifier":"%[1]s","trRegNumber":"%[3]d","amount":"100.00","account":{"code":"1920"}}},
 {"clientId":"2","node":{"extIdentifier":"%[2]s","trRegNumber":"%[3]d","amount":"%[4]s","account":{"code":"3000"}}}]}}`

// call has a starter make a call and wait for its outcome, beside the test.
func (s *stage) call(ctx context.Context, p programs, o organization, k kind) *call {
	c := &call{kind: k, by: p.name, organization: o, correlation: uuid.New(), done: make(chan struct{})}
	for _, r := range k.rules {
		r.Match.CorrelationID = c.correlation.String()
		s.stack.Sandbox.Script(r)
	}
	s.mu.Lock()
	s.asked = append(s.asked, c)
	number := len(s.asked)
	s.mu.Unlock()
	args := o.on("call", "--timeout", "5m", "--correlation-id", c.correlation.String())
	body := ""
	if k.write {
		name := strings.ReplaceAll(c.correlation.String(), "-", "")
		c.keys = []string{name[:30] + "-1", name[:30] + "-2"}
		body = fmt.Sprintf(items, c.keys[0], c.keys[1], number, k.credit)
		args = append(args, "--body", "-")
	} else {
		args = append(args, "--operation", "ping")
	}
	go func() {
		defer close(c.done)
		var out string
		if out, _, c.err = s.run(ctx, p, operator, body, args...); c.err == nil {
			c.err = json.Unmarshal([]byte(out), &c.out)
		}
	}()
	return c
}

// workflowID is that of a call.
func (c *call) workflowID() string { return workflows.InvokeID(c.organization.id, c.correlation) }

// waits reports whether a workflow's call waits for its next attempt.
func (s *stage) waits(ctx context.Context, workflowID string) bool {
	d, err := s.temporal.DescribeWorkflow(ctx, workflowID, "")
	if err != nil {
		return false // it may not have begun
	}
	for _, p := range d.RawResponse.GetPendingActivities() {
		waits := p.GetState() == enums.PENDING_ACTIVITY_STATE_SCHEDULED && p.GetAttempt() > 1
		if waits && p.GetActivityType().GetName() == activities.CallName {
			return true
		}
	}
	return false
}

// cancelWaiting cancels a call once it waits for its next attempt.
func (s *stage) cancelWaiting(ctx context.Context, c *call) error {
	for !s.waits(ctx, c.workflowID()) {
		select {
		case <-c.done:
			return fmt.Errorf("the call %s did not wait: %+v, %w", c.correlation, c.out.Failure, c.err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return s.temporal.CancelWorkflow(ctx, c.workflowID(), "")
}

// load makes calls and exports for as long as workers are replaced.
type load struct {
	calls, exports atomic.Int64 // that have ended
	stop           context.CancelFunc
	lanes          sync.WaitGroup

	mu       sync.Mutex
	book     organization
	programs []programs // the starters in use, in turn
	turn     int
	errs     []error
}

func (l *load) next() programs {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn++
	return l.programs[l.turn%len(l.programs)]
}

// use adds a version's starter to those that the load is made with.
func (l *load) use(p programs) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.programs = append(l.programs, p)
}

func (l *load) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}

// callers is how many calls there are at a time.
const callers = 3

// days is how many periods the load can export.
const days = 60

// day is the n-th of them.
func day(n int) string { return time.Date(2026, 1, 1+n, 0, 0, 0, 0, time.UTC).Format(time.DateOnly) }

// begin begins the load. Lanes end what they have begun after it is stopped.
func (s *stage) begin(t *testing.T, p programs) *load {
	t.Helper()
	l := &load{programs: []programs{p}}
	var ctx context.Context
	ctx, l.stop = context.WithCancel(t.Context())
	for lane := range callers {
		o := s.apply(t, p, organization{retry: quick})
		l.lanes.Go(func() {
			for n := lane; ctx.Err() == nil; n++ {
				k := kinds[n%len(kinds)]
				c := s.call(t.Context(), l.next(), o, k)
				if k.cancelled {
					if err := s.cancelWaiting(t.Context(), c); err != nil {
						l.failed(err)
					}
				}
				<-c.done
				l.calls.Add(1)
			}
		})
	}
	book := s.apply(t, p, organization{retry: quick, section: "    export: {chunkSize: 4}\n"})
	l.book = book
	var batches []batch
	for n := range days {
		accounts := good(3)
		if n%4 == 3 {
			accounts[1] = "X999"
		}
		batches = append(batches, batch{day(n), "D" + day(n), accounts})
	}
	s.vouchers(t, p, book, batches...)
	s.sends(book, sandbox.Rule{Status: 503, Alternate: true})
	l.lanes.Go(func() {
		for n := 0; ctx.Err() == nil && n < days; n++ {
			if _, _, err := s.run(t.Context(), l.next(), operator, "", book.on("sync", "--period", day(n), "--exit-status=false")...); err != nil {
				l.failed(err)
			}
			l.exports.Add(1)
		}
	})
	return l
}

// more waits until the load has got so much further that it has met what is there now.
func (s *stage) more(t *testing.T, l *load) {
	t.Helper()
	calls, exports := l.calls.Load()+2*callers, l.exports.Load()+2
	s.soon(t, "the load continues", func() bool { return l.calls.Load() >= calls && l.exports.Load() >= exports })
}

// end ends the load, and exports the periods that it has not come to.
func (s *stage) end(t *testing.T, l *load) {
	t.Helper()
	l.stop()
	l.lanes.Wait()
	assert.Empty(t, l.errs)
	s.say("the load is over: %d calls, %d exports", l.calls.Load(), l.exports.Load())
	s.stack.Sandbox.Unscript()
	_, _, err := s.run(t.Context(), l.next(), operator, "", l.book.on("sync", "--period", day(days), "--exit-status=false")...)
	assert.NoError(t, err)
}
