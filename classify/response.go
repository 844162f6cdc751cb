package classify

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// Op is what a call was for. It decides what counts as an answer, and whether
// the outcome can be unknown.
type Op string

// The operations.
const (
	Read  Op = "read"
	Write Op = "write"
	Token Op = "token" // an OAuth token request
)

// Seen is a response as it was received.
type Seen struct {
	Op        Op
	Status    int
	Header    http.Header
	Body      []byte
	Truncated bool      // the body ended before its end, or was cut by us
	Received  time.Time // when; for dates in Retry-After
}

// maxMessage bounds a [Verdict.Message] in bytes; redaction cuts it further.
const maxMessage = 1000

// Response decides what a response means. codes is the adapter's table.
//
// The order: a listed vendor code; inside 2xx any other error in the body, and
// whether the body is an answer at all; outside 2xx the status.
func Response(s Seen, codes Table) Verdict {
	v := decide(s, codes)
	v.HTTPStatus = s.Status
	v.Unknown = v.Unknown && s.Op == Write
	v.Message = clip(v.Message)
	if v.Message == "" && v.Class != Success {
		v.Message = statusMessage(s.Status)
	}
	if v.Retry() {
		if d, ok := RetryAfter(s.Header, s.Received); ok && len(v.Parts) == 0 {
			v.RetryAfter = d
		} else if ok {
			v.RetryAfter = max(v.RetryAfter, d)
		}
	}
	return v
}

func decide(s Seen, codes Table) Verdict {
	byStatus := byStatusOf(s.Status)
	body := bytes.TrimSpace(bytes.TrimPrefix(s.Body, bom))
	success := byStatus.Class == Success

	if parts, ok := multiparts(s, body, codes); ok {
		return ofParts(parts, byStatus)
	}
	if len(body) == 0 {
		if success && !s.Truncated && !bodyless[s.Status] {
			return incomplete("body:empty", "the answer is empty where JSON is due")
		}
		if success && s.Truncated {
			return incomplete("body:truncated", "the answer was cut off")
		}
		return byStatus
	}
	if s.Truncated || !json.Valid(body) {
		switch {
		case !success:
			return byStatus
		case bodyless[s.Status]:
			return byStatus
		case looksLikeHTML(body):
			return incomplete("body:html", "the answer is HTML where JSON is due")
		}
		return incomplete("body:truncated", "the answer is cut off or not JSON")
	}
	if !isObject(body) {
		if !success {
			return byStatus
		}
		return invalid("body:not-object", "the answer is JSON but not an object")
	}
	switch codes.Dialect {
	case GraphQL:
		return graphQL(s, body, codes, byStatus)
	case OAuth:
		return oAuth(s, body, codes, byStatus)
	}
	return oData(s, body, codes, byStatus)
}

// bodyless are the successes that need no body.
var bodyless = map[int]bool{
	http.StatusAccepted: true, http.StatusNoContent: true, http.StatusResetContent: true, http.StatusNotModified: true,
}

// graphQL reads {"data": …, "errors": …}. Throttling and validation both come
// inside HTTP 200 (docs/vendors.md#sources), so the code is all there is to go by.
func graphQL(s Seen, object []byte, codes Table, byStatus Verdict) Verdict {
	var worst Verdict
	var data json.RawMessage
	for name, value := range members(object) {
		switch string(name) {
		case "errors":
			if v, found := graphQLErrors(s, value, codes); found {
				worst = Worst([]Verdict{worst, v})
			}
		case "data":
			data = value
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
			return invalid("body:data-null", "the answer to mutation "+string(name)+" is null: nothing proves that anything was stored")
		}
		if isObject(value) {
			for inner, skipped := range members(value) {
				if string(inner) == "skippedDbIds" && !isEmpty(skipped) {
					byStatus.Message = string(name) + " skipped " + string(skipped) // accepted, but not all of it (docs/vendors.md#sources)
				}
			}
		}
	}
	return byStatus
}

// graphQLErrors judges each entry of an errors member and returns the one that
// decides (see [Worst]). Whatever its JSON type, one that is not empty is an
// error.
func graphQLErrors(s Seen, errors json.RawMessage, codes Table) (worst Verdict, found bool) {
	if isEmpty(errors) {
		return Verdict{}, false
	}
	if !isArray(errors) {
		return graphQLErrorOf(s, errors, codes).verdict(), true
	}
	var decides graphQLError
	for entry := range elements(errors) {
		e := graphQLErrorOf(s, entry, codes)
		if !found || worse(e.kind.Class(), e.wait, decides.kind.Class(), decides.wait) {
			decides, found = e, true
		}
	}
	return decides.verdict(), found
}

// graphQLError is an entry of an errors member. Texts stay slices of the answer
// until one of many entries has been found to decide.
type graphQLError struct {
	kind          Kind
	canonical     string // the code as the table has it; "" if it does not
	wait          time.Duration
	code, message json.RawMessage
}

