package matrix

import (
	"net/http"
	"time"

	"github.com/ledgerline/ledgerline/internal/answers"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// proof is what an answer to a write proves.
type proof = answers.Proof

const (
	nothingDone = answers.NothingDone
	workEnded   = answers.WorkEnded
	noProof     = answers.NoProof
)

// effect is what became of the write.
type effect struct {
	name  string
	apply func(*sandbox.Rule)
	late  time.Duration // when it is stored, after the answer
	none  bool
	part  bool
}

// How late effects are: by less than an attempt takes, by more, and by more than
// the time for which the program waits.
const (
	attemptTime = 2 * time.Second
	hangTime    = 300 * time.Millisecond // an attempt that gets no answer, in real time
	inFlight    = time.Minute
	// refusedFlight is for how long an upsert that was refused is waited for before
	// its entries are rejected: as long as for other content.
	refusedFlight = 2 * time.Minute
	soon, later   = time.Second, 30 * time.Second
	afterAll      = 10 * time.Minute
	maxDeferWait  = 20 * time.Minute
)

var effects = []effect{
	{name: "none", none: true, apply: func(r *sandbox.Rule) {
		if r.Status == 0 && !r.Hang {
			r.Drop = orElse(r.Drop, sandbox.BeforeEffect)
		}
	}},
	{name: "all", apply: func(r *sandbox.Rule) { r.Act = true }},
	{name: "part", part: true, apply: func(r *sandbox.Rule) { r.ActFirst = 1 }},
	{name: "late, soon", late: soon, apply: delayed(soon)},
	{name: "late, within its time", late: later, apply: delayed(later)},
	{name: "late, after its time", late: afterAll, apply: delayed(afterAll)},
}

func delayed(d time.Duration) func(*sandbox.Rule) {
	return func(r *sandbox.Rule) { r.EffectDelayMS = int(d.Milliseconds()) }
}

func orElse(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// asks are the ways in which a vendor answers when it is asked what it has. All
// but the first hold for the first two questions, then it is honest.
var asks = []struct {
	name string
	rule *sandbox.Rule
}{
	{"honest", nil},
	{"stale", &sandbox.Rule{Stale: true}}, // as of before what is known to be there
	{"partial", &sandbox.Rule{Lookup: sandbox.Partial}},
	{"empty", &sandbox.Rule{Lookup: sandbox.Empty}},
	{"second page missing", &sandbox.Rule{Lookup: sandbox.SecondPageMissing}},
	{"filter ignored", &sandbox.Rule{Lookup: sandbox.FilterIgnored}},
	{"429", &sandbox.Rule{Status: http.StatusTooManyRequests}},
	{"401", &sandbox.Rule{Status: http.StatusUnauthorized, Body: `{}`}},
}

// moments are the points of an export at which the answer comes.
const (
	firstChunk    = "first chunk"
	halvedChunk   = "halved chunk"
	singleVoucher = "single voucher"
	takenOver     = "re-cut chunk after a take-over"
	laterRetry    = "retry in a later run"
)

var moments = []string{firstChunk, halvedChunk, singleVoucher, takenOver, laterRetry}

// vendor is what the matrix has to know of one.
type vendor struct {
	adapter  string
	settings map[string]string
	atomic   bool // a request is all or nothing
	upserts  bool // a repeat has no further effect
	inFlight time.Duration
	answers  []answers.Answer
}

var vendors = []vendor{{
	adapter: "xledger", atomic: true, inFlight: inFlight,
	answers: answers.Of("xledger"),
}, {
	adapter: "businesscentral", inFlight: inFlight,
	settings: map[string]string{"companyId": sandbox.DemoCompanyID, "journalId": sandbox.DemoJournalID},
	answers:  answers.Of("businesscentral"),
}, {
	adapter: "dataverse", atomic: true, upserts: true,
	settings: map[string]string{"table": "led_entries", "prefix": "led_"},
	answers:  answers.Of("dataverse"),
}}
