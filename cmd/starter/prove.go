package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
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
	p, err := newProver(s)
	if err != nil {
		return err
	}
	list := []exports.Export{t.named}
	if t.byPeriod {
		list = t.Exports
	}
	about := proof{ExportID: &list[0].ID, Period: t.First().Period, IntegrationID: t.First().IntegrationID}
	var all []proofCheck
	var found vendorComparison
	var pending *exports.Export
	for _, e := range list {
		p.comparison, p.refused = vendorComparison{keep: max(0, p.comparison.keep)}, ""
		checks, err := p.export(s.command.Context(), e)
		if err != nil {
			return err
		}
		for _, c := range checks {
			if len(list) > 1 {
				c.What = "export " + exports.Short(e.ID) + ": " + c.What
			}
			all = append(all, c)
		}
		found.differences, found.more = append(found.differences, p.comparison.differences...), found.more+p.comparison.more
		if e.Status == exports.Pending {
			pending = &e
		}
	}
	about.Ended = new(pending == nil)
	if pending == nil && len(list) == len(t.Exports) && vendorAgrees(all) {
		about.Summary = statement.Proved(t.Chain)
	}
	if err := a.printProof(s.command.OutOrStdout(), about, all, found); err != nil {
		return err
	}
	if pending == nil {
		if about.Summary != "" && a.output == outputTable {
			say(s.command.OutOrStdout(), "")
			return say(s.command.OutOrStdout(), "%s", about.Summary)
		}
		return nil
	}
	return fmt.Errorf("the export of %s has not ended (export %s), and can only be proved after that: so far nothing disagrees; starter exports show %s says what it waits for",
		exports.PeriodName(pending.Period), exports.Short(pending.ID), t.Reference())
}

// vendorAgrees reports whether the vendor was asked for everything, and has it.
func vendorAgrees(checks []proofCheck) bool {
	asked := false
	for _, c := range checks {
		if strings.HasSuffix(c.What, "vendor") {
			if asked = true; c.Agrees != agrees {
				return false
			}
		}
	}
	return asked
}

// proof is what exports prove prints as JSON.
type proof struct {
	ExportID      *uuid.UUID        `json:"exportId,omitempty"` // the first one of those that were proved
	IntegrationID uuid.UUID         `json:"integrationId"`
	Period        string            `json:"period"`
	Ended         *bool             `json:"ended,omitempty"`   // all of these exports have
	Agrees        *bool             `json:"agrees"`            // null: that can only be said after the end
	Summary       string            `json:"summary,omitempty"` // if it agrees: what the vendor has, and what it does not have
	Findings      []proofCheck      `json:"findings"`
	Differences   []difference      `json:"differences"`
	Export        *statement.Export `json:"export,omitempty"` // that has what was adopted
}

// proofCheck is one check of a proof.
type proofCheck struct {
	What     string    `json:"what"`
	Agrees   agreement `json:"agrees"`
	Evidence string    `json:"evidence"`
}

// agreement is the result of a check, as the table has it. In JSON it is true,
// false or null.
type agreement string

const (
	agrees    agreement = "yes"
	disagrees agreement = "NO"
	undecided agreement = "-" // there was nothing to compare with
)

func agreementOf(ok bool) agreement {
	if ok {
		return agrees
	}
	return disagrees
}

// MarshalJSON writes true, false or null.
func (a agreement) MarshalJSON() ([]byte, error) {
	switch a {
	case agrees, disagrees:
		return json.Marshal(a == agrees)
	}
	return []byte("null"), nil
}

// newCheck is a check that was made.
func newCheck(what string, ok bool, format string, args ...any) proofCheck {
	return proofCheck{what, agreementOf(ok), fmt.Sprintf(format, args...)}
}

