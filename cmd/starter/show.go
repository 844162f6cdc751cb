package main

import (
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/calls"
)

func (a *app) show() *cobra.Command {
	var o callRef
	c := &cobra.Command{
		Use:   "show CORRELATION-ID|--last",
		Short: "Show a call's attempts: live while it runs, from the audit record afterwards",
		Long: `Shows a call's attempts: live while it runs, from the audit record afterwards. The
first characters of the correlation ID will do, at least four. An attempt of an export
is shown with the export, its period, chunk and vouchers.`,
		Example: "  starter show 3f2a --org $ORG\n  starter show --last --org $ORG --integration xledger-main",
		Args:    callArgument(&o.last, "one correlation ID or its first characters"),
		RunE: func(c *cobra.Command, args []string) error {
			ref, err := o.parse(args)
			if err != nil {
				return err
			}
			s, sources, err := a.callSources(c)
			if err != nil {
				return err
			}
			defer s.close()
			id, err := s.findCall(sources, ref, o)
			if err != nil {
				return err
			}
			r, err := sources.Read(c.Context(), s.organization, id)
			if err != nil {
				return err
			}
			if r.WorkflowID != "" {
				r.UI = a.workflowURL(s.namespace, r.WorkflowID, r.RunID)
			}
			if a.output == outputJSON {
				return printJSON(c.OutOrStdout(), r)
			}
			return printReport(c.OutOrStdout(), r)
		},
	}
	o.flags(c)
	return c
}

// printReport prints a call in words.
func printReport(w io.Writer, r calls.Report) error {
	if err := table(w, r.Lines(time.Now())); err != nil {
		return err
	}
	say(w, "")
	return table(w, r.Table())
}
