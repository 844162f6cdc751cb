package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"

	"go.temporal.io/api/enums/v1"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// prover compares what is on record with what a vendor has.
type prover struct {
	*session
	sources    *runlog.Sources
	comparison vendorComparison
	refused    string // why the vendor could not be asked for all entries
}

// newProver makes a prover of the session's integration.
func newProver(s *session) (*prover, error) {
	p := &prover{session: s}
	if s.app.output != outputJSON {
		p.comparison.keep = shownDifferences
	}
	var err error
	if p.sources, err = s.app.sources(); err != nil {
		return nil, err
	}
	return p, s.connect()
}

// place is where the integration's entries go, and where the vendor is asked.
func (p *prover) place() string {
	v, _ := vendors.Lookup(p.integration.Adapter)
	return v.Place(p.integration.BaseURL, p.integration.Settings)
}

// export proves one export.
func (p *prover) export(ctx context.Context, e exports.Export) ([]proofCheck, error) {
	ev, later, err := p.recount(ctx, e)
	if err != nil {
		return nil, err
	}
	exported := fmt.Sprintf("audit row %d, entry table %d", e.Exported, ev.Exported)
	if later > 0 {
		exported += fmt.Sprintf(", and %d found to be exported after it was closed", later)
	}
	all := []proofCheck{
		newCheck("the export has ended", true, "status %s", e.Status),
		newCheck("entries add up", e.Exported+e.Rejected+e.Unknown <= e.Total, "%d exported, %d refused, %d unknown of %d", e.Exported, e.Rejected, e.Unknown, e.Total),
		newCheck("exported entries", e.Exported == ev.Exported, "%s", exported),
		newCheck("amounts", maps.Equal(e.Amounts, ev.Amounts), "audit row %s, entry table %s", dash(exports.MoneyList(e.Amounts)), dash(exports.MoneyList(ev.Amounts))),
		newCheck("SHA-256", e.SHA256 == ev.SHA256, "audit row %.12s…, entries %.12s…", e.SHA256, ev.SHA256),
	}
	pending := e.Status == exports.Pending
	if pending { // its row gets its numbers when it ends
		all = []proofCheck{
			{"the export has ended", undecided, "it has not: its row is filled in when it ends, and then it can be proved"},
			{"exported entries", undecided, fmt.Sprintf("%d so far", ev.Exported)},
		}
	}
	all = append(all, p.workflow(ctx, e))
	logs, err := runlog.LoadAttemptStats(ctx, p.db, e)
	if err != nil {
		return nil, err
	}
	runLogs := newCheck("run logs", logs.Failed <= e.Attempts && logs.Open == 0,
		"%s on record, of %s in %s; %d without an end", count(logs.Failed, "failed attempt"), count(e.Attempts, "attempt"), count(logs.Invocations, "invocation"), logs.Open)
	if pending {
		runLogs = proofCheck{"run logs", undecided, fmt.Sprintf("%s on record so far, in %s", count(logs.Failed, "failed attempt"), count(logs.Invocations, "invocation"))}
	}
	all = append(all, runLogs)
	n, err := runlog.CountEntries(ctx, p.db, e.OrganizationID, e.ID)
	if err != nil {
		return nil, err
	}
	vendor, err := p.vendor(ctx, n.Total, runlog.EntryRecords(ctx, p.db, e.OrganizationID, e.ID), func(context.Context) error { return nil })
	for i, c := range vendor { // what was planned when it was read, the run may have sent since
		if pending && c.What == string(groupNotExported) && c.Agrees == disagrees {
			vendor[i].Agrees, vendor[i].Evidence = undecided, c.Evidence+"; its run may have sent them since"
		}
	}
	return append(all, vendor...), err
}

// workflow compares the audit row with the result of the workflow, if Temporal still
// has it.
func (p *prover) workflow(ctx context.Context, e exports.Export) proofCheck {
	if e.Trigger == exports.ByAdopting {
		return proofCheck{"workflow", undecided, "there was none: nothing was sent"}
	}
	d, err := p.temporal.DescribeWorkflow(ctx, e.WorkflowID, e.RunID.String())
	if err != nil {
		return proofCheck{"workflow", undecided, "Temporal no longer has it"}
	}
	if d.Status != enums.WORKFLOW_EXECUTION_STATUS_COMPLETED && d.Status != enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW {
		return newCheck("workflow", e.Status == exports.Pending && !activities.Closed(d.Status), "%s", d.Status)
	}
	var r workflows.SyncResult
	if err := p.temporal.GetWorkflow(ctx, e.WorkflowID, e.RunID.String()).Get(ctx, &r); err != nil {
		return proofCheck{"workflow", undecided, "its result cannot be read: " + err.Error()}
	}
	return newCheck("workflow", r.Export.ID == e.ID && r.Export.Exported == e.Exported && r.Export.SHA256 == e.SHA256,
		"%s, its result has %d exported and %.12s…", d.Status, r.Export.Exported, r.Export.SHA256)
}

