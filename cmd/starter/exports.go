package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// amountsOf lists sums by currency.
func amountsOf(amounts map[string]string) string {
	var list []string
	for k, v := range amounts {
		list = append(list, k+" "+v)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func exportTable(w io.Writer, list []exports.Export) error {
	rows := [][]string{{"STARTED", "EXPORT", "PERIOD", "ADAPTER", "TRIGGER", "STATUS", "ENTRIES", "EXPORTED", "REJECTED", "UNKNOWN", "AMOUNTS", "ERROR"}}
	for _, e := range list {
		rows = append(rows, []string{
			e.StartedAt.UTC().Format(time.RFC3339), e.ID.String(), e.Period, e.AdapterName, string(e.Trigger), statusOf(e), strconv.Itoa(e.Total),
			strconv.Itoa(e.Exported), strconv.Itoa(e.Rejected), strconv.Itoa(e.Unknown), dash(amountsOf(e.Amounts)), dash(clip(strings.TrimPrefix(e.ErrorCode+": "+e.ErrorMessage, ": "), 60)),
		})
	}
	return table(w, rows)
}

func (a *app) exports() *cobra.Command {
	c := &cobra.Command{Use: "exports", Short: "What became of exports"}
	c.AddCommand(a.exportsList(), a.exportsShow(), a.exportsRetry(), a.exportsProve(), a.exportsResolve())
	return c
}

func (a *app) exportsList() *cobra.Command {
	var org string
	c := &cobra.Command{
		Use: "list --org UUID", Short: "An organization's exports, newest first", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			organization, pool, err := a.organization(c, org)
			if err != nil {
				return err
			}
			defer pool.Close()
			list, err := runlog.ListExports(c.Context(), pool, organization, 100)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(c.OutOrStdout(), list)
			}
			return exportTable(c.OutOrStdout(), list)
		},
	}
	organizationFlag(c, &org)
	return c
}

func (a *app) exportsShow() *cobra.Command {
	var org string
	c := &cobra.Command{
		Use: "show EXPORT --org UUID", Short: "An export, and its entries that were not exported", Args: exactly(1, "the UUID of an export"),
		Long: `Shows an export, and its entries that are not exported or were found faulty. Of
an entry whose effect is open it is not known whether it is at the vendor: until
the time that stands there it can still take effect, and then the vendor is
asked. An unknown one is for a person; see starter exports resolve.`,
		RunE: func(c *cobra.Command, args []string) error {
			e, pool, err := a.findExport(c, org, args[0])
			if err != nil {
				return err
			}
			defer pool.Close()
			s := exportSeen{Export: e, Call: a.callNow(c.Context(), c.ErrOrStderr(), e)}
			if err := s.read(c.Context(), pool); err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(c.OutOrStdout(), s)
			}
			return s.print(c.OutOrStdout())
		},
	}
	organizationFlag(c, &org)
	return c
}

// exportSeen is what exports show prints.
type exportSeen struct {
	Export      exports.Export      `json:"export"`
	Entries     runlog.Counts       `json:"entries"`             // as they are now
	OpenUntil   *time.Time          `json:"openUntil,omitempty"` // something of it can take effect until then
	Waiting     string              `json:"waiting,omitempty"`   // of a pending one, for what the vendor may still be doing
	Problems    []runlog.Problem    `json:"problems"`
	Resolutions []runlog.Resolution `json:"resolutions"`
	Call        *callNow            `json:"call"`
	ChunkSize   int                 `json:"chunkSize,omitempty"` // with which the integration's next run begins, if it is less than the file's
}

// maxProblems is how many entries exports show lists.
const maxProblems = 1000

// read fills in what the database knows.
func (s *exportSeen) read(ctx context.Context, db runlog.Beginner) error {
	organization, id := s.Export.OrganizationID, s.Export.ID
	var faults [5]error
	s.Entries, faults[0] = runlog.CountEntries(ctx, db, organization, id)
	s.OpenUntil, faults[1] = runlog.LoadOpenUntil(ctx, db, organization, id)
	s.Problems, faults[2] = runlog.ListProblems(ctx, db, organization, id, maxProblems)
	s.Resolutions, faults[3] = runlog.ListResolutions(ctx, db, organization, id)
	contract, err := runlog.LoadContract(ctx, db, organization, s.Export.IntegrationID)
	if faults[4] = err; contract.ChunkSize < contract.ChunkFull {
		s.ChunkSize = contract.ChunkSize
	}
	if s.OpenUntil != nil && s.Export.Status == exports.Pending {
		s.Waiting = waitingFor(s.Export.AdapterName, *s.OpenUntil)
	}
	return errors.Join(faults[:]...)
}

// waitingFor says until when an adapter's vendor may still be doing something.
func waitingFor(adapter string, until time.Time) string {
	title := adapter
	if v, ok := vendors.Lookup(adapter); ok {
		title = v.Title
	}
	return "until " + until.UTC().Format(time.TimeOnly) + " for what " + title + " may still be doing"
}

