package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

func (a *app) exports() *cobra.Command {
	c := &cobra.Command{Use: "exports", Short: "List, show, retry, prove and resolve exports"}
	c.AddCommand(a.exportsList(), a.exportsShow(), a.exportsRetry(), a.exportsProve(), a.exportsResolve())
	return c
}

func (a *app) exportsList() *cobra.Command {
	var org string
	c := &cobra.Command{
		Use: "list --org NAME", Short: "List an organization's exports, newest first", Args: noArgs,
		RunE: a.onOrganization(&org, func(s *session) error {
			list, err := runlog.ListExports(s.command.Context(), s.db, s.organization, 100)
			if err != nil {
				return err
			}
			return a.print(s.command.OutOrStdout(), list, exportTable(list))
		}),
	}
	organizationFlag(c, &org)
	return c
}

func (a *app) exportsRetry() *cobra.Command {
	var org string
	var wait waitOptions
	c := &cobra.Command{
		Use: "retry EXPORT --org NAME", Short: "Send what an export did not export, as an export of its own",
		Long: `Makes a new export, with the given one as its parent, of the entries that were
rejected, that were not sent, or whose outcome is unknown; the vendor is asked about
those first. Rejected entries are read again from the source, with the mappings as
they are now. If the export failed before it was planned, the whole period is
exported. An export has one retry; to retry again, retry that one.`,
		Args: exactly(1, "the UUID of an export"),
		RunE: func(c *cobra.Command, args []string) error {
			s, e, err := a.openExport(c, org, args[0])
			if err != nil {
				return err
			}
			defer s.close()
			n, err := runlog.CountEntries(c.Context(), s.db, e.OrganizationID, e.ID)
			switch {
			case err != nil:
				return err
			case e.Status == exports.Pending && e.Trigger == exports.ByAdopting:
				return fmt.Errorf("export %s has not ended; to resume it, run starter exports prove --period %s --adopt", e.ID, e.Period)
			case e.Status == exports.Pending:
				return fmt.Errorf("export %s has not ended; if its run no longer exists, starter sync of period %s resumes it", e.ID, e.Period)
			case n.Exported == n.Total && (e.Status == exports.Complete || e.Total > 0): // a failed one without entries was not planned
				return s.say("nothing to retry: every entry is exported or in a retry; see starter exports list, and retry that one")
			}
			if err := s.find(e.IntegrationID.String()); err != nil {
				return err
			}
			in, err := engine.NewSync(s.integration, e.Period, whoami())
			if err != nil {
				return err
			}
			in.Trigger, in.ParentID = exports.ByRetry, &e.ID
			return a.runSync(s, in, wait)
		},
	}
	organizationFlag(c, &org)
	wait.flags(c)
	return c
}

func exportTable(list []exports.Export) [][]string {
	rows := [][]string{{"STARTED", "EXPORT", "PERIOD", "ADAPTER", "TRIGGER", "STATUS", "ENTRIES", "EXPORTED", "REJECTED", "UNKNOWN", "AMOUNTS", "ERROR"}}
	for _, e := range list {
		rows = append(rows, []string{
			e.StartedAt.UTC().Format(time.RFC3339), e.ID.String(), e.Period, e.AdapterName, string(e.Trigger), exportStatus(e), strconv.Itoa(e.Total),
			strconv.Itoa(e.Exported), strconv.Itoa(e.Rejected), strconv.Itoa(e.Unknown), dash(amountsOf(e.Amounts)), dash(clip(exportError(e), 60)),
		})
	}
	return rows
}

// exportStatus is the status and, of a deferred export, until when it waits.
func exportStatus(e exports.Export) string {
	if e.Status == exports.Pending && e.DeferredUntil != nil && e.DeferredUntil.After(time.Now()) {
		return string(e.Status) + " until " + e.DeferredUntil.UTC().Format(time.RFC3339)
	}
	return string(e.Status)
}

// exportError is the error of an export, with its code if it has one.
func exportError(e exports.Export) string {
	return strings.TrimPrefix(string(e.ErrorCode)+": "+e.ErrorMessage, ": ")
}

// amountsOf lists sums by currency.
func amountsOf(amounts map[string]string) string {
	var list []string
	for k, v := range amounts {
		list = append(list, k+" "+v)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
