package engine_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
)

// Every kind of chain is retried, joined or refused, with and without named vouchers; what is
// asked of a worker is one that it takes.
func TestNewRetry(t *testing.T) {
	first, second := uuid.New(), uuid.New()
	chain := func(trigger exports.Trigger, left int, status ...exports.Status) exports.Chain {
		c := exports.Chain{Integration: "xledger-main", Planned: true, Counts: map[exports.Outcome]exports.Count{exports.WasRefused: {Entries: left, Vouchers: left}}}
		for i, s := range status {
			e := exports.Export{OrganizationID: organization, IntegrationID: integration.ID, ID: first, Period: "2026-10", Trigger: trigger, Status: s}
			if i > 0 {
				e.ID, e.ParentID, e.Trigger = second, &first, exports.ByRetry
			}
			c.Exports = append(c.Exports, e)
		}
		return c
	}
	for name, c := range map[string]struct {
		chain         exports.Chain
		parent        uuid.UUID
		joins         bool
		all, byNaming engine.RetryRefusal // "" is taken
		says          string
	}{
		"something is left":               {chain(exports.ByHand, 1, exports.Complete), first, false, "", "", ""},
		"something is left of its retry":  {chain(exports.ByHand, 1, exports.Complete, exports.Complete), second, false, "", "", ""},
		"it failed, and nothing is left":  {chain(exports.ByHand, 0, exports.Failed), first, false, "", "", ""},
		"an adoption left something":      {chain(exports.ByAdopting, 1, exports.Failed), first, false, "", "", ""},
		"it is being retried":             {chain(exports.ByHand, 1, exports.Complete, exports.Pending), first, true, "", engine.OthersRetried, "is being retried by export " + exports.Short(second)},
		"nothing is left":                 {chain(exports.ByHand, 0, exports.Complete), first, false, engine.NothingToRetry, engine.NothingToRetry, "nothing to retry: October 2026 is complete"},
		"nothing is left of its retry":    {chain(exports.ByHand, 0, exports.Failed, exports.Complete), second, false, engine.NothingToRetry, engine.NothingToRetry, "The last retry is export " + exports.Short(second)},
		"it is pending":                   {chain(exports.ByHand, 0, exports.Pending), first, false, engine.ExportPending, engine.ExportPending, "starter sync --period 2026-10 --integration xledger-main resumes it"},
		"what the vendor has is adopted":  {chain(exports.ByAdopting, 0, exports.Pending), first, false, engine.AdoptionPending, engine.AdoptionPending, "starter exports prove --period 2026-10 --integration xledger-main --adopt"},
		"it is resumed beside its retry":  {chain(exports.BySchedule, 0, exports.Pending, exports.Complete), first, false, engine.ExportPending, engine.ExportPending, "has not ended"},
		"its retry is joined, of nothing": {chain(exports.BySchedule, 0, exports.Failed, exports.Pending), first, true, "", engine.OthersRetried, "and not --voucher"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, named := range []struct {
				vouchers []string
				refused  engine.RetryRefusal
			}{{nil, c.all}, {[]string{"20201", "20202"}, c.byNaming}} {
				run, err := engine.NewRetry(integration, c.chain, named.vouchers, "kari@example")
				target, decided := engine.FindRetryTarget(c.chain, named.vouchers)
				require.Equal(t, err, decided)
				if named.refused != "" {
					var refused *engine.RetryRefusedError
					require.ErrorAs(t, err, &refused)
					require.Equal(t, named.refused, refused.Why)
					require.ErrorContains(t, err, c.says)
					require.Zero(t, run)
					continue
				}
				require.NoError(t, err)
				require.NoError(t, run.Validate())
				require.Equal(t, c.joins, target.Joins != nil)
				require.Equal(t, []any{exports.ByRetry, c.parent, "2026-10", "kari@example", named.vouchers}, []any{run.Trigger, *run.ParentID, run.Period, run.TriggeredBy, run.Vouchers})
				require.Equal(t, exports.Export{OrganizationID: organization, IntegrationID: integration.ID, AdapterName: "xledger", Period: "2026-10",
					PeriodStart: run.PeriodStart, PeriodEnd: run.PeriodEnd, Trigger: exports.ByRetry, ParentID: &c.parent}, engine.ExportOf(run))
			}
		})
	}
	other := integration
	other.ID, other.Name = uuid.New(), "another"
	_, err := engine.NewRetry(other, chain(exports.ByHand, 1, exports.Complete), nil, "kari@example")
	require.EqualError(t, err, "the export of October 2026 is of integration xledger-main, not of another")
}
