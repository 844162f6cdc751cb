package classify

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// graphQL reads {"data": …, "errors": …}. Throttling and validation both come
// inside HTTP 200 (docs/vendors.md#xledger-api), so the code is all there is to go by.
func graphQL(s HTTPResponse, object []byte, codes Table, byStatus Verdict, a *answer) Verdict {
	var worst Verdict
	var data json.RawMessage
	for name, value := range members(object) {
		switch string(name) {
		case "errors":
			if v, found := graphQLErrors(s, value, codes, a); found {
				worst = worstOf([]Verdict{worst, v})
			}
		case "data":
			data, a.acted = value, true
		}
	}
	success := byStatus.Class == Success
	if worst.Class != "" {
		if success || strings.HasPrefix(worst.Rule, "code:") {
			return worst
		}
		byStatus.Message = worst.Message
		return byStatus
	}
	switch {
	case !success:
		return byStatus
	case data == nil:
		return invalid("body:no-data", "the answer has neither data nor errors")
	case s.Op != Write:
		return byStatus
	case isNull(data) || !isObject(data):
		return invalid("body:data-null", "the answer to a mutation has no data: nothing proves that anything was stored")
	}
	for name, value := range members(data) {
		if isNull(value) {
			a.confirms = false
			return invalid("body:data-null", "the answer to mutation "+string(name)+" is null: nothing proves that anything was stored")
		}
		a.confirms = true
		if isObject(value) {
			for inner, skipped := range members(value) {
				if string(inner) == "skippedDbIds" && !isEmpty(skipped) {
					byStatus.Message = string(name) + " skipped " + string(skipped) // accepted, but not all of it (docs/vendors.md#xledger-api)
				}
			}
		}
	}
	return byStatus
}

// graphQLErrors judges each entry of an errors member and returns the one that
// decides (see [worstOf]). Whatever its JSON type, one that is not empty is an
// error. What errors prove, each of them has to prove.
func graphQLErrors(s HTTPResponse, errors json.RawMessage, codes Table, a *answer) (worst Verdict, found bool) {
	if isEmpty(errors) {
		return Verdict{}, false
	}
	if !isArray(errors) {
		e := graphQLErrorOf(s, errors, codes)
		a.add(Rule{GaveUp: e.rule.GaveUp}, false)
		return e.verdict(), true
	}
	var decides graphQLError
	for entry := range elements(errors) {
		e := graphQLErrorOf(s, entry, codes)
		a.add(e.rule, isText(e.message) && isObject(entry))
		if !found || worse(e.kind.Class(), e.rule.Wait, decides.kind.Class(), decides.rule.Wait) {
			decides, found = e, true
		}
	}
	return decides.verdict(), found
}

// graphQLError is an entry of an errors member. Texts stay slices of the answer
// until one of many entries has been found to decide.
type graphQLError struct {
	kind          Kind
	rule          Rule   // of its code; the zero Rule if the table does not have it
	canonical     string // the code as the table has it; "" if it does not
	code, message json.RawMessage
}

func (e graphQLError) verdict() Verdict {
	rule := "body:graphql-errors"
	if e.canonical != "" {
		rule = "code:" + e.canonical
	}
	v := NewVerdict(e.kind, rule, say(text(e.code), text(e.message)))
	v.RetryAfter = e.rule.Wait
	return v
}

func graphQLErrorOf(s HTTPResponse, entry json.RawMessage, codes Table) graphQLError {
	e := graphQLError{kind: Business, message: entry}
	if !isObject(entry) {
		return e
	}
	e.message = nil
	var resetAt json.RawMessage
	var outer, inner [4]json.RawMessage // errors[].code comes before extensions.code
	outers, inners := outer[:0], inner[:0]
	for name, value := range members(entry) {
		switch {
		case string(name) == "message":
			e.message = value
		case string(name) == "code":
			outers = append(outers, value)
		case string(name) == "extensions" && isObject(value):
			for name, value := range members(value) {
				switch string(name) {
				case "code":
					inners = append(inners, value)
				case "resetAt":
					resetAt = value
				}
			}
		}
	}
	candidates := append(outers, inners...)
	for _, code := range candidates {
		if rule, canonical, ok := codes.lookupRaw(code); ok {
			e.kind, e.rule, e.canonical, e.code = rule.Kind, rule, canonical, code
			if d, ok := untilReset(text(resetAt), s); ok {
				e.rule.Wait = d
			}
			return e
		}
	}
	if len(candidates) > 0 {
		e.code = candidates[0]
	}
	return e
}

// maxReset is the longest reset that is believed: credits are counted by the
// month (docs/vendors.md#xledger-api).
const maxReset = 31 * 24 * time.Hour

// untilReset reads extensions.resetAt, whose name is known and whose format is
// not (docs/vendors.md#xledger-api); RFC 3339 is assumed.
func untilReset(resetAt string, s HTTPResponse) (time.Duration, bool) {
	at, err := time.Parse(time.RFC3339, resetAt)
	if err != nil {
		return 0, false
	}
	now := s.Received
	if dates := values(s.Header, "Date"); len(dates) > 0 {
		if t, err := http.ParseTime(dates[0]); err == nil {
			now = t
		}
	}
	d := at.Sub(now)
	return d, !now.IsZero() && d > 0 && d <= maxReset
}
