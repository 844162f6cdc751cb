package proof

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
	"github.com/ledgerline/ledgerline/workflows"
)

// Prover makes proofs of the exports of an integration. It is a value: several proofs can be
// made with one at a time, and each is of its own.
type Prover struct {
	DB          runlog.Beginner // one that may read is enough, but to adopt
	Sources     *runlog.Sources // for Period; nil if the integration takes the default source
	Temporal    client.Client
	Integration integrations.Integration
	Actor       string         // who asks: on record with each look-up and with what is adopted
	Keep        int            // most differences that are listed of one export; 0 is all
	Zone        *time.Location // of times in texts; nil is the process's own

	// Progress is told how many entries the vendor has been asked for: 0 first, then after each
	// look-up. total is 0 if it is not known, and of exports that run it is what they have so far.
	// It may be nil.
	Progress func(done, total int)

	ask func(context.Context, adapters.LookupRequest) (found map[string]adapters.LookupResult, refused string, err error) // by a worker if nil; tests set it
}

// proving is one proof that is being made.
type proving struct {
	Prover
	comparison  comparison
	refused     string // why the vendor could not be asked for all entries
	done, total int    // entries that the vendor was asked for
}

func (p Prover) begin() *proving {
	if p.Progress == nil {
		p.Progress = func(int, int) {}
	}
	v := &proving{Prover: p, comparison: comparison{keep: p.Keep, zone: cmp.Or(p.Zone, time.Local)}}
	if v.ask == nil {
		v.ask = v.lookUp
	}
	return v
}

// Chain proves each export of a chain, or only one of them. What is wrong with them is in the
// proof; an error means that it could not be made, and if ctx has ended, that the vendor was not
// asked any further. Of an export that has not ended it is said what it has so far.
func (p Prover) Chain(ctx context.Context, c exports.Chain, only *uuid.UUID) (Proof, error) {
	list := c.Exports
	if only != nil {
		i := slices.IndexFunc(list, func(e exports.Export) bool { return e.ID == *only })
		if i < 0 {
			return Proof{}, fmt.Errorf("export %s is none of %s", *only, c.Name())
		}
		list = list[i : i+1]
	}
	v := p.begin()
	for _, e := range list {
		n, err := runlog.CountEntries(ctx, p.DB, e.OrganizationID, e.ID)
		if err != nil {
			return Proof{}, err
		}
		v.total += n.Total
	}
	v.Progress(0, v.total)
	about := Proof{ExportID: &list[0].ID, Period: c.First().Period, IntegrationID: c.First().IntegrationID}
	var all []Check
	var differences []Difference
	more := 0
	for _, e := range list {
		v.comparison = comparison{keep: p.Keep, zone: v.comparison.zone}
		checks, err := v.export(ctx, e)
		if err != nil {
			return Proof{}, err
		}
		for _, c := range checks {
			if c.ExportID = &e.ID; len(list) > 1 {
				c.What = "export " + exports.Short(e.ID) + ": " + c.What
			}
			all = append(all, c)
		}
		differences, more = append(differences, v.comparison.differences...), more+v.comparison.more
		if e.Status == exports.Pending {
			about.Pending = &e
		}
	}
	about.Ended = new(about.Pending == nil)
	if about.Pending == nil && len(list) == len(c.Exports) && vendorAgrees(all) {
		about.Summary = statement.Proved(c)
	}
	about.conclude(all, differences, more)
	return about, nil
}

