package exports

import (
	"cmp"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/classify"
)

// WaitFor is what a pending export waits for.
type WaitFor string

// What it can be, in the order in which [WaitFacts.Reason] looks.
const (
	WaitForRun      WaitFor = "run"         // its run no longer exists
	WaitForResume   WaitFor = "resume"      // its integration is paused
	WaitForWorker   WaitFor = "worker"      // none is running
	WaitForLook     WaitFor = "look"        // it was resumed, and the run looks again
	WaitForVendor   WaitFor = "vendor"      // it is deferred; the kind says why
	WaitForWrites   WaitFor = "open_writes" // what was sent may still take effect
	WaitForProgress WaitFor = "progress"    // nothing: it is under way
)

// WaitFacts is what is known of a pending export. Names and texts are for people; what is
// not known is left zero.
type WaitFacts struct {
	Organization string // as --org takes it
	Integration  string // its name
	Vendor       string // its title
	Period       string

	RunGone  bool // its run no longer exists
	NoWorker bool // no worker is running

	Paused      bool // the integration is
	PausedBy    string
	PausedAt    time.Time
	PauseReason string

	DeferredUntil time.Time
	DeferredFor   classify.Kind
	OpenUntil     time.Time // until then what was sent may take effect
}

// WaitReason is why a pending export waits, in words.
type WaitReason struct {
	For    WaitFor       `json:"for"`
	Kind   classify.Kind `json:"errorKind,omitempty"` // of a deferral
	Until  *time.Time    `json:"until,omitempty"`     // nil: not known
	Says   string        `json:"says"`                // why, and until when
	Remedy string        `json:"remedy"`              // what to do
	Brief  string        `json:"-"`                   // why, in a few words, as a column of a table has it; "" if it does not wait
}

// String is the reason and what to do: two thoughts on one line.
func (r WaitReason) String() string { return r.Says + "; " + r.Remedy }

// wait is a row of the table: why, and what to do.
type wait struct{ says, remedy string }

// waits say why an export waits, unless it waits for its vendor.
var waits = map[WaitFor]wait{
	WaitForRun: {"its run no longer exists, and its entries belong to it",
		"starter sync --org {organization} --integration {integration} --period {period} resumes it"},
	WaitForResume: {"integration {integration} is paused{by}",
		"starter integrations resume --org {organization} --integration {integration} resumes it"},
	WaitForWorker: {"no worker is running", "start one; the export then continues by itself"},
	WaitForLook:   {"integration {integration} was paused and is resumed; its run looks again soon{until}", "nothing is to be done"},
	WaitForWrites: {"what was sent to {vendor} may still take effect{until}, and nothing is sent again before that",
		"nothing is to be done: {vendor} is then asked what it has"},
	WaitForProgress: {"nothing holds it up: it is under way", "if it stays so, starter doctor says whether a worker takes its tasks"},
}

// briefs are why an export waits, in a few words.
var briefs = map[WaitFor]string{
	WaitForRun: "waits: its run no longer exists", WaitForResume: "waits: the integration is paused", WaitForWorker: "waits: no worker is running",
	WaitForLook: "waits: it was resumed, and looks again soon", WaitForVendor: "waits for {vendor} until {when}", WaitForWrites: "being exported, waits for {vendor} until {when}",
}

// byItself is the remedy for what passes.
const byItself = "nothing is to be done: it tries again by itself"

