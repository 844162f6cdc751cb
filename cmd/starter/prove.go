package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// finding is one thing that was compared. Agrees is null where there was
// nothing to compare with.
type finding struct {
	What     string `json:"what"`
	Agrees   *bool  `json:"agrees"`
	Evidence string `json:"evidence"`
}

func compared(what string, agrees bool, format string, args ...any) finding {
	return finding{what, &agrees, fmt.Sprintf(format, args...)}
}

// shownDifferences is how many differences the table lists.
const shownDifferences = 20

func (a *app) exportsProve() *cobra.Command {
	var org, integration, period string
	var adopt bool
	c := &cobra.Command{
		Use: "prove [EXPORT] --org UUID", Short: "Check an export or a period against the entries, the workflow and the vendor",
		Long: `Checks an export's audit row against the entry table (counts, amounts, SHA-256),
against the workflow where Temporal still has it, and against the vendor, who is
asked for every entry: an exported one must be there once, with its amount; a
planned or rejected one must not be there; of a sent or unknown one it says what
was found. Exits 1 when something does not agree. Asking costs one request for
500 entries.

With --period and --integration instead of an export it begins with the source:
the vendor is asked for every entry that an export of the period would take if
nothing were on record. That is for a database that was restored to an older
state, which would send again what it has lost. Entries that the vendor has, and
the record does not have as exported, are listed. With --adopt they are taken
into the record, as an export of their own with the trigger adopt, and a later
starter sync of the period sends only what is missing. What only a person can
tell, such as posted lines or another amount, is taken as unknown, so that it is
not sent; see starter exports resolve. Stop its schedule before (starter schedules
pause), and begin with the oldest period.`,
		Example: "  starter exports prove $EXPORT --org $ORG\n  starter exports prove --period 2026-10 --integration xledger-main --org $ORG --adopt",
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case period == "" && integration == "" && !adopt:
				return exactly(1, "the UUID of an export, or --period and --integration")(c, args)
			case len(args) > 0:
				return usage("%s: want an export or --period, not both", c.CommandPath())
			case period == "" || integration == "":
				return usage("%s: --period and --integration belong together, and --adopt needs both", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if period != "" {
				return a.provePeriod(c, org, integration, period, adopt)
			}
			e, pool, err := a.findExport(c, org, args[0])
			if err != nil {
				return err
			}
			pool.Close()
			p, err := a.newProver(c, e.OrganizationID, e.IntegrationID.String())
			if err != nil {
				return err
			}
			defer p.close()
			findings, err := p.export(c.Context(), e)
			if err != nil {
				return err
			}
			return a.printProof(c.OutOrStdout(), map[string]any{"exportId": e.ID}, findings, p.comparison)
		},
	}
	organizationFlag(c, &org)
	c.Flags().StringVar(&integration, "integration", "", "with --period: `name` or UUID of the integration")
	c.Flags().StringVar(&period, "period", "", "prove a `period` from its source instead of an export: 2026-10, 2026-W45 or 2026-11-23")
	c.Flags().BoolVar(&adopt, "adopt", false, "with --period: take into the record what the vendor has")
	return c
}

// printProof prints what was found. Something that does not agree is an error.
func (a *app) printProof(w io.Writer, about map[string]any, findings []finding, found comparison) error {
	agrees := true
	rows := [][]string{{"AGREES", "WHAT", "EVIDENCE"}}
	for _, f := range findings {
		verdict := "-"
		if f.Agrees != nil {
			verdict = map[bool]string{true: "yes", false: "NO"}[*f.Agrees]
			agrees = agrees && *f.Agrees
		}
		rows = append(rows, []string{verdict, f.What, f.Evidence})
	}
	var err error
	switch {
	case a.output == "json":
		differences := found.differences
		if differences == nil {
			differences = []difference{}
		}
		about["agrees"], about["findings"], about["differences"] = agrees, findings, differences
		err = printJSON(w, about)
	case len(found.differences) == 0:
		err = table(w, rows)
	default:
		err = table(w, rows)
		say(w, "")
		err = errors.Join(err, table(w, found.table()))
		if found.more > 0 {
			say(w, "and %d more; -o json lists all", found.more)
		}
	}
	if err == nil && !agrees {
		err = errors.New("something does not agree")
	}
	return err
}

