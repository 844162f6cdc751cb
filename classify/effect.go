package classify

import "net/http"

// Effect is what is known of a write: whether it happened. It is another
// question than the [Class], which says whether trying again can help, and is
// never inferred from it. "" means that no write was sent.
type Effect string

// The effects. Everything that is not proved is [Open].
const (
	Done Effect = "done" // the vendor confirmed it in the form that its documentation gives
	None Effect = "none" // it is proved that nothing was done and nothing will be
	Open Effect = "open" // anything else: ask before it is sent again
)

// answer is what the body of an answer to a write shows, found by its dialect.
// The zero answer shows nothing.
type answer struct {
	dialect Dialect
	status  int
	part    bool // of a batch
	batch   bool // it has parts

	failed   bool // it has an error
	confirms bool // a success, and the body is one by which the dialect confirms
	refuses  bool // complete, and each error in it has the shape that the dialect documents
	acted    bool // it shows something that may have been done, or cannot be read
	none     bool // each error in it has a code whose rule says [None]
	unrouted bool // the same, and the rule holds for a part too
	gaveUp   bool // a code or a text says that the vendor gave up waiting
}

// The closed lists that [answer.effect] reads, with their sources in
// docs/vendors.md#effects.
var (
	// confirming are the statuses by which vendors confirm a write.
	confirming = map[Dialect]map[int]bool{
		GraphQL: {http.StatusOK: true},
		OData:   {http.StatusOK: true, http.StatusCreated: true, http.StatusNoContent: true},
	}
	// unhandled are the statuses by which a whole request is refused before
	// anything is done.
	unhandled = map[int]bool{http.StatusUnauthorized: true, http.StatusTooManyRequests: true}
	// coded are the statuses at which a code with an effect is believed.
	coded = map[Dialect]map[int]bool{
		GraphQL: {http.StatusOK: true, http.StatusBadRequest: true},
		OData:   {http.StatusBadRequest: true, http.StatusNotFound: true, http.StatusTooManyRequests: true},
	}
	// unfinished are the statuses after which the vendor may still be at work,
	// whatever the body says; so are all 3xx.
	unfinished = map[int]bool{
		http.StatusAccepted: true, http.StatusRequestTimeout: true, http.StatusBadGateway: true, http.StatusGatewayTimeout: true,
	}
	// finished are the statuses after which it is not, whatever the shape of the
	// body, unless it says that the vendor gave up waiting.
	finished = map[int]bool{http.StatusServiceUnavailable: true}
	// finishedPart are those of a part of a batch: the batch around it is the
	// vendor's own.
	finishedPart = map[int]bool{
		http.StatusUnauthorized: true, http.StatusForbidden: true, http.StatusTooManyRequests: true, http.StatusFailedDependency: true,
	}
	// givingUp are texts of errors by which a vendor says that it gave up
	// waiting, in lower case. A text only ever makes an effect more careful.
	givingUp = []string{"timed out", "timed-out", "timeout", "time-out", "time out", "time limit", "deadline exceeded"}
)

// effects are tried in order; where none fits, the effect is [Open] and the
// vendor may still be at work.
var effects = []struct {
	fits   func(answer) bool
	effect Effect
	ended  bool
}{
	{func(a answer) bool { return a.confirms && confirming[a.dialect][a.status] }, Done, false},
	{func(a answer) bool { return a.gaveUp || unfinished[a.status] || a.status/100 == 3 }, Open, false},
	{func(a answer) bool { return finished[a.status] }, Open, true},
	{func(a answer) bool { return !a.part && !a.acted && unhandled[a.status] }, None, false},
	{func(a answer) bool { return !a.part && !a.acted && a.none && coded[a.dialect][a.status] }, None, false},
	{func(a answer) bool { return a.part && !a.acted && a.unrouted && coded[a.dialect][a.status] }, None, false},
	{func(a answer) bool { return a.part && finishedPart[a.status] }, Open, true},
	{func(a answer) bool { return a.refuses && byHundred[a.status/100].kind != "" }, Open, true},
}

// add notes an error of the answer: the rule of its code, and whether it has the
// shape that the dialect documents.
func (a *answer) add(r Rule, shaped bool) {
	first := !a.failed
	a.failed = true
	a.refuses = shaped && (first || a.refuses)
	a.none = r.Effect == None && (first || a.none)
	a.unrouted = a.none && r.Unrouted && (first || a.unrouted)
	a.gaveUp = a.gaveUp || r.GaveUp
}

func (a answer) effect() (effect Effect, ended bool) {
	for _, e := range effects {
		if e.fits(a) {
			return e.effect, e.ended
		}
	}
	return Open, false
}

// fold returns the effect of a batch. Its parts decide, unless the answer
// around them says otherwise.
func (a answer) fold(parts []Verdict) (effect Effect, ended bool) {
	effect, ended = foldEffects(parts)
	switch {
	case finished[a.status]:
		return Open, effect != Open || ended
	case unfinished[a.status] || a.status/100 == 3, effect == Done && !confirming[a.dialect][a.status]:
		return Open, false
	}
	return effect, ended
}

// foldEffects returns the effect of a request from those of its parts, and
// whether the vendor's work on it has ended. It is [Done] or [None] if that is
// the effect of every part. It is [Open] for anything else, a mixture of those
// two included: nobody may send the whole again, and asking closes it, at once
// if the work on every open part has ended. Parts without an effect, such as
// reads, do not count; if none has one, the effect is "".
func foldEffects(parts []Verdict) (effect Effect, ended bool) {
	ended = true
	for _, p := range parts {
		switch {
		case p.Effect == "":
			continue
		case effect == "":
			effect = p.Effect
		case p.Effect != effect:
			effect = Open
		}
		ended = ended && (p.Effect != Open || p.Ended)
	}
	return effect, ended && effect == Open
}

// Unhandled reports whether a server answered 503 to the whole request, which says
// that it did not handle it, and nothing in the answer shows that something was
// done. It proves nothing; where nobody can be asked, it is all there is to go by
// (docs/vendors.md#effects).
func (v Verdict) Unhandled() bool { return v.unhandled }

// Refused reports whether the answer to a write is a refusal: complete, in the
// shape that the vendor documents for errors, and at no status by which it, or
// something before it, gave up waiting or did not handle the request. A batch is
// refused if each of its parts is: where the vendor documents that a batch
// happens as a whole or not at all, that is the whole of its answer.
func (v Verdict) Refused() bool {
	for _, p := range v.Parts {
		if !p.refused {
			return false
		}
	}
	return v.refused
}

// refused is [Verdict.Refused] of an answer without its parts.
func (a answer) refused() bool {
	return (a.refuses || a.batch) && !a.gaveUp && !unfinished[a.status] && !finished[a.status] && a.status/100 != 3
}

// WithEffect returns the verdict with another effect, for a caller who knows
// more than the answer says. ended counts for [Open] only.
func (v Verdict) WithEffect(effect Effect, ended bool) Verdict {
	v.Effect, v.Ended = effect, ended && effect == Open
	return v
}

// givesUp reports whether a text says that the vendor gave up waiting.
func givesUp[T ~[]byte | ~string](text T) bool {
	for _, words := range givingUp {
		if containsFold(text, words) {
			return true
		}
	}
	return false
}

// containsFold reports whether a text has words in it, which are ASCII and in
// lower case.
func containsFold[T ~[]byte | ~string](text T, words string) bool {
	for i := 0; i+len(words) <= len(text); i++ {
		n := 0
		for n < len(words) && lower(text[i+n]) == words[n] {
			n++
		}
		if n == len(words) {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
