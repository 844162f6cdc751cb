package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

func (a *app) exportsShow() *cobra.Command {
	var org string
	c := &cobra.Command{
		Use: "show EXPORT --org NAME", Short: "Show an export, and its entries that were not exported", Args: exactly(1, "the UUID of an export"),
		Long: `Shows an export, and its entries that are not exported or have an error at the
vendor. If the effect of an entry is open, it is not known whether the vendor has it:
it can still take effect until the time beside it, and then the vendor is asked. An
unknown entry needs a person; see starter exports resolve.`,
		RunE: func(c *cobra.Command, args []string) error {
			s, e, err := a.openExport(c, org, args[0])
			if err != nil {
				return err
			}
			defer s.close()
			r := exportReport{Export: e, Call: a.liveCall(c.Context(), c.ErrOrStderr(), e)}
			if err := r.read(c.Context(), s.db); err != nil {
				return err
			}
			if a.output == outputJSON {
				return printJSON(c.OutOrStdout(), r)
			}
			return r.print(c.OutOrStdout())
		},
	}
	organizationFlag(c, &org)
	return c
}

// exportReport is what exports show prints.
type exportReport struct {
	Export      exports.Export      `json:"export"`
	Entries     runlog.Counts       `json:"entries"`             // as they are now
	OpenUntil   *time.Time          `json:"openUntil,omitempty"` // a write of it can take effect until then
	Waiting     string              `json:"waiting,omitempty"`   // of a pending export: for what the vendor may still be doing
	Problems    []runlog.Problem    `json:"problems"`
	Resolutions []runlog.Resolution `json:"resolutions"`
	Call        *liveCall           `json:"call"`
	ChunkSize   int                 `json:"chunkSize,omitempty"` // entries per request with which the next run begins, if less than in the file
}

// maxProblems is how many entries exports show lists.
const maxProblems = 1000

// read fills in what the database knows.
func (s *exportReport) read(ctx context.Context, db runlog.Beginner) error {
	organization, id := s.Export.OrganizationID, s.Export.ID
	var errs [5]error
	s.Entries, errs[0] = runlog.CountEntries(ctx, db, organization, id)
	s.OpenUntil, errs[1] = runlog.LoadOpenUntil(ctx, db, organization, id)
	s.Problems, errs[2] = runlog.ListProblems(ctx, db, organization, id, maxProblems)
	s.Resolutions, errs[3] = runlog.ListResolutions(ctx, db, organization, id)
	contract, err := runlog.LoadContract(ctx, db, organization, s.Export.IntegrationID)
	if errs[4] = err; contract.ChunkSize < contract.ChunkFull {
		s.ChunkSize = contract.ChunkSize
	}
	if s.OpenUntil != nil && s.Export.Status == exports.Pending {
		s.Waiting = waitReason(s.Export.AdapterName, *s.OpenUntil)
	}
	return errors.Join(errs[:]...)
}

func (s exportReport) print(w io.Writer) error {
	if err := s.describe(w); err != nil {
		return err
	}
	if len(s.Problems) > 0 {
		rows := [][]string{{"VOUCHER", "ENTRY", "STATE", "EFFECT", "REASON"}}
		for _, p := range s.Problems {
			rows = append(rows, []string{p.VoucherID, p.EntryID, string(p.State), effectOf(p.Effect, p.OpenUntil), dash(p.Reason)})
		}
		say(w, "")
		if err := table(w, rows); err != nil {
			return err
		}
	}
	if len(s.Resolutions) > 0 {
		rows := [][]string{{"RESOLVED", "VOUCHER", "THERE", "ENTRIES", "BY", "REASON"}}
		for _, r := range s.Resolutions {
			rows = append(rows, []string{r.ResolvedAt.UTC().Format(time.RFC3339), r.VoucherID, map[bool]string{true: "yes", false: "no"}[r.AtVendor], strconv.Itoa(r.Entries), r.Actor, r.Reason})
		}
		say(w, "")
		return table(w, rows)
	}
	return nil
}