// export proves one export.
func (p *proving) export(ctx context.Context, e exports.Export) ([]Check, error) {
	ev, later, err := p.recount(ctx, e)
	if err != nil {
		return nil, err
	}
	exported := fmt.Sprintf("audit row %d, entry table %d", e.Exported, ev.Exported)
	if later > 0 {
		exported += fmt.Sprintf(", and %d found to be exported after it was closed", later)
	}
	amounts := func(a map[string]string) string { return cmp.Or(exports.MoneyList(a), "-") }
	all := []Check{
		newCheck(HasEnded, true, "status %s", e.Status),
		newCheck(AddUp, e.Exported+e.Rejected+e.Unknown <= e.Total, "%d exported, %d refused, %d unknown of %d", e.Exported, e.Rejected, e.Unknown, e.Total),
		newCheck(ExportedEntries, e.Exported == ev.Exported, "%s", exported),
		newCheck(Amounts, maps.Equal(e.Amounts, ev.Amounts), "audit row %s, entry table %s", amounts(e.Amounts), amounts(ev.Amounts)),
		newCheck(SHA256, e.SHA256 == ev.SHA256, "audit row %.12s…, entries %.12s…", e.SHA256, ev.SHA256),
	}
	pending := e.Status == exports.Pending
	if pending { // its row gets its numbers when it ends
		all = []Check{
			undecided(HasEnded, "it has not: its row is filled in when it ends, and then it can be proved"),
			undecided(ExportedEntries, "%d so far", ev.Exported),
		}
	}
	all = append(all, p.workflow(ctx, e))
	logs, err := runlog.LoadAttemptStats(ctx, p.DB, e)
	if err != nil {
		return nil, err
	}
	runLogs := newCheck(RunLogs, logs.Failed <= e.Attempts && logs.Open == 0,
		"%s on record, of %s in %s; %d without an end", count(logs.Failed, "failed attempt"), count(e.Attempts, "attempt"), count(logs.Invocations, "invocation"), logs.Open)
	if pending {
		runLogs = undecided(RunLogs, "%s on record so far, in %s", count(logs.Failed, "failed attempt"), count(logs.Invocations, "invocation"))
	}
	all = append(all, runLogs)
	vendor, err := p.vendor(ctx, runlog.EntryRecords(ctx, p.DB, e.OrganizationID, e.ID), func(context.Context) error { return nil })
	for i, c := range vendor { // what was planned when it was read, the run may have sent since
		if pending && c.Kind == NotExported && c.Agrees == Disagrees {
			vendor[i].Agrees, vendor[i].Evidence = Undecided, c.Evidence+"; its run may have sent them since"
		}
	}
	return append(all, vendor...), err
}

// workflow compares the audit row with the result of the workflow, if Temporal still
// has it.
func (p *proving) workflow(ctx context.Context, e exports.Export) Check {
	if e.Trigger == exports.ByAdopting {
		return undecided(WorkflowResult, "there was none: nothing was sent")
	}
	d, err := p.Temporal.DescribeWorkflow(ctx, e.WorkflowID, e.RunID.String())
	if err != nil {
		return undecided(WorkflowResult, "Temporal no longer has it")
	}
	if d.Status != enums.WORKFLOW_EXECUTION_STATUS_COMPLETED && d.Status != enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW {
		return newCheck(WorkflowResult, e.Status == exports.Pending && !activities.Closed(d.Status), "%s", d.Status)
	}
	var r workflows.SyncResult
	if err := p.Temporal.GetWorkflow(ctx, e.WorkflowID, e.RunID.String()).Get(ctx, &r); err != nil {
		return undecided(WorkflowResult, "its result cannot be read: %s", err)
	}
	return newCheck(WorkflowResult, r.Export.ID == e.ID && r.Export.Exported == e.Exported && r.Export.SHA256 == e.SHA256,
		"%s, its result has %d exported and %.12s…", d.Status, r.Export.Exported, r.Export.SHA256)
}

// recount counts the entries as they were when the export was closed, and those that
// were found to be exported later.
func (p *proving) recount(ctx context.Context, e exports.Export) (ev runlog.Evidence, later int, err error) {
	ev, err = runlog.Recount(ctx, p.DB, e)
	if err != nil || e.FinishedAt == nil || ev.SHA256 == e.SHA256 {
		return ev, 0, err
	}
	then, err := runlog.RecountUntil(ctx, p.DB, e, e.FinishedAt)
	if err != nil {
		return ev, 0, err
	}
	return then, ev.Exported - then.Exported, nil
}
