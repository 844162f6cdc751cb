package engine

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/workflows"
)

// RetryRefusal is why a period cannot be retried now.
type RetryRefusal string

// The refusals.
const (
	AdoptionPending RetryRefusal = "adoption_pending" // what the vendor has is being taken into the record
	ExportPending   RetryRefusal = "export_pending"   // the period's own export has not ended
	OthersRetried   RetryRefusal = "others_retried"   // vouchers are named, and a retry runs that was started for others, or for all
	NothingToRetry  RetryRefusal = "nothing_to_retry" // a retry would do nothing
)

// RetryRefusedError says that a period cannot be retried now, and why.
type RetryRefusedError struct {
	Why    RetryRefusal
	Chain  exports.Chain
	Export exports.Export // that has not ended; if nothing is left to retry, the last one
}

// Error says what to do.
func (e *RetryRefusedError) Error() string {
	name, short := e.Chain.Name(), exports.Short(e.Export.ID)
	switch e.Why {
	case AdoptionPending:
		return fmt.Sprintf("the export of %s has not ended; to resume it: starter exports prove --period %s --integration %s --adopt", name, e.Export.Period, e.Chain.Integration)
	case ExportPending:
		return fmt.Sprintf("the export of %s has not ended; if its run no longer exists, starter sync --period %s --integration %s resumes it", name, e.Export.Period, e.Chain.Integration)
	case OthersRetried:
		return fmt.Sprintf("the export of %s is being retried by export %s, which sends what it was started for and not --voucher; wait for it, then retry again", name, short)
	}
	if e.Export.ID != e.Chain.First().ID {
		return fmt.Sprintf("nothing to retry: %s. The last retry is export %s.", e.Chain.Summary(), short)
	}
	return fmt.Sprintf("nothing to retry: %s.", e.Chain.Summary())
}

// RetryTarget is what a retry of a chain would do.
type RetryTarget struct {
	ParentID uuid.UUID       // the export that is retried: the chain's last one
	Joins    *exports.Export // the retry that has not ended, which is joined or, if its run no longer exists, resumed; else nil
}

// FindRetryTarget says what a retry of a chain would do now, limited to vouchers if any are
// named. An error is a [*RetryRefusedError]. That the vouchers are refused ones is for
// [runlog.CheckRefused].
func FindRetryTarget(c exports.Chain, vouchers []string) (RetryTarget, error) {
	last, refused := c.Last(), RetryRefusal("")
	pending := c.Pending()
	if pending != nil {
		last = *pending
	}
	switch {
	case pending != nil && last.Trigger == exports.ByAdopting:
		refused = AdoptionPending
	case pending != nil && last.ParentID == nil:
		refused = ExportPending
	case pending != nil && len(vouchers) > 0: // its run knows others, or none
		refused = OthersRetried
	case pending != nil:
		return RetryTarget{*last.ParentID, pending}, nil
	case c.NothingToRetry():
		refused = NothingToRetry
	default:
		return RetryTarget{ParentID: last.ID}, nil
	}
	return RetryTarget{}, &RetryRefusedError{refused, c, last}
}

// NewRetry is a retry of a chain of an integration, with what the integration's file says of
// retries and limits: of what is not exported or, if vouchers are named, of these among the
// refused ones. by is who asks for it. A chain that is being retried already gets the run
// that is there, see [FindRetryTarget], which also says what is refused.
func NewRetry(in integrations.Integration, c exports.Chain, vouchers []string, by string) (workflows.SyncInput, error) {
	target, err := FindRetryTarget(c, vouchers)
	if err != nil {
		return workflows.SyncInput{}, err
	}
	if first := c.First(); in.OrganizationID != first.OrganizationID || in.ID != first.IntegrationID {
		return workflows.SyncInput{}, fmt.Errorf("the export of %s is of integration %s, not of %s", c.Name(), c.Integration, in.Name)
	}
	run, err := NewSync(in, c.First().Period, by)
	run.Trigger, run.ParentID, run.Vouchers = exports.ByRetry, &target.ParentID, vouchers
	return run, err
}

// ExportOf is the export that a run would claim, to say beforehand what it would do.
func ExportOf(in workflows.SyncInput) exports.Export {
	return exports.Export{
		OrganizationID: in.OrganizationID, IntegrationID: in.IntegrationID, AdapterName: in.AdapterName,
		Period: in.Period, PeriodStart: in.PeriodStart, PeriodEnd: in.PeriodEnd, Trigger: in.Trigger, ParentID: in.ParentID,
	}
}