// describe prints the export itself.
func (s exportReport) describe(w io.Writer) error {
	e, n := s.Export, s.Entries
	at := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return t.UTC().Format(time.RFC3339)
	}
	rows := [][]string{
		{"export", e.ID.String()}, {"period", e.Period + " (" + e.PeriodStart.Format(time.DateOnly) + " to before " + e.PeriodEnd.Format(time.DateOnly) + ")"},
		{"adapter", e.AdapterName}, {"started by", e.TriggeredBy + " (" + string(e.Trigger) + ")"}, {"status", exportStatus(e)},
		{"scheduled", at(e.ScheduledAt)}, {"started", at(&e.StartedAt)}, {"finished", at(e.FinishedAt)},
		{"entries", s.counts()},
		{"amounts", dash(amountsOf(e.Amounts))}, {"sha-256", dash(e.SHA256)},
		{"attempts", fmt.Sprintf("%d for %s", e.Attempts, count(e.Chunks, "chunk"))}, {"requests", requestsOf(e)}, {"workflow", e.WorkflowID},
	}
	add := func(known bool, name, format string, value any) {
		if known {
			rows = append(rows, []string{name, fmt.Sprintf(format, value)})
		}
	}
	cold := map[bool]string{true: ", a cold start"}[e.ColdStart]
	changed := n.Total != e.Total || n.Exported != e.Exported || n.Rejected != e.Rejected || n.Unknown+n.Sent != e.Unknown
	add(e.Status != exports.Pending && changed, "now", "%s; changed after it had ended, by late results, starter exports resolve or a retry", countsOf(n))
	add(e.ScheduledAt != nil, "drift", "%v", e.Drift().Round(time.Millisecond))
	add(e.WarmUp > 0, "warm-up", "%s", e.WarmUp.Round(time.Millisecond).String()+cold+warmUpParts(e.WarmUpMS))
	add(s.Waiting != "", "waiting", "%s", s.Waiting)
	add(s.Call != nil, "call", "%s", s.Call)
	add(s.ChunkSize > 0, "next run", "begins with %s in a request, the size that worked", count(s.ChunkSize, "entry"))
	add(e.DeferredUntil != nil, "deferred", "until %s", at(e.DeferredUntil))
	add(e.DeferredUntil != nil && e.DeferredFor != "", "deferred for", "%s", e.DeferredFor)
	add(e.ParentID != nil, "retry of", "%s", e.ParentID)
	add(e.LateErrors > 0, "late errors", "%s with an error at the vendor", count(e.LateErrors, "exported entry"))
	add(e.ErrorMessage != "", "error", "%s", exportError(e))
	return table(w, rows)
}

// counts are an export's entries: as they are now while it is pending, and as they
// were when it was closed after that.
func (s exportReport) counts() string {
	if s.Export.Status == exports.Pending {
		return countsOf(s.Entries)
	}
	e := s.Export
	return fmt.Sprintf("%d: %d exported, %d rejected, %d unknown", e.Total, e.Exported, e.Rejected, e.Unknown) + ifAny(", %d not sent", e.Unsent())
}

func countsOf(n runlog.Counts) string {
	return fmt.Sprintf("%d: %d exported, %d rejected, %d unknown", n.Total, n.Exported, n.Rejected, n.Unknown) +
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

// waitReason says until when an adapter's vendor may still be acting on a request.
func waitReason(adapter string, until time.Time) string {
	title := adapter
	if v, ok := vendors.Lookup(adapter); ok {
		title = v.Title
	}
	return "until " + until.UTC().Format(time.TimeOnly) + " for what " + title + " may still be doing"
}

// effectOf is what is known of a write, and until when it can still take effect.
func effectOf(effect classify.Effect, openUntil *time.Time) string {
	if effect == classify.Open && openUntil != nil && !openUntil.IsZero() {
		return "open until " + openUntil.UTC().Format(time.TimeOnly)
	}
	return dash(string(effect))
}

// liveCall is the call of a pending export as Temporal sees it.
type liveCall struct {
	State         engine.State     `json:"state"` // running or waiting
	Attempts      activities.Trail `json:"attempts"`
	NextAttemptAt *time.Time       `json:"nextAttemptAt,omitempty"`
	Reason        string           `json:"reason,omitempty"` // why it waits
}

// liveCall returns the call of a pending export, or nil if it has none now.
func (a *app) liveCall(ctx context.Context, words io.Writer, e exports.Export) *liveCall {
	if e.Status != exports.Pending {
		return nil
	}
	temporal, _, err := a.temporal(ctx)
	if err != nil {
		say(words, "note: %v; showing the audit record only", err)
		return nil
	}
	defer temporal.Close()
	live, err := engine.ExportStatus(ctx, temporal, e.WorkflowID)
	if err != nil {
		say(words, "note: Temporal does not have the state of its run: %v", err)
		return nil
	}
	if live.State != engine.Running && live.State != engine.Waiting {
		return nil
	}
	return &liveCall{live.State, live.Trail, live.NextAttemptAt, live.Reason}
}

// String is the call in one line.
func (l liveCall) String() string {
	switch last := l.Attempts.Last(); {
	case l.NextAttemptAt != nil:
		s := fmt.Sprintf("attempt %d failed (%s %s), the next one is at %s", last.Number, last.Class, last.Kind, l.NextAttemptAt.UTC().Format(time.RFC3339))
		if l.Reason != "" {
			s += ": " + l.Reason
		}
		return s
	case l.Reason != "":
		return l.Reason
	default:
		return fmt.Sprintf("attempt %d is under way", max(1, last.Number))
	}
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
