package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/calls"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
)

// exportArgument is what names an export in --help.
const exportArgument = `EXPORT is a period with --integration (2026-10, 2026-W45, 2026-11-23), which is the
export of that period with its retries; or the ID of an export or its first
characters, four at least. --integration can be left out where only one
integration has an export of the period.`

// beginOfID is what a UUID can begin with.
var beginOfID = regexp.MustCompile(`^[0-9a-fA-F-]{4,36}$`)

// chainTarget is an export as a command line names it.
type chainTarget struct {
	exports.Chain
	named    exports.Export // the export that was named; that of a period is the first
	byPeriod bool
}

// integrationOfPeriodFlag adds --integration to a command whose EXPORT can be a period.
func integrationOfPeriodFlag(c *cobra.Command, into *string) {
	c.Flags().StringVar(into, "integration", "", "`name` or UUID of the integration, if EXPORT is a period")
}

// referenceTyped names an export again as a command line has named it.
func referenceTyped(which, integration string) string {
	if integration == "" {
		return shellWord(which)
	}
	return shellWord(which) + " --integration " + shellWord(integration)
}

// openChain opens a session for a command on an export and its retries.
func (a *app) openChain(c *cobra.Command, org, integration, which string) (*session, chainTarget, error) {
	s, err := a.openNaming(c, org, integration, which)
	if err != nil {
		return nil, chainTarget{}, err
	}
	t, err := s.chain(s.db, integration, which)
	if err != nil {
		s.close()
		return nil, chainTarget{}, err
	}
	return s, t, nil
}

// openNaming opens a session for a command that names an export, which [session.chain] finds.
func (a *app) openNaming(c *cobra.Command, org, integration, which string) (*session, error) {
	switch {
	case isPeriod(which):
	case !beginOfID.MatchString(which) && meantPeriod(which) != "":
		return nil, usage("EXPORT %q: write %s, with --integration", which, meantPeriod(which))
	case !beginOfID.MatchString(which):
		return nil, usage("EXPORT %q: want a period such as 2026-10 with --integration, or the ID of an export or its first characters, four at least; see %s --help", which, c.CommandPath())
	case integration != "":
		return nil, usage("--integration goes with a period; %q names an export by itself: leave --integration out", which)
	}
	return a.openOrganization(c, org)
}

func isPeriod(which string) bool {
	_, _, err := exports.ParsePeriod(which)
	return err == nil
}

// chain finds the export that a command names, and its retries.
func (s *session) chain(db runlog.Beginner, integration, which string) (chainTarget, error) {
	if isPeriod(which) {
		return s.chainOfPeriod(db, which, integration)
	}
	return s.chainOfID(db, which)
}

// chainOfID finds the chain of the export whose ID begins with a text.
func (s *session) chainOfID(db runlog.Beginner, begin string) (t chainTarget, err error) {
	ctx, found := s.command.Context(), []exports.Export(nil)
	if id, notOne := uuid.Parse(begin); notOne == nil && len(begin) == 36 {
		t.Chain, err = runlog.LoadChain(ctx, db, s.organization, id)
		found = []exports.Export{{ID: id}}
	} else if ref, wrong := calls.ParseRef(begin); wrong != nil {
		return t, usage("EXPORT %q: %w", begin, wrong)
	} else if found, err = runlog.FindExports(ctx, db, s.organization, ref.Low, ref.High, 10); err == nil {
		switch len(found) {
		case 0:
			return t, fmt.Errorf("the organization has no export whose ID begins with %s; see starter exports list", begin)
		case 1:
			t.Chain, err = runlog.LoadChain(ctx, db, s.organization, found[0].ID)
		default:
			return t, usage("EXPORT %s: several exports begin so; add characters:%s", begin, linesOf(found))
		}
	}
	if err != nil {
		return t, err
	}
	i := slices.IndexFunc(t.Exports, func(e exports.Export) bool { return e.ID == found[0].ID })
	t.named = t.Exports[i]
	return t, nil
}

// linesOf lists exports in a message.
func linesOf(list []exports.Export) string {
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "\n%s, %s, started %s", e.ID, exports.PeriodName(e.Period), e.StartedAt.Local().Format("2006-01-02 15:04 MST"))
	}
	return b.String()
}

// chainOfPeriod finds the chain of a period: of the integration that is named, or of the only
// one that has an export of it. Entries that were adopted count if there is nothing else.
func (s *session) chainOfPeriod(db runlog.Beginner, period, integration string) (t chainTarget, err error) {
	f := runlog.ChainFilter{Period: period}
	if integration != "" {
		if err := s.find(integration); err != nil {
			return t, err
		}
		f.Integration = s.integration.ID
	}
	list, _, err := runlog.ListChains(s.command.Context(), db, s.organization, f)
	if err != nil {
		return t, err
	}
	if len(list) == 0 {
		return t, fmt.Errorf("there is no export of %s%s; starter sync --period %s --integration %s makes one, and starter exports list shows what there is",
			exports.PeriodName(period), of(integration), period, cmp.Or(integration, "NAME"))
	}
	var names []string
	for _, c := range list {
		if !slices.Contains(names, c.Integration) {
			names = append(names, c.Integration)
		}
	}
	if len(names) > 1 {
		slices.Sort(names)
		return t, usage("several integrations have an export of %s: add --integration with one of %s", exports.PeriodName(period), strings.Join(names, ", "))
	}
	i := max(0, slices.IndexFunc(list, func(c exports.Chain) bool { return c.First().Trigger != exports.ByAdopting }))
	return chainTarget{Chain: list[i], named: list[i].First(), byPeriod: true}, nil
}

// of is " of NAME", or nothing.
func of(name string) string {
	if name == "" {
		return ""
	}
	return " of " + name
}

// useIntegration sets the session's integration to that of a chain.
func (s *session) useIntegration(c exports.Chain) error {
	if s.integration.ID == c.First().IntegrationID {
		return nil
	}
	s.integration = integrations.Integration{}
	return s.find(c.First().IntegrationID.String())
}

// views are what is shown of chains now, with why they wait.
func (s *session) views(db runlog.Beginner, list ...exports.Chain) ([]statement.Period, error) {
	facts, err := runlog.ListWaitFacts(s.command.Context(), db, s.organization, pendingOf(list))
	if err != nil {
		return nil, err
	}
	views := make([]statement.Period, 0, len(list))
	for _, c := range list {
		views = append(views, statement.Of(c, time.Now(), facts))
	}
	return views, nil
}

// pendingOf are the exports of chains whose runs have not ended, one of each at most.
func pendingOf(list []exports.Chain) (pending []exports.Export) {
	for _, c := range list {
		if e := c.Pending(); e != nil && e.Trigger != exports.ByAdopting {
			pending = append(pending, *e)
		}
	}
	return pending
}
