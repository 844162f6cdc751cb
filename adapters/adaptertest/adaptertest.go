// Package adaptertest holds an adapter to what it promises.
//
// An adapter promises much that its signatures do not show: that it sends a write
// once, that it says "not done" only on proof, that it reads every page, that no
// secret leaves in an error. Each promise has a name; [Promises] lists them. One
// call checks them all:
//
//	func TestAdapter(t *testing.T) {
//		adaptertest.Test(t, adaptertest.Subject{ … })
//	}
//
// The adapter runs over real sockets against a vendor that works, which the
// caller brings. A server that lies is between the two: it loses answers,
// delivers requests late, cuts pages short, answers another question, redirects,
// throttles, and repeats the request's secrets in its errors. What the adapter
// says afterwards is compared with what the vendor's own books hold, never with
// what the adapter believes.
//
// As with testing/fstest and golang.org/x/net/nettest, a pass proves no more than
// that no broken promise was found. Run it with the race detector.
package adaptertest

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ledgerline/ledgerline/adapters"
)

// Subject is an adapter, and what is needed to hold it to its promises. Its
// functions are called concurrently.
type Subject struct {
	// New returns the adapter, with nothing cached. It is called for each check.
	New func() adapters.Adapter

	// Start returns a vendor that works and whose books are empty. A page of a
	// look-up's answer holds at most pageSize records; 0 leaves it to the vendor. It
	// is called for each check.
	Start func(pageSize int) Vendor

	// Connect returns the base URL and the settings of an integration, those for
	// exports included, with the vendor at an origin such as http://127.0.0.1:8080.
	// A request whose path begins with that of the base URL is one to the vendor; any
	// other is one for a token.
	Connect func(origin string) (baseURL string, settings map[string]string)

	// Credentials are secrets that the vendor accepts, by name.
	Credentials map[string]string

	// Calls are requests as callers write them. At least one is a read.
	Calls []Call

	// Throttled are the vendor's documented answers to a whole request that comes too
	// soon, also those inside HTTP 200. There is at least one.
	Throttled []Answer

	// Answers are other answers of the vendor that fail a write of two entries, with
	// what each may prove, above all those that look like a success. It may be nil.
	Answers []Failure

	// Entry changes an entry that an export sends, so that the vendor takes it: its
	// account, its currency. It must leave key, voucher, amount and text alone. It may
	// be nil.
	Entry func(e *adapters.Entry)
}

// Vendor is a vendor that works, with its books: what it really holds.
type Vendor struct {
	// Handler answers the vendor's requests, and those for tokens. It is called
	// concurrently.
	Handler http.Handler
	// Count is how many records there are under a key.
	Count func(key string) int
	// Changes is how often anything in the books was changed.
	Changes func() int
	// IgnoreFilters makes look-ups answer with records that nobody asked for. It may
	// be nil; what then ignores the filter is the server in between.
	IgnoreFilters func()
}

// Call is a request as a caller writes it.
type Call struct {
	Body  string
	Guard adapters.Guard // what [adapters.Adapter.Describe] must say of it
	// Key is the key of the record that a write makes, where the vendor's books know
	// it by one.
	Key string
}

// Answer is what a vendor says.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Failure is an answer that fails a write, and what it may prove.
type Failure struct {
	Name string
	Answer
	None  bool // that nothing was done, and nothing will be
	Ended bool // that the vendor's work on it has ended
}

// Broken is a promise that an adapter does not keep.
type Broken struct {
	Promise string // one of [Promises]
	Found   error  // what showed it; one line for each observation
}

// Error begins with the name of the promise.
func (b *Broken) Error() string { return b.Promise + ": " + b.Found.Error() }

// Unwrap returns what showed it.
func (b *Broken) Unwrap() error { return b.Found }

// Test checks every promise of an adapter, each in a subtest with its name.
func Test(t *testing.T, s Subject) {
	t.Helper()
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) {
			switch broken, due := p.broken(s); {
			case !due:
				t.Skipf("of %s only", p.of)
			case broken != nil:
				t.Errorf("%s\n%v", p.says, broken.Found)
			}
		})
	}
}