// printProof prints the checks and the differences. If something does not agree, it
// is an error.
func (a *app) printProof(w io.Writer, about proof, checks []proofCheck, found vendorComparison) error {
	ok := true
	rows := [][]string{{"AGREES", "WHAT", "EVIDENCE"}}
	for _, c := range checks {
		ok = ok && c.Agrees != disagrees
		rows = append(rows, []string{string(c.Agrees), c.What, c.Evidence})
	}
	if !ok {
		about.Summary = ""
	}
	var err error
	if a.output == outputJSON {
		about.Findings, about.Differences = append([]proofCheck{}, checks...), append([]difference{}, found.differences...)
		if ended := about.Ended == nil || *about.Ended; ended || !ok {
			about.Agrees = &ok // else that is not known yet
		}
		err = printJSON(w, about)
	} else if err = table(w, rows); len(found.differences) > 0 {
		say(w, "")
		err = errors.Join(err, table(w, found.table()))
		if found.more > 0 {
			say(w, "and %d more; -o json lists all", found.more)
		}
	}
	if err == nil && !ok {
		err = errors.New("something does not agree")
	}
	return err
}

// provePeriod proves a period from its source.
func (a *app) provePeriod(c *cobra.Command, org, integration, period string, adopt bool) error {
	start, end, err := readPeriod("--period", period)
	if err != nil {
		return err
	}
	s, err := a.openIntegration(c, org, integration)
	if err != nil {
		return err
	}
	defer s.close()
	p, err := newProver(s)
	if err != nil {
		return err
	}
	ctx := c.Context()
	pending, err := runlog.ListPendingExportsOf(ctx, s.db, s.organization, s.integration.ID)
	if err != nil {
		return err
	}
	for _, e := range pending {
		s.say("note: the export of %s is pending; what its run sends in the meantime may seem not to be on record", exports.PeriodName(e.Period))
	}
	id := uuid.New()
	e := exports.Export{
		OrganizationID: s.organization, ID: id, IntegrationID: s.integration.ID, AdapterName: s.integration.Adapter, Period: period, PeriodStart: start, PeriodEnd: end,
		Trigger: exports.ByAdopting, TriggeredBy: whoami(), StartedAt: time.Now(), WorkflowID: "adopt/" + id.String(), RunID: id,
	}
	p.comparison.strict, p.comparison.adopts = true, adopt
	adopter := adopter{prover: p, export: e}
	checks, err := p.vendor(ctx, 0, runlog.EntriesOfPeriod(ctx, s.db, p.sources, e, s.integration.Export), adopter.adopt)
	about := proof{Period: period, IntegrationID: s.integration.ID}
	if closed, closeErr := adopter.closeExport(ctx, err); closeErr != nil || err != nil {
		return errors.Join(err, closeErr)
	} else if closed != nil {
		checks = append(checks, proofCheck{"adopted", undecided, fmt.Sprintf("%s recorded as exported, %d as unknown: export %s", count(adopter.adopted, "entry"), adopter.doubtful, exports.Short(closed.ID))})
		about.Export = new(statement.OfExport(*closed))
	}
	return a.printProof(c.OutOrStdout(), about, checks, p.comparison)
}

// adopter records what a comparison has found at the vendor. It begins its export
// with the first entry.
type adopter struct {
	*prover
	export            exports.Export
	begun             bool
	adopted, doubtful int
}

// adopt records what the comparison has collected.
func (a *adopter) adopt(ctx context.Context) error {
	list := a.comparison.adoptions
	if len(list) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute) // an answer that has arrived is used
	defer cancel()
	if !a.begun {
		begun, err := runlog.BeginAdoption(ctx, a.db, a.export)
		if err != nil {
			return err
		}
		a.export, a.begun = begun, true
	}
	adopted, doubtful, err := runlog.AdoptEntries(ctx, a.db, a.export, a.place(), list)
	a.adopted, a.doubtful, a.comparison.adoptions = a.adopted+adopted, a.doubtful+doubtful, nil
	return err
}

// closeExport closes the export, if there is one; failed is what stopped it before the end
// of the period.
func (a *adopter) closeExport(ctx context.Context, failed error) (*exports.Export, error) {
	if !a.begun {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Minute)
	defer cancel()
	switch {
	case failed != nil || a.refused != "":
		a.export.ErrorClass, a.export.ErrorMessage = classify.Permanent, "the period was not proved to its end: prove it again"
	case a.doubtful > 0:
		a.export.ErrorMessage = "only a person can tell what the vendor has of the unknown entries; see starter exports resolve"
	}
	closed, err := runlog.CloseExport(ctx, a.db, a.export)
	return &closed, err
}
