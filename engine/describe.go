package engine

import (
	"strings"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
)

// Describe returns a one-line summary of an invocation for the Temporal UI, without any of
// its data, and whether its adapter knows that the request changes nothing. They belong in
// the invocation's Summary and ReadOnly.
func Describe(in activities.Invocation) (summary string, readOnly bool) {
	adapter, ok := activities.Adapters()[in.AdapterName]
	if !ok {
		return string(in.Operation), false
	}
	d, err := adapter.Describe(in.Operation, in.Body)
	if err != nil {
		return string(in.Operation) + " (malformed request)", false
	}
	return strings.Map(func(r rune) rune { // a summary is one line of text
		if activities.CheckLine("", string(r), utf8.UTFMax) != nil {
			return -1
		}
		return r
	}, d.Summary), d.Guard == adapters.ReadOnly
}
