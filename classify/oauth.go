package classify

// oAuth reads a token answer. The error member is a code at any status; the
// AADSTS number in the description never decides (docs/vendors.md#entra-errors).
func oAuth(object []byte, codes Table, byStatus Verdict) Verdict {
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
			v := NewVerdict(rule.Kind, "code:"+canonical, message)
			v.RetryAfter = rule.Wait
			return v
		}
		if success {
			return NewVerdict(Business, "body:oauth-error", message)
		}
		byStatus.Message = message
		return byStatus
	}
	if success && !token {
		return invalid("body:no-token", "the answer holds no access_token")
	}
	return byStatus
}
