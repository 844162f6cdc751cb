package main

import (
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/runlog"
)

func (a *app) exportsResolve() *cobra.Command {
	var org, voucher, reason string
	var there, notThere bool
	c := &cobra.Command{
		Use: "resolve EXPORT --org UUID --voucher V --there|--not-there --reason TEXT", Short: "Say what became of a voucher whose outcome nobody could find out",
		Long: `Ends what is open of a voucher, after you have looked at the vendor. With --there
its entries are exported, and nothing sends them again. With --not-there a retry
of the export sends them: if they are there all the same, they will be there
twice. That is refused while the export is pending, and while the vendor may
still be doing something; starter exports show says until when.

What you say stays on record, with the reason and your identity: LEDGERLINE_ACTOR,
or user@host.`,
		Example: `  starter exports resolve $EXPORT --org $ORG --voucher 20201 --there --reason "posted as document 4711, seen by Kari"`,
		Args:    exactly(1, "the UUID of an export"),
		RunE: func(c *cobra.Command, args []string) error {
			reason = strings.TrimSpace(reason)
			switch {
			case voucher == "":
				return usage("--voucher is missing: want the voucher's ID; see starter exports show")
			case there == notThere:
				return usage("want --there or --not-there, as you have seen it at the vendor")
			case reason == "":
				return usage("--reason is missing: want what you have seen, and where")
			}
			if err := checkReason(reason); err != nil {
				return err
			}
			organization, err := parseUUID("--org", org)
			if err != nil {
				return err
			}
			id, err := parseUUID("EXPORT", args[0])
			if err != nil {
				return err
			}
			pool, err := a.database(c.Context())
			if err != nil {
				return err
			}
			defer pool.Close()
			r := runlog.Resolution{ExportID: id, VoucherID: voucher, There: there, Reason: reason, Actor: whoami()}
			if r.Entries, err = runlog.ResolveVoucher(c.Context(), pool, organization, r); err != nil {
				return err
			}
			return a.printResolution(c, r)
		},
	}
	organizationFlag(c, &org)
	c.Flags().StringVar(&voucher, "voucher", "", "`ID` of the voucher")
	c.Flags().BoolVar(&there, "there", false, "it is at the vendor")
	c.Flags().BoolVar(&notThere, "not-there", false, "it is not at the vendor, and will not be")
	c.Flags().StringVar(&reason, "reason", "", "`text` for the record: what you have seen, and where")
	return c
}

// resolutionReport is what exports resolve prints.
type resolutionReport struct {
	ExportID  uuid.UUID `json:"exportId"`
	VoucherID string    `json:"voucherId"`
	There     bool      `json:"there"`
	Entries   int       `json:"entries"`
	Reason    string    `json:"reason"`
	Actor     string    `json:"actor"`
}

func (a *app) printResolution(c *cobra.Command, r runlog.Resolution) error {
	if a.output == "json" {
		return printJSON(c.OutOrStdout(), resolutionReport{r.ExportID, r.VoucherID, r.There, r.Entries, r.Reason, r.Actor})
	}
	then := "exported"
	if !r.There {
		then = "to be sent again by starter exports retry " + r.ExportID.String()
	}
	return say(c.OutOrStdout(), "%d entries of voucher %s are %s", r.Entries, r.VoucherID, then)
}