// Check is [Test] for those who have no test, or expect a promise to be broken. It
// returns nil, or an error that joins a [Broken] for each promise that is not kept.
// It checks several at a time.
func Check(s Subject) error {
	if err := s.check(); err != nil {
		return err
	}
	all := make([]error, len(promises))
	places := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, p := range promises {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if broken, due := p.broken(s); due && broken != nil {
				all[i] = broken
			}
		})
	}
	wg.Wait()
	return errors.Join(all...)
}

// atOnce is how many promises Check checks at a time: they wait more than they
// work.
const atOnce = 8

// check says what the subject lacks.
func (s Subject) check() error {
	var missing []error
	need := func(there bool, what string) {
		if !there {
			missing = append(missing, fmt.Errorf("adaptertest: Subject.%s", what))
		}
	}
	need(s.New != nil, "New: missing")
	need(s.Start != nil, "Start: missing")
	need(s.Connect != nil, "Connect: missing")
	need(len(s.Credentials) > 0, "Credentials: missing")
	for name, secret := range s.Credentials {
		need(len(secret) >= 8, "Credentials: "+name+" is too short to be found in a text; want 8 characters or more")
	}
	need(len(s.Throttled) > 0, "Throttled: missing")
	reads := false
	for _, c := range s.Calls {
		reads = reads || c.Guard == adapters.ReadOnly
	}
	need(reads, "Calls: no read")
	return errors.Join(missing...)
}

// promise is one thing that an adapter promises.
type promise struct {
	name string
	of   kind   // which adapters promise it
	says string // in a sentence
	test func(*checker)
}

// kind is which adapters make a promise.
type kind string

const (
	everyAdapter kind = "every adapter"
	exporters    kind = "exporters"
	verifiers    kind = "verifiers"
)

// promises are all of them, in the order in which they are checked. The page
// docs/adding-a-vendor.md has the same list.
var promises = []promise{
	{"descriptor", everyAdapter, "The descriptor is complete, agrees with itself and with what the adapter implements, and names the credentials and settings without which nothing is sent.", descriptor},
	{"describe", everyAdapter, "Describe says the same every time. What it cannot read is an error or unsafe, and is not sent.", describe},
	{"calls", everyAdapter, "A request has the guard that it should have. A read changes nothing. A write that is accepted is in the vendor's books, and with readback it is found there.", calls},
	{"entries", exporters, "The same entries make the same body. What does not fit the terms is refused, and no message repeats the values of an entry.", entries},
	{"export", exporters, "Entries that were accepted are in the vendor's books once and are found again, with their amounts and references. Others are not found.", export},
	{"once", everyAdapter, "A request is sent once for each Do, at once, whatever comes back. Only a refused token may be renewed once.", once},
	{"lost-answer", exporters, "After a lost answer the effect is open, and asking shows what was done.", lostAnswer},
	{"late-effect", exporters, "A request can take effect after its deadline, so its effect is open until then.", lateEffect},
	{"unsent", everyAdapter, "A write of which nothing was sent has the effect none.", unsent},
	{"effect", everyAdapter, "A failed write has the class of its answer. Only proof makes its effect none, or its work ended.", effect},
	{"codes", everyAdapter, "Each code of the table means what the table says, and proves no more.", codes},
	{"throttling", everyAdapter, "Throttling is rate_limited, also inside HTTP 200, and proves that nothing was done only where the table says so.", throttling},
	{"idempotent", everyAdapter, "What is called idempotent leaves one record when it is sent twice, and is accepted twice.", idempotent},
	{"pages", exporters, "Find reads every page. A page that does not come is an error, and pages come to an end.", pages},
	{"filter", exporters, "An answer with a record that was not asked for is not trusted.", filter},
	{"known", exporters, "A record that is known to be there is counted once. If a part of the answer does not show it, the answer is not trusted.", known},
	{"reads", everyAdapter, "A read that failed has the class of its answer, no effect and no result.", reads},
	{"large-answer", everyAdapter, "A write that was accepted with a large answer is no failure, and a large body is not passed on.", largeAnswer},
	{"redirect", everyAdapter, "A redirect is not followed, and no credential travels with it.", redirect},
	{"client", everyAdapter, "Every request goes through the connection's client.", client},
	{"secrets", everyAdapter, "Every secret that is sent is among those of the connection, and masking them leaves none in what the adapter says. What a vendor says is not cut.", secrets},
	{"context", everyAdapter, "A context that ends, ends the attempt with a verdict and leaves no goroutine and no connection behind.", contexts},
	{"concurrent", everyAdapter, "It is safe for concurrent use.", concurrent},
	{"counted", everyAdapter, "Each request is counted with its purpose and carries the correlation ID.", counted},
	{"late-errors", exporters, "Asking for late errors changes nothing, and nobody is asked where there are none.", lateErrors},
	{"verify", verifiers, "Verify changes nothing, and what it learns makes entries that are taken. A refused token is a check that differs, with a remedy and with the vendor's answer, which health observes (`Contract.Refuse`); a vendor that is down can be asked later.", verify},
}

