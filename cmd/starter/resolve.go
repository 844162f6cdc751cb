package main

import (
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/runlog"
)

func (a *app) exportsResolve() *cobra.Command {
	var org, integration, voucher, reason string
	var there, notThere bool
	c := &cobra.Command{
		Use: "resolve EXPORT --org NAME [--integration NAME] --voucher V --there|--not-there --reason TEXT", Short: "Record what became of a voucher whose outcome could not be found out",
		Long: `Records the outcome of a voucher's open entries, after you have looked at the vendor.
With --there they become exported, and nothing sends them again. With --not-there a
retry of the export sends them: if they are there after all, they will be there twice.
That is refused while the export is pending, and while the vendor may still be acting
on a request; starter exports show says until when.

` + exportArgument + `

What you say is on record, with the reason and your identity: LEDGERLINE_ACTOR, or
user@host.`,
		Example: `  starter exports resolve 2026-10 --integration xledger-main --org $ORG --voucher 20201 --there --reason "posted as document 4711, seen by Kari"`,
		Args:    exactly(1, "a period or the ID of an export"),
		RunE: func(c *cobra.Command, args []string) error {
			reason = strings.TrimSpace(reason)
			switch {
			case voucher == "":
				return usage("--voucher is missing: want the voucher's ID; see starter exports show %s", referenceTyped(args[0], integration))
			case there == notThere:
				return usage("want --there or --not-there, as you have seen it at the vendor")
			case reason == "":
				return usage("--reason is missing: say what you have seen, and where")
			}
			if err := checkReason(reason); err != nil {
				return err
			}
			s, t, err := a.openChain(c, org, integration, args[0])
			if err != nil {
				return err
			}
			defer s.close()
			done, err := runlog.ResolveInChain(c.Context(), s.db, s.organization, t.Chain, runlog.Resolution{VoucherID: voucher, AtVendor: there, Reason: reason, Actor: whoami()})
			for _, r := range done {
				if printErr := a.printResolution(c.OutOrStdout(), r, t.Reference()); printErr != nil {
					return errors.Join(printErr, err)
				}
			}
			return err
		},
	}
	organizationFlag(c, &org)
	integrationOfPeriodFlag(c, &integration)
	c.Flags().StringVar(&voucher, "voucher", "", "`ID` of the voucher")
	c.Flags().BoolVar(&there, "there", false, "it is at the vendor")
	c.Flags().BoolVar(&notThere, "not-there", false, "it is not at the vendor, and will not be")
	c.Flags().StringVar(&reason, "reason", "", "`text` for the record: what you have seen, and where")
	return c
}

func (a *app) printResolution(w io.Writer, r runlog.Resolution, export string) error {
	if a.output == outputJSON {
		return printJSON(w, struct {
			runlog.Resolution
			ResolvedAt *time.Time `json:"resolvedAt,omitempty"` // left out: the database sets it
		}{Resolution: r})
	}
	result := "exported"
	if !r.AtVendor {
		result = "to be sent again by starter exports retry " + export
	}
	return say(w, "voucher %s: %s %s", r.VoucherID, count(r.Entries, "entry"), result)
}
