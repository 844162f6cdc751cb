package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/xledger"
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
	d, err := temporal.DescribeWorkflowExecution(ctx, e.WorkflowID, "")
	if err != nil {
		all = append(all, finding{"workflow", nil, "Temporal no longer has it"})
	} else {
		all = append(all, finding{"workflow", nil, d.GetWorkflowExecutionInfo().GetStatus().String()})
	}
	if e.AdapterName != xledger.Name {
		return append(all, finding{"vendor", nil, "adapter " + e.AdapterName + " cannot look entries up yet"}), nil
	}
	spec, err := runlog.Integration(ctx, pool, e.OrganizationID, e.IntegrationID)
	if err != nil {
		return nil, err
	}
	missing, twice := 0, 0
	for keys := ev.Keys; len(keys) > 0; {
		some := keys[:min(xledger.MaxNodes, len(keys))]
		keys = keys[len(some):]
		in := activities.Invocation{
			OrganizationID: e.OrganizationID, IntegrationID: e.IntegrationID, AdapterName: e.AdapterName, CorrelationID: uuid.New(),
			Operation: adapters.Call, Body: xledger.LookUpBody(some), Policy: spec.Policy, RequestsPerMinute: spec.Limits.RequestsPerMinute,
		}
		in.Summary = workflows.Describe(in)
		out, err := workflows.Execute(ctx, temporal, in)
		if err != nil {
			return nil, err
		}
		if !out.OK {
			return append(all, compared("vendor", false, "could not be asked: %s", out.Failure.Message)), nil
		}
		there, err := xledger.Found(out.Response.Body)
		if err != nil {
			return append(all, compared("vendor", false, "%v", err)), nil
		}
		for _, k := range some {
			switch n := there[k]; {
			case n == 0:
				missing++
			case n > 1:
				twice++
			}
		}
	}
	return append(all, compared("vendor", missing+twice == 0, "%d of %d are there, %d more than once", len(ev.Keys)-missing, len(ev.Keys), twice)), nil
}

// onTime is how late an export may start.
const onTime = 5 * time.Minute

func (a *app) ticks() *cobra.Command {
	root := &cobra.Command{Use: "ticks", Short: "What schedules should have done, and did"}
	var org string
	var since time.Duration
	c := &cobra.Command{
		Use: "list --org UUID", Short: "Each expected firing: on time, late, missed, paused", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			organization, pool, err := a.organization(c, org)
			if err != nil {
				return err
			}
			defer pool.Close()
			temporal, _, err := a.temporal(c.Context())
			if err != nil {
				return err
			}
			defer temporal.Close()
			specs, err := runlog.Integrations(c.Context(), pool, organization)
			if err != nil {
				return err
			}
			exports, err := runlog.Exports(c.Context(), pool, organization, 10000)
			if err != nil {
				return err
			}
			now := time.Now()
			list := []tick{}
			for _, in := range specs {
				if in.Schedule == nil {
					continue
				}
				state, err := workflows.DescribeSchedule(c.Context(), temporal, in)
				if err != nil {
					return err
				}
				from := now.Add(-since)
				if state.Created.After(from) {
					from = state.Created
				}
				list = append(list, ticksOf(in, exports, from, now, state.Paused)...)
			}
			if a.output == "json" {
				return printJSON(c.OutOrStdout(), list)
			}
			rows := [][]string{{"EXPECTED", "INTEGRATION", "PERIOD", "RESULT", "EXPORT", "STATUS"}}
			for _, t := range list {
				rows = append(rows, []string{t.Expected.UTC().Format(time.RFC3339), t.Name, t.Period, t.Result, dash(t.Export), dash(t.Status)})
			}
			return table(c.OutOrStdout(), rows)
		},
	}
	organizationFlag(c, &org)
	c.Flags().DurationVar(&since, "since", 31*24*time.Hour, "how far back to look")
	root.AddCommand(c)
	return root
}

// tick is an expected firing and what came of it.
type tick struct {
	Expected time.Time `json:"expected"`
	Name     string    `json:"integration"`
	Period   string    `json:"period"`
	Result   string    `json:"result"` // on time, late by …, earlier by hand, due, missed, paused
	Export   string    `json:"exportId,omitempty"`
	Status   string    `json:"status,omitempty"`
}

// ticksOf compares a schedule's firings with the exports that there are.
func ticksOf(in integrations.Integration, exports []runlog.Export, from, now time.Time, paused bool) (list []tick) {
	for _, at := range in.Schedule.Occurrences(from, now) {
		period, err := in.Schedule.Period(at)
		if err != nil {
			continue
		}
		t := tick{Expected: at, Name: in.Name, Period: period, Result: "missed"}
		switch {
		case now.Sub(at) < onTime:
			t.Result = "due"
		case paused:
			t.Result = "paused"
		}
		for _, e := range exports {
			if e.IntegrationID != in.ID || e.Period != period || e.ParentID != nil {
				continue
			}
			t.Export, t.Status = e.ID.String(), e.Status
			switch late := e.StartedAt.Sub(at); {
			case late < 0:
				t.Result = "earlier, by " + e.Trigger
			case late <= onTime:
				t.Result = "on time"
			default:
				t.Result = "late by " + strconv.Itoa(int(late.Round(time.Minute).Minutes())) + " min"
			}
		}
		list = append(list, t)
	}
	return list
}
