package workflows

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// Limits of what an input may ask for.
const (
	minDefer = 100 * time.Millisecond // the first wait of a deferral
	maxDefer = 24 * time.Hour
	maxName  = 200  // bytes of a channel's name, or of who started a run
	maxRuns  = 1000 // of a backfill

	maxVouchers = 1000 // that a retry names
	maxVoucher  = 500  // bytes of a voucher's ID
)

// Validate returns all reasons why a run cannot be made, joined.
func (in SyncInput) Validate() error {
	errs := []error{
		activities.CheckTarget(in.OrganizationID, in.IntegrationID), activities.CheckLine("triggeredBy", in.TriggeredBy, maxName), activities.CheckLine("integrationName", in.IntegrationName, maxName),
		integrations.CheckAdapter(in.AdapterName),
	}
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(slices.Contains(exports.Triggers, in.Trigger) && in.Trigger != exports.ByAdopting, "trigger: want schedule, manual, backfill or retry")
	check(len(in.Vouchers) == 0 || in.ParentID != nil, "vouchers: only a retry can name them")
	check(len(in.Vouchers) <= maxVouchers, "vouchers: %d; want at most %d", len(in.Vouchers), maxVouchers)
	for _, v := range in.Vouchers {
		check(len(v) <= maxVoucher, "vouchers: one has %d bytes; want at most %d", len(v), maxVoucher)
	}
	check(in.DeferBase == 0 || in.DeferBase >= minDefer && in.DeferBase <= maxDefer, "deferBase: %v; want %v to %v", in.DeferBase, minDefer, maxDefer)
	if in.Schedule == nil || in.Period != "" { // else the period is the schedule's
		start, end, err := exports.ParsePeriod(in.Period)
		check(err == nil, "period: want a month 2026-10, an ISO week 2026-W45 or a day 2026-11-23")
		check(err != nil || start.Equal(in.PeriodStart) && end.Equal(in.PeriodEnd), "periodStart and periodEnd: want those of the period")
	}
	if err := in.Policy.WithDefaults().Validate(); err != nil {
		errs = append(errs, fmt.Errorf("policy: %w", err))
	}
	return errors.Join(errs...)
}

// Validate says why a backfill cannot be made. It does not look at its runs: each is
// validated before it starts.
func (in BackfillInput) Validate() error {
	if len(in.Runs) > maxRuns {
		return fmt.Errorf("runs: %d; want at most %d", len(in.Runs), maxRuns)
	}
	return nil
}

// Validate says why a delivery cannot be made.
func (in NotifyInput) Validate() error {
	return errors.Join(activities.CheckTarget(in.OrganizationID, in.NotificationID), activities.CheckLine("channel", in.Channel, maxName),
		activities.CheckLine("about", in.About, maxLine))
}

// notValid is the error of a workflow whose input is not valid.
func notValid(err error) error {
	return temporal.NewNonRetryableApplicationError("the input is not valid: "+onOneLine(err), "not_valid", nil)
}

// onOneLine joins the lines of an error.
func onOneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// continued reports whether a run was started by the one before it in its chain, which
// continued as new. Only such a run has something to resume: what a first run is given to
// resume was not handed over by a run.
func continued(ctx workflow.Context) bool { return workflow.GetInfo(ctx).ContinuedExecutionRunID != "" }