// recount counts the entries as they were when the export was closed, and those that
// were found to be exported later.
func (p *prover) recount(ctx context.Context, e exports.Export) (ev runlog.Evidence, later int, err error) {
	ev, err = runlog.Recount(ctx, p.db, e)
	if err != nil || e.FinishedAt == nil || ev.SHA256 == e.SHA256 {
		return ev, 0, err
	}
	then, err := runlog.RecountUntil(ctx, p.db, e, e.FinishedAt)
	if err != nil {
		return ev, 0, err
	}
	return then, ev.Exported - then.Exported, nil
}

// lookUpAtOnce is how many entries one look-up asks for.
const lookUpAtOnce = 500

// vendor asks the vendor for entries, about total of them, and compares them. It
// calls after once each look-up is compared.
func (p *prover) vendor(ctx context.Context, total int, entries iter.Seq2[runlog.EntryRecord, error], after func(context.Context) error) ([]proofCheck, error) {
	control, err := runlog.LoadControl(ctx, p.db, p.integration.OrganizationID, p.integration.ID, p.place())
	if err != nil {
		return nil, err
	}
	bar := newProgress(p.command.ErrOrStderr(), "asking the vendor", total)
	defer bar.end()
	done, blind := 0, 0
	for some, err := range batches(entries, lookUpAtOnce) {
		if err != nil {
			return nil, err
		}
		found, refused, err := p.lookUp(ctx, some, control)
		if err != nil {
			return nil, err
		}
		if p.refused = refused; refused != "" {
			break
		}
		if control != nil && slices.ContainsFunc(control.VendorKeys, func(k string) bool { return found[k] == (adapters.LookupResult{}) }) {
			blind++
		}
		for _, r := range some {
			p.comparison.add(r, found[r.VendorKey])
		}
		done += len(some)
		bar.set(done, count(done, "entry"))
		if err := after(ctx); err != nil {
			return nil, err
		}
	}
	var all []proofCheck
	if control != nil && done > 0 {
		evidence := fmt.Sprintf("%s of voucher %s known to be there, ", count(len(control.VendorKeys), "line"), control.VoucherID)
		if blind == 0 {
			evidence += "which each look-up shows"
		} else {
			evidence += fmt.Sprintf("which %s did not show: what those did not find may be there", count(blind, "look-up"))
		}
		all = append(all, newCheck("control", blind == 0, "%s", evidence))
	}
	all = append(all, p.comparison.checks()...)
	if p.refused != "" {
		all = append(all, newCheck("asking", false, "the vendor could not be asked for all entries: %s", p.refused))
	}
	return all, nil
}

// batches yields up to n values at a time.
func batches[T any](values iter.Seq2[T, error], n int) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		var some []T
		for v, err := range values {
			if err != nil {
				yield(nil, err)
				return
			}
			if some = append(some, v); len(some) == n {
				if !yield(some, nil) {
					return
				}
				some = nil
			}
		}
		if len(some) > 0 {
			yield(some, nil)
		}
	}
}

// lookUp asks the vendor for entries and for the control. refused is why it could not
// be asked.
func (p *prover) lookUp(ctx context.Context, some []runlog.EntryRecord, control *runlog.Control) (found map[string]adapters.LookupResult, refused string, err error) {
	keys := keysOf(some, control)
	body, err := json.Marshal(keys)
	if err != nil {
		return nil, "", err
	}
	in := engine.NewInvocation(p.integration, adapters.Lookup, body)
	in.Actor, in.ReadOnly, in.Summary = whoami(), true, "look-up of "+count(len(keys.Keys), "entry")
	out, err := engine.Execute(ctx, p.temporal, in)
	if err != nil {
		return nil, "", err
	}
	if !out.OK {
		return nil, out.Failure.Message, nil
	}
	if err := json.Unmarshal(out.Response.Body, &found); err != nil {
		return nil, "", fmt.Errorf("the vendor's answer: %w", err)
	}
	return found, "", nil
}

// keysOf are the keys and vouchers of entries and of the control, each once.
func keysOf(some []runlog.EntryRecord, control *runlog.Control) (k adapters.LookupRequest) {
	add := func(key, voucher string) {
		k.Keys, k.Vouchers = append(k.Keys, key), append(k.Vouchers, voucher)
	}
	for _, r := range some {
		add(r.VendorKey, r.VoucherID)
	}
	if control != nil {
		for _, key := range control.VendorKeys {
			if !slices.Contains(k.Keys, key) {
				add(key, control.VoucherID)
			}
		}
		k.Known = control.VendorKeys
	}
	return k
}
