package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
)

// exportDetail is what engineers see of one export.
type exportDetail struct {
	ExportID     uuid.UUID `json:"exportId"`
	export       exports.Export
	Entries      statement.Counts    `json:"entries"` // as they are now
	Problems     []statement.Problem `json:"problems"`
	MoreProblems int                 `json:"moreProblems"` // that are not listed, about
}

// maxProblems is how many entries of an export exports show --details lists.
const maxProblems = 1000

func (d *exportDetail) read(ctx context.Context, db runlog.Beginner) error {
	counts, countErr := runlog.CountEntries(ctx, db, d.export.OrganizationID, d.export.ID)
	problems, listErr := runlog.ListProblems(ctx, db, d.export.OrganizationID, d.export.ID, maxProblems+1)
	d.Entries, d.Problems = statement.OfCounts(counts), statement.OfProblems(problems)
	if len(d.Problems) > maxProblems {
		d.Problems = d.Problems[:maxProblems]
		d.MoreProblems = max(1, d.Entries.Total-d.Entries.Exported+d.export.LateErrors-maxProblems)
	}
	return errors.Join(countErr, listErr)
}

// print prints the export itself, and its entries that are not exported.
func (d exportDetail) print(w io.Writer, now time.Time) error {
	e, n := d.export, d.Entries
	at := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return t.In(now.Location()).Format("2006-01-02 15:04:05 MST")
	}
	rows := [][]string{
		{"export", e.ID.String()}, {"adapter", e.AdapterName}, {"started by", e.TriggeredBy + " (" + string(e.Trigger) + ")"}, {"status", string(e.Status)},
		{"scheduled", at(e.ScheduledAt)}, {"started", at(&e.StartedAt)}, {"finished", at(e.FinishedAt)},
		{"entries", d.counts()},
		{"amounts", dash(amountsOf(e.Amounts))}, {"sha-256", dash(e.SHA256)},
		{"attempts", fmt.Sprintf("%d for %s", e.Attempts, count(e.Chunks, "chunk"))}, {"requests", requestsOf(e)}, {"workflow", e.WorkflowID},
	}
	add := func(known bool, name, format string, value any) {
		if known {
			rows = append(rows, []string{name, fmt.Sprintf(format, value)})
		}
	}
	cold := map[bool]string{true: ", a cold start"}[e.ColdStart]
	changed := n.Total != e.Total || n.Exported != e.Exported || n.Refused != e.Rejected || n.Unknown+n.Sent != e.Unknown
	add(e.Status != exports.Pending && changed, "now", "%s; changed after it had ended, by late results, starter exports resolve or a retry", countsOf(n))
	add(e.ScheduledAt != nil, "drift", "%v", e.Drift().Round(time.Millisecond))
	add(e.WarmUp > 0, "warm-up", "%s", e.WarmUp.Round(time.Millisecond).String()+cold+warmUpParts(e.WarmUpMS))
	add(e.Status == exports.Pending && e.DeferredUntil != nil, "deferred", "until %s", at(e.DeferredUntil))
	add(e.Status == exports.Pending && e.DeferredUntil != nil && e.DeferredFor != "", "deferred for", "%s", e.DeferredFor)
	add(e.ParentID != nil, "retry of", "%s", e.ParentID)
	add(e.LateErrors > 0, "late errors", "%s with an error at the vendor", count(e.LateErrors, "exported entry"))
	add(e.ErrorMessage != "", "error", "%s", exportError(e))
	say(w, "")
	if err := table(w, rows); err != nil || len(d.Problems) == 0 {
		return err
	}
	rows = [][]string{{"VOUCHER", "ENTRY", "STATE", "EFFECT", "REASON"}}
	for _, p := range d.Problems {
		rows = append(rows, []string{p.VoucherID, p.EntryID, string(p.State), effectOf(p.Effect, p.OpenUntil, now), dash(p.Message)})
	}
	say(w, "")
	err := table(w, rows)
	if d.MoreProblems > 0 {
		err = errors.Join(err, say(w, "about %d more of export %s: -o csv writes all vouchers", d.MoreProblems, exports.Short(d.export.ID)))
	}
	return err
}

// counts are an export's entries: as they are now while it is pending, and as they
// were when it was closed after that.
func (d exportDetail) counts() string {
	if d.export.Status == exports.Pending {
		return countsOf(d.Entries)
	}
	e := d.export
	return fmt.Sprintf("%d: %d exported, %d refused, %d unknown", e.Total, e.Exported, e.Rejected, e.Unknown) + ifAny(", %d not sent", e.Unsent())
}

func countsOf(n statement.Counts) string {
	return fmt.Sprintf("%d: %d exported, %d refused, %d unknown", n.Total, n.Exported, n.Refused, n.Unknown) +
		ifAny(", %d sent", n.Sent) + ifAny(", %d planned", n.Planned) + ifAny("; the effect of %d is open", n.Open)
}

// requestsOf is what an export has used of the vendor's quota.
func requestsOf(e exports.Export) string {
	line := strconv.Itoa(e.Requests)
	if e.Status == exports.Pending {
		line = "at least " + line
	}
	if e.LookUps > 0 {
		line += ", of them " + count(e.LookUps, "look-up")
	}
	return line + ifAny("; %d to find the vouchers that were refused", e.Isolating)
}

// ifAny is part of a line, left out if there are none.
func ifAny(format string, n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}

// effectOf is what is known of a write, and until when it can still take effect, in now's zone.
func effectOf(effect classify.Effect, openUntil *time.Time, now time.Time) string {
	if effect == classify.Open && openUntil != nil && !openUntil.IsZero() {
		return "open until " + openUntil.In(now.Location()).Format("2006-01-02 15:04:05 MST")
	}
	return dash(string(effect))
}

// exportError is the error of an export, with its code if it has one.
func exportError(e exports.Export) string {
	return strings.TrimPrefix(string(e.ErrorCode)+": "+e.ErrorMessage, ": ")
}

// amountsOf lists sums by currency.
func amountsOf(amounts map[string]string) string {
	return exports.MoneyList(amounts)
}

// warmUpParts are the parts of a warm-up in the order in which they come.
func warmUpParts(ms map[string]int64) string {
	var b strings.Builder
	for _, p := range []struct{ name, says string }{
		{"dns", "DNS"}, {"connect", "connect"}, {"tls", "TLS"}, {"token", "token"}, {"first_byte", "first byte"},
	} {
		if ms[p.name] > 0 {
			fmt.Fprintf(&b, ", %s %d ms", p.says, ms[p.name])
		}
	}
	if up := ms["worker_uptime"]; up > 0 {
		fmt.Fprintf(&b, ", worker up for %s", (time.Duration(up) * time.Millisecond).Round(time.Second))
	}
	if before := ms["before_run"]; before > 0 {
		fmt.Fprintf(&b, ", %s before the run", (time.Duration(before) * time.Millisecond).Round(time.Second))
	}
	return b.String()
}
