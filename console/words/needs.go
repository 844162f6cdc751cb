package words

// Needs are the kinds of what needs a person that have words, the worst first: those of
// package attention, which this one does not import.
var Needs = []string{
	"no_worker", "dead", "stuck", "failed", "unknown", "missed", "credential", "overdue", "incident", "refused", "late_error", "elsewhere", "quota", "notification",
	"in_flight", "late", "paused",
}

// Need says what needs a person, by its kind: a heading, what it means, and what to do, with
// the name of an adapter's vendor.
func (p *Printer) Need(kind, adapter string) (title, what, remedy string) {
	key, vendor := "need."+kind, p.Vendor(adapter)
	say := func(part string) string { return Capital(p.T(key+"."+part, "vendor", vendor)) }
	return say("title"), say("what"), say("remedy")
}