func (e graphQLError) verdict() Verdict {
	rule := "body:graphql-errors"
	if e.canonical != "" {
		rule = "code:" + e.canonical
	}
	v := verdict(e.kind, rule, say(text(e.code), text(e.message)))
	v.RetryAfter = e.wait
	return v
}

func graphQLErrorOf(s Seen, entry json.RawMessage, codes Table) graphQLError {
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
			e.kind, e.canonical, e.wait, e.code = rule.Kind, canonical, rule.Wait, code
			if d, ok := untilReset(text(resetAt), s); ok {
				e.wait = d
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
// month (docs/vendors.md#sources).
const maxReset = 31 * 24 * time.Hour

// untilReset reads extensions.resetAt, whose name is known and whose format is
// not (docs/vendors.md#sources); RFC 3339 is assumed.
func untilReset(resetAt string, s Seen) (time.Duration, bool) {
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

// oData reads {"error": {"code", "message"}} and JSON batches. The code's
// prefix is not its class (docs/vendors.md#sources): only the table counts.
func oData(s Seen, object []byte, codes Table, byStatus Verdict) Verdict {
	success := byStatus.Class == Success
	var business *Verdict
	message := ""
	for name, value := range members(object) {
		switch {
		case string(name) == "error" && !isNull(value):
			code, words := oDataError(value)
			if rule, canonical, ok := codes.lookup(code); ok {
				v := verdict(rule.Kind, "code:"+canonical, say(code, words))
				v.RetryAfter = rule.Wait
				return v
			}
			v := verdict(Business, "body:odata-error", say(code, words))
			business = &v
		case string(name) == "responses" && success:
			return oDataBatch(s, value, codes, byStatus)
		case string(name) == "Message" || string(name) == "message":
			message = text(value) // Finance & Operations, gateways
		}
	}
	switch {
	case business != nil && success:
		return *business
	case business != nil:
		byStatus.Message = business.Message
	case !success:
		byStatus.Message = message
	}
	return byStatus
}

// oDataError returns the code and message of an error member of any type.
func oDataError(value json.RawMessage) (code, message string) {
	if !isObject(value) {
		return "", text(value)
	}
	for name, v := range members(value) {
		switch {
		case string(name) == "code":
			code = text(v)
		case string(name) == "message" && isObject(v): // OData v3: {"lang", "value"}
			for name, v := range members(v) {
				if string(name) == "value" {
					message = text(v)
				}
			}
		case string(name) == "message":
			message = text(v)
		}
	}
	return code, message
}

// oAuth reads a token answer. The error member is a code at any status; the
// AADSTS number in the description never decides (docs/vendors.md#sources).
func oAuth(_ Seen, object []byte, codes Table, byStatus Verdict) Verdict {
	var code, description string
	failed, token := false, false
	for name, value := range members(object) {
		switch string(name) {
		case "error":
			failed = failed || !isNull(value)
			code = text(value)
		case "error_description":
			description = text(value)
		case "access_token":
			token = text(value) != ""
		}
	}
	success := byStatus.Class == Success
	if failed {
		message := say(code, description)
		if rule, canonical, ok := codes.lookup(code); ok {
			v := verdict(rule.Kind, "code:"+canonical, message)
			v.RetryAfter = rule.Wait
			return v
		}
		if success {
			return verdict(Business, "body:oauth-error", message)
		}
		byStatus.Message = message
		return byStatus
	}
	if success && !token {
		return invalid("body:no-token", "the answer holds no access_token")
	}
	return byStatus
}

// Worst returns the verdict that decides over several that belong together: a
// permanent failure, else the failure that asks for the longest wait, else a
// success. It returns the zero Verdict for none.
func Worst(all []Verdict) Verdict {
	var worst Verdict
	for _, v := range all {
		if worse(v.Class, v.RetryAfter, worst.Class, worst.RetryAfter) {
			worst = v
		}
	}
	return worst
}

// worse reports whether a failure decides over another, see [Worst].
func worse(class Class, wait time.Duration, than Class, thanWait time.Duration) bool {
	r, w := severity(class), severity(than)
	return r > w || r == w && wait > thanWait
}

func severity(c Class) int {
	switch c {
	case Success:
		return 1
	case Transient, Timeout:
		return 2
	case Permanent:
		return 3
	}
	return 0
}

func incomplete(rule, message string) Verdict {
	v := verdict(IncompleteResponse, rule, message)
	v.Unknown = true
	return v
}

func invalid(rule, message string) Verdict {
	v := verdict(InvalidResponse, rule, message)
	v.Unknown = true
	return v
}

// say joins a code and a message for people.
func say(code, message string) string {
	switch {
	case code == "":
		return message
	case message == "" || strings.Contains(message, code):
		return code + strings.TrimPrefix(": "+message, ": "+code)
	}
	return code + ": " + message
}

// clip cuts a message to maxMessage bytes between two characters.
func clip(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	s = s[:maxMessage]
	for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s[:len(s)-1] + "…"
}