// Promises are the names of the promises, in the order in which they are checked.
func Promises() (names []string) {
	for _, p := range promises {
		names = append(names, p.name)
	}
	return names
}

// most is how many observations of a broken promise are reported.
const most = 12

// broken checks the promise. due is false if an adapter of this kind does not make
// it.
func (p promise) broken(s Subject) (broken *Broken, due bool) {
	a := s.New()
	due = true
	switch p.of {
	case exporters:
		_, due = a.(adapters.Exporter)
	case verifiers:
		_, due = a.(adapters.Verifier)
	}
	if !due {
		return nil, false
	}
	c := &checker{s: s}
	func() {
		defer c.close()
		defer func() {
			if r := recover(); r != nil && r != errStop {
				c.errorf("panic: %v", r)
			}
		}()
		p.test(c)
	}()
	if len(c.found) == 0 {
		return nil, true
	}
	more := len(c.found) - most
	list := c.found[:min(most, len(c.found))]
	if more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return &Broken{p.name, errors.New(strings.Join(list, "\n"))}, true
}

// checker checks one promise.
type checker struct {
	s      Subject
	found  []string
	worlds []*world
}

// errStop ends a check that cannot continue.
var errStop = errors.New("stop")

func (c *checker) errorf(format string, args ...any) {
	if found := fmt.Sprintf(format, args...); !slices.Contains(c.found, found) {
		c.found = append(c.found, found)
	}
}

// fatalf is errorf for what leaves the rest of the check without sense.
func (c *checker) fatalf(format string, args ...any) {
	c.errorf(format, args...)
	panic(errStop)
}

func (c *checker) close() {
	for _, w := range c.worlds {
		w.close()
	}
}

// callsWith returns the sample calls whose guard fits.
func (c *checker) callsWith(fits func(adapters.Guard) bool) (list []Call) {
	for _, call := range c.s.Calls {
		if fits(call.Guard) {
			list = append(list, call)
		}
	}
	return list
}

// failures are the replies that fail a write: those of every vendor and the
// subject's own.
func (c *checker) failures() []reply {
	list := failures(c.s.New().Vendor().Codes.Dialect)
	for _, f := range c.s.Answers {
		list = append(list, reply{name: f.Name, lie: lie{unheard: f.None, answer: &f.Answer}, none: f.None, ended: f.Ended})
	}
	return list
}

// read is a sample call that reads.
func (c *checker) read() Call {
	return c.callsWith(func(g adapters.Guard) bool { return g == adapters.ReadOnly })[0]
}

// short is a body in a message.
func short(body []byte) string {
	s := strings.Join(strings.Fields(string(body)), " ")
	return cmp.Or(s[:min(len(s), 80)], `""`)
}
