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

// HTTPResponse is a response as it was received.
type HTTPResponse struct {
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
func Response(s HTTPResponse, codes Table) Verdict { return judge(s, codes, false) }

// judge is Response, also of a part of a batch. A batch in a part is not
// followed: no vendor answers with one, and each level would read all those in it
// again.
func judge(s HTTPResponse, codes Table, part bool) Verdict {
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
func decide(s HTTPResponse, codes Table, a *answer) Verdict {
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
	var v Verdict
	switch codes.Dialect {
	case GraphQL:
		v = graphQL(s, body, codes, byStatus, a)
	case OAuth:
		v = oAuth(body, codes, byStatus)
	default:
		v = oData(s, body, codes, byStatus, a)
	}
	if s.Op == Write && !a.confirms {
		a.gaveUp = a.gaveUp || givesUp(body) || givesUp(v.Message)
	}
	return v
}

// bodyless are the successes that need no body.
var bodyless = map[int]bool{
	http.StatusAccepted: true, http.StatusNoContent: true, http.StatusResetContent: true, http.StatusNotModified: true,
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

func incomplete(rule, message string) Verdict { return NewVerdict(IncompleteResponse, rule, message) }

func invalid(rule, message string) Verdict { return NewVerdict(InvalidResponse, rule, message) }

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
