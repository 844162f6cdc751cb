package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/proof"
	"github.com/ledgerline/ledgerline/runlog"
)

// shownDifferences is how many differences the table lists.
const shownDifferences = 20

func (a *app) exportsProve() *cobra.Command {
	var org, integration, period string
	var adopt bool
	c := &cobra.Command{
		Use: "prove [EXPORT] --org NAME [--integration NAME]", Short: "Check an export or a period against the entries, the workflow and the vendor",
		Long: `Checks an export's audit row against the entry table (counts, amounts, SHA-256),
against the workflow if Temporal still has it, and against the vendor, which is asked
for every entry: an exported one must be there once, with its amount; a planned or
refused one must not be there; of a sent or unknown one it is reported what was
found. It takes one request for 500 entries. The last line says what the vendor has, and
what was refused and is not there, which is as it should be: whether the period is
complete, starter exports show says. Exits 1 if something does not agree, and if an
export has not ended: what it has exported so far is compared, and the rest can only be
proved after its end.

` + exportArgument + `
Of a period, each of its exports is proved; of an ID, that export.

With --period and --integration instead of EXPORT it begins with the source: the
vendor is asked for every entry that an export of the period would take if nothing
were on record. This is for a database that was restored to an older state, and
would send again what it has lost. It lists the entries that the vendor has and that
are not on record as exported. With --adopt they are recorded, as an export of their
own with the trigger adopt, and a later starter sync of the period sends only what is
missing. What only a person can decide, such as posted lines or another amount, is
recorded as unknown, so that it is not sent; see starter exports resolve. Pause the
schedule first (starter schedules pause), and begin with the oldest period.`,
		Example: "  starter exports prove 2026-10 --integration xledger-main --org $ORG\n  starter exports prove --period 2026-10 --integration xledger-main --org $ORG --adopt",
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case period == "" && !adopt && (integration == "" || len(args) > 0):
				return exactly(1, "a period or the ID of an export, or --period and --integration")(c, args)
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
			s, t, err := a.openChain(c, org, integration, args[0])
			if err != nil {
				return err
			}
			defer s.close()
			if err := s.useIntegration(t.Chain); err != nil {
				return err
			}
			return a.proveExports(s, t)
		},
	}
	organizationFlag(c, &org)
	c.Flags().StringVar(&integration, "integration", "", "`name` or UUID of the integration, with --period or if EXPORT is a period")
	c.Flags().StringVar(&period, "period", "", "prove a `period` from its source instead of an export: 2026-10, 2026-W45 or 2026-11-23")
	c.Flags().BoolVar(&adopt, "adopt", false, "with --period: record what the vendor has")
	return c
}

// proveExports proves each export of a period, or the one that was named.
func (a *app) proveExports(s *session, t chainTarget) error {
	p, end, err := s.prover()
	if err != nil {
		return err
	}
	only := &t.named.ID
	if t.byPeriod {
		only = nil
	}
	found, err := p.Chain(s.command.Context(), t.Chain, only)
	end()
	if err != nil {
		return err
	}
	if err := a.printProof(s.command.OutOrStdout(), found); err != nil {
		return err
	}
	if pending := found.Pending; pending != nil {
		return fmt.Errorf("the export of %s has not ended (export %s), and can only be proved after that: so far nothing disagrees; starter exports show %s says what it waits for",
			exports.PeriodName(pending.Period), exports.Short(pending.ID), t.Reference())
	}
	if found.Summary != "" && a.output == outputTable {
		say(s.command.OutOrStdout(), "")
		return say(s.command.OutOrStdout(), "%s", found.Summary)
	}
	return nil
}

// prover makes a prover of the session's integration, which shows how far it is until end is
// called.
func (s *session) prover() (p proof.Prover, end func(), err error) {
	bar := newProgress(s.command.ErrOrStderr(), "asking the vendor", 0)
	p = proof.Prover{DB: s.db, Integration: s.integration, Actor: whoami(), Progress: func(done, total int) {
		if bar.total = total; done == 0 {
			bar.drawn = time.Now()
			return
		}
		bar.set(done, count(done, "entry"))
	}}
	if s.app.output != outputJSON {
		p.Keep = shownDifferences
	}
	if p.Sources, err = s.app.sources(); err == nil {
		err = s.connect()
	}
	p.Temporal = s.temporal
	return p, bar.end, err
}

// printProof prints the checks and the differences. If something does not agree, it
// is an error.
func (a *app) printProof(w io.Writer, found proof.Proof) error {
	rows := [][]string{{"AGREES", "WHAT", "EVIDENCE"}}
	for _, c := range found.Findings {
		rows = append(rows, []string{string(c.Agrees), c.What, c.Evidence})
	}
	var err error
	if a.output == outputJSON {
		err = printJSON(w, found)
	} else if err = table(w, rows); len(found.Differences) > 0 {
		say(w, "")
		err = errors.Join(err, table(w, differenceTable(found.Differences)))
		if found.More > 0 {
			say(w, "and %d more; -o json lists all", found.More)
		}
	}
	if err == nil && found.Disagrees() {
		err = errors.New("something does not agree")
	}
	return err
}

// differenceTable lists differences for people.
func differenceTable(list []proof.Difference) [][]string {
	rows := [][]string{{"VOUCHER", "ENTRY", "ON RECORD", "AT THE VENDOR"}}
	for _, d := range list {
		state := string(d.State)
		if state == "" {
			state = "nothing"
		}
		rows = append(rows, []string{d.VoucherID, d.EntryID, state, strings.TrimPrefix(d.Says, "it is ")})
	}
	return rows
}

// provePeriod proves a period from its source.
func (a *app) provePeriod(c *cobra.Command, org, integration, period string, adopt bool) error {
	if _, _, err := readPeriod("--period", period); err != nil {
		return err
	}
	s, err := a.openIntegration(c, org, integration)
	if err != nil {
		return err
	}
	defer s.close()
	p, end, err := s.prover()
	if err != nil {
		return err
	}
	pending, err := runlog.ListPendingExportsOf(c.Context(), s.db, s.organization, s.integration.ID)
	if err != nil {
		return err
	}
	for _, e := range pending {
		s.say("note: the export of %s is pending; what its run sends in the meantime may seem not to be on record", exports.PeriodName(e.Period))
	}
	found, err := p.Period(c.Context(), period, adopt)
	end()
	if err != nil {
		return err
	}
	return a.printProof(c.OutOrStdout(), found)
}
