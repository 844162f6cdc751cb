package calls

import (
	"fmt"
	"strings"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/workflows"
)

// CallEnded says what became of a call that somebody cancelled. An attempt that was under way
// has ended by itself, so it may have succeeded.
func CallEnded(o workflows.Outcome) string {
	var b strings.Builder
	fmt.Fprintf(&b, "call %s ", Short(o.CorrelationID))
	after := "before its first attempt"
	if o.TotalAttempts > 0 {
		after = "after " + count(o.TotalAttempts, "attempt", "attempts")
	}
	switch {
	case o.OK:
		fmt.Fprintf(&b, "succeeded %s: it was done before it could be cancelled", after)
	case o.Kind == classify.Cancelled:
		fmt.Fprintf(&b, "is cancelled, %s", after)
	default:
		fmt.Fprintf(&b, "has ended %s, with the report of the last one: %s %s: %s", after, o.Failure.ErrorClass, o.Kind, o.Failure.Message)
	}
	switch o.Effect {
	case classify.Open:
		fmt.Fprintf(&b, "; what was sent may have happened (%s): the same call again with --correlation-id asks the vendor", EffectText(o.Effect, o.OpenUntil))
	case classify.None:
		b.WriteString("; nothing was changed at the vendor")
	}
	return b.String()
}

// ExportEnded says what became of an export that somebody cancelled. reference is how a
// command names it, see [exports.Chain.Reference].
func ExportEnded(e exports.Export, reference string) string {
	s := fmt.Sprintf("the export of %s has ended as %s", exports.PeriodName(e.Period), e.Status)
	if e.ErrorCode == classify.Cancelled {
		s = fmt.Sprintf("the export of %s is cancelled", exports.PeriodName(e.Period))
	}
	s += fmt.Sprintf(": %d of %s exported", e.Exported, count(e.Total, "entry", "entries"))
	for _, part := range []struct {
		n    int
		what string
	}{{e.Rejected, "refused"}, {e.Unknown, "unknown, which may be at the vendor"}, {e.Unsent(), "not sent"}} {
		if part.n > 0 {
			s += fmt.Sprintf(", %d %s", part.n, part.what)
		}
	}
	if e.Exported < e.Total || e.Total == 0 && e.Status == exports.Failed {
		s += fmt.Sprintf("; starter exports retry %s sends the rest, and asks the vendor first about what is unknown", reference)
	}
	return s
}
