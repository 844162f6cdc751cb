package workflows

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// What the Temporal UI shows of a workflow: a summary that it has from its start, current
// details, and summaries of timers and activities. They are words of our own, numbers and
// names. What a vendor says is not in them, since the UI reads them as Markdown, in which
// it could place a link.

// maxLine is the length of a summary, in bytes; Temporal takes 400.
const maxLine = 390

// Line cuts a summary to what Temporal takes.
func Line(s string) string {
	if len(s) <= maxLine {
		return s
	}
	end := maxLine - len("…")
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// clock is a time of day in words, with its day if that is not now's.
func clock(at, now time.Time) string {
	at, now = at.UTC(), now.UTC()
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format("15:04:05 UTC")
	}
	return at.Format("2006-01-02 15:04:05 UTC")
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// said is how an attempt ended: "Xledger answers 503 (unavailable)".
func said(adapter string, last activities.Attempt) string {
	kind := strings.ReplaceAll(string(last.Kind), "_", " ")
	if last.HTTPStatus != 0 {
		return fmt.Sprintf("%s answers %d (%s)", integrations.VendorTitle(adapter), last.HTTPStatus, kind)
	}
	return integrations.VendorTitle(adapter) + ": " + kind
}

// sent is how far a run is.
func sent(p *exports.Progress) string {
	if p.Left() == 0 {
		return "all chunks are sent"
	}
	return fmt.Sprintf("%d of %s left to send", p.Left(), count(max(p.Plan.Chunks, p.Left()), "chunk"))
}

// show sets the current details of a workflow.
func show(ctx workflow.Context, name, format string, args ...any) {
	details := fmt.Sprintf(format, args...)
	if name != "" {
		details = name + ": " + details
	}
	workflow.SetCurrentDetails(ctx, details)
}

// words are an outcome for people.
func (o Outcome) words() string {
	after := " after " + count(o.TotalAttempts, "attempt")
	if o.OK {
		return "succeeded" + after
	}
	s := string(o.Ending()) + after + ": " + string(o.Failure.ErrorClass)
	if o.Kind != "" {
		s += ", " + strings.ReplaceAll(string(o.Kind), "_", " ")
	}
	if o.Failure.HTTPStatus != nil {
		s += fmt.Sprintf(", HTTP %d", *o.Failure.HTTPStatus)
	}
	return s
}
