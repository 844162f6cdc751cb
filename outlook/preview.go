package outlook

import (
	"context"
	"fmt"
	"time"

	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
)

// Dry is what a run would do.
type Dry struct {
	Entries  int                 `json:"entries"` // to be sent; these are 0 if Export is set
	Vouchers int                 `json:"vouchers"`
	Chunks   int                 `json:"chunks"`
	Late     int                 `json:"late"`              // dated before the period
	Amounts  map[string]string   `json:"amounts"`           // sum of the positive amounts by currency
	Refused  []statement.Refusal `json:"refused"`           // vouchers that would be refused before they are sent, at most 1,000
	Export   *statement.Export   `json:"export,omitempty"`  // that the period, or what is to be retried, has already: nothing would be sent
	Waiting  []Going             `json:"waiting,omitempty"` // the entries that came after that one, by the export that will take them
	Message  string              `json:"message,omitempty"` // says so in words
	Paused   string              `json:"paused,omitempty"`  // see [Outlook.Paused]: a run would plan, and then wait
}

// Preview returns what a run of e would do if it started now, and does nothing. A period
// that overlaps another one is refused as the run would refuse it, with a
// [*runlog.OverlapError]. vouchers are those that a retry is limited to; nil is no limit.
func Preview(ctx context.Context, db runlog.Beginner, sources *runlog.Sources, in integrations.Integration, e exports.Export, vouchers []string, now time.Time) (p Dry, err error) {
	v, _ := vendors.Lookup(in.Adapter)
	if v.Export.Entries == 0 {
		return p, fmt.Errorf("adapter %s takes no exports; name an integration of another adapter, see starter integrations list", in.Adapter)
	}
	o, err := Load(ctx, db, in, now)
	if err != nil {
		return p, err
	}
	p.Paused = o.Paused()
	claim, err := runlog.PreviewClaim(ctx, db, e)
	if err != nil {
		return p, err
	}
	if claim.Export != nil && claim.Planned {
		has := statement.OfExport(*claim.Export)
		p.Amounts, p.Refused, p.Export = map[string]string{}, []statement.Refusal{}, &has
		if e.ParentID != nil {
			chain, err := runlog.LoadChain(ctx, db, in.OrganizationID, claim.Export.ID)
			p.Message = o.retried(*claim.Export, chain)
			return p, err
		}
		p.Message, p.Waiting, err = Exported(ctx, db, sources, in, *claim.Export, now)
		return p, err
	}
	if claim.Export != nil {
		p.Message = o.state(*claim.Export, nil) + ", and is not planned yet; it would plan now:"
	}
	plan, err := runlog.PreviewRetry(ctx, db, sources, e, in.Export, v.Export.ChunkSize(in.Export.ChunkSize), vouchers)
	p.Entries, p.Vouchers, p.Chunks, p.Late, p.Amounts, p.Refused = plan.Entries, plan.Vouchers, plan.Chunks, plan.Late, plan.Amounts, statement.OfRefusals(plan.Rejected)
	return p, err
}

// retried says that an export has its retry, and what the period has come to with it.
func (o *Outlook) retried(retry exports.Export, chain exports.Chain) string {
	period := "the export of " + exports.PeriodName(retry.Period)
	if retry.Status == exports.Pending {
		return period + " is being retried, since " + o.Time(retry.StartedAt)
	}
	return period + " has its retry, which " + o.ended(retry) + "; " + headline(chain)
}
