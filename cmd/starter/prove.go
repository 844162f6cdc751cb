package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
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

func (a *app) exportsProve() *cobra.Command {
	var org string
	c := &cobra.Command{
		Use: "prove EXPORT --org UUID", Short: "Check an export against the entries, the workflow and the vendor",
		Long: `Checks an export's audit row against the entry table (counts, amounts, SHA-256),
against the workflow where Temporal still has it, and against the vendor, who is
asked for every exported entry: each must be there once. Exits 1 when something
does not agree. Asking costs one request for 500 entries.`,
		Args: exactly(1, "the UUID of an export"),
		RunE: func(c *cobra.Command, args []string) error {
			e, _, err := a.findExport(c, org, args[0])
			if err != nil {
				return err
			}
			pool, err := a.database(c.Context())
			if err != nil {
				return err
			}
			defer pool.Close()
			temporal, _, err := a.temporal(c.Context())
			if err != nil {
				return err
			}
			defer temporal.Close()
			findings, err := prove(c.Context(), pool, temporal, e)
			if err != nil {
				return err
			}
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
			if a.output == "json" {
				err = printJSON(c.OutOrStdout(), map[string]any{"exportId": e.ID, "agrees": agrees, "findings": findings})
			} else {
				err = table(c.OutOrStdout(), rows)
			}
			if err == nil && !agrees {
				err = errors.New("something does not agree")
			}
			return err
		},
	}
	organizationFlag(c, &org)
	return c
}

// workflowFinding compares the audit row with the result that the workflow
// still has, if Temporal still has the workflow.
func workflowFinding(ctx context.Context, temporal client.Client, e runlog.Export) finding {
	d, err := temporal.DescribeWorkflowExecution(ctx, e.WorkflowID, e.RunID.String())
	if err != nil {
		return finding{"workflow", nil, "Temporal no longer has it"}
	}
	status := d.GetWorkflowExecutionInfo().GetStatus()
	if status != enums.WORKFLOW_EXECUTION_STATUS_COMPLETED && status != enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW {
		return compared("workflow", e.Status == "pending" && status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING, "%s", status)
	}
	var r workflows.SyncResult
	if err := temporal.GetWorkflow(ctx, e.WorkflowID, e.RunID.String()).Get(ctx, &r); err != nil {
		return finding{"workflow", nil, "its result cannot be read: " + err.Error()}
	}
	return compared("workflow", r.Export.ID == e.ID && r.Export.Exported == e.Exported && r.Export.SHA256 == e.SHA256,
		"%s, its result has %d exported and %.12s…", status, r.Export.Exported, r.Export.SHA256)
}

// lookUpAtOnce is how many entries one look-up asks for.
const lookUpAtOnce = 500

func prove(ctx context.Context, pool *pgxpool.Pool, temporal client.Client, e runlog.Export) ([]finding, error) {
	ev, err := runlog.Recount(ctx, pool, e)
	if err != nil {
		return nil, err
	}
	all := []finding{
		compared("the export is over", e.Status != "pending", "status %s", e.Status),
		compared("entries add up", e.Exported+e.Rejected+e.Unknown <= e.Total, "%d exported, %d rejected, %d unknown of %d", e.Exported, e.Rejected, e.Unknown, e.Total),
		compared("exported entries", e.Exported == ev.Exported, "audit row %d, entry table %d", e.Exported, ev.Exported),
		compared("amounts", maps.Equal(e.Amounts, ev.Amounts), "audit row %v, entry table %v", e.Amounts, ev.Amounts),
		compared("SHA-256", e.SHA256 == ev.SHA256, "audit row %.12s…, entries %.12s…", e.SHA256, ev.SHA256),
	}
	all = append(all, workflowFinding(ctx, temporal, e))
	logs, err := runlog.AttemptsOf(ctx, pool, e)
	if err != nil {
		return nil, err
	}
	all = append(all, compared("run logs", logs.Failed <= e.Attempts && logs.Open == 0,
		"%d failed attempts of %d on record, of %d invocations; %d without an end", logs.Failed, e.Attempts, logs.Invocations, logs.Open))
	spec, err := runlog.Integration(ctx, pool, e.OrganizationID, e.IntegrationID)
	if err != nil {
		return nil, err
	}
	missing, twice := 0, 0
	for keys := ev.Keys; len(keys) > 0; {
		some := keys[:min(lookUpAtOnce, len(keys))]
		keys = keys[len(some):]
		body, err := json.Marshal(adapters.Keys{Keys: some})
		if err != nil {
			return nil, err
		}
		in := activities.Invocation{
			OrganizationID: e.OrganizationID, IntegrationID: e.IntegrationID, AdapterName: e.AdapterName, CorrelationID: uuid.New(),
			Operation: adapters.LookUp, Body: body, Policy: spec.Policy,
			OwnQueue: spec.Limits.OwnQueue(), Summary: fmt.Sprintf("look-up of %d entries", len(some)),
		}
		out, err := workflows.Execute(ctx, temporal, in)
		if err != nil {
			return nil, err
		}
		if !out.OK {
			return append(all, compared("vendor", false, "could not be asked: %s", out.Failure.Message)), nil
		}
		var found map[string]adapters.Found
		if err := json.Unmarshal(out.Response.Body, &found); err != nil {
			return nil, fmt.Errorf("the vendor's answer: %w", err)
		}
		for _, k := range some {
			switch n := found[k].Count; {
			case n == 0:
				missing++
			case n > 1:
				twice++
			}
		}
	}
	return append(all, compared("vendor", missing+twice == 0, "%d of %d are there, %d missing, %d more than once", len(ev.Keys)-missing, len(ev.Keys), missing, twice)), nil
}