func (s exportSeen) print(w io.Writer) error {
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
			rows = append(rows, []string{r.ResolvedAt.UTC().Format(time.RFC3339), r.VoucherID, map[bool]string{true: "yes", false: "no"}[r.There], strconv.Itoa(r.Entries), r.Actor, r.Reason})
		}
		say(w, "")
		return table(w, rows)
	}
	return nil
}

// effectOf is what is known of a write, and until when it can still take effect.
func effectOf(effect classify.Effect, openUntil *time.Time) string {
	if effect == classify.Open && openUntil != nil && !openUntil.IsZero() {
		return "open until " + openUntil.UTC().Format(time.TimeOnly)
	}
	return dash(string(effect))
}

// callNow is how the call of a pending export is doing; nil if it has none at
// the moment.
type callNow struct {
	State         engine.State     `json:"state"` // running or waiting
	Attempts      activities.Trail `json:"attempts"`
	NextAttemptAt *time.Time       `json:"nextAttemptAt,omitempty"`
	Reason        string           `json:"reason,omitempty"` // why it waits
}

func (a *app) callNow(ctx context.Context, words io.Writer, e exports.Export) *callNow {
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
		say(words, "note: Temporal does not say how its run is doing: %v", err)
		return nil
	}
	if live.State != engine.Running && live.State != engine.Waiting {
		return nil
	}
	return &callNow{live.State, live.Trail, live.NextAttemptAt, live.Reason}
}

// String is one line of it.
func (n callNow) String() string {
	switch last := n.Attempts.Last(); {
	case n.NextAttemptAt != nil:
		s := fmt.Sprintf("attempt %d failed (%s %s), the next one is at %s", last.Number, last.Class, last.Kind, n.NextAttemptAt.UTC().Format(time.RFC3339))
		if n.Reason != "" {
			s += ": " + n.Reason
		}
		return s
	case n.Reason != "":
		return n.Reason
	default:
		return fmt.Sprintf("attempt %d is under way", max(1, last.Number))
	}
}

// describe prints all there is to know of an export.
func (s exportSeen) describe(w io.Writer) error {
	e, n, now := s.Export, s.Entries, s.Call
	at := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return t.UTC().Format(time.RFC3339)
	}
	rows := [][]string{
		{"export", e.ID.String()}, {"period", e.Period + " (" + e.PeriodStart.Format(time.DateOnly) + " to before " + e.PeriodEnd.Format(time.DateOnly) + ")"},
		{"adapter", e.AdapterName}, {"started by", e.TriggeredBy + " (" + string(e.Trigger) + ")"}, {"status", statusOf(e)},
		{"scheduled", at(e.ScheduledAt)}, {"started", at(&e.StartedAt)}, {"finished", at(e.FinishedAt)},
		{"entries", s.counts()},
		{"amounts", dash(amountsOf(e.Amounts))}, {"sha-256", dash(e.SHA256)},
		{"attempts", fmt.Sprintf("%d for %d chunks", e.Attempts, e.Chunks)}, {"requests", requestsOf(e)}, {"workflow", e.WorkflowID},
	}
	if e.Status != exports.Pending && (n.Total != e.Total || n.Exported != e.Exported || n.Rejected != e.Rejected || n.Unknown+n.Sent != e.Unknown) {
		rows = append(rows, []string{"now", fmt.Sprintf("%s; what changed after it had ended: facts that came later, words of people, a retry", countsOf(n))})
	}
	if e.ScheduledAt != nil {
		rows = append(rows, []string{"drift", e.Drift().Round(time.Millisecond).String()})
	}
	if e.WarmUp > 0 {
		cold := ""
		if e.ColdStart {
			cold = ", a cold start"
		}
		rows = append(rows, []string{"warm-up", e.WarmUp.Round(time.Millisecond).String() + cold + parts(e.WarmUpMS)})
	}
	if s.Waiting != "" {
		rows = append(rows, []string{"waiting", s.Waiting})
	}
	if now != nil {
		rows = append(rows, []string{"call", now.String()})
	}
	if s.ChunkSize > 0 {
		rows = append(rows, []string{"next run", fmt.Sprintf("begins with %d entries in a request, the size that worked", s.ChunkSize)})
	}
	if e.DeferredUntil != nil {
		rows = append(rows, []string{"deferred", "until " + at(e.DeferredUntil)})
	}
	if e.ParentID != nil {
		rows = append(rows, []string{"retry of", e.ParentID.String()})
	}
	if e.LateErrors > 0 {
		rows = append(rows, []string{"faults", fmt.Sprintf("%d exported entries are faulty at the vendor", e.LateErrors)})
	}
	if e.ErrorMessage != "" {
		rows = append(rows, []string{"error", strings.TrimPrefix(e.ErrorCode+": "+e.ErrorMessage, ": ")})
	}
	return table(w, rows)
}