// deferrals say why a run waits for its vendor, by the kind of the error that it waits for
// to pass. Those that are not here end a run, or are handled chunk by chunk.
var deferrals = map[classify.Kind]wait{
	classify.RateLimited:        {"{vendor} throttles the requests", byItself + "; if it happens often, lower limits.requestsPerMinute in the integration file"},
	classify.QuotaExhausted:     {"{vendor} says that the paid-for requests are used up", "buy more there, or wait until they are renewed; it tries again by itself"},
	classify.BreakerOpen:        {"the recent calls to {vendor} have failed, so its circuit breaker is open", byItself + "; starter health history --org {organization} --integration {integration} shows since when"},
	classify.Unavailable:        {"{vendor} is not available (HTTP 503)", byItself},
	classify.BadGateway:         {"{vendor} is not available (HTTP 502)", byItself},
	classify.GatewayTimeout:     {"{vendor} is not available (HTTP 504)", byItself},
	classify.TooEarly:           {"{vendor} asks for the request again later (HTTP 425)", byItself},
	classify.ServerError:        {"{vendor} answers with an error of its own (HTTP 5xx)", byItself + "; if it does not pass, report it to {vendor}"},
	classify.DNS:                {"the name of {vendor}'s server cannot be resolved", byItself + "; if it does not pass, check the base URL and the worker's DNS"},
	classify.Network:            {"the connection to {vendor} fails", byItself + "; if it does not pass, check the network and the firewall of the worker"},
	classify.IncompleteResponse: {"{vendor} gives incomplete answers", byItself + "; if it does not pass, check the proxies on the way"},
	classify.AttemptTimeout:     {"{vendor} does not answer in time", byItself},
	classify.RequestTimeout:     {"{vendor} gives up on the requests, because they take too long", byItself},
	classify.WorkerLost:         {"the worker that made the last call was lost", byItself + " on another worker"},
	classify.Late:               {"asking {vendor} what it has left too little time to send", byItself},
	classify.Dependency:         {"something of ours cannot be asked, such as PostgreSQL or the folder of secrets", "starter doctor says what is missing; it tries again by itself"},
	classify.Unsettled:          {"what was sent to {vendor} may still take effect", byItself},
	classify.Untrusted:          {"{vendor} does not show entries that it is known to have, so its answer proves nothing yet", byItself + "; if it does not pass, check the rights and the company of the integration's token"},
}

// deferred is the row of a kind. One that has none was stored by another version.
func deferred(k classify.Kind) wait {
	if w, ok := deferrals[k]; ok {
		return w
	}
	return wait{"the last call to {vendor} failed (" + cmp.Or(strings.ReplaceAll(string(k), "_", " "), "reason not stored") + ")", byItself}
}

// Reason says why the export waits, until when, and what to do. Times are written in the
// zone of now.
func (f WaitFacts) Reason(now time.Time) WaitReason {
	r := WaitReason{For: f.waitsFor(now)}
	row := waits[r.For]
	switch r.For {
	case WaitForVendor:
		r.Kind, row = f.DeferredFor, deferred(f.DeferredFor)
		row.says += "; the next try is at {when}"
		r.until(f.DeferredUntil)
	case WaitForLook:
		r.until(f.DeferredUntil)
	case WaitForWrites:
		r.until(f.OpenUntil)
	}
	by, until, when := "", "", "soon"
	if f.PausedBy != "" {
		by = " by " + f.PausedBy + " since " + clock(f.PausedAt, now)
	}
	if f.PauseReason != "" {
		by += ": " + f.PauseReason
	}
	if r.Until != nil {
		when = clock(*r.Until, now)
		until = map[WaitFor]string{WaitForLook: ", and at the latest at " + when, WaitForWrites: " until " + when}[r.For]
	}
	put := strings.NewReplacer("{by}", by, "{until}", until, "{when}", when, "{period}", cmp.Or(f.Period, "PERIOD"), "{vendor}", cmp.Or(f.Vendor, "the vendor"),
		"{organization}", cmp.Or(f.Organization, "ORG"), "{integration}", cmp.Or(f.Integration, "NAME"))
	r.Says, r.Remedy, r.Brief = put.Replace(row.says), put.Replace(row.remedy), put.Replace(briefs[r.For])
	return r
}

func (r *WaitReason) until(t time.Time) {
	if !t.IsZero() {
		r.Until = &t
	}
}

// tryWithin is how long after its time a try may still be under way.
const tryWithin = 2 * time.Minute

func (f WaitFacts) waitsFor(now time.Time) WaitFor {
	deferred := !f.DeferredUntil.IsZero() && now.Sub(f.DeferredUntil) < tryWithin
	switch {
	case f.RunGone:
		return WaitForRun
	case f.Paused:
		return WaitForResume
	case f.NoWorker:
		return WaitForWorker
	case deferred && f.DeferredFor == classify.Paused:
		return WaitForLook
	case deferred:
		return WaitForVendor
	case f.OpenUntil.After(now):
		return WaitForWrites
	}
	return WaitForProgress
}

// clock is a time for people, with its day if that is not now's.
func clock(at, now time.Time) string {
	at = at.In(now.Location())
	if at.YearDay() == now.YearDay() && at.Year() == now.Year() {
		return at.Format("15:04 MST")
	}
	return at.Format("2 January 2006 15:04 MST")
}