// prover compares what is on record with what a vendor has.
type prover struct {
	pool       *pgxpool.Pool
	sources    *runlog.Sources
	temporal   client.Client
	spec       integrations.Integration
	words      io.Writer
	comparison comparison
	refused    string // why the vendor could not be asked for all entries
}

func (a *app) newProver(c *cobra.Command, organization uuid.UUID, integration string) (*prover, error) {
	p := &prover{words: c.ErrOrStderr()}
	var err error
	if p.sources, err = a.sources(); err != nil {
		return nil, err
	}
	if p.pool, err = a.database(c.Context()); err != nil {
		return nil, err
	}
	if p.spec, err = find(c.Context(), p.pool, organization, integration); err == nil {
		p.temporal, _, err = a.temporal(c.Context())
	}
	if err != nil {
		p.pool.Close()
		return nil, err
	}
	if a.output != "json" {
		p.comparison.keep = shownDifferences
	}
	return p, nil
}

// place is where the integration's entries go, and where the vendor is asked.
func (p *prover) place() string {
	v, _ := vendors.Lookup(p.spec.Adapter)
	return v.Place(p.spec.BaseURL, p.spec.Settings)
}

func (p *prover) close() {
	p.temporal.Close()
	p.pool.Close()
}

// workflow compares the audit row with the result that the workflow
// still has, if Temporal still has the workflow.
func (p *prover) workflow(ctx context.Context, e exports.Export) finding {
	if e.Trigger == exports.ByAdopting {
		return finding{"workflow", nil, "it had none: nothing was sent"}
	}
	d, err := p.temporal.DescribeWorkflowExecution(ctx, e.WorkflowID, e.RunID.String())
	if err != nil {
		return finding{"workflow", nil, "Temporal no longer has it"}
	}
	status := d.GetWorkflowExecutionInfo().GetStatus()
	if status != enums.WORKFLOW_EXECUTION_STATUS_COMPLETED && status != enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW {
		return compared("workflow", e.Status == exports.Pending && status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING, "%s", status)
	}
	var r workflows.SyncResult
	if err := p.temporal.GetWorkflow(ctx, e.WorkflowID, e.RunID.String()).Get(ctx, &r); err != nil {
		return finding{"workflow", nil, "its result cannot be read: " + err.Error()}
	}
	return compared("workflow", r.Export.ID == e.ID && r.Export.Exported == e.Exported && r.Export.SHA256 == e.SHA256,
		"%s, its result has %d exported and %.12s…", status, r.Export.Exported, r.Export.SHA256)
}

// export proves one export.
func (p *prover) export(ctx context.Context, e exports.Export) ([]finding, error) {
	ev, later, err := p.recount(ctx, e)
	if err != nil {
		return nil, err
	}
	exported := fmt.Sprintf("audit row %d, entry table %d", e.Exported, ev.Exported)
	if later > 0 {
		exported += fmt.Sprintf(", and %d that were found to be exported after it was closed", later)
	}
	all := []finding{
		compared("the export is over", e.Status != exports.Pending, "status %s", e.Status),
		compared("entries add up", e.Exported+e.Rejected+e.Unknown <= e.Total, "%d exported, %d rejected, %d unknown of %d", e.Exported, e.Rejected, e.Unknown, e.Total),
		compared("exported entries", e.Exported == ev.Exported, "%s", exported),
		compared("amounts", maps.Equal(e.Amounts, ev.Amounts), "audit row %v, entry table %v", e.Amounts, ev.Amounts),
		compared("SHA-256", e.SHA256 == ev.SHA256, "audit row %.12s…, entries %.12s…", e.SHA256, ev.SHA256),
	}
	all = append(all, p.workflow(ctx, e))
	logs, err := runlog.LoadAttemptStats(ctx, p.pool, e)
	if err != nil {
		return nil, err
	}
	all = append(all, compared("run logs", logs.Failed <= e.Attempts && logs.Open == 0,
		"%d failed attempts of %d on record, of %d invocations; %d without an end", logs.Failed, e.Attempts, logs.Invocations, logs.Open))
	n, err := runlog.CountEntries(ctx, p.pool, e.OrganizationID, e.ID)
	if err != nil {
		return nil, err
	}
	vendor, err := p.vendor(ctx, n.Total, runlog.EntryRecords(ctx, p.pool, e.OrganizationID, e.ID), nil)
	return append(all, vendor...), err
}

