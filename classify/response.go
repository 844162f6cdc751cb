package classify

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"
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

// Response decides what a response means. codes is the adapter's table.
//
// The order: a listed vendor code; inside 2xx any other error in the body, and
// whether the body is an answer at all; outside 2xx the status. The effect of a
// write is decided beside it, from closed lists of its own.
func Response(s Seen, codes Table) Verdict { return judge(s, codes, false) }

// judge is Response, also of a part of a batch. A batch in a part is not
// followed: no vendor answers with one, and each level would read all those in it
// again.
func judge(s Seen, codes Table, part bool) Verdict {
	a := answer{dialect: codes.Dialect, status: s.Status, part: part}
	v := decide(s, codes, &a)
	v.HTTPStatus = s.Status
	a.batch = len(v.Parts) > 0
	v.refused = a.refused()
	v.unhandled = finished[a.status] && !a.part && !a.batch && !a.acted && !a.gaveUp
	switch {
	case s.Op != Write:
		v = v.WithEffect("", false)
	case a.batch:
		v = v.WithEffect(a.fold(v.Parts))
	default:
		v = v.WithEffect(a.effect())
	}
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

// decide returns the verdict and notes what the answer shows of a write.
func decide(s Seen, codes Table, a *answer) Verdict {
	byStatus := byStatusOf(s.Status)
	body := bytes.TrimSpace(bytes.TrimPrefix(s.Body, bom))
	success := byStatus.Class == Success

	if isMultipart(s.Header) && len(body) > 0 && codes.Dialect == OData && !a.part {
		a.acted = true
		if parts := multiparts(s, body, codes); len(parts) > 0 {
			return ofParts(parts, byStatus)
		}
	}
	if len(body) == 0 {
		a.acted = a.acted || s.Truncated
		switch {
		case success && s.Truncated:
			return incomplete("body:truncated", "the answer was cut off")
		case success && !bodyless[s.Status] && !a.part: // an empty part is whole: what is around it was
			return incomplete("body:empty", "the answer is empty where JSON is due")
		}
		a.confirms = success && codes.Dialect == OData
		return byStatus
	}
	open := body[0] == '{' || body[0] == '['
	deep := open && tooDeep(body)
	if s.Truncated || deep || !json.Valid(body) {
		a.acted = a.acted || s.Truncated || open
		switch {
		case !success:
			return byStatus
		case deep && !s.Truncated:
			return invalid("body:too-deep", "the answer is nested more deeply than any answer of a vendor")
		case bodyless[s.Status]:
			return byStatus
		case looksLikeHTML(body):
			return incomplete("body:html", "the answer is HTML where JSON is due")
		}
		return incomplete("body:truncated", "the answer is cut off or not JSON")
	}
	if !isObject(body) {
		a.acted = a.acted || open
		if !success {
			return byStatus
		}
		return invalid("body:not-object", "the answer is JSON but not an object")
	}
	read := oData
	switch codes.Dialect {
	case GraphQL:
		read = graphQL
	case OAuth:
		read = oAuth
	}
	v := read(s, body, codes, byStatus, a)
	if s.Op == Write && !a.confirms {
		a.gaveUp = a.gaveUp || givesUp(body) || givesUp(v.Message)
	}
	return v
}

// bodyless are the successes that need no body.
var bodyless = map[int]bool{
	http.StatusAccepted: true, http.StatusNoContent: true, http.StatusResetContent: true, http.StatusNotModified: true,
}

// graphQL reads {"data": …, "errors": …}. Throttling and validation both come
// inside HTTP 200 (docs/vendors.md#sources), so the code is all there is to go by.
func graphQL(s Seen, object []byte, codes Table, byStatus Verdict, a *answer) Verdict {
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
					byStatus.Message = string(name) + " skipped " + string(skipped) // accepted, but not all of it (docs/vendors.md#sources)
				}
			}
		}
	}
	return byStatus
}

// graphQLErrors judges each entry of an errors member and returns the one that
// decides (see [worstOf]). Whatever its JSON type, one that is not empty is an
// error. What errors prove, each of them has to prove.
func graphQLErrors(s Seen, errors json.RawMessage, codes Table, a *answer) (worst Verdict, found bool) {
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
	v := verdict(e.kind, rule, say(text(e.code), text(e.message)))
	v.RetryAfter = e.rule.Wait
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
func oData(s Seen, object []byte, codes Table, byStatus Verdict, a *answer) Verdict {
	success := byStatus.Class == Success
	var listed, business *Verdict
	var batch json.RawMessage
	message := ""
	for name, value := range members(object) {
		switch {
		case string(name) == "error" && !isNull(value):
			code, words, shaped := oDataError(value)
			rule, canonical, ok := codes.lookup(code)
			a.add(rule, shaped)
			if ok && listed == nil {
				v := verdict(rule.Kind, "code:"+canonical, say(code, words))
				v.RetryAfter = rule.Wait
				listed = &v
			}
			v := verdict(Business, "body:odata-error", say(code, words))
			business = &v
		case string(name) == "responses":
			batch, a.acted = value, true
		case string(name) == "Message" || string(name) == "message":
			message = text(value) // Finance & Operations, gateways
		}
	}
	switch {
	case listed != nil:
		return *listed
	case business != nil && success:
		return *business
	case batch != nil && success && a.part:
		return invalid("body:batch-in-batch", "a part of the answer to a batch holds another batch")
	case batch != nil && success:
		return oDataBatch(s, batch, codes, byStatus)
	case business != nil:
		byStatus.Message = business.Message
	case !success:
		byStatus.Message = message
	}
	a.confirms = success
	return byStatus
}

// oDataError returns the code and message of an error member of any type.
// shaped is true if it has both, as the protocol says.
func oDataError(value json.RawMessage) (code, message string, shaped bool) {
	if !isObject(value) {
		return "", text(value), false
	}
	var coded, worded bool
	for name, v := range members(value) {
		switch {
		case string(name) == "code":
			code, coded = text(v), isText(v) || text(v) != ""
		case string(name) == "message" && isObject(v): // OData v3: {"lang", "value"}
			for name, v := range members(v) {
				if string(name) == "value" {
					message, worded = text(v), isText(v)
				}
			}
		case string(name) == "message":
			message, worded = text(v), isText(v)
		}
	}
	return code, message, coded && worded
}

// oAuth reads a token answer. The error member is a code at any status; the
// AADSTS number in the description never decides (docs/vendors.md#sources).
func oAuth(_ Seen, object []byte, codes Table, byStatus Verdict, _ *answer) Verdict {
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

// worstOf returns the verdict that decides over several that belong together: a
// permanent failure, else the failure that asks for the longest wait, else a
// success. It returns the zero Verdict for none.
func worstOf(all []Verdict) Verdict {
	var worst Verdict
	for _, v := range all {
		if worse(v.Class, v.RetryAfter, worst.Class, worst.RetryAfter) {
			worst = v
		}
	}
	return worst
}

// worse reports whether a failure decides over another, see [worstOf].
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

func incomplete(rule, message string) Verdict { return verdict(IncompleteResponse, rule, message) }

func invalid(rule, message string) Verdict { return verdict(InvalidResponse, rule, message) }

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
