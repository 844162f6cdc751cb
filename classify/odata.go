package classify

import (
	"encoding/json"
)

// oData reads {"error": {"code", "message"}} and JSON batches. The code's
// prefix is not its class (docs/vendors.md#businesscentral-api): only the table counts.
func oData(s HTTPResponse, object []byte, codes Table, byStatus Verdict, a *answer) Verdict {
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
				v := NewVerdict(rule.Kind, "code:"+canonical, say(code, words))
				v.RetryAfter = rule.Wait
				listed = &v
			}
			v := NewVerdict(Business, "body:odata-error", say(code, words))
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