// recount is the evidence for an export's row as it was closed, and how many
// entries were found to be exported later.
func (p *prover) recount(ctx context.Context, e exports.Export) (ev runlog.Evidence, later int, err error) {
	ev, err = runlog.Recount(ctx, p.pool, e)
	if err != nil || e.FinishedAt == nil || ev.SHA256 == e.SHA256 {
		return ev, 0, err
	}
	then, err := runlog.RecountUntil(ctx, p.pool, e, e.FinishedAt)
	if err != nil {
		return ev, 0, err
	}
	return then, ev.Exported - then.Exported, nil
}

// lookUpAtOnce is how many entries one look-up asks for.
const lookUpAtOnce = 500

// vendor asks the vendor for entries, about total of them, compares them and
// calls after, which may be nil, when some have been compared.
func (p *prover) vendor(ctx context.Context, total int, entries iter.Seq2[runlog.EntryRecord, error], after func(context.Context) error) ([]finding, error) {
	control, err := runlog.LoadControl(ctx, p.pool, p.spec.OrganizationID, p.spec.ID, p.place())
	if err != nil {
		return nil, err
	}
	bar := newProgress(p.words, "asking the vendor", total)
	defer bar.end()
	done, blind := 0, 0
	ask := func(some []runlog.EntryRecord) (refused string, err error) {
		found, refused, err := p.lookUp(ctx, some, control)
		if refused != "" || err != nil {
			return refused, err
		}
		if control != nil && slices.ContainsFunc(control.VendorKeys, func(k string) bool { return found[k] == (adapters.LookupResult{}) }) {
			blind++
		}
		for _, r := range some {
			p.comparison.add(r, found[r.VendorKey])
		}
		done += len(some)
		bar.set(done, fmt.Sprintf("%d entries", done))
		if after != nil {
			return "", after(ctx)
		}
		return "", nil
	}
	var refused string
	some := make([]runlog.EntryRecord, 0, lookUpAtOnce)
	for r, err := range entries {
		if err != nil {
			return nil, err
		}
		if some = append(some, r); len(some) < lookUpAtOnce {
			continue
		}
		if refused, err = ask(some); err != nil {
			return nil, err
		}
		if some = some[:0]; refused != "" {
			break
		}
	}
	if len(some) > 0 {
		if refused, err = ask(some); err != nil {
			return nil, err
		}
	}
	var all []finding
	if control != nil && done > 0 {
		evidence := fmt.Sprintf("%d lines of voucher %s are known to be there, and ", len(control.VendorKeys), control.VoucherID)
		if blind == 0 {
			evidence += "each look-up shows them"
		} else {
			evidence += fmt.Sprintf("%d look-ups do not: they prove nothing of what they did not find", blind)
		}
		all = append(all, compared("control", blind == 0, "%s", evidence))
	}
	all = append(all, p.comparison.findings()...)
	if p.refused = refused; refused != "" {
		all = append(all, compared("asking", false, "the vendor could not be asked for all: %s", refused))
	}
	return all, nil
}

