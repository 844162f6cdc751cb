package outlook

import (
	"context"
	"time"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// Due says why an export by hand of e's period is refused now, and what to do; nil if it is
// not. It is if the period has not begun or not ended in the integration's time zone, unless
// unfinished asks for it, see [exports.Due]. A period that has its export is never refused:
// a run makes no other one and says so, and it resumes one whose run no longer exists. One
// that overlaps another export is an [*runlog.OverlapError] at once, and not only after
// unfinished was asked for.
func Due(ctx context.Context, db runlog.Beginner, in integrations.Integration, e exports.Export, now time.Time, unfinished bool) (refused, err error) {
	refused = exports.Due(e.Period, e.PeriodStart, e.PeriodEnd, in.Today(now), unfinished)
	if refused == nil {
		return nil, nil
	}
	claim, err := runlog.PreviewClaim(ctx, db, e)
	if err != nil || claim.Export != nil {
		return nil, err
	}
	return refused, nil
}