// counts are an export's entries: as they are now while it is pending, and then
// as they were when it was closed.
func (s exportSeen) counts() string {
	if s.Export.Status == exports.Pending {
		return countsOf(s.Entries)
	}
	e := s.Export
	line := fmt.Sprintf("%d: %d exported, %d rejected, %d unknown", e.Total, e.Exported, e.Rejected, e.Unknown)
	if n := e.Unsent(); n > 0 {
		line += fmt.Sprintf(", %d not sent", n)
	}
	return line
}

// requestsOf is what an export has cost the vendor's quota.
func requestsOf(e exports.Export) string {
	line := strconv.Itoa(e.Requests)
	if e.Status == exports.Pending {
		line = "at least " + line
	}
	if e.LookUps > 0 {
		line += fmt.Sprintf(", of them %d look-ups", e.LookUps)
	}
	if e.Isolating > 0 {
		line += fmt.Sprintf("; %d were spent on finding the vouchers that were refused", e.Isolating)
	}
	return line
}

func countsOf(n runlog.Counts) string {
	line := fmt.Sprintf("%d: %d exported, %d rejected, %d unknown", n.Total, n.Exported, n.Rejected, n.Unknown)
	if n.Sent > 0 {
		line += fmt.Sprintf(", %d sent", n.Sent)
	}
	if n.Planned > 0 {
		line += fmt.Sprintf(", %d planned", n.Planned)
	}
	if n.Open > 0 {
		line += fmt.Sprintf("; the effect of %d is open", n.Open)
	}
	return line
}

// statusOf is the status, and until when a pending export waits.
func statusOf(e exports.Export) string {
	if e.Status == exports.Pending && e.DeferredUntil != nil && e.DeferredUntil.After(time.Now()) {
		return string(e.Status) + " until " + e.DeferredUntil.UTC().Format(time.RFC3339)
	}
	return string(e.Status)
}

// findExport finds an export of an organization. The caller closes the pool.
func (a *app) findExport(c *cobra.Command, org, which string) (exports.Export, *pgxpool.Pool, error) {
	organization, err := parseUUID("--org", org)
	if err != nil {
		return exports.Export{}, nil, err
	}
	id, err := parseUUID("EXPORT", which)
	if err != nil {
		return exports.Export{}, nil, err
	}
	pool, err := a.database(c.Context())
	if err != nil {
		return exports.Export{}, nil, err
	}
	e, err := runlog.LoadExport(c.Context(), pool, organization, id)
	if err != nil {
		pool.Close()
		return e, nil, err
	}
	return e, pool, nil
}

func (a *app) exportsRetry() *cobra.Command {
	var org string
	var how waiting
	c := &cobra.Command{
		Use: "retry EXPORT --org UUID", Short: "Send what an export did not get done, as an export of its own",
		Long: `Makes a new export, with the given one as its parent, of the entries that the
vendor refused, that were not sent, or whose outcome is unknown; the vendor is
asked about those first. Rejected entries are taken anew from the source, with
the mappings as they are now. Of an export that could plan nothing it exports the
whole period. An export has one retry; retry that one if need be.`,
		Args: exactly(1, "the UUID of an export"),
		RunE: func(c *cobra.Command, args []string) error {
			e, pool, err := a.findExport(c, org, args[0])
			if err != nil {
				return err
			}
			defer pool.Close()
			n, err := runlog.CountEntries(c.Context(), pool, e.OrganizationID, e.ID)
			switch {
			case err != nil:
				return err
			case e.Status == exports.Pending && e.Trigger == exports.ByAdopting:
				return fmt.Errorf("export %s is not over yet; starter exports prove --period %s --adopt resumes it", e.ID, e.Period)
			case e.Status == exports.Pending:
				return fmt.Errorf("export %s is not over yet; if its run is no more, starter sync of period %s goes on with it", e.ID, e.Period)
			case n.Exported == n.Total && (e.Status == exports.Complete || e.Total > 0): // a failed one without entries could not plan
				say(c.ErrOrStderr(), "nothing to retry: every entry is exported, or has gone to a retry; see starter exports list, and retry that one")
				return nil
			}
			spec, err := find(c.Context(), pool, e.OrganizationID, e.IntegrationID.String())
			if err != nil {
				return err
			}
			parent := e.ID
			return a.runSync(c, pool, workflows.SyncInput{
				OrganizationID: e.OrganizationID, IntegrationID: e.IntegrationID, AdapterName: spec.Adapter, Policy: spec.Policy, OwnQueue: spec.Limits.OwnQueue(),
				Period: e.Period, PeriodStart: e.PeriodStart, PeriodEnd: e.PeriodEnd, Trigger: exports.ByRetry, TriggeredBy: whoami(), ParentID: &parent,
			}, how)
		},
	}
	organizationFlag(c, &org)
	how.flags(c)
	return c
}

// parts are the parts of a warm-up in the order in which they come.
func parts(ms map[string]int64) string {
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