// lookUp asks for entries and the control. refused is why the vendor could not be
// asked.
func (p *prover) lookUp(ctx context.Context, some []runlog.EntryRecord, control *runlog.Control) (found map[string]adapters.LookupResult, refused string, err error) {
	keys := keysOf(some, control)
	body, err := json.Marshal(keys)
	if err != nil {
		return nil, "", err
	}
	out, err := engine.Execute(ctx, p.temporal, activities.Invocation{
		OrganizationID: p.spec.OrganizationID, IntegrationID: p.spec.ID, AdapterName: p.spec.Adapter, CorrelationID: uuid.New(),
		Operation: adapters.Lookup, Body: body, Policy: p.spec.Policy, Actor: whoami(), ReadOnly: true,
		OwnQueue: p.spec.Limits.OwnQueue(), Summary: fmt.Sprintf("look-up of %d entries", len(keys.Keys)),
	})
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

// provePeriod proves a period from its source.
func (a *app) provePeriod(c *cobra.Command, org, integration, period string, adopt bool) error {
	start, end, err := exports.ParsePeriod(period)
	if err != nil {
		return usage("--period: %w", err)
	}
	organization, err := parseUUID("--org", org)
	if err != nil {
		return err
	}
	p, err := a.newProver(c, organization, integration)
	if err != nil {
		return err
	}
	defer p.close()
	ctx := c.Context()
	pending, err := runlog.ListPendingExportsOf(ctx, p.pool, organization, p.spec.ID)
	if err != nil {
		return err
	}
	for _, e := range pending {
		say(p.words, "note: export %s of %s is pending; what its run sends meanwhile may seem not to be on record", e.ID, e.Period)
	}
	id := uuid.New()
	e := exports.Export{
		OrganizationID: organization, ID: id, IntegrationID: p.spec.ID, AdapterName: p.spec.Adapter, Period: period, PeriodStart: start, PeriodEnd: end,
		Trigger: exports.ByAdopting, TriggeredBy: whoami(), StartedAt: time.Now(), WorkflowID: "adopt/" + id.String(), RunID: id,
	}
	p.comparison.strict, p.comparison.adopts = true, adopt
	adoption := adoption{prover: p, export: e}
	findings, err := p.vendor(ctx, 0, runlog.EntriesOfPeriod(ctx, p.pool, p.sources, e, p.spec.Export), adoption.take)
	about := map[string]any{"integrationId": p.spec.ID, "period": period}
	if closed, closeErr := adoption.end(ctx, err); closeErr != nil || err != nil {
		return errors.Join(err, closeErr)
	} else if closed != nil {
		findings = append(findings, finding{What: "adopted", Evidence: fmt.Sprintf("%d entries became exported, %d unknown: export %s", adoption.adopted, adoption.doubtful, closed.ID)})
		about["export"] = closed
	}
	return a.printProof(c.OutOrStdout(), about, findings, p.comparison)
}

// adoption takes into the record what a comparison has found. Its export begins
// with the first entry.
type adoption struct {
	*prover
	export            exports.Export
	begun             bool
	adopted, doubtful int
}

// take adopts what the comparison has put aside.
func (a *adoption) take(ctx context.Context) error {
	list := a.comparison.adoptions
	if len(list) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute) // an answer that has come is used
	defer cancel()
	if !a.begun {
		begun, err := runlog.BeginAdoption(ctx, a.pool, a.export)
		if err != nil {
			return err
		}
		a.export, a.begun = begun, true
	}
	adopted, doubtful, err := runlog.AdoptEntries(ctx, a.pool, a.export, a.place(), list)
	a.adopted, a.doubtful, a.comparison.adoptions = a.adopted+adopted, a.doubtful+doubtful, nil
	return err
}

// end closes the export, if there is one; failed is what kept it from going
// through the whole period.
func (a *adoption) end(ctx context.Context, failed error) (*exports.Export, error) {
	if !a.begun {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Minute)
	defer cancel()
	switch {
	case failed != nil || a.refused != "":
		a.export.ErrorClass, a.export.ErrorMessage = string(classify.Permanent), "the period was not gone through to its end: prove it again"
	case a.doubtful > 0:
		a.export.ErrorMessage = "only a person can tell what the vendor has of the unknown entries: starter exports resolve"
	}
	closed, err := runlog.CloseExport(ctx, a.pool, a.export)
	return &closed, err
}
